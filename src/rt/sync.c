/* sync.c - semaphore, event, channel on wait queues. */
#include "rt/sync.h"
#include <assert.h>
#include <stdlib.h>

void
sem_setup(struct sem *s, unsigned permits)
{
    *s = (struct sem){.permits = permits};
}

struct err *
sem_acquire(struct sem *s, int64_t deadline_ms)
{
    if (s->permits && !s->waiting.first) {
        PASS(fiber_check());
        s->permits--;
        return NULL;
    }
    return waitq_wait(&s->waiting, deadline_ms); /* the permit is handed over with the wake-up */
}

void
sem_release(struct sem *s)
{
    if (!waitq_wake_one(&s->waiting))
        s->permits++;
}

struct err *
event_wait(struct event *e, int64_t deadline_ms)
{
    if (e->set)
        return fiber_check();
    return waitq_wait(&e->waiting, deadline_ms);
}

void
event_set(struct event *e)
{
    e->set = true;
    waitq_wake_all(&e->waiting);
}

struct chan {
    struct waitq senders, receivers;
    size_t capacity, first, len;
    bool closed;
    void *items[];
};

struct chan *
chan_new(size_t capacity)
{
    assert(capacity > 0);
    struct chan *c = xcalloc(1, sizeof *c + capacity * sizeof(void *));
    c->capacity = capacity;
    return c;
}

void
chan_free(struct chan *c, void (*drop)(void *item))
{
    if (!c)
        return;
    assert(!c->senders.first && !c->receivers.first);
    for (; c->len; c->len--, c->first = (c->first + 1) % c->capacity) {
        if (drop)
            drop(c->items[c->first]);
    }
    free(c);
}

bool
chan_try_send(struct chan *c, void *item)
{
    if (c->closed || c->len == c->capacity)
        return false;
    c->items[(c->first + c->len++) % c->capacity] = item;
    waitq_wake_one(&c->receivers);
    return true;
}

struct err *
chan_send(struct chan *c, void *item, int64_t deadline_ms)
{
    while (!chan_try_send(c, item)) {
        if (c->closed)
            return FAIL(ERR_CANCELLED, "the channel is closed");
        PASS(waitq_wait(&c->senders, deadline_ms));
    }
    return NULL;
}

struct err *
chan_recv(struct chan *c, int64_t deadline_ms, void **ret_item)
{
    while (!c->len) {
        if (c->closed) {
            *ret_item = NULL;
            return NULL;
        }
        PASS(waitq_wait(&c->receivers, deadline_ms));
    }
    *ret_item = c->items[c->first];
    c->first = (c->first + 1) % c->capacity;
    c->len--;
    waitq_wake_one(&c->senders);
    return NULL;
}

void
chan_close(struct chan *c)
{
    c->closed = true;
    waitq_wake_all(&c->senders);
    waitq_wake_all(&c->receivers);
}
