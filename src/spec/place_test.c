/* place_test.c - where things are: pointers, texts inside of scalars, warnings. */
#include "base/test.h"
#include "spec/testkinds.h"
#include "spec/yaml.h"

static const char flow[] = "name: x\n"
                           "agents:\n"
                           "  a:\n"
                           "    instruction: \"one {{ input }}\\n two\"\n"
                           "    customParams:\n"
                           "      deep: {list: [1, {k: v}]}\n"
                           "  b/c~d: &q\n" /* line 7 */
                           "    instruction: |\n"
                           "      first\n"
                           "      second\n"
                           "nodes:\n"
                           "  - name: n\n"
                           "    agent: a\n"
                           "    depends_on: m\n"
                           "    inputs: {instruction: hi}\n"
                           "  - {id: m, agent: a, retryConfig: {maxAttempts: 2}}\n";

static void
assert_at(struct src_pos at, unsigned line, unsigned col)
{
    assert_non_null(at.file);
    assert_string_equal(at.file, "f.yaml");
    assert_int_equal(at.line, line);
    assert_int_equal(at.col, col);
}

static struct spec *
load_flow(void)
{
    struct spec *s = NULL;
    struct test_world w = {0};
    AUTO(str_fini) struct str text = STR_INIT;
    str_add(&text, flow);
    char *slash = strstr(text.p, "b/c~d");
    memcpy(slash, "b-c~d", 5);
    assert_ok(test_load(&w, "f.yaml", str_c(&text), &s));
    return s;
}

static void
test_pointers(void **state)
{
    (void)state;
    static const struct {
        const char *pointer;
        unsigned line, col;
    } row[] = {
        {"", 1, 1},
        {"/name", 1, 7},
        {"/agents", 2, 1},
        {"/agents/a", 3, 3},
        {"/agents/a/instruction", 4, 18},
        {"/agents/a/custom_params", 5, 5},
        {"/agents/a/custom_params/deep/list/0", 6, 21},
        {"/agents/a/custom_params/deep/list/1", 6, 24},
        {"/agents/a/custom_params/deep/list/1/k", 6, 28},
        {"/agents/a/custom_params/deep/none/1", 6, 7}, /* the nearest one known */
        {"/agents/b-c~0d", 7, 3},
        {"/agents/b-c~0d/instruction", 9, 1},
        {"/workflows/x/nodes", 11, 1},
        {"/workflows/x/nodes/0", 12, 11},
        {"/workflows/x/nodes/0/depends_on", 14, 17},
        {"/workflows/x/nodes/0/depends_on/0", 14, 17},
        {"/workflows/x/nodes/0/instruction", 15, 27},
        {"/workflows/x/nodes/1", 16, 10},
        {"/workflows/x/nodes/1/retry/max_attempts", 16, 50},
        {"/workflows/x/nodes/1/retry/none", 16, 23},
    };
    AUTO(spec_freep) struct spec *s = load_flow();
    for (size_t i = 0; i < COUNT(row); i++)
        assert_at(spec_pos(s, row[i].pointer), row[i].line, row[i].col);
    assert_at(spec_text_pos(s, "/agents/a/instruction", 1, 5), 4, 23);
    assert_at(spec_text_pos(s, "/agents/a/instruction", 2, 2), 4, 37);
    assert_at(spec_text_pos(s, "/agents/b-c~0d/instruction", 2, 3), 10, 9);
    assert_at(spec_text_pos(s, "/agents/a", 2, 2), 3, 3);
    assert_string_equal(spec_file(s, 0), "f.yaml");
    assert_null(spec_file(s, 1));
}

static void
test_stored(void **state)
{
    (void)state;
    AUTO(spec_freep) struct spec *s = load_flow();
    AUTO(spec_freep) struct spec *t = spec_from_doc(json_deep_copy(s->doc));
    assert_true(json_equal(s->doc, t->doc));
    assert_int_equal(spec_pos(t, "/agents/a").line, 0);
    assert_int_equal(spec_text_pos(t, "/agents/a", 1, 1).line, 0);
    assert_null(spec_warnings(t));
    assert_null(spec_file(t, 0));
    spec_free(NULL);
}

/* Each text begins somewhere behind "k: " and holds one '@'; its place is known by counting. */
static const char *const styles[] = {
    "k: plain @x\n",
    "k: plain over\n   several\n   lines @x\n",
    "k: 'it''s ''quoted'' @'\n",
    "k: 'folded\n  over\n\n\n  lines @'\n",
    "k: \"a\\tb\\x41\\u00e9\\U0001F600 \\\"@\"\n",
    "k: \"\\ud83d\\ude00 @\"\n",
    "k: \"long \\\n    joined \\\n    @\"\n",
    "k: \"folded\n\n   twice @\"\n",
    "k: |\n  first\n  second @\n",
    "k: |\n  first\n\n    more indented\n  @\n",
    "k: |2\n    kept blanks @\n",
    "k: |-\n\n\n  after blank lines @\n",
    "k: >\n  one\n  two @\n",
    "k: >\n  one\n  two\n\n  three\n\n\n  four @\n",
    "k: >\n  one\n    kept\n    lines\n  two @\n",
    "k: >-\n\n  after a blank line @\n",
    "k: |\r\n  first\r\n  second @\r\n",
    "k: >\r\n  first\r\n  second @\r\n",
    "k: \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80 @\n",
    "\xef\xbb\xbfk: bom @\n",
    "[\"\", \"x@\"]\n",
};

static void
test_text_places(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(styles); i++) {
        AUTO(arena_freep) struct arena *a = arena_new(0);
        struct problems p = {0};
        struct ynode *root = NULL;
        const struct yfile f = {"t.yaml", styles[i], strlen(styles[i]), 1};
        assert_ok(yaml_parse(a, yaml_whole(&f), &p, &root));
        const struct ynode *n = root->kind == Y_MAP ? yaml_get(root, "k") : root->items[1];
        const struct src_pos want = yaml_offset_pos(&f, (size_t)(strchr(f.text, '@') - f.text));
        const struct src_pos got = yaml_text_pos(n, (size_t)(strchr(n->text, '@') - n->text));
        if (got.line != want.line || got.col != want.col)
            fail_msg("%s: %u:%u, not %u:%u", styles[i], want.line, want.col, got.line, got.col);
        yaml_text_pos(n, 100000); /* beyond the end is the end */
        problems_fini(&p);
    }
}

static void
test_warnings(void **state)
{
    (void)state;
    static const char *const env[] = {"SET=1", NULL};
    struct test_world w = {.env = env};
    AUTO(spec_freep) struct spec *s = NULL;
    assert_ok(
        test_load(&w, "f.yaml",
                  "profiles:\n  p: {provider: openai, model: m, apiKey: \"${KEY}\"}\n"
                  "agents:\n  a:\n    instruction: |\n      ${SET} ${D:-x} $${NO}\n"
                  "      and ${MISSING} here\n    custom_params: {x: '${ODD', y: ['${DATA}']}\n",
                  &s));
    static const char *const want[] = {
        "profile 'p': 'apiKey': environment variable 'KEY' is not set",
        "agent 'a': 'instruction': environment variable 'MISSING' is not set",
        "agent 'a': 'custom_params.y[1]': environment variable 'DATA' is not set",
    };
    static const unsigned lines[] = {2, 7, 8}, cols[] = {44, 11, 38};
    const struct err *e = spec_warnings(s);
    for (size_t i = 0; i < COUNT(want); i++, e = err_next(e)) {
        assert_non_null(e);
        AUTO(freep) char *text = err_text(e);
        assert_string_equal(text, want[i]);
        assert_int_equal(err_kind(e), ERR_MISSING);
        assert_int_equal(err_pos(e).line, lines[i]);
        assert_int_equal(err_pos(e).col, cols[i]);
    }
    assert_null(e);
}

TESTS(place_test, cmocka_unit_test(test_pointers), cmocka_unit_test(test_stored),
      cmocka_unit_test(test_text_places), cmocka_unit_test(test_warnings))
