/* itemstream.h - one agent or workflow for each item of a file, however many there are.
 *
 * A window moves over the items: `limit` of them are worked on at a time, each in a fiber that
 * takes the next when it is done. What is in memory is the window, the last few thousand results,
 * and a bit for each item behind them. An item whose end is recorded is never worked on again; one
 * that was under way when the process died is, at the same path and so with the same keys.
 *
 * The items' file, or that of the results, being not as the run left them is no failure: the run
 * waits (ERR_PARKED) until that is mended. */
#ifndef ENGINE_ITEMSTREAM_H
#define ENGINE_ITEMSTREAM_H
#include "engine/control_node.h"

struct itemstream_how {
    unsigned limit;       /* items at once; 0: the graph's max_concurrency */
    bool stop_at_error;   /* the first failure ends it; else it is counted */
    int64_t failures_max; /* more end it too; -1: no limit */
};
/* The reply is {items, completed, failed, results}; results: the file, if there is one. */
struct err *MUST itemstream_run(struct control *c, struct itemstream_how how,
                                struct reply *ret_reply) YIELDS;

#endif
