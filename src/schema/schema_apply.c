/* schema_apply.c - the keywords whose subschemas judge the same value again: references, choices,
 * conditions. */
#include "schema/schema_checks.h"
#include "schema/schema_eval.h"
#include <stdlib.h>
#include <string.h>

#define SHOWN_MAX 120 /* bytes of a subschema that are quoted in a message */

/* ---- references ------------------------------------------------------------------------------*/

CHECK(ref)
{
    (void)n;
    return node_eval(r, w->node, at, seen);
}

/* The outermost resource on the way here that has the anchor decides (core paper, 8.2.3.2). */
CHECK(dynamic_ref)
{
    (void)n;
    const struct node *target = w->node;
    for (const struct scope *s = w->dynamic ? r->scope : NULL; s; s = s->up) {
        const struct node *found = s->res->dynamic ? map_get(s->res->dynamic, w->dynamic) : NULL;
        target = found ? found : target;
        run_spend(r, 1);
    }
    return node_eval(r, target, at, seen);
}

/* The same of 2019-09, where the only anchor is a resource's root. */
CHECK(recursive_ref)
{
    (void)n;
    const struct node *target = w->node;
    bool dynamic = target->res->recursive && target->res->root == target;
    for (const struct scope *s = dynamic ? r->scope : NULL; s; s = s->up) {
        target = s->res->recursive ? s->res->root : target;
        run_spend(r, 1);
    }
    return node_eval(r, target, at, seen);
}

/* ---- choices ---------------------------------------------------------------------------------*/

CHECK(all_of)
{
    (void)n;
    bool ok = true;
    for (size_t i = 0; i < w->len && (ok || r->report); i++)
        ok = node_eval(r, w->nodes[i], at, seen) && ok;
    return ok;
}

/* Of several alternatives that all failed, the one whose failures help most. */
struct choice {
    struct schema_report best;
    size_t index;   /* of the best, from 0 */
    unsigned score; /* smaller is nearer */
    unsigned types; /* united types of alternatives that failed by type alone */
    bool mixed;     /* some alternative failed otherwise */
    bool any;       /* one was offered */
};

/* An alternative meant for another kind of value fails at the top by type or by a constant; one
 * meant for this kind fails inside. A constant inside is often what tells the kinds apart. */
static unsigned
choice_score(const struct schema_report *report, const char *pointer)
{
    unsigned score = (unsigned)MIN(report->total, 40);
    for (size_t i = 0; report->list && i < report->len; i++) {
        const struct schema_failure *f = &report->list[i];
        bool constant = strcmp(f->keyword, "const") == 0 || strcmp(f->keyword, "enum") == 0;
        if (strcmp(f->at, pointer) == 0 && (f->types || constant))
            score += 1000;
        else if (constant)
            score += 50;
    }
    return score;
}

static void
choice_offer(struct choice *c, size_t index, struct schema_report *OWN report, const char *pointer)
{
    const struct schema_failure *first = report->len == 1 ? &report->list[0] : NULL;
    if (first && first->types && strcmp(first->at, pointer) == 0)
        c->types |= first->types;
    else
        c->mixed = true;
    unsigned score = choice_score(report, pointer);
    if (c->any && score >= c->score) {
        schema_report_fini(report);
        return;
    }
    schema_report_fini(&c->best);
    c->best = *report;
    c->index = index;
    c->score = score;
    c->any = true;
}

static bool
choice_fail(struct run *r, struct choice *c, const struct word *w, const struct spot *at)
{
    if (!c->mixed && c->types && run_notes(r)) {
        struct str text = STR_INIT;
        str_add(&text, "expected ");
        types_describe(&text, c->types);
        str_add(&text, ", found ");
        value_describe(&text, at->value);
        run_note(r, at, w->def->name, c->types, &text);
    } else if (c->mixed) {
        if (w->len > 1)
            run_fail(r, at, w->def->name,
                     "matches none of the %zu alternatives; number %zu is nearest and fails as "
                     "follows",
                     w->len, c->index + 1);
        report_take(r->report, &c->best);
    }
    schema_report_fini(&c->best);
    return false;
}

struct count {
    size_t enough;        /* stop here */
    size_t found;         /* alternatives that hold */
    size_t first, second; /* of them, from 0 */
};

/* Counts the word's subschemas that hold. When none does, reasons are noted. */
static void
choices_count(struct run *r, const struct word *w, const struct spot *at, struct seen *seen,
              struct count *c)
{
    struct schema_report *outer = r->report;
    struct choice choice = {0};
    AUTO(freep) char *pointer = outer ? spot_pointer(at) : NULL;
    for (size_t i = 0; i < w->len && c->found < c->enough && !r->stopped; i++) {
        struct schema_report mine = SCHEMA_REPORT_INIT;
        r->report = outer ? &mine : NULL;
        bool ok = node_eval(r, w->nodes[i], at, seen);
        r->report = outer;
        if (ok) {
            *(c->found ? &c->second : &c->first) = i;
            c->found++;
        }
        if (!ok && outer && !c->found)
            choice_offer(&choice, i, &mine, pointer);
        else
            schema_report_fini(&mine);
    }
    if (!c->found && outer && choice.any)
        choice_fail(r, &choice, w, at);
    else
        schema_report_fini(&choice.best);
}

CHECK(any_of)
{
    (void)n;
    /* When what is seen matters, every alternative that holds adds to it. */
    struct count c = {.enough = seen ? SIZE_MAX : 1};
    choices_count(r, w, at, seen, &c);
    return c.found > 0;
}

CHECK(one_of)
{
    (void)n;
    struct count c = {.enough = 2};
    choices_count(r, w, at, seen, &c);
    if (c.found > 1)
        return run_fail(r, at, w->def->name,
                        "matches the alternatives %zu and %zu, but must match exactly one",
                        c.first + 1, c.second + 1);
    return c.found == 1;
}

/* ---- conditions ------------------------------------------------------------------------------*/

/* Without reasons: failing is as good an answer as holding. */
static bool
holds_quietly(struct run *r, const struct node *n, const struct spot *at, struct seen *seen)
{
    struct schema_report *outer = r->report;
    r->report = NULL;
    bool ok = node_eval(r, n, at, seen);
    r->report = outer;
    return ok;
}

CHECK(not )
{
    (void)n, (void)seen;
    if (!holds_quietly(r, w->node, at, NULL))
        return !r->stopped;
    if (!run_notes(r))
        return false;
    AUTO(freep) char *inner = json_text(w->value);
    bool small = strlen(inner) <= SHOWN_MAX;
    struct str text = STR_INIT;
    str_addf(&text, "must not match %s, found ", small ? inner : "the schema under 'not'");
    value_describe(&text, at->value);
    run_note(r, at, "not", 0, &text);
    return false;
}

CHECK(if)
{
    bool yes = holds_quietly(r, w->node, at, seen);
    const struct word *branch = yes ? n->then : n->other;
    if (r->stopped)
        return false;
    return !branch || node_eval(r, branch->node, at, seen);
}

/* dependencies and dependentSchemas. */
CHECK(dependencies)
{
    bool ok = check_dependent_required(r, n, w, at, seen);
    for (size_t i = 0; i < w->len && (ok || r->report); i++) {
        if (w->nodes[i] && json_object_get(at->value, w->names[i]))
            ok = node_eval(r, w->nodes[i], at, seen) && ok;
    }
    return ok;
}
