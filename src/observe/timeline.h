/* timeline.h - a run over time, as text for a terminal or as JSON.
 *
 * One row for each place of the trace: when it began, how long it took, a bar in the run's time,
 * who did it, retries, pauses, tokens. Every row fits the width. */
#ifndef OBSERVE_TIMELINE_H
#define OBSERVE_TIMELINE_H
#include "observe/trace.h"

#define TIMELINE_APART 10  /* items and turns of one name that have rows of their own */
#define TIMELINE_ROWS  400 /* of the text; what is below is left out and counted */

void timeline_text(const struct trace *t, unsigned width, struct str *to);
json_t *OWN timeline_json(const struct trace *t);

#endif
