/* luaregex.c - matches(s, regex) and replace(s, regex, by): PCRE2, paid for step by step.
 *
 * PCRE2's own limits count for one starting place only, so a text of n characters may cost n times
 * as much. Patterns are therefore compiled with automatic callouts, and each step (an item of the
 * pattern tried, and the characters it moved over) is taken from the instructions of the call. */
#include "base/map.h"
#include "expr/exprlua.h"
#include <stdlib.h>
#include <string.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define PATTERN_MAX   4096
#define CACHE_MAX     64
#define NEST_MAX      100
#define GROUPS_MAX    64      /* that a replacement can name */
#define MATCH_LIMIT   1000000 /* of one starting place */
#define DEPTH_LIMIT   250000
#define HEAP_LIMIT_KB 8192
#define COMPILE_COST  1000
#define MATCH_COST    10
#define MOVE_SHIFT    4 /* 16 characters passed over count as one instruction */

struct regex_cache {
    struct map *codes; /* pattern to pcre2_code */
    pcre2_compile_context *compile;
    pcre2_match_context *match;
    pcre2_match_data *data;
};

struct regex_steps {
    struct luastate *state;
    size_t last; /* place of the step before */
};

static int
on_step(pcre2_callout_block *block, void *ctx)
{
    struct regex_steps *steps = ctx;
    size_t at = block->current_position;
    size_t moved = at > steps->last ? at - steps->last : steps->last - at;
    steps->last = at;
    steps->state->budget -= 1 + (int64_t)(moved >> MOVE_SHIFT);
    return steps->state->budget < 0 ? PCRE2_ERROR_CALLOUT : 0;
}

struct regex_cache *
regex_cache_new(void)
{
    struct regex_cache *c = xcalloc(1, sizeof *c);
    c->codes = map_new();
    c->compile = pcre2_compile_context_create(NULL);
    c->match = pcre2_match_context_create(NULL);
    c->data = pcre2_match_data_create(GROUPS_MAX, NULL);
    if (!c->compile || !c->match || !c->data)
        abort();
    pcre2_set_parens_nest_limit(c->compile, NEST_MAX);
    pcre2_set_max_pattern_length(c->compile, PATTERN_MAX);
    pcre2_set_match_limit(c->match, MATCH_LIMIT);
    pcre2_set_depth_limit(c->match, DEPTH_LIMIT);
    pcre2_set_heap_limit(c->match, HEAP_LIMIT_KB);
    return c;
}

static void
cache_clear(struct regex_cache *c)
{
    const char *pattern;
    void *code;
    for (size_t i = 0; map_next(c->codes, &i, &pattern, &code);)
        pcre2_code_free(code);
    map_free(c->codes);
    c->codes = map_new();
}

void
regex_cache_free(struct regex_cache *c)
{
    cache_clear(c);
    map_free(c->codes);
    pcre2_match_data_free(c->data);
    pcre2_match_context_free(c->match);
    pcre2_compile_context_free(c->compile);
    free(c);
}

static const pcre2_code *
regex_compile(lua_State *L, int i)
{
    struct regex_cache *c = luastate_of(L)->regex;
    size_t n;
    const char *pattern = luaL_checklstring(L, i, &n);
    const uint32_t options = PCRE2_UTF | PCRE2_AUTO_CALLOUT | PCRE2_NEVER_BACKSLASH_C;
    if (n > PATTERN_MAX || strlen(pattern) != n)
        luaL_error(L, "a regular expression may have %d characters and no zero byte", PATTERN_MAX);
    pcre2_code *code = map_get(c->codes, pattern);
    if (code)
        return code;
    luastate_charge(L, COMPILE_COST + 16 * n);
    int error;
    size_t at;
    code = pcre2_compile((PCRE2_SPTR)pattern, n, options, &error, &at, c->compile);
    if (!code) {
        char said[120] = "";
        pcre2_get_error_message(error, (PCRE2_UCHAR *)said, sizeof said);
        luaL_error(L, "bad regular expression at its character %d: %s", (int)at + 1, said);
    }
    if (map_len(c->codes) >= CACHE_MAX)
        cache_clear(c);
    map_put(c->codes, pattern, code);
    return code;
}

struct subject {
    const char *p;
    size_t len;
};

/* The text at i in valid UTF-8, repaired in the state's second scratch string if need be. */
static struct subject
subject_get(lua_State *L, int i)
{
    struct subject s;
    s.p = luaL_checklstring(L, i, &s.len);
    luastate_charge(L, s.len >> 6);
    if (!utf8_valid(s.p, s.len)) {
        struct str *piece = &luastate_of(L)->piece;
        str_reset(piece);
        str_add_utf8(piece, s.p, s.len);
        s = (struct subject){str_c(piece), piece->len};
    }
    return s;
}

/* True when it matches; raises when it takes too long. */
static bool
regex_run(lua_State *L, const pcre2_code *code, struct subject s, size_t from, uint32_t options)
{
    struct luastate *state = luastate_of(L);
    struct regex_cache *c = state->regex;
    struct regex_steps steps = {state, from};
    luastate_charge(L, MATCH_COST);
    pcre2_set_callout(c->match, on_step, &steps);
    int rc = pcre2_match(code, (PCRE2_SPTR)s.p, s.len, from, options | PCRE2_NO_UTF_CHECK, c->data,
                         c->match);
    if (rc == PCRE2_ERROR_CALLOUT || rc == PCRE2_ERROR_MATCHLIMIT || rc == PCRE2_ERROR_DEPTHLIMIT ||
        rc == PCRE2_ERROR_HEAPLIMIT)
        luastate_raise(L, OVER_REGEX);
    if (rc < 0 && rc != PCRE2_ERROR_NOMATCH)
        luaL_error(L, "a regular expression failed (PCRE2 error %d)", rc);
    return rc >= 0;
}

int
regex_matches(lua_State *L)
{
    const pcre2_code *code = regex_compile(L, 2);
    struct subject s = subject_get(L, 1);
    lua_pushboolean(L, regex_run(L, code, s, 0, 0));
    return 1;
}

/* ---- replace --------------------------------------------------------------- */
struct group { /* what $1, ${1} or ${name} names */
    int number;
    size_t len; /* of the mention, '$' included; 0: just a '$' */
};

static struct group
group_parse(lua_State *L, const pcre2_code *code, const char *p)
{
    struct group g = {0};
    const char *q = p + 1, *end = q;
    if (*q == '{') {
        char name[40];
        q++;
        end = strchr(q, '}');
        if (!end || end == q || end - q >= (long)sizeof name)
            luaL_error(L, "replace: '${' wants a group and '}'");
        memcpy(name, q, (size_t)(end - q));
        name[end - q] = '\0';
        bool digits = strspn(name, "0123456789") == strlen(name);
        g.number = digits ? (int)MIN(strtoul(name, NULL, 10), GROUPS_MAX)
                          : pcre2_substring_number_from_name(code, (PCRE2_SPTR)name);
        g.len = (size_t)(end + 1 - p);
    } else {
        while (*end >= '0' && *end <= '9' && end - q < 2)
            end++;
        if (end == q)
            return g;
        g.number = q[0] - '0';
        if (end - q > 1)
            g.number = g.number * 10 + q[1] - '0';
        g.len = (size_t)(end - p);
    }
    uint32_t groups;
    pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &groups);
    if (g.number < 0 || (uint32_t)g.number > groups || g.number >= GROUPS_MAX)
        luaL_error(L, "replace: the regular expression has no group '%s'", p);
    return g;
}

/* Appends the replacement at 3 for the match found last. */
static void
replacement_add(lua_State *L, const pcre2_code *code, struct subject s)
{
    struct luastate *state = luastate_of(L);
    const size_t *span = pcre2_get_ovector_pointer(state->regex->data);
    size_t n;
    const char *by = luaL_checklstring(L, 3, &n), *end = by + n;
    for (const char *p = by; p < end;) {
        const char *dollar = memchr(p, '$', (size_t)(end - p));
        str_addn(&state->text, p, (size_t)((dollar ? dollar : end) - p));
        if (!dollar)
            break;
        struct group g = dollar[1] == '$' ? (struct group){0} : group_parse(L, code, dollar);
        if (!g.len)
            str_addc(&state->text, '$');
        else if (span[2 * g.number] != PCRE2_UNSET)
            str_addn(&state->text, s.p + span[2 * g.number],
                     span[2 * g.number + 1] - span[2 * g.number]);
        p = dollar + (g.len ? g.len : dollar[1] == '$' ? 2 : 1);
        luastate_charge(L, 1);
    }
    luastate_charge(L, n >> 6);
    if (state->text.len > state->now.bytes)
        luastate_raise(L, OVER_MEMORY);
}

static size_t
next_character(struct subject s, size_t at)
{
    for (at++; at < s.len && ((unsigned char)s.p[at] & 0xc0) == 0x80;)
        at++;
    return at;
}

/* All matches from left to right; after an empty one the search goes on one character later. */
int
regex_replace(lua_State *L)
{
    const pcre2_code *code = regex_compile(L, 2);
    struct luastate *state = luastate_of(L);
    const size_t *span = pcre2_get_ovector_pointer(state->regex->data);
    luaL_checkstring(L, 3);
    struct subject s = subject_get(L, 1);
    size_t done = 0, from = 0;
    str_reset(&state->text);
    while (from <= s.len && regex_run(L, code, s, from, 0)) {
        if (span[0] < done || span[1] < span[0])
            return luaL_error(L, "replace: \\K cannot be used this way");
        size_t start = span[0], end = span[1];
        str_addn(&state->text, s.p + done, start - done);
        replacement_add(L, code, s);
        done = end;
        from = end;
        if (start == end) {
            from = next_character(s, end);
            str_addn(&state->text, s.p + done, MIN(from, s.len) - done);
            done = MIN(from, s.len);
        }
    }
    str_addn(&state->text, s.p + done, s.len - done);
    lua_pushlstring(L, str_c(&state->text), state->text.len);
    return 1;
}
