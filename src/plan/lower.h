/* lower.h - how a kind fills its graph; for the files of this folder that lower a pattern.
 *
 * A pattern's lower() gets its definition and an empty graph and adds nodes in order. References to
 * nodes that are added later are fine: dependencies are given by name and resolved at the end. */
#ifndef PLAN_LOWER_H
#define PLAN_LOWER_H
#include "base/map.h"
#include "base/vec.h"
#include "plan/plan.h"

struct lowering { /* one graph being filled */
    struct plan *plan;
    const struct plan_source *source;
    struct expr_space *space;
    struct arena *arena;
    struct graph *graph;
    VEC(struct node *) nodes;
    struct map *ids;    /* id -> struct node */
    struct map *copies; /* name -> how often lower_node was asked for it */
    VEC(struct edge {
        unsigned node;   /* waits for */
        const char *dep; /* this one */
        struct src_pos at;
        bool from; /* its reply is the node's input, and that of others is not */
    })
    edges;
    VEC(struct rule) rules;
    VEC(struct way) ways;
    const char *where; /* "workflow 'etl'" for messages */
    unsigned depth;
    struct lowering *outer; /* of the graph whose node this one is inside, written there; or NULL */
    struct node *self;      /* that node */
    const struct node *undoing; /* whose undo is being lowered: that may mention itself; or NULL */
};

/* Adds a node; the id gets "-2", "-3" when it is taken and `unique` is false, else that is an
 * error. */
struct node *lower_node(struct lowering *l, const char *id, bool unique, struct src_pos at);
/* The members that follow run several times, as NAME[0], NAME[1]: none of them gets a name that
 * would make that the place of something else, as undo[1] is. */
void lower_turns(struct lowering *l);
void lower_from(struct lowering *l, const struct node *node, const char *dep, struct src_pos at);
void lower_edge(struct lowering *l, const struct node *node, const char *dep, struct src_pos at);
/* The node runs this agent or workflow: by name, or a whole definition inline. */
void lower_worker(struct lowering *l, struct node *node, const json_t *worker, const char *pointer);
/* A node whose type is a pattern gets a graph of its own, lowered from its definition. */
void lower_inline(struct lowering *l, struct node *node, const json_t *def, const char *pointer);
/* Names become indexes, dependents are noted, circles refused; the graph has its nodes. */
void lower_finish(struct lowering *l);
struct src_pos lower_pos(const struct lowering *l, const char *pointer);
void lower_fail(struct lowering *l, struct src_pos at, const char *fmt, ...) FMT(3);
/* The same about names of nodes, which holds for a partial doc too. */
void lower_fail_name(struct lowering *l, struct src_pos at, const char *fmt, ...) FMT(3);

/* Takes a mistake that something else found; told with all others. */
void lower_refuse(struct lowering *l, struct err *OWN e);

struct value_template *value_template_make(struct lowering *l, const json_t *value,
                                           const char *pointer, struct node *node);
/* Compiles and notes the references as edges of the node (or checks them against the graph when
 * node is NULL). NULL after an error. */
struct template *
lower_template(struct lowering *l, const char *text, const char *pointer, struct node *node);
struct expr *
lower_condition(struct lowering *l, const json_t *cond, const char *pointer, struct node *node);

/* A further name that what is compiled from now on may use; returns what was there before, for
 * lower_locals to put back. */
const char *const *lower_local(struct lowering *l, const char *name);
void lower_locals(struct lowering *l, const char *const *names);
/* input, instruction, action and parameters of a definition become the node's; what they mention is
 * an edge of `by`, a node of l. */
void lower_templates(struct lowering *l, struct node *n, struct node *by, const json_t *def,
                     const char *pointer);
/* The `compensate` of a definition becomes the node's undo; its templates are lowered as those of
 * the node are. To be called when the node has its worker. */
void lower_compensate(struct lowering *l, struct node *n, struct node *by, const json_t *def,
                      const char *pointer);
void lower_undoes(struct lowering *l); /* the plan has an undo */
/* A rule of the graph: what it mentions has to be there for the node around the graph. */
void
lower_rule(struct lowering *l, const json_t *cond, const char *pointer, const struct node *chosen);
/* Where it may go on from a node; told for those who look at it, and bounded by the definition. */
void lower_way(struct lowering *l, struct way way);

/* A value of the graph's own: its templates see what rules see. Not checked against members. */
struct value_template *lower_value(struct lowering *l, const json_t *value, const char *pointer);
struct template *lower_text(struct lowering *l, const char *text, const char *pointer);

/* Tables for kinds: who does a part, an agent or a workflow by name, or a workflow inline. */
extern const struct param lower_worker_params[];
#define WORKER_ITEM ITEM("agent", P_ONE_OF, .fields = lower_worker_params)
/* The pointer of an element: pointer/key/i, in the plan's arena. */
const char *lower_below(struct lowering *l, const char *pointer, const char *key, size_t i);
/* Adds a member of a graph that decides while it runs: the worker under `key`. NULL: there is none.
 */
struct node *
lower_member(struct lowering *l, const json_t *def, const char *pointer, const char *key);

extern const struct kind chain_kind, pipeline_kind, parallel_kind, dag_kind, task_kind, reduce_kind,
    gate_kind;

#endif
