/* commit.c - a run's journal: appended in memory, committed in batches, told afterwards. */
#include "engine/journal/viewstream.h"
#include "engine/runcore.h"
#include "engine/saga.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void
redact(const struct engine *e, struct str *record)
{
    if (e->opts.redact)
        e->opts.redact(e->opts.ctx, record);
}

void
run_encode(const struct engine *e, const json_t *body, struct str *to)
{
    record_encode(body, to);
    redact(e, to);
}

/* What e->encoding holds. Kept as bytes: thousands of runs may be waiting for the disk. */
static bool
append_encoded(struct run *r, enum record_kind kind, const char *path, json_t *body)
{
    struct engine *e = r->engine;
    if (e->encoding.len > RECORD_BODY_MAX) {
        str_fini(&e->encoding);
        return false;
    }
    struct pending p = {.kind = kind,
                        .number = ++r->appended,
                        .path = xstrdup(path),
                        .bytes = xmalloc(e->encoding.len),
                        .len = e->encoding.len,
                        .body = body && e->subscribers.len ? json_incref(body) : NULL};
    memcpy(p.bytes, e->encoding.p, p.len);
    vec_push(&r->pending, p);
    return true;
}

static bool
append(struct run *r, enum record_kind kind, const char *path, json_t *body)
{
    assert(body); /* json_pack gave nothing: a text that is not UTF-8 */
    str_reset(&r->engine->encoding);
    run_encode(r->engine, body, &r->engine->encoding);
    const bool appended = append_encoded(r, kind, path, body);
    json_decref(body);
    return appended;
}

static void
must_commit(struct run *r)
{
    r->must_commit = r->want_commit = r->appended;
    flush_soon(r);
}

bool
run_append(struct run *r, enum record_kind kind, const char *path, json_t *body, bool lazy)
{
    const bool appended = append(r, kind, path, body);
    if (appended && !lazy)
        must_commit(r);
    return appended;
}

struct str *
record_begin(struct run *r)
{
    struct str *to = &r->engine->encoding;
    str_reset(to);
    str_addc(to, JOURNAL_FORMAT);
    json_open(to);
    return to;
}

bool
record_append(struct run *r, enum record_kind kind, const char *path, bool lazy)
{
    json_close(&r->engine->encoding);
    redact(r->engine, &r->engine->encoding);
    const bool appended = append_encoded(r, kind, path, NULL);
    if (appended && !lazy)
        must_commit(r);
    return appended;
}

bool
record_append_end(struct run *r, enum record_kind kind, const char *path,
                  const struct step_end *end)
{
    if (!record_append(r, kind, path, false))
        return false;
    vec_last(&r->pending).end = xmalloc(sizeof *end);
    *vec_last(&r->pending).end = *end;
    return true;
}

bool
run_append_soon(struct run *r, enum record_kind kind, const char *path, json_t *body)
{
    if (!append(r, kind, path, body))
        return false;
    r->want_commit = r->appended;
    flush_soon(r);
    return true;
}

void
run_append_using(struct run *r, enum record_kind kind, const char *path, json_t *body,
                 const struct store_signal *signal)
{
    run_append(r, kind, path, body, false);
    if (!signal)
        return;
    vec_last(&r->pending).signal = xstrdup(signal->name);
    vec_last(&r->pending).dedupe = xstrdup(signal->dedupe);
}

static void
pending_clear(struct pending *p)
{
    free(p->path);
    free(p->bytes);
    free(p->end);
    free(p->signal);
    free(p->dedupe);
    json_decref(p->body);
    *p = (struct pending){.number = p->number};
}

void
pending_free(struct pending *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        pending_clear(&p[i]);
    free(p);
}

void
run_retract(struct run *r, uint64_t number)
{
    if (r->pending.len && number >= r->pending.at[0].number)
        pending_clear(&r->pending.at[number - r->pending.at[0].number]);
}

/* Those that were taken back are left out. */
static size_t
pending_close_up(struct pending *batch, size_t len)
{
    size_t kept = 0;
    for (size_t i = 0; i < len; i++) {
        if (batch[i].path)
            batch[kept++] = batch[i];
    }
    return kept;
}

struct err *
broken_again(const struct run *r)
{
    AUTO(freep) char *text = err_text(r->broken);
    return FAIL(err_kind(r->broken), "%s", text);
}

int64_t
engine_expiry(const struct engine *e)
{
    return e->opts.keep_ms ? store_now_ms(e->opts.store) + e->opts.keep_ms : 0;
}

/* The end of the run is in its last batch, with which it is given up. */
static void
commit_outcome(const struct run *r, const struct pending *last, struct store_commit *c)
{
    c->status = RUN_RUNNING;
    if (last->kind == REC_RUN_ENDED) {
        c->status = (int)r->status;
        c->release = true;
        c->expires_at = engine_expiry(r->engine);
    } else if (last->kind == REC_RUN_WAITING) {
        c->status = RUN_WAITING;
        c->release = true;
        c->wake_at = r->waits.wake_at;
    }
}

/* Of very many items that fail the first are told by themselves; the others are counted. */
static bool
is_told(struct run *r, enum record_kind kind)
{
    if (!r->engine->subscribers.len || record_is_quiet(kind))
        return false;
    if (kind == REC_ITEM_FAILED)
        return r->items_failed++ < STREAM_ERRORS_MAX;
    return kind != REC_NODE_STARTED; /* told when it happened: this record travels late */
}

static struct err *
record_tell(struct run *r, struct pending *p, const struct record *rec)
{
    if (!p->body) /* it never was a tree, or somebody came after it was appended */
        PASS(record_decode(rec, &p->body));
    item_event_fill(p->kind, p->body);
    run_publish(r, (struct run_event){.name = record_event(p->kind, p->body),
                                      .path = p->path,
                                      .seq = rec->seq,
                                      .detail = p->body});
    return NULL;
}

static struct err *
batch_committed(struct run *r, struct pending *batch, size_t n, int64_t first_seq)
{
    for (size_t i = 0; i < n; i++) {
        struct record rec = {batch[i].kind, batch[i].path,          batch[i].bytes,
                             batch[i].len,  first_seq + (int64_t)i, batch[i].end};
        PASS(view_feed(r->view, &rec));
        if (is_told(r, batch[i].kind))
            PASS(record_tell(r, &batch[i], &rec));
        run_tell_upto(r, batch[i].number);
    }
    return NULL;
}

/* As many of these as the store takes at once. */
static size_t
batch_fitting(const struct pending *batch, size_t len)
{
    size_t n = 0, bytes = 0;
    while (n < len && n < RECORDS_MAX && bytes + batch[n].len <= RECORD_BODY_MAX)
        bytes += batch[n++].len;
    return n;
}

static struct err *
commit_once(struct run *r, struct pending *batch, size_t n)
{
    struct store_record *records = xcalloc(n, sizeof *records);
    VEC(struct store_signal) used = {0};
    for (size_t i = 0; i < n; i++) {
        records[i] = (struct store_record){.kind = (int)batch[i].kind,
                                           .path = batch[i].path,
                                           .body = batch[i].bytes,
                                           .body_len = batch[i].len};
        if (batch[i].signal)
            vec_push(&used,
                     ((struct store_signal){.name = batch[i].signal, .dedupe = batch[i].dedupe}));
    }
    struct store_commit c = {.lease = &r->lease,
                             .records = records,
                             .nrecords = n,
                             .consumed = used.at,
                             .nconsumed = used.len};
    commit_outcome(r, &batch[n - 1], &c);
    int64_t first_seq = r->lease.seq + 1;
    struct err *e = store_commit(r->engine->opts.store, &c);
    r->engine->stats.commits++;
    r->engine->stats.records += (int64_t)n;
    free(records);
    vec_fini(&used);
    PASS(e);
    r->committed = batch[n - 1].number;
    return batch_committed(r, batch, n, first_seq);
}

/* One commit at a time; what is appended meanwhile goes into the next one. */
static struct err *
commit_batch(struct run *r)
{
    struct pending *batch = r->pending.at;
    const size_t len = pending_close_up(batch, r->pending.len);
    const uint64_t last = r->appended;
    struct err *e = NULL;
    r->pending.at = NULL;
    r->pending.len = r->pending.cap = 0;
    for (size_t done = 0, n; done < len && !e; done += n) {
        n = batch_fitting(batch + done, len - done);
        e = commit_once(r, batch + done, n);
        waitq_wake_all(&r->commits);
    }
    if (!e) {
        r->committed = last;
        run_tell_upto(r, last);
    }
    pending_free(batch, len);
    return e;
}

static struct err *
commit_until(struct run *r, uint64_t goal)
{
    while (r->committed < goal) {
        if (r->broken)
            return broken_again(r);
        if (r->committing) {
            PASS(waitq_wait(&r->commits, DEADLINE_NONE));
            continue;
        }
        r->committing = true;
        struct err *e = commit_batch(r);
        r->committing = false;
        if (e) {
            r->broken = WRAP(e, "writing the journal");
            scope_cancel(&r->scope);
            saga_interrupt(r);
        }
        waitq_wake_all(&r->commits);
    }
    return NULL;
}

struct err *
run_barrier(struct run *r)
{
    return commit_until(r, r->must_commit);
}

struct err *
run_flush(struct run *r)
{
    return commit_until(r, r->want_commit);
}

struct err *
too_large(const char *what)
{
    return FAIL(ERR_LIMIT, "%s is too large to be kept: a record has %zu MB at most", what,
                RECORD_BODY_MAX >> 20);
}

struct err *
run_commit_all(struct run *r)
{
    return commit_until(r, r->appended);
}
