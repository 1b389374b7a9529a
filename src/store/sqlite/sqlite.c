/* sqlite.c - opening the database, the commit thread, who reads where. */
#include "store/sqlite/sqlite.h"
#include "rt/file.h"
#include "rt/rt.h"
#include "rt/sim.h"
#include "store/sqlite/dbcore.h"
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Pages of 4 KB in the WAL before it is copied back. More is faster while running (a page that
 * changes often is copied once) and slower to open after a crash (the WAL is read through). */
#define WAL_PAGES 2000

/* ---- group commit ---------------------------------------------------------------------------- */

static void
rollback(struct sqlite *l)
{
    if (!sqlite3_get_autocommit(l->writer.db))
        (void)conn_do(&l->writer, SQL_ROLLBACK, "");
    map_free(l->nodes);
    l->nodes = map_new();
}

static int
batch_apply(struct sqlite *l, struct request **jobs, size_t n)
{
    int rc = conn_do(&l->writer, SQL_BEGIN, "");
    if (rc != SQLITE_OK)
        return rc;
    bool starts = !l->started;
    if (starts)
        rc = write_start(l);
    for (size_t i = 0; rc == SQLITE_OK && i < n; i++) {
        request_reset(jobs[i]);
        l->writer.now_ms = MAX(l->writer.now_ms, jobs[i]->now_ms);
        rc = write_one(l, jobs[i]);
    }
    if (rc == SQLITE_OK)
        rc = conn_do(&l->writer, SQL_COMMIT, "");
    if (rc == SQLITE_OK && starts)
        l->started = true;
    return rc;
}

/* False: nothing was committed, and with more than one job it is not known whose fault it is. */
static bool
batch_try(struct sqlite *l, struct request **jobs, size_t n)
{
    l->writer.now_ms = MAX(l->writer.now_ms, jobs[0]->now_ms);
    int rc = batch_apply(l, jobs, n);
    if (rc == SQLITE_OK) {
        atomic_fetch_add(&l->batches, 1);
        for (size_t i = 0; i < n; i++)
            write_settle(jobs[i]);
        return true;
    }
    struct err *e = conn_err(&l->writer, rc, op_name(jobs[0]->op));
    rollback(l);
    if (n > 1) {
        err_drop(e);
        return false;
    }
    request_reset(jobs[0]);
    jobs[0]->err = e;
    jobs[0]->damaged = (rc & 0xff) == SQLITE_CORRUPT;
    return true;
}

/* Together, so that all share one fsync; if that fails, each alone, so that a bad one fails alone.
 */
static void
batch_run(void *ctx, void **jobs, size_t n)
{
    struct sqlite *l = ctx;
    struct request **requests = (struct request **)jobs;
    if (batch_try(l, requests, n))
        return;
    for (size_t i = 0; i < n; i++)
        batch_try(l, requests + i, 1);
}

/* ---- opening --------------------------------------------------------------------------------- */

static int
number_of(struct conn *c, const char *sql, int64_t *ret_n)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(c->db, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        *ret_n = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

/* The kernel keeps the name of a new file only when its folder is synced too. */
static void
folder_sync(const char *path)
{
    AUTO(freep) char *dir = path_dir(path);
    AUTO(freep) char *up = path_dir(dir);
    const char *both[] = {dir, up};
    for (size_t i = 0; i < COUNT(both); i++) {
        int fd = open(both[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        (void)fsync(fd); /* some file systems refuse this for folders; then it is not needed */
        close(fd);
    }
}

/* The file becomes a WAL database first, then all tables come in one transaction: whatever ends it
 * in between leaves an empty database, which the next one makes complete. (Making it without syncs
 * and syncing once at the end saves a millisecond, and after a loss of power can leave a file whose
 * first page is torn.) */
static struct err *
schema_make(struct conn *c)
{
    AUTO(freep)
    char *sql = xasprintf("PRAGMA page_size=4096; PRAGMA journal_mode=WAL; BEGIN IMMEDIATE; %s"
                          "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT",
                          sql_schema, SCHEMA_APP_ID, SCHEMA_VERSION);
    int rc = sqlite3_exec(c->db, sql, NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return conn_err(c, rc, "making");
    folder_sync(c->path);
    return NULL;
}

/* One transaction: whatever ends it in between leaves the old schema. */
static struct err *
schema_upgrade(struct conn *c, int64_t version)
{
    AUTO(str_fini) struct str sql = STR_INIT;
    for (int64_t v = version; v < SCHEMA_VERSION; v++)
        str_add(&sql, sql_upgrade[v]);
    AUTO(freep)
    char *all = xasprintf("BEGIN IMMEDIATE; %s PRAGMA user_version=%d; COMMIT", str_c(&sql),
                          SCHEMA_VERSION);
    int rc = sqlite3_exec(c->db, all, NULL, NULL, NULL);
    return rc == SQLITE_OK ? NULL : conn_err(c, rc, "upgrading");
}

/* In one transaction: another process may be making the database just now. */
static int
schema_read(struct conn *c, int64_t *ret_version, int64_t *ret_app, int64_t *ret_tables)
{
    int rc = sqlite3_exec(c->db, "BEGIN", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = number_of(c, "PRAGMA user_version", ret_version);
    if (rc == SQLITE_OK)
        rc = number_of(c, "PRAGMA application_id", ret_app);
    if (rc == SQLITE_OK && *ret_app != SCHEMA_APP_ID)
        rc = number_of(c, "SELECT COUNT(*) FROM sqlite_schema", ret_tables);
    sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL); /* nothing was written */
    return rc;
}

/* *ret_version 0: there is nothing yet. */
static struct err *
schema_check(struct conn *c, int64_t *ret_version)
{
    int64_t version = 0, app = 0, tables = 0;
    int rc = schema_read(c, &version, &app, &tables);
    if (rc != SQLITE_OK)
        return conn_err(c, rc, "opening");
    if (app != SCHEMA_APP_ID && (tables > 0 || version != 0 || app != 0))
        return FAIL(ERR_INVALID,
                    "'%s' is the database of another program; choose another folder "
                    "with --store",
                    c->path);
    if (version > SCHEMA_VERSION)
        return FAIL(ERR_INVALID,
                    "'%s' was written by a newer version (schema %lld, this one knows "
                    "%d); install that version or choose another folder with --store",
                    c->path, (long long)version, SCHEMA_VERSION);
    if (app == SCHEMA_APP_ID && version < 1)
        return FAIL(ERR_INVALID,
                    "'%s' has no schema version: it is damaged; choose another "
                    "folder with --store",
                    c->path);
    *ret_version = version;
    return NULL;
}

static struct err *
writer_open(struct sqlite *l, int64_t *ret_clock, bool *ret_crashed)
{
    int64_t version = 0, owned = 0;
    PASS(conn_open(&l->writer, l->path, CONN_WRITER));
    PASS(schema_check(&l->writer, &version));
    if (version == 0)
        PASS(schema_make(&l->writer));
    else if (version < SCHEMA_VERSION)
        PASS(schema_upgrade(&l->writer, version));
    sqlite3_wal_autocheckpoint(l->writer.db, WAL_PAGES);
    int rc = conn_number(&l->writer, SQL_CLOCK, NULL, 0, ret_clock);
    if (rc == SQLITE_OK)
        rc = conn_number(&l->writer, SQL_LAST_NO, NULL, 0, &l->last_no);
    if (rc == SQLITE_OK)
        rc = conn_number(&l->writer, SQL_ANY_OWNED, NULL, 0, &owned);
    if (rc != SQLITE_OK)
        return conn_err(&l->writer, rc, "opening");
    *ret_crashed = owned != 0;
    l->writer.now_ms = *ret_clock;
    return NULL;
}

static struct err *
reader_open(struct sqlite *l, struct conn *c)
{
    if (c->db)
        return NULL;
    PASS(conn_open(c, l->path, l->read_only ? CONN_READ_ONLY : CONN_READER));
    int64_t version = 0; /* the writer has upgraded it; who may only read takes it as it is */
    struct err *e = l->read_only ? schema_check(c, &version) : NULL;
    if (!e && l->read_only && version == 0)
        e = FAIL(ERR_MISSING, "'%s' is empty: nothing was run here yet", l->path);
    c->is_old = l->read_only && version < 2;
    if (e)
        conn_close(c);
    return e;
}

static void
sqlite_shut(void *driver)
{
    struct sqlite *l = driver;
    worker_free(l->worker);
    /* Readers first: the last connection to go copies the WAL back. */
    conn_close(&l->quick);
    conn_close(&l->bulk);
    conn_close(&l->writer);
    map_free(l->nodes);
    free(l->node_name);
    free(l->path);
    free(l);
}

static struct err *
read_only_open(struct sqlite *l, int64_t *ret_clock)
{
    PASS(reader_open(l, &l->quick));
    *ret_clock = 0;
    return NULL;
}

/* Runs of a process that died are freed before anything else is asked. */
static struct err *
crashed_reap(struct sqlite *l)
{
    AUTO(request_fini) struct request r = {.op = OP_TICK, .now_ms = rt_wall_ms()};
    worker_do(l->worker, &r);
    return STEAL(r.err);
}

struct err *
sqlite_open(const struct sqlite_opts *opts, struct sqlite **ret_db, int64_t *ret_clock)
{
    struct sqlite *l = xcalloc(1, sizeof *l);
    l->path = xstrdup(opts->path);
    id_copy(l->node, opts->node);
    l->node_name = xstrdup(opts->node_name);
    l->news = opts->news;
    l->news_ctx = opts->news_ctx;
    l->read_only = opts->read_only;
    l->adopt = opts->adopt;
    l->nodes = map_new();
    sem_setup(&l->bulk_turn, 1);
    bool crashed = false;
    struct err *e =
        l->read_only ? read_only_open(l, ret_clock) : writer_open(l, ret_clock, &crashed);
    if (!e && !l->read_only) {
        l->worker = worker_new("store", batch_run, l, BATCH_MAX);
        if (crashed)
            e = crashed_reap(l);
    }
    if (e) {
        sqlite_shut(l);
        return e;
    }
    *ret_db = l;
    return NULL;
}

/* ---- requests -------------------------------------------------------------------------------- */

static void
news_after(struct sqlite *l, struct request *r)
{
    if (r->err)
        return;
    if (r->op == OP_SIGNAL && r->flag)
        l->news(l->news_ctx, r->id);
    if (r->op != OP_CANCEL)
        return;
    struct bytes_in in = bytes_in(r->page.p, r->page.len);
    while (in.at < in.end && !in.bad) {
        const char *id = get_text(&in);
        if (id)
            l->news(l->news_ctx, id);
    }
}

static void
numbers_add(struct sqlite *l, const struct request *r)
{
    l->numbers.commits++;
    l->numbers.records += (int64_t)r->nrecords;
    for (size_t i = 0; i < r->nrecords; i++)
        l->numbers.bytes += (int64_t)r->records[i].body_len;
}

static void
exec_write(struct sqlite *l, struct request *r)
{
    worker_do(l->worker, r);
    if (rt_is_simulated() && sim_crashed() && !r->err)
        r->err = FAIL(ERR_CANCELLED, "the process has crashed");
    if (!r->err)
        numbers_add(l, r);
    news_after(l, r);
}

struct bulk {
    struct sqlite *l;
    struct request *r;
};

static void
bulk_read(void *arg)
{
    struct bulk *b = arg;
    struct err *e = reader_open(b->l, &b->l->bulk);
    if (e)
        b->r->err = e;
    else
        read_one(&b->l->bulk, b->r);
}

/* Point reads and the first page of a journal cost less than the way to another thread and back;
 * what may be long goes there. */
static void
exec_read(struct sqlite *l, struct request *r)
{
    bool is_short = r->op == OP_GET_RUN || r->op == OP_GET_DEF || r->op == OP_SIGNALS ||
                    r->op == OP_KV_GET || (r->op == OP_READ && r->limit == 0);
    if (is_short) {
        r->err = reader_open(l, &l->quick);
        if (!r->err)
            read_one(&l->quick, r);
        return;
    }
    bool was = fiber_self() ? fiber_shield(true) : false;
    r->err = sem_acquire(&l->bulk_turn, DEADLINE_NONE);
    if (fiber_self())
        fiber_shield(was);
    struct bulk b = {l, r};
    if (!r->err) {
        offload(bulk_read, &b);
        sem_release(&l->bulk_turn);
    }
}

static void
sqlite_exec(void *driver, struct request *r)
{
    if (op_writes(r->op))
        exec_write(driver, r);
    else
        exec_read(driver, r);
}

static void
sqlite_numbers(const void *driver, struct store_numbers *ret_numbers)
{
    const struct sqlite *l = driver;
    *ret_numbers = l->numbers;
    ret_numbers->batches = ret_numbers->fsyncs = atomic_load(&l->batches);
}

const struct driver_ops sqlite_ops = {
    .name = "sqlite", .exec = sqlite_exec, .close = sqlite_shut, .numbers = sqlite_numbers};
