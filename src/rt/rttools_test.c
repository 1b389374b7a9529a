/* rttools_test.c - the helpers of rttest.h. Refusals are a seccomp filter: as good for root as for
 * anyone, and gone with the process. */
#include "rt/rttest.h"
#include "rt/sanitize.h"
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if WITH_TSAN
/* Our forks start with one thread, the sanitizer's own aside. */
const char *__tsan_default_options(void);
__attribute__((visibility("default"))) const char *
__tsan_default_options(void)
{
    return "die_after_fork=0";
}
#endif

void
say_text(struct seen *s, struct err *e)
{
    AUTO(freep) char *text = e ? err_text(e) : NULL;
    if (e)
        str_addf(&s->log, "%s: %s;", err_kind_name(err_kind(e)), text);
    else
        str_add(&s->log, "ok;");
    err_free(e);
}

/* ---- processes of their own ------------------------------------------------------------------ */

static void
on_abort(int signum)
{
    (void)signum;
    COUNTS_WRITE(), _exit(CHILD_ABORTED);
}

int
child_start(void (*fn)(struct seen *s), int *ret_pid)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct seen s = {0};
        signal(SIGABRT, on_abort);
        close(ends[0]);
        fn(&s);
        ssize_t n = write(ends[1], str_c(&s.log), s.log.len);
        int status = n == (ssize_t)s.log.len ? 0 : 1;
        str_fini(&s.log); /* memcheck looks at children too */
        COUNTS_WRITE(), _exit(status);
    }
    close(ends[1]);
    *ret_pid = pid;
    return ends[0];
}

int
child_end(int fd, int pid, char **ret_log)
{
    struct str log = STR_INIT;
    char room[2048];
    for (ssize_t n; (n = read(fd, room, sizeof room)) > 0;)
        str_addn(&log, room, (size_t)n);
    close(fd);
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    *ret_log = str_steal(&log);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int
in_child(void (*fn)(struct seen *s), char **ret_log)
{
    int pid, fd = child_start(fn, &pid);
    return child_end(fd, pid, ret_log);
}

/* ---- refusals -------------------------------------------------------------------------------- */

void
refuse(const struct refusal *r)
{
    unsigned no = r->no ? SECCOMP_RET_ERRNO | (unsigned)r->no : SECCOMP_RET_KILL_PROCESS;
    unsigned at = offsetof(struct seccomp_data, args) + 8 * (unsigned)r->arg;
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)r->call, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at), /* the lower half: little endian */
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, r->mask),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, r->want, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, no),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {COUNT(rules), rules};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        perror("seccomp");
        _exit(2);
    }
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void
refused(struct seen *s)
{
    errno = 0;
    refuse(&(struct refusal){.call = SYS_getpriority, .mask = ~0u, .want = 5, .no = EXDEV});
    long first = syscall(SYS_getpriority, 5, 0);
    str_addf(&s->log, "%ld %d;", first, errno == EXDEV);
    str_addf(&s->log, "%d;", syscall(SYS_getpriority, PRIO_PROCESS, 0) >= 0);
    refuse(&(struct refusal){.call = SYS_getpriority, .no = EDOM});
    str_addf(&s->log, "%d", syscall(SYS_getpriority, PRIO_PROCESS, 0) < 0 && errno == EDOM);
}

static void
dies(struct seen *s)
{
    (void)s;
    abort();
}

static void
refusals(void **state)
{
    (void)state;
    char *log = NULL;
    assert_int_equal(in_child(refused, &log), 0);
    assert_string_equal(log, "-1 1;1;1");
    free(log);
    assert_int_equal(in_child(dies, &log), CHILD_ABORTED);
    free(log);
}

TESTS(rttools_test, cmocka_unit_test(refusals))
