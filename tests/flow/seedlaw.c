/* seedlaw.c - what may be of a run, told from its definition alone and without the engine's code.
 */
#include "seedplan.h"
#include <stdlib.h>
#include <string.h>

/* ---- how much at once ------------------------------------------------------------------------ */

#define CALLS_AT_ONCE 3 /* tools that the simulated model asks for in one turn */

static unsigned bound_of_graph(const json_t *spec, const json_t *def);

static unsigned
bound_of_worker(const json_t *spec, const char *name)
{
    const json_t *def = json_at(spec, "workflows", name, NULL), *tool;
    const json_t *agent = json_at(spec, "agents", name, NULL);
    unsigned most = 1;
    size_t i;
    if (def)
        return bound_of_graph(spec, def);
    if (json_object_get(agent, "type"))
        return json_object_get(agent, "endpoint") ? 1 : 0;
    json_array_foreach (json_object_get(agent, "agents"), i, tool)
        most = MAX(most, CALLS_AT_ONCE * bound_of_worker(spec, json_string_value(tool)));
    return most;
}

static unsigned
bound_of_node(const json_t *spec, const json_t *node)
{
    if (json_is_string(node))
        return bound_of_worker(spec, json_string_value(node));
    const char *worker = json_str(node, "agent", json_str(node, "workflow", NULL));
    if (worker)
        return bound_of_worker(spec, worker);
    return json_object_get(node, "type") ? bound_of_graph(spec, node) : 1;
}

static int
descending(const void *a, const void *b)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    return (x < y) - (x > y);
}

/* Of the nodes that can run at once, those with the most. */
static unsigned
bound_of_graph(const json_t *spec, const json_t *def)
{
    const char *type = json_str(def, "type", "dag"), *fan_in = json_str(def, "fan_in", NULL);
    bool chain = strcmp(type, "chain") == 0, parallel = strcmp(type, "parallel") == 0;
    const json_t *all = json_object_get(def, chain ? "sequence" : parallel ? "fan_out" : "nodes");
    const json_t *node;
    size_t i, n = json_array_size(all), limit = (size_t)json_int(def, "max_concurrency", 10);
    unsigned sum = 0, *bounds = xcalloc(n, sizeof *bounds);
    if (chain || !json_bool(def, "parallel_execution", true))
        limit = 1;
    json_array_foreach (all, i, node)
        bounds[i] = bound_of_node(spec, node);
    qsort(bounds, n, sizeof *bounds, descending);
    for (i = 0; i < MIN(n, limit); i++)
        sum += bounds[i];
    free(bounds);
    return fan_in ? MAX(sum, bound_of_worker(spec, fan_in)) : sum;
}

unsigned
seedplan_http_max(const json_t *spec)
{
    return bound_of_graph(spec, json_at(spec, "workflows", "main", NULL));
}

/* ---- states of nodes ------------------------------------------------------------------------- */

struct court {
    const json_t *spec, *states; /* states: path -> body of the document */
    struct str *faults;
};

struct tally {
    unsigned completed, failed, cancelled, unsettled, tolerated;
};

static bool
is(const char *status, const char *what)
{
    return strcmp(status, what) == 0;
}

static const json_t *
node_named(const json_t *nodes, const char *id)
{
    const json_t *n;
    size_t i;
    json_array_foreach (nodes, i, n) {
        if (is(json_str(n, "id", ""), id))
            return n;
    }
    return NULL;
}

static const char *
status_at(const struct court *c, const char *prefix, const char *id)
{
    AUTO(freep) char *path = xasprintf("%s%s", prefix, id);
    return json_str(json_object_get(c->states, path), "status", "");
}

static void
tally_add(struct tally *t, const char *status, const json_t *node)
{
    bool tolerated = json_bool(node, "continue_on_failure", false);
    t->completed += is(status, "completed");
    t->failed += is(status, "failed") && !tolerated;
    t->tolerated += is(status, "failed") && tolerated;
    t->cancelled += is(status, "cancelled");
    t->unsettled += !*status || is(status, "running");
}

static void judge_graph(struct court *c, const json_t *def, const char *prefix, const char *status);

static void
judge_child(struct court *c, const json_t *n, const char *prefix, const char *status)
{
    const json_t *child = n;
    if (json_object_get(n, "workflow"))
        child = json_at(c->spec, "workflows", json_str(n, "workflow", ""), NULL);
    if (!json_object_get(child, "nodes"))
        return;
    AUTO(freep) char *below = xasprintf("%s%s/", prefix, json_str(n, "id", ""));
    judge_graph(c, child, below, status);
}

static void
judge_node(struct court *c, const json_t *nodes, const json_t *n, const char *prefix)
{
    const char *id = json_str(n, "id", ""), *when = json_str(n, "when", "1 == 1");
    const char *status = status_at(c, prefix, id);
    const json_t *dep, *all = json_object_get(n, "depends_on");
    struct tally deps = {0};
    size_t i;
    json_array_foreach (all, i, dep) {
        const char *name = json_string_value(dep);
        tally_add(&deps, status_at(c, prefix, name), node_named(nodes, name));
    }
    bool nothing_came = json_array_size(all) && !deps.completed && !deps.tolerated;
    if (is(status, "skipped")) {
        if (deps.unsettled || (!deps.failed && !nothing_came && is(when, "1 == 1")))
            str_addf(c->faults, "node %s%s is skipped for no reason\n", prefix, id);
        return;
    }
    if (!*status)
        return;
    if (deps.failed || deps.unsettled || deps.cancelled || nothing_came)
        str_addf(c->faults, "node %s%s is %s, though what it depends on is not done\n", prefix, id,
                 status);
    if (is(when, "1 == 2"))
        str_addf(c->faults, "node %s%s is %s, though its condition is false\n", prefix, id, status);
    judge_child(c, n, prefix, status);
}

static void
judge_graph(struct court *c, const json_t *def, const char *prefix, const char *status)
{
    const json_t *nodes = json_object_get(def, "nodes"), *n;
    bool partial = is(json_str(def, "failure_strategy", ""), "partial_completion_allowed");
    struct tally t = {0};
    size_t i;
    json_array_foreach (nodes, i, n) {
        judge_node(c, nodes, n, prefix);
        tally_add(&t, status_at(c, prefix, json_str(n, "id", "")), n);
    }
    if (!is(status, "completed") && !is(status, "partial"))
        return;
    if (t.unsettled || t.cancelled)
        str_addf(c->faults, "graph '%s' is %s and has nodes that never settled\n", prefix, status);
    if (t.failed && !(partial && t.completed))
        str_addf(c->faults, "graph '%s' is %s, though a node failed\n", prefix, status);
    if (!*prefix && is(status, "completed") && t.failed)
        str_add(c->faults, "the run is completed, though a node failed\n");
    if (is(status, "partial") && !(partial && t.failed && t.completed))
        str_add(c->faults, "the run is partial for no reason\n");
}

void
seedplan_judge(const json_t *spec, const json_t *doc, struct str *faults)
{
    struct court c = {spec, json_object_get(doc, "nodes"), faults};
    const char *path;
    json_t *node;
    json_object_foreach (json_object_get(doc, "nodes"), path, node) {
        if (is(json_str(node, "status", ""), "running"))
            str_addf(faults, "the run has ended, and node %s is running\n", path);
    }
    const char *error = json_str(doc, "error", "");
    if (is(json_str(doc, "status", ""), "failed") && str_ends(error, "cancelled"))
        str_addf(faults, "it failed, and says that it was cancelled: %s\n", error);
    judge_graph(&c, json_at(spec, "workflows", "main", NULL), "", json_str(doc, "status", ""));
}
