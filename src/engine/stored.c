/* stored.c - runs as the store has them: their documents, their history, and ending one that nobody
 * has. */
#include "engine/journal/undolog.h"
#include "engine/journal/viewstream.h"
#include "engine/runcore.h"
#include <string.h>

struct record
stored_record(const struct store_record *rec)
{
    return (struct record){.kind = (enum record_kind)rec->kind,
                           .path = rec->path,
                           .body = rec->body,
                           .body_len = rec->body_len,
                           .seq = rec->seq};
}

struct err *
run_read(void *view, const struct store_record *stored)
{
    struct record rec = stored_record(stored);
    TRY(view_feed(view, &rec), "record %lld", (long long)stored->seq);
    return NULL;
}

struct err *
run_recall(void *view, const struct store_record *stored)
{
    struct record rec = stored_record(stored);
    TRY(view_recall(view, &rec), "record %lld", (long long)stored->seq);
    return NULL;
}

struct naming {
    const char *name;
    char id[RUN_ID_LEN];
};

static struct err *
name_compare(void *ctx, const struct store_run *row)
{
    struct naming *n = ctx;
    if (!*n->id && row->client_key && strcmp(row->client_key, n->name) == 0)
        memcpy(n->id, row->id, RUN_ID_LEN);
    return NULL;
}

/* An id and its beginning are looked up; only a name is searched for, which may take a while. */
struct err *
engine_find_run(struct engine *e, const char *text, struct store_run *ret_run)
{
    struct err *err = store_get_run(e->opts.store, text, ret_run);
    /* Names may be longer than ids, and have letters that these have not. */
    if (!err || (err_kind(err) != ERR_MISSING && err_kind(err) != ERR_INVALID))
        return err;
    struct naming n = {.name = text};
    struct store_filter all = {0};
    struct err *listed = store_list(e->opts.store, &all, name_compare, &n);
    if (!listed && !*n.id)
        return err;
    err_free(err);
    return listed ? listed : store_get_run(e->opts.store, n.id, ret_run);
}

struct err *
engine_document(struct engine *e, const char *id, json_t **ret_doc)
{
    struct store_run row = {0};
    PASS(engine_find_run(e, id, &row));
    struct view *view = view_new(row.id);
    struct err *err = store_read(e->opts.store, row.id, 1, run_read, view);
    if (!err)
        err = view_document(view, rt_wall_ms(), true, ret_doc);
    view_free(view);
    store_run_fini(&row);
    return err;
}

struct telling {
    history_fn fn;
    void *ctx;
    const char *run;
};

static struct err *
tell_record(void *ctx, const struct store_record *rec)
{
    struct telling *t = ctx;
    AUTO(json_freep) json_t *body = NULL;
    struct record stored = stored_record(rec);
    TRY(record_decode(&stored, &body), "record %lld", (long long)rec->seq);
    item_event_fill(stored.kind, body);
    struct run_event ev = {.run = t->run,
                           .name = record_event(stored.kind, body),
                           .path = rec->path,
                           .seq = rec->seq,
                           .wall_ms = json_int(body, "at",
                                               add_saturating(json_int(body, "started", 0),
                                                              json_int(body, "duration_ms", 0))),
                           .detail = body};
    return t->fn(t->ctx, &ev);
}

struct err *
engine_history(struct engine *e, const char *id, history_fn fn, void *ctx)
{
    struct store_run row = {0};
    PASS(engine_find_run(e, id, &row));
    struct telling t = {fn, ctx, row.id};
    struct err *err = store_read(e->opts.store, row.id, 1, tell_record, &t);
    store_run_fini(&row);
    return err;
}

/* Outputs are passed over unseen: they are most of a journal. */
static struct err *
tell_numbers(void *ctx, const struct store_record *rec)
{
    static const char *const names[] = {
        "workflow", "status",   "agent",     "type",    "target",      "at",    "began",
        "started",  "attempts", "waited_ms", "tripped", "duration_ms", "usage", "fork"};
    const struct telling *t = ctx;
    const struct record stored = stored_record(rec);
    json_t *found[COUNT(names)] = {0};
    struct json_want want[COUNT(names)];
    for (size_t i = 0; i < COUNT(names); i++)
        want[i] = (struct json_want){names[i], &found[i]};
    TRY(record_pick(&stored, want, COUNT(want)), "record %lld", (long long)rec->seq);
    AUTO(json_freep) json_t *body = json_object();
    for (size_t i = 0; i < COUNT(names); i++) {
        if (found[i])
            json_object_set_new_nocheck(body, names[i], found[i]);
    }
    struct run_event ev = {.run = t->run,
                           .name = record_event(stored.kind, body),
                           .path = rec->path,
                           .seq = rec->seq,
                           .wall_ms = json_int(body, "at", 0),
                           .detail = body};
    return t->fn(t->ctx, &ev);
}

struct err *
engine_survey(struct engine *e, const char *id, history_fn fn, void *ctx)
{
    struct telling t = {fn, ctx, id};
    return store_read(e->opts.store, id, 1, tell_numbers, &t);
}

struct err *
engine_stored_flow(struct engine *e, const char *id, struct flow **ret_flow)
{
    struct store_run row = {0};
    PASS(engine_find_run(e, id, &row));
    struct err *err = flow_stored(e, row.def_hash ? row.def_hash : "", ret_flow);
    store_run_fini(&row);
    return err;
}

static bool
is_cancelled(struct engine *e, const char *id)
{
    struct store_run row = {0};
    err_drop(store_get_run(e->opts.store, id, &row));
    const bool cancelled = row.status == RUN_CANCELLED;
    store_run_fini(&row);
    return cancelled;
}

/* Is there something to be undone before it may end? Then whoever resumes it does that. */
static struct err *
has_to_undo(struct engine *e, const char *id, bool *ret_has)
{
    struct view *view = view_new(id);
    struct err *err = store_read(e->opts.store, id, 1, run_recall, view);
    const struct undolog *log = view_undo(view);
    *ret_has = !err && (undolog_begun(log, "") || undolog_newest(log, "", 0, INT64_MAX));
    view_free(view);
    return err;
}

struct err *
engine_cancel_stored(struct engine *e, const char *id, bool force)
{
    struct store_lease lease;
    PASS(store_cancel(e->opts.store, id, force));
    struct err *err = store_claim(e->opts.store, id, &lease);
    bool asked = err && err_kind(err) == ERR_LIMIT && !force; /* its owner will see it */
    if (err && err_kind(err) == ERR_INVALID)
        asked = is_cancelled(e, id); /* its owner has seen it already */
    if (asked) {
        err_drop(err);
        return NULL;
    }
    PASS(err);
    bool undo = false;
    if (!force)
        err = has_to_undo(e, id, &undo);
    if (err || undo) {
        err_drop(store_release(e->opts.store, &lease, 0));
        return err;
    }
    json_t *body = json_pack("{ss sI}", "status", "cancelled", "at", rt_wall_ms());
    AUTO(str_fini) struct str bytes = STR_INIT;
    record_encode(body, &bytes);
    json_decref(body);
    struct store_record rec = {
        .kind = REC_RUN_ENDED, .path = "", .body = bytes.p, .body_len = bytes.len};
    struct store_commit c = {.lease = &lease,
                             .records = &rec,
                             .nrecords = 1,
                             .status = RUN_CANCELLED,
                             .release = true,
                             .expires_at = engine_expiry(e)};
    return store_commit(e->opts.store, &c);
}
