/* url_test.c - URLs, addresses and proxy exceptions by tables. */
#include "base/test.h"
#include "net/names.h"
#include "net/proxy.h"
#include "net/url.h"

static void
parses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want, *origin, *path, *query;
        unsigned port;
        bool loopback;
    } row[] = {
        {"http://Example.COM", "http://example.com/", "http://example.com", "/", NULL, 80, false},
        {"HTTPS://a.b:443/x?y=1#z", "https://a.b/x?y=1", "https://a.b", "/x", "y=1", 443, false},
        {"http://a:8080/a/./b/../c", "http://a:8080/a/c", "http://a:8080", "/a/c", NULL, 8080,
         false},
        {"http://[::1]:9/", "http://[::1]:9/", "http://[::1]:9", "/", NULL, 9, true},
        {"http://127.1/", "http://127.0.0.1/", "http://127.0.0.1", "/", NULL, 80, true},
        {"http://0x7f000001/", "http://127.0.0.1/", "http://127.0.0.1", "/", NULL, 80, true},
        {"http://x.localhost:1/", "http://x.localhost:1/", "http://x.localhost:1", "/", NULL, 1,
         true},
        {"http://localhost.evil.com/", "http://localhost.evil.com/", "http://localhost.evil.com",
         "/", NULL, 80, false},
        {"http://127.0.0.1@evil.com/", "http://127.0.0.1@evil.com/", "http://evil.com", "/", NULL,
         80, false},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(url_fini) struct url u = {0};
        assert_ok(url_parse(row[i].text, &u));
        assert_string_equal(u.text, row[i].want);
        assert_string_equal(u.origin, row[i].origin);
        assert_string_equal(u.path, row[i].path);
        assert_true(str_eq(u.query, row[i].query));
        assert_int_equal(u.port, row[i].port);
        assert_int_equal(url_is_loopback(&u), row[i].loopback);
    }
}

static void
refuses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } row[] = {
        {"", "malformed"},
        {"example.com/x", "must begin with http"},
        {"/x", "malformed"},
        {"ftp://a/", "must begin with http:// or https://"},
        {"file:///etc/passwd", "must begin with http"},
        {"http://", "malformed"},
        {"http:///x", "malformed"},
        {"http://a:99999/", "malformed"},
        {"http://a:x/", "malformed"},
        {"http://a b/", "blank or a control character"},
        {"http://a/\r\nX: y", "blank or a control character"},
        {"http://[::g]/", "malformed"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct url u;
        struct err *e = url_parse(row[i].text, &u);
        assert_non_null(e);
        AUTO(freep) char *text = err_text(e);
        if (!strstr(text, row[i].part))
            fail_msg("'%s': %s", row[i].text, text);
        assert_int_equal(err_kind(e), ERR_INVALID);
        err_free(e);
    }
    AUTO(str_fini) struct str huge = STR_INIT;
    str_add(&huge, "http://a/");
    while (huge.len <= URL_LEN_MAX)
        str_addc(&huge, 'x');
    struct url u;
    struct err *e = url_parse(str_c(&huge), &u);
    assert_int_equal(err_kind(e), ERR_INVALID);
    err_free(e);
}

static void
joins(void **state)
{
    (void)state;
    static const struct {
        const char *base, *reference, *want;
    } row[] = {
        {"http://a/b/c?d", "", "http://a/b/c?d"},
        {"http://a/b/c?d", "e", "http://a/b/e"},
        {"http://a/b/c?d", "/e", "http://a/e"},
        {"http://a/b/c?d", "?e", "http://a/b/c?e"},
        {"http://a/b/c?d", "../e", "http://a/e"},
        {"http://a/b/c?d", "//x/e", "http://x/e"},
        {"http://a/b/c?d", "https://x:8/e", "https://x:8/e"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(url_fini) struct url u = {0};
        assert_ok(url_join(row[i].base, row[i].reference, &u));
        assert_string_equal(u.text, row[i].want);
    }
    struct url u;
    struct err *e = url_join("http://a/", "gopher://x/", &u);
    assert_int_equal(err_kind(e), ERR_INVALID);
    err_free(e);
}

static void
encodes(void **state)
{
    (void)state;
    AUTO(str_fini) struct str s = STR_INIT;
    str_add(&s, "http://a/");
    url_encode(&s, "a b/c?\xc3\xa9~-._");
    assert_string_equal(str_c(&s), "http://a/a%20b%2Fc%3F%C3%A9~-._");
    url_add_query(&s, "q", "x&y=z");
    url_add_query(&s, "n", "");
    assert_string_equal(str_c(&s), "http://a/a%20b%2Fc%3F%C3%A9~-._?q=x%26y%3Dz&n=");
    str_reset(&s);
    assert_true(url_decode(&s, "a%20b+c%zz%4", 12, false));
    assert_string_equal(str_c(&s), "a b+c%zz%4");
    str_reset(&s);
    assert_true(url_decode(&s, "a+b%2b", 6, true));
    assert_string_equal(str_c(&s), "a b+");
    assert_false(url_decode(&s, "a%00", 4, true));
}

static void
addresses(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        bool want;
    } row[] = {
        {"127.0.0.1", true},  {"[::1]", true},  {"::1", true},        {"[fe80::1%25eth0]", true},
        {"localhost", false}, {"1.2.3", false}, {"[::1", false},      {"a.b", false},
        {"", false},          {"[]", false},    {"1.2.3.4.5", false},
    };
    for (size_t i = 0; i < COUNT(row); i++)
        assert_int_equal(name_is_address(row[i].host), row[i].want);
}

static void
proxy_exceptions(void **state)
{
    (void)state;
    static const struct {
        const char *list, *host;
        bool want;
    } row[] = {
        {NULL, "a.b", false},
        {"", "a.b", false},
        {"*", "a.b", true},
        {"a.b", "a.b", true},
        {"a.b", "A.B", true},
        {"a.b", "x.a.b", true},
        {"a.b", "xa.b", false},
        {".a.b", "x.a.b", true},
        {".a.b", "a.b", true},
        {"x, a.b ,y", "a.b", true},
        {"x a.b", "a.b", true},
        {"10.0.0.0/8", "10.1.2.3", true},
        {"10.0.0.0/8", "11.1.2.3", false},
        {"10.128.0.0/9", "10.127.0.1", false},
        {"10.0.0.0/33", "10.0.0.1", false},
        {"10.0.0.0/x", "10.0.0.1", false},
        {"127.0.0.1", "127.0.0.1", true},
        {"::1", "[::1]", true},
        {"[::1]", "[::1]", true},
        {"2001:db8::/32", "[2001:db8:1::5]", true},
        {"2001:db8::/32", "[2001:db9::5]", false},
        {"0.0.0.0/0", "[::1]", false},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        if (proxy_is_exempt(row[i].list, row[i].host) != row[i].want)
            fail_msg("no_proxy '%s', host '%s'", row[i].list, row[i].host);
    }
}

TESTS(url_test, cmocka_unit_test(parses), cmocka_unit_test(refuses), cmocka_unit_test(joins),
      cmocka_unit_test(encodes), cmocka_unit_test(addresses), cmocka_unit_test(proxy_exceptions))
