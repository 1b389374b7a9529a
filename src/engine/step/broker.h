/* broker.h - the limits of the process: who may call whom, when.
 *
 * A limited thing (a model, a profile, an agent, a tool server) is one limiter that all runs share.
 * A call may use several; it is admitted by all of them in one moment or by none, so that nobody
 * holds one while he waits for another. Who waits does so in the queue of the widest of them, the
 * first of his list, by turns (guard/fairq.h); a call that only lacks a narrower one lets others
 * pass who do not need that.
 *
 * Windows outlive the process in the store, at limits/KEY: a block ahead of use, see
 * guard/limiter.h. They are those of the process that has the folder; others on the same folder
 * begin with these and count for themselves. */
#ifndef ENGINE_BROKER_H
#define ENGINE_BROKER_H
#include "guard/limiter.h"
#include "rt/fiber.h"
#include "store/store.h"

#define LIMITS_OF_CALL 3 /* limits that one call uses, at most */
#define LIMIT_LONG_MS  60000

struct broker;
struct broker *OWN broker_new(struct store *store);
void broker_free(struct broker *OWN b) YIELDS; /* nobody waits; writes the windows down */

struct limit_claim {  /* what somebody says of a limited thing */
    const char *key;  /* the same key is the same thing, also in the next process */
    const char *name; /* for people */
    struct limit_set set;
};
/* What the calls of one kind use. While there are several that name a thing, the lowest number of
 * each holds. */
struct limit_need;
struct limit_need *OWN broker_need(struct broker *b, const struct limit_claim *claims, size_t n);
void broker_need_free(struct limit_need *OWN need); /* none of its calls is under way */
/* The lowest limit on tokens that holds for it; 0: nothing counts tokens. */
int64_t limit_need_tokens(const struct limit_need *need);

struct admission { /* of one call: as long as `admitted`, it has to be ended by one of the three */
    struct limit_need *need;
    bool admitted;
    struct limit_grant grant[LIMITS_OF_CALL];
    int64_t asked, tokens; /* estimated; reserved */
};
struct limit_wait { /* what is waited for */
    const char *name;
    enum limit_reason reason;
    int64_t wait_ms; /* until it admits somebody; -1: not known */
    size_t waiting;
};
struct limit_ask {
    const char *flow;                                    /* whose turn it takes: the run */
    int priority;                                        /* higher first */
    int64_t tokens;                                      /* estimated */
    void (*slow)(void *ctx, const struct limit_wait *w); /* once, after a second of waiting */
    void *ctx;
};
/* Waits until it is admitted. *ret_late: it was not, because one of its limits admits nobody for
 * longer than LIMIT_LONG_MS; then *ret_wait says which. Errors: those of the wait and of the store.
 */
struct err *MUST broker_admit(struct broker *b, const struct limit_ask *ask, struct admission *a,
                              bool *ret_late, struct limit_wait *ret_wait) YIELDS;
void admission_cancel(struct broker *b, struct admission *a); /* it was not sent */
struct call_end {
    int64_t tokens; /* that it took; -1: not known */
    bool refused;   /* 429 */
    bool well;      /* it was answered */
    int64_t retry_after_ms;
    struct limit_said said[2]; /* requests, tokens */
};
/* Returns true when the provider told a limit that was not known, or refused. */
bool admission_end(struct broker *b, struct admission *a, const struct call_end *end);

struct limit_stats { /* borrowed for the call */
    const char *name;
    struct limit_set set;
    int64_t used[4]; /* of rpm, rpd, tpm, tpd, now */
    int64_t in_flight, waiting, admitted, waited_ms, waited_ms_max, refused;
    int64_t held_ms; /* a 429 holds it back for so long; 0: not */
};
void broker_stats(struct broker *b, void (*fn)(void *ctx, const struct limit_stats *s), void *ctx);

#endif
