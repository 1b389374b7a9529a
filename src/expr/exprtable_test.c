/* exprtable_test.c - expressions by tables: values, errors with their places, references. */
#include "base/test.h"
#include "expr/expr.h"
#include "expr/exprcase.h"
#include "expr/exprlua.h"
#include <stdio.h>
#include <time.h>

static const struct expr_case operators[] = {
    {"1 + 2 * 3", "7"},
    {"7 // 2", "3"},
    {"7 / 2", "3.5"},
    {"6 / 2", "3.0"},
    {"2 ^ 10", "1024.0"},
    {"7 % 4", "3"},
    {"-3", "-3"},
    {"0x10", "16"},
    {"1e3", "1000.0"},
    {".5", "0.5"},
    {"5 & 4", "4"},
    {"5 | 2", "7"},
    {"1 << 4", "16"},
    {"~0", "-1"},
    {"'a' .. 'b' .. 1", "\"a"
                        "b1\""},
    {"#'abc'", "3"},
    {"1 == 1.0", "true"},
    {"1 != 2", "true"},
    {"1 ~= 2", "true"},
    {"1!=1", "false"},
    {"true && false", "false"},
    {"true&&'x'", "\"x\""},
    {"false || 'y'", "\"y\""},
    {"!true", "false"},
    {"!!nil", "false"},
    {"not nil", "true"},
    {"!input", "false"},
    {"! (1 == 2) && 3", "3"},
    {"1 < 2 && 2 <= 2 && 3 > 2 && 3 >= 3", "true"},
    {"'a' < 'b'", "true"},
    {"nil == null", "true"},
    {"'!= && || !'", "\"!= && || !\""},
    {"[[!=]] .. \"&&\"", "\"!=&&\""},
    {"'it\\'s'", "\"it's\""},
    {"1 -- != a comment && more", "1"},
    {"1 --[[ long\ncomment ]] + 1", "2"},
    {"1 --[==[ ]] ]=] ]==] + 1", "2"},
    {"[==[a]]b]==]", "\"a]]b\""},
    {"(1)", "1"},
    {"((((2))))", "2"},
    {"1\n+\n2", "3"},
    {"'a\\\nb'", "\"a\\nb\""},
    {"'a\\z\n   b'", "\"ab\""},
    {"'\\u{e9}\\x41\\65'", "\"\xc3\xa9"
                           "AA\""},
    {"'5' + 1", "6"},
    {"inputs.n * 2", "10"},
    {"-'3'", "-3"},
    {"'0x10' + 0", "16"},
    {"10 - '4.5'", "5.5"},
    {"9223372036854775807", "9223372036854775807"},
    {"0.1", "0.1"},
    {"2^53", "9007199254740992.0"},
    {"'a'+1", "1:4: cannot calculate with a text that is not a number: 'a'"},
};

static const struct expr_case values[] = {
    {"input", "\"hello world\""},
    {"inputs.lang", "\"de\""},
    {"inputs.lang == 'de'", "true"},
    {"item.name", "\"b.json\""},
    {"index", "2"},
    {"index + 1", "3"},
    {"output.id", "42"},
    {"run.name", "\"nightly\""},
    {"vars.deep.a.b[2][1]", "2"},
    {"vars.deep.a", "{\"b\":[1,[2,3]]}"},
    {"page", "\"p7\""},
    {"steps.merge.output.score > 0.7", "true"},
    {"steps['merge'].output.n", "3"},
    {"steps[\"ask-it\"].output == 'yes'", "true"},
    {"steps.merge.status", "\"completed\""},
    {"steps.merge.error", "null"},
    {"steps.merge.error == nil", "true"},
    {"null", "null"},
    {"nil", "null"},
    {"not steps.merge.error", "true"},
    {"steps.merge.output.none == null", "true"},
    {"steps.merge.output.none or 'z'", "\"z\""},
    {"steps.merge.output.none && 1", "null"},
    {"vars.k == null and !vars.k", "true"},
    {"steps.nope", "null"},
    {"inputs.nope", "null"},
    {"inputs.flag", "false"},
    {"steps.merge.output.list", "[]"},
    {"steps.merge.output.map", "{}"},
    {"steps.merge.output.holes", "[1,null,3]"},
    {"{steps.merge.output.list}", "[[]]"},
    {"{a = steps.merge.output.map}", "{\"a\":{}}"},
    {"{x = steps.merge.output.holes}", "{\"x\":[1,null,3]}"},
    {"#steps.merge.output.holes", "3"},
    {"steps.merge.output.holes[2] == null", "true"},
    {"steps.merge.output.holes[3]", "3"},
    {"steps.merge.output.tags[1]", "\"a\""},
    {"steps.merge.output.tags[0]", "null"},
    {"steps.merge.output.tags[4]", "null"},
    {"steps.merge.output.tags[1.0]", "\"a\""},
    {"steps.merge.output.tags['1']", "null"},
    {"steps.merge.output.tags.x", "null"},
    {"steps.merge.output[1]", "null"},
    {"#steps.merge.output.tags", "3"},
    {"inputs.end", "7"},
    {"inputs['end']", "7"},
    {"inputs . end + 1", "8"},
    {"{}", "[]"},
    {"{1, 2.5, 'x', true, false}", "[1,2.5,\"x\",true,false]"},
    {"{b = 1, a = {c = {}}}", "{\"a\":{\"c\":[]},\"b\":1}"},
    {"{['x y'] = 1, [\"\"] = 2}", "{\"\":2,\"x y\":1}"},
    {"{1, nil, 3}", "[1,null,3]"},
    {"{z = 1; y = 2,}", "{\"y\":2,\"z\":1}"},
    {"{input = input}", "{\"input\":\"hello world\"}"},
    {"steps.merge.output.yes and 'on' or 'off'", "\"on\""},
    {"steps.merge.output.no and 'on' or 'off'", "\"off\""},
    {"vars.deep == vars.deep", "true"},
    {"vars.deep == inputs", "false"},
    {"vars.deep.a.b[2] != {2,3}", "true"},
    {"(function(x, ...) return x + select('#', ...) end)(1, 2, 3)", "3"},
    {"(function() local t = {} for i = 1, 3 do t[i] = i * i end return t end)()", "[1,4,9]"},
    {"(function() if input == 'x' then return 1 elseif 2 then return 2 else return 3 end end)()",
     "2"},
    {"(function() local n = 0 repeat n = n + 1 until n == 4 while true do break end return n "
     "end)()",
     "4"},
    {"(function() local x <const> = 4; goto done; ::done:: return x end)()", "4"},
    {"(function(steps) return steps.setps end)({setps = 9})", "9"},
    {"string.char(255, 0, 65)", "\"\xef\xbf\xbd\xef\xbf\xbd"
                                "A\""},
    {"{[string.char(255)] = 1}", "{\"\xef\xbf\xbd\":1}"},
};

/* What cannot be an expression, and where. */
static const struct expr_case refused[] = {
    {"", "1:1: an expression is expected, but there is none"},
    {"  -- nothing", "1:1: an expression is expected, but there is none"},
    {"setps.x", "1:1: unknown name 'setps' (did you mean 'steps'?)"},
    {"1 +\n  imput", "2:3: unknown name 'imput' (did you mean 'input'?)"},
    {"steps.x AND 1", "1:9: unknown name 'AND' (did you mean 'and'?)"},
    {"True", "1:1: unknown name 'True' (did you mean 'true'?)"},
    {"inputs.lang == german", "1:16: unknown name 'german' (text is written in quotes: 'german')"},
    {"pgae", "1:1: unknown name 'pgae' (did you mean 'page'?)"},
    {"\xc3\xa9", "1:1: unexpected character '\xc3\xa9'"},
    {"'\xc3\xa9' .. foo_bar", "1:8: unknown name 'foo_bar' (text is written in quotes: 'foo_bar')"},
    {"steps.fetch-data.output",
     "1:13: unknown name 'data' (a name with '-' is written steps[\"fetch-data\"])"},
    {"1 +", "1:4: the expression ends too early"},
    {"1 2", "1:3: unexpected '2'"},
    {"1, 2", "1:2: unexpected ','"},
    {"* 2", "1:1: unexpected '*'"},
    {"input.", "1:7: the expression ends too early"},
    {"input..", "1:8: the expression ends too early"},
    {"#", "1:2: the expression ends too early"},
    {"(1", "1:1: '(' is never closed by ')'"},
    {"1)", "1:2: unexpected ')': nothing is open here"},
    {"(1]", "1:3: unexpected ']': '(' at line 1, column 1 wants ')' first"},
    {"{1, {2}", "1:1: '{' is never closed by '}'"},
    {"1) + (2", "1:2: unexpected ')': nothing is open here"},
    {"x = 1", "1:3: unexpected '=' (to compare, write '==')"},
    {"input === 1", "1:9: unexpected '=' (to compare, write '==')"},
    {"return 1", "1:1: leave out 'return': the expression is the value"},
    {"if input then 1 end", "1:1: unexpected 'if': one expression is expected, not statements"},
    {"1; 2", "1:2: unexpected ';': one expression is expected, not statements"},
    {"local x", "1:1: unexpected 'local': one expression is expected, not statements"},
    {"...", "1:1: unexpected '...': one expression is expected, not statements"},
    {"1 end", "1:3: unexpected 'end': one expression is expected, not statements"},
    {"input ? 1 : 2", "1:7: unexpected '?' (write 'a and b or c' for 'a ? b : c')"},
    {"input @ 2", "1:7: unexpected character '@'"},
    {"'abc", "1:1: this text is never closed by '"},
    {"1 ..\n\"ab\nc\"", "2:1: this text is never closed by \""},
    {"[[abc", "1:1: this text is never closed"},
    {"1 --[[ x", "1:3: this comment is never closed"},
    {"3x", "1:1: malformed number: '3x'"},
    {"'\\q'", "1:1: invalid escape sequence: ''\\q'"},
    {"(function() return 1 )",
     "1:22: unexpected ')': 'function' at line 1, column 2 wants 'end' first"},
    {"function() end", "1:1: a function is not a value (is its call '()' missing?)"},
    {"f(1)", "1:1: unknown name 'f' (text is written in quotes: 'f')"},
    {"len(1 2)", "1:7: unexpected '2'"},
    {"(function() x = 1 end)()", "1:13: unknown name 'x' (text is written in quotes: 'x')"},
    {"(function(a) local = 1 end)", "1:20: <name> expected, not '='"},
    {"_ENV", "1:1: unknown name '_ENV' (did you mean 'len'?)"},
    {"_G.x", "1:1: unknown name '_G' (text is written in quotes: '_G')"},
    {"load('x')", "1:1: unknown name 'load' (text is written in quotes: 'load')"},
    {"os.exit()", "1:1: unknown name 'os' (did you mean 'or'?)"},
};

/* What compiles and then fails. */
static const struct expr_case failing[] = {
    {"steps.merge.output.nope.x", "1:26: cannot look inside 'nope': it is missing (nil)"},
    {"1 +\n steps.merge.output.none.x", "2:26: cannot look inside 'none': it is missing (nil)"},
    {"inputs.lang.x.y", "1:16: cannot look inside 'x': it is missing (nil)"},
    {"input()", "1:1: cannot call 'input': it is a text"},
    {"len('a')()", "1:1: cannot call this value: it is a number"},
    {"steps.merge.output.none > 1", "1:27: cannot compare number with nil"},
    {"input > 1", "1:9: cannot compare number with string"},
    {"'x' .. vars.deep", "1:5: cannot join to text 'deep': it is an object"},
    {"vars.k + 1", "1:8: cannot calculate with 'k': it is missing (nil)"},
    {"1 + vars.deep.a.b", "1:3: cannot calculate with 'b': it is a list"},
    {"#vars.k", "1:1: cannot count 'k': it is missing (nil)"},
    {"1 & 1.5", "1:3: number has no integer representation"},
    {"1 // 0", "1:3: attempt to divide by zero"},
    {"error('my own')", "1:1: my own"},
    {"error''", "1:1: the expression failed without a message"},
    {"error({a=1})", "1:1: the expression failed with a table that is no text"},
    {"error()", "1:1: the expression failed with a nil that is no text"},
    {"error(12)", "1:1: the expression failed: error 12"},
    {"assert(false, 'no')", "1:1: no"},
    {"assert(nil)", "1:1: assertion failed!"},
    {"{1, x = 2}", "1:1: a table with both names and list items cannot become JSON"},
    {"{[1000] = 1}", "1:1: a list with so many holes cannot become JSON"},
    {"{[0] = 1}",
     "1:1: a table with a key that is neither a text nor 1, 2, 3 ... cannot become JSON"},
    {"{[true] = 1}",
     "1:1: a table with a key that is neither a text nor 1, 2, 3 ... cannot become JSON"},
    {"{len}", "1:1: a function is not a value (is its call '()' missing?)"},
    {"{0/0}", "1:1: the value is not a finite number (-nan)"},
};

static void
expr_operators(void **s)
{
    (void)s;
    expr_check(operators, COUNT(operators));
}

static void
expr_values(void **s)
{
    (void)s;
    expr_check(values, COUNT(values));
}

static void
expr_refused(void **s)
{
    (void)s;
    expr_check(refused, COUNT(refused));
}

static void
expr_failing(void **s)
{
    (void)s;
    expr_check(failing, COUNT(failing));
}

static void
expr_truth(void **s)
{
    (void)s;
    static const struct {
        const char *text;
        bool want;
    } row[] = {
        {"true", true},
        {"false", false},
        {"nil", false},
        {"null", false},
        {"0", true},
        {"''", true},
        {"{}", true},
        {"vars.k", false},
        {"steps.merge.output.score > 0.7", true},
        {"steps.merge.output.list", true},
        {"inputs.flag", false},
    };
    AUTO(expr_space_freep) struct expr_space *space = expr_space_new((struct luastate_limits){0});
    struct json_world world;
    world_init(&world);
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(expr_freep) struct expr *e = NULL;
        bool truth = !row[i].want;
        assert_ok(expr_compile(space, row[i].text, NOWHERE, &e));
        assert_ok(expr_test(e, &world.scope, &truth));
        assert_int_equal(truth, row[i].want);
    }
    json_decref(world.all);
}

/* Places count from where the text stands in the user's file. */
static void
expr_places(void **s)
{
    (void)s;
    static const struct {
        const char *text;
        unsigned line, col;
    } row[] = {
        {"nope", 14, 7},
        {"1 != nope", 14, 12},
        {"1 &&\n  nope", 15, 3},
        {"'\xc3\xa9\xc3\xa9' == nope", 14, 15},
        {"[[a\nb]] .. nope", 15, 8},
        {"1 +", 14, 10},
        {"(\n\n1 1)", 16, 3},
        {"'a\\\nb' .. nil.x", 15, 10},
    };
    AUTO(expr_space_freep) struct expr_space *space = expr_space_new((struct luastate_limits){0});
    for (size_t i = 0; i < COUNT(row); i++) {
        struct expr *e = NULL;
        char file[] = "flow.yaml";
        struct err *failed = expr_compile(space, row[i].text, (struct src_pos){file, 14, 7}, &e);
        file[0] = '?'; /* the name is copied */
        assert_non_null(failed);
        assert_string_equal(err_pos(failed).file, "flow.yaml");
        assert_int_equal(err_pos(failed).line, row[i].line);
        assert_int_equal(err_pos(failed).col, row[i].col);
        err_free(failed);
    }
}

static void
expr_references(void **s)
{
    (void)s;
    static const struct {
        const char *text, *want;
        unsigned uses;
    } row[] = {
        {"1", "", 0},
        {"steps.a.output > steps['b c'].x", "S a 1:7 S b c 1:24 ", EXPR_STEPS},
        {"steps . \n end", "S end 2:2 ", EXPR_STEPS},
        {"steps[\"x\"]", "S x 1:7 ", EXPR_STEPS},
        {"steps[input].y", "", EXPR_STEPS | EXPR_STEPS_ANY | EXPR_INPUT},
        {"steps['a' .. 'b']", "", EXPR_STEPS | EXPR_STEPS_ANY},
        {"json(steps)", "", EXPR_STEPS | EXPR_STEPS_ANY},
        {"inputs.x + inputs['y'] + len(inputs)", "I x 1:8 I y 1:19 ",
         EXPR_INPUTS | EXPR_INPUTS_ANY},
        {"item.steps.input == index", "", EXPR_ITEM | EXPR_INDEX},
        {"{steps = output, run.id, vars = vars}", "", EXPR_OUTPUT | EXPR_RUN | EXPR_VARS},
        {"page .. page", "L page 1:1 L page 1:9 ", 0},
        {"date() .. 'steps.x'", "", EXPR_NOW},
        {"(function(x) local steps = x return steps.q end)(1)", "", EXPR_STEPS},
        {"input:upper()", "", EXPR_INPUT},
    };
    AUTO(expr_space_freep) struct expr_space *space = expr_space_new((struct luastate_limits){0});
    expr_space_allow(space, case_names);
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(expr_freep) struct expr *e = NULL;
        AUTO(str_fini) struct str got = STR_INIT;
        assert_ok(expr_compile(space, row[i].text, NOWHERE, &e));
        struct expr_refs refs = expr_refs(e);
        for (size_t k = 0; k < refs.len; k++)
            str_addf(&got, "%c %s %u:%u ", "SIL"[refs.at[k].kind], refs.at[k].name,
                     refs.at[k].at.line, refs.at[k].at.col);
        assert_string_equal(str_c(&got), row[i].want);
        assert_int_equal(refs.uses, row[i].uses);
    }
}

static json_t *
step_find(void *ctx, const char *id)
{
    int *calls = ctx;
    ++*calls;
    static json_t *one;
    if (!one)
        one = json_pack("{s:i}", "output", 5);
    if (strcmp(id, "free") == 0) {
        json_decref(one);
        one = NULL;
    }
    return strcmp(id, "one") == 0 ? one : NULL;
}

/* Steps found one by one: only what is named is asked for. */
static void
expr_step_lookup(void **s)
{
    (void)s;
    AUTO(expr_space_freep) struct expr_space *space = expr_space_new((struct luastate_limits){0});
    int calls = 0;
    struct expr_scope scope = {.step = step_find, .step_ctx = &calls};
    static const struct expr_case row[] = {
        {"steps.one.output", "5"},
        {"steps.two", "null"},
        {"steps[1]", "null"},
        {"steps", "1:1: the steps cannot be taken as a whole: name one, as in steps.x"},
        {"json(steps)", "1:1: the steps cannot be taken as a whole: name one, as in steps.x"},
        {"{steps}", "1:1: the steps cannot be taken as a whole: name one, as in steps.x"},
        {"keys(steps)", "1:1: the steps cannot be taken as a whole: name one, as in steps.x"},
        {"#steps", "1:1: the steps cannot be taken as a whole: name one, as in steps.x"},
        {"steps == steps", "true"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(freep) char *got = expr_shown(space, &scope, row[i].text);
        assert_string_equal(got, row[i].want);
    }
    assert_int_equal(calls, 2);
    step_find(&calls, "free");
}

/* Printed, not asserted. */
static void
expr_timing(void **s)
{
    (void)s;
    AUTO(expr_space_freep) struct expr_space *space = expr_space_new((struct luastate_limits){0});
    struct json_world world;
    world_init(&world);
    AUTO(expr_freep) struct expr *e = NULL;
    assert_ok(expr_compile(space, "steps.merge.output.score > 0.7", NOWHERE, &e));
    const int rounds = 20000;
    clock_t start = clock();
    for (int i = 0; i < rounds; i++) {
        bool truth = false;
        assert_ok(expr_test(e, &world.scope, &truth));
        assert_true(truth);
    }
    print_message("a simple condition: %.2f us\n",
                  (double)(clock() - start) * 1e6 / CLOCKS_PER_SEC / rounds);
    json_decref(world.all);
}

TESTS(exprtable_test, cmocka_unit_test(expr_operators), cmocka_unit_test(expr_values),
      cmocka_unit_test(expr_refused), cmocka_unit_test(expr_failing), cmocka_unit_test(expr_truth),
      cmocka_unit_test(expr_places), cmocka_unit_test(expr_references),
      cmocka_unit_test(expr_step_lookup), cmocka_unit_test(expr_timing))
