/* expr.c - expressions: compiled to a Lua function kept in the registry, run with fresh globals. */
#include "expr/expr.h"
#include "expr/exprimpl.h"
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

struct expr {
    struct expr_space *space;
    int function;     /* reference in Lua's registry */
    struct scan scan; /* its text is dropped after compiling */
    struct chunk chunk;
    char *file; /* that all places point to; may be NULL */
};

/* ---- space ----------------------------------------------------------------- */
struct expr_space *
expr_space_new(struct luastate_limits limits)
{
    struct expr_space *space = xcalloc(1, sizeof *space);
    space->lua = luastate_new(limits);
    return space;
}

void
expr_space_free(struct expr_space *space)
{
    if (!space)
        return;
    luastate_free(space->lua);
    free(space);
}

void
expr_space_freep(struct expr_space **space)
{
    expr_space_free(*space);
    *space = NULL;
}

struct luastate *
expr_space_lua(struct expr_space *space)
{
    return space->lua;
}

void
expr_space_allow(struct expr_space *space, const char *const *names)
{
    space->names = names;
}

/* ---- compiling ------------------------------------------------------------- */
struct src_pos
pos_or_start(struct src_pos at)
{
    if (!at.line)
        at.line = at.col = 1;
    return at;
}

static int
compile_body(lua_State *L)
{
    struct expr *e = lua_touserdata(L, 1);
    if (!luastate_load(L, &e->scan.lua))
        return lua_error(L);
    e->function = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

static struct err *MUST
compile_into(struct expr *e, const struct expr_text *text)
{
    struct src_pos at = pos_or_start(text->at);
    if (at.file)
        at.file = e->file = xstrdup(at.file);
    e->chunk = (struct chunk){.what = "expression", .at = at};
    if (text->mode == SCAN_EXPR && text->len > EXPR_BYTES_MAX)
        return FAIL_AT(at, ERR_INVALID, "the expression is longer than %zu KB",
                       EXPR_BYTES_MAX >> 10);
    struct scan_input in = {text->mode, text->text, MIN(text->len, EXPR_BYTES_MAX), at,
                            e->space->names};
    PASS(scan_text(&in, &e->scan));
    e->chunk.lines = e->scan.lines.at;
    e->chunk.lines_len = e->scan.lines.len;
    struct luastate_run run = {.fn = compile_body, .ctx = e, .chunk = &e->chunk};
    PASS(luastate_run(e->space->lua, &run));
    str_fini(&e->scan.lua);
    return NULL;
}

struct err *
expr_compile_text(struct expr_space *space, const struct expr_text *text, struct expr **ret_expr,
                  size_t *ret_taken)
{
    AUTO(expr_freep) struct expr *e = xcalloc(1, sizeof *e);
    e->space = space;
    e->function = LUA_NOREF;
    PASS(compile_into(e, text));
    *ret_taken = e->scan.taken;
    *ret_expr = STEAL(e);
    return NULL;
}

struct err *
expr_compile(struct expr_space *space, const char *text, struct src_pos at, struct expr **ret_expr)
{
    size_t taken;
    struct expr_text whole = {SCAN_EXPR, text, strlen(text), at};
    return expr_compile_text(space, &whole, ret_expr, &taken);
}

void
expr_free(struct expr *e)
{
    if (!e)
        return;
    luaL_unref(e->space->lua->lua, LUA_REGISTRYINDEX, e->function);
    scan_fini(&e->scan);
    free(e->file);
    free(e);
}

void
expr_freep(struct expr **e)
{
    expr_free(*e);
    *e = NULL;
}

struct expr_refs
expr_refs(const struct expr *e)
{
    return (struct expr_refs){e->scan.refs.at, e->scan.refs.len, e->scan.uses};
}

/* ---- evaluating ------------------------------------------------------------ */
struct evaluation {
    const struct expr *e;
    const struct expr_scope *scope;
    enum { WANT_JSON, WANT_TRUTH, WANT_TEXT } want;
    json_t *json; /* owned once set */
    bool truth;
    struct str *text; /* appended to */
};

/* Sets what the expression mentions in the table on top. */
static void
scope_set(lua_State *L, const struct expr *e, const struct expr_scope *scope)
{
    const struct {
        unsigned use;
        const char *name;
        json_t *value;
    } row[] = {
        {EXPR_INPUT, "input", scope->input}, {EXPR_INPUTS, "inputs", scope->inputs},
        {EXPR_ITEM, "item", scope->item},    {EXPR_INDEX, "index", scope->index},
        {EXPR_RUN, "run", scope->run},       {EXPR_OUTPUT, "output", scope->output},
        {EXPR_VARS, "vars", scope->vars},    {EXPR_STEPS, "steps", scope->steps},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        if (!(e->scan.uses & row[i].use) || !row[i].value)
            continue;
        value_push(L, row[i].value);
        lua_setfield(L, -2, row[i].name);
    }
    if ((e->scan.uses & EXPR_STEPS) && !scope->steps && scope->step) {
        value_push_steps(L);
        lua_setfield(L, -2, "steps");
    }
    for (size_t i = 0; i < e->scan.refs.len; i++) {
        const struct expr_ref *ref = &e->scan.refs.at[i];
        if (ref->kind != EXPR_REF_LOCAL)
            continue;
        value_push(L, json_object_get(scope->locals, ref->name));
        lua_setfield(L, -2, ref->name);
    }
}

static int
eval_body(lua_State *L)
{
    struct evaluation *v = lua_touserdata(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, v->e->function);
    safe_env_push(L);
    scope_set(L, v->e, v->scope);
    lua_setupvalue(L, -2, 1);
    lua_call(L, 0, 1);
    if (v->want == WANT_TRUTH) {
        v->truth = lua_toboolean(L, -1);
    } else if (v->want == WANT_JSON) {
        v->json = json_incref(value_take(L, -1));
    } else {
        value_text(L, -1, v->text);
    }
    return 0;
}

static struct err *MUST
evaluate(struct evaluation *v)
{
    const struct expr *e = v->e;
    struct luastate_run run = {.fn = eval_body,
                               .ctx = v,
                               .chunk = &e->chunk,
                               .scope = v->scope,
                               .now_wall_ms = v->scope->now_wall_ms};
    struct err *failed = luastate_run(e->space->lua, &run);
    lua_State *L = e->space->lua->lua; /* let go of the globals; none of this can raise */
    lua_rawgeti(L, LUA_REGISTRYINDEX, e->function);
    lua_pushnil(L);
    lua_setupvalue(L, -2, 1);
    lua_settop(L, 0);
    return failed;
}

struct err *
expr_eval(const struct expr *e, const struct expr_scope *scope, json_t **ret_json)
{
    struct evaluation v = {.e = e, .scope = scope, .want = WANT_JSON};
    PASS(evaluate(&v));
    *ret_json = v.json;
    return NULL;
}

struct err *
expr_test(const struct expr *e, const struct expr_scope *scope, bool *ret_truth)
{
    struct evaluation v = {.e = e, .scope = scope, .want = WANT_TRUTH};
    PASS(evaluate(&v));
    *ret_truth = v.truth;
    return NULL;
}

struct err *
expr_splice(const struct expr *e, const struct expr_scope *scope, struct str *s)
{
    AUTO(str_fini) struct str text = STR_INIT;
    struct evaluation v = {.e = e, .scope = scope, .want = WANT_TEXT, .text = &text};
    PASS(evaluate(&v));
    if (s->len + text.len > TEMPLATE_BYTES_MAX)
        return FAIL_AT(e->chunk.at, ERR_LIMIT, "the text becomes longer than %zu MB",
                       TEMPLATE_BYTES_MAX >> 20);
    str_addn(s, str_c(&text), text.len);
    return NULL;
}
