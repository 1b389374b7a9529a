/* luavalue.c - JSON as Lua sees it and Lua's values as JSON.
 *
 * An object or list is a window: a userdata that holds a borrowed json_t, its members converted
 * when read. Windows are the only userdata that user code can hold, so a userdata is one by its
 * type. A long text of JSON is handed to Lua once and found again by its address, so that a loop
 * over steps.x.text does not copy it each time. Order of members, walking and keys: luawalk.c. */
#include "expr/exprlua.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_CACHED_MIN 1024
#define TEXT_CACHE_MAX  ((size_t)1 << 20)
#define TAKE_DEPTH_MAX  JSON_DEPTH_MAX
#define WRITE_DEPTH_MAX (2 * JSON_DEPTH_MAX)
#define WRITE_COST      10 /* instructions that making JSON text costs beside its length */
#define TAKE_NODE_COST  64 /* bytes that one value of a result counts for */

struct window {
    json_t *json; /* borrowed; NULL: the steps, found by scope->step */
};

static const char list_meta, object_meta, steps_meta; /* their addresses are keys of the registry */

/* ---- to Lua ---------------------------------------------------------------- */
static void
text_push(lua_State *L, json_t *j)
{
    struct luastate *s = luastate_of(L);
    size_t n = json_string_length(j);
    if (n < TEXT_CACHED_MIN) {
        lua_pushlstring(L, json_string_value(j), n);
        return;
    }
    if (s->cached_bytes) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, &s->cached_bytes);
        lua_rawgetp(L, -1, j);
        lua_remove(L, -2);
        if (lua_isstring(L, -1))
            return;
        lua_pop(L, 1);
    }
    if (!s->cached_bytes || s->cached_bytes + n > TEXT_CACHE_MAX) {
        lua_newtable(L);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &s->cached_bytes);
        s->cached_bytes = 1;
    }
    lua_rawgetp(L, LUA_REGISTRYINDEX, &s->cached_bytes);
    lua_pushlstring(L, json_string_value(j), n);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, -3, j);
    lua_remove(L, -2);
    s->cached_bytes += n;
}

static void
window_push(lua_State *L, json_t *j, const void *meta)
{
    struct window *w = lua_newuserdatauv(L, sizeof *w, 0);
    w->json = j;
    lua_rawgetp(L, LUA_REGISTRYINDEX, meta);
    lua_setmetatable(L, -2);
}

void
value_push(lua_State *L, json_t *j)
{
    luaL_checkstack(L, 4, NULL);
    switch (j ? json_typeof(j) : JSON_NULL) {
    case JSON_OBJECT:
        window_push(L, j, &object_meta);
        break;
    case JSON_ARRAY:
        window_push(L, j, &list_meta);
        break;
    case JSON_STRING:
        text_push(L, j);
        break;
    case JSON_INTEGER:
        lua_pushinteger(L, json_integer_value(j));
        break;
    case JSON_REAL:
        lua_pushnumber(L, json_real_value(j));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        lua_pushboolean(L, json_is_true(j));
        break;
    default:
        lua_pushnil(L);
    }
}

void
value_push_steps(lua_State *L)
{
    window_push(L, NULL, &steps_meta);
}

json_t *
value_window(lua_State *L, int i)
{
    if (lua_type(L, i) != LUA_TUSERDATA)
        return NULL;
    struct window *w = lua_touserdata(L, i);
    if (!w->json)
        luaL_error(L, "the steps cannot be taken as a whole: name one, as in steps.x");
    return w->json;
}

static int
list_index(lua_State *L)
{
    int is_integer;
    lua_Integer k = lua_tointegerx(L, 2, &is_integer);
    bool number = lua_type(L, 2) == LUA_TNUMBER && is_integer;
    value_push(L, number && k >= 1 ? json_array_get(value_window(L, 1), (size_t)k - 1) : NULL);
    return 1;
}

static int
object_index(lua_State *L)
{
    size_t n;
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tolstring(L, 2, &n) : NULL;
    value_push(L, key ? json_object_getn(value_window(L, 1), key, n) : NULL);
    return 1;
}

static int
steps_index(lua_State *L)
{
    const struct expr_scope *scope = luastate_of(L)->scope;
    const char *id = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : NULL;
    value_push(L, id && scope && scope->step ? scope->step(scope->step_ctx, id) : NULL);
    return 1;
}

static int
window_len(lua_State *L)
{
    const json_t *j = value_window(L, 1);
    lua_pushinteger(L, (lua_Integer)(json_is_array(j) ? json_array_size(j) : json_object_size(j)));
    return 1;
}

static int
window_newindex(lua_State *L)
{
    return luaL_error(L, "this value is read-only");
}

static int
window_tostring(lua_State *L)
{
    struct str *text = &luastate_of(L)->text;
    str_reset(text);
    value_write(L, 1, text);
    lua_pushlstring(L, str_c(text), text->len);
    return 1;
}

/* ---- equality -------------------------------------------------------------- */
static bool
json_same(lua_State *L, const json_t *a, const json_t *b, int depth)
{
    if (a == b)
        return true;
    luastate_charge(L, 1);
    if (json_is_number(a) && json_is_number(b))
        return json_is_integer(a) && json_is_integer(b)
                   ? json_integer_value(a) == json_integer_value(b)
                   : json_number_value(a) == json_number_value(b);
    if (json_typeof(a) != json_typeof(b) || depth > WRITE_DEPTH_MAX)
        return false;
    if (json_is_string(a)) {
        luastate_charge(L, json_string_length(a) >> 8);
        return json_equal(a, b);
    }
    if (json_is_array(a)) {
        bool same = json_array_size(a) == json_array_size(b);
        for (size_t i = 0; same && i < json_array_size(a); i++)
            same = json_same(L, json_array_get(a, i), json_array_get(b, i), depth + 1);
        return same;
    }
    if (!json_is_object(a))
        return true; /* the same of true, false, null */
    bool same = json_object_size(a) == json_object_size(b);
    json_t *walked = (json_t *)(uintptr_t)a;
    for (void *at = json_object_iter(walked); same && at; at = json_object_iter_next(walked, at)) {
        const json_t *other =
            json_object_getn(b, json_object_iter_key(at), json_object_iter_key_len(at));
        same = other && json_same(L, json_object_iter_value(at), other, depth + 1);
    }
    return same;
}

bool
luavalue_equal(lua_State *L, int a, int b)
{
    if (lua_type(L, a) == LUA_TUSERDATA && lua_type(L, b) == LUA_TUSERDATA)
        return json_same(L, value_window(L, a), value_window(L, b), 0);
    return lua_rawequal(L, a, b);
}

static int
window_eq(lua_State *L)
{
    lua_pushboolean(L, luavalue_equal(L, 1, 2));
    return 1;
}

/* ---- from Lua -------------------------------------------------------------- */
struct taking {
    lua_State *L;
    json_t *into; /* the list or object that the value joins */
    const char *key;
    size_t key_len; /* in an object */
    int64_t *left;  /* bytes the result may still grow */
    int depth;
};

static void take_into(const struct taking *t, int i);

static void
take_pay(const struct taking *t, size_t bytes)
{
    *t->left -= (int64_t)MIN(bytes, (size_t)INT32_MAX) + TAKE_NODE_COST;
    if (*t->left < 0)
        luastate_raise(t->L, OVER_RESULT);
    luastate_charge(t->L, 1);
}

static json_t *
take_attach(const struct taking *t, json_t *OWN j)
{
    int failed = t->key ? json_object_setn_new(t->into, t->key, t->key_len, j)
                        : json_array_append_new(t->into, j);
    if (failed)
        luaL_error(t->L, "a value cannot become JSON");
    return j;
}

/* How deep j nests, at most limit + 1; *count members are visited. */
static int
json_depth(const json_t *j, int limit, size_t *count)
{
    int deepest = 0;
    json_t *walked = (json_t *)(uintptr_t)j;
    ++*count;
    if (limit < 0)
        return 1;
    for (size_t i = 0; i < json_array_size(j) && deepest <= limit; i++)
        deepest = MAX(deepest, json_depth(json_array_get(j, i), limit - 1, count));
    for (void *at = json_object_iter(walked); at && deepest <= limit;
         at = json_object_iter_next(walked, at))
        deepest = MAX(deepest, json_depth(json_object_iter_value(at), limit - 1, count));
    return deepest + (json_is_array(j) || json_is_object(j) ? 1 : 0);
}

static void
take_window(const struct taking *t, int i)
{
    json_t *j = value_window(t->L, i);
    int limit = TAKE_DEPTH_MAX - t->depth;
    size_t count = 0;
    if (json_depth(j, limit, &count) > limit)
        luaL_error(t->L, "the value is nested deeper than %d", TAKE_DEPTH_MAX);
    luastate_charge(t->L, count / 4);
    take_pay(t, 0);
    take_attach(t, json_incref(j));
}

static void
take_list(const struct taking *t, int i, lua_Integer len)
{
    struct taking item = {.L = t->L, .left = t->left, .depth = t->depth + 1};
    item.into = take_attach(t, json_array());
    for (lua_Integer k = 1; k <= len; k++) {
        lua_rawgeti(t->L, i, k);
        take_into(&item, lua_gettop(t->L));
        lua_pop(t->L, 1);
    }
}

static void
take_object(const struct taking *t, int i)
{
    lua_State *L = t->L;
    struct taking member = {.L = L, .left = t->left, .depth = t->depth + 1};
    member.into = take_attach(t, json_object());
    lua_pushcfunction(L, value_keys);
    lua_pushvalue(L, i);
    lua_call(L, 1, 1);
    int keys = lua_gettop(L);
    for (lua_Integer k = 1; lua_rawgeti(L, keys, k) == LUA_TSTRING; k++) {
        member.key = lua_tolstring(L, -1, &member.key_len);
        lua_pushvalue(L, -1);
        lua_rawget(L, i);
        if (!utf8_valid(member.key, member.key_len) || memchr(member.key, 0, member.key_len)) {
            json_t *repaired = luastate_hold(L, json_string_lossy(member.key, member.key_len), 0);
            member.key = json_string_value(repaired);
            member.key_len = json_string_length(repaired);
        }
        take_pay(&member, member.key_len);
        take_into(&member, lua_gettop(L));
        lua_pop(L, 2);
    }
    lua_settop(L, keys - 1);
}

/* A table is a list when its keys are 1..n with few holes, an object when all are texts. */
static void
take_table(const struct taking *t, int i)
{
    lua_State *L = t->L;
    lua_Integer max = 0, count = 0, texts = 0;
    if (t->depth >= TAKE_DEPTH_MAX)
        luaL_error(L, "the value is nested deeper than %d", TAKE_DEPTH_MAX);
    luaL_checkstack(L, 10, "the value is nested too deep");
    take_pay(t, 0);
    for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) {
        luastate_charge(L, 1);
        count++;
        if (lua_type(L, -2) == LUA_TSTRING)
            texts++;
        else if (lua_isinteger(L, -2) && lua_tointeger(L, -2) >= 1)
            max = MAX(max, lua_tointeger(L, -2));
        else
            luaL_error(L, "a table with a key that is neither a text nor 1, 2, 3 ... cannot "
                          "become JSON");
    }
    if (texts && texts < count)
        luaL_error(L, "a table with both names and list items cannot become JSON");
    if (!texts && max > 2 * count + 8)
        luaL_error(L, "a list with so many holes cannot become JSON");
    if (texts)
        take_object(t, i);
    else
        take_list(t, i, max);
}

static void
take_number(const struct taking *t, int i)
{
    lua_Number n = lua_tonumber(t->L, i);
    take_pay(t, 0);
    if (lua_isinteger(t->L, i))
        take_attach(t, json_integer(lua_tointeger(t->L, i)));
    else if (isfinite(n))
        take_attach(t, json_real(n));
    else
        luaL_error(t->L, "the value is not a finite number (%f)", n);
}

static void
take_into(const struct taking *t, int i)
{
    size_t n;
    const char *p;
    switch (lua_type(t->L, i)) {
    case LUA_TNIL:
        take_pay(t, 0);
        take_attach(t, json_null());
        break;
    case LUA_TBOOLEAN:
        take_pay(t, 0);
        take_attach(t, json_boolean(lua_toboolean(t->L, i)));
        break;
    case LUA_TNUMBER:
        take_number(t, i);
        break;
    case LUA_TSTRING:
        p = lua_tolstring(t->L, i, &n);
        take_pay(t, n);
        luastate_charge(t->L, n >> 8);
        take_attach(t, json_string_lossy(p, n));
        break;
    case LUA_TUSERDATA:
        take_window(t, i);
        break;
    case LUA_TTABLE:
        take_table(t, i);
        break;
    default:
        luaL_error(t->L, "a %s is not a value (is its call '()' missing?)", luaL_typename(t->L, i));
    }
}

json_t *
value_take(lua_State *L, int i)
{
    struct luastate *s = luastate_of(L);
    i = lua_absindex(L, i);
    if (lua_type(L, i) == LUA_TUSERDATA)
        return value_window(L, i);
    /* What is being built hangs in a list that the state holds: an error on the way leaks nothing.
     */
    int64_t left = (int64_t)s->now.bytes;
    struct taking t = {.L = L, .left = &left, .into = luastate_hold(L, json_array(), 0)};
    take_into(&t, i);
    return json_array_get(t.into, 0);
}

void
value_write(lua_State *L, int i, struct str *s)
{
    struct luastate *state = luastate_of(L);
    size_t mark = state->held.len, before = s->len;
    luastate_charge(L, WRITE_COST);
    bool fits = json_write_short(s, value_take(L, i), state->now.bytes);
    while (state->held.len > mark)
        json_decref(vec_pop(&state->held));
    if (!fits)
        luastate_raise(L, OVER_RESULT);
    luastate_charge(L, (s->len - before) >> 6);
}

void
value_text(lua_State *L, int i, struct str *s)
{
    struct luastate *state = luastate_of(L);
    if (lua_type(L, i) == LUA_TSTRING) {
        size_t n;
        const char *p = lua_tolstring(L, i, &n);
        if (s->len + n > state->now.bytes)
            luastate_raise(L, OVER_RESULT);
        luastate_charge(L, n >> 8);
        str_addn(s, p, n);
    } else if (!lua_isnil(L, i)) {
        value_write(L, i, s);
    }
}

/* ---- the metatables -------------------------------------------------------- */
static void
meta_open(lua_State *L, const void *key, const char *name, lua_CFunction index)
{
    static const luaL_Reg common[] = {
        {"__len", window_len},
        {"__newindex", window_newindex},
        {"__tostring", window_tostring},
        {"__eq", window_eq},
        {NULL, NULL},
    };
    lua_newtable(L);
    luaL_setfuncs(L, common, 0);
    lua_pushcfunction(L, index);
    lua_setfield(L, -2, "__index");
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void
value_open(lua_State *L)
{
    meta_open(L, &list_meta, "list", list_index);
    meta_open(L, &object_meta, "object", object_index);
    meta_open(L, &steps_meta, "steps", steps_index);
}
