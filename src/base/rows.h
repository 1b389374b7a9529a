/* rows.h - one record after the other from the bytes of a data file.
 *
 * Fed with pieces of any size, it gives whole rows: the lines of JSONL and of plain text, the
 * records of CSV (RFC 4180: a field in quotes may hold separators and line ends, a quote in it is
 * doubled; the first record names the columns). A byte order mark, CRLF and blank lines are no
 * content. Pure: it knows no file, and holds one row and what was fed last, never more.
 *
 * Finding a row and reading its value are two things, so that rows nobody needs cost little. */
#ifndef BASE_ROWS_H
#define BASE_ROWS_H
#include "base/json.h"

#define ROW_BYTES_MAX   ((size_t)1 << 20)
#define ROW_COLUMNS_MAX 4096

enum rows_format { ROWS_JSONL, ROWS_CSV, ROWS_TEXT };

struct rows;
struct rows *OWN rows_new(enum rows_format format, char separator); /* separator: of CSV */
void rows_free(struct rows *OWN r);                                 /* accepts NULL */
void rows_feed(struct rows *r, const void *bytes, size_t n);
void rows_end(struct rows *r); /* nothing more will be fed */

enum rows_state {
    ROWS_MORE, /* feed it, or say that this was all */
    ROWS_ROW,
    ROWS_DONE,
};
struct row { /* borrowed from the rows until they are asked or fed again */
    const char *text;
    size_t len;
    uint64_t line; /* where it begins; 1, 2, ... */
    bool too_long; /* more than ROW_BYTES_MAX: passed over, there is no text */
};
/* ERR_INVALID: the header of CSV cannot be used, so no row can. */
struct err *MUST rows_next(struct rows *r, enum rows_state *ret_state, struct row *ret_row);

/* The value of the row that was given last: any JSON value, an object by column, or a text.
 * ERR_INVALID says what is wrong with it and on which line; the rows go on. */
struct err *MUST rows_value(const struct rows *r, const struct row *row, json_t **OWN ret_value);

#endif
