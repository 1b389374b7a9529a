/* prepaid.h - calls that are paid for by an earlier step than the one that has the answer; for
 * spend.c, step.c and hosted.c.
 *
 * A call that travels in a batch is submitted by one step and answered, hours and lives later, by
 * another (`pays_for` and `paid` of struct step). What the first reserved stays reserved in all
 * budgets around it until the second has an end; the journal has it at the second's path, which is
 * also where its end replaces it. When nobody will ask for the answer any more it is counted as
 * spent: the provider goes on. */
#ifndef ENGINE_PREPAID_H
#define ENGINE_PREPAID_H
#include "guard/budget.h"
#include "model/host.h"

struct hosted;
struct run;
struct prepaid {
    char *path;            /* of the step with the answer */
    struct amount need;    /* reserved */
    struct amount lost;    /* what earlier tries may have taken: counted as spent, and stays so */
    int64_t until_wall_ms; /* it is hoped for so long */
    struct hosted *by;     /* who will ask for the answer; NULL: nobody here, but the run will */
    struct prepaid *next;  /* of the same host */
    bool late;             /* counted as spent: its time is over */
};
/* Takes over what was reserved at `path` just now, or in a former life (by NULL). */
void prepaid_put(struct run *r, const struct prepaid *p);
struct prepaid *prepaid_at(const struct run *r, const char *path); /* NULL: nothing */
void prepaid_adopt(struct hosted *h, const char *path);            /* it is found again */
void prepaid_remove(struct run *r, struct prepaid *OWN p);
/* Of the purse at this path: all that is reserved so, and the part that nobody here waits for. */
struct amount prepaid_sum(const struct run *r, const char *path);
struct amount prepaid_away(const struct run *r, const char *path);
/* The first wall time at which something of that is not hoped for any more; INT64_MAX: none. */
int64_t prepaid_until(const struct run *r, const char *path);
/* The host's work ends with e: what it was waiting for is put away with the run, or given up. */
void prepaid_leave(struct hosted *h, const struct err *e);
void prepaids_free(struct run *r);
#endif
