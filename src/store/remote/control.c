/* control.c - the owner's side of the control socket. */
#include "store/remote/control.h"
#include "base/vec.h"
#include "rt/rt.h"
#include "rt/sync.h"
#include "store/remote/wire.h"
#include <stdlib.h>
#include <string.h>

#define PEERS_MAX    64
#define REQUESTS_MAX 256
#define HELLO_MS     5000
#define WRITE_MS     30000 /* a peer that does not read its answers that long is dropped */
#define NEWS_MAX     4096 /* waiting for one peer; beyond that it is told to look at all its runs */

struct peer {
    struct control *c;
    struct wire wire;
    char node[RUN_ID_LEN];
    bool read_only, known; /* known: HELLO was accepted */
    struct sem room;       /* for requests */
    VEC(char *) news;
    bool news_all;
    struct waitq news_waiting;
    struct scope scope; /* its requests and its news */
};

struct control {
    struct store *s;
    struct listener *listener;
    struct scope scope;
    VEC(struct peer *) peers;
    VEC(const char *) nodes; /* what control_nodes returns */
    bool closing;
};

/* ---- sending --------------------------------------------------------------------------------- */

/* Its reader and all its requests see it at their next wait; the stream is closed after them. */
static void
peer_hang_up(struct peer *p)
{
    scope_cancel(&p->scope);
}

static void
peer_send(struct peer *p, struct str *frame)
{
    frame_end(frame);
    struct err *e = stream_write(p->wire.stream, frame->p, frame->len, rt_after(WRITE_MS));
    if (e) {
        err_drop(e);
        peer_hang_up(p);
    }
}

static void
news_send(void *arg)
{
    struct peer *p = arg;
    for (;;) {
        if (!p->news.len && !p->news_all) {
            struct err *e = waitq_wait(&p->news_waiting, DEADLINE_NONE);
            if (e) {
                err_drop(e);
                return;
            }
            continue;
        }
        AUTO(freep) char *id = p->news_all ? NULL : vec_pop(&p->news);
        p->news_all = false;
        AUTO(str_fini) struct str frame = STR_INIT;
        frame_begin(&frame, FRAME_NEWS, 0);
        put_text(&frame, id);
        peer_send(p, &frame);
    }
}

static void
peer_news_drop(struct peer *p)
{
    vec_each (&p->news, id)
        free(*id);
    p->news.len = 0;
}

void
control_news(struct control *c, const char *run_id)
{
    vec_each (&c->peers, at) {
        struct peer *p = *at;
        if (!p->known || p->news_all)
            continue;
        if (p->news.len < NEWS_MAX) {
            vec_push(&p->news, xstrdup(run_id));
        } else {
            peer_news_drop(p);
            p->news_all = true;
        }
        waitq_wake_all(&p->news_waiting);
    }
}

/* ---- requests -------------------------------------------------------------------------------- */

struct asked {
    struct peer *p;
    int64_t id;
    struct str bytes; /* what the request's pointers lead into */
};

static void
request_run(struct peer *p, struct request *r)
{
    struct store *s = p->c->s;
    memcpy(r->node, p->node, sizeof r->node);
    r->node_inc = 1;
    r->now_ms = store_now_ms(s);
    if (p->read_only && op_writes(r->op)) {
        r->err = FAIL(ERR_DENIED, "the store is open for reading only");
        return;
    }
    r->err = request_check(r);
    if (!r->err)
        store_exec(s, r);
}

static void
asked_run(void *arg)
{
    struct asked *a = arg;
    struct peer *p = a->p;
    struct request_in q;
    struct bytes_in in = bytes_in(a->bytes.p, a->bytes.len);
    if (request_get(&in, &q)) {
        request_run(p, &q.r);
        AUTO(str_fini) struct str frame = STR_INIT;
        frame_begin(&frame, FRAME_REPLY, a->id);
        reply_put(&frame, &q.r); /* at most PAGE_LIMIT and one record more: less than FRAME_MAX */
        peer_send(p, &frame);
    } else {
        peer_hang_up(p);
    }
    request_in_fini(&q);
    str_fini(&a->bytes);
    free(a);
    sem_release(&p->room);
}

static struct err *
peer_ask(struct peer *p, const struct frame *f)
{
    PASS(sem_acquire(&p->room, DEADLINE_NONE));
    struct asked *a = xcalloc(1, sizeof *a);
    a->p = p;
    a->id = f->id;
    str_addn(&a->bytes, f->body, f->len);
    scope_spawn(&p->scope, "control request", asked_run, a);
    return NULL;
}

/* ---- connections ----------------------------------------------------------------------------- */

static struct err *
hello_check(struct peer *p, const struct frame *f)
{
    struct bytes_in in = bytes_in(f->body, f->len);
    const char *magic = get_text(&in);
    uint32_t version = get_u32(&in);
    const char *node = get_text(&in), *name = get_text(&in);
    p->read_only = get_u8(&in);
    (void)name;
    if (f->type != FRAME_HELLO || !str_eq(magic, CONTROL_MAGIC))
        return FAIL(ERR_INVALID, "this is not a tutti process");
    if (version != CONTROL_VERSION)
        return FAIL(ERR_INVALID,
                    "the process that has the folder speaks version %d of the control "
                    "protocol, not %u; run the same version of both",
                    CONTROL_VERSION, version);
    if (!bytes_in_done(&in) || !node || !*node || !id_copy(p->node, node))
        return FAIL(ERR_INVALID, "the hello is malformed");
    if (str_eq(p->node, p->c->s->node))
        return FAIL(ERR_INVALID, "two processes have the same node id");
    return NULL;
}

static struct err *
peer_welcome(struct peer *p)
{
    struct frame f;
    bool end;
    PASS(wire_read(&p->wire, rt_after(HELLO_MS), &f, &end));
    if (end)
        return FAIL(ERR_TRANSIENT, "gone before its hello");
    AUTO(str_fini) struct str frame = STR_INIT;
    struct err *e = hello_check(p, &f);
    if (e) {
        AUTO(freep) char *text = err_text(e);
        frame_begin(&frame, FRAME_REFUSED, 0);
        put_text(&frame, text);
    } else {
        frame_begin(&frame, FRAME_WELCOME, 0);
        put_u32(&frame, CONTROL_VERSION);
        put_i64(&frame, store_now_ms(p->c->s));
        p->known = true;
    }
    peer_send(p, &frame);
    return e;
}

static struct err *
peer_serve(struct peer *p)
{
    PASS(peer_welcome(p));
    scope_spawn(&p->scope, "control news", news_send, p);
    for (;;) {
        struct frame f;
        bool end;
        PASS(wire_read(&p->wire, DEADLINE_NONE, &f, &end));
        if (end)
            return NULL;
        if (f.type != FRAME_REQUEST)
            return FAIL(ERR_INVALID, "a frame of type %u is no request", f.type);
        PASS(peer_ask(p, &f));
    }
}

/* Its process is gone: what it was running is free for others. */
static void
peer_reap(struct peer *p)
{
    AUTO(request_fini) struct request r = {.op = OP_REAP, .id = p->node};
    r.now_ms = store_now_ms(p->c->s);
    store_exec(p->c->s, &r);
}

static bool
node_is_connected(struct control *c, const char *node)
{
    vec_each (&c->peers, p) {
        if ((*p)->known && str_eq((*p)->node, node))
            return true;
    }
    return false;
}

static void
peer_leave(struct peer *p)
{
    struct control *c = p->c;
    for (size_t i = 0; i < c->peers.len; i++) {
        if (c->peers.at[i] == p)
            c->peers.at[i] = vec_pop(&c->peers);
    }
    /* When the owner goes, its peers go on elsewhere; a peer may have come back already. */
    if (p->known && !p->read_only && !c->closing && !node_is_connected(c, p->node))
        peer_reap(p);
    stream_close(p->wire.stream);
    str_fini(&p->wire.in);
    peer_news_drop(p);
    vec_fini(&p->news);
    free(p);
}

static void
peer_run(void *arg)
{
    struct peer *p = arg;
    scope_open(&p->scope, DEADLINE_NONE);
    err_drop(peer_serve(p)); /* whatever it was: the connection ends, and only that */
    scope_end(&p->scope);
    peer_leave(p);
}

static void
control_accept(void *arg)
{
    struct control *c = arg;
    for (;;) {
        struct stream *stream;
        struct err *e = listener_accept(c->listener, DEADLINE_NONE, &stream);
        if (e) { /* we are being closed: nothing else ends the wait */
            err_drop(e);
            return;
        }
        if (c->peers.len >= PEERS_MAX) {
            stream_close(stream);
            continue;
        }
        struct peer *p = xcalloc(1, sizeof *p);
        p->c = c;
        p->wire.stream = stream;
        sem_setup(&p->room, REQUESTS_MAX);
        vec_push(&c->peers, p);
        scope_spawn(&c->scope, "control peer", peer_run, p);
    }
}

const char *const *
control_nodes(struct control *c, size_t *ret_n)
{
    c->nodes.len = 0;
    vec_each (&c->peers, p) {
        if ((*p)->known && !(*p)->read_only)
            vec_push(&c->nodes, (*p)->node);
    }
    *ret_n = c->nodes.len;
    return c->nodes.at;
}

struct err *
control_open(struct store *s, const char *path, struct control **ret_control)
{
    struct control *c = xcalloc(1, sizeof *c);
    c->s = s;
    struct err *e = listener_open(path, &c->listener);
    if (e) {
        free(c);
        return e;
    }
    scope_open_detached(&c->scope);
    scope_spawn(&c->scope, "control", control_accept, c);
    *ret_control = c;
    return NULL;
}

void
control_close(struct control *c)
{
    if (!c)
        return;
    c->closing = true;
    scope_end(&c->scope);
    listener_close(c->listener);
    vec_fini(&c->peers);
    vec_fini(&c->nodes);
    free(c);
}
