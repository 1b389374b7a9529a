/* mem.c - runs in RAM: opening, the writes of a run, reaping.
 *
 * Everything happens between two waits, so each request is atomic by itself. What only reads is in
 * memread.c, the values are in memkv.c. */
#include "store/mem/mem.h"
#include "rt/fiber.h"
#include "rt/rt.h"
#include "store/mem/memcore.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct store_mem *
store_mem_new(void)
{
    struct store_mem *m = xcalloc(1, sizeof *m);
    m->by_id = map_new();
    m->by_key = map_new();
    m->defs = map_new();
    m->values = map_new();
    return m;
}

static void
mem_run_free(struct mem_run *run)
{
    vec_each (&run->journal, r) {
        free(r->path);
        free(r->body);
    }
    vec_fini(&run->journal);
    vec_each (&run->signals, g) {
        free(g->name);
        free(g->dedupe);
        free(g->body);
    }
    vec_fini(&run->signals);
    map_free(run->signal_keys);
    store_run_fini(&run->row);
    free(run);
}

static void
mem_def_free(struct mem_def *d)
{
    free(d->name);
    str_fini(&d->body);
    free(d);
}

void
store_mem_free(struct store_mem *m)
{
    if (!m)
        return;
    assert(m->handles.len == 0);
    vec_each (&m->runs, run)
        mem_run_free(*run);
    const char *hash;
    void *def;
    for (size_t i = 0; map_next(m->defs, &i, &hash, &def);)
        mem_def_free(def);
    map_free(m->by_id);
    map_free(m->by_key);
    map_free(m->defs);
    values_free(m->values);
    vec_fini(&m->runs);
    vec_fini(&m->handles);
    free(m);
}

/* ---- ownership ------------------------------------------------------------------------------- */

static void
parked_remove(struct store_mem *m, struct mem_run *run)
{
    *(run->prev ? &run->prev->next : &m->parked) = run->next;
    if (run->next)
        run->next->prev = run->prev;
    run->next = run->prev = NULL;
    run->parked = false;
}

/* Keeps the list of runs that could become ready: live, normal and unowned. */
static void
parked_update(struct store_mem *m, struct mem_run *run)
{
    bool want = !run->row.owner && run->row.status < STATUS_ABNORMAL;
    if (want == run->parked)
        return;
    if (!want) {
        parked_remove(m, run);
        return;
    }
    run->next = m->parked;
    if (run->next)
        run->next->prev = run;
    m->parked = run;
    run->parked = true;
}

static void
owner_set(struct store_mem *m, struct mem_run *run, const char *node, int64_t inc)
{
    free(run->row.owner);
    run->row.owner = node ? xstrdup(node) : NULL;
    run->row.owner_inc = node ? inc : 0;
    parked_update(m, run);
}

static void
run_crashed(struct store_mem *m, struct mem_run *run)
{
    run->row.epoch++;
    run->row.crashes++;
    run->row.wake_at = 0;
    if (run->row.crashes >= CRASHES_MAX)
        run->row.status = STATUS_ABNORMAL;
    owner_set(m, run, NULL, 0);
}

static void
reap(struct store_mem *m, const char *node)
{
    vec_each (&m->runs, run) {
        if ((*run)->row.owner && str_eq((*run)->row.owner, node))
            run_crashed(m, *run);
    }
}

static bool
node_is_alive(struct store_mem *m, const char *node)
{
    vec_each (&m->handles, h) {
        if (str_eq((*h)->node, node))
            return true;
    }
    return false;
}

struct mem *
mem_open(struct store_mem *m, const char *node, news_fn news, void *ctx, int64_t *ret_clock)
{
    struct mem *h = xcalloc(1, sizeof *h);
    h->m = m;
    id_copy(h->node, node);
    h->news = news;
    h->news_ctx = ctx;
    /* Before we are among the living: a simulation gives each process the same "random" id. */
    vec_each (&m->runs, run) {
        if ((*run)->row.owner && !node_is_alive(m, (*run)->row.owner))
            run_crashed(m, *run);
    }
    vec_push(&m->handles, h);
    *ret_clock = m->clock;
    return h;
}

static void
mem_close(void *driver)
{
    struct mem *h = driver;
    for (size_t i = 0; i < h->m->handles.len; i++) {
        if (h->m->handles.at[i] == h)
            h->m->handles.at[i] = vec_pop(&h->m->handles);
    }
    free(h);
}

static void
news_post(struct store_mem *m, const char *id)
{
    vec_each (&m->handles, h)
        (*h)->news((*h)->news_ctx, id);
}

/* ---- writes ---------------------------------------------------------------------------------- */

static void
lease_fill(const struct mem_run *run, struct store_lease *l)
{
    memset(l, 0, sizeof *l);
    id_copy(l->id, run->row.id);
    l->epoch = run->row.epoch;
    l->seq = run->row.seq;
    l->sig_seq = run->row.sig_seq;
    l->crc = run->crc;
    l->row = run->no;
}

static void
def_put(struct store_mem *m, const struct store_def *def, int64_t now)
{
    if (!def || map_has(m->defs, def->hash))
        return;
    struct mem_def *d = xcalloc(1, sizeof *d);
    d->name = xstrdup(def->name);
    d->created = now;
    str_addn(&d->body, def->body, def->body_len);
    map_put(m->defs, def->hash, d);
}

static void
journal_append(struct mem *h, struct mem_run *run, const struct request *r)
{
    for (size_t i = 0; i < r->nrecords; i++) {
        const struct store_record *in = &r->records[i];
        struct mem_record rec = {.kind = in->kind, .path = xstrdup(in->path)};
        rec.body_len = in->body_len;
        rec.body = xmalloc(in->body_len);
        if (in->body_len)
            memcpy(rec.body, in->body, in->body_len);
        rec.crc = run->crc = record_crc(run->crc, run->row.id, ++run->row.seq, in);
        vec_push(&run->journal, rec);
        h->numbers.bytes += (int64_t)in->body_len;
    }
    h->numbers.records += (int64_t)r->nrecords;
}

static void
do_create(struct mem *h, struct request *r)
{
    struct store_mem *m = h->m;
    const struct store_new_run *n = r->new_run;
    struct mem_run *there = n->client_key ? map_get(m->by_key, n->client_key) : NULL;
    if (!there)
        there = map_get(m->by_id, n->id);
    if (there) {
        r->flag = !(r->retry && there->batch == r->batch);
        lease_fill(there, &r->lease);
        return;
    }
    def_put(m, r->def, r->now_ms);
    struct mem_run *run = xcalloc(1, sizeof *run);
    run->no = ++m->last_no;
    run->batch = r->batch;
    run->signal_keys = map_new();
    struct store_run *row = &run->row;
    id_copy(row->id, n->id);
    id_copy(row->root_id, n->root_id ? n->root_id : n->id);
    id_copy(row->parent_id, n->parent_id);
    row->def_hash = xstrdup(n->def_hash);
    row->name = xstrdup(n->name);
    row->client_key = n->client_key ? xstrdup(n->client_key) : NULL;
    row->status = r->status;
    row->epoch = 1;
    row->created = r->now_ms;
    owner_set(m, run, r->node, r->node_inc);
    journal_append(h, run, r);
    vec_push(&m->runs, run);
    map_put(m->by_id, n->id, run);
    if (n->client_key)
        map_put(m->by_key, n->client_key, run);
    lease_fill(run, &r->lease);
}

static void
run_take(struct mem *h, struct mem_run *run, struct request *r)
{
    run->row.epoch++;
    run->batch = r->batch;
    owner_set(h->m, run, r->node, r->node_inc);
    lease_fill(run, &r->lease);
}

static void
do_claim(struct mem *h, struct request *r)
{
    struct mem_run *run = map_get(h->m->by_id, r->id);
    if (!run) {
        r->err = err_no_run(r->id);
        return;
    }
    if (run->row.status >= STATUS_ENDED && !r->force)
        r->err = err_ended(r->id);
    else if (run->row.owner && r->retry && run->batch == r->batch)
        lease_fill(run, &r->lease);
    else if (run->row.owner)
        r->err = err_owned(r->id, run->row.owner);
    else if (run->row.status < STATUS_ENDED && r->force)
        r->err = err_live(r->id);
    else
        run_take(h, run, r);
    if (!r->err && run->row.status >= STATUS_ENDED) {
        run->row.status = STATUS_RUNNING;
        run->row.cancel = run->row.crashes = 0;
        run->row.wake_at = run->row.ended = run->row.expires_at = 0;
    }
}

static int
by_wake(const void *a, const void *b)
{
    const struct mem_run *x = *(struct mem_run *const *)a, *y = *(struct mem_run *const *)b;
    if (x->row.wake_at != y->row.wake_at)
        return x->row.wake_at < y->row.wake_at ? -1 : 1;
    return x->no < y->no ? -1 : x->no > y->no;
}

/* What this very request has claimed before its answer got lost. */
static void
claimed_before(struct mem *h, struct request *r)
{
    vec_each (&h->m->runs, at) {
        struct mem_run *run = *at;
        if (run->batch != r->batch || !run->row.owner || !str_eq(run->row.owner, r->node))
            continue;
        lease_fill(run, &r->lease);
        lease_put(&r->page, &r->lease);
        r->number++;
    }
}

static void
do_claim_ready(struct mem *h, struct request *r)
{
    if (r->retry)
        claimed_before(h, r);
    if (r->number > 0)
        return;
    VEC(struct mem_run *) ready = {0};
    for (struct mem_run *run = h->m->parked; run; run = run->next) {
        if (run->row.wake_at <= r->now_ms)
            vec_push(&ready, run);
    }
    if (ready.len)
        qsort(ready.at, ready.len, sizeof *ready.at, by_wake);
    for (size_t i = 0; i < ready.len && i < r->limit; i++) {
        run_take(h, ready.at[i], r);
        lease_put(&r->page, &r->lease);
        r->number++;
    }
    vec_fini(&ready);
}

static void
signals_consume(struct mem_run *run, const struct request *r)
{
    for (size_t i = 0; i < r->nconsumed; i++) {
        AUTO(freep) char *key = signal_key(r->consumed[i].name, r->consumed[i].dedupe);
        size_t at = (size_t)(uintptr_t)map_get(run->signal_keys, key);
        if (at && run->signals.at[at - 1].consumed_seq == 0)
            run->signals.at[at - 1].consumed_seq = run->row.seq;
    }
}

static void
run_release(struct mem *h, struct mem_run *run, const struct request *r)
{
    run->row.wake_at = run->row.sig_seq == r->lease.sig_seq ? r->wake_at : 0;
    if (run->row.status >= STATUS_ENDED) {
        run->row.ended = r->now_ms;
        run->row.expires_at = r->expires_at;
    }
    owner_set(h->m, run, NULL, 0);
}

static void
do_commit(struct mem *h, struct request *r)
{
    struct mem_run *run = map_get(h->m->by_id, r->lease.id);
    struct store_lease *l = &r->lease;
    if (!run) {
        r->err = err_fenced(l->id);
        return;
    }
    bool same = run->row.epoch == l->epoch && run->row.seq == l->seq && run->crc == l->crc &&
                run->row.owner;
    if (run->batch == r->batch && run->row.seq == l->seq + (int64_t)r->nrecords &&
        run->row.epoch == l->epoch) { /* asked again: it was done */
        l->seq = run->row.seq;
        l->crc = run->crc;
        return;
    }
    if (!same) {
        r->err = err_fenced(l->id);
        return;
    }
    if (r->nrecords) {
        journal_append(h, run, r);
        run->row.crashes = 0;
    }
    run->batch = r->batch;
    if (r->status)
        run->row.status = r->status;
    signals_consume(run, r);
    if (r->release)
        run_release(h, run, r);
    parked_update(h->m, run);
    l->seq = run->row.seq;
    l->crc = run->crc;
}

static void
do_signal(struct mem *h, struct request *r)
{
    struct mem_run *run = map_get(h->m->by_id, r->id);
    if (!run) {
        r->err = err_no_run(r->id);
        return;
    }
    AUTO(freep) char *key = signal_key(r->name, r->dedupe);
    if (map_has(run->signal_keys, key))
        return;
    if (run->row.status >= STATUS_ENDED) {
        r->err = err_ended(r->id);
        return;
    }
    struct store_signal g = {.name = xstrdup(r->name), .dedupe = xstrdup(r->dedupe)};
    g.body = xmalloc(r->body_len + 1);
    if (r->body_len)
        memcpy(g.body, r->body, r->body_len);
    g.body[r->body_len] = '\0';
    g.body_len = r->body_len;
    vec_push(&run->signals, g);
    map_put(run->signal_keys, key, (void *)(uintptr_t)run->signals.len);
    run->row.sig_seq++;
    run->row.wake_at = 0;
    r->flag = true;
    news_post(h->m, r->id);
}

static void
cancel_one(struct mem *h, struct mem_run *run, bool force)
{
    run->row.sig_seq++;
    run->row.wake_at = 0;
    if (run->row.cancel < (force ? 2 : 1))
        run->row.cancel = force ? 2 : 1;
    if (force) {
        run->row.epoch++;
        owner_set(h->m, run, NULL, 0);
    }
    news_post(h->m, run->row.id);
}

/* Children are younger than their parents, so one walk in order of creation finds the tree. */
static void
do_cancel(struct mem *h, struct request *r)
{
    if (!map_has(h->m->by_id, r->id)) {
        r->err = err_no_run(r->id);
        return;
    }
    struct map *tree = map_new();
    map_put(tree, r->id, h);
    vec_each (&h->m->runs, at) {
        struct mem_run *run = *at;
        if (!map_has(tree, run->row.id) &&
            !(run->row.parent_id[0] && map_has(tree, run->row.parent_id)))
            continue;
        map_put(tree, run->row.id, h);
        if (run->row.status >= STATUS_ENDED)
            continue;
        cancel_one(h, run, r->force);
        r->number++;
    }
    map_free(tree);
}

static void
do_quarantine(struct mem *h, struct request *r)
{
    struct mem_run *run = map_get(h->m->by_id, r->id);
    if (!run || run->row.status >= STATUS_ENDED)
        return;
    run->row.status = STATUS_ABNORMAL;
    run->row.epoch++;
    owner_set(h->m, run, NULL, 0);
}

static void
defs_prune(struct store_mem *m, int64_t now)
{
    struct map *used = map_new();
    vec_each (&m->runs, run)
        map_put(used, (*run)->row.def_hash, m);
    const char *hash;
    void *def;
    struct map *kept = map_new();
    for (size_t i = 0; map_next(m->defs, &i, &hash, &def);) {
        struct mem_def *d = def;
        if (d->created >= now - DEF_GRACE_MS || map_has(used, hash))
            map_put(kept, hash, d);
        else
            mem_def_free(d);
    }
    map_free(used);
    map_free(m->defs);
    m->defs = kept;
}

static void
do_prune(struct mem *h, struct request *r)
{
    struct store_mem *m = h->m;
    size_t kept = 0;
    for (size_t i = 0; i < m->runs.len; i++) {
        struct mem_run *run = m->runs.at[i];
        const struct store_run *row = &run->row;
        bool expired = row->expires_at > 0 && row->expires_at <= r->now_ms;
        if (row->status < STATUS_ENDED || !(expired || row->ended < r->from)) {
            m->runs.at[kept++] = run;
            continue;
        }
        map_del(m->by_id, row->id);
        if (row->client_key)
            map_del(m->by_key, row->client_key);
        mem_run_free(run);
        r->number++;
    }
    m->runs.len = kept;
    defs_prune(m, r->now_ms);
}

static void
write_one(struct mem *h, struct request *r)
{
    switch (r->op) {
    case OP_PUT_DEF:
        def_put(h->m, r->def, r->now_ms);
        break;
    case OP_CREATE:
        do_create(h, r);
        break;
    case OP_CLAIM:
        do_claim(h, r);
        break;
    case OP_CLAIM_READY:
        do_claim_ready(h, r);
        break;
    case OP_COMMIT:
        do_commit(h, r);
        break;
    case OP_SIGNAL:
        do_signal(h, r);
        break;
    case OP_CANCEL:
        do_cancel(h, r);
        break;
    case OP_PRUNE:
        do_prune(h, r);
        break;
    case OP_QUARANTINE:
        do_quarantine(h, r);
        break;
    case OP_KV_PUT:
        value_put(h, r);
        break;
    case OP_KV_DELETE:
        values_delete(h, r);
        break;
    case OP_REAP:
        reap(h->m, r->id);
        break;
    default: /* OP_TICK: who has a mem store open is alive */
        break;
    }
}

static void
mem_exec(void *driver, struct request *r)
{
    struct mem *h = driver;
    if (!op_writes(r->op)) {
        mem_read(h, r);
        return;
    }
    /* A real commit waits; so does a simulated one, that others get their turn as they would. */
    bool yields = fiber_self() && rt_is_simulated();
    if (yields)
        fiber_yield();
    h->m->clock = MAX(h->m->clock, r->now_ms);
    write_one(h, r);
    h->numbers.commits++;
    h->numbers.batches++;
    if (yields)
        fiber_yield();
}

static void
mem_numbers(const void *driver, struct store_numbers *ret_numbers)
{
    *ret_numbers = ((const struct mem *)driver)->numbers;
}

const struct driver_ops mem_ops = {
    .name = "mem", .exec = mem_exec, .close = mem_close, .numbers = mem_numbers};
