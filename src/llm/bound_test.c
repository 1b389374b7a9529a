/* bound_test.c - the most that a call can cost: never less than what it sends and may get back. */
#include "base/test.h"
#include "llm/llm.h"

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

#define ASK      "[{'role':'user','content':[{'type':'text','text':'abc'}]}]" /* 58 bytes */
#define PRICED   "'price':{'input':1,'output':2}"
#define PROFILE  "'provider':'openai','model':'m'"
#define MEDIA(m) "[{'role':'user','content':[" m "]}]"

static const struct {
    const char *profile, *messages, *tools;
    int64_t input, output;
    double usd; /* -1: not known */
    const char *refused;
} row[] = {
    {"{" PROFILE ",'max_tokens':10," PRICED "}", ASK, NULL, 58, 10, 78e-6, NULL},
    {"{" PROFILE ",'max_tokens':10}", ASK, NULL, 58, 10, -1, NULL},
    {"{" PROFILE ",'max_tokens':10,'price':{'input':1}}", ASK, NULL, 58, 10, -1, NULL},
    {"{" PROFILE ",'max_tokens':10,'price':{'input':1,'output':0,'cache_write':3}}", ASK, NULL, 58,
     10, 174e-6, NULL},
    {"{" PROFILE ",'max_tokens':10,'system_prompt':'1234','extra':{'a':1}}", ASK, NULL, 69, 10, -1,
     NULL},
    {"{" PROFILE ",'max_tokens':10}", ASK, "[{'name':'t'}]", 1072, 10, -1, NULL},
    {"{" PROFILE ",'max_tokens':10}", MEDIA("{'type':'image','mime':'image/png','data':'AAAA'}"),
     NULL, 50079, 10, -1, NULL},
    {"{" PROFILE ",'max_tokens':10}",
     "[{'role':'tool','content':[{'type':'tool_result','id':'1','name':'t','content':"
     "[{'type':'file','mime':'application/pdf','data':'AAAA'}]}]}]",
     NULL, 500139, 10, -1, NULL},
    {"{" PROFILE ",'max_tokens':10}", MEDIA("{'type':'image','url':'http://x/y.png'}"), NULL, 0, 0,
     0, "what the image behind a URL costs is not known before; send its bytes"},
    {"{" PROFILE "}", ASK, NULL, 0, 0, 0, "profile 'p' has no max_tokens, which a budget needs"},
    {"{" PROFILE ",'max_tokens':10,'extra':{'n':2}}", ASK, NULL, 0, 0, 0,
     "profile 'p': `extra.n` may make replies longer than max_tokens, which a budget needs"},
};

static void
bounds(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(json_freep) json_t *def = json_of(row[i].profile);
        AUTO(json_freep) json_t *messages = json_of(row[i].messages);
        AUTO(json_freep) json_t *tools = row[i].tools ? json_of(row[i].tools) : NULL;
        const struct llm_request req = {.messages = messages, .tools = tools};
        struct llm_profile p;
        struct llm_usage most = {0};
        assert_ok(llm_profile_read("p", def, &p));
        struct err *e = llm_bound(&p, &req, &most);
        if (row[i].refused) {
            assert_err(e, ERR_INVALID, row[i].refused);
            continue;
        }
        assert_ok(e);
        if (most.input_tokens != row[i].input)
            print_error("row %zu: %lld\n", i, (long long)most.input_tokens);
        assert_int_equal(most.input_tokens, row[i].input);
        assert_int_equal(most.output_tokens, row[i].output);
        assert_int_equal(most.cost_known, row[i].usd >= 0);
        if (most.cost_known)
            assert_true(most.cost_usd > row[i].usd - 1e-12 && most.cost_usd < row[i].usd + 1e-12);
    }
}

TESTS(bound_test, cmocka_unit_test(bounds))
