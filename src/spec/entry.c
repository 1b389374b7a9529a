/* entry.c - agents, workflows and nodes: definitions whose keys depend on their kind. */
#include "base/near.h"
#include "spec/check.h"
#include "spec/tables.h"
#include <string.h>

static const struct {
    enum role role;
    const char *what, *otherwise; /* in messages; the kind when there is no `type` */
} roles[] = {
    {ROLE_AGENT, "agent", "llm"}, {ROLE_NODE, "node", "task"}, {ROLE_WORKFLOW, "workflow", "dag"}};

static size_t
role_index(enum role role)
{
    return role == ROLE_AGENT ? 0 : role == ROLE_NODE ? 1 : 2;
}

static const struct kind *const *
role_kinds(const struct check *c, enum role role)
{
    return role == ROLE_AGENT ? c->tables->agents : c->tables->workflows;
}

/* A workflow can stand inline wherever a node can. */
static unsigned
role_mask(enum role role)
{
    return role == ROLE_NODE ? ROLE_NODE | ROLE_WORKFLOW : role;
}

static bool
kind_is(const struct kind *k, const char *name)
{
    if (strcmp(k->name, name) == 0)
        return true;
    for (const char *const *a = k->also; a && *a; a++) {
        if (strcmp(*a, name) == 0)
            return true;
    }
    return false;
}

const struct kind *
kind_find(const struct kind *const *kinds, const char *name, unsigned mask)
{
    for (; *kinds; kinds++) {
        if (((*kinds)->roles & mask) && kind_is(*kinds, name))
            return *kinds;
    }
    return NULL;
}

static void
kind_unknown(struct check *c, const struct ynode *at, const char *name, enum role role)
{
    struct near near = NEAR_INIT(name);
    AUTO(str_fini) struct str all = STR_INIT;
    for (const struct kind *const *k = role_kinds(c, role); *k; k++) {
        if (!((*k)->roles & role_mask(role)))
            continue;
        near_offer(&near, (*k)->name);
        str_addf(&all, "%s%s", all.len ? ", " : "", (*k)->name);
        for (const char *const *a = (*k)->also; a && *a; a++)
            near_offer(&near, *a);
    }
    if (near.best)
        check_fail(c, at, "unknown kind '%.60s' (did you mean '%s'?)", name, near.best);
    else
        check_fail(c, at, "unknown kind '%.60s'; there are %s", name, str_c(&all));
}

/* The kind that `type` says; NULL after a mistake. */
static const struct kind *
entry_kind(struct check *c, const struct entry *e)
{
    const struct kind *const *kinds = role_kinds(c, e->role);
    const struct ynode *type = NULL;
    for (size_t i = 0; !type && i < e->nmaps; i++)
        type = yaml_get(e->maps[i], "type");
    if (!type)
        return kind_find(kinds, roles[role_index(e->role)].otherwise, role_mask(e->role));
    AUTO(str_fini) struct str buf = STR_INIT;
    bool loose;
    str_add(&c->path, "type");
    const bool text = type->kind == Y_SCALAR && yaml_scalar(type).type == YT_STRING;
    const char *name = text ? scalar_resolve(c, type, &buf, &loose) : NULL;
    if (!text)
        check_unfit(c, type, "the name of a kind");
    str_reset(&c->path);
    if (!name)
        return NULL;
    const struct kind *k = kind_find(kinds, name, role_mask(e->role));
    if (!k)
        kind_unknown(c, type, name, e->role);
    return k;
}

/* A key that is wrong here but right for another kind: say for which. */
static const char *
hint_of(struct check *c, const struct kind *const *kinds, const char *what, const char *key)
{
    for (; kinds && *kinds; kinds++) {
        const struct param *const tables[] = {(*kinds)->params, NULL};
        if ((*kinds)->params && field_find(tables, key))
            return arena_printf(c->arena, "it belongs to %s of kind '%s'", what, (*kinds)->name);
    }
    return NULL;
}

static const char *
hint_agent(struct check *c, const char *key)
{
    return hint_of(c, c->tables->agents, "agents", key);
}

static const char *
hint_workflow(struct check *c, const char *key)
{
    return hint_of(c, c->tables->workflows, "workflows and nodes", key);
}

void
entry_tables(const struct kind *k, enum role role, const struct param *tables[6])
{
    size_t n = 0;
    const bool graph = !k || strcmp(k->name, "dag") == 0;
    const bool inline_workflow = k && (k->roles & ROLE_WORKFLOW);
    if (k && k->params)
        tables[n++] = k->params;
    if (role == ROLE_AGENT) {
        tables[n++] = spec_agent_params;
        return;
    }
    if (graph && (role == ROLE_WORKFLOW || inline_workflow))
        tables[n++] = spec_graph_params;
    if (role == ROLE_NODE) {
        tables[n++] = spec_node_params;
        if (!inline_workflow)
            tables[n++] = spec_work_params;
    }
    if (role == ROLE_WORKFLOW || inline_workflow)
        tables[n++] = spec_workflow_params;
}

static const char *
local_name(const struct entry *e)
{
    const struct ynode *as = e->role == ROLE_NODE ? yaml_get(e->maps[0], "as") : NULL;
    return as && as->kind == Y_SCALAR && as->count ? as->text : NULL;
}

/* A node's `inputs` map is a bag of the node's own keys. */
static size_t
maps_choose(const struct entry *e, const struct ynode *maps[2])
{
    size_t n = MIN(e->nmaps, 2);
    for (size_t i = 0; i < n; i++)
        maps[i] = e->maps[i];
    const struct ynode *inputs = e->role == ROLE_NODE ? yaml_get(maps[0], "inputs") : NULL;
    if (n == 1 && inputs && inputs->kind == Y_MAP)
        maps[n++] = inputs;
    return n;
}

static void
entry_defer(struct check *c, const struct kind *k, const struct ynode *at)
{
    if (!k->check)
        return;
    const struct deferred one = {k, arena_strdup(c->arena, str_c(&c->pointer)),
                                 arena_strdup(c->arena, str_c(&c->where)),
                                 at->file ? at->file->index : 0};
    vec_push(&c->deferred, one);
}

static void
entry_members(struct check *c, const struct entry *e, const struct kind *k, json_t *to)
{
    const struct ynode *maps[2];
    struct object o = {.maps = maps,
                       .nmaps = maps_choose(e, maps),
                       .at = e->key ? e->key : e->maps[0],
                       .lax = !k,
                       .hint = e->role == ROLE_AGENT ? hint_agent : hint_workflow};
    size_t skips = 0;
    entry_tables(k, e->role, o.tables);
    o.skip[skips++] = "type";
    if (o.nmaps == 2 && e->role == ROLE_NODE)
        o.skip[skips++] = "inputs";
    if (e->name_key)
        o.skip[skips++] = e->name_key;
    const char *local = local_name(e);
    check_locals_push(c, local);
    check_object(c, &o, to);
    check_locals_pop(c, local);
}

json_t *
check_entry(struct check *c, const struct entry *e)
{
    const char *what = roles[role_index(e->role)].what;
    const struct saved s = check_enter(c, what, e->name);
    const size_t mistakes = c->problems.total;
    json_t *j = NULL;
    if (e->maps[0]->kind != Y_MAP) {
        check_unfit(c, e->maps[0], "a map");
    } else {
        const struct kind *k = entry_kind(c, e);
        j = json_object();
        if (e->role == ROLE_NODE && e->name)
            json_object_set_new(j, "id", json_string(e->name));
        if (k)
            json_object_set_new(j, "type", json_string(k->name));
        entry_members(c, e, k, j);
        if (k && c->problems.total == mistakes)
            entry_defer(c, k, e->maps[0]);
    }
    check_leave(c, s);
    return j;
}

/* ---- names ----------------------------------------------------------------- */
bool
check_name(struct check *c, const struct ynode *at, const char *what, const char *name)
{
    const size_t n = strlen(name);
    const char *bad = strpbrk(name, "/[]{}\"\n\r\t");
    if (n > SPEC_NAME_MAX)
        check_fail(c, at, "a name of %zu bytes; %d are possible", n, SPEC_NAME_MAX);
    else if (!n)
        check_fail(c, at, "the name of %s is empty", what);
    else if (bad)
        check_fail(c, at,
                   "name '%.60s' holds a character that names cannot have: one of / [ ] { } "
                   "\" or a line end",
                   name);
    else if (name[0] == ' ' || name[n - 1] == ' ')
        check_fail(c, at, "name '%.60s' begins or ends with a blank", name);
    else
        return true;
    return false;
}

struct node_name {
    const struct ynode *at;
    const char *key; /* that holds it, or NULL */
};

static struct node_name
node_name_find(const struct ynode *n)
{
    static const char *const keys[] = {"id", "name"};
    for (size_t i = 0; n->kind == Y_MAP && i < COUNT(keys); i++) {
        const struct ynode *at = yaml_get(n, keys[i]);
        if (at)
            return (struct node_name){at, keys[i]};
    }
    return (struct node_name){0};
}

static void
node_add(struct check *c, struct map *first, struct node_name name, const struct ynode *n,
         json_t *list)
{
    if (!check_name(c, name.at, "a node", name.at->text))
        return;
    const struct ynode *other = map_get(first, name.at->text);
    if (other) {
        AUTO(freep) char *at = pos_text(other, name.at);
        check_fail(c, name.at, "node '%.60s' is already defined at %s", name.at->text, at);
        return;
    }
    uintptr_t stored = (uintptr_t)name.at;
    map_put(first, name.at->text, (void *)stored);
    const struct place place = {name.at, n};
    const struct mark m = check_down(c, NULL, NULL, json_array_size(list), place);
    json_t *j = check_entry(c, &(struct entry){.role = ROLE_NODE,
                                               .name = name.at->text,
                                               .key = name.at,
                                               .maps = &n,
                                               .nmaps = 1,
                                               .name_key = name.key});
    check_up(c, m);
    if (j)
        json_array_append_new(list, j);
}

json_t *
check_nodes(struct check *c, const struct ynode *n)
{
    json_t *list = json_array();
    AUTO(map_freep) struct map *first = map_new();
    for (unsigned i = 0; i < n->count; i++) {
        if (n->kind == Y_MAP) {
            node_add(c, first, (struct node_name){n->pairs[i].key, NULL}, n->pairs[i].value, list);
            continue;
        }
        const struct node_name name = node_name_find(n->items[i]);
        if (!name.at)
            check_fail(c, n->items[i], "'%s[%u]' must be a map with an 'id' (or 'name')",
                       str_c(&c->path), i + 1);
        else if (name.at->kind != Y_SCALAR || yaml_scalar(name.at).type == YT_NULL)
            check_fail(c, name.at, "'%s[%u].%s' must be a text", str_c(&c->path), i + 1, name.key);
        else
            node_add(c, first, name, n->items[i], list);
    }
    return list;
}
