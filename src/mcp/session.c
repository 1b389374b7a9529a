/* session.c - handshake, requests and tool calls of one connection. */
#include "mcp/session.h"
#include "base/log.h"
#include "mcp/sessioncore.h"
#include "rt/rt.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define REFETCHES 3 /* how often a list that changes while it is read is read again */

/* Newest first: the first is offered, any is accepted. */
static const char *const versions[] = {"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05",
                                       "2024-10-07"};

/* ---- asking ---------------------------------------------------------------- */

void
session_describe(struct session *s, struct str *to)
{
    if (s->t->ops->describe)
        s->t->ops->describe(s->t, to);
}

/* A call that was never answered: what the server said last may tell why. */
static struct err *
with_last_words(struct session *s, struct err *e)
{
    if (!e || err_kind(e) != ERR_TIMEOUT)
        return e;
    AUTO(str_fini) struct str words = STR_INIT;
    session_describe(s, &words);
    struct err *told = FAIL(ERR_TIMEOUT, "no answer in time%s", str_c(&words));
    if (err_in_doubt(e))
        err_set_in_doubt(told);
    err_drop(e);
    return told;
}

static void
session_enter(struct session *s)
{
    s->users++;
}

static void
session_leave(struct session *s)
{
    if (--s->users == 0)
        waitq_wake_all(&s->leaving);
}

struct err *
session_ask(struct session *s, const struct peer_call *c, json_t **ret_result)
{
    return with_last_words(s, peer_call(s->peer, c, ret_result));
}

static struct err *
request(struct session *s, const char *method, const json_t *params, int64_t deadline_ms,
        json_t **ret_result)
{
    struct peer_call c = {.method = method, .params = params, .deadline_ms = deadline_ms};
    json_t *result;
    PASS(session_ask(s, &c, &result));
    if (!json_is_object(result)) {
        json_decref(result);
        return FAIL(ERR_INVALID, "the result of '%s' is not an object", method);
    }
    *ret_result = result;
    return NULL;
}

struct err *
session_request(struct session *s, const char *method, const json_t *params, int64_t deadline_ms,
                json_t **ret_result)
{
    session_enter(s);
    struct err *e = request(s, method, params, deadline_ms, ret_result);
    session_leave(s);
    return e;
}

/* ---- the other direction --------------------------------------------------- */

static struct err *
session_send(void *session, const struct transport_out *out, int64_t deadline_ms)
{
    struct session *s = session;
    return s->t->ops->send(s->t, out, deadline_ms);
}

static void
session_abandoned(void *session, uint64_t id, const char *why)
{
    struct session *s = session;
    if (s->t->ops->abandon)
        s->t->ops->abandon(s->t, id);
    AUTO(json_freep)
    json_t *params = json_pack("{sI ss}", "requestId", (json_int_t)id, "reason", why);
    err_drop(peer_notify(s->peer, "notifications/cancelled", params, rt_now_ms()));
}

static const struct peer_ops peer_ops = {
    .send = session_send,
    .request = session_answer,
    .notify = session_heed,
    .abandoned = session_abandoned,
};

void
session_fail(struct session *s, const char *why)
{
    if (s->ended)
        return;
    s->ended = true;
    peer_break(s->peer, why);
    if (s->t->ops->shut)
        s->t->ops->shut(s->t);
    waitq_wake_all(&s->tools_ready);
    if (s->greeted && !s->closing && s->hooks.ended)
        s->hooks.ended(s->hooks.ctx, why);
}

static void
reader_run(void *arg)
{
    struct session *s = arg;
    struct rpc_msg m;
    struct err *e;
    while (!(e = s->t->ops->recv(s->t, &m)))
        peer_take(s->peer, &m);
    AUTO(freep) char *why = err_text(e);
    err_drop(e);
    session_fail(s, why);
}

/* ---- handshake ------------------------------------------------------------- */

static json_t *
capabilities(const struct session *s)
{
    json_t *caps = json_object();
    if (json_array_size(s->roots))
        json_object_set_new(caps, "roots", json_object());
    if (s->hooks.elicit)
        json_object_set_new(caps, "elicitation", json_pack("{s{} s{}}", "form", "url"));
    if (s->hooks.sample)
        json_object_set_new(caps, "sampling", json_object());
    return caps;
}

static struct err *
initialize(struct session *s, const char *version, int64_t deadline_ms, json_t **ret_hello,
           json_t **ret_error)
{
    AUTO(json_freep)
    json_t *params =
        json_pack("{ss so s{ss ss}}", "protocolVersion", version, "capabilities", capabilities(s),
                  "clientInfo", "name", "tutti", "version", s->tutti_version);
    struct peer_call c = {.method = "initialize",
                          .params = params,
                          .deadline_ms = deadline_ms,
                          .never_abandoned = true,
                          .ret_error = ret_error};
    return session_ask(s, &c, ret_hello);
}

static const char *
version_known(const char *version)
{
    for (size_t i = 0; version && i < COUNT(versions); i++) {
        if (strcmp(version, versions[i]) == 0)
            return versions[i];
    }
    return NULL;
}

/* Our newest revision among those a refusal lists as `supported`. */
static const char *
version_from_refusal(const json_t *error)
{
    const json_t *supported = json_at(error, "data", "supported", NULL);
    for (size_t i = 0; i < COUNT(versions); i++) {
        size_t k;
        json_t *item;
        json_array_foreach (supported, k, item) {
            if (json_is_string(item) && strcmp(json_string_value(item), versions[i]) == 0)
                return versions[i];
        }
    }
    return NULL;
}

static struct err *
hello_check(const json_t *hello)
{
    const char *version = json_str(hello, "protocolVersion", NULL);
    if (!version)
        return FAIL(ERR_INVALID, "its answer to 'initialize' names no protocol version");
    if (!version_known(version))
        return FAIL(ERR_INVALID, "it speaks the protocol version '%.40s'; known are %s to %s",
                    version, versions[COUNT(versions) - 1], versions[0]);
    if (!json_is_object(json_object_get(hello, "capabilities")))
        return FAIL(ERR_INVALID, "its answer to 'initialize' has no capabilities");
    return NULL;
}

static struct err *
shake_hands(struct session *s, int64_t deadline_ms)
{
    AUTO(json_freep) json_t *refusal = NULL;
    struct err *e = initialize(s, versions[0], deadline_ms, &s->hello, &refusal);
    const char *other = e && refusal ? version_from_refusal(refusal) : NULL;
    if (other && strcmp(other, versions[0]) != 0) {
        err_drop(e);
        e = initialize(s, other, deadline_ms, &s->hello, NULL);
    }
    PASS(e);
    PASS(hello_check(s->hello));
    peer_allow_batches(s->peer, strcmp(session_version(s), "2025-03-26") == 0);
    if (s->t->ops->agreed)
        s->t->ops->agreed(s->t, session_version(s));
    return peer_notify(s->peer, "notifications/initialized", NULL, deadline_ms);
}

struct session *
session_new(struct transport *t, const struct session_opts *opts)
{
    struct session *s = xcalloc(1, sizeof *s);
    s->t = t;
    s->hooks = opts->hooks;
    s->roots = opts->roots ? json_deep_copy(opts->roots) : json_array();
    s->tutti_version = xstrdup(opts->version ? opts->version : "0");
    s->peer = peer_new(&peer_ops, s);
    scope_open_detached(&s->scope);
    scope_spawn(&s->scope, "mcp reader", reader_run, s);
    return s;
}

struct err *
session_greet(struct session *s, int64_t deadline_ms)
{
    session_enter(s);
    struct err *e = shake_hands(s, deadline_ms);
    s->greeted = !e;
    session_leave(s);
    return e;
}

void
session_close(struct session *s, int64_t grace_ms)
{
    if (!s)
        return;
    bool was = fiber_shield(true);
    s->closing = true;
    session_fail(s, "the connection was closed");
    scope_end(&s->scope);
    while (s->users) { /* each has been woken and only has to leave */
        struct err *e = waitq_wait(&s->leaving, DEADLINE_NONE);
        if (e)
            fiber_yield(); /* a simulated crash: waiting is over, the others unwind too */
        err_drop(e);
    }
    peer_free(s->peer);
    s->t->ops->close(s->t, grace_ms);
    fiber_shield(was);
    tools_free(s->tools);
    json_decref(s->roots);
    json_decref(s->hello);
    free(s->tutti_version);
    free(s);
}

/* ---- facts ----------------------------------------------------------------- */

bool
session_is_ended(const struct session *s)
{
    return s->ended;
}

const char *
session_version(const struct session *s)
{
    return json_str(s->hello, "protocolVersion", "");
}

const json_t *
session_server_info(const struct session *s)
{
    return json_object_get(s->hello, "serverInfo");
}

const json_t *
session_capabilities(const struct session *s)
{
    return json_object_get(s->hello, "capabilities");
}

const char *
session_instructions(const struct session *s)
{
    return json_str(s->hello, "instructions", NULL);
}

bool
session_offers(const struct session *s, const char *capability)
{
    return json_object_get(session_capabilities(s), capability) != NULL;
}

int
session_pid(const struct session *s)
{
    return s->t->ops->pid ? s->t->ops->pid(s->t) : 0;
}

unsigned
session_pending(const struct session *s)
{
    return peer_pending(s->peer);
}

/* ---- lists ----------------------------------------------------------------- */

/* One page: appends its items; *cursor becomes that of the next page, or NULL. */
static struct err *
list_page(struct session *s, const struct peer_call *what, const char *member, json_t *items,
          json_t **cursor)
{
    AUTO(json_freep) json_t *params = *cursor ? json_pack("{so}", "cursor", *cursor) : NULL;
    AUTO(json_freep) json_t *page = NULL;
    *cursor = NULL;
    PASS(request(s, what->method, params, what->deadline_ms, &page));
    const json_t *more = json_object_get(page, member);
    if (!json_is_array(more))
        return FAIL(ERR_INVALID, "the result of '%s' has no list '%s'", what->method, member);
    if (json_array_size(items) + json_array_size(more) > SESSION_ITEMS_MAX)
        return FAIL(ERR_LIMIT, "'%s' gives more than %d entries", what->method, SESSION_ITEMS_MAX);
    json_array_extend(items, (json_t *)(uintptr_t)more);
    json_t *next = json_object_get(page, "nextCursor");
    if (json_is_string(next)) /* the empty string is a cursor like any other */
        *cursor = json_incref(next);
    return NULL;
}

static struct err *
list_all(struct session *s, const char *method, const char *member, int64_t deadline_ms,
         json_t **ret_items)
{
    const struct peer_call what = {.method = method, .deadline_ms = deadline_ms};
    AUTO(json_freep) json_t *items = json_array();
    json_t *cursor = NULL;
    for (unsigned pages = 0; pages == 0 || cursor; pages++) {
        if (pages == SESSION_PAGES_MAX) {
            json_decref(cursor);
            return FAIL(ERR_LIMIT, "'%s' gives more than %d pages", method, SESSION_PAGES_MAX);
        }
        PASS(list_page(s, &what, member, items, &cursor));
    }
    *ret_items = STEAL(items);
    return NULL;
}

struct err *
session_list(struct session *s, const char *method, const char *member, int64_t deadline_ms,
             json_t **ret_items)
{
    session_enter(s);
    struct err *e = list_all(s, method, member, deadline_ms, ret_items);
    session_leave(s);
    return e;
}

/* A server without tools need not know the method. */
static struct err *
tools_ask(struct session *s, int64_t deadline_ms, json_t **ret_listed)
{
    struct err *e = list_all(s, "tools/list", "tools", deadline_ms, ret_listed);
    if (!e || err_kind(e) != ERR_MISSING || session_offers(s, "tools"))
        return e;
    err_drop(e);
    *ret_listed = json_array();
    return NULL;
}

static struct err *
tools_fetch(struct session *s, int64_t deadline_ms)
{
    for (unsigned i = 0; i < REFETCHES && !s->tools_fresh; i++) {
        AUTO(json_freep) json_t *listed = NULL;
        unsigned before = s->tools_changes;
        PASS(tools_ask(s, deadline_ms, &listed));
        tools_free(s->tools);
        s->tools = tools_new(listed);
        s->tools_fresh = before == s->tools_changes;
    }
    return NULL; /* still changing: good enough for now, and listed again at the next use */
}

static struct err *
tools_get(struct session *s, int64_t deadline_ms)
{
    while (!s->tools_fresh && s->tools_fetching && !s->ended)
        PASS(waitq_wait(&s->tools_ready, deadline_ms));
    if (!s->tools_fresh) {
        s->tools_fetching = true;
        struct err *e = tools_fetch(s, deadline_ms);
        s->tools_fetching = false;
        waitq_wake_all(&s->tools_ready);
        PASS(e);
    }
    return NULL;
}

struct err *
session_tools(struct session *s, int64_t deadline_ms, json_t **ret_tools)
{
    session_enter(s);
    struct err *e = tools_get(s, deadline_ms);
    if (!e)
        *ret_tools = json_incref(tools_all(s->tools));
    session_leave(s);
    return e;
}

void
session_tools_forget(struct session *s)
{
    s->tools_fresh = false;
}

const json_t *
session_tool(const struct session *s, const char *name)
{
    return tools_find(s->tools, name);
}

unsigned
session_tools_dropped(const struct session *s)
{
    return s->tools ? tools_dropped(s->tools) : 0;
}

/* ---- tool calls ------------------------------------------------------------ */

static void
progress_leave(struct session *s, struct progress *p)
{
    struct progress **at = &s->progress;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
}

static json_t *
call_params(const struct tool_call *c, const struct progress *p)
{
    json_t *params = json_pack("{ss}", "name", c->tool);
    if (!params) /* not UTF-8: the server could not be told the name */
        return NULL;
    json_object_set_new(params, "arguments",
                        c->args ? json_incref((json_t *)(uintptr_t)c->args) : json_object());
    if (!c->key && !p->fn)
        return params;
    json_t *meta = json_object();
    if (p->fn)
        json_object_set_new(meta, "progressToken", json_integer((json_int_t)p->token));
    if (c->key)
        json_object_set_new(meta, SESSION_META_KEY, json_string(c->key));
    json_object_set_new(params, "_meta", meta);
    return params;
}

struct misfit {
    struct session *s;
    const char *tool;
    const json_t *result;
    char *text;
};

static void
misfit_find(void *arg)
{
    struct misfit *m = arg;
    m->text = tools_misfit(m->s->tools, m->tool, m->result);
}

static void
result_judge(struct session *s, const char *tool, json_t *result)
{
    if (!json_object_get(tools_find(s->tools, tool), "outputSchema"))
        return;
    struct misfit m = {.s = s, .tool = tool, .result = result};
    rt_deep(misfit_find, &m);
    AUTO(freep) char *text = m.text;
    if (!text)
        return;
    if (!json_is_object(json_object_get(result, "_meta")))
        json_object_set_new(result, "_meta", json_object());
    json_object_set_new(json_object_get(result, "_meta"), SESSION_MISFIT,
                        json_string_lossy(text, strlen(text)));
}

struct err *
session_call_tool(struct session *s, const struct tool_call *c, json_t **ret_result)
{
    if (c->args && !json_is_object(c->args))
        return FAIL(ERR_INVALID, "the arguments of a tool are an object");
    struct progress p = {
        .token = peer_next_id(s->peer), .fn = c->on_progress, .ctx = c->progress_ctx};
    AUTO(json_freep) json_t *params = call_params(c, &p);
    if (!params)
        return FAIL(ERR_INVALID, "the tool's name is not UTF-8");
    if (p.fn) {
        p.next = s->progress;
        s->progress = &p;
    }
    session_enter(s);
    struct err *e = request(s, "tools/call", params, c->deadline_ms, ret_result);
    if (p.fn)
        progress_leave(s, &p);
    if (!e)
        result_judge(s, c->tool, *ret_result);
    session_leave(s);
    return e;
}
