/* leftopen.h - `once` calls of this life of which nobody knows whether they were carried out.
 *
 * Of such a call no end is recorded: its intent says in the next life that it is open. Somebody is
 * asked, and the run waits: when its answer was lost, when a time was over, its own or that of
 * whatever is around it, and when its process died. Nothing around it ends because time is over
 * before that. Where the run is cancelled, or something beside it failed, nobody is asked: what
 * becomes of the run does not depend on the answer; but the failure names the call. */
#ifndef ENGINE_STEP_LEFTOPEN_H
#define ENGINE_STEP_LEFTOPEN_H
#include "base/err.h"

struct run;
struct stepping;
struct left_open {     /* of a run; zeroed: none */
    struct map *asked; /* by path, each around such a call: the question */
    unsigned unsure;   /* about which nobody is asked */
    char *unsure_of;   /* the first of them */
};
/* ERR_PARKED: the run waits for an answer. how: "may have been carried out". */
struct err *MUST open_ask(const struct stepping *st, const char *how);
/* It was sent, and whoever waited for it waits no more. Returns what to pass up. */
struct err *MUST open_cut_off(const struct stepping *st, struct err *OWN e);
/* What is at the path ends with e because it was cut off: ERR_PARKED instead when somebody is asked
 * about a call below it. e may be NULL. */
struct err *open_below(const struct run *r, const char *path, struct err *OWN e);
/* The failure of the run, which names what is open though nobody is asked. e may be NULL. */
struct err *open_tell(const struct run *r, struct err *OWN e);
void open_free(struct run *r);
#endif
