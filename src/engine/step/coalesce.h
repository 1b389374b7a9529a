/* coalesce.h - identical pure calls in flight are one.
 *
 * The first step that makes a call leads; others that would make the very same one (target, all it
 * is made of with its credentials, and time for it) while it is under way wait for it and get its
 * value or its failure, as their own: each journals what it was told, with no usage of its own, and
 * each retries as its own rules say.
 *
 * A leader that is cut off (cancelled, its node's or its run's time is over) or was not let out
 * tells nobody: the next in line makes the call itself. So nobody is cancelled with somebody else.
 *
 * A read is never older than a write: a call is only joined when no step that may change something
 * has ended in this process since it was sent.
 *
 * Model calls are not pure: two answers to one question are two answers. `coalesce: false` on an
 * agent or a node takes its calls out. Bounded by the steps that are under way. */
#ifndef ENGINE_COALESCE_H
#define ENGINE_COALESCE_H
#include "engine/step/stepping.h"

/* One try of the step: made by `send`, or joined. */
struct err *MUST coalesce_try(struct stepping *st,
                              struct err *(*send)(struct stepping *st, json_t **ret_value),
                              json_t **OWN ret_value) YIELDS;
/* A step has ended; it may have changed what others read. */
void coalesce_note(struct stepping *st);

#endif
