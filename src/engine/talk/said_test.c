/* said_test.c - what is shown of long lists and long texts; names of conversations. */
#include "base/test.h"
#include "engine/talk/history.h"
#include "engine/talk/said.h"

static json_t *
exchange(size_t n, size_t bytes)
{
    AUTO(str_fini) struct str text = STR_INIT;
    str_addf(&text, "%zu ", n);
    while (text.len < bytes)
        str_addc(&text, 'x');
    return json_pack("{ss ss}", "user", str_c(&text), "assistant", "yes");
}

/* The numbers of the first and the last that are shown of the first n. */
static void
shows(const struct said *s, size_t n, size_t count, int first, int last)
{
    AUTO(json_freep) json_t *list = said_list(s, "ann", n);
    assert_int_equal(json_array_size(list), count);
    if (!count)
        return;
    const char *oldest = json_str(json_array_get(list, 0), "user", ""),
               *newest = json_str(json_array_get(list, count - 1), "user", "");
    assert_int_equal(strtol(oldest, NULL, 10), first);
    assert_int_equal(strtol(newest, NULL, 10), last);
}

static void
numbers(void **state)
{
    (void)state;
    struct said *s = said_new();
    assert_int_equal(said_count(s, "ann"), 0);
    shows(s, 0, 0, 0, 0);
    shows(s, 5, 0, 0, 0);
    for (size_t i = 0; i < 3000; i++)
        said_add(s, "ann", exchange(i, 0));
    assert_int_equal(said_count(s, "ann"), 3000);
    assert_int_equal(said_count(s, "bob"), 0);
    shows(s, 3000, SAID_GIVEN, 2950, 2999);
    shows(s, 2990, SAID_GIVEN, 2940, 2989);
    shows(s, 100, 0, 0, 0); /* long ago: not held any more */
    shows(s, 9000, SAID_GIVEN, 2950, 2999);
    said_free(s);
    said_free(NULL);
}

static void
bytes(void **state)
{
    (void)state;
    struct said *s = said_new();
    for (size_t i = 0; i < 10; i++)
        said_add(s, "ann", exchange(i, 40 << 10));
    shows(s, 10, 3, 7, 9); /* three are 120 KB */
    said_add(s, "ann", exchange(10, SAID_GIVEN_BYTES * 2));
    shows(s, 11, 1, 10, 10); /* the last one always */
    said_free(s);
}

static void
bodies(void **state)
{
    (void)state;
    struct said *s = said_new();
    AUTO(json_freep)
    json_t *loaded = json_pack("{ss si s[o]}", "who", "ann", "n", 1, "loaded", exchange(7, 0));
    AUTO(json_freep) json_t *without = json_pack("{ss si}", "who", "bob", "n", 0);
    AUTO(json_freep) json_t *added = json_pack("{ss so}", "who", "ann", "exchange", exchange(8, 0));
    said_take(s, loaded);
    said_take(s, loaded); /* once is enough */
    said_take(s, without);
    said_take(s, added);
    assert_true(said_is_loaded(s, "ann"));
    assert_false(said_is_loaded(s, "bob"));
    shows(s, 2, 2, 7, 8);
    shows(s, 1, 1, 7, 7);
    said_free(s);
}

static void
bounds(void **state)
{
    (void)state;
    AUTO(str_fini) struct str large = STR_INIT;
    for (size_t i = 0; i < SAID_TEXT_MAX; i++)
        str_add(&large, "\xc3\xa4"); /* two bytes: the limit is inside of one */
    str_addc(&large, 'a');
    AUTO(json_freep) json_t *image = json_pack("{ss ss}", "type", "image", "data", str_c(&large));
    AUTO(json_freep)
    json_t *given =
        json_pack("{ss ss s[O {ss ss} O O O] si}", "user", "short", "assistant", str_c(&large),
                  "parts", image, "type", "text", "text", "look", image, image, image, "n", 3);
    AUTO(json_freep) json_t *made = exchange_bounded(given);
    assert_string_equal(json_str(made, "user", ""), "short");
    assert_int_equal(json_int(made, "n", 0), 3);
    const char *cut = json_str(made, "assistant", "");
    assert_int_equal(strspn(cut, "\xc3\xa4"), SAID_TEXT_MAX);
    assert_string_equal(cut + SAID_TEXT_MAX, " [65537 more bytes were left out]");
    assert_string_equal(json_str(made, "parts", ""),
                        "[image was left out]\nlook\n[image was left out]\n[image was left "
                        "out]\n[image was left out]");
    AUTO(json_freep)
    json_t *small = json_pack("{s[{ss ss}]}", "user", "type", "image", "data", "x");
    AUTO(json_freep) json_t *kept = exchange_bounded(small);
    assert_true(json_equal(small, kept));
}

static void
names(void **state)
{
    (void)state;
    static const struct {
        const char *name, *part;
    } row[] = {{"alice", "alice"}, {"a/b%c", "a%2fb%25c"}, {"\xc3\xa4", "\xc3\xa4"}};
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(str_fini) struct str part = STR_INIT;
        history_part(&part, row[i].name);
        assert_string_equal(str_c(&part), row[i].part);
        assert_ok(conversation_check(row[i].name));
    }
    AUTO(str_fini) struct str longer = STR_INIT, a = STR_INIT, b = STR_INIT;
    for (size_t i = 0; i < 128; i++)
        str_addc(&longer, '/');
    assert_ok(conversation_check(str_c(&longer)));
    history_part(&a, str_c(&longer));
    str_addc(&longer, '/');
    history_part(&b, str_c(&longer));
    assert_int_equal(a.len, 120);
    assert_int_equal(b.len, 120);
    assert_string_not_equal(str_c(&a), str_c(&b));
    assert_err(conversation_check(str_c(&longer)), ERR_INVALID,
               "a conversation's name has 1 to 128 bytes, not 129");
    assert_err(conversation_check(""), ERR_INVALID,
               "a conversation's name has 1 to 128 bytes, not 0");
    assert_err(conversation_check("a\nb"), ERR_INVALID,
               "a conversation's name cannot have control characters in it");
    assert_err(conversation_check("\xff"), ERR_INVALID,
               "the conversation's name is not valid UTF-8");
}

TESTS(said_test, cmocka_unit_test(numbers), cmocka_unit_test(bytes), cmocka_unit_test(bodies),
      cmocka_unit_test(bounds), cmocka_unit_test(names))
