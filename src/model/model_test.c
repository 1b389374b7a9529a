/* model_test.c - names there and back, sums of usage, replies from foreign bytes. */
#include "base/test.h"
#include "model/host.h"
#include "model/kind.h"
#include "model/status.h"

static void
names(void **state)
{
    (void)state;
    for (int i = 0; i < EFFECTS; i++) {
        enum effect e;
        assert_true(effect_parse(effect_name((enum effect)i), &e));
        assert_int_equal(e, i);
    }
    for (int i = NODE_PENDING; i <= NODE_CANCELLED; i++) {
        enum node_status s;
        assert_true(node_status_parse(node_status_name((enum node_status)i), &s));
        assert_int_equal(s, i);
    }
    for (int i = RUN_RUNNING; i <= RUN_COMPENSATED; i++) {
        enum run_status s;
        const char *name = run_status_name((enum run_status)i);
        if (i > RUN_QUARANTINED && i < RUN_ENDED) {
            assert_string_equal(name, "unknown");
            continue;
        }
        assert_true(run_status_parse(name, &s));
        assert_int_equal(s, i);
    }
}

/* What is not known changes nothing. */
static void
names_unknown(void **state)
{
    (void)state;
    enum effect e = EFFECT_ONCE;
    enum node_status n = NODE_SKIPPED;
    enum run_status r = RUN_PARTIAL;
    assert_false(effect_parse("Pure", &e));
    assert_false(node_status_parse("", &n));
    assert_false(run_status_parse("done", &r));
    assert_int_equal(e, EFFECT_ONCE);
    assert_int_equal(n, NODE_SKIPPED);
    assert_int_equal(r, RUN_PARTIAL);
    assert_string_equal(effect_name(EFFECTS), "unknown");
    assert_string_equal(node_status_name((enum node_status)99), "unknown");
}

/* A sum has a known cost when all model calls in it have one. */
static void
usage_sums(void **state)
{
    (void)state;
    static const struct usage none, tool = {.tool_calls = 1},
                                    priced = {.input_tokens = 10,
                                              .output_tokens = 5,
                                              .cached_tokens = 3,
                                              .model_calls = 1,
                                              .cost_usd = 0.25,
                                              .cost_known = true},
                                    unpriced = {.input_tokens = 7, .model_calls = 1};
    static const struct {
        const struct usage *parts[3];
        const char *want;
    } row[] = {
        {{&none}, "0 0 0 0 0 0"},
        {{&tool, &tool}, "0 0 0 0 2 0"},
        {{&priced, &tool, &priced}, "20 10 6 2 1 0.5"},
        {{&priced, &unpriced}, "17 5 3 2 0 null"},
        {{&unpriced, &tool, &priced}, "17 5 3 2 1 null"},
        {{&none, &unpriced}, "7 0 0 1 0 null"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct usage sum = {0}, back;
        for (size_t k = 0; k < 3 && row[i].parts[k]; k++)
            usage_add(&sum, row[i].parts[k]);
        AUTO(json_freep) json_t *j = usage_to_json(&sum);
        AUTO(freep) char *cost = json_text(json_object_get(j, "cost_usd"));
        AUTO(freep)
        char *got =
            xasprintf("%d %d %d %d %d %s", (int)json_int(j, "input_tokens", -1),
                      (int)json_int(j, "output_tokens", -1), (int)json_int(j, "cached_tokens", -1),
                      (int)json_int(j, "model_calls", -1), (int)json_int(j, "tool_calls", -1),
                      strcmp(cost, "0.0") == 0 ? "0" : cost);
        assert_string_equal(got, row[i].want);
        usage_from_json(j, &back);
        assert_int_equal(back.input_tokens, sum.input_tokens);
        assert_int_equal(back.model_calls, sum.model_calls);
        assert_int_equal(back.cost_known, !json_is_null(json_object_get(j, "cost_usd")));
    }
    struct usage much = {.input_tokens = INT64_MAX - 1, .cost_usd = 1e308, .cost_known = true};
    usage_add(&much, &priced); /* a record may say anything: the sum stays a number */
    usage_add(&much, &much);
    AUTO(json_freep) json_t *most = usage_to_json(&much);
    assert_true(json_int(most, "input_tokens", 0) == INT64_MAX);
    assert_true(json_is_real(json_object_get(most, "cost_usd")));
    struct usage absent;
    usage_from_json(NULL, &absent);
    assert_int_equal(absent.model_calls + absent.tool_calls + absent.input_tokens, 0);
}

static void
replies(void **state)
{
    (void)state;
    struct reply r = {0};
    reply_set_text(&r, "caf\xc3\xa9\xff!", 7);
    assert_string_equal(reply_text(&r), "caf\xc3\xa9\xef\xbf\xbd!");
    assert_string_equal(json_string_value(r.output), reply_text(&r));
    reply_set_json(&r, json_pack("{si}", "a", 1)); /* replaces both */
    assert_string_equal(reply_text(&r), "{\"a\":1}");
    reply_set_json(&r, json_string("plain"));
    assert_string_equal(reply_text(&r), "plain");
    reply_set_text(&r, "", 0);
    assert_string_equal(reply_text(&r), "");
    assert_true(json_is_string(r.output));
    reply_fini(&r);
    assert_null(r.output);
    assert_string_equal(reply_text(&r), "");
    reply_fini(&r);
}

TESTS(model_test, cmocka_unit_test(names), cmocka_unit_test(names_unknown),
      cmocka_unit_test(usage_sums), cmocka_unit_test(replies))
