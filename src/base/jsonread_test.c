/* jsonread_test.c - the quick reader takes nothing that jansson refuses, and takes it alike. */
#include "base/jsonread.h"
#include "base/test.h"

static void
same_as_jansson(const char *text, size_t n, bool must_take)
{
    json_error_t why;
    json_t *quick = json_read_plain(text, n, JSON_DEPTH_MAX);
    json_t *slow = json_loadb(text, n, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &why);
    if (must_take && !quick)
        fail_msg("not taken: %.*s", (int)n, text);
    const bool too_long = !slow && json_error_code(&why) == json_error_numeric_overflow;
    if (quick && !slow && !too_long)
        fail_msg("taken, but %s: %.*s", why.text, (int)n, text);
    if (quick && slow) {
        char *a = json_text(quick), *b = json_text(slow);
        assert_string_equal(a, b); /* the order of keys, too */
        assert_true(json_equal(quick, slow));
        free(a);
        free(b);
    }
    json_decref(quick);
    json_decref(slow);
}

static const char *const taken[] = {
    "{}",
    "[]",
    " [ ] ",
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-7",
    "999999999999999999",
    "-999999999999999999",
    "1.5",
    "-0.0",
    "1e3",
    "1E+3",
    "2.5e-10",
    "1e-400",
    "\"\"",
    "\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"",
    "\"\\u0041\\u00e9\\u4f60\\ud83d\\uDE00\"",
    "\"\xc3\xa9\xf0\x9f\x98\x80\"",
    "\"\x7f\"",
    "{\"a\":1,\"b\":[1,2,{\"c\":null}],\"\":\"x\"}",
    "{\"a key of more than sixty-three bytes, which a reader with a small room would leave\":1}",
    "{\"\\u0041\\t\":{\"\\\"b\":\"\\\\\"},\"\\n\":\"\\t\"}",
    "1.00000000000000000000000000000000000000000000000000000000000000000000000000001e1",
    "\t{ \"a\" : [ 1 , 2 ] ,\r\n\"b\\n\" : { } }\n",
};
static const char *const left[] = {
    "",
    " ",
    "{",
    "[1,]",
    "[1 2]",
    "{\"a\":1,}",
    "{\"a\":1,\"a\":2}",
    "{\"a\" 1}",
    "{a:1}",
    "{1:1}",
    "01",
    "-",
    "+1",
    "1.",
    ".5",
    "1e",
    "1e+",
    "1e999",
    "nul",
    "nulll",
    "tru",
    "\"a",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\u0000\"",
    "\"\\ud83d\"",
    "\"\\ud83d\\u0041\"",
    "\"\\ude00\"",
    "\"\x01\"",
    "\"\n\"",
    "\"\xff\"",
    "\"\xed\xa0\x80\"",
    "\"\xc0\xaf\"",
    "[] []",
    "'a'",
    "1x",
};

static void
tables(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(taken); i++)
        same_as_jansson(taken[i], strlen(taken[i]), true);
    for (size_t i = 0; i < COUNT(left); i++)
        assert_null(json_read_plain(left[i], strlen(left[i]), JSON_DEPTH_MAX));
    same_as_jansson("\"a\0b\"", 5, false);
    for (size_t i = 0; i < COUNT(taken); i++) { /* no byte behind the end is looked at */
        for (size_t n = 0; n < strlen(taken[i]); n++) {
            char *cut = xmalloc(n);
            memcpy(cut, taken[i], n);
            same_as_jansson(cut, n, false);
            free(cut);
        }
    }
}

/* What fits 64 bits is exact; beyond, only that number becomes a real. */
static void
long_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text, *back;
    } row[] = {
        {"[999999999999999999,1000000000000000000]", "[999999999999999999,1000000000000000000]"},
        {"[9223372036854775807,-9223372036854775808]",
         "[9223372036854775807,-9223372036854775808]"},
        {"[9223372036854775808,7]", "[9.223372036854776e+18,7]"},
        {"[-9223372036854775809,7]", "[-9.223372036854776e+18,7]"},
        {"[12500000000000000000000000000000000000000000000000000000000000000000,7]",
         "[1.25e+67,7]"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(json_freep) json_t *j = json_read_plain(row[i].text, strlen(row[i].text), 1);
        AUTO(freep) char *back = json_text(j);
        assert_string_equal(back, row[i].back);
    }
}

static void
depth(void **state)
{
    (void)state;
    for (size_t d = JSON_DEPTH_MAX - 1; d <= JSON_DEPTH_MAX + 1; d++) {
        struct str s = STR_INIT;
        for (size_t i = 0; i < 2 * d; i++)
            str_addc(&s, i < d ? '[' : ']');
        json_t *j = json_read_plain(str_c(&s), s.len, JSON_DEPTH_MAX);
        assert_int_equal(j != NULL, d <= JSON_DEPTH_MAX);
        json_decref(j);
        str_fini(&s);
    }
}

/* The same members as from the whole text, whichever reader took it. */
static void
picking(void **state)
{
    (void)state;
    static const struct {
        const char *text, *a, *b, *error; /* a, b: what is found, or NULL */
    } row[] = {
        {"{}", NULL, NULL, NULL},
        {" { } ", NULL, NULL, NULL},
        {"{\"a\":1,\"x\":{\"a\":[1,{\"b\":\"\\u00e9\\n\"}],\"y\":-1.5e3},\"b\":[true,null]}", "1",
         "[true,null]", NULL},
        {"{\"x\":[{\"y\":[]}],\"b\":{\"c\":\"d\"}}", NULL, "{\"c\":\"d\"}", NULL},
        {"{\"a\":null}", "null", NULL, NULL},
        {"{\"x\":12345678901234567890,\"a\":2}", "2", NULL, NULL},
        {"{\"\\u0061\":1,\"b\":92233720368547758072}", "1", "9.223372036854776e+19", NULL},
        {"{\"a\\u0061\":1,\"b\":2}", NULL, "2", NULL},
        {"{\"a\":12345678901234567890}", "1.2345678901234567e+19", NULL, NULL},
        {"{\"a\":1,\"a\":2}", NULL, NULL, "not JSON: duplicate object key near"},
        {"{\"a\":1,\"x\":nul,\"b\":2}", "1", "2", NULL}, /* nobody looked at x */
        {"{\"x\":\"},\\\"]\\\\\",\"y\":[\"]\",{}],\"b\":2}", NULL, "2", NULL},
        {"{\"a\":nul}", NULL, NULL, "not JSON"},
        {"{\"a\":1,\"x\":[1,2", NULL, NULL, "not JSON"},
        {"{\"a\":1,\"x\":\"y", NULL, NULL, "not JSON"},
        {"{\"a\":1,\"x\":\"y\\", NULL, NULL, "not JSON"},
        {"{\"a\":1}x", NULL, NULL, "not JSON"},
        {"{\"a\":1", NULL, NULL, "not JSON"},
        {"{\"a\" 1}", NULL, NULL, "not JSON"},
        {"[1]", NULL, NULL, "not a JSON object"},
        {"", NULL, NULL, "not JSON"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(json_freep) json_t *a = NULL;
        AUTO(json_freep) json_t *b = NULL;
        const struct json_want want[] = {{"a", &a}, {"b", &b}};
        struct err *e = json_pick(row[i].text, strlen(row[i].text), want, COUNT(want));
        if (row[i].error) {
            AUTO(freep) char *text = e ? err_text(e) : xstrdup("");
            if (!str_starts(text, row[i].error))
                fail_msg("%s: '%s'", row[i].text, text);
            err_free(e);
            assert_null(a);
            assert_null(b);
            continue;
        }
        assert_ok(e);
        AUTO(freep) char *found_a = a ? json_text(a) : NULL;
        AUTO(freep) char *found_b = b ? json_text(b) : NULL;
        if (!str_eq(found_a, row[i].a) || !str_eq(found_b, row[i].b))
            fail_msg("%s: a is %s, b is %s", row[i].text, found_a, found_b);
    }
}

/* A NUL in a key ends nothing. */
static void
picking_nul(void **state)
{
    (void)state;
    static const char text[] = "{\"a\0\0\0\0\0\0\0\0\0\0\":1,\"b\":2}";
    AUTO(json_freep) json_t *a = NULL;
    AUTO(json_freep) json_t *b = NULL;
    const struct json_want want[] = {{"a", &a}, {"b", &b}};
    assert_ok(json_pick(text, sizeof text - 1, want, COUNT(want)));
    assert_null(a);
    assert_int_equal(json_integer_value(b), 2);
}

/* Numbers and members of members, the quick way and, behind an escaped key, by a tree. */
static void
picking_inside(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t n, m;
        const char *s;
    } row[] = {
        {"{\"n\":7,\"in\":{\"m\":-12,\"x\":[1],\"s\":\"t\"}}", 7, -12, "t"},
        {"{\"in\":{},\"n\":0}", 0, -1, NULL},
        {"{}", -1, -1, NULL},
        {"{\"n\":\"7\",\"in\":{\"m\":null}}", -1, -1, NULL},
        {"{\"n\":2.6,\"in\":{\"m\":1e3}}", 3, 1000, NULL},
        {"{\"n\":9223372036854775807,\"in\":{\"m\":123456789012345678}}", INT64_MAX,
         123456789012345678, NULL},
        {"{\"in\":[1],\"n\":1}", 1, -1, NULL},
        {"{\"in\":null,\"n\":1}", 1, -1, NULL},
        {"{\"\\u006e\":5,\"in\":{\"s\":\"t\"}}", 5, -1, "t"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        int64_t n = -1, m = -1;
        AUTO(json_freep) json_t *s = NULL;
        const struct json_want in[] = {{"m", .whole = &m}, {"s", &s}};
        const struct json_want want[] = {{"n", .whole = &n}, {"in", .in = in, .nin = COUNT(in)}};
        assert_ok(json_pick(row[i].text, strlen(row[i].text), want, COUNT(want)));
        if (n != row[i].n || m != row[i].m || !str_eq(json_string_value(s), row[i].s))
            fail_msg("%s: %lld %lld", row[i].text, (long long)n, (long long)m);
    }
    AUTO(json_freep) json_t *s = NULL; /* what was read before a mistake is not kept */
    const struct json_want in = {"s", &s};
    const struct json_want want = {"in", .in = &in, .nin = 1};
    assert_err(json_pick("{\"in\":{\"s\":1}", 13, &want, 1), ERR_INVALID,
               "not JSON: '}' expected near end of file at line 1, column 13");
    assert_null(s);
}

/* Bytes changed, dropped and doubled by a fixed seed: the two never disagree. */
static void
mutations(void **state)
{
    (void)state;
    static const char alphabet[] = "{}[]\",:\\0123456789-+.eEnutrfals \n\t\xc3\xa9\xf0\x01/bdD8";
    uint64_t seed = 42;
    for (int round = 0; round < 40000; round++) {
        const char *from = taken[(seed >> 33) % COUNT(taken)];
        size_t n = strlen(from);
        char text[128];
        memcpy(text, from, n + 1);
        for (int k = 0; k < 1 + round % 3; k++) {
            seed = seed * 6364136223846793005U + 1442695040888963407U;
            const size_t at = n ? (seed >> 40) % n : 0;
            const char c = alphabet[(seed >> 20) % (sizeof alphabet - 1)];
            if (n && seed >> 62 == 0) {
                memmove(text + at, text + at + 1, n - at);
                n--;
            } else if (seed >> 62 == 1) {
                memmove(text + at + 1, text + at, n - at + 1);
                text[at] = c;
                n++;
            } else if (n) {
                text[at] = c;
            }
        }
        same_as_jansson(text, n, false);
    }
}

/* Every byte at every place of a text, which is looked at eight bytes at a time: as one would find
 * it byte by byte, and read back by jansson as it was. */
static void
plain_runs(void **state)
{
    (void)state;
    for (size_t n = 0; n < 20; n++) {
        for (size_t at = 0; at < n * 256; at++) {
            const unsigned char c = (unsigned char)(at % 256);
            char text[20];
            memset(text, n % 2 ? 'a' : '~', n);
            text[at / 256] = (char)c;
            const bool stops = c < 0x20 || c == '"' || c == '\\';
            bool high = false;
            const char *end = json_plain_end(text, text + n, &high);
            assert_ptr_equal(end, text + (stops ? at / 256 : n));
            assert_int_equal(high, c >= 0x80);
            if (!c || c >= 0x80)
                continue;
            AUTO(json_freep) json_t *j = json_stringn(text, n);
            AUTO(freep) char *written = json_text(j);
            AUTO(json_freep) json_t *again = json_loads(written, JSON_DECODE_ANY, NULL);
            assert_true(json_equal(j, again));
        }
    }
}

/* A record written member by member is the text that the tree would be. */
static void
members(void **state)
{
    (void)state;
    AUTO(str_fini) struct str s = STR_INIT;
    AUTO(json_freep) json_t *list = json_pack("[in]", 1);
    json_open(&s);
    json_put_text(&s, "a", "x\xff\"\t\r\n\x01");
    json_put_text(&s, "absent", NULL);
    json_put(&s, "absent", NULL);
    json_put_int(&s, "b", INT64_MIN);
    json_put_open(&s, "c");
    json_close(&s);
    json_put(&s, "d", list);
    json_close(&s);
    assert_string_equal(str_c(&s), "{\"a\":\"x\xef\xbf\xbd\\\"\\t\\r\\n\\u0001\","
                                   "\"b\":-9223372036854775808,\"c\":{},\"d\":[1,null]}");
}

TESTS(jsonread_test, cmocka_unit_test(tables), cmocka_unit_test(long_numbers),
      cmocka_unit_test(depth), cmocka_unit_test(picking), cmocka_unit_test(picking_nul),
      cmocka_unit_test(picking_inside), cmocka_unit_test(mutations), cmocka_unit_test(plain_runs),
      cmocka_unit_test(members))
