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

/* y and n: is it let through; p: likewise, as the probe. f, s: its verdict, at once; F, S: the
 * verdict of the call that was let through `late` rows before; x: it is forgotten. The state
 * afterwards: c, o, h. */
static const struct {
    int at_ms;
    char want, verdict, state;
    unsigned late;
} breaks[] = {
    {0, 'y', 'f', 'c', 0},    {10, 'y', 's', 'c', 0},   {20, 'y', 'f', 'c', 0},
    {30, 'y', 'f', 'c', 0},   {40, 'y', '-', 'c', 0},   {40, 'y', '-', 'c', 0},
    {50, 'y', 'f', 'o', 0}, /* three in a row, after one that went well */
    {60, ' ', 'F', 'o', 2}, /* two that were under way: they change nothing */
    {60, ' ', 'S', 'o', 4},   {1049, 'n', '-', 'o', 0}, {1050, 'y', '-', 'h', 0}, /* probe */
    {1050, 'n', '-', 'h', 0}, {1055, ' ', 'S', 'h', 7}, {1060, ' ', 'F', 'o', 3},
    {2059, 'n', '-', 'o', 0}, {2060, 'y', 'x', 'h', 0}, {2060, 'y', '-', 'h', 0},
    {2061, 'n', '-', 'h', 0}, {2070, ' ', 'S', 'c', 2}, {2071, 'y', 'f', 'c', 0},
    {2072, 'y', 'f', 'c', 0}, {2073, 'y', 'f', 'o', 0}, {9999, 'y', 's', 'c', 0},
};

static void
breaker(void **state)
{
    (void)state;
    static const char names[] = "coh";
    uint64_t passes[COUNT(breaks)] = {0};
    struct breaker b;
    breaker_init(&b, 3, 1000, 0);
    for (size_t i = 0; i < COUNT(breaks); i++) {
        const int64_t at = breaks[i].at_ms;
        const char verdict = breaks[i].verdict;
        const char before = names[b.state];
        uint64_t pass = passes[i - breaks[i].late];
        if (breaks[i].want != ' ') {
            pass = passes[i] = breaker_allow(&b, at);
            assert_int_equal(pass != 0, breaks[i].want == 'y');
        }
        const char between = names[b.state];
        if (verdict == 'x')
            breaker_forget(&b, pass);
        else if (verdict != '-')
            assert_int_equal(breaker_report(&b, pass, verdict == 's' || verdict == 'S', at),
                             breaks[i].state != between);
        if (names[b.state] != breaks[i].state)
            print_error("row %zu: %c instead of %c\n", i, names[b.state], breaks[i].state);
        assert_int_equal(names[b.state], breaks[i].state);
        if (before != breaks[i].state)
            assert_int_equal(b.since_ms, at);
    }
    assert_int_equal(b.openings, 2); /* a probe that fails opens nothing that was closed */
    assert_int_equal(b.refused, 4);
    assert_string_equal(breaker_state_name(b.state), "closed");
    for (int i = 0; i < 3; i++)
        breaker_report(&b, breaker_allow(&b, 10000), false, 10000);
    assert_int_equal(breaker_open_ms(&b, 10400), 600);
    assert_int_equal(breaker_open_ms(&b, 11000), 0);
    breaker_init(&b, 1, INT64_MAX, 5); /* for ever */
    breaker_report(&b, breaker_allow(&b, 6), false, 6);
    assert_int_equal(breaker_allow(&b, INT64_MAX - 1), 0);
}

/* Apostrophes stand for quotation marks. */
static json_t *
json_of(const char *text)
{
    json_t *j = NULL;
    AUTO(freep) char *copy = xstrdup(text);
    for (char *p = copy; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    assert_ok(json_parse(copy, strlen(copy), &j));
    return j;
}

/* Without chance, and with one that is known: the delay after the first, second, ... try. */
static void
strategies(void **state)
{
    (void)state;
    static const struct {
        const char *def;
        enum err_kind kind;
        int64_t retry_after;
        double chance;
        int64_t want[5];
    } row[] = {
        {"{}", ERR_TRANSIENT, -1, 0.5, {750, 1500, 3000, 6000, 12000}},
        {"{'jitter': false}", ERR_TRANSIENT, -1, 0.5, {1000, 2000, 4000, 8000, 16000}},
        {"{'jitter': false, 'strategy': 'exponential'}",
         ERR_TIMEOUT,
         -1,
         0,
         {1000, 2000, 4000, 8000, 16000}},
        {"{'jitter': false, 'strategy': 'adaptive'}",
         ERR_TRANSIENT,
         -1,
         0,
         {1000, 1000, 1000, 1000, 1000}},
        {"{'jitter': false, 'strategy': 'adaptive'}",
         ERR_TIMEOUT,
         -1,
         0,
         {1000, 1000, 1000, 1000, 1000}},
        {"{'jitter': false, 'strategy': 'adaptive'}",
         ERR_LIMIT,
         -1,
         0,
         {1000, 2000, 4000, 8000, 16000}},
        {"{'strategy': 'adaptive'}", ERR_LIMIT, 5000, 0.25, {5000, 5000, 5000, 5000, 10000}},
        {"{'strategy': 'adaptive'}", ERR_TRANSIENT, -1, 0.25, {625, 625, 625, 625, 625}},
        {"{'jitter': false, 'initial_delay': 500, 'exponential_base': 3, 'max_delay': 9000}",
         ERR_LIMIT,
         0,
         0,
         {500, 1500, 4500, 9000, 9000}},
        {"{'jitter': false, 'min_delay': 2000, 'max_delay': 10000}",
         ERR_TRANSIENT,
         -1,
         0,
         {2000, 2000, 4000, 8000, 10000}},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct retry r = RETRY_DEFAULT;
        AUTO(json_freep) json_t *def = json_of(row[i].def);
        struct err *e = err_set_retry_after(FAIL(row[i].kind, "x"), row[i].retry_after);
        retry_from_json(&r, def);
        for (unsigned n = 0; n < 5; n++) {
            int64_t got = retry_delay_ms(&r, e, n + 1, row[i].chance);
            if (got != row[i].want[n])
                print_error("row %zu, try %u\n", i, n + 1);
            assert_int_equal(got, row[i].want[n]);
        }
        err_free(e);
    }
}

TESTS(guard_test, cmocka_unit_test(delays), cmocka_unit_test(attempts), cmocka_unit_test(breaker),
      cmocka_unit_test(strategies))
