/* flush.c - commits what no next step commits.
 *
 * A result waits in memory for the run's next step, whose commit it shares. Where none comes soon
 * (a branch is done, the others take an hour) it is committed here, so that what is finished is
 * safe, and told, a moment later. */
#include "engine/runcore.h"
#include <stdlib.h>

#define FLUSH_MS 5

static bool
is_due(const struct run *r)
{
    return r->committed < r->want_commit && !r->over && !r->broken;
}

static void
flush_one(void *arg)
{
    struct run *r = arg;
    bool was = fiber_shield(true);
    err_drop(run_flush(r)); /* kept in r->broken */
    fiber_shield(was);
    run_unref(r);
}

/* What is being committed just now is looked at again. */
static void
flush_round(struct engine *e)
{
    struct run **runs = e->unsafe.at;
    const size_t n = e->unsafe.len;
    e->unsafe.at = NULL;
    e->unsafe.len = e->unsafe.cap = 0;
    for (size_t i = 0; i < n; i++) {
        runs[i]->unsafe = false;
        if (!is_due(runs[i])) {
            run_unref(runs[i]);
        } else if (runs[i]->committing) {
            runs[i]->unsafe = true;
            vec_push(&e->unsafe, runs[i]);
        } else {
            scope_spawn(&e->scope, "flush", flush_one, runs[i]);
        }
    }
    free(runs);
}

static void
flusher(void *arg)
{
    struct engine *e = arg;
    struct err *over = NULL;
    while (e->unsafe.len && !over) {
        over = fiber_sleep(FLUSH_MS);
        if (!over)
            flush_round(e);
    }
    err_free(over); /* the engine ends: its runs commit what they have */
    vec_each (&e->unsafe, r)
        run_unref(*r);
    vec_fini(&e->unsafe);
    e->flushing = false;
}

void
flush_soon(struct run *r)
{
    struct engine *e = r->engine;
    if (r->unsafe)
        return;
    r->unsafe = true;
    r->refs++;
    vec_push(&e->unsafe, r);
    if (e->flushing)
        return;
    e->flushing = true;
    scope_spawn(&e->scope, "flush", flusher, e);
}
