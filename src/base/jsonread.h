/* jsonread.h - the quick way through JSON that has no mistakes.
 *
 * jansson reads a byte at a time and costs about 15 ns for each; a model's answer is parsed for
 * every call. This reader takes strings in one piece. It never has the last word: whatever it does
 * not take (a mistake, a key that comes twice, an escape that is no character) it leaves to
 * jansson, which then refuses it with its reasons. What it takes has exactly the value jansson
 * would give; and an integer beyond 64 bits, which jansson refuses, is a real, alone: a document
 * read by jansson would have to take all its integers as reals. json_parse and json_pick use it;
 * nobody else needs it. */
#ifndef BASE_JSONREAD_H
#define BASE_JSONREAD_H
#include "base/json.h"

/* depth: how far it may be nested. NULL: not for this reader. */
json_t *OWN json_read_plain(const char *text, size_t n, int depth);
/* json_pick of an object; false: not for this reader, and nothing is set. */
bool json_pick_plain(const char *text, size_t n, const struct json_want *want, size_t count);
/* Where the next quote, backslash or control character is, or end; *high: bytes before it are not
 * all ASCII (else unchanged). */
const char *json_plain_end(const char *p, const char *end, bool *high);

#endif
