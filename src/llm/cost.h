/* cost.h - what a model call costs.
 *
 * USD per million tokens. A price nobody stated is unknown, and then so is the cost of a call that
 * used it; nothing is guessed and nothing is billed twice: cached tokens and tokens written to a
 * cache are parts of the input and are taken out of it before the rest is priced. */
#ifndef LLM_COST_H
#define LLM_COST_H
#include "base/json.h"

struct llm_price { /* negative: unknown */
    double input, cached_input, cache_write, output;
};
#define LLM_PRICE_UNKNOWN ((struct llm_price){-1, -1, -1, -1})

/* {input, cached_input, cache_write, output}; absent or null: unknown. ERR_INVALID for another
 * key, a negative price or another type. def NULL or null: all unknown. */
struct err *MUST llm_price_read(const json_t *def, struct llm_price *ret_price);
void llm_price_scale(struct llm_price *p, double factor); /* what is unknown stays so */
/* The entry of a table of prices for provider:model: the exact key, else the longest one with '*'
 * that matches ("openai:gpt-4o*"), else the bare model, else NULL. Borrowed from the table. */
const json_t *llm_price_find(const json_t *table, const char *provider, const char *model);

struct llm_usage;
/* Sets cost_usd and cost_known. `counted` false: the provider did not say how many tokens. */
void llm_usage_price(struct llm_usage *u, const struct llm_price *price, bool counted);

#endif
