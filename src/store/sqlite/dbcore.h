/* dbcore.h - the inside of the SQLite driver, for the files of this folder. */
#ifndef STORE_SQLITE_DBCORE_H
#define STORE_SQLITE_DBCORE_H
#include "base/map.h"
#include "rt/sync.h"
#include "rt/worker.h"
#include "store/sqlite/conn.h"
#include "store/sqlite/sqlite.h"
#include <stdatomic.h>

#define BATCH_MAX 256

struct sqlite {
    char *path;
    char node[RUN_ID_LEN];
    char *node_name;
    bool read_only, adopt;
    news_fn news;
    void *news_ctx;
    struct conn quick, bulk; /* readers, opened when first used */
    struct sem bulk_turn;
    struct worker *worker; /* NULL: read only */
    struct store_numbers numbers;
    _Atomic int64_t batches; /* committed; counted by the commit thread */
    /* From here on the commit thread's. */
    struct conn writer;
    bool started;      /* this process is registered, the dead are reaped */
    struct map *nodes; /* known to be in the table */
    int64_t last_no;
};

/* Carries out one write inside the open transaction. An SQLite error is returned and means that the
 * transaction is spoilt; everything else (fenced, missing) is r->err and has changed nothing. */
int write_one(struct sqlite *l, struct request *r);
void write_settle(struct request *r); /* once the transaction is durable */
int write_start(struct sqlite *l);    /* first transaction: register, reap the dead */
int prune_step(struct sqlite *l, struct request *r);
int kv_write(struct sqlite *l, struct request *r);

#define CHECK(call)                                                                                \
    do {                                                                                           \
        int check_ = (call);                                                                       \
        if (check_ != SQLITE_OK)                                                                   \
            return check_;                                                                         \
    } while (0)
static inline int
ok_or(int rc) /* the end of a query is not an error */
{
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

/* Reads through c; failures go to r->err. */
void read_one(struct conn *c, struct request *r);

int kv_read(struct conn *c, struct request *r);
int kv_damaged(struct conn *c, int64_t *ret_n);

/* Columns behind LEASE_COLUMNS in SQL_RUN_BY_ID; the first also in SQL_RUN_BY_KEY and _NO. */
enum { COL_BATCH = 6, COL_STATUS, COL_OWNER, COL_CANCEL, COL_INTACT };

static inline int64_t
pos_of(int64_t no, int64_t seq)
{
    return (no << SEQ_BITS) + seq;
}

#endif
