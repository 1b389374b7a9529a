/* fairq_test.c - who waits for how many turns of others. */
#include "base/test.h"
#include "guard/fairq.h"

struct call {
    struct fairq_item it;
    char flow[16];
};

static struct call *
call_add(struct fairq *q, struct call *c, unsigned flow, int priority)
{
    snprintf(c->flow, sizeof c->flow, "r%u", flow);
    fairq_add(q, &c->it, c->flow, priority, FAIRQ_UNIT);
    return c;
}

static struct call *
turn(struct fairq *q)
{
    struct fairq_item *it = fairq_first(q);
    if (it)
        fairq_take(q, it);
    return it ? container_of(it, struct call, it) : NULL;
}

/* A run of one comes while ten thousand calls of another wait. */
static void
one_beside_many(void **state)
{
    (void)state;
    struct fairq_clock clock = {0};
    struct fairq *q = fairq_new(&clock);
    struct call *many = xcalloc(10000, sizeof *many), one;
    for (unsigned i = 0; i < 10000; i++)
        call_add(q, &many[i], 1, 0);
    for (int i = 0; i < 4000; i++)
        turn(q);
    call_add(q, &one, 2, 0);
    int waited = 0;
    while (turn(q) != &one)
        waited++;
    assert_true(waited <= 2);
    for (int i = 0; i < 6000 - waited; i++)
        assert_ptr_equal(turn(q), &many[4000 + waited + i]); /* in order of arrival */
    assert_null(turn(q));
    assert_int_equal(fairq_len(q), 0);
    fairq_free(q);
    free(many);
}

/* A thousand runs of three calls each, a next call as soon as the last has had its turn: each round
 * everybody has one. */
static void
rounds(void **state)
{
    (void)state;
    enum { RUNS = 1000, CALLS = 3 };
    struct fairq_clock clock = {0};
    struct fairq *q = fairq_new(&clock);
    static struct call call[RUNS];
    static unsigned since[RUNS], had[RUNS];
    for (unsigned i = 0; i < RUNS; i++)
        call_add(q, &call[i], i, 0);
    for (unsigned now = 0; fairq_len(q); now++) {
        struct call *c = turn(q);
        size_t i = (size_t)(c - call);
        assert_true(now - since[i] <= RUNS);
        since[i] = now;
        if (++had[i] < CALLS)
            call_add(q, c, (unsigned)i, 0);
    }
    for (unsigned i = 0; i < RUNS; i++)
        assert_int_equal(had[i], CALLS);
    fairq_free(q);
}

/* Costs count: who asks for five times as much has a fifth of the turns. */
static void
costs(void **state)
{
    (void)state;
    struct fairq_clock clock = {0};
    struct fairq *q = fairq_new(&clock);
    static struct fairq_item big[100], small[100];
    unsigned nbig = 0;
    for (unsigned i = 0; i < COUNT(big); i++) {
        fairq_add(q, &big[i], "big", 0, 5 * FAIRQ_UNIT);
        fairq_add(q, &small[i], "small", 0, FAIRQ_UNIT);
    }
    for (unsigned i = 0; i < 60; i++) {
        struct fairq_item *it = fairq_first(q);
        nbig += it >= big && it < big + COUNT(big);
        fairq_take(q, it);
    }
    assert_true(nbig >= 9 && nbig <= 11);
    while (fairq_first(q))
        fairq_remove(q, fairq_first(q));
    fairq_free(q);
}

/* New runs keep coming, one for each turn: who waits is not passed for ever. */
static void
newcomers(void **state)
{
    (void)state;
    struct fairq_clock clock = {0};
    struct fairq *q = fairq_new(&clock);
    static struct call fresh[5000];
    struct call mine[20];
    unsigned turns = 0, served = 0;
    for (unsigned i = 0; i < COUNT(mine); i++)
        call_add(q, &mine[i], 99999, 0);
    for (; served < COUNT(mine) && turns < COUNT(fresh); turns++) {
        call_add(q, &fresh[turns], turns, 0);
        struct call *c = turn(q);
        served += c >= mine && c < mine + COUNT(mine);
    }
    assert_int_equal(served, COUNT(mine));
    while (turn(q))
        ;
    fairq_free(q);
}

static void
priorities(void **state)
{
    (void)state;
    struct fairq_clock clock = {0};
    struct fairq *q = fairq_new(&clock);
    static struct call high[200], low[200];
    for (unsigned i = 0; i < COUNT(high); i++)
        call_add(q, &low[i], i, -1);
    for (unsigned i = 0; i < COUNT(high); i++)
        call_add(q, &high[i], i, 7);
    unsigned lows = 0;
    for (unsigned i = 0; i < 160; i++) {
        struct call *c = turn(q);
        bool is_low = c >= low && c < low + COUNT(low);
        lows += is_low;
        assert_true(!is_low || i % FAIRQ_AGED == FAIRQ_AGED - 1);
    }
    assert_true(lows >= 5 && lows <= 160 / FAIRQ_AGED); /* never none */
    while (turn(q))
        ;
    fairq_free(q);
}

/* Two queues of one resource: their firsts compare. */
static void
two_queues(void **state)
{
    (void)state;
    struct fairq_clock clock = {0};
    struct fairq *a = fairq_new(&clock), *b = fairq_new(&clock);
    static struct call x[50], y[50];
    unsigned na = 0;
    for (unsigned i = 0; i < COUNT(x); i++) {
        call_add(a, &x[i], 1, 0);
        call_add(b, &y[i], 2, i == 49 ? 5 : 0);
    }
    assert_true(fairq_before(&clock, fairq_first(b), fairq_first(a))); /* by priority */
    assert_ptr_equal(turn(b), &y[49]);
    for (unsigned i = 0; i < 40; i++) {
        bool first = fairq_before(&clock, fairq_first(a), fairq_first(b));
        na += first;
        turn(first ? a : b);
    }
    assert_true(na >= 19 && na <= 21);
    while (turn(a) || turn(b))
        ;
    assert_int_equal(clock.flows, 0);
    fairq_free(a);
    fairq_free(b);
    fairq_free(NULL);
}

/* Anything in any order: everybody has one turn or has given up, and who gave up is not charged. */
static void
at_random(void **state)
{
    (void)state;
    enum { N = 4000 };
    struct fairq_clock clock = {0};
    struct fairq *q = fairq_new(&clock);
    static struct call call[N];
    static char is[N]; /* w waits, t had its turn, g gave up */
    unsigned seed = 7, next = 0, ended = 0;
    while (ended < N) {
        seed = seed * 1664525 + 1013904223;
        unsigned what = (seed >> 16) % 5, who = (seed >> 8) % N;
        if (what < 2 && next < N) {
            is[next] = 'w';
            call_add(q, &call[next], seed >> 20, (int)(seed >> 28) - 8);
            next++;
        } else if (what == 2 && is[who] == 'w') {
            fairq_remove(q, &call[who].it);
            is[who] = 'g';
            ended++;
        } else {
            struct call *c = turn(q);
            if (!c)
                continue;
            assert_int_equal(is[c - call], 'w');
            is[c - call] = 't';
            ended++;
        }
        assert_int_equal(fairq_len(q), next - ended);
    }
    fairq_free(q);
}

TESTS(fairq_test, cmocka_unit_test(one_beside_many), cmocka_unit_test(rounds),
      cmocka_unit_test(costs), cmocka_unit_test(newcomers), cmocka_unit_test(priorities),
      cmocka_unit_test(two_queues), cmocka_unit_test(at_random))
