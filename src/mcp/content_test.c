/* content_test.c - results as text for a model, and annotations. */
#include "base/test.h"
#include "mcp/content.h"

#define TEXT(t) "{\"type\":\"text\",\"text\":\"" t "\"}"

static json_t *
parsed(const char *text)
{
    json_t *j = NULL;
    assert_ok(json_parse(text, strlen(text), &j));
    return j;
}

static void
results(void **state)
{
    (void)state;
    static const struct {
        const char *result;
        size_t max;
        const char *text;
        bool is_error;
    } rows[] = {
        {"{\"content\":[" TEXT("a") "," TEXT("b") "]}", 100, "a\nb", false},
        {"{\"content\":[" TEXT("a") "],\"isError\":true}", 100, "a", true},
        {"{\"content\":[],\"isError\":\"yes\"}", 100, "", false},
        {"{}", 100, "", false},
        {"{\"content\":7}", 100, "[content of an unknown type]", false},
        {"{\"content\":[7,{},{\"type\":\"video\",\"mimeType\":\"v/x\"}]}", 200,
         "[content of an unknown type]\n[content of an unknown type]\n[content of an unknown type: "
         "v/x]",
         false},
        {"{\"content\":[{\"type\":\"image\",\"data\":\"AAAAAAAA\",\"mimeType\":\"image/png\"}]}",
         100, "[image: image/png, 6 bytes]", false},
        {"{\"content\":[{\"type\":\"audio\"}]}", 100, "[audio]", false},
        {"{\"content\":[{\"type\":\"resource_link\",\"name\":\"n\",\"uri\":\"demo://1\"}]}", 100,
         "[resource: n, demo://1]", false},
        {"{\"content\":[{\"type\":\"resource\",\"resource\":{\"uri\":\"u\",\"text\":\"inside\"}}]}",
         100, "inside", false},
        {"{\"content\":[{\"type\":\"resource\",\"resource\":{\"uri\":\"u\",\"blob\":\"AAAA\"}}]}",
         100, "[resource: u, 3 bytes]", false},
        {"{\"content\":[{\"type\":\"resource\"}]}", 100, "[resource]", false},
        {"{\"content\":[],\"structuredContent\":{\"a\":[1]}}", 100, "{\"a\":[1]}", false},
        {"{\"structuredContent\":{\"a\":[1]}}", 100, "{\"a\":[1]}", false},
        {"{\"content\":[" TEXT("t") "],\"structuredContent\":{\"a\":1}}", 100, "t", false},
        {"{\"content\":[" TEXT("0123456789") "," TEXT("x") "]}", 4, "0123\n[8 more bytes left out]",
         false},
        {"{\"content\":[" TEXT("aaa\xc3\xa9") "]}", 4, "aaa\n[2 more bytes left out]", false},
        {"{\"content\":[" TEXT("t") "],\"_meta\":{\"tutti/output-mismatch\":\"/n: bad\"}}", 100,
         "t\n[the structured content does not fit the tool's output schema: /n: bad]", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        json_t *j = parsed(rows[i].result);
        struct str got = STR_INIT;
        assert_int_equal(tool_result_text(j, rows[i].max, &got), rows[i].is_error);
        assert_string_equal(str_c(&got), rows[i].text);
        str_fini(&got);
        json_decref(j);
    }
}

static void
others(void **state)
{
    (void)state;
    struct str got = STR_INIT;
    json_t *j = parsed("{\"type\":\"text\",\"text\":\"one block\"}");
    content_text(j, 100, &got);
    json_decref(j);
    j = parsed(
        "[{\"uri\":\"a\",\"text\":\"x\"},{\"uri\":\"b\",\"mimeType\":\"m/t\",\"blob\":\"AAAA\"}]");
    str_addc(&got, '\n');
    resource_text(j, 100, &got);
    json_decref(j);
    j = json_array();
    for (int i = 0; i < 1003; i++)
        json_array_append_new(j, json_pack("{ss ss}", "type", "text", "text", "z"));
    str_addc(&got, '\n');
    content_text(j, 100000, &got);
    json_decref(j);
    assert_true(str_starts(str_c(&got), "one block\nx\n[resource: b, m/t, 3 bytes]\nz\nz\n"));
    assert_true(str_ends(str_c(&got), "z\n[3 more parts left out]"));
    str_fini(&got);
}

static void
hints(void **state)
{
    (void)state;
    static const struct {
        const char *tool;
        struct tool_hints want;
    } rows[] = {
        {"{}", {false, true, false, true}},
        {"{\"annotations\":7}", {false, true, false, true}},
        {"{\"annotations\":{\"readOnlyHint\":true}}", {true, true, false, true}},
        {"{\"annotations\":{\"readOnlyHint\":\"true\",\"idempotentHint\":true,\"destructiveHint\":"
         "false,"
         "\"openWorldHint\":false}}",
         {false, false, true, false}},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        json_t *j = parsed(rows[i].tool);
        struct tool_hints got = tool_hints(j);
        assert_int_equal(got.read_only, rows[i].want.read_only);
        assert_int_equal(got.destructive, rows[i].want.destructive);
        assert_int_equal(got.idempotent, rows[i].want.idempotent);
        assert_int_equal(got.open_world, rows[i].want.open_world);
        json_decref(j);
    }
}

TESTS(content_test, cmocka_unit_test(results), cmocka_unit_test(others), cmocka_unit_test(hints))
