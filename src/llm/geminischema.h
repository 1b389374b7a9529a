/* geminischema.h - JSON Schema cut down to the subset that Gemini's `Schema` object knows.
 *
 * Local references are put in place (to a depth, so that recursive schemas end as "any object"),
 * oneOf becomes anyOf, const becomes enum, ["string","null"] becomes nullable; what it does not
 * know is left out. The result accepts more than the schema did: validate the reply. */
#ifndef LLM_GEMINISCHEMA_H
#define LLM_GEMINISCHEMA_H
#include "base/json.h"

json_t *OWN gemini_schema(const json_t *schema);

#endif
