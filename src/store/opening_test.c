/* opening_test.c - folders that cannot be opened as they are: in words, and nothing half open. */
#include "rt/file.h"
#include "store/storetest.h"
#include <sys/stat.h>
#include <unistd.h>

/* Nothing is half open afterwards: without the obstacle the same folder opens. */
static void
obstacles(struct world *w)
{
    static const struct {
        const char *name, *want;
    } row[] = {
        {"lock", "invalid: opening the store: locking '/lock': Is a directory"},
        {"control.sock", "transient: opening the store: listening on '/control.sock': address "
                         "already in use"},
    };
    struct store_opts opts = {.dir = w->dir, .busy_ms = 300};
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(freep) char *path = path_join(w->dir, row[i].name);
        EXPECT(mkdir(path, 0700) == 0);
        EXPECT_TOLD(store_open(&opts, &w->s), row[i].want);
        EXPECT(rmdir(path) == 0);
        EXPECT_OK(store_open(&opts, &w->s));
        EXPECT(str_eq(store_driver(w->s), "sqlite"));
        store_close(w->s);
        w->s = NULL;
    }
    AUTO(freep) char *lock = path_join(w->dir, "lock");
    int fd;
    EXPECT_OK(file_lock(lock, &fd));
    EXPECT_TOLD(store_open(&opts, &w->s),
                "limit: opening the store: another process has the folder '' and does not answer "
                "(connecting to '/control.sock': no such file or directory); end it or choose "
                "another folder with --store");
    file_unlock(fd);
    AUTO(freep) char *deep = xasprintf("%s/%0120d", w->dir, 1);
    struct store_opts missing = {.dir = deep, .read_only = true};
    struct err *e = store_open(&missing, &w->s);
    AUTO(freep) char *text = e ? err_text(e) : xstrdup("opened");
    EXPECT_ERR(e, ERR_MISSING);
    EXPECT(strstr(text, "there is no store"));
}

/* Nothing was ever run here. */
static void
empty(struct world *w)
{
    AUTO(freep) char *path = path_join(w->dir, "tutti.db");
    struct store_opts opts = {.dir = w->dir, .read_only = true};
    EXPECT_OK(file_write(path, "", 0, 0600));
    EXPECT_TOLD(store_open(&opts, &w->s),
                "missing: opening the store: '/tutti.db' is empty: nothing was run here yet");
}

static void
each(void **state)
{
    (void)state;
    static const scenario_fn fn[] = {obstacles, empty};
    for (size_t i = 0; i < COUNT(fn); i++) {
        struct world w = {.dir = test_dir_new()};
        test_in_fiber(&w, false, fn[i]);
        test_dir_free(w.dir);
    }
}

TESTS(opening_test, cmocka_unit_test(each))
