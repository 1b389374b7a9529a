/* file_test.c - files, folders, paths that try to leave their root, locks. */
#include "base/test.h"
#include "rt/file.h"
#include <unistd.h>

static void
files(void **state)
{
    (void)state;
    char dir[] = "/tmp/tutti-rt-XXXXXX", *p = NULL;
    assert_non_null(mkdtemp(dir));
    AUTO(freep) char *a = path_join(dir, "a/b/c");
    AUTO(freep) char *f = path_join(a, "f.txt");
    struct str s = STR_INIT;
    assert_ok(dir_make(a, 0700));
    assert_ok(file_write(f, "hello", 5, 0600));
    assert_ok(file_read(f, 100, &s));
    assert_string_equal(str_c(&s), "hello");
    struct err *e = file_read(f, 4, &s);
    assert_int_equal(err_kind(e), ERR_LIMIT);
    err_free(e);
    e = file_read(a, 100, &s);
    assert_int_equal(err_kind(e), ERR_INVALID);
    err_free(e);
    assert_ok(path_under(a, "f.txt", &p));
    free(p);
    assert_ok(path_under(a, "new.txt", &p));
    free(p);
    static const char *const out[] = {"../x", "../../../../../../etc/passwd", "/etc/passwd",
                                      "link/passwd"};
    AUTO(freep) char *link = path_join(a, "link");
    assert_int_equal(symlink("/etc", link), 0);
    for (size_t i = 0; i < COUNT(out); i++) {
        e = path_under(a, out[i], &p);
        assert_non_null(e);
        assert_int_equal(err_kind(e), ERR_DENIED);
        err_free(e);
    }
    int fd, fd2;
    AUTO(freep) char *lock = path_join(dir, "lock");
    assert_ok(file_lock(lock, &fd));
    e = file_lock(lock, &fd2);
    assert_int_equal(err_kind(e), ERR_LIMIT);
    err_free(e);
    file_unlock(fd);
    assert_ok(file_lock(lock, &fd2));
    file_unlock(fd2);
    str_fini(&s);
    AUTO(freep) char *rm = xasprintf("rm -r %s", dir);
    assert_int_equal(system(rm), 0);
}

TESTS(file_test, cmocka_unit_test(files))
