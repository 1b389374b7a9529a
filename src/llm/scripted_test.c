/* scripted_test.c - the script provider: what answers what, and that it remembers nothing. */
#include "llm/pattern.h"
#include "llm/testllm.h"
#include <stdio.h>
#include <unistd.h>

#define SAY(text)    "{'role':'user','content':[{'type':'text','text':'" text "'}]}"
#define ANSWER(text) "{'role':'assistant','content':[{'type':'text','text':'" text "'}]}"
#define CALL(id)                                                                                   \
    "{'role':'assistant','content':[{'type':'tool_call','id':'" id                                 \
    "','name':'files.read','arguments':{}}]}"
#define RESULT(id, text)                                                                           \
    "{'role':'tool','content':[{'type':'tool_result','id':'" id                                    \
    "','name':'files.read','content':[{'type':'text','text':'" text "'}]}]}"
#define ASK(messages) "{'messages':[" messages "]}"
#define SCRIPT(keys)  "{'provider':'script','model':'s'," keys "}"
#define TEXT(text)    "stop [{'type':'text','text':'" text "'}]"

static const struct {
    const char *name, *profile, *request, *want; /* want: up to the counts */
} row[] = {
    {"nothing said: the message comes back", "{'provider':'passthrough'}", ASK(SAY("Hi")),
     TEXT("Hi") " 5/1 (script -)"},
    {"substring", SCRIPT("'replies':[{'match':'x','text':'no'},{'match':'ell','text':'yes'}]"),
     ASK(SAY("Hello")), TEXT("yes")},
    {"regex with groups",
     SCRIPT("'replies':[{'match':'/^pay (\\\\d+)/','text':'{{1}} of {{0}} {{2}}|{{ last "
            "}}|{{nope}}|{{'}]"),
     ASK(SAY("pay 12 now")), TEXT("12 of pay 12 |pay 12 now|{{nope}}|{{")},
    {"regex without case", SCRIPT("'replies':[{'match':'/HELLO/i','text':'yes'}]"),
     ASK(SAY("hello")), TEXT("yes")},
    {"by system prompt",
     SCRIPT("'system_prompt':'You "
            "judge.','replies':[{'system':'write','text':'w'},{'system':'judge','text':'j'}]"),
     ASK(SAY("x")), TEXT("j")},
    {"by system message", SCRIPT("'replies':[{'system':'/^B/','text':'{{system}}'}]"),
     ASK("{'role':'system','content':[{'type':'text','text':'B c'}]}," SAY("x")), TEXT("B c")},
    {"by turn", SCRIPT("'replies':[{'turn':0,'text':'first'},{'turn':1,'text':'second {{turn}}'}]"),
     ASK(SAY("a") "," ANSWER("first") "," SAY("b")), TEXT("second 1")},
    {"by tool result",
     SCRIPT("'replies':[{'when_tool':'files.*','text':'got {{tool_result}} for "
            "{{message}}'},{'text':'else'}]"),
     ASK(SAY("q") "," CALL("a") "," RESULT("a", "R")), TEXT("got R for q")},
    {"not by an older tool result",
     SCRIPT("'replies':[{'when_tool':'files.*','text':'got'},{'text':'else'}]"),
     ASK(SAY("q") "," CALL("a") "," RESULT("a", "R") "," ANSWER("x") "," SAY("y")), TEXT("else")},
    {"a tool call",
     SCRIPT("'replies':[{'text':'wait','tool_calls':[{'name':'files.read','arguments':{'p':['{{"
            "last}}']}},{'name':'t'}]}]"),
     ASK(SAY("q")),
     "tool_calls "
     "[{'type':'text','text':'wait'},{'type':'tool_call','id':'call_1_1','name':'files.read','"
     "arguments':{'p':['q']}},"
     "{'type':'tool_call','id':'call_1_2','name':'t','arguments':{}}]"},
    {"only when the tool is there",
     SCRIPT("'replies':[{'has_tool':'z*','text':'no'},{'has_tool':'t','text':'yes'}]"),
     "{'messages':[" SAY("q") "],'tools':[{'name':'t'}]}", TEXT("yes")},
    {"times: used up in this conversation",
     SCRIPT("'replies':[{'match':'q','times':1,'text':'one'},{'match':'q','times':2,'text':'two'},{"
            "'text':'rest'}]"),
     ASK(SAY("q") "," ANSWER("one") "," SAY("q") "," ANSWER("two") "," SAY("q")), TEXT("two")},
    {"times: the rest", SCRIPT("'replies':[{'match':'q','times':1,'text':'one'},{'text':'rest'}]"),
     ASK(SAY("q") "," ANSWER("one") "," SAY("q")), TEXT("rest")},
    {"JSON", SCRIPT("'replies':[{'json':{'a':[1]}}]"), ASK(SAY("q")),
     "stop [{'type':'text','text':'{\\'a\\':[1]}'}]"},
    {"repeat", SCRIPT("'replies':[{'text':'ab ','repeat':3}]"), ASK(SAY("q")), TEXT("ab ab ab ")},
    {"repeat of nothing", SCRIPT("'replies':[{'text':'','repeat':9}]"), ASK(SAY("q")), "stop []"},
    {"repeat too often", SCRIPT("'replies':[{'text':'ab','repeat':33554433}]"), ASK(SAY("q")),
     "invalid: script: repeat 33554433 of 2 bytes: 1 to 33554432 is possible"},
    {"default", SCRIPT("'replies':[{'match':'x','text':'x'}],'default':'d {{last}}'"),
     ASK(SAY("q")), TEXT("d q")},
    {"default as an entry", SCRIPT("'default':{'text':'d','finish':'length'}"), ASK(SAY("q")),
     "length [{'type':'text','text':'d'}]"},
    {"echo", SCRIPT("'replies':[{'match':'x','text':'x'}],'echo':true"), ASK(SAY("q")), TEXT("q")},
    {"no match is loud", SCRIPT("'replies':[{'match':'x','text':'x'}]"), ASK(SAY("q\\nr")),
     "invalid: script: none of 1 replies of profile 'fast' matches 'q r' (turn 0); add one, "
     "'default' or 'echo: true'"},
    {"usage",
     SCRIPT("'price':{'input':1000000,'cached_input':0,'output':1},'replies':[{'text':'x','usage':{"
            "'input_tokens':3,'output_tokens':0,'cached_tokens':1}}]"),
     ASK(SAY("q")), TEXT("x") " 3/0 cached=1 usd=2.000000 (s -)"},
    {"CALL_TOOL", SCRIPT("'echo':true"), ASK(SAY("***CALL_TOOL files.read {\\'p\\': 1}")),
     "tool_calls [{'type':'tool_call','id':'call_1_1','name':'files.read','arguments':{'p':1}}]"},
    {"CALL_TOOL without arguments", SCRIPT("'echo':true"), ASK(SAY("***CALL_TOOL t")),
     "tool_calls [{'type':'tool_call','id':'call_1_1','name':'t','arguments':{}}]"},
    {"CALL_TOOL without a name", SCRIPT("'echo':true"), ASK(SAY("***CALL_TOOL")),
     "invalid: script: ***CALL_TOOL names no tool"},
    {"the tool's result comes back", SCRIPT("'echo':true"),
     ASK(SAY("***CALL_TOOL files.read") "," CALL("a") "," RESULT("a", "R")), TEXT("R")},
    {"FIXED_RESPONSE from now on", SCRIPT("'echo':true"),
     ASK(SAY("***FIXED_RESPONSE  so be it") "," ANSWER("so be it") "," SAY("q")), TEXT("so be it")},
    {"playback",
     SCRIPT("'playback':'---USER\\nhi\\n---ASSISTANT\\nfirst\\n\\n---USER\\nyou\\n---"
            "ASSISTANT\\nsecond\\nline\\n'"),
     ASK(SAY("a") "," ANSWER("first") "," SAY("b")), TEXT("second\\nline")},
    {"playback exhausted", SCRIPT("'playback':'---ASSISTANT\\nfirst\\n'"),
     ASK(ANSWER("a") "," ANSWER("b") "," SAY("c")),
     TEXT("MESSAGES EXHAUSTED (list size 1) (2 overage)")},
    {"playback of messages",
     SCRIPT("'playback':[{'role':'user','content':'q'},{'role':'assistant','content':[{'type':'"
            "tool_call','name':'t','arguments':{'a':1}}]},"
            "{'role':'assistant','content':'end'}]"),
     ASK(SAY("q")),
     "tool_calls [{'type':'tool_call','id':'call_1_1','name':'t','arguments':{'a':1}}]"},
    {"playback of no file", SCRIPT("'playback':'/nowhere/x.md'"), ASK(SAY("q")),
     "missing: reading the playback '/nowhere/x.md': "},
    {"playback of no list", SCRIPT("'playback':{'a':1}"), ASK(SAY("q")),
     "invalid: playback is not a list of messages"},
    {"429", SCRIPT("'replies':[{'error':{'status':429,'retry_after':2}}]"), ASK(SAY("q")),
     "limit: script limits requests to model 's' (429): 'as the script wants it' retry=2000"},
    {"a status alone", SCRIPT("'replies':[{'error':503}]"), ASK(SAY("q")),
     "transient: script is in trouble (503): 'as the script wants it'"},
    {"a status as text", SCRIPT("'replies':[{'error':'401'}]"), ASK(SAY("q")),
     "denied: script denies access (401): 'as the script wants it': check api_key of profile "
     "'fast'"},
    {"no such status", SCRIPT("'replies':[{'error':7}]"), ASK(SAY("q")),
     "invalid: script: error status 7 is not one of 300 to 599"},
    {"malformed", SCRIPT("'replies':[{'error':'malformed'}]"), ASK(SAY("q")),
     "transient: script sent a garbled answer: not JSON, as the script wants it"},
    {"too long", SCRIPT("'replies':[{'error':'too_long'}]"), ASK(SAY("q")),
     "too_long: the conversation is too long for model 's'"},
    {"drop", SCRIPT("'replies':[{'text':'abcdef','error':'drop'}]"), ASK(SAY("q")),
     "transient: script: the connection broke"},
    {"hang", SCRIPT("'replies':[{'error':{'kind':'hang'}}]"), ASK(SAY("q")), "timeout: "},
    {"a delay past the deadline", SCRIPT("'replies':[{'delay':'2m','text':'x'}]"), ASK(SAY("q")),
     "timeout: "},
    {"under script:", "{'provider':'script','script':{'replies':[{'match':'q','text':'in'}]}}",
     ASK(SAY("q")), TEXT("in")},
    {"faults first",
     SCRIPT("'faults':[{'match':'z','error':401},{'match':'q','error':{'status':503,'times':1}}],'"
            "replies':[{'text':'x'}]"),
     ASK(SAY("q")), "transient: script is in trouble (503)"},
    {"faults that do not match",
     SCRIPT("'faults':[{'match':'z','error':401}],'replies':[{'text':'x'}]"), ASK(SAY("q")),
     TEXT("x")},
    {"no such error", SCRIPT("'replies':[{'error':'sulk'}]"), ASK(SAY("q")),
     "invalid: script: unknown error 'sulk' (a status, hang, drop, malformed or too_long)"},
    {"a bad regex", SCRIPT("'replies':[{'match':'/(/','text':'x'}]"), ASK(SAY("q")),
     "invalid: script: replies[1]: '/(/' is not a regular expression"},
    {"a regex that takes for ever", SCRIPT("'replies':[{'match':'/^(a+)+$/','text':'x'}]"),
     ASK(SAY("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab")),
     "invalid: script: replies[1]: '/^(a+)+$/' takes too long to match"},
};

static void
answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(row); i++) {
        const struct fixture f = {
            .name = row[i].name, .profile = row[i].profile, .request = row[i].request};
        AUTO(freep) char *want = quoted(row[i].want);
        struct ask a = {.f = &f};
        in_sim(ask_fiber, &a);
        AUTO(freep) char *got = quoted(str_c(&a.outcome));
        if (!str_starts(got, want))
            fail_msg("%s:\n got  %s\n want %s", row[i].name, got, want);
        ask_fini(&a);
    }
}

struct twice {
    struct fixture f;
    struct str log;
};

static void
ask_again(struct twice *t, unsigned attempt, const char *key)
{
    struct ask a = {.f = &t->f, .attempt = attempt, .key = key};
    ask_now(&a);
    const char *text = strstr(str_c(&a.outcome), "\"text\":\"");
    str_addf(&t->log, "%u:%.*s ", attempt, text ? 1 : 5, text ? text + 8 : str_c(&a.outcome));
    ask_fini(&a);
}

static void
faults_end(void *arg)
{
    struct twice *t = arg;
    for (unsigned attempt = 1; attempt <= 3; attempt++)
        ask_again(t, attempt, NULL);
    for (unsigned attempt = 1; attempt <= 3; attempt++)
        ask_again(t, attempt, NULL);
}

/* The attempt decides, not how often it was asked: a resumed run sees the same. */
static void
fault_times(void **state)
{
    (void)state;
    struct twice t = {
        .f = {.profile = SCRIPT("'replies':[{'text':'x','error':{'status':503,'times':2}}]"),
              .request = ASK(SAY("q"))}};
    in_sim(faults_end, &t);
    assert_string_equal(str_c(&t.log), "1:trans 2:trans 3:x 1:trans 2:trans 3:x ");
    str_fini(&t.log);
}

static void
samples(void *arg)
{
    struct twice *t = arg;
    static const char *const keys[] = {"run/1", "run/2", "run/3", "run/4",
                                       "run/5", "run/6", "run/1", "run/2"};
    for (size_t i = 0; i < COUNT(keys); i++)
        ask_again(t, 1, keys[i]);
}

static void
texts_by_key(void **state)
{
    (void)state;
    struct twice t = {
        .f = {.profile = SCRIPT("'replies':[{'texts':['a','b','c']}]"), .request = ASK(SAY("q"))}};
    in_sim(samples, &t);
    const char *log = str_c(&t.log); /* "1:a 1:b ...": 4 bytes each */
    assert_int_equal(t.log.len, 32);
    assert_memory_equal(log, log + 24, 8); /* the same key, the same answer */
    bool seen[3] = {false};
    for (size_t i = 2; i < 24; i += 4)
        seen[log[i] - 'a'] = true;
    assert_true(seen[0] + seen[1] + seen[2] >= 2); /* different keys, different answers */
    str_fini(&t.log);
}

struct timed {
    struct ask ask;
    int64_t took_ms;
};

static void
timed_fiber(void *arg)
{
    struct timed *t = arg;
    const int64_t begin = rt_now_ms();
    ask_now(&t->ask);
    t->took_ms = rt_now_ms() - begin;
}

static void
streams_in_time(void **state)
{
    (void)state;
    const struct fixture f = {
        .profile = SCRIPT("'stream':true,'delay':0.5,'replies':[{'text':'"
                          "\xc3\xa9\xc3\xa9\xc3\xa9\xf0\x9f\x98\x80z','chunk':5,"
                          "'chunk_delay':'100ms','delay':1,'tool_calls':[{'name':'t'}]}]"),
        .request = ASK(SAY("q"))};
    struct timed t = {.ask = {.f = &f}};
    in_sim(timed_fiber, &t);
    expect("stream", "outcome", str_c(&t.ask.outcome),
           "tool_calls "
           "[{'type':'text','text':'\xc3\xa9\xc3\xa9\xc3\xa9\xf0\x9f\x98\x80z'},{'type':'tool_call'"
           ",'id':'call_1_1','name':'t','arguments':{}}] 5/4 (s -)");
    /* 4 + 2 + 5 bytes: a character is never cut */
    assert_int_equal(t.took_ms, 1500 + 2 * 100);
    ask_fini(&t.ask);
}

static void
playback_file(void **state)
{
    (void)state;
    char path[] = "/tmp/tutti-playback-XXXXXX.md";
    const int fd = mkstemps(path, 3);
    assert_true(fd >= 0);
    static const char text[] = "---ASSISTANT\r\nfrom a file\r\n---not a divider\r\n";
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    AUTO(freep) char *profile = xasprintf("{'provider':'script','playback':'%s'}", path);
    const struct fixture f = {.name = "file",
                              .profile = profile,
                              .request = ASK(SAY("q")),
                              .want =
                                  TEXT("from a file\\r\\n---not a divider") " 5/8 (script -)"};
    check_fixture(&f);
    unlink(path);
}

static void
fills(void **state)
{
    (void)state;
    char all[] = "all", one[] = "one";
    struct groups g = {.text = {all, one}};
    const struct fill fill = {.last = "L", .message = "M", .turn = 3, .groups = &g};
    static const struct {
        const char *text, *want;
    } fills_row[] = {
        {"", ""},
        {"{{", "{{"},
        {"{{}}", "{{}}"},
        {"{{ last }}{{message}}", "LM"},
        {"{{{{last}}", "{{L"},
        {"{{turn}}x", "3x"},
        {"{{1}}{{2}}", "one"},
        {"a}}{{last", "a}}{{last"},
        {"{{system}}", ""},
    };
    for (size_t i = 0; i < COUNT(fills_row); i++) {
        AUTO(str_fini) struct str s = STR_INIT;
        fill_text(&s, fills_row[i].text, strlen(fills_row[i].text), &fill);
        assert_string_equal(str_c(&s), fills_row[i].want);
    }
}

TESTS(scripted_test, cmocka_unit_test(answers), cmocka_unit_test(fault_times),
      cmocka_unit_test(texts_by_key), cmocka_unit_test(streams_in_time),
      cmocka_unit_test(playback_file), cmocka_unit_test(fills))
