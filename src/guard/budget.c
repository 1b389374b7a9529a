/* budget.c - sums of money and tokens that cannot overflow. */
#include "guard/budget.h"
#include <assert.h>
#include <math.h>

#define NUSD_PER_USD 1e9

struct amount
amount_add(struct amount a, struct amount b)
{
    return (struct amount){add_saturating(a.nusd, b.nusd), add_saturating(a.tokens, b.tokens)};
}

struct amount
amount_max(struct amount a, struct amount b)
{
    return (struct amount){MAX(a.nusd, b.nusd), MAX(a.tokens, b.tokens)};
}

struct amount
amount_min(struct amount a, struct amount b)
{
    return (struct amount){MIN(a.nusd, b.nusd), MIN(a.tokens, b.tokens)};
}

struct amount
amount_less(struct amount a, struct amount b)
{
    return (struct amount){MAX(a.nusd - b.nusd, 0), MAX(a.tokens - b.tokens, 0)};
}

bool
amount_is_zero(struct amount a)
{
    return !a.nusd && !a.tokens;
}

bool
amount_exceeds(struct amount a, struct amount b)
{
    return a.nusd > b.nusd || a.tokens > b.tokens;
}

int64_t
nusd_of(double usd)
{
    const double nusd = ceil(usd * NUSD_PER_USD - 1e-3); /* 0.05 is a little more than that */
    if (!(nusd > 0))
        return 0;
    return nusd < 9e18 ? (int64_t)nusd : INT64_MAX;
}

double
usd_of(int64_t nusd)
{
    return (double)nusd / NUSD_PER_USD;
}

enum budget_answer
budget_ask(const struct budget *b, struct amount need)
{
    const struct amount least = amount_add(b->spent, need);
    if (amount_exceeds(least, b->limit))
        return BUDGET_NEVER;
    return amount_exceeds(amount_add(least, b->reserved), b->limit) ? BUDGET_LATER : BUDGET_FITS;
}

void
budget_reserve(struct budget *b, struct amount need)
{
    assert(budget_ask(b, need) == BUDGET_FITS);
    b->reserved = amount_add(b->reserved, need);
}

void
budget_settle(struct budget *b, struct amount reserved, struct amount spent)
{
    assert(!amount_exceeds(reserved, b->reserved));
    b->reserved.nusd -= reserved.nusd;
    b->reserved.tokens -= reserved.tokens;
    b->spent = amount_add(b->spent, spent);
}

void
budget_refund(struct budget *b, struct amount spent)
{
    b->spent = amount_less(b->spent, spent);
}

bool
budget_is_exceeded(const struct budget *b)
{
    return amount_exceeds(b->spent, b->limit);
}
