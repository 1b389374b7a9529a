/* jsonish.h - the JSON value a model's text holds.
 *
 * Asked for JSON, models wrap it in prose, in fences, behind their thinking. In this order: the
 * whole text; the first fenced block that parses; the longest object or array that stands anywhere
 * in the text (prose has brackets of its own, "[1]", and these are short). Nothing is repaired:
 * what does not parse is not there. Linear in the text. */
#ifndef LLM_JSONISH_H
#define LLM_JSONISH_H
#include "base/json.h"

#define JSONISH_BYTES_MAX (16 << 20) /* longer texts hold nothing */

/* NULL when the text holds no JSON. A whole text may be any JSON value; one found inside is an
 * object or an array. */
json_t *OWN jsonish_find(const char *text, size_t n);

#endif
