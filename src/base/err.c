/* err.c - errors as a chain of clauses, and the allocator that never fails. */
#include "base/err.h"
#include "base/printable.h"
#include "base/str.h"
#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#undef err_new /* the analyzer's overlay of the header */
#undef err_wrap

struct err {
    enum err_kind kind;
    struct src_pos at;
    char *file; /* owned copy of at.file: the tree it came from may be gone when it is printed */
    const char *c_file;
    int c_line;
    bool in_doubt, answered;
    int64_t retry_after_ms;
    struct err *cause; /* the failure below */
    struct err *next;  /* a further, independent error of the same list */
    char *msg;
};

static const char *const kind_names[] = {
    [ERR_INVALID] = "invalid",     [ERR_MISSING] = "missing",
    [ERR_DENIED] = "denied",       [ERR_LIMIT] = "limit",
    [ERR_TIMEOUT] = "timeout",     [ERR_CANCELLED] = "cancelled",
    [ERR_TRANSIENT] = "transient", [ERR_TOO_LONG] = "too_long",
    [ERR_PARKED] = "parked",       [ERR_BUG] = "bug",
};
_Static_assert(COUNT(kind_names) == ERR_KINDS, "every kind has a name");

/* A message is UTF-8, whatever was quoted in it: "%.60s" may end within a character, and a name
 * from outside may hold any bytes. */
static void
text_repair(char **text)
{
    const size_t n = strlen(*text);
    if (utf8_valid(*text, n))
        return;
    struct str s = STR_INIT;
    str_add_utf8(&s, *text, n);
    free(*text);
    *text = str_steal(&s);
}

static struct err *
err_build(enum err_kind kind, const char *c_file, int c_line, const char *fmt, va_list ap)
{
    struct err *e = xcalloc(1, sizeof *e);
    if (vasprintf(&e->msg, fmt, ap) < 0)
        abort();
    text_repair(&e->msg);
    e->kind = kind;
    e->c_file = c_file;
    e->c_line = c_line;
    e->retry_after_ms = -1;
    return e;
}

struct err *
err_new(enum err_kind kind, const char *c_file, int c_line, struct src_pos at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct err *e = err_build(kind, c_file, c_line, fmt, ap);
    va_end(ap);
    e->at = at;
    if (at.file)
        e->at.file = e->file = xstrdup(at.file);
    return e;
}

struct err *
err_wrap(struct err *cause, const char *c_file, int c_line, const char *fmt, ...)
{
    va_list ap;
    assert(cause);
    va_start(ap, fmt);
    struct err *e = err_build(cause->kind, c_file, c_line, fmt, ap);
    va_end(ap);
    e->at = cause->at;
    e->in_doubt = cause->in_doubt;
    e->answered = cause->answered;
    e->retry_after_ms = cause->retry_after_ms;
    e->cause = cause;
    return e;
}

void
err_free(struct err *e)
{
    while (e) {
        struct err *next = e->next;
        for (struct err *c = e, *below; c; c = below) {
            below = c->cause;
            if (c != e)
                err_free(c->next); /* a list that was wrapped as a whole */
            free(c->msg);
            free(c->file);
            free(c);
        }
        e = next;
    }
}

void
err_freep(struct err **e)
{
    err_free(*e);
    *e = NULL;
}

void
err_drop(struct err *e)
{
    err_free(e);
}

enum err_kind
err_kind(const struct err *e)
{
    assert(e);
    return e->kind;
}

const char *
err_kind_name(enum err_kind kind)
{
    assert(kind < ERR_KINDS);
    return kind_names[kind];
}

bool
err_kind_parse(const char *name, enum err_kind *ret_kind)
{
    for (size_t i = 0; i < COUNT(kind_names); i++) {
        if (strcmp(kind_names[i], name) == 0) {
            *ret_kind = (enum err_kind)i;
            return true;
        }
    }
    return false;
}

struct src_pos
err_pos(const struct err *e)
{
    return e->at;
}

int64_t
err_retry_after_ms(const struct err *e)
{
    return e->retry_after_ms;
}

struct err *
err_set_retry_after(struct err *e, int64_t ms)
{
    e->retry_after_ms = ms;
    return e;
}

bool
err_answered(const struct err *e)
{
    return e->answered;
}

struct err *
err_set_answered(struct err *e)
{
    e->answered = true;
    return e;
}

bool
err_in_doubt(const struct err *e)
{
    return e->in_doubt;
}

struct err *
err_set_in_doubt(struct err *e)
{
    e->in_doubt = true;
    return e;
}

void
err_join(struct err **list, struct err *e)
{
    while (*list)
        list = &(*list)->next;
    *list = e;
}

const struct err *
err_next(const struct err *e)
{
    return e->next;
}

size_t
err_count(const struct err *e)
{
    size_t n = 0;
    for (; e; e = e->next)
        n++;
    return n;
}

char *
err_text(const struct err *e)
{
    struct str s = STR_INIT;
    for (const struct err *i = e; i; i = i->cause) {
        if (i->msg[0])
            str_addf(&s, "%s%s", s.len ? ": " : "", i->msg);
    }
    return str_steal(&s);
}

static void
err_print_one(const struct err *e, FILE *to)
{
    const struct err *last = e;
    while (last->cause)
        last = last->cause;
    if (e->cause && last->next) { /* a wrapped list: print its members, each under our clause */
        for (const struct err *i = last; i; i = i->next)
            err_print_one(i, to);
        return;
    }
    /* It may quote what a tool or a model said. */
    AUTO(str_fini) struct str line = STR_INIT, shown = STR_INIT;
    AUTO(freep) char *text = err_text(e);
    if (e->at.line)
        str_addf(&line, "%s:%u:%u: ", e->at.file ? e->at.file : "input", e->at.line, e->at.col);
    str_add(&line, text);
    printable_lines(&shown, str_c(&line), line.len);
    fprintf(to, "%s\n", str_c(&shown));
}

void
err_print(const struct err *e, FILE *to)
{
    for (; e; e = e->next)
        err_print_one(e, to);
}

void
err_trace(const struct err *e, FILE *to)
{
    for (; e; e = e->next) {
        err_print_one(e, to);
        for (const struct err *i = e; i; i = i->cause)
            fprintf(to, "    %s (%s, %s:%d)\n", i->msg, kind_names[i->kind], i->c_file, i->c_line);
    }
}

void *
xmalloc(size_t n)
{
    void *p = malloc(n ? n : 1);
    if (!p)
        abort();
    return p;
}

void *
xcalloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);
    if (!p)
        abort();
    return p;
}

void *
xrealloc(void *p, size_t n)
{
    void *q = realloc(p, n ? n : 1);
    if (!q)
        abort();
    return q;
}

char *
xstrdup(const char *s)
{
    return xstrndup(s, strlen(s));
}

char *
xstrndup(const char *s, size_t n)
{
    char *p = xmalloc(n + 1);
    memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

char *
xasprintf(const char *fmt, ...)
{
    char few[80]; /* most are shorter; not more, as each page of a fiber's stack counts */
    va_list ap;
    va_start(ap, fmt);
    const int n = vsnprintf(few, sizeof few, fmt, ap);
    va_end(ap);
    if (n < 0)
        abort();
    char *s = xmalloc((size_t)n + 1);
    if ((size_t)n < sizeof few)
        return memcpy(s, few, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(s, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return s;
}

void
freep(void *p)
{
    void *q;
    memcpy(&q, p, sizeof q);
    free(q);
    memset(p, 0, sizeof q);
}
