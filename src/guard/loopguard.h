/* loopguard.h - notices that somebody goes round in circles.
 *
 * A turn is a number: the hash of what was done in it and what came of it. One that was there
 * before brings nothing new. Of turns in a row of which only the first did, the one of number
 * `repeats` is worth a word, and twice that an end: the third and the sixth of equal turns, and of
 * a circle of several. A repetition between new things is neither. The same turns give the same
 * verdicts. */
#ifndef GUARD_LOOPGUARD_H
#define GUARD_LOOPGUARD_H
#include "base/json.h"
#include "base/map.h"

#define LOOPGUARD_REPEATS 3

struct loopguard {    /* embed it; fields belong to loopguard.c */
    unsigned repeats; /* 0: it is off */
    unsigned stale;   /* turns in a row without anything new, and the first of them */
    struct map *seen;
};
enum loop_verdict { LOOP_FINE, LOOP_WARN, LOOP_STOP };

/* From `loop_guard` of a definition: {repeats}, true, false, or NULL: as `otherwise`. */
void loopguard_init(struct loopguard *g, const json_t *def, unsigned otherwise);
void loopguard_fini(struct loopguard *g);
enum loop_verdict loopguard_turn(struct loopguard *g, uint64_t hash);
#endif
