/* budgetcheck.h - can the budgets of a plan be held?
 *
 * A budget that is enforced needs the worst case of every call in advance: a limit on each reply,
 * and for money a price. Every model that can be reached below it is looked at: of agents, of
 * agents that they call as tools, of fallbacks, of models that choose and plan. */
#ifndef APP_BUDGETCHECK_H
#define APP_BUDGETCHECK_H
#include "plan/plan.h"
#include "spec/spec.h"

struct budget_check { /* all borrowed for the call */
    const struct spec *spec;
    const struct plan *plan;
    struct err *(*expand)(void *ctx, const char *text, char **OWN ret_text)MUST;
    void *ctx;
};
/* ERR_INVALID: a list, each with its place. */
struct err *MUST budget_check(const struct budget_check *q);
/* Of every workflow of the file; q->plan is not looked at. Needs more stack than a fiber
 * has. */
struct err *MUST budget_check_all(const struct budget_check *q, const struct plan_source *source,
                                  struct expr_space *space);
#endif
