/* jsonread.c - a small recursive reader of bounded depth. */
#include "base/jsonread.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_MAX 18 /* any integer of so many fits 64 bits; one that does not is a real */

struct reader {
    const char *p, *end;
    struct str text; /* the string or key with escapes, or the long number, that is being read */
    int depth, depth_max;
};

static json_t *read_value(struct reader *r);

static void
skip_space(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\r' || *r->p == '\t'))
        r->p++;
}

static bool
take(struct reader *r, char c)
{
    if (r->p == r->end || *r->p != c)
        return false;
    r->p++;
    return true;
}

/* ---- strings ----------------------------------------------------------------------------------*/

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits behind "\u", or -1. */
static int
read_unit(struct reader *r)
{
    int unit = 0;
    if (r->end - r->p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        const int digit = hex_digit(*r->p++);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static void
add_char(struct str *s, int c)
{
    if (c < 0x80) {
        str_addc(s, (char)c);
        return;
    }
    const int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
    str_addc(s, (char)(lead[more] | (c >> (6 * more))));
    for (int i = more - 1; i >= 0; i--)
        str_addc(s, (char)(0x80 | ((c >> (6 * i)) & 0x3f)));
}

static bool
read_unicode(struct reader *r)
{
    int c = read_unit(r);
    if (c <= 0 || (c >= 0xdc00 && c < 0xe000))
        return false;
    if (c >= 0xd800 && c < 0xdc00) {
        if (!take(r, '\\') || !take(r, 'u'))
            return false;
        const int low = read_unit(r);
        if (low < 0xdc00 || low >= 0xe000)
            return false;
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    add_char(&r->text, c);
    return true;
}

static bool
read_escape(struct reader *r)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (r->p == r->end)
        return false;
    const char c = *r->p++;
    if (c == 'u')
        return read_unicode(r);
    const char *at = memchr(from, c, sizeof from - 1);
    if (at)
        str_addc(&r->text, to[at - from]);
    return at != NULL;
}

struct run { /* a string's bytes: in the input, or in r->text when it had escapes */
    const char *p;
    size_t n;
};

#define EIGHT(byte) (0x0101010101010101u * (byte))

/* Is there a byte below 0x20, a quote or a backslash among these eight? Each of the three takes 1
 * (or 0x20) from every byte: one that was too small borrows, which sets its highest bit. */
static bool
eight_stop(uint64_t x)
{
    const uint64_t quote = x ^ EIGHT('"'), back = x ^ EIGHT('\\');
    return (((x - EIGHT(0x20)) & ~x) | ((quote - EIGHT(1)) & ~quote) |
            ((back - EIGHT(1)) & ~back)) &
           EIGHT(0x80);
}

const char *
json_plain_end(const char *p, const char *end, bool *high)
{
    uint64_t eight, all = 0;
    for (; end - p >= (ptrdiff_t)sizeof eight; p += sizeof eight) {
        memcpy(&eight, p, sizeof eight);
        if (eight_stop(eight))
            break;
        all |= eight;
    }
    *high |= (all & EIGHT(0x80)) != 0;
    for (all = 0; p < end; p++) {
        const unsigned char c = (unsigned char)*p;
        if (c < 0x20 || c == '"' || c == '\\')
            break;
        all |= c;
    }
    *high |= all >= 0x80;
    return p;
}

/* Behind the opening quote. */
static bool
read_run(struct reader *r, struct run *ret)
{
    const char *from = r->p;
    bool high = false, escaped = false;
    str_reset(&r->text);
    for (;;) {
        r->p = json_plain_end(r->p, r->end, &high);
        if (r->p == r->end || (unsigned char)*r->p < 0x20)
            return false;
        if (*r->p == '"' && !escaped)
            break;
        str_addn(&r->text, from, (size_t)(r->p - from));
        if (*r->p == '"')
            break;
        r->p++;
        escaped = true;
        if (!read_escape(r))
            return false;
        from = r->p;
    }
    *ret = escaped ? (struct run){str_c(&r->text), r->text.len}
                   : (struct run){from, (size_t)(r->p - from)};
    r->p++;
    return !high || utf8_valid(ret->p, ret->n);
}

static json_t *
read_string(struct reader *r)
{
    struct run run;
    return read_run(r, &run) ? json_stringn_nocheck(run.p, run.n) : NULL;
}

/* ---- numbers and words ------------------------------------------------------------------------*/

static const char *
digits_end(const char *p, const char *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

/* The end of a fraction and an exponent, if there are any; NULL: malformed. */
static const char *
real_end(const char *p, const char *end)
{
    if (p < end && *p == '.') {
        const char *from = ++p;
        if ((p = digits_end(p, end)) == from)
            return NULL;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        const char *from = p;
        if ((p = digits_end(p, end)) == from)
            return NULL;
    }
    return p;
}

/* A whole number that is not too long. */
static bool
read_whole(struct reader *r, int64_t *ret)
{
    const char *first = r->p + (r->p < r->end && *r->p == '-');
    const char *last = digits_end(first, r->end);
    if (last == first || last - first > DIGITS_MAX || (*first == '0' && last - first > 1) ||
        (last < r->end && (*last == '.' || *last == 'e' || *last == 'E')))
        return false;
    int64_t value = 0;
    for (const char *p = first; p < last; p++)
        value = value * 10 + (*p - '0');
    *ret = first == r->p ? value : -value;
    r->p = last;
    return true;
}

static json_t *
read_number(struct reader *r)
{
    int64_t short_one;
    char *stop;
    if (read_whole(r, &short_one))
        return json_integer(short_one);
    const char *from = r->p;
    take(r, '-');
    const char *first = r->p, *last = digits_end(r->p, r->end);
    const char *end = real_end(last, r->end);
    if (last == first || !end || (*first == '0' && last - first > 1))
        return NULL;
    r->p = end;
    str_reset(&r->text);
    str_addn(&r->text, from, (size_t)(end - from));
    const char *text = str_c(&r->text);
    errno = 0;
    const long long whole = end == last ? strtoll(text, NULL, 10) : 0;
    if (end == last && !errno)
        return json_integer(whole);
    const double value = strtod(text, &stop); /* a locale may want another decimal point */
    return *stop || !isfinite(value) ? NULL : json_real(value);
}

static bool
take_word(struct reader *r, const char *word)
{
    const size_t n = strlen(word);
    if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0)
        return false;
    r->p += n;
    return true;
}

/* ---- structures -------------------------------------------------------------------------------*/

static bool
read_member(struct reader *r, json_t *object)
{
    AUTO(str_fini) struct str escaped = STR_INIT; /* a key that the value would overwrite */
    struct run key;
    skip_space(r);
    if (!take(r, '"') || !read_run(r, &key))
        return false;
    if (key.p == r->text.p) {
        escaped = r->text;
        r->text = STR_INIT;
    }
    skip_space(r);
    if (!take(r, ':'))
        return false;
    json_t *value = read_value(r);
    const size_t before = json_object_size(object);
    /* a key that is there already does not make the object larger */
    return value && json_object_setn_new_nocheck(object, key.p, key.n, value) == 0 &&
           json_object_size(object) > before;
}

static bool
read_item(struct reader *r, json_t *array)
{
    json_t *value = read_value(r);
    return value && json_array_append_new(array, value) == 0;
}

/* Behind the opening bracket. */
static json_t *
read_members(struct reader *r, json_t *to, char close)
{
    const bool object = close == '}';
    skip_space(r);
    if (take(r, close))
        return to;
    while (object ? read_member(r, to) : read_item(r, to)) {
        skip_space(r);
        if (take(r, ','))
            continue;
        if (take(r, close))
            return to;
        break;
    }
    json_decref(to);
    return NULL;
}

static json_t *
read_structure(struct reader *r, json_t *to, char close)
{
    if (r->depth == r->depth_max) {
        json_decref(to);
        return NULL;
    }
    r->depth++;
    json_t *j = read_members(r, to, close);
    r->depth--;
    return j;
}

static json_t *
read_value(struct reader *r)
{
    skip_space(r);
    if (take(r, '"'))
        return read_string(r);
    if (take(r, '{'))
        return read_structure(r, json_object(), '}');
    if (take(r, '['))
        return read_structure(r, json_array(), ']');
    if (take_word(r, "null"))
        return json_null();
    if (take_word(r, "true"))
        return json_true();
    if (take_word(r, "false"))
        return json_false();
    return read_number(r);
}

json_t *
json_read_plain(const char *text, size_t n, int depth)
{
    struct reader r = {.p = text, .end = text + n, .depth_max = depth};
    json_t *j = read_value(&r);
    skip_space(&r);
    str_fini(&r.text);
    if (j && r.p == r.end)
        return j;
    json_decref(j);
    return NULL;
}

/* Behind the opening quote, to behind the closing one. */
static bool
skip_string(struct reader *r)
{
    const char *from = r->p, *quote;
    while (r->p < r->end && (quote = memchr(r->p, '"', (size_t)(r->end - r->p)))) {
        const char *first = quote; /* of the backslashes before it */
        while (first > from && first[-1] == '\\')
            first--;
        r->p = quote + 1;
        if ((quote - first) % 2 == 0)
            return true;
    }
    return false;
}

/* To the comma or bracket behind a value. It is not judged: only strings and brackets count. */
static bool
skip_value(struct reader *r)
{
    static const bool counts[256] = {
        ['"'] = true, ['{'] = true, ['}'] = true, ['['] = true, [']'] = true, [','] = true};
    size_t depth = 0;
    for (;;) {
        while (r->p < r->end && !counts[(unsigned char)*r->p])
            r->p++;
        if (r->p == r->end)
            return false;
        const char c = *r->p;
        if ((c == ',' || c == '}' || c == ']') && !depth)
            return true;
        r->p++;
        if (c == '"' && !skip_string(r))
            return false;
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
    }
}

static bool pick_members(struct reader *r, const struct json_want *want, size_t count);

/* Values of another form than the wanted one are not for this reader. */
static bool
pick_value(struct reader *r, const struct json_want *want)
{
    if (want->in)
        return pick_members(r, want->in, want->nin);
    skip_space(r);
    if (want->whole)
        return read_whole(r, want->whole);
    if (*want->at) /* it was there before */
        return false;
    *want->at = read_value(r);
    return *want->at != NULL;
}

static bool
pick_member(struct reader *r, const struct json_want *want, size_t count)
{
    const struct json_want *wanted = NULL;
    skip_space(r);
    const char *key = r->p + 1;
    if (!take(r, '"') || !skip_string(r))
        return false;
    const size_t n = (size_t)(r->p - 1 - key);
    if (memchr(key, '\\', n)) /* none of ours */
        return false;
    for (size_t i = 0; i < count && !wanted; i++) {
        if (strlen(want[i].name) == n && memcmp(want[i].name, key, n) == 0)
            wanted = &want[i];
    }
    skip_space(r);
    if (!take(r, ':'))
        return false;
    return wanted ? pick_value(r, wanted) : skip_value(r);
}

static bool
pick_members(struct reader *r, const struct json_want *want, size_t count)
{
    skip_space(r);
    if (!take(r, '{'))
        return false;
    skip_space(r);
    if (take(r, '}'))
        return true;
    while (pick_member(r, want, count)) {
        skip_space(r);
        if (take(r, ','))
            continue;
        return take(r, '}');
    }
    return false;
}

/* Of all that is wanted, also inside. */
static void
wants_reset(const struct json_want *want, size_t count, bool taken)
{
    for (size_t i = 0; i < count; i++) {
        if (want[i].in)
            wants_reset(want[i].in, want[i].nin, taken);
        else if (want[i].at && taken)
            json_freep(want[i].at);
        else if (want[i].at)
            *want[i].at = NULL;
    }
}

bool
json_pick_plain(const char *text, size_t n, const struct json_want *want, size_t count)
{
    struct reader r = {.p = text, .end = text + n, .depth = 1, .depth_max = JSON_DEPTH_OWN_MAX};
    wants_reset(want, count, false);
    bool taken = pick_members(&r, want, count);
    skip_space(&r);
    taken = taken && r.p == r.end;
    str_fini(&r.text);
    if (!taken)
        wants_reset(want, count, true);
    return taken;
}
