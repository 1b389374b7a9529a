/* viewstream.c - items by their paths: which stream they are of, and what was kept of them. */
#include "engine/journal/viewstream.h"
#include "base/map.h"
#include <stdlib.h>
#include <string.h>

struct held {            /* what is kept of an item that is not done */
    VEC(char *) paths;   /* of places */
    VEC(char *) streams; /* inside of it; by their items */
};
struct viewstreams {
    struct map *by_items; /* "each/sum" -> struct viewstream */
    struct map *by_path;  /* "each" -> the same */
    struct map *held;     /* "each/sum[17]" -> struct held */
};

struct viewstreams *
viewstreams_new(void)
{
    struct viewstreams *vs = xcalloc(1, sizeof *vs);
    vs->by_items = map_new();
    vs->by_path = map_new();
    vs->held = map_new();
    return vs;
}

void
viewstream_written(struct viewstream *s)
{
    vec_each (&s->unwritten, u)
        free(u->body);
    vec_fini(&s->unwritten);
}

static void
stream_free(struct viewstream *s)
{
    viewstream_written(s);
    vec_each (&s->errors, e)
        free(e->error);
    vec_fini(&s->errors);
    doneset_fini(&s->done);
    doneset_fini(&s->covered);
    seqset_fini(&s->undos);
    json_decref(s->opened);
    free(s->path);
    free(s->items);
    free(s);
}

static void
held_free(struct held *h)
{
    vec_each (&h->paths, path)
        free(*path);
    vec_each (&h->streams, items)
        free(*items);
    vec_fini(&h->paths);
    vec_fini(&h->streams);
    free(h);
}

void
viewstreams_free(struct viewstreams *vs)
{
    void *value;
    if (!vs)
        return;
    for (size_t i = 0; map_next(vs->by_items, &i, NULL, &value);)
        stream_free(value);
    for (size_t i = 0; map_next(vs->held, &i, NULL, &value);)
        held_free(value);
    map_free(vs->by_items);
    map_free(vs->by_path);
    map_free(vs->held);
    free(vs);
}

bool
viewstreams_has(const struct viewstreams *vs)
{
    return map_len(vs->by_items) > 0;
}

struct viewstream *
viewstreams_next(const struct viewstreams *vs, size_t *i)
{
    void *value = NULL;
    return map_next(vs->by_items, i, NULL, &value) ? value : NULL;
}

struct viewstream *
viewstreams_find(const struct viewstreams *vs, const char *path)
{
    return map_get(vs->by_path, path);
}

/* ---- items ----------------------------------------------------------------- */

/* The innermost item that the path is of or below: its stream, and how long the item's path is. */
static struct viewstream *
item_around(const struct viewstreams *vs, const char *path, size_t *ret_len, int64_t *ret_index)
{
    AUTO(freep) char *prefix = xstrdup(path);
    for (char *open; (open = strrchr(prefix, '['));) {
        *open = '\0';
        const char *number = path + (open - prefix) + 1;
        char *end;
        struct viewstream *s = map_get(vs->by_items, prefix);
        int64_t index = s && *number >= '0' && *number <= '9' ? strtoll(number, &end, 10) : -1;
        if (index < 0 || end[0] != ']' || (end[1] && end[1] != '/'))
            continue;
        *ret_len = (size_t)(end + 1 - path);
        *ret_index = index;
        return s;
    }
    return NULL;
}

struct viewstream *
viewstreams_around(const struct viewstreams *vs, const char *path)
{
    size_t len;
    int64_t index;
    return viewstreams_has(vs) ? item_around(vs, path, &len, &index) : NULL;
}

/* Of the item around a path; NULL: there is none. */
static struct held *
held_around(struct viewstreams *vs, const char *path)
{
    size_t len;
    int64_t index;
    if (!viewstreams_has(vs) || !item_around(vs, path, &len, &index))
        return NULL;
    AUTO(freep) char *item = xstrndup(path, len);
    struct held *h = map_get(vs->held, item);
    if (!h) {
        h = xcalloc(1, sizeof *h);
        map_put(vs->held, item, h);
    }
    return h;
}

void
viewstreams_place(struct viewstreams *vs, const char *path)
{
    struct held *h = held_around(vs, path);
    if (h)
        vec_push(&h->paths, xstrdup(path));
}

static void held_drop(struct viewstreams *vs, const char *item, struct viewstream *of,
                      place_drop_fn drop, void *ctx);

/* All items whose path begins so. */
static void
held_drop_below(struct viewstreams *vs, const char *prefix, struct viewstream *of,
                place_drop_fn drop, void *ctx)
{
    const char *item;
    for (size_t i = 0; map_next(vs->held, &i, &item, NULL);) {
        AUTO(freep) char *name = str_starts(item, prefix) ? xstrdup(item) : NULL;
        if (name)
            held_drop(vs, name, of, drop, ctx);
    }
}

/* A stream inside of an item: it is gone with it. */
static void
inner_drop(struct viewstreams *vs, const char *items, struct viewstream *of, place_drop_fn drop,
           void *ctx)
{
    AUTO(freep) char *below = xasprintf("%s[", items);
    struct viewstream *inner = map_del(vs->by_items, items);
    map_del(vs->by_path, inner->path);
    seqset_move(&of->undos, &inner->undos);
    usage_add(&of->steps, &inner->steps);
    of->held = amount_add(of->held, inner->held);
    stream_free(inner);
    held_drop_below(vs, below, of, drop, ctx);
}

static void
held_drop(struct viewstreams *vs, const char *item, struct viewstream *of, place_drop_fn drop,
          void *ctx)
{
    struct held *h = map_del(vs->held, item);
    if (!h)
        return;
    vec_each (&h->paths, path)
        drop(ctx, *path, of);
    vec_each (&h->streams, items)
        inner_drop(vs, *items, of, drop, ctx);
    held_free(h);
}

static void
error_note(struct viewstream *s, int64_t index, const json_t *error, const json_t *kind)
{
    struct item_error e = {.index = index, .kind = ERR_TRANSIENT};
    if (s->errors.len == STREAM_ERRORS_MAX)
        return;
    if (json_is_string(kind))
        err_kind_parse(json_string_value(kind), &e.kind);
    e.error = xstrdup(json_is_string(error) ? json_string_value(error) : "");
    vec_push(&s->errors, e);
}

static void
unwritten_keep(struct viewstream *s, const struct record *rec, int64_t index)
{
    struct unwritten u = {.index = index,
                          .failed = rec->kind == REC_ITEM_FAILED,
                          .body = xmalloc(rec->body_len),
                          .len = rec->body_len};
    memcpy(u.body, rec->body, rec->body_len);
    vec_push(&s->unwritten, u);
}

static struct err *
item_feed(struct viewstreams *vs, const struct record *rec, bool recall, place_drop_fn drop,
          void *ctx)
{
    AUTO(json_freep) json_t *usage = NULL;
    AUTO(json_freep) json_t *error = NULL;
    AUTO(json_freep) json_t *kind = NULL;
    const struct json_want want[] = {{"usage", &usage}, {"error", &error}, {"kind", &kind}};
    const bool failed = rec->kind == REC_ITEM_FAILED;
    size_t len = 0;
    int64_t index = 0;
    PASS(record_pick(rec, want, failed ? 3 : 1));
    struct viewstream *s = item_around(vs, rec->path, &len, &index);
    if (!s || rec->path[len])
        return FAIL(ERR_INVALID, "an item of no stream: '%s'", rec->path);
    if (doneset_has(&s->done, index) || !doneset_add(&s->done, index))
        return NULL;
    struct usage u;
    usage_from_json(usage, &u);
    usage_add(&s->usage, &u);
    s->completed += !failed;
    s->failed += failed;
    if (failed)
        error_note(s, index, error, kind);
    if (recall && json_object_get(s->opened, "results"))
        unwritten_keep(s, rec, index);
    held_drop(vs, rec->path, s, drop, ctx);
    return NULL;
}

/* ---- streams --------------------------------------------------------------- */

static struct err *
opened_feed(struct viewstreams *vs, const struct record *rec)
{
    AUTO(json_freep) json_t *body = NULL;
    PASS(record_decode(rec, &body));
    AUTO(freep) char *items = xasprintf("%s/%s", rec->path, json_str(body, "member", ""));
    if (map_has(vs->by_items, items) || map_has(vs->by_path, rec->path))
        return NULL; /* the first one holds */
    struct viewstream *s = xcalloc(1, sizeof *s);
    s->path = xstrdup(rec->path);
    s->items = xstrdup(items);
    s->opened = STEAL(body);
    map_put(vs->by_items, items, s);
    map_put(vs->by_path, rec->path, s);
    struct held *around = held_around(vs, rec->path);
    if (around)
        vec_push(&around->streams, xstrdup(items));
    return NULL;
}

static void
unwritten_cover(struct viewstream *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->unwritten.len; i++) {
        struct unwritten u = s->unwritten.at[i];
        if (doneset_has(&s->covered, u.index))
            free(u.body);
        else
            s->unwritten.at[kept++] = u;
    }
    s->unwritten.len = kept;
}

static struct err *
cursor_feed(struct viewstreams *vs, const struct record *rec, bool recall)
{
    struct viewstream *s = viewstreams_find(vs, rec->path);
    AUTO(json_freep) json_t *written = NULL;
    AUTO(json_freep) json_t *bytes = NULL;
    const struct json_want want[] = {{"written", &written}, {"bytes", &bytes}};
    PASS(record_pick(rec, want, COUNT(want)));
    if (!s)
        return FAIL(ERR_INVALID, "a cursor of no stream: '%s'", rec->path);
    if (!recall)
        return NULL;
    struct doneset covered;
    PASS(doneset_from_json(written, &covered));
    doneset_fini(&s->covered);
    s->covered = covered;
    s->bytes = json_integer_value(bytes);
    unwritten_cover(s);
    return NULL;
}

struct err *
viewstreams_feed(struct viewstreams *vs, const struct record *rec, bool recall, place_drop_fn drop,
                 void *ctx)
{
    switch (rec->kind) {
    case REC_STREAM_OPENED:
        return opened_feed(vs, rec);
    case REC_STREAM_CURSOR:
        return cursor_feed(vs, rec, recall);
    default:
        return item_feed(vs, rec, recall, drop, ctx);
    }
}

void
viewstreams_ended(struct viewstreams *vs, const char *path, place_drop_fn drop, void *ctx)
{
    struct viewstream *s = viewstreams_has(vs) ? viewstreams_find(vs, path) : NULL;
    if (!s)
        return;
    AUTO(freep) char *items = xasprintf("%s[", s->items);
    held_drop_below(vs, items, s, drop, ctx);
    viewstream_written(s);
    doneset_fini(&s->covered);
    s->over = true;
    const int64_t count = s->done.count;
    doneset_fini(&s->done);
    s->done.count = count;
}

void
viewstreams_undone(struct viewstreams *vs, const char *path, place_drop_fn drop, void *ctx)
{
    size_t len = 0;
    int64_t index = 0;
    struct viewstream *s = viewstreams_has(vs) ? item_around(vs, path, &len, &index) : NULL;
    if (!s || (!s->over && !doneset_has(&s->done, index)))
        return;
    AUTO(freep) char *item = xstrndup(path, len);
    held_drop(vs, item, s, drop, ctx);
}

json_t *
viewstream_document(struct viewstream *s)
{
    json_t *failures = json_array();
    vec_each (&s->errors, e)
        json_array_append_new(failures,
                              json_pack("{sI ss}", "index", e->index + 1, "error", e->error));
    return json_pack("{sI sI so}", "completed", s->completed, "failed", s->failed, "failures",
                     failures);
}

void
item_event_fill(enum record_kind kind, json_t *body)
{
    if (kind != REC_ITEM_DONE && kind != REC_ITEM_FAILED)
        return;
    const int64_t took = MAX(json_int(body, "duration_ms", 0), 0);
    const enum node_status status = kind == REC_ITEM_DONE ? NODE_COMPLETED : NODE_FAILED;
    json_object_set_new(body, "status", json_string(node_status_name(status)));
    json_object_set_new(body, "started",
                        json_integer(add_saturating(json_int(body, "at", 0), -took)));
    json_object_set_new(body, "duration_ms", json_integer(took));
}
