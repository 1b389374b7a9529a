/* exprlua.h - inside src/expr: how C functions called by Lua work with a luastate.
 *
 * Rules for every function that Lua calls: an error of Lua's is a longjmp, so nothing that needs
 * freeing may be held in a local across a call that can raise: JSON made here is held by the state
 * (luastate_hold), text is built in the state's scratch strings, arrays are userdata. Work that
 * grows with its input is paid for with luastate_charge before it is done. */
#ifndef EXPR_EXPRLUA_H
#define EXPR_EXPRLUA_H
#include "base/vec.h"
#include "expr/expr.h"
#include <lauxlib.h>
#include <lua.h>

#define BIG_SHIFT   16      /* blocks from 64 KB on are watched ... */
#define BIG_CLASSES 16      /* ... by powers of two */
#define CHUNK_NAME  "=\x01" /* shown by Lua before the line; cut off again by exprerror.c */

enum luastate_over { OVER_NOT, OVER_INSTRUCTIONS, OVER_MEMORY, OVER_REGEX, OVER_RESULT };

struct regex_cache;
struct luastate {
    lua_State *lua;
    struct luastate_limits usual;   /* of a call that names none */
    struct luastate_limits now;     /* of the call that runs */
    size_t used, used_max;          /* bytes; used_max is SIZE_MAX between calls */
    size_t used_idle;               /* after the last full collection */
    unsigned big[BIG_CLASSES];      /* live blocks of 64 KB << index and more */
    int64_t budget;                 /* instructions left */
    enum luastate_over over;        /* why the call ends, once it does */
    bool busy;                      /* a call runs */
    bool syntax;                    /* the error is about the text of a chunk */
    const struct expr_scope *scope; /* of the call that runs, or NULL (scripts) */
    int64_t now_wall_ms;
    VEC(json_t *) held;     /* made during the call, released at its end */
    size_t held_bytes;      /* what they count for */
    size_t cached_bytes;    /* long texts of JSON that Lua has already */
    struct str text, piece; /* scratch */
    struct regex_cache *regex;
};

/* Where a chunk came from: to tell the place of an error. */
struct chunk {
    const char *what;            /* "expression", "script" */
    struct src_pos at;           /* its start */
    const struct src_pos *lines; /* of the text Lua saw */
    size_t lines_len;
};

/* Runs fn(ctx as light userdata) within limits. */
struct luastate_run {
    lua_CFunction fn;
    void *ctx;
    const struct chunk *chunk;
    const struct expr_scope *scope; /* may be NULL */
    int64_t now_wall_ms;
    struct luastate_limits limits; /* zeros: the usual */
};
struct err *MUST luastate_run(struct luastate *s, const struct luastate_run *run);
static inline struct luastate *
luastate_of(lua_State *L)
{
    return *(struct luastate **)lua_getextraspace(L);
}
void luastate_charge(lua_State *L, size_t instructions);  /* raises when none are left */
int luastate_raise(lua_State *L, enum luastate_over why); /* never returns */
/* Keeps j until the call ends and counts bytes for it. Takes the reference also when it raises. */
json_t *luastate_hold(lua_State *L, json_t *OWN j, size_t bytes);
/* Pushes the function of a chunk, its globals not set. Raises nothing but out of memory; the error
 * of the syntax is the message on the stack, and false. */
bool luastate_load(lua_State *L, const struct str *text);

/* exprerror.c: the error on top of the stack, told in the user's words. */
struct err *OWN chunk_error(lua_State *L, const struct chunk *chunk);

/* ---- luavalue.c ------------------------------------------------------------------------------ */
void value_open(lua_State *L);
void value_push(lua_State *L, json_t *j);  /* borrowed until the call ends; NULL and null: nil */
void value_push_steps(lua_State *L);       /* a window on scope->step */
json_t *value_window(lua_State *L, int i); /* the object or list behind a window, or NULL */
/* The value at i as JSON; borrowed from the state until the call ends. Raises on what JSON lacks.
 */
json_t *value_take(lua_State *L, int i);
/* Appends the value at i as JSON text to s, a scratch string; raises beyond the call's bytes. */
void value_write(lua_State *L, int i, struct str *s);
/* JSON with the shortest numbers that read back the same. False: beyond bytes_max or too deep. */
bool json_write_short(struct str *s, const json_t *j, size_t bytes_max);
bool luavalue_equal(lua_State *L, int a, int b); /* by content when both are windows */
int value_pairs(lua_State *L); /* pairs() in sorted order, for tables and windows */
int value_ipairs(lua_State *L);
int value_keys(lua_State *L); /* keys(x): a sorted list */
/* Appends the value as a person reads it: texts raw, nil as nothing, the rest as JSON. */
void value_text(lua_State *L, int i, struct str *s);

/* ---- luasafe.c, luatable.c, luahelper.c ------------------------------------------------------ */
void safe_open(lua_State *L);                /* the sandbox: leaves the table of all global names */
void safe_env_push(lua_State *L);            /* fresh globals for one call */
extern const luaL_Reg table_functions[];
extern const luaL_Reg helper_functions[];

/* ---- luaregex.c ------------------------------------------------------------------------------ */
struct regex_cache *OWN regex_cache_new(void);
void regex_cache_free(struct regex_cache *OWN c);
int regex_matches(lua_State *L); /* matches(s, regex) */
int regex_replace(lua_State *L); /* replace(s, regex, by) */
#endif
