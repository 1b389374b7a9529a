/* driver.h - what a driver is: one call that carries out a request.
 *
 * Every operation of store.h is a struct request: inputs, then results. The same struct is a job of
 * the commit thread, a frame on the control socket and a call into RAM, so an operation is written
 * once per driver and once in request.c (bounds, bytes), and nowhere else. A driver keeps no
 * pointer into a request after exec has returned. */
#ifndef STORE_DRIVER_H
#define STORE_DRIVER_H
#include "store/record.h"

enum op { /* numbers travel on the control socket: whoever changes them raises CONTROL_VERSION */
          OP_PUT_DEF,
          OP_CREATE,
          OP_CLAIM,
          OP_CLAIM_READY,
          OP_COMMIT, /* store_release too: no record, status 0 */
          OP_SIGNAL,
          OP_CANCEL,
          OP_PRUNE,      /* one bounded step */
          OP_QUARANTINE, /* a reader found the run damaged */
          OP_REAP,       /* the node is dead: its runs are free, one crash more */
          OP_TICK,       /* renew the leases of the nodes in `names`, reap those that ran out */
          OP_KV_PUT,
          OP_KV_DELETE, /* one bounded step */
          OP_WRITES,    /* those above are commits */
          OP_GET_DEF = OP_WRITES,
          OP_READ,
          OP_GET_RUN,
          OP_LIST,
          OP_SIGNALS, /* limit 0: only the numbers in front */
          OP_CHECK,   /* one bounded step */
          OP_KV_GET,
          OP_KV_LIST, /* one page */
          OP_COUNT
};

#define CRASHES_MAX     5 /* in a row without a record: quarantined */
#define LEASE_MS        15000
#define LEASE_RENEW_MS  5000
#define STATUS_RUNNING  1
#define STATUS_ABNORMAL 3 /* quarantined: live, and only a claim by id runs it */
#define STATUS_ENDED    10
#define DEF_GRACE_MS    ((int64_t)3600 * 1000) /* a definition may be there for a run to come */
#define LIST_MAX        1000                   /* rows of one page */
#define KV_STEP         500                    /* keys deleted in one commit */
#define KV_PAGE         ((size_t)1 << 20)      /* a page of a listing ends when it is larger */
#define KV_AFTER_ALL    "\xf4\x8f\xbf\xbf" /* U+10FFFF: behind every text of a key, and in none */
#define PAGE_LIMIT      (RECORD_BODY_MAX + RECORD_BODY_MAX / 2) /* bytes of one answer */

struct request {
    enum op op;
    char node[RUN_ID_LEN]; /* who asks; runs are owned by (node, node_inc) */
    int64_t node_inc;
    int64_t now_ms; /* store time */
    int64_t batch;  /* names the request: asked again after a broken connection it has the same */
    bool retry;     /* asked before, outcome unknown */

    const char *id; /* of a run, or a prefix; of a definition: its hash; OP_REAP: the node */
    struct store_lease lease; /* OP_COMMIT: in and out; OP_CREATE, OP_CLAIM: out */
    const struct store_def *def;
    const struct store_new_run *new_run; /* its records and def are ignored: they are here */
    const struct store_record *records;
    size_t nrecords;
    const struct store_signal *consumed;
    size_t nconsumed;
    int status; /* 0: as it is */
    int64_t wake_at, expires_at;
    bool release;
    const char *name, *dedupe; /* OP_SIGNAL; OP_KV_*: key or prefix, and cursor of a listing */
    const void *body;
    size_t body_len;
    struct store_filter filter;
    int64_t from; /* first seq; cursor of a listing or check; OP_PRUNE: ended_before */
    size_t limit;
    bool force;               /* OP_CANCEL; OP_CLAIM: one that has ended is opened again */
    bool one;                 /* OP_READ: a record alone; more may come, and is not looked at */
    const char *const *names; /* OP_TICK */
    size_t nnames;

    struct err *err; /* from here on: results */
    bool flag;       /* OP_CREATE: existing; OP_SIGNAL: new; OP_KV_GET: found */
    bool more;       /* there is another page or step */
    bool damaged;    /* err says that the journal of the run cannot be trusted */
    bool gone;       /* the owner of the folder went away: find the new one and ask again */
    int64_t number;  /* rows, next cursor */
    struct str page; /* rows as record.h writes them; OP_GET_DEF, OP_KV_GET: the body */
};
/* Frees results; inputs are borrowed. */
void request_fini(struct request *r);
void request_reset(struct request *r); /* results as before exec */
static inline bool
op_writes(enum op op)
{
    return op < OP_WRITES;
}
const char *op_name(enum op op);
/* ERR_INVALID when an input is out of bounds; the store front and the control socket both ask. */
struct err *MUST request_check(const struct request *r);
/* For the control socket: inputs without node, now_ms and node_inc (the owner sets them). */
void request_put(struct str *to, const struct request *r);
struct request_in { /* a decoded request and what its pointers lead to; the bytes are borrowed */
    struct request r;
    struct store_def def;
    struct store_new_run new_run;
    struct store_record *records;
    struct store_signal *consumed;
};
bool request_get(struct bytes_in *in, struct request_in *ret_in); /* false: malformed */
void request_in_fini(struct request_in *q);
void reply_put(struct str *to, const struct request *r);
bool reply_get(struct bytes_in *in, struct request *r);

/* Common answers, so that all drivers say the same. */
struct err *MUST err_no_run(const char *id);
struct err *MUST err_fenced(const char *id);
struct err *MUST err_ended(const char *id);
struct err *MUST err_live(const char *id);
struct err *MUST err_owned(const char *id, const char *owner);
struct err *MUST err_page(const char *id);
struct err *MUST err_kv_damaged(const char *key);
struct err *MUST err_damaged(const char *id, int64_t seq, const char *what);

typedef void (*news_fn)(void *ctx, const char *run_id);
struct driver_ops {
    const char *name;
    void (*exec)(void *driver, struct request *r) YIELDS;
    void (*close)(void *driver) YIELDS;
    void (*numbers)(const void *driver, struct store_numbers *ret_numbers);
};

#endif
