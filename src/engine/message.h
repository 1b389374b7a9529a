/* message.h - the texts that go from node to node; for the files of this folder only. */
#ifndef ENGINE_MESSAGE_H
#define ENGINE_MESSAGE_H
#include "engine/runcore.h"

struct node_state {
    enum node_status status;
    bool settled, tolerated; /* tolerated: failed, and that was said to be fine */
    struct reply reply;
    char *error;
    unsigned missing; /* dependencies not settled */
    bool closed;      /* below a gate that is closed, or that gate itself */
    json_t *view;     /* steps.x, once somebody asked */
};
void message_make(const struct graph *g, const struct node *n, const struct node_state *states,
                  const struct task *outer, struct str *to);
/* `common`: the context of the whole graph so far, or NULL. */
json_t *OWN context_make(const struct graph *g, const struct node *n,
                         const struct node_state *states, json_t *common);
void context_add(json_t **context, const struct graph *g, const struct node *n,
                 const struct node_state *state);
struct err *MUST graph_output(const struct graph *g, const struct node_state *states,
                              const struct expr_scope *scope, struct reply *ret_reply);
json_t *OWN step_view(const struct node_state *s); /* steps.x in expressions */

#endif
