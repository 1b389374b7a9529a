/* runcore.h - the inside of a run; for the files of this folder only. */
#ifndef ENGINE_RUNCORE_H
#define ENGINE_RUNCORE_H
#include "base/map.h"
#include "base/vec.h"
#include "engine/doubt.h"
#include "engine/engine.h"
#include "engine/journal.h"
#include "engine/pause.h"
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
struct engine {
    struct engine_opts opts;
    struct expr_space *space;
    struct map
        *flows; /* plan hash -> struct flow; not owned: a flow leaves when its last user does */
    struct map *breakers; /* guards.c */
    VEC(struct run *) runs;
    VEC(struct subscriber) subscribers;
    int handles;
    struct scope scope; /* of the runs' fibers */
    struct engine_stats stats;
    struct str encoding;      /* where a record is encoded */
    json_t *nothing;          /* an empty object to lend */
    bool watching;            /* the fiber that looks for cancels is there */
    VEC(struct run *) unsafe; /* those with results that are not committed; a reference each */
    bool flushing;            /* the fiber that commits them is there */
};
struct flow {
    struct engine *engine;
    unsigned refs;
    struct plan *plan;
    json_t *doc;
    char *body;              /* as it is stored */
    int64_t stored_until_ms; /* a run has brought it along, and it will not be pruned before */
};
struct pending { /* a record that is not committed yet */
    enum record_kind kind;
    char *path, *bytes;
    size_t len;
    json_t *body;          /* for subscribers, if there are any */
    char *signal, *dedupe; /* that is used up with it; or NULL */
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
    uint64_t appended, must_commit, committed; /* counts of records; must_commit: barrier's goal */
    bool committing, unsafe;                   /* unsafe: it is in engine->unsafe */
    struct waitq commits;
    struct err *broken; /* the journal could not be written: the run cannot go on here */
    enum run_status status;
    bool over, cancelled, interrupted;
    bool rollback;             /* it had ended, and is to be undone */
    VEC(struct scope *) undos; /* of what is being undone */
    char *parked;              /* why it waits */
    struct waitq waiting;
    void (*on_end)(void *ctx, struct run *r);
    void *on_end_ctx;
    int64_t started_wall_ms;
    struct waits waits;
    struct map *purses, *past; /* spend.c; NULL: it has no budget */
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
    unsigned depth; /* of agents calling agents */
};
#define CALL_DEPTH_MAX 16

/* run.c: appends to the journal; `lazy` records need not be committed before the next effect.
 * False: nothing was, because the store takes no record so large; only what holds a reply can be.
 */
bool
run_append(struct run *r, enum record_kind kind, const char *path, json_t *OWN body, bool lazy);
struct err *MUST too_large(const char *what); /* ERR_LIMIT, in words for the reader */
/* The same, using up a signal in the same commit. */
void run_append_using(struct run *r, enum record_kind kind, const char *path, json_t *OWN body,
                      const struct store_signal *signal);
struct err *MUST run_barrier(struct run *r) YIELDS; /* all that matters so far is committed */
void flush_soon(struct run *r); /* flush.c: commits what was appended, if nobody else does */
/* Fills in the run and the time, and tells everybody. */
void run_publish(struct run *r, struct run_event ev);

struct run *OWN run_new(struct engine *e, struct flow *f);
void run_set_input(struct run *r, const json_t *started);
void run_launch(struct run *r);                /* its fiber begins */
int64_t engine_expiry(const struct engine *e); /* of a run that ends now, for the store */

/* stored.c: for store_read, whose ctx is a struct view; recall: of a run that goes on. */
struct err *MUST run_read(void *view, const struct store_record *rec);
struct err *MUST run_recall(void *view, const struct store_record *rec);

/* run.c: a record as it is stored, secrets taken out. */
void run_encode(const struct engine *e, const json_t *body, struct str *to);
/* flow.c */
void engine_watch_start(struct engine *e);
struct err *MUST flow_check_inputs(struct flow *f, const json_t *inputs);
struct err *MUST flow_stored(struct engine *e, const char *hash, struct flow **OWN ret_flow) YIELDS;

void guards_free(struct engine *e); /* guards.c */
/* step.c */
struct err *MUST hosted_step(struct host *h, const struct step *s, json_t **OWN ret_value) YIELDS;

/* work.c: an agent or a graph at a path; its end is one record. */
struct work {
    const char *path, *type, *worker; /* worker: NULL for a graph without a name */
    const struct graph *child;        /* or NULL: an agent */
    const struct node *node;          /* or NULL */
    const json_t *agent;              /* a definition that the document does not have; or NULL */
    const struct expr_scope *outer;   /* what the node sees, for a graph inside of it; or NULL */
    struct task task;                 /* name, def and effect are filled in by agent_run */
    unsigned depth;
};
struct err *MUST work_run(struct run *r, const struct work *w, struct reply *ret_reply) YIELDS;
struct work_end {
    enum node_status status;
    const struct reply *reply; /* or NULL */
    const struct err *error;   /* or NULL */
    unsigned attempts;
    int64_t started_wall_ms;
};
json_t *OWN work_end_body(const struct work *w, const struct work_end *end);
/* hosted.c */
struct err *MUST agent_run(struct run *r, const struct work *w, int64_t started_wall_ms,
                           struct reply *ret_reply, unsigned *ret_attempts) YIELDS;

/* run.c: the deadline of what may take so long in all and was started then: what former lives took
 * of it is gone. */
int64_t run_deadline(const struct run *r, int64_t started_wall_ms, int64_t total_ms);
/* work.c: runs a graph below path ("" for the root). */
enum graph_end { GRAPH_COMPLETED, GRAPH_PARTIAL };
struct graph_call {
    const struct graph *g;
    const char *path;
    const struct task *task; /* the graph's own input */
    unsigned depth;
    int64_t started_wall_ms;        /* in whatever life */
    const struct expr_scope *outer; /* of the node that it is inside; or NULL */
};
int64_t graph_deadline(const struct run *r, const struct graph_call *call);
struct err *MUST graph_run(struct run *r, const struct graph_call *call, struct reply *ret_reply,
                           enum graph_end *ret_end) YIELDS;
/* sched.c: all that its edges let run. */
struct err *MUST graph_walk(struct run *r, const struct graph_call *call, struct reply *ret_reply,
                            enum graph_end *ret_end) YIELDS;
/* control_node.c: a graph whose kind decides what runs. */
struct err *MUST control_run(struct run *r, const struct graph_call *call, struct reply *ret_reply,
                             enum graph_end *ret_end) YIELDS;
/* goeson.c: the name under which a graph remembers: "chain[NAME]". */
char *OWN speaker_of_graph(const char *kind, const struct graph_call *call);
/* A chain of a conversation: the whole, or only its last node. */
struct err *MUST graph_go_on(struct run *r, const struct graph_call *call, struct reply *ret_reply,
                             enum graph_end *ret_end) YIELDS;

#endif
