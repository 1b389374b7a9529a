/* modellimit_test.c - estimates by length. */
#include "agents/modellimit.h"
#include "base/test.h"

static void
estimates(void **state)
{
    (void)state;
    static const struct {
        const char *params, *system, *tools;
        int64_t more, most_more; /* beside the messages */
    } row[] = {
        {NULL, NULL, NULL, 512, 0},
        {"{\"max_tokens\":100}", NULL, NULL, 100, 100},
        {"{\"max_tokens\":9000}", NULL, NULL, 512, 9000},
        {"{\"max_tokens\":100}", "four and four and so", NULL, 105, 105},
        {NULL, NULL, "[{\"name\":\"abcdefghi\"}]", 512 + 5, 0},
    };
    json_t *messages = json_pack("[{ss s[{ssss}]}]", "role", "user", "content", "type", "text",
                                 "text", "How are you today?");
    const int64_t input = message_tokens(messages);
    assert_true(input >= 4 && input < 30);
    for (size_t i = 0; i < COUNT(row); i++) {
        json_t *params = row[i].params ? json_loads(row[i].params, 0, NULL) : NULL;
        json_t *tools = row[i].tools ? json_loads(row[i].tools, 0, NULL) : NULL;
        struct llm_profile p = {.params = params, .system_prompt = row[i].system};
        struct llm_request req = {.messages = messages, .tools = tools};
        int64_t most = -1;
        assert_int_equal(tokens_estimate(&p, &req, &most), input + row[i].more);
        assert_int_equal(most, params ? input + row[i].most_more : 0);
        json_decref(params);
        json_decref(tools);
    }
    json_decref(messages);
}

static void
told(void **state)
{
    (void)state;
    struct step_limits to = {0};
    limits_take(&to, &(struct llm_limits){{1, 2, 3}, {4, 5, 6}, true});
    assert_true(to.requests.limit == 1 && to.requests.remaining == 2 && to.requests.reset_ms == 3);
    assert_true(to.tokens.limit == 4 && to.tokens.remaining == 5 && to.tokens.reset_ms == 6);
    assert_true(to.refused);
}

TESTS(modellimit_test, cmocka_unit_test(estimates), cmocka_unit_test(told))
