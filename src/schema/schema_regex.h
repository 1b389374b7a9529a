/* schema_regex.h - the regular expressions of JSON Schema: ECMA-262, Unicode mode, not anchored.
 *
 * They are rewritten for PCRE2 where the two differ (\d and \w are ASCII, \s is not, \u{..}, \cX,
 * '$' only at the very end, '[' has no meaning inside a class). Refused: what ECMA has not and what
 * could leave the limits (recursion, verbs, callouts, \C, \K). The Python forms (?P<n>..), (?P=n),
 * \A, \Z and flags such as (?i) are accepted unless `strict`.
 *
 * Deviations: lookbehind must be of bounded length; \S inside a class takes ASCII space only.
 * A match is paid from *left, by what it may have cost (as in schema_value.h). */
#ifndef SCHEMA_SCHEMA_REGEX_H
#define SCHEMA_SCHEMA_REGEX_H
#include "base/err.h"

struct regex;
struct regex_room; /* memory for matching; one a thread */

/* ERR_INVALID with the offset and the reason. */
struct err *MUST regex_compile(const char *pattern, size_t n, bool strict,
                               struct regex **OWN ret_regex);
void regex_free(struct regex *OWN r); /* accepts NULL */

struct regex_room *OWN regex_room_new(void);
void regex_room_free(struct regex_room *OWN room); /* accepts NULL */

/* False and *left < 0 when the limits ended the search. Invalid UTF-8 never matches. */
bool
regex_match(const struct regex *r, struct regex_room *room, const char *s, size_t n, int64_t *left);
#endif
