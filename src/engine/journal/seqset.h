/* seqset.h - a set of record numbers in little memory, looked through from the highest down.
 *
 * A bit each, in pieces of some hundred numbers; a piece is there only while something is in it.
 * So many that are near each other cost less than a byte each, few far ones a piece each. */
#ifndef ENGINE_SEQSET_H
#define ENGINE_SEQSET_H
#include "base/vec.h"
#include <stdbool.h>
#include <stdint.h>

#define SEQSET_WORDS 8

struct seqset_piece {
    int64_t base; /* the number of its first bit */
    uint64_t words[SEQSET_WORDS];
};
struct seqset {
    VEC(struct seqset_piece) pieces; /* in order; none is empty */
    int64_t count;
};
void seqset_fini(struct seqset *s);
void seqset_add(struct seqset *s, int64_t n); /* n >= 0 */
bool seqset_del(struct seqset *s, int64_t n); /* false: it was not in it */
/* The highest below n; -1: there is none. */
int64_t seqset_before(const struct seqset *s, int64_t n);
void seqset_move(struct seqset *to, struct seqset *from); /* all of them; `from` is empty then */

#endif
