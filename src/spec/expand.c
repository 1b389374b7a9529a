/* expand.c - ${NAME} in texts, and where it does not read as meant. */
#include "spec/expand.h"
#include <ctype.h>
#include <string.h>

const char expand_bad[] = "'${' must be followed by NAME} or NAME:-default}; write '$${' for a "
                          "plain '${'";

static bool
is_name_char(char c, bool first)
{
    return c == '_' || isalpha((unsigned char)c) || (!first && isdigit((unsigned char)c));
}

bool
expand_next(const char *text, size_t *i, struct expand_ref *ret)
{
    const char *p = strstr(text + *i, "${");
    if (!p)
        return false;
    *ret = (struct expand_ref){.at = (size_t)(p - text)};
    if (ret->at > *i && p[-1] == '$') {
        ret->at--;
        ret->end = *i = ret->at + 3;
        ret->escaped = true;
        return true;
    }
    const char *q = p + 2;
    while (is_name_char(*q, q == p + 2))
        q++;
    const char *close = *q == '}'                  ? q
                        : *q == ':' && q[1] == '-' ? memchr(q, '}', strnlen(q, EXPAND_DEFAULT_MAX))
                                                   : NULL;
    ret->name = p + 2;
    ret->name_len = (size_t)(q - ret->name);
    ret->bad = !ret->name_len || !close || ret->name_len > EXPAND_NAME_MAX;
    ret->end = ret->bad ? ret->at + 2 : (size_t)(close - text) + 1;
    if (!ret->bad && *q == ':') {
        ret->otherwise = q + 2;
        ret->otherwise_len = (size_t)(close - q) - 2;
    }
    *i = ret->end;
    return true;
}

bool
expand_has(const char *text)
{
    return strstr(text, "${") != NULL;
}

static struct err *MUST
expand_one(const struct expand_ref *r, const struct spec_env *env, struct str *out)
{
    char name[EXPAND_NAME_MAX + 1];
    memcpy(name, r->name, r->name_len);
    name[r->name_len] = '\0';
    const char *value = env && env->get ? env->get(env->ctx, name) : NULL;
    if (r->otherwise && (!value || !*value))
        str_addn(out, r->otherwise, r->otherwise_len);
    else if (value)
        str_add(out, value);
    else
        return FAIL(ERR_MISSING, "environment variable '%s' is not set", name);
    return NULL;
}

struct err *
spec_expand(const char *text, const struct spec_env *env, struct str *out)
{
    struct expand_ref r;
    size_t from = 0;
    for (size_t i = 0; expand_next(text, &i, &r); from = r.end) {
        str_addn(out, text + from, r.at - from);
        if (r.escaped)
            str_add(out, "${");
        else if (r.bad)
            return FAIL(ERR_INVALID, "%s", expand_bad);
        else
            PASS(expand_one(&r, env, out));
    }
    str_add(out, text + from);
    return NULL;
}
