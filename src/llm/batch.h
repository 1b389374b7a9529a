/* batch.h - calls that are gathered before they are sent (`batch` of a profile).
 *
 * Calls of one profile wait for each other until there are `size` of them or the first has waited
 * for `flush_interval`. Then, where the provider has no endpoint for batches, each makes its own
 * call. Where it has one (openai, anthropic, gemini), they become one batch: submitted once, looked
 * at now and then for up to a day or two, and each takes its own answer out of the results by its
 * id.
 *
 * What has to survive the process is the caller's to remember: the batch's name and the item's id.
 * Everything here can be asked again in another life with these two. What is kept in memory is for
 * speed: the batch is looked at and its results are fetched once for all who wait for them.
 *
 * Errors as llm_call. llm_batch_submit is in doubt when nobody knows whether the provider took it;
 * it is then never submitted again from here. */
#ifndef LLM_BATCH_H
#define LLM_BATCH_H
#include "llm/llm.h"

#define BATCH_GIVE_UP_MS                                                                           \
    ((int64_t)50 * 3600 * 1000) /* a batch ends within 24 hours, Gemini's 48                       \
                                 */
#define BATCH_POLL_MAX_MS ((int64_t)600 * 1000)
#define BATCH_ITEM_MAX    64 /* bytes of an item's id: letters, digits, '-' and '_' */

struct batching {
    unsigned size;
    int64_t flush_ms, poll_ms;
    bool endpoint;       /* the provider's own batches */
    unsigned rpm;        /* requests about batches in a minute; 0: no limit */
    double price_factor; /* of what a call costs there */
};
/* False: the profile says nothing of batches, or calls are recorded or played back (which are told
 * apart by what they ask, not by how they travel). */
struct err *MUST llm_batching(const struct llm *llm, const struct llm_profile *p, const json_t *def,
                              struct batching *ret, bool *ret_wanted);

/* Waits for others. *ret_group: what llm_batch_submit takes, in this process. */
struct err *MUST llm_gather(struct llm *llm, const struct llm_profile *p, const struct batching *b,
                            int64_t deadline_ms, int64_t *ret_group) YIELDS;

struct batch_item {
    const struct llm_profile *profile;
    const struct llm_request *req;
    const struct batching *batching;
    const char *id;
    int64_t group; /* of llm_gather; one that is not known (another life): it gathers again */
};
/* Returns when the provider has taken the batch that this item is part of. */
struct err *MUST llm_batch_submit(struct llm *llm, const struct batch_item *item,
                                  int64_t deadline_ms, char **OWN ret_batch) YIELDS;
/* Has it ended? Asked at most once in half of poll_ms, whoever asks; a failure is not kept for
 * long. ERR_INVALID: the provider could not read it. */
struct err *MUST llm_batch_ended(struct llm *llm, const struct batch_item *item, const char *batch,
                                 int64_t deadline_ms, bool *ret_ended) YIELDS;
/* The item's answer out of a batch that has ended. err_answered: the provider said so, and took no
 * money for it. */
struct err *MUST llm_batch_take(struct llm *llm, const struct batch_item *item, const char *batch,
                                int64_t deadline_ms, struct llm_reply *ret) YIELDS;
/* The k-th wait (from 0) between two looks; -1: it has been long enough. */
int64_t llm_batch_wait_ms(const struct batching *b, unsigned k);

#endif
