/* again.c - stored runs once more: forked or replayed. */
#include "app/again.h"
#include "app/defaults.h"
#include "app/sealed.h"
#include "base/map.h"
#include "base/vec.h"
#include "engine/journal/journal.h"
#include "engine/journal/undolog.h"
#include "engine/talk/history.h"
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

struct exchange { /* as the store has it */
    char *key;
    void *body;
    size_t len;
};
struct tape {
    struct store_run row;
    struct str def;
    json_t *doc; /* of the run, as it is stored */
    VEC(struct store_record) records;
    VEC(struct exchange) said; /* in its conversation */
    int64_t steps;
    bool timed_out; /* something of it: with time enough it would have gone on */
    /* while it is read */
    struct flow *flow;
    struct map *believed; /* paths of nodes whose ends are */
    struct map
        *streams; /* paths of what works a file off; value: not NULL while it has not ended */
};

static void
record_free(struct store_record *r)
{
    free((char *)(uintptr_t)r->path);
    free((void *)(uintptr_t)r->body);
}

void
tape_free(struct tape *t)
{
    if (!t)
        return;
    vec_each (&t->records, r)
        record_free(r);
    vec_fini(&t->records);
    vec_each (&t->said, x) {
        free(x->key);
        free(x->body);
    }
    vec_fini(&t->said);
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

/* Ends that came from the clock, from what was not there, from limits, or from outside cannot come
 * about again. */
static struct err *
end_is_believed(struct tape *t, const struct store_record *rec, bool *ret)
{
    static const char *const outside[] = {"timeout", "missing", "limit", "cancelled"};
    const struct record stored = {(enum record_kind)rec->kind, rec->path, rec->body, rec->body_len};
    AUTO(json_freep) json_t *status = NULL;
    AUTO(json_freep) json_t *kind = NULL;
    const struct json_want want[] = {{"status", &status}, {"kind", &kind}};
    PASS(record_pick(&stored, want, COUNT(want)));
    const char *ended = json_is_string(status) ? json_string_value(status) : "";
    const char *why = json_is_string(kind) ? json_string_value(kind) : "";
    *ret = strcmp(ended, "cancelled") == 0 || undo_part(rec->path) ||
           map_has(t->streams, rec->path) ||
           (strcmp(ended, "skipped") == 0 && is_quorum_branch(t->flow, rec->path));
    for (size_t i = 0; i < COUNT(outside); i++)
        *ret |= strcmp(why, outside[i]) == 0;
    t->timed_out |= strcmp(why, "timeout") == 0;
    return NULL;
}

static struct err *
end_note(struct tape *t, const struct store_record *rec)
{
    bool believed = false;
    TRY(end_is_believed(t, rec, &believed), "record %lld", (long long)rec->seq);
    if (believed)
        map_put(t->believed, rec->path, t);
    if (map_has(t->streams, rec->path))
        map_put(t->streams, rec->path, NULL);
    return NULL;
}

/* Of the run itself its start alone. */
static struct err *
tape_take(void *ctx, const struct store_record *rec)
{
    struct tape *t = ctx;
    t->steps += rec->kind == REC_STEP_DONE || rec->kind == REC_STEP_FAILED;
    if (!*rec->path && rec->kind != REC_RUN_STARTED && rec->kind != REC_RUN_FORKED &&
        rec->kind != REC_UNDOING)
        return NULL;
    if (rec->kind == REC_UNDOING) /* it is not gone through again, only its undoing is */
        map_put(t->believed, rec->path, t);
    if (rec->kind == REC_STREAM_OPENED)
        map_put(t->streams, rec->path, t);
    if (rec->kind == REC_NODE_ENDED)
        PASS(end_note(t, rec));
    struct store_record copy = *rec;
    void *body = xmalloc(rec->body_len);
    memcpy(body, rec->body, rec->body_len);
    copy.path = xstrdup(rec->path);
    copy.body = body;
    vec_push(&t->records, copy);
    return NULL;
}

/* Is its end, or that of something around it, believed? What is below is not walked again. */
static bool
is_believed(const struct tape *t, const char *path)
{
    AUTO(freep) char *at = xstrdup(path);
    for (char *slash;; *slash = '\0') {
        if (map_has(t->believed, at))
            return true;
        slash = strrchr(at, '/');
        if (!slash)
            return map_has(t->believed, "");
    }
}

/* Nodes come to their ends again: what they made is left out. */
static void
ends_drop(struct tape *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->records.len; i++) {
        struct store_record *r = &t->records.at[i];
        if (r->kind == REC_NODE_ENDED && !is_believed(t, r->path))
            record_free(r);
        else
            t->records.at[n++] = *r;
    }
    t->records.len = n;
}

/* The number that a record has on the tape; 0: it is not there. */
static int64_t
number_on_tape(const struct tape *t, int64_t seq)
{
    size_t low = 0, high = t->records.len;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        if (t->records.at[mid].seq < seq)
            low = mid + 1;
        else
            high = mid;
    }
    return low < t->records.len && t->records.at[low].seq == seq ? (int64_t)low + 1 : 0;
}

/* What became of an undo names the record of its request by number, and some were left out. */
static struct err *
undos_renumber(struct tape *t)
{
    vec_each (&t->records, r) {
        const struct record rec = {(enum record_kind)r->kind, r->path, r->body, r->body_len};
        AUTO(json_freep) json_t *body = NULL;
        AUTO(str_fini) struct str bytes = STR_INIT;
        if (r->kind != REC_UNDO)
            continue;
        PASS(record_decode(&rec, &body));
        if (!json_object_get(body, "of"))
            continue;
        json_object_set_new(body, "of", json_integer(number_on_tape(t, json_int(body, "of", 0))));
        record_encode(body, &bytes);
        free((void *)(uintptr_t)r->body);
        r->body_len = bytes.len;
        r->body = str_steal(&bytes);
    }
    return NULL;
}

static struct err *
streams_check(const struct tape *t)
{
    const char *path;
    void *open;
    for (size_t i = 0; map_next(t->streams, &i, &path, &open);) {
        if (open && !is_believed(t, path))
            return FAIL(ERR_INVALID,
                        "'%s' works a file off and has not ended: it cannot be replayed", path);
    }
    return NULL;
}

static struct err *
said_take(void *ctx, const char *key, const void *body, size_t n)
{
    struct tape *t = ctx;
    if (!body)
        return FAIL(ERR_INVALID, "'%s' is damaged", key);
    struct exchange x = {.key = xstrdup(key), .body = xmalloc(n + 1), .len = n};
    memcpy(x.body, body, n);
    vec_push(&t->said, x);
    return NULL;
}

/* What was said before; how much of it the run was shown is in its journal. */
static struct err *
conversation_take(struct store *s, struct tape *t)
{
    const struct store_record *first = &t->records.at[0];
    const struct record rec = {REC_RUN_STARTED, "", first->body, first->body_len};
    AUTO(json_freep) json_t *name = NULL;
    const struct json_want want = {"conversation", &name};
    AUTO(str_fini) struct str prefix = STR_INIT;
    PASS(record_pick(&rec, &want, 1));
    if (!json_is_string(name))
        return NULL;
    str_add(&prefix, HISTORY_PREFIX);
    history_part(&prefix, json_string_value(name));
    str_addc(&prefix, '/');
    return store_kv_list(s, str_c(&prefix), said_take, t);
}

static struct err *
tape_fill(struct app *a, const char *run, struct tape *t)
{
    struct store *s = app_store(a);
    PASS(engine_find_run(app_engine(a), run, &t->row));
    PASS(engine_document(app_engine(a), t->row.id, &t->doc));
    TRY(store_get_def(s, t->row.def_hash, &t->def), "its definition");
    PASS(engine_stored_flow(app_engine(a), t->row.id, &t->flow));
    PASS(store_read(s, t->row.id, 1, tape_take, t));
    PASS(streams_check(t));
    if (!t->records.len || t->records.at[0].kind != REC_RUN_STARTED)
        return FAIL(ERR_INVALID, "the journal does not begin with the start of a run");
    PASS(conversation_take(s, t));
    ends_drop(t);
    return undos_renumber(t);
}

struct err *
tape_read(struct app *a, const char *run, struct tape **ret_tape)
{
    struct tape *t = xcalloc(1, sizeof *t);
    t->believed = map_new();
    t->streams = map_new();
    struct err *e = tape_fill(a, run, t);
    flow_unref(t->flow);
    t->flow = NULL;
    map_free(t->believed);
    map_free(t->streams);
    t->believed = t->streams = NULL;
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
#define PUT_BYTES   ((size_t)4 << 20)

/* How many of the records from `at` on go into one commit. */
static size_t
batch_of(const struct tape *t, size_t at)
{
    size_t n = 0, bytes = 0;
    while (at + n < t->records.len && n < PUT_AT_ONCE && (!n || bytes < PUT_BYTES))
        bytes += t->records.at[at + n++].body_len;
    return n;
}

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
                                      .nrecords = batch_of(t, 0),
                                      .status = RUN_RUNNING};
    struct store_lease lease;
    bool existing;
    for (size_t i = 0; i < t->said.len; i++) {
        const struct exchange *x = &t->said.at[i];
        PASS(store_kv_put(s, x->key, x->body, x->len));
    }
    PASS(store_create(s, &row, &lease, &existing));
    for (size_t at = row.nrecords, n; at < t->records.len; at += n) {
        n = batch_of(t, at);
        struct store_commit c = {
            .lease = &lease, .records = t->records.at + at, .nrecords = n, .status = RUN_RUNNING};
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

/* Where the journal had no more to say; NULL: it ended, or waits as it did then. */
static const json_t *
stopped_at(const json_t *replayed, const json_t *differences)
{
    return json_array_size(differences) ? json_object_get(replayed, "waiting") : NULL;
}

static void
differs(json_t *list, const char *path, const char *what, const json_t *recorded,
        const json_t *replayed)
{
    json_array_append_new(list, json_pack("{ss ss sO? sO?}", "path", path, "what", what, "recorded",
                                          recorded, "replayed", replayed));
}

/* The replay did not come to its end. */
static bool
is_stopped(const json_t *replayed)
{
    const char *status = json_str(replayed, "status", "");
    return strcmp(status, "running") == 0 || strcmp(status, "waiting") == 0;
}

/* Of several failures that broke the same thing, time decides which one is told: of what has nodes
 * below it, errors are not compared. */
static void
members_compare(json_t *list, const char *path, const json_t *recorded, const json_t *replayed,
                bool errors) /* tidy: two things and how they are compared */
{
    static const char *const members[] = {"status", "agent", "output", "text", "error"};
    if (is_stopped(replayed)) { /* what it would have given is not known */
        AUTO(json_freep) json_t *stopped = json_string("stopped");
        differs(list, path, "status", json_object_get(recorded, "status"), stopped);
        return;
    }
    for (size_t i = 0; i < COUNT(members) - !errors; i++) {
        const json_t *a = json_object_get(recorded, members[i]);
        const json_t *b = json_object_get(replayed, members[i]);
        if (a != b && !(a && b && json_equal(a, b)))
            differs(list, path, members[i], a, b);
    }
}

/* Cancelled ones were cut off by something else, at some time. */
static bool
is_settled(const json_t *node)
{
    const char *status = json_str(node, "status", "");
    return strcmp(status, "completed") == 0 || strcmp(status, "failed") == 0 ||
           strcmp(status, "skipped") == 0;
}

/* Paths that have nodes below them. */
static struct map *
containers_of(const json_t *nodes)
{
    struct map *found = map_new();
    const char *path;
    json_t *node;
    json_object_foreach ((json_t *)(uintptr_t)nodes, path, node) {
        AUTO(freep) char *above = xstrdup(path);
        for (char *slash; (slash = strrchr(above, '/'));) {
            *slash = '\0';
            map_put(found, above, found);
        }
    }
    return found;
}

static json_t *
differences(const struct tape *t, const json_t *replayed)
{
    const json_t *recorded = t->doc;
    json_t *list = json_array(), *node;
    const json_t *before = json_object_get(recorded, "nodes"),
                 *after = json_object_get(replayed, "nodes");
    AUTO(map_freep) struct map *containers = containers_of(before);
    const char *path, *status = json_str(recorded, "status", "");
    bool cut_off = t->timed_out; /* or something was under way at its end: there the journal ends */
    json_object_foreach ((json_t *)(uintptr_t)before, path, node) {
        cut_off |= strcmp(json_str(node, "status", ""), "cancelled") == 0;
        if (is_settled(node))
            members_compare(list, path, node, json_object_get(after, path),
                            !map_has(containers, path));
    }
    json_object_foreach ((json_t *)(uintptr_t)after, path, node) {
        if (!json_object_get(before, path) && is_settled(node))
            differs(list, path, "status", NULL, json_object_get(node, "status"));
    }
    enum run_status ended;
    cut_off &= json_object_get(replayed, "waiting") != NULL;
    if (run_status_parse(status, &ended) && ended >= RUN_ENDED && ended <= RUN_FAILED && !cut_off)
        members_compare(list, "", recorded, replayed, false);
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
    json_t *list = differences(t, doc);
    *ret_report =
        json_pack("{ss sO sb sI sI sO* so}", "run", t->row.id, "status",
                  json_object_get(t->doc, "status"), "same", json_array_size(list) == 0, "nodes",
                  (json_int_t)json_object_size(json_object_get(doc, "nodes")), "steps",
                  (json_int_t)t->steps, "stopped", stopped_at(doc, list), "differences", list);
    return NULL;
}
