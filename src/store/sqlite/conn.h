/* conn.h - one SQLite connection: statements kept, values bound by a letter each, errors told.
 *
 * Inside this folder only. The writer's connection belongs to the commit thread once it is open,
 * `quick` to the loop, `bulk` to whichever pool thread has its turn. */
#ifndef STORE_SQLITE_CONN_H
#define STORE_SQLITE_CONN_H
#include "store/driver.h"
#include "store/sqlite/sql.h"
#include <sqlite3.h>

struct conn {
    sqlite3 *db;
    const char *path;
    int64_t now_ms; /* what tutti_now_ms() returns */
    bool is_old;    /* read only, and of a schema before kv: there are no values */
    sqlite3_stmt *stmt[SQL_COUNT];
};

enum conn_mode { CONN_WRITER, CONN_READER, CONN_READ_ONLY };
struct err *MUST conn_open(struct conn *c, const char *path, enum conn_mode mode);
void conn_close(struct conn *c);

/* Binds ?1, ?2 .. by types: i int64_t, t text or NULL, b bytes and size_t. */
int conn_bind(struct conn *c, enum sql q, sqlite3_stmt **ret_stmt, const char *types, ...);
/* Runs a statement without rows. */
int conn_do(struct conn *c, enum sql q, const char *types, ...);
/* Steps a bound query: SQLITE_ROW, or SQLITE_DONE or an error after which it is reset. */
int conn_next(sqlite3_stmt *stmt);
/* One number of the first row; `none` when there is no row. */
int conn_number(struct conn *c, enum sql q, const char *id, int64_t none, int64_t *ret_n);
void conn_done(sqlite3_stmt *stmt); /* before the last row was seen */

const char *col_text(sqlite3_stmt *stmt, int i); /* "" for NULL */
/* rc of the last call on c as an error: kind, file and what to do about it. */
struct err *MUST conn_err(struct conn *c, int rc, const char *doing);

#endif
