/* rows_fuzz.c - any bytes as a file of items, cut in any way: the rows must be the same.
 *
 * The first byte of the input chooses the format, the second how the rest is cut. Lines of text and
 * of JSON must be those that a plain split at line ends finds. */
#include "base/rows.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* Everything that comes out, as one text: lengths keep it free of doubt. */
static size_t
rows_told(struct rows *r, const uint8_t *bytes, size_t n, unsigned cut, struct str *out)
{
    enum rows_state state = ROWS_MORE;
    size_t at = 0, count = 0;
    uint64_t line = 0;
    while (state != ROWS_DONE) {
        struct row row;
        json_t *value = NULL;
        struct err *e = rows_next(r, &state, &row);
        if (!e && state == ROWS_MORE) {
            size_t step = cut ? 1 + (at * 7 + cut) % cut : n;
            step = MIN(step, n - at);
            if (step)
                rows_feed(r, bytes + at, step);
            else
                rows_end(r);
            at += step;
            continue;
        }
        const bool over = e != NULL;
        if (!e && state == ROWS_ROW) {
            assert(row.line > line);
            line = row.line;
            count++;
            str_addf(out, "%llu %zu ", (unsigned long long)row.line, row.len);
            e = rows_value(r, &row, &value);
            assert((e == NULL) == (value != NULL));
        }
        AUTO(freep) char *text = e ? err_text(e) : value ? json_text(value) : xstrdup("");
        str_addf(out, "%zu %s;", strlen(text), text);
        err_free(e);
        json_decref(value);
        if (over)
            break;
    }
    rows_free(r);
    return count;
}

static size_t
lines_of(const uint8_t *bytes, size_t n)
{
    size_t count = 0;
    if (n >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) {
        bytes += 3;
        n -= 3;
    }
    for (size_t i = 0; i < n;) {
        bool blank = true;
        for (; i < n && bytes[i] != '\n'; i++)
            blank &= bytes[i] == ' ' || bytes[i] == '\t' || bytes[i] == '\r';
        count += !blank;
        i++;
    }
    return count;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const char separators[] = ",;\t|";
    AUTO(str_fini) struct str whole = STR_INIT, cut = STR_INIT;
    if (n < 2)
        return 0;
    const enum rows_format format = bytes[0] % 3;
    const char separator = separators[bytes[0] / 3 % 4];
    const size_t count = rows_told(rows_new(format, separator), bytes + 2, n - 2, 0, &whole);
    rows_told(rows_new(format, separator), bytes + 2, n - 2, 1u + bytes[1] % 16, &cut);
    if (whole.len != cut.len || memcmp(str_c(&whole), str_c(&cut), cut.len) != 0)
        abort();
    assert(format == ROWS_CSV || count == lines_of(bytes + 2, n - 2));
    return 0;
}
