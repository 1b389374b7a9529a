/* edges.c - finishing a graph: names become indexes, and a circle is refused.
 *
 * Everything here is linear in nodes and edges, but for sorting: a panel of ten thousand has ten
 * thousand edges into one node. */
#include "base/near.h"
#include "plan/lower.h"
#include <stdlib.h>
#include <string.h>

struct link { /* an edge by indexes */
    unsigned node, dep;
    bool from;
};
struct links {
    struct link *at;
    size_t len, cap;
};

/* Comparing each wrong name with all names is quadratic: after so many, none is suggested. */
#define SUGGESTED_MAX 200

static void
edge_missing(struct lowering *l, const struct edge *e, size_t nth)
{
    struct near near = NEAR_INIT(e->dep);
    for (size_t i = 0; i < l->nodes.len && nth < SUGGESTED_MAX; i++)
        near_offer(&near, l->nodes.at[i]->id);
    const char *id = e->node == UINT32_MAX ? NULL : l->nodes.at[e->node]->id;
    lower_fail_name(l, e->at, "%s%s%sthere is no node '%s'%s%s%s",
                    id ? "node '" : "output: ", id ? id : "", id ? "': " : "", e->dep,
                    near.best ? " (did you mean '" : "", near.best ? near.best : "",
                    near.best ? "'?)" : "");
}

static void
links_collect(struct lowering *l, struct links *links)
{
    size_t missing = 0;
    vec_each (&l->edges, e) {
        const struct node *dep = map_get(l->ids, e->dep);
        if (e->node == UINT32_MAX && l->graph->kind->control)
            lower_fail_name(l, e->at,
                            "output: the parts of a %s are no steps; what it made is `output`",
                            l->graph->type);
        else if (!dep)
            edge_missing(l, e, missing++);
        else if (e->node == UINT32_MAX)
            continue; /* the output mentions it: it only has to be there */
        else if (dep->index == e->node)
            lower_fail_name(l, e->at, "node '%s' waits for itself", dep->id);
        else
            vec_push(links, ((struct link){e->node, dep->index, e->from}));
    }
}

static int
link_order(const void *a, const void *b)
{
    const struct link *x = a, *y = b;
    if (x->node != y->node)
        return x->node < y->node ? -1 : 1;
    return (x->dep > y->dep) - (x->dep < y->dep);
}

/* Sorted, each once. */
static void
links_tidy(struct links *links)
{
    size_t kept = 0;
    if (links->len)
        qsort(links->at, links->len, sizeof *links->at, link_order);
    for (size_t i = 0; i < links->len; i++) {
        if (!kept || link_order(&links->at[kept - 1], &links->at[i]) != 0)
            links->at[kept++] = links->at[i];
        else
            links->at[kept - 1].from |= links->at[i].from;
    }
    links->len = kept;
}

/* Without `from` every reply is input. */
static void
inputs_connect(struct lowering *l, const struct links *links)
{
    for (size_t i = 0; i < l->nodes.len; i++) {
        l->nodes.at[i]->from = l->nodes.at[i]->deps;
        l->nodes.at[i]->nfrom = l->nodes.at[i]->ndeps;
    }
    for (size_t i = 0; i < links->len;) {
        struct node *node = l->nodes.at[links->at[i].node];
        unsigned *from = arena_array(l->arena, unsigned, node->ndeps);
        size_t n = 0;
        for (size_t end = i + node->ndeps; i < end; i++) {
            if (links->at[i].from)
                from[n++] = links->at[i].dep;
        }
        if (n) {
            node->from = from;
            node->nfrom = n;
        }
    }
}

static void
nodes_connect(struct lowering *l, const struct links *links)
{
    size_t n = l->nodes.len;
    AUTO(freep) unsigned *count = xcalloc(n, sizeof *count);
    unsigned **dependents = (unsigned **)arena_alloc(l->arena, (n + 1) * sizeof *dependents);
    for (size_t i = 0; i < links->len; i++) {
        count[links->at[i].dep]++;
        l->nodes.at[links->at[i].node]->ndeps++;
    }
    for (size_t i = 0; i < n; i++) {
        l->nodes.at[i]->dependents = dependents[i] = arena_array(l->arena, unsigned, count[i]);
        l->nodes.at[i]->deps = arena_array(l->arena, unsigned, l->nodes.at[i]->ndeps);
        l->nodes.at[i]->ndeps = 0;
    }
    for (size_t i = 0; i < links->len; i++) {
        struct node *node = l->nodes.at[links->at[i].node], *dep = l->nodes.at[links->at[i].dep];
        ((unsigned *)(uintptr_t)node->deps)[node->ndeps++] = dep->index;
        dependents[dep->index][dep->ndependents++] = node->index;
    }
    inputs_connect(l, links);
}

/* Walks from a node that can never run along what it waits for, until a node comes again. */
static void
cycle_name(struct lowering *l, const bool *settled, unsigned at)
{
    AUTO(freep) unsigned *seen = xcalloc(l->nodes.len, sizeof *seen); /* step of the walk, from 1 */
    AUTO(str_fini) struct str text = STR_INIT;
    VEC(unsigned) walk = {0};
    while (!seen[at]) {
        vec_push(&walk, at);
        seen[at] = (unsigned)walk.len;
        const struct node *node = l->nodes.at[at];
        for (size_t k = 0; k < node->ndeps; k++) {
            if (!settled[node->deps[k]]) {
                at = node->deps[k];
                break;
            }
        }
    }
    for (size_t i = seen[at] - 1; i < walk.len; i++)
        str_addf(&text, "'%s' -> ", l->nodes.at[walk.at[i]]->id);
    str_addf(&text, "'%s'", l->nodes.at[at]->id);
    vec_fini(&walk);
    lower_fail_name(l, l->nodes.at[at]->at, "nodes wait for each other: %s", str_c(&text));
}

/* Settles what waits for nothing, then what waited for that (Kahn); what is left holds a circle. */
static void
cycles_refuse(struct lowering *l)
{
    size_t n = l->nodes.len, done = 0, taken = 0;
    AUTO(freep) bool *settled = xcalloc(n, sizeof *settled);
    AUTO(freep) size_t *missing = xcalloc(n, sizeof *missing);
    AUTO(freep) unsigned *ready = xcalloc(n, sizeof *ready);
    for (size_t i = 0; i < n; i++) {
        missing[i] = l->nodes.at[i]->ndeps;
        if (!missing[i])
            ready[done++] = (unsigned)i;
    }
    while (taken < done) {
        const struct node *node = l->nodes.at[ready[taken++]];
        settled[node->index] = true;
        for (size_t k = 0; k < node->ndependents; k++) {
            if (--missing[node->dependents[k]] == 0)
                ready[done++] = node->dependents[k];
        }
    }
    for (unsigned i = 0; i < n && done < n; i++) {
        if (!settled[i]) {
            cycle_name(l, settled, i);
            return;
        }
    }
}

void
lower_finish(struct lowering *l)
{
    struct links links = {0};
    links_collect(l, &links);
    links_tidy(&links);
    nodes_connect(l, &links);
    vec_fini(&links);
    cycles_refuse(l);
    const struct node **nodes =
        (const struct node **)arena_alloc(l->arena, (l->nodes.len + 1) * sizeof *nodes);
    for (size_t i = 0; i < l->nodes.len; i++)
        nodes[i] = l->nodes.at[i];
    l->graph->nodes = nodes;
    l->graph->nnodes = l->nodes.len;
    struct rule *rules = (struct rule *)arena_alloc(l->arena, (l->rules.len + 1) * sizeof *rules);
    for (size_t i = 0; i < l->rules.len; i++)
        rules[i] = l->rules.at[i];
    struct way *ways = arena_array(l->arena, struct way, l->ways.len);
    for (size_t i = 0; i < l->ways.len; i++)
        ways[i] = l->ways.at[i];
    l->graph->ways = ways;
    l->graph->nways = l->ways.len;
    l->graph->rules = rules;
    l->graph->nrules = l->rules.len;
}
