/* schema_parts_test.c - URIs, patterns, formats, by tables. */
#include "base/test.h"
#include "schema/schema_format.h"
#include "schema/schema_regex.h"
#include "schema/schema_seen.h"
#include "schema/schema_uri.h"

#define B "http://a/b/c/d;p?q" /* the base of RFC 3986 5.4 */

static void
uris(void **state)
{
    (void)state;
    static const struct {
        const char *base, *ref, *want;
    } row[] = {
        {B, "g:h", "g:h"},
        {B, "g", "http://a/b/c/g"},
        {B, "./g", "http://a/b/c/g"},
        {B, "g/", "http://a/b/c/g/"},
        {B, "/g", "http://a/g"},
        {B, "//g", "http://g"},
        {B, "?y", "http://a/b/c/d;p?y"},
        {B, "g?y", "http://a/b/c/g?y"},
        {B, "#s", "http://a/b/c/d;p?q"},
        {B, "g#s", "http://a/b/c/g"},
        {B, "", "http://a/b/c/d;p?q"},
        {B, ".", "http://a/b/c/"},
        {B, "..", "http://a/b/"},
        {B, "../g", "http://a/b/g"},
        {B, "../..", "http://a/"},
        {B, "../../../g", "http://a/g"},
        {B, "/./g", "http://a/g"},
        {B, "/../g", "http://a/g"},
        {B, "g.", "http://a/b/c/g."},
        {B, ".g", "http://a/b/c/.g"},
        {B, "..g", "http://a/b/c/..g"},
        {B, "./../g", "http://a/b/g"},
        {B, "g/./h", "http://a/b/c/g/h"},
        {B, "g/../h", "http://a/b/c/h"},
        {B, "g;x=1/../y", "http://a/b/c/y"},
        {"http://a", "g", "http://a/g"},
        {"urn:x:y", "#s", "urn:x:y"},
        {"", "a/b.json#x", "a/b.json"},
        {"dir/x.json", "y.json", "dir/y.json"},
        {"", "", ""},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(freep) char *uri = uri_join(row[i].base, row[i].ref);
        assert_string_equal(uri, row[i].want);
    }
    assert_string_equal(uri_fragment("a#b"), "b");
    assert_string_equal(uri_fragment("a"), "");
    AUTO(freep) char *plain = uri_decode("%41%7e/%c3%A9");
    assert_string_equal(plain, "A~/\xc3\xa9");
    assert_null(uri_decode("%4"));
    assert_null(uri_decode("%00"));
    assert_null(uri_decode("%x1"));
}

static const struct {
    const char *pattern, *text;
    bool want;
} matching[] = {
    {"b", "abc", true}, /* not anchored */
    {"^b", "abc", false},
    {"a$", "a\n", false},
    {"^.$", "\n", false},
    {"^.$", "\xf0\x9f\x92\xa9", true},
    {"^\\d$", "\xd9\xa1", false}, /* an Arabic digit */
    {"^\\w$", "\xc3\xa9", false},
    {"^\\s$", "\xc2\xa0", true},
    {"^[\\s]$", "\xe2\x80\xa8", true},
    {"^\\S$", "\xc2\xa0", false},
    {"^[\\s\\S]$", "\n", true},
    {"^\\v$", "\v", true},
    {"^\\v$", "\n", false},
    {"^\\cA$", "\x01", true},
    {"^\\x41\\u0042\\u{43}$", "ABC", true},
    {"^\\ud83d\\udca9$", "\xf0\x9f\x92\xa9", true},
    {"^[\\u0041-\\u0043]+$", "ABC", true},
    {"^\\p{Letter}+$",
     "\xc3\xa9"
     "a",
     true},
    {"^\\p{gc=Lu}$", "A", true},
    {"^\\P{Lu}$", "A", false},
    {"^\\p{Script=Greek}$", "\xce\xb1", true},
    {"^[[a]$", "[", true},
    {"^[]$", "a", false}, /* an empty class matches nothing */
    {"^[^]$", "a", true},
    {"^(?<year>\\d{4})-\\k<year>$", "2026-2026", true},
    {"^(?P<x>a)(?P=x)$", "aa", true},
    {"^(a)?\\1b$", "b", true}, /* a group that took no part matches nothing */
    {"^(?i)abc$", "ABC", true},
    {"\\Aabc\\Z", "abc", true},
    {"\\Aabc\\Z", "abc\n", false},
    {"^{$", "{", true},
    {"^a{2,3}$", "aaa", true},
    {"^\\/\\-\\.$", "/-.", true},
    {"^(?=a)(?!b)(?<!c)a", "a", true},
    {"", "x", true},
};

static const struct {
    const char *pattern;
    bool strict;
    const char *want;
} bad_patterns[] = {
    {"a(", false, "near offset 2: missing closing parenthesis"},
    {"[a", false, "near offset 2: missing terminating ] for character class"},
    {"*a", false, "near offset 0: quantifier does not follow a repeatable item"},
    {"a\\", false, "at offset 2: ends in a backslash"},
    {"\\a", false, "at offset 2: unknown escape '\\a'"},
    {"\\Z", true, "at offset 2: unknown escape '\\Z'"},
    {"(?R)", false, "at offset 1: unknown kind of group '(?R'"},
    {"(?1)", false, "at offset 1: unknown kind of group '(?1'"},
    {"(?C1)", false, "at offset 1: unknown kind of group '(?C'"},
    {"(*LIMIT_MATCH=1)", false, "at offset 1: nothing to repeat after '('"},
    {"\\Qa\\E", false, "at offset 2: unknown escape '\\Q'"},
    {"\\K", false, "at offset 2: unknown escape '\\K'"},
    {"\\C", false, "at offset 2: unknown escape '\\C'"},
    {"\\u12", false, "at offset 2: \\u wants four hexadecimal digits"},
    {"\\u{}", false, "at offset 2: \\u{ wants hexadecimal digits and }"},
    {"\\ud800", false, "at offset 6: half a surrogate pair or beyond Unicode"},
    {"\\u{110000}", false, "at offset 10: half a surrogate pair or beyond Unicode"},
    {"\\x4", false, "at offset 2: \\x wants two hexadecimal digits"},
    {"\\c1", false, "at offset 2: \\c wants a letter"},
    {"\\pL", false, "at offset 2: \\p wants a property in braces"},
    {"[\\1]", false, "at offset 2: a back reference inside [...]"},
    {"a{", true, "at offset 2: '{' without a quantifier"},
    {"(?P<x>a)", true, "at offset 1: unknown kind of group '(?P'"},
};

static void
patterns(void **state)
{
    (void)state;
    struct regex_room *room = regex_room_new();
    for (size_t i = 0; i < COUNT(matching); i++) {
        struct regex *r = NULL;
        int64_t left = 10000;
        assert_ok(regex_compile(matching[i].pattern, strlen(matching[i].pattern), false, &r));
        bool yes = regex_match(r, room, matching[i].text, strlen(matching[i].text), &left);
        if (yes != matching[i].want || left < 0)
            fail_msg("%s: %s", matching[i].pattern, matching[i].text);
        regex_free(r);
    }
    for (size_t i = 0; i < COUNT(bad_patterns); i++) {
        struct regex *r = NULL;
        const char *p = bad_patterns[i].pattern;
        assert_err(regex_compile(p, strlen(p), bad_patterns[i].strict, &r), ERR_INVALID,
                   bad_patterns[i].want);
    }
    regex_room_free(room);
}

static void
pattern_limits(void **state)
{
    (void)state;
    struct regex_room *room = regex_room_new();
    struct regex *r = NULL;
    int64_t left = 10000000;
    assert_ok(regex_compile("^(a+)+$", 7, false, &r));
    static const char text[] =
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!";
    assert_false(regex_match(r, room, text, strlen(text), &left));
    assert_true(left < 0);
    left = 1000;
    assert_false(regex_match(r, room, "\xff", 1, &left)); /* not UTF-8: no match, no harm */
    assert_true(left > 0);
    regex_free(r);
    char deep[201];
    memset(deep, '(', 100);
    memset(deep + 100, ')', 100);
    assert_err(regex_compile(deep, 200, false, &r), ERR_INVALID,
               "near offset 65: parentheses are too deeply nested");
    regex_room_free(room);
}

static const struct {
    const char *format, *good, *bad; /* texts between blanks; " ~ " is the empty one */
} format_rows[] = {
    {"date", "2026-01-31 2024-02-29 2000-02-29 0000-01-01",
     "2026-02-29 1900-02-29 2026-13-01 2026-00-01 2026-01-00 2026-1-1 20260131 2026-01-31Z ~"},
    {"time", "12:00:00Z 23:59:60Z 12:00:00.5+01:00 00:59:60+01:00 22:59:60-01:00 12:00:00z",
     "12:00:00 24:00:00Z 12:60:00Z 12:00:61Z 12:00:60Z 12:00:00.Z 12:00:00+24:00 12:00:00+1:00 ~"},
    {"date-time", "2026-01-31T12:00:00Z 2026-01-31t12:00:00.123+05:30",
     "2026-01-31 2026-01-31T12:00:00 2026-01-31T12:00:00ZZ 2026-01-32T12:00:00Z ~"},
    {"duration", "P1D PT1H P1Y2M3DT4H5M6S P2W PT1M", "P PT P1 P1H PT1D P1D2Y P1Y1D 1D P1W2D ~"},
    {"email", "a@b.org a.b+c@x-y.org \"a.b\"@c.org a@[192.0.2.1] a@[IPv6:::1] a@localhost",
     "a a@ @b a..b@c.org .a@c.org a.@c.org a@b@c..d a@[300.0.0.1] a@-b.org ~"},
    {"hostname", "a a.b.c A-1.example.org xn--nxasmq6b.org 1.2",
     "-a a- a..b a_b .a a. ab--c.org xn-- ~"},
    {"ipv4", "0.0.0.0 255.255.255.255 192.0.2.1",
     "1.2.3 1.2.3.4.5 256.0.0.1 01.2.3.4 1.2.3.a 1.2.3.4. 1..2.3 ~"},
    {"ipv6", ":: ::1 1:: 1:2:3:4:5:6:7:8 1::8 ::ffff:192.0.2.1 1:2:3:4:5:6:1.2.3.4",
     ": ::: 1:2:3:4:5:6:7 1:2:3:4:5:6:7:8:9 1::2::3 12345:: ::g 1:2:3:4:5:6:7::8 "
     "1.2.3.4 ::1.2.3 ::1: 1:2:3:4:5:6:7:1.2.3.4 fe80::1%eth0 ~"},
    {"uri", "http://a/b?c#d urn:x:y mailto:a@b http://[::1]:80/ http://u:p@h/%41 a:",
     "/a a//b http://a%zz http://[1 http://a\\b http://a^ 1a:b :a http://a/\xc3\xa9 ~"},
    {"uri-reference", "a /a ?x #f //h/p http://a ~", "a\\b %z a:b:\\ 1:2 \xc3\xa9"},
    {"iri", "http://\xc3\xa9/\xc3\xa9 http://a", "\xc3\xa9 http://a^ ~"},
    {"iri-reference", "\xc3\xa9 /a", "a\\b"},
    {"uuid", "123e4567-e89b-12d3-a456-426614174000 123E4567-E89B-12D3-A456-426614174000",
     "123e4567e89b12d3a456426614174000 123e4567-e89b-12d3-a456-42661417400g "
     "123e4567-e89b-12d3-a456-4266141740000 ~"},
    {"json-pointer", "~ / /a/0 /~0~1 /\xc3\xa9", "a #/a /~ /~2"},
    {"relative-json-pointer", "0 1/a 0# 12/~0", "01 -1 a /a 0## 1#a /a"},
    {"uri-template", "/a/{b} {+x,y} a", "{ } {} {a{b}} a}b /<"},
    {"regex", "^a$ [a] ^\\d+$", "a( \\a ^\\Z [ *"},
    {"idn-email", "\xc3\xa9@\xc3\xa9.org a@b.org", "a \xc3\xa9 @a"},
};

static void
formats(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(format_rows); i++) {
        format_fn is = format_find(format_rows[i].format);
        assert_non_null(is);
        for (int good = 0; good < 2; good++) {
            const char *p = good ? format_rows[i].good : format_rows[i].bad;
            while (*p) {
                size_t n = strcspn(p, " ");
                AUTO(freep) char *one = xstrndup(p, n == 1 && *p == '~' ? 0 : n);
                if (is(one, strlen(one)) != (good == 1))
                    fail_msg("%s: '%s' is %s", format_rows[i].format, one, good ? "good" : "bad");
                p += n + strspn(p + n, " ");
            }
        }
        /* Its own example is one. */
        const char *example = format_example(format_rows[i].format);
        assert_true(is(example, strlen(example)));
    }
    assert_null(format_find("colour"));
    assert_null(format_example("colour"));
    char label[80];
    memset(label, 'a', 64);
    assert_true(format_find("hostname")(label, 63));
    assert_false(format_find("hostname")(label, 64));
}

static void
seen_sets(void **state)
{
    (void)state;
    static const char names[100];
    struct seen a = SEEN_INIT, b = SEEN_INIT;
    for (size_t i = 0; i < 50; i++)
        seen_key(&a, names + i);
    for (size_t i = 40; i < 80; i++)
        seen_key(&b, names + i);
    seen_item(&a, 0);
    seen_item(&a, 5);
    seen_item(&b, 1);
    seen_item(&b, 99);
    assert_true(seen_merge(&a, &b) > 0);
    assert_null(b.keys);
    assert_int_equal(a.keys_len, 80);
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(seen_has_key(&a, names + i), i < 80);
        assert_int_equal(seen_has_item(&a, i), i == 0 || i == 1 || i == 5 || i == 99);
    }
    b.all = true;
    seen_merge(&a, &b);
    assert_true(seen_has_key(&a, names + 99) && seen_has_item(&a, 1000));
    seen_fini(&a);
}

TESTS(schema_parts_test, cmocka_unit_test(uris), cmocka_unit_test(patterns),
      cmocka_unit_test(pattern_limits), cmocka_unit_test(formats), cmocka_unit_test(seen_sets))
