/* cost.c - prices and what they add up to. */
#include "llm/cost.h"
#include "llm/llm.h"
#include <string.h>

static struct err *MUST
read_number(const json_t *def, const char *key, double *to)
{
    const json_t *v = json_object_get(def, key);
    if (!v || json_is_null(v))
        return NULL;
    if (!json_is_number(v) || !(json_number_value(v) >= 0))
        return FAIL(ERR_INVALID, "price: %s is not an amount of USD per million tokens", key);
    *to = json_number_value(v);
    return NULL;
}

struct err *
llm_price_read(const json_t *def, struct llm_price *ret_price)
{
    struct llm_price p = LLM_PRICE_UNKNOWN;
    const struct {
        const char *key;
        double *to;
    } field[] = {{"input", &p.input},
                 {"cached_input", &p.cached_input},
                 {"cache_write", &p.cache_write},
                 {"output", &p.output}};
    const char *key;
    json_t *value;
    if (def && !json_is_null(def) && !json_is_object(def))
        return FAIL(ERR_INVALID, "price is not a map with input and output");
    for (size_t i = 0; i < COUNT(field); i++)
        PASS(read_number(def, field[i].key, field[i].to));
    json_object_foreach ((json_t *)(uintptr_t)def, key, value) {
        bool known = false;
        for (size_t i = 0; i < COUNT(field); i++)
            known |= strcmp(field[i].key, key) == 0;
        if (!known)
            return FAIL(ERR_INVALID,
                        "price: unknown key '%s' (input, cached_input, cache_write, output)", key);
    }
    *ret_price = p;
    return NULL;
}

void
llm_price_scale(struct llm_price *p, double factor)
{
    double *const parts[] = {&p->input, &p->cached_input, &p->cache_write, &p->output};
    for (size_t i = 0; i < COUNT(parts); i++) {
        if (*parts[i] >= 0)
            *parts[i] *= factor;
    }
}

const json_t *
llm_price_find(const json_t *table, const char *provider, const char *model)
{
    AUTO(freep) char *name = xasprintf("%s:%s", provider, model);
    const json_t *exact = json_object_get(table, name), *best = NULL;
    size_t best_len = 0;
    const char *key;
    json_t *value;
    if (exact)
        return exact;
    json_object_foreach ((json_t *)(uintptr_t)table, key, value) {
        if (strchr(key, '*') && strlen(key) > best_len && str_glob(key, name)) {
            best = value;
            best_len = strlen(key);
        }
    }
    return best ? best : json_object_get(table, model);
}

/* USD of n tokens at a price per million; an unknown price of tokens that were used is noted. */
static double
part(int64_t n, double price, bool *known)
{
    if (n <= 0)
        return 0;
    if (price < 0) {
        *known = false;
        return 0;
    }
    return (double)n * price / 1e6;
}

void
llm_usage_price(struct llm_usage *u, const struct llm_price *price, bool counted)
{
    bool known = counted;
    int64_t plain = u->input_tokens - u->cached_tokens - u->cache_write_tokens;
    u->cost_usd = part(plain, price->input, &known) +
                  part(u->cached_tokens, price->cached_input, &known) +
                  part(u->cache_write_tokens, price->cache_write, &known) +
                  part(u->output_tokens, price->output, &known);
    u->cost_known = known;
}
