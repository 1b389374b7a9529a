/* luastate.c - a state, its limits, and a call within them. Where the sandbox is: luasafe.c. */
#include "expr/luastate.h"
#include "expr/exprlua.h"
#include "expr/exprscan.h"
#include <assert.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_STEP   100          /* instructions between two looks at the budget */
#define ALLOC_SHIFT  8            /* 256 bytes allocated count as one instruction */
#define REFUSED_COST 10000        /* a refused allocation makes Lua collect everything */
#define IDLE_GARBAGE (512u << 10) /* collected after a call that leaves more */
#define SCRATCH_KEPT (64u << 10)
#define PAIR_UNIT    (16u << 10) /* two texts this long alive: a comparison costs one more */
#define SINGLE_UNIT  (256u << 10)
#define VARARGS_MAX  2000 /* each call passes them on by copying */

/* ---- memory ---------------------------------------------------------------- */
static void
big_note(struct luastate *s, size_t n, int change)
{
    if (n < (size_t)1 << BIG_SHIFT)
        return;
    unsigned class = 63 - (unsigned)__builtin_clzll(n) - BIG_SHIFT;
    s->big[MIN(class, BIG_CLASSES - 1u)] += (unsigned)change;
}

static void *
luastate_alloc(void *ctx, void *p, size_t old, size_t n)
{
    struct luastate *s = ctx;
    size_t was = p ? old : 0; /* without a block, old is a type */
    if (n > was) {
        size_t rest = s->used - was + s->held_bytes;
        if (s->used_max < n || s->used_max - n < rest) {
            s->budget -= REFUSED_COST;
            return NULL;
        }
        s->budget -= (int64_t)(n >> ALLOC_SHIFT);
    }
    big_note(s, was, -1);
    big_note(s, n, 1);
    s->used = s->used - was + n;
    if (n)
        return xrealloc(p, n);
    free(p);
    return NULL;
}

json_t *
luastate_hold(lua_State *L, json_t *j, size_t bytes)
{
    struct luastate *s = luastate_of(L);
    vec_push(&s->held, j);
    s->held_bytes += bytes;
    if (s->used + s->held_bytes > s->used_max) {
        lua_gc(L, LUA_GCCOLLECT);
        s->budget -= REFUSED_COST;
    }
    if (s->used + s->held_bytes > s->used_max)
        luastate_raise(L, OVER_MEMORY);
    return j;
}

/* ---- instructions ---------------------------------------------------------- */
int
luastate_raise(lua_State *L, enum luastate_over why)
{
    struct luastate *s = luastate_of(L);
    if (s->over == OVER_NOT)
        s->over = why;
    lua_pushnil(L); /* what is told comes from s->over; a message here could need memory */
    return lua_error(L);
}

void
luastate_charge(lua_State *L, size_t instructions)
{
    struct luastate *s = luastate_of(L);
    s->budget -= instructions > INT32_MAX ? INT32_MAX : (int64_t)instructions;
    if (s->budget < 0)
        luastate_raise(L, OVER_INSTRUCTIONS);
}

/* One instruction can compare two texts of megabytes, or copy a large stack: while such blocks
 * live, each is charged for what it could do. */
static size_t
instruction_cost(const struct luastate *s)
{
    size_t largest = 0, second = 0;
    for (unsigned i = BIG_CLASSES; i-- > 0 && !second;) {
        size_t size = (size_t)1 << (i + BIG_SHIFT);
        if (!s->big[i])
            continue;
        if (largest || s->big[i] > 1)
            second = size;
        if (!largest)
            largest = size;
    }
    return 1 + second / PAIR_UNIT + largest / SINGLE_UNIT;
}

static void
on_count(lua_State *L, lua_Debug *ar)
{
    if (lua_getlocal(L, ar, -VARARGS_MAX))
        luaL_error(L, "a call has %d arguments or more", VARARGS_MAX);
    luastate_charge(L, COUNT_STEP * instruction_cost(luastate_of(L)));
}

/* ---- a call ---------------------------------------------------------------- */
static struct err *OWN
over_error(const struct luastate *s, const struct chunk *chunk)
{
    int64_t n = s->now.instructions;
    bool millions = n >= 1000000 && n % 1000000 == 0;
    size_t bytes = s->now.bytes;
    bool mega = bytes >= 1 << 20 && bytes % (1 << 20) == 0;
    switch (s->over) {
    case OVER_MEMORY:
        return FAIL_AT(chunk->at, ERR_LIMIT, "the %s needed more than %zu %s of memory",
                       chunk->what, mega ? bytes >> 20 : bytes, mega ? "MB" : "bytes");
    case OVER_RESULT:
        return FAIL_AT(chunk->at, ERR_LIMIT, "the %s makes a value larger than %zu %s", chunk->what,
                       mega ? bytes >> 20 : bytes, mega ? "MB" : "bytes");
    case OVER_REGEX:
        return FAIL_AT(chunk->at, ERR_LIMIT,
                       "a regular expression of the %s takes too many steps on this text",
                       chunk->what);
    default:
        return FAIL_AT(chunk->at, ERR_LIMIT, "the %s ran more than %lld%s instructions",
                       chunk->what, (long long)(millions ? n / 1000000 : n),
                       millions ? " million" : "");
    }
}

/* Nothing of a call outlives it: its JSON, its cache of long texts, its garbage beyond a little. */
static void
run_end(struct luastate *s)
{
    s->used_max = SIZE_MAX;
    lua_settop(s->lua, 0);
    if (s->cached_bytes) {
        lua_pushnil(s->lua);
        lua_rawsetp(s->lua, LUA_REGISTRYINDEX, &s->cached_bytes);
        s->cached_bytes = 0;
    }
    vec_each (&s->held, j)
        json_decref(*j);
    if (s->held.cap > 1024)
        vec_fini(&s->held);
    s->held.len = 0;
    s->held_bytes = 0;
    if (s->text.cap > SCRATCH_KEPT)
        str_fini(&s->text);
    if (s->piece.cap > SCRATCH_KEPT)
        str_fini(&s->piece);
    if (s->used > s->used_idle + IDLE_GARBAGE) {
        lua_gc(s->lua, LUA_GCCOLLECT);
        s->used_idle = s->used;
    }
    s->scope = NULL;
    s->busy = false;
}

struct err *
luastate_run(struct luastate *s, const struct luastate_run *run)
{
    assert(!s->busy); /* a callback entered the state again */
    s->busy = true;
    s->now.instructions =
        run->limits.instructions ? run->limits.instructions : s->usual.instructions;
    s->now.bytes = run->limits.bytes ? run->limits.bytes : s->usual.bytes;
    s->budget = s->now.instructions;
    s->used_max = s->used + s->now.bytes;
    s->over = OVER_NOT;
    s->syntax = false;
    s->scope = run->scope;
    s->now_wall_ms = run->now_wall_ms;
    lua_sethook(s->lua, on_count, LUA_MASKCOUNT, COUNT_STEP);
    lua_pushcfunction(s->lua, run->fn);
    lua_pushlightuserdata(s->lua, run->ctx);
    int status = lua_pcall(s->lua, 1, 0, 0);
    struct err *e = NULL;
    if (status == LUA_ERRMEM && s->over == OVER_NOT)
        s->over = OVER_MEMORY;
    if (status != LUA_OK)
        e = s->over != OVER_NOT ? over_error(s, run->chunk) : chunk_error(s->lua, run->chunk);
    run_end(s);
    return e;
}

bool
luastate_load(lua_State *L, const struct str *text)
{
    int status = luaL_loadbufferx(L, str_c(text), text->len, CHUNK_NAME, "t");
    if (status == LUA_ERRMEM)
        luastate_raise(L, OVER_MEMORY);
    luastate_of(L)->syntax = status != LUA_OK;
    return status == LUA_OK;
}

/* ---- life ------------------------------------------------------------------ */
static int
on_panic(lua_State *L)
{
    (void)L;
    assert(!"a Lua error outside of a protected call");
    return 0;
}

struct luastate *
luastate_new(struct luastate_limits limits)
{
    struct luastate *s = xcalloc(1, sizeof *s);
    s->usual.instructions = limits.instructions ? limits.instructions : LUASTATE_INSTRUCTIONS;
    s->usual.bytes = limits.bytes ? limits.bytes : LUASTATE_BYTES;
    s->used_max = SIZE_MAX;
    s->regex = regex_cache_new();
    s->lua = lua_newstate(luastate_alloc, s);
    assert(s->lua);
    lua_atpanic(s->lua, on_panic);
    *(struct luastate **)lua_getextraspace(s->lua) = s;
    value_open(s->lua);
    safe_open(s->lua);
    lua_settop(s->lua, 0);
    lua_gc(s->lua, LUA_GCCOLLECT);
    s->used_idle = s->used;
    return s;
}

void
luastate_free(struct luastate *s)
{
    if (!s)
        return;
    lua_close(s->lua);
    assert(s->used == 0);
    regex_cache_free(s->regex);
    str_fini(&s->text);
    str_fini(&s->piece);
    vec_fini(&s->held);
    free(s);
}

void
luastate_freep(struct luastate **s)
{
    luastate_free(*s);
    *s = NULL;
}

/* ---- scripts --------------------------------------------------------------- */
struct script_call {
    const struct str *text;
    json_t *globals; /* may be NULL */
    bool only_check;
    json_t *ret; /* owned once set */
};

static int
script_body(lua_State *L)
{
    struct script_call *call = lua_touserdata(L, 1);
    const char *name;
    json_t *value;
    lua_settop(L, 0);
    if (!luastate_load(L, call->text))
        return lua_error(L);
    if (call->only_check)
        return 0;
    safe_env_push(L);
    json_object_foreach (call->globals, name, value) {
        value_push(L, value);
        lua_setfield(L, -2, name);
    }
    lua_setupvalue(L, -2, 1);
    lua_call(L, 0, 1);
    call->ret = json_incref(value_take(L, -1));
    return 0;
}

static struct err *MUST
script_do(struct luastate *s, const struct luastate_script *script, struct script_call *call)
{
    size_t len = strlen(script->text);
    struct src_pos at = script->at;
    if (!at.line)
        at.line = at.col = 1;
    if (len > SCRIPT_BYTES_MAX)
        return FAIL_AT(at, ERR_INVALID, "the script is longer than %zu KB", SCRIPT_BYTES_MAX >> 10);
    struct scan_input in = {.mode = SCAN_SCRIPT, .text = script->text, .len = len, .at = at};
    AUTO(scan_fini) struct scan scan = {0};
    PASS(scan_text(&in, &scan));
    struct chunk chunk = {"script", at, scan.lines.at, scan.lines.len};
    struct luastate_run run = {.fn = script_body,
                               .ctx = call,
                               .chunk = &chunk,
                               .now_wall_ms = script->now_wall_ms,
                               .limits = script->limits};
    call->text = &scan.lua;
    return luastate_run(s, &run);
}

struct err *
luastate_check_script(struct luastate *s, const char *text, struct src_pos at)
{
    struct luastate_script script = {.text = text, .at = at};
    struct script_call call = {.only_check = true};
    return script_do(s, &script, &call);
}

struct err *
luastate_run_script(struct luastate *s, const struct luastate_script *script, json_t **ret_json)
{
    struct script_call call = {.globals = script->globals};
    PASS(script_do(s, script, &call));
    *ret_json = call.ret;
    return NULL;
}
