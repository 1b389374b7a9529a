/* normal.c - single values to their normal form: one function for each type of a table. */
#include "base/near.h"
#include "base/units.h"
#include "spec/check.h"
#include "spec/expand.h"
#include <math.h>
#include <string.h>
#include <strings.h>

/* ---- scalars --------------------------------------------------------------- */
static void
unfit(struct check *c, const struct ynode *n, const struct param *p, const char *advice)
{
    AUTO(str_fini) struct str s = STR_INIT;
    expected_add(&s, p);
    if (!advice) {
        check_unfit(c, n, str_c(&s));
        return;
    }
    AUTO(str_fini) struct str found = STR_INIT;
    check_fail(c, n, "'%s' expects %s, found %s; %s", str_c(&c->path), str_c(&s),
               found_text(n, &found), advice);
}

const char *
scalar_resolve(struct check *c, const struct ynode *n, struct str *buf, bool *ret_loose)
{
    *ret_loose = n->style == Y_OUTSIDE;
    if (!expand_has(n->text))
        return n->text;
    str_reset(buf);
    struct err *e = spec_expand(n->text, c->env, buf);
    if (e) {
        AUTO(freep) char *text = err_text(e);
        check_fail(c, n, "'%s': %s", str_c(&c->path), text);
        err_drop(e);
        return NULL;
    }
    *ret_loose = true;
    return str_c(buf);
}

/* What a scalar is: by its style, or, from a variable, by how it reads. */
static struct yscalar
scalar_read(const struct ynode *n, const char *text, bool loose)
{
    return loose ? yaml_scalar_text(text) : yaml_scalar(n);
}

static json_t *OWN
string_check(struct check *c, const struct ynode *n, const struct param *p)
{
    const enum ytype type = n->kind == Y_SCALAR ? yaml_scalar(n).type : YT_NULL;
    const bool plain = type != YT_STRING && type != YT_NULL;
    if (plain && !(p->flags & PARAM_PLAIN)) {
        AUTO(freep) char *advice = xasprintf("quote it: \"%.40s\"", n->text);
        unfit(c, n, p, advice);
        return NULL;
    }
    if (type == YT_NULL) {
        unfit(c, n, p, NULL);
        return NULL;
    }
    if ((p->flags & PARAM_NONEMPTY) && !n->count) {
        check_fail(c, n, "'%s' is empty", str_c(&c->path));
        return NULL;
    }
    check_variables(c, n, true);
    if (p->type == P_TEXT)
        check_template(c, n);
    return json_stringn_nocheck(n->text, n->count);
}

static json_t *OWN
cond_check(struct check *c, const struct ynode *n, const struct param *p)
{
    const struct yscalar v = yaml_scalar(n);
    if (n->kind == Y_SCALAR && v.type == YT_BOOL)
        return json_string(v.b ? "true" : "false");
    if (n->kind != Y_SCALAR || v.type != YT_STRING) {
        unfit(c, n, p, NULL);
        return NULL;
    }
    check_condition(c, n);
    return json_stringn_nocheck(n->text, n->count);
}

static bool
bool_loose(const char *s, bool *ret)
{
    static const char *const words[] = {"false", "true", "0", "1", "no", "yes", "off", "on"};
    for (size_t i = 0; i < COUNT(words); i++) {
        if (strcasecmp(s, words[i]) == 0) {
            *ret = i & 1;
            return true;
        }
    }
    return false;
}

static const char *
bool_advice(const struct ynode *n, char advice[80])
{
    bool b;
    if (n->kind != Y_SCALAR || n->count > 5 || !bool_loose(n->text, &b))
        return NULL;
    if (n->style == Y_PLAIN && !strchr("01tTfF", n->text[0]))
        snprintf(advice, 80, "'%s' is a text in YAML 1.2, write %s", n->text, b ? "true" : "false");
    else
        snprintf(advice, 80, "write %s without quotes", b ? "true" : "false");
    return advice;
}

static json_t *OWN
bool_check(struct check *c, const struct ynode *n, const struct param *p)
{
    AUTO(str_fini) struct str buf = STR_INIT;
    bool loose, b;
    char advice[80];
    const char *text = n->kind == Y_SCALAR ? scalar_resolve(c, n, &buf, &loose) : "";
    if (!text)
        return NULL;
    if (n->kind == Y_SCALAR) {
        const struct yscalar v = scalar_read(n, text, loose);
        if (v.type == YT_BOOL)
            return json_boolean(v.b);
        if (loose && bool_loose(text, &b))
            return json_boolean(b);
    }
    unfit(c, n, p, bool_advice(n, advice));
    return NULL;
}

static bool
in_range(const struct param *p, double x)
{
    return (p->min == 0 && p->max == 0) || (x >= p->min && x <= p->max);
}

static const char *
number_advice(const struct ynode *n)
{
    if (n->kind != Y_SCALAR || n->style == Y_PLAIN)
        return NULL;
    const enum ytype t = yaml_scalar_text(n->text).type;
    return t == YT_INT || t == YT_REAL ? "write it without quotes" : NULL;
}

static json_t *OWN
number_check(struct check *c, const struct ynode *n, const struct param *p)
{
    AUTO(str_fini) struct str buf = STR_INIT;
    bool loose;
    const char *text = n->kind == Y_SCALAR ? scalar_resolve(c, n, &buf, &loose) : "";
    if (!text)
        return NULL;
    if (n->kind == Y_SCALAR) {
        const struct yscalar v = scalar_read(n, text, loose);
        const bool whole =
            v.type == YT_INT || (v.type == YT_REAL && v.d == rint(v.d) && fabs(v.d) < 9e15);
        const double x = v.type == YT_INT ? (double)v.i : v.d;
        if ((v.type == YT_INT || v.type == YT_REAL) && in_range(p, x)) {
            if (p->type == P_INT && whole)
                return json_integer(v.type == YT_INT ? v.i : (json_int_t)v.d);
            if (p->type == P_NUMBER)
                return v.type == YT_INT ? json_integer(v.i) : json_real(v.d);
        }
    }
    unfit(c, n, p, number_advice(n));
    return NULL;
}

static json_t *OWN
unit_check(struct check *c, const struct ynode *n, const struct param *p)
{
    AUTO(str_fini) struct str buf = STR_INIT;
    bool loose;
    int64_t x;
    const char *text = n->kind == Y_SCALAR ? scalar_resolve(c, n, &buf, &loose) : "";
    if (!text)
        return NULL;
    if (n->kind == Y_SCALAR &&
        (p->type == P_DURATION ? duration_parse(text, &x) : size_parse(text, &x)))
        return json_integer(x);
    unfit(c, n, p, NULL);
    return NULL;
}

static json_t *OWN
enum_check(struct check *c, const struct ynode *n, const struct param *p)
{
    AUTO(str_fini) struct str buf = STR_INIT;
    bool loose;
    if (n->kind != Y_SCALAR || yaml_scalar(n).type == YT_NULL) {
        unfit(c, n, p, NULL);
        return NULL;
    }
    const char *text = scalar_resolve(c, n, &buf, &loose);
    if (!text)
        return NULL;
    struct near near = NEAR_INIT(text);
    for (size_t i = 0; p->choices[i]; i++) {
        if (strcmp(p->choices[i], text) == 0)
            return json_string(text);
        near_offer(&near, p->choices[i]);
    }
    if (near.best)
        check_fail(c, n, "'%s': unknown value '%.60s' (did you mean '%s'?)", str_c(&c->path), text,
                   near.best);
    else
        unfit(c, n, p, NULL);
    return NULL;
}

static json_t *OWN
ref_check(struct check *c, const struct ynode *n, const struct param *p)
{
    AUTO(str_fini) struct str buf = STR_INIT;
    bool loose;
    const enum ytype type = n->kind == Y_SCALAR ? yaml_scalar(n).type : YT_NULL;
    if ((type != YT_STRING && type != YT_INT) || !n->count) {
        unfit(c, n, p, NULL);
        return NULL;
    }
    const char *text = scalar_resolve(c, n, &buf, &loose);
    if (!text)
        return NULL;
    const char *where = str_c(&c->where);
    const struct pending one = {
        .ref = p->ref,
        .name = arena_strdup(c->arena, text),
        .where = arena_printf(c->arena, "%s%s'%s'", where, *where ? ": " : "", str_c(&c->path)),
        .node = n};
    vec_push(&c->refs, one);
    return json_string(text);
}

/* ---- values kept as written ------------------------------------------------ */
static void
strings_check(struct check *c, const struct ynode *n, bool templates)
{
    for (unsigned i = 0; n->kind != Y_SCALAR && i < n->count; i++) {
        const bool map = n->kind == Y_MAP;
        const struct ynode *item = map ? n->pairs[i].value : n->items[i];
        const struct mark m = {c->path.len, c->pointer.len};
        if (map)
            str_addf(&c->path, "%s%.60s", c->path.len ? "." : "", n->pairs[i].key->text);
        else
            str_addf(&c->path, "[%u]", i + 1);
        strings_check(c, item, templates);
        check_up(c, m);
    }
    if (n->kind != Y_SCALAR || yaml_scalar(n).type != YT_STRING)
        return;
    check_variables(c, n, false);
    if (templates)
        check_template(c, n);
}

static json_t *OWN
any_check(struct check *c, const struct ynode *n, const struct param *p)
{
    json_t *j;
    struct err *e = yaml_to_json(n, &j);
    if (e) {
        AUTO(freep) char *text = err_text(e), *whole = xasprintf("'%s': %s", str_c(&c->path), text);
        check_fail_at(c, n->file ? n->file->index : 0, err_pos(e), ERR_INVALID, whole);
        err_drop(e);
        return NULL;
    }
    if (p->type == P_SCHEMA)
        check_schema(c, n, j);
    else
        strings_check(c, n, p->type == P_VALUE);
    return j;
}

static json_t *OWN
schema_check_value(struct check *c, const struct ynode *n, const struct param *p)
{
    if (n->kind == Y_MAP || (n->kind == Y_SCALAR && yaml_scalar(n).type == YT_BOOL))
        return any_check(c, n, p);
    unfit(c, n, p, NULL);
    return NULL;
}

/* ---- containers ------------------------------------------------------------ */
static void
item_add(struct check *c, const struct ynode *n, const struct param *item, json_t *list)
{
    const struct place place = {NULL, n};
    const struct mark m = check_down(c, NULL, NULL, json_array_size(list), place);
    json_t *j = check_value(c, n, item);
    check_up(c, m);
    json_array_append_new(list, j ? j : json_null()); /* keeps the positions of what follows */
}

static json_t *OWN
list_check(struct check *c, const struct ynode *n, const struct param *p)
{
    if (n->kind != Y_LIST && !(p->flags & PARAM_ONE)) {
        unfit(c, n, p, n->kind == Y_SCALAR && n->count ? "write it as [...]" : NULL);
        return NULL;
    }
    if (n->kind == Y_LIST && !n->count && (p->flags & PARAM_NONEMPTY)) {
        check_fail(c, n, "'%s' is empty", str_c(&c->path));
        return NULL;
    }
    json_t *list = json_array();
    if (n->kind != Y_LIST)
        item_add(c, n, p->fields, list);
    for (unsigned i = 0; n->kind == Y_LIST && i < n->count; i++)
        item_add(c, n->items[i], p->fields, list);
    return list;
}

static json_t *OWN
map_check(struct check *c, const struct ynode *n, const struct param *p)
{
    return check_map(c, &n, 1, p);
}

static json_t *OWN
object_check(struct check *c, const struct ynode *n, const struct param *p)
{
    if (n->kind != Y_MAP) {
        unfit(c, n, p, NULL);
        return NULL;
    }
    json_t *j = json_object();
    check_object(c, &(struct object){.maps = &n, .nmaps = 1, .tables = {p->fields}}, j);
    return j;
}

/* ---- one of several -------------------------------------------------------- */
static bool
text_fits(const struct param *p, const char *text)
{
    if (p->type == P_ENUM) {
        for (size_t i = 0; p->choices[i]; i++) {
            if (strcmp(p->choices[i], text) == 0)
                return true;
        }
        return false;
    }
    int64_t x;
    if (p->type == P_DURATION)
        return duration_parse(text, &x);
    if (p->type == P_SIZE)
        return size_parse(text, &x);
    return p->type == P_STRING || p->type == P_TEXT || p->type == P_COND || p->type == P_PATH ||
           p->type == P_REF;
}

static bool
fits(const struct ynode *n, const struct param *p)
{
    if (p->type == P_VALUE || p->type == P_ANY)
        return true;
    if (n->kind == Y_LIST)
        return p->type == P_LIST || p->type == P_NODES || p->type == P_MAP;
    if (n->kind == Y_MAP)
        return p->type == P_OBJECT || p->type == P_MAP || p->type == P_SCHEMA || p->type == P_NODE;
    switch (yaml_scalar(n).type) {
    case YT_BOOL:
        return p->type == P_BOOL || p->type == P_COND || p->type == P_SCHEMA ||
               (p->flags & PARAM_PLAIN) || (p->type == P_ENUM && text_fits(p, n->text));
    case YT_INT:
    case YT_REAL:
    case YT_SPECIAL:
        return p->type == P_INT || p->type == P_NUMBER || p->type == P_DURATION ||
               p->type == P_SIZE || (p->flags & PARAM_PLAIN);
    case YT_STRING:
        return text_fits(p, n->text);
    default:
        return false;
    }
}

static json_t *OWN
one_of_check(struct check *c, const struct ynode *n, const struct param *p)
{
    const struct param *last_kind = NULL; /* right YAML type, wrong value: its message is better */
    for (const struct param *a = p->fields; a->name; a++) {
        if (fits(n, a))
            return check_value(c, n, a);
        if (n->kind == Y_SCALAR && (a->type == P_ENUM || a->type == P_DURATION))
            last_kind = a;
    }
    const bool text = n->kind == Y_SCALAR && yaml_scalar(n).type == YT_STRING;
    if (text && (expand_has(n->text) || (last_kind && last_kind->type == P_ENUM)))
        return check_value(c, n, last_kind ? last_kind : p->fields);
    unfit(c, n, p, NULL);
    return NULL;
}

static json_t *OWN
nodes_check(struct check *c, const struct ynode *n, const struct param *p)
{
    if (n->kind == Y_SCALAR) {
        unfit(c, n, p, NULL);
        return NULL;
    }
    if (!n->count && (p->flags & PARAM_NONEMPTY)) {
        check_fail(c, n, "'%s' is empty", str_c(&c->path));
        return NULL;
    }
    return check_nodes(c, n);
}

static json_t *OWN
node_check(struct check *c, const struct ynode *n, const struct param *p)
{
    if (n->kind != Y_MAP) {
        unfit(c, n, p, NULL);
        return NULL;
    }
    return check_entry(c, &(struct entry){.role = ROLE_NODE, .maps = &n, .nmaps = 1});
}

json_t *
check_value(struct check *c, const struct ynode *n, const struct param *p)
{
    static json_t *(*const checks[P_TYPES])(struct check *, const struct ynode *,
                                            const struct param *) = {
        [P_STRING] = string_check, [P_TEXT] = string_check, [P_COND] = cond_check,
        [P_VALUE] = any_check,     [P_ANY] = any_check,     [P_SCHEMA] = schema_check_value,
        [P_BOOL] = bool_check,     [P_INT] = number_check,  [P_NUMBER] = number_check,
        [P_DURATION] = unit_check, [P_SIZE] = unit_check,   [P_ENUM] = enum_check,
        [P_REF] = ref_check,       [P_LIST] = list_check,   [P_MAP] = map_check,
        [P_OBJECT] = object_check, [P_PATH] = string_check, [P_ONE_OF] = one_of_check,
        [P_NODES] = nodes_check,   [P_NODE] = node_check};
    const bool null = n->kind == Y_SCALAR && yaml_scalar(n).type == YT_NULL;
    if (null && (p->flags & PARAM_NULL))
        return NULL;
    return checks[p->type](c, n, p);
}
