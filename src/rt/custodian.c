/* custodian.c - starts one child, and ends its whole tree when told, or when we are gone.
 *
 * It is the subreaper of everything below it (prctl(2), PR_SET_CHILD_SUBREAPER): a grandchild whose
 * parent dies becomes its child instead of init's, so no descendant can leave its sight. It runs in
 * a fork of a process with threads, so it calls only what signal-safety(7) allows: no malloc, no
 * stdio. */
#include "rt/custodian.h"
#include "rt/sanitize.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GRACE_MS  2000 /* between SIGTERM and SIGKILL when we were killed */
#define PIDS_MAX  32768
#define BLIND_MAX 50 /* sweeps without /proc: 1 s */
#define AGAIN_MS  20 /* a tree is swept again until it is empty: it may be forking meanwhile */

struct family {
    int pid, parent;
};
static struct family family[PIDS_MAX]; /* in the custodian only: touched pages are its own */

static int
number(const char *p)
{
    int x = 0;
    if (*p < '0' || *p > '9')
        return -1;
    for (; *p >= '0' && *p <= '9'; p++)
        x = x * 10 + (*p - '0');
    return x;
}

/* The fourth field of /proc/PID/stat, after the name in brackets, which may hold anything. */
static int
parent_of(const char *pid)
{
    char path[32] = "/proc/", stat[512], *end = path + 6;
    for (size_t i = 0; pid[i] && i < 12; i++)
        *end++ = pid[i];
    memcpy(end, "/stat", sizeof "/stat");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, stat, sizeof stat - 1);
    close(fd);
    stat[MAX(n, 0)] = '\0'; /* nothing, and perhaps no file: it has just ended */
    const char *p = strrchr(stat, ')');
    if (!p || strlen(p) < 5 || p[2] == 'Z') /* a zombie has nothing left to end */
        return -1;
    return number(p + 4);
}

static int
family_read(void)
{
    struct entry {
        uint64_t inode;
        int64_t offset;
        uint16_t size;
        uint8_t type;
        char name[];
    };
    _Alignas(8) char room[3072];
    int n = 0, fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    for (long got; (got = syscall(SYS_getdents64, fd, room, sizeof room)) > 0;) {
        for (long at = 0; at < got;) {
            struct entry *e = (struct entry *)(void *)(room + at);
            at += e->size;
            int pid = number(e->name);
            if (pid > 0 && n < PIDS_MAX)
                family[n++] = (struct family){pid, parent_of(e->name)};
        }
    }
    close(fd);
    return n;
}

/* Signals every living descendant; false when /proc does not show who they are (a bare chroot):
 * then only the child's own group can be reached. */
static bool
tree_signal(int signum, int child)
{
    int n = family_read(), self = getpid();
    kill(-child, signum);
    for (bool more = true; more;) {
        more = false;
        for (int i = 0; i < n; i++) {
            bool below = family[i].parent == self;
            for (int k = 0; !below && k < n; k++)
                below = family[k].pid == -family[i].parent; /* marked: a descendant found before */
            if (family[i].pid < 0 || !below)
                continue;
            kill(family[i].pid, signum);
            family[i].pid = -family[i].pid;
            more = true;
        }
    }
    return n > 0;
}

static void
report(int control, char what, int value)
{
    struct custodian_report r;
    memset(&r, 0, sizeof r);
    r.what = what;
    r.value = value;
    ssize_t n = send(control, &r, sizeof r, MSG_NOSIGNAL);
    (void)n; /* nobody left to tell */
}

/* Reaps what has ended; false when no child is left. */
static bool
reap(int control, int child)
{
    int status, pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == child)
            report(control, 'e',
                   WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status));
    }
    return !(pid < 0 && errno == ECHILD);
}

static int64_t
clock_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void
watch(int control, int child, int signals)
{
    bool orphaned = false, killing = false;
    int64_t kill_at = INT64_MAX;
    bool child_ended = false;
    int blind = 0;
    for (;;) {
        struct pollfd fds[2] = {{.fd = orphaned ? -1 : control, .events = POLLIN},
                                {.fd = signals, .events = POLLIN}};
        int64_t left = kill_at == INT64_MAX ? -1 : kill_at - clock_ms();
        poll(fds, 2, killing ? AGAIN_MS : left < 0 && kill_at != INT64_MAX ? 0 : (int)left);
        char order;
        ssize_t n = fds[0].revents ? recv(control, &order, 1, MSG_DONTWAIT) : -1;
        if (n == 1 && order == CUSTODIAN_TERM)
            tree_signal(SIGTERM, child);
        if (n == 1 && order == CUSTODIAN_KILL)
            killing = true;
        if (fds[0].revents && n == 0) { /* our maker is gone */
            orphaned = true;
            tree_signal(SIGTERM, child);
            kill_at = clock_ms() + GRACE_MS;
        }
        struct signalfd_siginfo info;
        while (read(signals, &info, sizeof info) > 0)
            ;
        if (!reap(control, child))
            return;
        if (!child_ended && kill(child, 0) != 0) { /* it left others behind: they end with it */
            child_ended = true;
            tree_signal(SIGTERM, child);
            kill_at = MIN(kill_at, clock_ms() + GRACE_MS);
        }
        if (killing || clock_ms() >= kill_at) {
            killing = true;
            if (!tree_signal(SIGKILL, child) && ++blind == BLIND_MAX)
                return; /* who is left cannot be found */
        }
    }
}

static void
close_from(int first)
{
    if (syscall(SYS_close_range, first, ~0u, 0) == 0)
        return;
    for (int fd = first; fd < 65536; fd++)
        close(fd);
}

static _Noreturn void
leave(int status)
{
    COUNTS_WRITE(), _exit(status);
}

/* In the child: becomes the program, or writes 'x' or 'd' and errno. */
static void
become(const struct proc_opts *opts, char *const *env, int failed)
{
    sigset_t none;
    sigemptyset(&none);
    for (int s = 1; s < 32; s++)
        signal(s, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0);
    struct custodian_report r;
    memset(&r, 0, sizeof r);
    r.what = 'd';
    if (!opts->cwd || chdir(opts->cwd) == 0) {
        r.what = 'x';
        COUNTS_WRITE();
        execvpe(opts->argv[0], (char *const *)(uintptr_t)opts->argv, env);
    }
    r.value = errno;
    ssize_t n = write(failed, &r, sizeof r);
    leave(n == sizeof r ? 127 : 126);
}

static void
custodian_main(const struct proc_opts *opts, char *const *env, const int stdio[3], int control)
{
    /* Gather the descriptors at 0..3, through numbers above all of them so that none is run over.
     * Where there is no room for that nothing is started: it would talk to the wrong ones. */
    int high[4];
    for (int i = 0; i < 4; i++) {
        high[i] = fcntl(i < 3 ? stdio[i] : control, F_DUPFD, 4);
        if (high[i] < 0) {
            report(control, 'x', errno);
            leave(1);
        }
    }
    for (int i = 0; i < 4; i++)
        dup2(high[i], i);
    close_from(4);
    fcntl(3, F_SETFD, FD_CLOEXEC);
    setsid(); /* the terminal's Ctrl-C is ours to handle */
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    prctl(PR_SET_NAME, "tutti-custodian", 0, 0, 0);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    sigset_t chld;
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    int signals = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
    int failed[2], child = -1;
    /* Not fork(): it calls what libraries left for the child to do, and libuv's closes two
     * descriptors by numbers that have long been ours. */
    if (signals >= 0 && pipe2(failed, O_CLOEXEC) == 0)
        child = _Fork();
    if (child < 0) {
        report(3, 'x', errno);
        leave(1);
    }
    if (child == 0)
        become(opts, env, failed[1]);
    close(failed[1]);
    for (int i = 0; i < 3; i++)
        close(i);
    struct custodian_report r;
    if (read(failed[0], &r, sizeof r) == sizeof r) {
        report(3, r.what, r.value);
        leave(1);
    }
    close(failed[0]);
    report(3, 'p', child);
    watch(3, child, signals);
    leave(0);
}

int
custodian_start(const struct proc_opts *opts, char *const *env, const int stdio[3], int control)
{
    int pid = fork();
    if (pid == 0)
        custodian_main(opts, env, stdio, control);
    return pid;
}
