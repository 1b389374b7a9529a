/* schema_limits_test.c - hostile schemas and values end soon, with ERR_LIMIT or the right answer.
 * Nothing here measures time: the work is counted in steps, and so is what these tests allow. */
#include "base/test.h"
#include "schema/schema.h"

static json_t *OWN
parse(const char *text)
{
    json_t *j = NULL;
    assert_ok(json_parse(text, strlen(text), &j));
    return j;
}

static struct schema *OWN
compiled(json_t *OWN doc)
{
    struct schema *s = NULL;
    assert_ok(schema_compile(doc, &s));
    json_decref(doc);
    return s;
}

/* n times: j = fmt with j inside. */
static json_t *OWN
nested(json_t *OWN j, unsigned n, const char *fmt)
{
    while (n--)
        j = json_pack(fmt, j);
    return j;
}

static void
deep_values(void **state)
{
    (void)state;
    AUTO(schema_freep)
    struct schema *s = compiled(parse("{\"$defs\":{\"v\":{\"items\":{\"anyOf\":[{\"$ref\":"
                                      "\"#/$defs/v\"}]}}},\"items\":{\"$ref\":\"#/$defs/v\"}}"));
    AUTO(json_freep) json_t *fits = nested(json_array(), 90, "[o]");
    AUTO(json_freep) json_t *deep = nested(json_array(), 1000, "[o]");
    assert_ok(schema_enforce(s, fits));
    assert_err(schema_enforce(s, deep), ERR_LIMIT,
               "cannot tell whether the value fits its schema: value and references are nested "
               "too deep");
}

/* Any value that json_parse takes can be judged by a usual recursive schema. */
static void
deepest_input(void **state)
{
    (void)state;
    AUTO(schema_freep)
    struct schema *s = compiled(parse("{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}}"));
    AUTO(json_freep) json_t *deep = nested(json_array(), JSON_DEPTH_MAX - 1, "[o]");
    assert_ok(schema_enforce(s, deep));
}

static void
exponential(void **state)
{
    (void)state;
    /* Each level asks the next one twice: 2^40 visits without a budget. */
    json_t *defs = json_object();
    for (int i = 0; i < 40; i++) {
        AUTO(freep) char *name = xasprintf("d%d", i), *next = xasprintf("#/$defs/d%d", i + 1);
        json_object_set_new(defs, name,
                            json_pack("{s:[{s:s},{s:s}]}", "allOf", "$ref", next, "$ref", next));
    }
    json_object_set_new(defs, "d40", json_pack("{s:s}", "type", "null"));
    AUTO(schema_freep)
    struct schema *s = compiled(json_pack("{s:o, s:s}", "$defs", defs, "$ref", "#/$defs/d0"));
    AUTO(json_freep) json_t *value = json_null();
    bool valid;
    assert_err(schema_holds(s, value, &valid), ERR_LIMIT,
               "cannot tell whether the value fits its schema: it takes too many steps");
    /* A failure is found on the first way down. */
    AUTO(json_freep) json_t *bad = json_integer(1);
    struct schema_report report = SCHEMA_REPORT_INIT;
    assert_ok(schema_check(s, bad, &report));
    assert_false(report.valid);
    assert_true(report.total > 0);
    schema_report_fini(&report);
}

static void
slow_patterns(void **state)
{
    (void)state;
    AUTO(schema_freep) struct schema *s = compiled(parse("{\"pattern\":\"^(a|aa)+$\"}"));
    char text[3001];
    memset(text, 'a', sizeof text - 2);
    text[sizeof text - 2] = '!';
    text[sizeof text - 1] = '\0';
    AUTO(json_freep) json_t *value = json_string(text);
    assert_err(schema_enforce(s, value), ERR_LIMIT,
               "cannot tell whether the value fits its schema: matching a pattern takes too many "
               "steps");
}

static void
large_and_good(void **state)
{
    (void)state;
    AUTO(schema_freep)
    struct schema *s = compiled(parse(
        "{\"uniqueItems\":true,\"items\":{\"type\":\"object\",\"required\":[\"id\"],\"properties\":"
        "{\"id\":{\"type\":\"integer\"},\"name\":{\"type\":\"string\",\"pattern\":\"^[a-z]+$\"}},"
        "\"unevaluatedProperties\":false}}"));
    AUTO(json_freep) json_t *value = json_array();
    for (int i = 0; i < 20000; i++)
        json_array_append_new(value, json_pack("{s:i, s:s}", "id", i, "name", "abc"));
    assert_ok(schema_enforce(s, value));
    json_array_append_new(value, json_pack("{s:i, s:s}", "name", 5, "id", "x"));
    assert_err(schema_enforce(s, value), ERR_INVALID,
               "/20000/name: expected a string, found 5; /20000/id: expected an integer, found "
               "\"x\"");
}

static void
large_schemas(void **state)
{
    (void)state;
    struct schema *s = NULL;
    AUTO(json_freep) json_t *deep = json_object();
    for (int i = 0; i < JSON_DEPTH_MAX; i++)
        deep = json_pack("{s:o}", "not", deep);
    assert_err(schema_compile(deep, &s), ERR_LIMIT, "the schema is nested deeper than 128");

    AUTO(json_freep) json_t *wide = json_pack("{s:[]}", "enum");
    for (int i = 0; i < SCHEMA_VALUES_MAX; i++)
        json_array_append_new(json_object_get(wide, "enum"), json_integer(i));
    assert_err(schema_compile(wide, &s), ERR_LIMIT, "the schema has more than 200000 values");

    AUTO(json_freep) json_t *many = json_pack("{s:[]}", "allOf");
    for (int i = 0; i < SCHEMA_NODES_MAX; i++)
        json_array_append_new(json_object_get(many, "allOf"), json_true());
    assert_err(schema_compile(many, &s), ERR_LIMIT, "the schema has more than 20000 subschemas");

    AUTO(freep) char *pattern = xcalloc(1, SCHEMA_PATTERN_MAX + 2);
    memset(pattern, 'a', SCHEMA_PATTERN_MAX + 1);
    AUTO(json_freep) json_t *regex = json_pack("{s:s}", "pattern", pattern);
    assert_err(schema_compile(regex, &s), ERR_INVALID,
               "schema at '#/pattern': the pattern is longer than 8192 bytes");

    AUTO(freep) char *uri = xcalloc(1, 5001);
    memset(uri, 'a', 5000);
    AUTO(json_freep) json_t *ref = json_pack("{s:s}", "$ref", uri);
    struct err *e = schema_compile(ref, &s);
    assert_int_equal(err_kind(e), ERR_LIMIT);
    err_free(e);
    AUTO(json_freep) json_t *id = json_pack("{s:s}", "$id", uri);
    assert_err(schema_compile(id, &s), ERR_LIMIT, "schema at '#': $id of more than 4096 bytes");
}

static void
reference_chains(void **state)
{
    (void)state;
    json_t *defs = json_object();
    for (int i = 0; i < 1000; i++) {
        AUTO(freep) char *name = xasprintf("d%d", i), *next = xasprintf("#/$defs/d%d", i + 1);
        json_object_set_new(defs, name, json_pack("{s:s}", "$ref", next));
    }
    json_object_set_new(defs, "d1000", json_true());
    AUTO(json_freep) json_t *doc = json_pack("{s:o, s:s}", "$defs", defs, "$ref", "#/$defs/d0");
    struct schema *s = NULL;
    struct err *e = schema_compile(doc, &s);
    assert_non_null(e);
    assert_int_equal(err_kind(e), ERR_LIMIT);
    err_free(e);
}

/* Hands out ever new documents, each of which refers to the next. */
static json_t *
find_next(void *ctx, const char *uri)
{
    json_t *held = ctx;
    AUTO(freep) char *next = xasprintf("u:%d", (int)strtol(uri + 2, NULL, 10) + 1);
    json_object_set_new(held, uri, json_pack("{s:s}", "$ref", next));
    return json_object_get(held, uri);
}

static void
endless_documents(void **state)
{
    (void)state;
    AUTO(json_freep) json_t *held = json_object(), *doc = json_pack("{s:s}", "$ref", "u:0");
    struct schema_options o = {.find = find_next, .ctx = held};
    struct schema *s = NULL;
    struct err *e = schema_compile_with(doc, &o, &s);
    assert_non_null(e);
    assert_int_equal(err_kind(e), ERR_LIMIT);
    AUTO(freep) char *text = err_text(e);
    assert_true(str_ends(text, "the schema draws in more than 64 documents"));
    err_free(e);
}

/* A $dynamicRef that comes back for the same value can only be seen while it runs. */
static void
dynamic_cycles(void **state)
{
    (void)state;
    AUTO(schema_freep)
    struct schema *s = compiled(parse("{\"$dynamicAnchor\":\"a\",\"$dynamicRef\":\"#a\"}"));
    AUTO(json_freep) json_t *value = json_null();
    assert_err(schema_enforce(s, value), ERR_LIMIT,
               "cannot tell whether the value fits its schema: value and references are nested "
               "too deep");
}

TESTS(schema_limits_test, cmocka_unit_test(deep_values), cmocka_unit_test(deepest_input),
      cmocka_unit_test(exponential), cmocka_unit_test(slow_patterns),
      cmocka_unit_test(large_and_good), cmocka_unit_test(large_schemas),
      cmocka_unit_test(reference_chains), cmocka_unit_test(endless_documents),
      cmocka_unit_test(dynamic_cycles))
