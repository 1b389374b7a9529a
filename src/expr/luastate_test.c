/* luastate_test.c - the sandbox, its limits, scripts, and that no call sees another. */
#include "base/test.h"
#include "expr/exprcase.h"
#include "expr/exprlua.h"
#include "expr/luastate.h"
#include <time.h>

static struct err *MUST
script_run(struct luastate *s, const char *text, json_t **ret)
{
    AUTO(json_freep)
    json_t *globals =
        json_pack("{s:s, s:{s:[i,n,i], s:{}}}", "message", "hi", "context", "list", 1, 3, "map");
    struct luastate_script script = {.text = text, .globals = globals, .now_wall_ms = CASE_NOW_MS};
    return luastate_run_script(s, &script, ret);
}

static char *OWN
script_shown(struct luastate *s, const char *text, enum err_kind want)
{
    AUTO(json_freep) json_t *j = NULL;
    struct err *failed = script_run(s, text, &j);
    if (!failed)
        return json_text(j);
    assert_int_equal(err_kind(failed), want);
    return error_shown(failed);
}

static void
check(const struct expr_case *row, size_t rows, enum err_kind kind, int64_t instructions)
{
    AUTO(luastate_freep)
    struct luastate *s = luastate_new((struct luastate_limits){.instructions = instructions});
    int wrong = 0;
    for (size_t i = 0; i < rows; i++) {
        clock_t start = clock();
        AUTO(freep) char *got = script_shown(s, row[i].text, kind);
        double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
        if (strcmp(got, row[i].want) != 0) {
            fprintf(stderr, "%s\n    want %s\n    got  %.300s\n", row[i].text, row[i].want, got);
            wrong++;
        }
        if (seconds > 0.5)
            print_message("%.2f s: %s\n", seconds, row[i].text);
    }
    assert_int_equal(wrong, 0);
}

static const struct expr_case scripts[] = {
    {"", "null"},
    {"return", "null"},
    {"return message", "\"hi\""},
    {"return {text = string.upper(message)}", "{\"text\":\"HI\"}"},
    {"return context.list", "[1,null,3]"},
    {"return context", "{\"list\":[1,null,3],\"map\":{}}"},
    {"return {context.map}", "[{}]"},
    {"local t = {}\nfor i, v in ipairs(context.list) do\n  t[i] = v or 0\nend\nreturn t",
     "[1,0,3]"},
    {"x = 5; y = x + 1\nreturn y", "6"},
    {"if message != 'x' && !nil then return 1 else return 2 end", "1"},
    {"function f(n) if n < 2 then return n end return f(n - 1) + f(n - 2) end return f(15)", "610"},
    {"return now(), 2", "1795237200"},
    {"message = 'changed'; return message", "\"changed\""},
    {"return pcall(error, 'x')", "false"},
    {"local ok, e = pcall(function() error('why') end) return e", "\"why\""},
    {"local ok, e = pcall(function() return nil + 1 end) return e",
     "\"attempt to perform arithmetic on a nil value\""},
    {"local ok, e = pcall(error, {code = 7}) return e.code", "7"},
    {"return (select(2, pcall(function() return 1 end)))", "1"},
    {"local a <const>, b = 1, 2 return a + b", "3"},
    {"return unknown", "null"},
    {"return {steps}", "[]"},
    {"return nope.x", "1:13: cannot look inside 'nope': it is missing (nil)"},
    {"local x =\n  message.y.z", "2:13: cannot look inside 'y': it is missing (nil)"},
    {"x = ", "1:5: the script ends too early"},
    {"x 1", "1:3: unexpected '1'"},
    {"for i = 1 do end", "1:11: ',' expected, not 'do'"},
    {"while true do", "1:12: 'do' is never closed by 'end'"},
    {"return 1 return 2", "1:10: <eof> expected, not 'return'"},
    {"end", "1:1: unexpected 'end': nothing is open here"},
    {"local x = 'a", "1:11: this text is never closed by '"},
    {"goto nowhere", "1:13: no visible label 'nowhere' for <goto>"},
    {"break", "1:6: break outside loop"},
    {"error('stop')", "1:1: stop"},
    {"\n\n  error({})", "1:1: the script failed with a table that is no text"},
    {"error('no place', 0)", "1:1: no place"},
    {"return function() end", "1:1: a function is not a value (is its call '()' missing?)"},
    {"local function f() return 1 + {} end\nreturn f()",
     "1:29: cannot calculate with this value: it is a table"},
};

/* Ways out that are not there. */
static const struct expr_case escapes[] = {
    {"return io or os or package or require or load or loadstring or dofile or loadfile", "null"},
    {"return debug or coroutine or collectgarbage or getmetatable or setmetatable", "null"},
    {"return rawset or rawget or rawequal or rawlen or next or print or warn or xpcall", "null"},
    {"return string.dump or string.find or string.match or string.gmatch or string.gsub or "
     "string.pack or string.unpack",
     "null"},
    {"return ('').find or ('').gsub or ('').dump or ('').__index", "null"},
    {"return math.random or math.randomseed or table.move or table.pack", "null"},
    {"return _G or _VERSION or arg", "null"},
    {"return _ENV.io or _ENV._G or _ENV.__index or _ENV.load", "null"},
    {"_ENV = {} return tostring", "null"},
    {"local _ENV = {x = 1} return x", "1"},
    {"string.upper = function() return 'evil' end", "1:41: libraries are read-only"},
    {"math.pi = 3", "1:11: libraries are read-only"},
    {"('').x = 1", "1:10: cannot look inside '': it is a text"},
    {"table.insert(math, 1)", "1:1: libraries are read-only"},
    {"table.remove(string)", "null"},
    {"table.sort(string) return 1", "1"},
    {"context.list[1] = 9", "1:19: this value is read-only"},
    {"context.new = 9", "1:15: this value is read-only"},
    {"table.sort(context.list)", "1:1: this value is read-only"},
    {"table.remove(context.list)", "1:1: this value is read-only"},
    {"local s = '' for k in pairs(string) do s = s .. k end return s", "\"\""},
    {"return #string", "0"},
    {"return type(string)", "\"table\""},
    {"return tostring(string)", "\"[]\""},
    {"return string.format('%p', {})", "1:8: string.format knows no %p here"},
    {"return string.format('%-5p', {})", "1:8: string.format knows no %p here"},
    {"return tostring(print) .. tostring(len)", "\"nilfunction\""},
    {"return string.format('%s', len)", "\"function\""},
    {"local x <close> = {}", "1:20: variable 'x' got a non-closable value"},
    {"return '\\27Lua'", "\"\\u001bLua\""},
    {"return message:nope()", "1:8: cannot call 'nope': it is missing (nil)"},
};

/* Everything that would go on too long or grow too big; each ends soon. */
#define FIVE   "the script ran more than 5 million instructions"
#define MANY   "the script ran more than 200000 instructions"
#define MEMORY "the script needed more than 8 MB of memory"
#define VALUE  "the script makes a value larger than 8 MB"
#define REGEX  "a regular expression of the script takes too many steps on this text"
static const struct expr_case too_big[] = {
    {"while true do end", "1:1: " FIVE},
    {"local t = {} while true do t[#t + 1] = {} end", "1:1: " MEMORY},
    {"local s = 'x' while true do s = s .. s end", "1:1: " MEMORY},
    {"return string.rep('x', 1e9)", "1:1: " MEMORY},
    {"return ('x'):rep(100000000)", "1:1: " MEMORY},
    {"pcall(string.rep, 'x', 1e9) return 1", "1:1: " MEMORY},
    {"while true do pcall(string.rep, 'x', 1e8) end", "1:1: " MEMORY},
    {"local function f(n) return 1 + f(n + 1) end return f(1)", "1:1: " MEMORY},
    {"return table.concat({string.rep('x', 3000000), string.rep('y', 3000000)}, string.rep('z', "
     "3000000))",
     "1:1: " MEMORY},
    {"local s = string.rep('a,', 2000000) return split(s, ',')", "1:1: " MEMORY},
    {"return parse(string.rep('[', 100) .. string.rep('[],', 100000) .. ']')", "1:1: " MEMORY},
    {"local t = {} for i = 1, 100000 do t[i] = parse('[[1]]') end", "1:1: " MEMORY},
    {"while true do parse('[1,2,3]') end", "1:1: " MEMORY},
    {"local t = {} for i = 1, 100 do t = {t, t} end return t", "1:1: " VALUE},
    {"local s, t = ('x'):rep(1000000), {} for i = 1, 20 do t[i] = s end return t", "1:1: " VALUE},
    {"local t = {} for i = 1, 100 do t = {t, t} end return json(t)", "1:1: " VALUE},
    {"local t = {} for i = 1, 20 do t = {t, t} end while true do tostring(t) end", "1:1: " VALUE},
};
static const struct expr_case too_long[] = {
    {"while true do end", "1:1: " MANY},
    {"repeat until false", "1:1: " MANY},
    {"::a:: goto a", "1:1: " MANY},
    {"for i = 1, math.huge do end", "1:1: " MANY},
    {"local function f() return f() end return f()", "1:1: " MANY},
    {"pcall(function() while true do end end) return 'swallowed'", "1:1: " MANY},
    {"while true do pcall(function() while true do end end) end", "1:1: " MANY},
    {"while true do pcall(error) end", "1:1: " MANY},
    {"local function f() pcall(f) return f() end f()", "1:1: " MANY},
    {"local t = {} for i = 1, 1e6 do t[i] = message .. i end", "1:1: " MANY},
    {"local s = ('1'):rep(4000000) for j = 1, 1e9 do for i = s, s do end end", "1:1: " MANY},
    {"local s = string.rep('x', 3000000) for i = 1, 1e9 do local t = s .. i end", "1:1: " MANY},
    {"for i = 1, 1e9 do local s = ('x'):rep(4000000) end", "1:1: " MANY},
    {"local a, b = ('x'):rep(2000000), ('x'):rep(2000000) while a == b do end", "1:1: " MANY},
    {"local t = {} for i = 1, 100000 do t[i] = i end while true do table.insert(t, 1, 0) "
     "table.remove(t, 1) end",
     "1:1: " MANY},
    {"local t = {} for i = 1, 50000 do t[i] = -i end while true do table.sort(t, function(a, b) "
     "return a < b end) end",
     "1:1: " MANY},
    {"local t = {} for i = 1, 50000 do t[i] = i end while true do join(t) end", "1:1: " MANY},
    {"local s = ('a '):rep(400000) while true do len(s) end", "1:1: " MANY},
    {"while true do keys({a=1,b=2}) end", "1:1: " MANY},
    {"while true do for k in pairs(context) do end end", "1:1: " MANY},
    {"while true do json(context) end", "1:1: " MANY},
    {"while true do matches(message, 'h.*i') end", "1:1: " MANY},
    {"while true do replace(message, 'h', 'j') end", "1:1: " MANY},
    {"local s = '' while true do s = s .. string.rep('', 1e18) end", "1:1: " MANY},
    {"local i = 0 while true do i = i + 1 matches('a', 'x' .. i) end", "1:1: " MANY},
    {"return matches(('a'):rep(40) .. 'b', '^(a+)+$')", "1:1: " REGEX},
    {"return matches(('a'):rep(5000) .. 'b', '(a*)*bc?$(?<!b)')", "1:1: " REGEX},
    {"return matches(('x'):rep(1000000) .. 'zy', 'x*yz?(?<!z.)')", "1:1: " REGEX},
    {"return matches(('a'):rep(100000), '(?:a|b)*c|(a|aa)+$(?!)')", "1:1: " REGEX},
    {"return replace(('a'):rep(20000) .. 'cb', '(a|aa)*?b', 'x')", "1:1: " REGEX},
    {"pcall(matches, ('a'):rep(40) .. 'b', '^(a+)+$') return 1", "1:1: " REGEX},
    {"while true do pcall(matches, ('a'):rep(20) .. 'b', '^(a+)+$') end", "1:1: " REGEX},
};

static const struct expr_case bounds[] = {
    {"return matches('aaaa', '(?R)?a(?R)')", "1:8: a regular expression failed (PCRE2 error -52)"},
    {"return table.unpack({}, 1, 1e8)", "1:8: table.unpack gives at most 1000 values"},
    {"return table.unpack({}, math.mininteger, math.maxinteger)",
     "1:8: table.unpack gives at most 1000 values"},
    {"return string.byte(('x'):rep(5000), 1, -1)",
     "1:8: string.byte gives at most 1000 bytes at once"},
    {"return table.unpack({}, math.maxinteger, math.maxinteger)", "null"},
    {"return table.concat({}, '', 1, 1)", "1:8: table.concat: item 1 is a nil, not a text"},
    {"return string.rep('', math.maxinteger)", "\"\""},
    {"return #string.rep('x', -1)", "0"},
    {"local t = {} for i = 1, 127 do t = {t} end return #json(t)", "256"},
    {"local t = {} for i = 1, 128 do t = {t} end return t",
     "1:1: the value is nested deeper than 128"},
    {"local t = {} t[1] = t return t", "1:1: the value is nested deeper than 128"},
    {"local t = {} t.x = t return json(t)", "1:29: the value is nested deeper than 128"},
    {"local t = {} for i = 1, 126 do t = {t} end return {{t, context}}",
     "1:1: the value is nested deeper than 128"},
    {"return parse(('['):rep(129))", "1:8: parse: not JSON: nested deeper than 128"},
    {"return matches('a', ('a'):rep(5000))",
     "1:8: a regular expression may have 4096 characters and no zero byte"},
    {"return matches('a', ('('):rep(200) .. (')'):rep(200))",
     "1:8: bad regular expression at its character 102: parentheses are too deeply nested"},
    {"return matches('a', '\\\\C')",
     "1:8: bad regular expression at its character 3: using \\C is disabled by the application"},
    {"local function f(...) return f(1, ...) end f()", "1:44: a call has 2000 arguments or more"},
    {"local f = 1 for i = 1, 300 do f = '(' .. f .. ')' end return #f", "601"},
    {"return 1 .. 1 .. 1", "\"111\""},
    {"return table.insert({}, 5, 1)",
     "1:8: argument 2 of 'insert': position is outside of the list"},
    {"return string.format('%d', 1.5)",
     "1:8: argument 2 of 'format': number has no integer representation"},
};

static void
script_values(void **s)
{
    (void)s;
    check(scripts, COUNT(scripts), ERR_INVALID, 0);
}

static void
script_escapes(void **s)
{
    (void)s;
    check(escapes, COUNT(escapes), ERR_INVALID, 0);
}

static void
script_limits(void **s)
{
    (void)s;
    check(too_big, COUNT(too_big), ERR_LIMIT, 0);
    check(too_long, COUNT(too_long), ERR_LIMIT, 200000);
}

static void
script_bounds(void **s)
{
    (void)s;
    check(bounds, COUNT(bounds), ERR_INVALID, 0);
}

/* Each tries to leave something behind; afterwards a look around finds the world as it was. */
static void
calls_are_apart(void **state)
{
    (void)state;
    static const char *const spoil[] = {
        "x = 1 y = {} tostring = nil pairs = nil string = nil _ENV.len = 5",
        "message = 'left' context = nil",
        "pcall(function() string.upper = 1 end) pcall(function() table.insert(string, 1) end)",
        "local t = {} for i = 1, 1e9 do t[i] = {} end",
        "while true do end",
        "_ENV = nil",
        "error(string)",
    };
    static const char look[] =
        "return {x = x == nil and y == nil, s = ('a'):upper() .. string.upper('b'), m = message,"
        " n = len({1}), t = tostring(1), k = keys(string), c = context.list}";
    AUTO(luastate_freep) struct luastate *s = luastate_new((struct luastate_limits){0});
    AUTO(freep) char *want = script_shown(s, look, ERR_BUG);
    assert_string_equal(want, "{\"c\":[1,null,3],\"k\":[],\"m\":\"hi\",\"n\":1,\"s\":\"AB\","
                              "\"t\":\"1\",\"x\":true}");
    for (size_t i = 0; i < COUNT(spoil); i++) {
        json_t *j = NULL;
        struct err *failed = script_run(s, spoil[i], &j);
        json_decref(j);
        err_free(failed);
        AUTO(freep) char *got = script_shown(s, look, ERR_BUG);
        assert_string_equal(got, want);
    }
}

/* What a state holds does not grow with the calls it has served. */
static void
memory_comes_back(void **state)
{
    (void)state;
    AUTO(luastate_freep) struct luastate *s = luastate_new((struct luastate_limits){0});
    size_t most = 0;
    for (int i = 0; i < 300; i++) {
        json_t *j = NULL;
        assert_ok(script_run(s, "local t = {} for i = 1, 20000 do t[i] = {i} end return #t", &j));
        json_decref(j);
        assert_int_equal(s->held.len, 0);
        most = i == 10 ? s->used : most;
        assert_true(i <= 10 || s->used <= most + (1u << 20));
    }
}

static void
limits_of_ones_own(void **state)
{
    (void)state;
    AUTO(luastate_freep)
    struct luastate *s =
        luastate_new((struct luastate_limits){.instructions = 1000, .bytes = 65536});
    json_t *j = NULL;
    assert_err(script_run(s, "while true do end", &j), ERR_LIMIT,
               "the script ran more than 1000 instructions");
    assert_err(script_run(s, "return #string.rep('x', 100000)", &j), ERR_LIMIT,
               "the script needed more than 65536 bytes of memory");
    struct luastate_script script = {.text = "local n = 0 for i = 1, 5000 do n = i end return n",
                                     .limits = {.instructions = 1000000}};
    assert_ok(luastate_run_script(s, &script, &j));
    assert_int_equal(json_integer_value(j), 5000);
    json_decref(j);
    struct src_pos at = {"agents.yaml", 7, 12};
    assert_ok(luastate_check_script(s, "return 1", at));
    struct err *failed = luastate_check_script(s, "local x\nreturn -", at);
    assert_int_equal(err_pos(failed).line, 8);
    assert_int_equal(err_pos(failed).col, 9);
    assert_err(failed, ERR_INVALID, "the script ends too early");
    AUTO(str_fini) struct str big = STR_INIT;
    while (big.len <= SCRIPT_BYTES_MAX)
        str_add(&big, "x = 1 ");
    assert_err(luastate_check_script(s, str_c(&big), at), ERR_INVALID,
               "the script is longer than 256 KB");
    luastate_free(NULL);
}

/* Parsers get deep and odd texts; nothing recurses without a limit. */
static void
deep_texts(void **state)
{
    (void)state;
    static const struct {
        const char *open, *middle, *close, *want;
        int n;
    } row[] = {
        {"(", "1", ")", NULL, 100},
        {"(", "1", ")", "nested deeper than 100", 101},
        {"{", "", "}", NULL, 100},
        {"{", "", "}", "nested deeper than 100", 5000},
        {"not ", "1", "", "nested too deep, or too many '..' in a row", 1000},
        {"- ", "1", "", NULL, 100},
        {"1 .. ", "1", "", "nested too deep, or too many '..' in a row", 1000},
        {"1 + ", "1", "", NULL, 3000},
        {"(function() return ", "1", " end)()", NULL, 40},
        {"(function() return ", "1", " end)()", "nested deeper than 100", 60},
        {"2^", "1", "", "nested too deep, or too many '..' in a row", 1000},
    };
    AUTO(expr_space_freep) struct expr_space *space = expr_space_new((struct luastate_limits){0});
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(str_fini) struct str text = STR_INIT;
        AUTO(expr_freep) struct expr *e = NULL;
        AUTO(json_freep) json_t *j = NULL;
        struct expr_scope scope = {0};
        for (int k = 0; k < row[i].n; k++)
            str_add(&text, row[i].open);
        str_add(&text, row[i].middle);
        for (int k = 0; k < row[i].n; k++)
            str_add(&text, row[i].close);
        struct err *failed = expr_compile(space, str_c(&text), NOWHERE, &e);
        if (row[i].want)
            assert_err(failed, ERR_INVALID, row[i].want);
        else
            assert_ok(failed);
        if (!row[i].want)
            assert_ok(expr_eval(e, &scope, &j));
    }
    AUTO(str_fini) struct str big = STR_INIT;
    struct expr *e = NULL;
    while (big.len <= EXPR_BYTES_MAX)
        str_add(&big, "1 + 1 + 1 ");
    assert_err(expr_compile(space, str_c(&big), NOWHERE, &e), ERR_INVALID,
               "the expression is longer than 64 KB");
}

/* A loop over a long text of the scope does not copy it each time. */
static void
long_texts(void **state)
{
    (void)state;
    AUTO(luastate_freep) struct luastate *s = luastate_new((struct luastate_limits){0});
    AUTO(str_fini) struct str text = STR_INIT;
    for (int i = 0; i < 2000000; i++)
        str_addc(&text, 'x');
    AUTO(json_freep)
    json_t *globals = json_pack("{s:{s:s, s:[s,s]}}", "doc", "text", str_c(&text), "parts",
                                str_c(&text), str_c(&text));
    json_t *j = NULL;
    struct luastate_script script = {
        .text = "local n = 0 for i = 1, 20000 do n = n + #doc.text:sub(i, i) end return n",
        .globals = globals};
    assert_ok(luastate_run_script(s, &script, &j));
    assert_int_equal(json_integer_value(j), 20000);
    json_decref(j);
    script.text = "return {doc.text == doc.parts[1], doc.parts[1] == doc.parts[2], len(doc.text)}";
    assert_ok(luastate_run_script(s, &script, &j));
    AUTO(freep) char *got = json_text(j);
    assert_string_equal(got, "[true,true,2000000]");
    json_decref(j);
    script.text = "return doc";
    assert_ok(luastate_run_script(s, &script, &j));
    assert_ptr_equal(j, json_object_get(globals, "doc")); /* handed on, not copied */
    json_decref(j);
}

TESTS(luastate_test, cmocka_unit_test(script_values), cmocka_unit_test(script_escapes),
      cmocka_unit_test(script_limits), cmocka_unit_test(script_bounds),
      cmocka_unit_test(calls_are_apart), cmocka_unit_test(memory_comes_back),
      cmocka_unit_test(limits_of_ones_own), cmocka_unit_test(deep_texts),
      cmocka_unit_test(long_texts))
