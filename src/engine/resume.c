/* resume.c - taking up a run that another process left, or one that has ended and is to be undone.
 */
#include "engine/fork.h"
#include "engine/journal/undolog.h"
#include "engine/runcore.h"
#include <string.h>

/* An answer that is for no step in doubt is a slip: somebody believes something was settled. */
static struct err *
doubts_check(const struct doubts *d, const struct view *v)
{
    const char *of, *open;
    for (size_t i = 0; (of = doubts_path(d, i)); i++) {
        AUTO(str_fini) struct str all = STR_INIT;
        bool met = false;
        for (size_t k = 0; (open = view_step_open(v, &k));) {
            met |= doubts_covers(of, open);
            str_addf(&all, "%s'%s'", all.len ? ", " : "", open);
        }
        if (!met)
            return FAIL(ERR_INVALID, "nothing is in doubt at '%s'; there is %s", of,
                        all.len ? str_c(&all) : "no such step");
    }
    return NULL;
}

static struct err *
recall(struct engine *e, struct store_lease *lease, const struct doubts *doubts,
       struct view **ret_view)
{
    struct view *view = view_new(lease->id);
    struct err *err = store_read(e->opts.store, lease->id, 1, run_recall, view);
    if (!err && view_fork_open(view)) {
        view_free(view);
        view = view_new(lease->id);
        err = fork_complete(e, lease);
        if (!err)
            err = store_read(e->opts.store, lease->id, 1, run_recall, view);
    }
    if (!err && !view_started(view))
        err = FAIL(ERR_INVALID, "the journal does not begin with the start of a run");
    if (!err)
        err = doubts_check(doubts, view);
    if (err)
        view_free(view);
    else
        *ret_view = view;
    return err;
}

/* A run that has ended and is live was opened again to be undone. */
static void
go_on(struct run *r, struct view *view)
{
    r->view = view;
    r->rollback = view_ended(view) != NULL;
    r->waits.news_due = true; /* what came while nobody had it */
    run_set_input(r, view_started(view));
    run_append(r, REC_RUN_RESUMED, "",
               json_pack("{ss sI}", "workflow", plan_workflow(r->flow->plan), "at", rt_wall_ms()),
               true);
    int cancel = 0;
    err_drop(store_cancel_state(r->engine->opts.store, r->lease.id, &cancel));
    r->cancelled = cancel > 0;
    run_launch(r);
}

/* The run is claimed: it goes on, or is given back. */
static struct err *
take_up(struct engine *e, struct store_lease *lease, struct doubts *OWN doubts,
        struct run **ret_run)
{
    struct view *view = NULL;
    struct flow *f = NULL;
    struct err *err = recall(e, lease, doubts, &view);
    if (!err)
        err = flow_stored(e, json_str(view_started(view), "def", ""), &f);
    if (err) {
        bool was = fiber_shield(true);
        view_free(view);
        doubts_free(doubts);
        err_drop(store_release(e->opts.store, lease, INT64_MAX));
        fiber_shield(was);
        return WRAP(err, "resuming '%s'", lease->id);
    }
    struct run *r = run_new(e, f);
    r->lease = *lease;
    r->doubts = doubts;
    flow_unref(f);
    go_on(r, view);
    *ret_run = r;
    return NULL;
}

struct err *
engine_resume(struct engine *e, const char *id, const char *in_doubt, struct run **ret_run)
{
    struct store_lease lease;
    struct doubts *doubts = NULL;
    PASS(doubts_parse(in_doubt, &doubts));
    struct err *err = store_claim(e->opts.store, id, &lease);
    if (err) {
        doubts_free(doubts);
        return WRAP(err, "resuming '%s'", id);
    }
    return take_up(e, &lease, doubts, ret_run);
}

/* ---- undoing one that has ended -------------------------------------------- */

struct listing {
    const struct undolog *log;
    undo_fn fn;
    void *ctx;
};

static struct err *
undo_tell(void *ctx, const struct store_record *stored)
{
    const struct listing *l = ctx;
    const struct record rec = stored_record(stored);
    const struct undo_entry *x = undolog_at(l->log, rec.path);
    AUTO(json_freep) json_t *one = NULL;
    AUTO(json_freep) json_t *state = NULL;
    const struct json_want want = {"state", &state};
    PASS(undo_request(&rec, &one));
    PASS(record_pick(&rec, &want, 1));
    json_object_set_new(one, "node", json_string(rec.path));
    if (x)
        json_object_set_new(one, "state", json_string(undo_state_name(x->state)));
    else
        json_object_set(one, "state", state);
    return l->fn(l->ctx, one);
}

struct err *
engine_undo_list(struct engine *e, const char *id, undo_fn fn, void *ctx)
{
    struct store_run row = {0};
    PASS(engine_find_run(e, id, &row));
    struct view *view = view_new(row.id);
    struct err *err = store_read(e->opts.store, row.id, 1, run_read, view);
    struct listing l = {view_undo(view), fn, ctx};
    for (int64_t seq = INT64_MAX; !err && (seq = undolog_newest(l.log, "", 0, seq));)
        err = store_read_one(e->opts.store, row.id, seq, undo_tell, &l);
    view_free(view);
    store_run_fini(&row);
    return err;
}

static struct err *
nothing_to_undo(const char *id, const struct view *view)
{
    const json_t *fork = json_object_get(view_started(view), "fork");
    if (fork && !view_undo(view))
        return FAIL(ERR_MISSING,
                    "there is nothing to undo in the run '%s': what it took over of '%s' is "
                    "undone there",
                    id, json_str(fork, "run", ""));
    return FAIL(ERR_MISSING, "there is nothing to undo in the run '%s': %s", id,
                view_undo(view) ? "no node with `compensate` has completed"
                                : "no node of it has `compensate`");
}

/* *ret_goes_on: it is being rolled back already. */
static struct err *
rollback_check(struct engine *e, const struct store_run *row, bool *ret_goes_on)
{
    struct view *view = view_new(row->id);
    struct err *err = store_read(e->opts.store, row->id, 1, run_read, view);
    const struct undolog *log = view_undo(view);
    *ret_goes_on = row->status < RUN_ENDED && view_ended(view);
    if (!err && row->status < RUN_ENDED && !*ret_goes_on)
        err = FAIL(ERR_INVALID,
                   "the run '%s' has not ended: cancel it, that undoes what it has done", row->id);
    else if (!err && row->status == RUN_COMPENSATED)
        err = FAIL(ERR_INVALID, "the run '%s' is undone already", row->id);
    else if (!err && !*ret_goes_on && !undolog_newest(log, "", 0, INT64_MAX))
        err = nothing_to_undo(row->id, view);
    view_free(view);
    return err;
}

struct err *
engine_rollback(struct engine *e, const char *id, struct run **ret_run)
{
    struct store_run row = {0};
    struct store_lease lease;
    bool goes_on;
    PASS(engine_find_run(e, id, &row));
    struct err *err = rollback_check(e, &row, &goes_on);
    if (!err && goes_on)
        err = store_claim(e->opts.store, row.id, &lease);
    else if (!err)
        err = store_reopen(e->opts.store, row.id, &lease);
    store_run_fini(&row);
    PASS(err);
    return take_up(e, &lease, NULL, ret_run);
}
