/* memread.c - the requests that change nothing. */
#include "store/mem/memcore.h"
#include <stdlib.h>
#include <string.h>

/* The length in front keeps ("a", "bc") and ("ab", "c") apart. */
char *
signal_key(const char *name, const char *dedupe)
{
    return xasprintf("%zu:%s:%s", strlen(name), name, dedupe);
}

static void
read_def(struct mem *h, struct request *r)
{
    struct mem_def *d = map_get(h->m->defs, r->id);
    if (!d)
        r->err = FAIL(ERR_MISSING, "there is no definition '%s'", r->id);
    else
        str_addn(&r->page, d->body.p, d->body.len);
}

static void
read_journal(struct mem *h, struct request *r)
{
    struct mem_run *run = map_get(h->m->by_id, r->id);
    if (!run) {
        r->err = err_no_run(r->id);
        return;
    }
    int64_t seq = MAX(r->from, 1);
    uint32_t crc = seq > 1 && seq <= run->row.seq ? run->journal.at[seq - 2].crc : 0;
    for (; seq <= run->row.seq; seq++) {
        if (r->page.len > (r->one ? 0 : (size_t)1 << 20)) {
            r->more = true;
            return;
        }
        const struct mem_record *m = &run->journal.at[seq - 1];
        struct store_record rec = {seq, m->kind, m->path, m->body, m->body_len};
        crc = record_crc(crc, run->row.id, seq, &rec);
        if (crc != m->crc) {
            r->err = err_damaged(r->id, seq, "its checksum is wrong");
            r->damaged = true;
            return;
        }
        record_put(&r->page, &rec);
        r->number++;
    }
}

static void
read_run(struct mem *h, struct request *r)
{
    struct mem_run *found = map_get(h->m->by_id, r->id);
    size_t n = found ? 1 : 0;
    for (size_t i = 0; !found && i < h->m->runs.len; i++) {
        if (str_starts(h->m->runs.at[i]->row.id, r->id) && ++n == 1)
            r->number = (int64_t)i;
    }
    if (n == 0)
        r->err = err_no_run(r->id);
    else if (n > 1)
        r->err = FAIL(ERR_INVALID, "several runs begin with '%s'; write more of it", r->id);
    else
        run_put(&r->page, found ? &found->row : &h->m->runs.at[r->number]->row);
}

static bool
filter_takes(const struct store_filter *f, const struct store_run *row)
{
    return !(f->live_only && row->status >= STATUS_ENDED) &&
           !(f->status && row->status != f->status) && !(f->name && !str_eq(row->name, f->name)) &&
           !(f->created_before && row->created >= f->created_before);
}

static void
read_list(struct mem *h, struct request *r)
{
    size_t limit = MIN(r->limit ? r->limit : LIST_MAX, LIST_MAX), n = 0;
    for (size_t i = h->m->runs.len; i-- > 0;) {
        const struct mem_run *run = h->m->runs.at[i];
        if ((r->from && run->no >= r->from) || !filter_takes(&r->filter, &run->row))
            continue;
        if (n == limit) {
            r->more = true;
            return;
        }
        run_put(&r->page, &run->row);
        r->number = run->no;
        n++;
    }
}

static void
read_signals(struct mem *h, struct request *r)
{
    struct mem_run *run = map_get(h->m->by_id, r->id);
    if (!run) {
        r->err = err_no_run(r->id);
        return;
    }
    put_i64(&r->page, run->row.sig_seq);
    put_u32(&r->page, (uint32_t)run->row.cancel);
    for (size_t i = 0; r->limit && i < run->signals.len && !r->err; i++) {
        signal_put(&r->page, &run->signals.at[i]);
        r->number++;
        if (r->page.len > PAGE_LIMIT)
            r->err = err_page(r->id);
    }
}

static void
read_check(struct mem *h, struct request *r)
{
    struct store_invariants inv = {0};
    vec_each (&h->m->runs, at) {
        const struct mem_run *run = *at;
        const struct store_run *row = &run->row;
        inv.gaps += row->seq != (int64_t)run->journal.len;
        inv.lost_runs += row->status == STATUS_RUNNING && !row->owner && row->wake_at == INT64_MAX;
        bool alive = !row->owner;
        vec_each (&h->m->handles, other)
            alive |= str_eq((*other)->node, row->owner);
        inv.orphans += !alive;
        uint32_t crc = 0;
        for (size_t i = 0; i < run->journal.len; i++) {
            const struct mem_record *m = &run->journal.at[i];
            struct store_record rec = {0, m->kind, m->path, m->body, m->body_len};
            inv.damaged += record_crc(crc, row->id, (int64_t)i + 1, &rec) != m->crc;
            crc = m->crc;
        }
    }
    inv.damaged += values_damaged(h->m);
    put_i64(&r->page, inv.lost_runs);
    put_i64(&r->page, inv.gaps);
    put_i64(&r->page, inv.orphans);
    put_i64(&r->page, inv.damaged);
}

void
mem_read(struct mem *h, struct request *r)
{
    switch (r->op) {
    case OP_GET_DEF:
        read_def(h, r);
        break;
    case OP_READ:
        read_journal(h, r);
        break;
    case OP_GET_RUN:
        read_run(h, r);
        break;
    case OP_LIST:
        read_list(h, r);
        break;
    case OP_SIGNALS:
        read_signals(h, r);
        break;
    case OP_KV_GET:
        value_get(h, r);
        break;
    case OP_KV_LIST:
        values_list(h, r);
        break;
    default: /* OP_CHECK */
        read_check(h, r);
    }
}
