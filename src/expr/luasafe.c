/* luasafe.c - what user code can reach: nothing that is not put here by name.
 *
 * User code sees the globals of its call, and behind them one table of names that no code can get
 * at or change; libraries are shown through empty tables that only read. There is no setmetatable,
 * rawset or next. Functions of Lua's libraries are taken when their work is bounded by what they
 * allocate; the others are wrapped here (a count limit) or written anew (luatable.c). */
#include "expr/exprlua.h"
#include <lualib.h>
#include <string.h>

#define NUMBER_LEN_MAX                                                                             \
    200                 /* no number is longer; parsing megabytes of digits cannot be interrupted */
#define REP_SHIFT  4    /* 16 copies of string.rep count as one instruction */
#define SPREAD_MAX 1000 /* values that one call may spread on the stack */

static const char env_meta; /* key of the registry */

/* The function that a wrapper holds as its upvalue, with the wrapper's arguments and in its place:
 * so errors name the user's call. */
static int
call_original(lua_State *L)
{
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* ---- base ------------------------------------------------------------------ */
static int
safe_type(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushstring(L, lua_type(L, 1) == LUA_TUSERDATA ? "table" : luaL_typename(L, 1));
    return 1;
}

/* As text without addresses, which differ from run to run. */
static void
tostring_push(lua_State *L, int i)
{
    struct str *text = &luastate_of(L)->text;
    switch (lua_type(L, i)) {
    case LUA_TTABLE:
    case LUA_TUSERDATA:
        str_reset(text);
        value_write(L, i, text);
        lua_pushlstring(L, str_c(text), text->len);
        break;
    case LUA_TFUNCTION:
        lua_pushliteral(L, "function");
        break;
    default:
        luaL_tolstring(L, i, NULL);
    }
}

static int
safe_tostring(lua_State *L)
{
    luaL_checkany(L, 1);
    tostring_push(L, 1);
    return 1;
}

/* Upvalue: Lua's own tonumber. */
static int
safe_tonumber(lua_State *L)
{
    size_t n = 0;
    luaL_checkany(L, 1);
    if (lua_type(L, 1) == LUA_TSTRING)
        lua_tolstring(L, 1, &n);
    if (n > NUMBER_LEN_MAX || lua_isnil(L, 1)) {
        lua_pushnil(L);
        return 1;
    }
    return call_original(L);
}

/* Failures of limits pass through. The message loses the chunk's name and line. */
static int
safe_pcall(lua_State *L)
{
    struct luastate *s = luastate_of(L);
    luaL_checkany(L, 1);
    lua_pushboolean(L, true);
    lua_insert(L, 1);
    int status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0);
    if (status == LUA_ERRMEM)
        luastate_raise(L, OVER_MEMORY);
    if (s->over != OVER_NOT)
        luastate_raise(L, s->over);
    if (status == LUA_OK)
        return lua_gettop(L);
    lua_pushboolean(L, false);
    const char *text = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
    const char *said = text && text[0] == CHUNK_NAME[1] ? strstr(text, ": ") : NULL;
    if (said)
        lua_pushstring(L, said + 2);
    else
        lua_pushvalue(L, -2);
    return 2;
}

/* ---- string ---------------------------------------------------------------- */
/* Upvalue: Lua's own rep, which would count to n even for nothing. Too much is refused here, before
 * a refused allocation costs anything. */
static int
safe_rep(lua_State *L)
{
    size_t n, sep = 0;
    luaL_checklstring(L, 1, &n);
    luaL_optlstring(L, 3, "", &sep);
    if (n + sep == 0) {
        luaL_checkinteger(L, 2);
        lua_pushliteral(L, "");
        return 1;
    }
    size_t times = (size_t)MAX(luaL_checkinteger(L, 2), 0);
    if (times > luastate_of(L)->now.bytes / (n + sep))
        luastate_raise(L, OVER_MEMORY);
    luastate_charge(L, times >> REP_SHIFT);
    return call_original(L);
}

static int
safe_byte(lua_State *L)
{
    size_t len;
    const char *p = luaL_checklstring(L, 1, &len);
    lua_Integer n = (lua_Integer)len, from = luaL_optinteger(L, 2, 1);
    lua_Integer to = luaL_optinteger(L, 3, from);
    from = from < -n ? 1 : from < 0 ? n + from + 1 : MAX(from, 1);
    to = to < -n ? 0 : to < 0 ? n + to + 1 : MIN(to, n);
    if (from > to)
        return 0;
    if (to - from >= SPREAD_MAX)
        return luaL_error(L, "string.byte gives at most %d bytes at once", SPREAD_MAX);
    luaL_checkstack(L, SPREAD_MAX, NULL);
    luastate_charge(L, (size_t)(to - from));
    for (lua_Integer i = from; i <= to; i++)
        lua_pushinteger(L, (unsigned char)p[i - 1]);
    return (int)(to - from) + 1;
}

/* Upvalue: Lua's own format. Values it would show by their address are shown as text. */
static int
safe_format(lua_State *L)
{
    const char *p = luaL_checkstring(L, 1);
    int top = lua_gettop(L);
    while ((p = strchr(p, '%'))) {
        p += 1 + strspn(p + 1, "0123456789.-+# ");
        if (*p == 'p')
            return luaL_error(L, "string.format knows no %%p here");
        p += *p ? 1 : 0;
    }
    for (int i = 2; i <= top; i++) {
        if (lua_type(L, i) < LUA_TTABLE)
            continue;
        tostring_push(L, i);
        lua_replace(L, i);
    }
    return call_original(L);
}

/* "5" + 1 is 6, as in Lua. Upvalue: the operation. */
static int
text_arith(lua_State *L)
{
    int op = (int)lua_tointeger(L, lua_upvalueindex(1));
    lua_settop(L, 2);
    for (int i = 1; i <= 2; i++) {
        size_t n;
        if (lua_type(L, i) == LUA_TNUMBER)
            continue;
        if (lua_type(L, i) != LUA_TSTRING)
            return luaL_error(L, "attempt to perform arithmetic on a %s value",
                              luaL_typename(L, i));
        const char *p = lua_tolstring(L, i, &n);
        if (n > NUMBER_LEN_MAX || lua_stringtonumber(L, p) != n + 1)
            return luaL_error(L, "cannot calculate with a text that is not a number: '%s'",
                              n > 40 ? "..." : p);
        lua_replace(L, i);
    }
    if (op == LUA_OPUNM)
        lua_settop(L, 1);
    lua_arith(L, op);
    return 1;
}

static int
safe_utf8_len(lua_State *L)
{
    size_t n;
    luaL_checklstring(L, 1, &n);
    luastate_charge(L, n >> 4);
    return call_original(L);
}

/* ---- putting it together --------------------------------------------------- */
/* from[name] of the table at `from`, to the table on top, as it is. */
static void
copy_names(lua_State *L, int from, const char *const *names)
{
    for (; *names; names++) {
        lua_getfield(L, from, *names);
        lua_setfield(L, -2, *names);
    }
}

/* The same, as upvalue of wrapper. */
static void
wrap_name(lua_State *L, int from, const char *name, lua_CFunction wrapper)
{
    lua_getfield(L, from, name);
    lua_pushcclosure(L, wrapper, 1);
    lua_setfield(L, -2, name);
}

static int
library_newindex(lua_State *L)
{
    return luaL_error(L, "libraries are read-only");
}

/* Replaces the table on top by an empty one that reads from it. */
static void
show_read_only(lua_State *L)
{
    lua_newtable(L);
    lua_newtable(L);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, library_newindex);
    lua_setfield(L, -2, "__newindex");
    lua_setmetatable(L, -2);
    lua_remove(L, -2);
}

static void
text_meta_open(lua_State *L, int strings)
{
    static const struct {
        const char *name;
        int op;
    } arith[] = {
        {"__add", LUA_OPADD}, {"__sub", LUA_OPSUB}, {"__mul", LUA_OPMUL},   {"__mod", LUA_OPMOD},
        {"__pow", LUA_OPPOW}, {"__div", LUA_OPDIV}, {"__idiv", LUA_OPIDIV}, {"__unm", LUA_OPUNM},
    };
    lua_pushliteral(L, "");
    lua_newtable(L);
    lua_pushvalue(L, strings);
    lua_setfield(L, -2, "__index");
    for (size_t i = 0; i < COUNT(arith); i++) {
        lua_pushinteger(L, arith[i].op);
        lua_pushcclosure(L, text_arith, 1);
        lua_setfield(L, -2, arith[i].name);
    }
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

static void
strings_open(lua_State *L, int names)
{
    static const char *const taken[] = {"sub", "upper", "lower", "len", "char", "reverse", NULL};
    static const char *const taken_utf8[] = {"char", NULL};
    luaL_requiref(L, "string", luaopen_string, 0);
    lua_newtable(L);
    copy_names(L, lua_gettop(L) - 1, taken);
    lua_pushcfunction(L, safe_byte);
    lua_setfield(L, -2, "byte");
    wrap_name(L, lua_gettop(L) - 1, "rep", safe_rep);
    wrap_name(L, lua_gettop(L) - 1, "format", safe_format);
    text_meta_open(L, lua_gettop(L));
    show_read_only(L);
    lua_setfield(L, names, "string");
    luaL_requiref(L, "utf8", luaopen_utf8, 0);
    lua_newtable(L);
    copy_names(L, lua_gettop(L) - 1, taken_utf8);
    wrap_name(L, lua_gettop(L) - 1, "len", safe_utf8_len);
    show_read_only(L);
    lua_setfield(L, names, "utf8");
    lua_settop(L, names);
}

static void
base_open(lua_State *L, int names)
{
    static const char *const taken[] = {"assert", "error", "select", NULL};
    static const luaL_Reg own[] = {
        {"type", safe_type},    {"tostring", safe_tostring}, {"pcall", safe_pcall},
        {"pairs", value_pairs}, {"ipairs", value_ipairs},    {NULL, NULL},
    };
    luaL_requiref(L, "_G", luaopen_base, 0);
    int base = lua_gettop(L);
    lua_pushvalue(L, names);
    copy_names(L, base, taken);
    wrap_name(L, base, "tonumber", safe_tonumber);
    luaL_setfuncs(L, own, 0);
    luaL_setfuncs(L, helper_functions, 0);
    lua_settop(L, names);
}

void
safe_open(lua_State *L)
{
    lua_newtable(L);
    int names = lua_gettop(L);
    base_open(L, names);
    strings_open(L, names);
    lua_newtable(L);
    luaL_setfuncs(L, table_functions, 0);
    show_read_only(L);
    lua_setfield(L, names, "table");
    luaL_requiref(L, "math", luaopen_math, 0);
    lua_pushnil(L);
    lua_setfield(L, -2, "random"); /* chance is an input of the engine's, not of a script's */
    lua_pushnil(L);
    lua_setfield(L, -2, "randomseed");
    show_read_only(L);
    lua_setfield(L, names, "math");
    lua_newtable(L);
    lua_pushvalue(L, names);
    lua_setfield(L, -2, "__index");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &env_meta);
    lua_settop(L, names - 1);
}

void
safe_env_push(lua_State *L)
{
    lua_newtable(L);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &env_meta);
    lua_setmetatable(L, -2);
}
