/* stats.h - numbers over many runs: by workflow, by agent, by model and tool.
 *
 * A reader of events: those of one run after the other, each from its beginning. What a fork took
 * over is not counted again. Success is the share of `completed` among those that were carried out;
 * what was skipped or cancelled is counted beside. */
#ifndef OBSERVE_STATS_H
#define OBSERVE_STATS_H
#include "base/json.h"
#include "model/event.h"

#define STATS_NAMES_MAX 10000 /* rows of a table; what is beyond is counted as "(others)" */

struct stats;
struct stats *OWN stats_new(void);
void stats_free(struct stats *OWN s); /* accepts NULL */
void stats_event(struct stats *s, const struct run_event *ev);
void stats_run_end(struct stats *s); /* no more of this run is known */

void stats_text(struct stats *s, struct str *to);
/* {"runs", "workflows": [row], "agents": [row], "targets": [row]} */
json_t *OWN stats_json(struct stats *s);

#endif
