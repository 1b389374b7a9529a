/* refusaltest.h - for tests of files that are refused: an app in a runtime of its own, the words of
 * an error as users see them, and rows of these compared outside of the fiber. */
#ifndef APP_REFUSALTEST_H
#define APP_REFUSALTEST_H
#include "app/app.h"
#include "base/test.h"
#include "rt/rt.h"

/* The lines of the error, which is freed; otherwise: what to say of none. malloc'd. */
static inline char *
refusal_words(struct err *OWN e, const char *otherwise)
{
    char *text = NULL;
    size_t n = 0;
    if (!e)
        return xstrdup(otherwise);
    FILE *f = open_memstream(&text, &n);
    err_print(e, f);
    fclose(f);
    err_free(e);
    return text;
}

struct refusing {
    size_t n;
    char *(*load)(struct app *a, size_t row); /* what is told of it; malloc'd */
    char **told;
};

static inline void
refusing_main(void *arg)
{
    const struct refusing *x = arg;
    struct app *a = NULL;
    err_drop(app_open(&(struct app_opts){0}, &a));
    for (size_t i = 0; a && i < x->n; i++)
        x->told[i] = x->load(a, i);
    app_close(a);
}

/* Loads all rows. same: is what was told of it what it should be? That is, if not, written to want
 * (malloc'd). */
static inline void
refusals_check(const struct refusing *x, bool (*same)(size_t row, const char *told, char **want))
{
    struct rt *rt;
    unsigned wrong = 0;
    assert_ok(rt_open(&(struct rt_opts){0}, &rt));
    rt_run(rt, refusing_main, (void *)(uintptr_t)x);
    rt_close(rt);
    for (size_t i = 0; i < x->n; i++) {
        char *want = NULL;
        assert_non_null(x->told[i]);
        if (!same(i, x->told[i], &want)) {
            print_error("row %zu: expected\n%sgot\n%s", i, want, x->told[i]);
            wrong++;
        }
        free(want);
        freep(&x->told[i]);
    }
    assert_int_equal(wrong, 0);
}

#endif
