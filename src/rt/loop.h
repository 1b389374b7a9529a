/* loop.h - callbacks on the loop, for the folders that join a foreign event library to it (net).
 *
 * Callbacks run on the main stack, not in a fiber: they may wake fibers and must not wait. Not
 * there in a simulation. Above net nobody uses this. */
#ifndef RT_LOOP_H
#define RT_LOOP_H
#include "base/err.h"

struct rt;
enum poll_event { POLL_READ = 1, POLL_WRITE = 2, POLL_HANGUP = 4 };
struct poll;
typedef void (*poll_fn)(void *ctx, unsigned events);
struct err *MUST poll_new(int fd, poll_fn fn, void *ctx, struct poll **OWN ret_poll);
void poll_want(struct poll *p, unsigned events); /* 0: none for now */
void poll_free(struct poll *OWN p); /* from a callback too; the descriptor stays yours */

struct timer; /* one shot; re-armed as often as you like, also in its own callback */
struct timer *OWN timer_new(void (*fn)(void *ctx), void *ctx);
void timer_at(struct timer *t, int64_t when_ms); /* DEADLINE_NONE: disarm */
void timer_free(struct timer *OWN t);

/* From any thread: run fn(arg) on the loop soon. */
void rt_post(struct rt *rt, void (*fn)(void *arg), void *arg);

#endif
