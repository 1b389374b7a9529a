/* history.h - conversations: what an agent, a router, a chain was told before, and said.
 *
 * A run remembers what was said in it. With a name of a conversation (run_request.conversation) it
 * also knows what was said in former runs of it: history/CONVERSATION/WORKFLOW/WHO/... in the
 * store, one key an exchange, read when somebody first asks. What somebody was shown, and what came
 * of it, are records of the run: a resumed one sees what it saw before, and adds nothing twice.
 * Runs of one conversation at a time do not see each other; none of what they add is lost. */
#ifndef ENGINE_HISTORY_H
#define ENGINE_HISTORY_H
#include "base/json.h"

struct run;

/* The exchanges before, oldest first, as far as said.h shows them. */
struct err *MUST history_recall(struct run *r, const char *path, const char *who,
                                json_t **OWN ret_list) YIELDS;
/* At the end of what was asked at the path, once. began: wall ms, the same in each life. */
struct remembered {
    const char *path, *who;
    int64_t began_ms;
    json_t *OWN exchange; /* object */
};
struct err *MUST history_remember(struct run *r, const struct remembered *m) YIELDS;

/* Keys: history/CONVERSATION/WORKFLOW/WHO/TIME-RUN-PLACE, the names made fit by history_part. */
#define HISTORY_PREFIX "history/"
void history_part(struct str *key, const char *name);

#define CONVERSATION_BYTES_MAX 128
struct err *MUST conversation_check(const char *name); /* ERR_INVALID: no name for one */

#endif
