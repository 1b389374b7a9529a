/* views.c - stored runs as people look at them. */
#include "app/app.h"
#include "observe/trace.h"

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
