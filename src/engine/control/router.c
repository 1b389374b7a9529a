/* router.c - one member, chosen for the request: by rules, or by a model that reads what each
 * member is for. */
#include "engine/control_node.h"
#include "plan/lower.h"
#include <string.h>

#define HISTORY_SHOWN 10  /* choices before this one */
#define MESSAGE_SHOWN 300 /* bytes of a request then */

static struct err *
router_lower(struct lowering *l, const json_t *def, const char *pointer)
{
    const json_t *agents = json_object_get(def, "agents"), *routes = json_object_get(def, "routes");
    const json_t *one;
    size_t i;
    if (!agents == !routes)
        lower_fail(l, lower_pos(l, pointer),
                   "a router needs `agents`, for a model to choose, or `routes`, which are rules");
    if (routes && json_object_get(def, "routing_instruction"))
        lower_fail(l, lower_pos(l, pointer),
                   "rules choose here: nobody reads `routing_instruction`");
    if (routes && json_bool(def, "use_history", false))
        lower_fail(l, lower_pos(l, pointer), "rules choose here: nobody reads `use_history`");
    if (routes && json_object_get(def, "profile"))
        lower_fail(l, lower_pos(l, pointer), "rules choose here: nobody reads `profile`");
    json_array_foreach (agents, i, one) {
        const char *at = lower_below(l, pointer, "agents", i);
        const char *name = json_string_value(one);
        lower_worker(l, lower_node(l, name ? name : "workflow", false, lower_pos(l, at)), one, at);
    }
    json_array_foreach (routes, i, one) {
        const char *at = lower_below(l, pointer, "routes", i);
        const struct node *chosen = lower_member(l, one, at, "agent");
        lower_rule(l, json_object_get(one, "when"), arena_printf(l->arena, "%s/when", at), chosen);
    }
    if (routes && json_object_get(def, "min_confidence"))
        lower_fail(l, lower_pos(l, pointer), "rules choose here: none has a `min_confidence`");
    lower_member(l, def, pointer, "default");
    return NULL;
}

/* ---- by rules -------------------------------------------------------------- */

static struct err *
choose_by_rules(struct control *c, const struct node **ret)
{
    const struct graph *g = c->graph;
    for (size_t i = 0; i < g->nrules; i++) {
        bool holds;
        TRY(control_rule(c, &g->rules[i], NULL, 0, &holds), "route %zu", i + 1);
        if (holds) {
            *ret = g->rules[i].node;
            return NULL;
        }
    }
    if (g->nnodes == g->nrules)
        return FAIL(ERR_INVALID, "no route fits the request, and there is no `default`");
    *ret = g->nodes[g->nnodes - 1];
    return NULL;
}

/* ---- by a model ------------------------------------------------------------ */

/* The last node is the default, if there is one; it is nobody's choice. */
static size_t
choices(const struct control *c)
{
    return json_array_size(json_object_get(c->def, "agents"));
}

/* Only the names of members can be answered, whatever the request talks the model into. */
static json_t *
answer_schema(const struct control *c)
{
    json_t *names = json_array();
    for (size_t i = 0; i < choices(c); i++)
        json_array_append_new(names, json_string(c->graph->nodes[i]->id));
    json_t *required = json_pack("[s s*]", "agent",
                                 json_object_get(c->def, "min_confidence") ? "confidence" : NULL);
    return json_pack("{ss so s{s{ss so} s{ss si si ss} s{ss ss}}}", "type", "object", "required",
                     required, "properties", "agent", "type", "string", "enum", names, "confidence",
                     "type", "number", "minimum", 0, "maximum", 1, "description",
                     "how sure you are, 0 to 1", "reason", "type", "string", "description",
                     "why, in one sentence");
}

/* The last choices, for those that go on where another one began. */
static struct err *
history_show(struct control *c, struct str *to)
{
    AUTO(json_freep) json_t *before = NULL;
    size_t n;
    PASS(control_recall(c, &before));
    n = json_array_size(before);
    if (n)
        str_add(to, "\nEarlier requests, and who got them:\n");
    for (size_t i = n > HISTORY_SHOWN ? n - HISTORY_SHOWN : 0; i < n; i++) {
        const json_t *one = json_array_get(before, i);
        const char *message = json_str(one, "message", "");
        const size_t len = strlen(message);
        str_add(to, "- ");
        str_addn(to, message, len > MESSAGE_SHOWN ? utf8_floor(message, MESSAGE_SHOWN) : len);
        str_addf(to, "%s -> %s\n", len > MESSAGE_SHOWN ? "..." : "", json_str(one, "agent", ""));
    }
    return NULL;
}

static struct err *
model_ask(struct control *c, json_t **ret_answer)
{
    const struct graph *g = c->graph;
    AUTO(str_fini) struct str question = STR_INIT;
    str_add(&question, "Available agents:\n");
    for (size_t i = 0; i < choices(c); i++)
        str_addf(&question, "- %s: %s\n", g->nodes[i]->id, control_about(c, g->nodes[i]));
    if (json_bool(c->def, "use_history", false))
        PASS(history_show(c, &question));
    str_addf(&question, "\nThe user's request:\n%s\n", c->task->message);
    const char *more = json_str(c->def, "routing_instruction", NULL);
    if (more)
        str_addf(&question, "\n%s\n", more);
    str_add(&question, "\nWhich one agent should handle the request? Answer as JSON: {\"agent\": "
                       "its name, \"confidence\": 0 to 1, \"reason\": one sentence}.");
    struct judgement j = {.name = "choose",
                          .system =
                              "You are a routing assistant. You select the agent that is best "
                              "for a request. You never carry the request out.",
                          .question = str_c(&question),
                          .schema = answer_schema(c)};
    return control_judge(c, &j, ret_answer);
}

/* An error says why the answer is none. */
static struct err *
answer_read(const struct control *c, const json_t *answer, const struct node **ret)
{
    const double least = json_number_value(json_object_get(c->def, "min_confidence"));
    const double sure = json_number_value(json_object_get(answer, "confidence"));
    if (sure < least)
        return FAIL(ERR_INVALID, "it is only %.3g sure of '%s'; %.3g is needed", sure,
                    json_str(answer, "agent", ""), least);
    for (size_t i = 0; i < choices(c); i++) {
        if (strcmp(c->graph->nodes[i]->id, json_str(answer, "agent", "")) == 0)
            *ret = c->graph->nodes[i];
    }
    return NULL;
}

static struct err *
choose_by_model(struct control *c, const struct node **ret)
{
    const struct graph *g = c->graph;
    AUTO(json_freep) json_t *answer = NULL;
    struct err *e = model_ask(c, &answer);
    if (e && !control_unanswered(e))
        return e;
    *ret = g->nnodes > choices(c) ? g->nodes[g->nnodes - 1] : g->nodes[0];
    if (!e)
        e = answer_read(c, answer, ret);
    if (e) {
        AUTO(freep) char *why = err_text(e);
        err_free(e);
        control_note(c, "router.undecided",
                     json_pack("{ss so}", "agent", (*ret)->id, "because",
                               json_string_lossy(why, strlen(why))));
        return NULL;
    }
    control_note(c, "router.decided", json_incref(answer));
    return NULL;
}

static struct err *
router_control(struct control *c, struct reply *ret_reply)
{
    const struct node *chosen = NULL;
    if (c->graph->nrules)
        PASS(choose_by_rules(c, &chosen));
    else
        PASS(choose_by_model(c, &chosen));
    if (json_bool(c->def, "use_history", false))
        PASS(control_remember(
            c, json_pack("{so ss}", "message",
                         json_string_lossy(c->task->message, strlen(c->task->message)), "agent",
                         chosen->id)));
    struct ask ask = {.member = chosen, .name = chosen->id};
    return control_ask(c, &ask, ret_reply);
}

const struct kind router_kind = {
    .name = "router",
    .doc = "one agent, chosen for the request",
    .roles = ROLE_WORKFLOW | ROLE_NODE,
    .params = FIELDS(
        {"agents", P_LIST, PARAM_NONEMPTY, "who can be chosen", .fields = WORKER_ITEM},
        {"routing_instruction", P_STRING, 0, "how to choose"},
        {"profile", P_REF, 0, "the model that chooses", .ref = REF_PROFILE},
        {"use_history", P_BOOL, 0, "earlier choices are shown to the model"},
        {"routes", P_LIST, PARAM_NONEMPTY, "rules that choose without a model",
         .fields =
             ITEM("route", P_OBJECT,
                  .fields = FIELDS({"when", P_COND, PARAM_REQUIRED, "the rule"},
                                   {"agent", P_ONE_OF, PARAM_REQUIRED, "who gets it",
                                    .also = NAMES("workflow"), .fields = lower_worker_params}))},
        {"min_confidence", P_NUMBER, 0, "a model that is less sure has not chosen", .max = 1},
        {"default", P_ONE_OF, 0, "who gets what nobody else was chosen for",
         .fields = lower_worker_params}),
    .lower = router_lower,
    .control = router_control,
};
