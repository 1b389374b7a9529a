/* doneset.h - which of 0, 1, 2, ... are done, in little memory.
 *
 * All below one number are, and a bitmap says it for those above: what is done nearly in order
 * costs a few bytes, however much it is. Written as JSON it is that number and the ranges above it:
 * [low, first, last, first, last, ...]. */
#ifndef ENGINE_DONESET_H
#define ENGINE_DONESET_H
#include "base/json.h"

#define DONESET_AHEAD_MAX ((int64_t)1 << 28) /* above the first that is missing */

struct doneset {
    uint64_t *words;       /* the bitmap: from head to len */
    size_t head, len, cap; /* in words */
    int64_t base;          /* of words[head]; all below are done */
    int64_t count;
};
void doneset_fini(struct doneset *d);
bool doneset_has(const struct doneset *d, int64_t i);
bool doneset_add(struct doneset *d, int64_t i); /* false: it is beyond what can be kept */
int64_t doneset_low(const struct doneset *d);   /* the first that is missing */
json_t *OWN doneset_to_json(const struct doneset *d);
struct err *MUST doneset_from_json(const json_t *j, struct doneset *ret_set); /* ERR_INVALID */

#endif
