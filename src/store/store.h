/* store.h - durable runs as bytes, keys and sequence numbers.
 *
 * One run is one row: its state, its place in the queue, its timer and its lease are columns of the
 * same row, so they cannot disagree. All that happened to it is its journal: records numbered 1, 2,
 * 3, ... Every write carries the epoch its writer got with the claim; a writer that lost the run
 * gets ERR_DENIED ("fenced") and has changed nothing. A commit that returned NULL survives kill -9
 * and the loss of power (SQLite: WAL, synchronous=FULL).
 *
 * The store knows no JSON and no node. Its drivers: mem (tests), sqlite (embedded default), remote
 * (a second process on the same folder, through the owner's control socket). Errors: ERR_DENIED
 * fenced, ERR_MISSING no such run, ERR_INVALID corrupted record, ERR_LIMIT disk full or folder in
 * use, ERR_TRANSIENT input/output. */
#ifndef STORE_STORE_H
#define STORE_STORE_H
#include "base/str.h"

#define RECORD_BODY_MAX ((size_t)64 << 20) /* of the records of one commit together */
#define RECORD_PATH_MAX 4096
#define RECORDS_MAX     4096 /* in one commit */
#define RUN_ID_LEN      27   /* Crockford base 32 of time and chance, sorts by time; and the NUL */

struct store_record { /* one line of a journal */
    int64_t seq;      /* set by the store when reading */
    int kind;         /* the engine's number */
    const char *path; /* the node path, or "" */
    const void *body;
    size_t body_len; /* larger than 4 KB: kept once in the blob table, by hash */
};

struct store_run { /* a run row; strings belong to the row (store_run_fini) */
    char id[RUN_ID_LEN];
    char root_id[RUN_ID_LEN], parent_id[RUN_ID_LEN];
    char *def_hash, *name, *client_key;
    int status; /* model/status.h: < 10 live, >= 10 ended */
    int64_t epoch, seq, sig_seq;
    int cancel;      /* 0 no, 1 cooperative, 2 forced */
    int64_t wake_at; /* wall ms; INT64_MAX: only a signal wakes it; 0: as soon as possible */
    char *owner;     /* node id or NULL */
    int64_t owner_inc;
    int crashes;
    int64_t created, ended, expires_at; /* wall ms; 0: not */
};
void store_run_fini(struct store_run *r);

struct store_def {
    const char *hash, *name;
    const void *body;
    size_t body_len;
};
struct store_new_run {
    const char *id;                  /* chosen by the caller */
    const char *root_id, *parent_id; /* NULL: a root run */
    const char *def_hash, *name;
    const char *client_key;             /* start is idempotent by it; NULL: none */
    const struct store_def *def;        /* put in the same commit; NULL: it is there already */
    const struct store_record *records; /* the first ones; seq from 1 */
    size_t nrecords;
    int status;
};
struct store_lease { /* what a claim gives; carried by every commit */
    char id[RUN_ID_LEN];
    int64_t epoch, seq, sig_seq; /* sig_seq: signals and cancels seen so far (store_take_news) */
    int64_t row;                 /* the store's number of the run */
    uint32_t crc;                /* of the last record: the head of the checksum chain */
};
struct store_commit {
    struct store_lease *lease;          /* seq is advanced on success */
    const struct store_record *records; /* seq ignored */
    size_t nrecords;
    int status;
    int64_t wake_at;    /* with release: when to run next; 0, or a signal came since: at once */
    bool release;       /* give the run up: parked or ended */
    int64_t expires_at; /* for ended runs; 0: never */
    const struct store_signal *consumed; /* by name and dedupe, with the last record */
    size_t nconsumed;
};
struct store_signal { /* also mailbox and approvals */
    char *name, *dedupe, *body;
    size_t body_len;
    int64_t consumed_seq; /* 0: not yet */
};
struct store_filter { /* for listings; zero fields do not filter */
    bool live_only;
    int status;
    const char *name;
    int64_t created_before;
    size_t limit;
};
struct store_invariants { /* each must be 0; doctor prints them */
    int64_t lost_runs;    /* live, unowned and never to wake */
    int64_t gaps;         /* seq differs from count or maximum of the journal */
    int64_t orphans;      /* owned by a node that is not there */
    int64_t damaged;      /* records and values whose checksum is wrong */
};

struct store_mem; /* what a mem store holds: lives on when its store is closed, as a disk would */
struct store_mem *OWN store_mem_new(void);
void store_mem_free(struct store_mem *OWN m); /* no store may be open on it; accepts NULL */

struct store;
struct store_opts {
    const char *dir;       /* folder of the embedded store; made if absent. NULL: mem */
    struct store_mem *mem; /* dir NULL: this one, shared with former and further stores; or NULL */
    const char *node_name; /* for people, in `node`; NULL: host and pid */
    int64_t busy_ms;       /* how long to try for the folder's lock or its owner's socket; 0: 3 s */
    int64_t renew_ms;      /* how often leases are looked after; 0: 5 s */
    bool read_only;        /* listings only: never takes the lock */
};
/* The process that gets the folder's lock opens the database and serves others on DIR/control.sock;
 * a later process is connected to it and, when it goes, takes the lock over. */
struct err *MUST store_open(const struct store_opts *opts, struct store **OWN ret_store) YIELDS;
void store_close(struct store *OWN s) YIELDS;
const char *store_driver(const struct store *s); /* "mem", "sqlite", "remote" */
/* Wall time as the store sees it: never before what an earlier process has seen. Compute wake_at
 * and expires_at from it. */
int64_t store_now_ms(const struct store *s);

struct err *MUST store_put_def(struct store *s,
                               const struct store_def *def) YIELDS; /* idempotent */
struct err *MUST store_get_def(struct store *s, const char *hash, struct str *ret_body) YIELDS;

/* Creates the run, owned by this process, in one commit. When client_key or id is taken nothing is
 * created: *ret_existing tells, and ret_lease->id is the run that has it. */
struct err *MUST store_create(struct store *s, const struct store_new_run *run,
                              struct store_lease *ret_lease, bool *ret_existing) YIELDS;
/* Takes one run: ERR_LIMIT while another live process owns it, ERR_INVALID when it has ended. */
struct err *MUST store_claim(struct store *s, const char *id, struct store_lease *ret_lease) YIELDS;
/* Takes one that has ended: it is live from now on. ERR_INVALID when it has not ended. */
struct err *MUST store_reopen(struct store *s, const char *id,
                              struct store_lease *ret_lease) YIELDS;
/* Takes up to max runs that are ready now (unowned, live, wake_at reached). */
struct err *MUST store_claim_ready(struct store *s, size_t max, struct store_lease *ret_leases,
                                   size_t *ret_n) YIELDS;
struct err *MUST store_commit(struct store *s, struct store_commit *c) YIELDS;
struct err *MUST store_release(struct store *s, struct store_lease *lease,
                               int64_t wake_at) YIELDS; /* no record */

/* Reads records from first_seq on, in order; fn may stop by returning an error. Bodies are whole,
 * blobs included; checksums are verified (ERR_INVALID names the record). */
typedef struct err *(*store_record_fn)(void *ctx, const struct store_record *r);
struct err *MUST store_read(struct store *s, const char *id, int64_t first_seq, store_record_fn fn,
                            void *ctx) YIELDS;
/* The same for one record; ERR_MISSING: there is none. */
struct err *MUST store_read_one(struct store *s, const char *id, int64_t seq, store_record_fn fn,
                                void *ctx) YIELDS;
struct err *MUST store_get_run(struct store *s, const char *id, struct store_run *ret_run)
    YIELDS; /* prefix of an id too, when unique */
typedef struct err *(*store_run_fn)(void *ctx, const struct store_run *r);
struct err *MUST store_list(struct store *s, const struct store_filter *f, store_run_fn fn,
                            void *ctx) YIELDS; /* newest first */

/* Stored even before anyone waits. *ret_new false: the same dedupe key was there. */
struct err *MUST store_signal(struct store *s, const char *id, /* tidy: the columns of one row */
                              const char *name, const char *dedupe, const void *body, size_t n,
                              bool *ret_new) YIELDS;
struct err *MUST store_signals(struct store *s, const char *id,
                               struct store_signal **OWN ret_signals, size_t *ret_n) YIELDS;
void store_signals_free(struct store_signal *OWN signals, size_t n);
/* Cancels a whole tree of runs. force: fences the owner at once (epoch + 1). */
struct err *MUST store_cancel(struct store *s, const char *id, bool force) YIELDS;
/* True once when a signal or cancel may have come for this run since it was last asked. */
bool store_has_news(struct store *s, const char *id);
struct err *MUST store_cancel_state(struct store *s, const char *id, int *ret_cancel) YIELDS;
/* All signals and the cancel state of a run one owns, in one read; lease->sig_seq is brought up to
 * them, so that a release waits for later ones only. */
struct err *MUST store_take_news(struct store *s, struct store_lease *lease,
                                 struct store_signal **OWN ret_signals, size_t *ret_n,
                                 int *ret_cancel) YIELDS;

/* Deletes ended runs: those expired, and (before > 0) those that ended before it; with the blobs
 * and definitions nobody else uses. In small commits, between those of live runs. */
struct err *MUST store_prune(struct store *s, int64_t ended_before, size_t *ret_runs) YIELDS;
struct err *MUST store_check(struct store *s, struct store_invariants *ret_inv) YIELDS;
/* Small values of the process's own, beside the runs: what must outlive it and belongs to no run.
 * A key is at most 512 bytes of UTF-8 without control characters, a value 1 MB. The last put wins,
 * whoever makes it; a put that failed may be in doubt, as a commit is. */
struct err *MUST store_kv_put(struct store *s, const char *key, const void *body, size_t n) YIELDS;
/* ret_body is appended to. ERR_INVALID: the value is damaged. */
struct err *MUST store_kv_get(struct store *s, const char *key, struct str *ret_body,
                              bool *ret_found) YIELDS;
/* Those whose key begins with prefix ("": all), by key, bytes compared; in pages, so that a put in
 * between may be seen or not. body NULL: damaged. fn may stop by returning an error. */
typedef struct err *(*store_kv_fn)(void *ctx, const char *key, const void *body, size_t n);
struct err *MUST store_kv_list(struct store *s, const char *prefix, store_kv_fn fn,
                               void *ctx) YIELDS;
/* Deletes all whose key begins with prefix, in commits of some hundred. */
struct err *MUST store_kv_delete(struct store *s, const char *prefix, size_t *ret_n) YIELDS;
struct store_numbers { /* since open, of this process's database; a remote store knows two */
    int64_t commits, records, bytes, fsyncs, batches;
};
void store_numbers(const struct store *s, struct store_numbers *ret_numbers);

/* 26 characters: 48 bits of wall time, 80 bits of chance. */
void store_make_id(int64_t wall_ms, const unsigned char random[10], char ret_id[RUN_ID_LEN]);

/* For tests of crash behaviour: called before each commit is made durable (n counts from 1) and
 * after; when it returns false the commit must not be acknowledged (and before: not made). */
void store_on_commit(struct store *s, bool (*fn)(void *ctx, int64_t n, bool after), void *ctx);

#endif
