/* refusal.h - what a provider's refusal means for the caller.
 *
 * The status decides, and the provider's code or words where the status is not honest: a context
 * that is too long comes as 400, exhausted credit as 429, a bad key as 400. The provider's words
 * are quoted, bounded, on one line and without the key. */
#ifndef LLM_REFUSAL_H
#define LLM_REFUSAL_H
#include "base/json.h"
#include "rt/http.h"

#define REFUSAL_QUOTE_MAX 600   /* bytes of the provider's words */
#define REFUSAL_BODY_MAX  65536 /* bytes of an error's body that are read */

struct refusal {
    int status;              /* HTTP; 0: an error inside a stream whose kind is not known */
    const char *type, *code; /* the provider's; borrowed from the body; NULL: not said */
    const char *message;     /* the same */
    int64_t retry_after_ms;  /* -1: not said */
    bool denied;             /* the provider's file knows that this is about key or credit */
};
struct llm_profile;

/* {"error": {message, type, code}} or {"error": "text"} or {"message": ...} or {"detail": ...}. */
void refusal_read(const json_t *body, struct refusal *f);
/* The delay asked for by the headers, or -1: Retry-After, retry-after-ms, x-ratelimit-reset*,
 * anthropic-ratelimit-*-reset. */
int64_t refusal_retry_after(const struct http *h);
struct llm_limits;
/* What is left, by the headers of any reply: x-ratelimit-*, anthropic-ratelimit-*. */
void refusal_limits(const struct http *h, struct llm_limits *ret);
/* "1h2m3.5s", "6m0s", "859ms"; -1: not a duration. */
int64_t refusal_duration(const char *text);
struct err *OWN refusal_err(const struct refusal *f, const struct llm_profile *p,
                            const char *key_env);
/* The words on one line, at most max bytes of them, every occurrence of the key blotted out. */
void refusal_quote(struct str *to, const char *text, size_t n, size_t max, const char *key);

#endif
