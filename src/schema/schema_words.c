/* schema_words.c - the table of keywords, and how each reads its value. */
#include "schema/schema_checks.h"
#include "schema/schema_format.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- subschemas ------------------------------------------------------------------------------*/

static struct err *
parse_one(struct loader *l, struct node *n, struct word *w)
{
    return node_make(l, n, w, &w->node);
}

static struct err *
parse_list(struct loader *l, struct node *n, struct word *w)
{
    if (!json_is_array(w->value))
        return word_fail(n, w, "expected an array of schemas");
    w->len = json_array_size(w->value);
    w->nodes = arena_array(loader_arena(l), struct node *, w->len);
    for (size_t i = 0; i < w->len; i++)
        PASS(node_make_at(l, n, w, i, &w->nodes[i]));
    return NULL;
}

static struct err *
parse_choices(struct loader *l, struct node *n, struct word *w)
{
    if (json_is_array(w->value) && !json_array_size(w->value))
        return word_fail(n, w, "the array is empty; give at least one schema");
    return parse_list(l, n, w);
}

static void
names_reserve(struct loader *l, struct word *w, size_t len)
{
    w->names = arena_array(loader_arena(l), const char *, len);
    w->nodes = arena_array(loader_arena(l), struct node *, len);
}

static struct err *
parse_named(struct loader *l, struct node *n, struct word *w)
{
    if (!json_is_object(w->value))
        return word_fail(n, w, "expected an object of schemas");
    names_reserve(l, w, json_object_size(w->value));
    const char *key;
    json_t *sub;
    json_object_foreach ((json_t *)(uintptr_t)w->value, key, sub) {
        w->names[w->len] = key;
        PASS(node_make_named(l, n, w, key, &w->nodes[w->len++]));
    }
    return NULL;
}

static void
regex_freer(void *r)
{
    regex_free(r);
}

static struct err *
regex_add(struct loader *l, const struct node *n, const struct word *w, const char *text,
          struct regex **ret)
{
    size_t len = strlen(text);
    if (len > SCHEMA_PATTERN_MAX)
        return word_fail(n, w, "the pattern is longer than %d bytes", SCHEMA_PATTERN_MAX);
    struct err *e = regex_compile(text, len, false, ret);
    if (e) {
        AUTO(freep) char *why = err_text(e);
        err_drop(e);
        return word_fail(n, w, "bad pattern '%s': %s", text, why);
    }
    arena_defer(loader_arena(l), regex_freer, *ret);
    return NULL;
}

static struct err *
parse_patterns(struct loader *l, struct node *n, struct word *w)
{
    PASS(parse_named(l, n, w));
    w->regexes = arena_array(loader_arena(l), struct regex *, w->len);
    for (size_t i = 0; i < w->len; i++)
        PASS(regex_add(l, n, w, w->names[i], &w->regexes[i]));
    return NULL;
}

/* One schema; up to 2019-09 also an array of them, which 2020-12 calls prefixItems. */
static struct err *
parse_items(struct loader *l, struct node *n, struct word *w)
{
    const struct dialect *d = &n->res->dialect;
    if (!json_is_array(w->value))
        return parse_one(l, n, w);
    if (d->draft == DRAFT_2020 && !d->undeclared)
        return word_fail(n, w, "expected one schema; 2020-12 has prefixItems for an array of them");
    PASS(parse_list(l, n, w));
    n->prefix = w;
    return NULL;
}

static struct err *
parse_prefix(struct loader *l, struct node *n, struct word *w)
{
    PASS(parse_choices(l, n, w));
    n->prefix = w;
    return NULL;
}

/* Means something beside the array form of items only. */
static struct err *
parse_additional_items(struct loader *l, struct node *n, struct word *w)
{
    bool follows = n->prefix && strcmp(n->prefix->def->name, "items") == 0;
    if (n->res->dialect.draft == DRAFT_2020 && !follows) {
        w->def = NULL;
        return NULL;
    }
    PASS(parse_one(l, n, w));
    if (!follows)
        w->def = NULL;
    return NULL;
}

/* ---- names and numbers -----------------------------------------------------------------------*/

static struct err *
names_check(const struct node *n, const struct word *w, const json_t *list)
{
    if (!json_is_array(list))
        return word_fail(n, w, "expected an array of property names");
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!json_is_string(json_array_get(list, i)))
            return word_fail(n, w, "expected property names, element %zu is not a string", i);
    }
    return NULL;
}

static struct err *
parse_required(struct loader *l, struct node *n, struct word *w)
{
    PASS(names_check(n, w, w->value));
    w->names = arena_array(loader_arena(l), const char *, json_array_size(w->value));
    for (; w->len < json_array_size(w->value); w->len++)
        w->names[w->len] = json_string_value(json_array_get(w->value, w->len));
    return NULL;
}

/* Of dependencies and dependentRequired: a member with a node or, where that is NULL, names. */
static struct err *
parse_dependencies(struct loader *l, struct node *n, struct word *w)
{
    if (!json_is_object(w->value))
        return word_fail(n, w, "expected an object");
    bool names_only = strcmp(w->def->name, "dependentRequired") == 0;
    bool both = strcmp(w->def->name, "dependencies") == 0;
    names_reserve(l, w, json_object_size(w->value));
    const char *key;
    json_t *sub;
    json_object_foreach ((json_t *)(uintptr_t)w->value, key, sub) {
        w->names[w->len] = key;
        if (names_only || (both && json_is_array(sub)))
            PASS(names_check(n, w, sub));
        else
            PASS(node_make_named(l, n, w, key, &w->nodes[w->len]));
        w->len++;
    }
    return NULL;
}

static struct err *
parse_types(struct loader *l, struct node *n, struct word *w)
{
    (void)l;
    size_t len = json_is_array(w->value) ? json_array_size(w->value) : 1;
    if (!len)
        return word_fail(n, w, "expected at least one type");
    for (size_t i = 0; i < len; i++) {
        const json_t *name = json_is_array(w->value) ? json_array_get(w->value, i) : w->value;
        unsigned bit = 0;
        if (!json_is_string(name))
            return word_fail(n, w, "expected the name of a type or an array of names");
        if (!types_parse(json_string_value(name), &bit)) {
            const char *near = types_near(json_string_value(name));
            return word_fail(n, w, "unknown type '%s'%s%s%s", json_string_value(name),
                             near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
        }
        w->types |= bit;
    }
    return NULL;
}

static int
set_compare(const void *a, const void *b)
{
    const struct hashed_value *x = a, *y = b;
    return x->hash < y->hash ? -1 : x->hash > y->hash;
}

static struct err *
parse_enum(struct loader *l, struct node *n, struct word *w)
{
    if (!json_is_array(w->value))
        return word_fail(n, w, "expected an array of values");
    w->len = json_array_size(w->value);
    w->set = arena_array(loader_arena(l), struct hashed_value, w->len);
    int64_t left = SCHEMA_STEPS_MAX; /* documents are smaller than that: SCHEMA_VALUES_MAX */
    for (size_t i = 0; i < w->len; i++) {
        const json_t *v = json_array_get(w->value, i);
        w->set[i] = (struct hashed_value){value_hash(v, &left), v};
    }
    if (left < 0)
        return word_fail(n, w, "too large");
    qsort(w->set, w->len, sizeof *w->set, set_compare);
    return NULL;
}

static struct err *
parse_any(struct loader *l, struct node *n, struct word *w)
{
    (void)l, (void)n, (void)w;
    return NULL;
}

static struct err *
parse_number(struct loader *l, struct node *n, struct word *w)
{
    (void)l;
    return json_is_number(w->value) ? NULL : word_fail(n, w, "expected a number");
}

static struct err *
parse_exclusive(struct loader *l, struct node *n, struct word *w)
{
    if (!json_is_boolean(w->value) || !n->res->dialect.undeclared)
        return parse_number(l, n, w);
    w->def = NULL; /* the older flag, which minimum and maximum look at */
    return NULL;
}

static struct err *
parse_multiple(struct loader *l, struct node *n, struct word *w)
{
    PASS(parse_number(l, n, w));
    return json_number_value(w->value) > 0 ? NULL : word_fail(n, w, "expected more than 0");
}

static struct err *
parse_count(struct loader *l, struct node *n, struct word *w)
{
    (void)l;
    if (!json_is_number(w->value) || !(value_types(w->value) & TYPE_INTEGER) ||
        json_number_value(w->value) < 0)
        return word_fail(n, w, "expected an integer of at least 0");
    double x = json_number_value(w->value);
    w->count = x >= 9e15 ? SIZE_MAX : (size_t)x; /* beyond any value in memory */
    if (strcmp(w->def->name, "minContains") == 0)
        n->contains_min = w;
    if (strcmp(w->def->name, "maxContains") == 0)
        n->contains_max = w;
    return NULL;
}

static struct err *
parse_flag(struct loader *l, struct node *n, struct word *w)
{
    (void)l;
    if (!json_is_boolean(w->value))
        return word_fail(n, w, "expected true or false");
    if (json_is_false(w->value))
        w->def = NULL;
    return NULL;
}

static struct err *
parse_pattern(struct loader *l, struct node *n, struct word *w)
{
    if (!json_is_string(w->value))
        return word_fail(n, w, "expected a regular expression");
    w->regexes = arena_array(loader_arena(l), struct regex *, 1);
    return regex_add(l, n, w, json_string_value(w->value), &w->regexes[0]);
}

static struct err *
parse_format(struct loader *l, struct node *n, struct word *w)
{
    if (!json_is_string(w->value))
        return word_fail(n, w, "expected the name of a format");
    w->format = format_find(json_string_value(w->value));
    if (!w->format || !loader_asserts_formats(l, n))
        w->def = NULL;
    return NULL;
}

static struct err *
parse_ref(struct loader *l, struct node *n, struct word *w)
{
    if (!json_is_string(w->value))
        return word_fail(n, w, "expected a reference such as '#/$defs/name'");
    loader_refer(l, n, w);
    return NULL;
}

/* ---- the words that others ask ---------------------------------------------------------------*/

static void
map_freer(void *m)
{
    map_free(m);
}

static struct err *
parse_properties(struct loader *l, struct node *n, struct word *w)
{
    PASS(parse_named(l, n, w));
    w->by_name = map_new();
    arena_defer(loader_arena(l), map_freer, w->by_name);
    for (size_t i = 0; i < w->len; i++)
        map_put(w->by_name, w->names[i], w->nodes[i]);
    n->properties = w;
    return NULL;
}

static struct err *
parse_pattern_properties(struct loader *l, struct node *n, struct word *w)
{
    PASS(parse_patterns(l, n, w));
    n->patterns = w;
    return NULL;
}

static struct err *
parse_branch(struct loader *l, struct node *n, struct word *w)
{
    PASS(parse_one(l, n, w));
    if (strcmp(w->def->name, "then") == 0)
        n->then = w;
    else
        n->other = w;
    return NULL;
}

static struct err *
parse_unevaluated(struct loader *l, struct node *n, struct word *w)
{
    PASS(parse_one(l, n, w));
    n->unevaluated = true;
    return NULL;
}

/* ---- the table -------------------------------------------------------------------------------*/

#define NUM  TYPE_NUMBER
#define STR  TYPE_STRING
#define ARR  TYPE_ARRAY
#define OBJ  TYPE_OBJECT
#define ANY  TYPE_ALL
#define CORE VOCAB_CORE
#define APP  VOCAB_APPLY
#define VAL  VOCAB_VALIDATE
#define D4   DRAFT_4
#define D6   DRAFT_6
#define D7   DRAFT_7
#define D19  DRAFT_2019
#define D20  DRAFT_2020

const struct keyword schema_keywords[] = {
    /* serve others */
    {"$defs", CORE, D4, D20, 0, parse_named, NULL, false},
    {"definitions", CORE, D4, D20, 0, parse_named, NULL, false},
    {"minContains", VAL, D19, D20, 0, parse_count, NULL, false},
    {"maxContains", VAL, D19, D20, 0, parse_count, NULL, false},
    {"then", APP, D7, D20, 0, parse_branch, NULL, true},
    {"else", APP, D7, D20, 0, parse_branch, NULL, true},
    /* assertions */
    {"type", VAL, D4, D20, ANY, parse_types, check_type, false},
    {"const", VAL, D6, D20, ANY, parse_any, check_const, false},
    {"enum", VAL, D4, D20, ANY, parse_enum, check_enum, false},
    {"minimum", VAL, D4, D20, NUM, parse_number, check_minimum, false},
    {"maximum", VAL, D4, D20, NUM, parse_number, check_maximum, false},
    {"exclusiveMinimum", VAL, D6, D20, NUM, parse_exclusive, check_exclusive_minimum, false},
    {"exclusiveMaximum", VAL, D6, D20, NUM, parse_exclusive, check_exclusive_maximum, false},
    {"multipleOf", VAL, D4, D20, NUM, parse_multiple, check_multiple, false},
    {"minLength", VAL, D4, D20, STR, parse_count, check_length_min, false},
    {"maxLength", VAL, D4, D20, STR, parse_count, check_length_max, false},
    {"pattern", VAL, D4, D20, STR, parse_pattern, check_pattern, false},
    {"format", VOCAB_FORMAT, D4, D20, STR, parse_format, check_format, false},
    {"minItems", VAL, D4, D20, ARR, parse_count, check_items_min, false},
    {"maxItems", VAL, D4, D20, ARR, parse_count, check_items_max, false},
    {"uniqueItems", VAL, D4, D20, ARR, parse_flag, check_items_unique, false},
    {"required", VAL, D4, D20, OBJ, parse_required, check_required, false},
    {"minProperties", VAL, D4, D20, OBJ, parse_count, check_properties_min, false},
    {"maxProperties", VAL, D4, D20, OBJ, parse_count, check_properties_max, false},
    {"dependentRequired", VAL, D19, D20, OBJ, parse_dependencies, check_dependent_required, false},
    /* the same value again */
    {"$ref", CORE, D4, D20, ANY, parse_ref, check_ref, true},
    {"$dynamicRef", CORE, D20, D20, ANY, parse_ref, check_dynamic_ref, false},
    {"$recursiveRef", CORE, D19, D19, ANY, parse_ref, check_recursive_ref, false},
    {"allOf", APP, D4, D20, ANY, parse_choices, check_all_of, true},
    {"anyOf", APP, D4, D20, ANY, parse_choices, check_any_of, true},
    {"oneOf", APP, D4, D20, ANY, parse_choices, check_one_of, true},
    {"not", APP, D4, D20, ANY, parse_one, check_not, true},
    {"if", APP, D7, D20, ANY, parse_one, check_if, true},
    {"dependentSchemas", APP, D19, D20, OBJ, parse_dependencies, check_dependencies, true},
    {"dependencies", APP, D4, D20, OBJ, parse_dependencies, check_dependencies, true},
    /* down into the value */
    {"properties", APP, D4, D20, OBJ, parse_properties, check_properties, false},
    {"patternProperties", APP, D4, D20, OBJ, parse_pattern_properties, check_pattern_properties,
     false},
    {"additionalProperties", APP, D4, D20, OBJ, parse_one, check_additional_properties, false},
    {"propertyNames", APP, D6, D20, OBJ, parse_one, check_property_names, false},
    {"prefixItems", APP, D20, D20, ARR, parse_prefix, check_prefix_items, false},
    {"items", APP, D4, D20, ARR, parse_items, check_items, false},
    {"additionalItems", APP, D4, D20, ARR, parse_additional_items, check_additional_items, false},
    {"contains", APP, D6, D20, ARR, parse_one, check_contains, false},
    /* the rest */
    {"unevaluatedItems", VOCAB_UNEVALUATED, D19, D20, ARR, parse_unevaluated,
     check_unevaluated_items, false},
    {"unevaluatedProperties", VOCAB_UNEVALUATED, D19, D20, OBJ, parse_unevaluated,
     check_unevaluated_properties, false},
};
const size_t schema_keywords_len = COUNT(schema_keywords);
