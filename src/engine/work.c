/* work.c - one subtree: an agent or a graph at a path, found in the journal or run and recorded. */
#include "engine/control_node.h"
#include "engine/runcore.h"
#include "engine/saga.h"
#include "engine/step/spend.h"
#include <stdlib.h>
#include <string.h>

#define PATH_LEN_MAX (RECORD_PATH_MAX - 512) /* its steps have a name below it */

/* False as for run_append. */
bool
work_end_append(struct run *r, const struct work *w, const struct work_end *end)
{
    static const struct reply nothing;
    const struct reply *reply = end->reply ? end->reply : &nothing;
    const struct err *e = end->error;
    AUTO(freep) char *error = e ? err_text(e) : NULL;
    struct str *to = record_begin(r);
    json_put_text(to, "type", w->type);
    json_put_text(to, "agent", w->worker);
    json_put_text(to, "status", node_status_name(end->status));
    json_put(to, "output", reply->output);
    json_put_text(to, "error", error);
    json_put_int(to, "attempts", end->attempts);
    json_put_int(to, "started", end->started_wall_ms);
    json_put_int(to, "duration_ms", MAX(rt_wall_ms() - end->started_wall_ms, 0));
    usage_put(to, "usage", &reply->usage);
    if (e)
        json_put_text(to, "kind", err_kind_name(err_kind(e)));
    if (reply->partial)
        json_put(to, "partial", json_true());
    json_put_text(to, "text", reply->text);
    return record_append(r, REC_NODE_ENDED, w->path, false);
}

/* ---- the time that a graph has ---------------------------------------------- */

void
graph_scope_open(const struct run *r, const struct graph_call *call, struct scope *s)
{
    const int64_t ms = call->depth.all ? call->g->timeout_ms : 0; /* the run's own is around it */
    run_scope_open(r, s, call->path, call->started_wall_ms,
                   view_workflow_ms(r->view, ms, call->started_wall_ms));
}

bool
cut_before(const struct err *e)
{
    if (!e || err_kind(e) != ERR_CANCELLED)
        return false;
    struct err *here = fiber_check();
    err_free(here);
    return !here;
}

struct err *
timed_out(struct err *e)
{
    struct err *late = FAIL(ERR_TIMEOUT, "timed out");
    if (err_in_doubt(e))
        late = WRAP(late, "what was under way may have been carried out");
    err_free(e);
    return late;
}

struct err *
graph_reason(const struct graph_call *call, const struct scope *s, struct err *e)
{
    if (!e || !s->worktime || (!scope_is_late(s) && !cut_before(e)))
        return e;
    /* So it looks from further in; and what waits for somebody has no more time to wait. */
    if (err_kind(e) == ERR_CANCELLED || err_kind(e) == ERR_PARKED)
        e = timed_out(e);
    return err_kind(e) != ERR_TIMEOUT ? e
                                      : WRAP(e, "not done within its timeout of %.3g s",
                                             (double)call->g->timeout_ms / 1000.0);
}

/* ---- one subtree ------------------------------------------------------------ */

/* The reply or the failure that the journal has. */
static struct err *
recorded(const struct view *v, const char *path, struct reply *ret_reply)
{
    AUTO(json_freep) json_t *status_name = NULL;
    AUTO(json_freep) json_t *output = NULL;
    AUTO(json_freep) json_t *text = NULL;
    AUTO(json_freep) json_t *kind_name = NULL;
    AUTO(json_freep) json_t *error = NULL;
    AUTO(json_freep) json_t *partial = NULL;
    struct usage_picked used;
    usage_pick_init(&used);
    const struct json_want want[] = {
        {"status", &status_name}, {"output", &output},
        {"text", &text},          {"usage", .in = used.want, .nin = USAGE_WANTS},
        {"kind", &kind_name},     {"error", &error},
        {"partial", &partial}};
    enum node_status status = NODE_FAILED;
    enum err_kind kind = ERR_CANCELLED;
    struct err *e = view_node_pick(v, path, want, COUNT(want));
    ret_reply->usage = usage_pick_fini(&used);
    PASS(e);
    ret_reply->partial = json_is_true(partial);
    if (output)
        reply_set_json(ret_reply, json_incref(output));
    if (json_is_string(text)) {
        free(ret_reply->text);
        ret_reply->text = xstrdup(json_string_value(text));
    }
    node_status_parse(json_is_string(status_name) ? json_string_value(status_name) : "", &status);
    if (status == NODE_COMPLETED)
        return NULL;
    if (json_is_string(kind_name))
        err_kind_parse(json_string_value(kind_name), &kind);
    return FAIL(kind, "%s",
                json_is_string(error) ? json_string_value(error) : node_status_name(status));
}

/* When a deadline around it passes, fibers further in are told that they are cancelled: what they
 * report is not the reason. */
static struct err *
true_reason(struct err *e)
{
    if (!e || err_kind(e) != ERR_CANCELLED)
        return e;
    struct err *here = fiber_check();
    if (!here || err_kind(here) != ERR_TIMEOUT) {
        err_free(here);
        return e;
    }
    if (err_in_doubt(e))
        here = WRAP(here, "what was under way may have been carried out");
    err_free(e);
    return here;
}

static void
pass_on(const struct task *t, struct reply *ret)
{
    if (t->input && !json_is_string(t->input)) {
        reply_set_json(ret, json_incref((json_t *)(uintptr_t)t->input));
        free(ret->text);
        ret->text = xstrdup(t->message);
    } else {
        reply_set_text(ret, t->message, strlen(t->message));
    }
}

/* With the graph's own budget, if it has one. */
struct err *
graph_run(struct run *r, const struct graph_call *call, struct reply *ret_reply,
          enum graph_end *ret_end)
{
    const struct graph *g = call->g;
    struct purse *purse;
    const json_t *budget = json_object_get(g->def, "budget");
    AUTO(freep) char *what = budget ? xasprintf("workflow '%s'", g->name) : NULL;
    *ret_end = GRAPH_COMPLETED;
    PASS(purse_open(r,
                    &(struct purse_of){.path = call->path,
                                       .what = what,
                                       .budget = budget,
                                       .started_wall_ms = call->started_wall_ms},
                    &purse));
    struct err *e = g->kind->control ? control_run(r, call, ret_reply, ret_end)
                    : g->goes_on     ? graph_go_on(r, call, ret_reply, ret_end)
                                     : graph_walk(r, call, ret_reply, ret_end);
    return purse_close(purse, e);
}

static struct err *
worker_do_it(struct run *r, const struct work *w, int64_t started_wall_ms, struct reply *ret,
             unsigned *ret_attempts)
{
    if (!w->child && !w->worker) {
        pass_on(&w->task, ret);
        return NULL;
    }
    if (w->child) {
        enum graph_end end;
        struct graph_call call = {.g = w->child,
                                  .path = w->path,
                                  .task = &w->task,
                                  .depth = {w->depth.all + 1, w->depth.calls},
                                  .started_wall_ms = started_wall_ms,
                                  .outer = w->outer,
                                  .inputs = w->inputs ? w->inputs : r->inputs};
        PASS(graph_run(r, &call, ret, &end));
        ret->partial = end == GRAPH_PARTIAL;
        return NULL;
    }
    return agent_run(r, w, started_wall_ms, ret, ret_attempts);
}

/* A budget of the node itself; that of its graph is opened there. */
static struct err *
within_budget(struct run *r, const struct work *w, int64_t started_wall_ms, struct reply *ret,
              unsigned *ret_attempts)
{
    struct purse *purse;
    const struct node *n = w->node;
    const bool own = n && n->def && !(w->child && w->child->def == n->def);
    const json_t *budget = own ? json_object_get(n->def, "budget") : NULL;
    AUTO(freep) char *what = budget ? xasprintf("node '%s'", n->id) : NULL;
    PASS(purse_open(
        r,
        &(struct purse_of){
            .path = w->path, .what = what, .budget = budget, .started_wall_ms = started_wall_ms},
        &purse));
    return purse_close(purse, worker_do_it(r, w, started_wall_ms, ret, ret_attempts));
}

/* Of a node that does nothing but wait, it is the time for that. */
static void
total_open(const struct run *r, const struct work *w, struct scope *s, int64_t started_wall_ms,
           int64_t total_ms)
{
    if (w->child && w->child->waits)
        scope_open(s, rt_after(MAX(total_ms - (rt_wall_ms() - started_wall_ms), 0)));
    else
        run_scope_open(r, s, w->path, started_wall_ms, total_ms);
}

static struct err *
within_total(struct run *r, const struct work *w, int64_t started_wall_ms, struct reply *ret,
             unsigned *ret_attempts)
{
    const json_t *agents = json_object_get(r->flow->doc, "agents");
    int64_t total = w->node ? w->node->total_timeout_ms : 0;
    if (!total && w->worker && !w->child)
        total = json_int(json_object_get(agents, w->worker), "total_timeout", 0);
    if (!total)
        return true_reason(within_budget(r, w, started_wall_ms, ret, ret_attempts));
    struct scope scope;
    total_open(r, w, &scope, started_wall_ms, total);
    struct err *e = true_reason(within_budget(r, w, started_wall_ms, ret, ret_attempts));
    err_free(scope_close(&scope));
    const bool before = cut_before(e);
    if (before)
        e = timed_out(e);
    if (e && err_kind(e) == ERR_TIMEOUT && (before || scope_is_late(&scope)))
        e = WRAP(e, "not done within the total of %.3g s", (double)total / 1000.0);
    return e;
}

/* A reply that no record can hold is a failure: kept in memory alone it would be lost in a crash.
 */
static struct err *
end_record(struct run *r, const struct work *w, struct work_end *end, struct err *e,
           struct reply *reply)
{
    if (work_end_append(r, w, end))
        return e;
    const struct usage usage = reply->usage;
    reply_fini(reply);
    *reply = (struct reply){.usage = usage};
    end->status = NODE_FAILED;
    end->error = e = too_large("its reply");
    work_end_append(r, w, end);
    return e;
}

static struct err *
too_deep(const struct work *w)
{
    if (strlen(w->path) > PATH_LEN_MAX)
        return FAIL(ERR_LIMIT, "it is nested too deep: its path has more than %d bytes",
                    PATH_LEN_MAX);
    if (w->depth.all > WORK_DEPTH_MAX)
        return FAIL(ERR_LIMIT, "workflows and agents are inside of each other deeper than %d",
                    WORK_DEPTH_MAX);
    return NULL;
}

/* Small, because there are very many. */
static json_t *
item_body(const char *worker, const struct reply *reply, const struct err *e,
          int64_t started_wall_ms)
{
    const struct usage *u = &reply->usage;
    const int64_t took = rt_wall_ms() - started_wall_ms;
    AUTO(freep) char *error = e ? err_text(e) : NULL;
    json_t *body = json_pack("{sI ss* sO* so*}", "at", rt_wall_ms(), "agent", worker, "output",
                             e ? NULL : reply->output, "error",
                             error ? json_string_lossy(error, strlen(error)) : NULL);
    if (e)
        json_object_set_new(body, "kind", json_string(err_kind_name(err_kind(e))));
    if (took > 0)
        json_object_set_new(body, "duration_ms", json_integer(took));
    if (u->model_calls || u->tool_calls || u->input_tokens || u->output_tokens || u->cost_usd > 0)
        json_object_set_new(body, "usage", usage_to_json(u));
    return body;
}

/* What is around it is over: what is said to have failed did so for that. */
static bool
around_is_over(void)
{
    AUTO(err_freep) struct err *over = fiber_check();
    return over != NULL;
}

/* It is found again by its number (viewstream.h). A start is recorded only for what is under way
 * when something is committed: then its clock goes on in the next life. */
static struct err *
item_run(struct run *r, const struct work *w, struct reply *ret_reply)
{
    unsigned attempts = 1;
    int64_t started;
    uint64_t begun = 0;
    PASS(view_node_started(r->view, w->path, &started));
    const int64_t mark = started ? 0 : saga_mark(r);
    if (!started) {
        started = rt_wall_ms();
        run_append(r, REC_NODE_STARTED, w->path,
                   json_pack("{ss ss* sI}", "type", w->type, "agent", w->worker, "at", started),
                   true);
        begun = r->appended;
        saga_note_begun(r, w);
    }
    struct err *e = saga_cause(r, w->path);
    if (!e)
        e = open_below(r, w->path, within_total(r, w, started, ret_reply, &attempts));
    if (e && w->child && control_may_go_on(e))
        e = saga_failed(r, w->path, mark, e);
    if (!e && !ret_reply->output)
        reply_set_json(ret_reply, json_null());
    if (e && (!control_may_go_on(e) || r->broken || r->interrupted || around_is_over()))
        return e;
    if (begun)
        run_retract(r, begun);
    if (!e)
        saga_note_ready(r, w, ret_reply); /* in the same commit */
    if (run_append_soon(r, e ? REC_ITEM_FAILED : REC_ITEM_DONE, w->path,
                        item_body(w->worker, ret_reply, e, started)))
        return e;
    e = too_large("its reply");
    run_append_soon(r, REC_ITEM_FAILED, w->path, item_body(w->worker, ret_reply, e, started));
    return e;
}

struct err *
item_refuse(struct run *r, const char *path, struct err *e)
{
    run_append_soon(r, REC_ITEM_FAILED, path, item_body(NULL, &(struct reply){0}, e, rt_wall_ms()));
    return e;
}

static void
start_record(struct run *r, const struct work *w, int64_t started_wall_ms)
{
    if (r->engine->subscribers.len) {
        AUTO(json_freep)
        json_t *detail = json_pack("{ss ss* sI ss}", "type", w->type, "agent", w->worker, "at",
                                   started_wall_ms, "status", "running");
        run_publish(
            r, (struct run_event){.name = EVENT_NODE_STARTED, .path = w->path, .detail = detail});
    }
    struct str *to = record_begin(r);
    json_put_text(to, "type", w->type);
    json_put_text(to, "agent", w->worker);
    json_put_int(to, "at", started_wall_ms);
    json_put_text(to, "status", "running");
    record_append(r, REC_NODE_STARTED, w->path, true);
}

struct err *
work_run(struct run *r, const struct work *w, struct reply *ret_reply)
{
    unsigned attempts = 1;
    int64_t started;
    struct err *deep = too_deep(w);
    if (w->item)
        return deep ? item_refuse(r, w->path, deep) : item_run(r, w, ret_reply);
    PASS(deep);
    if (view_node_ended(r->view, w->path))
        return recorded(r->view, w->path, ret_reply);
    PASS(view_node_started(r->view, w->path, &started));
    const int64_t mark = started ? 0 : saga_mark(r);
    if (!started) {
        started = rt_wall_ms();
        start_record(r, w, started);
        saga_note_begun(r, w);
    }
    struct err *e = saga_cause(r, w->path); /* it has failed, and is being undone */
    if (!e)
        e = open_below(r, w->path, within_total(r, w, started, ret_reply, &attempts));
    if (e && w->child && err_kind(e) != ERR_PARKED && err_kind(e) != ERR_CANCELLED)
        e = saga_failed(r, w->path, mark, e);
    if (!e && !ret_reply->output)
        reply_set_json(ret_reply, json_null());
    if (e && (err_kind(e) == ERR_PARKED || r->broken || r->interrupted))
        return e;
    enum node_status status = !e                             ? NODE_COMPLETED
                              : err_kind(e) == ERR_CANCELLED ? NODE_CANCELLED
                                                             : NODE_FAILED;
    struct work_end end = {.status = status,
                           .reply = ret_reply,
                           .error = e,
                           .attempts = attempts,
                           .started_wall_ms = started};
    if (!e)
        saga_note_ready(r, w, ret_reply); /* in the same commit */
    return end_record(r, w, &end, e, ret_reply);
}
