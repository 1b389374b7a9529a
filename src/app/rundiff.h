/* rundiff.h - what differs between two stored runs: how they are defined, what they were given,
 * what each node did and made.
 *
 * Bounded: so many changes and nodes are told, the others counted. Secrets are taken out. */
#ifndef APP_RUNDIFF_H
#define APP_RUNDIFF_H
#include "app/app.h"

#define RUNDIFF_CHANGES_MAX 1000
#define RUNDIFF_NODES_MAX   2000
#define RUNDIFF_SAME_MAX    100 /* nodes that do not differ and are told all the same */

/* {"a", "b", "same", "definition": {"same", "nodes": {"added", "removed", "changed"}, "changes":
 * [{"path", "a", "b"}]}, "inputs": [change], "run": {member: {"a", "b"}}, "nodes": [{"path",
 * "differs", ...}], "nodes_same", "left_out"}. same: the definition, the inputs, and of the run and
 * its nodes the ends and the outputs; times, tokens and costs may differ. */
struct err *MUST app_run_diff(struct app *a, const char *run_a, const char *run_b,
                              json_t **OWN ret_report) YIELDS;

#endif
