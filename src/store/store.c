/* store.c - the front of the store: arguments to requests, pages to rows, news, crash injection. */
#include "base/log.h"
#include "base/vec.h"
#include "rt/rt.h"
#include "rt/sim.h"
#include "store/front.h"
#include "store/remote/control.h"
#include "store/remote/remote.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CALL_WAIT_MS 30000 /* for a new owner of the folder */

static char quiet, news; /* values of the map of owned runs */

void
store_run_fini(struct store_run *r)
{
    freep(&r->def_hash);
    freep(&r->name);
    freep(&r->client_key);
    freep(&r->owner);
}

void
store_signals_free(struct store_signal *signals, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(signals[i].name);
        free(signals[i].dedupe);
        free(signals[i].body);
    }
    free(signals);
}

void
store_make_id(int64_t wall_ms, const unsigned char random[10], char ret_id[RUN_ID_LEN])
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    unsigned char bytes[16];
    for (unsigned i = 0; i < 6; i++)
        bytes[i] = (unsigned char)((uint64_t)wall_ms >> (40 - 8 * i));
    memcpy(bytes + 6, random, 10);
    /* 128 bits as 26 digits of 5: two zero bits in front. */
    for (unsigned i = 0; i < RUN_ID_LEN - 1; i++) {
        unsigned v = 0;
        for (unsigned b = 0; b < 5; b++) {
            int bit = (int)(i * 5 + b) - 2;
            v = v << 1 | (bit < 0 ? 0u : (unsigned)(bytes[bit / 8] >> (7 - bit % 8)) & 1u);
        }
        ret_id[i] = digits[v];
    }
    ret_id[RUN_ID_LEN - 1] = '\0';
}

const char *
store_driver(const struct store *s)
{
    return s->ops->name;
}

int64_t
store_now_ms(const struct store *s)
{
    int64_t now = rt_wall_ms();
    return MAX(now, s->clock_floor);
}

void
store_on_commit(struct store *s, bool (*fn)(void *ctx, int64_t n, bool after), void *ctx)
{
    s->hook = fn;
    s->hook_ctx = ctx;
    s->hook_n = 0;
}

void
store_numbers(const struct store *s, struct store_numbers *ret_numbers)
{
    *ret_numbers = (struct store_numbers){0};
    if (s->driver)
        s->ops->numbers(s->driver, ret_numbers);
}

/* ---- calls ----------------------------------------------------------------- */

static struct err *
await_switch(struct store *s)
{
    int64_t deadline = rt_after(CALL_WAIT_MS);
    if (!s->driver)
        store_switch(s);
    while (s->switching && !s->closing)
        TRY(waitq_wait(&s->switched, deadline), "waiting for the folder's new owner");
    if (s->closing)
        return FAIL(ERR_CANCELLED, "the store is being closed");
    if (!s->driver) {
        AUTO(freep) char *why = s->lost ? err_text(s->lost) : NULL;
        return FAIL(ERR_TRANSIENT, "the process that had the folder '%s' is gone: %s", s->dir,
                    why ? why : "no other was found");
    }
    return NULL;
}

void
store_exec(struct store *s, struct request *r)
{
    for (;;) {
        if (s->switching || !s->driver)
            r->err = await_switch(s);
        if (r->err && r->retry && op_writes(r->op))
            r->err = err_set_in_doubt(r->err);
        if (r->err)
            return;
        s->active++;
        s->ops->exec(s->driver, r);
        if (--s->active == 0)
            waitq_wake_all(&s->idle);
        if (!r->gone)
            return;
        request_reset(r);
        r->retry = true;
    }
}

static struct err *
stopped(const struct store *s)
{
    return FAIL(ERR_CANCELLED, "the store was stopped at commit %lld", (long long)s->hook_n);
}

static bool
hook_allows(struct store *s, int64_t n, bool after)
{
    return !s->hook || s->hook(s->hook_ctx, n, after);
}

struct err *
store_call(struct store *s, struct request *r)
{
    if (rt_is_simulated() && sim_crashed())
        return FAIL(ERR_CANCELLED, "the process has crashed");
    if (s->read_only && op_writes(r->op))
        return FAIL(ERR_DENIED, "'%s' is open for reading only", s->dir ? s->dir : "the store");
    PASS(request_check(r));
    memcpy(r->node, s->node, sizeof r->node);
    r->node_inc = 1;
    r->now_ms = store_now_ms(s);
    r->batch = s->batch_next++ & INT64_MAX;
    bool writes = op_writes(r->op);
    int64_t n = 0; /* another may begin before this one is done */
    if (writes) {
        n = ++s->hook_n;
        if (!hook_allows(s, n, false))
            return stopped(s);
        if (rt_is_simulated() && sim_crashed())
            return stopped(s);
    }
    store_exec(s, r);
    if (writes && !hook_allows(s, n, true)) {
        err_freep(&r->err);
        return stopped(s);
    }
    return STEAL(r->err);
}

/* ---- news ------------------------------------------------------------------ */

static void
owned_add(struct store *s, const char *id)
{
    if (!map_has(s->owned, id))
        map_put(s->owned, id, &quiet);
}

static void
owned_del(struct store *s, const char *id)
{
    map_del(s->owned, id);
}

static void
owned_note(struct store *s, const char *id)
{
    if (map_has(s->owned, id))
        map_put(s->owned, id, &news);
}

void
store_news(void *store, const char *run_id)
{
    struct store *s = store;
    if (run_id)
        owned_note(s, run_id);
    if (run_id && s->control)
        control_news(s->control, run_id);
    const char *id;
    void *value;
    for (size_t i = 0; !run_id && map_next(s->owned, &i, &id, &value);)
        map_put(s->owned, id, &news);
}

bool
store_has_news(struct store *s, const char *id)
{
    if (map_get(s->owned, id) != &news)
        return false;
    map_put(s->owned, id, &quiet);
    return true;
}

/* ---- definitions and runs -------------------------------------------------- */

struct err *
store_put_def(struct store *s, const struct store_def *def)
{
    AUTO(request_fini) struct request r = {.op = OP_PUT_DEF, .def = def};
    return store_call(s, &r);
}

struct err *
store_get_def(struct store *s, const char *hash, struct str *ret_body)
{
    AUTO(request_fini) struct request r = {.op = OP_GET_DEF, .id = hash};
    PASS(store_call(s, &r));
    str_addn(ret_body, r.page.p, r.page.len);
    return NULL;
}

struct err *
store_create(struct store *s, const struct store_new_run *run, struct store_lease *ret_lease,
             bool *ret_existing)
{
    AUTO(request_fini)
    struct request r = {.op = OP_CREATE,
                        .new_run = run,
                        .def = run->def,
                        .records = run->records,
                        .nrecords = run->nrecords,
                        .status = run->status};
    /* Before the call: news that come while it is under way must find it. */
    bool ours = run->id && !map_has(s->owned, run->id);
    if (ours)
        owned_add(s, run->id);
    struct err *e = store_call(s, &r);
    if (ours && (e || r.flag))
        owned_del(s, run->id);
    PASS(e);
    *ret_lease = r.lease;
    *ret_existing = r.flag;
    return NULL;
}

static struct err *
claim(struct store *s, const char *id, bool ended, struct store_lease *ret_lease)
{
    AUTO(request_fini) struct request r = {.op = OP_CLAIM, .id = id, .force = ended};
    bool ours = id && !map_has(s->owned, id);
    if (ours)
        owned_add(s, id);
    struct err *e = store_call(s, &r);
    if (ours && e)
        owned_del(s, id);
    PASS(e);
    *ret_lease = r.lease;
    return NULL;
}

struct err *
store_claim(struct store *s, const char *id, struct store_lease *ret_lease)
{
    return claim(s, id, false, ret_lease);
}

struct err *
store_reopen(struct store *s, const char *id, struct store_lease *ret_lease)
{
    return claim(s, id, true, ret_lease);
}

struct err *
store_claim_ready(struct store *s, size_t max, struct store_lease *ret_leases, size_t *ret_n)
{
    AUTO(request_fini) struct request r = {.op = OP_CLAIM_READY, .limit = MIN(max, LIST_MAX)};
    *ret_n = 0;
    PASS(store_call(s, &r));
    struct bytes_in in = bytes_in(r.page.p, r.page.len);
    while (in.at < in.end && *ret_n < max) {
        lease_get(&in, &ret_leases[*ret_n]);
        if (in.bad)
            return FAIL(ERR_TRANSIENT, "the owner of '%s' sent a malformed lease", s->dir);
        /* News may have come between the claim and this line: let the run look once. */
        owned_add(s, ret_leases[*ret_n].id);
        owned_note(s, ret_leases[*ret_n].id);
        ++*ret_n;
    }
    return NULL;
}

static struct err *
commit_request(struct store *s, struct request *r, struct store_lease *lease)
{
    r->lease = *lease;
    struct err *e = store_call(s, r);
    if ((!e && r->release) || (e && err_kind(e) == ERR_DENIED))
        owned_del(s, lease->id);
    PASS(e);
    *lease = r->lease;
    return NULL;
}

struct err *
store_commit(struct store *s, struct store_commit *c)
{
    AUTO(request_fini)
    struct request r = {.op = OP_COMMIT,
                        .records = c->records,
                        .nrecords = c->nrecords,
                        .consumed = c->consumed,
                        .nconsumed = c->nconsumed,
                        .status = c->status,
                        .wake_at = c->wake_at,
                        .expires_at = c->expires_at,
                        .release = c->release};
    return commit_request(s, &r, c->lease);
}

struct err *
store_release(struct store *s, struct store_lease *lease, int64_t wake_at)
{
    AUTO(request_fini)
    struct request r = {.op = OP_COMMIT, .wake_at = wake_at, .release = true};
    return commit_request(s, &r, lease);
}

/* ---- reading --------------------------------------------------------------- */

struct err *
store_malformed(const struct store *s, const char *what)
{
    return FAIL(ERR_TRANSIENT, "the owner of '%s' sent a malformed %s", s->dir ? s->dir : "mem",
                what);
}

static struct err *
records_deliver(struct store *s, struct str *page, store_record_fn fn, void *ctx, int64_t *next)
{
    struct bytes_in in = bytes_in(page->p, page->len);
    while (in.at < in.end) {
        struct store_record rec;
        record_get(&in, &rec);
        if (in.bad || rec.seq != *next)
            return store_malformed(s, "page of records");
        PASS(fn(ctx, &rec));
        ++*next;
    }
    return NULL;
}

static void
quarantine(struct store *s, const char *id)
{
    AUTO(request_fini) struct request r = {.op = OP_QUARANTINE, .id = id};
    if (!s->read_only)
        err_drop(store_call(s, &r));
}

static struct err *
journal_page(struct store *s, struct request *r)
{
    struct err *e = store_call(s, r);
    if (r->damaged)
        quarantine(s, r->id);
    return e;
}

struct err *
store_read(struct store *s, const char *id, int64_t first_seq, store_record_fn fn, void *ctx)
{
    int64_t next = MAX(first_seq, 1);
    for (;;) {
        AUTO(request_fini)
        struct request r = {.op = OP_READ, .id = id, .from = next, .limit = next != first_seq};
        PASS(journal_page(s, &r));
        PASS(records_deliver(s, &r.page, fn, ctx, &next));
        if (!r.more)
            return NULL;
    }
}

struct err *
store_read_one(struct store *s, const char *id, int64_t seq, store_record_fn fn, void *ctx)
{
    AUTO(request_fini) struct request r = {.op = OP_READ, .id = id, .from = seq, .one = true};
    struct store_record rec;
    PASS(journal_page(s, &r));
    struct bytes_in in = bytes_in(r.page.p, r.page.len);
    if (seq < 1 || in.at == in.end)
        return FAIL(ERR_MISSING, "the run '%s' has no record %lld", id, (long long)seq);
    record_get(&in, &rec);
    return in.bad || rec.seq != seq ? store_malformed(s, "record") : fn(ctx, &rec);
}

struct err *
store_get_run(struct store *s, const char *id, struct store_run *ret_run)
{
    AUTO(request_fini) struct request r = {.op = OP_GET_RUN, .id = id};
    PASS(store_call(s, &r));
    struct bytes_in in = bytes_in(r.page.p, r.page.len);
    struct store_run row;
    run_get(&in, &row);
    if (!bytes_in_done(&in)) {
        store_run_fini(&row);
        return store_malformed(s, "run");
    }
    *ret_run = row;
    return NULL;
}

struct err *
store_list(struct store *s, const struct store_filter *f, store_run_fn fn, void *ctx)
{
    size_t left = f->limit ? f->limit : SIZE_MAX;
    int64_t cursor = 0;
    while (left > 0) {
        AUTO(request_fini)
        struct request r = {
            .op = OP_LIST, .filter = *f, .from = cursor, .limit = MIN(left, LIST_MAX)};
        PASS(store_call(s, &r));
        struct bytes_in in = bytes_in(r.page.p, r.page.len);
        while (in.at < in.end && left > 0) {
            struct store_run row;
            run_get(&in, &row);
            struct err *e = in.bad ? store_malformed(s, "page of runs") : fn(ctx, &row);
            store_run_fini(&row);
            PASS(e);
            left--;
        }
        if (!r.more)
            return NULL;
        if (cursor && r.number >= cursor)
            return store_malformed(s, "cursor");
        cursor = r.number;
    }
    return NULL;
}

/* ---- signals --------------------------------------------------------------- */

struct err *
store_signal(struct store *s, const char *id, const char *name, /* tidy: see store.h */
             const char *dedupe, const void *body, size_t n, bool *ret_new)
{
    AUTO(request_fini)
    struct request r = {
        .op = OP_SIGNAL, .id = id, .name = name, .dedupe = dedupe, .body = body, .body_len = n};
    PASS(store_call(s, &r));
    /* The owner's news come on their own way, maybe later than its answer. */
    if (r.flag && s->ops == &remote_ops)
        owned_note(s, id);
    *ret_new = r.flag;
    return NULL;
}

static struct err *
signals_read(struct store *s, const char *id, bool all, struct request *r, struct bytes_in *ret_in)
{
    *r = (struct request){.op = OP_SIGNALS, .id = id, .limit = all};
    PASS(store_call(s, r));
    *ret_in = bytes_in(r->page.p, r->page.len);
    return NULL;
}

static struct err *
signals_get(struct store *s, struct bytes_in *in, struct store_signal **ret_signals, size_t *ret_n)
{
    VEC(struct store_signal) list = {0};
    while (in->at < in->end && !in->bad) {
        struct store_signal g = {0};
        signal_get(in, &g);
        vec_push(&list, g);
    }
    if (in->bad) {
        store_signals_free(list.at, list.len);
        return store_malformed(s, "signal");
    }
    *ret_signals = list.at;
    *ret_n = list.len;
    return NULL;
}

struct err *
store_signals(struct store *s, const char *id, struct store_signal **ret_signals, size_t *ret_n)
{
    AUTO(request_fini) struct request r;
    struct bytes_in in;
    struct err *e = signals_read(s, id, true, &r, &in);
    if (e)
        return e;
    (void)get_i64(&in);
    (void)get_u32(&in);
    return signals_get(s, &in, ret_signals, ret_n);
}

struct err *
store_take_news(struct store *s, struct store_lease *lease, struct store_signal **ret_signals,
                size_t *ret_n, int *ret_cancel)
{
    AUTO(request_fini) struct request r;
    struct bytes_in in;
    PASS(signals_read(s, lease->id, true, &r, &in));
    int64_t sig_seq = get_i64(&in);
    int cancel = (int)get_u32(&in);
    PASS(signals_get(s, &in, ret_signals, ret_n));
    lease->sig_seq = sig_seq;
    *ret_cancel = cancel;
    return NULL;
}

struct err *
store_cancel(struct store *s, const char *id, bool force)
{
    AUTO(request_fini) struct request r = {.op = OP_CANCEL, .id = id, .force = force};
    return store_call(s, &r);
}

struct err *
store_cancel_state(struct store *s, const char *id, int *ret_cancel)
{
    AUTO(request_fini) struct request r;
    struct bytes_in in;
    PASS(signals_read(s, id, false, &r, &in));
    (void)get_i64(&in);
    int cancel = (int)get_u32(&in);
    if (in.bad)
        return store_malformed(s, "cancel state");
    *ret_cancel = cancel;
    return NULL;
}

/* ---- housekeeping ---------------------------------------------------------- */

struct err *
store_prune(struct store *s, int64_t ended_before, size_t *ret_runs)
{
    size_t total = 0;
    for (bool more = true; more;) {
        AUTO(request_fini) struct request r = {.op = OP_PRUNE, .from = MAX(ended_before, 0)};
        PASS(store_call(s, &r));
        total += (size_t)r.number;
        more = r.more;
    }
    *ret_runs = total;
    return NULL;
}

struct err *
store_check(struct store *s, struct store_invariants *ret_inv)
{
    struct store_invariants inv = {0};
    int64_t cursor = 0;
    for (bool more = true; more;) {
        AUTO(request_fini) struct request r = {.op = OP_CHECK, .from = cursor};
        PASS(store_call(s, &r));
        struct bytes_in in = bytes_in(r.page.p, r.page.len);
        inv.lost_runs += get_i64(&in);
        inv.gaps += get_i64(&in);
        inv.orphans += get_i64(&in);
        inv.damaged += get_i64(&in);
        more = r.more;
        if (in.bad || (more && r.number <= cursor))
            return store_malformed(s, "check");
        cursor = r.number;
    }
    *ret_inv = inv;
    return NULL;
}
