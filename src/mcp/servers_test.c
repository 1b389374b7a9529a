/* servers_test.c - sharing, permissions, idleness, crowds and crashes, in virtual time. */
#include "base/test.h"
#include "mcp/fakemcp_test.h"
#include "mcp/servers.h"
#include "rt/fiber.h"
#include "rt/rt.h"

#define OK_TEXT(t)                                                                                 \
    "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"" t    \
    "\"}]}}\n"

static void
call_once(struct fake *f, struct servers *s)
{
    fake_call(f, s, "echo", "a", 100000);
}

/* ---- sharing --------------------------------------------------------------- */

struct caller {
    struct fake *f;
    struct servers *s;
    const char *tool, *text;
    int64_t wait_ms, ms;
};

static void
caller_run(void *arg)
{
    struct caller *c = arg;
    if (c->wait_ms)
        err_drop(fiber_sleep(c->wait_ms));
    fake_call(c->f, c->s, c->tool, c->text, c->ms);
}

static void
call_together(struct fake *f, struct servers *s)
{
    struct caller c[] = {{f, s, "echo", "x", 0, 9000},
                         {f, s, "echo", "x", 0, 9000},
                         {f, s, "echo", "x", 10, 9000},
                         {f, s, "echo", "impatient", 0, 50}};
    struct scope scope;
    scope_open(&scope, DEADLINE_NONE);
    for (size_t i = 0; i < COUNT(c); i++)
        scope_spawn(&scope, "caller", caller_run, &c[i]);
    err_drop(scope_close(&scope));
}

static void
cancel_the_first(struct fake *f, struct servers *s)
{
    struct caller one = {f, s, "echo", "gone", 0, 9000}, two = {f, s, "echo", "stays", 0, 9000};
    struct scope first, second;
    scope_open(&second, DEADLINE_NONE);
    scope_open(&first, DEADLINE_NONE);
    scope_spawn(&first, "caller", caller_run, &one);
    err_drop(fiber_sleep(5));
    scope_spawn(&second, "caller", caller_run, &two);
    err_drop(fiber_sleep(5));
    scope_cancel(&first);
    err_drop(scope_close(&first));
    err_drop(scope_close(&second));
}

static void
close_while_calling(struct fake *f, struct servers *s)
{
    static struct caller one;
    one = (struct caller){f, s, "slow", "x", 0, 9000};
    struct scope first;
    scope_open(&first, rt_after(700));
    scope_spawn(&first, "caller", caller_run, &one);
    fake_say(f, "scope", scope_close(&first), NULL);
}

static void
sharing(void **state)
{
    (void)state;
    static const struct fake_row rows[] = {
        {"one start for all; who cannot wait leaves",
         {.rules = {{.on = "notifications/initialized", .delay_ms = 100}}, .drive = call_together},
         "echo: timeout: server 's': listing its tools: no answer in time @50\n"
         "echo: x @100\necho: x @100\necho: x @100\n",
         NULL,
         1,
         100},
        {"the one who began the start leaves, the other gets it",
         {.rules = {{.on = "notifications/initialized", .delay_ms = 100}},
          .drive = cancel_the_first},
         "echo: cancelled: server 's': listing its tools: cancelled @10\necho: stays @100\n",
         NULL,
         1,
         100},
        {"the caller's own deadline ends a call at once",
         {.rules = {{.on = "tools/call:slow"}}, .drive = close_while_calling},
         "slow: timeout?: server 's': tool 'slow': no answer in time @700\nscope: timeout: timed "
         "out @700\n",
         "0 initialize\n0 notifications/initialized\n0 tools/list\n0 tools/call\n"
         "700 notifications/cancelled\n",
         1,
         700},
    };
    fake_rows(rows, COUNT(rows));
}

/* ---- names, permissions, idleness ------------------------------------------ */

static void
call_names(struct fake *f, struct servers *s)
{
    fake_call(f, s, "ecko", "a", 1000);
    fake_call(f, s, "something else", "a", 1000);
    fake_call(f, s, "slow", "a", 1000);
    json_t *tools = NULL;
    struct err *e =
        servers_tools(s, &(struct servers_whose){.server = "s"}, rt_after(1000), &tools);
    fake_say(f, "tools", e, tools);
    json_t *result = NULL;
    e = servers_call(s, &(struct servers_call){.server = "ss", .tool = "echo", .deadline_ms = 1},
                     &result);
    fake_say(f, "server", e, result);
    e = servers_request(s, &(struct servers_ask){"s", "prompts/get", NULL, rt_after(1000), NULL},
                        &result);
    fake_say(f, "prompt", e, result);
    e = servers_list(s, "s", "resources/list", rt_after(1000), &result);
    fake_say(f, "resources", e, result);
    fake_say(f, "again", servers_add(s, "s", json_null()), NULL);
}

static void
idle_a_while(struct fake *f, struct servers *s)
{
    fake_call(f, s, "echo", "a", 1000);
    err_drop(fiber_sleep(800));
    fake_call(f, s, "echo", "b", 1000);
    err_drop(fiber_sleep(1500));
    fake_call(f, s, "echo", "c", 1000);
}

static void
start_required(struct fake *f, struct servers *s)
{
    fake_say(f, "required", servers_start_required(s, rt_after(5000)), NULL);
}

static void
names_and_rest(void **state)
{
    (void)state;
    static const struct fake_row rows[] = {
        {"names",
         {.def = "{\"command\": \"fake\", \"tools\": {\"allow\": [\"e*\", \"s.so*\"]}}",
          .drive = call_names},
         "ecko: invalid: server 's': it has no tool 'ecko' (did you mean 'echo'?) @0\n"
         "something else: invalid: server 's': it has no tool 'something else'; it has 2 others "
         "@0\n"
         "slow: denied: server 's': its setting 'tools' does not allow 'slow' @0\n"
         "tools: [{\"name\":\"echo\",\"inputSchema\":{\"type\":\"object\"}}] @0\n"
         "server: missing: there is no server 'ss'; servers are listed under 'mcp_servers' @0\n"
         "prompt: missing: server 's': 'prompts/get': it offers no prompts @0\n"
         "resources: missing: server 's': 'resources/list': it offers no resources @0\n"
         "again: invalid: there is already a server 's' @0\n",
         NULL,
         1,
         0},
        {"idle for a second: stopped, and started again by the next use",
         {.def = "{\"command\": \"fake\", \"idle_timeout\": 1000}", .drive = idle_a_while},
         "echo: a @0\necho: b @800\necho: c @2300\n",
         NULL,
         2,
         2300},
        {"neither command nor url",
         {.def = "{}", .drive = call_once},
         "adding: invalid: server 's' has neither 'command' nor 'url' @0\n",
         NULL,
         0,
         0},
        {"url", /* until the HTTP transport is there */
         {.def = "{\"url\": \"http://x/mcp\"}", .drive = call_once},
         "echo: invalid: server 's': starting it: 'url': only servers started by 'command' can be "
         "reached "
         "so far @0\n",
         NULL,
         0,
         0},
        {"required and broken",
         {.rules = {{.on = "initialize", .exit = 6}},
          .def = "{\"command\": \"fake\", \"required\": true}",
          .drive = start_required},
         "required: transient: server 's': starting it: it ended with status 5 @10\n",
         NULL,
         1,
         10},
        {"required and well",
         {.def = "{\"command\": \"fake\", \"required\": true}", .drive = start_required},
         "required: ok @0\n",
         "0 initialize\n0 notifications/initialized\n",
         1,
         0},
    };
    fake_rows(rows, COUNT(rows));
}

/* ---- several connections, crowds, crashes, texts to be resolved ------------ */

static void
crowd(struct fake *f, struct servers *s)
{
    struct caller c[6];
    struct scope scope;
    fake_call(f, s, "echo", "warm", 1000);
    scope_open(&scope, DEADLINE_NONE);
    for (size_t i = 0; i < COUNT(c); i++) {
        c[i] = (struct caller){f, s, "slow", "x", (int64_t)i * 10, 90000};
        scope_spawn(&scope, "caller", caller_run, &c[i]);
    }
    err_drop(scope_close(&scope));
}

static void
connections(void **state)
{
    (void)state;
    static const struct fake_row rows[] = {
        {"one connection: a server that works one by one makes them queue",
         {.rules = {{.on = "tools/call:slow", .delay_ms = 100, .out = OK_TEXT("s")}},
          .drive = crowd},
         "echo: warm @0\nslow: s @100\nslow: s @200\nslow: s @300\nslow: s @400\nslow: s "
         "@500\nslow: s "
         "@600\n",
         NULL,
         1,
         600},
        {"three connections: opened as they are missed, and waited for",
         {.rules = {{.on = "tools/call:slow", .delay_ms = 100, .out = OK_TEXT("s")}},
          .def = "{\"command\": \"fake\", \"max_connections\": 3}",
          .drive = crowd},
         "echo: warm @0\nslow: s @100\nslow: s @110\nslow: s @120\nslow: s @200\nslow: s "
         "@210\nslow: s @220\n",
         NULL,
         3,
         220},
    };
    fake_rows(rows, COUNT(rows));
}

static void
call_for(struct fake *f, struct servers *s, const char *run, const char *text)
{
    AUTO(json_freep) json_t *args = json_pack("{ss}", "text", text);
    json_t *result = NULL;
    struct servers_call c = {
        .server = "s", .tool = "echo", .run = run, .args = args, .deadline_ms = rt_after(1000)};
    struct err *e = servers_call(s, &c, &result);
    fake_say(
        f, run ? run : "nobody", e,
        json_string(
            e ? "" : json_str(json_array_get(json_object_get(result, "content"), 0), "text", "")));
    json_decref(result);
}

static void
two_runs(struct fake *f, struct servers *s)
{
    call_for(f, s, "r1", "1");
    call_for(f, s, "r2", "2");
    call_for(f, s, "r1", "3");
    call_for(f, s, NULL, "4");
    servers_run_over(s, "r1");
    servers_run_over(s, "r3");
    call_for(f, s, "r1", "5");
    servers_run_over(s, "r1");
    err_drop(fiber_sleep(100));
    fake_say(f, "pools", NULL, servers_pools(s));
}

/* What is asked of one tool again and again is in the list that was given once. */
static void
ask_of_tools(struct fake *f, struct servers *s)
{
    static const char *const tools[] = {"echo", "slow", "echo", "ecko", "echo"};
    const struct servers_whose whose = {.server = "s"};
    for (size_t i = 0; i < COUNT(tools); i++) {
        json_t *tool = NULL;
        struct err *e = servers_tool(s, &whose, tools[i], rt_after(1000), &tool);
        fake_say(f, tools[i], e, tool);
        fake_call(f, s, "echo", "a", 1000);
    }
}

static void
listed_once(void **state)
{
    (void)state;
    static const struct fake_row rows[] = {
        {"a server that announces changes: listed once, and once more after each",
         {.rules = {{.on = "tools/call",
                     .times = 1,
                     .out = OK_TEXT("changed") "{\"jsonrpc\":\"2.0\",\"method\":"
                                               "\"notifications/tools/list_changed\"}\n"}},
          .def = "{\"command\": \"fake\", \"tools\": {\"deny\": [\"slow\"]}}",
          .drive = ask_of_tools},
         "echo: {\"name\":\"echo\",\"inputSchema\":{\"type\":\"object\"}} @0\n"
         "echo: changed @0\n"
         "slow: denied: server 's': its setting 'tools' does not allow 'slow' @0\n"
         "echo: a @0\n"
         "echo: {\"name\":\"echo\",\"inputSchema\":{\"type\":\"object\"}} @0\n"
         "echo: a @0\n"
         "ecko: invalid: server 's': it has no tool 'ecko' (did you mean 'echo'?) @0\n"
         "echo: a @0\n"
         "echo: {\"name\":\"echo\",\"inputSchema\":{\"type\":\"object\"}} @0\n"
         "echo: a @0\n",
         "0 initialize\n0 notifications/initialized\n0 tools/list\n0 tools/call\n0 tools/list\n0 "
         "tools/call\n0 tools/call\n0 tools/call\n0 tools/call\n",
         1,
         0},
        {"one that does not: once, and once more for a tool that is not there",
         {.rules = {{.on = "initialize",
                     .out = "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{\"protocolVersion\":"
                            "\"2025-06-18\",\"capabilities\":{\"tools\":{}}}}\n"}},
          .drive = ask_of_tools},
         "echo: {\"name\":\"echo\",\"inputSchema\":{\"type\":\"object\"}} @0\n"
         "echo: a @0\n"
         "slow: {\"name\":\"slow\",\"inputSchema\":{\"type\":\"object\"}} @0\n"
         "echo: a @0\n"
         "echo: {\"name\":\"echo\",\"inputSchema\":{\"type\":\"object\"}} @0\n"
         "echo: a @0\n"
         "ecko: invalid: server 's': it has no tool 'ecko' (did you mean 'echo'?) @0\n"
         "echo: a @0\n"
         "echo: {\"name\":\"echo\",\"inputSchema\":{\"type\":\"object\"}} @0\n"
         "echo: a @0\n",
         "0 initialize\n0 notifications/initialized\n0 tools/list\n0 tools/call\n0 tools/call\n0 "
         "tools/call\n0 tools/list\n0 tools/call\n0 tools/call\n",
         1,
         0},
    };
    fake_rows(rows, COUNT(rows));
}

#define RESTS(idle)                                                                                \
    "\"in_use\":0,\"idle\":" idle ",\"opening\":0,\"waiting\":0,\"closed_idle\":0,\"evicted\":0,"  \
    "\"unhealthy\":0,\"lost\":0,\"wait_ms\":0,\"wait_ms_max\":0}"

/* Each run has a process of its own, which ends with it. */
static void
not_shared(void **state)
{
    (void)state;
    struct fake f = {.def = "{\"command\": \"fake\", \"shared\": false}", .drive = two_runs};
    fake_run(&f);
    assert_string_equal(
        str_c(&f.log),
        "r1: \"1\" @0\nr2: \"2\" @0\nr1: \"3\" @0\nnobody: \"4\" @0\nr1: \"5\" @0\npools: ["
        "{\"server\":\"s\",\"opened\":1,\"failed\":0,\"taken\":1,\"reused\":0," RESTS(
            "1") ",{\"server\":\"s\",\"run\":\"r2\",\"opened\":1,\"failed\":0,\"taken\":1,"
                 "\"reused\":0," RESTS("1") ",{\"opened\":2,\"failed\":0,\"taken\":3,\"reused\":"
                                            "1," RESTS("0") "] @100\n");
    assert_int_equal(f.starts, 4);
    fake_fini(&f);
}

static void
two_servers(struct fake *f, struct servers *s)
{
    AUTO(json_freep) json_t *def = json_pack("{ss}", "command", "fake");
    json_t *tools = NULL;
    struct caller busy = {f, s, "slow", "x", 0, 9000};
    struct scope scope;
    fake_say(f, "adding", servers_add(s, "t", def), NULL);
    servers_limit(s, 1, 0);
    scope_open(&scope, DEADLINE_NONE);
    scope_spawn(&scope, "caller", caller_run, &busy);
    err_drop(fiber_sleep(10));
    struct err *e = servers_tools(s, &(struct servers_whose){.server = "t"}, rt_after(50), &tools);
    fake_say(f, "t", e, tools);
    tools = NULL;
    e = servers_tools(s, &(struct servers_whose){.server = "t"}, rt_after(500), &tools);
    fake_say(f, "t", e, e ? NULL : json_integer((json_int_t)json_array_size(tools)));
    json_decref(e ? NULL : tools);
    err_drop(scope_close(&scope));
    servers_limit(s, 0, 0);
    fake_say(f, "known", NULL, json_boolean(servers_has(s, "t") && !servers_has(s, "u")));
}

/* One process at a time: the other server waits until the first one rests. */
static void
limited(void **state)
{
    (void)state;
    static const struct fake_row rows[] = {
        {"one process in all",
         {.rules = {{.on = "tools/call:slow", .delay_ms = 200, .out = OK_TEXT("s")}},
          .drive = two_servers},
         "adding: ok @0\n"
         "t: timeout: server 't': waiting for a connection: all 1 are in use (settings: "
         "max_connections): timed out @60\n"
         "slow: s @200\nt: 2 @200\nknown: true @200\n",
         NULL,
         2,
         -1},
    };
    fake_rows(rows, COUNT(rows));
}

static struct err *
elicit_never(void *ctx, const char *server, const json_t *params, json_t **ret_result)
{
    (void)server, (void)params, (void)ret_result;
    ++*(unsigned *)ctx;
    return fiber_park(DEADLINE_NONE);
}

/* A server that asks 200 times at once gets 64 fibers and 136 refusals; its end ends them. */
static void
asked_too_much(void **state)
{
    (void)state;
    unsigned asked = 0, refused = 0;
    struct str out = STR_INIT;
    for (int i = 0; i < 200; i++)
        str_addf(&out, "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"elicitation/create\"}\n", i);
    str_add(&out, OK_TEXT("ok"));
    struct fake f = {
        .rules = {{.on = "tools/call", .out = out.p}}, .drive = call_once, .logs_all = true};
    f.hooks = (struct servers_hooks){.ctx = &asked, .elicit = elicit_never};
    fake_run(&f);
    for (const char *at = str_c(&f.got); (at = strstr(at, "too many requests at once")); at++)
        refused++;
    assert_string_equal(str_c(&f.log), "echo: ok @0\n");
    assert_true(asked <= 64);
    assert_true(refused == 0 || refused == 136); /* 0: the end came before they were written */
    fake_fini(&f);
    str_fini(&out);
}

static void
crash_at(void *arg)
{
    err_drop(fiber_sleep((int64_t)(intptr_t)arg));
    sim_crash();
}

static void
crash_drive(struct fake *f, struct servers *s)
{
    struct caller c[] = {
        {f, s, "slow", "1", 0, 9000}, {f, s, "echo", "2", 5, 9000}, {f, s, "slow", "3", 30, 20}};
    struct scope scope;
    scope_open(&scope, DEADLINE_NONE);
    scope_spawn(&scope, "crash", crash_at, f->arg);
    for (size_t i = 0; i < COUNT(c); i++)
        scope_spawn(&scope, "caller", caller_run, &c[i]);
    err_drop(scope_close(&scope));
}

/* Whatever waits when everything stops, it unwinds; nothing leaks and nothing spins. */
static void
crashes(void **state)
{
    (void)state;
    for (intptr_t ms = 0; ms < 200; ms += 7) {
        for (uint64_t seed = 1; seed <= 3; seed++) {
            struct fake f = {
                .rules = {{.on = "initialize", .start = 1, .delay_ms = 10, .exit = 3},
                          {.on = "tools/list", .delay_ms = 15, .times = 1},
                          {.on = "tools/call:slow", .delay_ms = 40, .out = OK_TEXT("s")}},
                .def = "{\"command\": \"fake\", \"idle_timeout\": 10, \"call_timeout\": 60}",
                .drive = crash_drive,
                .seed = seed,
                .arg = (void *)ms};
            fake_run(&f);
            fake_fini(&f);
        }
    }
}

static struct err *
expand_upper(void *ctx, const char *text, char **ret_text)
{
    if (strstr(text, "${MISSING}"))
        return FAIL(ERR_MISSING, "the variable MISSING is not set");
    *(int *)ctx += 1;
    *ret_text = xstrdup(text);
    return NULL;
}

static void
expand_in_fiber(void *arg)
{
    static const char *const defs[][2] = {
        {"a", "{\"command\": \"${MISSING}\"}"},
        {"b", "{\"command\": \"x\", \"args\": [\"1\", \"${MISSING}\"]}"},
        {"c", "{\"command\": \"x\", \"env\": {\"KEY\": \"${MISSING}\"}}"},
        {"d", "{\"command\": \"x\", \"cwd\": \"${MISSING}\"}"},
        {"e", "{\"command\": \"x\", \"roots\": [\"${MISSING}\"]}"},
        {"f", "{\"command\": \"x\", \"roots\": [7]}"},
        {"g", "{\"command\": \"x\", \"args\": [1, true], \"env\": {\"A\": 1}}"},
    };
    struct fake *f = arg;
    int count = 0;
    struct servers *s =
        servers_new(&(struct servers_opts){.expand = expand_upper, .expand_ctx = &count});
    for (size_t i = 0; i < COUNT(defs); i++) {
        AUTO(json_freep) json_t *def = NULL;
        json_t *tools = NULL;
        struct err *e = json_parse(defs[i][1], strlen(defs[i][1]), &def);
        if (!e)
            e = servers_add(s, defs[i][0], def);
        if (!e)
            e = servers_tools(s, &(struct servers_whose){.server = defs[i][0]}, rt_after(1000),
                              &tools);
        fake_say(f, defs[i][0], e, tools);
    }
    servers_free(s);
}

static void
texts_resolved(void **state)
{
    (void)state;
    struct fake f = {0};
    struct rt *rt;
    assert_ok(rt_open(&(struct rt_opts){.simulated = true, .seed = 1}, &rt));
    rt_run(rt, expand_in_fiber, &f); /* no process can be started in this world: g gets that far */
    rt_close(rt);
    assert_string_equal(
        str_c(&f.log),
        "a: missing: server 'a': starting it: 'command': the variable MISSING is not set @0\n"
        "b: missing: server 'b': starting it: 'args', number 2: the variable MISSING is not set "
        "@0\n"
        "c: missing: server 'c': starting it: 'env', 'KEY': the variable MISSING is not set @0\n"
        "d: missing: server 'd': starting it: 'cwd': the variable MISSING is not set @0\n"
        "e: missing: server 'e': starting it: 'roots', number 1: the variable MISSING is not set "
        "@0\n"
        "f: invalid: server 'f': starting it: 'roots', number 1: neither a path nor an object with "
        "'uri' or "
        "'path' @0\n"
        "g: missing: server 'g': starting it: running 'x': no such program in PATH @0\n");
    fake_fini(&f);
}

TESTS(servers_test, cmocka_unit_test(sharing), cmocka_unit_test(names_and_rest),
      cmocka_unit_test(connections), cmocka_unit_test(listed_once), cmocka_unit_test(not_shared),
      cmocka_unit_test(limited), cmocka_unit_test(asked_too_much), cmocka_unit_test(crashes),
      cmocka_unit_test(texts_resolved))
