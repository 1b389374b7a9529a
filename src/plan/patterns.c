/* patterns.c - chain, parallel and the graph of tasks, lowered.
 *
 * The texts around the parts of a message (sections, "Original Request:") are those users know from
 * the systems they come from; they are made by the engine from the rules set here. */
#include "plan/lower.h"
#include <string.h>

static const char *
below(struct lowering *l, const char *pointer, const char *key, size_t i)
{
    return arena_printf(l->arena, "%s/%s/%zu", pointer, key, i);
}

/* ---- chain: one after the other -------------------------------------------- */

static struct err *
chain_lower(struct lowering *l, const json_t *def, const char *pointer)
{
    const json_t *sequence = json_object_get(def, "sequence"), *worker;
    bool cumulative = json_bool(def, "cumulative", false);
    const struct node *before = NULL;
    size_t i;
    json_array_foreach (sequence, i, worker) {
        const char *at = below(l, pointer, "sequence", i);
        const char *name = json_string_value(worker);
        struct node *n = lower_node(l, name ? name : "step", false, lower_pos(l, at));
        lower_worker(l, n, worker, at);
        n->label = n->worker ? n->worker : n->id;
        n->input_rule = !before ? INPUT_GRAPH : cumulative ? INPUT_CUMULATIVE : INPUT_DEFAULT;
        if (before)
            lower_edge(l, n, before->id, n->at);
        before = n;
    }
    l->graph->output_rule = OUTPUT_LAST;
    l->graph->positional_context = true;
    return NULL;
}

/* An agent or a workflow by name, or a whole workflow inline. */
#define WORKER_ALTERNATIVES                                                                        \
    FIELDS({"agent", P_REF, .ref = REF_WORKER, .doc = "an agent or a workflow by name"},           \
           {"workflow", P_NODE, .doc = "a workflow written here"})
#define WORKER_ITEM ITEM("agent", P_ONE_OF, .fields = WORKER_ALTERNATIVES)

const struct kind chain_kind = {
    .name = "chain",
    .doc = "agents one after the other; each gets the reply of the one before",
    .roles = ROLE_WORKFLOW | ROLE_NODE,
    .params =
        FIELDS({"sequence", P_LIST, PARAM_REQUIRED | PARAM_NONEMPTY, "agents or workflows in order",
                .fields = WORKER_ITEM},
               {"cumulative", P_BOOL, 0, "each gets the request and all replies so far"},
               {"continue_with_final", P_BOOL, 0, "a conversation goes on with the last agent"}),
    .lower = chain_lower,
};

/* ---- parallel: fan out, fan in --------------------------------------------- */

static struct err *
parallel_lower(struct lowering *l, const json_t *def, const char *pointer)
{
    const json_t *fan_out = json_object_get(def, "fan_out"), *worker;
    const json_t *fan_in = json_object_get(def, "fan_in");
    size_t i, members = json_array_size(fan_out);
    json_array_foreach (fan_out, i, worker) {
        const char *at = below(l, pointer, "fan_out", i);
        const char *name = json_string_value(worker);
        struct node *n = lower_node(l, name ? name : "branch", false, lower_pos(l, at));
        lower_worker(l, n, worker, at);
        n->input_rule = INPUT_GRAPH;
    }
    l->graph->output_rule = OUTPUT_JOIN;
    l->graph->failure = FAILURE_PARTIAL; /* unless the definition says otherwise */
    int64_t quorum = json_int(def, "quorum", 1);
    if (quorum < 1 || quorum > (int64_t)members) {
        AUTO(freep) char *at = xasprintf("%s/quorum", pointer);
        lower_fail(l, lower_pos(l, at), "quorum %lld of %zu branches: 1 to %zu is possible",
                   (long long)quorum, members, members);
    }
    if (!fan_in)
        return NULL;
    const char *at = arena_printf(l->arena, "%s/fan_in", pointer);
    struct node *n = lower_node(l, json_string_value(fan_in) ? json_string_value(fan_in) : "fan_in",
                                false, lower_pos(l, at));
    lower_worker(l, n, fan_in, at);
    n->input_rule = json_bool(def, "include_request", true) ? INPUT_FAN_IN : INPUT_RESPONSES;
    n->join_any = true;
    n->quorum = (unsigned)quorum;
    for (size_t k = 0; k < members; k++)
        lower_edge(l, n, l->nodes.at[k]->id, n->at);
    l->graph->output_rule = OUTPUT_FAN_IN;
    return NULL;
}

const struct kind parallel_kind = {
    .name = "parallel",
    .doc = "agents at once on the same request; one may merge their replies",
    .roles = ROLE_WORKFLOW | ROLE_NODE,
    .params = FIELDS(
        {"fan_out", P_LIST, PARAM_REQUIRED | PARAM_NONEMPTY,
         "agents or workflows that work at once", .fields = WORKER_ITEM},
        {"fan_in", P_ONE_OF, 0, "who merges the replies; without it they are joined",
         .fields = WORKER_ALTERNATIVES},
        {"include_request", P_BOOL, 0, "fan_in sees the request too (default true)", .def = 1},
        {"quorum", P_INT, 0, "how many replies fan_in needs at least", .min = 1, .max = 10000,
         .def = 1}),
    .lower = parallel_lower,
};

/* ---- the graph of tasks ---------------------------------------------------- */

/* The member under the first key that is there; *at, which is the pointer of def, becomes its. */
static const json_t *
any_of(struct lowering *l, const json_t *def, const char *a, const char *b, const char **at)
{
    const char *key = json_object_get(def, a) ? a : b;
    *at = arena_printf(l->arena, "%s/%s", *at, key);
    return json_object_get(def, key);
}

static void
node_input(struct lowering *l, struct node *n, const json_t *def, const char *pointer)
{
    const json_t *input = json_object_get(def, "input"),
                 *parameters = json_object_get(def, "parameters");
    const char *instruction = json_str(def, "instruction", NULL),
               *action = json_str(def, "action", NULL);
    if (input) {
        n->input_rule = INPUT_TEMPLATE;
        n->input = value_template_make(l, input, arena_printf(l->arena, "%s/input", pointer), n);
    }
    if (instruction)
        n->instruction =
            lower_template(l, instruction, arena_printf(l->arena, "%s/instruction", pointer), n);
    if (action)
        n->action = lower_template(l, action, arena_printf(l->arena, "%s/action", pointer), n);
    if (parameters)
        n->parameters =
            value_template_make(l, parameters, arena_printf(l->arena, "%s/parameters", pointer), n);
}

static void
node_edges(struct lowering *l, struct node *n, const json_t *def, const char *pointer)
{
    static const char *const keys[] = {"depends_on", "from"};
    const json_t *dep;
    size_t i;
    for (size_t k = 0; k < COUNT(keys); k++) {
        const json_t *list = json_object_get(def, keys[k]);
        json_array_foreach (list, i, dep)
            lower_edge(l, n, json_string_value(dep), lower_pos(l, below(l, pointer, keys[k], i)));
    }
}

static void
node_limits(struct lowering *l, struct node *n, const json_t *def, const char *pointer)
{
    n->retry = json_object_get(def, "retry");
    n->timeout_ms = json_int(def, "timeout", 0);
    n->total_timeout_ms = json_int(def, "total_timeout", 0);
    n->continue_on_failure = json_bool(def, "continue_on_failure", false);
    const char *effect = json_str(def, "effect", NULL);
    enum effect e;
    if (effect && effect_parse(effect, &e))
        n->effect = (int)e;
    if (json_object_get(def, "compensate")) {
        AUTO(freep) char *at = xasprintf("%s/compensate", pointer);
        lower_fail(l, lower_pos(l, at), "node '%s': compensate cannot run in this version", n->id);
    }
}

static void
task_node(struct lowering *l, const json_t *def, const char *pointer)
{
    const char *type = json_str(def, "type", "task");
    struct node *n = lower_node(l, json_str(def, "id", "node"), true, lower_pos(l, pointer));
    n->def = def;
    n->kind = arena_strdup(l->arena, type);
    n->server_name = json_str(def, "server_name", NULL);
    node_input(l, n, def, pointer);
    node_edges(l, n, def, pointer);
    node_limits(l, n, def, pointer);
    const json_t *when = json_object_get(def, "when");
    if (when) {
        const char *at = arena_printf(l->arena, "%s/when", pointer);
        n->when = lower_condition(l, when, at, n);
    }
    const char *at = pointer;
    const json_t *worker = any_of(l, def, "agent", "workflow", &at);
    if (strcmp(type, "task") != 0)
        lower_inline(l, n, def, pointer);
    else if (json_is_object(worker))
        lower_inline(l, n, worker, at);
    else if (worker)
        lower_worker(l, n, worker, at);
    else if (n->server_name)
        n->worker = ""; /* the default llm agent, with that one server */
    else
        lower_fail(l, n->at, "node '%s': an agent or a workflow is needed", n->id);
}

static struct err *
dag_lower(struct lowering *l, const json_t *def, const char *pointer)
{
    const char *list_at = pointer;
    const json_t *nodes = any_of(l, def, "nodes", "tasks", &list_at), *node, *edge;
    size_t i;
    json_array_foreach (nodes, i, node)
        task_node(l, node, arena_printf(l->arena, "%s/%zu", list_at, i));
    json_array_foreach (json_object_get(def, "edges"), i, edge) {
        const char *from = json_string_value(json_array_get(edge, 0)),
                   *to = json_string_value(json_array_get(edge, 1));
        const char *at = below(l, pointer, "edges", i);
        struct node *target = NULL;
        vec_each (&l->nodes, p) {
            if (to && strcmp((*p)->id, to) == 0)
                target = *p;
        }
        if (target && from)
            lower_edge(l, target, from, lower_pos(l, at));
        else
            lower_fail(l, lower_pos(l, at), "edges: there is no node '%s'", to ? to : "");
    }
    return NULL;
}

const struct kind dag_kind = {
    .name = "dag",
    .also = NAMES("graph", "tasks"),
    .doc = "nodes with dependencies; what can run at once does",
    .roles = ROLE_WORKFLOW | ROLE_NODE,
    .params = NULL, /* nodes, tasks, edges: spec's own, because they hold nodes */
    .lower = dag_lower,
};

const struct kind task_kind = {
    .name = "task",
    .doc = "runs one agent or workflow",
    .roles = ROLE_NODE,
    .params = NULL, /* agent, workflow, action, ...: common to all nodes */
};

/* ---- known, and loaded, but not run yet ------------------------------------ */

const struct kind router_kind = {
    .name = "router",
    .doc = "one agent, chosen for the request",
    .roles = ROLE_WORKFLOW | ROLE_NODE,
    .params = FIELDS({"agents", P_LIST, PARAM_NONEMPTY, "who can be chosen", .fields = WORKER_ITEM},
                     {"routing_instruction", P_STRING, 0, "how to choose"},
                     {"profile", P_REF, 0, "the model that chooses", .ref = REF_PROFILE},
                     {"use_history", P_BOOL, 0, "earlier choices are shown to the model"},
                     {"routes", P_LIST, 0, "rules that choose without a model",
                      .fields = ITEM("route", P_OBJECT,
                                     .fields = FIELDS({"when", P_COND, PARAM_REQUIRED, "the rule"},
                                                      {"agent", P_REF, PARAM_REQUIRED,
                                                       "who gets it", .ref = REF_WORKER}))},
                     {"default", P_REF, 0, "who gets what no rule chose", .ref = REF_WORKER}),
};

const struct kind orchestrator_kind = {
    .name = "orchestrator",
    .doc = "a planner breaks the task into steps for the agents",
    .roles = ROLE_WORKFLOW | ROLE_NODE,
    .params = FIELDS({"agents", P_LIST, PARAM_REQUIRED | PARAM_NONEMPTY, "who can be given steps",
                      .fields = WORKER_ITEM},
                     {"plan_type", P_ENUM, 0, "the whole plan first, or step by step",
                      .choices = NAMES("full", "iterative")},
                     {"profile", P_REF, 0, "the model that plans", .ref = REF_PROFILE},
                     {"max_iterations", P_INT, 0, "steps at most", .min = 1, .max = 1000, .def = 10,
                      .also = NAMES("plan_iterations")}),
};
