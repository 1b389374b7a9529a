/* json.c - jansson with limits. */
#include "base/json.h"
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void
json_freep(json_t **j)
{
    json_decref(*j);
    *j = NULL;
}

/* jansson nests up to 2048 on input, which recursion elsewhere cannot afford: count first. */
static bool
depth_ok(const char *p, size_t n)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < n; i++) {
        char c = p[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > JSON_DEPTH_MAX)
                return false;
        } else if ((c == '}' || c == ']') && depth) {
            depth--;
        }
    }
    return true;
}

struct err *
json_parse(const char *text, size_t n, json_t **ret_json)
{
    if (!depth_ok(text, n))
        return FAIL(ERR_INVALID, "not JSON: nested deeper than %d", JSON_DEPTH_MAX);
    json_error_t why;
    json_t *j = json_loadb(text, n, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &why);
    if (!j && json_error_code(&why) == json_error_numeric_overflow)
        j = json_loadb(text, n, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL,
                       &why);
    if (!j)
        return FAIL(ERR_INVALID, "not JSON: %s at line %d, column %d", why.text, why.line,
                    why.column);
    *ret_json = j;
    return NULL;
}

static int
json_sink(const char *bytes, size_t n, void *ctx)
{
    str_addn(ctx, bytes, n);
    return 0;
}

void
json_write(struct str *s, const json_t *j)
{
    json_dump_callback(j, json_sink, s, JSON_COMPACT | JSON_ENCODE_ANY);
}

char *
json_text(const json_t *j)
{
    struct str s = STR_INIT;
    json_write(&s, j);
    return str_steal(&s);
}

char *
json_canonical(const json_t *j)
{
    struct str s = STR_INIT;
    json_dump_callback(j, json_sink, &s, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
    return str_steal(&s);
}

char *
json_pretty(const json_t *j)
{
    struct str s = STR_INIT;
    json_dump_callback(j, json_sink, &s, JSON_INDENT(2) | JSON_ENCODE_ANY);
    return str_steal(&s);
}

const char *
json_str(const json_t *obj, const char *key, const char *otherwise)
{
    const json_t *v = json_object_get(obj, key);
    return json_is_string(v) ? json_string_value(v) : otherwise;
}

int64_t
json_int(const json_t *obj, const char *key, int64_t otherwise)
{
    const json_t *v = json_object_get(obj, key);
    if (json_is_integer(v))
        return json_integer_value(v);
    if (json_is_real(v) && fabs(json_real_value(v)) < 9e15)
        return llround(json_real_value(v));
    return otherwise;
}

double
json_num(const json_t *obj, const char *key, double otherwise)
{
    const json_t *v = json_object_get(obj, key);
    return json_is_number(v) ? json_number_value(v) : otherwise;
}

bool
json_bool(const json_t *obj, const char *key, bool otherwise)
{
    const json_t *v = json_object_get(obj, key);
    return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

json_t *
json_at(const json_t *j, ...)
{
    va_list ap;
    const char *key;
    json_t *at = (json_t *)(uintptr_t)j; /* jansson's getters drop const the same way */
    va_start(ap, j);
    while (at && (key = va_arg(ap, const char *)))
        at = json_object_get(at, key);
    va_end(ap);
    return at;
}

char *
json_as_text(const json_t *j)
{
    if (!j || json_is_null(j))
        return xstrdup("");
    if (json_is_string(j))
        return xstrndup(json_string_value(j), json_string_length(j));
    return json_text(j);
}

bool
json_truthy(const json_t *j)
{
    return j && !json_is_null(j) && !json_is_false(j);
}

json_t *
json_string_lossy(const char *p, size_t n)
{
    json_t *j = memchr(p, '\0', n) ? NULL : json_stringn(p, n);
    if (j)
        return j;
    AUTO(str_fini) struct str s = STR_INIT;
    for (size_t i = 0; i < n;) {
        const char *nul = memchr(p + i, '\0', n - i);
        size_t k = nul ? (size_t)(nul - p) - i : n - i;
        str_add_utf8(&s, p + i, k);
        if (nul)
            str_add(&s, "\xef\xbf\xbd");
        i += k + (nul ? 1 : 0);
    }
    return json_stringn(str_c(&s), s.len);
}

json_t *
json_stringf(const char *fmt, ...)
{
    AUTO(str_fini) struct str s = STR_INIT;
    va_list ap;
    va_start(ap, fmt);
    str_addv(&s, fmt, ap);
    va_end(ap);
    return json_string_lossy(str_c(&s), s.len);
}
