/* dice.h - chance of a test's own, from a seed: never the runtime's, whose order of draws is what
 * is tested. splitmix64 (Steele, Lea, Flood). */
#ifndef FLOW_DICE_H
#define FLOW_DICE_H
#include "base/lang.h"

struct dice {
    uint64_t state;
};

static inline uint64_t
dice_next(struct dice *d)
{
    uint64_t z = (d->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline unsigned
dice_below(struct dice *d, unsigned n)
{
    return (unsigned)(dice_next(d) % n);
}

static inline bool
dice_chance(struct dice *d, unsigned percent)
{
    return dice_below(d, 100) < percent;
}

static inline int64_t
dice_between(struct dice *d, int64_t low, int64_t high)
{
    return low + (int64_t)(dice_next(d) % (uint64_t)(high - low + 1));
}

#endif
