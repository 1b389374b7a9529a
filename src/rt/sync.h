/* sync.h - meeting points of fibers: counted permits, one-shot events, channels. FIFO, all of them.
 */
#ifndef RT_SYNC_H
#define RT_SYNC_H
#include "rt/fiber.h"

struct sem { /* at most n at a time */
    unsigned permits;
    struct waitq waiting;
};
void sem_setup(struct sem *s, unsigned permits);
struct err *MUST sem_acquire(struct sem *s, int64_t deadline_ms) YIELDS;
void sem_release(struct sem *s);

struct event { /* happens once */
    bool set;
    struct waitq waiting;
};
struct err *MUST event_wait(struct event *e, int64_t deadline_ms) YIELDS;
void event_set(struct event *e);

struct chan; /* a bounded queue of pointers */
struct chan *OWN chan_new(size_t capacity);
/* Items still inside go to drop (may be NULL). Nobody may be waiting. */
void chan_free(struct chan *OWN c, void (*drop)(void *item));
struct err *MUST chan_send(struct chan *c, void *OWN item,
                           int64_t deadline_ms) YIELDS; /* owned on success only */
bool
chan_try_send(struct chan *c, void *OWN item); /* false: full or closed, the item stays yours */
/* *ret_item is NULL when the channel is closed and empty. */
struct err *MUST chan_recv(struct chan *c, int64_t deadline_ms, void **ret_item) YIELDS;
void chan_close(struct chan *c); /* senders get ERR_CANCELLED, receivers empty it first */

#endif
