/* schema_eval.c - judging one value by one node: limits, scopes, and what is noted on failure.
 *
 * A check runs twice at most: first without reasons, ending at the first failure; then, only for
 * values that failed, again with reasons. So that good values, the usual case, cost no text. */
#include "schema/schema_eval.h"
#include "schema/schema_node.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- limits ----------------------------------------------------------------------------------*/

bool
run_spend(struct run *r, size_t units)
{
    r->left -= (int64_t)MIN(units, (size_t)SCHEMA_STEPS_MAX);
    if (r->left < 0 && !r->stopped)
        r->stopped = "it takes too many steps";
    return !r->stopped;
}

bool
run_matches(struct run *r, const struct regex *regex, const char *s, size_t n)
{
    if (!run_spend(r, 1))
        return false;
    if (!r->room)
        r->room = regex_room_new();
    bool yes = regex_match(regex, r->room, s, n, &r->left);
    if (r->left < 0 && !r->stopped)
        r->stopped = "matching a pattern takes too many steps";
    return yes;
}

/* ---- failures --------------------------------------------------------------------------------*/

static void
pointer_add(struct str *s, const struct spot *at)
{
    VEC(const struct spot *) way = {0};
    for (; at; at = at->up) {
        if (at->up && !at->is_name)
            vec_push(&way, at);
    }
    while (way.len) {
        const struct spot *step = vec_pop(&way);
        if (step->key)
            pointer_token_add(s, step->key);
        else
            str_addf(s, "/%zu", step->index);
    }
    vec_fini(&way);
}

char *
spot_pointer(const struct spot *at)
{
    struct str s = STR_INIT;
    pointer_add(&s, at);
    return str_steal(&s);
}

static void
report_add(struct schema_report *report, const struct schema_failure *f)
{
    if (!report->list)
        report->list = xcalloc(SCHEMA_FAILURES_MAX, sizeof *report->list);
    report->list[report->len++] = *f;
}

static void
failure_free(struct schema_failure *f)
{
    free(f->at);
    free(f->text);
}

void
schema_report_fini(struct schema_report *report)
{
    for (size_t i = 0; i < report->len; i++)
        failure_free(&report->list[i]);
    free(report->list);
    *report = SCHEMA_REPORT_INIT;
}

void
report_take(struct schema_report *to, struct schema_report *from)
{
    to->total += from->total;
    for (size_t i = 0; i < from->len; i++) {
        if (to->len < SCHEMA_FAILURES_MAX)
            report_add(to, &from->list[i]);
        else
            failure_free(&from->list[i]);
    }
    from->len = 0;
    schema_report_fini(from);
}

bool
run_notes(struct run *r)
{
    if (!r->report || r->stopped)
        return false;
    r->report->total++;
    return r->report->len < SCHEMA_FAILURES_MAX;
}

void
run_note(struct run *r, const struct spot *at, const char *keyword, unsigned types,
         struct str *OWN text)
{
    struct str whole = STR_INIT;
    if (at->is_name)
        str_addf(&whole, "property name '%s': ", at->key);
    str_add(&whole, str_c(text));
    str_fini(text);
    struct schema_failure f = {spot_pointer(at), str_steal(&whole), keyword, types};
    report_add(r->report, &f);
}

bool
run_fail(struct run *r, const struct spot *at, const char *keyword, const char *fmt, ...)
{
    if (!run_notes(r))
        return false;
    struct str text = STR_INIT;
    va_list ap;
    va_start(ap, fmt);
    str_addv(&text, fmt, ap);
    va_end(ap);
    run_note(r, at, keyword, 0, &text);
    return false;
}

bool
run_fail_found(struct run *r, const struct spot *at, const char *keyword, const char *fmt, ...)
{
    if (!run_notes(r))
        return false;
    struct str text = STR_INIT;
    va_list ap;
    va_start(ap, fmt);
    str_addv(&text, fmt, ap);
    va_end(ap);
    str_add(&text, ", found ");
    value_describe(&text, at->value);
    run_note(r, at, keyword, 0, &text);
    return false;
}

/* ---- one node --------------------------------------------------------------------------------*/

static bool
words_hold(struct run *r, const struct node *n, const struct spot *at, struct seen *seen)
{
    bool ok = true;
    unsigned types = value_types(at->value);
    for (size_t i = 0; i < n->words_len; i++) {
        const struct word *w = &n->words[i];
        if (!w->def->check || !(w->def->types & types))
            continue;
        /* What failed elsewhere has not been "seen": do not report it a second time. */
        if (!ok && w->def->vocab == VOCAB_UNEVALUATED)
            break;
        if (w->def->check(r, n, w, at, seen))
            continue;
        ok = false;
        if (!r->report || r->stopped)
            return false;
    }
    return ok;
}

static bool
words_hold_seen(struct run *r, const struct node *n, const struct spot *at, struct seen *out)
{
    struct seen mine = SEEN_INIT;
    bool ok = words_hold(r, n, at, &mine);
    if (ok && out)
        run_spend(r, seen_merge(out, &mine));
    seen_fini(&mine);
    return ok;
}

bool
node_eval(struct run *r, const struct node *n, const struct spot *at, struct seen *out)
{
    if (!run_spend(r, 1))
        return false;
    if (n->kind == NODE_TRUE)
        return true;
    if (n->kind == NODE_FALSE)
        return run_fail_found(r, at, "false", "nothing may stand here");
    if (r->depth == SCHEMA_DEPTH_MAX) {
        r->stopped = "value and references are nested too deep";
        return false;
    }
    struct scope scope = {r->scope, n->res};
    if (!r->scope || r->scope->res != n->res)
        r->scope = &scope;
    r->depth++;
    bool ok = out || n->unevaluated ? words_hold_seen(r, n, at, out) : words_hold(r, n, at, NULL);
    r->depth--;
    if (r->scope == &scope)
        r->scope = scope.up;
    return ok;
}

/* ---- the whole -------------------------------------------------------------------------------*/

static bool
run_whole(struct run *r, const struct schema *s, const json_t *value)
{
    *r = (struct run){.left = SCHEMA_STEPS_MAX, .report = r->report, .room = r->room};
    struct spot at = {.value = (json_t *)(uintptr_t)value};
    return node_eval(r, s->root, &at, NULL);
}

static struct err *
run_ended(const struct run *r)
{
    if (r->stopped)
        return FAIL(ERR_LIMIT, "cannot tell whether the value fits its schema: %s", r->stopped);
    return NULL;
}

struct err *
schema_holds(const struct schema *s, const json_t *value, bool *ret_valid)
{
    struct run r = {0};
    bool valid = run_whole(&r, s, value);
    regex_room_free(r.room);
    PASS(run_ended(&r));
    *ret_valid = valid;
    return NULL;
}

struct err *
schema_check(const struct schema *s, const json_t *value, struct schema_report *ret_report)
{
    struct run r = {0};
    struct schema_report report = SCHEMA_REPORT_INIT;
    report.valid = run_whole(&r, s, value);
    struct err *e = run_ended(&r);
    if (!e && !report.valid) {
        r.report = &report;
        run_whole(&r, s, value);
        if (!report.total) { /* the second run came to the limit that the first just kept */
            struct spot at = {.value = (json_t *)(uintptr_t)value};
            r.stopped = NULL;
            run_fail(&r, &at, "", "does not fit the schema (too large to say where)");
        }
    }
    regex_room_free(r.room);
    if (e)
        return e;
    *ret_report = report;
    return NULL;
}
