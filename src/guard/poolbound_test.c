/* poolbound_test.c - the bounds of a pool, by tables and by chance, in virtual time. */
#include "base/test.h"
#include "guard/poolworld_test.h"
#include "rt/fiber.h"
#include "rt/rt.h"
#include "rt/sim.h"

/* ---- bounds in all ---------------------------------------------------------- */

static void
crowded(struct world *w)
{
    struct user users[] = {
        {.group = 0, .hold_ms = 100, .who = "1"}, {.group = 1, .hold_ms = 300, .who = "2"},
        {.group = 2, .hold_ms = 100, .who = "3"}, {.group = 3, .hold_ms = 100, .who = "4"},
        {.group = 0, .hold_ms = 10, .who = "5"},  {.group = 3, .deadline_ms = 50, .who = "6"}};
    world_use_all(w, users, COUNT(users));
}

static void
total(void **state)
{
    (void)state;
    /* Two at a time: the third group gets the first's place when that rests, the fourth the
     * third's; who finds one of its own shares it. */
    struct world w = {.drive = crowded, .limits.total = 2};
    world_check(&w,
                "1:a1@0 2:b1@1 5:a1@4 6: timeout: waiting for a connection: all 2 are in use "
                "(settings: max_connections): timed out@55 3:c1@100 close a1@100 4:d1@200 close "
                "c1@200 close b1@301 close d1@301 ");
    assert_int_equal(w.live_max, 2);
    w = (struct world){.drive = crowded, .limits.total = 2, .group[0].close_slow = true};
    world_check(&w, NULL); /* a place is free when its thing is closed, not before */
    assert_int_equal(w.live_max, 2);
}

static void
oldest_first(struct world *w)
{
    static const int order[] = {0, 1, 2, 0, 3};
    for (size_t i = 0; i < COUNT(order); i++) {
        struct user u = {.group = order[i], .hold_ms = 10};
        world_use_all(w, &u, 1);
    }
}

static void
least_recently_used(void **state)
{
    (void)state;
    struct world w = {.drive = oldest_first, .limits.total = 3};
    world_check(&w,
                "a1@0 b1@10 c1@20 a1@30 close b1@40 d1@40 close a1@50 close c1@50 close d1@50 ");
}

static void
line_up(struct world *w)
{
    struct user users[] = {{.group = 0, .hold_ms = 100, .who = "1"},
                           {.group = 1, .hold_ms = 10, .who = "2"},
                           {.group = 2, .deadline_ms = 50, .who = "3"},
                           {.group = 3, .hold_ms = 10, .who = "4"}};
    world_use_all(w, users, COUNT(users));
}

/* Who leaves the line from the middle does not tear it. */
static void
a_line(void **state)
{
    (void)state;
    struct world w = {.drive = line_up, .limits.total = 1};
    world_check(&w, "1:a1@0 3: timeout: waiting for a connection: all 1 are in use (settings: "
                    "max_connections): timed out@52 2:b1@100 close a1@100 4:d1@110 close b1@110 "
                    "close d1@120 ");
}

static void
raise_it(void *arg)
{
    struct world *w = arg;
    err_drop(fiber_sleep(20));
    pool_limit(w->pool, &(struct pool_limits){.total = 5});
}

static void
raised(struct world *w)
{
    struct scope scope;
    struct user users[] = {{.group = 0, .hold_ms = 100}, {.group = 1, .hold_ms = 100}};
    scope_open(&scope, DEADLINE_NONE);
    scope_spawn(&scope, "raise", raise_it, w);
    world_use_all(w, users, 2);
    err_drop(scope_close(&scope));
}

static void
total_raised(void **state)
{
    (void)state;
    struct world w = {.drive = raised, .limits.total = 1};
    world_check(&w, "a1@0 b1@20 close a1@120 close b1@120 ");
}

/* ---- bounds of an owner ----------------------------------------------------- */

static void
greedy(struct world *w)
{
    struct user users[] = {
        {.group = 0, .owner = "r", .hold_ms = 100, .who = "1"},
        {.group = 1, .owner = "r", .hold_ms = 200, .who = "2"},
        {.group = 2, .owner = "r", .hold_ms = 10, .who = "3"}, /* waits for 1 */
        {.group = 3, .owner = "r", .hold_ms = 10, .who = "4"}, /* and then for 3 */
        {.group = 0, .owner = "r", .hold_ms = 50, .who = "5"}, /* shares */
        {.group = 2, .owner = "s", .hold_ms = 10, .who = "6"}, /* another run */
        {.group = 3, .owner = "r", .deadline_ms = 30, .who = "7"},
        {.group = 3, .hold_ms = 10, .who = "8"}};
    world_use_all(w, users, COUNT(users));
}

static void
crowd_of_one(struct world *w)
{
    struct user users[20] = {0};
    for (size_t i = 0; i < COUNT(users); i++)
        users[i] = (struct user){.owner = "r", .hold_ms = 100};
    world_use_all(w, users, COUNT(users));
    w->nsaw = 0;
    pool_each(w->pool, world_count, w);
}

static void
per_owner(void **state)
{
    (void)state;
    struct world w = {.drive = greedy, .limits.per_owner = 2};
    world_check(&w, "1:a1@0 2:b1@1 5:a1@4 6:c1@5 8:d1@7 7: timeout: waiting for a connection: the "
                    "run uses 2 already (settings: max_connections_per_run): timed out@36 3:c1@100 "
                    "4:d1@110 close a1@201 close b1@201 close c1@201 close d1@201 ");
    w = (struct world){
        .drive = crowd_of_one, .limits.per_owner = 2, .members_max = 5, .group[0].open_ms = 10};
    world_check(&w, "a opened 2 failed 0 taken 20 reused 18 in_use 0 idle 2 wait 65/19@120 close "
                    "a1@120 close a2@120 ");
}

static void
crash_later(void *arg)
{
    err_drop(fiber_sleep((int64_t)(intptr_t)arg));
    sim_crash();
}

static intptr_t crash_ms;

static void
crash_drive(struct world *w)
{
    struct scope scope;
    struct user users[12] = {0};
    scope_open(&scope, DEADLINE_NONE);
    scope_spawn(&scope, "crash", crash_later, (void *)crash_ms);
    for (size_t i = 0; i < COUNT(users); i++)
        users[i] = (struct user){.group = (int)i % 3,
                                 .owner = i % 2 ? "r" : "s",
                                 .at_ms = (int64_t)i * 7,
                                 .hold_ms = 30};
    world_use_all(w, users, COUNT(users));
    err_drop(scope_close(&scope));
}

/* Whenever everything stops, it unwinds. */
static void
crashes(void **state)
{
    (void)state;
    for (crash_ms = 0; crash_ms < 200; crash_ms += 3) {
        struct world w = {.drive = crash_drive,
                          .limits = {2, 1},
                          .members_max = 2,
                          .idle_ms = 10,
                          .check_ms = 5,
                          .group[1] = {.open_ms = 20, .fail = 2, .close_slow = true}};
        world_check(&w, NULL);
        assert_true(w.live_max <= 2);
    }
}

/* Chance in everything: the bounds hold, and nobody waits for ever. */
static void
random_drive(struct world *w)
{
    static struct user users[300];
    static const char *const owners[] = {"r", "s", "t", NULL};
    for (size_t i = 0; i < COUNT(users); i++)
        users[i] = (struct user){.group = (int)rt_random_below(4),
                                 .owner = owners[rt_random_below(4)],
                                 .at_ms = (int64_t)rt_random_below(2000),
                                 .hold_ms = (int64_t)rt_random_below(50),
                                 .deadline_ms = rt_random_below(3) ? 0 : 100,
                                 .doubts = rt_random_below(2),
                                 .praises = rt_random_below(8) == 0};
    world_use_all(w, users, COUNT(users));
}

static void
chance(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct world w = {.drive = random_drive,
                          .limits = {3, 1 + (unsigned)i % 2},
                          .members_max = 2,
                          .idle_ms = 20,
                          .check_ms = 10,
                          .group = {{.open_ms = 5, .fail = i},
                                    {.open_ms = 30, .hang = i},
                                    {.hang = 2, .lose = i, .close_slow = true, .fail = 2},
                                    {0}}};
        world_check(&w, NULL);
        assert_true(w.live_max <= 3);
    }
}

TESTS(poolbound_test, cmocka_unit_test(total), cmocka_unit_test(least_recently_used),
      cmocka_unit_test(total_raised), cmocka_unit_test(a_line), cmocka_unit_test(per_owner),
      cmocka_unit_test(crashes), cmocka_unit_test(chance))
