/* tally.h - many numbers, of which the exact percentiles are wanted.
 *
 * Equal numbers are kept once with their count: milliseconds of a million calls take no more room
 * than there are different ones. */
#ifndef OBSERVE_TALLY_H
#define OBSERVE_TALLY_H
#include "base/vec.h"

struct tally {
    VEC(struct tally_entry {
        int64_t value;
        uint64_t count;
    })
    all; /* the first `sorted` in order, each value once; then as they came */
    size_t sorted;
    uint64_t count;
    double sum;
};
void tally_fini(struct tally *t);
void tally_add(struct tally *t, int64_t value);
/* The smallest number that `percent` of all do not exceed (nearest rank); 0: the smallest of all.
 * Of nothing: 0. */
int64_t tally_percentile(struct tally *t, double percent);
double tally_mean(const struct tally *t); /* of nothing: 0 */

#endif
