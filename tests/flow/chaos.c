/* chaos.c - peers that fail by dice.
 *
 * Who serves what: http://ai/ is the model, http://free/ takes the same order twice without harm,
 * everything else of http that is no GET or PUT is an order that must come once. */
#include "chaos.h"
#include "base/str.h"
#include "rt/fiber.h"
#include "rt/rt.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HUGE_BYTES ((size_t)2 << 20)

void
chaos_init(struct chaos *w, uint64_t seed, unsigned percent)
{
    *w = (struct chaos){.dice = {seed}, .percent = percent, .ledger = json_object()};
}

void
chaos_fini(struct chaos *w)
{
    json_decref(w->ledger);
    vec_fini(&w->requests);
}

static bool
fails(struct chaos *w)
{
    return dice_chance(&w->dice, w->percent);
}

static void
carry_out(struct chaos *w, const char *what, const char *key, bool once)
{
    if (once && w->on_once)
        w->on_once(w->ctx, what, key ? key : "");
    if (key)
        json_object_set_new(w->ledger, key, json_integer(json_int(w->ledger, key, 0) + 1));
}

/* False: the process that asked is gone, or nobody waits any more. */
static bool
pause_ms(struct chaos *w, int64_t low, int64_t high)
{
    struct err *e = fiber_sleep(dice_between(&w->dice, low, high));
    bool slept = !e;
    err_free(e);
    return slept;
}

static void
hang(void)
{
    err_drop(fiber_park(DEADLINE_NONE));
}

/* ---- the model ------------------------------------------------------------------------------- */

static json_t *
tool_call(struct chaos *w, const json_t *tools, size_t i)
{
    const json_t *tool =
        json_array_get(tools, dice_below(&w->dice, (unsigned)json_array_size(tools)));
    const char *name = json_str(json_object_get(tool, "function"), "name", "none");
    if (dice_chance(&w->dice, 5))
        name = "no_such_tool";
    const char *args =
        dice_chance(&w->dice, 5) ? "{\"message\": " : "{\"message\":\"do it\",\"n\":1}";
    return json_pack("{so ss s{ssss}}", "id", json_stringf("call_%zu", i), "type", "function",
                     "function", "name", name, "arguments", args);
}

/* Some value of the schema; what is not required is left out. */
static json_t *
value_of(struct chaos *w, const json_t *schema)
{
    const char *type = json_str(schema, "type", "string");
    const json_t *names = json_object_get(schema, "enum"), *name;
    size_t i;
    if (names)
        return json_incref(
            json_array_get(names, dice_below(&w->dice, (unsigned)json_array_size(names))));
    if (strcmp(type, "boolean") == 0)
        return json_boolean(dice_chance(&w->dice, 50));
    if (strcmp(type, "integer") == 0)
        return json_integer(dice_below(&w->dice, 9));
    if (strcmp(type, "number") == 0)
        return json_real(dice_below(&w->dice, 11) / 10.0);
    json_t *made = strcmp(type, "array") == 0 ? json_array() : json_object();
    for (i = dice_below(&w->dice, 3) + 1; json_is_array(made) && i; i--)
        json_array_append_new(made, value_of(w, json_object_get(schema, "items")));
    if (strcmp(type, "object") == 0) {
        json_array_foreach (json_object_get(schema, "required"), i, name)
            json_object_set_new(
                made, json_string_value(name),
                value_of(w, json_at(schema, "properties", json_string_value(name), NULL)));
    }
    if (strcmp(type, "string") != 0)
        return made;
    json_decref(made);
    return json_stringf("text %u", dice_below(&w->dice, 9));
}

static json_t *
model_message(struct chaos *w, const json_t *ask)
{
    const json_t *tools = json_object_get(ask, "tools"), *m;
    size_t i, turns = 0;
    json_array_foreach (json_object_get(ask, "messages"), i, m)
        turns += strcmp(json_str(m, "role", ""), "assistant") == 0;
    if (json_array_size(tools) && (turns == 0 || dice_chance(&w->dice, 30))) {
        json_t *calls = json_array();
        size_t n = 1 + dice_below(&w->dice, 3);
        for (i = 0; i < n; i++)
            json_array_append_new(calls, tool_call(w, tools, i));
        return json_pack("{ss sn so}", "role", "assistant", "content", "tool_calls", calls);
    }
    const json_t *schema = json_at(ask, "response_format", "json_schema", "schema", NULL);
    AUTO(json_freep) json_t *wanted = schema ? value_of(w, schema) : NULL;
    AUTO(freep) char *answer = wanted ? json_text(wanted) : NULL;
    json_t *text = !wanted ? json_stringf("reply %u", dice_below(&w->dice, 1000))
                   : dice_chance(&w->dice, 70) ? json_string(answer)
                                               : json_string("{\"n\": \"many\"}");
    return json_pack("{ss so}", "role", "assistant", "content", text);
}

/* Most of what a token for each byte would be. */
static size_t
prompt_tokens(const json_t *ask)
{
    AUTO(freep) char *text = json_text(json_object_get(ask, "messages"));
    return strlen(text) * 3 / 4;
}

/* Also when its caller is gone: who would know? */
static void
charge(struct chaos *w, const struct http_req *r)
{
    AUTO(json_freep) json_t *ask = NULL;
    err_drop(json_parse(r->body, r->body_len, &ask));
    w->charged += (int64_t)prompt_tokens(ask) + CHAOS_REPLY_TOKENS;
}

static char *
model_reply(struct chaos *w, const struct http_req *r)
{
    AUTO(json_freep) json_t *ask = NULL;
    err_drop(json_parse(r->body, r->body_len, &ask));
    AUTO(json_freep)
    json_t *reply = json_pack("{ss ss s[{si so ss}] s{sisi}}", "id", "x", "model", "m", "choices",
                              "index", 0, "message", model_message(w, ask), "finish_reason", "stop",
                              "usage", "prompt_tokens", (int)prompt_tokens(ask),
                              "completion_tokens", CHAOS_REPLY_TOKENS);
    return json_text(reply);
}

/* ---- HTTP ------------------------------------------------------------------------------------ */

enum fate {
    FATE_FINE,
    FATE_BUSY,        /* 429 */
    FATE_BUSY_UNTIL,  /* 429 with Retry-After */
    FATE_UNAVAILABLE, /* 503: nothing was done */
    FATE_BROKEN,      /* 500 or 502: nobody knows */
    FATE_REFUSED,     /* 400, 401 or 404 */
    FATE_HANG,
    FATE_DROP,
    FATE_CUT,
    FATE_GARBLED,
    FATE_SLOW,
    FATE_HUGE,
    FATES
};

static const char *
header_of(const struct http_req *r, const char *name)
{
    for (size_t i = 0; i < r->nheaders; i++) {
        if (strcasecmp(r->headers[i].name, name) == 0)
            return r->headers[i].value;
    }
    return NULL;
}

static enum fate
fate_draw(struct chaos *w)
{
    if (!fails(w))
        return FATE_FINE;
    enum fate fate = 1 + dice_below(&w->dice, FATES - 1);
    return fate == FATE_HUGE && dice_chance(&w->dice, 80) ? FATE_SLOW
                                                          : fate; /* it takes real time */
}

static int
fate_status(struct chaos *w, enum fate fate)
{
    static const int refused[] = {400, 401, 404};
    switch (fate) {
    case FATE_BUSY:
    case FATE_BUSY_UNTIL:
        return 429;
    case FATE_UNAVAILABLE:
        return 503;
    case FATE_BROKEN:
        return dice_chance(&w->dice, 50) ? 500 : 502;
    case FATE_REFUSED:
        return refused[dice_below(&w->dice, COUNT(refused))];
    default:
        return 200;
    }
}

static void
apply(struct chaos *w, const struct http_req *r, enum fate fate, int status)
{
    bool idempotent = strcmp(r->method, "PUT") == 0 || str_starts(r->url, "http://free");
    bool unsure = fate == FATE_HANG || fate == FATE_DROP || fate == FATE_BROKEN;
    if (strcmp(r->method, "GET") == 0 || str_starts(r->url, "http://ai"))
        return;
    if (unsure ? dice_chance(&w->dice, 50) : status < 300)
        carry_out(w, r->url, header_of(r, "Idempotency-Key"), !idempotent);
}

static char *
body_make(struct chaos *w, const struct http_req *r, enum fate fate, int status)
{
    if (fate == FATE_HUGE) {
        char *huge = xmalloc(HUGE_BYTES + 1);
        memset(huge, 'x', HUGE_BYTES);
        huge[HUGE_BYTES] = '\0';
        return huge;
    }
    if (status >= 300)
        return xasprintf("{\"error\": {\"message\": \"status %d\"}}", status);
    char *body = str_starts(r->url, "http://ai")
                     ? model_reply(w, r)
                     : xasprintf("{\"id\": %u}", dice_below(&w->dice, 1000));
    if (fate == FATE_GARBLED)
        body[strlen(body) / 2] = '\0';
    return body;
}

static void
answer_send(struct chaos *w, struct sim_http *x, enum fate fate, int status)
{
    AUTO(freep) char *wait = xasprintf("%u", dice_below(&w->dice, 20));
    const char *type = fate == FATE_HUGE ? "text/plain" : "application/json";
    struct http_header headers[2] = {{"Content-Type", type}, {"Retry-After", wait}};
    sim_http_begin(x, status, headers, fate == FATE_BUSY_UNTIL ? 2 : 1);
    AUTO(freep) char *body = body_make(w, sim_http_req(x), fate, status);
    size_t n = strlen(body);
    size_t part = fate == FATE_CUT || dice_chance(&w->dice, 30) ? n / 2 : n;
    sim_http_send(x, body, part);
    if (fate == FATE_CUT)
        sim_http_drop(x);
    else if (part < n && pause_ms(w, 1, 500) && !sim_http_gone(x))
        sim_http_send(x, body + part, n - part);
}

static void
answer(struct chaos *w, struct sim_http *x)
{
    enum fate fate = fate_draw(w);
    int status = fate_status(w, fate);
    bool slow = fate == FATE_SLOW;
    if (str_starts(sim_http_req(x)->url, "http://ai") && (status == 200 || fate == FATE_BROKEN))
        charge(w, sim_http_req(x));
    if (sim_http_gone(x)) /* before anybody listened */
        return;
    if (!pause_ms(w, slow ? 1000 : 1, slow ? 90000 : 200) || sim_http_gone(x))
        return;
    apply(w, sim_http_req(x), fate, status);
    if (fate == FATE_HANG)
        hang();
    else if (fate == FATE_DROP)
        sim_http_drop(x);
    else
        answer_send(w, x, fate, status);
}

static void
on_http(void *ctx, struct sim_http *x)
{
    struct chaos *w = ctx;
    unsigned busy = 1;
    vec_each (&w->requests, other)
        busy += !sim_http_gone(*other);
    vec_push(&w->requests, x);
    w->requests_max = MAX(w->requests_max, busy);
    answer(w, x);
    for (size_t i = 0; i < w->requests.len; i++) {
        if (w->requests.at[i] == x) {
            w->requests.at[i] = w->requests.at[w->requests.len - 1];
            w->requests.len--;
            break;
        }
    }
}

/* ---- the tool server ------------------------------------------------------------------------- */

struct line_server {
    struct chaos *w;
    struct sim_proc *x;
    bool mute; /* it has stopped answering */
};

static void
say(struct line_server *s, json_t *msg)
{
    AUTO(freep) char *text = json_text(msg);
    sim_proc_write(s->x, text, strlen(text));
    sim_proc_write(s->x, "\n", 1);
    json_decref(msg);
}

static json_t *
tools_list(void)
{
    static const char tools[] =
        "[{\"name\":\"add\",\"description\":\"adds\",\"inputSchema\":{\"type\":\"object\"}},"
        "{\"name\":\"look\",\"inputSchema\":{\"type\":\"object\"},"
        "\"annotations\":{\"readOnlyHint\":true}},"
        "{\"name\":\"put\",\"inputSchema\":{\"type\":\"object\"},"
        "\"annotations\":{\"idempotentHint\":true}},"
        "{\"name\":\"refuse\",\"inputSchema\":{\"type\":\"object\"}}]";
    return json_loads(tools, 0, NULL);
}

static void
tool_applied(struct line_server *s, const char *tool, const char *key)
{
    if (strcmp(tool, "add") == 0 || strcmp(tool, "refuse") == 0)
        carry_out(s->w, tool, key, true);
    else if (strcmp(tool, "put") == 0)
        carry_out(s->w, tool, key, false);
}

/* False: the server ends. */
static bool
tools_call(struct line_server *s, const json_t *msg)
{
    enum { SLOW = 1, DIES, FORGETS, GOES_MUTE, BABBLES };
    const json_t *params = json_object_get(msg, "params");
    const char *tool = json_str(params, "name", "");
    const char *key = json_str(json_object_get(params, "_meta"), "tutti/idempotency-key", NULL);
    bool applied = dice_chance(&s->w->dice, 50);
    unsigned how = fails(s->w) ? 1 + dice_below(&s->w->dice, 5) : 0;
    if (!pause_ms(s->w, 1, how == SLOW ? 90000 : 100))
        return false;
    if (how <= SLOW || applied)
        tool_applied(s, tool, key);
    if (how == DIES)
        sim_proc_write_stderr(s->x, "dying now", 9);
    if (how == BABBLES)
        sim_proc_write(s->x, "what? {]\n", 9);
    s->mute = how == GOES_MUTE;
    if (how > SLOW)
        return how != DIES;
    say(s, json_pack("{ss sO s{s[{ssss}] sb}}", "jsonrpc", "2.0", "id", json_object_get(msg, "id"),
                     "result", "content", "type", "text", "text", tool, "isError",
                     strcmp(tool, "refuse") == 0));
    return true;
}

static bool
server_take(struct line_server *s, const char *line, size_t n)
{
    AUTO(json_freep) json_t *msg = NULL;
    err_drop(json_parse(line, n, &msg));
    const char *method = json_str(msg, "method", "");
    json_t *id = json_object_get(msg, "id"), *result = NULL;
    if (s->mute || !id || !*method)
        return true;
    if (strcmp(method, "tools/call") == 0)
        return tools_call(s, msg);
    if (strcmp(method, "initialize") == 0)
        result = json_pack("{ss s{s{}} s{ssss}}", "protocolVersion", "2025-11-25", "capabilities",
                           "tools", "serverInfo", "name", "fake", "version", "1");
    else if (strcmp(method, "tools/list") == 0)
        result = json_pack("{so}", "tools", tools_list());
    else
        result = json_object();
    say(s, json_pack("{ss sO so}", "jsonrpc", "2.0", "id", id, "result", result));
    return true;
}

static int
serve(struct chaos *w, struct sim_proc *x)
{
    AUTO(str_fini) struct str in = STR_INIT;
    struct line_server s = {.w = w, .x = x};
    bool end = false;
    if (fails(w)) { /* it does not even begin well */
        s.mute = dice_chance(&w->dice, 30);
        if (!s.mute && dice_chance(&w->dice, 50))
            return 1;
        sim_proc_write(x, "Welcome!\n", 9);
    }
    while (!end) {
        char *nl;
        struct err *e = sim_proc_read(x, DEADLINE_NONE, &in, &end);
        if (e) {
            err_drop(e);
            return 1;
        }
        while (in.len && (nl = memchr(in.p, '\n', in.len))) {
            size_t n = (size_t)(nl - in.p);
            if (!server_take(&s, in.p, n))
                return 3;
            str_cut(&in, n + 1);
        }
    }
    return 0;
}

/* ---- programs -------------------------------------------------------------------------------- */

static int
program(struct chaos *w, struct sim_proc *x)
{
    AUTO(str_fini) struct str in = STR_INIT;
    const char *name = sim_proc_argv(x)[0];
    bool end = false, bad = fails(w), read = true;
    while (read && !end) {
        struct err *e = sim_proc_read(x, DEADLINE_NONE, &in, &end);
        read = !e;
        err_free(e);
    }
    if (!read || !pause_ms(w, 1, bad ? 40000 : 100))
        return 1;
    if (!bad || dice_chance(&w->dice, 50))
        carry_out(w, name, sim_proc_env(x, "TUTTI_IDEMPOTENCY_KEY"), true);
    if (bad && dice_chance(&w->dice, 40))
        hang();
    if (bad || strcmp(name, "fails") == 0) {
        sim_proc_write_stderr(x, "no such luck", 12);
        return 7;
    }
    sim_proc_write(x, "done", 4);
    return 0;
}

static int
on_proc(void *ctx, struct sim_proc *x)
{
    struct chaos *w = ctx;
    w->programs++;
    int status = strcmp(sim_proc_argv(x)[0], "fake-mcp") == 0 ? serve(w, x) : program(w, x);
    w->programs--;
    return status;
}

void
chaos_enter(struct chaos *w)
{
    w->requests.len = 0;
    w->programs = 0;
    sim_on_http(on_http, w);
    sim_on_proc(on_proc, w);
}
