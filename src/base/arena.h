/* arena.h - memory with one lifetime.
 *
 * Everything a plan or a run allocates dies with it, in one call. Pointers may lead from a younger
 * arena to an older one, never back. Not thread safe: an arena belongs to one loop. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H
#include "base/lang.h"

struct arena;
struct arena *OWN arena_new(size_t soft_limit); /* bytes; 0: none */
void arena_free(struct arena *OWN a);           /* accepts NULL; runs the deferred calls */
void arena_freep(struct arena **a);
void *arena_alloc(struct arena *a, size_t n); /* zeroed, aligned; never NULL */
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) FMT(2);
void arena_defer(struct arena *a, void (*fn)(void *), void *arg); /* last in, first run */
bool arena_over(const struct arena *a);                           /* sticky: soft limit passed */
size_t arena_size(const struct arena *a);                         /* bytes handed out */
#define arena_make(a, type)     ((type *)arena_alloc((a), sizeof(type)))
#define arena_array(a, type, n) ((type *)arena_alloc((a), sizeof(type) * ((n) ? (n) : 1)))
#endif
