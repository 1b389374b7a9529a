/* control_node.h - what a kind can do that decides while it runs: loop, switch, router, ...
 *
 * Its graph holds the members that may run; kind->control() asks for one after the other, for
 * several at once, or for a model's judgement. Each ask has a name that comes from position and
 * never from content ("draft[2]"): it is a part of a path in the journal. A resumed run calls
 * control() again from its top, and what it asked for before is answered from there. So control()
 * decides by its task and by answers alone, not by clock or chance.
 *
 * Everything here runs in the fiber of the node. Errors of members are passed up as they are:
 * ERR_CANCELLED and ERR_PARKED always have to be. */
#ifndef ENGINE_CONTROL_NODE_H
#define ENGINE_CONTROL_NODE_H
#include "model/host.h"
#include "plan/plan.h"

#define SESSION_SIGNAL "input" /* what a session waits for; inside of another: input@ITS/PATH */

struct control {
    const struct graph *graph;
    const json_t *def;       /* its definition, normal form */
    const struct task *task; /* what it is asked to do; borrowed */
    const char *path;        /* "" for the run itself */
};

struct ask { /* one member's turn; all borrowed */
    const struct node *member;
    const char *name;            /* the part of the path; unique below this node */
    const char *message;         /* NULL: the task's */
    const json_t *item;          /* foreach's: the member's templates are filled in for it */
    unsigned index;              /* its turn: 1, 2, ...; agents see it as context.index; 0: none */
    const json_t *input;         /* the same as a value; NULL: it is just text */
    const json_t *output_schema; /* what the reply of a model has to be; NULL: the agent's own */
    const json_t *vars, *output; /* what templates see as these, with an item; or NULL */
    const char *action;          /* for a member that is no model; or NULL */
    const json_t *params;
    const json_t *inputs;    /* of a member that is a workflow; NULL: those around it */
    bool stream;             /* one of very many items: see viewstream.h */
    struct err *OWN refused; /* why the item cannot be worked on; or NULL */
};
struct err *MUST control_ask(struct control *c, const struct ask *a,
                             struct reply *ret_reply) YIELDS;

/* A member failed, and something else has been completed. NULL: by the graph's failure strategy it
 * goes on without; it ends partial, or, by continue_on_failure, fails when control() is done. Else
 * the error, to be passed up. */
struct err *MUST control_tolerate(struct control *c, struct err *OWN e);
/* Takes back the first failure that was tolerated; NULL: there is none. */
struct err *OWN control_failure(struct control *c);

/* Several at once. Each has its own reply and error; the caller frees both. */
struct asked {
    struct ask ask;
    struct reply reply;
    struct err *error;
};
struct ask_how {
    unsigned limit;     /* so many at a time; 0: the graph's max_concurrency */
    bool stop_at_error; /* the first failure cancels the others */
};
void control_ask_all(struct control *c, struct asked *asked, size_t n, struct ask_how how) YIELDS;

/* A question to a model: by the definition's `profile`, else as an agent that names none. The
 * answer is JSON of the schema; one that is not is sent back once. ERR_INVALID: still not. */
struct judgement {
    const char *name;     /* the part of the path */
    const char *system;   /* who it is asked to be */
    const char *question; /* everything it needs to know */
    json_t *OWN schema;
};
char *OWN control_name_apart(const struct control *c, const char *name); /* no member has it */
struct err *MUST control_judge(struct control *c, const struct judgement *j,
                               json_t **OWN ret_answer) YIELDS;

/* A plan that was made while it runs: the steps run like the nodes of any graph, by the failure
 * strategy and the concurrency of this one, below its path. A step is told its instruction, then
 * the replies of those it depends on. The reply is that of the last step, in order, that completed.
 */
struct control_step { /* all borrowed */
    const struct node *member;
    const char *id;          /* the part of the path */
    const char *instruction; /* its message */
    const unsigned *deps;    /* indexes of earlier steps, each once */
    size_t ndeps;
};
struct err *MUST control_expand(struct control *c, const struct control_step *steps, size_t n,
                                struct reply *ret_reply) YIELDS;

/* A decision in which time or chance took part: who was free first. It is recorded under its name,
 * in front of all that follows from it, and told as the event; a resumed run finds it again. detail
 * is an object. *ret_detail is NULL when nothing was decided in a former life. */
void control_decide(struct control *c, const char *name, const char *event, json_t *OWN detail);
struct err *MUST control_decided(const struct control *c, const char *name,
                                 json_t **OWN ret_detail);
/* Has what was asked under this name ended in a former life? Asking again gives that at once. */
bool control_ended(const struct control *c, const char *name);

/* What it remembers of former times it was asked, in this run and its conversation; and one more.
 */
struct err *MUST control_recall(struct control *c, json_t **OWN ret_exchanges) YIELDS;
struct err *MUST control_remember(struct control *c, json_t *OWN exchange) YIELDS;

/* The definition of a member that is an agent; NULL: a workflow, or unknown. Borrowed. */
const json_t *control_agent(const struct control *c, const struct node *member);

/* Is it asked in words, and answers in words? An agent of a model's kind. */
bool control_is_model(const struct control *c, const struct node *member);

/* What a member's description says it is for: description, else instruction, else "". Borrowed. */
const char *control_about(const struct control *c, const struct node *member);

/* The truth of a rule; output and index: what they mean inside of it, or NULL and 0. */
struct err *MUST control_rule(struct control *c, const struct rule *rule, const json_t *output,
                              unsigned index, bool *ret_truth);

/* The same, and a text, of what somebody remembers. */
struct sees {
    const json_t *vars, *output; /* or NULL */
};
struct err *MUST control_test(struct control *c, const struct rule *rule, const struct sees *sees,
                              bool *ret_truth);
struct err *MUST control_fill(struct control *c, const struct template *t, const struct sees *sees,
                              char **OWN ret_text);

/* The list that the graph's `items` make; without `items` the one it was given, also as a text of
 * JSON. */
struct err *MUST control_list(struct control *c, json_t **OWN ret_list);

/* Waits for a time, a signal or a person (model/host.h); ERR_PARKED has to be passed up. */
struct err *MUST control_pause(struct control *c, const struct pause *p,
                               json_t **OWN ret_value) YIELDS;

/* The graph's `text`, filled in. */
struct err *MUST control_text(struct control *c, char **OWN ret_text);
/* The value of a template of the graph: its `items`, its `results`. */
struct err *MUST control_value(struct control *c, const struct value_template *v,
                               json_t **OWN ret_value);
struct run *control_run_of(struct control *c);                    /* for the files of engine/ */
void control_spent(struct control *c, const struct usage *usage); /* of former lives */

/* A passing notice for observers. */
void control_note(struct control *c, const char *event, json_t *OWN detail);

/* Two reasons to wait as one; of very many only the first are told. a may be NULL. */
struct err *OWN parked_both(struct err *OWN a, struct err *OWN b);

/* A judgement failed for want of a useful answer, and whoever asked can do without. Not when the
 * model cannot be asked at all: a wrong key must not look like a choice. */
bool control_unanswered(const struct err *e);
/* May this failure be answered by something else than failing? Not when the run ends or waits. */
bool control_may_go_on(const struct err *e);

extern const struct kind loop_kind, switch_kind, router_kind, evaluator_kind, maker_kind,
    orchestrator_kind, manager_kind, peers_kind, foreach_kind, human_kind, wait_kind, queue_kind,
    session_kind;

#endif
