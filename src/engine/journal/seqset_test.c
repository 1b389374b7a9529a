/* seqset_test.c - numbers by their bits, against a plain array of truths. */
#include "base/test.h"
#include "engine/journal/seqset.h"
#include <string.h>

#define FAR ((int64_t)1 << 40)

static void
few(void **state)
{
    struct seqset s = {0};
    (void)state;
    assert_int_equal(seqset_before(&s, INT64_MAX), -1);
    assert_int_equal(seqset_before(&s, 0), -1);
    assert_false(seqset_del(&s, 0));
    seqset_add(&s, FAR);
    seqset_add(&s, 0);
    seqset_add(&s, 511);
    seqset_add(&s, 512);
    seqset_add(&s, 511);
    assert_int_equal(s.count, 4);
    assert_int_equal(seqset_before(&s, INT64_MAX), FAR);
    assert_int_equal(seqset_before(&s, FAR), 512);
    assert_int_equal(seqset_before(&s, 512), 511);
    assert_int_equal(seqset_before(&s, 511), 0);
    assert_int_equal(seqset_before(&s, 1), 0);
    assert_int_equal(seqset_before(&s, 0), -1);
    assert_false(seqset_del(&s, 513));
    assert_false(seqset_del(&s, -7));
    assert_false(seqset_del(&s, FAR + 512));
    assert_true(seqset_del(&s, 512));
    assert_false(seqset_del(&s, 512));
    assert_int_equal(seqset_before(&s, FAR), 511);
    assert_int_equal(s.count, 3);
    seqset_fini(&s);
}

static uint64_t
next(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

static void
check(const struct seqset *s, const bool *in, int64_t n)
{
    int64_t count = 0, last = -1;
    for (int64_t i = 0; i < n; i++) {
        assert_int_equal(seqset_before(s, i), last);
        count += in[i];
        last = in[i] ? i : last;
    }
    assert_int_equal(seqset_before(s, n), last);
    assert_int_equal(s->count, count);
}

static void
many(void **state)
{
    static bool in[5000], more[5000];
    uint64_t seed = 7;
    (void)state;
    for (unsigned round = 0; round < 4; round++) {
        struct seqset s = {0}, t = {0};
        memset(in, 0, sizeof in);
        memset(more, 0, sizeof more);
        for (unsigned i = 0; i < 6000; i++) {
            const int64_t n = (int64_t)(next(&seed) % COUNT(in));
            if (next(&seed) % 4 > round) {
                seqset_add(&s, n);
                in[n] = true;
            } else {
                assert_int_equal(seqset_del(&s, n), in[n]);
                in[n] = false;
            }
            if (i % 16 == 0) {
                seqset_add(&t, n);
                more[n] = true;
            }
        }
        check(&s, in, COUNT(in));
        seqset_move(&s, &t);
        for (size_t i = 0; i < COUNT(in); i++)
            in[i] |= more[i];
        check(&s, in, COUNT(in));
        check(&t, (bool[1]){false}, 1);
        for (int64_t n; (n = seqset_before(&s, INT64_MAX)) >= 0;)
            assert_true(seqset_del(&s, n));
        assert_int_equal(s.count, 0);
        assert_int_equal(s.pieces.len, 0);
        seqset_fini(&s);
    }
}

/* Every fifth of a few million: less than a byte each. */
static void
small(void **state)
{
    struct seqset s = {0};
    (void)state;
    for (int64_t i = 0; i < 1000000; i++)
        seqset_add(&s, i * 5);
    assert_true(s.pieces.cap * sizeof *s.pieces.at < 2000000);
    seqset_fini(&s);
}

TESTS(seqset_test, cmocka_unit_test(few), cmocka_unit_test(many), cmocka_unit_test(small))
