/* patterns.c - chain, parallel and the graph of tasks, lowered.
 *
 * The texts around the parts of a message (sections, "Original Request:") are those users know from
 * the systems they come from; they are made by the engine from the rules set here. */
#include "plan/lower.h"
#include <string.h>

const char *
lower_below(struct lowering *l, const char *pointer, const char *key, size_t i)
{
    return arena_printf(l->arena, "%s/%s/%zu", pointer, key, i);
}

const struct param lower_worker_params[] = {
    {"agent", P_REF, .ref = REF_WORKER, .doc = "an agent or a workflow by name"},
    {"workflow", P_NODE, .doc = "a workflow written here"},
    {0}};

struct node *
lower_member(struct lowering *l, const json_t *def, const char *pointer, const char *key)
{
    const json_t *worker = json_object_get(def, key);
    if (!worker)
        return NULL;
    const char *at = arena_printf(l->arena, "%s/%s", pointer, key);
    const char *name = json_string_value(worker);
    struct node *n = lower_node(l, name ? name : key, false, lower_pos(l, at));
    lower_worker(l, n, worker, at);
    return n;
}

/* ---- chain: one after the other -------------------------------------------- */

static struct err *
sequence_lower(struct lowering *l, const json_t *def, const char *pointer, const char *key)
{
    const json_t *sequence = json_object_get(def, key), *worker;
    bool cumulative = json_bool(def, "cumulative", false);
    const struct node *before = NULL;
    size_t i;
    json_array_foreach (sequence, i, worker) {
        const char *at = lower_below(l, pointer, key, i);
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

static struct err *
chain_lower(struct lowering *l, const json_t *def, const char *pointer)
{
    PASS(sequence_lower(l, def, pointer, "sequence"));
    l->graph->goes_on = json_bool(def, "continue_with_final", false);
    if (l->nodes.len)
        vec_last(&l->nodes)->use_history = l->graph->goes_on;
    return NULL;
}

static struct err *
pipeline_lower(struct lowering *l, const json_t *def, const char *pointer)
{
    l->graph->noun = "stage";
    return sequence_lower(l, def, pointer, "stages");
}

const struct kind chain_kind = {
    .name = "chain",
    .doc = "agents one after the other; each gets the reply of the one before",
    .roles = ROLE_WORKFLOW | ROLE_NODE,
    .params = FIELDS({"sequence", P_LIST, PARAM_REQUIRED | PARAM_NONEMPTY,
                      "agents or workflows in order", .fields = WORKER_ITEM},
                     {"cumulative", P_BOOL, 0, "each gets the request and all replies so far"},
                     {"continue_with_final", P_BOOL, 0,
                      "later messages of a conversation go to the last agent alone"}),
    .lower = chain_lower,
};

const struct kind pipeline_kind = {
    .name = "pipeline",
    .doc = "stages that data passes through; the first that fails breaks it, and is named",
    .roles = ROLE_WORKFLOW | ROLE_NODE,
    .params = FIELDS({"stages", P_LIST, PARAM_REQUIRED | PARAM_NONEMPTY,
                      "agents or workflows in order", .fields = WORKER_ITEM}),
    .lower = pipeline_lower,
};

/* ---- parallel: fan out, fan in --------------------------------------------- */

static struct err *
parallel_lower(struct lowering *l, const json_t *def, const char *pointer)
{
    const json_t *fan_out = json_object_get(def, "fan_out"), *worker;
    const json_t *fan_in = json_object_get(def, "fan_in");
    size_t i, members = json_array_size(fan_out);
    json_array_foreach (fan_out, i, worker) {
        const char *at = lower_below(l, pointer, "fan_out", i);
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
    if (json_object_get(def, "quorum")) {
        l->graph->branches = (unsigned)members;
        l->graph->quorum = (unsigned)quorum;
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
         .fields = lower_worker_params},
        {"include_request", P_BOOL, 0, "fan_in sees the request too (default true)", .def = 1},
        {"quorum", P_INT, 0,
         "so many replies are enough, and needed: the other branches are cancelled", .min = 1,
         .max = 10000}),
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

void
lower_templates(struct lowering *l, struct node *n, struct node *by, const json_t *def,
                const char *pointer)
{
    const json_t *input = json_object_get(def, "input"),
                 *parameters = json_object_get(def, "parameters");
    const char *instruction = json_str(def, "instruction", NULL),
               *action = json_str(def, "action", NULL);
    if (input) {
        n->input_rule = INPUT_TEMPLATE;
        n->input = value_template_make(l, input, arena_printf(l->arena, "%s/input", pointer), by);
    }
    if (instruction)
        n->instruction =
            lower_template(l, instruction, arena_printf(l->arena, "%s/instruction", pointer), by);
    if (action)
        n->action = lower_template(l, action, arena_printf(l->arena, "%s/action", pointer), by);
    if (parameters)
        n->parameters = value_template_make(l, parameters,
                                            arena_printf(l->arena, "%s/parameters", pointer), by);
}

static void
node_edges(struct lowering *l, struct node *n, const json_t *def, const char *pointer)
{
    static const char *const keys[] = {"depends_on", "from"};
    const json_t *dep;
    size_t i;
    for (size_t k = 0; k < COUNT(keys); k++) {
        const json_t *list = json_object_get(def, keys[k]);
        void (*const add)(struct lowering *, const struct node *, const char *, struct src_pos) =
            k ? lower_from : lower_edge;
        json_array_foreach (list, i, dep)
            add(l, n, json_string_value(dep), lower_pos(l, lower_below(l, pointer, keys[k], i)));
    }
}

static void
node_limits(struct node *n, const json_t *def)
{
    n->retry = json_object_get(def, "retry");
    n->timeout_ms = json_int(def, "timeout", 0);
    n->total_timeout_ms = json_int(def, "total_timeout", 0);
    n->priority = (int)json_int(def, "priority", 0);
    n->continue_on_failure = json_bool(def, "continue_on_failure", false);
    n->alone = !json_bool(def, "coalesce", true);
    const char *effect = json_str(def, "effect", NULL);
    enum effect e;
    if (effect && effect_parse(effect, &e))
        n->effect = (int)e;
}

static void
gate_check(struct lowering *l, const struct node *n, const json_t *worker)
{
    if (worker)
        lower_fail(l, n->at, "node '%s': a gate runs nothing; put '%s' into a node below it", n->id,
                   json_is_string(worker) ? json_string_value(worker) : "the workflow");
    else if (!n->when)
        lower_fail(l, n->at, "node '%s': a gate needs `when`", n->id);
}

static void
node_worker(struct lowering *l, struct node *n, const json_t *def, const char *pointer)
{
    const char *at = pointer;
    const json_t *worker = any_of(l, def, "agent", "workflow", &at);
    n->gate = strcmp(n->kind, "gate") == 0;
    if (n->gate) {
        gate_check(l, n, worker);
        return;
    }
    const bool reduces = strcmp(n->kind, "reduce") == 0;
    if (reduces && !json_object_get(def, "from"))
        lower_fail(l, n->at, "node '%s': a reduce needs `from`", n->id);
    if (!reduces && strcmp(n->kind, "task") != 0)
        lower_inline(l, n, def, pointer);
    else if (json_is_object(worker))
        lower_inline(l, n, worker, at);
    else if (worker)
        lower_worker(l, n, worker, at);
    else if (n->server_name || reduces)
        n->worker = ""; /* the default llm agent, with that one server or none */
    else
        lower_fail(l, n->at, "node '%s': an agent or a workflow is needed", n->id);
}

static void
task_node(struct lowering *l, const json_t *def, const char *pointer)
{
    const char *type = json_str(def, "type", "task");
    struct node *n = lower_node(l, json_str(def, "id", "node"), true, lower_pos(l, pointer));
    n->def = def;
    n->kind = arena_strdup(l->arena, type);
    n->server_name = json_str(def, "server_name", NULL);
    if (strcmp(type, "foreach") != 0) /* which has them filled in for each item */
        lower_templates(l, n, n, def, pointer);
    node_edges(l, n, def, pointer);
    node_limits(n, def);
    const json_t *when = json_object_get(def, "when");
    if (when) {
        const char *at = arena_printf(l->arena, "%s/when", pointer);
        n->when = lower_condition(l, when, at, n);
    }
    node_worker(l, n, def, pointer);
    if (strcmp(type, "foreach") != 0) /* where each item is undone */
        lower_compensate(l, n, n, def, pointer);
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
        const char *at = lower_below(l, pointer, "edges", i);
        const struct node *target = to ? map_get(l->ids, to) : NULL;
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

const struct kind reduce_kind = {
    .name = "reduce",
    .doc = "one agent makes one thing of the replies of several nodes",
    .roles = ROLE_NODE,
    .params = NULL,
};

const struct kind gate_kind = {
    .name = "gate",
    .doc = "when its condition does not hold, everything below it is skipped",
    .roles = ROLE_NODE,
    .params = NULL, /* when: common to all nodes */
};
