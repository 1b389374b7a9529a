/* proc_test.c - processes on machines that refuse something: descriptors, forks, /proc. */
#include "rt/fiber.h"
#include "rt/file.h"
#include "rt/proc.h"
#include "rt/rttest.h"
#include "rt/sanitize.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- starting -------------------------------------------------------------------------------- */

static struct err *
start(const char *program, struct proc **ret_proc)
{
    const char *const argv[] = {program, NULL};
    return proc_start(&(struct proc_opts){.argv = argv}, ret_proc);
}

static struct err *
start_sh(const char *script, struct proc **ret_proc)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    return proc_start(&(struct proc_opts){.argv = argv}, ret_proc);
}

/* All it writes, until its end. */
static struct err *
outcome(struct proc *p, struct str *to, int *ret_status)
{
    bool end = false;
    while (!end)
        PASS(proc_read(p, rt_after(5000), to, &end));
    return proc_wait(p, rt_after(5000), ret_status);
}

static void
run_true(void *arg)
{
    struct proc *p = NULL;
    struct err *e = start("true", &p);
    proc_stop(p, 100);
    say_text(arg, e);
}

static void
start_cases(void *arg)
{
    struct seen *s = arg;
    struct proc *p = NULL;
    say_text(s, start("/etc/passwd", &p)); /* a file, and no program: not even root's */
    say_text(s, start("/etc/passwd/x", &p));
    struct err *e = start("cat", &p);
    if (!e) {
        proc_close_stdin(p);
        e = proc_write(p, "late", 4, rt_after(1000));
        proc_stop(p, 1000);
    }
    say_text(s, e);
    proc_stop(NULL, 0);
}

static void
starting(void **state)
{
    (void)state;
    struct seen s = {0};
    in_world(false, 0, start_cases, &s);
    assert_string_equal(str_c(&s.log), "denied: running '/etc/passwd': Permission denied;"
                                       "missing: running '/etc/passwd/x': Not a directory;"
                                       "transient: the process has no input any more;");
    str_fini(&s.log);
}

/* ---- environment ----------------------------------------------------------------------------- */

/* Keys stay here; what a program needs to run goes along; what it is given by name wins. */
static void
env_cases(void *arg)
{
    struct seen *s = arg;
    static const char script[] = "echo \"$HOME|$HOMELY|$LC_TUTTI|$TUTTI_KEY|$NODE_EXTRA_CA_CERTS\"";
    const char *const argv[] = {"sh", "-c", script, NULL}, *const env[] = {"HOME=/given", NULL};
    for (int minimal = 0; minimal < 2; minimal++) {
        struct proc *p = NULL;
        int status = -1;
        struct err *e =
            proc_start(&(struct proc_opts){.argv = argv, .env = env, .minimal_env = minimal}, &p);
        if (!e)
            e = outcome(p, &s->log, &status);
        proc_stop(p, 100);
        say_text(s, e);
    }
}

static void
environments(void **state)
{
    (void)state;
    static const char *const names[][2] = {{"HOMELY", "hidden"},
                                           {"LC_TUTTI", "shown"},
                                           {"TUTTI_KEY", "secret"},
                                           {"NODE_EXTRA_CA_CERTS", "ca"}};
    struct seen s = {0};
    for (size_t i = 0; i < COUNT(names); i++)
        setenv(names[i][0], names[i][1], 1);
    in_world(false, 0, env_cases, &s);
    for (size_t i = 0; i < COUNT(names); i++)
        unsetenv(names[i][0]);
    assert_string_equal(str_c(&s.log), "/given|hidden|shown|secret|ca\nok;"
                                       "/given||shown||ca\nok;");
    str_fini(&s.log);
}

/* ---- refusals -------------------------------------------------------------------------------- */

/* The process may have one descriptor more each time: refused in words, at whatever place, until
 * there is room for all; nothing of the refused ones stays open. */
static void
limit_cases(void *arg)
{
    struct seen *s = arg;
    struct rlimit before;
    run_true(s); /* the loop opens a spare one for itself with its first stream */
    int first = dup(0), after;
    close(first);
    getrlimit(RLIMIT_NOFILE, &before);
    AUTO(freep) char *said = NULL;
    bool started = false;
    for (int room = 0; room < 64 && !started; room++) {
        struct rlimit now = {(rlim_t)(first + room), before.rlim_max};
        struct proc *p = NULL;
        int status = -1;
        setrlimit(RLIMIT_NOFILE, &now);
        struct err *e = start("true", &p);
        started = !e;
        if (started)
            e = proc_wait(p, rt_after(5000), &status);
        proc_stop(p, 100);
        AUTO(freep) char *text = e ? err_text(e) : xasprintf("ended with %d", status);
        if (!said || strcmp(said, text) != 0)
            str_addf(&s->log, "%s: %s;", e ? err_kind_name(err_kind(e)) : "ok", text);
        free(said);
        said = STEAL(text);
        err_free(e);
    }
    setrlimit(RLIMIT_NOFILE, &before);
    after = dup(0);
    close(after);
    str_addf(&s->log, "open: %d", after - first);
}

static void
few_descriptors(struct seen *s)
{
    in_world(false, 0, limit_cases, s);
}

static void
no_fork(struct seen *s)
{
    refuse(&(struct refusal){
        .call = SYS_clone, .arg = 0, .mask = CLONE_THREAD, .want = 0, .no = EAGAIN});
    in_world(false, 0, run_true, s);
}

static void
no_room(struct seen *s)
{
    refuse(
        &(struct refusal){.call = SYS_fcntl, .arg = 1, .mask = ~0u, .want = F_DUPFD, .no = EMFILE});
    in_world(false, 0, run_true, s);
}

/* The custodian's first step: it has to hear of the end of children. */
static void
no_signalfd(struct seen *s)
{
    refuse(&(struct refusal){.call = SYS_signalfd4, .no = ENFILE});
    in_world(false, 0, run_true, s);
}

static void
custodian_dies(struct seen *s)
{
    refuse(&(struct refusal){.call = SYS_setsid});
    in_world(false, 0, run_true, s);
}

static void
refusals(void **state)
{
    (void)state;
    static const struct {
        void (*fn)(struct seen *s);
        const char *want;
    } row[] = {
        {few_descriptors, "ok;limit: no descriptors left for a process: Too many open files;"
                          "transient: running 'true': Too many open files;"
                          "ok: ended with 0;open: 0"},
        {no_fork, "limit: no process left for 'true': Resource temporarily unavailable;"},
        {no_room, "transient: running 'true': Too many open files;"},
        {no_signalfd, "transient: running 'true': Too many open files in system;"},
        {custodian_dies, "transient: running 'true': No child processes;"},
    };
    if (RUNNING_ON_VALGRIND)
        skip(); /* memcheck makes the calls that are refused itself, and keeps descriptors */
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(freep) char *log = NULL;
        assert_int_equal(in_child(row[i].fn, &log), 0);
        assert_string_equal(log, row[i].want);
    }
}

static void
run_missing(void *arg)
{
    struct proc *p = NULL;
    struct err *e = start("/nonexistent", &p);
    if (!e)
        proc_kill(p);
    say_text(arg, e);
}

static void
not_there(struct seen *s)
{
    in_world(false, 0, run_missing, s);
}

/* What could not be started is told, whichever numbers our own descriptors happen to have. */
static void
told_always(void **state)
{
    (void)state;
    int more[8];
    for (size_t i = 0; i < COUNT(more); i++) {
        AUTO(freep) char *log = NULL;
        more[i] = dup(0);
        assert_int_equal(in_child(not_there, &log), 0);
        assert_string_equal(log, "missing: running '/nonexistent': no such program in PATH;");
    }
    for (size_t i = 0; i < COUNT(more); i++)
        close(more[i]);
}

/* ---- what a child does not get --------------------------------------------------------------- */

#define SECRET_FD 70

static void
leak_cases(void *arg)
{
    struct seen *s = arg;
    struct proc *p = NULL;
    int status = -1;
    struct err *e = start_sh("test -e /proc/self/fd/70 && echo leaked; echo done", &p);
    if (!e)
        e = outcome(p, &s->log, &status);
    proc_stop(p, 100);
    say_text(s, e);
}

static void
new_kernel(struct seen *s)
{
    str_addf(&s->log, "%d ", dup2(0, SECRET_FD));
    in_world(false, 0, leak_cases, s);
}

static void
old_kernel(struct seen *s)
{
    refuse(&(struct refusal){.call = SYS_close_range, .no = ENOSYS});
    new_kernel(s);
}

static void
descriptors(void **state)
{
    (void)state;
    static void (*const fn[])(struct seen * s) = {new_kernel, old_kernel};
    for (size_t i = 0; i < COUNT(fn); i++) {
        AUTO(freep) char *log = NULL;
        assert_int_equal(in_child(fn[i], &log), 0);
        assert_string_equal(log, "70 done\nok;");
    }
}

/* ---- without /proc --------------------------------------------------------------------------- */

/* A child that ignores SIGTERM, and a grandchild in a session of its own that nobody can find. */
static void
blind_cases(void *arg)
{
    struct seen *s = arg;
    struct proc *p = NULL;
    bool end = false;
    AUTO(str_fini) struct str out = STR_INIT;
    struct err *e = start_sh("trap '' TERM; setsid sh -c 'echo $$; exec sleep 100' & "
                             "echo $$; while :; do sleep 1; done",
                             &p);
    while (!e && !end && !memchr(str_c(&out), '\n', out.len ? out.len - 1 : 0))
        e = proc_read(p, rt_after(5000), &out, &end);
    if (!e)
        str_addf(&s->log, "%s", str_c(&out));
    int child = p ? proc_pid(p) : 0;
    proc_stop(p, 10);
    str_addf(&s->log, "%d\n%s", child, kill(child, 0) != 0 ? "ended " : "lives ");
    say_text(s, e);
}

static void
blind(struct seen *s)
{
    refuse(&(struct refusal){
        .call = SYS_openat, .arg = 2, .mask = O_DIRECTORY, .want = O_DIRECTORY, .no = EACCES});
    in_world(false, 0, blind_cases, s);
}

static int blind_fd, blind_pid; /* it takes a second: the other tests run meanwhile */

static void
blind_begins(void **state)
{
    (void)state;
    blind_fd = child_start(blind, &blind_pid);
    assert_true(blind_fd >= 0);
}

static void
blind_ends(void **state)
{
    (void)state;
    AUTO(freep) char *log = NULL;
    int a = 0, b = 0, child = 0, at = 0;
    assert_int_equal(child_end(blind_fd, blind_pid, &log), 0);
    assert_int_equal(sscanf(log, "%d\n%d\n%d\n%n", &a, &b, &child, &at), 3);
    int grandchild = a == child ? b : a;
    assert_true(a == child || b == child);
    assert_int_equal(kill(grandchild, SIGKILL), 0); /* it was out of reach, and is there */
    assert_string_equal(log + at, "ended ok;");
}

/* ---- without stdin, stdout and stderr ---------------------------------------------------------
 */

static void
talk_cases(void *arg)
{
    struct seen *s = arg;
    AUTO(str_fini) struct str out = STR_INIT;
    struct proc *p = NULL;
    int status = -1;
    bool end = false;
    struct err *e = start("cat", &p);
    if (!e)
        e = proc_write(p, "hi\n", 3, rt_after(5000));
    printf("for whoever reads this\n"); /* for nobody: certainly not for the program */
    fflush(stdout);
    while (!e && out.len < 3 && !end)
        e = proc_read(p, rt_after(5000), &out, &end);
    proc_close_stdin(p);
    if (!e)
        e = outcome(p, &out, &status);
    str_addf(&s->log, "%.*s %d ", (int)out.len - 1, str_c(&out), status);
    proc_stop(p, 100);
    say_text(s, e);
}

static void
talk_without_stdio(struct seen *s)
{
    for (int fd = 0; fd < 3; fd++)
        close(fd);
    in_world(false, 0, talk_cases, s);
}

/* The loop would end us over descriptors below 3 that it was given, and what we print would go to
 * whatever got these numbers. */
static void
stdio_closed(void **state)
{
    (void)state;
    AUTO(freep) char *log = NULL;
    assert_int_equal(in_child(talk_without_stdio, &log), 0);
    assert_string_equal(log, "hi 0 ok;");
}

TESTS(proc_test, cmocka_unit_test(blind_begins), cmocka_unit_test(starting),
      cmocka_unit_test(environments), cmocka_unit_test(refusals), cmocka_unit_test(told_always),
      cmocka_unit_test(descriptors), cmocka_unit_test(stdio_closed), cmocka_unit_test(blind_ends))
