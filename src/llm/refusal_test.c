/* refusal_test.c - statuses, codes, words and headers to kinds and delays. */
#include "llm/refusal.h"
#include "llm/testllm.h"

#define HI "{'messages':[{'role':'user','content':[{'type':'text','text':'Hi'}]}]}"
#define PROFILE(provider)                                                                          \
    .profile = "{'provider':'" provider "','model':'m','api_key':'sk-secret-1'}", .request = HI
#define O              PROFILE("openai")
#define A              PROFILE("anthropic")
#define G              PROFILE("gemini")
#define H(name, value) .header = {{name, value}}
#define ERR(message, type, code)                                                                   \
    .body = "{'error':{'message':'" message "','type':" type ",'param':null,'code':" code "}}"

static const struct fixture row[] = {
    {.name = "429 with seconds",
     O,
     .status = 429,
     H("Retry-After", "7"),
     ERR("Rate limit reached", "'requests'", "'rate_limit_exceeded'"),
     .want = "limit: openai limits requests to model 'm' (429, rate_limit_exceeded): 'Rate limit "
             "reached' retry=7000"},
    {.name = "429 with milliseconds",
     O,
     .status = 429,
     .header = {{"retry-after-ms", "1500"}, {"Retry-After", "2"}},
     ERR("x", "null", "null"),
     .want = "limit: openai limits requests to model 'm' (429): 'x' retry=1500"},
    {.name = "429, the used-up window counts",
     O,
     .status = 429,
     .header = {{"x-ratelimit-reset-tokens", "6m0s"},
                {"x-ratelimit-reset-requests", "1s"},
                {"x-ratelimit-remaining-tokens", "0"}},
     .body = "{}",
     .want = "limit: openai limits requests to model 'm' (429) retry=360000"},
    {.name = "429, no window says so",
     O,
     .status = 429,
     .header = {{"x-ratelimit-reset-tokens", "6m0s"}, {"x-ratelimit-reset-requests", "250ms"}},
     .body = "{}",
     .want = "limit: openai limits requests to model 'm' (429) retry=250"},
    {.name = "429, only words",
     O,
     .status = 429,
     ERR("Limit 3, Used 3. Please try again in 1m2.5s. Visit us.", "null", "null"),
     .want = "limit: openai limits requests to model 'm' (429): 'Limit 3, Used 3. Please try again "
             "in 1m2.5s. Visit us.' retry=62500"},
    {.name = "429 that says nothing",
     O,
     .status = 429,
     .body = "",
     .want = "limit: openai limits requests to model 'm' (429)"},
    {.name = "no credit is not a limit",
     O,
     .status = 429,
     ERR("You exceeded your current quota", "'insufficient_quota'", "'insufficient_quota'"),
     .want = "denied: openai denies access (429, insufficient_quota): 'You exceeded your current "
             "quota': check the key and its credit "
             "(api_key of profile 'fast', usually OPENAI_API_KEY)"},
    {.name = "a bad key, quoted back to us",
     O,
     .status = 401,
     ERR("Incorrect API key provided: sk-secret-1. See", "'invalid_request_error'",
         "'invalid_api_key'"),
     .want = "denied: openai denies access (401, invalid_api_key): 'Incorrect API key provided: "
             "[key]. See': check the key and its credit "
             "(api_key of profile 'fast', usually OPENAI_API_KEY)"},
    {.name = "no key",
     .profile = "{'provider':'openai','model':'m'}",
     .request = HI,
     .status = 401,
     .body = "{}",
     .want = "denied: openai wants a key (401): set OPENAI_API_KEY, or api_key of profile 'fast'"},
    {.name = "too long, by code",
     O,
     .status = 400,
     ERR("maximum is 8192", "'invalid_request_error'", "'context_length_exceeded'"),
     .want = "too_long: the conversation is too long for model 'm' (400, context_length_exceeded): "
             "'maximum is 8192'"},
    {.name = "too long, by words",
     O,
     .status = 400,
     ERR("The maximum context length is 4096 tokens.", "null", "400"),
     .want = "too_long: the conversation is too long for model 'm' (400): 'The maximum "
             "context length is 4096 tokens.'"},
    {.name = "400",
     O,
     .status = 400,
     ERR("Invalid value:\\n  x", "'invalid_request_error'", "null"),
     .want = "invalid: openai refuses the request to model 'm' (400, invalid_request_error): "
             "'Invalid value: x'"},
    {.name = "404",
     O,
     .status = 404,
     ERR("The model `m` does not exist", "'invalid_request_error'", "'model_not_found'"),
     .want = "missing: openai refuses the request to model 'm' (404, model_not_found): 'The model "
             "`m` does not exist'"},
    {.name = "422 with a detail",
     O,
     .status = 422,
     .body = "{'detail':'field required'}",
     .want = "invalid: openai refuses the request to model 'm' (422): 'field required'"},
    {.name = "402",
     O,
     .status = 402,
     .body = "{'error':{'message':'Insufficient Balance'}}",
     .want = "denied: openai denies access (402): 'Insufficient Balance': check the key and its "
             "credit (api_key of profile 'fast', usually OPENAI_API_KEY)"},
    {.name = "500 with a page",
     O,
     .status = 502,
     .type = "text/html",
     .body = "<html>\n<b>Bad   gateway</b></html>",
     .want = "transient: openai is in trouble (502): '<html> <b>Bad gateway</b></html>'"},
    {.name = "503 with Retry-After",
     O,
     .status = 503,
     H("Retry-After", "3"),
     .body = "{}",
     .want = "transient: openai is in trouble (503) retry=3000"},
    {.name = "408",
     O,
     .status = 408,
     .body = "{}",
     .want = "transient: openai is in trouble (408)"},
    {.name = "501",
     O,
     .status = 501,
     .body = "{}",
     .want = "invalid: openai refuses the request to model 'm' (501)"},
    {.name = "a redirect",
     O,
     .status = 307,
     H("Location", "https://x"),
     .body = "",
     .want = "invalid: openai answers with a redirect (307): correct base_url of profile 'fast'"},
    {.name = "anthropic overloaded",
     A,
     .status = 529,
     .body = "{'type':'error','error':{'type':'overloaded_error','message':'Overloaded'},'request_"
             "id':'r'}",
     .want = "transient: anthropic is in trouble (529, overloaded_error): 'Overloaded'"},
    {.name = "anthropic limit by a moment",
     A,
     .status = 429,
     .header = {{"anthropic-ratelimit-input-tokens-remaining", "0"},
                {"anthropic-ratelimit-input-tokens-reset", "2026-01-01T00:00:30Z"},
                {"anthropic-ratelimit-requests-reset", "2026-01-01T00:01:00Z"}},
     .body = "{'type':'error','error':{'type':'rate_limit_error','message':'x'}}",
     .want =
         "limit: anthropic limits requests to model 'm' (429, rate_limit_error): 'x' retry=30000"},
    {.name = "anthropic too long",
     A,
     .status = 400,
     .body = "{'type':'error','error':{'type':'invalid_request_error','message':'prompt is too "
             "long: 200001 tokens'}}",
     .want = "too_long: the conversation is too long for model 'm' (400, invalid_request_error): "
             "'prompt is too long: 200001 tokens'"},
    {.name = "anthropic too large",
     A,
     .status = 413,
     .body = "{'type':'error','error':{'type':'request_too_large','message':'Request exceeds'}}",
     .want = "too_long: the conversation is too long for model 'm' (413, request_too_large): "
             "'Request exceeds'"},
    {.name = "anthropic credit",
     A,
     .status = 400,
     .body = "{'type':'error','error':{'type':'invalid_request_error','message':'Your credit "
             "balance is too low to access the API.'}}",
     .want = "denied: anthropic denies access (400, invalid_request_error): 'Your credit balance "
             "is too low to access the API.': check the key and its "
             "credit (api_key of profile 'fast', usually ANTHROPIC_API_KEY)"},
    {.name = "gemini limit",
     G,
     .status = 429,
     .body = "{'error':{'code':429,'message':'Quota','status':'RESOURCE_EXHAUSTED','details':[{'@"
             "type':'type.googleapis.com/google.rpc.QuotaFailure'},"
             "{'@type':'type.googleapis.com/google.rpc.RetryInfo','retryDelay':'34.4s'}]}}",
     .want = "limit: gemini limits requests to model 'm' (429, RESOURCE_EXHAUSTED): 'Quota' "
             "retry=34400"},
    {.name = "gemini key",
     G,
     .status = 400,
     .body = "{'error':{'code':400,'message':'API key is "
             "bad','status':'INVALID_ARGUMENT','details':[{'reason':'API_KEY_INVALID'}]}}",
     .want = "denied: gemini denies access (400, INVALID_ARGUMENT): 'API key is bad': check the "
             "key and its credit (api_key of profile 'fast', usually GEMINI_API_KEY)"},
    {.name = "gemini too long",
     G,
     .status = 400,
     .body = "{'error':{'code':400,'message':'The input token count (1200000) exceeds the maximum "
             "number of tokens allowed (1048575).','status':'INVALID_ARGUMENT'}}",
     .want = "too_long: the conversation is too long for model 'm' (400, INVALID_ARGUMENT): 'The "
             "input token count (1200000) exceeds the maximum number of "
             "tokens allowed (1048575).'"},
    {.name = "gemini in a list",
     G,
     .status = 503,
     .body = "[{'error':{'code':503,'message':'Busy','status':'UNAVAILABLE'}}]",
     .want = "transient: gemini is in trouble (503, UNAVAILABLE): 'Busy'"},
};

static void
refusals(void **state)
{
    (void)state;
    check_fixtures(row);
}

static void
refuse(void *arg)
{
    sim_http_refuse(true);
    ask_now(arg);
    sim_http_refuse(false);
}

static void
hang(void *ctx, struct sim_http *x)
{
    (void)ctx;
    (void)x;
    err_free(fiber_park(DEADLINE_NONE));
}

static void
ask_hanging(void *arg)
{
    sim_on_http(hang, NULL);
    ask_now(arg);
}

static void
connections(void **state)
{
    (void)state;
    static const struct fixture f = {O, .body = "{}"};
    struct server s;
    server_init(&s, &f);
    struct ask a = {.server = &s, .f = &f};
    in_sim(refuse, &a);
    assert_true(str_starts(str_c(&a.outcome), "transient: calling openai: "));
    assert_int_equal(s.requests, 0);
    ask_fini(&a);
    static const struct fixture slow = {
        .profile = "{'provider':'openai','model':'m','timeout':'2s'}", .request = HI};
    struct ask b = {.f = &slow};
    in_sim(ask_hanging, &b);
    assert_true(str_starts(str_c(&b.outcome), "timeout: calling openai: "));
    ask_fini(&b);
    server_fini(&s);
}

static void
durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } d[] = {{"1s", 1000},
             {"859ms", 859},
             {"6m0s", 360000},
             {"1h2m3.5s", 3723500},
             {"0s", 0},
             {"", -1},
             {"7", -1},
             {"1x", -1},
             {"s", -1},
             {"-1s", -1},
             {"99999999h", INT64_C(604800000)},
             {"1s ", -1},
             {"1.0001s", 1001}};
    for (size_t i = 0; i < COUNT(d); i++)
        assert_int_equal(refusal_duration(d[i].text), d[i].ms);
}

static void
quotes(void **state)
{
    (void)state;
    AUTO(str_fini) struct str s = STR_INIT;
    refusal_quote(&s, "\n a\tb\x01\xff sk-123456 sk-12", 20, 100, "sk-123456");
    assert_string_equal(str_c(&s), "a b \xef\xbf\xbd [key] sk");
    str_reset(&s);
    AUTO(freep) char *long_text = xmalloc(5000);
    memset(long_text, 'x', 5000);
    refusal_quote(&s, long_text, 5000, 600, NULL);
    assert_int_equal(s.len, 600 + 3);
    str_reset(&s);
    refusal_quote(&s, "ab sk-123456", 12, 6, "sk-123456"); /* no part of a key at the cut */
    assert_string_equal(str_c(&s), "ab [key]...");
    str_reset(&s);
    refusal_quote(&s, "a b", 3, 100, "b"); /* too short to be a key */
    assert_string_equal(str_c(&s), "a b");
}

TESTS(refusal_test, cmocka_unit_test(refusals), cmocka_unit_test(connections),
      cmocka_unit_test(durations), cmocka_unit_test(quotes))
