/* json.c - jansson with limits. */
#include "base/json.h"
#include "base/jsonread.h"
#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
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
depth_ok(const char *p, size_t n, int max)
{
    int depth = 0;
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
            if (++depth > max)
                return false;
        } else if ((c == '}' || c == ']') && depth) {
            depth--;
        }
    }
    return true;
}

static struct err *
parse(const char *text, size_t n, int depth, json_t **ret_json)
{
    json_t *plain = json_read_plain(text, n, depth);
    if (plain) {
        *ret_json = plain;
        return NULL;
    }
    if (!depth_ok(text, n, depth))
        return FAIL(ERR_INVALID, "not JSON: nested deeper than %d", depth);
    json_error_t why;
    json_t *j = json_loadb(text, n, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &why);
    if (!j)
        return FAIL(ERR_INVALID, "not JSON: %s at line %d, column %d", why.text, why.line,
                    why.column);
    *ret_json = j;
    return NULL;
}

struct err *
json_parse(const char *text, size_t n, json_t **ret_json)
{
    return parse(text, n, JSON_DEPTH_MAX, ret_json);
}

json_t *
json_or_text(const char *text, size_t n)
{
    json_t *value = NULL;
    struct err *e = json_parse(text, n, &value);
    if (!e)
        return value;
    err_drop(e);
    return json_string_lossy(text, n);
}

struct err *
json_parse_own(const char *text, size_t n, json_t **ret_json)
{
    return parse(text, n, JSON_DEPTH_OWN_MAX, ret_json);
}

static void
pick_from(const json_t *object, const struct json_want *want, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (want[i].in)
            pick_from(json_object_get(object, want[i].name), want[i].in, want[i].nin);
        else if (want[i].whole)
            *want[i].whole = json_int(object, want[i].name, *want[i].whole);
        else
            *want[i].at = json_incref(json_object_get(object, want[i].name));
    }
}

struct err *
json_pick(const char *text, size_t n, const struct json_want *want, size_t count)
{
    AUTO(json_freep) json_t *whole = NULL;
    if (json_pick_plain(text, n, want, count))
        return NULL;
    PASS(json_parse_own(text, n, &whole));
    if (!json_is_object(whole))
        return FAIL(ERR_INVALID, "not a JSON object");
    pick_from(whole, want, count);
    return NULL;
}

/* ---- writing: shorter numbers than jansson's, and much faster than its piecewise callback -------
 */

#define WHOLE_MAX       1e15 /* below it 15 digits write any whole number */
#define WRITE_DEPTH_MAX 2048 /* jansson's own bound on what it reads; our values are far below */

static void
quote_byte(struct str *s, char c)
{
    static const char from[] = "\"\\\n\r\t", to[] = "\"\\nrt";
    const char *at = memchr(from, c, sizeof from - 1);
    if (!at) {
        str_addf(s, "\\u%04x", (unsigned char)c);
        return;
    }
    str_addc(s, '\\');
    str_addc(s, to[at - from]);
}

void
json_quote(struct str *s, const char *text, size_t n)
{
    const char *const end = text + n;
    str_reserve(s, n + 2);
    str_addc(s, '"');
    for (;;) {
        bool high = false;
        const char *stop = json_plain_end(text, end, &high);
        str_addn(s, text, (size_t)(stop - text));
        if (stop == end)
            break;
        quote_byte(s, *stop);
        text = stop + 1;
    }
    str_addc(s, '"');
}

static void
write_integer(struct str *s, json_int_t x)
{
    char text[24], *p = text + sizeof text;
    uint64_t u = x < 0 ? -(uint64_t)x : (uint64_t)x;
    do
        *--p = (char)('0' + u % 10);
    while (u /= 10);
    if (x < 0)
        *--p = '-';
    str_addn(s, p, (size_t)(text + sizeof text - p));
}

/* The shortest digits that read back as the same number. */
static void
write_real(struct str *s, double x)
{
    char text[40];
    if (fabs(x) < WHOLE_MAX && x == (double)(json_int_t)x && !(x == 0 && signbit(x))) {
        write_integer(s, (json_int_t)x);
        str_addn(s, ".0", 2);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x)
            break;
    }
    str_add(s, text);
    if (!strpbrk(text, ".eE"))
        str_addn(s, ".0", 2);
}

static void write_value(struct str *s, const json_t *j, bool sorted, unsigned depth);

static int
key_order(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void
write_key(struct str *s, const char *key)
{
    if (s->p[s->len - 1] != '{')
        str_addc(s, ',');
    json_quote(s, key, strlen(key));
    str_addc(s, ':');
}

static void
write_member(struct str *s, const char *key, const json_t *value, bool sorted, unsigned depth)
{
    write_key(s, key);
    write_value(s, value, sorted, depth + 1);
}

static void
write_object(struct str *s, const json_t *j, bool sorted, unsigned depth)
{
    const char *key;
    json_t *value;
    str_addc(s, '{');
    if (!sorted) {
        json_object_foreach ((json_t *)(uintptr_t)j, key, value)
            write_member(s, key, value, false, depth);
    } else {
        size_t n = 0;
        const char **keys = xcalloc(json_object_size(j), sizeof *keys);
        json_object_foreach ((json_t *)(uintptr_t)j, key, value)
            keys[n++] = key;
        if (n)
            qsort(keys, n, sizeof *keys, key_order);
        for (size_t i = 0; i < n; i++)
            write_member(s, keys[i], json_object_get(j, keys[i]), true, depth);
        free(keys);
    }
    str_addc(s, '}');
}

static void
write_value(struct str *s, const json_t *j, bool sorted, unsigned depth)
{
    assert(depth < WRITE_DEPTH_MAX);
    const json_t *item;
    size_t i;
    if (!j) { /* an absent member */
        str_add(s, "null");
        return;
    }
    switch (json_typeof(j)) {
    case JSON_OBJECT:
        write_object(s, j, sorted, depth);
        return;
    case JSON_ARRAY:
        str_addc(s, '[');
        json_array_foreach (j, i, item) {
            if (i)
                str_addc(s, ',');
            write_value(s, item, sorted, depth + 1);
        }
        str_addc(s, ']');
        return;
    case JSON_STRING:
        json_quote(s, json_string_value(j), json_string_length(j));
        return;
    case JSON_INTEGER:
        write_integer(s, json_integer_value(j));
        return;
    case JSON_REAL:
        write_real(s, json_real_value(j));
        return;
    case JSON_TRUE:
        str_add(s, "true");
        return;
    case JSON_FALSE:
        str_add(s, "false");
        return;
    case JSON_NULL:
        str_add(s, "null");
        return;
    }
}

void
json_write(struct str *s, const json_t *j)
{
    write_value(s, j, false, 0);
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
    write_value(&s, j, true, 0);
    return str_steal(&s);
}

void
json_open(struct str *s)
{
    str_addc(s, '{');
}

void
json_put_open(struct str *s, const char *key)
{
    write_key(s, key);
    json_open(s);
}

void
json_close(struct str *s)
{
    str_addc(s, '}');
}

void
json_put(struct str *s, const char *key, const json_t *value)
{
    if (value)
        write_member(s, key, value, false, 0);
}

void
json_put_text(struct str *s, const char *key, const char *text)
{
    if (!text)
        return;
    const size_t n = strlen(text);
    write_key(s, key);
    if (utf8_valid(text, n)) {
        json_quote(s, text, n);
        return;
    }
    AUTO(str_fini) struct str valid = STR_INIT;
    str_add_utf8(&valid, text, n);
    json_quote(s, str_c(&valid), valid.len);
}

void
json_put_int(struct str *s, const char *key, int64_t value)
{
    write_key(s, key);
    write_integer(s, value);
}

static int
json_sink(const char *bytes, size_t n, void *ctx)
{
    str_addn(ctx, bytes, n);
    return 0;
}

char *
json_pretty(const json_t *j)
{
    struct str s = STR_INIT;
    json_dump_callback(j, json_sink, &s,
                       JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
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
    if (!memchr(p, '\0', n) && utf8_valid(p, n))
        return json_stringn_nocheck(p, n);
    AUTO(str_fini) struct str s = STR_INIT;
    for (size_t i = 0; i < n;) {
        const char *nul = memchr(p + i, '\0', n - i);
        size_t k = nul ? (size_t)(nul - p) - i : n - i;
        str_add_utf8(&s, p + i, k);
        if (nul)
            str_add(&s, "\xef\xbf\xbd");
        i += k + (nul ? 1 : 0);
    }
    return json_stringn_nocheck(str_c(&s), s.len);
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
