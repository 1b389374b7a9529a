/* seedaudit.c - what must hold at every moment of a run, watched from outside of the engine. */
#include "rt/rt.h"
#include "seedcore.h"
#include <stdlib.h>
#include <string.h>

#define ATTEMPTS_MAX 4 /* the most that a random definition allows */

void
seed_fault(struct seed *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    str_addv(&s->out->faults, fmt, ap);
    va_end(ap);
    str_addc(&s->out->faults, '\n');
}

void
seed_fault_err(struct seed *s, const char *what, struct err *e)
{
    AUTO(freep) char *text = err_text(e);
    seed_fault(s, "%s: %s", what, text);
    err_free(e);
}

static void
set_add(json_t *set, const char *key)
{
    json_object_set_new(set, key, json_true());
}

static bool
is_node_end(const char *name)
{
    return str_starts(name, "node.") && !str_eq(name, EVENT_NODE_STARTED);
}

static bool
is_step_end(const char *name)
{
    return str_eq(name, EVENT_STEP_COMPLETED) || str_eq(name, EVENT_STEP_FAILED);
}

static bool
is_run_end(const char *name)
{
    return str_eq(name, EVENT_RUN_COMPLETED) || str_eq(name, EVENT_RUN_FAILED) ||
           str_eq(name, EVENT_RUN_CANCELLED) || str_eq(name, EVENT_RUN_COMPENSATED);
}

/* Of an undo, which comes after the end of its node, and is tried for ever. */
static bool
is_of_undo(const char *path)
{
    return strstr(path, "/undo[") != NULL;
}

/* ---- while it runs --------------------------------------------------------------------------- */

/* What is committed: steps and nodes that have an end, and intents. */
static void
record_seen(struct seed *s, const struct run_event *ev)
{
    if (is_step_end(ev->name))
        set_add(s->recorded, ev->path);
    if (is_node_end(ev->name))
        set_add(s->ended, ev->path);
    if (!str_eq(ev->name, EVENT_STEP_STARTED))
        return;
    const char *key = json_str(ev->detail, "key", "");
    if (!str_eq(json_str(s->key_of, ev->path, key), key))
        seed_fault(s, "step %s changed its key", ev->path);
    json_object_set_new(s->keys, key, json_string(ev->path));
    json_object_set_new(s->key_of, ev->path, json_string(key));
}

static void
attempt_seen(struct seed *s, const struct run_event *ev)
{
    if (json_int(ev->detail, "attempt", 1) > ATTEMPTS_MAX && !is_of_undo(ev->path))
        seed_fault(s, "step %s is tried more often than any retry says", ev->path);
    if (json_object_get(s->recorded, ev->path))
        seed_fault(s, "step %s has a recorded end and runs again", ev->path);
    AUTO(freep) char *path = xstrdup(ev->path);
    for (char *slash; (slash = strrchr(path, '/'));) {
        *slash = '\0';
        if (json_object_get(s->ended, path) && (!is_of_undo(ev->path) || is_of_undo(path)))
            seed_fault(s, "step %s runs inside of %s, which has ended", ev->path, path);
    }
}

void
audit_event(struct seed *s, const struct run_event *ev)
{
    if (ev->seq)
        record_seen(s, ev);
    else if (str_eq(ev->name, EVENT_STEP_STARTED))
        attempt_seen(s, ev);
}

struct err *
audit_history(void *seed, const struct run_event *ev)
{
    record_seen(seed, ev);
    return NULL;
}

void
audit_once(void *seed, const char *what, const char *key)
{
    struct seed *s = seed;
    s->out->effects++;
    if (!json_object_get(s->keys, key))
        seed_fault(s, "%s was carried out before its intent was committed", what);
    if (json_int(s->world.ledger, key, 0) > s->retries)
        seed_fault(s, "%s at %s was carried out twice", what, json_str(s->keys, key, "?"));
}

/* Nothing runs any more. */
void
audit_roster(struct seed *s, struct app *app)
{
    AUTO(json_freep) json_t *list = engine_roster(app_engine(app));
    const json_t *one;
    size_t i;
    json_array_foreach (list, i, one) {
        const char *status = json_str(one, "status", ""), *agent = json_str(one, "agent", "");
        const int64_t done = json_int(one, "done", 0), failed = json_int(one, "failed", 0);
        const bool broken = str_eq(status, "error") || str_eq(status, "offline");
        if (json_int(one, "running", -1) != 0 || str_eq(status, "busy"))
            seed_fault(s, "agent '%s' is told to be %s, and nothing runs", agent, status);
        if (broken ? !failed : !str_eq(status, "idle"))
            seed_fault(s, "agent '%s' is %s after %lld done, %lld failed", agent, status,
                       (long long)done, (long long)failed);
        if (broken != !!json_str(one, "error", NULL))
            seed_fault(s, "agent '%s' is %s and has %s error", agent, status, broken ? "no" : "an");
    }
}

/* ---- afterwards ------------------------------------------------------------------------------ */

struct reading {
    struct seed *s;
    json_t *seen; /* records that come once */
    int64_t seq;
    bool over;
    bool all;     /* the whole run is being undone */
    int64_t last; /* and the one that was begun last became ready here */
};

/* What completed last is undone first, and each once. */
static void
undo_seen(struct reading *r, const struct run_event *ev)
{
    struct seed *s = r->s;
    const int64_t ready = json_int(s->ready, ev->path, 0);
    if (str_eq(ev->name, EVENT_RUN_COMPENSATING) && !*ev->path)
        r->all = true;
    if (str_eq(ev->name, EVENT_UNDO_READY))
        json_object_set_new(s->ready, ev->path, json_integer(ev->seq));
    if (str_eq(ev->name, EVENT_UNDO_STARTED) && r->all && json_int(ev->detail, "try", 0) == 1) {
        if (ready && r->last && ready > r->last)
            seed_fault(s, "%s was undone after one that was done before it", ev->path);
        r->last = ready ? ready : r->last;
    }
    if (!str_eq(ev->name, EVENT_UNDO_COMPLETED) && !str_eq(ev->name, EVENT_UNDO_GIVEN_UP))
        return;
    if (json_object_get(s->undone, ev->path))
        seed_fault(s, "%s was undone twice", ev->path);
    set_add(s->undone, ev->path);
}

static void
undo_judge(struct seed *s)
{
    const char *status = json_str(s->doc, "status", ""), *path;
    json_t *value;
    if (s->forced || str_eq(status, "completed") || str_eq(status, "partial"))
        return;
    json_object_foreach (s->ready, path, value) {
        if (!json_object_get(s->undone, path))
            seed_fault(s, "the run is %s, and %s is not undone", status, path);
    }
}

static struct err *
on_record(void *ctx, const struct run_event *ev)
{
    struct reading *r = ctx;
    AUTO(freep) char *detail = json_text(ev->detail);
    const char *what = is_node_end(ev->name)   ? "node end"
                       : is_step_end(ev->name) ? "step end"
                       : is_run_end(ev->name)  ? "run end"
                                               : ev->name;
    AUTO(freep) char *once = xasprintf("%s %s", what, ev->path);
    bool repeats = str_eq(ev->name, EVENT_RUN_RESUMED) || str_eq(ev->name, EVENT_RUN_WAITING) ||
                   str_eq(ev->name, EVENT_STEP_STARTED) || /* told to try again, it says so again */
                   str_eq(ev->name, EVENT_BUDGET_RESERVED) || /* for each call that may add to it */
                   str_starts(ev->name, "compensation.");
    undo_seen(r, ev);
    json_array_append_new(r->s->records, json_pack("{ss ss sO?}", "name", ev->name, "path",
                                                   ev->path, "detail", ev->detail));
    str_addf(&r->s->out->journal, "%lld %s %s %s\n", (long long)ev->seq, ev->name, ev->path,
             detail);
    if (ev->seq != ++r->seq)
        seed_fault(r->s, "record %lld stands at %lld", (long long)ev->seq, (long long)r->seq);
    if (r->over)
        seed_fault(r->s, "a record comes after the end: %s", once);
    if (!repeats && json_object_get(r->seen, once))
        seed_fault(r->s, "the journal has two records '%s'", once);
    set_add(r->seen, once);
    r->over = is_run_end(ev->name);
    return NULL;
}

static void
read_main(void *arg)
{
    struct seed *s = arg;
    struct app *app = NULL;
    struct run *run = NULL;
    AUTO(json_freep) json_t *doc = NULL;
    struct reading r = {.s = s, .seen = json_object()};
    struct err *e = app_open(&(struct app_opts){.mem = s->mem}, &app);
    if (!e && *s->id)
        e = engine_history(app_engine(app), s->id, on_record, &r);
    if (!e && *s->id)
        e = engine_document(app_engine(app), s->id, &doc);
    json_decref(r.seen);
    if (e)
        seed_fault_err(s, "reading it again", e);
    else if (s->doc && !json_equal(doc, s->doc))
        seed_fault(s, "a fresh process reads another document");
    undo_judge(s);
    if (app && s->doc) {
        e = app_resume(app, s->id, NULL, &run);
        if (!e)
            seed_fault(s, "it has ended and can be resumed");
        err_free(e);
        run_unref(run);
    }
    app_close(app);
}

void
audit_afterwards(struct seed *s)
{
    struct rt *rt;
    err_drop(rt_open(&(struct rt_opts){.simulated = true, .seed = s->number}, &rt));
    rt_run(rt, read_main, s);
    rt_close(rt);
}
