/* jsonread_test.c - the quick reader takes nothing that jansson refuses, and takes it alike. */
#include "base/jsonread.h"
#include "base/test.h"

static void
same_as_jansson(const char *text, size_t n, bool must_take)
{
    json_error_t why;
    json_t *quick = json_read_plain(text, n);
    json_t *slow = json_loadb(text, n, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &why);
    if (must_take && !quick)
        fail_msg("not taken: %.*s", (int)n, text);
    if (quick && !slow)
        fail_msg("taken, but %s: %.*s", why.text, (int)n, text);
    if (quick) {
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
    "12345678901234567890123",
    "1000000000000000000", /* jansson takes these two */
    "{\"a key of more than sixty-three bytes, which is one more than this reader takes\":1}",
};

static void
tables(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(taken); i++)
        same_as_jansson(taken[i], strlen(taken[i]), true);
    for (size_t i = 0; i < COUNT(left); i++)
        assert_null(json_read_plain(left[i], strlen(left[i])));
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

static void
depth(void **state)
{
    (void)state;
    for (size_t d = JSON_DEPTH_MAX - 1; d <= JSON_DEPTH_MAX + 1; d++) {
        struct str s = STR_INIT;
        for (size_t i = 0; i < 2 * d; i++)
            str_addc(&s, i < d ? '[' : ']');
        json_t *j = json_read_plain(str_c(&s), s.len);
        assert_int_equal(j != NULL, d <= JSON_DEPTH_MAX);
        json_decref(j);
        str_fini(&s);
    }
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

TESTS(jsonread_test, cmocka_unit_test(tables), cmocka_unit_test(depth), cmocka_unit_test(mutations))
