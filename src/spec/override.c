/* override.c - settings from the environment.
 *
 * MAX_CONCURRENCY and its like set what the file leaves out; TUTTI_SECTION__KEY (and deeper:
 * TUTTI_PROFILES__FAST__MODEL) wins over the file. A part of a name stands for any key or entry
 * that reads the same in capitals with '_' for what is no letter or digit. */
#include "base/near.h"
#include "spec/load.h"
#include "spec/tables.h"
#include <ctype.h>
#include <string.h>

#define VARIABLES_MAX 10000 /* of the environment that are looked at */

static struct ynode *
outside_node(struct check *c, const char *variable, const char *value)
{
    struct ynode *n = arena_make(c->arena, struct ynode);
    *n = (struct ynode){.kind = Y_SCALAR, .style = Y_OUTSIDE, .height = 1, .weight = 1};
    n->origin = variable;
    n->text = arena_strdup(c->arena, value);
    n->count = (unsigned)strlen(value);
    return n;
}

static void
value_set(struct check *c, json_t *to, const struct param *p, const char *variable,
          const char *value)
{
    const struct saved s = check_enter(c, "environment variable", variable);
    const struct place nowhere = {0};
    const struct mark m = check_down(c, p->name, p->name, 0, nowhere);
    if (utf8_valid(value, strlen(value)) && strlen(value) <= 65536) {
        json_t *j = check_value(c, outside_node(c, variable, value), p);
        if (j)
            json_object_set_new(to, p->name, j);
    }
    check_up(c, m);
    check_leave(c, s);
}

/* ---- the variables of seeds: they lose to the file ------------------------- */
static void
defaults_apply(struct check *c, json_t *doc)
{
    const struct param *const tables[] = {spec_setting_params, NULL};
    for (const struct setting_env *v = spec_setting_env; v->variable; v++) {
        const char *value = c->env->get ? c->env->get(c->env->ctx, v->variable) : NULL;
        if (!value || !*value || json_object_get(json_object_get(doc, "settings"), v->key))
            continue;
        if (!json_object_get(doc, "settings"))
            json_object_set_new(doc, "settings", json_object());
        value_set(c, json_object_get(doc, "settings"), field_find(tables, v->key), v->variable,
                  value);
    }
}

/* ---- TUTTI_SECTION__KEY: they win over the file ---------------------------- */
static bool
reads_as(const char *part, size_t len, const char *name)
{
    for (size_t i = 0; i < len; i++) {
        const unsigned char ch = (unsigned char)name[i];
        if (!ch || part[i] != (isalnum(ch) ? toupper(ch) : '_'))
            return false;
    }
    return name[len] == '\0';
}

static const struct param *
table_find(const struct param *table, const char *part, size_t len)
{
    for (; table && table->name; table++) {
        if (reads_as(part, len, table->name))
            return table;
    }
    return NULL;
}

struct walk_env { /* going down the document by the parts of a name */
    struct check *c;
    const char *variable, *part, *value;
    size_t len; /* of this part */
    json_t *at;
};

static bool
part_next(struct walk_env *w)
{
    const char *next = strstr(w->part + w->len, "__");
    if (w->part[w->len] == '\0' || next != w->part + w->len)
        return false;
    w->part = next + 2;
    next = strstr(w->part, "__");
    w->len = next ? (size_t)(next - w->part) : strlen(w->part);
    return w->len > 0;
}

static void
tell(struct walk_env *w, struct problems *to, const char *what)
{
    problems_add(to, 0,
                 FAIL(ERR_INVALID, "environment variable '%.100s': there is no %s '%.*s'",
                      w->variable, what, (int)MIN(w->len, 60), w->part));
}

/* The entry of a map or section that the part means. */
static bool
entry_down(struct walk_env *w)
{
    const char *name;
    json_t *value;
    json_object_foreach (w->at, name, value) {
        if (reads_as(w->part, w->len, name)) {
            w->at = value;
            return true;
        }
    }
    return false;
}

static void
key_set(struct walk_env *w, const struct param *const tables[])
{
    const struct param *p = NULL;
    for (size_t i = 0; !p && tables[i]; i++)
        p = table_find(tables[i], w->part, w->len);
    if (!p) {
        tell(w, &w->c->problems, "key");
        return;
    }
    if (w->part[w->len] == '\0') {
        value_set(w->c, w->at, p, w->variable, w->value);
        return;
    }
    json_t *below = json_object_get(w->at, p->name);
    if (p->type != P_OBJECT || !part_next(w)) {
        tell(w, &w->c->problems, "key");
        return;
    }
    if (!below) {
        below = json_object();
        json_object_set_new(w->at, p->name, below);
    }
    w->at = below;
    key_set(w, (const struct param *const[]){p->fields, NULL});
}

static void
entry_key_set(struct walk_env *w, const struct param *section)
{
    const struct param *tables[4] = {section->fields ? section->fields->fields : NULL};
    const char *what = section->fields ? section->fields->name : "entry";
    if (!part_next(w) || !entry_down(w)) {
        tell(w, &w->c->warnings, what); /* set for another configuration, perhaps */
        return;
    }
    if (!section->fields) {
        const bool agent = strcmp(section->name, "agents") == 0;
        const struct kind *const *kinds = agent ? w->c->tables->agents : w->c->tables->workflows;
        const struct kind *k =
            kind_find(kinds, json_str(w->at, "type", ""), agent ? ROLE_AGENT : ROLE_WORKFLOW);
        size_t n = 0;
        if (k && k->params)
            tables[n++] = k->params;
        tables[n++] = agent ? spec_agent_params : spec_workflow_params;
    }
    if (part_next(w) && tables[0])
        key_set(w, tables);
}

static void
override_one(struct check *c, json_t *doc, const char *variable, const char *value)
{
    struct walk_env w = {.c = c, .variable = variable, .value = value, .part = variable + 6};
    const char *end = strstr(w.part, "__");
    w.len = (size_t)(end - w.part);
    const struct param *section = table_find(spec_top_params, w.part, w.len);
    if (!section) {
        tell(&w, &c->warnings, "section");
        return;
    }
    w.at = json_object_get(doc, section->name);
    if (section->type == P_OBJECT) {
        if (!w.at) {
            w.at = json_object();
            json_object_set_new(doc, section->name, w.at);
        }
        if (part_next(&w))
            key_set(&w, (const struct param *const[]){section->fields, NULL});
        else
            tell(&w, &c->problems, "key");
    } else if (section->type == P_MAP || section->type == P_ANY) {
        entry_key_set(&w, section);
    } else {
        tell(&w, &c->warnings, "section");
    }
}

void
override_apply(struct check *c, json_t *doc)
{
    if (!c->env)
        return;
    defaults_apply(c, doc);
    for (size_t i = 0; c->env->at && i < VARIABLES_MAX; i++) {
        const char *pair = c->env->at(c->env->ctx, i);
        if (!pair)
            break;
        const char *eq = strchr(pair, '=');
        if (!eq || !str_starts(pair, "TUTTI_"))
            continue;
        const char *name = arena_strndup(c->arena, pair, (size_t)(eq - pair));
        if (strstr(name + 6, "__") && name[6] != '_')
            override_one(c, doc, name, eq + 1);
    }
}
