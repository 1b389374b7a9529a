/* loop.c - descriptors and timers with callbacks, for net. */
#include "rt/loop.h"
#include "rt/core.h"
#include <assert.h>
#include <stdlib.h>

struct poll {
    uv_poll_t handle;
    poll_fn fn;
    void *ctx;
    unsigned want;
    bool closing;
};

static void
poll_closed(uv_handle_t *h)
{
    free(h->data);
}

static void
poll_ready(uv_poll_t *h, int status, int events)
{
    struct poll *p = h->data;
    unsigned got = 0;
    if (status < 0 || events & UV_READABLE)
        got |= POLL_READ;
    if (status < 0 || events & UV_WRITABLE)
        got |= POLL_WRITE;
    if (status < 0 || events & UV_DISCONNECT)
        got |= POLL_HANGUP;
    p->fn(p->ctx, status < 0 ? got & (p->want | POLL_HANGUP) : got);
}

struct err *
poll_new(int fd, poll_fn fn, void *ctx, struct poll **ret_poll)
{
    assert(rt_now && !rt_now->simulated);
    struct poll *p = xcalloc(1, sizeof *p);
    int rc = uv_poll_init(&rt_now->loop, &p->handle, fd);
    if (rc) {
        free(p);
        return FAIL(ERR_LIMIT, "watching a descriptor: %s", uv_strerror(rc));
    }
    p->handle.data = p;
    p->fn = fn;
    p->ctx = ctx;
    *ret_poll = p;
    return NULL;
}

void
poll_want(struct poll *p, unsigned events)
{
    int ev = (events & POLL_READ ? UV_READABLE : 0) | (events & POLL_WRITE ? UV_WRITABLE : 0) |
             (events & POLL_HANGUP ? UV_DISCONNECT : 0);
    if (events == p->want)
        return;
    p->want = events;
    if (ev)
        uv_poll_start(&p->handle, ev, poll_ready);
    else
        uv_poll_stop(&p->handle);
}

void
poll_free(struct poll *p)
{
    if (!p || p->closing)
        return;
    p->closing = true;
    uv_poll_stop(&p->handle);
    uv_close((uv_handle_t *)&p->handle, poll_closed);
}

struct timer {
    struct tick tick;
    void (*fn)(void *ctx);
    void *ctx;
};

static void
timer_due(struct tick *t)
{
    struct timer *timer = container_of(t, struct timer, tick);
    timer->fn(timer->ctx);
}

struct timer *
timer_new(void (*fn)(void *ctx), void *ctx)
{
    struct timer *t = xcalloc(1, sizeof *t);
    t->tick.fn = timer_due;
    t->fn = fn;
    t->ctx = ctx;
    return t;
}

void
timer_at(struct timer *t, int64_t when_ms)
{
    tick_arm(&t->tick, when_ms);
}

void
timer_free(struct timer *t)
{
    if (!t)
        return;
    tick_disarm(&t->tick);
    free(t);
}
