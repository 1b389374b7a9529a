/* undolog.c - the undos of a run, by path and in order. */
#include "engine/journal/undolog.h"
#include "base/map.h"
#include "base/vec.h"
#include "engine/journal/viewstream.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct slot {
    int64_t seq;
    struct undo_entry *x; /* NULL: it is not here any more */
};
struct undolog {
    struct map *by_path;          /* struct undo_entry */
    struct map *begun;            /* path -> body of REC_UNDOING */
    VEC(struct slot) order;       /* by seq; the last is no hole */
    size_t holes;                 /* in it */
    int64_t settled[UNDO_STATES]; /* entries that went when they came into that state */
    bool any;                     /* something was ever undone */
    struct viewstreams *streams;  /* with what was noted in items that have ended */
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
undolog_new(struct viewstreams *streams)
{
    struct undolog *log = xcalloc(1, sizeof *log);
    log->by_path = map_new();
    log->begun = map_new();
    log->streams = streams;
    return log;
}

static void
entry_free(struct undo_entry *x)
{
    free(x->path);
    free(x->error);
    free(x);
}

void
undolog_free(struct undolog *log)
{
    void *value;
    if (!log)
        return;
    for (size_t i = 0; map_next(log->by_path, &i, NULL, &value);)
        entry_free(value);
    for (size_t i = 0; map_next(log->begun, &i, NULL, &value);)
        json_decref(value);
    map_free(log->by_path);
    map_free(log->begun);
    vec_fini(&log->order);
    free(log);
}

/* ---- the order ------------------------------------------------------------- */

/* The first slot from this number on. */
static size_t
slot_from(const struct undolog *log, int64_t seq)
{
    size_t low = 0, high = log->order.len;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        if (log->order.at[mid].seq < seq)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Nearly always at the end. */
static void
order_put(struct undolog *log, struct undo_entry *x, int64_t seq)
{
    const size_t i = slot_from(log, seq), after = log->order.len - i;
    x->seq = seq;
    vec_push(&log->order, (struct slot){0});
    struct slot *at = &log->order.at[i];
    memmove(at + 1, at, after * sizeof *at);
    *at = (struct slot){seq, x};
}

static void
order_close_up(struct undolog *log)
{
    size_t kept = 0;
    for (size_t i = 0; i < log->order.len; i++) {
        if (log->order.at[i].x)
            log->order.at[kept++] = log->order.at[i];
    }
    log->order.len = kept;
    log->holes = 0;
}

static void
order_del(struct undolog *log, const struct undo_entry *x)
{
    struct slot *slot = &log->order.at[slot_from(log, x->seq)];
    assert(slot->x == x);
    slot->x = NULL;
    log->holes++;
    for (; log->order.len && !vec_last(&log->order).x; log->holes--)
        log->order.len--;
    if (log->holes > 16 + log->order.len / 2)
        order_close_up(log);
}

static void
entry_del(struct undolog *log, struct undo_entry *OWN x)
{
    order_del(log, x);
    map_del(log->by_path, x->path);
    entry_free(x);
}

static struct undo_entry *
entry_put(struct undolog *log, const char *path, int64_t seq)
{
    struct undo_entry *x = xcalloc(1, sizeof *x);
    x->path = xstrdup(path);
    map_put(log->by_path, path, x);
    order_put(log, x, seq);
    return x;
}

/* Out of the numbers of the items that have ended; NULL: it is in none. */
static struct undo_entry *
unpack(struct undolog *log, const char *path, int64_t seq)
{
    struct viewstream *s = viewstreams_around(log->streams, path);
    return s && seqset_del(&s->undos, seq) ? entry_put(log, path, seq) : NULL;
}

void
undolog_pack(struct undolog *log, const char *path, struct viewstream *of)
{
    if (!log)
        return;
    json_decref(map_del(log->begun, path));
    struct undo_entry *x = map_get(log->by_path, path);
    if (!x || x->state > UNDO_READY) /* that is under way */
        return;
    if (undo_is_due(x))
        seqset_add(&of->undos, x->seq);
    entry_del(log, x);
}

/* ---- feeding --------------------------------------------------------------- */

static void
request_note(struct undolog *log, struct undo_entry *x, const struct record *rec)
{
    assert(rec->seq > 0); /* it is stored: how else would it be found again? */
    if (!x) {
        entry_put(log, rec->path, rec->seq);
        return;
    }
    order_del(log, x);
    order_put(log, x, rec->seq);
}

static struct err *
undo_feed(struct undolog *log, const struct record *rec)
{
    AUTO(json_freep) json_t *state = NULL;
    AUTO(json_freep) json_t *try = NULL;
    AUTO(json_freep) json_t *tolerates = NULL;
    AUTO(json_freep) json_t *error = NULL;
    AUTO(json_freep) json_t *of = NULL;
    const struct json_want want[] = {{"state", &state},
                                     {"try", &try},
                                     {"tolerates_not_done", &tolerates},
                                     {"error", &error},
                                     {"of", &of}};
    enum undo_state is;
    PASS(record_pick(rec, want, COUNT(want)));
    if (!state_parse(json_string_value(state), &is))
        return NULL; /* of a later version: nothing here knows it */
    struct undo_entry *x = map_get(log->by_path, rec->path);
    if (is <= UNDO_READY)
        request_note(log, x, rec);
    else if (!x)
        unpack(log, rec->path, json_integer_value(of));
    x = map_get(log->by_path, rec->path);
    if (!x)
        return FAIL(ERR_INVALID, "an undo of '%s' without its request", rec->path);
    if (json_is_string(error)) {
        free(x->error);
        x->error = xstrdup(json_string_value(error));
    }
    x->tolerates |= json_is_true(tolerates);
    x->state = is;
    x->tries = json_is_integer(try) ? (unsigned)json_integer_value(try) : x->tries;
    if (is < UNDO_DONE)
        return NULL;
    log->settled[is]++;
    entry_del(log, x);
    return NULL;
}

static struct err *
begun_feed(struct undolog *log, const struct record *rec)
{
    json_t *body = NULL;
    PASS(record_decode(rec, &body));
    json_decref(map_get(log->begun, rec->path));
    map_put(log->begun, rec->path, body);
    log->any = true;
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

static bool
is_below(const char *path, const char *below)
{
    size_t n = strlen(below);
    return !n || (strncmp(path, below, n) == 0 && path[n] == '/');
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

static int64_t
newest_entry(const struct undolog *log, const char *below, int64_t since, int64_t before)
{
    for (size_t i = slot_from(log, before); i-- > 0 && log->order.at[i].seq > since;) {
        const struct slot *slot = &log->order.at[i];
        if (slot->x && undo_is_due(slot->x) && is_below(slot->x->path, below))
            return slot->seq;
    }
    return 0;
}

int64_t
undolog_newest(const struct undolog *log, const char *below, int64_t since, int64_t before)
{
    if (!log)
        return 0;
    int64_t newest = newest_entry(log, below, since, before);
    const struct viewstream *s;
    for (size_t i = 0; (s = viewstreams_next(log->streams, &i));) {
        const int64_t seq = is_below(s->items, below) ? seqset_before(&s->undos, before) : -1;
        newest = seq > since ? MAX(newest, seq) : newest;
    }
    return newest;
}

struct err *
undolog_open(struct undolog *log, const struct record *rec, struct undo_entry **ret_entry)
{
    AUTO(json_freep) json_t *state = NULL;
    AUTO(json_freep) json_t *tolerates = NULL;
    const struct json_want want[] = {{"state", &state}, {"tolerates_not_done", &tolerates}};
    PASS(record_pick(rec, want, COUNT(want)));
    struct undo_entry *x = undolog_at(log, rec->path);
    if (log && !x) {
        x = unpack(log, rec->path, rec->seq);
        if (x && !state_parse(json_string_value(state), &x->state))
            x = NULL;
        if (x)
            x->doubts = x->state == UNDO_BEGUN && !json_is_true(tolerates); /* else it is not due */
    }
    if (!x || x->seq != rec->seq)
        return FAIL(ERR_INVALID, "the record %lld has no undo that is to be carried out",
                    (long long)rec->seq);
    x->tolerates |= json_is_true(tolerates);
    *ret_entry = x;
    return NULL;
}

struct err *
undo_request(const struct record *rec, json_t **ret_request)
{
    AUTO(json_freep) json_t *request = NULL;
    const struct json_want want = {"request", &request};
    PASS(record_pick(rec, &want, 1));
    if (!json_is_object(request))
        return FAIL(ERR_INVALID, "the undo of '%s' has no request", rec->path);
    *ret_request = STEAL(request);
    return NULL;
}

const json_t *
undolog_begun(const struct undolog *log, const char *path)
{
    return log ? map_get(log->begun, path) : NULL;
}

int64_t
undolog_count(const struct undolog *log, enum undo_state s)
{
    int64_t count = log ? log->settled[s] : 0;
    void *value;
    for (size_t i = 0; log && map_next(log->by_path, &i, NULL, &value);)
        count += ((const struct undo_entry *)value)->state == s;
    return count;
}

/* All that is due, if the whole run is being undone; else what somebody has begun with. */
static int64_t
left(const struct undolog *log, bool all)
{
    int64_t count = 0;
    const struct viewstream *s;
    void *value;
    for (size_t i = 0; map_next(log->by_path, &i, NULL, &value);) {
        const struct undo_entry *x = value;
        count += undo_is_due(x) && (all || x->state > UNDO_READY);
    }
    for (size_t i = 0; all && (s = viewstreams_next(log->streams, &i));)
        count += s->undos.count;
    return count;
}

json_t *
undolog_document(const struct undolog *log)
{
    if (!log || !log->any)
        return NULL;
    const json_t *all = undolog_begun(log, "");
    return json_pack("{ss* sI sI sI sI sI}", "reason", json_str(all, "reason", NULL), "undone",
                     undolog_count(log, UNDO_DONE), "by_hand", undolog_count(log, UNDO_BY_HAND),
                     "not_done", undolog_count(log, UNDO_NOTHING), "given_up",
                     undolog_count(log, UNDO_GIVEN_UP), "left", left(log, all != NULL));
}
