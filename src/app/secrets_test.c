/* secrets_test.c - which variables are secrets, and what is left of text that holds some. */
#include "app/secrets.h"
#include "base/test.h"

static void
names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool secret;
    } row[] = {
        {"OPENAI_API_KEY", true}, {"github_token", true},
        {"DB_PASSWORD", true},    {"Authorization", true},
        {"SESSION_COOKIE", true}, {"CLIENT_SECRET", true},
        {"PASSWD", true},         {"HOME", false},
        {"PORT", false},          {"", false},
    };
    for (size_t i = 0; i < COUNT(row); i++)
        assert_int_equal(secret_name(row[i].name), row[i].secret);
}

static void
hiding(void **state)
{
    (void)state;
    static const struct {
        const char *text, *shown;
    } row[] = {
        {"", ""},
        {"nothing here", "nothing here"},
        {"sk-12345", "***"},
        {"key=sk-12345;", "key=***;"},
        {"sk-12345sk-12345", "******"},
        {"sk-1234 sk-12345", "sk-1234 ***"},
        {"sk-12345-longer!", "***!"}, /* the longer of two that begin alike, whole */
        {"a\"quote\\d", "***"},
        {"short", "short"}, /* too short to be taken out of words */
    };
    struct secrets *s = secrets_new();
    assert_false(secrets_any(s));
    secrets_add(s, "sk-12345");
    secrets_add(s, "sk-12345-longer");
    secrets_add(s, "sk-12345"); /* again: once is enough */
    secrets_add(s, "a\"quote\\d");
    secrets_add(s, "short");
    assert_true(secrets_any(s));
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(str_fini) struct str shown = STR_INIT;
        secrets_hide(s, row[i].text, strlen(row[i].text), &shown);
        assert_string_equal(str_c(&shown), row[i].shown);
    }
    secrets_free(s);
    secrets_free(NULL);
}

/* In values: strings and names, never what makes them JSON. */
static void
hiding_json(void **state)
{
    (void)state;
    static const struct {
        const char *json, *shown;
    } row[] = {
        {"{\"status\":\"completed\",\"n\":1234567}", "{\"status\":\"***\",\"n\":1234567}"},
        {"[\"it is a\\\"quote\\\\d\",null,true]", "[\"it is ***\",null,true]"},
        {"{\"a\\\"quote\\\\d\":{\"deep\":[\"123456!\"]}}", "{\"***\":{\"deep\":[\"***!\"]}}"},
        {"\"plain\"", "\"plain\""},
    };
    struct secrets *s = secrets_new();
    AUTO(json_freep) json_t *same = json_string("completed");
    AUTO(json_freep) json_t *untouched = secrets_hide_json(s, same);
    assert_ptr_equal(untouched, same); /* no secrets, no copy */
    secrets_add(s, "completed");
    secrets_add(s, "123456");
    secrets_add(s, "a\"quote\\d");
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(json_freep) json_t *j = NULL;
        assert_ok(json_parse(row[i].json, strlen(row[i].json), &j));
        AUTO(json_freep) json_t *shown = secrets_hide_json(s, j);
        AUTO(freep) char *text = json_text(shown);
        assert_string_equal(text, row[i].shown);
    }
    secrets_free(s);
}

static void
many(void **state)
{
    (void)state;
    struct secrets *s = secrets_new();
    for (int i = 0; i < 1000; i++) { /* bounded: the first 256 count */
        AUTO(freep) char *value = xasprintf("secret-%04d", i);
        secrets_add(s, value);
    }
    AUTO(str_fini) struct str shown = STR_INIT;
    secrets_hide(s, "secret-0255 secret-0256", 23, &shown);
    assert_string_equal(str_c(&shown), "*** secret-0256");
    secrets_free(s);
}

TESTS(secrets_test, cmocka_unit_test(names), cmocka_unit_test(hiding),
      cmocka_unit_test(hiding_json), cmocka_unit_test(many))
