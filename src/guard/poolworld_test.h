/* poolworld_test.h - things to be pooled, and users of them, in a simulated world. */
#ifndef GUARD_POOLWORLD_TEST_H
#define GUARD_POOLWORLD_TEST_H
#include "base/str.h"
#include "guard/pool.h"

struct world;
struct thing {
    struct world *w;
    struct pool_member *member;
    char group;
    int no;
    bool dead, hangs;
};
struct group { /* what is opened under one key */
    struct world *w;
    char name;
    int64_t open_ms; /* how long opening takes */
    int fail;        /* so many openings fail */
    bool fail_half;  /* what fails has made a thing by then */
    int hang;        /* so many things hang */
    int lose;        /* so many openings lose their thing before they have returned, twice */
    int opened;      /* so far; numbers things */
    bool close_slow; /* closing takes 100 ms */
    struct pool_group *g;
};
struct world {
    struct pool *pool;
    struct group group[4];
    struct thing *things[64];
    int nthings, live, live_max;
    struct saw { /* at the same time in any order: shown sorted */
        int64_t at_ms;
        char text[200];
    } * saw;
    size_t nsaw;
    struct str log;
    void (*drive)(struct world *w);
    struct pool_limits limits;
    unsigned members_max;
    int64_t idle_ms, check_ms;
};

struct user { /* a fiber that takes, holds for a while and gives back */
    struct world *w;
    int group;
    const char *owner;
    int64_t at_ms, hold_ms, deadline_ms; /* deadline 0: none */
    bool doubts, praises;                /* when it has held it */
    const char *who;
};

void world_say(struct world *w, const char *fmt, ...) FMT(2);
struct err *MUST world_take(struct world *w, int group, const char *owner, int64_t deadline_ms,
                            struct pool_member **m);
void world_use(void *user); /* a fiber */
void world_use_all(struct world *w, struct user *users, size_t n);
void world_count(void *world, const struct pool_stats *s); /* says what is counted */
/* Plays w->drive and compares what was said; want NULL: only that nothing is left open. */
void world_check(struct world *w, const char *want);

#endif
