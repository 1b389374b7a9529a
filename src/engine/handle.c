/* handle.c - what holders of a run can see of it and ask of it. */
#include "engine/runcore.h"
#include "engine/saga.h"
#include <assert.h>

const json_t *
run_started(const struct run *r)
{
    return view_started(r->view);
}

struct flow *
run_flow(const struct run *r)
{
    return r->flow;
}

const char *
run_id(const struct run *r)
{
    return r->lease.id;
}

enum run_status
run_state(const struct run *r)
{
    return r->status;
}

bool
run_is_over(const struct run *r)
{
    return r->over;
}

int64_t
run_wakes_at(const struct run *r)
{
    return r->waits.wake_at;
}

bool
run_needs_someone(const struct run *r)
{
    return r->waits.someone || r->waits.wake_at == INT64_MAX;
}

bool
run_was_interrupted(const struct run *r)
{
    return r->interrupted;
}

void
run_on_end(struct run *r, void (*fn)(void *ctx, struct run *r), void *ctx)
{
    assert(!r->on_end);
    r->on_end = fn;
    r->on_end_ctx = ctx;
    if (r->over)
        fn(ctx, r);
}

struct err *
run_document(const struct run *r, bool nodes, json_t **ret_doc)
{
    return view_document(r->view, rt_wall_ms(), nodes, ret_doc);
}

void
run_cancel(struct run *r)
{
    r->cancelled = true;
    if (r->scope_open)
        scope_cancel(&r->scope);
}

void
run_interrupt(struct run *r)
{
    if (r->over)
        return;
    r->interrupted = true;
    if (r->scope_open)
        scope_cancel(&r->scope);
    saga_interrupt(r);
}
