/* steps.c - a plan that was made while it runs becomes a graph like any other. */
#include "engine/control_node.h"
#include "engine/runcore.h"
#include <string.h>

static const struct kind expanded_kind = {.name = "plan"};

/* The step, as a node: its member's, with its own place, message and edges. */
static struct node *
step_node(struct arena *a, const struct control_step *step, unsigned i)
{
    struct node *node = arena_make(a, struct node);
    *node = *step->member;
    node->id = step->id;
    node->label = arena_printf(a, "%u", i + 1);
    node->index = i;
    node->text = step->instruction;
    node->input_rule = INPUT_STEP;
    node->deps = step->deps;
    node->ndeps = step->ndeps;
    node->ndependents = 0;
    return node;
}

/* Who waits for whom, the other way round. */
static void
dependents_connect(struct arena *a, struct node **nodes, size_t n)
{
    unsigned *count = arena_array(a, unsigned, n);
    unsigned **dependents = (unsigned **)arena_alloc(a, (n + 1) * sizeof *dependents);
    memset(count, 0, n * sizeof *count);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < nodes[i]->ndeps; k++)
            count[nodes[i]->deps[k]]++;
    }
    for (size_t i = 0; i < n; i++)
        nodes[i]->dependents = dependents[i] = arena_array(a, unsigned, count[i]);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < nodes[i]->ndeps; k++) {
            struct node *dep = nodes[nodes[i]->deps[k]];
            dependents[dep->index][dep->ndependents++] = (unsigned)i;
        }
    }
}

struct graph *
expand_graph(struct arena *a, const struct graph *of, const struct control_step *steps, size_t n)
{
    struct node **nodes = (struct node **)arena_alloc(a, (n + 1) * sizeof *nodes);
    for (size_t i = 0; i < n; i++)
        nodes[i] = step_node(a, &steps[i], (unsigned)i);
    dependents_connect(a, nodes, n);
    struct graph *g = arena_make(a, struct graph);
    *g = (struct graph){.name = of->name,
                        .type = "plan",
                        .noun = "step",
                        .kind = &expanded_kind,
                        .nodes = (const struct node *const *)nodes,
                        .nnodes = n,
                        .failure = of->failure,
                        .max_concurrency = of->max_concurrency,
                        .output_rule = OUTPUT_LAST};
    return g;
}
