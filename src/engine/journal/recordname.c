/* recordname.c - the event that a record is. */
#include "engine/journal/journal.h"
#include "engine/journal/undolog.h"
#include "model/host.h"
#include <string.h>

static bool
is_question(const json_t *body)
{
    return strcmp(json_str(body, "type", ""), PAUSE_HUMAN) == 0;
}

const char *
record_event(enum record_kind kind, const json_t *body)
{
    const char *status = json_str(body, "status", "");
    switch (kind) {
    case REC_RUN_STARTED:
        return EVENT_RUN_STARTED;
    case REC_RUN_RESUMED:
        return EVENT_RUN_RESUMED;
    case REC_RUN_WAITING:
        return EVENT_RUN_WAITING;
    case REC_RUN_FORKED:
        return EVENT_RUN_FORKED;
    case REC_RUN_ENDED:
        return strcmp(status, "failed") == 0        ? EVENT_RUN_FAILED
               : strcmp(status, "cancelled") == 0   ? EVENT_RUN_CANCELLED
               : strcmp(status, "compensated") == 0 ? EVENT_RUN_COMPENSATED
                                                    : EVENT_RUN_COMPLETED;
    case REC_NODE_STARTED:
        return EVENT_NODE_STARTED;
    case REC_NODE_ENDED:
        return strcmp(status, "failed") == 0      ? EVENT_NODE_FAILED
               : strcmp(status, "skipped") == 0   ? EVENT_NODE_SKIPPED
               : strcmp(status, "cancelled") == 0 ? EVENT_NODE_CANCELLED
                                                  : EVENT_NODE_COMPLETED;
    case REC_STEP_INTENT:
        return EVENT_STEP_STARTED;
    case REC_STEP_DONE:
        return EVENT_STEP_COMPLETED;
    case REC_STEP_FAILED:
        return EVENT_STEP_FAILED;
    case REC_UNDOING:
        return EVENT_RUN_COMPENSATING;
    case REC_UNDO:
        return undo_event(body);
    case REC_STEP_RESERVED:
        return EVENT_BUDGET_RESERVED;
    case REC_DECIDED:
        return json_str(body, "event", "decided");
    case REC_WAIT_OPEN:
        return is_question(body) ? EVENT_ASKED : EVENT_WAIT_STARTED;
    case REC_WAIT_DONE:
        return is_question(body) && strcmp(json_str(body, "by", ""), "cancelled") != 0
                   ? EVENT_ANSWERED
                   : EVENT_WAIT_ENDED;
    case REC_WAIT_REFUSED:
        return EVENT_ANSWER_REFUSED;
    case REC_RECALLED:
        return EVENT_HISTORY_READ;
    case REC_REMEMBERED:
        return EVENT_HISTORY_ADDED;
    case REC_STREAM_OPENED:
    case REC_STREAM_CURSOR:
        return EVENT_NODE_PROGRESS;
    case REC_ITEM_DONE:
        return EVENT_NODE_COMPLETED;
    case REC_ITEM_FAILED:
        return EVENT_NODE_FAILED;
    }
    return "unknown";
}

bool
record_is_quiet(enum record_kind kind)
{
    return kind == REC_STREAM_OPENED || kind == REC_STREAM_CURSOR || kind == REC_ITEM_DONE;
}
