/* engine.h - runs plans, durably.
 *
 * A run is a fiber (and more where branches run at once) that walks a plan. What it does to the
 * world are steps; each finished step, node and run is a record in the journal. Nothing leaves the
 * process before all that it rests on is committed. A run that died is resumed: it walks the same
 * plan again and finds its recorded nodes and steps by path. */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H
#include "base/json.h"
#include "model/event.h"
#include "model/host.h"
#include "model/status.h"
#include "plan/plan.h"
#include "store/store.h"

struct engine;
struct engine_opts { /* all borrowed for the engine's life */
    struct store *store;
    const struct kind *const *agents;    /* NULL-ended */
    const struct kind *const *workflows; /* NULL-ended */
    void *(*service)(void *ctx, const char *name);
    struct err *(*expand)(void *ctx, const char *text, char **OWN ret_text); /* ${NAME} */
    void (*redact)(void *ctx, struct str *record); /* secrets leave what is stored; or NULL */
    /* Nothing of the run works here any more (it ended, waits or was interrupted); or NULL. Must
     * not wait. */
    void (*run_over)(void *ctx, const char *run_id);
    void *ctx;
    const unsigned char *install_key; /* 32 bytes: idempotency keys cannot be guessed */
    int64_t keep_ms;                  /* ended runs expire after this; 0: kept */
    bool recorded_only; /* a step that the journal does not have parks the run, and is not made */
};
struct engine *OWN engine_new(const struct engine_opts *opts);
/* Interrupts the runs that are left: they stay live in the store and can be resumed. */
void engine_free(struct engine *OWN e) YIELDS;

/* Interrupts all that is under way here. */
void engine_interrupt(struct engine *e);

struct expr_space *engine_space(struct engine *e); /* what flows are compiled in; borrowed */
struct luastate *engine_lua(struct engine *e);

/* One workflow of one document, ready to run; shared by its runs. */
struct flow;
struct flow_source {
    json_t *doc;                                           /* kept by reference */
    struct src_pos (*pos)(void *ctx, const char *pointer); /* or NULL */
    struct src_pos (*text_pos)(void *ctx, const char *pointer, unsigned line, unsigned col);
    void *pos_ctx;
    const char *workflow; /* or NULL */
};
/* The definition is stored together with the first run. */
struct err *MUST engine_flow(struct engine *e, const struct flow_source *source,
                             struct flow **OWN ret_flow) YIELDS;
struct flow *flow_ref(struct flow *f);
void flow_unref(struct flow *OWN f); /* accepts NULL */
const struct plan *flow_plan(const struct flow *f);
const json_t *flow_doc(const struct flow *f);

struct run;
struct run_request {
    struct flow *flow;
    const json_t *input;  /* text or any value; NULL: "" */
    const json_t *inputs; /* object or NULL; checked against the workflow's `inputs` */
    const char *run_id;  /* names the run (client key); NULL: a new one. The same start again is the
                            same run */
    const char *goal;    /* kept with it; or NULL */
    const json_t *files; /* paths it may read and write though they are not under dir; or NULL */
    const char *conversation; /* what is said in it is known to later runs of it; or NULL */
    const char *dir;          /* where relative paths start, for whoever resumes it; or NULL */
};
/* Creates the run (committed when this returns) and starts it. ERR_INVALID: inputs do not fit.
 * *ret_existing: the run_id is taken by the same start; the run is then only found, not started. */
struct err *MUST engine_start(struct engine *e, const struct run_request *req,
                              struct run **OWN ret_run, bool *ret_existing) YIELDS;
/* Claims the run and goes on with it. in_doubt: what to believe of `once` steps that were under way
 * when the process died (doubt.h); NULL: the run waits for an answer. ERR_LIMIT: another process
 * has it; ERR_INVALID: it has ended, or the answer is for a step that is not in doubt. */
struct err *MUST engine_resume(struct engine *e, const char *id, const char *in_doubt,
                               struct run **OWN ret_run) YIELDS;
/* Takes up a run that has ended, and undoes what completed in it (saga.h); one that is being undone
 * so goes on. ERR_INVALID: it has not ended, or is undone; ERR_MISSING: there is nothing to undo.
 */
struct err *MUST engine_rollback(struct engine *e, const char *id, struct run **OWN ret_run) YIELDS;
/* What that would do, or has still to do, in order: each {node, state, agent, action, ...}. */
typedef struct err *(*undo_fn)(void *ctx, const json_t *one);
struct err *MUST engine_undo_list(struct engine *e, const char *id, undo_fn fn, void *ctx) YIELDS;
/* Waits until it has ended, waits for something outside, or was interrupted. */
struct err *MUST run_wait(struct run *r, int64_t deadline_ms) YIELDS;
/* fn is called once when the run is over, from its own fiber; it must not wait. At most one. */
void run_on_end(struct run *r, void (*fn)(void *ctx, struct run *r), void *ctx);
void run_unref(struct run *OWN r); /* accepts NULL; the run itself goes on */
const char *run_id(const struct run *r);
const json_t *run_started(const struct run *r); /* body of its first record */
struct flow *run_flow(const struct run *r);     /* borrowed */
enum run_status run_state(const struct run *r);
bool run_is_over(const struct run *r); /* nothing of it runs here any more */
bool run_was_interrupted(const struct run *r);
/* Of one that ended its life waiting: wall ms at which it can go on by itself, INT64_MAX: never. */
int64_t run_wakes_at(const struct run *r);
bool run_needs_someone(const struct run *r); /* it waits for a person, a signal, an answer */
/* The document of `tutti run --json`; without its `nodes` it is small, however many there are. */
struct err *MUST run_document(const struct run *r, bool nodes, json_t **OWN ret_doc);
void run_cancel(struct run *r);    /* ends it: cancelled */
void run_interrupt(struct run *r); /* leaves it resumable */

/* Called after the commit, in order per run. Returns a handle. */
int engine_subscribe(struct engine *e, run_event_fn fn, void *ctx);
void engine_unsubscribe(struct engine *e, int handle);

/* A stored run, from its journal alone: the same document. ERR_MISSING. */
struct err *MUST engine_document(struct engine *e, const char *id, json_t **OWN ret_doc) YIELDS;

/* A run by its id, the beginning of it, or the name its start gave it (run_id). ERR_MISSING. */
struct err *MUST engine_find_run(struct engine *e, const char *text,
                                 struct store_run *ret_run) YIELDS;
/* The stored records of a run as events, in order; fn may stop by returning an error. */
typedef struct err *(*history_fn)(void *ctx, const struct run_event *ev);
struct err *MUST engine_history(struct engine *e, const char *id, history_fn fn, void *ctx) YIELDS;
/* The same of one run after the other, for numbers over many: by its whole id, and only with the
 * small members of details (status, agent, target, times, usage, ...). */
struct err *MUST engine_survey(struct engine *e, const char *id, history_fn fn, void *ctx) YIELDS;
/* The definition that a stored run was started with. */
struct err *MUST engine_stored_flow(struct engine *e, const char *id,
                                    struct flow **OWN ret_flow) YIELDS;
/* Cancels a live run, whoever has it; one that nobody has ends here and now, but for one that has
 * something to undo: that stays live, and whoever resumes it undoes that. force: it ends now, and
 * what it has done stays. */
struct err *MUST engine_cancel_stored(struct engine *e, const char *id, bool force) YIELDS;

/* What the agents of this process are doing: a list of {agent, status, running, done, failed, run,
 * task, error, at} (roster.h). */
json_t *OWN engine_roster(const struct engine *e);

/* What was said in conversations: exchange by exchange, by conversation, workflow and speaker (an
 * agent; "router[NAME]", "chain[NAME]"), each in order. Names of more than about a hundred bytes
 * are told shortened. */
struct conversation_filter { /* NULL: any */
    const char *conversation, *workflow, *who;
};
struct conversation_row {
    const char *conversation, *workflow, *who;
    int64_t at_ms;          /* when it began */
    const json_t *exchange; /* NULL: damaged */
};
typedef struct err *(*conversation_fn)(void *ctx, const struct conversation_row *row);
struct err *MUST engine_conversations(struct engine *e, const struct conversation_filter *f,
                                      conversation_fn fn, void *ctx) YIELDS;
/* Forgets them. Runs that are under way keep what they know. */
struct err *MUST engine_forget_said(struct engine *e, const struct conversation_filter *f,
                                    size_t *ret_n) YIELDS;

struct engine_stats {
    int64_t runs, steps, commits, records, replayed; /* replayed: steps found in the journal */
    int64_t joined; /* tries that got the answer of the same call made by another step */
};
void engine_stats(const struct engine *e, struct engine_stats *ret_stats);

struct breaker_stats { /* of one circuit breaker: a target, as agents with the same numbers see it
                        */
    const char *target, *state;           /* "closed", "open", "half_open" */
    const char *last_failure;             /* or NULL */
    unsigned failure_threshold, failures; /* failures: in a row */
    int64_t recovery_ms, since_wall_ms;   /* since: of the state */
    int64_t openings, refused;            /* refused: calls that were not let through */
};
struct limit_stats; /* broker.h */
/* The limits of this process: what is used of them and who waits. fn must not wait. */
void engine_limits(const struct engine *e, void (*fn)(void *ctx, const struct limit_stats *s),
                   void *ctx);
/* Those of this process, in order of first use. fn must not wait. */
void engine_breakers(const struct engine *e, void (*fn)(void *ctx, const struct breaker_stats *s),
                     void *ctx);

#endif
