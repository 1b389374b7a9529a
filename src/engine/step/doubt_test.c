/* doubt_test.c - answers for steps in doubt. */
#include "base/test.h"
#include "engine/step/doubt.h"

static void
answers(void **state)
{
    (void)state;
    static const struct {
        const char *text, *path;
        enum in_doubt is;
    } row[] = {
        {NULL, "pay/call", IN_DOUBT_PARK},
        {"park", "pay/call", IN_DOUBT_PARK},
        {"done", "pay/call", IN_DOUBT_DONE},
        {"retry", "pay/call", IN_DOUBT_RETRY},
        {"fail", "pay/call", IN_DOUBT_FAIL},
        {"pay=done", "pay/call", IN_DOUBT_DONE},
        {"pay=done", "payer/call", IN_DOUBT_PARK},
        {"pay=done", "shop/pay/call", IN_DOUBT_PARK},
        {"pay/call=done", "pay/call", IN_DOUBT_DONE},
        {"pay/call=done", "pay/call[1]", IN_DOUBT_PARK},
        {"pay=done,mail=retry", "mail/call", IN_DOUBT_RETRY},
        {"fail,pay=done", "pay/call", IN_DOUBT_DONE},
        {"pay=done,fail", "mail/call", IN_DOUBT_FAIL},
        {"shop/pay=done,shop=retry", "shop/pay/call", IN_DOUBT_DONE},
        {"shop=retry,shop/pay=done", "shop/mail/call", IN_DOUBT_RETRY},
        {"a=b=done", "a=b/call", IN_DOUBT_DONE},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct doubts *d = NULL;
        assert_ok(doubts_parse(row[i].text, &d));
        if (doubts_answer(d, row[i].path) != row[i].is)
            fail_msg("%s: %s", row[i].text, row[i].path);
        doubts_free(d);
    }
    assert_int_equal(doubts_answer(NULL, "pay"), IN_DOUBT_PARK);
    assert_null(doubts_path(NULL, 0));
    doubts_free(NULL);
}

static void
not_understood(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } row[] = {
        {"", "in doubt: '' is none of park, done, retry, fail"},
        {"yes", "in doubt: 'yes' is none of park, done, retry, fail"},
        {"donee", "in doubt: 'donee' is none of park, done, retry, fail"},
        {"pay=", "in doubt: '' is none of park, done, retry, fail"},
        {"pay=yes", "in doubt: 'yes' is none of park, done, retry, fail"},
        {"=done", "in doubt: '=done' names no node"},
        {"pay=done,", "in doubt: '' is none of park, done, retry, fail"},
        {"pay=done,,mail=done", "in doubt: '' is none of park, done, retry, fail"},
        {"done, mail", "in doubt: ' mail' is none of park, done, retry, fail"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct doubts *d = NULL;
        assert_err(doubts_parse(row[i].text, &d), ERR_INVALID, row[i].error);
        assert_null(d);
    }
}

TESTS(doubt_test, cmocka_unit_test(answers), cmocka_unit_test(not_understood))
