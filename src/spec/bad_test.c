/* bad_test.c - tests/bad: files that must be refused, each with the complete list of what is told.
 *
 * NNN-name.yaml (or .json) and NNN-name.err. UPDATE=1 rewrites the lists; read the difference. The
 * environment holds PORT=8080, BAD=many and EMPTY= and nothing else. */
#include "base/test.h"
#include "spec/testkinds.h"
#include <dirent.h>
#include <stdio.h>

#define FOLDER "tests/bad/"

static bool
file_slurp(const char *path, struct str *to)
{
    char buf[1024];
    size_t n;
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    while ((n = fread(buf, 1, sizeof buf, f)) > 0)
        str_addn(to, buf, n);
    fclose(f);
    return true;
}

static struct err *
disk_read(void *ctx, const char *path, struct str *ret_text)
{
    (void)ctx;
    AUTO(freep) char *whole = xasprintf(FOLDER "%s", path);
    if (strstr(path, ".."))
        return FAIL(ERR_DENIED, "it is outside of the folder");
    if (!file_slurp(whole, ret_text))
        return FAIL(ERR_MISSING, "there is no such file");
    return NULL;
}

/* What err_print says of the file; "loads\n" when nothing is wrong with it. */
static char *
told(const char *name)
{
    static const char *const vars[] = {"PORT=8080", "BAD=many", "EMPTY=", NULL};
    struct test_world w = {.env = vars};
    const struct spec_env env = {test_env_get, NULL, &w};
    const struct spec_files files = {disk_read, NULL, NULL};
    AUTO(str_fini) struct str text = STR_INIT;
    AUTO(freep) char *path = xasprintf(FOLDER "%s", name);
    AUTO(spec_freep) struct spec *s = NULL;
    assert_true(file_slurp(path, &text));
    const struct spec_source source = {
        .path = name, .text = str_c(&text), .len = text.len, .env = &env, .files = &files};
    AUTO(err_freep) struct err *e = spec_load(&test_tables, &source, &s);
    char *out = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&out, &n);
    assert_non_null(f);
    if (e)
        err_print(e, f);
    else
        fputs("loads\n", f);
    fclose(f);
    return out;
}

static void
golden_write(const char *path, const char *text)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static bool
bad_check(const char *name)
{
    AUTO(freep) char *text = told(name);
    AUTO(freep) char *golden = xasprintf(FOLDER "%.*s.err", (int)(strrchr(name, '.') - name), name);
    AUTO(str_fini) struct str want = STR_INIT;
    if (getenv("UPDATE")) {
        golden_write(golden, text);
        return true;
    }
    if (!file_slurp(golden, &want)) {
        fprintf(stderr, "%s: there is no %s\n%s", name, golden, text);
        return false;
    }
    if (strcmp(text, str_c(&want)) == 0 && strcmp(text, "loads\n") != 0)
        return true;
    fprintf(stderr, "%s: told\n%sbut expected\n%s", name, text, str_c(&want));
    return false;
}

static int
is_input(const struct dirent *d)
{
    return d->d_name[0] != '.' && (str_ends(d->d_name, ".yaml") || str_ends(d->d_name, ".json"));
}

static void
test_bad(void **state)
{
    (void)state;
    struct dirent **list;
    unsigned wrong = 0;
    const int n = scandir(FOLDER, &list, is_input, alphasort);
    assert_true(n >= 120);
    for (int i = 0; i < n; i++) {
        wrong += !bad_check(list[i]->d_name);
        free(list[i]);
    }
    free(list);
    assert_int_equal(wrong, 0);
}

TESTS(bad_test, cmocka_unit_test(test_bad))
