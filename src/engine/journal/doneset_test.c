/* doneset_test.c - against a plain array, in any order, and there and back as JSON. */
#include "base/test.h"
#include "engine/journal/doneset.h"

#define N 3000

static void
same(const struct doneset *d, const bool *plain)
{
    int64_t low = 0, count = 0;
    for (int64_t i = 0; i < N; i++) {
        assert_int_equal(doneset_has(d, i), plain[i]);
        count += plain[i];
    }
    while (low < N && plain[low])
        low++;
    assert_int_equal(doneset_low(d), low);
    assert_int_equal(d->count, count);
}

static void
there_and_back(const struct doneset *d, const bool *plain)
{
    struct doneset back;
    AUTO(json_freep) json_t *j = doneset_to_json(d);
    assert_ok(doneset_from_json(j, &back));
    same(&back, plain);
    AUTO(json_freep) json_t *again = doneset_to_json(&back);
    assert_true(json_equal(j, again));
    doneset_fini(&back);
}

/* Within a window that moves, as items end; the narrower, the more in order. */
static void
any_order(void **state)
{
    (void)state;
    static const unsigned windows[] = {1, 2, 63, 64, 65, 500, N};
    for (size_t w = 0; w < COUNT(windows); w++) {
        static bool plain[N];
        struct doneset d = {0};
        uint64_t seed = 7;
        memset(plain, 0, sizeof plain);
        for (int64_t round = 0; doneset_low(&d) < N; round++) {
            seed = seed * 6364136223846793005U + 1442695040888963407U;
            int64_t i = doneset_low(&d) + (int64_t)((seed >> 33) % windows[w]);
            if (round % 7 == 0)
                i = doneset_low(&d);
            if (i >= N)
                continue;
            assert_true(doneset_add(&d, i));
            plain[i] = true;
            if (round % 251 == 0) {
                same(&d, plain);
                there_and_back(&d, plain);
            }
        }
        same(&d, plain);
        there_and_back(&d, plain);
        assert_true(d.cap <= 2 * (windows[w] / 64 + 32));
        doneset_fini(&d);
    }
}

static void
limits(void **state)
{
    (void)state;
    struct doneset d = {0};
    assert_false(doneset_has(&d, -1));
    assert_false(doneset_add(&d, -1));
    assert_false(doneset_add(&d, DONESET_AHEAD_MAX));
    assert_false(doneset_has(&d, DONESET_AHEAD_MAX));
    assert_int_equal(doneset_low(&d), 0);
    doneset_fini(&d);
}

static void
refused(void **state)
{
    (void)state;
    static const char *const lists[] = {"[]",      "{}",      "[1,2]",       "[-1]",
                                        "[5,4,4]", "[5,7,6]", "[0,3,4,4,5]", "[0,1,999999999999]"};
    for (size_t i = 0; i < COUNT(lists); i++) {
        AUTO(json_freep) json_t *j = NULL;
        struct doneset d;
        assert_ok(json_parse(lists[i], strlen(lists[i]), &j));
        assert_err(doneset_from_json(j, &d), ERR_INVALID, "a list of what is done that is none");
    }
}

TESTS(doneset_test, cmocka_unit_test(any_order), cmocka_unit_test(limits),
      cmocka_unit_test(refused))
