/* picture.c - pictures of plans, and their form as JSON. */
#include "plan/picture.h"
#include <string.h>

#define WHEN_BYTES_MAX 200

static struct picture_node *
node_add(struct arena *a, struct picture *in)
{
    if (in->nnodes == in->room) {
        in->room = in->room ? in->room * 2 : 8;
        struct picture_node **nodes = arena_alloc(a, in->room * sizeof(struct picture_node *));
        if (in->nnodes)
            memcpy(nodes, in->nodes, in->nnodes * sizeof *nodes);
        in->nodes = nodes;
    }
    struct picture_node *n = arena_make(a, struct picture_node);
    n->index = (unsigned)in->nnodes;
    return in->nodes[in->nnodes++] = n;
}

struct picture_node *
picture_invent(struct arena *a, struct picture *in, const char *id)
{
    struct picture_node *n = node_add(a, in);
    n->id = n->label = arena_strdup(a, id);
    n->invented = true;
    return n;
}

static const char *
condition_text(struct arena *a, const json_t *when)
{
    if (!when)
        return NULL;
    AUTO(freep) char *text = json_as_text(when);
    return arena_strndup(a, text, utf8_floor(text, MIN(strlen(text), WHEN_BYTES_MAX)));
}

/* The conditions of a router's routes and of a switch's cases, at those whom they choose. */
static void
rules_say(struct arena *a, const struct graph *g, struct picture *p)
{
    const json_t *rules = json_object_get(g->def, "routes");
    if (!rules)
        rules = json_object_get(g->def, "cases");
    for (size_t i = 0; i < g->nrules && i < json_array_size(rules); i++) {
        const struct node *chosen = g->rules[i].node;
        const char *when = condition_text(a, json_object_get(json_array_get(rules, i), "when"));
        if (!chosen || chosen->index >= p->nnodes || !when)
            continue;
        struct picture_node *n = p->nodes[chosen->index];
        n->when = n->when ? arena_printf(a, "%s, or %s", n->when, when) : when;
    }
}

static struct picture *
graph_picture(struct arena *a, const struct graph *g)
{
    struct picture *p = arena_make(a, struct picture);
    p->title = g->name;
    p->type = g->type;
    p->about = g->kind && g->kind->control ? g->kind->doc : NULL;
    for (size_t i = 0; i < g->nnodes; i++) {
        const struct node *n = g->nodes[i];
        struct picture_node *d = node_add(a, p);
        d->id = n->id;
        d->label = n->worker && *n->worker ? n->worker : n->kind;
        d->when = n->when ? condition_text(a, json_object_get(n->def, "when")) : NULL;
        d->deps = arena_array(a, unsigned, n->ndeps);
        d->ndeps = n->ndeps;
        if (n->ndeps)
            memcpy(d->deps, n->deps, n->ndeps * sizeof *n->deps);
        d->child = n->child ? graph_picture(a, n->child) : NULL;
    }
    rules_say(a, g, p);
    return p;
}

struct picture *
picture_make(struct arena *a, const struct plan *p)
{
    return graph_picture(a, plan_root(p));
}

static const char *
state_name(enum picture_state s)
{
    static const char *const names[] = {"",       "unreached", "running",  "completed",
                                        "failed", "skipped",   "cancelled"};
    return names[s];
}

json_t *
picture_json(const struct picture *p)
{
    json_t *nodes = json_array();
    for (size_t i = 0; i < p->nnodes; i++) {
        const struct picture_node *n = p->nodes[i];
        json_t *deps = json_array();
        for (size_t k = 0; k < n->ndeps; k++)
            json_array_append_new(deps, json_string(p->nodes[n->deps[k]]->id));
        json_t *j =
            json_pack("{ss ss so ss* ss* ss*}", "id", n->id, "who", n->label, "after", deps, "when",
                      n->when, "state", n->state ? state_name(n->state) : NULL, "note", n->note);
        if (n->invented)
            json_object_set_new(j, "invented", json_true());
        if (n->child)
            json_object_set_new(j, "inside", picture_json(n->child));
        json_array_append_new(nodes, j);
    }
    return json_pack("{ss ss ss* ss* so}", "name", p->title, "type", p->type, "decides", p->about,
                     "note", p->note, "nodes", nodes);
}
