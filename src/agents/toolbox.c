/* toolbox.c - offering tools to a model and running what it asks for. */
#include "agents/toolbox.h"
#include "agents/agentlib.h"
#include "base/hash.h"
#include "llm/message.h"
#include "mcp/content.h"
#include "mcp/servers.h"
#include "rt/rt.h"
#include <stdlib.h>
#include <string.h>

#define WIRE_NAME_MAX   64 /* of OpenAI's functions; the others allow more */
#define RESULT_TEXT_MAX ((size_t)256 << 10)
#define IMAGES_MAX      ((size_t)10 << 20) /* bytes of a result's images, as base64 */
#define READY_WITHIN_MS 300000 /* the server's own connect_timeout and call_timeout are nearer */

void
toolbox_fini(struct toolbox *tb)
{
    json_decref(tb->offered);
    json_decref(tb->routes);
}

bool
toolbox_has_any(const struct toolbox *tb)
{
    return tb->server_name || json_array_size(json_object_get(tb->def, "servers")) ||
           json_array_size(json_object_get(tb->def, "agents"));
}

static bool
listed(const json_t *globs, const char *name)
{
    const json_t *glob;
    size_t i;
    json_array_foreach (globs, i, glob) {
        if (json_is_string(glob) && str_glob(json_string_value(glob), name))
            return true;
    }
    return false;
}

static bool
allowed(const json_t *def, const char *name)
{
    const json_t *tools = json_object_get(def, "tools"), *allow = json_object_get(tools, "allow");
    if (listed(json_object_get(tools, "deny"), name))
        return false;
    return !allow || listed(allow, name);
}

/* taken: so many others look the same in these few characters. */
static char *
wire_name(const char *owner, const char *name, unsigned taken)
{
    char *wire = xasprintf("%s__%s", owner, name);
    for (char *p = wire; *p; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                     (*p >= '0' && *p <= '9') || *p == '_' || *p == '-';
        if (!plain)
            *p = '_';
    }
    if (strlen(wire) <= WIRE_NAME_MAX && !taken)
        return wire;
    char hash[SHA256_HEX];
    AUTO(freep) char *start = wire;
    AUTO(freep)
    char *whole =
        taken < 2 ? xasprintf("%s.%s", owner, name) : xasprintf("%s.%s\n%u", owner, name, taken);
    sha256_hex(whole, strlen(whole), hash);
    return xasprintf("%.*s_%.8s", WIRE_NAME_MAX - 9, start, hash);
}

struct offer {
    const char *owner, *name, *description;
    json_t *schema, *OWN route;
};

/* Under a name that no other has; what is listed twice is offered once. */
static void
offer_make(struct toolbox *tb, const struct offer *o)
{
    AUTO(freep) char *wire = wire_name(o->owner, o->name, 0);
    const json_t *other;
    for (unsigned taken = 1; (other = json_object_get(tb->routes, wire)); taken++) {
        if (json_equal(other, o->route)) {
            json_decref(o->route);
            return;
        }
        free(wire);
        wire = wire_name(o->owner, o->name, taken);
    }
    json_array_append_new(tb->offered, json_pack("{ss ss sO}", "name", wire, "description",
                                                 o->description, "input_schema", o->schema));
    json_object_set_new(tb->routes, wire, o->route);
}

enum effect
tool_effect(const json_t *tool, int said)
{
    struct tool_hints hints = tool_hints(tool);
    if (hints.read_only)
        return EFFECT_PURE;
    if (hints.idempotent)
        return EFFECT_IDEMPOTENT;
    return said >= 0 ? (enum effect)said : EFFECT_ONCE;
}

static void
offer_server(struct toolbox *tb, const char *server, const json_t *tools)
{
    const json_t *tool;
    size_t i;
    json_array_foreach (tools, i, tool) {
        const char *name = json_str(tool, "name", "");
        AUTO(freep) char *dotted = xasprintf("%s.%s", server, name);
        if (!allowed(tb->def, dotted))
            continue;
        bool approve =
            listed(json_object_get(json_object_get(tb->def, "tools"), "approve"), dotted);
        json_t *route = json_pack("{ss ss si sb}", "server", server, "tool", name, "effect",
                                  (int)tool_effect(tool, -1), "approve", approve);
        offer_make(tb, &(struct offer){.owner = server,
                                       .name = name,
                                       .description = json_str(tool, "description",
                                                               json_str(tool, "title", name)),
                                       .schema = json_object_get(tool, "inputSchema"),
                                       .route = route});
    }
}

static struct err *
load_server(struct toolbox *tb, const char *server, int64_t deadline_ms)
{
    struct servers *servers = tb->host->ops->service(tb->host, "mcp");
    const struct servers_whose whose = {server, tb->host->ops->run_id(tb->host)};
    json_t *tools = NULL;
    struct err *e = servers_tools(servers, &whose, deadline_ms, &tools);
    if (!e) {
        offer_server(tb, server, tools);
        json_decref(tools);
        return NULL;
    }
    if (err_kind(e) == ERR_CANCELLED)
        return e;
    AUTO(freep) char *text = err_text(e);
    err_free(e);
    tb->host->ops->note(
        tb->host, "server.failed",
        json_pack("{ss so}", "server", server, "error", json_string_lossy(text, strlen(text))));
    return NULL;
}

static void
offer_agents(struct toolbox *tb)
{
    const json_t *name;
    size_t i;
    json_array_foreach (json_object_get(tb->def, "agents"), i, name) {
        const char *agent = json_string_value(name);
        const json_t *def = tb->host->ops->section(tb->host, "agents", agent);
        if (!def)
            def = tb->host->ops->section(tb->host, "workflows", agent);
        const char *about = json_str(def, "description", json_str(def, "instruction", agent));
        AUTO(json_freep)
        json_t *schema = json_pack("{ss s{s{ss ss}} s[s]}", "type", "object", "properties",
                                   "message", "type", "string", "description",
                                   "what to do, with all it needs to know", "required", "message");
        offer_make(
            tb, &(struct offer){"agent", agent, about, schema, json_pack("{ss}", "agent", agent)});
    }
}

/* Into a toolbox of its own: while servers are asked, another call may want the same. */
struct err *
toolbox_load(struct toolbox *tb, int64_t deadline_ms)
{
    struct toolbox fresh = *tb;
    const json_t *server;
    size_t i;
    if (tb->offered)
        return NULL;
    fresh.offered = json_array();
    fresh.routes = json_object();
    struct err *e = NULL;
    if (tb->server_name)
        e = load_server(&fresh, tb->server_name, deadline_ms);
    json_array_foreach (json_object_get(tb->def, "servers"), i, server) {
        if (!e && !tb->server_name)
            e = load_server(&fresh, json_string_value(server), deadline_ms);
    }
    if (!e)
        offer_agents(&fresh);
    if (e || tb->offered) {
        toolbox_fini(&fresh);
    } else {
        tb->offered = fresh.offered;
        tb->routes = fresh.routes;
    }
    return e;
}

/* ---- running --------------------------------------------------------------- */

struct tool_calling {
    struct servers *servers;
    const struct tool_request *q;
    struct host *host;
    char same[SHA256_HEX];
    struct err *cold; /* why it could not be made ready: the end of the first try */
};

static void
on_progress(void *ctx, double progress, double total, const char *message)
{
    struct tool_calling *c = ctx;
    AUTO(freep)
    char *text = total >= 0 ? xasprintf("%g/%g %s", progress, total, message ? message : "")
                            : xasprintf("%g %s", progress, message ? message : "");
    c->host->ops->chunk(c->host, CHUNK_PROGRESS, text, strlen(text));
}

static struct err *
tool_call_once(void *ctx, const struct step_call *step, json_t **ret_value, struct usage *usage)
{
    struct tool_calling *c = ctx;
    usage->tool_calls++;
    if (c->cold)
        return STEAL(c->cold);
    return servers_call(c->servers,
                        &(struct servers_call){.server = c->q->server,
                                               .tool = c->q->tool,
                                               .args = c->q->args,
                                               .run = c->host->ops->run_id(c->host),
                                               .key = step->key,
                                               .deadline_ms = step->deadline_ms,
                                               .on_progress = on_progress,
                                               .progress_ctx = c},
                        ret_value);
}

/* By name: credentials are the server's own; one that is not shared is another for each run. */
static void
same_find(struct tool_calling *c, struct step *s)
{
    const struct tool_request *q = c->q;
    if (s->effect != EFFECT_PURE)
        return;
    const json_t *def = c->host->ops->section(c->host, "mcp_servers", q->server);
    const char *run = json_bool(def, "shared", true) ? NULL : c->host->ops->run_id(c->host);
    AUTO(freep) char *args = q->args ? json_canonical(q->args) : NULL;
    same_of(c->same, (const char *const[]){q->server, q->tool, args, run}, 4);
    s->same = c->same;
}

/* Starts the server if need be, and asks what it says of the tool. */
static void
call_prepare(void *ctx, struct step *s)
{
    struct tool_calling *c = ctx;
    AUTO(json_freep) json_t *tool = NULL;
    const struct servers_whose whose = {c->q->server, c->host->ops->run_id(c->host)};
    c->cold = servers_tool(c->servers, &whose, c->q->tool, rt_after(READY_WITHIN_MS), &tool);
    if (c->q->effect >= 0)
        return;
    s->effect = tool_effect(tool, -1);
    same_find(c, s);
}

struct err *
tool_step(struct host *h, const struct tool_request *q, json_t **ret_result)
{
    struct tool_calling c = {.servers = h->ops->service(h, "mcp"), .q = q, .host = h};
    AUTO(freep) char *target = xasprintf("%s.%s", q->server, q->tool);
    AUTO(freep) char *limited = xasprintf("server %s", q->server);
    const json_t *def = h->ops->section(h, "mcp_servers", q->server);
    struct step s = {.name = "call",
                     .type = "tool",
                     .target = target,
                     .effect = q->effect < 0 ? EFFECT_ONCE : (enum effect)q->effect,
                     .settle = q->effect < 0 || q->effect == EFFECT_ONCE ? call_prepare : NULL,
                     .tell_doubt = q->tell_doubt,
                     .run = tool_call_once,
                     .ctx = &c,
                     .detail = q->args,
                     .limited = limited,
                     .limits = json_object_get(def, "limits")};
    same_find(&c, &s);
    struct err *e = h->ops->step(h, &s, ret_result);
    err_drop(c.cold);
    return e;
}

/* What no provider takes would end the agent: its text says that there was one. */
static bool
is_image(const json_t *block)
{
    const char *data = json_str(block, "data", "");
    static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const size_t n = strspn(data, base64);
    return strcmp(json_str(block, "type", ""), "image") == 0 && n &&
           !data[n + strspn(data + n, "=")] &&
           str_starts(json_str(block, "mimeType", ""), "image/");
}

static json_t *
result_parts(const json_t *result, bool *ret_error)
{
    const json_t *block;
    size_t i, left = IMAGES_MAX;
    AUTO(str_fini) struct str text = STR_INIT;
    *ret_error = tool_result_text(result, RESULT_TEXT_MAX, &text);
    json_t *parts = json_array();
    json_array_append_new(parts, part_text(str_c(&text), text.len));
    json_array_foreach (json_object_get(result, "content"), i, block) {
        const size_t n = json_string_length(json_object_get(block, "data"));
        if (n > left || !is_image(block))
            continue;
        left -= n;
        json_array_append_new(parts, part_media("image", json_str(block, "mimeType", NULL), NULL,
                                                json_str(block, "data", ""), NULL));
    }
    return parts;
}

static void
use_fails(struct tool_use *u, const char *text)
{
    json_t *parts = json_array();
    json_array_append_new(parts, part_text(text, strlen(text)));
    u->result = message_tool_result(json_str(u->call, "id", ""), json_str(u->call, "name", ""),
                                    parts, true);
}

static struct err *
use_agent(struct host *child, struct tool_use *u, const char *agent)
{
    struct reply reply = {0};
    const json_t *args = json_object_get(u->call, "arguments");
    struct task t = {.message = json_str(args, "message", ""), .effect = -1};
    struct err *e = child->ops->call(child, "agent", agent, &t, &reply);
    if (!e) {
        const char *said = reply_text(&reply);
        AUTO(str_fini) struct str text = STR_INIT;
        AUTO(json_freep) json_t *all = part_text(said, strlen(said));
        json_t *parts = json_array();
        content_text(all, RESULT_TEXT_MAX, &text);
        json_array_append_new(parts, part_text(str_c(&text), text.len));
        u->result = message_tool_result(json_str(u->call, "id", ""), json_str(u->call, "name", ""),
                                        parts, false);
    }
    reply_fini(&reply);
    return e;
}

static struct err *
use_server(struct host *child, struct tool_use *u)
{
    AUTO(json_freep) json_t *result = NULL;
    enum effect effect = (enum effect)json_int(u->route, "effect", EFFECT_ONCE);
    bool failed = false;
    if (effect == EFFECT_ONCE && u->effect >= 0)
        effect = (enum effect)u->effect;
    struct tool_request q = {.server = json_str(u->route, "server", ""),
                             .tool = json_str(u->route, "tool", ""),
                             .args = json_object_get(u->call, "arguments"),
                             .effect = (int)effect,
                             .tell_doubt = true};
    PASS(tool_step(child, &q, &result));
    json_t *parts = result_parts(result, &failed);
    u->result = message_tool_result(json_str(u->call, "id", ""), json_str(u->call, "name", ""),
                                    parts, failed);
    return NULL;
}

/* A person decides before the call is made; refused, the model is told so. */
static struct err *
use_approved(struct host *child, struct tool_use *u, bool *ret_approved)
{
    AUTO(json_freep) json_t *answer = NULL;
    const json_t *args = json_object_get(u->call, "arguments");
    AUTO(freep)
    char *prompt = xasprintf("May %s.%s be called?", json_str(u->route, "server", ""),
                             json_str(u->route, "tool", ""));
    AUTO(json_freep)
    json_t *detail = json_pack(
        "{ss so sO* s[ss]}", "prompt", prompt, "tool",
        json_stringf("%s.%s", json_str(u->route, "server", ""), json_str(u->route, "tool", "")),
        "arguments", args, "choices", "yes", "no");
    struct pause p = {.name = "approval", .type = PAUSE_HUMAN, .for_ms = -1, .detail = detail};
    PASS(child->ops->pause(child, &p, &answer));
    *ret_approved = json_is_string(answer) && strcmp(json_string_value(answer), "yes") == 0;
    if (!*ret_approved)
        use_fails(u, "a person was asked, and does not allow this call");
    return NULL;
}

struct err *
tool_use_run(struct host *child, void *tool_use)
{
    struct tool_use *u = tool_use;
    const char *name = json_str(u->call, "name", ""), *agent = json_str(u->route, "agent", NULL);
    if (!u->route) {
        AUTO(freep) char *text = xasprintf("there is no tool '%s'", name);
        use_fails(u, text);
        return NULL;
    }
    if (json_object_get(u->call, "invalid")) {
        use_fails(u, "the arguments were not a JSON object; send them again");
        return NULL;
    }
    if (json_bool(u->route, "approve", false)) {
        bool approved = false;
        PASS(use_approved(child, u, &approved));
        if (!approved)
            return NULL;
    }
    struct err *e = agent ? use_agent(child, u, agent) : use_server(child, u);
    if (!e || err_kind(e) == ERR_CANCELLED || err_kind(e) == ERR_PARKED)
        return e;
    AUTO(freep) char *text = err_text(e); /* the model is told, and may do something else */
    err_free(e);
    use_fails(u, text);
    return NULL;
}
