/* conformkv_test.c - values under keys, on every driver: the last put wins, listings are sorted and
 * complete however long, deleting goes by the beginning of the key, bounds are told in words. */
#include "store/front.h"
#include "store/storetest.h"
#include <stdlib.h>

static struct err *
value_text(void *ctx, const char *key, const void *body, size_t n)
{
    str_addf(ctx, "%s=%.*s%s ", key, (int)n, body ? (const char *)body : "", body ? "" : "DAMAGED");
    return NULL;
}

/* "key=value key=value " of what begins with prefix, or the error. */
static char *OWN
listing(struct world *w, const char *prefix)
{
    struct str text = STR_INIT;
    struct err *e = store_kv_list(w->s, prefix, value_text, &text);
    if (e)
        test_told(w, &text, e);
    return str_steal(&text);
}

#define EXPECT_LIST(prefix, want)                                                                  \
    do {                                                                                           \
        AUTO(freep) char *list_ = listing(w, prefix);                                              \
        if (!str_eq(list_ ? list_ : "", want)) {                                                   \
            str_addf(&w->failed, "%s:%d: '%s'\n", __FILE__, __LINE__, list_);                      \
            return;                                                                                \
        }                                                                                          \
    } while (0)

static void
life(struct world *w)
{
    AUTO(str_fini) struct str body = STR_INIT;
    bool found = true;
    size_t n = 99;
    EXPECT_OK(store_kv_get(w->s, "limits/a", &body, &found));
    EXPECT(!found && body.len == 0);
    EXPECT_LIST("", "");
    EXPECT_OK(store_kv_put(w->s, "limits/a", "one", 3));
    EXPECT_OK(store_kv_put(w->s, "limits/b", "t\0o", 3));
    EXPECT_OK(store_kv_put(w->s, "limits", "short", 5));
    EXPECT_OK(store_kv_put(w->s, "limits0", "", 0));
    EXPECT_OK(store_kv_put(w->s, "history/\xc3\xa4%_*", NULL, 0));
    EXPECT_OK(store_kv_put(w->s, "limits/a", "two", 3));
    EXPECT_OK(store_kv_get(w->s, "limits/a", &body, &found));
    EXPECT_OK(store_kv_get(w->s, "limits/b", &body, &found));
    EXPECT(found && body.len == 6 && memcmp(body.p, "twot\0o", 6) == 0);
    str_reset(&body);
    EXPECT_OK(store_kv_get(w->s, "limits0", &body, &found));
    EXPECT(found && body.len == 0);
    EXPECT_LIST("limits/", "limits/a=two limits/b=t ");
    EXPECT_LIST("", "history/\xc3\xa4%_*= limits=short limits/a=two limits/b=t limits0= ");
    EXPECT_LIST("history/\xc3\xa4%", "history/\xc3\xa4%_*= ");
    EXPECT_LIST("history/x", "");
    EXPECT_OK(store_kv_delete(w->s, "limits/", &n));
    EXPECT(n == 2);
    EXPECT_OK(store_kv_delete(w->s, "limits/", &n));
    EXPECT(n == 0);
    EXPECT_OK(store_kv_get(w->s, "limits/a", &body, &found));
    EXPECT(!found);
    EXPECT_OK(store_kv_delete(w->s, "limits", &n));
    EXPECT(n == 2);
    EXPECT_LIST("", "history/\xc3\xa4%_*= ");
}

static void
bounds(struct world *w)
{
    char key[KV_KEY_MAX + 2];
    size_t n;
    bool found;
    AUTO(str_fini) struct str body = STR_INIT;
    memset(key, 'k', sizeof key - 1);
    key[KV_KEY_MAX + 1] = '\0';
    EXPECT_TOLD(store_kv_put(w->s, key, "x", 1), "invalid: the key is longer than 512 bytes: "
                                                 "'kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk...'");
    key[KV_KEY_MAX] = '\0';
    EXPECT_OK(store_kv_put(w->s, key, "long", 4));
    EXPECT_OK(store_kv_get(w->s, key, &body, &found));
    EXPECT(found && str_eq(str_c(&body), "long"));
    EXPECT_OK(store_kv_delete(w->s, key, &n));
    EXPECT(n == 1);
    char *large = xcalloc(1, KV_BODY_MAX + 1);
    struct err *too_large = store_kv_put(w->s, "k", large, KV_BODY_MAX + 1);
    struct err *just = store_kv_put(w->s, "k", large, KV_BODY_MAX);
    free(large);
    EXPECT_TOLD(too_large, "invalid: the value of 'k' is larger than 1048576 bytes");
    EXPECT_TOLD(just, "ok");
    EXPECT_TOLD(store_kv_put(w->s, "", "x", 1), "invalid: the key is empty");
    EXPECT_TOLD(store_kv_put(w->s, NULL, "x", 1), "invalid: the key is missing");
    EXPECT_TOLD(store_kv_get(w->s, "", &body, &found), "invalid: the key is empty");
    EXPECT_TOLD(store_kv_delete(w->s, "", &n), "invalid: the key is empty");
    static const char *const bad[] = {"a\nb", "a\x7f", "a\xff", "\xc3", "a" KV_AFTER_ALL};
    for (size_t i = 0; i < COUNT(bad); i++) {
        EXPECT_TOLD(store_kv_put(w->s, bad[i], "x", 1),
                    "invalid: the key has characters that a key cannot have");
        EXPECT_TOLD(store_kv_list(w->s, bad[i], value_text, &body),
                    "invalid: the key has characters that a key cannot have");
    }
}

struct tally {
    size_t n, bytes;
    char last[32];
    bool sorted;
    size_t stop_at;
};

static struct err *
value_count(void *ctx, const char *key, const void *body, size_t n)
{
    struct tally *t = ctx;
    (void)body;
    t->sorted &= strcmp(t->last, key) < 0;
    snprintf(t->last, sizeof t->last, "%s", key);
    t->bytes += n;
    return ++t->n == t->stop_at ? FAIL(ERR_CANCELLED, "enough") : NULL;
}

/* More than a page of rows, and more than a page of bytes. */
static void
pages(struct world *w)
{
    size_t n = 0, rows = LIST_MAX + 5;
    for (size_t i = 0; i < rows; i++) {
        char key[32];
        snprintf(key, sizeof key, "row/%zu", i * 7919 % rows);
        EXPECT_OK(store_kv_put(w->s, key, key, strlen(key)));
    }
    struct tally t = {.sorted = true};
    EXPECT_OK(store_kv_list(w->s, "row/", value_count, &t));
    EXPECT(t.n == rows && t.sorted);
    t = (struct tally){.sorted = true, .stop_at = 3};
    EXPECT_ERR(store_kv_list(w->s, "row/", value_count, &t), ERR_CANCELLED);
    EXPECT(t.n == 3);
    char *large = xcalloc(1, KV_BODY_MAX);
    struct err *e = NULL;
    for (char key[] = "big/a"; !e && key[4] <= 'f'; key[4]++)
        e = store_kv_put(w->s, key, large, KV_BODY_MAX / 2 + 1);
    free(large);
    EXPECT_OK(e);
    t = (struct tally){.sorted = true};
    EXPECT_OK(store_kv_list(w->s, "big/", value_count, &t));
    EXPECT(t.n == 6 && t.sorted && t.bytes == 6 * (KV_BODY_MAX / 2 + 1));
    EXPECT_OK(store_kv_delete(w->s, "row/", &n)); /* in three commits */
    EXPECT(n == rows);
    t = (struct tally){.sorted = true};
    EXPECT_OK(store_kv_list(w->s, "", value_count, &t));
    EXPECT(t.n == 6);
}

static const struct scenario scenario[] = {{"life", life}, {"bounds", bounds}, {"pages", pages}};

static void
on_mem(void **state)
{
    (void)state;
    test_on_driver("mem", false, scenario, COUNT(scenario));
    test_on_driver("mem", true, scenario, COUNT(scenario));
}

static void
on_sqlite(void **state)
{
    (void)state;
    test_on_driver("sqlite", false, scenario, COUNT(scenario));
}

static void
on_remote(void **state)
{
    (void)state;
    test_on_driver("remote", false, scenario, COUNT(scenario));
}

TESTS(conformkv_test, cmocka_unit_test(on_mem), cmocka_unit_test(on_sqlite),
      cmocka_unit_test(on_remote))
