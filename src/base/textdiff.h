/* textdiff.h - what differs between two texts, line by line, in the unified form.
 *
 * Myers' greedy algorithm (An O(ND) Difference Algorithm, 1986) within bounds: texts that differ in
 * too much are said to, and not compared. No library was found that does this and nothing else. */
#ifndef BASE_TEXTDIFF_H
#define BASE_TEXTDIFF_H
#include "base/str.h"

#define TEXTDIFF_LINES_MAX 50000 /* of a text */
#define TEXTDIFF_EDITS_MAX 1000  /* lines taken out and put in */

/* Appends hunks of lines with "-", "+" and " " in front, each under its "@@ -1,2 +1,3 @@"; nothing
 * when the texts have the same lines. False: beyond the bounds, nothing is appended. */
bool text_diff(const char *a, const char *b, unsigned context, struct str *to);

#endif
