/* poolcore.h - the inside of a pool; for the files pool*.c only. */
#ifndef GUARD_POOLCORE_H
#define GUARD_POOLCORE_H
#include "base/map.h"
#include "base/vec.h"
#include "guard/pool.h"
#include "rt/fiber.h"

struct taker { /* who waits; on its own stack */
    struct taker *next, *prev;
    struct takers *in; /* the queue it stands in, or NULL */
    struct fiber *fiber;
    struct pool_group *group;
    struct owner *owner; /* or NULL: not counted */
    bool permitted;      /* it counts among the members its owner may hold */
    bool done;
    struct pool_member *got;
    struct err *e;
};
struct takers { /* in order of arrival */
    struct taker *first, *last;
    unsigned n;
};

struct hold { /* of an owner on a member */
    struct pool_member *member;
    unsigned count;
};
struct owner {
    char *name;
    unsigned used;   /* members held, and takers that may get one */
    unsigned takers; /* inside pool_take */
    VEC(struct hold) holds;
    struct takers waiting;
};

struct pool_member {
    struct pool_group *group;
    struct pool_member *next;                  /* of the group; while it is ready or checked */
    struct pool_member *rest_prev, *rest_next; /* of the pool's resting ones */
    void *thing;
    unsigned users; /* holders */
    unsigned pins;  /* fibers of ours that look at it */
    int64_t idle_since_ms;
    bool resting, checking, suspected;
    char *hangs;     /* what a check said of it while others still hold it, or NULL */
    uint64_t worked; /* how often it was said so */
    bool broken;     /* it failed by itself: nobody has to be polite to it */
    bool over;       /* unlinked; not to be handed out any more */
    bool opening;
    char *lost_early; /* why it broke while it was being opened, or NULL */
    bool served;      /* it was handed out before */
};
struct pool_group {
    struct pool *pool;
    char *key;
    struct pool_kind kind;
    struct pool_member *members;
    unsigned ready;  /* members that are not being checked */
    unsigned coming; /* being opened or checked */
    unsigned users;  /* of all members */
    unsigned alive;  /* members not yet closed, and fibers that look at the group */
    struct takers waiting;
    struct pool_group *hungry_next;
    bool hungry; /* it waits for room in the pool */
    bool ended;
    struct fiber *idler; /* closes what rests too long; asleep */
    bool has_idler;
    unsigned failures;
    int64_t retry_at_ms;
    uint64_t openings;
    char *error;
    struct pool_stats stats;
};
struct pool {
    struct pool_limits limits;
    struct map *groups, *owners;
    struct pool_member *rest_first, *rest_last; /* longest rest first */
    struct pool_group *hungry_first, *hungry_last;
    unsigned hungry;      /* groups */
    unsigned open;        /* members, those being opened and closed counted */
    unsigned closing;     /* of these */
    unsigned inside;      /* takers waiting, and holds */
    struct scope starts;  /* what is cancelled at the end: openings, checks, idlers */
    struct scope burials; /* what is not */
    struct waitq leaving; /* pool_free, waiting for those inside */
    bool stopping;
    struct pool_stats gone; /* of groups that have ended, together */
};

/* pool.c */
void group_serve(struct pool_group *g); /* opens what is missing, hands out what there is */
void group_fail(struct pool_group *g, enum err_kind kind, const char *text);
void group_failed(struct pool_group *g, const char *why); /* counts it */
void pool_room(struct pool *p);                           /* a slot is free: who waits for one? */
void group_leave(struct pool_group *g); /* alive is one less: it may be the end of it */

void member_assign(struct pool_member *m, struct taker *t);

/* poolowner.c */
void taker_join(struct takers *q, struct taker *t);
void taker_leave(struct taker *t);
void taker_done(struct taker *t);
void taker_fail(struct taker *t);
struct owner *owner_enter(struct pool *p, const char *name);
void owner_leave(struct pool *p, struct owner *o);
struct pool_member *owner_best(struct owner *o, const struct pool_group *g);
void owner_permit_back(struct owner *o);
void owner_hold_add(struct owner *o, struct pool_member *m, bool permitted);
void owner_hold_end(struct pool *p, const char *name, const struct pool_member *m);

/* poolmember.c: opening, checking, resting and closing. */
void member_open(struct pool_group *g);
void member_check(struct pool_member *m);
bool member_is_stale(const struct pool_member *m);
void member_rest(struct pool_member *m);
void member_wake(struct pool_member *m); /* it rests no more */
void member_over(struct pool_member *m);
void member_hangs(struct pool_member *m);  /* it is lost for that */
void member_settle(struct pool_member *m); /* closes it when it is over and nobody has it */

#endif
