/* textdiff_test.c - hunks as they are printed; random texts, whose diff has to make one of the
 * other in as few edits as another way of counting finds. */
#include "base/test.h"
#include "base/textdiff.h"

static void
hunks(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        unsigned context;
        const char *want;
    } row[] = {
        {"a\nb\nc\n", "a\nb\nc", 3, ""},
        {"", "", 3, ""},
        {"", "x\n", 3, "@@ -1,0 +1,1 @@\n+x\n"},
        {"x", "", 3, "@@ -1,1 +1,0 @@\n-x\n"},
        {"a\nb\nc\n", "a\nB\nc\n", 1, "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"},
        {"a\nb\nc\n", "a\nB\nc\n", 0, "@@ -2,1 +2,1 @@\n-b\n+B\n"},
        {"1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\nx\n4\n5\n6\n7\n9\n", 1,
         "@@ -2,3 +2,3 @@\n 2\n-3\n+x\n 4\n@@ -7,3 +7,2 @@\n 7\n-8\n 9\n"},
        {"1\n2\n3\n4\n", "0\n1\n3\n4\n5\n", 3, "@@ -1,4 +1,5 @@\n+0\n 1\n-2\n 3\n 4\n+5\n"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(str_fini) struct str s = STR_INIT;
        assert_true(text_diff(row[i].a, row[i].b, row[i].context, &s));
        assert_string_equal(str_c(&s), row[i].want);
    }
}

static void
bounds(void **state)
{
    (void)state;
    AUTO(str_fini) struct str a = STR_INIT, b = STR_INIT, s = STR_INIT;
    for (int i = 0; i < TEXTDIFF_EDITS_MAX; i++) {
        str_addf(&a, "a%d\n", i);
        str_addf(&b, "b%d\n", i);
    }
    assert_false(text_diff(str_c(&a), str_c(&b), 3, &s)); /* twice too many */
    assert_true(text_diff(str_c(&a), "", 3, &s));
    str_reset(&s);
    for (int i = 0; i <= TEXTDIFF_LINES_MAX; i++)
        str_addc(&b, '\n');
    assert_false(text_diff(str_c(&b), str_c(&b), 3, &s));
    assert_int_equal(s.len, 0);
}

static unsigned chance = 7;
static unsigned
below(unsigned n)
{
    chance = chance * 1103515245 + 12345;
    return (chance >> 16) % n;
}

#define MOST 40

/* Longest common subsequence, by the whole table. */
static size_t
common(const char *a, const char *b)
{
    static size_t t[MOST + 1][MOST + 1];
    const size_t n = strlen(a), m = strlen(b);
    for (size_t i = n + 1; i-- > 0;) {
        for (size_t k = m + 1; k-- > 0;)
            t[i][k] = i == n || k == m ? 0
                      : a[i] == b[k]   ? t[i + 1][k + 1] + 1
                                       : MAX(t[i + 1][k], t[i][k + 1]);
    }
    return t[0][0];
}

static void
random_texts(void **state)
{
    (void)state;
    for (int round = 0; round < 3000; round++) {
        char a[MOST + 1] = "", b[MOST + 1] = "";
        AUTO(str_fini) struct str x = STR_INIT, y = STR_INIT, s = STR_INIT, made = STR_INIT;
        const unsigned letters = 1 + below(6), na = below(MOST), nb = below(MOST);
        size_t edits = 0;
        for (unsigned i = 0; i < na; i++)
            str_addf(&x, "%c\n", a[i] = (char)('a' + below(letters)));
        for (unsigned i = 0; i < nb; i++)
            str_addf(&y, "%c\n", b[i] = (char)('a' + below(letters)));
        assert_true(text_diff(str_c(&x), str_c(&y), MOST, &s));
        for (const char *p = str_c(&s); *p; p = strchr(p, '\n') + 1) {
            edits += *p == '-' || *p == '+';
            if (*p == ' ' || *p == '+')
                str_addf(&made, "%c\n", p[1]);
        }
        if (s.len)
            assert_string_equal(str_c(&made), str_c(&y));
        else
            assert_string_equal(str_c(&x), str_c(&y));
        assert_int_equal(edits, na + nb - 2 * common(a, b));
    }
}

TESTS(textdiff_test, cmocka_unit_test(hunks), cmocka_unit_test(bounds),
      cmocka_unit_test(random_texts))
