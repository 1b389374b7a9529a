/* stepping.h - one step under way; for step.c and the files that stand around its tries. */
#ifndef ENGINE_STEPPING_H
#define ENGINE_STEPPING_H
#include "base/hash.h"
#include "engine/runcore.h"
#include "engine/step/broker.h"
#include "engine/step/spend.h"

struct stepping {
    struct hosted *h;
    const struct step *s;
    const char *path;
    char key[SHA256_HEX];
    struct retry retry;
    int64_t timeout_ms;
    struct health *health; /* of its target; NULL: it has no circuit breaker */
    unsigned attempt;
    unsigned pauses;                  /* long ones between its tries, in all lives */
    bool paused;                      /* the last of them is not over */
    bool repeated;                    /* a try before this one may have been carried out */
    bool open;                        /* it was sent, and nobody knows what came of it */
    bool sent;                        /* the try under way was */
    bool final;                       /* it was not sent, and another try would not be either */
    bool tripped;                     /* it opened the breaker */
    int64_t began_wall_ms, waited_ms; /* of the first try; pauses between tries, summed up */
    int64_t rested_ms;                /* of these, the long ones: no time limit counts them */
    struct usage usage;
    struct spend *spend; /* shared by both calls of a hedge */
    int64_t hedge_ms;    /* a second call starts when the first takes so long; 0: none does */
    struct side *side;   /* hedge.c, while there may be two */
    bool second;         /* the try under way is the second beside a first one */
    bool hedged, won;    /* there was a second one; it was the first with an answer */
    struct admission admission; /* need NULL: nothing limits it */
    unsigned limit_waits;       /* that were too long for memory, in all lives */
    bool queued;                /* the last of them is not over */
    bool intended;              /* its intent is in the journal */
};

/* step.c: an event of this step; `more` is added to what is said of each. */
void step_tell(struct stepping *st, const char *event, json_t *OWN more);

/* guards.c: which retries, timeout and breaker a step has. */
void guards_find(struct stepping *st);
void guards_leave(struct stepping *st); /* once, whatever came of it */
/* ERR_DENIED: the breaker is open. The pass goes back with the verdict; e NULL: it went well.
 * cut_off: a time around the call was over, not its own. */
struct err *MUST guards_admit(struct stepping *st, uint64_t *ret_pass);
void guards_verdict(struct stepping *st, uint64_t pass, const struct err *e, bool cut_off);
/* ERR_DENIED at once when the breaker is open: nobody need wait for his turn first. */
struct err *MUST guards_peek(struct stepping *st);

/* admit.c: what a former life had: the long waits for its turn, which tries they were of, and
 * whether it still waits. After back_off_find. */
struct err *MUST admit_find(struct stepping *st);
/* Its turn, by all limits that it falls under. Waits, for days if it has to: ERR_PARKED. */
struct err *MUST admit_wait(struct stepping *st) YIELDS;
void admit_cancel(struct stepping *st); /* it was not sent; nothing when it was not admitted */
/* What came of the try: e NULL: an answer. */
void admit_end(struct stepping *st, const struct err *e, const struct usage *used,
               const struct step_limits *told);
#define STEP_LIMITS_NONE ((struct step_limits){{-1, -1, -1}, {-1, -1, -1}, false})

/* leftopen.c: cuts the last part off; false: nothing was left to cut. The run itself is "". */
bool path_up(char *path);

/* step.c: one try that is paid for. */
struct err *MUST step_attempt(struct stepping *st, json_t **OWN ret_value) YIELDS;

/* hedge.c: the same, with a second call beside it when it is slow. */
bool hedge_may(const struct stepping *st);
struct err *MUST hedge_attempt(struct stepping *st, json_t **OWN ret_value) YIELDS;
void hedge_sent(struct side *side); /* its call leaves now */

/* backoff.c: what a former life had: the tries before a long wait, and whether it still waits; then
 * nothing is under way. */
struct err *MUST back_off_find(struct stepping *st);
struct err *MUST back_off_former(struct stepping *st) YIELDS; /* waits to its end; the next try */
/* Waits before the next try; for long ERR_PARKED, see pause.h. */
struct err *MUST back_off_wait(struct stepping *st, int64_t delay_ms) YIELDS;

#endif
