/* again.c - stored runs once more: forked or replayed. */
#include "app/again.h"
#include "app/defaults.h"
#include "app/sealed.h"
#include "base/map.h"
#include "base/vec.h"
#include "engine/journal.h"
#include "rt/rt.h"
#include <stdlib.h>
#include <string.h>

/* ---- fork ------------------------------------------------------------------ */

static struct err *
flow_with_model(struct app *a, const char *run, const char *model, struct flow **ret_flow)
{
    struct flow *old = NULL;
    PASS(engine_stored_flow(app_engine(a), run, &old));
    AUTO(json_freep) json_t *doc = json_deep_copy(flow_doc(old));
    AUTO(freep) char *workflow = xstrdup(plan_workflow(flow_plan(old)));
    flow_unref(old);
    PASS(model_apply(doc, model));
    keys_default(doc);
    struct flow_source source = {.doc = doc, .workflow = workflow};
    return engine_flow(app_engine(a), &source, ret_flow);
}

struct err *
app_fork(struct app *a, struct fork_request *q, const char *model, char ret_id[RUN_ID_LEN])
{
    struct flow *flow = NULL;
    if (model)
        PASS(flow_with_model(a, q->run, model, &flow));
    q->flow = flow;
    struct err *e = engine_fork(app_engine(a), q, ret_id);
    q->flow = NULL;
    flow_unref(flow);
    return e;
}

/* ---- the tape -------------------------------------------------------------- */

struct tape {
    struct store_run row;
    struct str def;
    json_t *doc; /* of the run, as it is stored */
    VEC(struct store_record) records;
    struct flow *flow;   /* while it is read */
    struct map *streams; /* likewise: paths of what reads and writes files; value: it has ended */
    int64_t steps;
};

void
tape_free(struct tape *t)
{
    if (!t)
        return;
    vec_each (&t->records, r) {
        free((char *)(uintptr_t)r->path);
        free((void *)(uintptr_t)r->body);
    }
    vec_fini(&t->records);
    store_run_fini(&t->row);
    str_fini(&t->def);
    json_decref(t->doc);
    free(t);
}

/* A branch of a quorum that nobody needed any more: that was a matter of time. */
static bool
is_quorum_branch(const struct flow *f, const char *path)
{
    const struct graph *g = plan_root(flow_plan(f));
    for (const char *part = path; g;) {
        const size_t n = strcspn(part, "/"), base = strcspn(part, "/[");
        const struct node *at = NULL;
        for (size_t i = 0; i < g->nnodes && !at; i++) {
            const char *id = g->nodes[i]->id;
            if (strlen(id) == base && strncmp(id, part, base) == 0)
                at = g->nodes[i];
        }
        if (!at || !part[n])
            return at && g->quorum && at->index < g->branches;
        g = at->child;
        part += n + 1;
    }
    return false;
}

/* Ends that came from the clock or from outside cannot come about again: they are believed. */
static struct err *
end_is_believed(const struct tape *t, const struct store_record *rec, bool *ret)
{
    const struct record stored = {(enum record_kind)rec->kind, rec->path, rec->body, rec->body_len};
    AUTO(json_freep) json_t *status = NULL;
    AUTO(json_freep) json_t *kind = NULL;
    const struct json_want want[] = {{"status", &status}, {"kind", &kind}};
    PASS(record_pick(&stored, want, COUNT(want)));
    const char *ended = json_is_string(status) ? json_string_value(status) : "";
    const char *why = json_is_string(kind) ? json_string_value(kind) : "";
    *ret = strcmp(ended, "cancelled") == 0 || strcmp(why, "timeout") == 0 ||
           (strcmp(ended, "skipped") == 0 && is_quorum_branch(t->flow, rec->path));
    return NULL;
}

/* What worked a file off is not done again, and what is below it neither: that would write its
 * results anew. */
static bool
in_stream(const struct tape *t, const char *path)
{
    AUTO(freep) char *above = xstrdup(path);
    for (char *slash; map_len(t->streams) && (slash = strrchr(above, '/'));) {
        *slash = '\0';
        if (map_has(t->streams, above))
            return true;
    }
    return false;
}

/* Of the run itself its start alone; of nodes when they started, not what they made. */
static struct err *
tape_take(void *ctx, const struct store_record *rec)
{
    struct tape *t = ctx;
    bool believed = true;
    t->steps += rec->kind == REC_STEP_DONE || rec->kind == REC_STEP_FAILED;
    if (!*rec->path && rec->kind != REC_RUN_STARTED && rec->kind != REC_RUN_FORKED)
        return NULL;
    if (rec->kind == REC_STREAM_OPENED)
        map_put(t->streams, rec->path, t);
    if (rec->kind == REC_NODE_ENDED && map_has(t->streams, rec->path))
        map_put(t->streams, rec->path, NULL); /* it has ended */
    else if (rec->kind == REC_NODE_ENDED)
        TRY(end_is_believed(t, rec, &believed), "record %lld", (long long)rec->seq);
    if (!believed || in_stream(t, rec->path))
        return NULL;
    struct store_record copy = *rec;
    void *body = xmalloc(rec->body_len);
    memcpy(body, rec->body, rec->body_len);
    copy.path = xstrdup(rec->path);
    copy.body = body;
    vec_push(&t->records, copy);
    return NULL;
}

static struct err *
streams_check(const struct tape *t)
{
    const char *path;
    void *open;
    for (size_t i = 0; map_next(t->streams, &i, &path, &open);) {
        if (open)
            return FAIL(ERR_INVALID,
                        "'%s' works a file off and has not ended: it cannot be replayed", path);
    }
    return NULL;
}

static struct err *
tape_fill(struct app *a, const char *run, struct tape *t)
{
    struct store *s = app_store(a);
    PASS(engine_find_run(app_engine(a), run, &t->row));
    PASS(engine_document(app_engine(a), t->row.id, &t->doc));
    TRY(store_get_def(s, t->row.def_hash, &t->def), "its definition");
    PASS(engine_stored_flow(app_engine(a), t->row.id, &t->flow));
    t->streams = map_new();
    struct err *e = store_read(s, t->row.id, 1, tape_take, t);
    if (!e)
        e = streams_check(t);
    map_free(t->streams);
    flow_unref(t->flow);
    return e;
}

struct err *
tape_read(struct app *a, const char *run, struct tape **ret_tape)
{
    struct tape *t = xcalloc(1, sizeof *t);
    struct err *e = tape_fill(a, run, t);
    if (e)
        tape_free(t);
    else
        *ret_tape = t;
    return e;
}

/* ---- playing it ------------------------------------------------------------ */

struct playing {
    const struct tape *tape;
    json_t *doc;
    struct err *e;
};

#define PUT_AT_ONCE 1000

static struct err *
tape_store(const struct tape *t, struct store *s)
{
    const struct store_def def = {
        .hash = t->row.def_hash, .name = t->row.name, .body = t->def.p, .body_len = t->def.len};
    const struct store_new_run row = {.id = t->row.id,
                                      .def = &def,
                                      .def_hash = t->row.def_hash,
                                      .name = t->row.name,
                                      .records = t->records.at,
                                      .nrecords = MIN(t->records.len, PUT_AT_ONCE),
                                      .status = RUN_RUNNING};
    struct store_lease lease;
    bool existing;
    PASS(store_create(s, &row, &lease, &existing));
    for (size_t at = row.nrecords; at < t->records.len; at += PUT_AT_ONCE) {
        struct store_commit c = {.lease = &lease,
                                 .records = t->records.at + at,
                                 .nrecords = MIN(t->records.len - at, PUT_AT_ONCE),
                                 .status = RUN_RUNNING};
        PASS(store_commit(s, &c));
    }
    return store_release(s, &lease, 0);
}

static struct err *
play(struct app *a, struct playing *p)
{
    struct run *r = NULL;
    PASS(tape_store(p->tape, app_store(a)));
    PASS(engine_resume(app_engine(a), p->tape->row.id, NULL, &r));
    struct err *e = run_wait(r, DEADLINE_NONE);
    if (!e)
        e = run_document(r, true, &p->doc);
    run_unref(r);
    return e;
}

static void
play_main(void *arg)
{
    struct playing *p = arg;
    struct app *a = NULL;
    sealed_install("a replay calls nothing");
    p->e = app_open(&(struct app_opts){.replaying = true}, &a);
    if (!p->e)
        p->e = play(a, p);
    app_close(a);
}

/* ---- comparing ------------------------------------------------------------- */

static void
differs(json_t *list, const char *path, const char *what, const json_t *recorded,
        const json_t *replayed)
{
    json_array_append_new(list, json_pack("{ss ss sO? sO?}", "path", path, "what", what, "recorded",
                                          recorded, "replayed", replayed));
}

static void
members_compare(json_t *list, const char *path, const json_t *recorded, const json_t *replayed)
{
    static const char *const members[] = {"status", "agent", "output", "text", "error"};
    for (size_t i = 0; i < COUNT(members); i++) {
        const json_t *a = json_object_get(recorded, members[i]);
        const json_t *b = json_object_get(replayed, members[i]);
        if (a != b && !(a && b && json_equal(a, b)))
            differs(list, path, members[i], a, b);
    }
}

static bool
has_ended(const json_t *node)
{
    return strcmp(json_str(node, "status", "running"), "running") != 0;
}

static json_t *
differences(const json_t *recorded, const json_t *replayed)
{
    json_t *list = json_array(), *node;
    const json_t *before = json_object_get(recorded, "nodes"),
                 *after = json_object_get(replayed, "nodes");
    const char *path, *status = json_str(recorded, "status", "");
    json_object_foreach ((json_t *)(uintptr_t)before, path, node) {
        if (has_ended(node))
            members_compare(list, path, node, json_object_get(after, path));
    }
    json_object_foreach ((json_t *)(uintptr_t)after, path, node) {
        if (!json_object_get(before, path))
            differs(list, path, "status", NULL, json_object_get(node, "status"));
    }
    enum run_status ended;
    if (run_status_parse(status, &ended) && ended >= RUN_ENDED && ended <= RUN_FAILED)
        members_compare(list, "", recorded, replayed);
    if (json_array_size(list) && json_object_get(replayed, "waiting"))
        differs(list, "", "waiting", NULL, json_object_get(replayed, "waiting"));
    return list;
}

struct err *
tape_play(const struct tape *t, json_t **ret_report)
{
    struct rt *rt;
    struct playing p = {.tape = t};
    PASS(rt_open(&(struct rt_opts){.simulated = true, .seed = 1}, &rt));
    rt_run(rt, play_main, &p);
    rt_close(rt);
    if (p.e)
        return WRAP(p.e, "replaying '%s'", t->row.id);
    AUTO(json_freep) json_t *doc = p.doc;
    json_t *list = differences(t->doc, doc);
    *ret_report = json_pack("{ss sO sb sI sI so}", "run", t->row.id, "status",
                            json_object_get(t->doc, "status"), "same", json_array_size(list) == 0,
                            "nodes", (json_int_t)json_object_size(json_object_get(doc, "nodes")),
                            "steps", (json_int_t)t->steps, "differences", list);
    return NULL;
}
