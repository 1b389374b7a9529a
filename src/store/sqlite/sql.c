/* sql.c - the statements. See sql.h for what they have in common. */
#include "store/sqlite/sql.h"

#define T_BYTES "BLOB"
#define T_KEY   "INTEGER PRIMARY KEY" /* PostgreSQL: BIGINT PRIMARY KEY */
#define T_NOROW "WITHOUT ROWID"       /* PostgreSQL: nothing */

/* What a run's row says beyond its journal's head is summed, so that a flipped bit shows: SQLite
 * itself has no checksums. seq and crc are left out (the journal proves them) and crashes and
 * last_batch, so that ordinary progress (SQL_ADVANCE) does not come by here. PostgreSQL has page
 * checksums: there ROW_SUM is 0 and the triggers are not made. */
#define SUMMED(row)                                                                                \
    row "no, " row "run_id, " row "root_id, " row "parent_id, " row "def_hash, " row "name, " row  \
        "client_key, " row "owner, " row "owner_inc, " row "status, " row "epoch, " row            \
        "sig_seq, " row "cancel, " row "wake_at, " row "created, " row "ended, " row "expires_at"
#define ROW_SUM "tutti_sum(" SUMMED("run.") ")"

/* Values have no order but their keys' (PostgreSQL: COLLATE "C"); each has its own sum. */
#define KV_TABLE                                                                                   \
    "CREATE TABLE kv(key TEXT NOT NULL PRIMARY KEY, sum BIGINT NOT NULL, body " T_BYTES            \
    " NOT NULL);"
#define KV_SUM "tutti_sum(kv.key, kv.body)"

const char *const sql_upgrade[SCHEMA_VERSION] = {[1] = KV_TABLE};

const char *const sql_schema =
    "CREATE TABLE node(node_id TEXT NOT NULL PRIMARY KEY, incarnation "
    "BIGINT NOT "
    "NULL,"
    " lease_until BIGINT NOT NULL, role INT NOT NULL, name TEXT NOT NULL) " T_NOROW ";"
    "CREATE TABLE def(hash TEXT NOT NULL PRIMARY KEY, name TEXT NOT "
    "NULL,"
    " created BIGINT NOT NULL, body " T_BYTES " NOT NULL);"
    "CREATE TABLE run(no " T_KEY ", seq BIGINT NOT NULL, crc BIGINT NOT NULL,"
    " epoch BIGINT NOT NULL, last_batch BIGINT NOT NULL, sig_seq BIGINT NOT NULL,"
    " cancel INT NOT NULL, status INT NOT NULL, crashes INT NOT NULL, wake_at BIGINT "
    "NOT NULL,"
    " owner TEXT, owner_inc BIGINT NOT NULL, created BIGINT NOT NULL, ended BIGINT "
    "NOT NULL,"
    " expires_at BIGINT NOT NULL, run_id TEXT NOT NULL, root_id TEXT NOT NULL, "
    "parent_id TEXT,"
    " def_hash TEXT NOT NULL, name TEXT NOT NULL, client_key TEXT, sum BIGINT NOT "
    "NULL DEFAULT 0);"
    "CREATE TABLE journal(pos " T_KEY ", epoch BIGINT NOT NULL, kind INT NOT NULL,"
    " crc BIGINT NOT NULL, path TEXT NOT NULL, hash TEXT, body " T_BYTES ");"
    "CREATE TABLE blob(hash TEXT NOT NULL PRIMARY KEY, body " T_BYTES " NOT NULL);"
    "CREATE TABLE signal(run_no BIGINT NOT NULL, name TEXT NOT NULL, "
    "dedupe TEXT NOT "
    "NULL,"
    " sig_seq BIGINT NOT NULL, consumed_seq BIGINT NOT NULL, body " T_BYTES " NOT NULL,"
    " PRIMARY KEY(run_no, name, dedupe)) " T_NOROW ";"
    /* Runs that are gone already and whose records are still being deleted. */
    "CREATE TABLE trash(no " T_KEY ", next_seq BIGINT NOT NULL, seq BIGINT NOT NULL);"
    "CREATE UNIQUE INDEX run_id ON run(run_id);"
    "CREATE UNIQUE INDEX run_key ON run(client_key) WHERE client_key IS "
    "NOT NULL;"
    "CREATE INDEX run_parent ON run(parent_id) WHERE parent_id IS NOT "
    "NULL;"
    "CREATE INDEX run_def ON run(def_hash);"
    "CREATE INDEX run_ready ON run(wake_at) WHERE owner IS NULL AND "
    "status<3;" /* the
                   queue
                 */
    "CREATE INDEX run_owned ON run(owner, owner_inc) WHERE owner IS NOT "
    "NULL;"
    "CREATE INDEX run_ended ON run(ended) WHERE status>=10;"
    "CREATE INDEX run_expires ON run(expires_at) WHERE expires_at>0;"
    "CREATE INDEX journal_hash ON journal(hash) WHERE hash IS NOT NULL;"
    "CREATE TRIGGER run_put AFTER INSERT ON run BEGIN"
    " UPDATE run SET sum=tutti_sum(" SUMMED(
        "NEW.") ") WHERE no=NEW.no; END;"
                "CREATE TRIGGER run_change AFTER UPDATE OF owner, "
                "owner_inc, status, "
                "epoch, "
                "sig_seq, cancel,"
                " wake_at, ended, expires_at ON run"
                /* A row that is damaged stays so: a change must not sign it. */
                " WHEN OLD.sum=tutti_sum(" SUMMED(
                    "OLD.") ") BEGIN"
                            " UPDATE run SET sum=tutti_sum(" SUMMED(
                                "NEW.") ") WHERE no=NEW.no; END;" KV_TABLE;

#define LEASE_COLUMNS "run.run_id, run.epoch, run.seq, run.sig_seq, run.no, run.crc"
#define RUN_COLUMNS                                                                                \
    "no, run_id, root_id, parent_id, def_hash, name, client_key, owner, status, epoch, seq,"       \
    " sig_seq, cancel, wake_at, crashes, created, ended, expires_at, owner_inc, sum=" ROW_SUM

const char *const sql_text[SQL_COUNT] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",

    [SQL_NODE_PUT] = "INSERT INTO node(node_id, incarnation, lease_until, role, name)"
                     " VALUES(?1, ?2, tutti_now_ms()+15000, ?3, ?4) ON CONFLICT(node_id)"
                     " DO UPDATE SET lease_until=excluded.lease_until, role=excluded.role",
    [SQL_NODE_RENEW] = "UPDATE node SET lease_until=tutti_now_ms()+15000 WHERE node_id=?1",
    [SQL_NODE_DEL] = "DELETE FROM node WHERE node_id=?1",
    [SQL_NODES_DEAD] = "SELECT node_id FROM node WHERE node_id<>?1"
                       " AND (role=1 OR lease_until<tutti_now_ms())",
    [SQL_CLOCK] = "SELECT COALESCE(MAX(lease_until)-15000, 0) FROM node",
    [SQL_LAST_NO] = "SELECT COALESCE(MAX(no), 0) FROM (SELECT MAX(no) AS no FROM run"
                    " UNION ALL SELECT MAX(no) FROM trash) AS known",
    [SQL_ANY_OWNED] = "SELECT 1 FROM run WHERE owner IS NOT NULL LIMIT 1",
    [SQL_REAP] = "UPDATE run SET owner=NULL, epoch=epoch+1, crashes=crashes+1, wake_at=0,"
                 " status=CASE WHEN crashes>=4 THEN 3 ELSE status END WHERE owner=?1",
    [SQL_SWEEP] = "UPDATE run SET owner=NULL, epoch=epoch+1, wake_at=0 WHERE owner IS NOT NULL"
                  " AND NOT EXISTS (SELECT 1 FROM node WHERE node.node_id=run.owner"
                  " AND node.incarnation=run.owner_inc)",

    [SQL_DEF_PUT] = "INSERT INTO def(hash, name, created, body)"
                    " VALUES(?1, ?2, tutti_now_ms(), ?3) ON CONFLICT(hash) DO NOTHING",
    [SQL_DEF_GET] = "SELECT body FROM def WHERE hash=?1",
    [SQL_RUN_BY_KEY] = "SELECT " LEASE_COLUMNS ", last_batch FROM run WHERE client_key=?1",
    [SQL_RUN_BY_ID] = "SELECT " LEASE_COLUMNS ", last_batch, status, owner, cancel,"
                      " sum=" ROW_SUM " FROM run WHERE run_id=?1",
    [SQL_RUN_BY_NO] = "SELECT " LEASE_COLUMNS ", last_batch FROM run WHERE no=?1",
    [SQL_RUN_PUT] =
        "INSERT INTO run(no, seq, crc, epoch, last_batch, sig_seq, cancel, status, crashes,"
        " wake_at, owner, owner_inc, created, ended, expires_at, run_id, root_id, parent_id,"
        " def_hash, name, client_key) VALUES(?1, ?2, ?3, 1, ?4, 0, 0, ?5, 0, 0, ?6, ?7,"
        " tutti_now_ms(), 0, 0, ?8, ?9, ?10, ?11, ?12, ?13)",
    [SQL_ADVANCE] = "UPDATE run SET seq=?2, crc=?3, last_batch=?4, crashes=0 WHERE no=?1"
                    " AND epoch=?5 AND seq=?6 AND crc=?7 AND status=?8 AND owner IS NOT NULL",
    [SQL_CHANGE] = "UPDATE run SET seq=?2, crc=?3, last_batch=?4,"
                   " crashes=CASE WHEN ?9>0 THEN 0 ELSE crashes END,"
                   " status=CASE WHEN ?8>0 THEN ?8 ELSE status END,"
                   " wake_at=CASE WHEN ?10=0 THEN wake_at WHEN sig_seq=?11 THEN ?12 ELSE 0 END,"
                   " owner=CASE WHEN ?10=0 THEN owner ELSE NULL END,"
                   " ended=CASE WHEN ?8>=10 THEN tutti_now_ms() ELSE ended END,"
                   " expires_at=CASE WHEN ?8>=10 THEN ?13 ELSE expires_at END"
                   " WHERE no=?1 AND epoch=?5 AND seq=?6 AND crc=?7 AND owner IS NOT NULL",
    [SQL_RECORD_PUT] = "INSERT INTO journal(pos, epoch, kind, crc, path, hash, body)"
                       " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [SQL_RECORD_SEEN] = "SELECT epoch, crc FROM journal WHERE pos=?1",
    [SQL_BLOB_PUT] = "INSERT INTO blob(hash, body) VALUES(?1, ?2) ON CONFLICT(hash) DO NOTHING",

    [SQL_CLAIM] = "UPDATE run SET owner=?2, owner_inc=?3, epoch=epoch+1, last_batch=?4"
                  " WHERE no=?1 AND owner IS NULL AND status<10",
    [SQL_REOPEN] = "UPDATE run SET owner=?2, owner_inc=?3, epoch=epoch+1, last_batch=?4, status=1,"
                   " cancel=0, crashes=0, wake_at=0, ended=0, expires_at=0"
                   " WHERE no=?1 AND owner IS NULL AND status>=10",
    [SQL_CLAIM_READY] =
        "WITH c AS MATERIALIZED (SELECT no FROM run WHERE owner IS NULL AND status<3"
        " AND wake_at<=tutti_now_ms() AND sum=" ROW_SUM " ORDER BY wake_at LIMIT ?4)"
        " UPDATE run SET owner=?1, owner_inc=?2, epoch=epoch+1, last_batch=?3 FROM c"
        " WHERE run.no=c.no RETURNING " LEASE_COLUMNS,
    [SQL_CLAIMED] = "SELECT " LEASE_COLUMNS " FROM run WHERE owner=?1 AND owner_inc=?2"
                    " AND last_batch=?3",

    [SQL_SIGNAL_HAS] = "SELECT 1 FROM signal WHERE run_no=?1 AND name=?2 AND dedupe=?3",
    [SQL_SIGNAL_PUT] = "INSERT INTO signal(run_no, name, dedupe, sig_seq, consumed_seq, body)"
                       " VALUES(?1, ?2, ?3, ?4, 0, ?5)",
    [SQL_SIGNAL_NOTE] = "UPDATE run SET sig_seq=sig_seq+1, wake_at=0 WHERE no=?1",
    [SQL_SIGNAL_USE] = "UPDATE signal SET consumed_seq=?4 WHERE run_no=?1 AND name=?2"
                       " AND dedupe=?3 AND consumed_seq=0",
    [SQL_CANCEL] =
        "WITH RECURSIVE tree(run_id) AS (SELECT run_id FROM run WHERE run_id=?1"
        " UNION SELECT run.run_id FROM run JOIN tree ON run.parent_id=tree.run_id)"
        " UPDATE run SET cancel=CASE WHEN cancel<?2 THEN ?2 ELSE cancel END, sig_seq=sig_seq+1,"
        " wake_at=0, epoch=epoch+?3, owner=CASE WHEN ?3=1 THEN NULL ELSE owner END"
        " WHERE run_id IN (SELECT run_id FROM tree) AND status<10 RETURNING run.run_id",
    [SQL_QUARANTINE] =
        "UPDATE run SET status=3, epoch=epoch+1, owner=NULL WHERE run_id=?1 AND status<10",

    [SQL_TRASH_NEXT] = "SELECT no, next_seq, seq FROM trash ORDER BY no LIMIT 1",
    [SQL_TRASH_STEP] = "UPDATE trash SET next_seq=?2 WHERE no=?1",
    [SQL_TRASH_DEL] = "DELETE FROM trash WHERE no=?1",
    [SQL_TRASH_PUT] = "INSERT INTO trash(no, next_seq, seq) VALUES(?1, 1, ?2)",
    [SQL_RUN_DEL] = "DELETE FROM run WHERE no=?1",
    [SQL_SIGNALS_DEL] = "DELETE FROM signal WHERE run_no=?1",
    [SQL_PRUNABLE] =
        "SELECT no, seq FROM run WHERE status>=10 AND expires_at>0 AND expires_at<=tutti_now_ms()"
        " UNION SELECT no, seq FROM run WHERE status>=10 AND ended<?1 LIMIT ?2",
    [SQL_RECORD_HASHES] =
        "SELECT DISTINCT hash FROM journal WHERE pos>=?1 AND pos<?2 AND hash IS NOT NULL",
    [SQL_RECORDS_DEL] = "DELETE FROM journal WHERE pos>=?1 AND pos<?2",
    [SQL_BLOB_DEL] = "DELETE FROM blob WHERE hash=?1"
                     " AND NOT EXISTS (SELECT 1 FROM journal WHERE journal.hash=?1)",
    [SQL_DEFS_DEL] = "DELETE FROM def WHERE created<?1"
                     " AND NOT EXISTS (SELECT 1 FROM run WHERE run.def_hash=def.hash)",

    [SQL_JOURNAL] = "SELECT journal.pos, journal.kind, journal.crc, journal.path, journal.hash,"
                    " journal.body, blob.body FROM journal LEFT JOIN blob"
                    " ON blob.hash=journal.hash WHERE journal.pos>=?1 AND journal.pos<=?2"
                    " ORDER BY journal.pos",
    [SQL_RECORD_CRC] = "SELECT crc FROM journal WHERE pos=?1",
    [SQL_RUN_FULL] = "SELECT " RUN_COLUMNS " FROM run WHERE run_id=?1",
    [SQL_RUN_PREFIX] =
        "SELECT " RUN_COLUMNS " FROM run WHERE run_id>=?1 AND run_id<?2 ORDER BY run_id LIMIT 2",
    [SQL_RUN_LIST] = "SELECT " RUN_COLUMNS " FROM run WHERE (?1=0 OR no<?1)"
                     " AND (?2=0 OR status<10) AND (?3=0 OR status=?3)"
                     " AND (?4 IS NULL OR name=?4) AND (?5=0 OR created<?5)"
                     " ORDER BY no DESC LIMIT ?6",
    [SQL_SIGNALS] = "SELECT name, dedupe, consumed_seq, body FROM signal WHERE run_no=?1"
                    " ORDER BY sig_seq",
    [SQL_ORPHANS] = "SELECT COUNT(*) FROM run WHERE owner IS NOT NULL AND NOT EXISTS"
                    " (SELECT 1 FROM node WHERE node.node_id=run.owner"
                    " AND node.incarnation=run.owner_inc)",
    [SQL_CHECK_RUNS] =
        "SELECT no, seq, crc, run_id, status, owner, wake_at, sum=" ROW_SUM " FROM run WHERE no>?1"
        " ORDER BY no LIMIT ?2",
    [SQL_CHECK_COUNT] = "SELECT COUNT(*), COALESCE(MAX(pos), 0) FROM journal WHERE pos>?1"
                        " AND pos<?2",

    [SQL_KV_PUT] = "INSERT INTO kv(key, sum, body) VALUES(?1, tutti_sum(?1, ?2), ?2)"
                   " ON CONFLICT(key) DO UPDATE SET sum=excluded.sum, body=excluded.body",
    [SQL_KV_DEL] = "DELETE FROM kv WHERE key IN (SELECT key FROM kv WHERE key>=?1 AND key<?2"
                   " ORDER BY key LIMIT ?3)",
    [SQL_KV_GET] = "SELECT body, sum=" KV_SUM " FROM kv WHERE key=?1",
    [SQL_KV_LIST] = "SELECT body, sum=" KV_SUM ", key FROM kv WHERE key>=?1 AND key>?2 AND key<?3"
                    " ORDER BY key LIMIT ?4",
    [SQL_KV_DAMAGED] = "SELECT COUNT(*) FROM kv WHERE sum<>" KV_SUM,
};
