/* secrets.h - values that must not be seen, replaced wherever text leaves the process. */
#ifndef APP_SECRETS_H
#define APP_SECRETS_H
#include "base/json.h"

#define SECRET_LEN_MIN 6 /* shorter values would take common words away */

struct secrets;
struct secrets *OWN secrets_new(void);
void secrets_free(struct secrets *OWN s);
/* A variable's name tells whether its value is one: KEY, TOKEN, SECRET, PASSWORD, ... */
bool secret_name(const char *name);
void secrets_add(struct secrets *s, const char *value);
/* Where one secret begins with another, the longer one goes. */
void secrets_hide_in(const struct secrets *s, struct str *text); /* in place */
void secrets_hide(const struct secrets *s, const char *text, size_t n, struct str *to);
/* The same in every string of a value, names of members included; numbers and the like stay. A text
 * of JSON is never searched as a whole: a secret in it is escaped, and a short one may look like a
 * part of its structure. */
json_t *OWN secrets_hide_json(const struct secrets *s, const json_t *j);
bool secrets_any(const struct secrets *s);

#endif
