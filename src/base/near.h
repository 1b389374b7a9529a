/* near.h - "did you mean": the name that a mistyped one was meant to be. */
#ifndef BASE_NEAR_H
#define BASE_NEAR_H
#include "base/lang.h"

/* Edits (insert, delete, replace, swap neighbours) from a to b, letters' case ignored; at most
 * limit + 1. */
unsigned near_distance(const char *a, const char *b, unsigned limit);

struct near { /* offer candidates one by one; read best (NULL: none is near enough) */
    const char *wanted, *best;
    unsigned distance;
};
#define NEAR_INIT(name) ((struct near){.wanted = (name)})
void near_offer(struct near *n, const char *candidate);
#endif
