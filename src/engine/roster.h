/* roster.h - the agents of this process that have worked: what each is doing, how it went.
 *
 * Of what runs here, since the engine was made; nothing of it is stored. Told when it changes
 * (agent.status) and asked for by engine_roster. */
#ifndef ENGINE_ROSTER_H
#define ENGINE_ROSTER_H
#include "base/json.h"

struct roster;
struct run;
struct roster *OWN roster_new(void);
void roster_free(struct roster *OWN r); /* accepts NULL */

struct roster_work { /* one task of an agent */
    const char *agent, *path;
    bool refused; /* its circuit breaker is open: it cannot be reached */
};
void roster_begin(struct run *r, const struct roster_work *w);
void roster_end(struct run *r, const struct roster_work *w, const struct err *e);
/* {agent, status, running, done, failed, run, task, error, at}, sorted by name. status: idle, busy,
 * error (its last task failed), offline (its circuit breaker is open). run and task: the last
 * begun. */
json_t *OWN roster_list(const struct roster *r);

#endif
