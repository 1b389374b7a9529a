/* modellimit.h - what a call of a model means for limits: what it may take, and what its provider
 * said about them. */
#ifndef AGENTS_MODELLIMIT_H
#define AGENTS_MODELLIMIT_H
#include "llm/llm.h"
#include "model/host.h"

/* Tokens of a call by the length of what is sent and a usual reply. *ret_most: with the longest
 * reply `max_tokens` allows; 0: it allows any. */
int64_t
tokens_estimate(const struct llm_profile *p, const struct llm_request *req, int64_t *ret_most);
void limits_take(struct step_limits *to, const struct llm_limits *told);

#endif
