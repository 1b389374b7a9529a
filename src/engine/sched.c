/* sched.c - the one routine that runs a graph.
 *
 * A node is ready when all it waits for have settled. Ready nodes start by priority, then in order
 * of declaration, up to the graph's concurrency; each in a fiber, or here when it would be alone.
 */
#include "engine/control_node.h"
#include "engine/evaluate.h"
#include "engine/message.h"
#include "engine/saga.h"
#include "engine/turn.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct graph_state {
    struct run *run;
    const struct graph *g;
    const char *path;
    const struct task *task; /* the graph's own input */
    json_t *input;
    json_t *context; /* what every node sees beside its message; or NULL */
    struct depth depth;
    struct node_state *nodes;
    unsigned *ready; /* indexes, those of higher priority first, then ascending */
    size_t nready;
    unsigned running, completed, branches_completed;
    bool stopping; /* FAILURE_STOP: a node failed */
    bool enough;   /* the quorum is there */
    bool partial;  /* a graph inside went on without something that failed */
    struct err *failed, *parked;
    struct err *cut; /* of a node that was cancelled, though not by this graph */
    struct scope scope;
    struct waitq changed;
    struct turnstile turns;
    struct node_fiber *fibers; /* that run */
    const struct graph_call *call;
};

struct node_fiber {
    struct graph_state *gs;
    const struct node *node;
    struct node_fiber *next;
    struct scope scope;
    char *path;
    struct turn turn;
};

/* ---- expressions ----------------------------------------------------------- */

static json_t *
step_lookup(void *ctx, const char *id)
{
    struct graph_state *gs = ctx;
    for (size_t i = 0; i < gs->g->nnodes; i++) {
        if (strcmp(gs->g->nodes[i]->id, id) == 0 && gs->nodes[i].settled) {
            if (!gs->nodes[i].view)
                gs->nodes[i].view = step_view(&gs->nodes[i]);
            return gs->nodes[i].view;
        }
    }
    return NULL;
}

/* A graph that is written inside a foreach sees its item. */
static struct expr_scope
scope_of(struct graph_state *gs, int64_t now_wall_ms)
{
    struct expr_scope scope = {.input = gs->input,
                               .inputs = gs->call->inputs,
                               .run = gs->run->info,
                               .step = step_lookup,
                               .step_ctx = gs,
                               .now_wall_ms = now_wall_ms};
    if (gs->call->outer && gs->g->sees_outer) {
        scope.item = gs->call->outer->item;
        scope.index = gs->call->outer->index;
        scope.locals = gs->call->outer->locals;
    }
    return scope;
}

struct outputting { /* Lua needs more stack than a fiber has */
    const struct graph *graph;
    const struct node_state *states;
    struct expr_scope scope;
    struct reply *reply;
    struct err *e;
};

static void
output_deep(void *arg)
{
    struct outputting *x = arg;
    x->e = graph_output(x->graph, x->states, &x->scope, x->reply);
}

/* ---- one node -------------------------------------------------------------- */

struct prepared { /* what a node's task borrows from */
    struct str message;
    json_t *input, *params, *context;
    char *instruction, *action;
};

static void
prepared_fini(struct prepared *p)
{
    str_fini(&p->message);
    json_decref(p->input);
    json_decref(p->params);
    json_decref(p->context);
    free(p->instruction);
    free(p->action);
}

static struct err *
node_prepare(struct graph_state *gs, const struct node *n, int64_t now_wall_ms, struct prepared *p)
{
    const struct expr_scope scope = scope_of(gs, now_wall_ms);
    if (n->input) {
        TRY(evaluate_value(n->input, &scope, &p->input), "its input");
        AUTO(freep) char *text = json_as_text(p->input);
        str_add(&p->message, text);
    } else {
        message_make(gs->g, n, gs->nodes, gs->task, &p->message);
    }
    TRY(evaluate_text(n->instruction, &scope, &p->instruction), "its instruction");
    TRY(evaluate_text(n->action, &scope, &p->action), "its action");
    if (n->parameters)
        TRY(evaluate_value(n->parameters, &scope, &p->params), "its parameters");
    if (!p->input && n->nfrom == 0 && n->input_rule != INPUT_STEP && gs->task->input)
        p->input = json_incref((json_t *)(uintptr_t)gs->task->input);
    if (!p->input && n->nfrom == 1 && n->input_rule == INPUT_DEFAULT)
        p->input = json_incref(gs->nodes[n->from[0]].reply.output);
    p->context = context_make(gs->g, n, gs->nodes, gs->context);
    return NULL;
}

static struct work
node_work(const struct graph_state *gs, const struct node *n, const char *path)
{
    return (struct work){.path = path,
                         .type = n->kind,
                         .worker = n->worker,
                         .child = n->child,
                         .node = n,
                         .depth = gs->depth,
                         .inputs = gs->call->inputs};
}

/* A node that does not get as far as its work has an end all the same. */
static void
node_record(struct graph_state *gs, const struct node *n, const char *path, enum node_status status,
            const struct err *e)
{
    struct work w = node_work(gs, n, path);
    struct work_end end = {.status = status, .error = e, .started_wall_ms = rt_wall_ms()};
    if (!view_node_ended(gs->run->view, path))
        work_end_append(gs->run, &w, &end);
}

static struct err *
node_run(struct graph_state *gs, const struct node *n, const char *path, struct reply *ret_reply)
{
    AUTO(prepared_fini) struct prepared p = {0};
    struct work w = node_work(gs, n, path);
    struct expr_scope scope = scope_of(gs, 0);
    w.outer = &scope;
    if (!view_node_ended(gs->run->view, path)) {
        int64_t started;
        PASS(view_node_started(gs->run->view, path, &started));
        struct err *e = node_prepare(gs, n, started ? started : rt_wall_ms(), &p);
        if (e) {
            node_record(gs, n, path, NODE_FAILED, e);
            return e;
        }
    }
    w.task = (struct task){.message = str_c(&p.message),
                           .input = p.input,
                           .context = p.context,
                           .action = p.action,
                           .params = p.params,
                           .instruction = p.instruction,
                           .server_name = n->server_name};
    return work_run(gs->run, &w, ret_reply);
}

/* ---- settling -------------------------------------------------------------- */

static void
ready_add(struct graph_state *gs, unsigned index)
{
    size_t i = gs->nready++;
    for (; i > 0 && node_before(gs->g->nodes[index], gs->g->nodes[gs->ready[i - 1]]); i--)
        gs->ready[i] = gs->ready[i - 1];
    gs->ready[i] = index;
}

static bool
is_branch(const struct graph_state *gs, const struct node *n)
{
    return n->index < gs->g->branches;
}

/* Enough branches have completed: the others need not go on. */
static void
quorum_check(struct graph_state *gs)
{
    if (gs->enough || gs->branches_completed < gs->g->quorum)
        return;
    gs->enough = true;
    for (struct node_fiber *f = gs->fibers; f; f = f->next) {
        if (is_branch(gs, f->node))
            scope_cancel(&f->scope);
    }
}

static void
node_settled(struct graph_state *gs, const struct node *n, enum node_status status)
{
    struct node_state *s = &gs->nodes[n->index];
    s->status = status;
    s->settled = true;
    s->closed |= n->gate && status == NODE_SKIPPED;
    gs->completed += status == NODE_COMPLETED;
    context_add(&gs->context, gs->g, n, s);
    gs->branches_completed += status == NODE_COMPLETED && is_branch(gs, n);
    if (gs->g->quorum)
        quorum_check(gs);
    for (size_t i = 0; i < n->ndependents; i++) {
        struct node_state *d = &gs->nodes[n->dependents[i]];
        d->closed |= s->closed;
        if (--d->missing == 0)
            ready_add(gs, n->dependents[i]);
    }
    waitq_wake_all(&gs->changed);
}

static void
node_failed(struct graph_state *gs, const struct node *n, struct err *e)
{
    struct node_state *s = &gs->nodes[n->index];
    s->error = err_text(e);
    s->tolerated = n->continue_on_failure;
    if (s->tolerated) {
        err_free(e);
    } else {
        if (!gs->failed)
            gs->failed = WRAP(e, "%s '%s'", gs->g->noun, n->id);
        else
            err_free(e);
        if (gs->g->failure == FAILURE_STOP) {
            gs->stopping = true;
            scope_cancel(&gs->scope);
        }
    }
    node_settled(gs, n, NODE_FAILED);
}

/* Not needed any more, in this life or a former one; while the graph goes on. */
static bool
is_cut_off(const struct graph_state *gs, const struct node *n, const struct err *e)
{
    return e && err_kind(e) == ERR_CANCELLED && gs->g->quorum && is_branch(gs, n) &&
           !scope_is_cancelled(&gs->scope);
}

static void
node_finished(struct graph_state *gs, const struct node *n, struct err *e)
{
    if (!e) {
        gs->partial |= gs->nodes[n->index].reply.partial && !n->continue_on_failure;
        node_settled(gs, n, NODE_COMPLETED);
    } else if (err_kind(e) == ERR_PARKED) {
        gs->parked = parked_both(gs->parked, e);
        waitq_wake_all(&gs->changed); /* not settled: what depends on it waits too */
    } else if (is_cut_off(gs, n, e)) {
        err_free(e);
        node_settled(gs, n, NODE_CANCELLED);
    } else if (err_kind(e) == ERR_CANCELLED) {
        gs->nodes[n->index].status = NODE_CANCELLED;
        if (!gs->stopping && !gs->cut)
            gs->cut = e;
        else
            err_free(e);
        waitq_wake_all(&gs->changed);
    } else {
        node_failed(gs, n, e);
    }
}

static char *
node_path(const struct graph_state *gs, const struct node *n)
{
    return *gs->path ? xasprintf("%s/%s", gs->path, n->id) : xstrdup(n->id);
}

static void
node_leave_out(struct graph_state *gs, const struct node *n, const char *path)
{
    node_record(gs, n, path, NODE_SKIPPED, NULL);
    node_settled(gs, n, NODE_SKIPPED);
}

/* A branch that can be cut off has a scope of its own. */
static struct err *
branch_run(struct node_fiber *f, const char *path)
{
    struct graph_state *gs = f->gs;
    scope_open(&f->scope, DEADLINE_NONE);
    f->next = gs->fibers;
    gs->fibers = f;
    struct err *e = node_run(gs, f->node, path, &gs->nodes[f->node->index].reply);
    struct node_fiber **at = &gs->fibers;
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    err_free(scope_close(&f->scope)); /* what was cut off has told */
    return e;
}

static void
node_main(void *arg)
{
    AUTO(freep) struct node_fiber *f = arg;
    struct graph_state *gs = f->gs;
    AUTO(freep) char *path = f->path;
    if (gs->enough && is_branch(gs, f->node)) {
        turn_end(gs->run, &f->turn);
        gs->running--;
        node_leave_out(gs, f->node, path);
        return;
    }
    struct err *e = turns_back(gs->run, path);
    if (!e)
        e = is_branch(gs, f->node) ? branch_run(f, path)
                                   : node_run(gs, f->node, path, &gs->nodes[f->node->index].reply);
    if (is_cut_off(gs, f->node, e))
        e = saga_failed(gs->run, path, 0, e);
    turn_end(gs->run, &f->turn);
    gs->running--;
    node_finished(gs, f->node, e);
}

/* ---- may it run? ----------------------------------------------------------- */

enum verdict { VERDICT_RUN, VERDICT_SKIP, VERDICT_FAIL };

static enum verdict
deps_verdict(const struct graph_state *gs, const struct node *n)
{
    unsigned completed = 0, failed = 0;
    for (size_t i = 0; i < n->ndeps; i++) {
        const struct node_state *d = &gs->nodes[n->deps[i]];
        completed += d->status == NODE_COMPLETED || d->tolerated;
        failed += d->status == NODE_FAILED && !d->tolerated;
    }
    if (gs->nodes[n->index].closed)
        return VERDICT_SKIP;
    if (n->join_any)
        return completed >= n->quorum ? VERDICT_RUN : VERDICT_FAIL;
    if (failed || (n->ndeps && !completed))
        return VERDICT_SKIP;
    return VERDICT_RUN;
}

/* What a former life decided. */
static struct err *
verdict_recorded(const struct view *v, const char *path, enum verdict *ret)
{
    AUTO(json_freep) json_t *status = NULL;
    const struct json_want want = {"status", &status};
    PASS(view_node_pick(v, path, &want, 1));
    bool skipped = str_eq(json_string_value(status), node_status_name(NODE_SKIPPED));
    *ret = skipped ? VERDICT_SKIP : VERDICT_RUN;
    return NULL;
}

static struct err *
node_verdict(struct graph_state *gs, const struct node *n, const char *path, enum verdict *ret)
{
    int64_t started;
    if (view_node_ended(gs->run->view, path))
        return verdict_recorded(gs->run->view, path, ret);
    *ret = deps_verdict(gs, n);
    if (*ret == VERDICT_FAIL)
        return FAIL(ERR_INVALID, "too few branches completed: %u are needed", n->quorum);
    if (*ret != VERDICT_RUN || !n->when)
        return NULL;
    PASS(view_node_started(gs->run->view, path, &started));
    const struct expr_scope scope = scope_of(gs, started ? started : rt_wall_ms());
    bool truth;
    TRY(evaluate_test(n->when, &scope, &truth), "its condition");
    *ret = truth ? VERDICT_RUN : VERDICT_SKIP;
    return NULL;
}

static void
node_start(struct graph_state *gs, const struct node *n)
{
    enum verdict verdict = VERDICT_RUN;
    AUTO(freep) char *path = node_path(gs, n);
    struct err *e = node_verdict(gs, n, path, &verdict);
    if (e) {
        node_record(gs, n, path, NODE_FAILED, e);
        node_failed(gs, n, e);
        return;
    }
    if (gs->enough && is_branch(gs, n) && !view_node_ended(gs->run->view, path))
        verdict = VERDICT_SKIP; /* nobody needs it any more */
    if (verdict == VERDICT_SKIP) {
        node_leave_out(gs, n, path);
        return;
    }
    gs->nodes[n->index].status = NODE_RUNNING;
    if ((!gs->running && !gs->nready) || (gs->g->quorum && view_node_ended(gs->run->view, path))) {
        e = node_run(gs, n, path, &gs->nodes[n->index].reply);
        if (is_cut_off(gs, n, e))
            e = saga_failed(gs->run, path, 0, e);
        node_finished(gs, n, e);
        return;
    }
    struct node_fiber *f = xcalloc(1, sizeof *f);
    *f = (struct node_fiber){.gs = gs, .node = n, .path = STEAL(path)};
    gs->running++;
    turn_take(gs->run, &gs->turns, &f->turn, f->path);
    scope_spawn(&gs->scope, "node", node_main, f);
}

/* ---- the graph ------------------------------------------------------------- */

/* Branches that have ended in a former life come first: they may be enough. */
static void
recorded_first(struct graph_state *gs)
{
    AUTO(freep) unsigned *later = xcalloc(gs->nready, sizeof *later);
    size_t nfirst = 0, nlater = 0;
    for (size_t i = 0; i < gs->nready; i++) {
        AUTO(freep) char *path = node_path(gs, gs->g->nodes[gs->ready[i]]);
        if (view_node_ended(gs->run->view, path))
            gs->ready[nfirst++] = gs->ready[i];
        else
            later[nlater++] = gs->ready[i];
    }
    memcpy(gs->ready + nfirst, later, nlater * sizeof *later);
}

static void
one_may_begin(void *ctx)
{
    struct graph_state *gs = ctx;
    waitq_wake_all(&gs->changed);
}

static struct err *
graph_loop(struct graph_state *gs)
{
    for (;;) {
        while (gs->nready && turnstile_has_room(&gs->turns) && !gs->stopping) {
            struct err *over = fiber_check();
            if (over)
                return over;
            unsigned index = gs->ready[0];
            memmove(gs->ready, gs->ready + 1, --gs->nready * sizeof *gs->ready);
            node_start(gs, gs->g->nodes[index]);
        }
        if (gs->stopping || !gs->running)
            return NULL;
        gs->turns.more = gs->nready;
        PASS(waitq_wait(&gs->changed, DEADLINE_NONE));
    }
}

static struct err *
graph_result(struct graph_state *gs, struct reply *ret_reply, enum graph_end *ret_end)
{
    struct outputting x = {.graph = gs->g,
                           .states = gs->nodes,
                           .scope = scope_of(gs, rt_wall_ms()),
                           .reply = ret_reply};
    bool failed = gs->failed && !(gs->g->failure == FAILURE_PARTIAL && gs->completed);
    *ret_end = gs->failed || gs->partial ? GRAPH_PARTIAL : GRAPH_COMPLETED;
    if (gs->g->quorum && !gs->enough && !gs->parked)
        return gs->failed ? WRAP(STEAL(gs->failed), "too few branches completed: %u are needed",
                                 gs->g->quorum)
                          : FAIL(ERR_INVALID, "too few branches: %u are needed", gs->g->quorum);
    if (gs->parked &&
        gs->g->failure != FAILURE_STOP) /* what came of it is not known before that is */
        return STEAL(gs->parked);
    if (failed)
        return STEAL(gs->failed);
    if (gs->parked)
        return STEAL(gs->parked);
    rt_deep(output_deep, &x);
    return x.e;
}

static void
graph_state_fini(struct graph_state *gs)
{
    for (size_t i = 0; i < gs->g->nnodes; i++) {
        reply_fini(&gs->nodes[i].reply);
        free(gs->nodes[i].error);
        json_decref(gs->nodes[i].view);
    }
    free(gs->nodes);
    free(gs->ready);
    json_decref(gs->input);
    json_decref(gs->context);
    err_free(gs->failed);
    err_free(gs->parked);
    err_free(gs->cut);
}

struct err *
graph_walk(struct run *r, const struct graph_call *call, struct reply *ret_reply,
           enum graph_end *ret_end)
{
    const struct graph *g = call->g;
    const struct task *task = call->task;
    struct graph_state *gs = xcalloc(1, sizeof *gs);
    *gs = (struct graph_state){
        .run = r, .g = g, .path = call->path, .task = task, .depth = call->depth, .call = call};
    gs->turns = (struct turnstile){.limit = g->max_concurrency ? g->max_concurrency : UINT32_MAX,
                                   .open = one_may_begin,
                                   .ctx = gs};
    gs->nodes = xcalloc(g->nnodes, sizeof *gs->nodes);
    gs->ready = xcalloc(g->nnodes, sizeof *gs->ready);
    gs->input = task->input ? json_incref((json_t *)(uintptr_t)task->input)
                            : json_string_lossy(task->message, strlen(task->message));
    gs->context = task->context ? json_copy((json_t *)(uintptr_t)task->context) : NULL;
    for (size_t i = 0; i < g->nnodes; i++) {
        gs->nodes[i].missing = (unsigned)g->nodes[i]->ndeps;
        if (!g->nodes[i]->ndeps)
            ready_add(gs, (unsigned)i);
    }
    if (g->quorum)
        recorded_first(gs);
    graph_scope_open(r, call, &gs->scope);
    struct err *e = graph_loop(gs);
    if (e)
        scope_cancel(&gs->scope);
    struct err *closed = scope_close(&gs->scope);
    if (gs->stopping) /* the cancel was ours; what counts is the failure */
        err_freep(&e);
    if (!e)
        e = STEAL(closed);
    if (!e && !gs->stopping) /* a node that never settled: the graph cannot be complete */
        e = STEAL(gs->cut);
    err_free(closed);
    struct err *outer = fiber_check();
    if (outer) {
        err_free(e);
        e = outer;
    } else {
        if (!e)
            e = graph_result(gs, ret_reply, ret_end);
        e = graph_reason(call, &gs->scope, e);
    }
    for (size_t i = 0; i < g->nnodes; i++)
        usage_add(&ret_reply->usage, &gs->nodes[i].reply.usage);
    graph_state_fini(gs);
    free(gs);
    return e;
}
