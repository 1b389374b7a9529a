/* luatable.c - table.concat, insert, remove, sort, unpack, paid for by what they move.
 *
 * Written anew because Lua's own cannot be interrupted, and because its sort is not stable and
 * takes its pivots from the clock: the same input would not give the same output. */
#include "expr/exprlua.h"

#define UNPACK_MAX 1000 /* values spread on the stack by one call */

/* Windows are read-only; everything else is not a table. */
static void
check_changeable(lua_State *L)
{
    if (lua_type(L, 1) == LUA_TUSERDATA)
        luaL_error(L, "this value is read-only");
    luaL_checktype(L, 1, LUA_TTABLE);
}

static int
table_concat(lua_State *L)
{
    struct str *text = &luastate_of(L)->text;
    size_t sep_len;
    const char *sep = luaL_optlstring(L, 2, "", &sep_len);
    lua_Integer from = luaL_optinteger(L, 3, 1),
                to = luaL_opt(L, luaL_checkinteger, 4, luaL_len(L, 1));
    lua_settop(L, 4);
    str_reset(text);
    for (lua_Integer i = from; i <= to; i++) {
        size_t n;
        luastate_charge(L, 1);
        if (lua_geti(L, 1, i) != LUA_TSTRING && !lua_isnumber(L, -1))
            return luaL_error(L, "table.concat: item %I is a %s, not a text", i,
                              luaL_typename(L, -1));
        const char *p = lua_tolstring(L, -1, &n);
        if (text->len + n + sep_len > luastate_of(L)->now.bytes)
            luastate_raise(L, OVER_MEMORY);
        str_addn(text, p, n);
        if (i == to)
            break; /* to may be the largest integer */
        str_addn(text, sep, sep_len);
        luastate_charge(L, (n + sep_len) >> 8);
        lua_settop(L, 4);
    }
    lua_pushlstring(L, str_c(text), text->len);
    return 1;
}

static int
table_insert(lua_State *L)
{
    int args = lua_gettop(L);
    check_changeable(L);
    lua_Integer len = luaL_len(L, 1), pos = len + 1;
    if (args == 3)
        pos = luaL_checkinteger(L, 2);
    else if (args != 2)
        return luaL_error(L, "table.insert wants (list, value) or (list, position, value)");
    luaL_argcheck(L, pos >= 1 && pos <= len + 1, 2, "position is outside of the list");
    luastate_charge(L, (size_t)(len + 1 - pos));
    for (lua_Integer i = len; i >= pos; i--) {
        lua_geti(L, 1, i);
        lua_seti(L, 1, i + 1);
    }
    lua_seti(L, 1, pos);
    return 0;
}

static int
table_remove(lua_State *L)
{
    check_changeable(L);
    lua_Integer len = luaL_len(L, 1), pos = luaL_optinteger(L, 2, len);
    if (len == 0 && pos == len) {
        lua_pushnil(L);
        return 1;
    }
    luaL_argcheck(L, pos >= 1 && pos <= len, 2, "position is outside of the list");
    luastate_charge(L, (size_t)(len - pos));
    lua_geti(L, 1, pos);
    for (lua_Integer i = pos; i < len; i++) {
        lua_geti(L, 1, i + 1);
        lua_seti(L, 1, i);
    }
    lua_pushnil(L);
    lua_seti(L, 1, len);
    return 1;
}

/* Is the value at -1 less than the one at -2? The comparison, if any, is at 2. */
static bool
sort_less(lua_State *L)
{
    if (lua_isnil(L, 2))
        return lua_compare(L, -1, -2, LUA_OPLT);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -4);
    lua_call(L, 2, 1);
    bool less = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return less;
}

/* Merges [low, mid) and [mid, high) of the table at `from` into the one at `to`. */
static void
sort_merge(lua_State *L, int from, int to, const lua_Integer range[3])
{
    lua_Integer a = range[0], b = range[1];
    for (lua_Integer k = range[0]; k < range[2]; k++) {
        bool take_b = a >= range[1];
        if (!take_b && b < range[2]) {
            lua_rawgeti(L, from, a);
            lua_rawgeti(L, from, b);
            take_b = sort_less(L);
            lua_pop(L, 2);
        }
        lua_rawgeti(L, from, take_b ? b++ : a++);
        lua_rawseti(L, to, k);
    }
}

static int
table_sort(lua_State *L)
{
    check_changeable(L);
    if (!lua_isnoneornil(L, 2))
        luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    lua_Integer n = luaL_len(L, 1);
    luaL_argcheck(L, n < INT32_MAX, 1, "the list is too long");
    lua_createtable(L, (int)n, 0);
    lua_createtable(L, (int)n, 0);
    int from = 3, to = 4;
    for (lua_Integer i = 1; i <= n; i++) {
        lua_geti(L, 1, i);
        lua_rawseti(L, from, i);
    }
    for (lua_Integer width = 1; width < n; width *= 2) {
        luastate_charge(L, (size_t)n);
        for (lua_Integer low = 1; low <= n; low += 2 * width) {
            const lua_Integer range[3] = {low, MIN(low + width, n + 1),
                                          MIN(low + 2 * width, n + 1)};
            sort_merge(L, from, to, range);
        }
        from = 7 - from;
        to = 7 - to;
    }
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, from, i);
        lua_seti(L, 1, i);
    }
    return 0;
}

static int
table_unpack(lua_State *L)
{
    lua_Integer from = luaL_optinteger(L, 2, 1),
                to = luaL_opt(L, luaL_checkinteger, 3, luaL_len(L, 1));
    if (from > to)
        return 0;
    if ((lua_Unsigned)to - (lua_Unsigned)from >= UNPACK_MAX)
        return luaL_error(L, "table.unpack gives at most %d values", UNPACK_MAX);
    luaL_checkstack(L, UNPACK_MAX, NULL);
    luastate_charge(L, (size_t)(to - from));
    for (lua_Integer i = from; i < to; i++)
        lua_geti(L, 1, i);
    lua_geti(L, 1, to);
    return (int)(to - from) + 1;
}

const luaL_Reg table_functions[] = {
    {"concat", table_concat}, {"insert", table_insert}, {"remove", table_remove},
    {"sort", table_sort},     {"unpack", table_unpack}, {NULL, NULL},
};
