/* compensate.c - `compensate` of a node, lowered: who undoes it, and with what.
 *
 * The undo is a node that stands in no graph: the engine runs it when what the node did has to be
 * undone. Its templates see what those of the node see, and `output`: what the node gave. */
#include "plan/lower.h"

static void
undo_limits(struct node *undo, const json_t *def)
{
    const char *effect = json_str(def, "effect", NULL);
    enum effect e;
    undo->retry = json_object_get(def, "retry");
    undo->timeout_ms = json_int(def, "timeout", 0);
    undo->tolerates_not_done = json_bool(def, "tolerates_not_done", false);
    if (effect && effect_parse(effect, &e))
        undo->effect = (int)e;
}

/* Without a name the node's own agent undoes what it did. */
static void
undo_worker(struct lowering *l, struct node *undo, const struct node *n, const json_t *def,
            const char *pointer)
{
    const json_t *agent = json_object_get(def, "agent");
    const char *server = json_str(def, "server_name", NULL);
    if (agent) {
        undo->server_name = server;
        lower_worker(l, undo, agent, arena_printf(l->arena, "%s/agent", pointer));
    } else if (server) {
        undo->server_name = server;
        undo->worker = ""; /* the default llm agent, with that one server */
    } else if (n->worker && !n->child) {
        undo->server_name = n->server_name;
        undo->worker = n->worker;
    } else {
        lower_fail(l, lower_pos(l, pointer), "node '%s': compensate needs an agent or a workflow",
                   n->id);
    }
}

void
lower_compensate(struct lowering *l, struct node *n, struct node *by, const json_t *node_def,
                 const char *node_pointer)
{
    const json_t *def = json_object_get(node_def, "compensate");
    const char *pointer = arena_printf(l->arena, "%s/compensate", node_pointer);
    if (!def)
        return;
    if (n->gate) {
        lower_fail(l, lower_pos(l, pointer), "node '%s': a gate does nothing to be undone", n->id);
        return;
    }
    struct node *undo = arena_make(l->arena, struct node);
    *undo = (struct node){.id = n->id,
                          .label = n->id,
                          .kind = "undo",
                          .def = def,
                          .effect = -1,
                          .at = lower_pos(l, pointer)};
    undo_worker(l, undo, n, def, pointer);
    undo_limits(undo, def);
    l->undoing = by == n ? n : NULL;
    lower_templates(l, undo, by, def, pointer);
    l->undoing = NULL;
    n->undo = undo;
    lower_undoes(l);
}
