/* seedlaw.c - what may be of a run, told from its definition alone and without the engine's code.
 */
#include "seedlaw.h"
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

static bool
is_foreach(const json_t *node)
{
    return strcmp(json_str(node, "type", ""), "foreach") == 0;
}

static unsigned
bound_of_node(const json_t *spec, const json_t *node)
{
    if (json_is_string(node))
        return bound_of_worker(spec, json_string_value(node));
    const char *worker =
        json_str(node, "agent", json_str(node, "workflow", json_str(node, "then", NULL)));
    if (worker && !is_foreach(node))
        return bound_of_worker(spec, worker);
    return json_object_get(node, "type") ? bound_of_graph(spec, node) : 1;
}

static int
descending(const void *a, const void *b)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    return (x < y) - (x > y);
}

/* The lists and names of a definition's members, by its type; how many of them run at once. */
static const struct shape {
    const char *type, *list, *one[2];
    unsigned at_once; /* 0: as max_concurrency says */
} shapes[] = {{"dag", "nodes", {0}, 0},
              {"chain", "sequence", {0}, 1},
              {"pipeline", "stages", {0}, 1},
              {"parallel", "fan_out", {"fan_in"}, 0},
              {"router", "agents", {"default"}, 1},
              {"router", "routes", {"default"}, 1},
              {"switch", "cases", {"default"}, 1},
              {"loop", NULL, {"body"}, 1},
              {"foreach", NULL, {"agent"}, 0},
              {"maker", NULL, {"worker"}, 0},
              {"evaluator_optimizer", NULL, {"generator", "evaluator"}, 1},
              {"manager", NULL, {0}, 1},
              {"peers", "agents", {"synthesizer"}, 0},
              {"queue", "agents", {0}, 0},
              {"session", NULL, {0}, 1},
              {"orchestrator", "agents", {0}, 0}};

static const struct shape *
shape_of(const json_t *def)
{
    const char *type = json_str(def, "type", "dag");
    for (size_t i = 0; i < COUNT(shapes); i++) {
        bool routes = shapes[i].list && strcmp(shapes[i].list, "routes") == 0;
        if (strcmp(shapes[i].type, type) == 0 &&
            (strcmp(type, "router") != 0 || routes == !!json_object_get(def, "routes")))
            return &shapes[i];
    }
    return &shapes[0];
}

static size_t
at_once(const struct shape *sh, const json_t *def)
{
    const size_t limit = (size_t)json_int(def, "max_concurrency", 10);
    if (strcmp(sh->type, "foreach") == 0)
        return (size_t)json_int(def, "concurrency", (int64_t)limit);
    if (strcmp(sh->type, "maker") == 0)
        return MIN((size_t)json_int(def, "k", 3), limit);
    if (strcmp(sh->type, "orchestrator") == 0)
        return strcmp(json_str(def, "plan_type", "full"), "full") == 0
                   ? MIN((size_t)json_int(def, "max_iterations", 10), limit)
                   : 1;
    return sh->at_once || !json_bool(def, "parallel_execution", true) ? 1 : limit;
}

/* Of the nodes that can run at once, those with the most; a member may run more than once. */
static unsigned
bound_of_graph(const json_t *spec, const json_t *def)
{
    const struct shape *sh = shape_of(def);
    const json_t *all = json_object_get(def, sh->list ? sh->list : ""), *node;
    const bool again = !sh->list || strcmp(sh->type, "orchestrator") == 0;
    size_t i, n = json_array_size(all), limit = at_once(sh, def);
    unsigned sum = 0, most = 1, *bounds = xcalloc(n, sizeof *bounds);
    const char *role;
    json_array_foreach (all, i, node) {
        bounds[i] = bound_of_node(spec, node);
        most = MAX(most, bounds[i]);
    }
    qsort(bounds, n, sizeof *bounds, descending);
    for (i = 0; i < MIN(n, limit); i++)
        sum += bounds[i];
    free(bounds);
    for (i = 0; i < COUNT(sh->one) && sh->one[i]; i++) {
        node = json_object_get(def, sh->one[i]);
        most = node ? MAX(most, bound_of_node(spec, node)) : most;
    }
    const bool named = strcmp(sh->type, "manager") == 0, talks = strcmp(sh->type, "session") == 0;
    json_t *worker;
    json_object_foreach (named || talks ? json_object_get(def, named ? "agents" : "states") : NULL,
                         role, worker)
        most = MAX(most, bound_of_node(spec, worker));
    return again ? MAX((unsigned)limit, 1) * most : MAX(sum, most);
}

unsigned
seedplan_http_max(const json_t *spec)
{
    const char *name;
    json_t *agent;
    bool hedges = false;
    json_object_foreach (json_object_get(spec, "agents"), name, agent)
        hedges |= json_object_get(agent, "hedge") != NULL;
    return (hedges ? 2 : 1) * bound_of_graph(spec, json_at(spec, "workflows", "main", NULL));
}

/* ---- states of nodes ------------------------------------------------------------------------- */

struct court {
    const struct seed_case *sc;
    const json_t *spec, *states; /* states: path -> body of the document */
    json_t *tolerated;           /* paths of nodes whose failure is their own affair */
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

const char *
law_below(const char *path, const char *above)
{
    const size_t n = strlen(above);
    if (!n)
        return path;
    return strncmp(path, above, n) == 0 && path[n] == '/' ? path + n + 1 : NULL;
}

/* Queues and sessions: also those that did not get to their end. */
static void
judge_records(struct court *c, const json_t *def, const char *path)
{
    const char *type = json_str(def, "type", "");
    const struct hearing h = {c->sc, def, json_object_get(c->states, path), path, c->faults};
    if (is(type, "queue"))
        law_of_queue(&h);
    else if (is(type, "session"))
        law_of_session(&h);
}

static void judge_graph(struct court *c, const json_t *def, const char *prefix, const char *status);
static void judge_pattern(struct court *c, const json_t *def, const char *below);

static void
judge_child(struct court *c, const json_t *n, const char *prefix, const char *status)
{
    const json_t *child = n;
    if (json_object_get(n, "workflow"))
        child = json_at(c->spec, "workflows", json_str(n, "workflow", ""), NULL);
    AUTO(freep) char *below = xasprintf("%s%s/", prefix, json_str(n, "id", ""));
    const char *type = json_str(child, "type", "task");
    AUTO(freep) char *path = xasprintf("%s%s", prefix, json_str(n, "id", ""));
    if (child == n)
        judge_records(c, n, path);
    if (json_object_get(child, "nodes"))
        judge_graph(c, child, below, status);
    else if (is(status, "completed") && !is(type, "task") && !is(type, "gate") &&
             !is(type, "reduce"))
        judge_pattern(c, child, below);
}

/* A gate above that is skipped closes all below it. */
static bool
is_closed(const struct court *c, const json_t *nodes, const json_t *n, const char *prefix)
{
    static const char *const keys[] = {"depends_on", "from"};
    const json_t *name;
    size_t i;
    for (size_t k = 0; k < COUNT(keys); k++) {
        json_array_foreach (json_object_get(n, keys[k]), i, name) {
            const json_t *dep = node_named(nodes, json_string_value(name));
            if (!is(status_at(c, prefix, json_string_value(name)), "skipped"))
                continue;
            if (is(json_str(dep, "type", ""), "gate") || is_closed(c, nodes, dep, prefix))
                return true;
        }
    }
    return false;
}

static void
judge_node(struct court *c, const json_t *nodes, const json_t *n, const char *prefix)
{
    const char *id = json_str(n, "id", ""), *when = json_str(n, "when", "1 == 1");
    const char *status = status_at(c, prefix, id);
    AUTO(json_freep) json_t *all = json_array();
    const json_t *dep;
    struct tally deps = {0};
    size_t i;
    json_array_extend(all, json_object_get(n, "depends_on"));
    json_array_extend(all, json_object_get(n, "from"));
    json_array_foreach (all, i, dep) {
        const char *name = json_string_value(dep);
        tally_add(&deps, status_at(c, prefix, name), node_named(nodes, name));
    }
    bool nothing_came = json_array_size(all) && !deps.completed && !deps.tolerated;
    bool closed = is_closed(c, nodes, n, prefix);
    if (json_bool(n, "continue_on_failure", false)) {
        AUTO(freep) char *path = xasprintf("%s%s", prefix, id);
        json_object_set_new(c->tolerated, path, json_true());
    }
    if (is(status, "skipped")) {
        if (deps.unsettled || (!deps.failed && !nothing_came && !closed && is(when, "1 == 1")))
            str_addf(c->faults, "node %s%s is skipped for no reason\n", prefix, id);
        return;
    }
    if (!*status)
        return;
    if (deps.failed || deps.unsettled || deps.cancelled || nothing_came || closed)
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
}

/* ---- patterns that completed ----------------------------------------------------------------- */

struct inside { /* what is directly below a path */
    unsigned completed, failed, others, judged;
    const json_t *judge, *last; /* bodies; last: of those that are no judge */
    const char *last_name;
};

static void
look_inside(const struct court *c, const char *below, struct inside *in)
{
    const char *path;
    json_t *node;
    const size_t n = strlen(below);
    *in = (struct inside){0};
    json_object_foreach ((json_t *)(uintptr_t)c->states, path, node) {
        const char *status = json_str(node, "status", "");
        if (strncmp(path, below, n) != 0 || strchr(path + n, '/'))
            continue;
        if (is(json_str(node, "type", ""), "judge")) {
            in->judged++;
            in->judge = node;
            continue;
        }
        in->completed += is(status, "completed");
        in->failed += is(status, "failed");
        in->others += !is(status, "completed") && !is(status, "failed");
        in->last = node;
        in->last_name = path + n;
    }
}

static void
guilty(struct court *c, const char *below, const char *why)
{
    str_addf(c->faults, "%.*s is completed, though %s\n", (int)strlen(below) - 1, below, why);
}

/* By rules, the first that holds, else the default. */
static void
judge_cases(struct court *c, const json_t *cases, const json_t *def, const char *below,
            const struct inside *in)
{
    const json_t *one, *chosen = json_object_get(def, "default");
    size_t i;
    json_array_foreach (cases, i, one) {
        if (is(json_str(one, "when", ""), "1 == 1")) {
            chosen = json_object_get(one, json_object_get(one, "then") ? "then" : "agent");
            break;
        }
    }
    if (in->completed != (chosen != NULL) || in->failed || in->others)
        guilty(c, below, "not exactly the chosen one is");
    else if (chosen && !is(json_str(in->last, "agent", ""), json_string_value(chosen)))
        guilty(c, below, "another than the chosen one ran");
}

static void
judge_router(struct court *c, const json_t *def, const char *below, const struct inside *in)
{
    const json_t *answer = json_object_get(in->judge, "output");
    const char *chosen = json_str(answer, "agent", NULL);
    const json_t *otherwise = json_object_get(def, "default");
    double sure = json_number_value(json_object_get(answer, "confidence"));
    bool taken = chosen && sure >= json_number_value(json_object_get(def, "min_confidence"));
    if (in->judged != 1 || in->completed != 1 || in->failed || in->others)
        guilty(c, below, "not exactly one was chosen and is");
    else if (taken && !is(in->last_name, chosen))
        guilty(c, below, "another than the chosen one ran");
    else if (!taken && otherwise &&
             !is(json_str(in->last, "agent", ""), json_string_value(otherwise)))
        guilty(c, below, "nobody was chosen and it is not the default that ran");
}

static void
judge_counts(struct court *c, const json_t *def, const char *type, const char *below,
             const struct inside *in)
{
    size_t most = SIZE_MAX, least = 1;
    if (is(type, "loop"))
        most = (size_t)json_int(def, "max_iterations", 10);
    else if (is(type, "foreach"))
        most = least = json_array_size(json_object_get(def, "items"));
    else if (is(type, "maker"))
        most = (size_t)json_int(def, "max_samples", 50);
    else if (is(type, "evaluator_optimizer"))
        most = 2 * (1 + (size_t)json_int(def, "max_refinements", 3));
    else if (is(type, "chain") || is(type, "pipeline"))
        most = json_array_size(json_object_get(def, is(type, "chain") ? "sequence" : "stages"));
    else if (is(type, "manager"))
        most = json_object_size(json_object_get(def, "agents"));
    else if (is(type, "parallel"))
        least = (size_t)json_int(def, "quorum", 1);
    if (in->completed + in->failed > most)
        guilty(c, below, "more ran than may");
    if (is(type, "foreach") ? in->completed + in->failed != least : in->completed < least)
        guilty(c, below, "too few are");
    if (is(type, "foreach") && in->failed && is(json_str(def, "failure_mode", ""), "stop"))
        guilty(c, below, "an item failed");
    if (in->others && !is(type, "parallel") && !is(type, "chain") && !is(type, "pipeline") &&
        !is(type, "orchestrator"))
        guilty(c, below, "something inside never settled");
}

static void
judge_pattern(struct court *c, const json_t *def, const char *below)
{
    const char *type = json_str(def, "type", "");
    const json_t *routes = json_object_get(def, "routes"), *cases = json_object_get(def, "cases");
    struct inside in;
    look_inside(c, below, &in);
    if (is(type, "queue") || is(type, "session"))
        return; /* seedqueue.c, seedsession.c */
    if (routes || cases)
        judge_cases(c, routes ? routes : cases, def, below, &in);
    else if (is(type, "router"))
        judge_router(c, def, below, &in);
    else
        judge_counts(c, def, type, below, &in);
}

/* ---- partial: something inside failed, and it went on without ---------------------------------
 */

enum weight { NO_CAUSE, MAY_BE_CAUSE, IS_CAUSE };

static const char *
type_at(const struct court *c, const json_t *state)
{
    const json_t *def = json_at(c->spec, "workflows", json_str(state, "agent", ""), NULL);
    return def ? json_str(def, "type", "dag") : json_str(state, "type", "");
}

/* Of a queue: "task[3]" and "task[3]-2" are tries of one task. */
static bool
has_next_try(const struct court *c, const char *path)
{
    const char *minus = strrchr(path, ']');
    unsigned long n = minus && minus[1] == '-' ? strtoul(minus + 2, NULL, 10) : 1;
    AUTO(freep)
    char *next = xasprintf("%.*s-%lu", minus ? (int)(minus + 1 - path) : 0, path, n + 1);
    return json_object_get(c->states, next) != NULL;
}

/* What the state of a part is to the graph around it. */
static enum weight
weight_of(const struct court *c, const char *path, const json_t *state, const char *around)
{
    bool failed = is(json_str(state, "status", ""), "failed");
    bool partial = json_bool(state, "partial", false);
    if ((!failed && !partial) || json_object_get(c->tolerated, path))
        return NO_CAUSE;
    if (failed && (is(around, "maker") || is(json_str(state, "type", ""), "judge")))
        return NO_CAUSE;
    if (failed && (is(around, "session") || (is(around, "queue") && has_next_try(c, path))))
        return NO_CAUSE;
    /* Ratings and offers that cannot be read are none; those that nobody could ask for are
     * failures. */
    if (failed && (is(around, "evaluator_optimizer") || is(around, "peers")))
        return MAY_BE_CAUSE;
    return IS_CAUSE;
}

static enum weight
causes_below(const struct court *c, const char *below, const char *around)
{
    enum weight most = NO_CAUSE;
    const char *path;
    json_t *node;
    const size_t n = strlen(below);
    json_object_foreach ((json_t *)(uintptr_t)c->states, path, node) {
        if (strncmp(path, below, n) == 0 && !strchr(path + n, '/'))
            most = MAX(most, weight_of(c, path, node, around));
    }
    return most;
}

static void
judge_partial(struct court *c, const char *run_status)
{
    const char *path;
    json_t *node;
    json_object_foreach ((json_t *)(uintptr_t)c->states, path, node) {
        AUTO(freep) char *below = xasprintf("%s/", path);
        bool partial = json_bool(node, "partial", false);
        enum weight cause = causes_below(c, below, type_at(c, node));
        if (is(json_str(node, "status", ""), "completed") && !partial && cause == IS_CAUSE)
            str_addf(c->faults, "%s is completed, though something inside failed\n", path);
        if (partial && cause == NO_CAUSE)
            str_addf(c->faults, "%s is partial for no reason\n", path);
    }
    enum weight cause = causes_below(c, "", "dag");
    if (is(run_status, "completed") && cause == IS_CAUSE)
        str_add(c->faults, "the run is completed, though something inside failed\n");
    if (is(run_status, "partial") && cause == NO_CAUSE)
        str_add(c->faults, "the run is partial for no reason\n");
}

void
seedplan_judge(const struct seed_case *sc, struct str *faults)
{
    AUTO(json_freep) json_t *tolerated = json_object();
    AUTO(json_freep) json_t *states = json_object();
    struct court c = {sc, sc->spec, states, tolerated, faults};
    const json_t *workflows = json_object_get(sc->spec, "workflows");
    const char *path;
    json_t *node;
    json_object_foreach (json_object_get(sc->doc, "nodes"), path, node) {
        if (is(json_str(node, "status", ""), "running"))
            str_addf(faults, "the run has ended, and node %s is running\n", path);
        if (!strstr(path, "/undo[")) /* which are judged by their order: seedaudit.c */
            json_object_set(states, path, node);
    }
    const char *error = json_str(sc->doc, "error", ""), *status = json_str(sc->doc, "status", "");
    if (is(status, "failed") && str_ends(error, "cancelled"))
        str_addf(faults, "it failed, and says that it was cancelled: %s\n", error);
    judge_graph(&c, json_object_get(workflows, "main"), "", status);
    judge_partial(&c, status);
    json_object_foreach (states, path, node)
        judge_records(&c, json_object_get(workflows, json_str(node, "agent", "")), path);
    law_of_sends(sc, faults);
}
