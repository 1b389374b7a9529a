/* budget.h - what may be spent, and what is.
 *
 * Before a call its worst case is reserved; after it the reservation becomes what it took. The one
 * invariant: what is reserved never lets spent + reserved exceed the limit. So no number of calls
 * at once can overspend, as long as each takes no more than its worst case; one that does is
 * counted as it was, and nothing is let through behind it.
 *
 * Money is counted in billionths of a USD, upwards: sums are exact, and errors are on the safe
 * side. Pure; whoever has to wait does so elsewhere. */
#ifndef GUARD_BUDGET_H
#define GUARD_BUDGET_H
#include "base/lang.h"

#define BUDGET_UNLIMITED INT64_MAX

struct amount {
    int64_t nusd, tokens;
};
struct amount amount_add(struct amount a, struct amount b); /* saturating */
struct amount amount_max(struct amount a, struct amount b); /* of each */
struct amount amount_min(struct amount a, struct amount b);
struct amount amount_less(struct amount a, struct amount b); /* a without b; not below 0 */
bool amount_is_zero(struct amount a);
bool amount_exceeds(struct amount a, struct amount b); /* in money or in tokens */
int64_t nusd_of(double usd); /* up to the next billionth; less than that of an error is none */
double usd_of(int64_t nusd);

struct budget {          /* embed it; only budget.c writes, `limit` apart */
    struct amount limit; /* BUDGET_UNLIMITED: not of this */
    struct amount spent, reserved;
};
enum budget_answer {
    BUDGET_FITS,
    BUDGET_LATER, /* when what others have reserved turns out to be less */
    BUDGET_NEVER,
};
enum budget_answer budget_ask(const struct budget *b, struct amount need);
void budget_reserve(struct budget *b, struct amount need); /* only what fits */
void budget_settle(struct budget *b, struct amount reserved, struct amount spent);
void budget_refund(struct budget *b, struct amount spent); /* it was counted, and not taken */
bool budget_is_exceeded(const struct budget *b);           /* by what is spent alone */
#endif
