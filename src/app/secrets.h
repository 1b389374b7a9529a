/* secrets.h - values that must not be seen, replaced wherever text leaves the process. */
#ifndef APP_SECRETS_H
#define APP_SECRETS_H
#include "base/str.h"

#define SECRET_LEN_MIN 6 /* shorter values would take common words away */

struct secrets;
struct secrets *OWN secrets_new(void);
void secrets_free(struct secrets *OWN s);
/* A variable's name tells whether its value is one: KEY, TOKEN, SECRET, PASSWORD, ... */
bool secret_name(const char *name);
void secrets_add(struct secrets *s, const char *value);
void secrets_hide(const struct secrets *s, const char *text, size_t n, struct str *to);
bool secrets_any(const struct secrets *s);

#endif
