/* yaml_fuzz.c - any bytes as a configuration: load, look up places, expand, load again.
 *
 * Beyond not crashing: what loads has a normal form that jansson can write and read again, every
 * error has a text, the second load says the same as the first, and no more is told than promised.
 * The same bytes also go through the readers of .env files and agent cards. */
#include "base/hash.h"
#include "expr/exprlua.h"
#include "spec/testkinds.h"
#include "spec/yaml.h"
#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libfyaml 0.7.12 loses two buffers of 1 KB when a block scalar at the top ends in a mistake. What
 * we could lose of it by our own fault, events and documents, the unit tests see under
 * LeakSanitizer. */
const char *
__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so";
}

static struct expr_space *space; /* one for all: a new one costs more than most inputs */

static const char *const vars[] = {"TUTTI_SETTINGS__MAX_CONCURRENCY=3", "A=5", "B=text", NULL};

enum { CARD = 1, OVERRIDE = 2 }; /* how to load: as a card, with the first of the variables */

static struct err *
load(const char *text, size_t n, unsigned how, struct spec **ret_spec)
{
    const bool card = how & CARD;
    AUTO(freep) char *copy = xstrndup(text, n);
    const char *const files[] = {"agents/card.md", copy, "inc.yaml", copy, NULL};
    struct test_world w = {.env = how & OVERRIDE ? vars : vars + 1, .files = files};
    const struct spec_env env = {test_env_get, test_env_at, &w};
    const struct spec_files io = {test_read, card ? test_list : NULL, &w};
    static const char includer[] = "include: inc.yaml\n";
    const struct spec_source source = {.path = "f.yaml",
                                       .text = card ? includer : text,
                                       .len = card ? sizeof includer - 1 : n,
                                       .env = &env,
                                       .files = &io,
                                       .space = space};
    return spec_load(&test_tables, &source, ret_spec);
}

static void
places_walk(const struct spec *s, const json_t *j, struct str *pointer, unsigned depth)
{
    const size_t len = pointer->len;
    const char *key;
    json_t *value;
    size_t i;
    spec_pos(s, str_c(pointer));
    spec_text_pos(s, str_c(pointer), 1, 3);
    if (depth > 8)
        return;
    json_object_foreach ((json_t *)(uintptr_t)j, key, value) {
        str_addf(pointer, "/%s", key);
        places_walk(s, value, pointer, depth + 1);
        pointer->len = len;
        pointer->p[len] = '\0';
    }
    json_array_foreach (j, i, value) {
        str_addf(pointer, "/%zu", i);
        places_walk(s, value, pointer, depth + 1);
        pointer->len = len;
        pointer->p[len] = '\0';
    }
}

static void
loaded_check(const struct spec *s)
{
    AUTO(str_fini) struct str pointer = STR_INIT;
    AUTO(freep) char *text = json_text(s->doc);
    AUTO(json_freep) json_t *again = NULL;
    struct err *e = json_parse(text, strlen(text), &again);
    assert(!e);
    places_walk(s, s->doc, &pointer, 0);
    for (const struct err *w = spec_warnings(s); w; w = err_next(w))
        free(err_text(w));
}

static void
set_nothing(void *ctx, const char *name, const char *value)
{
    assert(name[0] && value);
    (void)ctx;
}

/* The second load says the same as the first. */
static void
again_check(const char *text, size_t size, unsigned how, const struct spec *a, const struct err *e)
{
    struct spec *b = NULL;
    struct err *f = load(text, size, how, &b);
    assert(!e == !f && err_count(e) == err_count(f));
    assert(e ? !a : json_equal(a->doc, b->doc));
    spec_free(b);
    err_drop(f);
}

/* As an agent card, and as an included file that has the same text. */
static void
card_try(const char *text, size_t size)
{
    struct spec *s = NULL;
    err_drop(load(text, size, CARD, &s));
    spec_free(s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!space)
        space = expr_space_new((struct luastate_limits){0});
    const char *text = (const char *)data;
    /* What costs as much again is tried on some of the inputs only, always the same ones. */
    const uint32_t chance = crc32c(0, data, size);
    struct spec *a = NULL;
    const unsigned how = chance >> 8 & OVERRIDE;
    struct err *e = load(text, size, how, &a);
    assert(err_count(e) <= 101);
    if (chance % 8 == 0)
        again_check(text, size, how, a, e);
    for (const struct err *one = e; one; one = err_next(one)) {
        AUTO(freep) char *line = err_text(one);
        assert(line[0] && utf8_valid(line, strlen(line)));
    }
    if (a)
        loaded_check(a);
    spec_free(a);
    err_drop(e);
    if (chance % 8 == 1 || (size > 3 && memcmp(text, "---", 3) == 0))
        card_try(text, size);
    err_drop(spec_dotenv_parse(".env", text, size, set_nothing, NULL));
    /* Garbage of Lua's would be taken for a leak: see expr_fuzz.c. */
    lua_gc(expr_space_lua(space)->lua, LUA_GCCOLLECT);
    return 0;
}
