/* sse_test.c - streams by tables, each in every fragmentation that matters. */
#include "base/test.h"
#include "net/sse.h"

/* Feeds the text in pieces of `step` bytes and writes what comes out as "type|id|data;". */
static struct err *
parse(const char *text, size_t n, size_t step, size_t max, struct str *to)
{
    AUTO(sse_fini) struct sse s = SSE_INIT(max);
    for (size_t at = 0; at < n; at += step) {
        sse_feed(&s, text + at, MIN(step, n - at));
        for (;;) {
            struct sse_event ev;
            bool got;
            PASS(sse_next(&s, &ev, &got));
            if (!got)
                break;
            assert_int_equal(strlen(ev.data), ev.data_len);
            str_addf(to, "%s|%s|%s;", ev.type, ev.id, ev.data);
        }
    }
    if (sse_retry_ms(&s) >= 0)
        str_addf(to, "retry %lld", (long long)sse_retry_ms(&s));
    return NULL;
}

static const struct {
    const char *text, *want;
} rows[] = {
    {"", ""},
    {"data: a\n\n", "message||a;"},
    {"data: a\r\rdata: b\r\n\r\ndata: c\n\n", "message||a;message||b;message||c;"},
    {"data:a\ndata: b\ndata:  c\n\n", "message||a\nb\n c;"},
    {"data\n\ndata\ndata\n\ndata:", "message||;message||\n;"}, /* the standard's own example */
    {": comment\n\n:\ndata: x\n\n", "message||x;"},
    {"event: add\ndata: 1\n\ndata: 2\n\n", "add||1;message||2;"},
    {"event: add\n\ndata: 2\n\n", "message||2;"}, /* no data: no event, the type is forgotten */
    {"id: 7\ndata: 1\n\ndata: 2\n\nid\ndata: 3\n\n", "message|7|1;message|7|2;message||3;"},
    {"id: 7\n\ndata: 2\n\n", "message|7|2;"},
    {"\xef\xbb\xbf"
     "data: b\n\n",
     "message||b;"},
    {"\xef\xbb"
     "data: b\n\n",
     ""}, /* not a BOM: an unknown field */
    {"\xef\xbb\xbf\xef\xbb\xbf"
     "data: b\n\n",
     ""}, /* only one is skipped */
    {"data: unfinished\n", ""},
    {"data: unfinished", ""},
    {"unknown: x\ndata : y\nDATA: z\n data: w\ndata: v\n\n", "message||v;"},
    {"retry: 1500\ndata: a\n\n", "message||a;retry 1500"},
    {"retry: 15x\nretry: -1\nretry:\n\n", ""},
    {"retry: 99999999999999999999999999\n\n", "retry 86400000"},
    {"data: a:b: c\n\n", "message||a:b: c;"},
    {"\n\n\r\n\r\rdata: a\n\n", "message||a;"},
    {"event: x\nevent: y\ndata: a\n\n", "y||a;"},
};

static void
streams(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t n = strlen(rows[i].text);
        for (size_t step = 1; step <= n + 1; step++) {
            AUTO(str_fini) struct str got = STR_INIT;
            assert_ok(parse(rows[i].text, n, step, 1000, &got));
            assert_string_equal(str_c(&got), rows[i].want);
        }
    }
}

static void
ids_with_nul_are_ignored(void **state)
{
    (void)state;
    static const char text[] = "id: 1\nid: 2\0x\ndata: a\n\n";
    AUTO(str_fini) struct str got = STR_INIT;
    assert_ok(parse(text, sizeof text - 1, 3, 100, &got));
    assert_string_equal(str_c(&got), "message|1|a;");
}

static void
limits(void **state)
{
    (void)state;
    static const struct {
        const char *text, *before, *error;
    } row[] = {
        {"data: a\n\ndata: 0123456789abcdef\n\n", "message||a;",
         "a line of the event stream is longer than 16 bytes"},
        {": 0123456789abcdef", "", "a line of the event stream is longer than 16 bytes"},
        {"data: 12345678\ndata: 12345678\n\n", "",
         "an event of the stream is longer than 16 bytes"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        for (size_t step = 1; step < 40; step++) {
            AUTO(str_fini) struct str got = STR_INIT;
            assert_err(parse(row[i].text, strlen(row[i].text), step, 16, &got), ERR_LIMIT,
                       row[i].error);
            assert_string_equal(str_c(&got), row[i].before);
        }
    }
    AUTO(str_fini) struct str got = STR_INIT; /* exactly at the limit */
    assert_ok(parse("data: 0123456789\n\n", 18, 5, 16, &got));
    assert_string_equal(str_c(&got), "message||0123456789;");
}

static void
stays_broken(void **state)
{
    (void)state;
    AUTO(sse_fini) struct sse s = SSE_INIT(4);
    struct sse_event ev;
    bool got;
    sse_feed(&s, "too long\n", 9);
    err_free(sse_next(&s, &ev, &got));
    sse_feed(&s, "data:\n\n", 7);
    assert_err(sse_next(&s, &ev, &got), ERR_LIMIT, "the event stream went over its limit before");
    assert_false(got);
}

static void
written_and_read_back(void **state)
{
    (void)state;
    AUTO(str_fini) struct str s = STR_INIT;
    sse_write(&s, "note", "4\n2", "one\r\ntwo\rthree\n");
    assert_string_equal(str_c(&s),
                        "event: note\nid: 42\ndata: one\ndata: two\ndata: three\ndata: \n\n");
    AUTO(str_fini) struct str got = STR_INIT;
    assert_ok(parse(str_c(&s), s.len, 7, 100, &got));
    assert_string_equal(str_c(&got), "note|42|one\ntwo\nthree\n;");
    str_reset(&s);
    sse_write(&s, NULL, NULL, "");
    assert_string_equal(str_c(&s), "data: \n\n");
}

/* Feeding byte by byte must not search or move what was seen before again and again. */
static void
long_lines_in_small_pieces(void **state)
{
    (void)state;
    enum { N = 1000000 };
    char *text = xmalloc(N);
    memset(text, 'x', N);
    memcpy(text, "data: ", 6);
    memcpy(text + N - 2, "\n\n", 2);
    AUTO(str_fini) struct str got = STR_INIT;
    assert_ok(parse(text, N, 1, N, &got));
    free(text);
    assert_int_equal(got.len, N - 8 + strlen("message||;"));
}

TESTS(sse_test, cmocka_unit_test(streams), cmocka_unit_test(ids_with_nul_are_ignored),
      cmocka_unit_test(limits), cmocka_unit_test(stays_broken),
      cmocka_unit_test(written_and_read_back), cmocka_unit_test(long_lines_in_small_pieces))
