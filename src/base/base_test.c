/* base_test.c - the small tools, by tables. */
#include "base/arena.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/map.h"
#include "base/near.h"
#include "base/test.h"
#include "base/units.h"
#include "base/vec.h"

static struct err *
inner(void)
{
    return FAIL_AT(((struct src_pos){"flow.yaml", 14, 7}), ERR_INVALID, "unknown kind '%s'", "lmm");
}

static struct err *
outer(void)
{
    TRY(inner(), "node '%s'", "triage");
    return NULL;
}

static void
err_chain(void **s)
{
    (void)s;
    struct err *e = outer();
    assert_int_equal(err_pos(e).line, 14);
    assert_string_equal(err_pos(e).file, "flow.yaml");
    assert_err(e, ERR_INVALID, "node 'triage': unknown kind 'lmm'");
    e = err_set_retry_after(err_set_in_doubt(FAIL(ERR_LIMIT, "slow down")), 1500);
    e = WRAP(e, "calling");
    assert_true(err_in_doubt(e));
    assert_false(err_answered(e));
    e = WRAP(err_set_answered(e), "asking");
    assert_true(err_answered(e) && err_in_doubt(e));
    assert_int_equal(err_retry_after_ms(e), 1500);
    assert_err(e, ERR_LIMIT, "asking: calling: slow down");
}

/* A text that is quoted up to a number of bytes may be cut within a character. */
static void
err_utf8(void **s)
{
    (void)s;
    struct err *e = FAIL(ERR_INVALID, "unknown key '%.3s'", "ab\xc3\xa9");
    e = WRAP(e, "file '%s'", "\xff");
    AUTO(freep) char *text = err_text(e);
    assert_string_equal(text, "file '\xef\xbf\xbd': unknown key 'ab\xef\xbf\xbd'");
    err_free(e);
}

static void
err_list(void **s)
{
    (void)s;
    struct err *list = NULL;
    err_join(&list, FAIL(ERR_INVALID, "one"));
    err_join(&list, inner());
    assert_int_equal(err_count(list), 2);
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    err_print(list, f);
    fclose(f);
    assert_string_equal(text, "one\nflow.yaml:14:7: unknown kind 'lmm'\n");
    free(text);
    err_free(list);
}

static void
strings(void **s)
{
    (void)s;
    struct str t = STR_INIT;
    str_addf(&t, "%d-%s", 7, "x");
    str_addc(&t, '!');
    assert_string_equal(str_c(&t), "7-x!");
    str_cut(&t, 2);
    assert_string_equal(str_c(&t), "x!");
    str_reset(&t);
    str_add_utf8(&t,
                 "a\xff"
                 "b\xc3\xa9\xed\xa0\x80",
                 8);
    assert_string_equal(str_c(&t), "a\xef\xbf\xbd"
                                   "b\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    str_fini(&t);
    static const struct {
        const char *pattern, *text;
        bool want;
    } glob[] = {
        {"*", "", true},
        {"a*c", "abbc", true},
        {"a*c", "abb", false},
        {"files.read_*", "files.read_x", true},
        {"*.delete*", "files.delete_file", true},
        {"?b", "ab", true},
        {"?b", "b", false},
        {"a*b*c*d*e*f*g*h", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
    };
    for (size_t i = 0; i < COUNT(glob); i++)
        assert_int_equal(str_glob(glob[i].pattern, glob[i].text), glob[i].want);
    for (size_t n = 0; n < 20; n++) { /* at every distance from the words that are read at once */
        static const char text[] = "abcdefghijklmnopqrstuvwxyz";
        AUTO(str_fini) struct str valid = STR_INIT, not = STR_INIT, mended = STR_INIT;
        str_addn(&valid, text, n);
        str_add(&valid, "\xc3\xa9");
        str_addn(&not, text, n);
        str_addc(&not, '\xc3');
        str_add(&not, text + n);
        assert_true(utf8_valid(valid.p, valid.len));
        assert_false(utf8_valid(valid.p, valid.len - 1));
        assert_false(utf8_valid(not .p, not .len));
        str_add_utf8(&mended, not .p, not .len);
        AUTO(freep)
        char *want = xasprintf("%.*s\xef\xbf\xbd%s", (int)n, text, text + n);
        assert_string_equal(mended.p, want);
    }
    assert_int_equal(utf8_floor("a\xc3", 2), 1);
    assert_int_equal(utf8_floor("a\xc3\xa9", 3), 3);
    assert_int_equal(utf8_floor("\xe2\x82", 2), 0);
    assert_int_equal(utf8_floor("\x80\x80\x80\x80\x80", 5), 5); /* no character is cut */
}

static void
arenas(void **s)
{
    (void)s;
    struct arena *a = arena_new(100);
    assert_false(arena_over(a));
    char *p = arena_printf(a, "%s", "hello");
    for (int i = 0; i < 1000; i++)
        memset(arena_alloc(a, (size_t)(1 + i * 37 % 40000)), 1, (size_t)(1 + i * 37 % 40000));
    assert_string_equal(p, "hello");
    assert_true(arena_over(a));
    arena_free(a);
}

static void
maps(void **s)
{
    (void)s;
    struct map *m = map_new();
    char key[32];
    for (uintptr_t i = 1; i <= 5000; i++) {
        snprintf(key, sizeof key, "k%lu", (unsigned long)i);
        assert_null(map_put(m, key, (void *)i));
    }
    for (uintptr_t i = 1; i <= 5000; i += 2) {
        snprintf(key, sizeof key, "k%lu", (unsigned long)i);
        assert_ptr_equal(map_del(m, key), (void *)i);
    }
    assert_int_equal(map_len(m), 2500);
    assert_null(map_get(m, "k1"));
    assert_ptr_equal(map_get(m, "k2"), (void *)2);
    size_t i = 0;
    const char *k;
    void *v;
    assert_true(map_next(m, &i, &k, &v));
    assert_string_equal(k, "k2");
    map_free(m);
}

static void
hashes(void **s)
{
    (void)s;
    char hex[SHA256_HEX];
    sha256_hex("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    /* RFC 4231, test case 2 */
    hmac_sha256_hex("Jefe", 4, "what do ya want for nothing?", 28, hex);
    assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    assert_int_equal(crc32c(0, "123456789", 9),
                     0xe3069283u); /* the check value of the polynomial */
    assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283u);
    unsigned char odd[37]; /* each length and each split: the eight-byte steps and the rest agree */
    for (size_t i = 0; i < sizeof odd; i++)
        odd[i] = (unsigned char)(i * 37);
    for (size_t n = 0; n <= sizeof odd; n++) {
        for (size_t k = 0; k <= n; k++)
            assert_int_equal(crc32c(crc32c(0, odd, k), odd + k, n - k), crc32c(0, odd, n));
    }
    static const struct {
        const char *text;
        int want;
    } fours[] = {{"00e9", 0xe9}, {"FFFFx", 0xffff}, {"d83D", 0xd83d},
                 {"123", -1},    {"12g4", -1},      {"", -1}};
    for (size_t i = 0; i < COUNT(fours); i++)
        assert_int_equal(hex4_decode(fours[i].text, strlen(fours[i].text)), fours[i].want);
    char *b = base64_encode("hi!\0", 4);
    assert_string_equal(b, "aGkhAA==");
    size_t n;
    unsigned char *raw = base64_decode(b, strlen(b), &n);
    assert_int_equal(n, 4);
    assert_memory_equal(raw, "hi!\0", 4);
    free(raw);
    free(b);
    assert_null(base64_decode("a===", 4, &n));
    assert_null(base64_decode("abc", 3, &n));
    assert_null(base64_decode("ab=c", 4, &n));
}

static void
json(void **s)
{
    (void)s;
    json_t *j = NULL;
    assert_ok(json_parse("{\"b\":{\"x\":2.5},\"a\":[true,null]}", 31, &j));
    char *t = json_canonical(j);
    assert_string_equal(t, "{\"a\":[true,null],\"b\":{\"x\":2.5}}");
    free(t);
    assert_true(json_num(json_at(j, "b", NULL), "x", 0) == 2.5);
    json_decref(j);
    assert_ok(json_parse("123456789012345678901234567890", 30, &j));
    assert_true(json_is_real(j));
    json_decref(j);
    char deep[300];
    memset(deep, '[', sizeof deep);
    assert_err(json_parse(deep, 300, &j), ERR_INVALID, "not JSON: nested deeper than 128");
    struct err *e = json_parse("{\"a\":1,\"a\":2}", 13, &j);
    assert_non_null(e);
    err_free(e);
    j = json_string_lossy("a\0\xff", 3);
    assert_string_equal(json_string_value(j), "a\xef\xbf\xbd\xef\xbf\xbd");
    json_decref(j);
}

static void
json_writing(void **s)
{
    (void)s;
    static const struct {
        const char *text, *want; /* NULL: the same */
    } row[] = {
        {"{}", NULL},
        {"[]", NULL},
        {"{\"b\":[1,{\"c\":null}],\"a\":true}", NULL},
        {"[0.1,1e300,-2.5,1.0,123456789.123]", "[0.1,1e+300,-2.5,1.0,123456789.123]"},
        {"[0.0,-0.0,-7.0,999999999999999.0,1e15,-1e15]",
         "[0.0,-0.0,-7.0,999999999999999.0,1e+15,-1e+15]"},
        {"[9223372036854775807,-9223372036854775808,0]", NULL},
        {"\"a\\\"b\\\\c\\n\\u0001\\u00e9/\"", "\"a\\\"b\\\\c\\n\\u0001\xc3\xa9/\""},
        {"0.30000000000000004", NULL},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        json_t *j = NULL;
        assert_ok(json_parse(row[i].text, strlen(row[i].text), &j));
        AUTO(freep) char *t = json_text(j);
        assert_string_equal(t, row[i].want ? row[i].want : row[i].text);
        json_decref(j);
    }
    json_t *j = NULL;
    assert_ok(json_parse("{\"b\":{\"z\":1,\"y\":2},\"a\":3}", 25, &j));
    AUTO(freep) char *c = json_canonical(j);
    assert_string_equal(c, "{\"a\":3,\"b\":{\"y\":2,\"z\":1}}");
    json_decref(j);
}

static void
near(void **s)
{
    (void)s;
    static const struct {
        const char *a, *b;
        unsigned limit, want;
    } far[] = {
        {"", "", 0, 0},
        {"ab", "ba", 1, 1},
        {"ab", "BA", 0, 1},
        {"kitten", "sitting", 3, 3},
        {"kitten", "sitting", 2, 3},
        {"abcdef", "ghijkl", 3, 4},
        {"abcdef", "ghijkl", 9, 6},
        {"xxab", "xxba", 1, 1},
        {"abcdefgh", "badcfehg", 4, 4},
        {"a", "abcd", 2, 3},
    };
    for (size_t i = 0; i < COUNT(far); i++)
        assert_int_equal(near_distance(far[i].a, far[i].b, far[i].limit), far[i].want);
    static const struct {
        const char *wanted, *want;
    } row[] = {
        {"lmm", "llm"}, {"retires", "retries"}, {"zzzzzz", NULL}, {"exce", "exec"},
        {"x", NULL},    {"Http", "http"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct near n = NEAR_INIT(row[i].wanted);
        near_offer(&n, "http");
        near_offer(&n, "llm");
        near_offer(&n, "exec");
        near_offer(&n, "retries");
        if (row[i].want)
            assert_string_equal(n.best, row[i].want);
        else
            assert_null(n.best);
    }
}

static void
units(void **s)
{
    (void)s;
    static const struct {
        const char *text;
        int64_t want;
    } row[] = {
        {"30", 30000},     {"1.5", 1500}, {"500ms", 500}, {"5m", 300000}, {"2h", 7200000},
        {"7d", 604800000}, {"", -1},      {"-1", -1},     {"1x", -1},     {"1.", -1},
        {".5", -1},        {"1e9", -1},   {"99999d", -1}, {"0", 0},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        int64_t ms = -1;
        assert_int_equal(duration_parse(row[i].text, &ms), row[i].want >= 0);
        assert_int_equal(ms, row[i].want);
    }
    int64_t x;
    assert_true(size_parse("64K", &x));
    assert_int_equal(x, 65536);
    assert_false(size_parse("64Q", &x));
    char iso[32];
    time_iso(1795237200123, iso);
    assert_string_equal(iso, "2026-11-21T05:00:00.123Z");
    assert_true(time_parse_iso("2026-11-21T07:00:00.123+02:00", &x));
    assert_true(x == 1795237200123);
    assert_true(time_parse_iso("2026-11-21", &x));
    assert_true(time_parse_iso("9999-12-31T23:59:59Z", &x));
    assert_true(time_parse_iso("2028-02-29", &x));
    static const char *const none[] = {"2026-13-21",
                                       "2026-02-30",
                                       "2026-04-31T00:00Z",
                                       "2026-00-10",
                                       "2026-01-00",
                                       "2026-01-01T-1:00Z",
                                       "2026-01-01T10:-5Z",
                                       "2026-01-01T10:00+-1:30",
                                       "2026-01-01T10:00+01:-9"};
    for (size_t i = 0; i < COUNT(none); i++)
        assert_false(time_parse_iso(none[i], &x));
    assert_true(time_parse_http("Sun, 06 Nov 1994 08:49:37 GMT", &x));
    assert_true(x == 784111777000);
}

TESTS(base_test, cmocka_unit_test(err_chain), cmocka_unit_test(err_utf8),
      cmocka_unit_test(err_list), cmocka_unit_test(strings), cmocka_unit_test(arenas),
      cmocka_unit_test(maps), cmocka_unit_test(hashes), cmocka_unit_test(json),
      cmocka_unit_test(json_writing), cmocka_unit_test(near), cmocka_unit_test(units))
