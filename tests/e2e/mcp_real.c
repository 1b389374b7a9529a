/* mcp_real.c - the MCP client against real servers and against real processes that misbehave.
 *
 *   mcp_real [NAME...]      (run where tools/fetch-servers was run; all tests without a name)
 *
 * One line a test, then "N passed, N failed". A test is a function that says what it expects; each
 * has a table of servers of its own. Times are bounded, not compared: this machine is the real one.
 */
#include "base/units.h"
#include "mcp/content.h"
#include "mcp/servers.h"
#include "rt/fiber.h"
#include "rt/file.h"
#include "rt/rt.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NODE(name) "\"build/npm/node_modules/@modelcontextprotocol/" name "/dist/index.js\""
#define PY(name)   "\"build/venv/bin/" name "\""
#define BAD(habit)                                                                                 \
    "{\"command\": \"python3\", \"args\": [\"tests/fake/mcp_bad.py\", \"" habit "\"], "

static unsigned wrong; /* in the running test */
static char dir[] = "/tmp/tutti-mcp-XXXXXX";

static void
expect(bool ok, const char *what, const char *seen)
{
    if (ok)
        return;
    wrong++;
    printf("    expected %s, saw: %.600s\n", what, seen ? seen : "");
}

static void
add(struct servers *s, const char *name, const char *def)
{
    AUTO(json_freep) json_t *j = NULL;
    struct err *e = json_parse(def, strlen(def), &j);
    if (!e)
        e = servers_add(s, name, j);
    expect(!e, "a definition", def);
    err_free(e);
}

/* What a call gave, as "text", "text [isError]" or "kind: text". */
static char *
call_with(struct servers *s, struct servers_call *c, const char *args)
{
    AUTO(json_freep) json_t *a = NULL;
    AUTO(json_freep) json_t *result = NULL;
    struct str seen = STR_INIT;
    struct err *e = args ? json_parse(args, strlen(args), &a) : NULL;
    c->args = a;
    if (!c->deadline_ms)
        c->deadline_ms = rt_after(30000);
    if (!e)
        e = servers_call(s, c, &result);
    if (e) {
        AUTO(freep) char *text = err_text(e);
        str_addf(&seen, "%s: %s", err_kind_name(err_kind(e)), text);
        err_free(e);
    } else if (tool_result_text(result, 100000, &seen)) {
        str_add(&seen, " [isError]");
    }
    c->args = NULL;
    return str_steal(&seen);
}

static char *
call(struct servers *s, const char *server, const char *tool, const char *args)
{
    return call_with(s, &(struct servers_call){.server = server, .tool = tool}, args);
}

static void
expect_call(struct servers *s, const char *server, const char *tool, const char *args,
            const char *part)
{
    AUTO(freep) char *seen = call(s, server, tool, args);
    expect(strstr(seen, part) != NULL, part, seen);
}

static void
expect_ask(struct servers *s, const char *server, const char *method, const char *params,
           const char *part)
{
    AUTO(json_freep) json_t *p = NULL;
    AUTO(json_freep) json_t *result = NULL;
    struct err *e = params ? json_parse(params, strlen(params), &p) : NULL;
    if (!e && str_ends(method, "/list"))
        e = servers_list(s, server, method, rt_after(30000), &result);
    else if (!e)
        e = servers_request(s, &(struct servers_ask){server, method, p, rt_after(30000), NULL},
                            &result);
    AUTO(freep) char *seen = e ? err_text(e) : json_text(result);
    expect(strstr(seen, part) != NULL, part, seen);
    err_free(e);
}

static void
expect_tools(struct servers *s, const char *server, size_t at_least, const char *one)
{
    AUTO(json_freep) json_t *tools = NULL;
    struct err *e =
        servers_tools(s, &(struct servers_whose){server, NULL}, rt_after(30000), &tools);
    AUTO(freep) char *seen = e ? err_text(e) : json_text(tools);
    expect(!e && json_array_size(tools) >= at_least && strstr(seen, one), one, seen);
    err_free(e);
}

/* ---- real servers --------------------------------------------------------------------------- */

static void
filesystem(struct servers *s)
{
    char def[600], args[600];
    snprintf(def, sizeof def,
             "{\"command\": \"node\", \"args\": [" NODE("server-filesystem") ", \"%s\"]}", dir);
    add(s, "files", def);
    expect_tools(s, "files", 10, "\"write_file\"");
    snprintf(args, sizeof args, "{\"path\": \"%s/a.txt\", \"content\": \"h\xc3\xa9llo\\nworld\"}",
             dir);
    expect_call(s, "files", "write_file", args, "Successfully wrote");
    snprintf(args, sizeof args, "{\"path\": \"%s/a.txt\"}", dir);
    expect_call(s, "files", "read_text_file", args, "h\xc3\xa9llo\nworld");
    expect_call(s, "files", "read_text_file", "{\"path\": \"/etc/passwd\"}", "[isError]");
    expect_call(s, "files", "read_text_fil", args, "did you mean 'read_text_file'");
    snprintf(args, sizeof args, "{\"path\": \"%s\"}", dir);
    expect_call(s, "files", "list_directory", args, "[FILE] a.txt");
}

static void
filesystem_by_roots(struct servers *s)
{
    char def[600];
    snprintf(
        def, sizeof def,
        "{\"command\": \"node\", \"args\": [" NODE("server-filesystem") "], \"roots\": [\"%s\"]}",
        dir);
    add(s, "files", def);
    AUTO(freep) char *seen = NULL;
    for (int i = 0; i < 50; i++) { /* it asks for the roots a little after the handshake */
        free(seen);
        seen = call(s, "files", "list_allowed_directories", "{}");
        if (strstr(seen, dir))
            return;
        err_drop(fiber_sleep(100));
    }
    expect(false, dir, seen);
}

static struct err *
elicit(void *ctx, const char *server, const json_t *params, json_t **ret_result)
{
    (void)ctx, (void)server;
    if (strcmp(json_str(params, "mode", "form"), "form") != 0)
        return FAIL(ERR_INVALID, "only forms");
    *ret_result =
        json_pack("{ss s{ss sb}}", "action", "accept", "content", "name", "Ada", "check", 1);
    return NULL;
}

static struct err *
sample(void *ctx, const char *server, const json_t *params, json_t **ret_result)
{
    (void)ctx, (void)server, (void)params;
    *ret_result = json_pack("{ss ss ss s{ss ss}}", "role", "assistant", "model", "stub",
                            "stopReason", "endTurn", "content", "type", "text", "text", "Paris.");
    return NULL;
}

static void
count_progress(void *ctx, double progress, double total, const char *message)
{
    (void)progress, (void)total, (void)message;
    ++*(int *)ctx;
}

static void
everything(struct servers *s)
{
    int steps = 0;
    add(s, "all",
        "{\"command\": \"node\", \"args\": [" NODE(
            "server-everything") "], \"roots\": [\"/tmp\"]}");
    expect_tools(s, "all", 10, "\"echo\"");
    expect_call(s, "all", "echo", "{\"message\": \"h\xc3\xa9llo\\nworld \\\"q\\\"\"}",
                "Echo: h\xc3\xa9llo\nworld \"q\"");
    expect_call(s, "all", "get-sum", "{\"a\": 2, \"b\": 40}", "42");
    expect_call(s, "all", "get-sum", "{\"a\": \"x\"}", "[isError]");
    expect_call(s, "all", "get-structured-content", "{\"location\": \"New York\"}", "temperature");
    expect_call(s, "all", "get-tiny-image", "{}", "[image: image/png");
    expect_call(s, "all", "get-resource-links", "{\"count\": 2}", "[resource: ");
    expect_call(s, "all", "trigger-sampling-request", "{\"prompt\": \"capital of France?\"}",
                "Paris.");
    expect_call(s, "all", "trigger-elicitation-request", "{}", "Ada");
    struct servers_call c = {.server = "all",
                             .tool = "trigger-long-running-operation",
                             .on_progress = count_progress,
                             .progress_ctx = &steps};
    AUTO(freep) char *seen = call_with(s, &c, "{\"duration\": 1, \"steps\": 4}");
    expect(strstr(seen, "completed") && steps >= 3, "progress", seen);
    c.deadline_ms = rt_after(300);
    AUTO(freep) char *late = call_with(s, &c, "{\"duration\": 20, \"steps\": 2}");
    expect(str_starts(late, "timeout: "), "a time-out", late);
    expect_ask(s, "all", "resources/list", NULL, "demo://resource/static/");
    expect_ask(s, "all", "resources/templates/list", NULL, "uriTemplate");
    expect_ask(s, "all", "resources/read", "{\"uri\": \"demo://resource/dynamic/text/1\"}",
               "plaintext");
    expect_ask(s, "all", "resources/read", "{\"uri\": \"demo://nope\"}", "not found");
    expect_ask(s, "all", "resources/subscribe", "{\"uri\": \"demo://resource/dynamic/text/1\"}",
               "{}");
    expect_ask(s, "all", "prompts/list", NULL, "simple-prompt");
    expect_ask(s, "all", "prompts/get",
               "{\"name\": \"args-prompt\", \"arguments\": {\"city\": \"Oslo\"}}", "Oslo");
    expect_ask(
        s, "all", "completion/complete",
        "{\"ref\": {\"type\": \"ref/prompt\", \"name\": \"completable-prompt\"}, \"argument\": "
        "{\"name\": \"department\", \"value\": \"E\"}}",
        "Engineering");
    expect_ask(s, "all", "logging/setLevel", "{\"level\": \"debug\"}", "{}");
    expect_ask(s, "all", "ping", NULL, "{}");
    expect_call(s, "all", "get-roots-list", "{}", "file:///tmp");
}

static void
memory(struct servers *s)
{
    char def[600];
    snprintf(def, sizeof def,
             "{\"command\": \"node\", \"args\": [" NODE(
                 "server-memory") "], \"env\": {\"MEMORY_FILE_PATH\": "
                                  "\"%s/memory.json\"}}",
             dir);
    add(s, "memory", def);
    expect_call(s, "memory", "create_entities",
                "{\"entities\": [{\"name\": \"tutti\", \"entityType\": \"engine\", "
                "\"observations\": [\"plays\"]}]}",
                "tutti");
    expect_call(s, "memory", "read_graph", "{}", "plays");
}

static void
time_server(struct servers *s)
{
    add(s, "time", "{\"command\": " PY("mcp-server-time") ", \"connect_timeout\": 30000}");
    expect_call(s, "time", "get_current_time", "{\"timezone\": \"Europe/Oslo\"}", "Europe/Oslo");
    expect_call(
        s, "time", "convert_time",
        "{\"source_timezone\": \"UTC\", \"time\": \"12:00\", \"target_timezone\": \"Asia/Tokyo\"}",
        "21:00");
    expect_call(s, "time", "get_current_time", "{\"timezone\": \"Mars/Olympus\"}", "Mars/Olympus");
}

static void
git_server(struct servers *s)
{
    char def[600], args[600], command[900];
    snprintf(
        command, sizeof command,
        "cd %s && git init -q repo && cd repo && git -c user.name=a -c user.email=a@b.c commit -q "
        "--allow-empty -m 'the first one'",
        dir);
    if (system(command) != 0)
        expect(false, "a git repository", command);
    snprintf(def, sizeof def,
             "{\"command\": " PY("mcp-server-git") ", \"args\": [\"--repository\", \"%s/repo\"], "
                                                   "\"connect_timeout\": 30000}",
             dir);
    add(s, "git", def);
    snprintf(args, sizeof args, "{\"repo_path\": \"%s/repo\"}", dir);
    expect_call(s, "git", "git_status", args, "nothing to commit");
    expect_call(s, "git", "git_log", args, "the first one");
    expect_call(s, "git", "git_status", "{\"repo_path\": \"/nowhere\"}", "[isError]");
}

/* ---- bad habits ----------------------------------------------------------------------------- */

static void
silent(struct servers *s)
{
    add(s, "bad", BAD("silent") "\"connect_timeout\": 1000}");
    int64_t begin = rt_now_ms();
    expect_call(s, "bad", "echo", "{}", "timeout: server 'bad': starting it: no answer in time");
    expect(rt_now_ms() - begin < 1500, "an end after a second", "");
}

static void
mute(struct servers *s)
{
    add(s, "bad", BAD("mute") "\"call_timeout\": 1000}");
    int64_t begin = rt_now_ms();
    expect_call(s, "bad", "echo", "{}", "no answer in time");
    expect(rt_now_ms() - begin < 2000, "an end after a second", "");
}

static void
dies(struct servers *s)
{
    add(s, "bad", BAD("dies") "\"call_timeout\": 5000}");
    expect_call(s, "bad", "echo", "{}", "it ended with status 7; its stderr ended: 'last words'");
    expect_call(s, "bad", "echo", "{}", "it ended with status 7; its stderr ended: 'last words'");
}

static void
killed(struct servers *s)
{
    add(s, "bad", BAD("kills") "\"call_timeout\": 5000}");
    expect_call(s, "bad", "echo", "{}", "it was ended by signal 9");
}

static void
noisy(struct servers *s)
{
    add(s, "bad", BAD("noisy") "\"call_timeout\": 30000}");
    expect_call(s, "bad", "echo", "{\"text\": \"through\"}", "through");
}

static void
garbage(struct servers *s)
{
    add(s, "bad", BAD("garbage") "\"connect_timeout\": 5000}");
    int64_t begin = rt_now_ms();
    expect_call(s, "bad", "echo", "{}", "it writes something else than messages");
    expect(rt_now_ms() - begin < 3000, "an end long before the time-out", "");
}

static void
stray(struct servers *s)
{
    add(s, "bad", BAD("stray") "\"call_timeout\": 5000}");
    for (int i = 0; i < 20; i++)
        expect_call(s, "bad", "echo", "{\"text\": \"fine\"}", "fine");
}

static void
long_line(struct servers *s)
{
    add(s, "bad", BAD("long") "\"call_timeout\": 30000}");
    expect_call(s, "bad", "echo", "{}", "longer than any message may be");
}

static void
deaf(struct servers *s)
{
    struct str args = STR_INIT; /* 3 MB: more than a pipe and the queue hold together */
    str_add(&args, "{\"text\": \"");
    for (int i = 0; i < 3000000; i++)
        str_addc(&args, 'x');
    str_add(&args, "\"}");
    add(s, "bad", BAD("deaf") "\"call_timeout\": 1000}");
    expect_call(s, "bad", "echo", args.p, "no answer in time");
    expect_call(s, "bad", "echo", args.p, "timeout: ");
    str_fini(&args);
}

static void
floods(struct servers *s)
{
    add(s, "bad", BAD("floods") "\"call_timeout\": 30000}");
    expect_call(s, "bad", "echo", "{\"text\": \"dry\"}", "dry");
}

static void
stubborn(struct servers *s)
{
    add(s, "bad", BAD("stubborn") "\"call_timeout\": 5000}");
    expect_call(s, "bad", "echo", "{\"text\": \"here\"}", "here");
}

static void
children(struct servers *s)
{
    char def[600];
    snprintf(def, sizeof def,
             "{\"command\": \"python3\", \"args\": [\"tests/fake/mcp_bad.py\", \"children\", "
             "\"%s/pids\"]}",
             dir);
    add(s, "bad", def);
    expect_call(s, "bad", "echo", "{\"text\": \"here\"}", "here");
}

/* After the servers are gone, so are the processes they had started. */
static void
children_gone(void)
{
    AUTO(str_fini) struct str pids = STR_INIT;
    AUTO(freep) char *path = path_join(dir, "pids");
    struct err *e = file_read(path, 1000, &pids);
    expect(!e && pids.len > 2, "process numbers", str_c(&pids));
    err_free(e);
    char *at = pids.p;
    for (long pid; at && (pid = strtol(at, &at, 10)) > 0;)
        expect(kill((pid_t)pid, 0) != 0, "a process that has ended", str_c(&pids));
}

/* A dead one beside a slow one beside a good one: nobody waits for anybody. */
struct neighbour {
    struct servers *s;
    const char *server, *want;
    int64_t took_ms;
};

static void
neighbour_run(void *arg)
{
    struct neighbour *n = arg;
    int64_t begin = rt_now_ms();
    expect_call(n->s, n->server, "echo", "{\"text\": \"ok\"}", n->want);
    n->took_ms = rt_now_ms() - begin;
}

static void
neighbours(struct servers *s)
{
    add(s, "silent", BAD("silent") "\"connect_timeout\": 2000}");
    add(s, "slow", BAD("slow") "\"call_timeout\": 5000}");
    add(s, "good", BAD("none") "\"call_timeout\": 5000}");
    add(s, "none", "{\"command\": \"no-such-program-here\"}");
    struct neighbour n[] = {
        {s, "silent", "no answer in time", 0},
        {s, "slow", "ok", 0},
        {s, "good", "ok", 0},
        {s, "none", "missing: server 'none': starting it: running 'no-such-program-here'", 0}};
    struct scope scope;
    scope_open(&scope, DEADLINE_NONE);
    for (size_t i = 0; i < COUNT(n); i++)
        scope_spawn(&scope, "neighbour", neighbour_run, &n[i]);
    err_drop(scope_close(&scope));
    expect(n[2].took_ms < 900 && n[3].took_ms < 900, "the good one not to wait", "");
}

/* ---- running -------------------------------------------------------------------------------- */

static const struct test {
    const char *name;
    void (*fn)(struct servers *s);
    void (*after)(void);
    int64_t stop_ms_max; /* how long stopping may take */
} tests[] = {
    {"filesystem", filesystem, NULL, 3000},
    {"filesystem_by_roots", filesystem_by_roots, NULL, 3000},
    {"everything", everything, NULL, 3000},
    {"memory", memory, NULL, 3000},
    {"time", time_server, NULL, 3000},
    {"git", git_server, NULL, 3000},
    {"silent", silent, NULL, 3000},
    {"mute", mute, NULL, 3000},
    {"dies", dies, NULL, 3000},
    {"killed", killed, NULL, 3000},
    {"noisy", noisy, NULL, 3000},
    {"garbage", garbage, NULL, 3000},
    {"stray", stray, NULL, 3000},
    {"long_line", long_line, NULL, 3000},
    {"deaf", deaf, NULL, 6000},
    {"floods", floods, NULL, 3000},
    {"stubborn", stubborn, NULL, 6000},
    {"children", children, children_gone, 3000},
    {"neighbours", neighbours, NULL, 3000},
};

static void
test_run(void *arg)
{
    const struct test *t = arg;
    int64_t begin = rt_now_ms();
    struct servers *s = servers_new(
        &(struct servers_opts){.version = "0", .hooks = {.elicit = elicit, .sample = sample}});
    t->fn(s);
    int64_t stop = rt_now_ms();
    servers_free(s);
    expect(rt_now_ms() - stop <= t->stop_ms_max, "a prompt stop", t->name);
    if (t->after)
        t->after();
    printf("%s %s (%lld ms, stop %lld ms)\n", wrong ? "FAILED" : "ok    ", t->name,
           (long long)(rt_now_ms() - begin), (long long)(rt_now_ms() - stop));
}

static bool
is_wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], name) == 0)
            return true;
    }
    return argc < 2;
}

int
main(int argc, char **argv)
{
    unsigned passed = 0, failed = 0;
    if (!mkdtemp(dir))
        return 2;
    for (size_t i = 0; i < COUNT(tests); i++) {
        struct rt *rt;
        if (!is_wanted(tests[i].name, argc, argv))
            continue;
        struct err *e = rt_open(&(struct rt_opts){0}, &rt);
        if (e) {
            err_print(e, stderr);
            return 2;
        }
        wrong = 0;
        rt_run(rt, test_run, (void *)(uintptr_t)&tests[i]);
        rt_close(rt);
        passed += !wrong;
        failed += wrong != 0;
        fflush(stdout);
    }
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    if (system(command) != 0)
        fprintf(stderr, "mcp_real: %s is left over\n", dir);
    printf("%u passed, %u failed\n", passed, failed);
    return failed ? 1 : 0;
}
