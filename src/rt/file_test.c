/* file_test.c - files, folders, paths that try to leave their root, locks. */
#include "rt/file.h"
#include "rt/rttest.h"
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void
remove_all(const char *dir)
{
    AUTO(freep) char *rm = xasprintf("rm -r %s", dir);
    assert_int_equal(system(rm), 0);
}

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
    remove_all(dir);
}

/* ---- what cannot be read or written ---------------------------------------------------------- */

/* Each in words that name the file and what is wrong with it; paths are seen from the folder. */
static void
failures(void **state)
{
    (void)state;
    char dir[] = "/tmp/tutti-rt-XXXXXX", cwd[1000];
    struct seen s = {0};
    AUTO(str_fini) struct str in = STR_INIT;
    AUTO(freep) char *full = NULL, *longer = xasprintf("%0300d", 1), *got = NULL;
    char **names = NULL;
    size_t n = 0;
    int fd = -1;
    assert_non_null(mkdtemp(dir));
    assert_non_null(getcwd(cwd, sizeof cwd));
    assert_int_equal(chdir(dir), 0);
    full = xasprintf("full.%d.tmp", (int)getpid());
    assert_ok(file_write("file", "x", 1, 0600));
    assert_int_equal(mkdir("sub", 0700), 0);
    assert_int_equal(symlink("loop", "loop"), 0);
    assert_int_equal(symlink("/dev/full", full), 0); /* where it is written before the rename */
    say_text(&s, file_read("/proc/self/mem", 100, &in));
    say_text(&s, file_read("loop", 100, &in));
    say_text(&s, file_write("full", "x", 1, 0600));
    say_text(&s, file_write("none/x", "x", 1, 0600));
    say_text(&s, file_write("sub", "x", 1, 0600));
    say_text(&s, dir_make("file/a/b", 0700));
    say_text(&s, dir_make("file/a", 0700));
    say_text(&s, dir_make("none/loop", 0700));
    say_text(&s, dir_make("loop", 0700));
    say_text(&s, dir_list("none/x", &names, &n));
    say_text(&s, path_under("nowhere", "x", &got));
    say_text(&s, path_under(".", "file/x", &got));
    say_text(&s, path_under(".", "nowhere/x", &got));
    say_text(&s, file_lock("nowhere/lock", &fd));
    assert_string_equal(str_c(&s.log),
                        "transient: reading '/proc/self/mem': Input/output error;"
                        "invalid: reading 'loop': Too many levels of symbolic links;"
                        "limit: writing 'full': No space left on device;"
                        "missing: writing 'none/x': No such file or directory;"
                        "invalid: writing 'sub': Is a directory;"
                        "missing: making the folder 'file/a': Not a directory;"
                        "missing: making the folder 'file/a': Not a directory;"
                        "ok;"
                        "invalid: 'loop' is not a folder;"
                        "missing: listing 'none/x': No such file or directory;"
                        "missing: the root folder 'nowhere': No such file or directory;"
                        "missing: the path 'file/x': Not a directory;"
                        "missing: the path 'nowhere/x': No such file or directory;"
                        "missing: locking 'nowhere/lock': No such file or directory;");
    struct err *e = file_read(longer, 100, &in);
    assert_int_equal(e ? (int)err_kind(e) : -1, ERR_INVALID);
    err_free(e);
    /* Nothing half written is left. */
    assert_ok(dir_list(".", &names, &n));
    for (size_t i = 0; i < n; i++)
        assert_null(strstr(names[i], ".tmp"));
    assert_int_equal(n, 4);
    file_names_free(names, n);
    AUTO(freep) char *here = path_dir("file");
    assert_string_equal(here, ".");
    assert_int_equal(chdir(cwd), 0);
    remove_all(dir);
    str_fini(&s.log);
}

static void
no_locks(struct seen *s)
{
    int fd = -1;
    refuse(&(struct refusal){.call = SYS_flock, .no = ENOLCK});
    say_text(s, file_lock("/dev/null", &fd)); /* a file system without locks */
    struct rlimit none = {0, 0};
    AUTO(str_fini) struct str in = STR_INIT;
    struct rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    none.rlim_max = before.rlim_max;
    setrlimit(RLIMIT_NOFILE, &none);
    say_text(s, file_read("/dev/null", 10, &in));
    setrlimit(RLIMIT_NOFILE, &before);
}

static void
refusals(void **state)
{
    (void)state;
    AUTO(freep) char *log = NULL;
    assert_int_equal(in_child(no_locks, &log), 0);
    assert_string_equal(log, "transient: locking '/dev/null': No locks available;"
                             "limit: reading '/dev/null': Too many open files;");
}

/* Signals come while a pipe is read that has nothing yet: who writes to it at last first interrupts
 * the reader, each time when the kernel says that it sleeps, and waits until the kernel has handed
 * the signal over. (What the handler counts says less:
 * ThreadSanitizer runs it much later.) */
static void
on_alarm(int signum)
{
    (void)signum;
}

/* What /proc/PID/FILE says behind these words; "": nothing. */
static void
proc_says(pid_t pid, const char *file, const char *words, char text[20])
{
    char all[3000] = "";
    AUTO(freep) char *path = xasprintf("/proc/%d/%s", (int)pid, file);
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(all, 1, sizeof all - 1, f) : 0;
    if (f)
        fclose(f);
    const char *at = n ? strstr(all, words) : NULL;
    snprintf(text, 20, "%.19s", at ? at + strlen(words) : "");
}

static bool
sleeps(pid_t pid)
{
    char state[20];
    proc_says(pid, "stat", ") ", state);
    return state[0] == 'S';
}

static bool
took_signals(pid_t pid)
{
    char pending[20];
    proc_says(pid, "status", "ShdPnd:\t", pending);
    return strncmp(pending, "0000000000000000", 16) == 0;
}

/* False: the reader is gone. */
static bool
wait_till(pid_t reader, bool (*is)(pid_t pid))
{
    while (!is(reader)) {
        if (getppid() != reader)
            return false;
        usleep(100); /* tidy: it is another process, and tells nobody */
    }
    return true;
}

static bool
interrupt(pid_t reader)
{
    return wait_till(reader, sleeps) && kill(reader, SIGALRM) == 0 &&
           wait_till(reader, took_signals);
}

static void
write_late(int fd)
{
    const pid_t reader = getppid();
    bool well = interrupt(reader);
    well &= interrupt(reader);
    well &= write(fd, "late", 4) == 4;
    _exit(well ? 0 : 1);
}

static void
interrupted(struct seen *s)
{
    AUTO(str_fini) struct str in = STR_INIT;
    int ends[2], status = -1;
    const struct sigaction act = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &act, NULL);
    if (pipe(ends) != 0)
        return;
    const pid_t writer = fork();
    if (writer == 0) {
        close(ends[0]);
        write_late(ends[1]);
    }
    close(ends[1]);
    AUTO(freep) char *path = xasprintf("/proc/self/fd/%d", ends[0]);
    struct err *e = file_read(path, 100, &in);
    waitpid(writer, &status, 0);
    str_addf(&s->log, "%s %d ", str_c(&in), status); /* 0: it was interrupted twice */
    say_text(s, e);
}

static void
interruptions(void **state)
{
    (void)state;
    AUTO(freep) char *log = NULL;
    assert_int_equal(in_child(interrupted, &log), 0);
    assert_string_equal(log, "late 0 ok;");
}

TESTS(file_test, cmocka_unit_test(files), cmocka_unit_test(failures), cmocka_unit_test(refusals),
      cmocka_unit_test(interruptions))
