/* guard_test.c - schedules against tables, to the millisecond. */
#include "base/test.h"
#include "guard/breaker.h"
#include "guard/retry.h"

static void
delays(void **state)
{
    (void)state;
    static const struct {
        unsigned attempt;
        double chance;
        int64_t retry_after, min_ms, want;
        bool jitter;
    } row[] = {
        {1, 0, -1, 0, 1000, false},   {2, 0, -1, 0, 2000, false},    {3, 0, -1, 0, 4000, false},
        {7, 0, -1, 0, 60000, false},  {60, 0, -1, 0, 60000, false},  {1, 0, -1, 0, 500, true},
        {1, 0.5, -1, 0, 750, true},   {1, 0.999, -1, 0, 1000, true}, {1, 0, 90000, 0, 90000, true},
        {4, 0, 3000, 0, 8000, false}, {1, 0, -1, 700, 700, true},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct retry r = RETRY_DEFAULT;
        r.jitter = row[i].jitter;
        r.min_ms = row[i].min_ms;
        struct err *e = err_set_retry_after(FAIL(ERR_LIMIT, "429"), row[i].retry_after);
        assert_int_equal(retry_delay_ms(&r, e, row[i].attempt, row[i].chance), row[i].want);
        err_free(e);
    }
}

static void
attempts(void **state)
{
    (void)state;
    struct retry r = RETRY_DEFAULT;
    static const struct {
        enum err_kind kind;
        bool want;
    } row[] = {{ERR_TRANSIENT, true}, {ERR_LIMIT, true},    {ERR_TIMEOUT, true},
               {ERR_INVALID, false},  {ERR_DENIED, false},  {ERR_CANCELLED, false},
               {ERR_PARKED, false},   {ERR_TOO_LONG, false}};
    for (size_t i = 0; i < COUNT(row); i++) {
        struct err *e = FAIL(row[i].kind, "x");
        assert_int_equal(retry_allows(&r, e, 1), row[i].want);
        assert_int_equal(retry_allows(&r, e, 2), row[i].want);
        assert_false(retry_allows(&r, e, 3));
        err_free(e);
    }
    json_t *def =
        json_pack("{sisisisfsbs[ss]}", "max_attempts", 5, "initial_delay", 500, "max_delay", 30000,
                  "exponential_base", 3.0, "jitter", 0, "retry_on", "limit", "nonsense");
    retry_from_json(&r, def);
    json_decref(def);
    struct err *e = FAIL(ERR_LIMIT, "x");
    assert_true(retry_allows(&r, e, 4));
    assert_int_equal(retry_delay_ms(&r, e, 3, 0), 4500);
    err_free(e);
    e = FAIL(ERR_TRANSIENT, "x");
    assert_false(retry_allows(&r, e, 1));
    err_free(e);
    def = json_object(); /* nothing said: nothing changed */
    retry_from_json(&r, def);
    assert_int_equal(r.max_attempts, 5);
    json_decref(def);
}

static void
breaker(void **state)
{
    (void)state;
    static const struct {
        int at_ms;
        char want, verdict;
    } row[] = {
        {0, 'y', 'f'},    {10, 'y', 'f'},   {20, 'y', 'f'},   /* the third failure trips it */
        {1019, 'n', '-'}, {1020, 'y', 'f'},                   /* cools, probes, fails again */
        {2019, 'n', '-'}, {2020, 'y', '-'}, {2021, 'n', 's'}, /* one probe at a time */
        {2022, 'y', 's'}, {2023, 'y', 's'},
    };
    struct breaker b;
    breaker_init(&b, 3, 1000);
    for (size_t i = 0; i < COUNT(row); i++) {
        assert_int_equal(breaker_allow(&b, row[i].at_ms), row[i].want == 'y');
        if (row[i].verdict != '-')
            assert_int_equal(breaker_report(&b, row[i].verdict == 's', row[i].at_ms),
                             row[i].verdict == 'f' && row[i].at_ms >= 20);
    }
    for (int i = 0; i < 3; i++)
        breaker_report(&b, false, 5000);
    assert_int_equal(breaker_open_ms(&b, 5400), 600);
    assert_int_equal(breaker_open_ms(&b, 6000), 0);
    assert_true(breaker_allow(&b, 6000));
    assert_false(breaker_allow(&b, 6001));
    breaker_forget(&b); /* the probe was cancelled: another may probe */
    assert_true(breaker_allow(&b, 6002));
}

TESTS(guard_test, cmocka_unit_test(delays), cmocka_unit_test(attempts), cmocka_unit_test(breaker))
