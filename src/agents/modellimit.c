/* modellimit.c - estimates of tokens; a provider's words in the engine's terms. */
#include "agents/modellimit.h"
#include <string.h>

#define BYTES_OF_TOKEN 4
#define REPLY_TOKENS   512 /* of a reply, as long as nobody knows better */

int64_t
tokens_estimate(const struct llm_profile *p, const struct llm_request *req, int64_t *ret_most)
{
    const int64_t max = json_int(p->params, "max_tokens", 0);
    const size_t bytes = json_dumpb(req->tools, NULL, 0, JSON_COMPACT) +
                         (p->system_prompt ? strlen(p->system_prompt) : 0);
    const int64_t input = message_tokens(req->messages) + (int64_t)(bytes / BYTES_OF_TOKEN);
    *ret_most = max ? input + max : 0;
    return input + (max ? MIN(max, REPLY_TOKENS) : REPLY_TOKENS);
}

static struct step_limit
limit_of(const struct llm_limit *l)
{
    return (struct step_limit){l->limit, l->remaining, l->reset_ms};
}

void
limits_take(struct step_limits *to, const struct llm_limits *told)
{
    *to = (struct step_limits){limit_of(&told->requests), limit_of(&told->tokens), told->refused};
}
