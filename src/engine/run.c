/* run.c - the life of a run: started or claimed, walked, committed, ended, parked or interrupted.
 */
#include "base/units.h"
#include "engine/journal/undolog.h"
#include "engine/runcore.h"
#include "engine/saga.h"
#include "engine/step/prepaid.h"
#include "engine/step/spend.h"
#include "engine/talk/history.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_BYTES_MAX ((size_t)16 << 20)
#define DEF_KEPT_MS     (30 * 60 * 1000) /* the store prunes unused definitions after an hour */

/* ---- walking --------------------------------------------------------------- */

static void
run_end(struct run *r, enum run_status status, const struct reply *reply, const struct err *e)
{
    AUTO(freep) char *error = e ? err_text(e) : NULL;
    r->status = status;
    json_t *body = json_pack("{ss sI sO* so*}", "status", run_status_name(status), "at",
                             rt_wall_ms(), "output", reply->output, "error",
                             error ? json_string_lossy(error, strlen(error)) : NULL);
    if (reply->text)
        json_object_set_new(body, "text", json_string_lossy(reply->text, strlen(reply->text)));
    if (run_append(r, REC_RUN_ENDED, "", body, false))
        return;
    struct err *large = too_large("the output");
    run_end(r, RUN_FAILED, &(struct reply){0}, large);
    err_drop(large);
}

static void
run_park(struct run *r, const struct err *e)
{
    AUTO(freep) char *why = err_text(e);
    r->parked = xstrdup(why);
    if (r->waits.some_away) /* what has come since may be for one that was not there any more */
        r->lease.sig_seq = r->waits.sig_seq;
    r->status = RUN_WAITING;
    run_append(
        r, REC_RUN_WAITING, "",
        json_pack("{so sI so*}", "reason", json_string_lossy(why, strlen(why)), "at", rt_wall_ms(),
                  "left_open", r->open.asked ? json_true() : NULL),
        false);
}

/* What it has done is undone before it ends, if it ends badly. False: there is nothing of that. */
static bool
run_undo(struct run *r, const struct err *e)
{
    const char *reason = r->rollback ? "rollback" : r->cancelled ? "cancelled" : "failed";
    bool did = undolog_begun(view_undo(r->view), "") || r->rollback;
    bool badly = e && (r->cancelled || (!r->interrupted && err_kind(e) != ERR_PARKED));
    if (r->broken || (!did && !badly))
        return false;
    struct err *undone = saga_all(r, reason, e, &did);
    if (!did && !undone)
        return false;
    if (!undone) {
        json_t *body = saga_end_body(r);
        run_status_parse(json_str(body, "status", ""), &r->status);
        run_append(r, REC_RUN_ENDED, "", body, false);
    } else if (r->broken || r->interrupted) {
        r->status = RUN_RUNNING; /* it goes on with that when it is resumed */
    } else {
        run_park(r, undone);
    }
    err_free(undone);
    return true;
}

static void
run_outcome(struct run *r, struct err *e, enum graph_end end, const struct reply *reply)
{
    if (!e) {
        run_end(r, end == GRAPH_PARTIAL ? RUN_PARTIAL : RUN_COMPLETED, reply, NULL);
    } else if (r->broken) {
        r->status = RUN_RUNNING; /* nothing more can be written: it stays as it was committed */
    } else if (r->cancelled) {
        run_end(r, RUN_CANCELLED, reply, NULL);
    } else if (r->interrupted) {
        r->status = RUN_RUNNING;
    } else if (err_kind(e) == ERR_PARKED) {
        run_park(r, e);
    } else {
        run_end(r, RUN_FAILED, reply, e);
    }
}

static void
engine_forget(struct run *r)
{
    struct engine *e = r->engine;
    for (size_t i = 0; i < e->runs.len; i++) {
        if (e->runs.at[i] == r) {
            e->runs.at[i] = e->runs.at[e->runs.len - 1];
            e->runs.len--;
            break;
        }
    }
}

void
run_scope_open(const struct run *r, struct scope *s, const char *path, int64_t started_wall_ms,
               int64_t total_ms)
{
    /* What ran out of time in a run that is replayed has its end in the journal. */
    if (!total_ms || r->engine->opts.recorded_only)
        scope_open(s, DEADLINE_NONE);
    else
        scope_open_worktime(
            s, rt_after(MAX(total_ms - view_worked_ms(r->view, path, started_wall_ms), 0)));
}

static struct err *
run_graph(struct run *r, struct reply *reply, enum graph_end *ret_end)
{
    const struct graph *g = plan_root(r->flow->plan);
    struct task task = {.name = g->name, .message = r->message, .input = r->input};
    run_scope_open(r, &r->scope, "", r->started_wall_ms,
                   view_workflow_ms(r->view, g->timeout_ms, r->started_wall_ms));
    r->scope_open = true;
    if (r->cancelled || r->interrupted)
        scope_cancel(&r->scope);
    struct graph_call call = {.g = g,
                              .path = "",
                              .task = &task,
                              .started_wall_ms = r->started_wall_ms,
                              .inputs = r->inputs};
    struct err *e = graph_run(r, &call, reply, ret_end);
    r->scope_open = false;
    struct err *closed = scope_close(&r->scope);
    if (!e)
        e = closed;
    else
        err_free(closed);
    const bool before = g->timeout_ms && !r->cancelled && !r->interrupted && cut_before(e);
    if (before)
        e = timed_out(e);
    if (e && err_kind(e) == ERR_TIMEOUT && (before || scope_is_late(&r->scope)))
        e = WRAP(e, "the workflow's timeout of %lld ms", (long long)g->timeout_ms);
    return open_tell(r, open_below(r, "", e));
}

static void
run_walk(struct run *r, struct reply *reply)
{
    enum graph_end end = GRAPH_COMPLETED;
    struct err *e = NULL;
    if (!r->rollback)
        e = saga_cause(r, "");
    if (!r->rollback && !e)
        e = run_graph(r, reply, &end);
    if (!run_undo(r, e))
        run_outcome(r, e, end, reply);
    err_free(e);
}

static void
run_main(void *arg)
{
    struct run *r = arg;
    struct reply reply = {0};
    run_walk(r, &reply);
    bool was = fiber_shield(true);
    struct err *e = run_commit_all(r);
    err_drop(e); /* kept in r->broken */
    if (r->broken || r->interrupted)
        err_drop(store_release(r->engine->opts.store, &r->lease, 0)); /* lost already when fenced */
    fiber_shield(was);
    reply_fini(&reply);
    r->over = true;
    engine_forget(r);
    if (r->engine->opts.run_over)
        r->engine->opts.run_over(r->engine->opts.ctx, r->lease.id);
    waitq_wake_all(&r->waiting);
    if (r->on_end)
        r->on_end(r->on_end_ctx, r);
    run_unref(r);
}

/* ---- handles --------------------------------------------------------------- */

void
run_unref(struct run *r)
{
    if (!r || --r->refs)
        return;
    flow_unref(r->flow);
    json_decref(r->input);
    json_decref(r->inputs);
    json_decref(r->info);
    free(r->message);
    free(r->parked);
    view_free(r->view);
    purses_free(r);
    open_free(r);
    prepaids_free(r);
    pending_free(r->pending.at, r->pending.len);
    telling_free(r->telling);
    err_free(r->broken);
    doubts_free(r->doubts);
    waits_fini(&r->waits);
    vec_fini(&r->undos);
    free(r);
}

struct err *
run_wait(struct run *r, int64_t deadline_ms)
{
    while (!r->over)
        PASS(waitq_wait(&r->waiting, deadline_ms));
    return r->broken ? broken_again(r) : NULL;
}

/* ---- starting -------------------------------------------------------------- */

struct run *
run_new(struct engine *e, struct flow *f)
{
    struct run *r = xcalloc(1, sizeof *r);
    r->engine = e;
    r->flow = flow_ref(f);
    r->refs = 1;
    r->status = RUN_RUNNING;
    r->waits.wake_at = INT64_MAX;
    r->waits.moves = 1;
    r->waits.left_ms = INT64_MIN / 2;
    return r;
}

void
run_set_input(struct run *r, const json_t *started)
{
    json_t *input = json_object_get(started, "input"), *inputs = json_object_get(started, "inputs");
    r->input = input ? json_incref(input) : json_string("");
    r->inputs = inputs ? json_incref(inputs) : json_object();
    r->message = json_as_text(r->input);
    r->started_wall_ms = json_int(started, "at", 0);
    char iso[32];
    time_iso(r->started_wall_ms, iso);
    r->info = json_pack("{ssssss}", "id", r->lease.id, "name", plan_workflow(r->flow->plan),
                        "started", iso);
}

void
run_launch(struct run *r)
{
    r->refs++;
    vec_push(&r->engine->runs, r);
    r->engine->stats.runs++;
    scope_spawn(&r->engine->scope, "run", run_main, r);
    engine_watch_start(r->engine);
}

static struct err *
started_body(const struct run_request *req, json_t **ret_body)
{
    const struct plan *plan = req->flow->plan;
    json_t *body = json_pack("{ss ss sI sO* sO* ss* ss* ss* sO*}", "workflow", plan_workflow(plan),
                             "def", plan_hash(plan), "at", rt_wall_ms(), "input", req->input,
                             "inputs", req->inputs, "goal", req->goal, "conversation",
                             req->conversation, "dir", req->dir, "files", req->files);
    if (!body)
        return FAIL(ERR_INVALID, "the goal or the folder's name is not valid UTF-8");
    AUTO(freep) char *text = json_text(body);
    if (strlen(text) > INPUT_BYTES_MAX) {
        json_decref(body);
        return FAIL(ERR_INVALID, "the input is larger than %zu MB", INPUT_BYTES_MAX >> 20);
    }
    *ret_body = body;
    return NULL;
}

/* A start under a name that is taken: the same start is the same run, another one is refused. */
static struct err *
run_found(struct run *r, const struct run_request *req, const json_t *body)
{
    static const char *const compared[] = {"workflow", "def", "input", "inputs", "conversation"};
    PASS(store_read(r->engine->opts.store, r->lease.id, 1, run_read, r->view));
    const json_t *first = view_started(r->view);
    for (size_t i = 0; i < COUNT(compared); i++) {
        const json_t *a = json_object_get(first, compared[i]),
                     *b = json_object_get(body, compared[i]);
        if (a != b && !(a && b && json_equal(a, b)))
            return FAIL(ERR_INVALID, "the run id '%s' is taken by a run with another %s",
                        req->run_id, strcmp(compared[i], "def") == 0 ? "definition" : compared[i]);
    }
    run_set_input(r, first);
    r->status = view_status(r->view);
    r->over = true;
    return NULL;
}

/* The one that goes on in this process, if it does, stands for the one that was found. */
static struct run *
run_here(struct run *OWN found)
{
    const struct engine *e = found->engine;
    for (size_t i = 0; i < e->runs.len; i++) {
        struct run *r = e->runs.at[i];
        if (strcmp(r->lease.id, found->lease.id) != 0)
            continue;
        r->refs++;
        run_unref(found);
        return r;
    }
    return found;
}

struct err *
engine_start(struct engine *e, const struct run_request *req, struct run **ret_run,
             bool *ret_existing)
{
    AUTO(json_freep) json_t *body = NULL;
    PASS(flow_check_inputs(req->flow, req->inputs));
    if (req->run_id && !*req->run_id)
        return FAIL(ERR_INVALID, "the run's id is empty: name it, or leave it out");
    if (req->run_id && !utf8_valid(req->run_id, strlen(req->run_id)))
        return FAIL(ERR_INVALID, "the run's id is not valid UTF-8");
    if (req->conversation)
        PASS(conversation_check(req->conversation));
    PASS(started_body(req, &body));
    unsigned char chance[10];
    char id[RUN_ID_LEN];
    rt_random(chance, sizeof chance);
    store_make_id(rt_wall_ms(), chance, id);
    AUTO(str_fini) struct str bytes = STR_INIT;
    run_encode(e, body, &bytes);
    struct store_record first = {
        .kind = REC_RUN_STARTED, .path = "", .body = bytes.p, .body_len = bytes.len};
    struct flow *f = req->flow;
    struct store_def def = {.hash = plan_hash(f->plan),
                            .name = plan_workflow(f->plan),
                            .body = f->body,
                            .body_len = f->body ? strlen(f->body) : 0};
    struct store_new_run row = {.id = id,
                                .def = rt_now_ms() < f->stored_until_ms ? NULL : &def,
                                .def_hash = plan_hash(req->flow->plan),
                                .name = plan_workflow(req->flow->plan),
                                .client_key = req->run_id,
                                .records = &first,
                                .nrecords = 1,
                                .status = RUN_RUNNING};
    struct run *r = run_new(e, req->flow);
    r->view = view_new(id);
    struct err *err = view_feed(r->view, &(struct record){REC_RUN_STARTED, "", bytes.p, bytes.len});
    if (!err)
        err = store_create(e->opts.store, &row, &r->lease, ret_existing);
    if (err) {
        run_unref(r);
        return WRAP(err, "starting the run");
    }
    f->stored_until_ms = rt_after(DEF_KEPT_MS);
    if (*ret_existing) {
        view_free(r->view);
        r->view = view_new(r->lease.id);
        err = run_found(r, req, body);
        if (err) {
            run_unref(r);
            return err;
        }
        r = run_here(r);
    } else {
        run_set_input(r, body);
        run_publish(
            r, (struct run_event){.name = EVENT_RUN_STARTED, .path = "", .seq = 1, .detail = body});
        run_launch(r);
    }
    *ret_run = r;
    return NULL;
}
