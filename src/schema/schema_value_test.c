/* schema_value_test.c - numbers, equality, hashes, descriptions. */
#include "base/test.h"
#include "schema/schema_value.h"

static json_t *OWN
parse(const char *text)
{
    json_t *j = NULL;
    assert_ok(json_parse(text, strlen(text), &j));
    return j;
}

static void
comparing(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        int want;
    } row[] = {
        {"1", "1.0", 0},
        {"1", "1.5", -1},
        {"-1", "-1.5", 1},
        {"9007199254740993", "9007199254740992.0", 1}, /* as doubles they would be equal */
        {"9223372036854775807", "9223372036854775808.0", -1},
        {"-9223372036854775808", "-9223372036854775808.0", 0},
        {"-9223372036854775808", "-1e300", 1},
        {"9223372036854775807", "1e300", -1},
        {"0.1", "0.2", -1},
        {"-0.0", "0", 0},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(json_freep) json_t *a = parse(row[i].a), *b = parse(row[i].b);
        assert_int_equal(number_compare(a, b), row[i].want);
        assert_int_equal(number_compare(b, a), -row[i].want);
        int64_t left = 100;
        assert_int_equal(value_equal(a, b, &left), row[i].want == 0);
        if (row[i].want == 0)
            assert_int_equal(value_hash(a, &left), value_hash(b, &left));
    }
}

static void
multiples(void **state)
{
    (void)state;
    static const struct {
        const char *value, *of;
        bool want;
    } row[] = {
        {"6", "3", true},
        {"7", "3", false},
        {"-6", "3", true},
        {"0", "7", true},
        {"0.0", "0.3", true},
        {"0.3", "0.1", true},
        {"0.0075", "0.0001", true},
        {"0.00751", "0.0001", false},
        {"4.5", "1.5", true},
        {"19.99", "0.01", true},
        {"1e308", "0.5", true},
        {"1e308", "0.123456789", false},
        {"12391239123", "1e-8", true},
        {"9223372036854775807", "9223372036854775807", true},
        {"-9223372036854775808", "2", true},
        {"9223372036854775807", "2", false},
        {"3", "1e300", false},
        {"1e300", "3", false},
        {"5e-324", "5e-324", true},
        {"1", "3e-300", false},
        {"2.5", "5", false},
        {"100", "1e1", true},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(json_freep) json_t *value = parse(row[i].value), *of = parse(row[i].of);
        if (number_is_multiple(value, of) != row[i].want)
            fail_msg("%s of %s", row[i].value, row[i].of);
    }
}

static void
equality(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool want;
    } row[] = {
        {"{\"a\":1,\"b\":[2]}", "{\"b\":[2.0],\"a\":1.0}", true},
        {"{\"a\":1}", "{\"a\":1,\"b\":1}", false},
        {"{\"a\":1}", "{\"b\":1}", false},
        {"[1,2]", "[2,1]", false},
        {"[1]", "[1,1]", false},
        {"\"1\"", "1", false},
        {"true", "1", false},
        {"false", "0", false},
        {"null", "false", false},
        {"\"a\"", "\"a\"", true},
        {"\"a\"", "\"b\"", false},
        {"[[]]", "[{}]", false},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(json_freep) json_t *a = parse(row[i].a), *b = parse(row[i].b);
        int64_t left = 100;
        assert_int_equal(value_equal(a, b, &left), row[i].want);
        assert_int_equal(value_hash(a, &left) == value_hash(b, &left), row[i].want);
        assert_true(left > 0);
    }
}

static void
budgets(void **state)
{
    (void)state;
    AUTO(json_freep) json_t *a = parse("[1,2,3,4,5]"), *b = parse("[1,2,3,4,5]");
    int64_t left = 3;
    value_equal(a, b, &left);
    assert_true(left < 0);
    /* Values made inside the process can be deeper than any text. */
    AUTO(json_freep) json_t *deep = json_array();
    for (int i = 0; i < 300; i++)
        deep = json_pack("[o]", deep);
    left = 100000;
    value_hash(deep, &left);
    assert_true(left < 0);
}

static void
repeats(void **state)
{
    (void)state;
    size_t first = 0, second = 0;
    int64_t left = 1000000;
    AUTO(json_freep) json_t *many = json_array();
    for (int i = 0; i < 20000; i++)
        json_array_append_new(many, json_integer(INT64_MAX - i)); /* one double for hundreds */
    assert_false(items_repeat(many, &first, &second, &left));
    assert_true(left > 900000); /* linear */
    json_array_append_new(many, json_integer(INT64_MAX - 7));
    assert_true(items_repeat(many, &first, &second, &left));
    assert_int_equal(first, 7);
    assert_int_equal(second, 20000);
}

static void
descriptions(void **state)
{
    (void)state;
    static const struct {
        const char *value, *want;
    } row[] = {
        {"null", "null"},
        {"true", "true"},
        {"0.1", "0.1"},
        {"1e300", "1e+300"},
        {"-5", "-5"},
        {"\"a\\\"b\"", "\"a\\\"b\""},
        {"[]", "an empty array"},
        {"[1]", "an array of 1 item"},
        {"[1,2]", "an array of 2 items"},
        {"{}", "an empty object"},
        {"{\"a\":1}", "an object with 1 property"},
        {"{\"a\":1,\"b\":1}", "an object with 2 properties"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(json_freep) json_t *value = parse(row[i].value);
        AUTO(str_fini) struct str s = STR_INIT;
        value_describe(&s, value);
        assert_string_equal(str_c(&s), row[i].want);
    }
    AUTO(str_fini) struct str s = STR_INIT;
    types_describe(&s, TYPE_ALL);
    assert_string_equal(str_c(&s),
                        "true or false, a number, a string, an array, an object or null");
    assert_int_equal(text_length("a\xc3\xa9\xf0\x9f\x92\xa9", 7), 3);
    assert_string_equal(types_near("Strnig"), "string");
}

TESTS(schema_value_test, cmocka_unit_test(comparing), cmocka_unit_test(multiples),
      cmocka_unit_test(equality), cmocka_unit_test(budgets), cmocka_unit_test(repeats),
      cmocka_unit_test(descriptions))
