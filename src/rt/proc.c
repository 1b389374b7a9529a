/* proc.c - starting, feeding and ending child processes. */
#include "rt/proc.h"
#include "rt/custodian.h"
#include "rt/proccore.h"
#include "rt/streamcore.h"
#include "rt/worker.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define STDERR_KEEP ((size_t)8 * 1024)
#define START_MS    10000

struct real {
    struct proc base;
    int custodian;
    struct stream *in, *out, *err, *control;
    struct str orders; /* reports of the custodian, until one is whole */
    struct waitq started;
    struct custodian_report start; /* 'p', 'x' or 'd' */
};

/* ---- common to both worlds ------------------------------------------------- */

void
proc_took_stderr(struct proc *p, const char *bytes, size_t n)
{
    if (n >= p->err_keep) {
        str_reset(&p->err_tail);
        bytes += n - p->err_keep;
        n = p->err_keep;
    }
    if (p->err_tail.len + n > 2 * p->err_keep) /* cut seldom: the copying stays linear */
        str_cut(&p->err_tail, p->err_tail.len - p->err_keep);
    str_addn(&p->err_tail, bytes, n);
}

void
proc_has_status(struct proc *p, int status)
{
    p->ended = true;
    p->status = status;
    waitq_wake_all(&p->ending);
}

void
proc_fini(struct proc *p)
{
    str_fini(&p->err_tail);
    free(p->err_text);
}

int
proc_pid(const struct proc *p)
{
    return p->pid;
}

const char *
proc_stderr(const struct proc *p)
{
    struct proc *self = (struct proc *)(uintptr_t)p; /* err_text is only a cache */
    struct str text = STR_INIT;
    size_t skip = p->err_tail.len > p->err_keep ? p->err_tail.len - p->err_keep : 0;
    if (p->err_tail.len)
        str_add_utf8(&text, p->err_tail.p + skip, p->err_tail.len - skip);
    free(self->err_text);
    self->err_text = str_steal(&text);
    return p->err_text;
}

struct err *
proc_write(struct proc *p, const void *bytes, size_t n, int64_t deadline_ms)
{
    return p->ops->write(p, bytes, n, deadline_ms);
}

void
proc_close_stdin(struct proc *p)
{
    p->ops->close_stdin(p);
}

struct err *
proc_read(struct proc *p, int64_t deadline_ms, struct str *to, bool *ret_end)
{
    return p->ops->read(p, deadline_ms, to, ret_end);
}

struct err *
proc_wait(struct proc *p, int64_t deadline_ms, int *ret_status)
{
    while (!p->ended)
        PASS(waitq_wait(&p->ending, deadline_ms));
    *ret_status = p->status;
    return NULL;
}

static bool
ends_within(struct proc *p, int64_t ms)
{
    int status;
    struct err *e = proc_wait(p, rt_after(ms), &status);
    err_free(e);
    return p->ended;
}

void
proc_stop(struct proc *p, int64_t grace_ms)
{
    if (!p)
        return;
    bool was = fiber_shield(true);
    proc_close_stdin(p);
    if (!ends_within(p, grace_ms)) {
        p->ops->signal(p, CUSTODIAN_TERM);
        if (!ends_within(p, grace_ms))
            proc_kill(STEAL(p));
    }
    if (p)
        p->ops->free(p);
    fiber_shield(was);
}

void
proc_kill(struct proc *p)
{
    bool was = fiber_shield(true);
    p->ops->signal(p, CUSTODIAN_KILL);
    ends_within(p, START_MS);
    p->ops->free(p);
    fiber_shield(was);
}

/* ---- the real world -------------------------------------------------------- */

static struct real *
real_of(struct proc *p)
{
    return container_of(p, struct real, base);
}

static struct err *
real_write(struct proc *p, const void *bytes, size_t n, int64_t deadline_ms)
{
    struct real *r = real_of(p);
    if (!r->in)
        return FAIL(ERR_TRANSIENT, "the process has no input any more");
    return stream_write(r->in, bytes, n, deadline_ms);
}

static void
real_close_stdin(struct proc *p)
{
    stream_close(STEAL(real_of(p)->in));
}

static struct err *
real_read(struct proc *p, int64_t deadline_ms, struct str *to, bool *ret_end)
{
    return stream_read(real_of(p)->out, deadline_ms, to, ret_end);
}

static void
real_signal(struct proc *p, char order)
{
    struct real *r = real_of(p);
    if (r->control)
        err_drop(stream_write(r->control, &order, 1, rt_after(100)));
}

static void
reap_custodian(void *arg)
{
    waitpid(((struct real *)arg)->custodian, NULL, 0);
}

static void
real_free(struct proc *p)
{
    struct real *r = real_of(p);
    stream_close(r->in);
    stream_close(r->out);
    stream_close(r->err);
    stream_close(r->control); /* the custodian sees it and ends what is left of the tree */
    offload(reap_custodian, r);
    str_fini(&r->orders);
    proc_fini(p);
    free(r);
}

static const struct proc_ops real_ops = {real_write, real_close_stdin, real_read, real_signal,
                                         real_free};

static void
real_stderr(void *ctx, const char *bytes, size_t n)
{
    if (n)
        proc_took_stderr(ctx, bytes, n);
}

static void
real_report(void *ctx, const char *bytes, size_t n)
{
    struct real *r = ctx;
    struct custodian_report report;
    if (!n) { /* the custodian itself is gone */
        if (!r->start.what)
            r->start = (struct custodian_report){.what = 'x', .value = ECHILD};
        waitq_wake_all(&r->started);
        if (!r->base.ended)
            proc_has_status(&r->base, 256 + SIGKILL);
        return;
    }
    str_addn(&r->orders, bytes, n);
    while (r->orders.len >= sizeof report) {
        memcpy(&report, r->orders.p, sizeof report);
        str_cut(&r->orders, sizeof report);
        if (report.what == 'e') {
            proc_has_status(&r->base, report.value);
        } else {
            r->start = report;
            waitq_wake_all(&r->started);
        }
    }
}

/* What a program needs to find its files, its caches and the network; nothing that is a secret. */
static bool
env_is_plain(const char *entry)
{
    static const char *const plain[] = {
        "PATH",       "HOME",        "USER",          "LOGNAME",
        "SHELL",      "TERM",        "LANG",          "LC_",
        "TZ",         "TMPDIR",      "XDG_",          "npm_config_",
        "http_proxy", "https_proxy", "HTTP_PROXY",    "HTTPS_PROXY",
        "no_proxy",   "NO_PROXY",    "all_proxy",     "ALL_PROXY",
        "SSL_CERT_",  "CURL_CA_",    "NODE_EXTRA_CA", "REQUESTS_CA_BUNDLE",
        "PIP_",       "UV_",         "PYENV_ROOT",    "NVM_",
        "SYSTEMROOT"};
    for (size_t i = 0; i < COUNT(plain); i++) {
        size_t n = strlen(plain[i]);
        bool prefix = plain[i][n - 1] == '_' || strcmp(plain[i], "NODE_EXTRA_CA") == 0;
        if (strncmp(entry, plain[i], n) == 0 && (prefix || entry[n] == '='))
            return true;
    }
    return false;
}

/* "NAME=value" of what is inherited and of opts->env, which wins. The strings are borrowed. */
static char **
env_merge(const struct proc_opts *opts)
{
    char *const *base = rt_environ();
    const char *const *more = opts->env;
    size_t n = 0, m = 0, k = 0;
    while (base[n])
        n++;
    while (more && more[m])
        m++;
    char **env = xcalloc(n + m + 1, sizeof *env);
    for (size_t i = 0; i < n; i++) {
        bool hidden = opts->minimal_env && !env_is_plain(base[i]);
        size_t name = strcspn(base[i], "=") + 1;
        for (size_t j = 0; j < m && !hidden; j++)
            hidden = strncmp(base[i], more[j], name) == 0;
        if (!hidden)
            env[k++] = base[i];
    }
    for (size_t j = 0; j < m; j++)
        env[k++] = (char *)(uintptr_t)more[j];
    return env;
}

static void
close_all(int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
        fds[i] = -1;
    }
}

/* Ours at even places, the child's at odd ones: stdin, stdout, stderr, control. */
static struct err *
pipes_make(int fds[8])
{
    for (int i = 0; i < 8; i++)
        fds[i] = -1;
    int p[2];
    for (int i = 0; i < 3; i++) {
        if (pipe2(p, O_CLOEXEC) != 0)
            goto out;
        fds[2 * i] = p[i == 0 ? 1 : 0];
        fds[2 * i + 1] = p[i == 0 ? 0 : 1];
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p) != 0)
        goto out;
    fds[6] = p[0];
    fds[7] = p[1];
    return NULL;
out:
    close_all(fds, 8);
    return FAIL(ERR_LIMIT, "no descriptors left for a process: %s", strerror(errno));
}

static struct err *
streams_open(struct real *r, int fds[8])
{
    struct stream **to[4] = {&r->in, &r->out, &r->err, &r->control};
    for (int i = 0; i < 4; i++) {
        int fd = fds[2 * i];
        fds[2 * i] = -1;
        PASS(stream_of_fd(fd, to[i]));
    }
    stream_on_data(r->err, real_stderr, &r->base);
    stream_on_data(r->control, real_report, r);
    return NULL;
}

static struct err *
start_wait(struct real *r, const struct proc_opts *opts)
{
    int64_t deadline = rt_after(START_MS);
    while (!r->start.what)
        PASS(waitq_wait(&r->started, deadline));
    int no = r->start.value;
    if (r->start.what == 'p')
        return NULL;
    enum err_kind kind = no == ENOENT || no == ENOTDIR ? ERR_MISSING
                         : no == EACCES                ? ERR_DENIED
                                                       : ERR_TRANSIENT;
    if (r->start.what == 'd')
        return FAIL(kind, "the folder '%s': %s", opts->cwd, strerror(no));
    return FAIL(kind, "running '%s': %s", opts->argv[0],
                no == ENOENT ? "no such program in PATH" : strerror(no));
}

struct err *
proc_start(const struct proc_opts *opts, struct proc **ret_proc)
{
    assert(opts->argv && opts->argv[0]);
    PASS(fiber_check());
    if (rt_now->simulated)
        return sim_proc_start(opts, ret_proc);
    int fds[8];
    PASS(pipes_make(fds));
    struct real *r = xcalloc(1, sizeof *r);
    r->base.ops = &real_ops;
    r->base.err_keep = opts->stderr_keep ? opts->stderr_keep : STDERR_KEEP;
    AUTO(freep) char **env = env_merge(opts);
    r->custodian = custodian_start(opts, env, (int[]){fds[1], fds[3], fds[5]}, fds[7]);
    for (int i = 1; i < 8; i += 2)
        close_all(&fds[i], 1);
    if (r->custodian < 0) {
        close_all(fds, 8);
        free(r);
        return FAIL(ERR_LIMIT, "no process left for '%s': %s", opts->argv[0], strerror(errno));
    }
    struct err *e = streams_open(r, fds);
    if (!e)
        e = start_wait(r, opts);
    close_all(fds, 8);
    if (e) {
        bool was = fiber_shield(true);
        real_free(&r->base);
        fiber_shield(was);
        return e;
    }
    r->base.pid = r->start.value;
    *ret_proc = &r->base;
    return NULL;
}
