/* picture.c - pictures of plans, and their form as JSON. */
#include "plan/picture.h"
#include "base/units.h"
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

static const char *
text_cut(struct arena *a, const char *text)
{
    const size_t n = strlen(text), shown = utf8_floor(text, MIN(n, WHEN_BYTES_MAX));
    return arena_printf(a, "%.*s%s", (int)shown, text, shown < n ? "..." : "");
}

static const char *
undo_text(struct arena *a, const struct node *undo)
{
    const char *who = undo->worker && *undo->worker ? undo->worker
                      : undo->child                 ? undo->child->name
                      : undo->server_name           ? undo->server_name
                                                    : "a model";
    const char *how = json_str(undo->def, "action", json_str(undo->def, "instruction", NULL));
    return how ? arena_printf(a, "%s: %s", who, text_cut(a, how)) : arena_strdup(a, who);
}

/* What a state waits for. */
static const char *
hears_text(struct arena *a, const json_t *state)
{
    AUTO(str_fini) struct str s = STR_INIT;
    const json_t *choices = json_object_get(state, "choices"), *one;
    const int64_t timeout_ms = json_int(state, "timeout", 0);
    size_t i;
    if (!json_object_get(state, "wait"))
        return NULL;
    json_array_foreach (choices, i, one)
        str_addf(&s, "%s%s", i ? " | " : "", json_string_value(one));
    if (!i)
        str_add(&s, json_object_get(state, "schema") ? "an input of its schema" : "an input");
    const char *what = text_cut(a, str_c(&s));
    str_reset(&s);
    str_add(&s, what);
    if (timeout_ms) {
        str_add(&s, ", for ");
        duration_add(&s, timeout_ms);
    }
    return arena_strndup(a, str_c(&s), s.len);
}

static struct picture_way
way_picture(struct arena *a, const struct picture *p, const struct way *w)
{
    static const char *const rare[] = {[WAY_ERROR] = "on error", [WAY_TIMEOUT] = "too late"};
    const bool is_rare = w->why == WAY_ERROR || w->why == WAY_TIMEOUT;
    return (struct picture_way){.to = w->to ? p->nodes[w->to->index] : NULL,
                                .when = is_rare ? rare[w->why] : condition_text(a, w->when),
                                .rare = is_rare};
}

/* Ways stand in order of the states; those of the whole come last. */
static void
ways_say(struct arena *a, const struct graph *g, struct picture *p)
{
    struct picture_way *ways = arena_array(a, struct picture_way, g->nways);
    p->has_states = g->nways > 0;
    for (size_t i = 0; i < g->nways; i++) {
        const struct node *from = g->ways[i].from;
        struct picture_way **at = from ? &p->nodes[from->index]->ways : &p->ways;
        ways[i] = way_picture(a, p, &g->ways[i]);
        *at = *at ? *at : &ways[i];
        ++*(from ? &p->nodes[from->index]->nways : &p->nways);
    }
    for (size_t i = 0; i < g->nnodes && p->has_states; i++)
        p->nodes[i]->hears = hears_text(a, g->nodes[i]->def);
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
        d->undo = n->undo ? undo_text(a, n->undo) : NULL;
        d->child = n->child ? graph_picture(a, n->child) : NULL;
    }
    if (g->nways)
        ways_say(a, g, p);
    else
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

static json_t *
ways_json(const struct picture_way *ways, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *way =
            json_pack("{ss? ss*}", "to", ways[i].to ? ways[i].to->id : NULL, "when", ways[i].when);
        if (ways[i].rare)
            json_object_set_new(way, "rare", json_true());
        json_array_append_new(list, way);
    }
    return list;
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
            json_pack("{ss ss so ss* ss* ss* ss* ss*}", "id", n->id, "who", n->label, "after", deps,
                      "when", n->when, "undo", n->undo, "waits_for", n->hears, "state",
                      n->state ? state_name(n->state) : NULL, "note", n->note);
        if (p->has_states)
            json_object_set_new(j, "ways", ways_json(n->ways, n->nways));
        if (n->invented)
            json_object_set_new(j, "invented", json_true());
        if (n->child)
            json_object_set_new(j, "inside", picture_json(n->child));
        json_array_append_new(nodes, j);
    }
    json_t *ways = p->has_states ? ways_json(p->ways, p->nways) : NULL;
    return json_pack("{ss ss ss* ss* so* so}", "name", p->title, "type", p->type, "decides",
                     p->about, "note", p->note, "ways", ways, "nodes", nodes);
}
