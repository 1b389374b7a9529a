/* sim.c - scripted HTTP servers and processes, and the crash. */
#include "rt/sim.h"
#include "rt/core.h"
#include "rt/proccore.h"
#include "rt/sync.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SIM_AHEAD ((size_t)1 << 20) /* a peer that writes further ahead waits for its reader */

struct peers {
    struct scope scope; /* of the peers' fibers */
    sim_http_fn http_fn;
    void *http_ctx;
    bool refuse;
    sim_proc_fn proc_fn;
    void *proc_ctx;
};

static struct peers *
peers(void)
{
    struct rt *rt = rt_now;
    assert(rt->simulated);
    if (!rt->sim_peers) {
        struct peers *p = xcalloc(1, sizeof *p);
        scope_open_detached(&p->scope);
        rt->sim_peers = p;
    }
    return rt->sim_peers;
}

static bool
peers_gone(void *arg)
{
    return ((struct peers *)arg)->scope.count == 0;
}

void
sim_fini(struct rt *rt)
{
    free(rt->sim_peers);
    rt->sim_peers = NULL;
}

/* Peers that hang are let go before the runtime's fibers are counted. */
void
sim_dismiss(struct rt *rt)
{
    struct peers *p = rt->sim_peers;
    if (!p)
        return;
    scope_cancel(&p->scope);
    bool ended = rt_drive(rt, peers_gone, p);
    assert(ended);
    (void)ended;
}

void
sim_crash(void)
{
    struct rt *rt = rt_now;
    rt->crashed = true;
    for (struct fiber *f = rt->all; f; f = f->all_next)
        fiber_wake_as(f, WAKE_CANCEL);
}

bool
sim_crashed(void)
{
    return rt_now->crashed;
}

void
sim_set_wall_ms(int64_t wall_ms)
{
    rt_now->sim_wall_base_ms = wall_ms - rt_now->sim_now_ms;
    rt_now->wall_last_ms = 0;
}

uint64_t
sim_digest(void)
{
    return rt_now->digest;
}

/* ---- HTTP ------------------------------------------------------------------ */

struct sim_http {
    struct http base;
    struct http_req req; /* deep copy */
    struct str copy;     /* its strings */
    struct http_header *headers, *sent_headers;
    size_t nsent;
    char **sent_text;
    int status;
    bool begun, ended, dropped, gone;
    unsigned refs; /* client and peer */
    struct fiber *peer;
    struct scope scope;
    struct str body;
    size_t taken, reply_max;
    struct waitq client, server;
};

static void
sim_http_unref(struct sim_http *x)
{
    if (--x->refs)
        return;
    for (size_t i = 0; i < x->nsent * 2; i++)
        free(x->sent_text[i]);
    free(x->sent_text);
    free(x->sent_headers);
    for (size_t i = 0; i < x->req.nheaders; i++) {
        free((char *)(uintptr_t)x->headers[i].name);
        free((char *)(uintptr_t)x->headers[i].value);
    }
    free(x->headers);
    free((char *)(uintptr_t)x->req.method);
    free((char *)(uintptr_t)x->req.url);
    free((void *)(uintptr_t)x->req.body);
    str_fini(&x->body);
    free(x);
}

static void
sim_http_peer(void *arg)
{
    struct sim_http *x = arg;
    x->peer = fiber_self();
    peers()->http_fn(peers()->http_ctx, x);
    if (!x->begun && !x->dropped)
        sim_http_begin(x, 200, NULL, 0);
    x->ended = true;
    x->peer = NULL;
    waitq_wake_all(&x->client);
    sim_http_unref(x);
}

void
sim_http_begin(struct sim_http *x, int status, const struct http_header *headers, size_t n)
{
    assert(!x->begun);
    x->begun = true;
    x->status = status;
    x->nsent = n;
    x->sent_headers = xcalloc(n, sizeof *x->sent_headers);
    x->sent_text = xcalloc(2 * n, sizeof *x->sent_text);
    for (size_t i = 0; i < n; i++) {
        x->sent_headers[i].name = x->sent_text[2 * i] = xstrdup(headers[i].name);
        x->sent_headers[i].value = x->sent_text[2 * i + 1] = xstrdup(headers[i].value);
    }
    waitq_wake_all(&x->client);
}

void
sim_http_send(struct sim_http *x, const char *bytes, size_t n)
{
    if (!x->begun)
        sim_http_begin(x, 200, NULL, 0);
    if (x->dropped || x->gone)
        return;
    while (x->body.len - x->taken > SIM_AHEAD && !x->gone) {
        struct err *e = waitq_wait(&x->server, DEADLINE_NONE);
        if (e) {
            err_drop(e);
            return;
        }
    }
    str_addn(&x->body, bytes, n);
    waitq_wake_all(&x->client);
}

void
sim_http_drop(struct sim_http *x)
{
    x->dropped = true;
    waitq_wake_all(&x->client);
}

bool
sim_http_gone(const struct sim_http *x)
{
    return x->gone;
}

const struct http_req *
sim_http_req(const struct sim_http *x)
{
    return &x->req;
}

static struct sim_http *
sim_of(const struct http *h)
{
    return container_of(h, struct sim_http, base);
}

static int
sim_status(const struct http *h)
{
    return sim_of(h)->status;
}

static const char *
sim_header(const struct http *h, const char *name)
{
    const struct sim_http *x = sim_of(h);
    for (size_t i = 0; i < x->nsent; i++) {
        if (strcasecmp(x->sent_headers[i].name, name) == 0)
            return x->sent_headers[i].value;
    }
    return NULL;
}

static struct err *
sim_broken(void)
{
    return err_set_in_doubt(FAIL(ERR_TRANSIENT, "the connection was reset"));
}

static void
sim_close(struct http *h)
{
    struct sim_http *x = sim_of(h);
    x->gone = true;
    waitq_wake_all(&x->server);
    if (x->peer)
        fiber_wake_as(x->peer, WAKE_CANCEL);
    sim_http_unref(x);
}

static struct err *
sim_read(struct http *h, int64_t deadline_ms, struct str *to, bool *ret_end)
{
    struct sim_http *x = sim_of(h);
    *ret_end = false;
    while (x->taken == x->body.len && !x->ended && !x->dropped) {
        struct err *e = waitq_wait(&x->client, deadline_ms);
        if (e)
            return err_set_in_doubt(e);
    }
    if (x->taken < x->body.len) {
        if (x->body.len > x->reply_max)
            return FAIL(ERR_LIMIT, "the reply is longer than %zu bytes", x->reply_max);
        str_addn(to, x->body.p + x->taken, x->body.len - x->taken);
        x->taken = x->body.len;
        waitq_wake_all(&x->server);
        return NULL;
    }
    if (x->dropped)
        return sim_broken();
    *ret_end = true;
    return NULL;
}

static struct err *
sim_open(void *ctx, const struct http_req *req, int64_t deadline_ms, struct http **ret_http);

static const struct http_ops sim_http_ops = {sim_open, sim_status, sim_header, sim_read, sim_close};

static struct err *
sim_open(void *ctx, const struct http_req *req, int64_t deadline_ms, struct http **ret_http)
{
    struct peers *p = ctx;
    if (p->refuse)
        return FAIL(ERR_TRANSIENT, "could not connect to '%s': connection refused", req->url);
    struct sim_http *x = xcalloc(1, sizeof *x);
    x->base.ops = &sim_http_ops;
    x->refs = 2;
    x->reply_max = req->reply_max ? req->reply_max : (size_t)32 << 20;
    x->req = *req;
    x->req.method = xstrdup(req->method);
    x->req.url = xstrdup(req->url);
    char *body = xmalloc(req->body_len + 1); /* ends with a NUL for the scripts' convenience */
    if (req->body_len)
        memcpy(body, req->body, req->body_len);
    body[req->body_len] = '\0';
    x->req.body = body;
    x->headers = xcalloc(req->nheaders, sizeof *x->headers);
    for (size_t i = 0; i < req->nheaders; i++)
        x->headers[i] =
            (struct http_header){xstrdup(req->headers[i].name), xstrdup(req->headers[i].value)};
    x->req.headers = x->headers;
    scope_spawn(&p->scope, "http-peer", sim_http_peer, x);
    struct err *e = NULL;
    while (!e && !x->begun && !x->dropped)
        e = waitq_wait(&x->client, deadline_ms);
    if (!e && !x->begun)
        e = sim_broken();
    if (e) {
        sim_close(&x->base);
        return err_set_in_doubt(e);
    }
    *ret_http = &x->base;
    return NULL;
}

void
sim_on_http(sim_http_fn fn, void *ctx)
{
    struct peers *p = peers();
    p->http_fn = fn;
    p->http_ctx = ctx;
    http_install(&sim_http_ops, p);
}

void
sim_http_refuse(bool on)
{
    peers()->refuse = on;
}

/* ---- processes ------------------------------------------------------------- */

struct sim_proc {
    struct proc base;
    char **argv, **env;
    struct str in, out;
    bool in_closed, out_closed, told_to_end;
    unsigned refs;
    struct waitq readers, peer_readers;
    struct fiber *peer;
};

static struct sim_proc *
sim_proc_of(struct proc *p)
{
    return container_of(p, struct sim_proc, base);
}

static char **
words_copy(const char *const *words)
{
    size_t n = 0;
    while (words && words[n])
        n++;
    char **copy = xcalloc(n + 1, sizeof *copy);
    for (size_t i = 0; i < n; i++)
        copy[i] = xstrdup(words[i]);
    return copy;
}

static void
words_free(char **words)
{
    for (char **w = words; *w; w++)
        free(*w);
    free(words);
}

static void
sim_proc_unref(struct sim_proc *x)
{
    if (--x->refs)
        return;
    words_free(x->argv);
    words_free(x->env);
    str_fini(&x->in);
    str_fini(&x->out);
    proc_fini(&x->base);
    free(x);
}

static void
sim_proc_peer(void *arg)
{
    struct sim_proc *x = arg;
    x->peer = fiber_self();
    /* Told to end before it ran at all: nobody was there to be woken. */
    int status = x->told_to_end ? 1 : peers()->proc_fn(peers()->proc_ctx, x);
    x->peer = NULL;
    x->out_closed = true;
    waitq_wake_all(&x->readers);
    proc_has_status(&x->base, x->told_to_end ? 256 + 15 : status);
    sim_proc_unref(x);
}

const char *const *
sim_proc_argv(const struct sim_proc *x)
{
    return (const char *const *)x->argv;
}

const char *
sim_proc_env(const struct sim_proc *x, const char *name)
{
    size_t n = strlen(name);
    for (char **e = x->env; *e; e++) {
        if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
            return *e + n + 1;
    }
    return NULL;
}

struct err *
sim_proc_read(struct sim_proc *x, int64_t deadline_ms, struct str *to, bool *ret_end)
{
    *ret_end = false;
    while (!x->in.len && !x->in_closed)
        PASS(waitq_wait(&x->peer_readers, deadline_ms));
    *ret_end = !x->in.len;
    if (x->in.len)
        str_addn(to, x->in.p, x->in.len);
    str_reset(&x->in);
    return NULL;
}

void
sim_proc_write(struct sim_proc *x, const char *bytes, size_t n)
{
    str_addn(&x->out, bytes, n);
    waitq_wake_all(&x->readers);
}

void
sim_proc_write_stderr(struct sim_proc *x, const char *bytes, size_t n)
{
    proc_took_stderr(&x->base, bytes, n);
}

static struct err *
sim_write(struct proc *p, const void *bytes, size_t n, int64_t deadline_ms)
{
    struct sim_proc *x = sim_proc_of(p);
    (void)deadline_ms;
    PASS(fiber_check());
    if (x->in_closed || x->out_closed)
        return FAIL(ERR_TRANSIENT, "writing to the peer: broken pipe");
    str_addn(&x->in, bytes, n);
    waitq_wake_all(&x->peer_readers);
    return NULL;
}

static void
sim_close_stdin(struct proc *p)
{
    struct sim_proc *x = sim_proc_of(p);
    x->in_closed = true;
    waitq_wake_all(&x->peer_readers);
}

static struct err *
sim_proc_out(struct proc *p, int64_t deadline_ms, struct str *to, bool *ret_end)
{
    struct sim_proc *x = sim_proc_of(p);
    *ret_end = false;
    while (!x->out.len && !x->out_closed)
        PASS(waitq_wait(&x->readers, deadline_ms));
    *ret_end = !x->out.len;
    if (x->out.len)
        str_addn(to, x->out.p, x->out.len);
    str_reset(&x->out);
    return NULL;
}

static void
sim_signal(struct proc *p, char order)
{
    struct sim_proc *x = sim_proc_of(p);
    (void)order;
    x->told_to_end = true;
    x->in_closed = true;
    waitq_wake_all(&x->peer_readers);
    if (x->peer)
        fiber_wake_as(x->peer, WAKE_CANCEL);
}

static void
sim_proc_free(struct proc *p)
{
    struct sim_proc *x = sim_proc_of(p);
    x->in_closed = true;
    sim_proc_unref(x);
}

static const struct proc_ops sim_proc_ops = {sim_write, sim_close_stdin, sim_proc_out, sim_signal,
                                             sim_proc_free};

struct err *
sim_proc_start(const struct proc_opts *opts, struct proc **ret_proc)
{
    struct peers *p = peers();
    if (!p->proc_fn)
        return FAIL(ERR_MISSING, "running '%s': no such program in PATH", opts->argv[0]);
    struct sim_proc *x = xcalloc(1, sizeof *x);
    x->argv = words_copy(opts->argv);
    x->env = words_copy(opts->env);
    x->base.ops = &sim_proc_ops;
    x->base.err_keep = opts->stderr_keep ? opts->stderr_keep : 8192;
    x->base.pid = 1000;
    x->refs = 2;
    scope_spawn(&p->scope, "proc-peer", sim_proc_peer, x);
    *ret_proc = &x->base;
    return NULL;
}

void
sim_on_proc(sim_proc_fn fn, void *ctx)
{
    struct peers *p = peers();
    p->proc_fn = fn;
    p->proc_ctx = ctx;
}
