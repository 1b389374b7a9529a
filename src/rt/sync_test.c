/* sync_test.c - channels that are closed or left with something in them, and fibers in crowds. */
#include "rt/fiber.h"
#include "rt/rttest.h"
#include "rt/sync.h"

static struct chan *shared;

static void
send_run(void *arg)
{
    struct err *e = chan_send(shared, arg, DEADLINE_NONE);
    say_err(arg, "send", e);
}

static void
count_drop(void *item)
{
    ++*(int *)item;
}

static void
closing_cases(void *arg)
{
    struct scope scope;
    int dropped = 0;
    void *item = NULL;
    struct seen *s = arg;
    shared = chan_new(3);
    for (int i = 0; i < 3; i++)
        say_err(s, "send", chan_send(shared, &dropped, DEADLINE_NONE));
    scope_open(&scope, DEADLINE_NONE);
    scope_spawn(&scope, "late", send_run, s); /* waits for room that never comes */
    err_drop(fiber_sleep(10));
    chan_close(shared);
    err_drop(scope_close(&scope));
    say_err(s, "send", chan_send(shared, &dropped, DEADLINE_NONE));
    say_err(s, "recv", chan_recv(shared, DEADLINE_NONE, &item));
    str_addf(&s->log, " got it: %d", item == &dropped);
    chan_free(shared, count_drop);
    chan_free(NULL, count_drop);
    str_addf(&s->log, " dropped: %d", dropped);
}

static void
closing(void **state)
{
    (void)state;
    struct seen s = {0};
    in_world(true, 1, closing_cases, &s);
    assert_string_equal(str_c(&s.log), "send:ok@0 send:ok@0 send:ok@0 send:cancelled@10 "
                                       "send:cancelled@10 recv:ok@10 got it: 1 dropped: 2");
    str_fini(&s.log);
}

/* ---- crowds ---------------------------------------------------------------------------------- */

#define CROWD 3000

struct member {
    struct seen *s;
    int turns;
};

static void
member_run(void *arg)
{
    struct member *m = arg;
    for (int i = 0; i < m->turns; i++)
        fiber_yield();
    m->s->n += m->turns + 1;
}

/* Thousands are ready at once, and many of them again while the others have not had their turn. */
static void
crowd_cases(void *arg)
{
    struct seen *s = arg;
    struct scope scope;
    struct rt_stats stats;
    struct member *all = xcalloc(CROWD, sizeof *all);
    scope_open(&scope, DEADLINE_NONE);
    for (int i = 0; i < CROWD; i++) {
        all[i] = (struct member){s, i % 4};
        scope_spawn(&scope, "member", member_run, &all[i]);
    }
    err_drop(scope_close(&scope));
    free(all);
    rt_stats(&stats);
    str_addf(&s->log, "%u of %u fibers left", stats.fibers, stats.fibers_peak);
}

static void
crowds(void **state)
{
    (void)state;
    for (int simulated = 0; simulated < 2; simulated++) {
        struct seen s = {0};
        in_world(simulated, 9, crowd_cases, &s);
        assert_int_equal(s.n, CROWD / 4 * (1 + 2 + 3 + 4)); /* each had all its turns */
        assert_string_equal(str_c(&s.log), "1 of 3001 fibers left");
        str_fini(&s.log);
    }
}

/* Nobody can ever wake it: in a simulation this is seen, and it unwinds. */
static void
wait_for_ever(void *arg)
{
    struct waitq never = {0};
    say_err(arg, "wait", waitq_wait(&never, DEADLINE_NONE));
    say_err(arg, "sleep", fiber_sleep(5));
}

static void
dead_ends(void **state)
{
    (void)state;
    struct seen s = {0};
    in_world(true, 1, wait_for_ever, &s);
    assert_string_equal(str_c(&s.log), "wait:cancelled@0 sleep:cancelled@0");
    str_fini(&s.log);
}

/* ---- time for work --------------------------------------------------------------------------- */

struct stint {
    struct seen *s;
    const char *name;
    int64_t begin, end;
    bool rests;
};

static void
stint_run(void *arg)
{
    const struct stint *x = arg;
    struct err *e = fiber_sleep(x->begin);
    err_drop(e);
    if (x->rests)
        scope_rest(true);
    else
        scope_work(true);
    e = fiber_sleep(x->end - x->begin);
    if (x->rests)
        scope_rest(false);
    else
        scope_work(false);
    say_err(x->s, x->name, e);
}

/* Time that counts: all but 200 to 500, in which one rests and nobody works. */
static void
worktime_cases(void *arg)
{
    struct seen *s = arg;
    struct stint all[] = {{s, "a", 0, 200, false},
                          {s, "b", 100, 600, true},
                          {s, "c", 500, 900, false},
                          {s, "d", 0, 5000, true}};
    for (int lenient = 0; lenient < 2; lenient++) {
        struct scope scope;
        const int64_t since = rt_now_ms();
        scope_open_worktime(&scope, rt_after(450));
        if (lenient)
            scope_be_lenient(&scope);
        for (size_t i = 0; i < COUNT(all) - (size_t)lenient; i++)
            scope_spawn(&scope, all[i].name, stint_run, &all[i]);
        say_err(s, "close", scope_close(&scope));
        str_addf(&s->log, " took %lld late %d;", (long long)(rt_now_ms() - since),
                 scope_is_late(&scope));
    }
}

static void
worktime(void **state)
{
    (void)state;
    struct seen s = {0};
    in_world(true, 1, worktime_cases, &s);
    assert_string_equal(str_c(&s.log),
                        "a:ok@200 b:ok@600 c:timeout@750 d:timeout@750 close:timeout@750 took 750 "
                        "late 1; a:ok@950 b:ok@1350 c:ok@1650 close:ok@1650 took 900 late 1;");
    str_fini(&s.log);
}

TESTS(sync_test, cmocka_unit_test(closing), cmocka_unit_test(crowds), cmocka_unit_test(dead_ends),
      cmocka_unit_test(worktime))
