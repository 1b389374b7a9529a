/* loopguard_test.c - turns as letters, verdicts as marks: '.' fine, '!' a word, 'X' an end. */
#include "base/test.h"
#include "guard/loopguard.h"

static void
circles(void **state)
{
    (void)state;
    static const struct {
        const char *def, *turns, *want;
    } row[] = {
        {NULL, "abcdefgh", "........"},
        {NULL, "aaaaaa", "..!!!X"},
        {NULL, "abababab", "...!!!XX"}, /* b is the last one that was new */
        {NULL, "abcabcabc", "....!!!XX"},
        {NULL, "aabacada", "........"}, /* in between there is something new */
        {NULL, "aabaac", "....!."},
        {NULL, "aaabaaaa", "..!..!!!"},
        {"{\"repeats\": 2}", "aaaa", ".!!X"},
        {"{\"repeats\": 5}", "aaaaaaaaaa", "....!!!!!X"},
        {"{}", "aaa", "..!"},
        {"true", "aaa", "..!"},
        {"false", "aaaaaaaaa", "........."},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct loopguard g;
        json_t *def = row[i].def ? json_loads(row[i].def, JSON_DECODE_ANY, NULL) : NULL;
        char got[16] = "";
        loopguard_init(&g, def, LOOPGUARD_REPEATS);
        for (size_t k = 0; row[i].turns[k]; k++)
            got[k] = ".!X"[loopguard_turn(&g, (uint64_t)row[i].turns[k])];
        assert_string_equal(got, row[i].want);
        loopguard_fini(&g);
        json_decref(def);
    }
    struct loopguard off;
    loopguard_init(&off, NULL, 0); /* nobody asked for it */
    for (int i = 0; i < 9; i++)
        assert_int_equal(loopguard_turn(&off, 1), LOOP_FINE);
    loopguard_fini(&off);
}

TESTS(loopguard_test, cmocka_unit_test(circles))
