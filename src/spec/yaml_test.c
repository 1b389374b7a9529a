/* yaml_test.c - scalars: styles and the core schema. The forms of whole files are in bad_test.c and
 * spec_test.c. */
#include "base/test.h"
#include "spec/yaml.h"
#include <math.h>

static const struct {
    const char *text;
    enum ytype type;
    double number;
} scalars[] = {
    {"", YT_NULL, 0},
    {"~", YT_NULL, 0},
    {"null", YT_NULL, 0},
    {"Null", YT_NULL, 0},
    {"NULL", YT_NULL, 0},
    {"nULL", YT_STRING, 0},
    {"true", YT_BOOL, 0},
    {"False", YT_BOOL, 0},
    {"TRUE", YT_BOOL, 0},
    {"yes", YT_STRING, 0},
    {"no", YT_STRING, 0},
    {"on", YT_STRING, 0},
    {"off", YT_STRING, 0},
    {"y", YT_STRING, 0},
    {"0", YT_INT, 0},
    {"-0", YT_INT, 0},
    {"+12", YT_INT, 12},
    {"-12", YT_INT, -12},
    {"007", YT_INT, 7},
    {"0o17", YT_INT, 15},
    {"0x1F", YT_INT, 31},
    {"0o8", YT_STRING, 0},
    {"0xg", YT_STRING, 0},
    {"0x", YT_STRING, 0},
    {"-0x1", YT_STRING, 0},
    {"0b1", YT_STRING, 0},
    {"1_000", YT_STRING, 0},
    {"1.", YT_REAL, 1},
    {".5", YT_REAL, 0.5},
    {"-.5e1", YT_REAL, -5},
    {"1e3", YT_REAL, 1000},
    {"1E-2", YT_REAL, 0.01},
    {"1e", YT_STRING, 0},
    {".", YT_STRING, 0},
    {"-", YT_STRING, 0},
    {"+", YT_STRING, 0},
    {"1.2.3", YT_STRING, 0},
    {"1 2", YT_STRING, 0},
    {"12:30", YT_STRING, 0},
    {".inf", YT_SPECIAL, 0},
    {"-.INF", YT_SPECIAL, 0},
    {".nan", YT_SPECIAL, 0},
    {"1e999", YT_SPECIAL, 0},
    {"inf", YT_STRING, 0},
    {"nan", YT_STRING, 0},
    {"2026-11-21", YT_STRING, 0},
    {"9223372036854775807", YT_REAL, 9223372036854775807.0},
    {"922337203685477580", YT_INT, 922337203685477580.0},
    {"-9223372036854775808", YT_REAL, -9223372036854775808.0},
    {"18446744073709551616", YT_REAL, 18446744073709551616.0},
    {"0xffffffffffffffff", YT_REAL, 18446744073709551615.0},
};

static void
test_scalars(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(scalars); i++) {
        const struct yscalar v = yaml_scalar_text(scalars[i].text);
        if (v.type != scalars[i].type)
            fail_msg("'%s' is of type %d", scalars[i].text, v.type);
        if (v.type == YT_INT && (double)v.i != scalars[i].number)
            fail_msg("'%s' is %lld", scalars[i].text, (long long)v.i);
        if (v.type == YT_REAL && fabs(v.d - scalars[i].number) > 1e-9 * fabs(v.d))
            fail_msg("'%s' is %g", scalars[i].text, v.d);
    }
}

/* A document that is one list of one scalar: its style, and its text. */
static const struct {
    const char *yaml;
    enum ystyle style;
    const char *text;
} texts[] = {
    {"- plain\n", Y_PLAIN, "plain"},
    {"- two\n  lines\n", Y_PLAIN, "two lines"},
    {"- ''\n", Y_SINGLE, ""},
    {"- 'it''s'\n", Y_SINGLE, "it's"},
    {"- ''''''''''\n", Y_SINGLE, "''''"},
    {"- ' a '\n", Y_SINGLE, " a "},
    {"- 'a  \n    b\n\n\n   c\n   '\n", Y_SINGLE, "a b\n\nc "},
    {"- '\n\n  a\r\n  b'\r\n", Y_SINGLE, "\na b"},
    {"- 'x ${A} y'\n", Y_SINGLE, "x ${A} y"},
    {"- \"\\x41\\u00e9\\n\\/\\\"\"\n", Y_DOUBLE, "A\xc3\xa9\n/\""},
    {"- \"a\n  b\\\n  c\"\n", Y_DOUBLE, "a bc"},
    {"[\"\\ud83d\\ude00\"]", Y_DOUBLE, "\xf0\x9f\x98\x80"},
    {"- |\n  a\n   b\n", Y_LITERAL, "a\n b\n"},
    {"- |-\n  a\n\n", Y_LITERAL, "a"},
    {"- |+\n  a\n\n", Y_LITERAL, "a\n\n"},
    {"- >\n  a\n  b\n\n  c\n", Y_FOLDED, "a b\nc\n"},
    {"- !!str 5\n", Y_LINES, "5"},
    {"- !!int \"5\"\n", Y_PLAIN, "5"},
    {"- ! x\n", Y_PLAIN, "x"},
    {"[${A}, x]", Y_PLAIN, "${A}"},
    {"[a${A:-b c}d]", Y_PLAIN, "a${A:-b c}d"},
    {"[\"${A}\\x7f\"]", Y_DOUBLE, "${A}\x7f"},
};

static void
test_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        AUTO(arena_freep) struct arena *a = arena_new(0);
        struct problems p = {0};
        struct ynode *root = NULL;
        const struct yfile f = {"t.yaml", texts[i].yaml, strlen(texts[i].yaml), 1};
        assert_ok(yaml_parse(a, yaml_whole(&f), &p, &root));
        assert_int_equal(root->kind, Y_LIST);
        assert_string_equal(root->items[0]->text, texts[i].text);
        assert_int_equal(root->items[0]->style, texts[i].style);
    }
}

/* Limits that are reached exactly, and passed by one. */
static struct err *
parse_depth(unsigned depth)
{
    AUTO(arena_freep) struct arena *a = arena_new(0);
    AUTO(str_fini) struct str text = STR_INIT;
    struct problems p = {0};
    struct ynode *root = NULL;
    for (unsigned i = 1; i < depth; i++)
        str_addc(&text, '[');
    str_addc(&text, 'x');
    for (unsigned i = 1; i < depth; i++)
        str_addc(&text, ']');
    const struct yfile f = {"t.yaml", str_c(&text), text.len, 1};
    return yaml_parse(a, yaml_whole(&f), &p, &root);
}

static void
test_depth(void **state)
{
    (void)state;
    assert_ok(parse_depth(64));
    assert_err(parse_depth(65), ERR_LIMIT, "nested deeper than 64 levels");
    assert_err(parse_depth(1000), ERR_LIMIT, "nested deeper than 64 levels");
}

TESTS(yaml_test, cmocka_unit_test(test_scalars), cmocka_unit_test(test_texts),
      cmocka_unit_test(test_depth))
