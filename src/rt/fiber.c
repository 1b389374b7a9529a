/* fiber.c - stacks, switches, scopes and waits.
 *
 * A fiber's stack is entered through ucontext. Later switches go by _setjmp and _longjmp:
 * swapcontext asks the kernel twice for the signal mask, which is the same everywhere here. A
 * sanitizer's longjmp forgets what is poisoned on the stack, so with one of them it is swapcontext
 * all the way.
 *
 * The sanitizers and valgrind have to be told of each switch and each stack: without that
 * AddressSanitizer takes another fiber's frames for its own, ThreadSanitizer sees races, and the
 * leak checker does not look for pointers on stacks it does not know. */
#undef _FORTIFY_SOURCE /* its longjmp takes a jump to another stack for an attack */
#include "rt/core.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- switching ---------------------------------------------------------------------------------
 */

static void
switch_started(void **save_fake, const void *low, size_t size)
{
#if WITH_ASAN
    __sanitizer_start_switch_fiber(save_fake, low, size);
#else
    (void)save_fake, (void)low, (void)size;
#endif
}

static void
switch_finished(struct rt *rt, void *fake, bool came_from_main)
{
#if WITH_ASAN
    const void *low;
    size_t size;
    __sanitizer_finish_switch_fiber(fake, &low, &size);
    if (came_from_main) {
        rt->main_stack = low;
        rt->main_stack_size = size;
    }
#else
    (void)rt, (void)fake, (void)came_from_main;
#endif
}

static void fiber_main(void);

static void
entry_make(ucontext_t *u, const struct stack *s)
{
    getcontext(u);
    u->uc_stack.ss_sp = s->low;
    u->uc_stack.ss_size = s->size;
    u->uc_link = NULL;
    makecontext(u, fiber_main, 0);
#if WITH_ASAN
    /* It hooks swapcontext and would forget at each switch what is poisoned on the stack. */
    u->uc_stack.ss_size = 0;
#endif
}

/* From the loop to the fiber; returns when it switches out. */
static void
go_in(struct rt *rt, struct fiber *f)
{
    const bool first = !f->begun;
    f->begun = true;
#if WITH_ASAN || WITH_TSAN
    if (first)
        entry_make(&f->here, f->stack);
    swapcontext(&rt->loop_here, &f->here);
#else
    ucontext_t entry;
    if (_setjmp(rt->loop_here))
        return;
    if (!first)
        _longjmp(f->here, 1);
    entry_make(&entry, f->stack);
    setcontext(&entry);
#endif
}

/* From the fiber to the loop; returns when the loop switches in. */
static void
go_out(struct rt *rt, struct fiber *f)
{
#if WITH_ASAN || WITH_TSAN
    swapcontext(&f->here, &rt->loop_here);
#else
    if (!_setjmp(f->here))
        _longjmp(rt->loop_here, 1);
#endif
}

void
fiber_switch_in(struct rt *rt, struct fiber *f)
{
    assert(!rt->running);
    rt->running = f;
    rt->switches++;
    rt_note(rt, f->id);
    switch_started(&rt->main_fake, f->stack->low, f->stack->size);
#if WITH_TSAN
    __tsan_switch_to_fiber(f->tsan, 0);
#endif
    go_in(rt, f);
    switch_finished(rt, rt->main_fake, false);
    rt->running = NULL;
    if (!f->done)
        return;
#if WITH_TSAN
    __tsan_destroy_fiber(f->tsan);
#endif
    stack_give(rt, f->stack);
    if (f->all_prev)
        f->all_prev->all_next = f->all_next;
    else
        rt->all = f->all_next;
    if (f->all_next)
        f->all_next->all_prev = f->all_prev;
    rt->fibers--;
    free(f);
}

/* Back to the loop. A dying fiber gives up its fake stack by passing NULL. */
static void
fiber_switch_out(struct fiber *f)
{
    struct rt *rt = rt_now;
    switch_started(f->done ? NULL : &f->asan_fake, rt->main_stack, rt->main_stack_size);
#if WITH_TSAN
    __tsan_switch_to_fiber(rt->main_tsan, 0);
#endif
    go_out(rt, f);
    switch_finished(rt, f->asan_fake, true);
}

void
rt_deep(void (*fn)(void *arg), void *arg)
{
    struct fiber *f = fiber_self();
    if (!f) {
        fn(arg);
        return;
    }
    struct rt *rt = rt_now;
    assert(!rt->deep_fn);
    rt->deep_fn = fn;
    rt->deep_arg = arg;
    fiber_switch_out(f);
}

static void
scope_left(struct fiber *f)
{
    struct scope *s = f->home;
    if (f->prev)
        f->prev->next = f->next;
    else
        s->fibers = f->next;
    if (f->next)
        f->next->prev = f->prev;
    s->count--;
    if (!s->count && s->joiner)
        fiber_wake(s->joiner);
}

static void
fiber_main(void)
{
    struct rt *rt = rt_now;
    struct fiber *f = rt->running;
    switch_finished(rt, NULL, true);
    f->fn(f->arg);
    assert(f->scope == f->home); /* every scope it opened is closed */
    tick_disarm(&f->tick);
    scope_left(f);
    f->done = true;
    fiber_switch_out(f), __builtin_unreachable(); /* the loop frees f */
}

static void
fiber_timed_out(struct tick *t)
{
    fiber_wake_as(container_of(t, struct fiber, tick), WAKE_TIMER);
}

struct fiber *
fiber_new(struct scope *home, const char *name, void (*fn)(void *), void *arg)
{
    struct rt *rt = rt_now;
    struct fiber *f = xcalloc(1, sizeof *f);
    f->stack = stack_take(rt);
    f->fn = fn;
    f->arg = arg;
    f->name = name;
    f->home = f->scope = home;
    f->id = ++rt->fiber_ids;
    f->tick.fn = fiber_timed_out;
    f->next = home->fibers;
    if (f->next)
        f->next->prev = f;
    home->fibers = f;
    home->count++;
    f->all_next = rt->all;
    if (rt->all)
        rt->all->all_prev = f;
    rt->all = f;
    rt->fibers++;
    rt->fibers_peak = MAX(rt->fibers_peak, rt->fibers);
#if WITH_TSAN
    f->tsan = __tsan_create_fiber(0);
    if (!rt->main_tsan)
        rt->main_tsan = __tsan_get_current_fiber();
#endif
    vec_push(&rt->ready, f);
    return f;
}

/* ---- waits -------------------------------------------------------------------------------------
 */

struct fiber *
fiber_self(void)
{
    return rt_now ? rt_now->running : NULL;
}

void
fiber_wake_as(struct fiber *f, enum wake why)
{
    if (!f->parked)
        return;
    f->parked = false;
    f->wake = why;
    tick_disarm(&f->tick);
    vec_push(&rt_now->ready, f);
}

void
fiber_wake(struct fiber *f)
{
    fiber_wake_as(f, WAKE_DONE);
}

struct err *
fiber_check(void)
{
    const struct fiber *f = fiber_self();
    assert(f); /* waiting is for fibers */
    if (rt_now->crashed)
        return FAIL(ERR_CANCELLED, "cancelled");
    if (f->shielded)
        return NULL;
    if (scope_is_cancelled(f->scope))
        return FAIL(ERR_CANCELLED, "cancelled");
    if (f->scope->deadline_ms != DEADLINE_NONE && f->scope->deadline_ms <= rt_now_ms())
        return FAIL(ERR_TIMEOUT, "timed out");
    return NULL;
}

int64_t
fiber_deadline(void)
{
    return fiber_self()->scope->deadline_ms;
}

struct err *
fiber_park(int64_t until_ms)
{
    PASS(fiber_check());
    struct fiber *f = fiber_self();
    int64_t deadline_ms = f->shielded ? until_ms : MIN(until_ms, f->scope->deadline_ms);
    f->parked = true;
    f->wake = WAKE_NONE;
    f->until_ms = until_ms;
    tick_arm(&f->tick, deadline_ms);
    fiber_switch_out(f);
    assert(!f->parked);
    switch (f->wake) {
    case WAKE_TIMER:
        return FAIL(ERR_TIMEOUT, "timed out");
    case WAKE_CANCEL:
        return FAIL(ERR_CANCELLED, "cancelled");
    default:
        return NULL;
    }
}

struct err *
fiber_sleep(int64_t ms)
{
    int64_t until = rt_after(ms);
    struct err *e = fiber_park(until);
    if (e && err_kind(e) == ERR_TIMEOUT && rt_now_ms() >= until) {
        err_drop(e); /* our own alarm, unless the scope's deadline came at the same moment */
        return fiber_self()->shielded ? NULL : fiber_check();
    }
    return e;
}

void
fiber_yield(void)
{
    struct fiber *f = fiber_self();
    f->parked = true;
    fiber_wake(f);
    fiber_switch_out(f);
}

bool
fiber_shield(bool on)
{
    struct fiber *f = fiber_self();
    bool was = f->shielded;
    f->shielded = on;
    return was;
}

struct waiter {
    struct waiter *next, *prev;
    struct fiber *fiber;
    bool queued;
};

static void
waitq_remove(struct waitq *q, struct waiter *w)
{
    if (w->prev)
        w->prev->next = w->next;
    else
        q->first = w->next;
    if (w->next)
        w->next->prev = w->prev;
    else
        q->last = w->prev;
    w->queued = false;
}

struct err *
waitq_wait(struct waitq *q, int64_t deadline_ms)
{
    struct waiter w = {.fiber = fiber_self(), .prev = q->last, .queued = true};
    if (q->last)
        q->last->next = &w;
    else
        q->first = &w;
    q->last = &w;
    struct err *e = fiber_park(deadline_ms);
    if (w.queued) {
        waitq_remove(q, &w);
        return e;
    }
    /* We were woken: the wake-up must not be lost, even when a cancel came in the same turn. */
    err_free(e);
    return NULL;
}

bool
waitq_wake_one(struct waitq *q)
{
    struct waiter *w = q->first;
    if (!w)
        return false;
    waitq_remove(q, w);
    fiber_wake(w->fiber);
    return true;
}

void
waitq_wake_all(struct waitq *q)
{
    while (waitq_wake_one(q))
        ;
}

/* ---- scopes ------------------------------------------------------------------------------------
 */

static void
scope_link(struct scope *s, struct scope *parent, int64_t deadline_ms)
{
    *s = (struct scope){.parent = parent, .deadline_ms = deadline_ms, .own_ms = deadline_ms};
    if (!parent)
        return;
    s->deadline_ms = MIN(deadline_ms, parent->deadline_ms);
    s->sibling_next = parent->children;
    if (parent->children)
        parent->children->sibling_prev = s;
    parent->children = s;
}

void
scope_open(struct scope *s, int64_t deadline_ms)
{
    struct fiber *f = fiber_self();
    assert(f);
    scope_link(s, f->scope, deadline_ms);
    s->owner = f;
    f->scope = s;
}

void
scope_open_detached(struct scope *s)
{
    scope_link(s, NULL, DEADLINE_NONE);
    s->detached = true;
}

void
scope_init_root(struct scope *s)
{
    scope_open_detached(s);
}

void
scope_spawn(struct scope *s, const char *name, void (*fn)(void *arg), void *arg)
{
    assert(!s->closing);
    fiber_new(s, name, fn, arg);
}

bool
scope_is_cancelled(const struct scope *s)
{
    for (; s; s = s->parent) {
        if (s->cancelled)
            return true;
    }
    return false;
}

static bool
scope_is_inside(const struct scope *s, const struct scope *outer)
{
    while (s && s != outer)
        s = s->parent;
    return s != NULL;
}

static void
scope_interrupt(struct scope *s)
{
    for (struct fiber *f = s->fibers; f; f = f->next) {
        if (!f->shielded)
            fiber_wake_as(f, WAKE_CANCEL);
    }
    if (s->owner && !s->owner->shielded && scope_is_inside(s->owner->scope, s))
        fiber_wake_as(s->owner, WAKE_CANCEL);
    for (struct scope *c = s->children; c; c = c->sibling_next)
        scope_interrupt(c);
}

void
scope_cancel(struct scope *s)
{
    if (s->cancelled)
        return;
    s->cancelled = true;
    scope_interrupt(s);
}

/* Waits until the scope is empty; an interruption cancels what is inside and is returned at the
 * end. */
struct err *
scope_wait(struct scope *s)
{
    struct fiber *self = fiber_self();
    struct err *interrupted = NULL;
    assert(!s->joiner);
    while (s->count && !rt_now->crashed) {
        s->joiner = self;
        interrupted = fiber_park(DEADLINE_NONE); /* ours is inside of it, or it has none */
        s->joiner = NULL;
        if (!interrupted)
            continue;
        bool explicit =
            s->cancelled; /* somebody inside called scope_cancel: not our caller's failure */
        scope_cancel(s);
        bool was = fiber_shield(true);
        while (s->count && !rt_now->crashed) {
            s->joiner = self;
            err_drop(fiber_park(DEADLINE_NONE));
            s->joiner = NULL;
        }
        fiber_shield(was);
        if (explicit && err_kind(interrupted) == ERR_CANCELLED &&
            !(s->parent && scope_is_cancelled(s->parent))) {
            err_drop(interrupted);
            interrupted = NULL;
        }
    }
    /* After a simulated crash the fibers still have to unwind before their scope's storage goes. */
    while (s->count) {
        s->joiner = NULL;
        fiber_yield();
    }
    return interrupted;
}

static void
scope_leave(struct scope *s)
{
    struct fiber *f = fiber_self();
    assert(!s->count && !s->children);
    if (!s->detached) {
        assert(f && f->scope == s && s->owner == f);
        f->scope = s->parent;
    }
    if (!s->parent)
        return;
    if (s->sibling_prev)
        s->sibling_prev->sibling_next = s->sibling_next;
    else
        s->parent->children = s->sibling_next;
    if (s->sibling_next)
        s->sibling_next->sibling_prev = s->sibling_prev;
}

struct err *
scope_close(struct scope *s)
{
    struct err *e = scope_wait(s);
    s->closing = true;
    scope_leave(s);
    return e;
}

void
scope_end(struct scope *s)
{
    scope_cancel(s);
    bool was = fiber_shield(true);
    err_drop(scope_wait(s));
    fiber_shield(was);
    s->closing = true;
    scope_leave(s);
}
