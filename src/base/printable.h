/* printable.h - foreign text on a terminal: it cannot move the cursor, and its width is known.
 *
 * Widths are those of common terminals: letters of East Asia and emoji take two columns, combining
 * marks none. */
#ifndef BASE_PRINTABLE_H
#define BASE_PRINTABLE_H
#include "base/str.h"

/* Appends the text with what a terminal would obey replaced by blanks; invalid bytes by U+FFFD. */
void printable_add(struct str *to, const char *text, size_t n);
/* The same, but lines stay lines, and tabs tabs. */
void printable_lines(struct str *to, const char *text, size_t n);
size_t printable_columns(const char *text, size_t n); /* of valid UTF-8 */
/* The same as printable_add, cut to so many columns ("..." at its end when there is room for it),
 * and filled with blanks up to them when `fill`. */
void printable_fit(struct str *to, const char *text, size_t columns, bool fill);

#endif
