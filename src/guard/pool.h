/* pool.h - connections that are costly to make, kept and shared by key.
 *
 * The members of a group are alike: the same server, or the same server for the same run. A taker
 * gets the least used member that is well, or waits until one has been opened. One opening serves
 * all who wait, in a fiber of its own: nobody's cancellation ends it for the others, and when it
 * fails, all of them are told. Members are shared: many may hold one at a time.
 *
 * A group grows while more takers than members are there, up to members_max: by one at first, and
 * by the rest when that one has succeeded, so that what cannot be opened is tried once. Takers are
 * spread evenly over the members that are there and those that are coming; who has waited for
 * POOL_PATIENCE_MS shares what there is.
 *
 * Bounds. `total` members of all groups, opening and closing ones counted: to make room, the one
 * that rests longest is closed; while none rests, groups without any member wait in order of
 * arrival (the others share). `per_owner` different members held by one owner at a time: beyond, it
 * shares its own, or waits in order until it gives one back.
 *
 * After the first failure of a row the next opening starts at once, then not before a back-off has
 * passed (250 ms, doubled up to 30 s): takers wait for it when it is shorter than backoff_wait_ms
 * and their deadline, else they are told (ERR_TRANSIENT with retry_after).
 *
 * A member that rested for check_ms is checked before it is handed out; one that fails is replaced,
 * and its taker only notices the time. One that rested for idle_ms is closed.
 *
 * Repeats nothing that a taker does with its member. All state is in memory. */
#ifndef GUARD_POOL_H
#define GUARD_POOL_H
#include "base/err.h"

#define POOL_PATIENCE_MS    1000
#define POOL_BACKOFF_MS     250
#define POOL_BACKOFF_MAX_MS 30000

struct pool;
struct pool_group;
struct pool_member;

struct pool_limits {
    unsigned total, per_owner; /* 0: no bound */
};
struct pool *OWN pool_new(const struct pool_limits *limits);
/* Takers that wait fail (ERR_CANCELLED); waits for those who hold members, closes all, side by
 * side. Accepts NULL. Before, the owner of the things fails them (pool_stop), or this may take
 * long. */
void pool_free(struct pool *OWN p) YIELDS;
void pool_stop(struct pool *p); /* nothing is handed out any more, openings are cancelled */
void pool_limit(struct pool *p, const struct pool_limits *limits);

struct pool_kind { /* of the members of a group; copied */
    void *ctx;
    /* Makes a thing; the member is its handle from now on until close has returned. Bounded in time
     * by itself. A thing that comes with an error is closed when everybody has been told. */
    struct err *(*open)(void *ctx, struct pool_member *m, void **ret_thing)MUST YIELDS;
    struct err *(*check)(void *ctx, void *thing)MUST YIELDS;   /* NULL: it is well */
    void (*close)(void *ctx, void *thing, bool broken) YIELDS; /* not cancelled */
    unsigned members_max;
    int64_t idle_ms, check_ms; /* 0: never */
    int64_t backoff_wait_ms;   /* a longer back-off is told, not waited for */
};
/* Finds the group, or makes it. */
struct pool_group *pool_group(struct pool *p, const char *key, const struct pool_kind *kind);
struct pool_group *pool_group_find(const struct pool *p, const char *key); /* or NULL */
/* Nobody takes from it any more: members are closed as soon as nobody holds them. */
void pool_group_end(struct pool_group *g);

/* owner: who the member is counted for; NULL: nobody. ERR_TIMEOUT says what was waited for. */
struct err *MUST pool_take(struct pool_group *g, const char *owner, int64_t deadline_ms,
                           struct pool_member **ret_member) YIELDS;
void pool_give(struct pool_member *m, const char *owner);
void *pool_thing(const struct pool_member *m);
void pool_worked(struct pool_member *m); /* it was of use: the row of failures ends */
/* The thing has broken by itself: it is handed out no more, and closed by its last holder. Told
 * before open has returned, it makes of that a failure (ERR_TRANSIENT with this text, unless open
 * tells another), and the thing is closed as broken. Told twice, or after the end, it means
 * nothing. */
void pool_lost(struct pool_member *m, const char *why);
/* A holder doubts it (a time-out): checked beside. When that takes too long as well, it is handed
 * out no more until a holder says that it worked, and lost when nobody holds it any more. */
void pool_suspect(struct pool_member *m);

struct pool_stats {
    const char *key;        /* of a group; borrowed. NULL: those that have ended, together */
    uint64_t opened;        /* that succeeded */
    uint64_t failed;        /* openings that did not */
    uint64_t taken, reused; /* reused: from a member that had served before */
    uint64_t closed_idle;   /* they rested for idle_ms */
    uint64_t evicted;       /* closed to make room */
    uint64_t unhealthy;     /* found dead or hanging by a check */
    uint64_t lost;          /* broke by themselves */
    unsigned in_use, idle;  /* members */
    unsigned coming;        /* being opened or checked */
    unsigned waiting;       /* takers */
    int64_t wait_ms, wait_ms_max;
};
typedef void (*pool_stats_fn)(void *ctx, const struct pool_stats *stats);
void pool_each(const struct pool *p, pool_stats_fn fn, void *ctx);

struct pool_health {     /* of a group */
    unsigned failures;   /* in a row */
    int64_t retry_at_ms; /* not opened before */
    uint64_t openings;   /* begun so far */
    unsigned ready, coming;
    const char *error; /* what went wrong last, or NULL; borrowed */
};
void pool_group_health(const struct pool_group *g, struct pool_health *ret_health);
int64_t pool_backoff_ms(unsigned failures);

#endif
