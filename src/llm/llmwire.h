/* llmwire.h - writing a request straight into its bytes.
 *
 * The body is an object written key by key; a key that the profile's `extra` holds is left to it,
 * objects of both are merged, and null in extra leaves the key out. So nothing is built as a tree,
 * dumped and parsed again, however long the conversation. */
#ifndef LLM_LLMWIRE_H
#define LLM_LLMWIRE_H
#include "base/json.h"
#include "rt/http.h"

#define WIRE_HEADERS_MAX 48 /* further ones of the profile are refused */
#define WIRE_MERGED_MAX  8

struct wire {
    struct str url, body;
    struct http_header headers[WIRE_HEADERS_MAX];
    size_t nheaders;
    char *held[4]; /* values that are put together here */
    size_t nheld;
    const json_t *extra;
    const char *merged[WIRE_MERGED_MAX]; /* keys of extra that are written already */
    size_t nmerged;
};
void wire_fini(struct wire *w);

/* Names and literal values are borrowed. A header the profile sets itself is not set again. */
struct llm_profile;
struct err *MUST wire_user_headers(struct wire *w, const struct llm_profile *p); /* first */
void wire_header(struct wire *w, const char *name, const char *value);
void wire_header_held(struct wire *w, const char *name, char *OWN value);
/* base without trailing '/' + path, unless base ends with the path already. */
void wire_url(struct wire *w, const struct llm_profile *p, const char *base, const char *path);

void wire_string(struct str *to, const json_t *string); /* "" for what is no string */

void body_open(struct wire *w, const json_t *extra);
bool body_key(struct wire *w, const char *key); /* false: extra has it; write no value */
void body_text(struct wire *w, const char *key, const char *text); /* NULL: nothing */
void body_json(struct wire *w, const char *key, const json_t *value);
void body_object(struct wire *w, const char *key, json_t *OWN object); /* merged with extra's */
void body_close(struct wire *w);

/* Which neutral parameter (LLM_PARAMS) is called what; wire NULL: the provider's code writes it
 * itself. The table ends with name NULL; a parameter that is not in it is dropped. */
struct param_name {
    const char *name, *wire;
};
void body_params(struct wire *w, const struct llm_profile *p, const struct param_name *table);
void params_collect(json_t *to, const struct llm_profile *p, const struct param_name *table);
json_t *OWN params_stop(const struct llm_profile *p); /* `stop` as an array, or NULL */
const json_t *param_get(const struct llm_profile *p, const char *name); /* NULL for null */

/* As json_parse, and where that fails once more with what models' servers get wrong put right:
 * bytes that are not UTF-8, \u0000 and half a surrogate pair become U+FFFD. */
struct err *MUST wire_parse(const char *text, size_t n, json_t **OWN ret);

#endif
