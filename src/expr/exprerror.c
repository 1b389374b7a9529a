/* exprerror.c - what Lua says, in the words of someone who never heard of Lua.
 *
 * A message starts with the chunk's name and a line; the line names a token (exprscan.h). The rest
 * is one of a few dozen fixed sentences of Lua 5.4, of which the usual ones are reworded. */
#include "expr/exprlua.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_MAX 2000 /* bytes told of a message that user code made */

struct said {
    struct src_pos at;
    bool at_end; /* the place is the end of the text */
    const char *text;
};

/* "\1:12: text" to the place of token 12 and "text". */
static struct said
said_parse(const char *message, const struct chunk *chunk)
{
    struct said said = {.at = chunk->at, .text = message};
    if (!str_starts(message, "\x01:"))
        return said;
    char *end;
    unsigned long line = strtoul(message + 2, &end, 10);
    if (strncmp(end, ": ", 2) != 0)
        return said;
    said.text = end + 2;
    if (line >= 1 && line <= chunk->lines_len) {
        const struct src_pos *last = &chunk->lines[chunk->lines_len - 1];
        said.at = chunk->lines[line - 1];
        said.at_end = said.at.line == last->line && said.at.col == last->col;
    }
    return said;
}

/* Where the sentence ends: before what Lua says of lines, which are not the user's, and tokens. */
static int
sentence_len(const char *text)
{
    static const char *const cut[] = {" near ", " (to close ", " at line ", " on line "};
    size_t len = strlen(text);
    for (size_t i = 0; i < COUNT(cut); i++) {
        const char *at = strstr(text, cut[i]);
        if (at)
            len = MIN(len, (size_t)(at - text));
    }
    return (int)len;
}

static struct err *OWN
syntax_error(const struct said *said, const struct chunk *chunk)
{
    const char *text = said->text, *near = strstr(text, " near ");
    const char *token = near ? near + strlen(" near ") : "";
    int len = sentence_len(text);
    bool unexpected = str_starts(text, "unexpected symbol") || str_starts(text, "syntax error") ||
                      str_starts(text, "')' expected");
    bool expected = len > 9 && strncmp(text + len - 9, " expected", 9) == 0;
    if (strstr(text, "C stack overflow") || strstr(text, "too many C levels"))
        return FAIL_AT(said->at, ERR_INVALID, "nested too deep, or too many '..' in a row");
    if (said->at_end && (unexpected || expected))
        return FAIL_AT(said->at, ERR_INVALID, "the %s ends too early", chunk->what);
    if (unexpected)
        return FAIL_AT(said->at, ERR_INVALID, "unexpected %s", token);
    if (expected)
        return FAIL_AT(said->at, ERR_INVALID, "%.*s, not %s", len, text, token);
    if (said->at_end || !*token)
        return FAIL_AT(said->at, ERR_INVALID, "%.*s", len, text);
    return FAIL_AT(said->at, ERR_INVALID, "%.*s: %s", len, text, token);
}

/* "attempt to index a nil value (field 'x')": the type and the name, when it has them. */
struct operand {
    char type[32], name[64]; /* name: quoted, or "this value" */
};

static struct operand
operand_parse(const char *text)
{
    struct operand o = {.name = "this value"};
    const char *value = strstr(text, " value"), *type = value;
    while (type && type > text && type[-1] != ' ')
        type--;
    if (value)
        snprintf(o.type, sizeof o.type, "%.*s", (int)MIN(value - type, 31), type);
    const char *quote = value ? strchr(value, '\'') : NULL;
    const char *end = quote ? strrchr(quote, '\'') : NULL;
    if (end && end > quote && end - quote < 60)
        snprintf(o.name, sizeof o.name, "%.*s", (int)(end - quote) + 1, quote);
    return o;
}

static const char *
type_told(const char *type)
{
    static const struct {
        const char *lua, *told;
    } row[] = {
        {"nil", "missing (nil)"}, {"string", "a text"},         {"number", "a number"},
        {"table", "a table"},     {"boolean", "true or false"}, {"function", "a function"},
        {"list", "a list"},       {"object", "an object"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        if (strcmp(row[i].lua, type) == 0)
            return row[i].told;
    }
    return type;
}

/* "bad argument " + number + " to 'len' (why)" */
static struct err *OWN
argument_error(const struct said *said)
{
    const char *number = strchr(said->text, '#') + 1, *name = strstr(number, " to ");
    const char *why = name ? strstr(name, " (") : NULL;
    size_t n = why ? strlen(why) : 0;
    if (n < 4 || n > MESSAGE_MAX)
        return FAIL_AT(said->at, ERR_INVALID, "%.200s", said->text);
    name += strlen(" to ");
    return FAIL_AT(said->at, ERR_INVALID, "argument %.*s of %.*s: %.*s",
                   (int)strspn(number, "0123456789"), number, (int)(why - name), name, (int)n - 3,
                   why + 2);
}

static struct err *OWN
runtime_error(const struct said *said, const struct chunk *chunk)
{
    static const struct {
        const char *lua, *told;
    } verb[] = {
        {"attempt to index ", "cannot look inside"},
        {"attempt to call ", "cannot call"},
        {"attempt to concatenate ", "cannot join to text"},
        {"attempt to perform arithmetic on ", "cannot calculate with"},
        {"attempt to perform bitwise operation on ", "cannot calculate with"},
        {"attempt to get length of ", "cannot count"},
    };
    if (!*said->text)
        return FAIL_AT(said->at, ERR_INVALID, "the %s failed without a message", chunk->what);
    if (strstr(said->text, "stack overflow"))
        return FAIL_AT(said->at, ERR_LIMIT, "the %s calls itself too deep", chunk->what);
    for (size_t i = 0; i < COUNT(verb); i++) {
        if (!str_starts(said->text, verb[i].lua))
            continue;
        struct operand o = operand_parse(said->text);
        return FAIL_AT(said->at, ERR_INVALID, "%s %s: it is %s", verb[i].told, o.name,
                       type_told(o.type));
    }
    if (str_starts(said->text, "attempt to compare "))
        return FAIL_AT(said->at, ERR_INVALID, "cannot %s", said->text + strlen("attempt to "));
    if (str_starts(said->text, "bad argument #"))
        return argument_error(said);
    AUTO(str_fini) struct str text = STR_INIT;
    size_t n = strlen(said->text);
    str_add_utf8(&text, said->text, n > MESSAGE_MAX ? utf8_floor(said->text, MESSAGE_MAX) : n);
    return FAIL_AT(said->at, ERR_INVALID, "%s", str_c(&text));
}

struct err *
chunk_error(lua_State *L, const struct chunk *chunk)
{
    AUTO(freep) char *message = NULL;
    if (lua_type(L, -1) == LUA_TSTRING || lua_type(L, -1) == LUA_TNUMBER)
        message = xstrdup(lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "");
    if (lua_type(L, -1) == LUA_TNUMBER)
        return FAIL_AT(chunk->at, ERR_INVALID, "the %s failed: error %.14g", chunk->what,
                       lua_tonumber(L, -1));
    if (!message)
        return FAIL_AT(chunk->at, ERR_INVALID, "the %s failed with a %s that is no text",
                       chunk->what, luaL_typename(L, -1));
    struct said said = said_parse(message, chunk);
    return luastate_of(L)->syntax ? syntax_error(&said, chunk) : runtime_error(&said, chunk);
}
