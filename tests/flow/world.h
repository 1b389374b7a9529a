/* world.h - the simulated world that flow tests run in: an HTTP API with faults, a tool server,
 * programs, and a ledger of everything that had an effect. */
#ifndef FLOW_WORLD_H
#define FLOW_WORLD_H
#include "app/app.h"
#include "base/map.h"
#include "rt/sim.h"

#define WALL_START 1767225600000 /* 2026-01-01T00:00:00Z: when its time begins */

struct world {          /* outlives crashes, as the outside world does */
    const json_t *http; /* rules; see README.md */
    json_t *ledger;     /* list of {what, key}: effects in order */
    json_t *used;       /* rule index -> how often it answered */
    unsigned in_flight, in_flight_max;
    int64_t wall_ms; /* when the next life begins */
    size_t deeds;    /* what has been done to the run from outside */
};
void world_init(struct world *w, const json_t *http);
void world_fini(struct world *w);
void world_enter(struct world *w); /* installs the peers into the current simulated runtime */
/* How often the effect with this key happened. */
unsigned world_count(const struct world *w, const char *key);
unsigned world_twice(const struct world *w); /* keys that are in the ledger more than once */

#endif
