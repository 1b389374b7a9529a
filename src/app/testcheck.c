/* testcheck.c - whether a run is what its test expects. */
#include "app/tester.h"
#include "base/textdiff.h"
#include "expr/expr.h"
#include "rt/rt.h"
#include <math.h>
#include <string.h>

struct checking {
    struct expr_space *space;
    const json_t *test, *doc, *expect;
    json_t *failures;
    json_t *steps; /* nodes of the run by id */
    struct err *e;
};

/* 1 and 1.0 are the same to whoever writes YAML. */
static bool
same_value(const json_t *a, const json_t *b)
{
    const char *key;
    json_t *member;
    size_t i;
    if (json_is_number(a) && json_is_number(b))
        return fabs(json_number_value(a) - json_number_value(b)) == 0.0;
    if (json_is_array(a) && json_is_array(b)) {
        json_array_foreach (a, i, member) {
            if (!same_value(member, json_array_get(b, i)))
                return false;
        }
        return json_array_size(a) == json_array_size(b);
    }
    if (!json_is_object(a) || !json_is_object(b))
        return json_equal(a, b);
    json_object_foreach ((json_t *)(uintptr_t)a, key, member) {
        if (!json_object_get(b, key) || !same_value(member, json_object_get(b, key)))
            return false;
    }
    return json_object_size(a) == json_object_size(b);
}

static void
missed(struct checking *c, const char *what, const json_t *expected, const json_t *actual)
{
    AUTO(str_fini) struct str diff = STR_INIT;
    const char *a = json_string_value(expected), *b = json_string_value(actual);
    json_t *f = json_pack("{ss sO? sO?}", "what", what, "expected", expected, "actual", actual);
    if (a && b && (strchr(a, '\n') || strchr(b, '\n')) && text_diff(a, b, 3, &diff))
        json_object_set_new(f, "diff", json_string_lossy(str_c(&diff), diff.len));
    json_array_append_new(c->failures, f);
}

static const char *
text_of(const json_t *thing)
{
    return json_str(thing, "text", "");
}

/* ---- of an output ---------------------------------------------------------- */

static bool
holds(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

static bool
holds_not(const char *text, const char *part)
{
    return strstr(text, part) == NULL;
}

static void
texts_check(struct checking *c, const char *what, const json_t *list, const json_t *thing,
            bool (*fine)(const char *text, const char *part)) /* tidy: one kind of check */
{
    const json_t *part;
    size_t i;
    json_array_foreach (list, i, part) {
        if (!fine(text_of(thing), json_string_value(part)))
            missed(c, what, part, json_object_get(thing, "text"));
    }
}

/* ---- expressions ----------------------------------------------------------- */

struct asking {
    struct checking *c;
    const char *text;
    struct expr_scope scope;
    json_t *value;
    struct err *e;
};

static void
ask_deep(void *arg)
{
    struct asking *q = arg;
    AUTO(expr_freep) struct expr *x = NULL;
    q->e = expr_compile(q->c->space, q->text, NOWHERE, &x);
    if (!q->e)
        q->e = expr_eval(x, &q->scope, &q->value);
}

/* The value of an expression over the run that has ended. */
static struct err *
ask(struct checking *c, const char *text, json_t **ret_value)
{
    struct asking q = {.c = c, .text = text};
    AUTO(json_freep)
    json_t *vars =
        json_pack("{sO? sO? sO? sO?}", "text", json_object_get(c->doc, "text"), "status",
                  json_object_get(c->doc, "status"), "error", json_object_get(c->doc, "error"),
                  "usage", json_object_get(c->doc, "usage"));
    q.scope = (struct expr_scope){.input = json_object_get(c->test, "input"),
                                  .inputs = json_object_get(c->test, "inputs"),
                                  .output = json_object_get(c->doc, "output"),
                                  .steps = c->steps,
                                  .vars = vars};
    rt_deep(ask_deep, &q);
    TRY(q.e, "'%s'", text);
    *ret_value = q.value;
    return NULL;
}

static void
broken(struct checking *c, const char *what, const json_t *expected, struct err *OWN e)
{
    AUTO(freep) char *text = err_text(e);
    AUTO(json_freep) json_t *actual = json_string_lossy(text, strlen(text));
    err_free(e);
    missed(c, what, expected, actual);
}

static void
conditions_check(struct checking *c)
{
    const json_t *one, *list = json_object_get(c->expect, "when");
    size_t i;
    json_array_foreach (list, i, one) {
        AUTO(json_freep) json_t *value = NULL;
        AUTO(freep) char *text = json_as_text(one);
        struct err *e = ask(c, text, &value);
        if (e)
            broken(c, "when", one, e);
        else if (!json_truthy(value))
            missed(c, "when", one, json_object_get(c->doc, "output"));
    }
}

/* `json: {score: 1, "items[1].name": x}`: what follows `output`. */
static void
members_check(struct checking *c)
{
    const char *path;
    json_t *want;
    json_object_foreach (json_object_get(c->expect, "json"), path, want) {
        AUTO(json_freep) json_t *value = NULL;
        AUTO(freep) char *text = xasprintf(*path == '[' ? "output%s" : "output.%s", path);
        AUTO(freep) char *what = xasprintf("json %s", path);
        struct err *e = ask(c, text, &value);
        if (e)
            broken(c, what, want, e);
        else if (!same_value(want, value))
            missed(c, what, want, value);
    }
}

/* ---- regular expressions --------------------------------------------------- */

static void
patterns_check(struct checking *c)
{
    const json_t *one, *list = json_object_get(c->expect, "matches");
    size_t i;
    json_array_foreach (list, i, one) {
        AUTO(json_freep) json_t *value = NULL;
        AUTO(freep) char *regex = json_text(one);
        AUTO(freep) char *text = xasprintf("matches(vars.text or '', %s)", regex);
        struct err *e = ask(c, text, &value);
        if (e)
            broken(c, "matches", one, e);
        else if (!json_truthy(value))
            missed(c, "matches", one, json_object_get(c->doc, "text"));
    }
}

/* ---- the whole ------------------------------------------------------------- */

static void
status_check(struct checking *c)
{
    const json_t *error = json_object_get(c->expect, "error");
    const char *usual = error ? "failed" : "completed";
    const char *want = json_str(c->expect, "status", usual);
    if (strcmp(want, json_str(c->doc, "status", "")) != 0) {
        AUTO(json_freep) json_t *expected = json_string(want);
        const char *why = json_str(c->doc, "error", json_str(c->doc, "waiting", ""));
        AUTO(json_freep)
        json_t *actual =
            json_stringf("%s%s%s", json_str(c->doc, "status", ""), *why ? ": " : "", why);
        missed(c, "status", expected, actual);
    } else if (error && !strstr(json_str(c->doc, "error", ""), json_string_value(error))) {
        missed(c, "error", error, json_object_get(c->doc, "error"));
    }
}

static void
output_check(struct checking *c, const char *what, const json_t *expect, const json_t *thing)
{
    const json_t *output = json_object_get(expect, "output");
    if (output && !same_value(output, json_object_get(thing, "output")))
        missed(c, what, output, json_object_get(thing, "output"));
}

/* Of each node its state, or {status, output}. */
static void
nodes_check(struct checking *c)
{
    const char *path;
    json_t *want;
    json_object_foreach (json_object_get(c->expect, "nodes"), path, want) {
        const json_t *node = json_at(c->doc, "nodes", path, NULL);
        const char *status =
            json_is_string(want) ? json_string_value(want) : json_str(want, "status", NULL);
        AUTO(freep) char *what = xasprintf("node %s", path);
        if (!node || (status && strcmp(status, json_str(node, "status", "")) != 0))
            missed(c, what, want, json_object_get(node, "status"));
        else if (json_is_object(want))
            output_check(c, what, want, node);
    }
}

static json_t *
steps_of(const json_t *doc)
{
    json_t *steps = json_object(), *node;
    const char *path;
    json_object_foreach (json_object_get(doc, "nodes"), path, node) {
        if (!strchr(path, '/'))
            json_object_set(steps, path, node);
    }
    return steps;
}

struct err *
test_check(struct expr_space *space, const json_t *test, const json_t *doc, json_t *failures)
{
    struct checking c = {.space = space,
                         .test = test,
                         .doc = doc,
                         .expect = json_object_get(test, "expect"),
                         .failures = failures};
    AUTO(json_freep) json_t *steps = c.steps = steps_of(doc);
    status_check(&c);
    output_check(&c, "output", c.expect, doc);
    texts_check(&c, "contains", json_object_get(c.expect, "contains"), doc, holds);
    texts_check(&c, "excludes", json_object_get(c.expect, "excludes"), doc, holds_not);
    patterns_check(&c);
    members_check(&c);
    conditions_check(&c);
    nodes_check(&c);
    return NULL;
}
