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
        for (size_t k = 0; k < s->values.len; k++) {
            size_t len = strlen(s->values.at[k]);
            if (len > hidden && len <= n - i && text[i] == s->values.at[k][0] &&
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

json_t *
secrets_hide_json(const struct secrets *s, const json_t *j)
{
    AUTO(str_fini) struct str text = STR_INIT;
    const char *key;
    json_t *m;
    size_t i;
    if (!s->values.len)
        return json_incref((json_t *)(uintptr_t)j);
    if (json_is_string(j)) {
        secrets_hide(s, json_string_value(j), json_string_length(j), &text);
        return json_string_lossy(str_c(&text), text.len);
    }
    if (!json_is_object(j) && !json_is_array(j))
        return json_incref((json_t *)(uintptr_t)j);
    json_t *made = json_is_array(j) ? json_array() : json_object();
    json_array_foreach (j, i, m)
        json_array_append_new(made, secrets_hide_json(s, m));
    json_object_foreach ((json_t *)(uintptr_t)j, key, m) {
        str_reset(&text);
        secrets_hide(s, key, strlen(key), &text);
        json_object_set_new(made, str_c(&text), secrets_hide_json(s, m));
    }
    return made;
}

/* Nearly always there is nothing: one fast search for each value, and no copy. */
void
secrets_hide_in(const struct secrets *s, struct str *text)
{
    for (size_t k = 0; k < s->values.len; k++) {
        if (!memmem(text->p, text->len, s->values.at[k], strlen(s->values.at[k])))
            continue;
        struct str shown = STR_INIT;
        secrets_hide(s, text->p, text->len, &shown);
        str_fini(text);
        *text = shown;
        return;
    }
}
