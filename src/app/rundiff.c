/* rundiff.c - what differs between two stored runs. */
#include "app/rundiff.h"
#include "base/map.h"
#include "base/textdiff.h"
#include <string.h>

#define DIFF_BYTES_MAX ((size_t)64 << 10) /* of the diff of one output */
#define DEPTH_MAX      64

struct diffing {
    json_t *list; /* of changes */
    size_t left_out;
};

static const json_t *
or_null(const json_t *j)
{
    return j ? j : json_null();
}

static bool
equal(const json_t *a, const json_t *b)
{
    return json_equal(or_null(a), or_null(b));
}

/* ---- values, member by member ---------------------------------------------- */

static void
change_add(struct diffing *d, const char *path, const json_t *a, const json_t *b)
{
    if (json_array_size(d->list) >= RUNDIFF_CHANGES_MAX) {
        d->left_out++;
        return;
    }
    json_array_append_new(d->list, json_pack("{ss sO? sO?}", "path", path, "a", a, "b", b));
}

static void
values_diff(struct diffing *d, const char *path, const json_t *a, const json_t *b, unsigned depth);

static char *
place_of(const char *path, const char *key)
{
    return *path ? xasprintf("%s.%s", path, key) : xstrdup(key);
}

static void
objects_diff(struct diffing *d, const char *path, const json_t *a, const json_t *b, unsigned depth)
{
    const char *key;
    json_t *member;
    json_object_foreach ((json_t *)(uintptr_t)a, key, member) {
        AUTO(freep) char *at = place_of(path, key);
        values_diff(d, at, member, json_object_get(b, key), depth + 1);
    }
    json_object_foreach ((json_t *)(uintptr_t)b, key, member) {
        AUTO(freep) char *at = place_of(path, key);
        if (!json_object_get(a, key))
            values_diff(d, at, NULL, member, depth + 1);
    }
}

/* A list of things with an id is compared by id: one that comes moves no other. */
static json_t *
by_id(const json_t *list)
{
    json_t *map = json_object();
    const json_t *one;
    size_t i;
    json_array_foreach (list, i, one) {
        const char *id = json_str(one, "id", NULL);
        if (!id || json_object_get(map, id)) {
            json_decref(map);
            return NULL;
        }
        json_object_set(map, id, (json_t *)(uintptr_t)one);
    }
    return map;
}

static void
lists_diff(struct diffing *d, const char *path, const json_t *a, const json_t *b, unsigned depth)
{
    AUTO(json_freep) json_t *x = by_id(a);
    AUTO(json_freep) json_t *y = by_id(b);
    if (x && y) {
        objects_diff(d, path, x, y, depth);
        return;
    }
    for (size_t i = 0; i < MAX(json_array_size(a), json_array_size(b)); i++) {
        AUTO(freep) char *at = xasprintf("%s[%zu]", path, i + 1);
        values_diff(d, at, json_array_get(a, i), json_array_get(b, i), depth + 1);
    }
}

static void
values_diff(struct diffing *d, const char *path, const json_t *a, const json_t *b, unsigned depth)
{
    if (a && b && json_equal(a, b))
        return;
    if (json_is_object(a) && json_is_object(b) && depth < DEPTH_MAX)
        objects_diff(d, path, a, b, depth);
    else if (json_is_array(a) && json_is_array(b) && depth < DEPTH_MAX)
        lists_diff(d, path, a, b, depth);
    else
        change_add(d, path, a, b);
}

/* ---- definitions ----------------------------------------------------------- */

struct placed { /* a node, and the graph in which its dependencies are numbers */
    const struct graph *in;
    const struct node *node;
};

static void
nodes_collect(struct arena *a, const struct graph *g, const char *path, struct map *to)
{
    for (size_t i = 0; i < g->nnodes; i++) {
        const struct node *n = g->nodes[i];
        AUTO(freep) char *at = *path ? xasprintf("%s/%s", path, n->id) : xstrdup(n->id);
        struct placed *placed = arena_make(a, struct placed);
        *placed = (struct placed){g, n};
        map_put(to, at, placed);
        if (n->child)
            nodes_collect(a, n->child, at, to);
    }
}

/* By their names: a node that comes in front of them changes the numbers of all. */
static bool
deps_same(const struct placed *a, const struct placed *b)
{
    if (a->node->ndeps != b->node->ndeps)
        return false;
    for (size_t i = 0; i < a->node->ndeps; i++) {
        if (strcmp(a->in->nodes[a->node->deps[i]]->id, b->in->nodes[b->node->deps[i]]->id) != 0)
            return false;
    }
    return true;
}

static bool
node_same(const struct placed *a, const struct placed *b)
{
    return str_eq(a->node->worker, b->node->worker) && strcmp(a->node->kind, b->node->kind) == 0 &&
           deps_same(a, b) && equal(a->node->def, b->node->def);
}

static void
missing_add(const struct map *in, const struct map *not_in, json_t *list)
{
    const char *path;
    for (size_t i = 0; map_next(in, &i, &path, NULL);) {
        if (!map_has(not_in, path))
            json_array_append_new(list, json_string(path));
    }
}

static json_t *
plan_diff(const struct plan *a, const struct plan *b)
{
    AUTO(map_freep) struct map *x = map_new();
    AUTO(map_freep) struct map *y = map_new();
    AUTO(arena_freep) struct arena *arena = arena_new(0);
    json_t *added = json_array(), *removed = json_array(), *changed = json_array();
    const char *path;
    void *value;
    nodes_collect(arena, plan_root(a), "", x);
    nodes_collect(arena, plan_root(b), "", y);
    missing_add(y, x, added);
    missing_add(x, y, removed);
    for (size_t i = 0; map_next(x, &i, &path, &value);) {
        const struct placed *other = map_get(y, path);
        if (other && !node_same(value, other))
            json_array_append_new(changed, json_string(path));
    }
    return json_pack("{so so so}", "added", added, "removed", removed, "changed", changed);
}

static json_t *
definition_diff(const struct flow *a, const struct flow *b)
{
    struct diffing d = {.list = json_array()};
    const bool same = strcmp(plan_hash(flow_plan(a)), plan_hash(flow_plan(b))) == 0;
    if (!same)
        values_diff(&d, "", flow_doc(a), flow_doc(b), 0);
    json_t *report = json_pack("{sb so so}", "same", same, "nodes",
                               plan_diff(flow_plan(a), flow_plan(b)), "changes", d.list);
    if (d.left_out)
        json_object_set_new(report, "left_out", json_integer((json_int_t)d.left_out));
    return report;
}

/* ---- what they did --------------------------------------------------------- */

/* Texts line by line; other values as their JSON, a member a line. */
static char *
lines_of(const json_t *value)
{
    return json_is_string(value) ? xstrdup(json_string_value(value)) : json_pretty(or_null(value));
}

static void
output_diff(json_t *to, const json_t *a, const json_t *b)
{
    AUTO(freep) char *x = lines_of(a);
    AUTO(freep) char *y = lines_of(b);
    AUTO(str_fini) struct str text = STR_INIT;
    json_object_set_new(to, "output", json_pack("{sO? sO?}", "a", a, "b", b));
    if (!text_diff(x, y, 3, &text)) {
        json_object_set_new(to, "diff", json_null()); /* they differ in too much */
        return;
    }
    const size_t n = text.len > DIFF_BYTES_MAX ? utf8_floor(text.p, DIFF_BYTES_MAX) : text.len;
    json_object_set_new(to, "diff", json_string_lossy(str_c(&text), n));
}

static void
pair_set(json_t *to, const char *key, json_t *OWN a, json_t *OWN b)
{
    json_object_set_new(to, key,
                        json_pack("{so so}", "a", a ? a : json_null(), "b", b ? b : json_null()));
}

static json_t *
tokens_of(const json_t *node)
{
    const json_t *u = json_object_get(node, "usage");
    return json_is_object(u)
               ? json_integer(json_int(u, "input_tokens", 0) + json_int(u, "output_tokens", 0))
               : NULL;
}

/* The members of a node or of the run; true when an end or an output differs. */
static bool
ends_diff(json_t *to, const json_t *a, const json_t *b)
{
    static const char *const told[] = {"status", "error", "agent"};
    bool differs = false;
    for (size_t i = 0; i < COUNT(told); i++) {
        json_t *x = json_object_get(a, told[i]), *y = json_object_get(b, told[i]);
        if (equal(x, y))
            continue;
        pair_set(to, told[i], json_incref(x), json_incref(y));
        differs = true;
    }
    const json_t *x = json_object_get(a, "output"), *y = json_object_get(b, "output");
    if (!equal(x, y)) {
        output_diff(to, x, y);
        differs = true;
    }
    pair_set(to, "duration_ms", json_incref(json_object_get(a, "duration_ms")),
             json_incref(json_object_get(b, "duration_ms")));
    pair_set(to, "tokens", tokens_of(a), tokens_of(b));
    pair_set(to, "cost_usd", json_incref(json_at(a, "usage", "cost_usd", NULL)),
             json_incref(json_at(b, "usage", "cost_usd", NULL)));
    return differs;
}

struct nodes_diffing {
    json_t *list;
    size_t same, told, left_out; /* told: of those that differ */
    bool differ;
};

static void
node_diff(struct nodes_diffing *d, const char *path, const json_t *a, const json_t *b)
{
    json_t *j = json_pack("{ss}", "path", path);
    const bool differs = ends_diff(j, a, b);
    json_object_set_new(j, "in", json_string(a && b ? "both" : a ? "a" : "b"));
    json_object_set_new(j, "differs", json_boolean(differs));
    d->differ |= differs;
    d->same += !differs;
    const size_t told = differs ? d->told++ : d->same - 1;
    if (told < (differs ? RUNDIFF_NODES_MAX : RUNDIFF_SAME_MAX)) {
        json_array_append_new(d->list, j);
    } else {
        d->left_out += differs;
        json_decref(j);
    }
}

static void
nodes_diff(struct nodes_diffing *d, const json_t *a, const json_t *b)
{
    const json_t *x = json_object_get(a, "nodes"), *y = json_object_get(b, "nodes");
    const char *path;
    json_t *node;
    json_object_foreach ((json_t *)(uintptr_t)x, path, node)
        node_diff(d, path, node, json_object_get(y, path));
    json_object_foreach ((json_t *)(uintptr_t)y, path, node) {
        if (!json_object_get(x, path))
            node_diff(d, path, NULL, node);
    }
}

/* ---- both ------------------------------------------------------------------ */

struct side {
    struct flow *flow;
    json_t *doc, *started;
};

static struct err *
first_take(void *ctx, const struct run_event *ev)
{
    json_t **at = ctx;
    if (ev->seq == 1)
        *at = json_incref((json_t *)(uintptr_t)ev->detail);
    return NULL;
}

static struct err *
side_read(struct app *a, const char *run, struct side *s)
{
    PASS(engine_document(app_engine(a), run, &s->doc));
    PASS(engine_history(app_engine(a), run, first_take, &s->started));
    TRY(engine_stored_flow(app_engine(a), run, &s->flow), "the run '%s'", run);
    app_secrets_of(a, flow_doc(s->flow));
    return NULL;
}

static void
side_fini(struct side *s)
{
    flow_unref(s->flow);
    json_decref(s->doc);
    json_decref(s->started);
}

static json_t *
given(const json_t *started)
{
    return json_pack("{sO? sO?}", "input", json_object_get(started, "input"), "inputs",
                     json_object_get(started, "inputs"));
}

static json_t *
sides_diff(const struct side *a, const struct side *b)
{
    AUTO(json_freep) json_t *x = given(a->started);
    AUTO(json_freep) json_t *y = given(b->started);
    struct diffing inputs = {.list = json_array()};
    struct nodes_diffing nodes = {.list = json_array()};
    json_t *definition = definition_diff(a->flow, b->flow), *run = json_object();
    values_diff(&inputs, "", x, y, 0);
    nodes_diff(&nodes, a->doc, b->doc);
    const bool ends = ends_diff(run, a->doc, b->doc);
    json_object_set_new(run, "differs", json_boolean(ends));
    const bool same = !ends && !nodes.differ && !json_array_size(inputs.list) &&
                      json_bool(definition, "same", false);
    return json_pack("{sO sO sb so so so so sI sI}", "a", json_object_get(a->doc, "run"), "b",
                     json_object_get(b->doc, "run"), "same", same, "definition", definition,
                     "inputs", inputs.list, "run", run, "nodes", nodes.list, "nodes_same",
                     (json_int_t)nodes.same, "left_out", (json_int_t)nodes.left_out);
}

struct err *
app_run_diff(struct app *a, const char *run_a, const char *run_b, json_t **ret_report)
{
    AUTO(side_fini) struct side x = {0};
    AUTO(side_fini) struct side y = {0};
    PASS(side_read(a, run_a, &x));
    PASS(side_read(a, run_b, &y));
    AUTO(json_freep) json_t *report = sides_diff(&x, &y);
    *ret_report = app_redact_json(a, report);
    return NULL;
}
