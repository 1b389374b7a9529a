/* doubt.h - what somebody believes of the steps that are in doubt: `once`, begun, and not recorded
 * as ended when their process died.
 *
 * As text: an answer for all of them, "done"; or answers for some, "pay=done,mail/call=retry",
 * where the path is that of the step or of a node around it. Both can stand together:
 * "retry,pay=done". */
#ifndef ENGINE_DOUBT_H
#define ENGINE_DOUBT_H
#include "base/err.h"

enum in_doubt {
    IN_DOUBT_PARK,  /* ask: the run waits */
    IN_DOUBT_DONE,  /* it was carried out; its result is lost: null */
    IN_DOUBT_RETRY, /* it was not: run it */
    IN_DOUBT_FAIL,  /* let it fail */
};
struct doubts;
/* NULL: park them all. ERR_INVALID names what is not understood. */
struct err *MUST doubts_parse(const char *text, struct doubts **OWN ret_doubts);
void doubts_free(struct doubts *OWN d); /* accepts NULL */
/* For the step at the path: its own answer before that of the nearest node, else the one for all.
 */
enum in_doubt doubts_answer(const struct doubts *d, const char *path);
/* The path of the nth answer for some, or NULL behind the last. */
const char *doubts_path(const struct doubts *d, size_t n);
/* True when an answer for `of` is one for the step at `path`. */
bool doubts_covers(const char *of, const char *path);

#endif
