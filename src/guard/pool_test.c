/* pool_test.c - sharing, failures, health and ends of a pool, in virtual time. */
#include "base/test.h"
#include "guard/poolworld_test.h"
#include "rt/fiber.h"
#include "rt/rt.h"
#include "rt/sim.h"

/* ---- one opening for many --------------------------------------------------- */

static void
many(struct world *w)
{
    struct user users[50] = {0};
    for (size_t i = 0; i < COUNT(users); i++)
        users[i].hold_ms = 1000;
    world_use_all(w, users, COUNT(users));
}

static void
many_counted(struct world *w)
{
    many(w);
    w->nsaw = 0;
    pool_each(w->pool, world_count, w);
}

static void
sharing(void **state)
{
    (void)state;
    /* One is tried first, then the two others; each serves its even share. */
    AUTO(str_fini) struct str spread = STR_INIT;
    for (int i = 0; i < 50; i++)
        str_addf(&spread, "a%d@%d ", i < 17 ? 1 : i < 34 ? 2 : 3, i < 17 ? 100 : 200);
    str_add(&spread, "close a1@1200 close a2@1200 close a3@1200 ");
    struct world w = {.drive = many, .members_max = 3, .group[0].open_ms = 100};
    world_check(&w, str_c(&spread));
    w = (struct world){.drive = many_counted, .members_max = 3, .group[0].open_ms = 100};
    world_check(&w,
                "a opened 3 failed 0 taken 50 reused 47 in_use 0 idle 3 wait 7075/183@1200 close "
                "a1@1200 close a2@1200 close a3@1200 ");
    w = (struct world){.drive = many_counted, .members_max = 1, .group[0].open_ms = 100};
    world_check(&w,
                "a opened 1 failed 0 taken 50 reused 49 in_use 0 idle 1 wait 3775/100@1100 close "
                "a1@1100 ");
}

static void
three_tell(struct world *w)
{
    struct user users[] = {{.who = "1", .hold_ms = 10},
                           {.who = "2", .at_ms = 50, .hold_ms = 10},
                           {.who = "3", .at_ms = 60, .deadline_ms = 20},
                           {.who = "4", .at_ms = 200, .hold_ms = 10}};
    world_use_all(w, users, COUNT(users));
}

static void
failure_is_told_to_all(void **state)
{
    (void)state;
    struct world w = {.drive = three_tell, .group[0] = {.open_ms = 100, .fail = 1}};
    world_check(&w,
                "3: timeout: waiting for it to start: timed out@80 1: missing: starting it: no "
                "such thing@100 2: missing: starting it: no such thing@100 4:a1@300 close a1@310 ");
    /* What came of it is closed, after everybody was told, and not politely. */
    w = (struct world){.drive = three_tell,
                       .group[0] = {.open_ms = 100, .fail = 1, .fail_half = true}};
    world_check(&w, "3: timeout: waiting for it to start: timed out@80 1: missing: starting it: no "
                    "such thing@100 2: missing: starting it: no such thing@100 broken a1@100 "
                    "4:a2@300 close a2@310 ");
}

static void
six_in_a_row(struct world *w)
{
    for (int i = 0; i < 6; i++) {
        struct user u = {.who = "x", .hold_ms = 1};
        world_use_all(w, &u, 1);
    }
    struct user late[] = {{.who = "far", .deadline_ms = 100}};
    world_use_all(w, late, 1);
    err_drop(fiber_sleep(5000));
    struct user again = {.who = "y", .hold_ms = 1};
    world_use_all(w, &again, 1);
}

/* 0, 250, 500, 1000 ms are waited for; the next, 2000 ms, is told. */
static void
backoff(void **state)
{
    (void)state;
    struct world w = {.drive = six_in_a_row, .group[0].fail = 5};
    world_check(&w,
                "x: missing: starting it: no such thing@0 x: missing: starting it: no such thing "
                "(retry)@0 x: missing: starting it: no such thing (retry)@250 x: missing: "
                "starting it: no such thing (retry)@750 far: transient: it failed 5 times in a "
                "row, the last time: no such thing (retry)@1750 x: missing: starting it: no such "
                "thing (retry)@1750 x: transient: it failed 5 times in a row, the last time: no "
                "such thing (retry)@1750 y:a1@6750 close a1@6751 ");
    static const struct {
        unsigned failures;
        int64_t ms;
    } rows[] = {{0, 0}, {1, 0}, {2, 250}, {3, 500}, {9, 30000}, {4000000000u, 30000}};
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(pool_backoff_ms(rows[i].failures), rows[i].ms);
}

static void
stop_in_the_middle(struct world *w)
{
    struct user u = {.w = w, .who = "x"};
    struct scope scope;
    scope_open(&scope, DEADLINE_NONE);
    scope_spawn(&scope, "user", world_use, &u);
    err_drop(fiber_sleep(50));
    pool_stop(w->pool);
    err_drop(scope_close(&scope));
}

static void
six_counted(struct world *w)
{
    six_in_a_row(w);
    pool_each(w->pool, world_count, w);
}

/* What breaks while it is opened was never there: its openings failed, and are counted so. An error
 * of the opening itself is the one that is told. */
static void
lost_while_it_is_opened(void **state)
{
    (void)state;
    struct world w = {.drive = three_tell, .group[0] = {.open_ms = 100, .lose = 1}};
    world_check(&w, "3: timeout: waiting for it to start: timed out@80 1: transient: starting it: "
                    "it went away@100 2: transient: starting it: it went away@100 broken a1@100 "
                    "4:a2@300 close a2@310 ");
    w = (struct world){.drive = three_tell,
                       .group[0] = {.open_ms = 100, .lose = 1, .fail = 1, .fail_half = true}};
    world_check(&w, "3: timeout: waiting for it to start: timed out@80 1: missing: starting it: no "
                    "such thing@100 2: missing: starting it: no such thing@100 broken a1@100 "
                    "4:a2@300 close a2@310 ");
    w = (struct world){.drive = six_counted, .group[0].lose = 5};
    world_check(
        &w,
        "broken a1@0 broken a2@0 x: transient: starting it: it went away@0 x: transient: starting "
        "it: it went away (retry)@0 broken a3@250 x: transient: starting it: it went away "
        "(retry)@250 broken a4@750 x: transient: starting it: it went away (retry)@750 broken "
        "a5@1750 far: transient: it failed 5 times in a row, the last time: it went away "
        "(retry)@1750 x: transient: it failed 5 times in a row, the last time: it went away "
        "(retry)@1750 x: transient: starting it: it went away (retry)@1750 y:a6@6750 a opened 1 "
        "failed 5 taken 1 reused 0 in_use 0 idle 1 wait 1750/1000@6751 close a6@6751 ");
    w = (struct world){.drive = stop_in_the_middle, .group[0] = {.open_ms = 100, .lose = 1}};
    world_check(&w, "x: cancelled: the servers are being stopped@50 ");
}

/* ---- health and rest -------------------------------------------------------- */

static void
rest_and_use(struct world *w)
{
    struct user u = {.hold_ms = 10};
    world_use_all(w, &u, 1);
    err_drop(fiber_sleep(500));
    world_use_all(w, &u, 1); /* not long enough to be checked */
    err_drop(fiber_sleep(1000));
    world_use_all(w, &u, 1);
    err_drop(fiber_sleep(1000));
    w->things[0]->dead = true;
    world_use_all(w, &u, 1);
    err_drop(fiber_sleep(3000));
}

static void
checked(void **state)
{
    (void)state;
    struct world w = {.drive = rest_and_use, .check_ms = 1000, .idle_ms = 2000};
    world_check(&w, "a1@0 a1@510 check a1@1520 a1@1525 check a1@2535 a2@2540 broken a1@2540 close "
                    "a2@4550 ");
}

static void
lose_it(struct world *w)
{
    struct user u = {.hold_ms = 10};
    struct pool_member *m;
    world_use_all(w, &u, 1);
    pool_lost(w->things[0]->member, "killed"); /* while it rests */
    world_use_all(w, &u, 1);
    err_drop(world_take(w, 0, NULL, DEADLINE_NONE, &m));
    pool_lost(m, "killed"); /* while it is held */
    pool_lost(m, "twice");
    struct pool_health h;
    pool_group_health(w->group[0].g, &h);
    world_say(w, "%u %s %u", h.failures, h.error, h.ready);
    pool_give(m, NULL);
    world_use_all(w, &u, 1);
    err_drop(world_take(w, 0, NULL, DEADLINE_NONE, &m));
    pool_worked(m);
    pool_suspect(m);
    pool_suspect(m); /* once is enough */
    pool_give(m, NULL);
    w->things[2]->hangs = true;
    err_drop(fiber_sleep(20));
    world_use_all(w, &u, 1);
}

/* Doubted, and well: it is handed out as before. Lost while it is doubted: closed after that. */
static void
doubt_it(struct world *w)
{
    struct user u = {.hold_ms = 10};
    struct pool_member *m;
    err_drop(world_take(w, 0, NULL, DEADLINE_NONE, &m));
    pool_suspect(m);
    pool_give(m, NULL);
    err_drop(fiber_sleep(20));
    world_use_all(w, &u, 1);
    pool_suspect(m);
    err_drop(fiber_sleep(1));
    pool_lost(m, "killed");
    pool_suspect(m); /* of no interest any more */
    err_drop(fiber_sleep(20));
}

static void
lost(void **state)
{
    (void)state;
    struct world w = {.drive = lose_it};
    world_check(&w, "a1@0 a2@10 broken a1@10 2 killed 0@20 broken a2@20 a3@270 check a3@280 broken "
                    "a3@285 a4@300 close a4@310 ");
    w = (struct world){.drive = doubt_it};
    world_check(&w, "check a1@0 a1@20 check a1@30 broken a1@35 ");
}

/* Somebody always has it, and gets no answer from it. */
static void
hang_under_load(struct world *w)
{
    struct user first = {.hold_ms = 1}, crowd[12];
    world_use_all(w, &first, 1);
    w->things[0]->hangs = true;
    for (int i = 0; i < (int)COUNT(crowd); i++)
        crowd[i] = (struct user){.at_ms = 1 + 10 * i, .hold_ms = 30, .doubts = true};
    world_use_all(w, crowd, COUNT(crowd));
}

/* One holder has a long answer to wait for; the others doubt meanwhile, and wait for that. */
static void
busy_under_load(struct world *w)
{
    struct user first = {.hold_ms = 1},
                crowd[] = {{.hold_ms = 100, .who = "long", .praises = true},
                           {.hold_ms = 20, .who = "2", .doubts = true},
                           {.hold_ms = 20, .who = "3", .at_ms = 40},
                           {.hold_ms = 20, .who = "4", .at_ms = 50, .deadline_ms = 20}};
    world_use_all(w, &first, 1);
    w->things[0]->hangs = true;
    world_use_all(w, crowd, COUNT(crowd));
}

static void
hanging(void **state)
{
    (void)state;
    struct world w = {.drive = hang_under_load};
    world_check(&w, "a1@0 a1@2 a1@12 a1@22 a1@32 check a1@32 a2@62 a2@62 a2@62 broken a1@62 a2@72 "
                    "a2@82 a2@92 a2@102 a2@112 close a2@142 ");
    w = (struct world){.drive = busy_under_load};
    world_check(&w, "a1@0 long:a1@1 2:a1@2 check a1@22 4: timeout: waiting for a connection that "
                    "answers: it hangs: timed out@71 3:a1@101 close a1@121 ");
}

/* ---- ends ------------------------------------------------------------------- */

static void
end_groups(struct world *w)
{
    struct pool_member *m;
    struct user u = {.group = 1, .hold_ms = 1}, waits = {.group = 0, .who = "late", .hold_ms = 1};
    struct scope scope;
    world_use_all(w, &u, 1);
    pool_group_end(w->group[1].g); /* at rest: closed now */
    u.group = 2;
    err_drop(world_take(w, 2, "r", DEADLINE_NONE, &m));
    pool_group_end(w->group[2].g); /* held: closed when it is given back */
    err_drop(fiber_sleep(10));
    pool_give(m, "r");
    waits.w = w;
    scope_open(&scope, DEADLINE_NONE);
    scope_spawn(&scope, "waits", world_use, &waits);
    err_drop(fiber_sleep(10));
    pool_group_end(w->group[0].g); /* being opened: who waits is told */
    err_drop(scope_close(&scope));
    err_drop(fiber_sleep(1000));
    pool_each(w->pool, world_count, w);
}

/* A key has one group, whoever asks for it first; one that has ended is another's no more. */
static void
find_groups(struct world *w)
{
    const struct pool_kind other = {.members_max = 9};
    struct pool_group *g = w->group[0].g;
    world_say(w, "%d %d", pool_group_find(w->pool, "a") == g,
              pool_group(w->pool, "a", &other) == g);
    world_say(w, "none %d", pool_group_find(w->pool, "z") == NULL);
    pool_group_end(g);
    world_say(w, "ended %d", pool_group_find(w->pool, "a") == NULL);
}

static void
ends(void **state)
{
    (void)state;
    struct world w = {
        .drive = end_groups, .limits.per_owner = 1, .idle_ms = 500, .group[0].open_ms = 100};
    world_check(&w, "b1@0 close b1@1 close c1@11 late: cancelled: the servers are being stopped@21 "
                    "close a1@111 - opened 3 failed 0 taken 2 reused 0 in_use 0 idle 0 wait "
                    "10/10@1021 ");
    w = (struct world){.drive = find_groups};
    world_check(&w, "1 1@0 ended 1@0 none 1@0 ");
}

static void
stop_at(struct world *w)
{
    struct scope scope;
    struct user users[] = {{.group = 0, .owner = "r", .hold_ms = 50, .who = "1"},
                           {.group = 1, .owner = "r", .who = "2"},
                           {.group = 2, .owner = "s", .who = "3"}};
    scope_open(&scope, DEADLINE_NONE);
    for (size_t i = 0; i < COUNT(users); i++) {
        users[i].w = w;
        users[i].at_ms = (int64_t)i;
        scope_spawn(&scope, "user", world_use, &users[i]);
    }
    err_drop(fiber_sleep(10));
    pool_stop(w->pool);
    err_drop(scope_close(&scope));
    struct pool_member *m;
    struct err *e = world_take(w, 0, NULL, DEADLINE_NONE, &m);
    world_say(w, "%s", err_kind_name(err_kind(e)));
    err_free(e);
}

static void
stopped(void **state)
{
    (void)state;
    struct world w = {.drive = stop_at, .limits.per_owner = 1, .group[2].open_ms = 100};
    world_check(&w,
                "1:a1@0 2: cancelled: the servers are being stopped@10 3: cancelled: the servers "
                "are being stopped@10 cancelled@50 close a1@50 ");
}

static void
gone_in_time(struct world *w)
{
    struct user users[] = {
        {.group = 0, .owner = "r", .hold_ms = 100, .who = "1"},
        {.group = 1, .owner = "r", .hold_ms = 100, .deadline_ms = 20, .who = "2"},
        {.group = 2, .owner = "r", .hold_ms = 10, .who = "3"}};
    world_use_all(w, users, COUNT(users));
}

/* Who leaves gives its place in the line, and what it was allowed, to the next. */
static void
leaving(void **state)
{
    (void)state;
    struct world w = {.drive = gone_in_time, .limits.per_owner = 2, .group[1].open_ms = 500};
    world_check(&w, "1:a1@0 2: timeout: waiting for it to start: timed out@21 3:c1@21 close a1@100 "
                    "close c1@100 ");
}

/* ---- in the middle of things -------------------------------------------------- */

static void
patience_drive(struct world *w)
{
    struct user first = {.hold_ms = 1}, crowd[] = {{.who = "1", .hold_ms = 5000},
                                                   {.who = "2", .hold_ms = 10, .at_ms = 100},
                                                   {.who = "3", .hold_ms = 10, .at_ms = 3200}};
    world_use_all(w, &first, 1);
    w->group[0].open_ms = 3000;
    world_use_all(w, crowd, COUNT(crowd));
}

static void
second_fails(struct world *w)
{
    struct user first = {.hold_ms = 1},
                both[] = {{.who = "1", .hold_ms = 500}, {.who = "2", .hold_ms = 10, .at_ms = 100}};
    world_use_all(w, &first, 1);
    w->group[0].open_ms = 50;
    w->group[0].fail = 2; /* the first failure of a row is tried again at once */
    world_use_all(w, both, COUNT(both));
}

/* Whoever finds all busy waits for another one, not longer than a second, and not for one that
 * cannot be opened. */
static void
patience(void **state)
{
    (void)state;
    struct world w = {.drive = patience_drive, .members_max = 2};
    world_check(&w, "a1@0 1:a1@1 2:a1@1101 3:a2@3201 close a1@5001 close a2@5001 ");
    w = (struct world){.drive = second_fails, .members_max = 2};
    world_check(&w, "a1@0 1:a1@1 2:a1@201 close a1@501 ");
}

static void
lose_a_checked_one(struct world *w)
{
    struct user u = {.hold_ms = 1}, again = {.who = "again", .hold_ms = 1};
    struct scope scope;
    world_use_all(w, &u, 1);
    err_drop(fiber_sleep(100));
    again.w = w;
    scope_open(&scope, DEADLINE_NONE);
    scope_spawn(&scope, "again", world_use, &again);
    err_drop(fiber_sleep(2));
    pool_lost(w->things[0]->member, "killed");
    err_drop(scope_close(&scope));
}

static void
end_while_its_owner_waits(struct world *w)
{
    struct user waits = {.group = 1, .owner = "r", .who = "waits", .hold_ms = 1};
    struct pool_member *m;
    struct scope scope;
    err_drop(world_take(w, 0, "r", DEADLINE_NONE, &m));
    waits.w = w;
    scope_open(&scope, DEADLINE_NONE);
    scope_spawn(&scope, "waits", world_use, &waits);
    err_drop(fiber_sleep(10));
    pool_group_end(w->group[1].g);
    pool_give(m, "r");
    err_drop(scope_close(&scope));
}

static void
free_while_held(struct world *w)
{
    struct user u = {.who = "held", .hold_ms = 100};
    struct scope scope;
    u.w = w;
    scope_open(&scope, DEADLINE_NONE);
    scope_spawn(&scope, "user", world_use, &u);
    err_drop(fiber_sleep(10));
    pool_free(w->pool);
    world_say(w, "free");
    w->pool = NULL;
    pool_free(w->pool);
    err_drop(scope_close(&scope));
}

static void
crash(void *arg)
{
    (void)arg;
    err_drop(fiber_sleep(20));
    sim_crash();
}

/* The world stops while those who hold members are waited for: it comes to an end all the same. */
static void
crash_while_held(struct world *w)
{
    struct user users[4] = {0};
    struct scope scope;
    scope_open_detached(&scope);
    scope_spawn(&scope, "crash", crash, NULL);
    for (int i = 0; i < (int)COUNT(users); i++) {
        users[i] = (struct user){.w = w, .group = i, .who = "held", .hold_ms = 100};
        scope_spawn(&scope, "user", world_use, &users[i]);
    }
    err_drop(fiber_sleep(10));
    pool_free(w->pool);
    w->pool = NULL;
    world_say(w, "free");
    err_drop(scope_close(&scope));
}

static void
meanwhile(void **state)
{
    (void)state;
    struct world w = {.drive = lose_a_checked_one, .check_ms = 50};
    world_check(&w, "a1@0 check a1@101 again:a2@103 broken a1@104 close a2@104 ");
    w = (struct world){.drive = end_while_its_owner_waits, .limits.per_owner = 1};
    world_check(&w, "close a1@10 waits: cancelled: the servers are being stopped@10 ");
    w = (struct world){.drive = free_while_held};
    world_check(&w, "held:a1@0 close a1@100 free@100 ");
    w = (struct world){.drive = crash_while_held};
    world_check(&w, "held:a1@0 held:b1@0 held:c1@0 held:d1@0 close a1@20 close b1@20 close c1@20 "
                    "close d1@20 free@20 ");
}

TESTS(pool_test, cmocka_unit_test(sharing), cmocka_unit_test(failure_is_told_to_all),
      cmocka_unit_test(backoff), cmocka_unit_test(lost_while_it_is_opened),
      cmocka_unit_test(checked), cmocka_unit_test(lost), cmocka_unit_test(hanging),
      cmocka_unit_test(ends), cmocka_unit_test(stopped), cmocka_unit_test(leaving),
      cmocka_unit_test(patience), cmocka_unit_test(meanwhile))
