/* err.h - one failure, told from the outside in.
 *
 * A function that can fail returns `struct err *`; NULL is success. Each caller that knows
 * something the callee did not adds one clause with TRY. Whoever handles the error frees it.
 * Callers branch on the kind and the facts beside it (may the other side have acted? did it answer?
 * when may we ask again?), and never on the text. Several errors can travel as one list (err_join):
 * a file's errors come together. */
#ifndef BASE_ERR_H
#define BASE_ERR_H
#include "base/lang.h"
#include <stdio.h>

enum err_kind {
    ERR_INVALID,   /* the caller's input is wrong; asking again will not help */
    ERR_MISSING,   /* the thing named is not there */
    ERR_DENIED,    /* not allowed: bad key, no permission, fenced off */
    ERR_LIMIT,     /* a limit was reached; err_retry_after_ms may say until when */
    ERR_TIMEOUT,   /* a deadline passed */
    ERR_CANCELLED, /* the scope was cancelled */
    ERR_TRANSIENT, /* broke on the way; the same call may succeed later */
    ERR_TOO_LONG,  /* the model's context window is exceeded */
    ERR_PARKED,    /* not a failure: the run waits for something outside the process */
    ERR_BUG,       /* our own mistake */
    ERR_KINDS
};

struct src_pos { /* a place in the user's file, 1-based; line 0 means nowhere */
    const char *file;
    unsigned line, col;
};

struct err;

struct err *OWN err_new(enum err_kind kind, const char *c_file, int c_line, struct src_pos at,
                        const char *fmt, ...) FMT(5) MUST;
struct err *OWN err_wrap(struct err *OWN cause, const char *c_file, int c_line, const char *fmt,
                         ...) FMT(4) MUST;
void err_free(struct err *OWN e); /* accepts NULL */
void err_freep(struct err **e);
void err_drop(struct err *OWN e); /* the reader is told: ignored on purpose */

enum err_kind err_kind(const struct err *e);
const char *err_kind_name(enum err_kind kind); /* "invalid", "missing", ... as users write them */
bool err_kind_parse(const char *name, enum err_kind *ret_kind);
struct src_pos err_pos(const struct err *e);

/* The whole chain in one line: "checking the flow: node 'a': unknown kind". malloc'd. */
char *OWN err_text(const struct err *e);
/* One line per error of the list, each with its position in front: "flow.yaml:14:7: ...". */
void err_print(const struct err *e, FILE *to);
/* The chain with the lines of our source that added each clause; for --debug and bug reports. */
void err_trace(const struct err *e, FILE *to);

/* The peer asked us to wait this long before the next try; -1: it did not say. */
int64_t err_retry_after_ms(const struct err *e);
struct err *err_set_retry_after(struct err *e, int64_t ms); /* returns e */
/* The request was sent and nobody knows whether it was carried out (a lost reply, a time-out). */
bool err_in_doubt(const struct err *e);
struct err *err_set_in_doubt(struct err *e); /* returns e */
/* The peer itself said so, not somebody on the way to it: ERR_MISSING is then what was asked for.
 */
bool err_answered(const struct err *e);
struct err *err_set_answered(struct err *e); /* returns e */

/* Appends e to *list (either may be NULL). The list is handled and printed as one error. */
void err_join(struct err **list, struct err *OWN e);
const struct err *err_next(const struct err *e); /* the next error of a list, or NULL */
size_t err_count(const struct err *e);

#ifdef __clang_analyzer__ /* it cannot see that these never return NULL */
#include <stdlib.h>
#define err_new(...)                                                                               \
    ({                                                                                             \
        struct err *made_ = err_new(__VA_ARGS__);                                                  \
        if (!made_)                                                                                \
            abort();                                                                               \
        made_;                                                                                     \
    })
#define err_wrap(...)                                                                              \
    ({                                                                                             \
        struct err *made_ = err_wrap(__VA_ARGS__);                                                 \
        if (!made_)                                                                                \
            abort();                                                                               \
        made_;                                                                                     \
    })
#endif

#define NOWHERE                 ((struct src_pos){0})
#define FAIL(kind, ...)         err_new(kind, __FILE__, __LINE__, NOWHERE, __VA_ARGS__)
#define FAIL_AT(pos, kind, ...) err_new(kind, __FILE__, __LINE__, pos, __VA_ARGS__)
#define WRAP(e, ...)            err_wrap(e, __FILE__, __LINE__, __VA_ARGS__)
/* The only macro that may hide a return. */
#define TRY(call, ...)                                                                             \
    do {                                                                                           \
        struct err *try_err_ = (call);                                                             \
        if (try_err_)                                                                              \
            return err_wrap(try_err_, __FILE__, __LINE__, __VA_ARGS__);                            \
    } while (0)
/* TRY without a clause, where the caller has nothing to add. */
#define PASS(call)                                                                                 \
    do {                                                                                           \
        struct err *try_err_ = (call);                                                             \
        if (try_err_)                                                                              \
            return try_err_;                                                                       \
    } while (0)

/* Out of memory is not an error, it is the end. */
void *OWN xmalloc(size_t n);
void *OWN xcalloc(size_t n, size_t size);
void *OWN xrealloc(void *OWN p, size_t n);
char *OWN xstrdup(const char *s);
char *OWN xstrndup(const char *s, size_t n);
char *OWN xasprintf(const char *fmt, ...) FMT(1);
void freep(void *p); /* AUTO(freep) for any malloc'd pointer */
#endif
