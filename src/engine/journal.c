/* journal.c - bodies of records, the document of a run, the memory of a resumed one. */
#include "engine/journal.h"
#include <stdlib.h>
#include <string.h>

const char *
record_event(enum record_kind kind, const json_t *body)
{
    const char *status = json_str(body, "status", "");
    switch (kind) {
    case REC_RUN_STARTED:
        return EVENT_RUN_STARTED;
    case REC_RUN_RESUMED:
        return EVENT_RUN_RESUMED;
    case REC_RUN_WAITING:
        return EVENT_RUN_WAITING;
    case REC_RUN_ENDED:
        return strcmp(status, "failed") == 0      ? EVENT_RUN_FAILED
               : strcmp(status, "cancelled") == 0 ? EVENT_RUN_CANCELLED
                                                  : EVENT_RUN_COMPLETED;
    case REC_NODE_STARTED:
        return EVENT_NODE_STARTED;
    case REC_NODE_ENDED:
        return strcmp(status, "failed") == 0      ? EVENT_NODE_FAILED
               : strcmp(status, "skipped") == 0   ? EVENT_NODE_SKIPPED
               : strcmp(status, "cancelled") == 0 ? EVENT_NODE_CANCELLED
                                                  : EVENT_NODE_COMPLETED;
    case REC_STEP_INTENT:
        return EVENT_STEP_STARTED;
    case REC_STEP_DONE:
        return EVENT_STEP_COMPLETED;
    case REC_STEP_FAILED:
        return EVENT_STEP_FAILED;
    }
    return "unknown";
}

void
record_encode(const json_t *body, struct str *to)
{
    str_addc(to, JOURNAL_FORMAT);
    json_write(to, body);
}

struct err *
record_decode(const void *bytes, size_t n, json_t **ret_body)
{
    const char *p = bytes;
    if (n < 2 || p[0] != JOURNAL_FORMAT)
        return FAIL(ERR_INVALID,
                    "a journal record of an unknown format (written by a newer version?)");
    TRY(json_parse(p + 1, n - 1, ret_body), "a journal record");
    if (json_is_object(*ret_body))
        return NULL;
    json_freep(ret_body);
    return FAIL(ERR_INVALID, "a journal record that is not an object");
}

/* ---- view ------------------------------------------------------------------ */

struct view {
    char *run_id;
    json_t *started, *ended, *waiting;
    json_t *nodes; /* path -> body of its end, or of its start */
    json_t *open;  /* path -> target of steps that have an intent and no end */
    struct usage usage;
    enum run_status status;
};

struct view *
view_new(const char *run_id)
{
    struct view *v = xcalloc(1, sizeof *v);
    v->run_id = xstrdup(run_id);
    v->nodes = json_object();
    v->open = json_object();
    v->status = RUN_RUNNING;
    return v;
}

void
view_free(struct view *v)
{
    if (!v)
        return;
    free(v->run_id);
    json_decref(v->started);
    json_decref(v->ended);
    json_decref(v->waiting);
    json_decref(v->nodes);
    json_decref(v->open);
    free(v);
}

static void
replace(json_t **at, json_t *with)
{
    json_decref(*at);
    *at = json_incref(with);
}

void
view_feed(struct view *v, enum record_kind kind, const char *path, json_t *body)
{
    struct usage u;
    switch (kind) {
    case REC_RUN_STARTED:
        replace(&v->started, body);
        break;
    case REC_RUN_RESUMED:
        v->status = RUN_RUNNING;
        break;
    case REC_RUN_WAITING:
        replace(&v->waiting, body);
        v->status = RUN_WAITING;
        break;
    case REC_RUN_ENDED:
        replace(&v->ended, body);
        run_status_parse(json_str(body, "status", ""), &v->status);
        break;
    case REC_NODE_STARTED:
    case REC_NODE_ENDED:
        json_object_set(v->nodes, path, body);
        break;
    case REC_STEP_DONE:
    case REC_STEP_FAILED:
        usage_from_json(json_object_get(body, "usage"), &u);
        usage_add(&v->usage, &u);
        json_object_del(v->open, path);
        break;
    case REC_STEP_INTENT:
        json_object_set(v->open, path, json_object_get(body, "target"));
        break;
    }
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

/* The run ended first: another node failed while this one waited for somebody to look, or it was
 * cancelled while nobody had it. Nothing of it goes on. */
static void
node_cut_off(const struct view *v, const char *path, json_t *d)
{
    const char *open, *in_doubt = NULL;
    json_t *target;
    size_t n = strlen(path);
    json_object_foreach (v->open, open, target) {
        if (strncmp(open, path, n) == 0 && open[n] == '/')
            in_doubt = json_string_value(target);
    }
    json_object_set_new(d, "status", json_string(node_status_name(NODE_CANCELLED)));
    json_object_set_new(d, "error",
                        in_doubt ? json_stringf("the run ended while '%s' was in doubt: it may "
                                                "have been carried out",
                                                in_doubt)
                                 : json_string("the run ended first"));
}

static json_t *
node_document(const struct view *v, const char *path, const json_t *body)
{
    static const char *const copied[] = {"output",  "error",       "attempts",
                                         "started", "duration_ms", "usage"};
    json_t *d = json_object();
    json_object_set_new(d, "type", member(body, "type"));
    json_object_set_new(d, "agent", member(body, "agent"));
    const char *status = json_str(body, "status", "running");
    json_object_set_new(d, "status", json_string(status));
    for (size_t i = 0; i < COUNT(copied); i++) {
        json_object_set_new(d, copied[i], member(body, copied[i]));
        if (i == 0)
            json_object_set_new(d, "text", text_of(body));
    }
    if (v->ended && strcmp(status, "running") == 0)
        node_cut_off(v, path, d);
    return d;
}

json_t *
view_document(const struct view *v, int64_t now_wall_ms)
{
    json_t *d = json_object(), *nodes = json_object(), *body;
    const char *path;
    int64_t started = json_int(v->started, "at", now_wall_ms);
    int64_t ended = json_int(v->ended, "at", now_wall_ms);
    int64_t duration = ended > started ? add_saturating(ended, -MAX(started, -INT64_MAX)) : 0;
    json_object_set_new(d, "run", json_string(v->run_id));
    json_object_set_new(d, "workflow", member(v->started, "workflow"));
    json_object_set_new(d, "status", json_string(run_status_name(v->status)));
    json_object_set_new(d, "output", member(v->ended, "output"));
    json_object_set_new(d, "text", text_of(v->ended));
    json_object_set_new(d, "error", member(v->ended, "error"));
    json_object_foreach (v->nodes, path, body)
        json_object_set_new(nodes, path, node_document(v, path, body));
    json_object_set_new(d, "nodes", nodes);
    json_object_set_new(d, "usage", usage_to_json(&v->usage));
    json_object_set_new(d, "duration_ms", json_integer(duration));
    if (v->status == RUN_WAITING)
        json_object_set_new(d, "waiting", member(v->waiting, "reason"));
    if (json_object_get(v->started, "goal"))
        json_object_set(d, "goal", json_object_get(v->started, "goal"));
    return d;
}

/* ---- memo ------------------------------------------------------------------ */

struct memo {
    json_t *nodes, *done, *failed; /* path -> body */
    json_t *intents, *started;     /* path -> body */
};

struct memo *
memo_new(void)
{
    struct memo *m = xcalloc(1, sizeof *m);
    m->nodes = json_object();
    m->done = json_object();
    m->failed = json_object();
    m->intents = json_object();
    m->started = json_object();
    return m;
}

void
memo_free(struct memo *m)
{
    if (!m)
        return;
    json_decref(m->nodes);
    json_decref(m->done);
    json_decref(m->failed);
    json_decref(m->intents);
    json_decref(m->started);
    free(m);
}

void
memo_feed(struct memo *m, enum record_kind kind, const char *path, json_t *body)
{
    json_t *to = kind == REC_NODE_ENDED     ? m->nodes
                 : kind == REC_STEP_DONE    ? m->done
                 : kind == REC_STEP_FAILED  ? m->failed
                 : kind == REC_STEP_INTENT  ? m->intents
                 : kind == REC_NODE_STARTED ? m->started
                                            : NULL;
    if (to && !(kind == REC_NODE_STARTED && json_object_get(to, path)))
        json_object_set(to, path, body);
}

json_t *
memo_node(const struct memo *m, const char *path)
{
    return m ? json_object_get(m->nodes, path) : NULL;
}

json_t *
memo_step(const struct memo *m, const char *path, bool *ret_failed)
{
    json_t *body = m ? json_object_get(m->done, path) : NULL;
    *ret_failed = false;
    if (body || !m)
        return body;
    body = json_object_get(m->failed, path);
    *ret_failed = body != NULL;
    return body;
}

bool
memo_intent(const struct memo *m, const char *path)
{
    return m && json_object_get(m->intents, path);
}

int64_t
memo_started(const struct memo *m, const char *path)
{
    return m ? json_int(json_object_get(m->started, path), "at", 0) : 0;
}
