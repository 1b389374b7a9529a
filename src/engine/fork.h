/* fork.h - a new run that takes over what a former one has done, up to a place, and goes on from
 * there anew.
 *
 * Taken over are the records of all that the place does not change: in a graph everything but the
 * node and what depends on it; where it is decided while it runs (loop, router, the turns of a
 * model) everything that had begun before the place ended. What failed or was cut off, and broke
 * the workflow around it, is done again too; a failure that was lived with is a result like others.
 *
 * The copy is a run of its own: it has its own keys, and the origin may be pruned once it is whole.
 * It is whole with its REC_RUN_FORKED; one that died before that is completed by engine_resume. */
#ifndef ENGINE_FORK_H
#define ENGINE_FORK_H
#include "engine/engine.h"

struct fork_request {     /* all borrowed for the call */
    const char *run;      /* id of the origin */
    const char *from;     /* path of a node, or of a step in an agent */
    struct flow *flow;    /* what it goes on with; NULL: the origin's definition */
    const json_t *input;  /* NULL: the origin's */
    const json_t *inputs; /* object: these members differ; NULL: none */
};
/* What a fork would do: {"run", "from", "taken": records, "anew": [paths], "again": [{"path",
 * "target"}]}; again: `once` steps that were begun and will be sent again. ERR_MISSING: there is no
 * such place (the nearest is named). */
struct err *MUST engine_fork_look(struct engine *e, const struct fork_request *q,
                                  json_t **OWN ret_doc) YIELDS;
/* Creates the run, whole and committed when this returns; nobody has it: resume it. */
struct err *MUST engine_fork(struct engine *e, const struct fork_request *q,
                             char ret_id[RUN_ID_LEN]) YIELDS;
/* For engine_resume: copies what is missing of a fork whose process died. */
struct err *MUST fork_complete(struct engine *e, struct store_lease *lease) YIELDS;

#endif
