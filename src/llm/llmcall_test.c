/* llmcall_test.c - profiles, prices, replies as JSON, cassettes. */
#include "llm/testllm.h"
#include <assert.h>
#include <stdio.h>
#include <unistd.h>

static void
profiles(void **state)
{
    (void)state;
    static const struct {
        const char *def, *want; /* NULL: fine */
    } row[] = {
        {"{'provider':'openai','model':'m','temperature':0,'stop':['a'],'timeout':'30s','stream':"
         "true,'price':null}",
         NULL},
        {"{'provider':'script'}", NULL},
        {"{'base_url':'http://x','model':'m'}", NULL},
        {"{'provider':'mine','base_url':'http://x','model':'m','limits':{'rpm':3}}", NULL},
        {"{'model':'m'}", "profile 'p' names no provider"},
        {"{'provider':'openai'}", "profile 'p' names no model"},
        {"{'provider':'opnai','model':'m'}", "profile 'p': unknown provider 'opnai' (did you mean "
                                             "'openai'?); a compatible server needs base_url"},
        {"{'provider':'zzzzzzzzzz','model':'m'}",
         "profile 'p': unknown provider 'zzzzzzzzzz'; a compatible server needs base_url"},
        {"{'provider':'openai','model':7}", "profile 'p': model is not a text"},
        {"{'provider':'openai','model':'m','temperature':'hot'}",
         "profile 'p': temperature is not a number"},
        {"{'provider':'openai','model':'m','stop':7}",
         "profile 'p': stop is not a text or a list of texts"},
        {"{'provider':'openai','model':'m','reasoning':{}}",
         "profile 'p': reasoning is not a text or a number of tokens"},
        {"{'provider':'openai','model':'m','headers':[]}", "profile 'p': headers is not a map"},
        {"{'provider':'openai','model':'m','extra':1}", "profile 'p': extra is not a map"},
        {"{'provider':'openai','model':'m','timeout':'soon'}",
         "profile 'p': timeout 'soon' is not a duration, such as 30s"},
        {"{'provider':'openai','model':'m','price':7}",
         "profile 'p': price is not a map with input and output"},
        {"{'provider':'openai','model':'m','price':{'input':-1}}",
         "profile 'p': price: input is not an amount of USD per million tokens"},
        {"{'provider':'openai','model':'m','price':{'in':1}}",
         "profile 'p': price: unknown key 'in' (input, cached_input, cache_write, output)"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(json_freep) json_t *def = json_of(row[i].def);
        struct llm_profile p;
        if (row[i].want)
            assert_err(llm_profile_read("p", def, &p), ERR_INVALID, row[i].want);
        else
            assert_ok(llm_profile_read("p", def, &p));
    }
    assert_string_equal(llm_key_env("anthropic"), "ANTHROPIC_API_KEY");
    assert_string_equal(llm_key_env("google"), "GEMINI_API_KEY");
    assert_null(llm_key_env("ollama"));
    assert_null(llm_key_env("mine"));
    for (size_t i = 0; llm_provider_names()[i]; i++)
        assert_true(llm_provider_known(llm_provider_names()[i]));
    assert_false(llm_provider_known("mine"));
}

static void
prices(void **state)
{
    (void)state;
    static const struct {
        const char *price;
        int64_t in, cached, written, out;
        bool counted;
        int want_usd_e6; /* millionths */
        bool known;
    } row[] = {
        {"{'input':1,'cached_input':0.5,'cache_write':2,'output':10}", 100, 40, 10, 5, true,
         50 + 20 + 20 + 50, true},
        {"{'input':1,'output':10}", 100, 0, 0, 5, true, 150, true},
        {"{'input':1,'output':10}", 100, 40, 0, 5, true, 110, false}, /* a lower bound */
        {"{'output':10}", 0, 0, 0, 5, true, 50, true}, /* nothing of unknown price was used */
        {"{'input':0,'output':0}", 100, 0, 0, 5, true, 0, true},
        {"null", 100, 0, 0, 5, true, 0, false},
        {"{'input':1,'output':10}", 0, 0, 0, 0, false, 0, false}, /* the server did not count */
        {"{'input':1,'cached_input':0.5,'output':10}", 100, 100, 0, 0, true, 50, true},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(json_freep) json_t *def = json_of(row[i].price);
        struct llm_price price;
        assert_ok(llm_price_read(def, &price));
        struct llm_usage u = {.input_tokens = row[i].in,
                              .cached_tokens = row[i].cached,
                              .cache_write_tokens = row[i].written,
                              .output_tokens = row[i].out};
        llm_usage_price(&u, &price, row[i].counted);
        assert_int_equal((int)(u.cost_usd * 1e6 + 0.5), row[i].want_usd_e6);
        assert_int_equal(u.cost_known, row[i].known);
    }
}

static void
price_table(void **state)
{
    (void)state;
    AUTO(json_freep)
    json_t *table = json_of("{'openai:*':1,'openai:gpt-4o*':2,'openai:gpt-4o-mini':3,'llama':4}");
    static const struct {
        const char *provider, *model;
        int want; /* 0: none */
    } row[] = {{"openai", "gpt-4o-mini", 3},
               {"openai", "gpt-4o-2024", 2},
               {"openai", "o3", 1},
               {"ollama", "llama", 4},
               {"ollama", "x", 0}};
    for (size_t i = 0; i < COUNT(row); i++)
        assert_int_equal(json_integer_value(llm_price_find(table, row[i].provider, row[i].model)),
                         row[i].want);
    assert_null(llm_price_find(NULL, "a", "b"));
}

static void
reply_as_json(void **state)
{
    (void)state;
    static const char text[] =
        "{'content':[{'type':'text','text':'a'},{'type':'tool_call','id':'i','name':'n','arguments'"
        ":{}},{'type':'text','text':'b'}],'finish':'tool_calls',"
        "'usage':{'input_tokens':5,'output_tokens':4,'cached_tokens':3,'cache_write_tokens':2,'"
        "reasoning_tokens':1,'model_calls':1,'tool_calls':1,"
        "'cost_usd':null,'cost_usd_min':0.5},'model':'m','id':'x'}";
    AUTO(json_freep) json_t *j = json_of(text);
    AUTO(llm_reply_fini) struct llm_reply r;
    assert_ok(llm_reply_from_json(j, &r));
    assert_string_equal(r.text, "ab");
    assert_int_equal(json_array_size(r.tool_calls), 1);
    assert_false(r.usage.cost_known);
    AUTO(json_freep) json_t *again = llm_reply_to_json(&r);
    assert_true(json_equal(j, again));
    AUTO(json_freep) json_t *message = llm_reply_message(&r);
    AUTO(json_freep) json_t *messages = json_array();
    json_array_append(messages, message);
    assert_ok(message_check(messages));
    static const char *const bad[] = {"{}", "{'content':[]}", "{'content':[],'finish':'tired'}",
                                      "7"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        AUTO(json_freep) json_t *b = json_of(bad[i]);
        struct llm_reply unused;
        assert_err(llm_reply_from_json(b, &unused), ERR_INVALID,
                   "not a recorded reply: it needs content and finish");
    }
}

/* ---- cassettes --------------------------------------------------------------------------------*/

#define SECRET     "sk-very-secret-1"
#define ASKS(text) "{'messages':[{'role':'user','content':[{'type':'text','text':'" text "'}]}]}"

#define PROFILE                                                                                    \
    "{'provider':'openai','model':'m','api_key':'" SECRET                                          \
    "','headers':{'X-Token':'Bearer abcdefgh'},'temperature':0.5}"
/* another key and another address are the same request */
#define OTHER "{'provider':'openai','model':'m','base_url':'http://other','temperature':0.5}"

struct tape_test {
    const char *path;
    bool replay;
    struct llm *llm;
    struct str log;
};

static void
one_call(struct tape_test *t, const struct fixture *f)
{
    struct server s;
    server_init(&s, f);
    struct ask a = {.server = &s, .f = f, .llm = t->llm};
    ask_now(&a);
    str_addf(&t->log, "%s\n", str_c(&a.outcome));
    assert(!t->replay || !s.requests);
    ask_fini(&a);
    server_fini(&s);
}

static void
ask_for(struct tape_test *t, const char *request, int status, const char *body)
{
    one_call(t, &(struct fixture){.profile = t->replay ? OTHER : PROFILE,
                                  .request = request,
                                  .body = body,
                                  .status = status,
                                  .header = {{"Retry-After", "3"}}});
}

static void
calls(void *arg)
{
    struct tape_test *t = arg;
    const struct llm_opts opts = {.record = t->replay ? NULL : t->path,
                                  .replay = t->replay ? t->path : NULL};
    struct err *e = llm_new(&opts, &t->llm);
    if (e) {
        AUTO(freep) char *text = err_text(e);
        str_addf(&t->log, "%s\n", text);
        err_free(e);
        return;
    }
    ask_for(t, ASKS("a"), 429, "{'error':{'message':'slow " SECRET " abcdefgh'}}");
    ask_for(t, ASKS("a"), 0,
            "{'choices':[{'message':{'content':'one " SECRET "'},'finish_reason':'stop'}]}");
    ask_for(t, ASKS("b"), 0,
            "{'choices':[{'message':{'content':'two'},'finish_reason':'stop'}],"
            "'usage':{'prompt_tokens':1,'completion_tokens':2}}");
    if (t->replay) {
        ask_for(t, ASKS("a"), 0, "");
        ask_for(t, ASKS("bx"), 0, "");
        one_call(t,
                 &(struct fixture){.profile = "{'provider':'openai','model':'m','temperature':0.7}",
                                   .request = ASKS("b")});
    }
    llm_free(t->llm);
}

static void
cassettes(void **state)
{
    (void)state;
    char path[] = "/tmp/tutti-cassette-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    struct tape_test record = {.path = path}, replay = {.path = path, .replay = true};
    in_sim(calls, &record);
    expect("cassette", "recording", str_c(&record.log),
           "limit: openai limits requests to model 'm' (429): 'slow [key] abcdefgh' retry=3000\n"
           "stop [{'type':'text','text':'one " SECRET "'}] 0/0 (- -)\n"
           "stop [{'type':'text','text':'two'}] 1/2 (- -)\n");
    in_sim(calls, &replay);
    AUTO(freep)
    char *want = xasprintf(
        "limit: openai limits requests to model 'm' (429): 'slow [key] [redacted]' retry=3000\n"
        "stop [{'type':'text','text':'one [redacted]'}] 0/0 (- -)\n"
        "stop [{'type':'text','text':'two'}] 1/2 (- -)\n"
        "missing: cassette '%s' holds this request fewer times than it is made now (3): record it "
        "again\n"
        "missing: cassette '%s' has no such request; in the nearest one "
        "messages[0].content[0].text was 'b' when recorded and is 'bx'\n"
        "missing: cassette '%s' has no such request; in the nearest one params.temperature was 0.5 "
        "when recorded and is 0.7\n",
        path, path, path);
    expect("cassette", "replay", str_c(&replay.log), want);
    AUTO(freep) char *grep = xasprintf("grep -cE '" SECRET "|abcdefgh' %s >/dev/null", path);
    assert_int_not_equal(system(grep), 0); /* no secret in the file */
    str_fini(&record.log);
    str_fini(&replay.log);
    unlink(path);
}

static void
bad_cassettes(void **state)
{
    (void)state;
    struct llm *llm;
    struct err *e = llm_new(&(struct llm_opts){.replay = "/nowhere/tape"}, &llm);
    assert_int_equal(err_kind(e), ERR_MISSING);
    err_free(e);
    e = llm_new(&(struct llm_opts){.record = "/nowhere/tape"}, &llm);
    assert_int_equal(err_kind(e), ERR_INVALID);
    err_free(e);
    assert_err(llm_new(&(struct llm_opts){.record = "a", .replay = "b"}, &llm), ERR_INVALID,
               "either record or replay, not both");
    static const char *const content[] = {"{}\n", "nonsense\n", "{\"key\":\"00\",\"n\":1}\n"};
    for (size_t i = 0; i < COUNT(content); i++) {
        char path[] = "/tmp/tutti-cassette-XXXXXX";
        const int fd = mkstemp(path);
        assert_int_equal(write(fd, content[i], strlen(content[i])), strlen(content[i]));
        close(fd);
        e = llm_new(&(struct llm_opts){.replay = path}, &llm);
        assert_int_equal(err_kind(e), ERR_INVALID);
        err_free(e);
        unlink(path);
    }
}

TESTS(llmcall_test, cmocka_unit_test(profiles), cmocka_unit_test(prices),
      cmocka_unit_test(price_table), cmocka_unit_test(reply_as_json), cmocka_unit_test(cassettes),
      cmocka_unit_test(bad_cassettes))
