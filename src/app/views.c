/* views.c - stored runs as people look at them. */
#include "app/app.h"
#include "base/vec.h"
#include "observe/stats.h"
#include "observe/trace.h"
#include <string.h>

static struct err *
tell_trace(void *ctx, const struct run_event *ev)
{
    trace_event(ctx, ev);
    return NULL;
}

struct err *
app_trace(struct app *a, const char *id, unsigned apart, struct trace **ret_trace)
{
    struct trace *t = trace_new(apart);
    struct err *e = engine_history(app_engine(a), id, tell_trace, t);
    if (e)
        trace_free(t);
    else
        *ret_trace = t;
    return e;
}

/* ---- numbers over many runs ------------------------------------------------ */

struct run_name {
    char id[RUN_ID_LEN];
};
struct surveying {
    int64_t since_ms;
    VEC(struct run_name) runs;
};

/* Newest first: the rest is older still, and is passed over. */
static struct err *
run_note(void *ctx, const struct store_run *row)
{
    struct surveying *v = ctx;
    struct run_name name;
    if (row->created < v->since_ms)
        return NULL;
    memcpy(name.id, row->id, RUN_ID_LEN);
    vec_push(&v->runs, name);
    return NULL;
}

static struct err *
tell_stats(void *ctx, const struct run_event *ev)
{
    stats_event(ctx, ev);
    return NULL;
}

struct err *
app_stats(struct app *a, const char *workflow, int64_t since_wall_ms, struct stats *s,
          size_t *ret_damaged)
{
    struct surveying v = {.since_ms = since_wall_ms};
    const struct store_filter f = {.name = workflow};
    struct err *e = store_list(app_store(a), &f, run_note, &v);
    for (size_t i = 0; i < v.runs.len && !e; i++) {
        e = engine_survey(app_engine(a), v.runs.at[i].id, tell_stats, s);
        stats_run_end(s);
        /* One that is damaged, or was pruned meanwhile, says nothing of the others. */
        if (e && (err_kind(e) == ERR_INVALID || err_kind(e) == ERR_MISSING)) {
            ++*ret_damaged;
            err_freep(&e);
        }
    }
    vec_fini(&v.runs);
    return e;
}
