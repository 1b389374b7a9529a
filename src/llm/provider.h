/* provider.h - what one provider's file gives to llmcall.c.
 *
 * A provider turns a call into a request (build), a whole body into an answer (whole), or the
 * events of a stream, one by one, into the same (event). It never waits, never retries and never
 * sees a connection; `script` alone answers by itself (answer). All JSON it gets is bounded in
 * depth and size, and everything else in it is hostile. */
#ifndef LLM_PROVIDER_H
#define LLM_PROVIDER_H
#include "llm/answer.h"
#include "llm/llm.h"
#include "llm/llmwire.h"
#include "llm/refusal.h"
#include "llm/toolname.h"

struct llm_call { /* one call being made */
    const struct llm_profile *profile;
    const struct llm_request *req;
    const char *base_url;   /* the profile's or the provider's own */
    struct toolnames names; /* the tools' names as providers accept them */
    bool stream;
};

struct batch_wire;
struct llm_provider {
    const char *name;
    const char *key_env;  /* where the key usually is; NULL: none is needed */
    const char *base_url; /* NULL: has to be given */
    bool lines;           /* streams are JSON lines; else server-sent events */
    bool finish_ends;     /* a stream may end after the reason to stop, without an end mark */
    /* Fills url, headers and body. */
    struct err *(*build)(const struct llm_call *c, struct wire *w)MUST;
    /* Fills the answer from a body of status 2xx. */
    struct err *(*whole)(const struct llm_call *c, const json_t *body, struct answer *a)MUST;
    /* One event; data is NULL for the text "[DONE]". Sets a->ended at the end mark. */
    struct err *(*event)(const struct llm_call *c, const char *type, const json_t *data,
                         struct answer *a)MUST;
    /* Reads what went wrong out of a body of another status, or of an error in a stream. */
    void (*fault)(const json_t *body, struct refusal *f);
    const struct batch_wire *batch; /* batchwire.h; NULL: it takes none */
    /* Instead of all of the above. */
    struct err *(*answer)(const struct llm_call *c, int64_t deadline_ms,
                          struct answer *a)MUST YIELDS;
};

extern const struct llm_provider provider_openai, provider_anthropic, provider_gemini,
    provider_ollama, provider_script;

/* The provider of a profile: by name; with a base_url or url any other name speaks as openai.
 * ERR_INVALID offers the nearest name. base_url is the one of a known compatible service. */
struct err *MUST provider_find(const struct llm_profile *p, const struct llm_provider **ret,
                               const char **ret_base_url);
/* The profile's system prompt and the conversation's system messages, a blank line between. */
void provider_system(struct str *to, const struct llm_call *c);
/* Asks in words for a reply that follows the schema, where the API has no place for it. */
void provider_ask_schema(struct str *system, const json_t *schema);
/* A body that came with status 2xx cannot be read: transient, as the next one may be whole. */
struct err *MUST provider_garbled(const struct llm_call *c, const char *what);

#endif
