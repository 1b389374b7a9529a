/* plan.h - what a workflow is lowered to: a read-only graph of nodes.
 *
 * Every pattern becomes the same few things: nodes with dependencies, a condition, a rule for their
 * input, and either a worker (work node) or a graph of their own (control node). The engine has one
 * routine that runs a graph; all that changes while running is kept by the engine, never here. Same
 * definition, same plan, same hash, on every machine. Pure: no clock, no I/O.
 *
 * Everything belongs to the plan's arena. Errors: ERR_INVALID lists with positions. */
#ifndef PLAN_PLAN_H
#define PLAN_PLAN_H
#include "base/arena.h"
#include "base/json.h"
#include "expr/expr.h"
#include "model/kind.h"

#define UNDO_NAME      "undo" /* the undo of a node is below it: pay/undo[1] */
#define PLAN_NODES_MAX 10000  /* of one plan, graphs inside graphs included */
#define PLAN_DEPTH_MAX 32     /* graphs inside graphs */

enum failure {                   /* what the failure of a node means for its graph */
               FAILURE_STOP,     /* nothing new starts, siblings are cancelled, the graph fails */
               FAILURE_CONTINUE, /* independent nodes go on, dependents are skipped, the graph fails
                                    at the end */
               FAILURE_PARTIAL,  /* likewise, and the graph ends partial when a node completed */
};

enum input_rule {                 /* where a node's message comes from */
                  INPUT_DEFAULT,  /* of one dependency its text, of several a labelled section each,
                                     of none the graph's */
                  INPUT_TEMPLATE, /* node->input */
                  INPUT_GRAPH,    /* the graph's own input */
                  INPUT_CUMULATIVE, /* the graph's input, then a section for each earlier node
                                       (chain, cumulative) */
                  INPUT_FAN_IN,     /* the request, then what each dependency answered (parallel's
                                       fan_in) */
                  INPUT_RESPONSES,  /* the same without the request */
                  INPUT_STEP,       /* node->text, then what each dependency answered */
};

enum output_rule {
    OUTPUT_LEAVES, /* of one last node its output, of several an object by node */
    OUTPUT_LAST,   /* of the last node in order that completed */
    OUTPUT_JOIN,   /* "[name]: text" of all completed nodes */
    OUTPUT_FAN_IN, /* of the last node; when that failed, OUTPUT_JOIN of the others */
    OUTPUT_TEMPLATE,
};

struct value_template; /* JSON whose strings may be templates */

struct graph;
struct node {
    const char *id;            /* unique in its graph; a part of the path */
    const char *label;         /* how sections name it: the agent in patterns, the id else */
    unsigned index;            /* in graph->nodes */
    const char *kind;          /* "task", "chain", ... for people */
    const char *worker;        /* agent or workflow by name; NULL: child */
    const struct graph *child; /* of a control node, or of a worker that is a workflow */
    const json_t *def;         /* normal form; {} for nodes that a pattern made */
    const unsigned *deps;      /* indexes of the nodes it waits for, ascending */
    size_t ndeps;
    const unsigned *from; /* those of them whose replies are its input: all, unless it says */
    size_t nfrom;
    const unsigned *dependents; /* who waits for it, ascending */
    size_t ndependents;
    struct expr *when; /* or NULL */
    enum input_rule input_rule;
    struct template *instruction, *action; /* or NULL */
    struct template *say;                  /* a session's: what is said in this state; or NULL */
    struct value_template *input, *parameters; /* or NULL */
    const char *text;                          /* INPUT_STEP */
    const char *server_name;                   /* or NULL */
    const json_t *retry;                       /* normal-form overlay, or NULL */
    int64_t timeout_ms;                        /* of one attempt; 0: the agent's */
    int64_t total_timeout_ms;                  /* of attempts and waits; 0: none */
    bool use_history;         /* its agent sees its earlier exchanges, whatever it says itself */
    bool continue_on_failure; /* its failure counts as settled */
    bool join_any; /* runs when `quorum` dependencies completed, whatever the others did */
    unsigned quorum;
    bool alone; /* its calls are made even when another is making the same */
    bool gate;  /* skipped, it closes all that is below it; else it passes on what it was given */
    int effect; /* enum effect, or -1: the agent's */
    const struct node *undo; /* what undoes it: worker, templates, limits; in no graph; or NULL */
    bool tolerates_not_done; /* of an undo: it does no harm where there is nothing to undo */
    int priority;            /* higher first */
    struct src_pos at;
};

/* Of two that are ready: higher priority first, then in order of declaration. */
static inline bool
node_before(const struct node *a, const struct node *b)
{
    return a->priority != b->priority ? a->priority > b->priority : a->index < b->index;
}

struct rule { /* of a graph that decides while it runs: a condition and whom it chooses */
    struct expr *when;
    const struct node *node; /* or NULL */
};

struct way { /* of a graph whose nodes lead to one another while it runs; for drawings */
    const struct node *from; /* NULL: from outside, or from wherever it is */
    const struct node *to;   /* NULL: it ends */
    enum way_why { WAY_NEXT, WAY_CASE, WAY_ERROR, WAY_TIMEOUT } why;
    const json_t *when; /* WAY_CASE: its condition */
};

struct graph {
    const char *name, *type;  /* the workflow's */
    const char *noun;         /* what its nodes are called in messages */
    const struct kind *kind;  /* with `control`: it decides which nodes run */
    const json_t *def;        /* normal form */
    const struct rule *rules; /* in order; conditions see what the node around it sees */
    size_t nrules;
    const struct way *ways; /* of a kind that tells them */
    size_t nways;
    bool waits;        /* nothing runs in it; `timeout` is how long it waits, for its kind to say */
    bool sees_outer;   /* written inside a node: its conditions see the steps around that */
    bool shares_input; /* and their `input` is that of the graph around; else what it is given */
    struct value_template *items;    /* foreach's list, or where it is; or NULL */
    bool items_are_stream;           /* `items` says which file they are in */
    struct value_template *results;  /* of a stream: the file for its results; or NULL */
    struct template *text;           /* human's question, wait's time; or NULL */
    const struct node *const *nodes; /* in order of declaration */
    size_t nnodes;
    enum failure failure;
    unsigned max_concurrency; /* 0: no limit of its own; 1: one at a time, in order */
    int64_t timeout_ms;       /* 0: none */
    enum output_rule output_rule;
    struct value_template *output;
    size_t total;    /* nodes, with those of the graphs inside, as often as they are used */
    unsigned height; /* of graphs inside graphs; 0: none */
    unsigned branches, quorum; /* parallel with a quorum: when so many of the first nodes completed,
                                  the others are cancelled; 0: none */
    bool goes_on; /* chain: the second time in a conversation the last node alone is asked */
    bool positional_context;     /* chain: context carries agent_1_output, agent_2_output, ... */
    const json_t *inputs_schema; /* or NULL */
};

struct plan;
struct plan_source {   /* where definitions come from; all borrowed for the plan's life */
    const json_t *doc; /* spec's normal form */
    struct src_pos (*pos)(void *ctx, const char *pointer); /* of a JSON pointer; may be NULL */
    /* Of a line and column inside of the text at a pointer; NULL: the pointer's */
    struct src_pos (*text_pos)(void *ctx, const char *pointer, unsigned line, unsigned col);
    void *pos_ctx;
    const struct kind *const *kinds; /* of workflows and nodes; NULL-ended */
    /* The doc has mistakes that were told: only what is wrong with names of nodes is an error. */
    bool partial;
};
/* Lowers the workflow (NULL: the only one, or the one named `main` or like the file) and all that
 * it reaches. Compiles in `space`, which must outlive the plan. */
struct err *MUST plan_make(const struct plan_source *source, const char *workflow,
                           struct expr_space *space, struct plan **OWN ret_plan);
void plan_free(struct plan *OWN p);
void plan_freep(struct plan **p);
const struct graph *plan_root(const struct plan *p);
const char *plan_workflow(const struct plan *p);
const char *plan_hash(const struct plan *p); /* sha256 of the canonical form */
/* The graph of a workflow that the root reaches through an agent, by name; NULL: not a workflow. */
const struct graph *plan_graph(const struct plan *p, const char *workflow);
bool plan_undoes(const struct plan *p); /* a node of it has an undo */
/* Checks every workflow of the document: for `validate`. */
struct err *MUST plan_check_all(const struct plan_source *source, struct expr_space *space);

/* Drawings: text for terminals, mermaid, dot (Graphviz). */
void plan_draw_text(const struct plan *p, struct str *to);
void plan_draw_mermaid(const struct plan *p, struct str *to);
void plan_draw_dot(const struct plan *p, struct str *to);

/* Fills templates in. A string that is exactly one {{ }} keeps its value's type. */
struct err *MUST value_template_eval(const struct value_template *v, const struct expr_scope *scope,
                                     json_t **OWN ret_json);
#endif
