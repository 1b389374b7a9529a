/* stack_test.c - many fibers at once: more than have a guard of their own. */
#include "rt/fiber.h"
#include "rt/rttest.h"
#include <stdlib.h>

#define GUARDED 5
#define CROWD   300
#define DEEP    40 /* frames of 3 KB: half a stack */

struct crowd {
    unsigned well, peak, stacks, begun;
};

/* Fills a part of each frame, waits, and finds it again. */
__attribute__((noinline)) static bool
frames(unsigned n, unsigned char mark)
{
    unsigned char room[3000];
    memset(room, mark, sizeof room);
    bool well = n ? frames(n - 1, mark) : !fiber_sleep(50);
    for (size_t i = 0; i < sizeof room; i++)
        well &= room[i] == mark;
    return well;
}

static void
one(void *arg)
{
    struct crowd *c = arg;
    c->well += frames(DEEP, (unsigned char)++c->begun);
}

static void
crowd(void *arg)
{
    struct crowd *c = arg;
    struct rt_stats stats;
    for (int round = 0; round < 2; round++) { /* the second one finds the stacks of the first */
        struct scope scope;
        scope_open(&scope, DEADLINE_NONE);
        for (unsigned i = 0; i < CROWD; i++)
            scope_spawn(&scope, "one", one, c);
        err_drop(scope_close(&scope));
    }
    rt_stats(&stats);
    c->peak = stats.fibers_peak;
    c->stacks = stats.stacks;
}

static void
guards_run_out(void **state)
{
    (void)state;
    for (int simulated = 0; simulated < 2; simulated++) {
        struct crowd c = {0};
        struct rt *rt;
        assert_ok(rt_open(
            &(struct rt_opts){.simulated = simulated, .seed = 1, .guarded_max = GUARDED}, &rt));
        rt_run(rt, crowd, &c);
        rt_close(rt);
        assert_int_equal(c.well, 2 * CROWD);
        assert_int_equal(c.peak, CROWD + 1);
        assert_int_equal(c.stacks, CROWD + 1);
    }
}

TESTS(stack_test, cmocka_unit_test(guards_run_out))
