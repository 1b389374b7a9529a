/* schema_test.c - compiling and checking, by tables. The official suite (make schema-suite) judges
 * the rules; here are the messages, the limits, the older dialects and what is refused. Quotes in
 * the tables are written '. */
#include "base/test.h"
#include "schema/schema.h"

static json_t *OWN
parse(const char *text)
{
    AUTO(freep) char *copy = xstrdup(text);
    for (char *p = copy; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    json_t *j = NULL;
    assert_ok(json_parse(copy, strlen(copy), &j));
    return j;
}

static struct schema *OWN
compiled(const char *text, const struct schema_options *options)
{
    AUTO(json_freep) json_t *doc = parse(text);
    struct schema *s = NULL;
    assert_ok(schema_compile_with(doc, options, &s));
    return s;
}

/* ---- what a failure says ---------------------------------------------------------------------*/

static const struct {
    const char *schema, *value, *want;
} told[] = {
    {"{'type':'string'}", "'x'", ""},
    {"{'type':'string'}", "3", "the value: expected a string, found 3\n"},
    {"{'type':['integer','number']}", "'x'", "the value: expected a number, found \"x\"\n"},
    {"{'type':['null','array','object']}", "true",
     "the value: expected an array, an object or null, found true\n"},
    {"{'properties':{'facts':{'items':{'properties':{'source':{'type':'string'}}}}}}",
     "{'facts':[{'source':3}]}", "/facts/0/source: expected a string, found 3\n"},
    {"{'properties':{'a/b~':{'type':'null'}}}", "{'a/b~':[1]}",
     "/a~1b~0: expected null, found an array of 1 item\n"},
    {"{'const':{'a':1}}", "{'a':2}",
     "the value: expected an object with 1 property, found an object with 1 property\n"},
    {"{'const':1.0}", "1", ""},
    {"{'enum':['red','green']}", "'gren'",
     "the value: expected one of \"red\", \"green\", found \"gren\" (did you mean \"green\"?)\n"},
    {"{'enum':[1]}", "true", "the value: expected 1, found true\n"},
    {"{'enum':[1,2,3,4,5,6,7,8,9,10,11,12]}", "0",
     "the value: expected one of 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more, found 0\n"},
    {"{'minimum':3,'maximum':2}", "2.5",
     "the value: expected at least 3, found 2.5\nthe value: expected at most 2, found 2.5\n"},
    {"{'exclusiveMinimum':3}", "3", "the value: expected more than 3, found 3\n"},
    {"{'exclusiveMaximum':3}", "3", "the value: expected less than 3, found 3\n"},
    {"{'multipleOf':0.01}", "0.075", "the value: expected a multiple of 0.01, found 0.075\n"},
    {"{'minLength':2}", "'\xc3\xa9'", "the value: expected at least 2 characters, found 1\n"},
    {"{'maxLength':1}", "'\xf0\x9f\x92\xa9'", ""},
    {"{'maxLength':1}", "'ab'", "the value: expected at most 1 character, found 2\n"},
    {"{'pattern':'^[a-z]+$'}", "'A'",
     "the value: expected a match of the pattern ^[a-z]+$, found \"A\"\n"},
    {"{'minItems':1}", "[]", "the value: expected at least 1 item, found 0\n"},
    {"{'maxItems':1}", "[1,2]", "the value: expected at most 1 item, found 2\n"},
    {"{'uniqueItems':true}", "[1,'1',1.0]",
     "the value: expected items that differ, but 0 and 2 are equal\n"},
    {"{'uniqueItems':true}", "[{'a':1,'b':2},{'b':2,'a':1.0}]",
     "the value: expected items that differ, but 0 and 1 are equal\n"},
    {"{'minProperties':2}", "{'a':1}", "the value: expected at least 2 properties, found 1\n"},
    {"{'maxProperties':0}", "{'a':1}", "the value: expected at most 0 properties, found 1\n"},
    {"{'properties':{'name':true},'required':['name','age']}", "{'nmae':1}",
     "the value: the property 'name' is missing (is 'nmae' meant to be it?)\n"
     "the value: the property 'age' is missing\n"},
    {"{'dependentRequired':{'card':['name']}}", "{'card':1}",
     "the value: the property 'name' is missing, which 'card' needs\n"},
    {"{'properties':{'color':true},'additionalProperties':false}", "{'colour':1}",
     "the value: unexpected property 'colour' (did you mean 'color'?)\n"},
    {"{'properties':{'a':true,'b':true},'additionalProperties':false}", "{'zzzzz':1}",
     "the value: unexpected property 'zzzzz'; known are 'a', 'b'\n"},
    {"{'additionalProperties':{'type':'null'}}", "{'x':1}", "/x: expected null, found 1\n"},
    {"{'propertyNames':{'maxLength':2}}", "{'abc':1}",
     "the value: property name 'abc': expected at most 2 characters, found 3\n"},
    {"{'prefixItems':[true],'items':false}", "[1,2]",
     "the value: expected at most 1 item, found 2\n"},
    {"{'contains':{'type':'string'}}", "[1]",
     "the value: expected at least 1 item that matches {\"type\":\"string\"}, found 0\n"},
    {"{'contains':{'type':'string'},'minContains':0,'maxContains':1}", "['a','b']",
     "the value: expected at most 1 item that matches {\"type\":\"string\"}, found 2\n"},
    {"{'not':{'type':'string'}}", "'a'",
     "the value: must not match {\"type\":\"string\"}, found \"a\"\n"},
    {"{'properties':{'a':false}}", "{'a':1}", "/a: nothing may stand here, found 1\n"},
    {"{'if':{'type':'string'},'then':{'minLength':3},'else':{'minimum':3}}", "1",
     "the value: expected at least 3, found 1\n"},
    {"{'dependentSchemas':{'a':{'required':['b']}}}", "{'a':1}",
     "the value: the property 'b' is missing\n"},
    {"{'allOf':[{'minimum':1},{'multipleOf':2}]}", "-1",
     "the value: expected at least 1, found -1\nthe value: expected a multiple of 2, found -1\n"},
    /* alternatives that differ by type are told as one */
    {"{'anyOf':[{'type':'string'},{'type':'null'}]}", "3",
     "the value: expected a string or null, found 3\n"},
    {"{'oneOf':[{'type':'string'},{'type':'null'}]}", "3",
     "the value: expected a string or null, found 3\n"},
    {"{'oneOf':[{'minimum':1},{'minimum':2}]}", "3",
     "the value: matches the alternatives 1 and 2, but must match exactly one\n"},
    /* else the nearest one is: here by its constant */
    {"{'oneOf':[{'properties':{'kind':{'const':'a'},'n':{'type':'integer'}}},"
     "{'properties':{'kind':{'const':'b'},'s':{'type':'string'}}}]}",
     "{'kind':'b','s':1,'n':1}",
     "the value: matches none of the 2 alternatives; number 2 is nearest and fails as follows\n"
     "/s: expected a string, found 1\n"},
    {"{'anyOf':[{'required':['a']}]}", "{}", "the value: the property 'a' is missing\n"},
    {"{'allOf':[{'properties':{'a':true}}],'unevaluatedProperties':false}", "{'a':1,'b':2}",
     "the value: unexpected property 'b'\n"},
    {"{'prefixItems':[true],'unevaluatedItems':false}", "[1,2]", "the value: unexpected item 1\n"},
    /* what failed in a branch is not reported as unevaluated, too */
    {"{'allOf':[{'properties':{'a':{'type':'null'}}}],'unevaluatedProperties':false}", "{'a':1}",
     "/a: expected null, found 1\n"},
    {"{'type':'object'}",
     "'01234567890123456789012345678901234567890123456789012345678901234567890'",
     "the value: expected an object, found "
     "\"012345678901234567890123456789012345678901234567890123456789\"... (71 bytes)\n"},
};

static void
messages(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(told); i++) {
        AUTO(schema_freep)
        struct schema *s = compiled(told[i].schema, &(struct schema_options){0});
        AUTO(json_freep) json_t *value = parse(told[i].value);
        struct schema_report report = SCHEMA_REPORT_INIT;
        bool valid;
        assert_ok(schema_check(s, value, &report));
        assert_ok(schema_holds(s, value, &valid));
        AUTO(freep) char *text = schema_explain(&report);
        assert_string_equal(text, told[i].want);
        assert_int_equal(report.valid, !*told[i].want);
        assert_int_equal(valid, report.valid);
        schema_report_fini(&report);
    }
}

static void
failures_are_counted(void **state)
{
    (void)state;
    AUTO(schema_freep)
    struct schema *s = compiled("{'items':{'type':'null'}}", &(struct schema_options){0});
    AUTO(json_freep) json_t *value = json_array();
    for (int i = 0; i < 100; i++)
        json_array_append_new(value, json_integer(i));
    struct schema_report report = SCHEMA_REPORT_INIT;
    assert_ok(schema_check(s, value, &report));
    assert_int_equal(report.len, SCHEMA_FAILURES_MAX);
    assert_int_equal(report.total, 100);
    assert_string_equal(report.list[19].at, "/19");
    assert_string_equal(report.list[19].keyword, "type");
    AUTO(freep) char *text = schema_explain(&report);
    assert_true(str_ends(text, "\nand 80 more\n"));
    schema_report_fini(&report);
}

static void
enforced(void **state)
{
    (void)state;
    AUTO(schema_freep)
    struct schema *s = compiled("{'properties':{'a':{'type':'null'},'b':{'type':'null'}}}",
                                &(struct schema_options){0});
    AUTO(json_freep) json_t *bad = parse("{'a':1,'b':[]}"), *good = parse("{'a':null}");
    assert_ok(schema_enforce(s, good));
    assert_err(schema_enforce(s, bad), ERR_INVALID,
               "/a: expected null, found 1; /b: expected null, found an empty array");
}

/* ---- what is no schema -----------------------------------------------------------------------*/

static const struct {
    const char *schema;
    enum err_kind kind;
    const char *want;
} refused[] = {
    {"3", ERR_INVALID, "schema at '#': expected a schema (an object, true or false), found 3"},
    {"{'properties':{'x':{'type':'strng'}}}", ERR_INVALID,
     "schema at '#/properties/x/type': unknown type 'strng' (did you mean 'string'?)"},
    {"{'type':[]}", ERR_INVALID, "schema at '#/type': expected at least one type"},
    {"{'type':3}", ERR_INVALID,
     "schema at '#/type': expected the name of a type or an array of names"},
    {"{'required':'a'}", ERR_INVALID,
     "schema at '#/required': expected an array of property names"},
    {"{'required':['a',1]}", ERR_INVALID,
     "schema at '#/required': expected property names, element 1 is not a string"},
    {"{'dependentRequired':[]}", ERR_INVALID,
     "schema at '#/dependentRequired': expected an object"},
    {"{'minLength':-1}", ERR_INVALID, "schema at '#/minLength': expected an integer of at least 0"},
    {"{'maxItems':1.5}", ERR_INVALID, "schema at '#/maxItems': expected an integer of at least 0"},
    {"{'multipleOf':0}", ERR_INVALID, "schema at '#/multipleOf': expected more than 0"},
    {"{'minimum':'1'}", ERR_INVALID, "schema at '#/minimum': expected a number"},
    {"{'uniqueItems':1}", ERR_INVALID, "schema at '#/uniqueItems': expected true or false"},
    {"{'enum':{}}", ERR_INVALID, "schema at '#/enum': expected an array of values"},
    {"{'format':1}", ERR_INVALID, "schema at '#/format': expected the name of a format"},
    {"{'pattern':1}", ERR_INVALID, "schema at '#/pattern': expected a regular expression"},
    {"{'pattern':'a('}", ERR_INVALID,
     "schema at '#/pattern': bad pattern 'a(': near offset 2: missing closing parenthesis"},
    {"{'patternProperties':{'\\\\q':true}}", ERR_INVALID,
     "schema at '#/patternProperties': bad pattern '\\q': at offset 2: unknown escape '\\q'"},
    {"{'allOf':[]}", ERR_INVALID,
     "schema at '#/allOf': the array is empty; give at least one schema"},
    {"{'anyOf':{}}", ERR_INVALID, "schema at '#/anyOf': expected an array of schemas"},
    {"{'allOf':[{},{'not':1}]}", ERR_INVALID,
     "schema at '#/allOf/1/not': expected a schema (an object, true or false), found 1"},
    {"{'properties':[]}", ERR_INVALID, "schema at '#/properties': expected an object of schemas"},
    {"{'$schema':'https://json-schema.org/draft/2020-12/schema','items':[{}]}", ERR_INVALID,
     "schema at '#/items': expected one schema; 2020-12 has prefixItems for an array of them"},
    {"{'$ref':1}", ERR_INVALID, "schema at '#/$ref': expected a reference such as '#/$defs/name'"},
    {"{'$defs':{'fact':{}},'$ref':'#/$defs/fcat'}", ERR_MISSING,
     "schema at '#/$ref': '#/$defs/fcat': it leads nowhere: there is no 'fcat' (did you mean "
     "'fact'?)"},
    {"{'$ref':'#/allOf/01x','allOf':[{}]}", ERR_MISSING,
     "schema at '#/$ref': '#/allOf/01x': it leads nowhere: there is no '01x'"},
    {"{'$ref':'#thing'}", ERR_MISSING,
     "schema at '#/$ref': '#thing': it leads nowhere: no schema here has the $anchor 'thing'"},
    {"{'$ref':'#/%zz'}", ERR_INVALID, "schema at '#/$ref': '#/%zz': bad percent escape in '#/%zz'"},
    {"{'items':{'$ref':'http://example.com/a.json#/x'}}", ERR_MISSING,
     "schema at '#/items/$ref': 'http://example.com/a.json#/x': it leads to "
     "'http://example.com/a.json', which is not in this document, and references are never "
     "fetched; put that schema under $defs, with its $id"},
    {"{'$anchor':'1x'}", ERR_INVALID, "schema at '#': '1x' is no name for an anchor"},
    {"{'$anchor':'x','items':{'$anchor':'x'}}", ERR_INVALID,
     "schema at '#/items': the anchor 'x' is given twice"},
    {"{'$id':'http://a/b#c'}", ERR_INVALID,
     "schema at '#': $id 'http://a/b#c' has a fragment; use $anchor for that"},
    {"{'$defs':{'a':{'$id':'u:1'},'b':{'$id':'u:1','type':'null'}}}", ERR_INVALID,
     "schema at '#/$defs/b': 'u:1' is the $id of two different schemas"},
    {"{'$schema':'http://json-schema.org/draft-03/schema#'}", ERR_INVALID,
     "schema at '#': '$schema' 'http://json-schema.org/draft-03/schema#' is not supported; use "
     "2020-12"},
    /* references that never go down into the value */
    {"{'$ref':'#'}", ERR_INVALID, "schema at '#': it refers to itself for the same value: no end"},
    {"{'$defs':{'a':{'anyOf':[{'$ref':'#/$defs/b'}]},'b':{'not':{'$ref':'#/$defs/a'}}}}",
     ERR_INVALID, "schema at '#/$defs/a': it refers to itself for the same value: no end"},
};

static void
refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        AUTO(json_freep) json_t *doc = parse(refused[i].schema);
        struct schema *s = NULL;
        assert_err(schema_compile(doc, &s), refused[i].kind, refused[i].want);
        assert_null(s);
    }
}

/* ---- dialects, documents, formats ------------------------------------------------------------*/

#define S7  "'$schema':'http://json-schema.org/draft-07/schema#'"
#define S4  "'$schema':'http://json-schema.org/draft-04/schema'"
#define S19 "'$schema':'https://json-schema.org/draft/2019-09/schema'"
#define S20 "'$schema':'https://json-schema.org/draft/2020-12/schema'"

static const struct {
    const char *schema, *value;
    bool want;
} answers[] = {
    /* no $schema: both forms */
    {"{'items':[{'type':'string'}],'additionalItems':false}", "['a']", true},
    {"{'items':[{'type':'string'}],'additionalItems':false}", "['a',1]", false},
    {"{'minimum':3,'exclusiveMinimum':true}", "3", false},
    {"{'minimum':3,'exclusiveMinimum':false}", "3", true},
    {"{'definitions':{'x':{'$id':'#x','type':'null'}},'$ref':'#x'}", "1", false},
    {"{'dependencies':{'a':['b'],'c':{'required':['d']}}}", "{'a':1}", false},
    {"{'dependencies':{'a':['b'],'c':{'required':['d']}}}", "{'c':1}", false},
    {"{'dependencies':{'a':['b'],'c':{'required':['d']}}}", "{'a':1,'b':1,'c':1,'d':1}", true},
    /* draft-07: a $ref is alone, 2019-09's words mean nothing */
    {"{" S7 ",'definitions':{'s':{'type':'string'}},'$ref':'#/definitions/s','minLength':9}", "'a'",
     true},
    {"{" S7 ",'dependentRequired':{'a':['b']}}", "{'a':1}", true},
    {"{" S7 ",'prefixItems':[false]}", "[1]", true},
    {"{" S7 ",'items':[{'type':'string'}],'additionalItems':{'type':'null'}}", "['a',null,1]",
     false},
    {"{" S4 ",'maximum':3,'exclusiveMaximum':true}", "3", false},
    {"{" S4 ",'id':'http://a/b','definitions':{'x':{'id':'c','type':'null'}},'not':{'$ref':'c'}}",
     "1", true},
    {"{" S19 ",'items':[{'type':'string'}],'unevaluatedItems':false}", "['a',1]", false},
    {"{" S19 ",'$ref':'#/$defs/s','minLength':2,'$defs':{'s':{'type':'string'}}}", "'a'", false},
    {"{" S20 ",'items':{'type':'string'},'additionalItems':false}", "['a']", true},
    /* an unknown $schema is read as 2020-12 */
    {"{'$schema':'http://example.com/mine','prefixItems':[{'type':'string'}]}", "[1]", false},
    /* the meta-schemas are at hand */
    {"{'$ref':'https://json-schema.org/draft/2020-12/schema'}", "{'minLength':-1}", false},
    {"{'$ref':'https://json-schema.org/draft/2020-12/schema'}",
     "{'properties':{'a':{'type':'string'}},'$defs':{}}", true},
    {"{'$ref':'https://json-schema.org/draft/2020-12/schema'}", "{'properties':{'a':{'type':1}}}",
     false},
    {"{'$ref':'https://json-schema.org/draft/2020-12/meta/validation'}", "{'minItems':'1'}", false},
    {"{'$ref':'https://json-schema.org/draft/2019-09/schema'}", "{'items':[{'type':1}]}", false},
    {"{'$ref':'https://json-schema.org/draft-07/schema'}", "{'items':[{'type':'null'}]}", true},
    {"{'$ref':'http://json-schema.org/draft-07/schema#'}", "{'items':[{'type':'nil'}]}", false},
    /* bundled documents, and the same $id inlined twice */
    {"{'$id':'http://a/root','$ref':'item','$defs':{'i':{'$id':'item','type':'null'}}}", "1",
     false},
    {"{'properties':{'a':{'$id':'T','type':'null'},'b':{'$id':'T','type':'null'}}}", "{'b':1}",
     false},
    /* recursion through the value */
    {"{'type':'object','properties':{'next':{'$ref':'#'}}}", "{'next':{'next':{'next':1}}}", false},
    {"{'properties':{'next':{'$ref':'#'}}}", "{'next':{'next':{'next':1}}}", true},
    /* a reference to a place under an unknown keyword */
    {"{'mine':{'x':{'type':'null'}},'$ref':'#/mine/x'}", "1", false},
    {"{'$ref':'#/$defs/no','$defs':{'no':false}}", "1", false},
    /* an extendible tree: $dynamicRef goes to the outermost */
    {"{'$id':'http://a/strict','$ref':'tree','$dynamicAnchor':'node','unevaluatedProperties':false,"
     "'$defs':{'t':{'$id':'tree','$dynamicAnchor':'node','properties':{'data':true,'children':"
     "{'items':{'$dynamicRef':'#node'}}}}}}",
     "{'children':[{'daat':1}]}", false},
    {"{'$id':'http://a/tree','$dynamicAnchor':'node','properties':{'data':true,'children':"
     "{'items':{'$dynamicRef':'#node'}}}}",
     "{'children':[{'daat':1}]}", true},
    /* format is a remark */
    {"{'format':'date'}", "'never'", true},
    {"true", "1", true},
    {"false", "1", false},
    {"{'unknown':1,'$comment':2}", "1", true},
};

static void
dialects(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(answers); i++) {
        AUTO(schema_freep)
        struct schema *s = compiled(answers[i].schema, &(struct schema_options){0});
        AUTO(json_freep) json_t *value = parse(answers[i].value);
        bool valid;
        assert_ok(schema_holds(s, value, &valid));
        if (valid != answers[i].want)
            fail_msg("%s: %s", answers[i].schema, answers[i].value);
    }
}

static json_t *
find_in(void *ctx, const char *uri)
{
    return json_object_get(ctx, uri);
}

static void
documents_at_hand(void **state)
{
    (void)state;
    AUTO(json_freep)
    json_t *held = parse("{'http://a/x.json':{'$defs':{'n':{'$ref':'y.json'}}},"
                         "'http://a/y.json':{'type':'null'},'http://a/bad.json':{'type':'nul'},"
                         "'http://a/meta':{'$vocabulary':{"
                         "'https://json-schema.org/draft/2020-12/vocab/core':true,"
                         "'https://json-schema.org/draft/2020-12/vocab/format-assertion':true}},"
                         "'http://a/odd':{'$vocabulary':{'http://a/vocab':true}}}");
    struct schema_options o = {.uri = "http://a/main.json", .find = find_in, .ctx = held};
    AUTO(schema_freep) struct schema *s = compiled("{'items':{'$ref':'x.json#/$defs/n'}}", &o);
    AUTO(json_freep) json_t *value = parse("[null,1]");
    assert_err(schema_enforce(s, value), ERR_INVALID, "/1: expected null, found 1");

    AUTO(json_freep)
    json_t *bad = parse("{'$ref':'bad.json'}"), *none = parse("{'$ref':'z'}"),
           *odd = parse("{'$schema':'http://a/odd'}");
    struct schema *t = NULL;
    assert_err(schema_compile_with(bad, &o, &t), ERR_INVALID,
               "schema at 'http://a/main.json#/$ref': 'bad.json': schema at "
               "'http://a/bad.json#/type': unknown type 'nul' (did you mean 'null'?)");
    assert_err(schema_compile_with(none, &o, &t), ERR_MISSING,
               "schema at 'http://a/main.json#/$ref': 'z': it leads to 'http://a/z', which is not "
               "in this document, and references are never fetched; put that schema under $defs, "
               "with its $id");
    assert_err(schema_compile_with(odd, &o, &t), ERR_INVALID,
               "schema at 'http://a/main.json#': '$schema' 'http://a/odd' needs the vocabulary "
               "'http://a/vocab', which is not known");

    /* This dialect has no `type`, and its formats are asserted. */
    AUTO(schema_freep)
    struct schema *own = compiled("{'$schema':'http://a/meta','type':'null','format':'date'}", &o);
    AUTO(json_freep) json_t *number = json_integer(1), *text = json_string("1");
    assert_ok(schema_enforce(own, number));
    assert_err(schema_enforce(own, text), ERR_INVALID,
               "the value: expected the format date, such as 2026-01-31, found \"1\"");
}

static void
dialect_assumed(void **state)
{
    (void)state;
    struct schema_options o = {.dialect = "http://json-schema.org/draft-07/schema#"};
    AUTO(schema_freep)
    struct schema *s = compiled("{'$ref':'#/definitions/s','minLength':9,"
                                "'definitions':{'s':{'type':'string'}}}",
                                &o);
    AUTO(json_freep) json_t *value = json_string("a");
    assert_ok(schema_enforce(s, value));
}

static void
defaults(void **state)
{
    (void)state;
    AUTO(json_freep)
    json_t *schema =
        parse("{'properties':{'a':{'default':[1]},'b':{'default':2},'c':{},'d':true}}");
    AUTO(json_freep) json_t *value = parse("{'b':null}"), *list = json_array();
    assert_int_equal(schema_defaults(schema, value), 1);
    AUTO(freep) char *text = json_text(value);
    assert_string_equal(text, "{\"b\":null,\"a\":[1]}");
    json_array_append_new(json_object_get(value, "a"), json_null());
    assert_int_equal(json_array_size(json_at(schema, "properties", "a", "default", NULL)), 1);
    assert_int_equal(schema_defaults(schema, list), 0);
    assert_int_equal(schema_defaults(list, value), 0);
}

TESTS(schema_test, cmocka_unit_test(messages), cmocka_unit_test(failures_are_counted),
      cmocka_unit_test(enforced), cmocka_unit_test(refusals), cmocka_unit_test(dialects),
      cmocka_unit_test(documents_at_hand), cmocka_unit_test(dialect_assumed),
      cmocka_unit_test(defaults))
