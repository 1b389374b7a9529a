/* batchcall.h - one model call that travels in a provider's batch.
 *
 * Recorded steps, so that a run that died goes on where it was: NAME.gather (others have come
 * along), NAME.submit (the batch has this name; once: when nobody knows whether the provider took
 * it, the run waits for a person and never submits twice), then NAME.wait[k], which puts the run
 * away, and NAME.status[k], until the batch has ended; NAME is the reply, recorded as a call's own.
 * That it cannot be looked at for a while does not matter. An item that failed is not tried again:
 * the profile's fallbacks are asked. */
#ifndef AGENTS_BATCHCALL_H
#define AGENTS_BATCHCALL_H
#include "llm/batch.h"
#include "model/host.h"

struct batch_call { /* all borrowed for the call */
    struct host *host;
    struct llm *llm;
    const struct llm_profile *profile;
    const struct batching *batching;
    const struct step *step; /* as it would be made alone; `most` is reserved at the submission */
    struct err *(*request)(void *ctx, int64_t deadline_ms, struct llm_request *ret_req)MUST YIELDS;
    json_t *OWN (*record)(void *ctx, const struct llm_reply *reply, struct usage *usage);
    void *ctx; /* of both */
};
struct err *MUST batch_call(const struct batch_call *b, json_t **OWN ret_value) YIELDS;

#endif
