/* pause.h - waiting for a time, a signal or a person: a moment in memory, days as one row.
 *
 * A wait is found again by its path: with the time of its end from its beginning. While other steps
 * of the run are under way, or its time is near, it waits in memory; else it returns ERR_PARKED,
 * which has to be passed up: the run ends its life, and its row says when it is to be woken. */
#ifndef ENGINE_PAUSE_H
#define ENGINE_PAUSE_H
#include "base/map.h"
#include "base/vec.h"
#include "model/host.h"
#include "rt/fiber.h"
#include "store/store.h"

struct run;
struct waits {                 /* pause.c: what a run waits for */
    VEC(struct waiting *) all; /* on their fibers' stacks */
    int64_t first_ms;          /* the first of their times, of which there are `nfirst` */
    size_t nfirst;             /* 0: it is not known */
    size_t ncut;               /* of them: a time limit around them comes before their own end */
    struct waitq changed;      /* signals may have come, or nothing works any more */
    struct store_signal *signals;
    size_t nsignals;
    struct map *used;     /* of the signals: taken here, and perhaps not committed yet */
    bool news_due;        /* the store may have more of them */
    unsigned working;     /* steps under way: while there are any, the run is not put away */
    uint64_t moves;       /* counts what was begun, from 1 */
    uint64_t quiet_at;    /* moves when it was found that nothing works any more */
    int64_t left_ms;      /* when turns were last left for others to begin */
    uint64_t turns_seen;  /* turns taken, and waits begun, when that was last tried */
    unsigned left_depth;  /* of these turns */
    uint64_t begun;       /* waits, ever */
    uint64_t away;        /* so many of them may be put away, as long as nothing works */
    int64_t wake_at;      /* of a run that is put away: the first of its times; INT64_MAX: none */
    int64_t sig_seq;      /* the news that were known when the first was put away */
    bool some_away;       /* one was: sig_seq is known */
    bool someone;         /* somebody outside is waited for */
    struct turn *turns;   /* turn.c: those that nodes have, and have left */
    struct map *turns_at; /* by their paths, since the first wait; before that NULL */
    unsigned turns_left;
    uint64_t turns_taken; /* ever */
};
/* *ret_value as in host.h. From inside of a step: between run_works(r, false) and
 * run_works(r, true). */
struct err *MUST pause_wait(struct run *r, const char *path, const struct pause *p,
                            json_t **OWN ret_value) YIELDS;
void run_works(struct run *r, bool begins); /* a step is under way, or is not any more */
void waits_fini(struct waits *w);
/* tell.c: does it fit what was asked? *ret_value: as it counts. */
struct err *MUST answer_check(const json_t *question, const json_t *value, json_t **OWN ret_value);
/* ERR_INVALID: the wait (as view_waits tells it) is over, though nobody has noted that yet. */
struct err *MUST answer_in_time(const json_t *wait);
/* The names under which the store keeps an answer, and a signal of this name. */
char *OWN answer_signal(const char *path);
char *OWN named_signal(const char *name);

#endif
