/* journal.h - the records of a run and what can be told from them.
 *
 * A record is a kind, a path and a JSON body. The first byte of a stored body is the version of the
 * format; readers keep the last two. This is the only file that knows the bodies' members. */
#ifndef ENGINE_JOURNAL_H
#define ENGINE_JOURNAL_H
#include "base/json.h"
#include "base/map.h"
#include "model/kind.h"
#include "model/status.h"

#define JOURNAL_FORMAT '1'

enum record_kind { /* stored numbers */
                   REC_RUN_STARTED = 1,
                   REC_RUN_RESUMED = 2,
                   REC_RUN_ENDED = 3,
                   REC_RUN_WAITING = 4,
                   REC_NODE_STARTED = 10,
                   REC_NODE_ENDED = 11, /* the whole subtree in one record */
                   REC_STEP_INTENT = 20,
                   REC_STEP_DONE = 21,
                   REC_STEP_FAILED = 22,
};
const char *record_event(enum record_kind kind, const json_t *body); /* the event it is */

void record_encode(const json_t *body, struct str *to);
struct err *MUST record_decode(const void *bytes, size_t n, json_t **OWN ret_body);

/* Everything that can be shown of a run, fed record by record. */
struct view;
struct view *OWN view_new(const char *run_id);
void view_free(struct view *OWN v);
void view_feed(struct view *v, enum record_kind kind, const char *path, json_t *body);
enum run_status view_status(const struct view *v);
/* {run, workflow, status, output, text, error, nodes, usage, duration_ms} as users get it. now: for
 * runs that have not ended. */
json_t *OWN view_document(const struct view *v, int64_t now_wall_ms);
const json_t *view_started(const struct view *v); /* body of REC_RUN_STARTED, or NULL */

/* What a resumed run finds by path. */
struct memo;
struct memo *OWN memo_new(void);
void memo_free(struct memo *OWN m);
void memo_feed(struct memo *m, enum record_kind kind, const char *path, json_t *body);
json_t *memo_node(const struct memo *m, const char *path);                   /* REC_NODE_ENDED */
json_t *memo_step(const struct memo *m, const char *path, bool *ret_failed); /* done or failed */
bool memo_intent(const struct memo *m, const char *path);
int64_t
memo_started(const struct memo *m, const char *path); /* wall ms of REC_NODE_STARTED, or 0 */

#endif
