/* journal.c - bodies of records, what is known of a run from them, its document. */
#include "engine/journal/journal.h"
#include "engine/journal/undolog.h"
#include "engine/journal/viewcore.h"
#include "model/host.h"
#include <stdlib.h>
#include <string.h>

void
record_encode(const json_t *body, struct str *to)
{
    str_addc(to, JOURNAL_FORMAT);
    json_write(to, body);
}

static struct err *
format_check(const struct record *rec)
{
    return rec->body_len > 1 && rec->body[0] == JOURNAL_FORMAT
               ? NULL
               : FAIL(ERR_INVALID,
                      "a journal record of an unknown format (written by a newer version?)");
}

struct err *
record_decode(const struct record *rec, json_t **ret_body)
{
    PASS(format_check(rec));
    TRY(json_parse_own(rec->body + 1, rec->body_len - 1, ret_body), "a journal record");
    if (json_is_object(*ret_body))
        return NULL;
    json_freep(ret_body);
    return FAIL(ERR_INVALID, "a journal record that is not an object");
}

struct err *
record_pick(const struct record *rec, const struct json_want *want, size_t count)
{
    PASS(format_check(rec));
    TRY(json_pick(rec->body + 1, rec->body_len - 1, want, count), "a journal record");
    return NULL;
}

/* ---- the view -------------------------------------------------------------- */

struct view *
view_new(const char *run_id)
{
    struct view *v = xcalloc(1, sizeof *v);
    v->run_id = xstrdup(run_id);
    v->places = map_new();
    v->streams = viewstreams_new();
    v->status = RUN_RUNNING;
    v->said = said_new();
    return v;
}

static void
place_free(struct place *p)
{
    free(p->node.body);
    free(p->step.body);
    free(p->decided.body);
    free(p->wait.body);
    free(p->target);
    free(p);
}

static void
place_drop(void *view, const char *path, struct viewstream *of)
{
    struct view *v = view;
    undolog_pack(v->undo, path, of);
    struct place *p = map_del(v->places, path);
    struct view_cost cost;
    if (!p)
        return;
    struct err *e = p->step.body ? place_cost(p, &cost) : NULL;
    if (p->step.body && !e) {
        usage_add(&of->steps, &cost.usage);
        of->held = amount_add(of->held, cost.held);
    }
    err_drop(e); /* it was read before, when it was kept */
    place_free(p);
}

void
view_free(struct view *v)
{
    void *value;
    if (!v)
        return;
    for (size_t i = 0; map_next(v->places, &i, NULL, &value);) {
        place_free(value);
    }
    map_free(v->places);
    viewstreams_free(v->streams);
    vec_fini(&v->former);
    stints_free(v);
    undolog_free(v->undo);
    said_free(v->said);
    free(v->run_id);
    json_decref(v->started);
    json_decref(v->ended);
    json_decref(v->waiting);
    json_decref(v->session);
    free(v);
}

static struct place *
place_at(struct view *v, const char *path)
{
    struct place *p = map_get(v->places, path);
    if (!p) {
        p = xcalloc(1, sizeof *p);
        map_put(v->places, path, p);
        viewstreams_place(v->streams, path);
    }
    return p;
}

static void
keep(struct kept *k, const struct record *rec)
{
    k->body = xrealloc(k->body, rec->body_len);
    memcpy(k->body, rec->body, rec->body_len);
    k->len = rec->body_len;
}

static struct err *
replace(json_t **at, const struct record *rec)
{
    json_freep(at);
    return record_decode(rec, at);
}

static struct err *
run_feed(struct view *v, const struct record *rec)
{
    switch (rec->kind) {
    case REC_RUN_STARTED:
        return replace(&v->started, rec);
    case REC_RUN_WAITING:
        PASS(replace(&v->waiting, rec));
        v->status = RUN_WAITING;
        return NULL;
    case REC_RUN_ENDED:
        PASS(replace(&v->ended, rec));
        run_status_parse(json_str(v->ended, "status", ""), &v->status);
        return NULL;
    case REC_RUN_RESUMED:
        v->status = RUN_RUNNING;
        return NULL;
    case REC_RUN_FORKED: /* what was used so far was used by another run */
        v->forked = true;
        v->usage = (struct usage){0};
        return format_check(rec);
    default: /* of a later version: nothing here knows it */
        return format_check(rec);
    }
}

static struct err *
node_feed(struct view *v, const struct record *rec)
{
    PASS(format_check(rec));
    struct place *p = place_at(v, rec->path);
    if (rec->kind == REC_NODE_ENDED || !p->is_node)
        keep(&p->node, rec);
    p->is_node = true;
    p->node_ended |= rec->kind == REC_NODE_ENDED;
    if (rec->kind == REC_NODE_ENDED)
        viewstreams_ended(v->streams, rec->path, place_drop, v);
    return NULL;
}

static void
step_open(struct view *v, const char *path, struct place *p, bool open)
{
    if (p->open != open)
        undolog_doubt(v->undo, path, open);
    p->open = open;
}

static void
step_reserved(struct view *v, const struct record *rec, bool recall)
{
    struct place *p = recall ? place_at(v, rec->path) : NULL;
    if (!p || p->done || p->failed)
        return;
    p->reserved = true;
    keep(&p->step, rec);
}

static void
step_ended(struct view *v, const struct record *rec, const struct step_end *end, bool recall)
{
    usage_add(&v->usage, &end->usage);
    struct place *p = recall ? place_at(v, rec->path) : map_get(v->places, rec->path);
    if (!p || (p->done && rec->kind == REC_STEP_FAILED)) /* a success stays */
        return;
    p->done |= rec->kind == REC_STEP_DONE;
    p->failed = !p->done;
    if (!end->unsure)
        step_open(v, rec->path, p, false);
    p->reserved = false;
    if (recall)
        keep(&p->step, rec);
}

static void
step_begun(struct view *v, const struct record *rec, const json_t *target)
{
    struct place *p = place_at(v, rec->path);
    free(p->target);
    p->target = xstrdup(json_is_string(target) ? json_string_value(target) : "");
    p->begun = true;
    step_open(v, rec->path, p, true);
}

static struct err *
step_feed(struct view *v, const struct record *rec, bool recall)
{
    AUTO(json_freep) json_t *target = NULL;
    AUTO(json_freep) json_t *unsure = NULL;
    int64_t at = 0;
    struct usage_picked used;
    if (rec->end) {
        step_ended(v, rec, rec->end, recall);
        return NULL;
    }
    usage_pick_init(&used);
    const struct json_want want[] = {{"usage", .in = used.want, .nin = USAGE_WANTS},
                                     {"at", .whole = &at},
                                     {"unsure", &unsure},
                                     {"target", &target}};
    struct err *e = record_pick(rec, want, rec->kind == REC_STEP_INTENT ? COUNT(want) : 3);
    const struct step_end end = {usage_pick_fini(&used), json_is_true(unsure)};
    PASS(e);
    if (recall && v->former.len)
        vec_last(&v->former).to = MAX(vec_last(&v->former).to, at);
    if (rec->kind == REC_STEP_RESERVED)
        step_reserved(v, rec, recall);
    else if (rec->kind == REC_STEP_INTENT)
        step_begun(v, rec, target);
    else
        step_ended(v, rec, &end, recall);
    return NULL;
}

static struct err *
decided_feed(struct view *v, const struct record *rec, bool recall)
{
    AUTO(json_freep) json_t *event = NULL;
    const struct json_want want = {"event", &event};
    PASS(record_pick(rec, &want, 1));
    if (recall)
        keep(&place_at(v, rec->path)->decided, rec);
    if (str_eq(json_string_value(event), EVENT_SESSION_STATE))
        PASS(replace(&v->session, rec));
    return NULL;
}

static struct err *
wait_feed(struct view *v, const struct record *rec)
{
    PASS(format_check(rec));
    struct place *p = place_at(v, rec->path);
    keep(&p->wait, rec);
    v->has_waits = true;
    p->waited = rec->kind == REC_WAIT_DONE;
    return NULL;
}

static struct err *
said_feed(struct view *v, const struct record *rec, bool recall)
{
    AUTO(json_freep) json_t *body = NULL;
    if (!recall)
        return format_check(rec);
    PASS(record_decode(rec, &body));
    said_take(v->said, body);
    struct place *p = place_at(v, rec->path);
    if (rec->kind == REC_RECALLED)
        p->recalled = (size_t)MAX(json_int(body, "n", 0), 0) + 1;
    else
        p->remembered = true;
    return NULL;
}

static struct err *
undo_feed(struct view *v, const struct record *rec)
{
    if (!v->undo)
        v->undo = undolog_new(v->streams);
    const bool known = undolog_at(v->undo, rec->path);
    PASS(undolog_feed(v->undo, rec));
    if (rec->kind == REC_UNDO && !undolog_at(v->undo, rec->path))
        viewstreams_undone(v->streams, rec->path, place_drop, v);
    else if (!known)
        viewstreams_place(v->streams, rec->path);
    return NULL;
}

static struct err *
feed(struct view *v, const struct record *rec, bool recall)
{
    switch (rec->kind) {
    case REC_UNDOING:
    case REC_UNDO:
        return undo_feed(v, rec);
    case REC_WAIT_OPEN:
    case REC_WAIT_DONE:
        return wait_feed(v, rec);
    case REC_WAIT_REFUSED:
        return format_check(rec);
    case REC_NODE_STARTED:
    case REC_NODE_ENDED:
        return node_feed(v, rec);
    case REC_STEP_INTENT:
    case REC_STEP_DONE:
    case REC_STEP_FAILED:
    case REC_STEP_RESERVED:
        return step_feed(v, rec, recall);
    case REC_STREAM_OPENED:
    case REC_STREAM_CURSOR:
    case REC_ITEM_DONE:
    case REC_ITEM_FAILED:
        return viewstreams_feed(v->streams, rec, recall, place_drop, v);
    case REC_DECIDED:
        return decided_feed(v, rec, recall);
    case REC_RECALLED:
    case REC_REMEMBERED:
        return said_feed(v, rec, recall);
    default:
        return run_feed(v, rec);
    }
}

struct err *
view_feed(struct view *v, const struct record *rec)
{
    return feed(v, rec, false);
}

struct err *
view_recall(struct view *v, const struct record *rec)
{
    AUTO(json_freep) json_t *at = NULL;
    const struct json_want want = {"at", &at};
    PASS(feed(v, rec, true));
    if (rec->kind == REC_RUN_WAITING && v->former.len && json_bool(v->waiting, "left_open", false))
        vec_last(&v->former).parked = json_int(v->waiting, "at", 0);
    if (rec->kind != REC_RUN_STARTED && rec->kind != REC_RUN_RESUMED)
        return NULL;
    PASS(record_pick(rec, &want, 1));
    vec_push(&v->former, ((struct life){json_integer_value(at), json_integer_value(at), 0}));
    return NULL;
}

struct viewstream *
view_stream(const struct view *v, const char *path)
{
    return viewstreams_find(v->streams, path);
}

enum run_status
view_status(const struct view *v)
{
    return v->status;
}

const json_t *
view_started(const struct view *v)
{
    return v->started;
}

const json_t *
view_ended(const struct view *v)
{
    return v->ended;
}

struct viewstreams *
view_streams(const struct view *v)
{
    return v->streams;
}

struct undolog *
view_undo(const struct view *v)
{
    return v->undo;
}

bool
view_fork_open(const struct view *v)
{
    return json_object_get(v->started, "fork") && !v->forked;
}

/* ---- the document ---------------------------------------------------------- */

static json_t *
member(const json_t *obj, const char *key)
{
    json_t *m = json_object_get(obj, key);
    return m ? json_incref(m) : json_null();
}

static json_t *
text_of(const json_t *body)
{
    json_t *text = json_object_get(body, "text"), *output = json_object_get(body, "output");
    if (text || !output)
        return text ? json_incref(text) : json_null();
    if (json_is_string(output) || json_is_null(output))
        return json_incref(output);
    AUTO(freep) char *s = json_text(output);
    return json_string(s);
}

const char *
view_step_open(const struct view *v, size_t *i)
{
    const char *path;
    void *value;
    while (map_next(v->places, i, &path, &value)) {
        const struct place *p = value;
        if (p->begun && !p->done && !p->failed)
            return path;
    }
    return NULL;
}

/* What of a node was begun and never recorded as ended, or NULL. */
static const char *
in_doubt_below(const struct view *v, const char *path)
{
    size_t n = strlen(path);
    const char *open;
    for (size_t i = 0; (open = view_step_open(v, &i));) {
        if (strncmp(open, path, n) == 0 && open[n] == '/')
            return ((const struct place *)map_get(v->places, open))->target;
    }
    return NULL;
}

/* The run ended first: another node failed while this one waited for somebody to look, or it was
 * cancelled while nobody had it. Nothing of it goes on. */
static void
node_cut_off(const struct view *v, const char *path, json_t *d)
{
    const char *in_doubt = in_doubt_below(v, path);
    json_object_set_new(d, "status", json_string(node_status_name(NODE_CANCELLED)));
    json_object_set_new(d, "error",
                        in_doubt ? json_stringf("the run ended while '%s' was in doubt: it may "
                                                "have been carried out",
                                                in_doubt)
                                 : json_string("the run ended first"));
}

/* Does the run wait for something at this node or below it? */
static bool
waits_below(const struct view *v, const char *path)
{
    size_t n = strlen(path);
    const char *at;
    void *value;
    for (size_t i = 0; map_next(v->places, &i, &at, &value);) {
        const struct place *p = value;
        if (p->wait.body && !p->waited && strncmp(at, path, n) == 0 && at[n] == '/')
            return true;
    }
    return false;
}

static json_t *
usage_of(const json_t *body)
{
    const json_t *usage = json_object_get(body, "usage");
    struct usage u;
    usage_from_json(usage, &u);
    return usage ? usage_to_json(&u) : json_null();
}

static json_t *
node_document(const struct view *v, const char *path, const json_t *body)
{
    static const char *const copied[] = {"error", "attempts", "started", "duration_ms"};
    json_t *d = json_object();
    const char *status = json_str(body, "status", "running");
    json_object_set_new_nocheck(d, "type", member(body, "type"));
    json_object_set_new_nocheck(d, "agent", member(body, "agent"));
    json_object_set_new_nocheck(d, "status", json_string(status));
    json_object_set_new_nocheck(d, "output", member(body, "output"));
    json_object_set_new_nocheck(d, "text", text_of(body));
    for (size_t i = 0; i < COUNT(copied); i++)
        json_object_set_new_nocheck(d, copied[i], member(body, copied[i]));
    json_object_set_new_nocheck(d, "usage", usage_of(body));
    if (viewstreams_find(v->streams, path))
        json_object_set_new_nocheck(d, "items",
                                    viewstream_document(viewstreams_find(v->streams, path)));
    if (json_bool(body, "partial", false))
        json_object_set_new_nocheck(d, "partial", json_true());
    if (v->status >= RUN_ENDED && strcmp(status, "running") == 0)
        node_cut_off(v, path, d);
    else if (v->has_waits && strcmp(status, "running") == 0 && waits_below(v, path))
        json_object_set_new(d, "status", json_string("waiting"));
    return d;
}

static struct err *
nodes_document(const struct view *v, json_t *nodes)
{
    const char *path;
    void *value;
    for (size_t i = 0; map_next(v->places, &i, &path, &value);) {
        const struct place *p = value;
        AUTO(json_freep) json_t *body = NULL;
        if (!p->is_node)
            continue;
        struct record rec = view_kept(&p->node);
        PASS(record_decode(&rec, &body));
        json_object_set_new(nodes, path, node_document(v, path, body));
    }
    return NULL;
}

struct err *
view_document(const struct view *v, int64_t now_wall_ms, bool with_nodes, json_t **ret_doc)
{
    AUTO(json_freep) json_t *d = json_object();
    int64_t started = json_int(v->started, "at", now_wall_ms);
    int64_t ended = json_int(v->ended, "at", now_wall_ms);
    int64_t duration = ended > started ? add_saturating(ended, -MAX(started, -INT64_MAX)) : 0;
    json_object_set_new(d, "run", json_string(v->run_id));
    json_object_set_new(d, "workflow", member(v->started, "workflow"));
    json_object_set_new(d, "status", json_string(run_status_name(v->status)));
    json_object_set_new(d, "output", member(v->ended, "output"));
    json_object_set_new(d, "text", text_of(v->ended));
    json_object_set_new(d, "error", member(v->ended, "error"));
    if (with_nodes) {
        json_t *nodes = json_object();
        json_object_set_new(d, "nodes", nodes);
        PASS(nodes_document(v, nodes));
    }
    json_object_set_new(d, "usage", usage_to_json(&v->usage));
    json_object_set_new(d, "duration_ms", json_integer(duration));
    if (v->status == RUN_WAITING) {
        AUTO(json_freep) json_t *waits = json_array();
        json_object_set_new(d, "waiting", member(v->waiting, "reason"));
        PASS(view_waits(v, waits));
        if (json_array_size(waits))
            json_object_set(d, "waits", waits);
    }
    json_t *undone = undolog_document(v->undo);
    if (undone)
        json_object_set_new(d, "compensation", undone);
    if (v->session)
        json_object_set_new(d, "session",
                            json_pack("{ss ss}", "state", json_str(v->session, "state", ""), "at",
                                      json_str(v->session, "in", "")));
    if (json_object_get(v->started, "goal"))
        json_object_set(d, "goal", json_object_get(v->started, "goal"));
    if (json_object_get(v->started, "fork"))
        json_object_set(d, "fork", json_object_get(v->started, "fork"));
    *ret_doc = STEAL(d);
    return NULL;
}
