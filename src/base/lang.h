/* lang.h - the few words this code base adds to C.
 *
 * OWN, YIELDS and MUST are promises to the reader of a declaration; AUTO and STEAL make early
 * returns safe: AUTO(f) runs f(&x) on every exit, STEAL(x) is the only way out of it. */
#ifndef BASE_LANG_H
#define BASE_LANG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OWN     /* ownership moves with this pointer */
#define YIELDS  /* may switch fibers before it returns */
#define MUST    __attribute__((warn_unused_result))
#define UNUSED  __attribute__((unused))
#define AUTO(f) __attribute__((cleanup(f)))
#define FMT(i)  __attribute__((format(printf, i, (i) + 1)))
#define STEAL(p)                                                                                   \
    ({                                                                                             \
        __typeof__(p) stolen_ = (p);                                                               \
        (p) = 0;                                                                                   \
        stolen_;                                                                                   \
    })
#define COUNT(a)                   (sizeof(a) / sizeof *(a))
#define MIN(a, b)                  ((a) < (b) ? (a) : (b))
#define MAX(a, b)                  ((a) > (b) ? (a) : (b))
#define container_of(p, type, mem) ((type *)(void *)((char *)(p)-offsetof(type, mem)))

/* The sum, or the nearest number there is: for numbers that come from outside. */
static inline int64_t
add_saturating(int64_t a, int64_t b)
{
    int64_t sum;
    return !__builtin_add_overflow(a, b, &sum) ? sum : b < 0 ? INT64_MIN : INT64_MAX;
}

/* Deadlines are absolute milliseconds of the monotonic clock. */
#define DEADLINE_NONE INT64_MAX

#endif
