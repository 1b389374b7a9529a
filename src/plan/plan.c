/* plan.c - builds the plan: one graph per workflow, references turned into edges, cycles refused.
 */
#include "plan/plan.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/map.h"
#include "base/near.h"
#include "plan/lower.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MISTAKES_MAX 1000 /* told of one plan */

struct plan {
    struct arena *arena;
    struct plan_source source;
    struct expr_space *space;
    const char *workflow;
    const struct graph *root;
    struct map *graphs; /* workflow -> struct graph; &lowering_mark while it is being lowered */
    struct map *agents; /* names of the agents that are reached: their tools may be workflows */
    const char *const *locals; /* names that expressions may use here (foreach's `as`); or NULL */
    size_t nodes;
    bool undoes; /* a node has an undo */
    char hash[SHA256_HEX];
    struct err *errors; /* collected over all graphs */
    unsigned told;      /* how many */
};
static const struct graph lowering_mark;

void
plan_free(struct plan *p)
{
    if (!p)
        return;
    err_free(p->errors);
    map_free(p->graphs);
    map_free(p->agents);
    arena_free(p->arena);
    free(p);
}

void
plan_freep(struct plan **p)
{
    plan_free(*p);
    *p = NULL;
}

const struct graph *
plan_root(const struct plan *p)
{
    return p->root;
}

const char *
plan_workflow(const struct plan *p)
{
    return p->workflow;
}

const char *
plan_hash(const struct plan *p)
{
    return p->hash;
}

const struct graph *
plan_graph(const struct plan *p, const char *workflow)
{
    return map_get(p->graphs, workflow);
}

bool
plan_undoes(const struct plan *p)
{
    return p->undoes;
}

/* ---- what the patterns use ------------------------------------------------- */

struct src_pos
lower_pos(const struct lowering *l, const char *pointer)
{
    return l->source->pos ? l->source->pos(l->source->pos_ctx, pointer) : NOWHERE;
}

static void
failv(struct lowering *l, struct src_pos at, const char *fmt, va_list ap)
{
    AUTO(str_fini) struct str s = STR_INIT;
    if (l->plan->told++ >= MISTAKES_MAX)
        return;
    str_addv(&s, fmt, ap);
    err_join(&l->plan->errors, FAIL_AT(at, ERR_INVALID, "%s: %s", l->where, str_c(&s)));
}

void
lower_fail(struct lowering *l, struct src_pos at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (!l->source->partial)
        failv(l, at, fmt, ap);
    va_end(ap);
}

void
lower_fail_name(struct lowering *l, struct src_pos at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    failv(l, at, fmt, ap);
    va_end(ap);
}

struct node *
lower_node(struct lowering *l, const char *id, bool unique, struct src_pos at)
{
    const char *free_id = arena_strdup(l->arena, id);
    uintptr_t copies = (uintptr_t)map_get(l->copies, id);
    if (strpbrk(id, "/[]\n\r")) /* of a role or a state: it is a part of paths */
        lower_fail(l, at,
                   "name '%.60s' holds a character that names cannot have: one of / [ ] or a line "
                   "end",
                   id);
    if (map_has(l->ids, id) && unique)
        lower_fail(l, at, "the node '%s' is defined twice", id);
    while (map_has(l->ids, free_id))
        free_id = arena_printf(l->arena, "%s-%u", id, (unsigned)++copies + 1);
    map_put(l->copies, id, (void *)copies);
    static json_t *nothing;
    if (!nothing)
        nothing = json_object();
    struct node *n = arena_make(l->arena, struct node);
    *n = (struct node){.id = free_id,
                       .label = free_id,
                       .index = (unsigned)l->nodes.len,
                       .kind = "task",
                       .def = nothing,
                       .effect = -1,
                       .at = at};
    vec_push(&l->nodes, n);
    map_put(l->ids, free_id, n);
    if (++l->plan->nodes == PLAN_NODES_MAX + 1)
        lower_fail(l, at, "more than %d nodes", PLAN_NODES_MAX);
    return n;
}

void
lower_turns(struct lowering *l)
{
    map_put(l->ids, UNDO_NAME, NULL); /* taken, by no node */
}

void
lower_edge(struct lowering *l, const struct node *node, const char *dep, struct src_pos at)
{
    vec_push(&l->edges, ((struct edge){node->index, arena_strdup(l->arena, dep), at, false}));
}

void
lower_from(struct lowering *l, const struct node *node, const char *dep, struct src_pos at)
{
    vec_push(&l->edges, ((struct edge){node->index, arena_strdup(l->arena, dep), at, true}));
}

void
lower_undoes(struct lowering *l)
{
    l->plan->undoes = true;
}

const char *const *
lower_local(struct lowering *l, const char *name)
{
    struct plan *p = l->plan;
    const char *const *before = p->locals;
    size_t n = 0;
    while (before && before[n])
        n++;
    const char **names = (const char **)arena_alloc(p->arena, (n + 2) * sizeof *names);
    for (size_t i = 0; i < n; i++)
        names[i] = before[i];
    names[n] = arena_strdup(p->arena, name);
    names[n + 1] = NULL;
    lower_locals(l, names);
    return before;
}

void
lower_locals(struct lowering *l, const char *const *names)
{
    l->plan->locals = names;
    expr_space_allow(l->space, names);
}

struct referrer { /* who names a workflow */
    struct src_pos at;
    const char *where;
    unsigned depth;
};
static const struct graph *graph_of_workflow(struct plan *p, const char *name, struct referrer by);

void
lower_worker(struct lowering *l, struct node *node, const json_t *worker, const char *pointer)
{
    const char *name = json_string_value(worker);
    struct src_pos at = lower_pos(l, pointer);
    if (json_is_object(worker)) {
        node->kind = arena_strdup(l->arena, json_str(worker, "type", "dag"));
        lower_inline(l, node, worker, pointer);
        return;
    }
    if (!name) {
        lower_fail(l, at, "node '%s': the name of an agent or a workflow is expected", node->id);
        return;
    }
    node->worker = arena_strdup(l->arena, name);
    if (json_object_get(json_object_get(l->source->doc, "workflows"), name)) {
        node->child =
            graph_of_workflow(l->plan, name, (struct referrer){at, l->where, l->depth + 1});
        return;
    }
    const json_t *agents = json_object_get(l->source->doc, "agents");
    if (json_object_get(agents, name)) {
        map_put(l->plan->agents, name, (void *)(uintptr_t)node->worker);
        return;
    }
    struct near near = NEAR_INIT(name);
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)agents, key, value)
        near_offer(&near, key);
    json_object_foreach (json_object_get(l->source->doc, "workflows"), key, value)
        near_offer(&near, key);
    lower_fail(l, at, "node '%s': there is no agent or workflow '%s'%s%s%s", node->id, name,
               near.best ? " (did you mean '" : "", near.best ? near.best : "",
               near.best ? "'?)" : "");
}

void
lower_refuse(struct lowering *l, struct err *e)
{
    struct plan *p = l->plan;
    if (p->source.partial)
        err_free(e);
    else
        err_join(&p->errors, e);
}

/* ---- one definition, one graph --------------------------------------------------- */

static enum failure
failure_of(const json_t *def)
{
    const char *name = json_str(def, "failure_strategy", "stop_on_first_failure");
    return strcmp(name, "continue_on_failure") == 0          ? FAILURE_CONTINUE
           : strcmp(name, "partial_completion_allowed") == 0 ? FAILURE_PARTIAL
                                                             : FAILURE_STOP;
}

static const struct kind *
kind_find(const struct plan_source *source, const char *name)
{
    for (const struct kind *const *k = source->kinds; *k; k++) {
        if (strcmp((*k)->name, name) == 0)
            return *k;
    }
    return NULL;
}

static void
graph_common(struct lowering *l, const json_t *def, const char *pointer)
{
    struct graph *g = l->graph;
    int64_t settings = json_int(json_object_get(l->source->doc, "settings"), "max_concurrency", 10);
    if (json_object_get(def, "failure_strategy"))
        g->failure = failure_of(def);
    g->max_concurrency = (unsigned)json_int(def, "max_concurrency", settings);
    if (!json_bool(def, "parallel_execution", true))
        g->max_concurrency = 1;
    g->timeout_ms = g->waits ? 0 : json_int(def, "timeout", 0);
    g->inputs_schema = json_object_get(def, "inputs");
    const json_t *output = json_object_get(def, "output");
    if (output) {
        AUTO(freep) char *at = xasprintf("%s/output", pointer);
        if (g->kind->control && l->outer) /* it sees what its node sees, and what it made */
            g->output = value_template_make(l->outer, output, at, l->self);
        else
            g->output = value_template_make(l, output, at, NULL);
        g->output_rule = OUTPUT_TEMPLATE;
    }
}

/* A workflow that is used twice counts twice: what runs, and what is drawn, is the tree. */
static void
graph_measure(struct lowering *l, struct src_pos at)
{
    struct graph *g = l->graph;
    bool told = l->plan->nodes > PLAN_NODES_MAX;
    g->total = g->nnodes;
    for (size_t i = 0; i < g->nnodes; i++) {
        const struct graph *child = g->nodes[i]->child;
        if (!child)
            continue;
        told |= child->total > PLAN_NODES_MAX || child->height > PLAN_DEPTH_MAX;
        g->total = MIN(g->total + child->total, PLAN_NODES_MAX + 1);
        g->height = MAX(g->height, child->height + 1);
    }
    if (!told && g->total > PLAN_NODES_MAX)
        lower_fail(l, at, "more than %d nodes, with those of the workflows inside", PLAN_NODES_MAX);
    else if (!told && g->height > PLAN_DEPTH_MAX)
        lower_fail(l, at, "workflows nested deeper than %d", PLAN_DEPTH_MAX);
}

struct definition { /* a workflow, or a node that is one inline: it gets a graph of its own */
    const char *name, *pointer, *where;
    const json_t *def;
    unsigned depth;
    bool is_inline, shares_input;
    struct lowering *outer; /* of an inline one: whose steps it sees, if anybody's */
    struct node *self;
};

static const struct graph *
graph_make(struct plan *p, const struct definition *d)
{
    const struct plan_source *source = &p->source;
    const char *name = d->name, *pointer = d->pointer;
    const json_t *def = d->def;
    unsigned depth = d->depth;
    const char *type = json_str(def, "type", "dag");
    const struct kind *kind = kind_find(source, type);
    struct lowering l = {.plan = p,
                         .source = source,
                         .space = p->space,
                         .arena = p->arena,
                         .graph = arena_make(p->arena, struct graph),
                         .ids = map_new(),
                         .copies = map_new(),
                         .where = d->where,
                         .depth = depth,
                         .outer = d->outer,
                         .self = d->self};
    const char *const *locals = p->locals;
    if (!d->is_inline && locals) /* another place: nothing of here is seen there */
        lower_locals(&l, NULL);
    l.graph->name = arena_strdup(p->arena, name);
    l.graph->type = arena_strdup(p->arena, type);
    l.graph->noun = "node";
    l.graph->kind = kind;
    l.graph->sees_outer = d->is_inline;
    l.graph->shares_input = d->shares_input;
    l.graph->def = def;
    if (depth > PLAN_DEPTH_MAX) {
        l.graph->height = PLAN_DEPTH_MAX + 1; /* told here, not again by those around it */
        lower_fail(&l, lower_pos(&l, pointer), "workflows nested deeper than %d", PLAN_DEPTH_MAX);
    } else if (!kind || !kind->lower) {
        lower_fail(&l, lower_pos(&l, pointer), "a %s of type '%s' cannot run in this version",
                   depth ? "node" : "workflow", type);
    } else {
        struct err *e = kind->lower(&l, def, pointer);
        if (e)
            lower_refuse(&l, e);
        graph_common(&l, def, pointer);
        if (!l.nodes.len && !l.graph->waits && !p->errors)
            lower_fail(&l, lower_pos(&l, pointer), "there is nothing to run");
        lower_finish(&l);
        graph_measure(&l, lower_pos(&l, pointer));
    }
    if (!d->is_inline && locals)
        lower_locals(&l, locals);
    map_free(l.ids);
    map_free(l.copies);
    vec_fini(&l.nodes);
    vec_fini(&l.edges);
    vec_fini(&l.rules);
    vec_fini(&l.ways);
    return l.graph;
}

static const struct graph *
graph_of_workflow(struct plan *p, const char *name, struct referrer by)
{
    const struct graph *g = map_get(p->graphs, name);
    if (g == &lowering_mark) {
        err_join(&p->errors, FAIL_AT(by.at, ERR_INVALID, "%s: the workflow '%s' contains itself",
                                     by.where, name));
        return NULL;
    }
    if (g)
        return g;
    map_put(p->graphs, name, (void *)(uintptr_t)&lowering_mark);
    struct definition d = {.name = name,
                           .pointer = arena_printf(p->arena, "/workflows/%s", name),
                           .where = arena_printf(p->arena, "workflow '%s'", name),
                           .def =
                               json_object_get(json_object_get(p->source.doc, "workflows"), name),
                           .depth = by.depth};
    g = graph_make(p, &d);
    map_put(p->graphs, name, (void *)(uintptr_t)g);
    return g;
}

/* Inside of a graph that decides while it runs nobody's steps are seen but those around that. */
void
lower_inline(struct lowering *l, struct node *node, const json_t *def, const char *pointer)
{
    const bool decides = l->graph->kind->control != NULL;
    struct definition d = {.name = node->id,
                           .pointer = pointer,
                           .where = arena_printf(l->arena, "%s: node '%s'", l->where, node->id),
                           .def = def,
                           .depth = l->depth + 1,
                           .is_inline = true,
                           .shares_input = !decides,
                           .outer = decides ? l->outer : l,
                           .self = decides ? l->self : node};
    node->child = graph_make(l->plan, &d);
}

/* Agents call agents and workflows as tools: what they name is reached too. It is lowered after the
 * graphs, since calling oneself is no circle here; how deep calls go is bounded when they are made.
 */
static void
tools_lower(struct plan *p)
{
    const char *agent;
    const json_t *tool, *agents = json_object_get(p->source.doc, "agents");
    size_t k;
    for (size_t i = 0; map_next(p->agents, &i, &agent, NULL);) {
        struct lowering l = {.plan = p, .source = &p->source};
        json_array_foreach (json_object_get(json_object_get(agents, agent), "agents"), k, tool) {
            const char *name = json_string_value(tool);
            const char *at = arena_printf(p->arena, "/agents/%s/agents/%zu", agent, k);
            const char *where = arena_printf(p->arena, "agent '%s'", agent);
            if (!name)
                continue;
            if (json_object_get(agents, name))
                map_put(p->agents, name, p);
            else if (json_object_get(json_object_get(p->source.doc, "workflows"), name))
                graph_of_workflow(p, name, (struct referrer){lower_pos(&l, at), where, 0});
        }
    }
}

/* ---- the whole ------------------------------------------------------------- */

static struct err *
workflow_choose(const struct plan_source *source, const char **name)
{
    json_t *workflows = json_object_get(source->doc, "workflows");
    const char *key;
    json_t *value;
    AUTO(str_fini) struct str names = STR_INIT;
    if (*name && json_object_get(workflows, *name))
        return NULL;
    struct near near = NEAR_INIT(*name ? *name : "");
    json_object_foreach (workflows, key, value) {
        str_addf(&names, "%s'%s'", names.len ? ", " : "", key);
        near_offer(&near, key);
    }
    if (*name && near.best)
        return FAIL(ERR_INVALID, "there is no workflow '%s' (did you mean '%s'?)", *name,
                    near.best);
    if (*name)
        return FAIL(ERR_INVALID, "there is no workflow '%s'; the file has %s", *name,
                    names.len ? str_c(&names) : "none");
    const char *file_name = json_str(source->doc, "name", "");
    if (json_object_size(workflows) == 1)
        *name = json_object_iter_key(json_object_iter(workflows));
    else if (json_object_get(workflows, "main"))
        *name = "main";
    else if (json_object_get(workflows, file_name))
        *name = file_name;
    else if (!names.len)
        return FAIL(ERR_INVALID, "the file defines no workflow");
    else
        return FAIL(ERR_INVALID, "which workflow? the file has %s; name one, or call one 'main'",
                    str_c(&names));
    return NULL;
}

static void
plan_hash_make(struct plan *p)
{
    json_t *all = json_pack("{sssO}", "workflow", p->workflow, "doc", p->source.doc);
    AUTO(freep) char *text = json_canonical(all);
    sha256_hex(text, strlen(text), p->hash);
    json_decref(all);
}

static struct plan *
plan_new(const struct plan_source *source, struct expr_space *space)
{
    struct plan *p = xcalloc(1, sizeof *p);
    p->arena = arena_new(0);
    p->graphs = map_new();
    p->agents = map_new();
    p->source = *source;
    p->space = space;
    return p;
}

struct err *
plan_make(const struct plan_source *source, const char *workflow, struct expr_space *space,
          struct plan **ret_plan)
{
    PASS(workflow_choose(source, &workflow));
    AUTO(plan_freep) struct plan *p = plan_new(source, space);
    p->workflow = arena_strdup(p->arena, workflow);
    p->root = graph_of_workflow(p, p->workflow, (struct referrer){.where = ""});
    tools_lower(p);
    if (p->errors)
        return STEAL(p->errors);
    plan_hash_make(p);
    *ret_plan = STEAL(p);
    return NULL;
}

struct err *
plan_check_all(const struct plan_source *source, struct expr_space *space)
{
    AUTO(plan_freep) struct plan *p = plan_new(source, space);
    const char *key;
    json_t *value;
    json_object_foreach (json_object_get(source->doc, "workflows"), key, value) {
        const struct kind *kind = kind_find(source, json_str(value, "type", "dag"));
        if (kind && kind->lower)
            graph_of_workflow(p, key, (struct referrer){.where = ""});
        else if (!source->partial)
            log_warn("plan",
                     "workflow '%s': type '%s' is understood, but cannot run in this version", key,
                     json_str(value, "type", "dag"));
    }
    return STEAL(p->errors);
}
