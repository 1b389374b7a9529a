/* sqlwrite.c - the writes, each inside the batch's transaction, on the commit thread. */
#include "base/hash.h"
#include "base/vec.h"
#include "store/sqlite/dbcore.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BLOB_MIN 4096 /* larger bodies are kept once, by hash */

/* The columns that every query of a lease has in front (LEASE_COLUMNS). */
static void
lease_read(sqlite3_stmt *stmt, struct store_lease *l)
{
    memset(l, 0, sizeof *l);
    id_copy(l->id, col_text(stmt, 0));
    l->epoch = sqlite3_column_int64(stmt, 1);
    l->seq = sqlite3_column_int64(stmt, 2);
    l->sig_seq = sqlite3_column_int64(stmt, 3);
    l->row = sqlite3_column_int64(stmt, 4);
    l->crc = (uint32_t)sqlite3_column_int64(stmt, 5);
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static int
reap(struct sqlite *l, const char *node)
{
    CHECK(conn_do(&l->writer, SQL_REAP, "t", node));
    map_del(l->nodes, node);
    return conn_do(&l->writer, SQL_NODE_DEL, "t", node);
}

static int
dead_reap(struct sqlite *l, const char *except)
{
    sqlite3_stmt *stmt;
    VEC(char *) dead = {0};
    CHECK(conn_bind(&l->writer, SQL_NODES_DEAD, &stmt, "t", except));
    int rc;
    while ((rc = conn_next(stmt)) == SQLITE_ROW)
        vec_push(&dead, xstrdup(col_text(stmt, 0)));
    rc = ok_or(rc);
    vec_each (&dead, node) {
        if (rc == SQLITE_OK)
            rc = reap(l, *node);
        free(*node);
    }
    vec_fini(&dead);
    return rc;
}

/* Who owns a run must have a row: that is what reaping goes by. */
static int
node_ensure(struct sqlite *l, const struct request *r)
{
    if (map_has(l->nodes, r->node))
        return SQLITE_OK;
    bool is_owner = str_eq(r->node, l->node);
    CHECK(conn_do(&l->writer, SQL_NODE_PUT, "tiit", r->node, r->node_inc, (int64_t)is_owner,
                  is_owner ? l->node_name : "remote"));
    map_put(l->nodes, r->node, l);
    return SQLITE_OK;
}

/* We hold the folder's lock, so any other owner of it is dead. Processes that were connected to it
 * may live: theirs end when their leases do, unless they connect to us before. */
int
write_start(struct sqlite *l)
{
    CHECK(dead_reap(l, l->adopt ? l->node : ""));
    CHECK(conn_do(&l->writer, SQL_NODE_PUT, "tiit", l->node, (int64_t)1, (int64_t)1, l->node_name));
    map_put(l->nodes, l->node, l);
    return SQLITE_OK;
}

static int
do_tick(struct sqlite *l, struct request *r)
{
    for (size_t i = 0; i < r->nnames; i++)
        CHECK(conn_do(&l->writer, SQL_NODE_RENEW, "t", r->names[i]));
    CHECK(dead_reap(l, l->node));
    CHECK(conn_do(&l->writer, SQL_SWEEP, ""));
    r->number = sqlite3_changes(l->writer.db);
    return SQLITE_OK;
}

/* ---- records --------------------------------------------------------------------------------- */

static int
record_put_one(struct sqlite *l, int64_t pos, int64_t epoch, uint32_t crc,
               const struct store_record *rec)
{
    if (rec->body_len <= BLOB_MIN)
        return conn_do(&l->writer, SQL_RECORD_PUT, "iiiittb", pos, epoch, (int64_t)rec->kind,
                       (int64_t)crc, rec->path, (const char *)NULL, rec->body ? rec->body : "",
                       rec->body_len);
    char hash[SHA256_HEX];
    sha256_hex(rec->body, rec->body_len, hash);
    CHECK(conn_do(&l->writer, SQL_BLOB_PUT, "tb", hash, rec->body, rec->body_len));
    return conn_do(&l->writer, SQL_RECORD_PUT, "iiiittb", pos, epoch, (int64_t)rec->kind,
                   (int64_t)crc, rec->path, hash, (const void *)NULL, (size_t)0);
}

/* crc[i] is the checksum of the i-th record, continued from `before`. Returns the last one. */
static uint32_t
chain(const struct request *r, const char *id, int64_t seq, uint32_t before, uint32_t *crc)
{
    for (size_t i = 0; i < r->nrecords; i++)
        crc[i] = before = record_crc(before, id, seq + (int64_t)i + 1, &r->records[i]);
    return before;
}

static int
records_put(struct sqlite *l, const struct request *r, const struct store_lease *at,
            const uint32_t *crc)
{
    for (size_t i = 0; i < r->nrecords; i++)
        CHECK(record_put_one(l, pos_of(at->row, at->seq + (int64_t)i + 1), at->epoch, crc[i],
                             &r->records[i]));
    return SQLITE_OK;
}

/* ---- create and claim ------------------------------------------------------------------------ */

static int
def_put(struct sqlite *l, const struct store_def *def)
{
    if (!def)
        return SQLITE_OK;
    return conn_do(&l->writer, SQL_DEF_PUT, "ttb", def->hash, def->name, def->body ? def->body : "",
                   def->body_len);
}

/* Is there a run with this key or id? SQLITE_ROW: r->lease is it. */
static int
run_find(struct sqlite *l, enum sql q, const char *key, struct request *r)
{
    sqlite3_stmt *stmt;
    CHECK(conn_bind(&l->writer, q, &stmt, "t", key));
    int rc = conn_next(stmt);
    if (rc != SQLITE_ROW)
        return ok_or(rc);
    lease_read(stmt, &r->lease);
    r->flag = !(r->retry && sqlite3_column_int64(stmt, COL_BATCH) == r->batch);
    conn_done(stmt);
    return SQLITE_ROW;
}

static int
run_insert(struct sqlite *l, struct request *r, const uint32_t *crc, uint32_t head)
{
    const struct store_new_run *n = r->new_run;
    struct store_lease at = {.epoch = 1, .row = ++l->last_no};
    id_copy(at.id, n->id);
    CHECK(node_ensure(l, r));
    CHECK(def_put(l, r->def));
    CHECK(conn_do(&l->writer, SQL_RUN_PUT, "iiiiititttttt", at.row, (int64_t)r->nrecords,
                  (int64_t)head, r->batch, (int64_t)r->status, r->node, r->node_inc, n->id,
                  n->root_id ? n->root_id : n->id, n->parent_id, n->def_hash, n->name,
                  n->client_key));
    CHECK(records_put(l, r, &at, crc));
    at.seq = (int64_t)r->nrecords;
    at.crc = head;
    r->lease = at;
    return SQLITE_OK;
}

static int
do_create(struct sqlite *l, struct request *r)
{
    int rc = SQLITE_OK;
    if (r->new_run->client_key)
        rc = run_find(l, SQL_RUN_BY_KEY, r->new_run->client_key, r);
    if (rc == SQLITE_OK)
        rc = run_find(l, SQL_RUN_BY_ID, r->new_run->id, r);
    if (rc != SQLITE_OK)
        return ok_or(rc);
    uint32_t few[16] = {0},
             *crc = r->nrecords <= COUNT(few) ? few : xcalloc(r->nrecords, sizeof *crc);
    uint32_t head = chain(r, r->new_run->id, 0, 0, crc);
    rc = run_insert(l, r, crc, head);
    if (crc != few)
        free(crc);
    return rc;
}

static int
do_claim(struct sqlite *l, struct request *r)
{
    sqlite3_stmt *stmt;
    CHECK(conn_bind(&l->writer, SQL_RUN_BY_ID, &stmt, "t", r->id));
    int rc = conn_next(stmt);
    if (rc == SQLITE_DONE)
        r->err = err_no_run(r->id);
    if (rc != SQLITE_ROW)
        return ok_or(rc);
    lease_read(stmt, &r->lease);
    bool owned = sqlite3_column_type(stmt, COL_OWNER) != SQLITE_NULL, ours = false;
    const bool ended = sqlite3_column_int(stmt, COL_STATUS) >= STATUS_ENDED;
    if (ended && !r->force)
        r->err = err_ended(r->id);
    else if (!sqlite3_column_int(stmt, COL_INTACT))
        r->err = err_damaged(r->id, 0, "the checksum of its row is wrong");
    else if (owned && r->retry && sqlite3_column_int64(stmt, COL_BATCH) == r->batch)
        ours = true;
    else if (owned)
        r->err = err_owned(r->id, col_text(stmt, COL_OWNER));
    else if (!ended && r->force)
        r->err = err_live(r->id);
    conn_done(stmt);
    if (r->err || ours)
        return SQLITE_OK;
    CHECK(node_ensure(l, r));
    r->lease.epoch++;
    return conn_do(&l->writer, ended ? SQL_REOPEN : SQL_CLAIM, "itii", r->lease.row, r->node,
                   r->node_inc, r->batch);
}

static int
leases_read(sqlite3_stmt *stmt, struct request *r)
{
    int rc;
    while ((rc = conn_next(stmt)) == SQLITE_ROW) {
        struct store_lease lease;
        lease_read(stmt, &lease);
        lease_put(&r->page, &lease);
        r->number++;
    }
    return ok_or(rc);
}

static int
do_claim_ready(struct sqlite *l, struct request *r)
{
    sqlite3_stmt *stmt;
    CHECK(node_ensure(l, r));
    if (r->retry) {
        CHECK(conn_bind(&l->writer, SQL_CLAIMED, &stmt, "tii", r->node, r->node_inc, r->batch));
        CHECK(leases_read(stmt, r));
        if (r->number > 0)
            return SQLITE_OK;
    }
    CHECK(conn_bind(&l->writer, SQL_CLAIM_READY, &stmt, "tiii", r->node, r->node_inc, r->batch,
                    (int64_t)MIN(r->limit, LIST_MAX)));
    return leases_read(stmt, r);
}

/* ---- commit ---------------------------------------------------------------------------------- */

/* The fence did not match. Either the run is another's, or this very commit was made before and its
 * answer got lost: then its last record is there, with our epoch and the checksum it must have. */
static int
fenced_or_done(struct sqlite *l, struct request *r, int64_t seq, uint32_t head)
{
    sqlite3_stmt *stmt;
    bool done = false;
    int rc;
    if (r->nrecords) {
        CHECK(conn_bind(&l->writer, SQL_RECORD_SEEN, &stmt, "i", pos_of(r->lease.row, seq)));
        rc = conn_next(stmt);
        done = rc == SQLITE_ROW && sqlite3_column_int64(stmt, 0) == r->lease.epoch &&
               (uint32_t)sqlite3_column_int64(stmt, 1) == head;
    } else {
        CHECK(conn_bind(&l->writer, SQL_RUN_BY_NO, &stmt, "i", r->lease.row));
        rc = conn_next(stmt);
        done = rc == SQLITE_ROW && sqlite3_column_int64(stmt, 1) == r->lease.epoch &&
               sqlite3_column_int64(stmt, COL_BATCH) == r->batch;
    }
    if (rc == SQLITE_ROW)
        conn_done(stmt);
    if (!done)
        r->err = err_fenced(r->lease.id);
    return ok_or(rc);
}

static int
run_advance(struct sqlite *l, struct request *r, int64_t seq, uint32_t head, bool *ret_done)
{
    const struct store_lease *at = &r->lease;
    *ret_done = true;
    if (r->status && !r->release && r->nrecords) {
        CHECK(conn_do(&l->writer, SQL_ADVANCE, "iiiiiiii", at->row, seq, (int64_t)head, r->batch,
                      at->epoch, at->seq, (int64_t)at->crc, (int64_t)r->status));
        if (sqlite3_changes(l->writer.db) == 1)
            return SQLITE_OK;
    }
    CHECK(conn_do(&l->writer, SQL_CHANGE, "iiiiiiiiiiiii", at->row, seq, (int64_t)head, r->batch,
                  at->epoch, at->seq, (int64_t)at->crc, (int64_t)r->status, (int64_t)r->nrecords,
                  (int64_t)r->release, at->sig_seq, r->wake_at, r->expires_at));
    *ret_done = sqlite3_changes(l->writer.db) == 1;
    return SQLITE_OK;
}

static int
commit_with(struct sqlite *l, struct request *r, const uint32_t *crc, uint32_t head)
{
    bool done;
    int64_t seq = r->lease.seq + (int64_t)r->nrecords;
    CHECK(run_advance(l, r, seq, head, &done));
    if (!done)
        return fenced_or_done(l, r, seq, head);
    CHECK(records_put(l, r, &r->lease, crc));
    for (size_t i = 0; i < r->nconsumed; i++)
        CHECK(conn_do(&l->writer, SQL_SIGNAL_USE, "itti", r->lease.row, r->consumed[i].name,
                      r->consumed[i].dedupe, seq));
    return SQLITE_OK;
}

/* The lease is input as well: it moves on only when the batch is durable (the batch may have to be
 * done again, request by request). */
void
write_settle(struct request *r)
{
    if (r->op != OP_COMMIT || r->err)
        return;
    r->lease.seq += (int64_t)r->nrecords;
    r->lease.crc = (uint32_t)r->number;
}

static int
do_commit(struct sqlite *l, struct request *r)
{
    uint32_t few[16] = {0},
             *crc = r->nrecords <= COUNT(few) ? few : xcalloc(r->nrecords, sizeof *crc);
    uint32_t head = chain(r, r->lease.id, r->lease.seq, r->lease.crc, crc);
    int rc = commit_with(l, r, crc, head);
    r->number = head;
    if (crc != few)
        free(crc);
    return rc;
}

/* The run r->id, into r->lease; ERR_MISSING goes to r->err. */
static int
run_named(struct sqlite *l, struct request *r, int *ret_status)
{
    sqlite3_stmt *stmt;
    CHECK(conn_bind(&l->writer, SQL_RUN_BY_ID, &stmt, "t", r->id));
    int rc = conn_next(stmt);
    if (rc == SQLITE_DONE)
        r->err = err_no_run(r->id);
    if (rc != SQLITE_ROW)
        return ok_or(rc);
    lease_read(stmt, &r->lease);
    *ret_status = sqlite3_column_int(stmt, COL_STATUS);
    conn_done(stmt);
    return SQLITE_OK;
}

/* ---- signals and cancel ---------------------------------------------------------------------- */

static int
signal_insert(struct sqlite *l, struct request *r, bool ended)
{
    sqlite3_stmt *stmt;
    const struct store_lease *run = &r->lease;
    CHECK(conn_bind(&l->writer, SQL_SIGNAL_HAS, &stmt, "itt", run->row, r->name, r->dedupe));
    int rc = conn_next(stmt);
    if (rc == SQLITE_ROW) { /* the same again */
        conn_done(stmt);
        return SQLITE_OK;
    }
    CHECK(ok_or(rc));
    if (ended) {
        r->err = err_ended(r->id);
        return SQLITE_OK;
    }
    CHECK(conn_do(&l->writer, SQL_SIGNAL_PUT, "ittib", run->row, r->name, r->dedupe,
                  run->sig_seq + 1, r->body ? r->body : "", r->body_len));
    CHECK(conn_do(&l->writer, SQL_SIGNAL_NOTE, "i", run->row));
    r->flag = true;
    return SQLITE_OK;
}

static int
do_signal(struct sqlite *l, struct request *r)
{
    int status = 0;
    CHECK(run_named(l, r, &status));
    return r->err ? SQLITE_OK : signal_insert(l, r, status >= STATUS_ENDED);
}

static int
do_cancel(struct sqlite *l, struct request *r)
{
    sqlite3_stmt *stmt;
    int status = 0;
    CHECK(run_named(l, r, &status));
    if (r->err)
        return SQLITE_OK;
    CHECK(conn_bind(&l->writer, SQL_CANCEL, &stmt, "tii", r->id, (int64_t)(r->force ? 2 : 1),
                    (int64_t)r->force));
    int rc;
    while ((rc = conn_next(stmt)) == SQLITE_ROW) {
        put_text(&r->page, col_text(stmt, 0));
        r->number++;
    }
    return ok_or(rc);
}

int
write_one(struct sqlite *l, struct request *r)
{
    switch (r->op) {
    case OP_PUT_DEF:
        return def_put(l, r->def);
    case OP_CREATE:
        return do_create(l, r);
    case OP_CLAIM:
        return do_claim(l, r);
    case OP_CLAIM_READY:
        return do_claim_ready(l, r);
    case OP_COMMIT:
        return do_commit(l, r);
    case OP_SIGNAL:
        return do_signal(l, r);
    case OP_CANCEL:
        return do_cancel(l, r);
    case OP_PRUNE:
        return prune_step(l, r);
    case OP_QUARANTINE:
        return conn_do(&l->writer, SQL_QUARANTINE, "t", r->id);
    case OP_REAP:
        return reap(l, r->id);
    case OP_KV_PUT:
    case OP_KV_DELETE:
        return kv_write(l, r);
    default: /* OP_TICK */
        return do_tick(l, r);
    }
}
