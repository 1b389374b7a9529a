/* hedgecheck.h - is every hedge on a call that may be sent twice? */
#ifndef APP_HEDGECHECK_H
#define APP_HEDGECHECK_H
#include "spec/spec.h"

/* ERR_INVALID: a list, each with its place. What only a run can tell (an HTTP method that a
 * template makes, the effect of a tool) is left to it: there a `once` call has no second. */
struct err *MUST hedge_check(const struct spec *spec);
#endif
