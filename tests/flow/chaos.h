/* chaos.h - a hostile world: an HTTP API, a model, a tool server and programs that fail as the dice
 * say, and the ledger of what they carried out. It outlives crashes, as the outside world does. */
#ifndef FLOW_CHAOS_H
#define FLOW_CHAOS_H
#include "base/json.h"
#include "base/vec.h"
#include "dice.h"
#include "rt/sim.h"

#define CHAOS_REPLY_TOKENS 40     /* that the model counts for each reply */
#define CHAOS_TOKEN_USD    (1e-3) /* that it takes for each token, in and out */

struct chaos {
    struct dice dice;
    unsigned percent;                /* of requests that go wrong */
    json_t *ledger;                  /* idempotency key -> how often it was carried out */
    VEC(struct sim_http *) requests; /* being answered */
    unsigned requests_max, programs;
    int64_t charged; /* tokens of calls of the model that were not refused, answered or not */
    /* Told of each effect of a `once` call before it is carried out. */
    void (*on_once)(void *ctx, const char *what, const char *key);
    void *ctx;
};
void chaos_init(struct chaos *w, uint64_t seed, unsigned percent);
void chaos_fini(struct chaos *w);
void chaos_enter(struct chaos *w); /* installs the peers into the current simulated runtime */

#endif
