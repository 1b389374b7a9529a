/* budget_test.c - what fits, what waits, what never will; sums that are exact and cannot overflow.
 */
#include "base/test.h"
#include "guard/budget.h"

#define NO BUDGET_UNLIMITED

static void
answers(void **state)
{
    (void)state;
    static const struct {
        struct amount limit, spent, reserved, need;
        enum budget_answer want;
    } row[] = {
        {{100, NO}, {0, 0}, {0, 0}, {100, 7}, BUDGET_FITS},
        {{100, NO}, {0, 0}, {0, 0}, {101, 0}, BUDGET_NEVER},
        {{100, NO}, {40, 9}, {40, 9}, {20, 9}, BUDGET_FITS},
        {{100, NO}, {40, 0}, {40, 0}, {21, 0}, BUDGET_LATER},
        {{100, NO}, {40, 0}, {40, 0}, {61, 0}, BUDGET_NEVER},
        {{NO, 100}, {40, 40}, {40, 40}, {9, 20}, BUDGET_FITS},
        {{NO, 100}, {40, 40}, {40, 40}, {9, 21}, BUDGET_LATER},
        {{NO, 100}, {40, 40}, {0, 0}, {9, 61}, BUDGET_NEVER},
        {{100, 10}, {0, 9}, {99, 0}, {1, 1}, BUDGET_FITS},
        {{100, 10}, {0, 9}, {100, 0}, {1, 1}, BUDGET_LATER},
        {{100, 10}, {0, 10}, {100, 0}, {1, 1}, BUDGET_NEVER}, /* one of both is enough */
        {{0, NO}, {0, 0}, {0, 0}, {0, 5}, BUDGET_FITS},
        {{0, NO}, {0, 0}, {0, 0}, {1, 0}, BUDGET_NEVER},
        {{100, NO}, {INT64_MAX, 0}, {0, 0}, {INT64_MAX, 0}, BUDGET_NEVER},
        {{100, NO}, {120, 0}, {0, 0}, {0, 0}, BUDGET_NEVER}, /* more was taken than was said */
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        const struct budget b = {
            .limit = row[i].limit, .spent = row[i].spent, .reserved = row[i].reserved};
        if (budget_ask(&b, row[i].need) != row[i].want)
            print_error("row %zu\n", i);
        assert_int_equal(budget_ask(&b, row[i].need), row[i].want);
    }
}

static void
settling(void **state)
{
    (void)state;
    struct budget b = {.limit = {100, 1000}};
    const struct amount need = {50, 400};
    budget_reserve(&b, need);
    budget_reserve(&b, need);
    assert_int_equal(budget_ask(&b, (struct amount){1, 1}), BUDGET_LATER);
    budget_settle(&b, need, (struct amount){10, 20});
    assert_int_equal(budget_ask(&b, (struct amount){40, 1}), BUDGET_FITS);
    assert_int_equal(budget_ask(&b, (struct amount){41, 1}), BUDGET_LATER);
    budget_settle(&b, need, (struct amount){91, 0});
    assert_int_equal(b.reserved.nusd + b.reserved.tokens, 0);
    assert_int_equal(b.spent.nusd, 101);
    assert_true(budget_is_exceeded(&b));
    assert_int_equal(budget_ask(&b, (struct amount){0, 0}), BUDGET_NEVER);
    const struct amount most = amount_max((struct amount){1, 9}, (struct amount){5, 2});
    assert_int_equal(most.nusd, 5);
    assert_int_equal(most.tokens, 9);
    assert_true(amount_is_zero((struct amount){0, 0}));
    assert_false(amount_is_zero((struct amount){0, 1}));
}

static void
money(void **state)
{
    (void)state;
    static const struct {
        double usd;
        int64_t want;
    } row[] = {{0, 0},
               {-1, 0},
               {0.05, 50000000},
               {0.1 + 0.2, 300000000}, /* a little more than 0.3 */
               {1e-9, 1},
               {1.2e-9, 2}, /* upwards */
               {1e-13, 0},
               {1e9, 1000000000000000000},
               {1e300, INT64_MAX},
               {4096.5, 4096500000000}};
    for (size_t i = 0; i < COUNT(row); i++) {
        if (nusd_of(row[i].usd) != row[i].want)
            print_error("row %zu: %lld\n", i, (long long)nusd_of(row[i].usd));
        assert_int_equal(nusd_of(row[i].usd), row[i].want);
    }
    for (int64_t n = 1; n < 1000000000000; n = n * 7 + 3)
        assert_int_equal(nusd_of(usd_of(n)), n); /* as it comes back from a record */
}

TESTS(budget_test, cmocka_unit_test(answers), cmocka_unit_test(settling), cmocka_unit_test(money))
