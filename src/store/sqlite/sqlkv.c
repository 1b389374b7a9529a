/* sqlkv.c - the values: written in the batch's transaction, read through a reader's connection. */
#include "store/sqlite/dbcore.h"
#include <string.h>

/* Everything that begins with `prefix` is before this; KV_AFTER_ALL is in no key. */
static void
range_end(const char *prefix, char end[KV_KEY_MAX + sizeof KV_AFTER_ALL])
{
    snprintf(end, KV_KEY_MAX + sizeof KV_AFTER_ALL, "%s%s", prefix, KV_AFTER_ALL);
}

int
kv_write(struct sqlite *l, struct request *r)
{
    if (r->op == OP_KV_PUT)
        return conn_do(&l->writer, SQL_KV_PUT, "tb", r->name, r->body ? r->body : "", r->body_len);
    char end[KV_KEY_MAX + sizeof KV_AFTER_ALL];
    range_end(r->name, end);
    CHECK(conn_do(&l->writer, SQL_KV_DEL, "tti", r->name, end, (int64_t)KV_STEP));
    r->number = sqlite3_changes(l->writer.db);
    r->more = r->number == KV_STEP;
    return SQLITE_OK;
}

static int
get(struct conn *c, struct request *r)
{
    sqlite3_stmt *stmt;
    CHECK(conn_bind(c, SQL_KV_GET, &stmt, "t", r->name));
    int rc = conn_next(stmt);
    if (rc != SQLITE_ROW)
        return ok_or(rc);
    r->flag = true;
    const void *body = sqlite3_column_blob(stmt, 0);
    if (sqlite3_column_int(stmt, 1))
        str_addn(&r->page, body, (size_t)sqlite3_column_bytes(stmt, 0));
    else
        r->err = err_kv_damaged(r->name);
    conn_done(stmt);
    return SQLITE_OK;
}

static void
row_put(sqlite3_stmt *stmt, struct str *page)
{
    const void *body = sqlite3_column_blob(stmt, 0); /* NULL when it is empty, too */
    size_t n = (size_t)sqlite3_column_bytes(stmt, 0);
    bool good = sqlite3_column_int(stmt, 1);
    kv_put(page, col_text(stmt, 2), good ? (body ? body : "") : NULL, good ? n : 0);
}

static int
list(struct conn *c, struct request *r)
{
    sqlite3_stmt *stmt;
    char end[KV_KEY_MAX + sizeof KV_AFTER_ALL];
    range_end(r->name, end);
    CHECK(conn_bind(c, SQL_KV_LIST, &stmt, "ttti", r->name, r->dedupe ? r->dedupe : "", end,
                    (int64_t)LIST_MAX + 1));
    int rc;
    while ((rc = conn_next(stmt)) == SQLITE_ROW) {
        if (r->number == LIST_MAX || r->page.len > KV_PAGE) {
            r->more = true;
            conn_done(stmt);
            break;
        }
        row_put(stmt, &r->page);
        r->number++;
    }
    return ok_or(rc);
}

int
kv_read(struct conn *c, struct request *r)
{
    if (c->is_old)
        return SQLITE_OK;
    return r->op == OP_KV_GET ? get(c, r) : list(c, r);
}

int
kv_damaged(struct conn *c, int64_t *ret_n)
{
    *ret_n = 0;
    return c->is_old ? SQLITE_OK : conn_number(c, SQL_KV_DAMAGED, NULL, 0, ret_n);
}
