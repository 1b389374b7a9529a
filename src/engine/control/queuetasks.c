/* queuetasks.c - what the definition of a queue says, checked before anything runs. */
#include "engine/control/queuetasks.h"
#include "base/map.h"
#include "base/near.h"
#include "plan/lower.h"
#include <string.h>

/* ---- who can do what ------------------------------------------------------------- */

static bool
list_has(const json_t *list, const char *text)
{
    const json_t *one;
    size_t i;
    json_array_foreach (list, i, one) {
        if (str_eq(json_string_value(one), text))
            return true;
    }
    return false;
}

bool
agent_can(const json_t *agent, const char *capability)
{
    return strcmp(json_str(agent, "type", "llm"), capability) == 0 ||
           strcmp(json_str(agent, "server", ""), capability) == 0 ||
           list_has(json_object_get(agent, "capabilities"), capability) ||
           list_has(json_object_get(agent, "servers"), capability);
}

/* ---- lowering -------------------------------------------------------------- */

struct lowered_tasks {
    struct lowering *l;
    const char *pointer; /* of the list */
    struct map *ids;
};

static const struct node *
member_named(struct lowering *l, const char *name)
{
    vec_each (&l->nodes, n) {
        if (strcmp((*n)->id, name) == 0)
            return *n;
    }
    return NULL;
}

static void
task_agent_check(struct lowering *l, const char *name, const char *pointer)
{
    struct near near = NEAR_INIT(name);
    if (member_named(l, name))
        return;
    vec_each (&l->nodes, n)
        near_offer(&near, (*n)->id);
    lower_fail(l, lower_pos(l, arena_printf(l->arena, "%s/agent", pointer)),
               "'%s' is none of the queue's `agents`%s%s%s", name,
               near.best ? " (did you mean '" : "", near.best ? near.best : "",
               near.best ? "'?)" : "");
}

static void
task_capability_check(struct lowering *l, const char *capability, const char *pointer)
{
    const json_t *agents = json_object_get(l->source->doc, "agents");
    vec_each (&l->nodes, n) {
        const json_t *agent = (*n)->worker ? json_object_get(agents, (*n)->worker) : NULL;
        if (agent && agent_can(agent, capability))
            return;
    }
    lower_fail(l, lower_pos(l, arena_printf(l->arena, "%s/capability", pointer)),
               "none of the queue's `agents` can do '%s': name it in an agent's `capabilities`",
               capability);
}

static void
task_check(struct lowered_tasks *t, const json_t *task, size_t i)
{
    const char *at = arena_printf(t->l->arena, "%s/%zu", t->pointer, i);
    const char *id = json_str(task, "id", NULL), *agent = json_str(task, "agent", NULL),
               *capability = json_str(task, "capability", NULL);
    if (id && map_has(t->ids, id))
        lower_fail(t->l, lower_pos(t->l, arena_printf(t->l->arena, "%s/id", at)),
                   "the task '%s' is there twice", id);
    if (id)
        map_put(t->ids, id, t);
    if (agent)
        task_agent_check(t->l, agent, at);
    if (capability)
        task_capability_check(t->l, capability, at);
    if (!json_object_get(task, "description") && !json_object_get(task, "input") &&
        !json_object_get(task, "action"))
        lower_fail(t->l, lower_pos(t->l, at), "a task needs a `description` or an `input`");
}

struct err *
queue_lower(struct lowering *l, const json_t *def, const char *pointer)
{
    const json_t *tasks = json_object_get(def, "tasks"), *items = json_object_get(def, "items");
    const json_t *one;
    AUTO(map_freep) struct map *ids = map_new();
    size_t i;
    l->graph->noun = "task";
    l->graph->failure = FAILURE_PARTIAL; /* unless the definition says otherwise */
    json_array_foreach (json_object_get(def, "agents"), i, one) {
        const char *at = lower_below(l, pointer, "agents", i);
        const char *name = json_string_value(one);
        lower_worker(l, lower_node(l, name ? name : "workflow", false, lower_pos(l, at)), one, at);
    }
    if (tasks && items)
        lower_fail(l, lower_pos(l, pointer), "a queue has `tasks` or `items`, not both");
    struct lowered_tasks t = {l, arena_printf(l->arena, "%s/tasks", pointer), ids};
    json_array_foreach (tasks, i, one)
        task_check(&t, one, i);
    if (tasks || items)
        l->graph->items =
            lower_value(l, tasks ? tasks : items,
                        tasks ? t.pointer : arena_printf(l->arena, "%s/items", pointer));
    return NULL;
}
