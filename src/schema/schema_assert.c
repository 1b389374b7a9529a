/* schema_assert.c - the keywords that judge a value by itself. Each message says what is wanted and
 * what was found, in words that somebody who has not seen the schema can act on. */
#include "base/near.h"
#include "schema/schema_checks.h"
#include "schema/schema_eval.h"
#include "schema/schema_format.h"
#include <string.h>

#define LISTED_MAX 10 /* values of an enum in a message */

CHECK(type)
{
    (void)n, (void)seen;
    if (w->types & value_types(at->value))
        return true;
    if (!run_notes(r))
        return false;
    struct str text = STR_INIT;
    str_add(&text, "expected ");
    types_describe(&text, w->types);
    str_add(&text, ", found ");
    value_describe(&text, at->value);
    run_note(r, at, "type", w->types, &text);
    return false;
}

CHECK(const)
{
    (void)n, (void)seen;
    if (value_equal(at->value, w->value, &r->left))
        return true;
    if (!run_spend(r, 1) || !run_notes(r))
        return false;
    struct str text = STR_INIT;
    str_add(&text, "expected ");
    value_describe(&text, w->value);
    str_add(&text, ", found ");
    value_describe(&text, at->value);
    run_note(r, at, "const", 0, &text);
    return false;
}

static void
enum_describe(struct str *text, const struct word *w, const json_t *value)
{
    struct near near = NEAR_INIT(json_is_string(value) ? json_string_value(value) : "");
    str_add(text, w->len == 1 ? "expected " : "expected one of ");
    for (size_t i = 0; i < w->len; i++) {
        const json_t *v = json_array_get(w->value, i);
        if (i < LISTED_MAX) {
            str_add(text, i ? ", " : "");
            value_describe(text, v);
        }
        if (i < 256 && json_is_string(v))
            near_offer(&near, json_string_value(v));
    }
    if (w->len > LISTED_MAX)
        str_addf(text, " and %zu more", w->len - LISTED_MAX);
    str_add(text, ", found ");
    value_describe(text, value);
    if (json_is_string(value) && near.best)
        str_addf(text, " (did you mean \"%s\"?)", near.best);
}

CHECK(enum)
{
    (void)n, (void)seen;
    uint64_t hash = value_hash(at->value, &r->left);
    size_t low = 0, high = w->len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (w->set[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < w->len && w->set[low].hash == hash; low++) {
        if (value_equal(at->value, w->set[low].value, &r->left))
            return true;
    }
    if (!run_spend(r, 1) || !run_notes(r))
        return false;
    struct str text = STR_INIT;
    enum_describe(&text, w, at->value);
    run_note(r, at, "enum", 0, &text);
    return false;
}

/* ---- numbers ---------------------------------------------------------------------------------*/

static bool
number_fail(struct run *r, const struct word *w, const struct spot *at, const char *wanted)
{
    if (!run_notes(r))
        return false;
    struct str text = STR_INIT;
    str_addf(&text, "expected %s ", wanted);
    number_describe(&text, w->value);
    str_add(&text, ", found ");
    number_describe(&text, at->value);
    run_note(r, at, w->def->name, 0, &text);
    return false;
}

CHECK(multiple)
{
    (void)n, (void)seen;
    return number_is_multiple(at->value, w->value) || number_fail(r, w, at, "a multiple of");
}

CHECK(exclusive_maximum)
{
    (void)n, (void)seen;
    return number_compare(at->value, w->value) < 0 || number_fail(r, w, at, "less than");
}

CHECK(exclusive_minimum)
{
    (void)n, (void)seen;
    return number_compare(at->value, w->value) > 0 || number_fail(r, w, at, "more than");
}

/* In draft 4 the exclusive forms are flags beside the limit. In later ones true is refused. */
static bool
limit_is_exclusive(const struct node *n, const char *flag)
{
    return json_is_true(json_object_get(n->json, flag));
}

CHECK(maximum)
{
    if (limit_is_exclusive(n, "exclusiveMaximum"))
        return check_exclusive_maximum(r, n, w, at, seen);
    return number_compare(at->value, w->value) <= 0 || number_fail(r, w, at, "at most");
}

CHECK(minimum)
{
    if (limit_is_exclusive(n, "exclusiveMinimum"))
        return check_exclusive_minimum(r, n, w, at, seen);
    return number_compare(at->value, w->value) >= 0 || number_fail(r, w, at, "at least");
}

/* ---- strings ---------------------------------------------------------------------------------*/

/* `have` of `what` are too many or too few. */
static bool
count_fail(struct run *r, const struct word *w, const struct spot *at, size_t have,
           const char *what)
{
    bool most = strncmp(w->def->name, "max", 3) == 0;
    return run_fail(r, at, w->def->name, "expected at %s %zu %s%s, found %zu",
                    most ? "most" : "least", w->count, what, w->count == 1 ? "" : "s", have);
}

static size_t
characters(struct run *r, const struct spot *at)
{
    size_t n = json_string_length(at->value);
    run_spend(r, n / 64);
    return text_length(json_string_value(at->value), n);
}

CHECK(length_max)
{
    (void)n, (void)seen;
    size_t have = characters(r, at);
    return have <= w->count || count_fail(r, w, at, have, "character");
}

CHECK(length_min)
{
    (void)n, (void)seen;
    size_t have = characters(r, at);
    return have >= w->count || count_fail(r, w, at, have, "character");
}

CHECK(pattern)
{
    (void)n, (void)seen;
    if (run_matches(r, w->regexes[0], json_string_value(at->value), json_string_length(at->value)))
        return true;
    return run_fail_found(r, at, "pattern", "expected a match of the pattern %s",
                          json_string_value(w->value));
}

CHECK(format)
{
    (void)n, (void)seen;
    size_t len = json_string_length(at->value);
    run_spend(r, len / 16);
    if (w->format(json_string_value(at->value), len))
        return true;
    const char *name = json_string_value(w->value);
    return run_fail_found(r, at, "format", "expected the format %s, such as %s", name,
                          format_example(name));
}

/* ---- arrays and objects ----------------------------------------------------------------------*/

CHECK(items_max)
{
    (void)n, (void)seen;
    size_t have = json_array_size(at->value);
    return have <= w->count || count_fail(r, w, at, have, "item");
}

CHECK(items_min)
{
    (void)n, (void)seen;
    size_t have = json_array_size(at->value);
    return have >= w->count || count_fail(r, w, at, have, "item");
}

CHECK(items_unique)
{
    (void)n, (void)seen;
    size_t first, second;
    if (!items_repeat(at->value, &first, &second, &r->left))
        return run_spend(r, 1);
    return run_fail(r, at, w->def->name, "expected items that differ, but %zu and %zu are equal",
                    first, second);
}

CHECK(properties_max)
{
    (void)n, (void)seen;
    size_t have = json_object_size(at->value);
    return have <= w->count || count_fail(r, w, at, have, w->count == 1 ? "property" : "propertie");
}

CHECK(properties_min)
{
    (void)n, (void)seen;
    size_t have = json_object_size(at->value);
    return have >= w->count || count_fail(r, w, at, have, w->count == 1 ? "property" : "propertie");
}

/* A property that is there but not declared may be the missing one, misspelt. */
static const char *
misspelt(const struct node *n, json_t *object, const char *name)
{
    struct near near = NEAR_INIT(name);
    const char *key;
    json_t *v;
    size_t offered = 0;
    json_object_foreach (object, key, v) {
        bool declared = n->properties && map_has(n->properties->by_name, key);
        if (!declared && offered++ < 64)
            near_offer(&near, key);
    }
    return near.best;
}

CHECK(required)
{
    (void)seen;
    bool ok = true;
    run_spend(r, w->len / 4);
    for (size_t i = 0; i < w->len; i++) {
        if (json_object_get(at->value, w->names[i]))
            continue;
        ok = false;
        if (!r->report)
            break;
        const char *near = misspelt(n, at->value, w->names[i]);
        run_fail(r, at, "required", "the property '%s' is missing%s%s%s", w->names[i],
                 near ? " (is '" : "", near ? near : "", near ? "' meant to be it?)" : "");
    }
    return ok;
}

CHECK(dependent_required)
{
    (void)n, (void)seen;
    bool ok = true;
    for (size_t i = 0; i < w->len; i++) {
        const json_t *names = json_object_get(w->value, w->names[i]);
        if (!json_is_array(names) || !json_object_get(at->value, w->names[i]))
            continue;
        run_spend(r, json_array_size(names) / 4);
        for (size_t k = 0; k < json_array_size(names); k++) {
            const char *name = json_string_value(json_array_get(names, k));
            if (json_object_get(at->value, name))
                continue;
            ok = run_fail(r, at, w->def->name, "the property '%s' is missing, which '%s' needs",
                          name, w->names[i]);
        }
    }
    return ok;
}
