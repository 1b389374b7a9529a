/* secrets.c - a short list of values, searched for in what is about to be shown. */
#include "app/secrets.h"
#include "base/vec.h"
#include <string.h>
#include <strings.h>

#define SECRETS_MAX 256

struct secrets {
    VEC(char *) values;
};

struct secrets *
secrets_new(void)
{
    return xcalloc(1, sizeof(struct secrets));
}

void
secrets_free(struct secrets *s)
{
    if (!s)
        return;
    vec_each (&s->values, v)
        free(*v);
    vec_fini(&s->values);
    free(s);
}

bool
secret_name(const char *name)
{
    static const char *const marks[] = {"KEY",    "TOKEN",      "SECRET", "PASSWORD",
                                        "PASSWD", "CREDENTIAL", "AUTH",   "COOKIE"};
    for (size_t i = 0; i < COUNT(marks); i++) {
        if (strcasestr(name, marks[i]))
            return true;
    }
    return false;
}

void
secrets_add(struct secrets *s, const char *value)
{
    if (strlen(value) < SECRET_LEN_MIN || s->values.len == SECRETS_MAX)
        return;
    vec_each (&s->values, v) {
        if (strcmp(*v, value) == 0)
            return;
    }
    vec_push(&s->values, xstrdup(value));
}

bool
secrets_any(const struct secrets *s)
{
    return s->values.len > 0;
}

void
secrets_hide(const struct secrets *s, const char *text, size_t n, struct str *to)
{
    for (size_t i = 0; i < n;) {
        size_t hidden = 0;
        for (size_t k = 0; k < s->values.len && !hidden; k++) {
            size_t len = strlen(s->values.at[k]);
            if (len <= n - i && text[i] == s->values.at[k][0] &&
                memcmp(text + i, s->values.at[k], len) == 0)
                hidden = len;
        }
        if (hidden)
            str_add(to, "***");
        else
            str_addc(to, text[i]);
        i += hidden ? hidden : 1;
    }
}
