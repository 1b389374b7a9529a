/* worker.h - work that blocks, on other threads, while the fiber waits.
 *
 * Only this module (and what it calls) runs off the loop. What it runs must not touch fibers. In a
 * simulation everything runs on the loop, in a repeatable order. */
#ifndef RT_WORKER_H
#define RT_WORKER_H
#include "rt/fiber.h"

/* Runs fn(arg) on a thread of the pool and waits until it has returned, also when cancelled. */
void offload(void (*fn)(void *arg), void *arg) YIELDS;

/* A thread of its own with a queue. It takes all jobs that are waiting (at most batch_max) and
 * hands them over together: while one batch is being written the next one gathers (group commit).
 */
struct worker;
typedef void (*worker_fn)(void *ctx, void **jobs, size_t n);
struct worker *OWN worker_new(const char *name, worker_fn fn, void *ctx, size_t batch_max);
void worker_free(struct worker *OWN w) YIELDS; /* does what is queued, then ends the thread */
/* Queues the job and waits until its batch has been done, also when cancelled. */
void worker_do(struct worker *w, void *job) YIELDS;

#endif
