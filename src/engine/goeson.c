/* goeson.c - a chain with continue_with_final: once it has been gone through in a conversation,
 * what is said to it goes to its last node alone, who knows what it was told before. */
#include "engine/runcore.h"
#include "engine/talk/history.h"
#include <stdlib.h>
#include <string.h>

/* A workflow has a name; one that is written in place has the place where it stands, whatever turn
 * of a loop it is. */
char *
speaker_of_graph(const char *kind, const struct graph_call *call)
{
    struct str s = STR_INIT;
    str_addf(&s, "%s[", kind);
    if (!call->g->sees_outer)
        str_add(&s, call->g->name);
    for (const char *p = call->path; call->g->sees_outer && *p; p++) {
        if (*p == '[')
            p += strspn(p + 1, "0123456789") + 1;
        else
            str_addc(&s, *p);
    }
    str_addc(&s, ']');
    return str_steal(&s);
}

static struct err *
last_alone(struct run *r, const struct graph_call *call, struct reply *ret_reply,
           enum graph_end *ret_end)
{
    struct node node = *call->g->nodes[call->g->nnodes - 1];
    const struct node *const only[] = {&node};
    struct graph g = *call->g;
    struct graph_call again = *call;
    node.index = 0;
    node.ndeps = node.nfrom = node.ndependents = 0;
    node.input_rule = INPUT_GRAPH;
    g.goes_on = false;
    g.nodes = only;
    g.nnodes = 1;
    again.g = &g;
    return graph_walk(r, &again, ret_reply, ret_end);
}

static struct err *
the_whole(struct run *r, const struct graph_call *call, struct reply *ret_reply,
          enum graph_end *ret_end)
{
    struct graph g = *call->g;
    struct graph_call once = *call;
    g.goes_on = false;
    once.g = &g;
    return graph_walk(r, &once, ret_reply, ret_end);
}

struct err *
graph_go_on(struct run *r, const struct graph_call *call, struct reply *ret_reply,
            enum graph_end *ret_end)
{
    AUTO(freep) char *who = speaker_of_graph("chain", call);
    AUTO(json_freep) json_t *before = NULL;
    PASS(history_recall(r, call->path, who, &before));
    if (json_array_size(before))
        return last_alone(r, call, ret_reply, ret_end);
    PASS(the_whole(r, call, ret_reply, ret_end));
    struct remembered m = {call->path, who, call->started_wall_ms, json_pack("{sb}", "done", 1)};
    return history_remember(r, &m);
}
