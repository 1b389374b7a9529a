/* rows.c - rows are found by their ends; their values are read when somebody asks. */
#include "base/rows.h"
#include "base/vec.h"
#include <stdlib.h>
#include <string.h>

enum csv_state { FIELD_BEGIN, FIELD, QUOTED, QUOTE_SEEN };

struct rows {
    enum rows_format format;
    char separator;
    struct str buf;              /* fed and not given away */
    size_t given, looked;        /* in buf: the end of the last row; how far the end of the next was
                                    looked for */
    uint64_t line;               /* of the first byte behind `given` */
    uint64_t lines;              /* line ends between `given` and `looked` */
    enum csv_state state;        /* at `looked` */
    bool begun, ended, skipping; /* skipping: the rest of a row that is too long */
    VEC(char *) columns;         /* of CSV */
};

struct rows *
rows_new(enum rows_format format, char separator)
{
    struct rows *r = xcalloc(1, sizeof *r);
    r->format = format;
    r->separator = separator;
    r->line = 1;
    return r;
}

void
rows_free(struct rows *r)
{
    if (!r)
        return;
    vec_each (&r->columns, name)
        free(*name);
    vec_fini(&r->columns);
    str_fini(&r->buf);
    free(r);
}

void
rows_feed(struct rows *r, const void *bytes, size_t n)
{
    str_cut(&r->buf, r->given);
    r->looked -= r->given;
    r->given = 0;
    str_addn(&r->buf, bytes, n);
}

void
rows_end(struct rows *r)
{
    r->ended = true;
}

/* ---- finding --------------------------------------------------------------- */

/* The line end that ends a row: any, but for one inside of quotes. */
static const char *
line_end(struct rows *r, const char *p, const char *end)
{
    const char *nl = memchr(p, '\n', (size_t)(end - p));
    r->lines += nl != NULL;
    return nl;
}

static enum csv_state
csv_step(const struct rows *r, enum csv_state state, char c)
{
    if (state == QUOTED)
        return c == '"' ? QUOTE_SEEN : QUOTED;
    if (c == '"' && state != FIELD)
        return QUOTED; /* of the field's begin, or the second of a doubled one */
    return c == r->separator || c == '\n' ? FIELD_BEGIN : FIELD;
}

static const char *
record_end(struct rows *r, const char *p, const char *end)
{
    for (; p < end; p++) {
        const bool quoted = r->state == QUOTED;
        r->state = csv_step(r, r->state, *p);
        r->lines += *p == '\n';
        if (*p == '\n' && !quoted)
            return p;
    }
    return NULL;
}

static bool
is_blank(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != ' ' && p[i] != '\t' && p[i] != '\r')
            return false;
    }
    return true;
}

/* Gives away what stands before `end`, and the `skip` bytes of a line end. */
static void
take(struct rows *r, size_t end, size_t skip, struct row *ret_row)
{
    const char *text = r->buf.p + r->given;
    size_t n = end - r->given;
    if (n && text[n - 1] == '\r')
        n--;
    *ret_row = (struct row){
        .text = r->skipping ? "" : text, .len = n, .line = r->line, .too_long = r->skipping};
    if (!r->skipping && n > ROW_BYTES_MAX)
        ret_row->too_long = true;
    if (ret_row->too_long)
        ret_row->len = 0;
    r->given = r->looked = end + skip;
    r->line += r->lines;
    r->lines = 0;
    r->state = FIELD_BEGIN;
    r->skipping = false;
}

/* Of a row without an end in sight nothing is kept but that it was there. */
static void
pass_over(struct rows *r)
{
    if (!r->skipping && r->looked - r->given <= ROW_BYTES_MAX + 1)
        return;
    r->skipping = true;
    r->given = r->looked;
}

static bool
mark_passed(struct rows *r)
{
    if (r->begun)
        return true;
    if (r->buf.len - r->given < 3 && !r->ended)
        return false;
    if (r->buf.len >= 3 && memcmp(r->buf.p, "\xef\xbb\xbf", 3) == 0)
        r->given = r->looked = 3;
    r->begun = true;
    return true;
}

static enum rows_state
row_find(struct rows *r, struct row *ret_row)
{
    if (!mark_passed(r))
        return ROWS_MORE;
    for (;;) {
        if (r->buf.len == r->looked && !(r->ended && (r->looked > r->given || r->skipping)))
            return r->ended ? ROWS_DONE : ROWS_MORE;
        const char *from = r->buf.p + r->looked, *end = r->buf.p + r->buf.len;
        const char *at = r->format == ROWS_CSV ? record_end(r, from, end) : line_end(r, from, end);
        r->looked = at ? (size_t)(at - r->buf.p) : r->buf.len;
        if (!at && !r->ended) {
            pass_over(r);
            return ROWS_MORE;
        }
        take(r, r->looked, at ? 1 : 0, ret_row);
        if (ret_row->too_long || !is_blank(ret_row->text, ret_row->len))
            return ROWS_ROW;
    }
}

/* ---- values ---------------------------------------------------------------- */

static struct err *
text_check(const char *p, size_t n, uint64_t line)
{
    if (memchr(p, '\0', n))
        return FAIL(ERR_INVALID, "line %llu has a NUL byte: is it a text file?",
                    (unsigned long long)line);
    if (!utf8_valid(p, n))
        return FAIL(ERR_INVALID, "line %llu is not UTF-8: save the file in that encoding",
                    (unsigned long long)line);
    return NULL;
}

/* One field from p on, unquoted; returns what follows its separator, or NULL behind the last. */
static const char *
field_read(const struct rows *r, const char *p, const char *end, struct str *to)
{
    bool quoted = p < end && *p == '"';
    str_reset(to);
    for (p += quoted; p < end; p++) {
        if (quoted && *p == '"' && p + 1 < end && p[1] == '"')
            p++;
        else if (quoted && *p == '"') {
            quoted = false;
            continue;
        } else if (!quoted && *p == r->separator)
            return p + 1;
        str_addc(to, *p);
    }
    return NULL;
}

static json_t *
field_json(const struct str *field)
{
    return json_stringn(str_c(field), field->len); /* checked to be UTF-8 with its row */
}

static struct err *
record_value(const struct rows *r, const struct row *row, json_t **ret_value)
{
    AUTO(json_freep) json_t *value = json_object();
    AUTO(str_fini) struct str field = STR_INIT;
    const char *end = row->text + row->len, *p = row->text;
    size_t n = 0;
    for (; p; n++) {
        p = field_read(r, p, end, &field);
        if (n < r->columns.len)
            json_object_set_new(value, r->columns.at[n], field_json(&field));
    }
    if (n != r->columns.len)
        return FAIL(ERR_INVALID, "line %llu has %zu fields, the header %zu",
                    (unsigned long long)row->line, n, r->columns.len);
    *ret_value = STEAL(value);
    return NULL;
}

/* A quote that nobody closes swallows all that follows. */
static bool
is_open(const struct rows *r, const struct row *row)
{
    enum csv_state state = FIELD_BEGIN;
    for (size_t i = 0; i < row->len; i++)
        state = csv_step(r, state, row->text[i]);
    return state == QUOTED;
}

static struct err *
row_check(const struct rows *r, const struct row *row)
{
    if (row->too_long)
        return FAIL(ERR_LIMIT, "line %llu is longer than %zu bytes%s",
                    (unsigned long long)row->line, ROW_BYTES_MAX,
                    r->format == ROWS_CSV ? "; is there a quote that is not closed?" : "");
    if (r->format == ROWS_CSV && is_open(r, row))
        return FAIL(ERR_INVALID, "line %llu has a quote that is not closed",
                    (unsigned long long)row->line);
    return r->format == ROWS_JSONL ? NULL : text_check(row->text, row->len, row->line);
}

struct err *
rows_value(const struct rows *r, const struct row *row, json_t **ret_value)
{
    PASS(row_check(r, row));
    if (r->format == ROWS_CSV)
        return record_value(r, row, ret_value);
    if (r->format == ROWS_JSONL) {
        TRY(json_parse(row->text, row->len, ret_value), "line %llu", (unsigned long long)row->line);
        return NULL;
    }
    *ret_value = json_stringn(row->text, row->len);
    return NULL;
}

/* ---- the header of CSV ----------------------------------------------------- */

static struct err *
column_add(struct rows *r, const struct str *name)
{
    if (r->columns.len == ROW_COLUMNS_MAX)
        return FAIL(ERR_INVALID, "its header has more than %d columns", ROW_COLUMNS_MAX);
    if (!name->len)
        return FAIL(ERR_INVALID, "column %zu of its header has no name", r->columns.len + 1);
    vec_each (&r->columns, before) {
        if (strcmp(*before, str_c(name)) == 0)
            return FAIL(ERR_INVALID, "its header has the column '%s' twice", *before);
    }
    vec_push(&r->columns, xstrdup(str_c(name)));
    return NULL;
}

static struct err *
header_read(struct rows *r, const struct row *row)
{
    AUTO(str_fini) struct str name = STR_INIT;
    const char *end = row->text + row->len;
    TRY(row_check(r, row), "its header");
    for (const char *p = row->text; p;) {
        p = field_read(r, p, end, &name);
        PASS(column_add(r, &name));
    }
    return NULL;
}

struct err *
rows_next(struct rows *r, enum rows_state *ret_state, struct row *ret_row)
{
    enum rows_state state = row_find(r, ret_row);
    if (state == ROWS_ROW && r->format == ROWS_CSV && !r->columns.len) {
        PASS(header_read(r, ret_row));
        state = row_find(r, ret_row);
    }
    *ret_state = state;
    return NULL;
}
