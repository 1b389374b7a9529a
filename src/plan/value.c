/* value.c - JSON values with templates inside. */
#include "plan/lower.h"
#include <string.h>

#define VALUE_DEPTH_MAX 64

struct value_template {
    const json_t *plain;       /* nothing to fill in below here */
    struct template *template; /* a string */
    bool is_list;
    size_t n;
    const char **keys; /* objects */
    struct value_template **members;
};

static bool
has_templates(const json_t *v, unsigned depth)
{
    const char *key;
    json_t *m;
    size_t i;
    if (json_is_string(v))
        return template_has_braces(json_string_value(v));
    if (depth > VALUE_DEPTH_MAX)
        return true; /* refused below */
    json_object_foreach ((json_t *)(uintptr_t)v, key, m) {
        if (has_templates(m, depth + 1))
            return true;
    }
    json_array_foreach (v, i, m) {
        if (has_templates(m, depth + 1))
            return true;
    }
    return false;
}

static struct value_template *
value_make(struct lowering *l, const json_t *v, const char *pointer, struct node *node,
           unsigned depth)
{
    struct value_template *t = arena_make(l->arena, struct value_template);
    if (!has_templates(v, depth)) {
        t->plain = v;
        return t;
    }
    if (depth > VALUE_DEPTH_MAX) {
        lower_fail(l, lower_pos(l, pointer), "values nested deeper than %d", VALUE_DEPTH_MAX);
        return t;
    }
    if (json_is_string(v)) {
        t->template = lower_template(l, json_string_value(v), pointer, node);
        return t;
    }
    t->is_list = json_is_array(v);
    t->n = t->is_list ? json_array_size(v) : json_object_size(v);
    t->members = (struct value_template **)arena_alloc(l->arena, (t->n + 1) * sizeof *t->members);
    t->keys = (const char **)arena_alloc(l->arena, (t->n + 1) * sizeof *t->keys);
    const char *key;
    json_t *m;
    size_t i = 0;
    json_array_foreach (v, i, m) {
        const char *below = arena_printf(l->arena, "%s/%zu", pointer, i);
        t->members[i] = value_make(l, m, below, node, depth + 1);
    }
    i = 0;
    json_object_foreach ((json_t *)(uintptr_t)v, key, m) {
        const char *below = arena_printf(l->arena, "%s/%s", pointer, key);
        t->keys[i] = arena_strdup(l->arena, key);
        t->members[i++] = value_make(l, m, below, node, depth + 1);
    }
    return t;
}

struct value_template *
value_template_make(struct lowering *l, const json_t *value, const char *pointer, struct node *node)
{
    return value_make(l, value, pointer, node, 0);
}

struct err *
value_template_eval(const struct value_template *v, const struct expr_scope *scope,
                    json_t **ret_json)
{
    if (v->plain) {
        *ret_json = json_incref((json_t *)(uintptr_t)v->plain);
        return NULL;
    }
    if (v->template)
        return template_eval(v->template, scope, ret_json);
    AUTO(json_freep) json_t *made = v->is_list ? json_array() : json_object();
    for (size_t i = 0; i < v->n; i++) {
        json_t *m = NULL;
        PASS(value_template_eval(v->members[i], scope, &m));
        if (v->is_list)
            json_array_append_new(made, m);
        else
            json_object_set_new(made, v->keys[i], m);
    }
    *ret_json = STEAL(made);
    return NULL;
}
