/* status.h - states of nodes and runs, and the names of events. */
#ifndef MODEL_STATUS_H
#define MODEL_STATUS_H
#include "base/lang.h"

enum node_status {
    NODE_PENDING,
    NODE_RUNNING,
    NODE_COMPLETED,
    NODE_FAILED,
    NODE_SKIPPED,
    NODE_CANCELLED
};
const char *node_status_name(enum node_status s);
bool node_status_parse(const char *name, enum node_status *ret_status);

/* Below RUN_ENDED the run is live; the numbers are stored. */
enum run_status {
    RUN_RUNNING = 1,
    RUN_WAITING = 2, /* parked: a human, a timer, an in-doubt effect */
    RUN_QUARANTINED = 3,
    RUN_ENDED = 10,
    RUN_COMPLETED = 10,
    RUN_PARTIAL = 11,
    RUN_FAILED = 12,
    RUN_CANCELLED = 13,
    RUN_COMPENSATED = 14,
};
const char *run_status_name(enum run_status s);
bool run_status_parse(const char *name, enum run_status *ret_status);

#define EVENT_RUN_STARTED    "run.started"
#define EVENT_RUN_RESUMED    "run.resumed"
#define EVENT_RUN_WAITING    "run.waiting"
#define EVENT_RUN_FORKED     "run.forked" /* what it takes over of another run is there */
#define EVENT_RUN_COMPLETED  "run.completed" /* also partial */
#define EVENT_RUN_FAILED     "run.failed"
#define EVENT_RUN_CANCELLED  "run.cancelled"
#define EVENT_NODE_STARTED   "node.started"
#define EVENT_NODE_COMPLETED "node.completed"
#define EVENT_NODE_FAILED    "node.failed"
#define EVENT_NODE_SKIPPED   "node.skipped"
#define EVENT_NODE_CANCELLED "node.cancelled"
#define EVENT_NODE_RETRYING  "node.retrying"
#define EVENT_NODE_PROGRESS  "node.progress" /* of a foreach over a file; a passing notice */
#define EVENT_STEP_STARTED   "step.started"
#define EVENT_STEP_COMPLETED "step.completed"
#define EVENT_STEP_FAILED    "step.failed"
#define EVENT_AGENT_CHUNK    "agent.chunk"
#define EVENT_AGENT_STATUS   "agent.status" /* idle, busy, error or offline */

#define EVENT_STEP_HEDGED       "step.hedged"
#define EVENT_LOOP_REPEATED     "loop.repeated"
#define EVENT_MODEL_FALLBACK    "model.fallback"
#define EVENT_BUDGET_RESERVED   "budget.reserved"
#define EVENT_BUDGET_EXCEEDED   "budget.exceeded"
#define EVENT_BREAKER_OPENED    "breaker.opened"
#define EVENT_BREAKER_HALF_OPEN "breaker.half_open"
#define EVENT_BREAKER_CLOSED    "breaker.closed"
#define EVENT_LIMIT_WAITING     "limit.waiting" /* a call waits for its turn */
#define EVENT_LIMIT_LEARNED     "limit.learned" /* a provider told its limits, or refused */
#define EVENT_WAIT_STARTED      "wait.started"  /* for a time, a signal or a limit */
#define EVENT_WAIT_ENDED        "wait.ended"
#define EVENT_ASKED             "approval.requested" /* of a person: approval, choice or input */
#define EVENT_ANSWERED          "approval.answered"  /* or nobody did in time */
#define EVENT_ANSWER_REFUSED    "approval.refused"   /* it does not fit; the question stands */
#define EVENT_SESSION_STATE     "session.state"
#define EVENT_SESSION_STATE     "session.state"
#define EVENT_HISTORY_READ      "history.read"
#define EVENT_HISTORY_ADDED     "history.added"

#define EVENT_RUN_COMPENSATING "run.compensating" /* also of a workflow in it: see the path */
#define EVENT_RUN_COMPENSATED  "run.compensated"
#define EVENT_UNDO_NOTED       "compensation.noted" /* the node began */
#define EVENT_UNDO_READY       "compensation.ready" /* it completed: it can be undone */
#define EVENT_UNDO_STARTED     "compensation.started"
#define EVENT_UNDO_COMPLETED   "compensation.completed" /* or nothing was left to be undone */
#define EVENT_UNDO_FAILED      "compensation.failed"    /* somebody has to look */
#define EVENT_UNDO_GIVEN_UP    "compensation.given_up"

#endif
