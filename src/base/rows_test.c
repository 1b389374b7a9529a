/* rows_test.c - rows are the same however their bytes arrive, and bad ones say where they are. */
#include "base/rows.h"
#include "base/test.h"

/* What the rows are, fed n bytes at a time. */
static char *
rows_told(enum rows_format format, const char *text, size_t len, size_t n)
{
    struct str out = STR_INIT;
    struct rows *r = rows_new(format, ',');
    enum rows_state state = ROWS_MORE;
    size_t fed = 0;
    while (state != ROWS_DONE) {
        struct row row;
        struct err *e = rows_next(r, &state, &row);
        if (e) {
            AUTO(freep) char *told = err_text(e);
            str_addf(&out, "refused: %s\n", told);
            err_free(e);
            break;
        }
        if (state == ROWS_MORE && fed == len) {
            rows_end(r);
        } else if (state == ROWS_MORE) {
            size_t piece = MIN(n, len - fed);
            rows_feed(r, text + fed, piece);
            fed += piece;
        } else if (state == ROWS_ROW) {
            json_t *value = NULL;
            e = rows_value(r, &row, &value);
            AUTO(freep) char *told = e ? err_text(e) : json_text(value);
            str_addf(&out, "%llu %s\n", (unsigned long long)row.line, told);
            err_free(e);
            json_decref(value);
        }
    }
    rows_free(r);
    return str_steal(&out);
}

static const struct {
    enum rows_format format;
    const char *text, *told;
} tables[] = {
    {ROWS_JSONL, "", ""},
    {ROWS_JSONL, "\xef\xbb\xbf", ""},
    {ROWS_JSONL, "1", "1 1\n"},
    {ROWS_JSONL, "\xef\xbb\xbf{\"a\":1}\r\n\n  \r\n[2]\n", "1 {\"a\":1}\n4 [2]\n"},
    {ROWS_JSONL, "null\nnope\n\"x\"",
     "1 null\n2 line 2: not JSON: invalid token near 'nope' at line 1, column 4\n3 \"x\"\n"},
    {ROWS_TEXT, "one\r\n\n two \n", "1 \"one\"\n3 \" two \"\n"},
    {ROWS_TEXT, "a\xff\nb", "1 line 1 is not UTF-8: save the file in that encoding\n2 \"b\"\n"},
    {ROWS_CSV, "", ""},
    {ROWS_CSV, "a,b\n", ""},
    {ROWS_CSV,
     "\xef\xbb\xbf"
     "a,b\r\n1,2\r\n,\r\n",
     "2 {\"a\":\"1\",\"b\":\"2\"}\n3 {\"a\":\"\",\"b\":\"\"}\n"},
    {ROWS_CSV, "a,\"b c\"\n\"x,\"\"y\"\"\nz\",2\n3,4",
     "2 {\"a\":\"x,\\\"y\\\"\\nz\",\"b c\":\"2\"}\n4 {\"a\":\"3\",\"b c\":\"4\"}\n"},
    {ROWS_CSV, "a,b\n1\n1,2,3\n5,6\n",
     "2 line 2 has 1 fields, the header 2\n3 line 3 has 3 fields, the header 2\n4 "
     "{\"a\":\"5\",\"b\":\"6\"}\n"},
    {ROWS_CSV, "a,b\n1\"2,\"3\"4\n", "2 {\"a\":\"1\\\"2\",\"b\":\"34\"}\n"},
    {ROWS_CSV, "a,b\n1,\"2\n3,4\n", "2 line 2 has a quote that is not closed\n"},
    {ROWS_CSV, "a,a\n1,2\n", "refused: its header has the column 'a' twice\n"},
    {ROWS_CSV, "a,\n1,2\n", "refused: column 2 of its header has no name\n"},
    {ROWS_CSV, "\xe4,b\n1,2\n",
     "refused: its header: line 1 is not UTF-8: save the file in that encoding\n"},
};

static void
tables_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(tables); i++) {
        for (size_t n = 1; n < 12; n++) {
            AUTO(freep)
            char *told = rows_told(tables[i].format, tables[i].text, strlen(tables[i].text), n);
            assert_string_equal(told, tables[i].told);
        }
    }
}

static void
nul(void **state)
{
    (void)state;
    AUTO(freep) char *told = rows_told(ROWS_TEXT, "a\0b\nc", 5, 2);
    assert_string_equal(told, "1 line 1 has a NUL byte: is it a text file?\n2 \"c\"\n");
}

/* A row that is too long costs its own item and no memory. */
static void
too_long(void **state)
{
    (void)state;
    static const enum rows_format formats[] = {ROWS_JSONL, ROWS_CSV, ROWS_TEXT};
    const size_t sizes[] = {ROW_BYTES_MAX + 1, 3 * ROW_BYTES_MAX};
    for (size_t i = 0; i < COUNT(formats) * COUNT(sizes); i++) {
        const enum rows_format format = formats[i % COUNT(formats)];
        AUTO(str_fini) struct str text = STR_INIT;
        str_add(&text, format == ROWS_CSV ? "head\n" : "1\n");
        for (size_t k = 0; k < sizes[i / COUNT(formats)]; k++)
            str_addc(&text, '7');
        str_add(&text, "\n2\n");
        AUTO(freep) char *told = rows_told(format, text.p, text.len, 100000);
        const char *at = strstr(told, "2 line 2 is longer than 1048576 bytes");
        assert_non_null(at);
        assert_non_null(strstr(at, format == ROWS_CSV    ? "closed?\n3 {\"head\":\"2\"}\n"
                                   : format == ROWS_TEXT ? "bytes\n3 \"2\"\n"
                                                         : "bytes\n3 2\n"));
    }
    AUTO(str_fini) struct str last = STR_INIT;
    for (size_t k = 0; k < 2 * ROW_BYTES_MAX; k++)
        str_addc(&last, '7');
    AUTO(freep) char *told = rows_told(ROWS_JSONL, last.p, last.len, 65536);
    assert_string_equal(told, "1 line 1 is longer than 1048576 bytes\n");
}

static void
columns(void **state)
{
    (void)state;
    AUTO(str_fini) struct str text = STR_INIT;
    for (int i = 0; i <= ROW_COLUMNS_MAX; i++)
        str_addf(&text, "%sc%d", i ? "," : "", i);
    AUTO(freep) char *told = rows_told(ROWS_CSV, text.p, text.len, 4096);
    assert_string_equal(told, "refused: its header has more than 4096 columns\n");
}

TESTS(rows_test, cmocka_unit_test(tables_told), cmocka_unit_test(nul), cmocka_unit_test(too_long),
      cmocka_unit_test(columns))
