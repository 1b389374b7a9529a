/* session_test.c - one conversation: versions, lists, requests of the server, cancelling, progress.
 */
#include "base/test.h"
#include "mcp/content.h"
#include "mcp/fakemcp_test.h"
#include "mcp/server_conf.h"
#include "mcp/session.h"
#include "rt/fiber.h"
#include "rt/rt.h"

#define MSG(rest)     "{\"jsonrpc\":\"2.0\"," rest "}\n"
#define REPLY(result) MSG("\"id\":$ID,\"result\":" result)
#define HELLO(v)                                                                                   \
    REPLY("{\"protocolVersion\":\"" v "\",\"capabilities\":{\"tools\":{\"listChanged\":true},"     \
          "\"prompts\":{},\"resources\":{},\"completions\":{},\"logging\":{}},"                    \
          "\"serverInfo\":{\"name\":\"fake\",\"version\":\"1\"}}")
#define CHANGED    MSG("\"method\":\"notifications/tools/list_changed\"")
#define TEXT(t)    REPLY("{\"content\":[{\"type\":\"text\",\"text\":\"" t "\"}]}")
#define TOOL(name) "{\"name\":\"" name "\",\"inputSchema\":{\"type\":\"object\"}}"

static void
call_once(struct fake *f, struct servers *s)
{
    fake_call(f, s, "echo", "a", 1000);
}

static void
list_tools(struct fake *f, struct servers *s)
{
    json_t *tools = NULL;
    struct err *e =
        servers_tools(s, &(struct servers_whose){.server = "s"}, rt_after(5000), &tools);
    fake_say(f, "tools", e, tools);
}

/* ---- handshake ------------------------------------------------------------- */

static void
greet(struct fake *f, struct servers *s)
{
    json_t *tools = NULL;
    struct err *e =
        servers_tools(s, &(struct servers_whose){.server = "s"}, rt_after(5000), &tools);
    json_decref(tools);
    AUTO(json_freep) json_t *status = servers_status(s);
    if (e)
        fake_say(f, "tools", e, NULL);
    else
        fake_say(f, json_str(json_array_get(status, 0), "protocol", "?"), NULL, NULL);
}

static void
handshakes(void **state)
{
    (void)state;
    static const struct fake_row rows[] = {
        {"2025-11-25",
         {.rules = {{.on = "initialize", .out = HELLO("2025-11-25")}}, .drive = greet},
         "2025-11-25: ok @0\n",
         NULL},
        {"2025-06-18",
         {.rules = {{.on = "initialize", .out = HELLO("2025-06-18")}}, .drive = greet},
         "2025-06-18: ok @0\n",
         NULL},
        {"2025-03-26",
         {.rules = {{.on = "initialize", .out = HELLO("2025-03-26")}}, .drive = greet},
         "2025-03-26: ok @0\n",
         NULL},
        {"2024-11-05",
         {.rules = {{.on = "initialize", .out = HELLO("2024-11-05")}}, .drive = greet},
         "2024-11-05: ok @0\n",
         NULL},
        {"a version nobody knows",
         {.rules = {{.on = "initialize", .out = HELLO("1999-01-01")}}, .drive = greet},
         "tools: invalid: server 's': starting it: it speaks the protocol version '1999-01-01'; "
         "known are "
         "2024-10-07 to 2025-11-25 @0\n",
         "0 initialize\n"},
        {"no version",
         {.rules = {{.on = "initialize", .out = REPLY("{\"capabilities\":{}}")}}, .drive = greet},
         "tools: invalid: server 's': starting it: its answer to 'initialize' names no protocol "
         "version "
         "@0\n",
         NULL},
        {"no object",
         {.rules = {{.on = "initialize", .out = REPLY("[1]")}}, .drive = greet},
         "tools: invalid: server 's': starting it: its answer to 'initialize' names no protocol "
         "version "
         "@0\n",
         NULL},
        {"no capabilities",
         {.rules = {{.on = "initialize", .out = REPLY("{\"protocolVersion\":\"2025-11-25\"}")}},
          .drive = greet},
         "tools: invalid: server 's': starting it: its answer to 'initialize' has no capabilities "
         "@0\n",
         NULL},
        {"a refusal that lists what it knows",
         {.rules = {{.on = "initialize",
                     .times = 1,
                     .out =
                         MSG("\"id\":$ID,\"error\":{\"code\":-32602,\"message\":\"no\",\"data\":{"
                             "\"supported\":[\"2024-11-05\",\"2025-03-26\"]}}")},
                    {.on = "initialize", .out = HELLO("2025-03-26")}},
          .drive = greet},
         "2025-03-26: ok @0\n",
         "0 initialize\n0 initialize\n0 notifications/initialized\n0 tools/list\n"},
        {"a refusal",
         {.rules = {{.on = "initialize",
                     .out = MSG(
                         "\"id\":$ID,\"error\":{\"code\":-32000,\"message\":\"key missing\"}")}},
          .drive = greet},
         "tools: transient: server 's': starting it: key missing (error -32000) @0\n",
         "0 initialize\n"},
        {"what is offered without hooks and roots",
         {.logs_all = true, .rules = {{.on = "initialize", .exit = 1}}, .drive = greet},
         NULL,
         "0 "
         "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":"
         "\"2025-11-25\",\"capabilities\":{},\"clientInfo\":{\"name\":\"tutti\",\"version\":\"0."
         "1\"}}}\n"},
    };
    fake_rows(rows, COUNT(rows));
}

/* ---- lists ----------------------------------------------------------------- */

static void
list_twice(struct fake *f, struct servers *s)
{
    list_tools(f, s);
    list_tools(f, s);
}

static void
list_call_list(struct fake *f, struct servers *s)
{
    list_tools(f, s);
    fake_call(f, s, "a", "x", 1000);
    list_tools(f, s);
}

static void
lists(void **state)
{
    (void)state;
    static const struct fake_row rows[] = {
        {"pages, the empty cursor among them",
         {.logs_all = true,
          .rules = {{.on = "tools/list",
                     .times = 1,
                     .out = REPLY("{\"tools\":[" TOOL("a") "],\"nextCursor\":\"\"}")},
                    {.on = "tools/list",
                     .times = 1,
                     .out = REPLY("{\"tools\":[" TOOL("b") "],\"nextCursor\":\"z\"}")},
                    {.on = "tools/list", .out = REPLY("{\"tools\":[]}")}},
          .drive = list_twice},
         "tools: [" TOOL("a") "," TOOL("b") "] @0\ntools: [" TOOL("a") "," TOOL("b") "] @0\n",
         "0 "
         "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":"
         "\"2025-11-25\",\"capabilities\":{},\"clientInfo\":{\"name\":\"tutti\",\"version\":\"0."
         "1\"}}}\n"
         "0 {\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n"
         "0 {\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\"}\n"
         "0 {\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"tools/list\",\"params\":{\"cursor\":\"\"}}\n"
         "0 "
         "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"tools/"
         "list\",\"params\":{\"cursor\":\"z\"}}\n"},
        {"pages without end",
         {.rules = {{.on = "tools/list",
                     .out = REPLY("{\"tools\":[" TOOL("a") "],\"nextCursor\":\"x\"}")}},
          .drive = list_tools},
         "tools: limit: server 's': listing its tools: 'tools/list' gives more than 200 pages @0\n",
         NULL},
        {"no list",
         {.rules = {{.on = "tools/list", .out = REPLY("{\"tools\":7}")}}, .drive = list_tools},
         "tools: invalid: server 's': listing its tools: the result of 'tools/list' has no list "
         "'tools' @0\n",
         NULL},
        {"bad tools are left out",
         {.rules = {{.on = "tools/list",
                     .out = REPLY("{\"tools\":[" TOOL("") "," TOOL("a") "," TOOL("a") "," TOOL(
                         "x\\ny") ",{\"name\":\"n\"},{\"name\":3,\"inputSchema\":{}},"
                                  "7," TOOL("with/slash") "]}")}},
          .drive = list_tools},
         "tools: [" TOOL("a") "," TOOL("with/slash") "] @0\n",
         NULL},
        {"a burst of changes costs one further list",
         {.rules = {{.on = "tools/call",
                     .out = CHANGED CHANGED CHANGED CHANGED CHANGED TEXT("done")},
                    {.on = "tools/list", .times = 1, .out = REPLY("{\"tools\":[" TOOL("a") "]}")},
                    {.on = "tools/list", .out = REPLY("{\"tools\":[" TOOL("b") "]}")}},
          .drive = list_call_list},
         "tools: [" TOOL("a") "] @0\na: done @0\ntools: [" TOOL("b") "] @0\n",
         "0 initialize\n0 notifications/initialized\n0 tools/list\n0 tools/call\n0 tools/list\n"},
        {"a list that changes whenever it is read is read three times, not for ever",
         {.rules = {{.on = "tools/list", .out = CHANGED REPLY("{\"tools\":[" TOOL("a") "]}")}},
          .drive = list_tools},
         "tools: [" TOOL("a") "] @0\n",
         "0 initialize\n0 notifications/initialized\n0 tools/list\n0 tools/list\n0 tools/list\n"},
        {"a server without tools that does not know the method",
         {.rules =
              {{.on = "initialize",
                .out = REPLY("{\"protocolVersion\":\"2025-06-18\",\"capabilities\":{}}")},
               {.on = "tools/list",
                .out = MSG(
                    "\"id\":$ID,\"error\":{\"code\":-32601,\"message\":\"Method not found\"}")}},
          .drive = list_tools},
         "tools: [] @0\n",
         NULL},
    };
    fake_rows(rows, COUNT(rows));
}

static void
ask_others(struct fake *f, struct servers *s)
{
    json_t *r = NULL;
    struct err *e = servers_list(s, "s", "prompts/list", rt_after(1000), &r);
    fake_say(f, "prompts", e, r);
    e = servers_list(s, "s", "resources/templates/list", rt_after(1000), &r);
    fake_say(f, "templates", e, r);
    AUTO(json_freep) json_t *params = json_pack("{ss}", "uri", "demo://1");
    e = servers_request(
        s, &(struct servers_ask){"s", "resources/read", params, rt_after(1000), NULL}, &r);
    fake_say(f, "read", e, r);
    e = servers_request(
        s, &(struct servers_ask){"s", "completion/complete", NULL, rt_after(1000), NULL}, &r);
    fake_say(f, "complete", e, r);
    e = servers_request(
        s, &(struct servers_ask){"s", "logging/setLevel", NULL, rt_after(1000), NULL}, &r);
    fake_say(f, "level", e, r);
    e = servers_request(s, &(struct servers_ask){"s", "ping", NULL, rt_after(1000), NULL}, &r);
    fake_say(f, "ping", e, r);
    e = servers_request(s, &(struct servers_ask){"s", "prompts/get", NULL, rt_after(1000), NULL},
                        &r);
    fake_say(f, "prompt", e, r);
}

static void
other_requests(void **state)
{
    (void)state;
    static const struct fake_row rows[] = {
        {"prompts, resources, completion",
         {.rules =
              {{.on = "initialize", .out = HELLO("2025-11-25")},
               {.on = "prompts/list", .out = REPLY("{\"prompts\":[{\"name\":\"p\"}]}")},
               {.on = "resources/templates/list", .out = REPLY("{\"resourceTemplates\":[]}")},
               {.on = "resources/read",
                .out = MSG("\"id\":$ID,\"error\":{\"code\":-32002,\"message\":\"no such thing\"}")},
               {.on = "completion/complete", .out = REPLY("{\"completion\":{\"values\":[\"x\"]}}")},
               {.on = "logging/setLevel", .out = REPLY("7")},
               {.on = "prompts/get",
                .out = MSG(
                    "\"id\":$ID,\"error\":{\"code\":-32042,\"message\":\"log in\",\"data\":{"
                    "\"elicitations\":[{\"mode\":\"url\",\"url\":\"https://x.example/in\"}]}}")}},
          .drive = ask_others},
         "prompts: [{\"name\":\"p\"}] @0\ntemplates: [] @0\n"
         "read: missing: server 's': 'resources/read': no such thing @0\n"
         "complete: {\"completion\":{\"values\":[\"x\"]}} @0\n"
         "level: invalid: server 's': 'logging/setLevel': the result of 'logging/setLevel' is not "
         "an object @0\n"
         "ping: {} @0\n"
         "prompt: denied: server 's': 'prompts/get': log in; visit https://x.example/in @0\n",
         NULL},
    };
    fake_rows(rows, COUNT(rows));
}

/* ---- what the server asks -------------------------------------------------- */

static struct err *
elicit(void *ctx, const char *server, const json_t *params, json_t **ret_result)
{
    (void)ctx;
    PASS(fiber_sleep(json_int(params, "wait", 0)));
    if (strcmp(json_str(params, "message", ""), "no") == 0)
        return FAIL(ERR_DENIED, "refused by '%s' user", server);
    *ret_result = json_pack("{ss s{ss}}", "action", "accept", "content", "who", server);
    return NULL;
}

static void
log_hook(void *ctx, const char *server, const char *level, const char *logger, const char *text)
{
    struct fake *f = ctx;
    str_addf(&f->log, "log %s %s [%s] %s\n", server, level, logger, text);
}

static void
call_and_linger(struct fake *f, struct servers *s)
{
    f->arg = NULL;
    fake_call(f, s, "echo", "a", 1000);
    err_drop(fiber_sleep(500));
}

/* Their requests are answered side by side, so the order of the answers is free. */
static void
server_requests(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "\"capabilities\":{\"roots\":{}}",
        "0 "
        "{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{\"roots\":[{\"uri\":\"file:///base/"
        "c\",\"name\":\"c\"},"
        "{\"uri\":\"file:///\",\"name\":\"/\"},{\"uri\":\"file:///x\",\"name\":\"X\"}]}}\n",
        "0 {\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{}}\n",
        "0 {\"jsonrpc\":\"2.0\",\"id\":\"3\",\"result\":{}}\n",
        "0 {\"jsonrpc\":\"2.0\",\"id\":2,\"error\":{\"code\":-32601,\"message\":\"Method not "
        "found\"}}\n",
        "0 {\"jsonrpc\":\"2.0\",\"id\":4,\"error\":{\"code\":-32601,\"message\":\"Method not "
        "found\"}}\n",
        "0 {\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"tools/call\",\"params\":{\"name\":\"echo\","
        "\"arguments\":{\"text\":\"a\"}}}\n"};
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct fake f = {
            .seed = seed,
            .logs_all = true,
            .def = "{\"command\": \"fake\", \"roots\": [\"./a b/../c\", \"/\", {\"uri\": "
                   "\"file:///x\", "
                   "\"name\": \"X\"}]}",
            .rules = {{.on = "notifications/initialized",
                       .out = MSG("\"id\":0,\"method\":\"roots/list\"") MSG(
                           "\"id\":3,\"method\":\"ping\"") MSG("\"id\":\"3\",\"method\":\"ping\"")
                           MSG("\"id\":2,\"method\":\"what/ever\"")
                               MSG("\"id\":4,\"method\":\"elicitation/create\",\"params\":{}")}},
            .drive = call_and_linger};
        fake_run(&f);
        assert_string_equal(str_c(&f.log), "echo: a @0\n");
        for (size_t i = 0; i < COUNT(answers); i++)
            assert_non_null(strstr(str_c(&f.got), answers[i]));
        fake_fini(&f);
    }
}

static void
batches(void **state)
{
    (void)state;
    static const struct fake_row rows[] = {
        {"a batch under 2025-03-26",
         {.rules = {{.on = "initialize", .out = HELLO("2025-03-26")},
                    {.on = "tools/call",
                     .out = "[{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"ping\"},{\"jsonrpc\":\"2."
                            "0\",\"id\":$ID,"
                            "\"result\":{\"content\":[]}},7]\n"}},
          .drive = call_and_linger},
         "echo:  @0\n",
         NULL},
        {"a batch under a later revision is refused; the call runs into its time-out",
         {.rules = {{.on = "tools/call",
                     .out = "[{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{\"content\":[]}}]\n"}},
          .drive = call_once},
         "echo: timeout?: server 's': tool 'echo': no answer in time @1000\n",
         NULL},
    };
    fake_rows(rows, COUNT(rows));
}

static void
elicitation(void **state)
{
    (void)state;
    static const struct rule rules[] = {
        {.on = "notifications/initialized",
         .out = MSG("\"id\":1,\"method\":\"elicitation/"
                    "create\",\"params\":{\"message\":\"yes\",\"wait\":100}")
             MSG("\"id\":2,\"method\":\"elicitation/"
                 "create\",\"params\":{\"message\":\"no\",\"wait\":20}")
                 MSG("\"id\":3,\"method\":\"elicitation/"
                     "create\",\"params\":{\"message\":\"yes\",\"wait\":90}")},
        {.on = "tools/call",
         .delay_ms = 50, /* takes the third back */
         .out = MSG("\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":3}")
             MSG("\"method\":\"notifications/"
                 "message\",\"params\":{\"level\":\"error\",\"logger\":\"l\","
                 "\"data\":{\"a\":1}}") TEXT("ok")}};
    struct fake f = {.logs_all = true, .drive = call_and_linger};
    f.hooks = (struct servers_hooks){.ctx = &f, .elicit = elicit, .log = log_hook};
    memcpy(f.rules, rules, sizeof rules);
    fake_run(&f);
    assert_string_equal(str_c(&f.log), "log s error [l] {\"a\":1}\necho: ok @50\n");
    assert_non_null(
        strstr(str_c(&f.got), "\"capabilities\":{\"elicitation\":{\"form\":{},\"url\":{}}}"));
    const char *replies = strstr(str_c(&f.got), "50 {\"jsonrpc\":\"2.0\",\"id\":2");
    assert_non_null(replies);
    assert_string_equal(
        replies, "50 {\"jsonrpc\":\"2.0\",\"id\":2,\"error\":{\"code\":-1,\"message\":\"refused by "
                 "'s' user\"}}\n"
                 "100 "
                 "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"action\":\"accept\",\"content\":{"
                 "\"who\":\"s\"}}}\n");
    fake_fini(&f);
}

/* ---- cancelling and progress ----------------------------------------------- */

static void
one_call(void *arg)
{
    void **a = arg;
    fake_call(a[0], a[1], "slow", "x", 9000);
}

static void
cancel_a_call(struct fake *f, struct servers *s)
{
    struct scope scope;
    void *a[] = {f, s};
    scope_open(&scope, DEADLINE_NONE);
    scope_spawn(&scope, "call", one_call, a);
    err_drop(fiber_sleep(100));
    scope_cancel(&scope);
    err_drop(scope_close(&scope));
    err_drop(fiber_sleep(400)); /* the late reply comes */
    fake_call(f, s, "echo", "still fine", 1000);
}

static void
on_progress(void *ctx, double progress, double total, const char *message)
{
    struct fake *f = ctx;
    str_addf(&f->log, "%g of %g %s @%lld\n", progress, total, message ? message : "-",
             (long long)rt_now_ms());
}

static void
call_with_all(struct fake *f, struct servers *s)
{
    json_t *result = NULL;
    struct servers_call c = {.server = "s",
                             .tool = "echo",
                             .key = "run-1/a",
                             .deadline_ms = rt_after(1000),
                             .on_progress = on_progress,
                             .progress_ctx = f};
    struct err *e = servers_call(s, &c, &result);
    fake_say(f, "echo", e, result);
    AUTO(json_freep) json_t *list = json_array();
    c.args = list;
    e = servers_call(s, &c, &result);
    fake_say(f, "args", e, result);
}

static void
calls(void **state)
{
    (void)state;
    static const struct fake_row rows[] = {
        {"cancelled: told, left at once, the late reply ignored",
         {.logs_all = true,
          .rules = {{.on = "initialize", .out = HELLO("2025-11-25")},
                    {.on = "tools/list",
                     .out = REPLY("{\"tools\":[" TOOL("slow") "," TOOL("echo") "]}")},
                    {.on = "tools/call:slow", .delay_ms = 300, .out = TEXT("late")}},
          .drive = cancel_a_call},
         "slow: cancelled?: server 's': tool 'slow': cancelled @100\necho: still fine @500\n",
         NULL},
        {"key and progress",
         {.logs_all = true,
          .rules =
              {{.on = "tools/call",
                .out = MSG("\"method\":\"notifications/"
                           "progress\",\"params\":{\"progressToken\":3,\"progress\":1,"
                           "\"total\":4,\"message\":\"m\"}")
                    MSG("\"method\":\"notifications/"
                        "progress\",\"params\":{\"progressToken\":\"other\",\"progress\":3}")
                        MSG("\"method\":\"notifications/"
                            "progress\",\"params\":{\"progressToken\":3,\"progress\":2.5}")
                            TEXT("done")
                                MSG("\"method\":\"notifications/"
                                    "progress\",\"params\":{\"progressToken\":3,\"progress\":9}")}},
          .drive = call_with_all},
         "1 of 4 m @0\n2.5 of -1 - @0\necho: done @0\n"
         "args: invalid: server 's': tool 'echo': the arguments of a tool are an object @0\n",
         "0 "
         "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":"
         "\"2025-11-25\",\"capabilities\":{},\"clientInfo\":{\"name\":\"tutti\",\"version\":\"0."
         "1\"}}}\n"
         "0 {\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n"
         "0 {\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\"}\n"
         "0 "
         "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"tools/"
         "call\",\"params\":{\"name\":\"echo\",\"arguments\":{},"
         "\"_meta\":{\"progressToken\":3,\"tutti/idempotency-key\":\"run-1/a\"}}}\n"},
        {"errors by code",
         {.rules = {{.on = "tools/call",
                     .times = 1,
                     .out = MSG("\"id\":$ID,\"error\":{\"code\":-32603,\"message\":\"oops\"}")}},
          .drive = call_once},
         "echo: transient?: server 's': tool 'echo': oops (error -32603) @0\n",
         NULL},
        {"a tool's own failure is a result",
         {.rules = {{.on = "tools/call",
                     .out = REPLY("{\"content\":[{\"type\":\"text\",\"text\":\"no such "
                                  "file\"}],\"isError\":true}")}},
          .drive = call_once},
         "echo: no such file [isError] @0\n",
         NULL},
        {"structured content that does not fit",
         {.rules = {{.on = "tools/list",
                     .out = REPLY("{\"tools\":[{\"name\":\"echo\",\"inputSchema\":{},"
                                  "\"outputSchema\":{\"type\":\"object\","
                                  "\"properties\":{\"n\":{\"type\":\"integer\"}}}}]}")},
                    {.on = "tools/call",
                     .out = REPLY("{\"content\":[],\"structuredContent\":{\"n\":\"x\"}}")}},
          .drive = call_once},
         "echo: {\"n\":\"x\"}\n[the structured content does not fit the tool's output schema: /n: "
         "expected an "
         "integer, found \"x\"] @0\n",
         NULL},
        {"structured content that fits; an output schema that is none",
         {.rules = {{.on = "tools/list",
                     .out = REPLY("{\"tools\":[{\"name\":\"echo\",\"inputSchema\":{},"
                                  "\"outputSchema\":{\"type\":7}}]}")},
                    {.on = "tools/call",
                     .out = REPLY("{\"content\":[],\"structuredContent\":{\"n\":\"x\"}}")}},
          .drive = call_once},
         "echo: {\"n\":\"x\"} @0\n",
         NULL},
    };
    fake_rows(rows, COUNT(rows));
}

/* ---- roots ----------------------------------------------------------------- */

static void
file_uris(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"/base", "a", "file:///base/a"},
        {"/base", "./a/./b/", "file:///base/a/b"},
        {"/base", "../a", "file:///a"},
        {"/base", "../../../a", "file:///a"},
        {"/base", "/abs dir/x", "file:///abs%20dir/x"},
        {"/", "", "file:///"},
        {"/base", "../", "file:///"},
        {"/b", "50%#?", "file:///b/50%25%23%3F"},
        {"/b", "h\xc3\xa9", "file:///b/h%C3%A9"},
        {"/b", ".hidden/..x", "file:///b/.hidden/..x"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *uri = file_uri(rows[i][0], rows[i][1]);
        assert_string_equal(uri, rows[i][2]);
        free(uri);
    }
}

TESTS(session_test, cmocka_unit_test(handshakes), cmocka_unit_test(lists),
      cmocka_unit_test(other_requests), cmocka_unit_test(server_requests),
      cmocka_unit_test(batches), cmocka_unit_test(elicitation), cmocka_unit_test(calls),
      cmocka_unit_test(file_uris))
