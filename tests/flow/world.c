/* world.c - the scripted peers of flow tests: an HTTP API with faults, a tool server, programs. */
#include "world.h"
#include "rt/fiber.h"
#include "rt/rt.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

void
world_init(struct world *w, const json_t *http)
{
    *w = (struct world){
        .http = http, .ledger = json_array(), .used = json_object(), .wall_ms = WALL_START};
}

void
world_fini(struct world *w)
{
    json_decref(w->ledger);
    json_decref(w->used);
}

static void
happened(struct world *w, const char *what, const char *key)
{
    json_array_append_new(w->ledger, json_pack("{ss ss*}", "what", what, "key", key));
}

unsigned
world_count(const struct world *w, const char *key)
{
    const json_t *entry;
    size_t i;
    unsigned n = 0;
    json_array_foreach (w->ledger, i, entry)
        n += strcmp(json_str(entry, "key", ""), key) == 0;
    return n;
}

unsigned
world_twice(const struct world *w)
{
    const json_t *entry;
    size_t i;
    unsigned n = 0;
    json_array_foreach (w->ledger, i, entry) {
        const char *key = json_str(entry, "key", NULL);
        n += key && world_count(w, key) > 1;
    }
    return n;
}

/* ---- HTTP ------------------------------------------------------------------ */

static const char *
header_of(const struct http_req *r, const char *name)
{
    for (size_t i = 0; i < r->nheaders; i++) {
        if (strcasecmp(r->headers[i].name, name) == 0)
            return r->headers[i].value;
    }
    return NULL;
}

/* The first rule whose `match` is part of "METHOD url body" and that has answers left. */
static const json_t *
rule_for(struct world *w, const struct http_req *r)
{
    AUTO(freep)
    char *line = xasprintf("%s %s %.*s", r->method, r->url, (int)MIN(r->body_len, 100000),
                           (const char *)r->body);
    const json_t *rule;
    size_t i;
    json_array_foreach (w->http, i, rule) {
        char index[24];
        snprintf(index, sizeof index, "%zu", i);
        int64_t used = json_int(w->used, index, 0);
        if (!strstr(line, json_str(rule, "match", "")) ||
            used >= json_int(rule, "times", INT64_MAX))
            continue;
        json_object_set_new(w->used, index, json_integer(used + 1));
        return rule;
    }
    return NULL;
}

#define HEADERS_MAX 8

static size_t
headers_of(const json_t *rule, struct http_header headers[HEADERS_MAX])
{
    const char *retry_after = json_str(rule, "retry_after", NULL), *name;
    json_t *value;
    size_t n = 0;
    headers[n++] = (struct http_header){"Content-Type", "application/json"};
    if (retry_after)
        headers[n++] = (struct http_header){"Retry-After", retry_after};
    json_object_foreach (json_object_get(rule, "headers"), name, value) {
        if (n < HEADERS_MAX)
            headers[n++] = (struct http_header){name, json_string_value(value)};
    }
    return n;
}

static void
http_answer(struct world *w, struct sim_http *x)
{
    const struct http_req *r = sim_http_req(x);
    const json_t *rule = rule_for(w, r);
    const char *fault = json_str(rule, "fault", "");
    struct http_header headers[HEADERS_MAX];
    const size_t nheaders = headers_of(rule, headers);
    err_drop(fiber_sleep(json_int(rule, "delay", 10)));
    if (sim_http_gone(x))
        return;
    int status = (int)json_int(rule, "status", rule ? 200 : 404);
    if (strcmp(fault, "hang") == 0)
        err_drop(fiber_park(DEADLINE_NONE));
    if (status < 300 && strcmp(r->method, "GET") != 0) /* POST and PATCH must not come twice */
        happened(w, r->url,
                 *r->method == 'P' && r->method[1] != 'U' ? header_of(r, "Idempotency-Key") : NULL);
    if (strcmp(fault, "hang") == 0 || strcmp(fault, "drop") == 0) {
        sim_http_drop(x);
        return;
    }
    sim_http_begin(x, status, headers, nheaders);
    AUTO(freep) char *body = json_as_text(json_object_get(rule, "body"));
    if (strcmp(fault, "cut") == 0) {
        sim_http_send(x, body, strlen(body) / 2);
        sim_http_drop(x);
        return;
    }
    sim_http_send(x, body, strlen(body));
}

static void
on_http(void *ctx, struct sim_http *x)
{
    struct world *w = ctx;
    w->in_flight++;
    w->in_flight_max = MAX(w->in_flight_max, w->in_flight);
    http_answer(w, x);
    w->in_flight--;
}

/* ---- a tool server --------------------------------------------------------- */

static void
mcp_send(struct sim_proc *x, json_t *msg)
{
    AUTO(freep) char *text = json_text(msg);
    sim_proc_write(x, text, strlen(text));
    sim_proc_write(x, "\n", 1);
    json_decref(msg);
}

static json_t *
mcp_tools(void)
{
    static const char tools[] = "[{\"name\":\"add\",\"description\":\"adds an "
                                "entry\",\"inputSchema\":{\"type\":\"object\"}},"
                                "{\"name\":\"look\",\"description\":\"reads\",\"inputSchema\":{"
                                "\"type\":\"object\"},\"annotations\":{\"readOnlyHint\":true}},"
                                "{\"name\":\"hang\",\"description\":\"never "
                                "answers\",\"inputSchema\":{\"type\":\"object\"}},"
                                "{\"name\":\"die\",\"description\":\"ends the "
                                "server\",\"inputSchema\":{\"type\":\"object\"}}]";
    return json_loads(tools, 0, NULL);
}

/* False: the server ends. */
static bool
mcp_call(struct world *w, struct sim_proc *x, const json_t *msg)
{
    const json_t *params = json_object_get(msg, "params");
    const char *tool = json_str(params, "name", "");
    const char *key = json_str(json_object_get(params, "_meta"), "tutti/idempotency-key", NULL);
    if (strcmp(tool, "hang") == 0)
        return true;
    if (strcmp(tool, "die") == 0) {
        sim_proc_write_stderr(x, "dying now", 9);
        return false;
    }
    err_drop(fiber_sleep(20));
    if (rt_is_simulated() && sim_crashed())
        return false;
    if (strcmp(tool, "add") == 0)
        happened(w, "add", key);
    AUTO(freep) char *args = json_text(json_object_get(params, "arguments"));
    json_t *text = json_stringf("%s %s", tool, args);
    mcp_send(x,
             json_pack("{ss sO s{s[{ss so}]}}", "jsonrpc", "2.0", "id", json_object_get(msg, "id"),
                       "result", "content", "type", "text", "text", text));
    return true;
}

static bool
mcp_message(struct world *w, struct sim_proc *x, const char *line, size_t n)
{
    json_t *msg = NULL;
    struct err *e = json_parse(line, n, &msg);
    if (e) {
        err_drop(e);
        return true;
    }
    const char *method = json_str(msg, "method", "");
    json_t *id = json_object_get(msg, "id"), *result = NULL;
    bool go_on = true;
    if (strcmp(method, "initialize") == 0)
        result = json_pack("{ss s{s{}} s{ssss}}", "protocolVersion", "2025-11-25", "capabilities",
                           "tools", "serverInfo", "name", "fake", "version", "1");
    else if (strcmp(method, "tools/list") == 0)
        result = json_pack("{so}", "tools", mcp_tools());
    else if (strcmp(method, "tools/call") == 0)
        go_on = mcp_call(w, x, msg);
    else if (id && strcmp(method, "ping") == 0)
        result = json_object();
    if (result)
        mcp_send(x, json_pack("{ss sO so}", "jsonrpc", "2.0", "id", id, "result", result));
    json_decref(msg);
    return go_on;
}

static int
mcp_serve(struct world *w, struct sim_proc *x)
{
    AUTO(str_fini) struct str in = STR_INIT;
    bool end = false;
    while (!end) {
        char *nl;
        struct err *e = sim_proc_read(x, DEADLINE_NONE, &in, &end);
        if (e) {
            err_drop(e);
            return 1;
        }
        while (in.len && (nl = memchr(in.p, '\n', in.len))) {
            size_t n = (size_t)(nl - in.p);
            if (!mcp_message(w, x, in.p, n))
                return 3;
            str_cut(&in, n + 1);
        }
    }
    return 0;
}

/* ---- programs -------------------------------------------------------------- */

static int
program(struct world *w, struct sim_proc *x)
{
    AUTO(str_fini) struct str in = STR_INIT;
    AUTO(json_freep) json_t *told = NULL;
    const char *const *argv = sim_proc_argv(x);
    bool end = false;
    struct err *e = NULL;
    while (!e && !end)
        e = sim_proc_read(x, DEADLINE_NONE, &in, &end);
    if (!e)
        e = json_parse(str_c(&in), in.len, &told);
    if (!e)
        e = fiber_sleep(15);
    if (e) {
        err_drop(e);
        return 1;
    }
    happened(w, argv[0], NULL);
    if (strcmp(argv[0], "fails") == 0) {
        sim_proc_write_stderr(x, "no such luck", 12);
        return 7;
    }
    AUTO(freep) char *text = xstrdup(json_str(told, "message", ""));
    for (char *p = text; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    sim_proc_write(x, text, strlen(text));
    return 0;
}

static int
on_proc(void *ctx, struct sim_proc *x)
{
    struct world *w = ctx;
    return strcmp(sim_proc_argv(x)[0], "fake-mcp") == 0 ? mcp_serve(w, x) : program(w, x);
}

void
world_enter(struct world *w)
{
    w->in_flight = 0;
    sim_on_http(on_http, w);
    sim_on_proc(on_proc, w);
}
