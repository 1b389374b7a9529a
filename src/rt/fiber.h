/* fiber.h - concurrency that reads top to bottom.
 *
 * A fiber runs until it waits. It lives in a scope; a scope ends only when its fibers have.
 * Cancelling a scope, or passing its deadline, makes each wait inside return ERR_CANCELLED or
 * ERR_TIMEOUT, so that ordinary clean-up runs. Between two waits code is atomic.
 *
 *   struct scope s;
 *   scope_open(&s, rt_after(5000));      (nested in the caller's scope; its deadline is the nearer
 * one) scope_spawn(&s, "fetch", fetch, &a); scope_spawn(&s, "fetch", fetch, &b); struct err *e =
 * scope_close(&s);     (waits for both; ERR_TIMEOUT after 5 s, when both have ended)
 */
#ifndef RT_FIBER_H
#define RT_FIBER_H
#include "base/err.h"

struct fiber;
struct scope { /* lives on the opener's stack; fields belong to fiber.c */
    struct scope *parent;
    struct fiber *owner;
    struct fiber *fibers; /* spawned here and not ended */
    struct scope *children, *sibling_next, *sibling_prev;
    struct fiber *joiner;    /* who waits in scope_close or scope_wait */
    int64_t deadline_ms;     /* the nearest of its own and those around it */
    int64_t own_ms, left_ms; /* its own; what is left of that while it stands still */
    unsigned count;
    unsigned working, resting; /* parts of it, as they say (scope_work, scope_rest) */
    bool worktime, stands;     /* its deadline counts work alone; nobody works */
    bool lenient;              /* its deadline ends nothing */
    bool cancelled, closing;
    bool detached; /* root scope of a runtime or a service: not on anyone's stack */
};

void scope_open(struct scope *s, int64_t deadline_ms);
/* The same with a deadline that stands still while somebody rests inside and nobody works: so the
 * days in which a person is waited for are not taken from the time for the work around it. */
void scope_open_worktime(struct scope *s, int64_t deadline_ms);
/* The running fiber begins (or ends) to work, or to rest, in all scopes around it. Neither: it
 * counts as what the others do. */
void scope_work(bool begins);
void scope_rest(bool begins);
void scope_be_lenient(struct scope *s);    /* its own deadline ends nothing: it is only told */
bool scope_is_late(const struct scope *s); /* its own deadline has passed, also after its close */
/* A scope without a parent on the stack: for services that live longer than their opener's scope.
 * It is not cancelled with anyone; its owner closes it from any fiber. */
void scope_open_detached(struct scope *s);
void scope_spawn(struct scope *s, const char *name, void (*fn)(void *arg), void *arg);
void scope_cancel(struct scope *s); /* returns at once; fibers see it at their next wait */
bool scope_is_cancelled(const struct scope *s); /* it or one around it */
/* Wait until no fiber of the scope is left; new ones may be spawned afterwards. When the deadline
 * passes or the waiter is cancelled, the scope is cancelled and its fibers are still waited for. */
struct err *MUST scope_wait(struct scope *s) YIELDS;
struct err *MUST scope_close(struct scope *s) YIELDS; /* scope_wait, then leaves the scope */
void scope_end(struct scope *s) YIELDS;               /* cancel, wait, leave; never fails */

struct fiber *fiber_self(void); /* NULL on the loop */
/* NULL, or the error that any wait would return now. */
struct err *MUST fiber_check(void);
int64_t fiber_deadline(void); /* of the scopes around it, as it is now */
/* Parks the running fiber until fiber_wake. NULL when woken. */
struct err *MUST fiber_park(int64_t deadline_ms) YIELDS;
void fiber_wake(struct fiber *f); /* makes a parked fiber ready; nothing when it is not parked */
struct err *MUST fiber_sleep(int64_t ms) YIELDS;
void fiber_yield(void) YIELDS; /* lets the others that are ready go first */
/* While shielded a fiber's waits ignore scopes (their own deadlines still hold): for clean-up that
 * has to wait. Returns the former state; give it back afterwards. */
bool fiber_shield(bool on);

/* Who waits for one thing, in order of arrival. */
struct waiter;
struct waitq {
    struct waiter *first, *last;
};
struct err *MUST waitq_wait(struct waitq *q, int64_t deadline_ms) YIELDS;
bool waitq_wake_one(struct waitq *q); /* false: nobody waits */
void waitq_wake_all(struct waitq *q);

#endif
