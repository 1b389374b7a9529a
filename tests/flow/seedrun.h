/* seedrun.h - one seed: a definition, a hostile world, a process that keeps dying, and the audit.
 */
#ifndef FLOW_SEEDRUN_H
#define FLOW_SEEDRUN_H
#include "base/str.h"

struct seed_result {
    struct str faults;  /* what must not be; empty: the seed holds */
    struct str story;   /* the lives, a line each */
    struct str journal; /* the records of the run, a line each */
    char *plan;         /* the definition */
    char status[16];    /* how the run ended */
    uint64_t digest;    /* of all switches of all lives */
    int64_t virtual_ms;
    unsigned lives, effects;
};
void seed_run(uint64_t seed, struct seed_result *ret);
void seed_result_fini(struct seed_result *r);

#endif
