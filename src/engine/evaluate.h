/* evaluate.h - conditions and templates of a plan, on the large stack: Lua needs more than a fiber
 * has. */
#ifndef ENGINE_EVALUATE_H
#define ENGINE_EVALUATE_H
#include "plan/plan.h"

struct err *MUST evaluate_test(const struct expr *condition, const struct expr_scope *scope,
                               bool *ret_truth);
struct err *MUST evaluate_value(const struct value_template *v, const struct expr_scope *scope,
                                json_t **OWN ret_value);
/* t NULL: there is nothing to fill in, and *ret_text stays as it is. */
struct err *MUST evaluate_text(const struct template *t, const struct expr_scope *scope,
                               char **OWN ret_text);

#endif
