/* yaml_fuzz.c - any bytes as a configuration: load, look up places, expand, load again.
 *
 * Beyond not crashing: what loads has a normal form that jansson can write and read again, every
 * error has a text, the second load says the same as the first, and no more is told than promised.
 * The same bytes also go through the readers of .env files and agent cards. */
#include "spec/testkinds.h"
#include "spec/yaml.h"
#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const vars[] = {"A=5", "B=text", "TUTTI_SETTINGS__MAX_CONCURRENCY=3", NULL};

static struct err *
load(const char *text, size_t n, bool card, struct spec **ret_spec)
{
    AUTO(freep) char *copy = xstrndup(text, n);
    const char *const files[] = {"agents/card.md", copy, "inc.yaml", copy, NULL};
    struct test_world w = {.env = vars, .files = files};
    const struct spec_env env = {test_env_get, test_env_at, &w};
    const struct spec_files io = {test_read, card ? test_list : NULL, &w};
    static const char includer[] = "include: inc.yaml\n";
    const struct spec_source source = {.path = "f.yaml",
                                       .text = card ? includer : text,
                                       .len = card ? sizeof includer - 1 : n,
                                       .env = &env,
                                       .files = &io};
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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct spec *a = NULL, *b = NULL;
    struct err *e = load(text, size, false, &a), *f = load(text, size, false, &b);
    assert(!e == !f && err_count(e) == err_count(f) && err_count(e) <= 101);
    assert(e ? !a : json_equal(a->doc, b->doc));
    for (const struct err *one = e; one; one = err_next(one)) {
        AUTO(freep) char *line = err_text(one);
        assert(line[0] && utf8_valid(line, strlen(line)));
    }
    if (a)
        loaded_check(a);
    spec_free(a);
    spec_free(b);
    err_drop(e);
    err_drop(f);
    b = NULL;
    err_drop(load(text, size, true, &b));
    spec_free(b);
    err_drop(spec_dotenv_parse(".env", text, size, set_nothing, NULL));
    return 0;
}
