/* journal.h - the records of a run and what can be told from them.
 *
 * A record is a kind, a path and a JSON body. The first byte of a stored body is the version of the
 * format; readers keep the last two. This is the only file that knows the bodies' members. */
#ifndef ENGINE_JOURNAL_H
#define ENGINE_JOURNAL_H
#include "base/json.h"
#include "guard/budget.h"
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
                   REC_STEP_RESERVED = 23, /* what its calls so far may take, at most */
                   /* Of a foreach over a file (viewstream.h); the first two at its node's path. */
                   REC_STREAM_OPENED = 40, /* which file it is, and as it was then */
                   REC_STREAM_CURSOR = 41, /* whose results are in the file of results */
                   REC_ITEM_DONE = 42,     /* the whole of an item in one record */
                   REC_ITEM_FAILED = 43,
                   REC_WAIT_OPEN = 30,
                   REC_WAIT_DONE = 31,
                   REC_WAIT_REFUSED = 32, /* an answer that does not fit */
                   REC_RUN_FORKED = 70,   /* all that a fork takes over is there */
                   REC_UNDOING = 60,      /* a run or a workflow in it ends, and is undone first */
                   REC_UNDO = 61,         /* of a node: its undo, and what became of that */
                   REC_DECIDED = 50,    /* {event, ...}: what a kind decided with time or chance */
                   REC_RECALLED = 51,   /* {who, n, loaded}: what somebody was shown of before */
                   REC_REMEMBERED = 52, /* {who, exchange}: what he leaves for later */
};
const char *record_event(enum record_kind kind, const json_t *body); /* the event it is */

struct record { /* as it is stored; borrowed */
    enum record_kind kind;
    const char *path, *body;
    size_t body_len;
    int64_t seq;                /* 0: it is not stored yet */
    const struct step_end *end; /* whoever wrote it just now still knows; else NULL: it is read */
};
struct step_end { /* what a run that goes on wants to know of REC_STEP_DONE and REC_STEP_FAILED */
    struct usage usage;
    bool unsure;
};
void record_encode(const json_t *body, struct str *to);
struct err *MUST record_decode(const struct record *rec, json_t **OWN ret_body);
/* Some members alone, which is quick. */
struct err *MUST record_pick(const struct record *rec, const struct json_want *want, size_t count);
bool record_is_quiet(enum record_kind kind); /* one of very many: nobody is told of it */

/* What is known of a run, fed record by record: its document, and what a resumed run finds by path.
 * Bodies stay as they are stored until somebody asks: a run holds little while it goes on, and one
 * of ten thousand steps is taken up again in a moment. */
struct view;
struct viewstream;
struct viewstreams;
struct view *OWN view_new(const char *run_id);
void view_free(struct view *OWN v); /* accepts NULL */
struct err *MUST view_feed(struct view *v, const struct record *rec);
/* The same for a record of a former life: what steps gave is kept too, to be found again. */
struct err *MUST view_recall(struct view *v, const struct record *rec);
enum run_status view_status(const struct view *v);
const json_t *view_started(const struct view *v); /* body of REC_RUN_STARTED, or NULL */
const json_t *view_ended(const struct view *v);   /* of the last REC_RUN_ENDED, or NULL */
bool view_fork_open(const struct view *v);        /* a fork whose REC_RUN_FORKED is not there */
struct undolog;
struct viewstreams *view_streams(const struct view *v);
struct undolog *view_undo(const struct view *v); /* NULL: nothing of it can be undone */
/* {run, workflow, status, output, text, error, usage, duration_ms} as users get it; of one that
 * waits also {waiting, waits}; with `nodes` also {nodes}. now: for runs that have not ended. */
struct err *MUST view_document(const struct view *v, int64_t now_wall_ms, bool nodes,
                               json_t **OWN ret_doc);

bool view_node_ended(const struct view *v, const char *path);
/* Members of REC_NODE_ENDED, else of the first REC_NODE_STARTED; each is NULL where there is none.
 */
struct err *MUST view_node_pick(const struct view *v, const char *path,
                                const struct json_want *want, size_t count);
/* Wall ms of the first start of a node that has not ended; 0: it was not started. */
struct err *MUST view_node_started(const struct view *v, const char *path, int64_t *ret_ms);
bool view_step_begun(const struct view *v, const char *path); /* REC_STEP_INTENT */
/* Walks the paths of steps that were begun and have no end: for (size_t i = 0; view_step_open(v,
 * &i);).
 */
const char *view_step_open(const struct view *v, size_t *i);
/* Of a wait, REC_WAIT_OPEN and REC_WAIT_DONE; each NULL where there is none. */
struct err *MUST view_wait(const struct view *v, const char *path, json_t **OWN ret_open,
                           json_t **OWN ret_done);
bool view_has_waits(const struct view *v); /* there ever was one */
/* Appends {path, type, at, until, prompt, ...} of each wait that has not ended, oldest first. */
struct err *MUST view_waits(const struct view *v, json_t *list);
/* How long former lives of the run worked on it, from a wall time on: each from its start to its
 * last step's end. The time in which nobody had the run is not counted. */
int64_t view_former_ms(const struct view *v, int64_t since_wall_ms);
/* What of a workflow's time (0: no limit; else never 0) they left, of that in which they worked on
 * calls that are open: when its time was over it is, whatever is answered about such a call. */
int64_t view_workflow_ms(const struct view *v, int64_t timeout_ms, int64_t since_wall_ms);
/* The same for what is at the path: without the time in which all of it waited for somebody. */
int64_t view_worked_ms(struct view *v, const char *path, int64_t since_wall_ms);
const json_t *view_session(const struct view *v); /* its last session.state, or NULL */
/* What was said in the run, as far as it was fed by view_recall or taken into it since. */
struct said *view_said(struct view *v);
bool view_recalled(const struct view *v, const char *path, size_t *ret_n); /* REC_RECALLED */
bool view_remembered(const struct view *v, const char *path);              /* REC_REMEMBERED */
/* The body of REC_DECIDED of a former life, or NULL. */
struct err *MUST view_decided(const struct view *v, const char *path, json_t **OWN ret_body);
struct view_cost { /* of one step of former lives */
    const char *path;
    struct usage usage;
    struct amount held;    /* what it may have taken beside that */
    struct amount open;    /* the part of held that an answer may still give back */
    int64_t until_wall_ms; /* when that is not hoped for any more */
};
/* Walks the steps: for (size_t i = 0; ...; ) until *ret_more is false. */
struct err *MUST view_step_cost(const struct view *v, size_t *i, struct view_cost *ret_cost,
                                bool *ret_more);
/* What tries of a step that has no end may have taken; {0}: nothing. */
struct err *MUST view_step_held(const struct view *v, const char *path, struct amount *ret_held);
/* What is known of the stream whose node is at this path; NULL: it was not begun. Borrowed. */
struct viewstream *view_stream(const struct view *v, const char *path);
/* REC_STEP_DONE, else REC_STEP_FAILED, else NULL. */
struct err *MUST view_step(const struct view *v, const char *path, json_t **OWN ret_body,
                           bool *ret_failed);

#endif
