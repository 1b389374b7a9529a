/* runcore.h - the inside of a run; for the files of this folder only. */
#ifndef ENGINE_RUNCORE_H
#define ENGINE_RUNCORE_H
#include "base/map.h"
#include "base/vec.h"
#include "engine/engine.h"
#include "engine/journal/commit.h"
#include "engine/journal/journal.h"
#include "engine/pause.h"
#include "engine/step/doubt.h"
#include "engine/step/leftopen.h"
#include "guard/breaker.h"
#include "guard/retry.h"
#include "rt/fiber.h"
#include "rt/rt.h"
#include "rt/sync.h"

struct subscriber {
    run_event_fn fn;
    void *ctx;
    int handle;
};
struct broker;
struct engine {
    struct engine_opts opts;
    struct broker *broker; /* the limits of all runs */
    struct expr_space *space;
    struct map
        *flows; /* plan hash -> struct flow; not owned: a flow leaves when its last user does */
    struct map *breakers; /* guards.c */
    VEC(struct run *) runs;
    VEC(struct subscriber) subscribers;
    int handles;
    struct scope scope; /* of the runs' fibers */
    struct engine_stats stats;
    struct str encoding; /* where a record is encoded */
    struct roster *roster;
    json_t *nothing;          /* an empty object to lend */
    bool watching;            /* the fiber that looks for cancels is there */
    VEC(struct run *) unsafe; /* those with results that are not committed; a reference each */
    struct map *flights;      /* pure calls under way that others may join; coalesce.c */
    uint64_t writes;          /* steps ended so far that may have changed what others read */
    bool flushing;            /* the fiber that commits them is there */
};
struct flow {
    struct engine *engine;
    unsigned refs;
    struct plan *plan;
    json_t *doc;
    char *body;              /* as it is stored */
    struct map *needs;       /* admit.c: which limits its calls use; NULL: none were looked for */
    int64_t stored_until_ms; /* a run has brought it along, and it will not be pruned before */
};
struct run {
    struct engine *engine;
    struct flow *flow;
    unsigned refs; /* the run's own fiber, and handles given out */
    struct store_lease lease;
    struct scope scope;
    bool scope_open;
    json_t *input, *inputs, *info; /* info: run.{id,name,started} for expressions */
    char *message;                 /* input as text */
    struct doubts *doubts;         /* answers; NULL: none */
    struct view *view;
    VEC(struct pending) pending;
    /* Numbers of records; the barrier's goal, and that of flush, which is never before it */
    uint64_t appended, must_commit, want_commit, committed;
    uint64_t told;           /* of what is committed */
    struct telling *telling; /* telling.c; NULL: nothing was late yet */
    bool committing, unsafe; /* unsafe: it is in engine->unsafe */
    struct waitq commits;
    struct err *broken; /* the journal could not be written: the run cannot go on here */
    enum run_status status;
    bool over, cancelled, interrupted;
    bool rollback;             /* it had ended, and is to be undone */
    VEC(struct scope *) undos; /* of what is being undone */
    char *parked;              /* why it waits */
    unsigned items_failed;     /* of streams; those that were told */
    struct waitq waiting;
    void (*on_end)(void *ctx, struct run *r);
    void *on_end_ctx;
    int64_t started_wall_ms;
    struct waits waits;
    struct map *purses, *past, *prepaid, *prepaid_sums; /* spend.c; NULL: it has no budget */
    struct left_open open;
};

struct depth {
    unsigned all;   /* of graphs and agents inside of each other; 0: the run's own graph */
    unsigned calls; /* of agents that call agents */
};

/* What a kind gets as its host: one per agent call. */
struct hosted {
    struct host base;
    struct run *run;
    const char *path;
    const char *name;        /* of the agent */
    const json_t *agent;     /* definition, or NULL inside patterns */
    const struct node *node; /* what it runs for; NULL for agents called by agents */
    struct usage usage;      /* of its steps */
    unsigned attempts;       /* the most tries a step of it took */
    int64_t started_wall_ms;
    bool refused;            /* a circuit breaker let a call of it not pass */
    struct prepaid *prepaid; /* what is reserved for answers that it waits for */
    struct depth depth;
    json_t *inputs; /* of the workflow around it; borrowed */
};
#define CALL_DEPTH_MAX 16
#define WORK_DEPTH_MAX 64 /* all of it is on one fiber's stack */

struct run *OWN run_new(struct engine *e, struct flow *f);
void run_set_input(struct run *r, const json_t *started);
void run_launch(struct run *r); /* its fiber begins */

/* stored.c: for store_read, whose ctx is a struct view; recall: of a run that goes on. */
struct record stored_record(const struct store_record *rec);
struct err *MUST run_read(void *view, const struct store_record *rec);
struct err *MUST run_recall(void *view, const struct store_record *rec);

/* flow.c */
void engine_watch_start(struct engine *e);
struct err *MUST inputs_check(const struct graph *g, const json_t *inputs);
struct err *MUST flow_check_inputs(struct flow *f, const json_t *inputs);
struct err *MUST flow_stored(struct engine *e, const char *hash, struct flow **OWN ret_flow) YIELDS;
void guards_free(struct engine *e); /* guards.c */
void needs_free(struct flow *f);    /* admit.c */
struct err *MUST hosted_step(struct host *h, const struct step *s, json_t **OWN ret_value) YIELDS;

/* work.c: an agent or a graph at a path; its end is one record. */
struct work {
    const char *path, *type, *worker; /* worker: NULL for a graph without a name */
    const struct graph *child;        /* or NULL: an agent */
    const struct node *node;          /* or NULL */
    const json_t *agent;              /* a definition that the document does not have; or NULL */
    const struct expr_scope *outer;   /* what the node sees, for a graph inside of it; or NULL */
    struct task task;                 /* name, def and effect are filled in by agent_run */
    struct depth depth;
    json_t *inputs; /* what `inputs` is for a graph; borrowed */
    bool item;      /* of a stream: its end is one small record, its start none if it can be */
};
struct err *MUST work_run(struct run *r, const struct work *w, struct reply *ret_reply) YIELDS;
/* An item that does not get as far as its work has failed all the same; returns e. */
struct err *MUST item_refuse(struct run *r, const char *path, struct err *OWN e);
struct work_end {
    enum node_status status;
    const struct reply *reply; /* or NULL */
    const struct err *error;   /* or NULL */
    unsigned attempts;
    int64_t started_wall_ms;
};
bool work_end_append(struct run *r, const struct work *w, const struct work_end *end);
/* hosted.c */
struct err *MUST agent_run(struct run *r, const struct work *w, int64_t started_wall_ms,
                           struct reply *ret_reply, unsigned *ret_attempts) YIELDS;

/* run.c: the scope of what is at the path ("" is the run), may take so long in all and was started
 * then: what was worked on it in former lives is gone, and while all of it waits for somebody it
 * stands still. total_ms 0: no limit. */
void run_scope_open(const struct run *r, struct scope *s, const char *path, int64_t started_wall_ms,
                    int64_t total_ms);
/* work.c: runs a graph below path ("" for the root). */
enum graph_end { GRAPH_COMPLETED, GRAPH_PARTIAL };
struct graph_call {
    const struct graph *g;
    const char *path;
    const struct task *task; /* the graph's own input */
    struct depth depth;
    int64_t started_wall_ms;        /* in whatever life */
    const struct expr_scope *outer; /* of the node that it is inside; or NULL */
    json_t *inputs;                 /* the run's, or the item's that this workflow is for */
};
void graph_scope_open(const struct run *r, const struct graph_call *call, struct scope *s);
/* A part is recorded as cut off, though nobody here is: it was in a former life, by a limit of time
 * whose own end was not recorded any more. The nearest such limit around it is the reason. */
bool cut_before(const struct err *e);
struct err *MUST timed_out(struct err *OWN e); /* what it became of; told if it is in doubt */
/* When its own time is over, that is the reason for what its parts report; s: its scope, closed. e
 * may be NULL. */
struct err *MUST graph_reason(const struct graph_call *call, const struct scope *s,
                              struct err *OWN e);
struct err *MUST graph_run(struct run *r, const struct graph_call *call, struct reply *ret_reply,
                           enum graph_end *ret_end) YIELDS;
/* sched.c: all that its edges let run. */
struct err *MUST graph_walk(struct run *r, const struct graph_call *call, struct reply *ret_reply,
                            enum graph_end *ret_end) YIELDS;
/* steps.c: the steps as a graph, below the one that decides. */
struct control_step;
struct graph *
expand_graph(struct arena *a, const struct graph *of, const struct control_step *steps, size_t n);
/* control_node.c: a graph whose kind decides what runs. */
struct err *MUST control_run(struct run *r, const struct graph_call *call, struct reply *ret_reply,
                             enum graph_end *ret_end) YIELDS;
/* goeson.c: the name under which a graph remembers: "chain[NAME]". */
char *OWN speaker_of_graph(const char *kind, const struct graph_call *call);
/* A chain of a conversation: the whole, or only its last node. */
struct err *MUST graph_go_on(struct run *r, const struct graph_call *call, struct reply *ret_reply,
                             enum graph_end *ret_end) YIELDS;

#endif
