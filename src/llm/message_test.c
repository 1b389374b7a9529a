/* message_test.c - checking, measuring and trimming conversations; names of tools; JSON in prose.
 */
#include "llm/jsonish.h"
#include "llm/llmwire.h"
#include "llm/testllm.h"
#include "llm/toolname.h"

#define SYSTEM  "{'role':'system','content':[{'type':'text','text':'S'}]}"
#define SAY(t)  "{'role':'user','content':[{'type':'text','text':'" t "'}]}"
#define SAID(t) "{'role':'assistant','content':[{'type':'text','text':'" t "'}]}"
#define CALL(a, b)                                                                                 \
    "{'role':'assistant','content':[{'type':'tool_call','id':'" a "','name':'t','arguments':{}},{" \
    "'type':'tool_call','id':'" b "','name':'t','arguments':{}}]}"
#define RESULT(id)                                                                                 \
    "{'role':'tool','content':[{'type':'tool_result','id':'" id                                    \
    "','content':[{'type':'text','text':'r'}]}]}"

static void
checks(void **state)
{
    (void)state;
    static const struct {
        const char *messages, *want; /* NULL: valid */
    } row[] = {
        {"[]", NULL},
        {"[" SYSTEM "," SAY("a") "," CALL("a", "b") "," RESULT("b") "," RESULT("a") "," SAID(
             "x") "," CALL("c", "d") "]",
         NULL},
        {"[" CALL("a", "b") "," RESULT("a") "]", NULL}, /* open calls of the last are fine */
        {"{}", "messages are not a list"},
        {"[1]", "message 1: unknown role ''"},
        {"[{'role':'robot','content':[]}]", "message 1: unknown role 'robot'"},
        {"[{'role':'user','content':'text'}]", "message 1: content is not a list of parts"},
        {"[" CALL("a", "a") "]", "message 1: tool call id 'a' is there twice"},
        {"[" CALL("a", "b") "," RESULT("a") "," RESULT("b") "," CALL("b", "c") "]",
         "message 4: tool call id 'b' is there twice"},
        {"[" CALL("a", "b") "," RESULT("a") "," SAY("x") "]",
         "message 3: tool call 'b' before it has no result"},
        {"[" CALL("a", "b") "," RESULT("a") "," RESULT("a") "]",
         "message 3: tool result 'a' has no open call before it"},
        {"[" RESULT("a") "]", "message 1: tool result 'a' has no open call before it"},
        {"[{'role':'user','content':[{'type':'tool_result','id':'a','content':[]}]}]",
         "message 1, part 1: 'tool_result' cannot stand in a message of 'user'"},
        {"[{'role':'tool','content':[{'type':'text','text':'a'}]}]",
         "message 1, part 1: 'text' cannot stand in a message of 'tool'"},
        {"[{'role':'user','content':[{'type':'text','text':'a'},{'type':'tool_call'}]}]",
         "message 1, part 2: 'tool_call' cannot stand in a message of 'user'"},
        {"[{'role':'user','content':[{'type':'text'}]}]",
         "message 1, part 1: text has no text 'text'"},
        {"[{'role':'user','content':[{'type':'image'}]}]",
         "message 1, part 1: image needs either 'data' or 'url'"},
        {"[{'role':'user','content':[{'type':'image','data':'a','url':'b'}]}]",
         "message 1, part 1: image needs either 'data' or 'url'"},
        {"[{'role':'user','content':[{'type':'audio','data':'a'}]}]",
         "message 1, part 1: audio has no text 'mime'"},
        {"[{'role':'assistant','content':[{'type':'tool_call','id':'a','name':'t','arguments':'{}'}"
         "]}]",
         "message 1: tool call 'a': arguments are not an object"},
        {"[{'role':'assistant','content':[{'type':'tool_call','name':'t','arguments':{}}]}]",
         "message 1, part 1: tool_call has no text 'id'"},
        {"[" CALL("a", "b") ",{'role':'tool','content':[{'type':'tool_result','id':'a','content':[{"
                            "'type':'tool_result','id':'b','content':[]}]}]}]",
         "message 2, part 1: 'tool_result' cannot stand in a message of 'result'"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(json_freep) json_t *messages = json_of(row[i].messages);
        if (row[i].want)
            assert_err(message_check(messages), ERR_INVALID, row[i].want);
        else
            assert_ok(message_check(messages));
    }
}

static void
builders(void **state)
{
    (void)state;
    AUTO(json_freep) json_t *all = json_array();
    json_array_append_new(all, message_text("user", "a\xff"));
    json_t *parts = json_array();
    json_array_append_new(parts, part_tool_call("a", "t", NULL));
    json_array_append_new(parts, part_tool_call("b", "t", json_of("{'x':1}")));
    json_array_append_new(parts, part_provider("p", json_of("[1]")));
    json_array_append_new(all, message_new("assistant", parts));
    json_array_append_new(all, message_tool_result("a", "t", NULL, true));
    parts = json_array();
    json_array_append_new(parts, part_text("r", 1));
    json_array_append_new(parts, part_media("image", "image/png", NULL, "AAAA", NULL));
    json_array_append_new(all, message_tool_result("b", NULL, parts, false));
    assert_ok(message_check(all));
    AUTO(freep) char *text = json_text(all);
    expect("builders", "messages", text,
           "[{'role':'user','content':[{'type':'text','text':'a\xef\xbf\xbd'}]},{'role':'assistant'"
           ",'content':[{'type':'tool_call','id':'a','name':'t',"
           "'arguments':{}},{'type':'tool_call','id':'b','name':'t','arguments':{'x':1}},{'type':'"
           "provider','provider':'p','data':[1]}]},"
           "{'role':'tool','content':[{'type':'tool_result','id':'a','name':'t','content':[],'is_"
           "error':true}]},"
           "{'role':'tool','content':[{'type':'tool_result','id':'b','content':[{'type':'text','"
           "text':'r'},{'type':'image','mime':'image/png','data':'AAAA'}]}]}]");
    AUTO(str_fini) struct str s = STR_INIT;
    message_add_text(&s, json_array_get(all, 3));
    assert_string_equal(str_c(&s), "r");
}

static void
counts(void **state)
{
    (void)state;
    static const struct {
        const char *messages;
        int want;
    } row[] = {
        {"[]", 0},
        {"[" SAY("12345678") "]", 4 + 2},
        {"[" SAY("1") "," SAY("\xc3\xa9\xc3\xa9\xe4\xbd\xa0") "]", 5 + 4 + 1 + 1},
        {"[{'role':'user','content':[{'type':'image','url':'http://x'}]}]", 1004},
        {"[{'role':'user','content':[{'type':'audio','mime':'a/b','data':'AAAA'}]}]", 54},
        {"[{'role':'user','content':[{'type':'file','mime':'a/b','data':'AAAA'}]}]", 254},
        {"[{'role':'assistant','content':[{'type':'tool_call','id':'a','name':'tttt','arguments':{'"
         "a':1}}]}]",
         4 + 8 + 1 + 2},
        {"[{'role':'assistant','content':[{'type':'provider','provider':'p','data':[1,2]}]}]",
         4 + 2},
        {"[" RESULT("a") "]", 4 + 8 + 1},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(json_freep) json_t *messages = json_of(row[i].messages);
        assert_int_equal(message_tokens(messages), row[i].want);
    }
}

/* One letter a message: S system, a-z its text or first call's id. */
static void
trims(void **state)
{
    (void)state;
    /* tokens: 5 5 5 24 13 13 5 5 = 75 */
    AUTO(json_freep)
    json_t *all = json_of("[" SYSTEM "," SAY("a") "," SAID("b") "," CALL("c", "d") "," RESULT(
        "c") "," RESULT("d") "," SAY("e") "," SAID("f") "]");
    assert_int_equal(message_tokens(all), 75);
    static const struct {
        int max;
        size_t left, dropped;
        const char *second_kept; /* role of the third message kept */
    } row[] = {
        {75, 8, 0, "assistant"}, /* fits */
        {74, 7, 1, "assistant"}, /* the oldest answer goes */
        {69, 4, 4, "user"},      /* the call goes with both results */
        {20, 4, 4, "user"},
        {19, 3, 5, "assistant"}, /* the system, the first question and the last message stay */
        {0, 3, 5, "assistant"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        size_t dropped;
        AUTO(json_freep) json_t *kept = message_trim(all, row[i].max, &dropped);
        assert_int_equal(json_array_size(kept), row[i].left);
        assert_int_equal(dropped, row[i].dropped);
        assert_ok(message_check(kept));
        assert_true(message_is(json_array_get(kept, 0), "system"));
        assert_true(message_is(json_array_get(kept, 1), "user"));
        assert_string_equal(message_role(json_array_get(kept, 2)), row[i].second_kept);
    }
    /* a loop that is under way is not torn apart */
    AUTO(json_freep)
    json_t *loop = json_of("[" SAY("a") "," CALL("c", "d") "," RESULT("c") "," RESULT("d") "]");
    AUTO(json_freep) json_t *kept = message_trim(loop, 1, NULL);
    assert_int_equal(json_array_size(kept), 4);
}

static void
names(void **state)
{
    (void)state;
    AUTO(json_freep)
    json_t *tools = json_of(
        "[{'name':'a.b'},{'name':'a_b'},{'name':'a/"
        "b'},{'name':'1x'},{'name':'\xc3\xa9'},{'name':'a.b'},"
        "{'name':'x123456789012345678901234567890123456789012345678901234567890123456789.y'}]");
    AUTO(toolnames_fini) struct toolnames t;
    toolnames_init(&t, tools);
    static const char *const want[] = {"a_b_2", "a_b", "a_b_3", "_1x", "___", "a_b_2"};
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const char *name = json_str(json_array_get(tools, i), "name", "");
        AUTO(str_fini) struct str s = STR_INIT;
        toolname_add(&s, &t, name);
        if (i < COUNT(want))
            assert_string_equal(str_c(&s), want[i]);
        else
            assert_int_equal(s.len, TOOLNAME_MAX);
        assert_string_equal(toolname_back(&t, str_c(&s)), name);
    }
    AUTO(str_fini) struct str old = STR_INIT;
    toolname_add(&old, &t, "gone.away");
    assert_string_equal(str_c(&old), "gone_away");
    assert_string_equal(toolname_back(&t, "invented"), "invented");
    AUTO(toolnames_fini) struct toolnames none;
    toolnames_init(&none, NULL);
    assert_null(none.to_wire);
    assert_string_equal(toolname_back(&none, "x"), "x");
}

static void
json_in_prose(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want; /* NULL: none */
    } row[] = {
        {"{'a':1}", "{'a':1}"},
        {" \\n[1,2] ", NULL}, /* the backslash is not white space, and [1,2] is found below */
        {"7", "7"},
        {"'x'", "'x'"},
        {"", NULL},
        {"no JSON here", NULL},
        {"Sure! {'a':{'b':'}'}} Hope it helps.", "{'a':{'b':'}'}}"},
        {"As said in [1] and [2, 3]: {'a': [1, 2, 3]}.", "{'a':[1,2,3]}"},
        {"{not json} {'a':1}", "{'a':1}"},
        {"```json\n{'a':1}\n```\nand {'longer':'than that'}", "{'a':1}"},
        {"text\n  ```\n[1]\n  ```", "[1]"},
        {"```\nnot json\n```\n```json\n{'b':2}\n```", "{'b':2}"},
        {"```json\n{'a':'```'}\n```", "{'a':'```'}"},
        {"```json\n{'a':1}", "{'a':1}"},
        {"<think>{'no':1}</think>\n{'a':1}", "{'a':1}"},
        {"<think>{'no':1}</think> it is {'a':1}", "{'a':1}"},
        {"{'a':1", NULL},
        {"[[[[{'a':1}", "{'a':1}"},
        {"{'a':1}{'b':22}", "{'b':22}"},
        {"}{'a':1}", "{'a':1}"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(freep) char *text = quoted(row[i].text);
        AUTO(json_freep) json_t *j = jsonish_find(text, strlen(text));
        AUTO(freep) char *got = j ? json_text(j) : xstrdup("none");
        if (i == 1)
            assert_string_equal(got, "[1,2]");
        else
            expect(row[i].text, "found", got, row[i].want ? row[i].want : "none");
    }
    /* hostile: what looks like the beginning of a value at every byte */
    const size_t n = 1 << 20;
    AUTO(freep) char *deep = xmalloc(n);
    memset(deep, '[', n);
    assert_null(jsonish_find(deep, n));
    for (size_t i = 0; i < n; i++)
        deep[i] = "{}["[i % 3];
    json_decref(jsonish_find(deep, n));
    memset(deep, '{', n);
    deep[n - 1] = '"';
    assert_null(jsonish_find(deep, n));
}

static void
mended(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want; /* NULL: cannot be mended */
    } row[] = {
        {"[\"\\ud83d\\ude00\"]", "[\"\xf0\x9f\x98\x80\"]"},
        {"[\"\\ud83d\"]", "[\"\xef\xbf\xbd\"]"},
        {"[\"\\ude00x\"]", "[\"\xef\xbf\xbdx\"]"},
        {"[\"\\ud83d\\ud83d\\ude00\"]", "[\"\xef\xbf\xbd\xf0\x9f\x98\x80\"]"},
        {"[\"a\\u0000b\"]", "[\"a\xef\xbf\xbd"
                            "b\"]"},
        {"[\"\xff\xc3\"]", "[\"\xef\xbf\xbd\xef\xbf\xbd\"]"},
        {"[\"\\\\u0000\"]", "[\"\\\\u0000\"]"},
        {"[\"\\u00\"]", NULL},
        {"[\"\\", NULL},
        {"{\"a\":1,\"a\":2}", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(json_freep) json_t *j = NULL;
        struct err *e = wire_parse(row[i].text, strlen(row[i].text), &j);
        AUTO(freep) char *got = j ? json_text(j) : NULL;
        assert_true(!e == !!row[i].want);
        if (row[i].want)
            assert_string_equal(got, row[i].want);
        err_free(e);
    }
}

TESTS(message_test, cmocka_unit_test(checks), cmocka_unit_test(builders), cmocka_unit_test(counts),
      cmocka_unit_test(trims), cmocka_unit_test(names), cmocka_unit_test(json_in_prose),
      cmocka_unit_test(mended))
