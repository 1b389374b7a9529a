/* sqlread.c - the requests that change nothing, through a reader's connection.
 *
 * A journal is checked while it is read: the chain of checksums, no gap, and the end that the run's
 * row says. Records are never changed once written, so the row and the records need no common
 * transaction: those after the row's seq are simply later. */
#include "store/sqlite/dbcore.h"
#include <stdlib.h>
#include <string.h>

#define PAGE_FIRST ((size_t)64 << 10) /* of a page read on the loop */
#define PAGE_MAX   ((size_t)1 << 20)

static void
fail(struct conn *c, struct request *r, int rc)
{
    if (rc == SQLITE_OK || r->err)
        return;
    r->err = conn_err(c, rc, "reading");
    r->damaged = (rc & 0xff) == SQLITE_CORRUPT && r->op == OP_READ;
}

static int
read_def(struct conn *c, struct request *r)
{
    sqlite3_stmt *stmt;
    CHECK(conn_bind(c, SQL_DEF_GET, &stmt, "t", r->id));
    int rc = conn_next(stmt);
    if (rc == SQLITE_DONE)
        r->err = FAIL(ERR_MISSING, "there is no definition '%s'", r->id);
    if (rc != SQLITE_ROW)
        return ok_or(rc);
    const void *body = sqlite3_column_blob(stmt, 0);
    str_addn(&r->page, body, (size_t)sqlite3_column_bytes(stmt, 0));
    conn_done(stmt);
    return SQLITE_OK;
}

/* ---- journals -------------------------------------------------------------------------------- */

struct run_head { /* what a run's row says of its journal */
    char id[RUN_ID_LEN];
    int64_t no, seq, sig_seq;
    uint32_t crc;
    int cancel;
    bool intact; /* the row's own checksum is right */
};

static int
head_read(struct conn *c, const char *id, struct run_head *ret_head, bool *ret_found)
{
    sqlite3_stmt *stmt;
    CHECK(conn_bind(c, SQL_RUN_BY_ID, &stmt, "t", id));
    int rc = conn_next(stmt);
    *ret_found = rc == SQLITE_ROW;
    if (rc != SQLITE_ROW)
        return ok_or(rc);
    id_copy(ret_head->id, col_text(stmt, 0));
    ret_head->seq = sqlite3_column_int64(stmt, 2);
    ret_head->sig_seq = sqlite3_column_int64(stmt, 3);
    ret_head->no = sqlite3_column_int64(stmt, 4);
    ret_head->crc = (uint32_t)sqlite3_column_int64(stmt, 5);
    ret_head->cancel = sqlite3_column_int(stmt, COL_CANCEL);
    ret_head->intact = sqlite3_column_int(stmt, COL_INTACT);
    conn_done(stmt);
    return SQLITE_OK;
}

struct walk {     /* through the journal of one run */
    int64_t seq;  /* the next one */
    uint32_t crc; /* of the one before */
    const char *damage;
};

static bool
row_take(sqlite3_stmt *stmt, const struct run_head *head, struct walk *w,
         struct store_record *ret_rec)
{
    bool by_hash = sqlite3_column_type(stmt, 4) != SQLITE_NULL;
    int body = by_hash ? 6 : 5;
    ret_rec->seq = w->seq;
    ret_rec->kind = sqlite3_column_int(stmt, 1);
    ret_rec->path = col_text(stmt, 3);
    ret_rec->body = sqlite3_column_blob(stmt, body);
    ret_rec->body_len = (size_t)sqlite3_column_bytes(stmt, body);
    if (sqlite3_column_int64(stmt, 0) != pos_of(head->no, w->seq))
        w->damage = "it is missing";
    else if (by_hash && sqlite3_column_type(stmt, body) == SQLITE_NULL)
        w->damage = "its body is missing";
    else if ((w->crc = record_crc(w->crc, head->id, w->seq, ret_rec)) !=
             (uint32_t)sqlite3_column_int64(stmt, 2))
        w->damage = "its checksum is wrong";
    return !w->damage;
}

/* Walks the records up to head->seq or until `to` is full (NULL: only checks). */
static int
journal_walk(struct conn *c, const struct run_head *head, struct walk *w, struct str *to,
             size_t max)
{
    sqlite3_stmt *stmt;
    CHECK(conn_bind(c, SQL_JOURNAL, &stmt, "ii", pos_of(head->no, w->seq),
                    pos_of(head->no, head->seq)));
    int rc = SQLITE_ROW;
    while (w->seq <= head->seq && (!to || to->len <= max)) {
        struct store_record rec;
        rc = conn_next(stmt);
        if (rc != SQLITE_ROW || !row_take(stmt, head, w, &rec))
            break;
        if (to)
            record_put(to, &rec);
        w->seq++;
    }
    if (rc == SQLITE_ROW)
        conn_done(stmt);
    if (rc == SQLITE_DONE)
        w->damage = "it is missing";
    if (!w->damage && w->seq > head->seq && w->crc != head->crc)
        w->damage = "the run's own note of its checksum differs";
    return ok_or(rc);
}

static int
row_damaged(struct request *r)
{
    r->damaged = true;
    r->err = err_damaged(r->id, 0, "the checksum of its row is wrong");
    return SQLITE_OK;
}

static int
crc_before(struct conn *c, const struct run_head *head, struct walk *w)
{
    if (w->seq <= 1)
        return SQLITE_OK;
    sqlite3_stmt *stmt;
    CHECK(conn_bind(c, SQL_RECORD_CRC, &stmt, "i", pos_of(head->no, w->seq - 1)));
    int rc = conn_next(stmt);
    if (rc == SQLITE_ROW) {
        w->crc = (uint32_t)sqlite3_column_int64(stmt, 0);
        conn_done(stmt);
    }
    return ok_or(rc);
}

static int
read_journal(struct conn *c, struct request *r)
{
    struct run_head head = {0};
    bool found = false, still = false;
    CHECK(head_read(c, r->id, &head, &found));
    if (!found) {
        r->err = err_no_run(r->id);
        return SQLITE_OK;
    }
    if (!head.intact)
        return row_damaged(r);
    struct walk w = {.seq = MAX(r->from, 1)};
    if (w.seq > head.seq)
        return SQLITE_OK;
    CHECK(crc_before(c, &head, &w));
    const size_t max = r->one ? 0 : r->limit ? PAGE_MAX : PAGE_FIRST;
    CHECK(journal_walk(c, &head, &w, &r->page, max));
    r->more = w.seq <= head.seq;
    if (!w.damage)
        return SQLITE_OK;
    CHECK(head_read(c, r->id, &head, &still)); /* pruned meanwhile? */
    r->damaged = still;
    r->err = still ? err_damaged(r->id, MIN(w.seq, head.seq), w.damage) : err_no_run(r->id);
    return SQLITE_OK;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static char *
text_or_null(sqlite3_stmt *stmt, int i)
{
    return sqlite3_column_type(stmt, i) == SQLITE_NULL ? NULL : xstrdup(col_text(stmt, i));
}

/* RUN_COLUMNS, in their order. A row whose checksum is wrong shows as quarantined. */
static void
row_put(sqlite3_stmt *stmt, struct request *r)
{
    struct store_run row = {0};
    id_copy(row.id, col_text(stmt, 1));
    id_copy(row.root_id, col_text(stmt, 2));
    id_copy(row.parent_id, col_text(stmt, 3));
    row.def_hash = text_or_null(stmt, 4);
    row.name = text_or_null(stmt, 5);
    row.client_key = text_or_null(stmt, 6);
    row.owner = text_or_null(stmt, 7);
    bool intact = sqlite3_column_int(stmt, 19);
    row.status = intact ? sqlite3_column_int(stmt, 8) : STATUS_ABNORMAL;
    row.epoch = sqlite3_column_int64(stmt, 9);
    row.seq = sqlite3_column_int64(stmt, 10);
    row.sig_seq = sqlite3_column_int64(stmt, 11);
    row.cancel = sqlite3_column_int(stmt, 12);
    row.wake_at = sqlite3_column_int64(stmt, 13);
    row.crashes = sqlite3_column_int(stmt, 14);
    row.created = sqlite3_column_int64(stmt, 15);
    row.ended = sqlite3_column_int64(stmt, 16);
    row.expires_at = sqlite3_column_int64(stmt, 17);
    row.owner_inc = sqlite3_column_int64(stmt, 18);
    run_put(&r->page, &row);
    store_run_fini(&row);
}

static int
read_run(struct conn *c, struct request *r)
{
    sqlite3_stmt *stmt;
    char end[RUN_ID_LEN + 1];
    CHECK(conn_bind(c, SQL_RUN_FULL, &stmt, "t", r->id));
    int rc = conn_next(stmt);
    if (rc == SQLITE_DONE) { /* '~' is behind every character of an id */
        snprintf(end, sizeof end, "%s~", r->id);
        CHECK(conn_bind(c, SQL_RUN_PREFIX, &stmt, "tt", r->id, end));
        rc = conn_next(stmt);
    }
    if (rc == SQLITE_DONE)
        r->err = err_no_run(r->id);
    if (rc != SQLITE_ROW)
        return ok_or(rc);
    row_put(stmt, r);
    rc = conn_next(stmt);
    if (rc != SQLITE_ROW)
        return ok_or(rc);
    conn_done(stmt);
    r->err = FAIL(ERR_INVALID, "several runs begin with '%s'; write more of it", r->id);
    return SQLITE_OK;
}

static int
read_list(struct conn *c, struct request *r)
{
    const struct store_filter *f = &r->filter;
    int64_t limit = (int64_t)MIN(r->limit ? r->limit : LIST_MAX, LIST_MAX), n = 0;
    sqlite3_stmt *stmt;
    CHECK(conn_bind(c, SQL_RUN_LIST, &stmt, "iiitii", r->from, (int64_t)f->live_only,
                    (int64_t)f->status, f->name, f->created_before, limit + 1));
    int rc;
    while ((rc = conn_next(stmt)) == SQLITE_ROW) {
        if (n++ == limit) {
            r->more = true;
            conn_done(stmt);
            break;
        }
        row_put(stmt, r);
        r->number = sqlite3_column_int64(stmt, 0);
    }
    return ok_or(rc);
}

static int
read_signals(struct conn *c, struct request *r)
{
    struct run_head head = {0};
    bool found = false;
    CHECK(head_read(c, r->id, &head, &found));
    if (!found) {
        r->err = err_no_run(r->id);
        return SQLITE_OK;
    }
    put_i64(&r->page, head.sig_seq);
    put_u32(&r->page, (uint32_t)head.cancel);
    if (!r->limit)
        return SQLITE_OK;
    sqlite3_stmt *stmt;
    CHECK(conn_bind(c, SQL_SIGNALS, &stmt, "i", head.no));
    int rc;
    while ((rc = conn_next(stmt)) == SQLITE_ROW) {
        struct store_signal g = {.consumed_seq = sqlite3_column_int64(stmt, 2)};
        /* signal_put only reads. */
        g.name = (char *)(uintptr_t)col_text(stmt, 0);
        g.dedupe = (char *)(uintptr_t)col_text(stmt, 1);
        g.body = (char *)(uintptr_t)sqlite3_column_blob(stmt, 3);
        g.body_len = (size_t)sqlite3_column_bytes(stmt, 3);
        signal_put(&r->page, &g);
        r->number++;
        if (r->page.len > PAGE_LIMIT) {
            conn_done(stmt);
            r->err = err_page(r->id);
            return SQLITE_OK;
        }
    }
    return ok_or(rc);
}

/* ---- invariants ------------------------------------------------------------------------------ */

#define CHECK_RUNS 64

static int
pages_check(struct conn *c, struct store_invariants *inv)
{
    sqlite3_stmt *stmt = NULL;
    CHECK(conn_number(c, SQL_ORPHANS, NULL, 0, &inv->orphans));
    CHECK(kv_damaged(c, &inv->damaged));
    CHECK(sqlite3_prepare_v2(c->db, "PRAGMA quick_check(100)", -1, &stmt, NULL));
    int rc;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
        inv->damaged += strcmp(col_text(stmt, 0), "ok") != 0;
    sqlite3_finalize(stmt);
    return ok_or(rc);
}

static int
run_check(struct conn *c, sqlite3_stmt *row, struct store_invariants *inv)
{
    struct run_head head = {.no = sqlite3_column_int64(row, 0),
                            .seq = sqlite3_column_int64(row, 1),
                            .crc = (uint32_t)sqlite3_column_int64(row, 2)};
    id_copy(head.id, col_text(row, 3));
    inv->lost_runs += sqlite3_column_int(row, 4) == STATUS_RUNNING &&
                      sqlite3_column_type(row, 5) == SQLITE_NULL &&
                      sqlite3_column_int64(row, 6) == INT64_MAX;
    sqlite3_stmt *stmt;
    CHECK(conn_bind(c, SQL_CHECK_COUNT, &stmt, "ii", pos_of(head.no, 0), pos_of(head.no + 1, 0)));
    CHECK(ok_or(conn_next(stmt))); /* a count always has its row */
    int64_t count = sqlite3_column_int64(stmt, 0), last = sqlite3_column_int64(stmt, 1);
    conn_done(stmt);
    bool gap = count != head.seq || (count && last != pos_of(head.no, head.seq));
    inv->gaps += gap;
    struct walk w = {.seq = 1};
    CHECK(journal_walk(c, &head, &w, NULL, 0));
    inv->damaged += w.damage != NULL || !sqlite3_column_int(row, 7);
    return SQLITE_OK;
}

/* A run that commits between its row and its count would look damaged: one snapshot a step. */
static int
check_step(struct conn *c, struct request *r)
{
    struct store_invariants inv = {0};
    if (r->from == 0)
        CHECK(pages_check(c, &inv));
    sqlite3_stmt *stmt;
    CHECK(conn_bind(c, SQL_CHECK_RUNS, &stmt, "ii", r->from, (int64_t)CHECK_RUNS));
    int rc;
    while ((rc = conn_next(stmt)) == SQLITE_ROW) {
        int of_run = run_check(c, stmt, &inv);
        if (of_run != SQLITE_OK && (of_run & 0xff) != SQLITE_CORRUPT) {
            conn_done(stmt);
            return of_run;
        }
        inv.damaged += of_run != SQLITE_OK;
        r->number = sqlite3_column_int64(stmt, 0);
        r->more = true;
    }
    put_i64(&r->page, inv.lost_runs);
    put_i64(&r->page, inv.gaps);
    put_i64(&r->page, inv.orphans);
    put_i64(&r->page, inv.damaged);
    return ok_or(rc);
}

static int
read_check(struct conn *c, struct request *r)
{
    CHECK(sqlite3_exec(c->db, "BEGIN", NULL, NULL, NULL));
    int rc = check_step(c, r);
    sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

void
read_one(struct conn *c, struct request *r)
{
    int rc = SQLITE_OK;
    c->now_ms = r->now_ms;
    switch (r->op) {
    case OP_GET_DEF:
        rc = read_def(c, r);
        break;
    case OP_READ:
        rc = read_journal(c, r);
        break;
    case OP_GET_RUN:
        rc = read_run(c, r);
        break;
    case OP_LIST:
        rc = read_list(c, r);
        break;
    case OP_SIGNALS:
        rc = read_signals(c, r);
        break;
    case OP_KV_GET:
    case OP_KV_LIST:
        rc = kv_read(c, r);
        break;
    default: /* OP_CHECK */
        rc = read_check(c, r);
    }
    fail(c, r, rc);
}
