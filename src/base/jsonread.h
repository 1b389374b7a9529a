/* jsonread.h - the quick way through JSON that has nothing unusual in it.
 *
 * jansson reads a byte at a time and costs about 15 ns for each; a model's answer is parsed for
 * every call. This reader takes strings in one piece. It never has the last word: whatever it does
 * not take (a mistake, an escape that is no character, a number of many digits) it leaves to
 * jansson, which then reads or refuses it with its reasons. What it takes has exactly the value
 * jansson would give. json_parse uses it; nobody else needs it. */
#ifndef BASE_JSONREAD_H
#define BASE_JSONREAD_H
#include "base/json.h"

json_t *OWN json_read_plain(const char *text, size_t n); /* NULL: not for this reader */

#endif
