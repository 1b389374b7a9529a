/* event.h - what readers of a run are told.
 *
 * A committed journal record, published once and in order per run; or a passing notice (a streamed
 * chunk, progress) that may be lost. A notice comes after the records of what happened before it.
 */
#ifndef MODEL_EVENT_H
#define MODEL_EVENT_H
#include "base/json.h"
#include "model/status.h"

struct run_event {                 /* borrowed for the call */
    const char *run, *name, *path; /* name: EVENT_...; path "" for the run itself */
    int64_t seq;                   /* of the journal record; 0: a passing notice */
    int64_t wall_ms;               /* when it is told; since 1970 */
    const json_t *detail;          /* or NULL */
    const char *text;              /* of chunks */
    size_t text_len;
};
/* Called on the loop; must not wait. */
typedef void (*run_event_fn)(void *ctx, const struct run_event *ev);

#endif
