/* replays.h - a run that has been played is walked again from its journal. */
#ifndef FLOW_REPLAYS_H
#define FLOW_REPLAYS_H
#include "store/store.h"

/* False: it came out otherwise; that is printed. */
bool replay_holds(const char *flow, struct store_mem *mem, const char *run);

#endif
