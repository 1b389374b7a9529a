/* exprcase.h - the world that the tests of this folder evaluate in. */
#ifndef EXPR_EXPRCASE_H
#define EXPR_EXPRCASE_H
#include "base/test.h"
#include "expr/exprlua.h"
#include <stdio.h>

#define CASE_NOW_MS 1795237200123 /* 2026-11-21T05:00:00.123Z */

struct expr_case { /* want: JSON, or "line:col: message" of an error */
    const char *text, *want;
};

struct json_world { /* all of it one JSON document, owned */
    json_t *all;
    struct expr_scope scope;
};
static const char case_world[] =
    "{\"input\":\"hello world\",\"inputs\":{\"lang\":\"de\",\"n\":\"5\",\"end\":7,\"flag\":false},"
    "\"item\":{\"name\":\"b.json\",\"size\":12},\"index\":2,\"output\":{\"id\":42},"
    "\"run\":{\"id\":\"r1\",\"name\":\"nightly\"},\"vars\":{\"k\":null,\"deep\":{\"a\":{\"b\":[1,["
    "2,3]]}}},"
    "\"locals\":{\"page\":\"p7\"},"
    "\"steps\":{\"merge\":{\"output\":{\"score\":0.75,\"n\":3,\"tags\":[\"a\",\"b\",\"c\"],"
    "\"none\":null,"
    "\"list\":[],\"map\":{},\"holes\":[1,null,3],\"zeta\":1,\"alpha\":2,\"yes\":true,\"no\":false,"
    "\"numbers\":[3,1.5,2],\"people\":[{\"name\":\"Ann\",\"age\":30},{\"name\":\"Bob\",\"age\":25}]"
    "},"
    "\"text\":\"caf\xc3\xa9 au lait\",\"status\":\"completed\",\"error\":null},"
    "\"ask-it\":{\"output\":\"yes\"},\"bytes\":{\"text\":\"a,b,,c\"}}}";

static inline void
world_init(struct json_world *w)
{
    json_error_t why;
    w->all = json_loads(case_world, 0, &why);
    w->scope = (struct expr_scope){.now_wall_ms = CASE_NOW_MS};
    w->scope.input = json_object_get(w->all, "input");
    w->scope.inputs = json_object_get(w->all, "inputs");
    w->scope.item = json_object_get(w->all, "item");
    w->scope.index = json_object_get(w->all, "index");
    w->scope.output = json_object_get(w->all, "output");
    w->scope.run = json_object_get(w->all, "run");
    w->scope.vars = json_object_get(w->all, "vars");
    w->scope.locals = json_object_get(w->all, "locals");
    w->scope.steps = json_object_get(w->all, "steps");
}

/* The error as "line:col: text"; frees it. */
static inline char *OWN
error_shown(struct err *OWN e)
{
    char *text = err_text(e);
    char *shown = xasprintf("%u:%u: %s", err_pos(e).line, err_pos(e).col, text);
    free(text);
    err_free(e);
    return shown;
}
static const char *const case_names[] = {"page", NULL};

/* What an expression gives: JSON, or "line:col: message"; freed by the caller. */
static inline char *OWN
expr_shown(struct expr_space *space, const struct expr_scope *scope, const char *text)
{
    AUTO(expr_freep) struct expr *e = NULL;
    AUTO(json_freep) json_t *j = NULL;
    struct err *failed = expr_compile(space, text, NOWHERE, &e);
    if (!failed)
        failed = expr_eval(e, scope, &j);
    if (failed) {
        assert_int_equal(err_kind(failed), ERR_INVALID);
        return error_shown(failed);
    }
    struct str shown = STR_INIT;
    assert_true(json_write_short(&shown, j, 100000));
    return str_steal(&shown);
}

/* Every row gives what it wants, and the world stays as it is. */
static inline void
expr_check(const struct expr_case *row, size_t rows)
{
    AUTO(expr_space_freep) struct expr_space *space = expr_space_new((struct luastate_limits){0});
    struct json_world world;
    world_init(&world);
    expr_space_allow(space, case_names);
    AUTO(freep) char *before = json_text(world.all);
    int wrong = 0;
    for (size_t i = 0; i < rows; i++) {
        AUTO(freep) char *got = expr_shown(space, &world.scope, row[i].text);
        if (strcmp(got, row[i].want) != 0) {
            fprintf(stderr, "%s\n    want %s\n    got  %s\n", row[i].text, row[i].want, got);
            wrong++;
        }
    }
    AUTO(freep) char *after = json_text(world.all);
    assert_string_equal(before, after);
    json_decref(world.all);
    assert_int_equal(wrong, 0);
}
#endif
