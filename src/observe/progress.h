/* progress.h - what a person sees of a run while it goes on.
 *
 * On a terminal a tree that is drawn again in place: state, time, tokens, cost, retries, and the
 * end of the text that is being streamed. Elsewhere one plain line per thing that happened. A
 * reader of events: it can be slow or wrong without touching the run. */
#ifndef OBSERVE_PROGRESS_H
#define OBSERVE_PROGRESS_H
#include "model/event.h"
#include <stdio.h>

struct progress;
struct progress_opts {
    FILE *out;
    bool live; /* out is a terminal that can move its cursor */
    bool color;
    unsigned width; /* columns; 0: 80 */
    unsigned rows;  /* lines it may use; 0: 24 */
};
struct progress *OWN progress_new(const struct progress_opts *opts);
void progress_free(struct progress *OWN p);
void progress_event(struct progress *p, const struct run_event *ev);
void progress_tick(struct progress *p, int64_t wall_ms); /* time passed: draws again when live */
void progress_finish(struct progress *p);                /* leaves the last picture standing */

/* One event as one line of JSON (JSON lines: --events). */
void event_line(const struct run_event *ev, struct str *to);

#endif
