/* exprtemplate_test.c - templates by tables: types kept, texts spliced, errors with their places.
 */
#include "base/test.h"
#include "expr/exprcase.h"
#include "expr/exprlua.h"

static const struct expr_case rows[] = {
    {"", "\"\""},
    {"plain", "\"plain\""},
    {"a } b }} c { d", "\"a } b }} c { d\""},
    /* exactly one expression: the type stays */
    {"{{ steps.merge.output.score }}", "0.75"},
    {"{{index}}", "2"},
    {"{{ steps.merge.output.tags }}", "[\"a\",\"b\",\"c\"]"},
    {"{{ nil }}", "null"},
    {"{{ steps.merge.output.list }}", "[]"},
    {"{{ 1 == 1 }}", "true"},
    {"{{\n  index\n}}", "2"},
    {"{{ input }}", "\"hello world\""},
    {"{{ '5' }}", "\"5\""},
    {"{{ {a = {b = 1}} }}", "{\"a\":{\"b\":1}}"},
    {"{{{a={b=1}}}}", "{\"a\":{\"b\":1}}"},
    {"{{ \"}}\" }}", "\"}}\""},
    {"{{ '{{' }}", "\"{{\""},
    {"{{ [[}}]] }}", "\"}}\""},
    {"{{ !true }}", "false"},
    {"{{ steps.merge.output.holes }}", "[1,null,3]"},
    /* anything around it: text */
    {" {{ index }}", "\" 2\""},
    {"{{ index }} ", "\"2 \""},
    {"{{ index }}\n", "\"2\\n\""},
    {"{{ index }}{{ index }}", "\"22\""},
    {"Hello {{ item.name }}!", "\"Hello b.json!\""},
    {"a{{ nil }}b{{ vars.k }}c", "\"abc\""},
    {"x={{ 0.1 }} y={{ 6 / 2 }}", "\"x=0.1 y=3.0\""},
    {"tags: {{ steps.merge.output.tags }}", "\"tags: [\\\"a\\\",\\\"b\\\",\\\"c\\\"]\""},
    {"{{ true }}/{{ false }}", "\"true/false\""},
    {"{{ steps.merge.output.holes }};", "\"[1,null,3];\""},
    {"{\"n\": {{ steps.merge.output.n }}}", "\"{\\\"n\\\": 3}\""},
    {"{{ steps.merge.text }}\n", "\"caf\xc3\xa9 au lait\\n\""},
    {"{{ string.char(255) }}.", "\"\xef\xbf\xbd.\""},
    {"{{ string.char(0) }}.", "\"\xef\xbf\xbd.\""},
    {"{{ json(input) }} {{ len(input) }}", "\"\\\"hello world\\\" 11\""},
    /* refused */
    {"a {{ b", "1:3: '{{' is never closed by '}}'"},
    {"a {{ index", "1:3: '{{' is never closed by '}}'"},
    {"{{", "1:1: '{{' is never closed by '}}'"},
    {"{{ }}", "1:3: an expression is expected, but there is none"},
    {"x\n  {{}}", "2:5: an expression is expected, but there is none"},
    {"{{ index }", "1:10: unexpected '}': nothing is open here"},
    {"{{ {1 }}", "1:8: unexpected '}': nothing is open here"},
    {"{{ 'a }}", "1:4: this text is never closed by '"},
    {"ok {{ index }} and\n \xc3\xa9 {{ indx }}",
     "2:7: unknown name 'indx' (did you mean 'index'?)"},
    {"{{ 1 + }}", "1:8: the expression ends too early"},
    {"{{ 1 2 }}", "1:6: unexpected '2'"},
    {"{{ (index }}", "1:11: unexpected '}': '(' at line 1, column 4 wants ')' first"},
    {"{{ x = 1 }}", "1:6: unexpected '=' (to compare, write '==')"},
    {"abc {{ vars.k.x }}", "1:17: cannot look inside 'k': it is missing (nil)"},
    {"a\nb {{ input + 1 }}",
     "2:12: cannot calculate with a text that is not a number: 'hello world'"},
    {"a {{ len }}", "1:5: a function is not a value (is its call '()' missing?)"},
};

static void
templates(void **s)
{
    (void)s;
    AUTO(expr_space_freep) struct expr_space *space = expr_space_new((struct luastate_limits){0});
    struct json_world world;
    world_init(&world);
    int wrong = 0;
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO(template_freep) struct template *t = NULL;
        AUTO(json_freep) json_t *j = NULL;
        AUTO(str_fini) struct str got = STR_INIT;
        struct err *failed = template_compile(space, rows[i].text, NOWHERE, &t);
        if (!failed)
            failed = template_eval(t, &world.scope, &j);
        if (failed) {
            assert_int_equal(err_kind(failed), ERR_INVALID);
            AUTO(freep) char *text = error_shown(failed);
            str_add(&got, text);
        } else {
            assert_true(json_write_short(&got, j, 100000));
        }
        if (strcmp(str_c(&got), rows[i].want) != 0) {
            fprintf(stderr, "%s\n    want %s\n    got  %s\n", rows[i].text, rows[i].want,
                    str_c(&got));
            wrong++;
        }
    }
    json_decref(world.all);
    assert_int_equal(wrong, 0);
}

static void
template_references(void **s)
{
    (void)s;
    AUTO(expr_space_freep) struct expr_space *space = expr_space_new((struct luastate_limits){0});
    AUTO(template_freep) struct template *t = NULL;
    struct src_pos at = {"flow.yaml", 10, 5};
    assert_false(template_has_braces("a } { b"));
    assert_true(template_has_braces("a {{"));
    assert_ok(template_compile(space, "a {{ steps.x.text }}\n{{ steps.y or input }}", at, &t));
    struct expr_refs refs = template_refs(t);
    assert_int_equal(refs.len, 2);
    assert_string_equal(refs.at[0].name, "x");
    assert_int_equal(refs.at[0].at.line, 10);
    assert_int_equal(refs.at[0].at.col, 16);
    assert_string_equal(refs.at[0].at.file, "flow.yaml");
    assert_string_equal(refs.at[1].name, "y");
    assert_int_equal(refs.at[1].at.line, 11);
    assert_int_equal(refs.at[1].at.col, 10);
    assert_int_equal(refs.uses, EXPR_STEPS | EXPR_INPUT);
}

/* Many parts, each at its limit, do not make a text without end. */
static void
template_bounds(void **s)
{
    (void)s;
    AUTO(expr_space_freep) struct expr_space *space = expr_space_new((struct luastate_limits){0});
    AUTO(str_fini) struct str text = STR_INIT;
    struct expr_scope scope = {0};
    struct template *t = NULL;
    json_t *j = NULL;
    for (int i = 0; i < 6; i++)
        str_add(&text, "{{ string.rep('x', 3000000) }}");
    assert_ok(template_compile(space, str_c(&text), NOWHERE, &t));
    assert_err(template_eval(t, &scope, &j), ERR_LIMIT, "the text becomes longer than 16 MB");
    template_free(t);
    str_reset(&text);
    for (int i = 0; i <= TEMPLATE_PARTS_MAX; i++)
        str_add(&text, "{{1}}");
    assert_err(template_compile(space, str_c(&text), NOWHERE, &t), ERR_INVALID,
               "more than 10000 '{{' in one text");
    str_reset(&text);
    str_add(&text, "{{ 1");
    for (size_t i = 0; i < EXPR_BYTES_MAX; i++)
        str_addc(&text, ' ');
    str_add(&text, "}}");
    assert_err(template_compile(space, str_c(&text), NOWHERE, &t), ERR_INVALID,
               "'{{' is never closed by '}}' within 64 KB");
}

TESTS(exprtemplate_test, cmocka_unit_test(templates), cmocka_unit_test(template_references),
      cmocka_unit_test(template_bounds))
