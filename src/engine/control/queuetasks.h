/* queuetasks.h - the definition of a queue: its agents and tasks, and who can do what. */
#ifndef ENGINE_CONTROL_QUEUETASKS_H
#define ENGINE_CONTROL_QUEUETASKS_H
#include "base/json.h"

struct lowering;
/* agent: its definition, or NULL. A capability is a word of its own, one of its servers, or its
 * type. */
bool agent_can(const json_t *agent, const char *capability);
/* The agents become members; each task of the file names one of them, or what one of them can do.
 */
struct err *MUST queue_lower(struct lowering *l, const json_t *def, const char *pointer);

#endif
