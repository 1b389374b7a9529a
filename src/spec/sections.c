/* sections.c - the keys at the top of all files, merged into one document.
 *
 * Maps of names add up over the files, a name given twice is an error; other keys may be given
 * once. A file with `tasks` or `nodes` at its top is a workflow itself: the keys that belong to
 * workflows are gathered into an entry of `workflows`. */
#include "base/near.h"
#include "spec/load.h"
#include "spec/tables.h"
#include <string.h>

#define TOP_MAX 32

struct slot { /* one key of the top table over all files */
    const struct param *param;
    VEC(struct ypair) given;
};

struct sections {
    struct loader *l;
    struct slot slots[TOP_MAX];
    json_t *doc;
    struct map *agents, *workflows; /* name -> where it is given */
};

static const struct param *const top_tables[] = {spec_top_params, NULL};
static const struct param *const own_tables[] = {spec_graph_params, spec_workflow_params, NULL};

/* ---- which key belongs where ----------------------------------------------- */
static void
key_unknown(struct check *c, const struct ynode *key)
{
    const char *names[128];
    size_t n = 0;
    AUTO(str_fini) struct str snake = STR_INIT;
    snake_case(key->text, &snake);
    for (const struct param *p = spec_top_params; p->name; p++)
        names[n++] = p->name;
    for (size_t t = 0; own_tables[t]; t++) {
        for (const struct param *p = own_tables[t]; p->name && n < COUNT(names) - 2; p++)
            names[n++] = p->name;
    }
    names[n++] = "tasks";
    names[n] = NULL;
    struct near near = NEAR_INIT(str_c(&snake));
    for (size_t i = 0; i < n; i++)
        near_offer(&near, names[i]);
    if (near.best)
        check_fail(c, key, "unknown key '%.60s' (did you mean '%s'?)", key->text, near.best);
    else
        check_fail(c, key, "unknown key '%.60s'", key->text);
}

static void
same_key(struct check *c, const struct ynode *key, const struct ynode *first)
{
    AUTO(freep) char *at = pos_text(first, key);
    if (first->file == key->file)
        check_fail(c, key, "'%.60s' is the same key as '%.60s' at %s", key->text, first->text, at);
    else
        check_fail(c, key, "'%.60s' is already set at %s", key->text, at);
}

static bool
is_graph(const struct ynode *root)
{
    for (unsigned i = 0; i < root->count; i++) {
        const struct param *const tables[] = {spec_graph_params, NULL};
        const struct param *p = field_find(tables, root->pairs[i].key->text);
        if (p && p->type == P_NODES)
            return true;
    }
    return false;
}

/* Keys that a workflow and a file share go to the workflow when the file is an included one. */
static bool
is_shared(const struct param *p)
{
    return strcmp(p->name, "name") == 0 || strcmp(p->name, "version") == 0 ||
           strcmp(p->name, "description") == 0 || strcmp(p->name, "inputs") == 0;
}

static void
slot_add(struct sections *s, const struct param *p, const struct ypair *pair)
{
    struct slot *slot = &s->slots[p - spec_top_params];
    const struct ynode *last = slot->given.len ? vec_last(&slot->given).key : NULL;
    if (last && last->file == pair->key->file)
        same_key(&s->l->c, pair->key, last);
    else
        vec_push(&slot->given, *pair);
}

static void
key_sort(struct sections *s, struct source_file *f, const struct ypair *pair)
{
    struct check *c = &s->l->c;
    const char *name = pair->key->text;
    const struct param *top = field_find(top_tables, name), *own = field_find(own_tables, name);
    if (f->is_workflow && own)
        vec_push(&f->own, *pair);
    if (top) {
        const bool inputs = strcmp(top->name, "inputs") == 0;
        if (!f->is_workflow || !is_shared(top) || (f->file->index == 1 && !inputs))
            slot_add(s, top, pair);
    } else if (own && !f->is_workflow) {
        check_fail(c, pair->key,
                   "'%.60s' belongs to a workflow, and this file has no 'tasks' or "
                   "'nodes' at its top",
                   name);
    } else if (!own && strcmp(name, "type") == 0 && f->is_workflow) {
        vec_push(&f->own, *pair);
    } else if (!own) {
        key_unknown(c, pair->key);
    }
}

/* ---- sections of things with kinds ----------------------------------------- */
static bool
name_take(struct sections *s, enum role role, const struct ynode *key, const char *name)
{
    struct check *c = &s->l->c;
    const char *what = role == ROLE_AGENT ? "agent" : "workflow";
    const struct ynode *agent = map_get(s->agents, name), *flow = map_get(s->workflows, name);
    const struct ynode *first = agent ? agent : flow;
    if (!check_name(c, key, role == ROLE_AGENT ? "an agent" : "a workflow", name))
        return false;
    if (!first) {
        uintptr_t stored = (uintptr_t)key;
        map_put(role == ROLE_AGENT ? s->agents : s->workflows, name, (void *)stored);
        return true;
    }
    AUTO(freep) char *at = pos_text(first, key);
    if (agent && role == ROLE_WORKFLOW)
        check_fail(c, key, "%s '%.60s' has the name of the agent at %s", what, name, at);
    else
        check_fail(c, key, "%s '%.60s' is already defined at %s", what, name, at);
    return false;
}

static void
entry_add(struct sections *s, json_t *to, const struct entry *e)
{
    struct check *c = &s->l->c;
    if (!name_take(s, e->role, e->key, e->name))
        return;
    const struct place place = {e->key, e->maps[0]};
    const struct mark m = check_down(c, e->name, e->name, 0, place);
    json_t *j = check_entry(c, e);
    check_up(c, m);
    json_object_set_new_nocheck(to, e->name, j ? j : json_object());
}

static void
entries_add(struct sections *s, json_t *to, enum role role, const struct ynode *n)
{
    struct check *c = &s->l->c;
    if (n->kind == Y_SCALAR) {
        check_unfit(c, n, "a map");
        return;
    }
    for (unsigned i = 0; i < n->count; i++) {
        struct entry e = {.role = role, .nmaps = 1};
        const struct ynode *def = n->kind == Y_MAP ? n->pairs[i].value : n->items[i];
        e.maps = &def;
        e.key = n->kind == Y_MAP ? n->pairs[i].key : NULL;
        if (n->kind == Y_LIST) {
            e.name_key = yaml_get(def, "name") || !yaml_get(def, "id") ? "name" : "id";
            e.key = yaml_get(def, e.name_key);
        }
        if (!e.key || e.key->kind != Y_SCALAR || (!e.key->count && n->kind == Y_LIST)) {
            check_fail(c, def, "'%s[%u]' must be a map with a 'name'", str_c(&c->path), i + 1);
            continue;
        }
        e.name = e.key->text;
        entry_add(s, to, &e);
    }
}

static void
cards_add(struct sections *s, json_t *to)
{
    vec_each (&s->l->cards, card) {
        if (card->name->kind != Y_SCALAR || !card->name->count) {
            check_fail(&s->l->c, card->name, "'name' must be a text");
            continue;
        }
        entry_add(s, to,
                  &(struct entry){.role = ROLE_AGENT,
                                  .name = card->name->text,
                                  .key = card->name,
                                  .maps = &card->def,
                                  .nmaps = 1,
                                  .name_key = "name"});
    }
}

/* The workflow that a file is itself, under the file's `name`, else the file's stem. */
static void
own_workflow_add(struct sections *s, json_t *to, struct source_file *f)
{
    struct arena *a = s->l->c.arena;
    struct ynode *def = arena_make(a, struct ynode);
    *def = *f->root;
    def->pairs = f->own.at;
    def->count = (unsigned)f->own.len;
    AUTO(freep) char *stem = path_stem(f->file->path);
    const struct ynode *name = yaml_get(def, "name");
    const bool named =
        name && name->kind == Y_SCALAR && name->count && yaml_scalar(name).type == YT_STRING;
    const struct ynode *maps = def;
    struct entry e = {.role = ROLE_WORKFLOW, .nmaps = 1, .maps = &maps, .name_key = "name"};
    e.name = named ? name->text : arena_strdup(a, stem);
    e.key = named ? name : def->count ? def->pairs[0].key : def;
    entry_add(s, to, &e);
    json_t *flow = json_object_get(to, e.name);
    const bool tasks = yaml_get(def, "tasks") != NULL;
    if (flow && tasks && !json_object_get(flow, "parallel_execution"))
        json_object_set_new(flow, "parallel_execution", json_false());
}

/* ---- one section after the other ------------------------------------------- */
static struct mark
section_down(struct sections *s, struct slot *slot, const char *name)
{
    const struct ypair *p = slot->given.len ? &slot->given.at[0] : NULL;
    const struct place place = {p ? p->key : NULL, p ? p->value : NULL};
    return check_down(&s->l->c, name, name, 0, place);
}

static json_t *OWN
named_section(struct sections *s, struct slot *slot, enum role role)
{
    json_t *to = json_object();
    const struct mark m = section_down(s, slot, slot->param->name);
    if (role == ROLE_WORKFLOW) {
        vec_each (&s->l->files, f) {
            if (f->is_workflow)
                own_workflow_add(s, to, f);
        }
    }
    vec_each (&slot->given, p)
        entries_add(s, to, role, p->value);
    if (role == ROLE_AGENT)
        cards_add(s, to);
    check_up(&s->l->c, m);
    return to;
}

static bool
adds_up(const struct slot *slot)
{
    if (slot->param->type == P_MAP || slot->param->type == P_OBJECT)
        return true;
    if (strcmp(slot->param->name, "limits") != 0)
        return false;
    for (size_t i = 0; i < slot->given.len; i++) {
        if (slot->given.at[i].value->kind != Y_MAP)
            return false;
    }
    return slot->given.len > 1;
}

static json_t *OWN
merged_section(struct sections *s, struct slot *slot)
{
    VEC(const struct ynode *) maps = {0};
    const struct param *p = slot->param->type == P_ONE_OF ? &slot->param->fields[1] : slot->param;
    json_t *j = NULL;
    vec_each (&slot->given, g) {
        if (p->type == P_OBJECT && g->value->kind != Y_MAP)
            check_unfit(&s->l->c, g->value, "a map");
        else
            vec_push(&maps, g->value);
    }
    if (p->type == P_OBJECT && maps.len) {
        j = json_object();
        check_object(&s->l->c,
                     &(struct object){.maps = maps.at, .nmaps = maps.len, .tables = {p->fields}},
                     j);
    } else if (maps.len) {
        j = check_map(&s->l->c, maps.at, maps.len, p);
    }
    vec_fini(&maps);
    return j;
}

static json_t *OWN
plain_section(struct sections *s, struct slot *slot)
{
    if (!slot->given.len)
        return NULL;
    const struct mark m = section_down(s, slot, slot->param->name);
    json_t *j = NULL;
    if (adds_up(slot)) {
        j = merged_section(s, slot);
    } else {
        j = check_value(&s->l->c, slot->given.at[0].value, slot->param);
        for (size_t i = 1; i < slot->given.len; i++)
            same_key(&s->l->c, slot->given.at[i].key, slot->given.at[0].key);
    }
    check_up(&s->l->c, m);
    return j;
}

/* Includes were followed when the files were read: here only their form is checked. */
static void
includes_check(struct sections *s, struct slot *slot)
{
    vec_each (&slot->given, g) {
        const struct place place = {g->key, NULL};
        const struct mark m = check_down(&s->l->c, "include", "include", 0, place);
        json_decref(check_value(&s->l->c, g->value, slot->param));
        check_up(&s->l->c, m);
    }
}

static void
section_add(struct sections *s, struct slot *slot)
{
    const char *name = slot->param->name;
    json_t *j;
    if (strcmp(name, "include") == 0) {
        includes_check(s, slot);
        return;
    }
    if (name[0] == '$')
        return;
    if (strcmp(name, "agents") == 0)
        j = named_section(s, slot, ROLE_AGENT);
    else if (strcmp(name, "workflows") == 0)
        j = named_section(s, slot, ROLE_WORKFLOW);
    else
        j = plain_section(s, slot);
    if (j && strcmp(name, "limits") == 0)
        j = shorthand_limits(j);
    if (j)
        json_object_set_new(s->doc, name, j);
}

json_t *
sections_check(struct loader *l)
{
    struct sections s = {.l = l, .doc = json_object(), .agents = map_new(), .workflows = map_new()};
    size_t n = 0;
    for (; spec_top_params[n].name && n < TOP_MAX; n++)
        s.slots[n].param = &spec_top_params[n];
    vec_each (&l->files, f) {
        f->is_workflow = is_graph(f->root);
        for (unsigned i = 0; i < f->root->count; i++)
            key_sort(&s, f, &f->root->pairs[i]);
    }
    for (size_t i = 0; i < n; i++) {
        section_add(&s, &s.slots[i]);
        vec_fini(&s.slots[i].given);
    }
    map_free(s.agents);
    map_free(s.workflows);
    return s.doc;
}
