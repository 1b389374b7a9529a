/* retry.h - whether to try again, and when.
 *
 * Pure arithmetic; the engine's step is its only user, because two layers that retry multiply.
 * Delay before try n + 1: min(max, initial * base^(n-1)), at least min, jittered to 50-100 %; what
 * the other side asked for (Retry-After) wins when it is longer. Adaptive: only waits for a limit
 * grow so; what broke on the way is tried again after `initial` each time. */
#ifndef GUARD_RETRY_H
#define GUARD_RETRY_H
#include "base/json.h"

struct retry {
    unsigned max_attempts; /* counts the first; at least 1 */
    int64_t initial_ms, max_ms, min_ms;
    double base;
    bool jitter;
    bool adaptive;  /* by class of failure */
    unsigned kinds; /* bits 1 << enum err_kind that are worth another try */
};
#define RETRY_DEFAULT                                                                              \
    ((struct retry){.max_attempts = 3,                                                             \
                    .initial_ms = 1000,                                                            \
                    .max_ms = 60000,                                                               \
                    .base = 2,                                                                     \
                    .jitter = true,                                                                \
                    .kinds = 1u << ERR_TRANSIENT | 1u << ERR_LIMIT | 1u << ERR_TIMEOUT})

/* Overlays the keys of a normal-form `retry` object (durations in ms) on *retry. */
void retry_from_json(struct retry *retry, const json_t *def);
/* May the call that failed with e at its n-th try (from 1) be tried again? */
bool retry_allows(const struct retry *r, const struct err *e, unsigned attempt);
/* chance: uniform in [0, 1). */
int64_t retry_delay_ms(const struct retry *r, const struct err *e, unsigned attempt, double chance);
#endif
