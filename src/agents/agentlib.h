/* agentlib.h - what several kinds of agents need. */
#ifndef AGENTS_AGENTLIB_H
#define AGENTS_AGENTLIB_H
#include "base/hash.h"
#include "model/host.h"
#include "rt/http.h"

/* The definition with ${NAME} resolved in every string; shares what has none. */
struct err *MUST def_expand(struct host *h, const json_t *def, json_t **OWN ret_def);

/* Headers of a request, growing. */
struct headers {
    struct http_header *at;
    size_t n;
};
void headers_add(struct headers *h, const char *name, const char *value); /* copies */
void headers_fini(struct headers *h);
extern const struct param authentication_params[]; /* what `authentication` may hold */
/* From `authentication` ({type: bearer|api_key|basic, ...}) and `headers` of an expanded
 * definition. oauth2 is refused as not there yet. */
struct err *MUST headers_of(const json_t *def, struct headers *h);

/* Errors of HTTP statuses that are not 2xx; the body is quoted within a bound. NULL for 2xx. */
struct err *MUST http_status_err(const char *who, const struct http_reply *reply);

/* A reply from text: parsed when it is JSON (an object or a list), else text. */
void reply_from_text(struct reply *r, const char *text, size_t n);
/* A reply from a value: its `text` member, when it has one, is the text. */
void reply_from_value(struct reply *r, json_t *OWN value);

/* The JSON value in a model's reply that follows the schema; else *ret_complaint: what is wrong, in
 * words for the model, and no value. */
struct err *MUST answer_fit(const json_t *schema, const char *text, json_t **OWN ret_value,
                            char **OWN ret_complaint);

/* For step.same: a hash of these texts, NULL ones and their places told apart. */
void same_of(char ret_same[SHA256_HEX], const char *const *texts, size_t n);
/* The effect for a call: what node or agent said, else what the kind knows. */
enum effect effect_of(const struct task *t, enum effect otherwise);

extern const struct kind llm_kind, http_kind, exec_kind, lua_kind, mcp_kind, custom_kind,
    human_agent_kind;

#endif
