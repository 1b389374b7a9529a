/* stepping.h - one step under way; for step.c and the files that stand around its tries. */
#ifndef ENGINE_STEPPING_H
#define ENGINE_STEPPING_H
#include "base/hash.h"
#include "engine/runcore.h"
#include "engine/spend.h"

struct stepping {
    struct hosted *h;
    const struct step *s;
    const char *path;
    char key[SHA256_HEX];
    struct retry retry;
    int64_t timeout_ms;
    struct health *health; /* of its target; NULL: it has no circuit breaker */
    unsigned attempt;
    unsigned pauses;                  /* of an undo: long ones between its tries, in all lives */
    bool open;                        /* it was sent, and nobody knows what came of it */
    bool sent;                        /* the try under way was */
    bool final;                       /* it was not sent, and another try would not be either */
    bool tripped;                     /* it opened the breaker */
    int64_t began_wall_ms, waited_ms; /* of the first try; pauses between tries, summed up */
    struct usage usage;
    struct spend spend;
};

/* step.c: an event of this step; `more` is added to what is said of each. */
void step_tell(struct stepping *st, const char *event, json_t *OWN more);

/* guards.c: which retries, timeout and breaker a step has. */
void guards_find(struct stepping *st);
void guards_leave(struct stepping *st); /* once, whatever came of it */
/* ERR_DENIED: the breaker is open. The pass goes back with the verdict; e NULL: it went well. */
struct err *MUST guards_admit(struct stepping *st, uint64_t *ret_pass);
void guards_verdict(struct stepping *st, uint64_t pass, const struct err *e);

#endif
