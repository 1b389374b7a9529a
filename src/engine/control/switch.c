/* switch.c - one of several by conditions: the first case that holds, else the default. */
#include "engine/control_node.h"
#include "plan/lower.h"

static struct err *
switch_lower(struct lowering *l, const json_t *def, const char *pointer)
{
    const json_t *cases = json_object_get(def, "cases"), *one;
    size_t i;
    json_array_foreach (cases, i, one) {
        const char *at = lower_below(l, pointer, "cases", i);
        const struct node *chosen = lower_member(l, one, at, "then");
        lower_rule(l, json_object_get(one, "when"), arena_printf(l->arena, "%s/when", at), chosen);
    }
    lower_member(l, def, pointer, "default");
    return NULL;
}

static const struct node *
switch_choose_otherwise(const struct control *c)
{
    return c->graph->nnodes > c->graph->nrules ? c->graph->nodes[c->graph->nnodes - 1] : NULL;
}

static struct err *
switch_control(struct control *c, struct reply *ret_reply)
{
    const struct node *chosen = NULL;
    for (size_t i = 0; i < c->graph->nrules && !chosen; i++) {
        bool holds;
        TRY(control_rule(c, &c->graph->rules[i], NULL, 0, &holds), "case %zu", i + 1);
        if (holds)
            chosen = c->graph->rules[i].node;
    }
    if (!chosen)
        chosen = switch_choose_otherwise(c);
    if (!chosen) {
        control_note(c, "switch.unmatched", json_object());
        reply_set_json(ret_reply, json_null());
        return NULL;
    }
    struct ask ask = {.member = chosen, .name = chosen->id};
    return control_ask(c, &ask, ret_reply);
}

const struct kind switch_kind = {
    .name = "switch",
    .doc = "the first case whose condition holds; its output is the one chosen's, or null",
    .roles = ROLE_WORKFLOW | ROLE_NODE,
    .params = FIELDS(
        {"cases", P_LIST, PARAM_REQUIRED | PARAM_NONEMPTY, "conditions in order",
         .fields = ITEM("case", P_OBJECT,
                        .fields = FIELDS({"when", P_COND, PARAM_REQUIRED, "when it is chosen"},
                                         {"then", P_ONE_OF, PARAM_REQUIRED, "who does it",
                                          .also = NAMES("agent", "workflow"),
                                          .fields = lower_worker_params}))},
        {"default", P_ONE_OF, 0, "who does it when no condition holds",
         .fields = lower_worker_params}),
    .lower = switch_lower,
    .control = switch_control,
};
