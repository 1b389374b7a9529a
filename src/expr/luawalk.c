/* luawalk.c - walking through lists, objects and tables in an order that never changes, and JSON
 * text.
 *
 * Keys in sorted order: numbers by value, then texts by bytes, then false and true. A list walks to
 * its end, through its nulls. */
#include "expr/exprlua.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WRITE_DEPTH_MAX (2 * JSON_DEPTH_MAX)

/* ---- order ----------------------------------------------------------------- */
struct key {  /* of a table or an object; texts are borrowed from it */
    int rank; /* 0 number, 1 text, 2 boolean */
    bool is_integer;
    lua_Integer integer;
    lua_Number number;
    const char *text;
    size_t len;
    json_t *value; /* of an object's member */
};

static int
key_compare(const void *x, const void *y)
{
    const struct key *a = x, *b = y;
    if (a->rank != b->rank)
        return a->rank - b->rank;
    if (a->rank == 1) {
        int order = memcmp(a->text, b->text, MIN(a->len, b->len));
        return order ? order : (a->len > b->len) - (a->len < b->len);
    }
    if (a->is_integer && b->is_integer)
        return (a->integer > b->integer) - (a->integer < b->integer);
    return (a->number > b->number) - (a->number < b->number);
}

static void
charge_sort(lua_State *L, size_t n)
{
    size_t cost = n;
    for (size_t k = n; k > 1; k /= 2)
        cost += n / 2;
    luastate_charge(L, cost);
}

static struct key *
keys_new(lua_State *L, size_t n)
{
    charge_sort(L, n);
    return lua_newuserdatauv(L, n * sizeof(struct key) + 1, 0);
}

/* Pushes the members of an object as struct key[]. */
static struct key *
members_push(lua_State *L, json_t *j)
{
    size_t n = 0;
    struct key *keys = keys_new(L, json_object_size(j));
    for (void *at = json_object_iter(j); at; at = json_object_iter_next(j, at)) {
        keys[n++] = (struct key){.rank = 1,
                                 .text = json_object_iter_key(at),
                                 .len = json_object_iter_key_len(at),
                                 .value = json_object_iter_value(at)};
    }
    qsort(keys, n, sizeof *keys, key_compare);
    return keys;
}

static void
key_read(lua_State *L, int i, struct key *ret)
{
    *ret = (struct key){0};
    switch (lua_type(L, i)) {
    case LUA_TNUMBER:
        ret->is_integer = lua_isinteger(L, i);
        ret->integer = lua_tointeger(L, i);
        ret->number = lua_tonumber(L, i);
        break;
    case LUA_TSTRING:
        ret->rank = 1;
        ret->text = lua_tolstring(L, i, &ret->len);
        break;
    case LUA_TBOOLEAN:
        ret->rank = 2;
        ret->is_integer = true;
        ret->integer = lua_toboolean(L, i);
        break;
    default:
        luaL_error(L, "a key that is a %s has no order", luaL_typename(L, i));
    }
}

static void
key_push(lua_State *L, const struct key *key)
{
    if (key->rank == 1)
        lua_pushlstring(L, key->text, key->len);
    else if (key->rank == 2)
        lua_pushboolean(L, key->integer != 0);
    else if (key->is_integer)
        lua_pushinteger(L, key->integer);
    else
        lua_pushnumber(L, key->number);
}

/* Pushes the sorted keys of the table at i as a table. */
static void
table_keys_push(lua_State *L, int i)
{
    size_t n = 0, k = 0;
    for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) {
        luastate_charge(L, 1);
        n++;
    }
    struct key *keys = keys_new(L, n);
    for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        key_read(L, -1, &keys[k++]);
        lua_pop(L, 1);
    }
    qsort(keys, n, sizeof *keys, key_compare);
    lua_createtable(L, (int)MIN(n, (size_t)INT32_MAX), 0);
    for (k = 0; k < n; k++) {
        key_push(L, &keys[k]);
        lua_rawseti(L, -2, (lua_Integer)k + 1);
    }
    lua_remove(L, -2);
}

int
value_keys(lua_State *L)
{
    json_t *j = value_window(L, 1);
    if (lua_isnoneornil(L, 1)) {
        lua_newtable(L);
    } else if (json_is_array(j)) {
        size_t n = json_array_size(j);
        luastate_charge(L, n);
        lua_createtable(L, 0, 0);
        for (size_t k = 1; k <= n; k++) {
            lua_pushinteger(L, (lua_Integer)k);
            lua_rawseti(L, -2, (lua_Integer)k);
        }
    } else if (j) {
        const struct key *keys = members_push(L, j);
        size_t n = json_object_size(j);
        lua_createtable(L, 0, 0);
        for (size_t k = 0; k < n; k++) {
            key_push(L, &keys[k]);
            lua_rawseti(L, -2, (lua_Integer)k + 1);
        }
    } else {
        luaL_checktype(L, 1, LUA_TTABLE);
        table_keys_push(L, 1);
    }
    return 1;
}

/* ---- pairs and ipairs ------------------------------------------------------ */
/* Upvalues: window, position. Goes to the end of the list, through its nulls. */
static int
list_step(lua_State *L)
{
    json_t *j = value_window(L, lua_upvalueindex(1));
    lua_Integer k = lua_tointeger(L, lua_upvalueindex(2)) + 1;
    if ((size_t)k > json_array_size(j))
        return 0;
    lua_pushinteger(L, k);
    lua_copy(L, -1, lua_upvalueindex(2));
    value_push(L, json_array_get(j, (size_t)k - 1));
    return 2;
}

static int
list_walk(lua_State *L)
{
    lua_pushvalue(L, 1);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, list_step, 2);
    return 1;
}

/* Upvalues: window, members, position. */
static int
object_step(lua_State *L)
{
    json_t *j = value_window(L, lua_upvalueindex(1));
    const struct key *keys = lua_touserdata(L, lua_upvalueindex(2));
    lua_Integer k = lua_tointeger(L, lua_upvalueindex(3));
    if ((size_t)k >= json_object_size(j))
        return 0;
    lua_pushinteger(L, k + 1);
    lua_replace(L, lua_upvalueindex(3));
    key_push(L, &keys[k]);
    value_push(L, keys[k].value);
    return 2;
}

/* Upvalues: table, its keys, position. Keys removed since are passed over. */
static int
table_step(lua_State *L)
{
    lua_Integer k = lua_tointeger(L, lua_upvalueindex(3));
    lua_settop(L, 0);
    for (;;) {
        luastate_charge(L, 1);
        if (lua_rawgeti(L, lua_upvalueindex(2), ++k) == LUA_TNIL)
            return 0;
        lua_pushvalue(L, -1);
        if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
            break;
        lua_settop(L, 0);
    }
    lua_pushinteger(L, k);
    lua_replace(L, lua_upvalueindex(3));
    return 2;
}

int
value_pairs(lua_State *L)
{
    json_t *j = value_window(L, 1);
    if (json_is_array(j))
        return list_walk(L);
    if (!j)
        luaL_checktype(L, 1, LUA_TTABLE);
    lua_pushvalue(L, 1);
    if (j)
        members_push(L, j);
    else
        table_keys_push(L, 1);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, j ? object_step : table_step, 3);
    return 1;
}

static int
table_item_step(lua_State *L)
{
    lua_Integer k = luaL_checkinteger(L, 2);
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_pushinteger(L, k + 1);
    return lua_rawgeti(L, 1, k + 1) == LUA_TNIL ? 1 : 2;
}

int
value_ipairs(lua_State *L)
{
    json_t *j = value_window(L, 1);
    if (json_is_array(j))
        return list_walk(L);
    if (j)
        return luaL_error(L, "ipairs walks a list, not an object (use pairs)");
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_pushcfunction(L, table_item_step);
    lua_pushvalue(L, 1);
    lua_pushinteger(L, 0);
    return 3;
}

/* ---- JSON text ------------------------------------------------------------- */
static void
write_real(struct str *s, double x)
{
    char text[40];
    int n = 0;
    for (int digits = 15; digits <= 17; digits++) {
        n = snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x)
            break;
    }
    str_addn(s, text, (size_t)n);
    if (!strpbrk(text, ".e"))
        str_add(s, ".0"); /* reads back as a real */
}

static void
write_string(struct str *s, const char *p, size_t n)
{
    static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
    str_addc(s, '"');
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        const char *escape = c ? strchr(plain, c) : NULL;
        if (escape)
            str_addf(s, "\\%c", letter[escape - plain]);
        else if (c < 0x20)
            str_addf(s, "\\u%04x", c);
        else
            str_addc(s, (char)c);
    }
    str_addc(s, '"');
}

static bool write_json(struct str *s, const json_t *j, size_t end_max, int depth);

static bool
write_members(struct str *s, const json_t *j, size_t end_max, int depth)
{
    json_t *walked = (json_t *)(uintptr_t)j;
    const char *comma = "";
    bool fits = true;
    str_addc(s, json_is_array(j) ? '[' : '{');
    for (size_t i = 0; fits && i < json_array_size(j); i++, comma = ",") {
        str_add(s, comma);
        fits = write_json(s, json_array_get(j, i), end_max, depth + 1);
    }
    for (void *at = json_object_iter(walked); fits && at;
         at = json_object_iter_next(walked, at), comma = ",") {
        str_add(s, comma);
        write_string(s, json_object_iter_key(at), json_object_iter_key_len(at));
        str_addc(s, ':');
        fits = write_json(s, json_object_iter_value(at), end_max, depth + 1);
    }
    str_addc(s, json_is_array(j) ? ']' : '}');
    return fits;
}

static bool
write_json(struct str *s, const json_t *j, size_t end_max, int depth)
{
    size_t more = json_string_length(j);
    if (s->len > end_max || end_max - s->len < more || depth > WRITE_DEPTH_MAX)
        return false;
    switch (json_typeof(j)) {
    case JSON_OBJECT:
    case JSON_ARRAY:
        return write_members(s, j, end_max, depth);
    case JSON_STRING:
        write_string(s, json_string_value(j), more);
        break;
    case JSON_INTEGER:
        str_addf(s, "%" JSON_INTEGER_FORMAT, json_integer_value(j));
        break;
    case JSON_REAL:
        write_real(s, json_real_value(j));
        break;
    default:
        str_add(s, json_is_true(j) ? "true" : json_is_false(j) ? "false" : "null");
    }
    return s->len <= end_max;
}

bool
json_write_short(struct str *s, const json_t *j, size_t bytes_max)
{
    return write_json(s, j, s->len + bytes_max, 0);
}
