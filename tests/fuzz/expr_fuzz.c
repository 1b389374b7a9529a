/* expr_fuzz.c - bytes as an expression, as a template and as a script; what compiles is run within
 * small limits against a fixed world, and what it makes must be JSON again. The world must not
 * change. Needs `-fsanitize=fuzzer`; linked with the archives of base and expr. */
#include "expr/exprlua.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char world_text[] = "{\"n\":1,\"text\":\"caf\xc3\xa9\",\"list\":[1,null,[2.5]],"
                                 "\"map\":{\"a\":{\"b\":true}},\"none\":null}";

static json_t *world;
static struct expr_space *space;
static char *world_before;

static json_t *
step_find(void *ctx, const char *id)
{
    (void)ctx;
    return json_object_get(world, id);
}

static void
world_open(void)
{
    json_error_t why;
    world = json_loads(world_text, 0, &why);
    assert(world);
    world_before = json_text(world);
    space = expr_space_new((struct luastate_limits){.instructions = 20000, .bytes = 1 << 20});
}

/* It can make an error's text that looks like a place nobody told: by the byte, an escape, char().
 */
static bool
may_pretend(const char *text)
{
    return strpbrk(text, "\x01\\") || strstr(text, "char");
}

static void
check(const char *input, struct err *OWN failed, json_t *OWN j)
{
    if (failed) {
        assert(err_kind(failed) == ERR_INVALID || err_kind(failed) == ERR_LIMIT);
        assert(err_pos(failed).line >= 1 && err_pos(failed).col >= 1);
        char *text = err_text(failed);
        assert(*text);
        assert(may_pretend(input) ||
               strncmp(text, "\x01:", 2) != 0); /* a place that was not told */
        free(text);
        err_free(failed);
    } else {
        free(json_text(j));
    }
    json_decref(j);
}

/* Garbage that Lua has not collected yet looks like a leak of this input: libFuzzer then asks the
 * leak checker, which takes a hundred times as long as an input, and after a thousand such answers
 * asks no more. So nothing is left behind. */
static void
settle(void)
{
    lua_gc(expr_space_lua(space)->lua, LUA_GCCOLLECT);
    char *now = json_text(world);
    assert(strcmp(now, world_before) == 0);
    free(now);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!world)
        world_open();
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    struct expr_scope scope = {.input = world,
                               .inputs = json_object_get(world, "map"),
                               .item = json_object_get(world, "list"),
                               .step = step_find,
                               .now_wall_ms = 1795237200123};
    struct expr *e = NULL;
    struct template *t = NULL;
    json_t *j = NULL;
    struct err *failed = expr_compile(space, text, NOWHERE, &e);
    if (!failed)
        failed = expr_eval(e, &scope, &j);
    check(text, failed, j);
    j = NULL;
    failed = template_compile(space, text, NOWHERE, &t);
    if (!failed)
        failed = template_eval(t, &scope, &j);
    check(text, failed, j);
    j = NULL;
    struct luastate_script script = {.text = text, .globals = world};
    failed = luastate_run_script(expr_space_lua(space), &script, &j);
    check(text, failed, j);
    expr_free(e);
    template_free(t);
    free(text);
    settle();
    return 0;
}
