/* sqlite.h - the embedded store: one file, one writer.
 *
 * A thread of its own commits: it takes all requests that came while the last fsync ran and makes
 * them durable with one (synchronous=FULL). That connection is the only one that writes and
 * checkpoints; readers have their own, which can do neither. (SQLite up to 3.51.2 can corrupt a
 * WAL when two connections write or checkpoint at once; one writer makes that impossible.)
 *
 * The caller holds the folder's lock: no other process has the file open for writing. */
#ifndef STORE_SQLITE_SQLITE_H
#define STORE_SQLITE_SQLITE_H
#include "store/driver.h"

struct sqlite_opts {
    const char *path; /* of the database; made if absent */
    const char *node, *node_name;
    bool adopt;     /* node was a guest of the folder's former owner: its runs stay its */
    bool read_only; /* nobody may hold the lock; nothing is written */
    news_fn news;   /* called on the loop after a signal or cancel was committed */
    void *news_ctx;
};
extern const struct driver_ops sqlite_ops;
struct sqlite;
/* ERR_MISSING (read_only and no file), ERR_INVALID (not a tutti store, or a newer one's),
 * ERR_DENIED, ERR_LIMIT (disk full), ERR_TRANSIENT. *ret_clock: the time that an earlier process
 * has seen. */
struct err *MUST sqlite_open(const struct sqlite_opts *opts, struct sqlite **OWN ret_db,
                             int64_t *ret_clock) YIELDS;

#endif
