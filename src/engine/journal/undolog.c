/* undolog.c - the undos of a run, by path and in order. */
#include "engine/journal/undolog.h"
#include "base/map.h"
#include "base/vec.h"
#include <stdlib.h>
#include <string.h>

struct undolog {
    struct map *by_path;            /* struct undo_entry */
    struct map *begun;              /* path -> body of REC_UNDOING */
    VEC(struct undo_entry *) order; /* an entry stands where its newest request came */
};

static const char *const state_names[] = {
    [UNDO_BEGUN] = "begun",     [UNDO_READY] = "ready",      [UNDO_UNSURE] = "unsure",
    [UNDO_TRYING] = "trying",   [UNDO_FAILED] = "failed",    [UNDO_DONE] = "done",
    [UNDO_BY_HAND] = "by_hand", [UNDO_NOTHING] = "not_done", [UNDO_GIVEN_UP] = "given_up",
};
_Static_assert(COUNT(state_names) == UNDO_STATES, "every state has a name");

const char *
undo_state_name(enum undo_state s)
{
    return state_names[s];
}

const char *
undo_event(const json_t *body)
{
    static const struct {
        enum undo_state state;
        const char *event;
    } known[] = {{UNDO_BEGUN, EVENT_UNDO_NOTED},    {UNDO_READY, EVENT_UNDO_READY},
                 {UNDO_TRYING, EVENT_UNDO_STARTED}, {UNDO_FAILED, EVENT_UNDO_FAILED},
                 {UNDO_UNSURE, EVENT_UNDO_FAILED},  {UNDO_GIVEN_UP, EVENT_UNDO_GIVEN_UP}};
    for (size_t i = 0; i < COUNT(known); i++) {
        if (strcmp(state_names[known[i].state], json_str(body, "state", "")) == 0)
            return known[i].event;
    }
    return EVENT_UNDO_COMPLETED;
}

static bool
state_parse(const char *name, enum undo_state *ret)
{
    for (size_t i = 0; i < UNDO_STATES; i++) {
        if (str_eq(name, state_names[i])) {
            *ret = (enum undo_state)i;
            return true;
        }
    }
    return false;
}

const char *
undo_part(const char *path)
{
    const char *last = NULL;
    for (const char *p = path; (p = strstr(p, "/undo[")); p++)
        last = p + 1;
    return last;
}

struct undolog *
undolog_new(void)
{
    struct undolog *log = xcalloc(1, sizeof *log);
    log->by_path = map_new();
    log->begun = map_new();
    return log;
}

void
undolog_free(struct undolog *log)
{
    void *value;
    if (!log)
        return;
    for (size_t i = 0; map_next(log->by_path, &i, NULL, &value);) {
        struct undo_entry *x = value;
        free(x->path);
        free(x->body);
        free(x->error);
        free(x);
    }
    for (size_t i = 0; map_next(log->begun, &i, NULL, &value);)
        json_decref(value);
    map_free(log->by_path);
    map_free(log->begun);
    vec_fini(&log->order);
    free(log);
}

/* ---- feeding --------------------------------------------------------------- */

static struct undo_entry *
entry_at(struct undolog *log, const char *path)
{
    struct undo_entry *x = map_get(log->by_path, path);
    if (!x) {
        x = xcalloc(1, sizeof *x);
        x->path = xstrdup(path);
        map_put(log->by_path, path, x);
    }
    return x;
}

static void
request_keep(struct undolog *log, struct undo_entry *x, const struct record *rec)
{
    x->body = xrealloc(x->body, rec->body_len);
    memcpy(x->body, rec->body, rec->body_len);
    x->body_len = rec->body_len;
    x->place = log->order.len;
    vec_push(&log->order, x);
}

static struct err *
undo_feed(struct undolog *log, const struct record *rec)
{
    AUTO(json_freep) json_t *state = NULL;
    AUTO(json_freep) json_t *try = NULL;
    AUTO(json_freep) json_t *tolerates = NULL;
    AUTO(json_freep) json_t *error = NULL;
    const struct json_want want[] = {
        {"state", &state}, {"try", &try}, {"tolerates_not_done", &tolerates}, {"error", &error}};
    enum undo_state is;
    PASS(record_pick(rec, want, COUNT(want)));
    if (!state_parse(json_string_value(state), &is))
        return NULL; /* of a later version: nothing here knows it */
    struct undo_entry *x = entry_at(log, rec->path);
    if (is <= UNDO_READY)
        request_keep(log, x, rec);
    if (json_is_string(error)) {
        free(x->error);
        x->error = xstrdup(json_string_value(error));
    }
    x->tolerates |= json_is_true(tolerates);
    if (!x->body)
        return FAIL(ERR_INVALID, "an undo of '%s' without its request", rec->path);
    x->state = is;
    x->tries = json_is_integer(try) ? (unsigned)json_integer_value(try) : x->tries;
    return NULL;
}

static struct err *
begun_feed(struct undolog *log, const struct record *rec)
{
    json_t *body = NULL;
    PASS(record_decode(rec, &body));
    json_decref(map_get(log->begun, rec->path));
    map_put(log->begun, rec->path, body);
    return NULL;
}

struct err *
undolog_feed(struct undolog *log, const struct record *rec)
{
    return rec->kind == REC_UNDOING ? begun_feed(log, rec) : undo_feed(log, rec);
}

void
undolog_doubt(struct undolog *log, const char *step_path, bool begun)
{
    if (!log || undo_part(step_path))
        return;
    AUTO(freep) char *path = xstrdup(step_path);
    for (char *slash; (slash = strrchr(path, '/'));) {
        *slash = '\0';
        struct undo_entry *x = map_get(log->by_path, path);
        if (!x)
            continue;
        if (begun)
            x->doubts++;
        else if (x->doubts)
            x->doubts--;
        return;
    }
}

/* ---- looking --------------------------------------------------------------- */

size_t
undolog_len(const struct undolog *log)
{
    return log ? log->order.len : 0;
}

static bool
is_below(const char *path, const char *below)
{
    size_t n = strlen(below);
    return !n || (strncmp(path, below, n) == 0 && path[n] == '/');
}

struct undo_entry *
undolog_before(const struct undolog *log, size_t *i, size_t from, const char *below)
{
    while (log && *i > from) {
        struct undo_entry *x = log->order.at[--*i];
        if (x->place == *i && is_below(x->path, below))
            return x;
    }
    return NULL;
}

struct undo_entry *
undolog_at(const struct undolog *log, const char *path)
{
    return log ? map_get(log->by_path, path) : NULL;
}

bool
undo_is_due(const struct undo_entry *x)
{
    if (x->state == UNDO_BEGUN)
        return x->tolerates || x->doubts;
    return x->state < UNDO_DONE;
}

bool
undolog_is_due(const struct undolog *log, const char *below, size_t from)
{
    const struct undo_entry *x;
    for (size_t i = undolog_len(log); (x = undolog_before(log, &i, from, below));) {
        if (undo_is_due(x))
            return true;
    }
    return false;
}

struct err *
undo_request(const struct undo_entry *x, json_t **ret_request)
{
    struct record rec = {.body = x->body, .body_len = x->body_len};
    AUTO(json_freep) json_t *request = NULL;
    const struct json_want want = {"request", &request};
    PASS(record_pick(&rec, &want, 1));
    if (!json_is_object(request))
        return FAIL(ERR_INVALID, "the undo of '%s' has no request", x->path);
    *ret_request = STEAL(request);
    return NULL;
}

const json_t *
undolog_begun(const struct undolog *log, const char *path)
{
    return log ? map_get(log->begun, path) : NULL;
}

json_t *
undolog_document(const struct undolog *log)
{
    json_int_t count[UNDO_STATES] = {0};
    const struct undo_entry *x;
    if (!log || !map_len(log->begun))
        return NULL;
    for (size_t i = undolog_len(log); (x = undolog_before(log, &i, 0, ""));)
        count[x->state] += undo_is_due(x) || x->state >= UNDO_DONE;
    const json_t *all = undolog_begun(log, "");
    json_int_t left = count[UNDO_UNSURE] + count[UNDO_TRYING] + count[UNDO_FAILED];
    if (all)
        left += count[UNDO_READY] + count[UNDO_BEGUN];
    return json_pack("{ss* sI sI sI sI sI}", "reason", json_str(all, "reason", NULL), "undone",
                     count[UNDO_DONE], "by_hand", count[UNDO_BY_HAND], "not_done",
                     count[UNDO_NOTHING], "given_up", count[UNDO_GIVEN_UP], "left", left);
}
