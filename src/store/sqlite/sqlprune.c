/* sqlprune.c - forgetting ended runs in small steps, so that live runs commit in between.
 *
 * A run's row goes first and its number into `trash`; its records follow, some hundred a step. A
 * process that dies in between leaves work for the next prune and nothing that looks like a run. */
#include "base/vec.h"
#include "store/sqlite/dbcore.h"
#include <stdlib.h>

#define RECORDS_STEP 500
#define RUNS_STEP    64

static int
hashes_read(struct sqlite *l, int64_t from, int64_t to, char ***ret_hashes, size_t *ret_n)
{
    VEC(char *) list = {0};
    sqlite3_stmt *stmt;
    CHECK(conn_bind(&l->writer, SQL_RECORD_HASHES, &stmt, "ii", from, to));
    int rc;
    while ((rc = conn_next(stmt)) == SQLITE_ROW)
        vec_push(&list, xstrdup(col_text(stmt, 0)));
    *ret_hashes = list.at;
    *ret_n = list.len;
    return ok_or(rc);
}

static int
records_drop(struct sqlite *l, int64_t from, int64_t to)
{
    char **hashes = NULL;
    size_t n = 0;
    CHECK(hashes_read(l, from, to, &hashes, &n));
    int rc = conn_do(&l->writer, SQL_RECORDS_DEL, "ii", from, to);
    for (size_t i = 0; i < n; i++) {
        if (rc == SQLITE_OK)
            rc = conn_do(&l->writer, SQL_BLOB_DEL, "t", hashes[i]);
        free(hashes[i]);
    }
    free(hashes);
    return rc;
}

/* Deletes at most *budget records of the first run in the trash; *ret_any false: it is empty. */
static int
trash_step(struct sqlite *l, int64_t *budget, bool *ret_any)
{
    sqlite3_stmt *stmt;
    CHECK(conn_bind(&l->writer, SQL_TRASH_NEXT, &stmt, ""));
    int rc = conn_next(stmt);
    *ret_any = rc == SQLITE_ROW;
    if (rc != SQLITE_ROW)
        return ok_or(rc);
    int64_t no = sqlite3_column_int64(stmt, 0), next = sqlite3_column_int64(stmt, 1);
    int64_t last = sqlite3_column_int64(stmt, 2), to = MIN(last + 1, next + *budget);
    conn_done(stmt);
    CHECK(records_drop(l, pos_of(no, next), pos_of(no, to)));
    *budget -= to - next + 1;
    if (to <= last)
        return conn_do(&l->writer, SQL_TRASH_STEP, "ii", no, to);
    CHECK(conn_do(&l->writer, SQL_SIGNALS_DEL, "i", no));
    return conn_do(&l->writer, SQL_TRASH_DEL, "i", no);
}

static int
runs_drop(struct sqlite *l, struct request *r)
{
    struct gone {
        int64_t no, seq;
    };
    VEC(struct gone) list = {0};
    sqlite3_stmt *stmt;
    CHECK(conn_bind(&l->writer, SQL_PRUNABLE, &stmt, "ii", r->from, (int64_t)RUNS_STEP));
    int rc;
    while ((rc = conn_next(stmt)) == SQLITE_ROW)
        vec_push(&list,
                 ((struct gone){sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 1)}));
    rc = ok_or(rc);
    vec_each (&list, run) {
        if (rc == SQLITE_OK)
            rc = conn_do(&l->writer, SQL_TRASH_PUT, "ii", run->no, run->seq);
        if (rc == SQLITE_OK)
            rc = conn_do(&l->writer, SQL_RUN_DEL, "i", run->no);
    }
    r->number = (int64_t)list.len;
    vec_fini(&list);
    return rc;
}

int
prune_step(struct sqlite *l, struct request *r)
{
    bool any = true;
    for (int64_t budget = RECORDS_STEP; any && budget > 0;)
        CHECK(trash_step(l, &budget, &any));
    r->more = true;
    if (any)
        return SQLITE_OK;
    CHECK(runs_drop(l, r));
    if (r->number > 0)
        return SQLITE_OK;
    r->more = false;
    return conn_do(&l->writer, SQL_DEFS_DEL, "i", l->writer.now_ms - DEF_GRACE_MS);
}
