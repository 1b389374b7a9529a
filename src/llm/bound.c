/* bound.c - the most that a call can cost, before it is made.
 *
 * A tokenizer makes at most one token of a byte, and the words that providers put around messages
 * and tools are fewer than the bytes of their JSON here. Media are not counted by their bytes: a
 * small picture can be thousands of tokens, so each is taken for more than any provider charges. */
#include "base/str.h"
#include "llm/llm.h"
#include "llm/message.h"
#include <string.h>

#define TOKENS_AROUND 1000 /* what providers add where tools or a schema are given */
#define TOKENS_IMAGE  50000
#define TOKENS_AUDIO  50000
#define TOKENS_FILE   500000

const char *
llm_extra_unbounded(const json_t *extra)
{
    static const char *const keys[] = {
        "max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens", "n",
        "best_of",    "generationConfig",      "options",           "num_predict",     "messages",
        NULL};
    for (size_t i = 0; keys[i]; i++) {
        if (json_object_get(extra, keys[i]))
            return keys[i];
    }
    return NULL;
}

static int64_t
bytes_of(const json_t *j)
{
    AUTO(str_fini) struct str text = STR_INIT;
    if (j)
        json_write(&text, j);
    return (int64_t)text.len;
}

/* Further tokens of the media in an array of parts; tool results hold parts too. */
static struct err *MUST
media_add(const json_t *parts, int64_t *tokens)
{
    static const struct {
        const char *type;
        int64_t tokens;
    } media[] = {{"image", TOKENS_IMAGE}, {"audio", TOKENS_AUDIO}, {"file", TOKENS_FILE}};
    const json_t *part;
    size_t i;
    json_array_foreach (parts, i, part) {
        for (size_t k = 0; k < COUNT(media); k++) {
            if (!part_is(part, media[k].type))
                continue;
            if (json_object_get(part, "url"))
                return FAIL(ERR_INVALID,
                            "what the %s behind a URL costs is not known before; send its bytes",
                            media[k].type);
            *tokens += media[k].tokens;
        }
        if (part_is(part, "tool_result"))
            PASS(media_add(json_object_get(part, "content"), tokens));
    }
    return NULL;
}

struct err *
llm_bound(const struct llm_profile *p, const struct llm_request *req, struct llm_usage *ret_most)
{
    const char *name = p->name ? p->name : p->model;
    const char *loose = llm_extra_unbounded(p->extra);
    const int64_t reply = json_int(p->params, "max_tokens", 0);
    const json_t *message;
    size_t i;
    if (reply <= 0)
        return FAIL(ERR_INVALID, "profile '%s' has no max_tokens, which a budget needs", name);
    if (loose)
        return FAIL(ERR_INVALID,
                    "profile '%s': `extra.%s` may make replies longer than max_tokens, which a "
                    "budget needs",
                    name, loose);
    struct llm_usage most = {.model_calls = 1, .output_tokens = reply};
    most.input_tokens = (req->tools || req->output_schema ? TOKENS_AROUND : 0) +
                        bytes_of(req->messages) + bytes_of(req->tools) +
                        bytes_of(req->output_schema) + bytes_of(p->extra) +
                        (int64_t)(p->system_prompt ? strlen(p->system_prompt) : 0);
    json_array_foreach (req->messages, i, message)
        PASS(media_add(json_object_get(message, "content"), &most.input_tokens));
    const struct llm_price *price = &p->price;
    const double input = MAX(price->input, MAX(price->cached_input, price->cache_write));
    most.cost_known = price->input >= 0 && price->output >= 0;
    if (most.cost_known)
        most.cost_usd = ((double)most.input_tokens * input + (double)reply * price->output) / 1e6;
    *ret_most = most;
    return NULL;
}
