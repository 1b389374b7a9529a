/* llm.h - one call of a language model.
 *
 * llm_call makes one try: no retries, no fallbacks, no limits; the engine owns these. It turns the
 * neutral conversation (message.h) into the provider's request, sends it by rt/http.h, and turns
 * the answer, whole or streamed, back. Parameters a provider does not know are left out (said at
 * debug level); the profile's `extra` is merged into the request as it is and wins.
 *
 * Errors of llm_call: INVALID the provider refuses the request (its words are quoted), MISSING it
 * has no such model, DENIED key or credit, LIMIT too many requests (err_retry_after_ms when it
 * said), TOO_LONG the context window, TRANSIENT overload, connection, an answer that is garbled or
 * ends early, TIMEOUT, CANCELLED. No message ever holds the key. */
#ifndef LLM_LLM_H
#define LLM_LLM_H
#include "llm/cost.h"
#include "llm/message.h"

struct llm_usage {         /* as `struct usage` of model/kind.h, and two more details */
    int64_t input_tokens;  /* all of them, cached ones and those written to a cache included */
    int64_t output_tokens; /* reasoning included */
    int64_t cached_tokens; /* the part of input read from a cache */
    int64_t model_calls, tool_calls; /* 1; calls asked for in the reply */
    double cost_usd;                 /* a lower bound unless cost_known */
    bool cost_known;                 /* the provider counted and every price it takes is known */
    int64_t cache_write_tokens; /* the part of input written to a cache at a price of its own */
    int64_t reasoning_tokens;   /* the part of output the model kept to itself; 0: not said */
};

struct llm_profile {  /* all borrowed; see llm_profile_read */
    const char *name; /* the profile's name in messages; may be NULL */
    const char *provider, *model;
    const char *api_key;       /* NULL: none is sent */
    const char *base_url;      /* NULL: the provider's own */
    const char *url;           /* the very URL to post to, instead of base_url; or NULL */
    const char *system_prompt; /* goes in front of the messages' own; or NULL */
    const json_t *params;      /* object; temperature, max_tokens, top_p, top_k, stop, seed,
                                  reasoning, ... are read from it (LLM_PARAMS), others ignored */
    const json_t *headers;     /* object of strings, added to the request; or NULL */
    const json_t *extra;       /* object, merged into the request; null leaves a key out; or NULL */
    const json_t *script;      /* what the script provider follows; or NULL */
    const char *dir;           /* folder that relative paths in `script` start from; NULL: "." */
    struct llm_price price;
    int64_t timeout_ms; /* of one try, beside the deadline; 0: none */
    bool stream;
};
/* The neutral parameters: temperature top_p top_k max_tokens stop seed presence_penalty
 * frequency_penalty reasoning (an effort "low|medium|high|..." or a number of tokens). */
extern const char *const LLM_PARAMS[]; /* NULL-ended */

/* Fills the profile from its definition in canonical keys (config.md), ${} resolved; borrows from
 * def, which has to live as long. ERR_INVALID for a missing model or a value of a wrong type. */
struct err *MUST llm_profile_read(const char *name, const json_t *def, struct llm_profile *ret);
/* The environment variable that usually holds the key: "OPENAI_API_KEY"; NULL: none is needed. */
const char *llm_key_env(const char *provider);
bool llm_provider_known(const char *provider); /* others need base_url and speak as openai */
const char *const *llm_provider_names(void);   /* NULL-ended, for suggestions */

struct llm_limit { /* what the headers of a reply say of one limit; -1: nothing */
    int64_t limit, remaining, reset_ms;
};
struct llm_limits {
    struct llm_limit requests, tokens;
    bool refused; /* 429 and its like */
};

#define LLM_LIMITS_NONE ((struct llm_limits){{-1, -1, -1}, {-1, -1, -1}, false})

struct llm_request {             /* all borrowed for the call */
    const json_t *messages;      /* array; message.h */
    const json_t *tools;         /* array of {name, description, input_schema}; or NULL */
    const char *tool_choice;     /* NULL or "auto", "none", "required", or a tool's name */
    const json_t *output_schema; /* JSON Schema the reply has to follow; or NULL */
    unsigned attempt;            /* of the step; 0 and 1: the first. Only `script` looks at it */
    const char *key;           /* the step's idempotency key; only `script` looks at it; or NULL */
    struct llm_limits *limits; /* filled in as soon as headers are there; or NULL */
    void (*on_text)(void *ctx, const char *text, size_t n); /* pieces as they come; or NULL */
    void *ctx;
};

enum llm_finish { LLM_STOP, LLM_TOOL_CALLS, LLM_LENGTH, LLM_FILTER };
const char *llm_finish_name(enum llm_finish f);

struct llm_reply {      /* owned by the caller, who calls llm_reply_fini */
    json_t *content;    /* array of parts: message_new("assistant", json_incref(content)) */
    const char *text;   /* its text parts joined; "" when there is none; lives as long */
    json_t *tool_calls; /* array of its tool_call parts; NULL when there is none */
    enum llm_finish finish;
    struct llm_usage usage;
    char *model;     /* as the provider named it; or NULL */
    char *id;        /* the provider's name for this reply, for its support; or NULL */
    char *text_held; /* backs `text` when there are several parts */
};
void llm_reply_fini(struct llm_reply *r);
/* {"content","finish","usage","model","id"}: what a journal needs to give the reply again. */
json_t *OWN llm_reply_to_json(const struct llm_reply *r);
struct err *MUST llm_reply_from_json(const json_t *j, struct llm_reply *ret);
json_t *OWN llm_usage_to_json(const struct llm_usage *u); /* keys as in the struct; cost null */
/* The message to append to the conversation. */
json_t *OWN llm_reply_message(const struct llm_reply *r);

/* The most that one call can use: a token for each byte that is sent, and more for media; the
 * profile's max_tokens for the reply; at the highest price that it may come to. ERR_INVALID: it has
 * no bound (no max_tokens, `extra` overrides it, media behind a URL). cost_known: both prices are.
 */
struct err *MUST llm_bound(const struct llm_profile *p, const struct llm_request *req,
                           struct llm_usage *ret_most);
/* The key of `extra` that makes replies longer or more than max_tokens says; NULL: none. */
const char *llm_extra_unbounded(const json_t *extra);

struct llm;
struct llm_opts {
    const char *record; /* file to record every call to; or NULL */
    const char *replay; /* file to answer every call from; or NULL. Not both */
};
struct err *MUST llm_new(const struct llm_opts *opts, struct llm **OWN ret_llm); /* NULL: none */
void llm_free(struct llm *OWN llm); /* may wait when calls were gathered: batch.h */
struct err *MUST llm_call(struct llm *llm, const struct llm_profile *profile,
                          const struct llm_request *req, int64_t deadline_ms,
                          struct llm_reply *ret) YIELDS;

#endif
