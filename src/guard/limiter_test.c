/* limiter_test.c - admissions to the millisecond: windows, calls at once, what providers say, and
 * windows that outlive the process. */
#include "base/test.h"
#include "guard/limiter.h"

struct step { /* at `now`: look for `tokens`, and take it when it is ready at once */
    int64_t now, tokens, want;
    enum limit_reason reason;
};

static void
play(struct limiter *l, const struct step *step, size_t n)
{
    struct limit_grant g;
    enum limit_reason reason;
    for (size_t i = 0; i < n; i++) {
        int64_t ready = limiter_ready_ms(l, step[i].now, step[i].tokens, &reason);
        if (ready != step[i].want || reason != step[i].reason)
            fail_msg("step %zu: %lld, %s", i, (long long)ready, limit_reason_text(reason));
        if (ready == step[i].now)
            limiter_take(l, step[i].now, step[i].tokens, &g);
    }
}

static void
start(struct limiter *l, const struct limit_set *set)
{
    limiter_init(l);
    limiter_set(l, set);
}

static void
windows(void **state)
{
    (void)state;
    struct limiter l;
    start(&l, &(struct limit_set){.rpm = 2, .rpd = 3, .tpm = 100});
    static const struct step step[] = {
        {0, 60, 0, LIMIT_NONE},
        {10, 50, 60000, LIMIT_TPM},
        {10, 40, 10, LIMIT_NONE},
        {20, 1, 60000, LIMIT_RPM},
        {59999, 1, 60000, LIMIT_RPM},
        {60000, 60, 60000, LIMIT_NONE},
        {60001, 1, 86400000, LIMIT_RPD},
        {86400000, 500, 86400000, LIMIT_NONE}, /* more than a whole window: alone in it */
        {86400010, 1, 86460000, LIMIT_TPM},
    };
    play(&l, step, COUNT(step));
    assert_int_equal(limiter_used(&l, 0, 86400010), 1);
    assert_int_equal(limiter_used(&l, 1, 86400010), 2);
    limiter_fini(&l);
}

static void
at_once(void **state)
{
    (void)state;
    struct limiter l;
    struct limit_grant a, b;
    enum limit_reason why;
    start(&l, &(struct limit_set){.max_concurrency = 2});
    limiter_take(&l, 0, 0, &a);
    limiter_take(&l, 0, 0, &b);
    assert_int_equal(limiter_ready_ms(&l, 5, 0, &why), INT64_MAX);
    assert_int_equal(why, LIMIT_CONCURRENCY);
    limiter_settle(&l, 7, &a, -1);
    assert_int_equal(limiter_ready_ms(&l, 7, 0, &why), 7);
    limiter_cancel(&l, &b);
    assert_int_equal(l.in_flight, 0);
    limiter_fini(&l);
}

/* An estimate that was too high is given back where it was taken; one that was too low is missing
 * from the end of the call on. A call that was never sent leaves nothing. */
static void
corrections(void **state)
{
    (void)state;
    struct limiter l;
    struct limit_grant a, b, c;
    enum limit_reason why;
    start(&l, &(struct limit_set){.tpm = 1000, .tpd = 5000, .rpm = 3});
    limiter_take(&l, 0, 600, &a);
    assert_int_equal(limiter_ready_ms(&l, 100, 500, &why), 60000);
    limiter_settle(&l, 200, &a, 500);
    assert_int_equal(limiter_ready_ms(&l, 200, 500, &why), 200);
    limiter_take(&l, 200, 100, &b);
    limiter_settle(&l, 30000, &b, 700); /* 600 more than said: 1,200 in this minute */
    assert_int_equal(limiter_used(&l, 2, 30000), 1200);
    assert_int_equal(limiter_ready_ms(&l, 30000, 400, &why), 60200); /* the next has as much less */
    assert_int_equal(why, LIMIT_TPM);
    assert_int_equal(limiter_ready_ms(&l, 60200, 401, &why), 90000);
    limiter_take(&l, 60200, 400, &c);
    limiter_cancel(&l, &c);
    assert_int_equal(limiter_used(&l, 2, 60300), 600);
    assert_int_equal(limiter_used(&l, 3, 60300), 1200);
    assert_int_equal(limiter_used(&l, 0, 60300), 0);
    limiter_fini(&l);
}

/* Estimates that are wrong again and again are put right; good ones are left alone, to the token.
 */
static void
estimates(void **state)
{
    (void)state;
    struct limiter l;
    start(&l, &(struct limit_set){.tpm = 1000});
    for (int64_t n = 1; n < 1000; n++) {
        assert_int_equal(limiter_reserve(&l, n), n);
        limiter_compare(&l, n, n);
        limiter_compare(&l, n, -1);
        limiter_compare(&l, 0, n);
    }
    assert_int_equal(limiter_reserve(&l, 0), 0);
    limiter_compare(&l, 100, 200);
    assert_int_equal(limiter_reserve(&l, 100), 110);
    for (int i = 0; i < 100; i++)
        limiter_compare(&l, 100, 800);
    assert_int_equal(limiter_reserve(&l, 100), 800);
    for (int i = 0; i < 200; i++)
        limiter_compare(&l, 100, 0);
    assert_int_equal(limiter_reserve(&l, 100), 2);
    assert_int_equal(limiter_reserve(&l, 1), 1);
    limiter_fini(&l);
}

static struct limit_said
said(int64_t limit, int64_t remaining, int64_t reset_ms)
{
    return (struct limit_said){limit, remaining, reset_ms};
}

static void
headers(void **state)
{
    (void)state;
    struct limiter l;
    struct limit_grant g, h;
    enum limit_reason why;
    start(&l, &(struct limit_set){0});
    limiter_take(&l, 0, 10, &g);
    limiter_settle(&l, 100, &g, -1);
    struct limit_said s[2] = {said(60, 2, 30000), LIMIT_SAID_NOTHING};
    assert_true(limiter_hear(&l, 100, &g, s)); /* a window of its own: all comes back at its end */
    static const struct step window[] = {{100, 1, 100, LIMIT_NONE},
                                         {150, 1, 150, LIMIT_NONE},
                                         {160, 1, 30100, LIMIT_SAID_REQUESTS},
                                         {30100, 1, 30100, LIMIT_NONE}};
    play(&l, window, COUNT(window));
    /* A bucket: 30 of 60 are used, and it says that it takes half a minute to be full. */
    limiter_take(&l, 40000, 0, &g);
    s[0] = said(60, 30, 30000);
    assert_false(limiter_hear(&l, 40000, &g, s));
    for (int i = 0; i < 30; i++) {
        assert_int_equal(limiter_ready_ms(&l, 40000, 0, &why), 40000);
        limiter_take(&l, 40000, 0, &h);
    }
    assert_int_equal(limiter_ready_ms(&l, 40000, 0, &why), 41001); /* one a second */
    assert_int_equal(limiter_ready_ms(&l, 41001, 0, &why), 41001);
    /* The word of an older call says nothing new; of the newest, less what came after it. */
    struct limit_grant old = g;
    limiter_take(&l, 80000, 0, &g);
    limiter_take(&l, 80000, 500, &h);
    s[0] = LIMIT_SAID_NOTHING;
    s[1] = said(10000, 600, 30000);
    assert_true(limiter_hear(&l, 80001, &g, s));
    assert_int_equal(limiter_ready_ms(&l, 80001, 100, &why), 80001);
    assert_int_equal(limiter_ready_ms(&l, 80001, 101, &why), 110001);
    assert_int_equal(why, LIMIT_SAID_TOKENS);
    s[1] = said(10000, 9999, 1);
    assert_false(limiter_hear(&l, 80002, &old, s));
    assert_int_equal(limiter_ready_ms(&l, 80002, 101, &why), 110001);
    /* It only ever holds back: what the user set stays. */
    limiter_set(&l, &(struct limit_set){.rpm = 1});
    limiter_take(&l, 200000, 0, &g);
    s[0] = said(1000000, 999999, 1);
    limiter_hear(&l, 200001, &g, s);
    assert_int_equal(limiter_ready_ms(&l, 200001, 0, &why), 260000);
    assert_int_equal(why, LIMIT_RPM);
    limiter_fini(&l);
}

/* 429: it pauses, as long as it is told or twice as long each time, then goes on with half as many
 * at once and one more for each that is answered. */
static void
refusals(void **state)
{
    (void)state;
    struct limiter l;
    struct limit_grant g[8];
    enum limit_reason why;
    start(&l, &(struct limit_set){0});
    for (size_t i = 0; i < COUNT(g); i++)
        limiter_take(&l, 0, 0, &g[i]);
    limiter_settle(&l, 100, &g[0], -1);
    limiter_refused(&l, 100, 20000);
    assert_int_equal(limiter_ready_ms(&l, 100, 0, &why), 20100);
    assert_int_equal(why, LIMIT_REFUSED);
    limiter_settle(&l, 110, &g[1], -1);
    limiter_refused(&l, 110, -1); /* of the same moment */
    assert_int_equal(limiter_ready_ms(&l, 110, 0, &why), 20100);
    limiter_settle(&l, 120, &g[2], -1);
    limiter_refused(&l, 120, 30000);
    assert_int_equal(limiter_ready_ms(&l, 120, 0, &why), 30120);
    assert_int_equal(l.refused, 3);
    assert_int_equal(limiter_ready_ms(&l, 30120, 0, &why), INT64_MAX); /* 5 of 8 still out: 4 */
    assert_int_equal(why, LIMIT_REFUSED);
    for (size_t i = 3; i < COUNT(g); i++)
        limiter_settle(&l, 30200, &g[i], -1);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(limiter_ready_ms(&l, 30200, 0, &why), 30200);
        limiter_take(&l, 30200, 0, &g[i]);
    }
    assert_int_equal(limiter_ready_ms(&l, 30200, 0, &why), INT64_MAX);
    limiter_settle(&l, 30300, &g[0], -1);
    limiter_well(&l);
    limiter_take(&l, 30300, 0, &g[0]);
    assert_int_equal(limiter_ready_ms(&l, 30300, 0, &why), 30300);
    for (int i = 0; i < 12; i++)
        limiter_well(&l);
    assert_int_equal(l.cap, 0); /* over */
    static const int64_t guess[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    int64_t now = 100000;
    for (size_t i = 0; i < COUNT(guess); i++) {
        limiter_refused(&l, now, -1);
        assert_int_equal(limiter_ready_ms(&l, now, 0, &why), now + guess[i]);
        now += guess[i];
    }
    limiter_well(&l);
    limiter_refused(&l, now, -1);
    assert_int_equal(limiter_ready_ms(&l, now, 0, &why), now + 1000);
    limiter_fini(&l);
}

/* The process dies after some of a block: the next counts the whole of it, and what was before. */
static void
restarts(void **state)
{
    (void)state;
    struct limiter l, again;
    struct limit_grant g;
    enum limit_reason why;
    const struct limit_set set = {.rpm = 60, .tpm = 9000};
    int64_t block[2];
    start(&l, &set);
    l.kept = true;
    limiter_block_size(&l, 100, block);
    assert_int_equal(block[0], 3);
    assert_int_equal(block[1], 450);
    assert_int_equal(limiter_ready_ms(&l, 1000, 100, &why), INT64_MAX);
    assert_int_equal(why, LIMIT_BLOCK);
    assert_true(limiter_wants_block(&l));
    l.block[0] = l.block[1] = 5000;
    for (int i = 0; i < 10; i++)
        limiter_take(&l, 1000 + i * 1000, 100, &g);
    assert_true(!limiter_wants_block(&l));
    l.block[1] = 99;
    assert_int_equal(limiter_ready_ms(&l, 20000, 100, &why), INT64_MAX);
    assert_true(limiter_wants_block(&l));
    json_t *saved = limiter_save(&l, 20000, 5000000, block);
    AUTO(freep) char *text = json_text(saved);
    assert_string_equal(
        text, "{\"v\":1,\"block\":[3,450],"
              "\"rpm\":[[4981000,1],[4982000,1],[4983000,1],[4984000,1],[4985000,1],"
              "[4986000,1],[4987000,1],[4988000,1],[4989000,1],[4990000,1]],"
              "\"tpm\":[[4981000,100],[4982000,100],[4983000,100],[4984000,100],[4985000,100],"
              "[4986000,100],[4987000,100],[4988000,100],[4989000,100],[4990000,100]]}");
    start(&again, &set);
    assert_ok(limiter_load(&again, 77, 5005000, saved)); /* 5 s later, another monotonic clock */
    assert_int_equal(limiter_used(&again, 0, 77), 13);
    assert_int_equal(limiter_used(&again, 2, 77), 1450);
    assert_int_equal(limiter_used(&again, 0, 77 + 4981000 + 60000 - 5005000), 12);
    assert_int_equal(limiter_used(&again, 0, 77 + 4990000 + 60000 - 5005000), 3);
    assert_int_equal(limiter_used(&again, 0, 77 + 59999), 3);
    assert_int_equal(limiter_used(&again, 0, 77 + 60000), 0);
    limiter_fini(&again);
    start(&again, &set);
    assert_ok(limiter_load(&again, 77, 4000000, saved)); /* the clock was put back: as if now */
    assert_int_equal(limiter_used(&again, 0, 77 + 59999), 13);
    limiter_fini(&again);
    const struct limit_set other = {.rpd = 5}; /* a limit that is new: nothing is known of it */
    start(&again, &other);
    assert_ok(limiter_load(&again, 77, 5005000, saved));
    assert_int_equal(limiter_used(&again, 1, 77), 3);
    limiter_fini(&again);
    json_decref(saved);
    limiter_fini(&l);
}

/* What was used beyond the limit is missing from the next minute too, whoever counts it then. */
static void
owed(void **state)
{
    (void)state;
    struct limiter l, again;
    struct limit_grant g;
    enum limit_reason why;
    const struct limit_set set = {.tpm = 1000};
    const int64_t none[2] = {0, 0};
    start(&l, &set);
    limiter_take(&l, 0, 600, &g);
    limiter_settle(&l, 10000, &g, 1500); /* 500 too much */
    json_t *saved = limiter_save(&l, 20000, 5000000, none);
    start(&again, &set);
    assert_ok(limiter_load(&again, 20000, 5000000, saved));
    static const int64_t at[] = {59999, 60000, 69999, 70000, 129999, 130000};
    static const int64_t want[] = {1500, 900, 900, 500, 500, 0};
    for (size_t i = 0; i < COUNT(at); i++) {
        assert_int_equal(limiter_used(&l, 2, at[i]), want[i]);
        assert_int_equal(limiter_used(&again, 2, at[i]), want[i]);
    }
    limiter_fini(&again);
    /* Limits that come later in the next life find what was there. */
    const int64_t block[2] = {3, 400};
    json_decref(saved);
    saved = limiter_save(&l, 20000, 5000000, block);
    start(&again, &(struct limit_set){.rpm = 5});
    assert_ok(limiter_load(&again, 20000, 5000000, saved));
    limiter_set(&again, &set);
    assert_int_equal(limiter_ready_ms(&again, 75000, 900, &why), 80000);
    limiter_fini(&again);
    json_decref(saved);
    limiter_fini(&l);
}

/* A limit that is set while a call is under way does not count it, and takes nothing back for it.
 */
static void
set_meanwhile(void **state)
{
    (void)state;
    struct limiter l;
    struct limit_grant before, g;
    enum limit_reason why;
    start(&l, &(struct limit_set){0});
    limiter_take(&l, 7, 1000, &before);
    limiter_set(&l, &(struct limit_set){.rpm = 5, .tpm = 1000});
    limiter_take(&l, 7, 1000, &g);
    limiter_settle(&l, 8, &before, 0);
    assert_int_equal(limiter_ready_ms(&l, 9, 1000, &why), 60007);
    limiter_take(&l, 9, 0, &before);
    limiter_set(&l, &(struct limit_set){.rpm = 1, .tpm = 5});
    limiter_cancel(&l, &before);
    limiter_settle(&l, 10, &g, -1);
    assert_int_equal(limiter_used(&l, 0, 10), 1);
    limiter_fini(&l);
}

static void
blocks(void **state)
{
    (void)state;
    static const struct {
        struct limit_set set;
        int64_t tokens, requests, of_tokens;
    } row[] = {
        {{.rpm = 5}, 10, 1, INT32_MAX},
        {{.rpm = 100000}, 10, 5000, INT32_MAX},
        {{.rpm = 600, .rpd = 1000}, 10, 10, INT32_MAX},
        {{.rpd = 1000000}, 10, 10000, INT32_MAX},
        {{.tpm = 1000}, 800, INT32_MAX, 800},
        {{.tpm = 100000, .tpd = 200000}, 10, INT32_MAX, 2000},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct limiter l;
        int64_t block[2];
        start(&l, &row[i].set);
        limiter_block_size(&l, row[i].tokens, block);
        assert_int_equal(block[0], row[i].requests);
        assert_int_equal(block[1], row[i].of_tokens);
        assert_false(limiter_wants_block(&l));
        limiter_fini(&l);
    }
}

static void
nonsense(void **state)
{
    (void)state;
    static const struct {
        const char *saved, *want;
    } row[] = {
        {"[]", "it is not of a form that this version writes"},
        {"{\"v\":2,\"block\":[1,1]}", "it is not of a form that this version writes"},
        {"{\"v\":1,\"block\":[1]}", "it is not of a form that this version writes"},
        {"{\"v\":1,\"block\":[1,1],\"rpm\":[[1,2],[3]]}", "part 2 of 'rpm' is no time and amount"},
        {"{\"v\":1,\"block\":[1,1],\"tpd\":[[1,-2]]}", "part 1 of 'tpd' is no time and amount"},
        {"{\"v\":1,\"block\":[1,1],\"tpd\":[[1,9e99]]}", "part 1 of 'tpd' is no time and amount"},
        {"{\"v\":1,\"block\":[1,1],\"rpd\":[[1,9000000000000000000]]}",
         "part 1 of 'rpd' is no time and amount"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct limiter l;
        json_t *saved;
        start(&l, &(struct limit_set){.rpm = 1});
        assert_ok(json_parse(row[i].saved, strlen(row[i].saved), &saved));
        assert_err(limiter_load(&l, 0, 0, saved), ERR_INVALID, row[i].want);
        json_decref(saved);
        limiter_fini(&l);
    }
    struct limiter l; /* odd, but harmless */
    json_t *saved;
    static const char odd[] =
        "{\"v\":1,\"block\":[-5,\"x\"],\"rpm\":[[9,1],[-9223372036854775807,1],"
        "[9223372036854775807,1]],\"rpd\":7}";
    start(&l, &(struct limit_set){.rpm = 10, .rpd = 10});
    assert_ok(json_parse(odd, strlen(odd), &saved));
    assert_ok(limiter_load(&l, 1000, 50, saved));
    assert_int_equal(limiter_used(&l, 0, 1000), 3);
    json_decref(saved);
    limiter_fini(&l);
}

static void
sets(void **state)
{
    (void)state;
    json_t *def = json_pack("{sisi}", "rpm", 5, "max_concurrency", 9);
    struct limit_set s, by = {.rpm = 7, .tpm = 3, .max_concurrency = 2};
    limit_set_read(NULL, &s);
    assert_true(limit_set_is_empty(&s));
    limit_set_read(def, &s);
    limit_set_tighten(&s, &by);
    assert_true(s.rpm == 5 && s.tpm == 3 && s.max_concurrency == 2 && !s.rpd && !s.tpd);
    assert_false(limit_set_is_empty(&s));
    json_decref(def);
    assert_string_equal(limit_reason_text(LIMIT_TPD), "tpd");
}

TESTS(limiter_test, cmocka_unit_test(windows), cmocka_unit_test(at_once),
      cmocka_unit_test(corrections), cmocka_unit_test(estimates), cmocka_unit_test(headers),
      cmocka_unit_test(refusals), cmocka_unit_test(restarts), cmocka_unit_test(owed),
      cmocka_unit_test(set_meanwhile), cmocka_unit_test(blocks), cmocka_unit_test(nonsense),
      cmocka_unit_test(sets))
