/* worktime.c - deadlines that count work, and stand still while all inside wait for somebody. */
#include "rt/core.h"

void
scope_open_worktime(struct scope *s, int64_t deadline_ms)
{
    scope_open(s, deadline_ms);
    s->worktime = deadline_ms != DEADLINE_NONE;
}

static void
fiber_rearm(struct fiber *f, const struct scope *s)
{
    if (f && f->scope == s && f->parked && !f->shielded)
        tick_arm(&f->tick, MIN(f->until_ms, s->deadline_ms));
}

/* The deadline of the scope, or of one around it, has changed. */
static void
scope_rearm(struct scope *s)
{
    const int64_t around_ms = s->parent ? s->parent->deadline_ms : DEADLINE_NONE;
    const int64_t deadline_ms = s->lenient ? around_ms : MIN(s->own_ms, around_ms);
    if (s->deadline_ms == deadline_ms)
        return;
    s->deadline_ms = deadline_ms;
    for (struct fiber *f = s->fibers; f; f = f->next)
        fiber_rearm(f, s);
    fiber_rearm(s->owner, s);
    for (struct scope *c = s->children; c; c = c->sibling_next)
        scope_rearm(c);
}

static void
scope_clock(struct scope *s)
{
    const bool stands = s->resting && !s->working;
    const int64_t now = rt_now_ms();
    if (!s->worktime || stands == s->stands)
        return;
    if (stands && s->own_ms <= now) /* too late to rest */
        return;
    s->stands = stands;
    if (stands)
        s->left_ms = s->own_ms - now;
    s->own_ms = stands ? DEADLINE_NONE : rt_after(s->left_ms);
    scope_rearm(s);
}

void
scope_work(bool begins)
{
    for (struct scope *s = fiber_self()->scope; s; s = s->parent) {
        s->working += begins ? 1 : -1u;
        scope_clock(s);
    }
}

void
scope_rest(bool begins)
{
    for (struct scope *s = fiber_self()->scope; s; s = s->parent) {
        s->resting += begins ? 1 : -1u;
        scope_clock(s);
    }
}

void
scope_be_lenient(struct scope *s)
{
    s->lenient = true;
    scope_rearm(s);
}

bool
scope_is_late(const struct scope *s)
{
    return s->own_ms <= rt_now_ms();
}
