/* object.c - maps: their keys in both spellings, required ones, and maps from names to things. */
#include "base/near.h"
#include "spec/check.h"
#include <ctype.h>
#include <string.h>

/* maxTokens -> max_tokens, serverURL -> server_url: a capital begins a word unless it follows a
 * capital and is not followed by a small letter. */
void
snake_case(const char *key, struct str *to)
{
    str_reset(to);
    for (size_t i = 0; key[i]; i++) {
        const bool upper = isupper((unsigned char)key[i]);
        const bool after_upper = i && isupper((unsigned char)key[i - 1]);
        const bool before_lower = islower((unsigned char)key[i + 1]);
        if (upper && i && key[i - 1] != '_' && (!after_upper || before_lower))
            str_addc(to, '_');
        str_addc(to, (char)tolower((unsigned char)key[i]));
    }
}

static bool
is_named(const struct param *p, const char *key)
{
    if (strcmp(p->name, key) == 0)
        return true;
    for (const char *const *a = p->also; a && *a; a++) {
        if (strcmp(*a, key) == 0)
            return true;
    }
    return false;
}

static const struct param *
field_exact(const struct param *const *tables, const char *key)
{
    for (; *tables; tables++) {
        for (const struct param *p = *tables; p->name; p++) {
            if (is_named(p, key))
                return p;
        }
    }
    return NULL;
}

const struct param *
field_find(const struct param *const *tables, const char *key)
{
    const struct param *p = field_exact(tables, key);
    if (p || strlen(key) > 64 || !islower((unsigned char)key[0]) || strchr(key, '_'))
        return p;
    AUTO(str_fini) struct str snake = STR_INIT;
    snake_case(key, &snake);
    return strcmp(str_c(&snake), key) == 0 ? NULL : field_exact(tables, str_c(&snake));
}

struct seen_key {
    const char *name; /* canonical */
    const struct ynode *key;
};

struct members { /* a map while its pairs are taken in */
    struct check *c;
    const struct object *o;
    json_t *to;
    VEC(struct seen_key) seen;
};

static const struct seen_key *
seen_find(const struct members *m, const char *name)
{
    for (size_t i = 0; i < m->seen.len; i++) {
        if (strcmp(m->seen.at[i].name, name) == 0)
            return &m->seen.at[i];
    }
    return NULL;
}

static void
unknown_key(struct members *m, const struct ynode *key)
{
    struct check *c = m->c;
    AUTO(str_fini) struct str snake = STR_INIT;
    if (problems_full(&c->problems)) {
        c->problems.total++;
        return;
    }
    snake_case(key->text, &snake);
    struct near near = NEAR_INIT(str_c(&snake));
    for (const struct param *const *t = m->o->tables; *t; t++) {
        for (const struct param *p = *t; p->name; p++) {
            near_offer(&near, p->name);
            for (const char *const *a = p->also; a && *a; a++)
                near_offer(&near, *a);
        }
    }
    AUTO(freep) char *in = c->path.len ? xasprintf("'%s': ", str_c(&c->path)) : xstrdup("");
    const char *hint = m->o->hint ? m->o->hint(c, str_c(&snake)) : NULL;
    if (near.best && near.distance <= 1)
        hint = NULL;
    if (hint)
        check_fail(c, key, "%sunknown key '%.60s'; %s", in, key->text, hint);
    else if (near.best)
        check_fail(c, key, "%sunknown key '%.60s' (did you mean '%s'?)", in, key->text, near.best);
    else
        check_fail(c, key, "%sunknown key '%.60s'", in, key->text);
}

static bool
is_skipped(const struct object *o, const char *canonical)
{
    for (size_t i = 0; i < COUNT(o->skip) && o->skip[i]; i++) {
        if (strcmp(o->skip[i], canonical) == 0)
            return true;
    }
    return false;
}

static void
member_add(struct members *m, const struct ypair *pair)
{
    struct check *c = m->c;
    if (is_skipped(m->o, pair->key->text))
        return;
    const struct param *p = field_find(m->o->tables, pair->key->text);
    if (!p) {
        if (!m->o->lax)
            unknown_key(m, pair->key);
        return;
    }
    if (is_skipped(m->o, p->name))
        return;
    const struct seen_key *first = seen_find(m, p->name);
    if (first) {
        AUTO(freep) char *at = pos_text(first->key, pair->key);
        if (strcmp(first->key->text, pair->key->text) == 0)
            check_fail(c, pair->key, "duplicate key '%.60s', first at %s", pair->key->text, at);
        else
            check_fail(c, pair->key, "'%.60s' is the same key as '%.60s' at %s", pair->key->text,
                       first->key->text, at);
        return;
    }
    const struct seen_key one = {p->name, pair->key};
    vec_push(&m->seen, one);
    const struct place place = {pair->key, pair->value};
    const struct mark mark = check_down(c, pair->key->text, p->name, 0, place);
    json_t *j = check_value(c, pair->value, p);
    check_up(c, mark);
    if (j)
        json_object_set_new_nocheck(m->to, p->name, j);
}

static void
required_check(struct members *m)
{
    const struct object *o = m->o;
    for (const struct param *const *t = o->tables; *t; t++) {
        for (const struct param *p = *t; p->name; p++) {
            if (!(p->flags & PARAM_REQUIRED) || is_skipped(o, p->name) || seen_find(m, p->name))
                continue;
            struct check *c = m->c;
            AUTO(freep) char *in = c->path.len ? xasprintf("'%s': ", str_c(&c->path)) : xstrdup("");
            check_fail(c, o->at ? o->at : o->maps[0], "%s'%s' is missing", in, p->name);
        }
    }
}

void
check_object(struct check *c, const struct object *o, json_t *to)
{
    struct members m = {.c = c, .o = o, .to = to};
    for (size_t i = 0; i < o->nmaps; i++) {
        for (unsigned k = 0; k < o->maps[i]->count; k++)
            member_add(&m, &o->maps[i]->pairs[k]);
    }
    if (!o->lax)
        required_check(&m);
    vec_fini(&m.seen);
}

/* ---- names to things ------------------------------------------------------- */
struct naming { /* a map from names under construction */
    struct check *c;
    const struct param *item;
    json_t *to;
    struct map *first; /* name -> struct ynode: where it was given */
};

static json_t *OWN
named_value(struct naming *g, const struct ynode *value, const char *name_key)
{
    const struct param *item = g->item;
    if (item->type != P_OBJECT || value->kind != Y_MAP)
        return check_value(g->c, value, item);
    json_t *j = json_object();
    check_object(
        g->c,
        &(struct object){
            .maps = &value, .nmaps = 1, .tables = {item->fields}, .skip = {name_key}, .at = value},
        j);
    return j;
}

/* Entries of a whole section are told by name ("profile 'x'"), small maps by path ("env.X"). */
static bool
is_section(const struct check *c)
{
    return !c->where.len && !strchr(str_c(&c->path), '.') && !strchr(str_c(&c->path), '[');
}

static void
naming_add(struct naming *g, const struct ynode *key, const struct ynode *value,
           const char *name_key)
{
    struct check *c = g->c;
    const struct ynode *first = map_get(g->first, key->text);
    if (first) {
        AUTO(freep) char *at = pos_text(first, key);
        check_fail(c, key, "%s '%.60s' is already defined at %s", g->item->name, key->text, at);
        return;
    }
    uintptr_t stored = (uintptr_t)key;
    map_put(g->first, key->text, (void *)stored);
    const struct place place = {key, value};
    const bool section = is_section(c) && g->item->type == P_OBJECT;
    const struct mark m = check_down(c, key->text, key->text, 0, place);
    struct saved s = {0};
    if (section)
        s = check_enter(c, g->item->name, key->text);
    json_t *j = named_value(g, value, name_key);
    if (section)
        check_leave(c, s);
    check_up(c, m);
    /* A name counts as given although its definition is wrong: no second error for its users. */
    json_object_set_new_nocheck(g->to, key->text, j ? j : json_object());
}

static void
naming_add_item(struct naming *g, const struct ynode *n, unsigned i)
{
    struct check *c = g->c;
    const char *name_key = yaml_get(n, "name") ? "name" : "id";
    const struct ynode *name = yaml_get(n, name_key);
    if (n->kind != Y_MAP || !name || name->kind != Y_SCALAR || !name->count) {
        check_fail(c, n, "'%s[%u]' must be a map with a 'name'", str_c(&c->path), i + 1);
        return;
    }
    naming_add(g, name, n, name_key);
}

json_t *
check_map(struct check *c, const struct ynode *const *nodes, size_t n, const struct param *p)
{
    struct naming g = {.c = c, .item = p->fields, .to = json_object(), .first = map_new()};
    for (size_t k = 0; k < n; k++) {
        const struct ynode *node = nodes[k];
        if (node->kind == Y_SCALAR) {
            AUTO(str_fini) struct str expected = STR_INIT;
            expected_add(&expected, p);
            check_unfit(c, node, str_c(&expected));
        }
        if (node->kind != Y_SCALAR && !node->count && (p->flags & PARAM_NONEMPTY))
            check_fail(c, node, "'%s' is empty", str_c(&c->path));
        for (unsigned i = 0; node->kind != Y_SCALAR && i < node->count; i++) {
            if (node->kind == Y_MAP)
                naming_add(&g, node->pairs[i].key, node->pairs[i].value, NULL);
            else
                naming_add_item(&g, node->items[i], i);
        }
    }
    map_free(g.first);
    return g.to;
}
