/* fairq.h - whose turn it is among those who wait for the same thing.
 *
 * Each flow (a run) gets the same share, however many of its calls wait: virtual time, as in fair
 * queueing of packets. A flow that comes anew starts where the others are, so that a run of one
 * call waits for about one call of each other flow, also beside a run of ten thousand.
 *
 * Higher priority goes first; but one turn in FAIRQ_AGED goes to whoever is due by virtual time
 * alone, so that what has a low priority never gets less than that part. Between turns it is not
 * decided anew: who is first stays so, unless somebody with more right comes. */
#ifndef GUARD_FAIRQ_H
#define GUARD_FAIRQ_H
#include "base/lang.h"

#define FAIRQ_AGED 8
#define FAIRQ_UNIT ((int64_t)1 << 20) /* cost of a plain call */

struct fairq_clock { /* shared by the queues of one resource, so that their firsts compare */
    int64_t now;
    unsigned turns;
    size_t flows; /* that wait */
};
struct fairq_flow;
struct fairq_item { /* embed it; fields belong to fairq.c */
    struct fairq_flow *flow;
    struct fairq_item *next, *prev;
    int64_t cost, seq;
};
struct fairq *OWN fairq_new(struct fairq_clock *clock); /* the clock outlives it */
void fairq_free(struct fairq *OWN q);                   /* nobody may wait; accepts NULL */
void
fairq_add(struct fairq *q, struct fairq_item *it, const char *flow, int priority, int64_t cost);
/* NULL when nobody waits. */
struct fairq_item *fairq_first(const struct fairq *q);
/* Of the firsts of two queues with one clock: is a's the turn? */
bool fairq_before(const struct fairq_clock *clock, const struct fairq_item *a,
                  const struct fairq_item *b);
void fairq_take(struct fairq *q, struct fairq_item *it);   /* had its turn: its flow is charged */
void fairq_remove(struct fairq *q, struct fairq_item *it); /* gives up: it is not */
size_t fairq_len(const struct fairq *q);

#endif
