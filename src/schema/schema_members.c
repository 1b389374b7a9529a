/* schema_members.c - the keywords that go down into the members of an object or the items of an
 * array. What they judged is noted in `seen` when somebody will ask for it. */
#include "base/near.h"
#include "schema/schema_checks.h"
#include "schema/schema_eval.h"
#include <string.h>

#define LISTED_MAX 12 /* property names in a message */

static bool
member_holds(struct run *r, const struct node *n, const struct spot *at, const char *key,
             json_t *value)
{
    struct spot child = {.value = value, .up = at, .key = key};
    return node_eval(r, n, &child, NULL);
}

static bool
item_holds(struct run *r, const struct node *n, const struct spot *at, size_t index)
{
    struct spot child = {.value = json_array_get(at->value, index), .up = at, .index = index};
    return node_eval(r, n, &child, NULL);
}

/* After a failure: is there anything left to learn? */
static bool
run_goes_on(const struct run *r)
{
    return r->report && !r->stopped;
}

/* ---- objects ---------------------------------------------------------------------------------*/

CHECK(properties)
{
    (void)n;
    bool ok = true;
    const char *key;
    json_t *value;
    run_spend(r, json_object_size(at->value));
    json_object_foreach (at->value, key, value) {
        const struct node *sub = map_get(w->by_name, key);
        if (!sub)
            continue;
        if (seen)
            seen_key(seen, key);
        ok = member_holds(r, sub, at, key, value) && ok;
        if (!ok && !run_goes_on(r))
            return false;
    }
    return ok;
}

CHECK(pattern_properties)
{
    (void)n;
    bool ok = true;
    const char *key;
    json_t *value;
    json_object_foreach (at->value, key, value) {
        for (size_t i = 0; i < w->len; i++) {
            if (!run_matches(r, w->regexes[i], key, strlen(key)))
                continue;
            if (seen)
                seen_key(seen, key);
            ok = member_holds(r, w->nodes[i], at, key, value) && ok;
        }
        if (!ok && !run_goes_on(r))
            return false;
    }
    return ok;
}

/* "unexpected property 'colour' (did you mean 'color'?)", else with what is allowed. */
static bool
unexpected(struct run *r, const struct node *n, const struct word *w, const struct spot *at,
           const char *key)
{
    if (!run_notes(r))
        return false;
    struct str text = STR_INIT;
    struct near near = NEAR_INIT(key);
    const struct word *known = n->properties;
    for (size_t i = 0; known && i < MIN(known->len, 256); i++)
        near_offer(&near, known->names[i]);
    str_addf(&text, "unexpected property '%s'", key);
    if (near.best) {
        str_addf(&text, " (did you mean '%s'?)", near.best);
    } else if (known && known->len) {
        str_add(&text, "; known are ");
        for (size_t i = 0; i < MIN(known->len, LISTED_MAX); i++)
            str_addf(&text, "%s'%s'", i ? ", " : "", known->names[i]);
        if (known->len > LISTED_MAX)
            str_addf(&text, " and %zu more", known->len - LISTED_MAX);
    }
    run_note(r, at, w->def->name, 0, &text);
    return false;
}

static bool
rest_holds(struct run *r, const struct node *n, const struct word *w, const struct spot *at,
           const char *key)
{
    if (w->node->kind == NODE_FALSE)
        return unexpected(r, n, w, at, key);
    return member_holds(r, w->node, at, key, json_object_get(at->value, key));
}

static bool
is_declared(struct run *r, const struct node *n, const char *key)
{
    if (n->properties && map_has(n->properties->by_name, key))
        return true;
    for (size_t i = 0; n->patterns && i < n->patterns->len; i++) {
        if (run_matches(r, n->patterns->regexes[i], key, strlen(key)))
            return true;
    }
    return false;
}

CHECK(additional_properties)
{
    bool ok = true;
    const char *key;
    json_t *value;
    run_spend(r, json_object_size(at->value));
    json_object_foreach (at->value, key, value) {
        if (is_declared(r, n, key))
            continue;
        if (seen)
            seen_key(seen, key);
        ok = rest_holds(r, n, w, at, key) && ok;
        if (!ok && !run_goes_on(r))
            return false;
    }
    return ok;
}

CHECK(unevaluated_properties)
{
    bool ok = true;
    const char *key;
    json_t *value;
    run_spend(r, json_object_size(at->value));
    json_object_foreach (at->value, key, value) {
        if (seen_has_key(seen, key))
            continue;
        ok = rest_holds(r, n, w, at, key) && ok;
        if (!ok && !run_goes_on(r))
            return false;
    }
    seen->all = true;
    return ok;
}

CHECK(property_names)
{
    (void)n, (void)seen;
    bool ok = true;
    const char *key;
    json_t *value;
    json_object_foreach (at->value, key, value) {
        AUTO(json_freep) json_t *name = json_string_lossy(key, strlen(key));
        struct spot child = {.value = name, .up = at, .key = key, .is_name = true};
        ok = node_eval(r, w->node, &child, NULL) && ok;
        if (!ok && !run_goes_on(r))
            return false;
    }
    return ok;
}

/* ---- arrays ----------------------------------------------------------------------------------*/

CHECK(prefix_items)
{
    (void)n;
    bool ok = true;
    size_t len = MIN(w->len, json_array_size(at->value));
    for (size_t i = 0; i < len && (ok || run_goes_on(r)); i++)
        ok = item_holds(r, w->nodes[i], at, i) && ok;
    if (seen)
        seen->items = MAX(seen->items, len);
    return ok;
}

/* All items from `from` on. */
static bool
items_hold(struct run *r, const struct word *w, const struct spot *at, size_t from,
           struct seen *seen)
{
    bool ok = true;
    size_t len = json_array_size(at->value);
    if (from < len && w->node->kind == NODE_FALSE)
        return run_fail(r, at, w->def->name, "expected at most %zu item%s, found %zu", from,
                        from == 1 ? "" : "s", len);
    for (size_t i = from; i < len && (ok || run_goes_on(r)); i++)
        ok = item_holds(r, w->node, at, i) && ok;
    if (seen)
        seen->all = true;
    return ok;
}

CHECK(items)
{
    if (!w->node)
        return check_prefix_items(r, n, w, at, seen);
    return items_hold(r, w, at, n->prefix ? n->prefix->len : 0, seen);
}

CHECK(additional_items)
{
    return items_hold(r, w, at, n->prefix->len, seen);
}

static bool
contains_fail(struct run *r, const struct word *w, const struct spot *at, size_t found,
              const char *bound)
{
    AUTO(freep) char *inner = json_text(w->value);
    bool small = strlen(inner) <= 120;
    return run_fail(r, at, w->def->name, "expected %s that match%s %s, found %zu", bound,
                    strstr(bound, "items") ? "" : "es", small ? inner : "the schema of 'contains'",
                    found);
}

CHECK(contains)
{
    struct schema_report *outer = r->report;
    size_t least = n->contains_min ? n->contains_min->count : 1;
    size_t most = n->contains_max ? n->contains_max->count : SIZE_MAX;
    size_t found = 0, len = json_array_size(at->value);
    bool marks = seen && n->res->dialect.draft == DRAFT_2020;
    r->report = NULL;
    for (size_t i = 0; i < len && !r->stopped; i++) {
        if (!marks && !n->contains_max && found >= least)
            break;
        if (!item_holds(r, w->node, at, i))
            continue;
        found++;
        if (marks)
            seen_item(seen, i);
    }
    r->report = outer;
    if (r->stopped || (found >= least && found <= most))
        return !r->stopped;
    if (!outer)
        return false;
    AUTO(freep)
    char *bound = found < least ? xasprintf("at least %zu item%s", least, least == 1 ? "" : "s")
                                : xasprintf("at most %zu item%s", most, most == 1 ? "" : "s");
    return contains_fail(r, w, at, found, bound);
}

CHECK(unevaluated_items)
{
    (void)n;
    bool ok = true;
    size_t len = json_array_size(at->value);
    run_spend(r, len / 8);
    for (size_t i = 0; i < len; i++) {
        if (seen_has_item(seen, i))
            continue;
        if (w->node->kind == NODE_FALSE)
            ok = run_fail(r, at, w->def->name, "unexpected item %zu", i);
        else
            ok = item_holds(r, w->node, at, i) && ok;
        if (!ok && !run_goes_on(r))
            return false;
    }
    seen->all = true;
    return ok;
}
