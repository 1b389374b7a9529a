/* map.h - names to pointers.
 *
 * Keys are copied; values are borrowed. Iteration is in order of insertion, so output is stable.
 * The hash is keyed per process: names chosen by an attacker cannot make it slow. */
#ifndef BASE_MAP_H
#define BASE_MAP_H
#include "base/err.h"

struct map;
struct map *OWN map_new(void);
void map_free(struct map *OWN m);
void map_freep(struct map **m);
size_t map_len(const struct map *m);
void *map_get(const struct map *m, const char *key); /* NULL when absent */
bool map_has(const struct map *m, const char *key);
void *map_put(struct map *m, const char *key, void *value); /* returns the value replaced or NULL */
void *map_del(struct map *m, const char *key);              /* returns the value removed or NULL */
/* Walks in order of insertion: for (size_t i = 0; map_next(m, &i, &key, &value);).
 * Deleting the pair just visited is allowed; adding while walking is not. */
bool map_next(const struct map *m, size_t *i, const char **ret_key, void **ret_value);
#endif
