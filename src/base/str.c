/* str.c - growing strings and the plain string helpers everybody needs. */
#include "base/str.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FORMATTED 63 /* bytes that most formatted pieces fit in */

void
str_fini(struct str *s)
{
    free(s->p);
    *s = STR_INIT;
}

void
str_reset(struct str *s)
{
    s->len = 0;
    if (s->p)
        s->p[0] = '\0';
}

void
str_grow(struct str *s, size_t more)
{
    assert(more < SIZE_MAX / 4);
    size_t cap = s->cap ? s->cap : 64;
    while (cap < s->len + more + 1)
        cap += cap / 2 + 16;
    s->p = xrealloc(s->p, cap);
    s->cap = cap;
    s->p[s->len] = '\0';
}

void
str_fit(struct str *s)
{
    if (!s->p)
        return;
    s->cap = s->len + 1;
    s->p = xrealloc(s->p, s->cap);
}

void
str_addn(struct str *s, const void *bytes, size_t n)
{
    str_reserve(s, n);
    if (n)
        memcpy(s->p + s->len, bytes, n);
    s->len += n;
    s->p[s->len] = '\0';
}

void
str_add(struct str *s, const char *text)
{
    str_addn(s, text, strlen(text));
}

void
str_addv(struct str *s, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    str_reserve(s, FORMATTED);
    size_t room = s->cap - s->len;
    int n = vsnprintf(s->p + s->len, room, fmt, ap);
    assert(n >= 0);
    if ((size_t)n >= room) { /* once more, now that it fits */
        str_reserve(s, (size_t)n);
        vsnprintf(s->p + s->len, (size_t)n + 1, fmt, again);
    }
    va_end(again);
    s->len += (size_t)n;
}

void
str_addf(struct str *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    str_addv(s, fmt, ap);
    va_end(ap);
}

void
str_cut(struct str *s, size_t from_front)
{
    assert(from_front <= s->len);
    if (!from_front)
        return;
    memmove(s->p, s->p + from_front, s->len - from_front);
    s->len -= from_front;
    s->p[s->len] = '\0';
}

const char *
str_c(const struct str *s)
{
    return s->p ? s->p : "";
}

char *
str_steal(struct str *s)
{
    char *p = s->p ? s->p : xstrdup("");
    *s = STR_INIT;
    return p;
}

bool
str_eq(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool
str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool
str_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && strcmp(s + n - m, suffix) == 0;
}

bool
str_glob(const char *pattern, const char *s)
{
    /* Only the last star can matter: on a mismatch go back to it and let it eat one more. */
    const char *star = NULL, *retry = NULL;
    while (*s) {
        if (*pattern == '*') {
            star = pattern++;
            retry = s;
        } else if (*pattern == '?' || *pattern == *s) {
            pattern++;
            s++;
        } else if (star) {
            pattern = star + 1;
            s = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}

/* Length of the valid UTF-8 sequence at p (n > 0 bytes left), or 0. */
static size_t
utf8_seq(const unsigned char *p, size_t n)
{
    unsigned char c = p[0];
    if (c < 0x80)
        return 1;
    size_t len = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4 || n < len)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f))
        return 0; /* overlong, or a surrogate */
    if ((c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] > 0x8f))
        return 0; /* overlong, or past U+10FFFF */
    return len;
}

/* How many bytes from the front are valid: first eight of ASCII at a time, as most text is. */
static size_t
utf8_run(const char *p, size_t n)
{
    size_t i = 0;
    while (i < n) {
        uint64_t eight;
        if (n - i >= sizeof eight) {
            memcpy(&eight, p + i, sizeof eight);
            if (!(eight & 0x8080808080808080u)) {
                i += sizeof eight;
                continue;
            }
        }
        size_t k = utf8_seq((const unsigned char *)p + i, n - i);
        if (!k)
            break;
        i += k;
    }
    return i;
}

bool
utf8_valid(const char *p, size_t n)
{
    return utf8_run(p, n) == n;
}

void
str_add_utf8(struct str *s, const char *p, size_t n)
{
    str_reserve(s, n);
    for (size_t i = 0; i < n; i++) { /* past the byte that ended the run */
        size_t valid = utf8_run(p + i, n - i);
        str_addn(s, p + i, valid);
        i += valid;
        if (i < n)
            str_add(s, "\xef\xbf\xbd");
    }
}

size_t
utf8_floor(const char *p, size_t n)
{
    size_t i = n;
    while (i > 0 && n - i < 4 && ((unsigned char)p[i - 1] & 0xc0) == 0x80)
        i--;
    if (i == 0)
        return n;
    size_t k = utf8_seq((const unsigned char *)p + i - 1, n - i + 1);
    if (k)
        return n;
    return (unsigned char)p[i - 1] >= 0xc0 ? i - 1 : n; /* a character begins there, and is cut */
}
