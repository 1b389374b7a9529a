/* brokercore.h - the inside of the broker, for its two files only. */
#ifndef ENGINE_BROKERCORE_H
#define ENGINE_BROKERCORE_H
#include "base/map.h"
#include "base/vec.h"
#include "engine/step/broker.h"
#include "guard/fairq.h"
#include "rt/rt.h"

struct claim {
    const struct limit_need *of;
    struct limit_set set;
};
struct lane { /* who waits in front of the same limits */
    struct target *targets[LIMITS_OF_CALL];
    size_t n;
    struct fairq *queue;
    struct target *asleep_on; /* a narrower one that admits nobody; NULL: it is looked at */
    unsigned users;           /* waiters that have not left yet */
};
struct target { /* a limited thing */
    char *key, *name;
    struct limiter limiter;
    VEC(struct claim) claims;
    unsigned refs; /* needs */
    struct fairq_clock clock;
    VEC(struct lane *) lanes;            /* for which it is the widest */
    VEC(struct lane *) sleepers;         /* that wait for it as a narrower one, in order */
    size_t waiting;                      /* in its lanes */
    int64_t due_ms;                      /* when to look again; INT64_MAX: when something changes */
    bool timed;                          /* it is in broker->timed */
    bool loaded, loading, saving, dirty; /* dirty: what is written down is not what was used */
    int64_t want_tokens;                 /* the next block has to hold this much */
    struct waitq loads;
    struct err *error; /* of the store, while waiters are told */
    char *error_text;
    int64_t waited_ms, waited_ms_max;
};
struct limit_need {
    struct target *targets[LIMITS_OF_CALL];
    size_t n;
};
struct broker {
    struct store *store;
    struct map *targets; /* by key */
    struct scope scope;  /* of its fibers */
    VEC(struct target *) timed;
    struct waitq changed; /* a time came in front of the others */
    bool ticking;         /* the fiber that waits for times is there */
};

enum waiter_state { WAITER_WAITS, WAITER_ADMITTED, WAITER_LATE, WAITER_FAILED };
struct waiter { /* on its fiber's stack */
    struct fairq_item item;
    struct fiber *fiber;
    struct lane *lane;
    const struct limit_ask *ask;
    struct admission *admission;
    enum waiter_state state;
    struct limit_wait why;
    struct err *error;
};

/* broker.c */
void target_changed(struct broker *b, struct target *t); /* lets in whoever can go now */
void target_fail(struct broker *b, struct target *t);    /* tells its waiters t->error */
/* brokerkeep.c */
void target_due(struct broker *b, struct target *t, int64_t at_ms); /* INT64_MAX: never */
/* Windows of the process before, once. */
struct err *MUST target_load(struct broker *b, struct target *t) YIELDS;
void target_save_soon(struct broker *b, struct target *t, int64_t tokens);
void target_close(struct broker *b, struct target *t) YIELDS; /* writes it down for good */
struct limit_wait target_wait(struct target *t, int64_t tokens);

#endif
