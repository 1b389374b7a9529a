/* luastate.h - the one place where Lua 5.4 states are made: bounded, without a clock, files or
 * chance.
 *
 * A state runs code of users: conditions and templates (expr.h) and the scripts of lua agents. Each
 * call gets fresh globals, so that no call can see or spoil another; the libraries cannot be
 * changed by user code. There is no io, os, package, load, debug, coroutine, math.random and no
 * pattern of Lua's own (they cannot be interrupted): matches() and replace() are PCRE2.
 *
 * Limits are instructions and bytes a call, never time. Work in C counts as instructions by what it
 * touches: copied bytes, compared members, steps of a regular expression; while texts of megabytes
 * are alive an instruction counts for more, because one comparison of them costs more. A limit
 * ends the call with ERR_LIMIT, and pcall in user code cannot hold it back.
 *
 * Values: JSON in, JSON out. Objects and lists are seen through read-only windows, converted member
 * by member when read, and pass through unchanged (null, empty lists and order included) when they
 * are handed on whole. JSON null reads as nil. A table made by a script is a list when its keys are
 * 1..n (a hole is null; an empty table is an empty list), an object when all keys are texts, else
 * an error; over 128 levels, or a number that is not finite, is an error too. Text that is not
 * UTF-8 is repaired with U+FFFD.
 *
 * Not thread safe: one state a thread. A call does not yield and must not be entered again from a
 * callback. It needs about 128 KB of C stack. */
#ifndef EXPR_LUASTATE_H
#define EXPR_LUASTATE_H
#include "base/err.h"
#include "base/json.h"

#define LUASTATE_INSTRUCTIONS (5 * 1000 * 1000)
#define LUASTATE_BYTES        ((size_t)8 << 20)
#define SCRIPT_BYTES_MAX      ((size_t)256 << 10) /* text of one script */

struct luastate;
struct luastate_limits {  /* of one call */
    int64_t instructions; /* 0: LUASTATE_INSTRUCTIONS */
    size_t bytes;         /* 0: LUASTATE_BYTES; beyond what the state itself holds */
};

struct luastate *OWN luastate_new(struct luastate_limits limits);
void luastate_free(struct luastate *OWN s); /* accepts NULL */
void luastate_freep(struct luastate **s);

struct luastate_script {
    const char *text;              /* Lua statements; != && || ! are read as in expressions */
    struct src_pos at;             /* of the first character; NOWHERE: places count from the text */
    json_t *globals;               /* object: message, context, inputs, ...; NULL: none */
    int64_t now_wall_ms;           /* what now() and date() tell: the recorded time of the step */
    struct luastate_limits limits; /* zeros: the state's own */
};

/* The syntax only. ERR_INVALID with line and column. */
struct err *MUST luastate_check_script(struct luastate *s, const char *text, struct src_pos at);
/* What the script returns; JSON null when it returns nothing. *ret_json may share its members with
 * the globals: treat both as read-only. Errors: INVALID (syntax, or the script failed, with the
 * place), LIMIT. */
struct err *MUST luastate_run_script(struct luastate *s, const struct luastate_script *script,
                                     json_t **OWN ret_json);
#endif
