/* luahelper.c - the helpers of expressions: json(x) len(x) first(x) split(s, sep) date() ... */
#include "base/units.h"
#include "expr/exprlua.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DATE_FORMAT_MAX  200
#define DATE_SECONDS_MAX INT64_C(253402300799) /* the last second of the year 9999 */
#define PARSE_NODE_COST  128                   /* bytes of memory that one JSON value counts for */

static struct str *
scratch(lua_State *L)
{
    struct str *text = &luastate_of(L)->text;
    str_reset(text);
    return text;
}

static int
scratch_push(lua_State *L)
{
    const struct str *text = &luastate_of(L)->text;
    lua_pushlstring(L, str_c(text), text->len);
    return 1;
}

/* ---- JSON ------------------------------------------------------------------ */
static int
help_json(lua_State *L)
{
    lua_settop(L, 1);
    value_write(L, 1, scratch(L));
    return scratch_push(L);
}

static int
help_parse(lua_State *L)
{
    struct luastate *s = luastate_of(L);
    size_t n, cost = 0;
    if (lua_isnoneornil(L, 1))
        return 0;
    const char *p = luaL_checklstring(L, 1, &n);
    luastate_charge(L, n >> 3);
    for (size_t i = 0; i < n; i++)
        cost += p[i] == ',' || p[i] == '[' || p[i] == '{' || p[i] == ':' ? PARSE_NODE_COST : 1;
    luastate_hold(L, json_null(), cost); /* paid before it is made */
    json_t *j = NULL;
    struct err *e = json_parse(p, n, &j);
    if (e) {
        char *text = err_text(e);
        str_reset(&s->text);
        str_add(&s->text, text);
        free(text);
        err_free(e);
        return luaL_error(L, "parse: %s", str_c(&s->text));
    }
    value_push(L, luastate_hold(L, j, 0));
    return 1;
}

/* ---- any value ------------------------------------------------------------- */
static int
help_len(lua_State *L)
{
    size_t n, count = 0;
    if (lua_isnoneornil(L, 1)) {
        lua_pushinteger(L, 0);
    } else if (lua_type(L, 1) == LUA_TSTRING) {
        const char *p = lua_tolstring(L, 1, &n);
        luastate_charge(L, n >> 6);
        for (size_t i = 0; i < n; i++)
            count += ((unsigned char)p[i] & 0xc0) != 0x80;
        lua_pushinteger(L, (lua_Integer)count);
    } else if (lua_type(L, 1) == LUA_TTABLE && lua_rawlen(L, 1) == 0) {
        for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
            luastate_charge(L, 1);
            count++;
        }
        lua_pushinteger(L, (lua_Integer)count);
    } else {
        luaL_argcheck(L, lua_type(L, 1) >= LUA_TTABLE && lua_type(L, 1) != LUA_TFUNCTION, 1,
                      "a text, list or object is expected");
        lua_len(L, 1);
    }
    return 1;
}

static void
check_list(lua_State *L, int i)
{
    if (lua_type(L, i) != LUA_TTABLE && !json_is_array(value_window(L, i)))
        luaL_typeerror(L, i, "list");
}

static int
item_push(lua_State *L, bool last)
{
    if (lua_isnoneornil(L, 1))
        return 0;
    check_list(L, 1);
    lua_geti(L, 1, last ? luaL_len(L, 1) : 1);
    return 1;
}

static int
help_first(lua_State *L)
{
    return item_push(L, false);
}

static int
help_last(lua_State *L)
{
    return item_push(L, true);
}

static bool
list_contains(lua_State *L)
{
    lua_Integer n = luaL_len(L, 1);
    for (lua_Integer i = 1; i <= n; i++) {
        luastate_charge(L, 1);
        lua_geti(L, 1, i);
        if (luavalue_equal(L, -1, 2))
            return true;
        lua_pop(L, 1);
    }
    return false;
}

static int
help_contains(lua_State *L)
{
    lua_settop(L, 2);
    json_t *j = value_window(L, 1);
    bool found = false;
    if (lua_isstring(L, 1)) {
        size_t n, m;
        const char *p = lua_tolstring(L, 1, &n), *part = luaL_checklstring(L, 2, &m);
        luastate_charge(L, n >> 4);
        found = memmem(p, n, part, m) != NULL;
    } else if (json_is_object(j)) {
        found = lua_type(L, 2) == LUA_TSTRING && json_object_get(j, lua_tostring(L, 2));
    } else if (!lua_isnil(L, 1)) {
        check_list(L, 1);
        found = list_contains(L);
        if (!found && !j && lua_type(L, 2) == LUA_TSTRING) {
            lua_pushvalue(L, 2);
            found = lua_rawget(L, 1) != LUA_TNIL;
        }
    }
    lua_pushboolean(L, found);
    return 1;
}

static int
help_default(lua_State *L)
{
    lua_settop(L, 2);
    lua_pushvalue(L, lua_isnil(L, 1) ? 2 : 1);
    return 1;
}

/* ---- text ------------------------------------------------------------------ */
static int
help_trim(lua_State *L)
{
    size_t n;
    const char *p = luaL_checklstring(L, 1, &n);
    luastate_charge(L, n >> 6);
    while (n && isspace((unsigned char)*p)) {
        p++;
        n--;
    }
    while (n && isspace((unsigned char)p[n - 1]))
        n--;
    lua_pushlstring(L, p, n);
    return 1;
}

static int
change_case(lua_State *L, int (*change)(int))
{
    size_t n;
    luaL_Buffer b;
    const char *p = luaL_checklstring(L, 1, &n);
    char *to = luaL_buffinitsize(L, &b, n);
    luastate_charge(L, n >> 6);
    for (size_t i = 0; i < n; i++)
        to[i] = (char)change((unsigned char)p[i]);
    luaL_pushresultsize(&b, n);
    return 1;
}

static int
help_lower(lua_State *L)
{
    return change_case(L, tolower);
}

static int
help_upper(lua_State *L)
{
    return change_case(L, toupper);
}

static int
split_blank(lua_State *L, const char *p, const char *end)
{
    lua_newtable(L);
    for (lua_Integer k = 1;; k++) {
        while (p < end && isspace((unsigned char)*p))
            p++;
        if (p == end)
            return 1;
        const char *start = p;
        while (p < end && !isspace((unsigned char)*p))
            p++;
        luastate_charge(L, 1);
        lua_pushlstring(L, start, (size_t)(p - start));
        lua_rawseti(L, -2, k);
    }
}

static int
help_split(lua_State *L)
{
    size_t n, m = 0;
    const char *p = luaL_checklstring(L, 1, &n), *end = p + n;
    const char *sep = luaL_optlstring(L, 2, NULL, &m);
    luastate_charge(L, n >> 4);
    if (!sep)
        return split_blank(L, p, end);
    luaL_argcheck(L, m > 0, 2, "the separator must not be empty");
    lua_newtable(L);
    for (lua_Integer k = 1;; k++) {
        const char *hit = memmem(p, (size_t)(end - p), sep, m);
        luastate_charge(L, 1);
        lua_pushlstring(L, p, (size_t)((hit ? hit : end) - p));
        lua_rawseti(L, -2, k);
        if (!hit)
            return 1;
        p = hit + m;
    }
}

static int
help_join(lua_State *L)
{
    size_t m;
    const char *sep = luaL_optlstring(L, 2, ", ", &m);
    struct str *text = scratch(L);
    if (lua_isnoneornil(L, 1))
        return scratch_push(L);
    check_list(L, 1);
    lua_Integer n = luaL_len(L, 1);
    for (lua_Integer i = 1; i <= n; i++) {
        luastate_charge(L, 1 + (m >> 8));
        if (i > 1)
            str_addn(text, sep, m);
        lua_geti(L, 1, i);
        value_text(L, -1, text);
        lua_pop(L, 1);
        if (text->len > luastate_of(L)->now.bytes)
            luastate_raise(L, OVER_MEMORY);
    }
    return scratch_push(L);
}

/* ---- time ------------------------------------------------------------------ */
static int
help_now(lua_State *L)
{
    int64_t ms = luastate_of(L)->now_wall_ms;
    lua_pushinteger(L, ms >= 0 ? ms / 1000 : -((999 - ms) / 1000));
    return 1;
}

/* date(): ISO 8601 in UTC; date(format, seconds): strftime's conversions that need no locale. */
static int
help_date(lua_State *L)
{
    char text[64], one[3] = "%";
    size_t n;
    int64_t ms = luastate_of(L)->now_wall_ms;
    const char *format = luaL_optlstring(L, 1, NULL, &n);
    lua_Number seconds = luaL_optnumber(L, 2, floor((lua_Number)ms / 1000));
    luaL_argcheck(L, fabs(seconds) <= (lua_Number)DATE_SECONDS_MAX, 2, "the year is beyond 9999");
    if (!format) {
        time_iso(lua_isnoneornil(L, 2) ? ms : (int64_t)(seconds * 1000), text);
        lua_pushstring(L, text);
        return 1;
    }
    luaL_argcheck(L, n <= DATE_FORMAT_MAX, 1, "the format is too long");
    time_t t = (time_t)floor(seconds);
    struct tm tm;
    gmtime_r(&t, &tm);
    struct str *out = scratch(L);
    for (const char *p = format; *p; p++) {
        if (*p != '%') {
            str_addc(out, *p);
            continue;
        }
        if (!*++p || !strchr("YmdHMSyjaAbBeFTDRpIuwVGZ%", *p))
            return luaL_error(L,
                              "date: unknown '%%%s' (known: %%Y %%m %%d %%H %%M %%S %%F %%T ...)",
                              *p ? (char[]){*p, 0} : "");
        one[1] = *p;
        str_addn(out, text, strftime(text, sizeof text, one, &tm));
    }
    return scratch_push(L);
}

/* ---- numbers --------------------------------------------------------------- */
static int
help_round(lua_State *L)
{
    lua_Number x = luaL_checknumber(L, 1);
    lua_Integer digits = luaL_optinteger(L, 2, 0);
    luaL_argcheck(L, digits >= -300 && digits <= 300, 2, "too many digits");
    if (lua_isinteger(L, 1) && digits >= 0) {
        lua_pushvalue(L, 1);
        return 1;
    }
    lua_Number scale = pow(10, (lua_Number)digits), scaled = round(x * scale);
    lua_Number result = isfinite(scaled) ? scaled / scale : x;
    lua_Integer whole;
    if (digits <= 0 && lua_numbertointeger(result, &whole))
        lua_pushinteger(L, whole);
    else
        lua_pushnumber(L, result);
    return 1;
}

/* Leaves the better of the values at -1 and -2 (a number or nil). */
static void
keep_better(lua_State *L, bool max)
{
    luastate_charge(L, 1);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return;
    }
    if (lua_type(L, -1) != LUA_TNUMBER)
        luaL_error(L, "%s compares numbers, not a %s", max ? "max" : "min", luaL_typename(L, -1));
    if (lua_isnil(L, -2) || lua_compare(L, max ? -2 : -1, max ? -1 : -2, LUA_OPLT))
        lua_remove(L, -2);
    else
        lua_pop(L, 1);
}

/* Of the arguments, or of the one list. Nothing to compare: nil. */
static int
extreme(lua_State *L, bool max)
{
    int args = lua_gettop(L);
    if (args == 1 && !lua_isnil(L, 1) && lua_type(L, 1) != LUA_TNUMBER) {
        check_list(L, 1);
        lua_Integer n = luaL_len(L, 1);
        lua_pushnil(L);
        for (lua_Integer i = 1; i <= n; i++) {
            lua_geti(L, 1, i);
            keep_better(L, max);
        }
        return 1;
    }
    luaL_checkstack(L, 2, NULL);
    lua_pushnil(L);
    for (int i = 1; i <= args; i++) {
        lua_pushvalue(L, i);
        keep_better(L, max);
    }
    return 1;
}

static int
help_min(lua_State *L)
{
    return extreme(L, false);
}

static int
help_max(lua_State *L)
{
    return extreme(L, true);
}

const luaL_Reg helper_functions[] = {
    {"json", help_json},         {"parse", help_parse},      {"len", help_len},
    {"first", help_first},       {"last", help_last},        {"keys", value_keys},
    {"contains", help_contains}, {"default", help_default},  {"trim", help_trim},
    {"lower", help_lower},       {"upper", help_upper},      {"split", help_split},
    {"join", help_join},         {"now", help_now},          {"date", help_date},
    {"matches", regex_matches},  {"replace", regex_replace}, {"round", help_round},
    {"min", help_min},           {"max", help_max},          {NULL, NULL},
};
