/* resume.c - taking up a run that another process left, or one that has ended and is to be undone.
 */
#include "engine/fork.h"
#include "engine/runcore.h"
#include "engine/undolog.h"
#include <string.h>

static void
doubts_freep(struct doubts **d)
{
    doubts_free(*d);
}

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

struct err *
engine_resume(struct engine *e, const char *id, const char *in_doubt, struct run **ret_run)
{
    struct store_lease lease;
    AUTO(doubts_freep) struct doubts *doubts = NULL;
    PASS(doubts_parse(in_doubt, &doubts));
    TRY(store_claim(e->opts.store, id, &lease), "resuming '%s'", id);
    struct view *view = view_new(lease.id);
    struct err *err = store_read(e->opts.store, lease.id, 1, run_recall, view);
    struct flow *f = NULL;
    if (!err && view_fork_open(view)) {
        view_free(view);
        view = view_new(lease.id);
        err = fork_complete(e, &lease);
        if (!err)
            err = store_read(e->opts.store, lease.id, 1, run_recall, view);
    }
    if (!err && !view_started(view))
        err = FAIL(ERR_INVALID, "the journal does not begin with the start of a run");
    if (!err)
        err = doubts_check(doubts, view);
    if (!err)
        err = flow_stored(e, json_str(view_started(view), "def", ""), &f);
    if (err) {
        view_free(view);
        bool was = fiber_shield(true);
        err_drop(store_release(e->opts.store, &lease, INT64_MAX));
        fiber_shield(was);
        return WRAP(err, "resuming '%s'", id);
    }
    struct run *r = run_new(e, f);
    r->lease = lease;
    r->view = view;
    r->waits.news_due = true; /* what came while nobody had it */
    r->doubts = STEAL(doubts);
    run_set_input(r, view_started(r->view));
    run_append(r, REC_RUN_RESUMED, "",
               json_pack("{ss sI}", "workflow", plan_workflow(f->plan), "at", rt_wall_ms()), true);
    int cancel = 0;
    err_drop(store_cancel_state(e->opts.store, lease.id, &cancel));
    r->cancelled = cancel > 0;
    flow_unref(f);
    run_launch(r);
    *ret_run = r;
    return NULL;
}
