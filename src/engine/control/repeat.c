/* repeat.c - the kind `loop`: a body again and again, each time on what it made before, until a
 * condition holds. */
#include "engine/control_node.h"
#include "plan/lower.h"
#include <stdlib.h>

#define ITERATIONS 10

static struct err *
loop_lower(struct lowering *l, const json_t *def, const char *pointer)
{
    const json_t *until = json_object_get(def, "until");
    lower_member(l, def, pointer, "body");
    if (until)
        lower_rule(l, until, arena_printf(l->arena, "%s/until", pointer), NULL);
    return NULL;
}

/* The condition sees `output` and `index` (1, 2, ...). At the end of its iterations a loop has what
 * its last one made. */
static struct err *
loop_control(struct control *c, struct reply *ret_reply)
{
    const struct node *body = c->graph->nodes[0];
    const unsigned max = (unsigned)json_int(c->def, "max_iterations", ITERATIONS);
    AUTO(reply_fini) struct reply last = {0};
    bool done = false;
    for (unsigned i = 0; i < max && !done; i++) {
        AUTO(freep) char *name = xasprintf("%s[%u]", body->id, i);
        struct ask ask = {.member = body, .name = name, .index = i + 1};
        AUTO(reply_fini) struct reply reply = {0};
        if (i) {
            ask.message = reply_text(&last);
            ask.input = last.output;
        }
        PASS(control_ask(c, &ask, &reply));
        reply_fini(&last);
        last = reply;
        reply = (struct reply){0};
        if (c->graph->nrules)
            PASS(control_rule(c, &c->graph->rules[0], last.output, i + 1, &done));
    }
    if (!done && c->graph->nrules)
        control_note(c, "loop.exhausted", json_pack("{si}", "iterations", (int)max));
    *ret_reply = last;
    last = (struct reply){0};
    return NULL;
}

const struct kind loop_kind = {
    .name = "loop",
    .doc = "an agent or a workflow again and again, each time on its own last reply",
    .roles = ROLE_WORKFLOW | ROLE_NODE,
    .params = FIELDS(
        {"body", P_ONE_OF, PARAM_REQUIRED, "what is done each time", .fields = lower_worker_params},
        {"until", P_COND, 0, "true ends it; sees `output` and `index` of the last time"},
        {"max_iterations", P_INT, 0, "times at most", .min = 1, .max = 100000, .def = ITERATIONS}),
    .lower = loop_lower,
    .control = loop_control,
};
