/* again.h - a stored run once more: forked, with another model or other inputs; or replayed from
 * its journal without a call, to see that it comes to the same end. */
#ifndef APP_AGAIN_H
#define APP_AGAIN_H
#include "app/app.h"
#include "engine/fork.h"

/* As engine_fork, with `model` (a profile of the definition, or provider.model) in the place of all
 * others; NULL: as it is. q->flow is filled in. */
struct err *MUST app_fork(struct app *a, struct fork_request *q, const char *model,
                          char ret_id[RUN_ID_LEN]) YIELDS;

/* What a replay needs of a run, read out of its store. */
struct tape;
struct err *MUST tape_read(struct app *a, const char *run, struct tape **OWN ret_tape) YIELDS;
void tape_free(struct tape *OWN t); /* accepts NULL */
/* Walks the definition again, in a simulated world where nothing can be called, with the steps that
 * the tape has. To be called outside of any runtime. *ret_report: {"run", "status", "same",
 * "nodes", "steps", "stopped", "differences": [{"path", "what", "recorded", "replayed"}]}; stopped:
 * what the journal did not have any more. */
struct err *MUST tape_play(const struct tape *t, json_t **OWN ret_report);

#endif
