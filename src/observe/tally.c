/* tally.c - many numbers, each once with its count. */
#include "observe/tally.h"
#include <math.h>
#include <stdlib.h>

#define LOOSE_MIN 1024 /* so many at least are taken in before they are sorted */

void
tally_fini(struct tally *t)
{
    vec_fini(&t->all);
    *t = (struct tally){0};
}

static int
by_value(const void *a, const void *b)
{
    const struct tally_entry *x = a, *y = b;
    return (x->value > y->value) - (x->value < y->value);
}

static void
settle(struct tally *t)
{
    size_t n = 0;
    if (t->sorted == t->all.len)
        return;
    qsort(t->all.at, t->all.len, sizeof *t->all.at, by_value);
    for (size_t i = 0; i < t->all.len; i++) {
        if (n && t->all.at[n - 1].value == t->all.at[i].value)
            t->all.at[n - 1].count += t->all.at[i].count;
        else
            t->all.at[n++] = t->all.at[i];
    }
    t->all.len = t->sorted = n;
}

void
tally_add(struct tally *t, int64_t value)
{
    vec_push(&t->all, ((struct tally_entry){value, 1}));
    t->count++;
    t->sum += (double)value;
    if (t->all.len - t->sorted > MAX(t->sorted, LOOSE_MIN)) /* so sorting is paid for */
        settle(t);
}

int64_t
tally_percentile(struct tally *t, double percent)
{
    uint64_t rank = (uint64_t)ceil(percent / 100.0 * (double)t->count), below = 0;
    settle(t);
    for (size_t i = 0; i < t->all.len; i++) {
        below += t->all.at[i].count;
        if (below >= MAX(rank, 1))
            return t->all.at[i].value;
    }
    return 0;
}

double
tally_mean(const struct tally *t)
{
    return t->count ? t->sum / (double)t->count : 0;
}
