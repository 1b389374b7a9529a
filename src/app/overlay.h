/* overlay.h - how a run went, written into the picture of its workflow.
 *
 * Each node of the picture gets its state and a remark (time, retries, tokens; for items and turns
 * their counts). What the definition does not have is added: steps that a planner made up, agents
 * that a model called, questions to a judge. */
#ifndef APP_OVERLAY_H
#define APP_OVERLAY_H
#include "observe/trace.h"
#include "plan/picture.h"

/* The trace has to be made with `apart` 0: items and turns folded. */
void overlay_run(struct arena *a, struct picture *p, const struct trace *t);

#endif
