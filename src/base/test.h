/* test.h - how a test file presents itself to the one test program of its folder.
 *
 * x_test.c ends with TESTS(x_test, cmocka_unit_test(a), cmocka_unit_test(b)); the program calls
 * x_test(). cmocka leaves a failed test with longjmp: assert on the main stack, never in a fiber.
 */
#ifndef BASE_TEST_H
#define BASE_TEST_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* After the four above, as cmocka asks. */
#include <cmocka.h>

#include "base/err.h"
#include "base/str.h"

#define TESTS(name, ...)                                                                           \
    int name(void);                                                                                \
    int name(void)                                                                                 \
    {                                                                                              \
        const struct CMUnitTest tests_[] = {__VA_ARGS__};                                          \
        return cmocka_run_group_tests_name(#name, tests_, NULL, NULL);                             \
    }

/* The error is NULL; else its text is shown. */
#define assert_ok(e)                                                                               \
    do {                                                                                           \
        struct err *e_ = (e);                                                                      \
        if (e_) {                                                                                  \
            err_trace(e_, stderr);                                                                 \
            err_free(e_);                                                                          \
            fail_msg("%s", "an unexpected error, shown above");                                    \
        }                                                                                          \
    } while (0)

/* The error has this kind and this whole text; it is freed. */
#define assert_err(e, want_kind, want_text)                                                        \
    do {                                                                                           \
        struct err *e_ = (e);                                                                      \
        assert_non_null(e_);                                                                       \
        char *text_ = err_text(e_);                                                                \
        assert_string_equal(text_, want_text);                                                     \
        free(text_);                                                                               \
        assert_int_equal(err_kind(e_), want_kind);                                                 \
        err_free(e_);                                                                              \
    } while (0)
#endif
