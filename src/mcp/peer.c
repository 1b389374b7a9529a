/* peer.c - the table of our calls and the fibers that answer theirs. */
#include "mcp/peer.h"
#include "base/log.h"
#include "rt/rt.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 64

struct pending { /* a call of ours; lives on the stack of the fiber that waits */
    struct pending *next;
    uint64_t id;
    struct fiber *fiber;
    json_t *result, *error; /* one of them once done */
    bool waiting, done;     /* waiting: parked for the reply, not somewhere below in send */
};

struct incoming { /* a request of theirs under way */
    struct incoming *next, *prev;
    struct peer *peer;
    struct rpc_msg msg;
    struct scope *scope; /* of its fiber; NULL until that has begun */
    bool taken_back;
};

struct peer {
    const struct peer_ops *ops;
    void *ctx;
    struct scope scope; /* of the fibers that answer */
    struct pending *bucket[BUCKETS];
    struct incoming *incoming;
    uint64_t next_id, strays;
    unsigned npending, nincoming;
    bool batches, closing;
    char *broken; /* why, or NULL */
};

struct peer *
peer_new(const struct peer_ops *ops, void *ctx)
{
    struct peer *p = xcalloc(1, sizeof *p);
    p->ops = ops;
    p->ctx = ctx;
    p->next_id = 1;
    scope_open_detached(&p->scope);
    return p;
}

void
peer_free(struct peer *p)
{
    if (!p)
        return;
    p->closing = true;
    scope_end(&p->scope);
    assert(!p->npending && !p->nincoming);
    free(p->broken);
    free(p);
}

void
peer_allow_batches(struct peer *p, bool on)
{
    p->batches = on;
}

bool
peer_is_broken(const struct peer *p)
{
    return p->broken != NULL;
}

unsigned
peer_pending(const struct peer *p)
{
    return p->npending;
}

uint64_t
peer_strays(const struct peer *p)
{
    return p->strays;
}

/* ---- our calls ------------------------------------------------------------- */

static struct pending **
bucket_of(struct peer *p, uint64_t id)
{
    return &p->bucket[id % BUCKETS];
}

static void
pending_add(struct peer *p, struct pending *w)
{
    struct pending **b = bucket_of(p, w->id);
    w->next = *b;
    *b = w;
    p->npending++;
}

uint64_t
peer_next_id(const struct peer *p)
{
    return p->next_id;
}

bool
peer_waits_for(const struct peer *p, uint64_t id)
{
    const struct pending *w = p->bucket[id % BUCKETS];
    while (w && w->id != id)
        w = w->next;
    return w != NULL;
}

static struct pending *
pending_take(struct peer *p, uint64_t id)
{
    for (struct pending **at = bucket_of(p, id); *at; at = &(*at)->next) {
        struct pending *w = *at;
        if (w->id != id)
            continue;
        *at = w->next;
        p->npending--;
        return w;
    }
    return NULL;
}

static void
pending_wake(struct pending *w)
{
    if (w->waiting)
        fiber_wake(w->fiber);
}

static struct err *
broken_err(const struct peer *p)
{
    return FAIL(ERR_TRANSIENT, "%s", p->broken);
}

static struct err *
send_text(struct peer *p, struct transport_out *out, const struct str *text, int64_t deadline_ms)
{
    if (p->broken)
        return broken_err(p);
    out->text = str_c(text);
    out->len = text->len;
    return p->ops->send(p->ctx, out, deadline_ms);
}

static struct err *
send_request(struct peer *p, const struct peer_call *c, uint64_t id)
{
    AUTO(str_fini) struct str text = STR_INIT;
    rpc_write_request(&text, id, c->method, c->params);
    struct transport_out out = {
        .kind = RPC_REQUEST, .id = id, .method = c->method, .params = c->params};
    return send_text(p, &out, &text, c->deadline_ms);
}

/* The wait of a call ended without a reply: tell the other side, unless it is gone. */
static void
call_abandon(struct peer *p, const struct peer_call *c, uint64_t id, const struct err *why)
{
    if (p->broken || c->never_abandoned || !p->ops->abandoned)
        return;
    bool was = fiber_shield(true);
    p->ops->abandoned(p->ctx, id, err_kind(why) == ERR_TIMEOUT ? "timed out" : "cancelled");
    fiber_shield(was);
}

static struct err *
call_wait(struct peer *p, const struct peer_call *c, struct pending *w)
{
    while (!w->done && !p->broken) {
        w->waiting = true;
        struct err *e = fiber_park(c->deadline_ms);
        w->waiting = false;
        if (!e || w->done) { /* a reply that came in the same turn is not thrown away */
            err_free(e);
            continue;
        }
        pending_take(p, w->id);
        call_abandon(p, c, w->id, e);
        return err_set_in_doubt(e);
    }
    if (w->done)
        return NULL;
    pending_take(p, w->id);
    return err_set_in_doubt(broken_err(p));
}

struct err *
peer_call(struct peer *p, const struct peer_call *c, json_t **ret_result)
{
    PASS(fiber_check());
    struct pending w = {.id = p->next_id++, .fiber = fiber_self()};
    pending_add(p, &w); /* first: the reply may come while we still wait in send */
    struct err *e = send_request(p, c, w.id);
    if (e) {
        if (!w.done)
            pending_take(p, w.id);
        json_decref(w.result);
        json_decref(w.error);
        return e;
    }
    PASS(call_wait(p, c, &w));
    if (w.result) {
        *ret_result = w.result;
        return NULL;
    }
    AUTO(json_freep) json_t *error = w.error;
    if (c->ret_error)
        *c->ret_error = json_incref(error);
    return rpc_error_to_err(error);
}

struct err *
peer_notify(struct peer *p, const char *method, const json_t *params, int64_t deadline_ms)
{
    AUTO(str_fini) struct str text = STR_INIT;
    rpc_write_notification(&text, method, params);
    struct transport_out out = {.kind = RPC_NOTIFICATION, .method = method, .params = params};
    return send_text(p, &out, &text, deadline_ms);
}

void
peer_break(struct peer *p, const char *why)
{
    if (p->broken)
        return;
    p->broken = xstrdup(why);
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct pending *w = p->bucket[i]; w; w = w->next)
            pending_wake(w);
    }
    scope_cancel(&p->scope); /* nobody is left to be answered */
}

/* ---- their requests -------------------------------------------------------- */

static void
reply_send(struct peer *p, const struct str *text)
{
    struct transport_out out = {.kind = RPC_RESULT};
    struct err *e = send_text(p, &out, text, rt_after(PEER_REPLY_MS));
    if (!e)
        return;
    AUTO(freep) char *why = err_text(e);
    log_debug("mcp", "an answer was dropped: %s", why);
    err_drop(e);
}

/* At once or not at all: for the reader, who must not wait for the other side to read. */
static void
refuse(struct peer *p, const json_t *id, int code, const char *message)
{
    AUTO(str_fini) struct str text = STR_INIT;
    rpc_write_error(&text, id, code, message);
    struct transport_out out = {.kind = RPC_ERROR};
    err_drop(send_text(p, &out, &text, rt_now_ms()));
}

static void
incoming_end(struct incoming *in)
{
    struct peer *p = in->peer;
    if (in->prev)
        in->prev->next = in->next;
    else
        p->incoming = in->next;
    if (in->next)
        in->next->prev = in->prev;
    p->nincoming--;
    rpc_msg_fini(&in->msg);
    free(in);
}

static void
incoming_answer(struct incoming *in, struct err *e, json_t *result)
{
    AUTO(str_fini) struct str text = STR_INIT;
    if (in->taken_back || in->peer->broken) {
        err_drop(e);
        return;
    }
    if (e) {
        AUTO(freep) char *message = err_text(e);
        rpc_write_error(&text, in->msg.id, rpc_code_of(e), message);
        err_drop(e);
    } else {
        rpc_write_result(&text, in->msg.id, result);
    }
    reply_send(in->peer, &text);
}

static void
incoming_run(void *arg)
{
    struct incoming *in = arg;
    struct scope scope;
    AUTO(json_freep) json_t *result = NULL;
    scope_open(&scope, DEADLINE_NONE);
    in->scope = &scope;
    if (in->taken_back)
        scope_cancel(&scope);
    struct err *e = fiber_check();
    if (!e)
        e = in->peer->ops->request(in->peer->ctx, in->msg.method, in->msg.params, &result);
    in->scope = NULL;
    scope_end(&scope);
    incoming_answer(in, e, result);
    incoming_end(in);
}

static void
take_request(struct peer *p, struct rpc_msg *m)
{
    if (p->closing || p->broken)
        return;
    if (p->nincoming >= PEER_INCOMING_MAX) {
        refuse(p, m->id, RPC_INTERNAL, "too many requests at once");
        return;
    }
    struct incoming *in = xcalloc(1, sizeof *in);
    in->peer = p;
    in->msg = *m;
    *m = (struct rpc_msg){0};
    in->next = p->incoming;
    if (in->next)
        in->next->prev = in;
    p->incoming = in;
    p->nincoming++;
    scope_spawn(&p->scope, "mcp answer", incoming_run, in);
}

void
peer_take_back(struct peer *p, const json_t *id)
{
    for (struct incoming *in = p->incoming; in; in = in->next) {
        if (!json_equal(in->msg.id, id))
            continue;
        in->taken_back = true;
        if (in->scope)
            scope_cancel(in->scope);
    }
}

/* ---- what arrives ---------------------------------------------------------- */

static void
take_reply(struct peer *p, struct rpc_msg *m)
{
    json_int_t id = json_is_integer(m->id) ? json_integer_value(m->id) : 0;
    struct pending *w = id > 0 ? pending_take(p, (uint64_t)id) : NULL;
    if (!w) {
        p->strays++;
        return;
    }
    w->result = json_incref(m->result);
    w->error = json_incref(m->error);
    w->done = true;
    pending_wake(w);
}

static void
take_batch(struct peer *p, struct rpc_msg *m)
{
    size_t i;
    json_t *item;
    if (!p->batches) {
        refuse(p, NULL, RPC_INVALID_REQUEST, "this protocol version has no batches");
        return;
    }
    json_array_foreach (m->doc, i, item) {
        struct rpc_msg one;
        struct err *e =
            json_is_array(item) ? FAIL(ERR_INVALID, "a batch in a batch") : rpc_read(item, &one);
        if (!e) {
            peer_take(p, &one);
            continue;
        }
        AUTO(freep) char *why = err_text(e);
        refuse(p, NULL, RPC_INVALID_REQUEST, why);
        err_drop(e);
    }
}

void
peer_take(struct peer *p, struct rpc_msg *m)
{
    switch (m->kind) {
    case RPC_REQUEST:
        take_request(p, m);
        break;
    case RPC_NOTIFICATION:
        p->ops->notify(p->ctx, m->method, m->params);
        break;
    case RPC_RESULT:
    case RPC_ERROR:
        take_reply(p, m);
        break;
    case RPC_BATCH:
        take_batch(p, m);
        break;
    }
    rpc_msg_fini(m);
}
