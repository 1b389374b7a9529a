/* conn.c - opening a connection, running kept statements, saying what went wrong. */
#include "store/sqlite/conn.h"
#include "base/hash.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUSY_MS 2000 /* a person's sqlite3 shell may hold the file for a moment */

static void
sql_now(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    const struct conn *c = sqlite3_user_data(ctx);
    (void)argc;
    (void)argv;
    sqlite3_result_int64(ctx, c->now_ms);
}

/* tutti_sum(...): crc32c over the values, each with its kind and length. */
static void
sql_sum(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    uint32_t crc = 0;
    for (int i = 0; i < argc; i++) {
        int kind = sqlite3_value_type(argv[i]);
        unsigned char head[9] = {(unsigned char)kind};
        if (kind == SQLITE_INTEGER) {
            uint64_t v = (uint64_t)sqlite3_value_int64(argv[i]);
            for (unsigned b = 0; b < 8; b++)
                head[1 + b] = (unsigned char)(v >> (8 * b));
            crc = crc32c(crc, head, sizeof head);
            continue;
        }
        const void *bytes = kind == SQLITE_NULL ? NULL : sqlite3_value_blob(argv[i]);
        size_t n = bytes ? (size_t)sqlite3_value_bytes(argv[i]) : 0;
        for (unsigned b = 0; b < 4; b++)
            head[1 + b] = (unsigned char)(n >> (8 * b));
        crc = crc32c(crc, head, sizeof head);
        crc = crc32c(crc, bytes, n);
    }
    sqlite3_result_int64(ctx, crc);
}

static struct err *
conn_setup(struct conn *c, enum conn_mode mode)
{
    const char *pragmas = mode == CONN_WRITER
                              ? "PRAGMA synchronous=FULL; PRAGMA mmap_size=0;"
                                " PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON"
                              : "PRAGMA query_only=ON; PRAGMA mmap_size=0;"
                                " PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON";
    sqlite3_busy_timeout(c->db, BUSY_MS);
    sqlite3_extended_result_codes(c->db, 1);
    if (mode != CONN_WRITER)
        sqlite3_db_config(c->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    int rc = sqlite3_create_function(c->db, "tutti_now_ms", 0, SQLITE_UTF8 | SQLITE_INNOCUOUS, c,
                                     sql_now, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_create_function(c->db, "tutti_sum", -1,
                                     SQLITE_UTF8 | SQLITE_INNOCUOUS | SQLITE_DETERMINISTIC, c,
                                     sql_sum, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(c->db, pragmas, NULL, NULL, NULL);
    return rc == SQLITE_OK ? NULL : conn_err(c, rc, "opening");
}

struct err *
conn_open(struct conn *c, const char *path, enum conn_mode mode)
{
    int flags = mode == CONN_READ_ONLY
                    ? SQLITE_OPEN_READONLY
                    : SQLITE_OPEN_READWRITE | (mode == CONN_WRITER ? SQLITE_OPEN_CREATE : 0);
    c->path = path;
    int rc =
        sqlite3_open_v2(path, &c->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);
    /* Where it may not make the file, SQLite tries to read it, and that failure is what it keeps.
     */
    if (mode == CONN_WRITER && (rc & 0xff) == SQLITE_CANTOPEN &&
        sqlite3_system_errno(c->db) == ENOENT)
        rc = SQLITE_PERM;
    struct err *e = rc == SQLITE_OK ? conn_setup(c, mode) : conn_err(c, rc, "opening");
    if (e)
        conn_close(c);
    return e;
}

void
conn_close(struct conn *c)
{
    for (size_t i = 0; i < SQL_COUNT; i++) {
        sqlite3_finalize(c->stmt[i]);
        c->stmt[i] = NULL;
    }
    sqlite3_close(c->db);
    c->db = NULL;
}

static int
bind_all(sqlite3_stmt *stmt, const char *types, va_list ap)
{
    int rc = SQLITE_OK;
    for (int i = 1; *types && rc == SQLITE_OK; types++, i++) {
        if (*types == 'i') {
            rc = sqlite3_bind_int64(stmt, i, va_arg(ap, int64_t));
        } else if (*types == 't') {
            rc = sqlite3_bind_text(stmt, i, va_arg(ap, const char *), -1, SQLITE_STATIC);
        } else {
            assert(*types == 'b');
            const void *bytes = va_arg(ap, const void *);
            size_t n = va_arg(ap, size_t);
            rc = bytes ? sqlite3_bind_blob64(stmt, i, n ? bytes : "", n, SQLITE_STATIC)
                       : sqlite3_bind_null(stmt, i);
        }
    }
    return rc;
}

static int
conn_bind_va(struct conn *c, enum sql q, sqlite3_stmt **ret_stmt, const char *types, va_list ap)
{
    if (!c->stmt[q]) {
        int rc = sqlite3_prepare_v3(c->db, sql_text[q], -1, SQLITE_PREPARE_PERSISTENT, &c->stmt[q],
                                    NULL);
        if (rc != SQLITE_OK)
            return rc;
    }
    *ret_stmt = c->stmt[q];
    return bind_all(c->stmt[q], types, ap);
}

int
conn_bind(struct conn *c, enum sql q, sqlite3_stmt **ret_stmt, const char *types, ...)
{
    va_list ap;
    va_start(ap, types);
    int rc = conn_bind_va(c, q, ret_stmt, types, ap);
    va_end(ap);
    return rc;
}

int
conn_next(sqlite3_stmt *stmt)
{
    int rc = sqlite3_step(stmt);
    if (rc != SQLITE_ROW)
        sqlite3_reset(stmt);
    return rc;
}

void
conn_done(sqlite3_stmt *stmt)
{
    sqlite3_reset(stmt);
}

int
conn_do(struct conn *c, enum sql q, const char *types, ...)
{
    sqlite3_stmt *stmt = NULL;
    va_list ap;
    va_start(ap, types);
    int rc = conn_bind_va(c, q, &stmt, types, ap);
    va_end(ap);
    if (rc != SQLITE_OK)
        return rc;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
        ;
    sqlite3_reset(stmt);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int
conn_number(struct conn *c, enum sql q, const char *id, int64_t none, int64_t *ret_n)
{
    sqlite3_stmt *stmt;
    int rc = conn_bind(c, q, &stmt, id ? "t" : "", id);
    if (rc != SQLITE_OK)
        return rc;
    rc = conn_next(stmt);
    *ret_n = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : none;
    if (rc == SQLITE_ROW)
        conn_done(stmt);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

const char *
col_text(sqlite3_stmt *stmt, int i)
{
    const unsigned char *text = sqlite3_column_text(stmt, i);
    return text ? (const char *)text : "";
}

/* ---- errors ---------------------------------------------------------------------------------- */

static bool
is_disk_full(int rc, int os)
{
    return (rc & 0xff) == SQLITE_FULL ||
           ((rc & 0xff) == SQLITE_IOERR && (os == ENOSPC || os == EDQUOT || os == EFBIG));
}

static bool
is_denied(int rc, int os)
{
    int base = rc & 0xff;
    return base == SQLITE_READONLY || base == SQLITE_PERM ||
           (base == SQLITE_CANTOPEN && (os == EACCES || os == EROFS || os == EPERM));
}

struct err *
conn_err(struct conn *c, int rc, const char *doing)
{
    int os = c->db ? sqlite3_system_errno(c->db) : errno;
    int base = rc & 0xff;
    if (base == SQLITE_NOMEM)
        abort();
    if (is_disk_full(rc, os))
        return FAIL(ERR_LIMIT,
                    "%s '%s': the disk is full; free some space and go on, nothing that "
                    "was acknowledged is lost",
                    doing, c->path);
    if (is_denied(rc, os))
        return FAIL(ERR_DENIED,
                    "%s '%s': not allowed to write there; check the folder's "
                    "permissions or choose another one with --store",
                    doing, c->path);
    if (base == SQLITE_NOTADB)
        return FAIL(ERR_INVALID,
                    "%s '%s': this file is not a database; move it away or choose "
                    "another folder with --store",
                    doing, c->path);
    if (base == SQLITE_CORRUPT)
        return FAIL(ERR_INVALID, "%s '%s': the database file is damaged (%s)", doing, c->path,
                    c->db && (sqlite3_errcode(c->db) & 0xff) == base ? sqlite3_errmsg(c->db)
                                                                     : sqlite3_errstr(rc));
    if (base == SQLITE_BUSY || base == SQLITE_LOCKED)
        return FAIL(ERR_TRANSIENT, "%s '%s': another program holds it; close its sqlite3 shell",
                    doing, c->path);
    if (base == SQLITE_CANTOPEN && os == ENOENT)
        return FAIL(ERR_MISSING, "%s '%s': there is no store", doing, c->path);
    if (base == SQLITE_TOOBIG)
        return FAIL(ERR_LIMIT, "%s '%s': a record is too large", doing, c->path);
    return FAIL(ERR_TRANSIENT, "%s '%s': %s (%d%s%s)", doing, c->path, sqlite3_errstr(rc), rc,
                os ? ": " : "", os ? strerror(os) : "");
}
