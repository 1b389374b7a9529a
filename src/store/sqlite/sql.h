/* sql.h - every statement of the store, as text.
 *
 * The DML is written once for SQLite and PostgreSQL: explicit parameter numbers (?1, which a
 * PostgreSQL driver turns into $1), RETURNING with qualified columns, tutti_now_ms() for the time,
 * no upsert beyond ON CONFLICT. Only the schema differs, by the type macros of sql.c.
 *
 * Places that matter:
 * - journal.pos = run.no * 2^24 + seq: one integer key keeps a run's records together and in order.
 *   Compared with a (run, seq) key without rowid it took 25 to 30 % less CPU per commit and, with
 *   bodies of 2 KB, a third of the pages.
 * - There is no index on (run, path): a run is read whole, in one range.
 * - Blobs have no counter. A counter and the rows it counts can disagree; the partial index
 *   journal_hash answers "does anyone still use it" when something is deleted. */
#ifndef STORE_SQLITE_SQL_H
#define STORE_SQLITE_SQL_H

#define SCHEMA_VERSION 2          /* 2: with kv */
#define SCHEMA_APP_ID  0x74747474 /* "tttt" in the file's header: a tutti store */
#define SEQ_BITS       24

enum sql {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_NODE_PUT, /* node, incarnation, role, name */
    SQL_NODE_RENEW,
    SQL_NODE_DEL,
    SQL_NODES_DEAD, /* owners other than node ?1; nodes whose lease ran out */
    SQL_CLOCK,
    SQL_LAST_NO,
    SQL_ANY_OWNED,
    SQL_REAP,
    SQL_SWEEP,
    SQL_DEF_PUT,
    SQL_DEF_GET,
    SQL_RUN_BY_KEY,
    SQL_RUN_BY_ID,
    SQL_RUN_BY_NO,
    SQL_RUN_PUT,
    SQL_ADVANCE, /* the hot one: nothing but progress, no index is touched */
    SQL_CHANGE,  /* a commit that may also change status, owner and timer */
    SQL_RECORD_PUT,
    SQL_RECORD_SEEN, /* who wrote this record? */
    SQL_BLOB_PUT,
    SQL_CLAIM,
    SQL_REOPEN,
    SQL_CLAIM_READY,
    SQL_CLAIMED, /* by that batch */
    SQL_SIGNAL_HAS,
    SQL_SIGNAL_PUT,
    SQL_SIGNAL_NOTE,
    SQL_SIGNAL_USE,
    SQL_CANCEL,
    SQL_QUARANTINE,
    SQL_TRASH_NEXT,
    SQL_TRASH_STEP,
    SQL_TRASH_DEL,
    SQL_TRASH_PUT,
    SQL_RUN_DEL,
    SQL_SIGNALS_DEL,
    SQL_PRUNABLE,
    SQL_RECORD_HASHES,
    SQL_RECORDS_DEL,
    SQL_BLOB_DEL,
    SQL_DEFS_DEL,
    SQL_JOURNAL,
    SQL_RECORD_CRC,
    SQL_RUN_FULL,
    SQL_RUN_PREFIX,
    SQL_RUN_LIST,
    SQL_SIGNALS,
    SQL_ORPHANS,
    SQL_CHECK_RUNS,
    SQL_CHECK_COUNT,
    SQL_KV_PUT,
    SQL_KV_DEL,
    SQL_KV_GET,
    SQL_KV_LIST,
    SQL_KV_DAMAGED,
    SQL_COUNT
};
extern const char *const sql_text[SQL_COUNT];
extern const char *const sql_schema;
/* [n]: what makes schema n + 1 of schema n; NULL at 0 (sql_schema makes the newest at once). */
extern const char *const sql_upgrade[SCHEMA_VERSION];

#endif
