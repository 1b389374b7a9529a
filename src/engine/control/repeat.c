/* repeat.c - the kind `loop`: a body again and again, each time on what it made before, until a
 * condition holds. */
#include "base/hash.h"
#include "engine/control_node.h"
#include "guard/loopguard.h"
#include "plan/lower.h"
#include <stdlib.h>
#include <string.h>

#define ITERATIONS 10

static struct err *
loop_lower(struct lowering *l, const json_t *def, const char *pointer)
{
    const json_t *until = json_object_get(def, "until");
    lower_turns(l);
    lower_member(l, def, pointer, "body");
    if (until)
        lower_rule(l, until, arena_printf(l->arena, "%s/until", pointer), NULL);
    return NULL;
}

/* Only where somebody asked for it: a body that looks whether something is ready may say the same
 * many times. There is nobody who could be told, so the first verdict ends it. */
static struct err *
circle_check(struct loopguard *g, const json_t *output)
{
    AUTO(freep) char *text = json_canonical(output);
    if (loopguard_turn(g, hash_fnv(text, strlen(text))) == LOOP_FINE)
        return NULL;
    return FAIL(ERR_LIMIT,
                "it goes round in circles: its body gave what it had given before, %u times with "
                "nothing new (loop_guard)",
                g->stale);
}

/* The condition sees `output` and `index` (1, 2, ...). At the end of its iterations, or when one
 * fails and may, a loop has what the last one made. */
static struct err *
loop_control(struct control *c, struct reply *ret_reply)
{
    const struct node *body = c->graph->nodes[0];
    const unsigned max = (unsigned)json_int(c->def, "max_iterations", ITERATIONS);
    AUTO(reply_fini) struct reply last = {0};
    AUTO(loopguard_fini) struct loopguard circles;
    bool done = false;
    unsigned times = 0;
    loopguard_init(&circles, json_object_get(c->def, "loop_guard"), 0);
    for (unsigned i = 0; i < max && !done; i++) {
        AUTO(freep) char *name = xasprintf("%s[%u]", body->id, i);
        struct ask ask = {.member = body, .name = name, .index = i + 1};
        AUTO(reply_fini) struct reply reply = {0};
        if (i) {
            ask.message = reply_text(&last);
            ask.input = last.output;
        }
        struct err *e = control_ask(c, &ask, &reply);
        if (e && i) {
            PASS(control_tolerate(c, e));
            break;
        }
        PASS(e);
        reply_fini(&last);
        last = reply;
        reply = (struct reply){0};
        times++;
        if (c->graph->nrules)
            PASS(control_rule(c, &c->graph->rules[0], last.output, i + 1, &done));
        if (!done)
            PASS(circle_check(&circles, last.output));
    }
    if (!done && times == max && c->graph->nrules)
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
        {"max_iterations", P_INT, 0, "times at most", .min = 1, .max = 100000, .def = ITERATIONS},
        LOOP_GUARD_PARAM("fails when its body gives the same again; without it, it does not look")),
    .lower = loop_lower,
    .control = loop_control,
};
