/* json.h - what we add to jansson: limits on input, a canonical form, short accessors.
 *
 * json_t is used everywhere for values of users and of the wire. References follow jansson: a
 * returned json_t is borrowed unless it says OWN. */
#ifndef BASE_JSON_H
#define BASE_JSON_H
#include "base/str.h"
#include <jansson.h>

#define JSON_DEPTH_MAX     128 /* nesting accepted from outside; deeper input is an error */
#define JSON_DEPTH_OWN_MAX 256 /* of what we wrote: values from outside, and what we put around */

void json_freep(json_t **j); /* AUTO(json_freep) json_t *j */

/* Any JSON value. Duplicate keys, invalid UTF-8, NUL in strings and depth over JSON_DEPTH_MAX are
 * errors (ERR_INVALID with the offset). Integers beyond 64 bits become reals. */
struct err *MUST json_parse(const char *text, size_t n, json_t **OWN ret_json);
/* Of a text that we wrote: only the members of an object that are wanted are read, which is quick;
 * others are passed over unseen. *at is NULL where there is no such member. */
struct json_want {
    const char *name;
    json_t **OWN at;
    /* Or instead of at: the number as json_int gives it, else what was there before; or what is
     * wanted of the object that the member is. */
    int64_t *whole;
    const struct json_want *in;
    size_t nin;
};
struct err *MUST json_pick(const char *text, size_t n, const struct json_want *want, size_t count);
/* What a person wrote: JSON, or else the text itself. */
json_t *OWN json_or_text(const char *text, size_t n);
/* json_parse for a text that we wrote. */
struct err *MUST json_parse_own(const char *text, size_t n, json_t **OWN ret_json);
/* Compact, in order of insertion, numbers as short as they can be. NULL is written as null. */
void json_write(struct str *s, const json_t *j);
void json_quote(struct str *s, const char *text, size_t n); /* a string in its quotes */
char *OWN json_text(const json_t *j);
/* Sorted keys, compact: equal values give equal bytes. For hashes. */
char *OWN json_canonical(const json_t *j);
char *OWN json_pretty(const json_t *j);

/* An object written member by member, for what is written once and would be a tree for a moment
 * only. Of json_put_text invalid UTF-8 becomes U+FFFD; what is NULL is left out. */
void json_open(struct str *s);
void json_close(struct str *s);
void json_put_open(struct str *s, const char *key); /* a member that is an object itself */
void json_put(struct str *s, const char *key, const json_t *value);
void json_put_text(struct str *s, const char *key, const char *text);
void json_put_int(struct str *s, const char *key, int64_t value);

/* Members of an object; the default when absent or of another type. */
const char *json_str(const json_t *obj, const char *key, const char *otherwise);
int64_t json_int(const json_t *obj, const char *key, int64_t otherwise); /* reals are rounded */
double json_num(const json_t *obj, const char *key, double otherwise);
bool json_bool(const json_t *obj, const char *key, bool otherwise);
/* A path of member names: json_at(j, "usage", "input_tokens", NULL). */
json_t *json_at(const json_t *j, ...) __attribute__((sentinel));

/* What a value looks like as text for a person or a model: a string itself, other values as JSON.
 */
char *OWN json_as_text(const json_t *j);
bool json_truthy(const json_t *j); /* false: absent, null and false */

/* Bytes from outside as a JSON string; invalid UTF-8 and NUL are replaced by U+FFFD. */
json_t *OWN json_string_lossy(const char *p, size_t n);
json_t *OWN json_stringf(const char *fmt, ...) FMT(1);
#endif
