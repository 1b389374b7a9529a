/* str.h - a string that grows.
 *
 * Always NUL-terminated once it has content; may hold NUL bytes (len counts). Never fails. */
#ifndef BASE_STR_H
#define BASE_STR_H
#include "base/err.h"
#include <stdarg.h>

struct str {
    char *p;         /* NULL while empty and untouched: use str_c() to read */
    size_t len, cap; /* bytes used without the NUL, bytes allocated */
};
#define STR_INIT ((struct str){0})

void str_fini(struct str *s);
void str_reset(struct str *s);             /* len 0, memory kept */
void str_grow(struct str *s, size_t more); /* str_reserve is what one asks */
static inline void
str_reserve(struct str *s, size_t more)
{
    if (!s->p || more >= s->cap - s->len)
        str_grow(s, more);
}
void str_fit(struct str *s); /* gives back what is not used */
void str_add(struct str *s, const char *text);
void str_addn(struct str *s, const void *bytes, size_t n);
static inline void
str_addc(struct str *s, char c)
{
    str_reserve(s, 1);
    s->p[s->len++] = c;
    s->p[s->len] = '\0';
}
void str_addf(struct str *s, const char *fmt, ...) FMT(2);
void str_addv(struct str *s, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
void str_cut(struct str *s, size_t from_front); /* drops the first bytes */
const char *str_c(const struct str *s);         /* "" when empty */
char *OWN str_steal(struct str *s);             /* never NULL; s is empty afterwards */

/* Plain C strings. */
bool str_eq(const char *a, const char *b); /* NULL equals only NULL */
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
/* Glob with '*' (any run of characters) and '?' (one); linear time. */
bool str_glob(const char *pattern, const char *s);
/* True when the bytes are valid UTF-8 (no surrogates, no overlong forms). */
bool utf8_valid(const char *p, size_t n);
/* Appends the bytes, invalid sequences replaced by U+FFFD. */
void str_add_utf8(struct str *s, const char *p, size_t n);
/* Largest n' <= n that does not split a UTF-8 character. */
size_t utf8_floor(const char *p, size_t n);
#endif
