/* window_test.c - sliding windows against tables to the millisecond, and against a plain list of
 * all that was used, which knows the truth. */
#include "base/test.h"
#include "base/vec.h"
#include "guard/window.h"

static void
moments(void **state)
{
    (void)state;
    static const struct {
        int64_t now;
        char op; /* a add, r ready, u used, b take back (of the moment `now`) */
        int64_t amount, want;
    } row[] = {
        {0, 'r', 1, 0},       {0, 'a', 1, 0},
        {0, 'a', 1, 0},       {500, 'a', 1, 0},
        {500, 'u', 0, 3},     {600, 'r', 1, 1000},
        {600, 'r', 2, 1000},  {600, 'r', 3, 1500},
        {600, 'r', 99, 1500}, /* more than the limit: when nothing else is inside */
        {999, 'r', 1, 1000},  {999, 'u', 0, 3},
        {1000, 'u', 0, 1},    {1000, 'r', 2, 1000},
        {1000, 'a', 2, 0},    {1001, 'r', 1, 1500},
        {500, 'b', 1, 0},     {1001, 'r', 1, 1001},
        {1001, 'u', 0, 2},    {500, 'b', 1, 0},
        {1001, 'u', 0, 2},    {7, 'b', 1, 0},
        {1000, 'b', 9, 0},    {1001, 'u', 0, 0},
        {1001, 'a', 0, 0},    {900, 'a', 3, 0}, /* a clock that goes back stands */
        {1002, 'u', 0, 3},    {1002, 'r', 1, 2000},
        {1999, 'u', 0, 3},    {2000, 'u', 0, 0},
    };
    struct window w = {.span_ms = 1000};
    for (size_t i = 0; i < COUNT(row); i++) {
        int64_t got = 0;
        if (row[i].op == 'a')
            window_add(&w, row[i].now, row[i].amount);
        else if (row[i].op == 'b')
            window_take_back(&w, row[i].now, row[i].amount);
        else if (row[i].op == 'u')
            got = window_used(&w, row[i].now);
        else
            got = window_ready_ms(&w, row[i].now, row[i].amount, 3);
        if (got != row[i].want)
            fail_msg("row %zu: %lld", i, (long long)got);
    }
    window_fini(&w);
}

struct use {
    int64_t at, amount;
};

/* Takes what it may as soon as it may, in bursts; no stretch of a span, wherever it begins, holds
 * more than the limit. Returns the share of the limit that was used. */
static double
greedy(int64_t span, int64_t limit, int64_t spans, unsigned seed)
{
    struct window w = {.span_ms = span};
    VEC(struct use) uses = {0};
    int64_t now = 0, total = 0;
    size_t from = 0, peak = 0;
    int64_t inside = 0;
    while (now < spans * span) {
        seed = seed * 1664525 + 1013904223;
        int64_t amount = 1 + (limit > 50 ? (seed >> 8) % (limit / 50) : 0);
        int64_t ready = window_ready_ms(&w, now, amount, limit);
        if (ready > now) {
            now = ready;
            continue;
        }
        window_add(&w, now, amount);
        vec_push(&uses, ((struct use){now, amount}));
        inside += amount;
        for (; uses.at[from].at <= now - span; from++)
            inside -= uses.at[from].amount;
        assert_true(inside <= limit);
        assert_true(window_used(&w, now) >= inside);
        total += amount;
        peak = MAX(peak, w.len);
        if ((seed >> 20) % 4 == 0)
            now += (seed >> 12) % (MAX(span / limit, 1) + 1);
    }
    assert_true(peak <= WINDOW_PARTS);
    vec_fini(&uses);
    window_fini(&w);
    return (double)total / (double)(limit * spans);
}

static void
greedily(void **state)
{
    (void)state;
    static const struct {
        int64_t span, limit, spans;
        double least;
    } row[] = {{60000, 1, 5, 0.99},      {60000, 60, 9, 0.99},      {60000, 9000, 9, 0.98},
               {60000, 100000, 4, 0.97}, {86400000, 1000, 3, 0.97}, {86400000, 1000000, 2, 0.97}};
    for (size_t i = 0; i < COUNT(row); i++) {
        double used = greedy(row[i].span, row[i].limit, row[i].spans, (unsigned)i + 1);
        if (used < row[i].least)
            fail_msg("row %zu: only %.4f of the limit", i, used);
    }
}

/* A million moments in a day: few parts, each dated by its last; nothing counts too short, and
 * nothing 85 s too long. */
static void
many(void **state)
{
    (void)state;
    struct window w = {.span_ms = 86400000};
    for (int64_t i = 0; i < 1000000; i++)
        window_add(&w, i * 86, 1);
    assert_true(w.len <= WINDOW_PARTS);
    int64_t now = 86 * 999999;
    assert_int_equal(window_used(&w, now), 1000000);
    for (int64_t later = 86400000; later < 86400000 + 86 * 1000000; later += 3600000) {
        int64_t truth = 1000000 - MIN(MAX((later - 86400000) / 86 + 1, 0), 1000000);
        int64_t used = window_used(&w, later);
        assert_true(used >= truth && used <= truth + 85000 / 86 + 1);
    }
    window_fini(&w);
}

/* What was taken back wholly leaves no trace, however often. */
static void
given_back(void **state)
{
    (void)state;
    struct window w = {.span_ms = 60000};
    struct window_part part;
    window_add(&w, 0, 5);
    for (int64_t i = 1; i < 50000; i++) {
        window_add(&w, i, 100);
        window_take_back(&w, i, 100);
    }
    assert_true(w.len <= WINDOW_PARTS);
    assert_int_equal(window_used(&w, 59999), 5);
    size_t i = 0, n = 0;
    while (window_next(&w, 0, &i, &part))
        n++;
    assert_true(n <= 2);
    assert_int_equal(window_used(&w, 60000 + 120), 0);
    window_fini(&w);
}

TESTS(window_test, cmocka_unit_test(moments), cmocka_unit_test(greedily), cmocka_unit_test(many),
      cmocka_unit_test(given_back))
