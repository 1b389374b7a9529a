/* circles.h - a model that calls the same tools again and again, with nothing new coming of it. */
#ifndef AGENTS_CIRCLES_H
#define AGENTS_CIRCLES_H
#include "guard/loopguard.h"
#include "model/host.h"

struct tool_turn { /* borrowed */
    const json_t *calls;
    json_t *messages; /* the conversation; from `results` on, the answers to the calls */
    size_t results;
};
/* After each turn with tools. A circle is told to the model, with the last answer; when it goes on,
 * ERR_LIMIT. */
struct err *MUST circle_check(struct host *h, struct loopguard *g, const struct tool_turn *t);
#endif
