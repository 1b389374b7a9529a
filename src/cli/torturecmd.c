/* torturecmd.c - `tutti torture`: kills a working tutti at random, again and again, and proves that
 * nothing was lost and nothing happened twice. On your disk, with your kernel.
 *
 * It speaks to the machine directly, because it plays the machine: the fibers and the custodians of
 * the runtime would clean up after the worker what the worker itself has to survive. */
#include "cli/torture.h"
#include "rt/file.h"
#include "rt/rt.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILLS_MAX     1000000
#define LIFE_MS_MAX   230    /* of most lives: 5 to 10 kills a second */
#define YOUNG_MS_MAX  40     /* of some: killed while it opens the store and resumes */
#define FINISH_MS     300000 /* for what is left at the end */
#define SETTLE_MS     5000   /* a custodian gives a process 2 s */
#define OWN_ENDS_MAX  3
#define LIST_EVERY    6 /* lives */
#define SETTLE_ONE_OF 4 /* lives are followed by one that decides what is in doubt */

struct torture {
    bool json, keep, settled, finish;
    const char *store, *worker, *effect;
    unsigned kills, at_once;
    uint64_t chance;
    char *dir, *program;
    struct ledger *ledger;
    struct told told;
    struct torture_counts counts;
    pid_t worker_pid, listing_pid; /* 0: none */
    int worker_status;
    struct str in; /* of the worker, until a line is whole */
};

static unsigned
chance_below(struct torture *t, unsigned n)
{
    uint64_t z = t->chance += 0x9e3779b97f4a7c15u; /* splitmix64, public domain by S. Vigna */
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (unsigned)((z ^ z >> 31) % n);
}

/* ---- processes ------------------------------------------------------------------------------- */

/* This program again, stdout to out (taken), stderr to a file that is kept. */
static struct err *
spawn(struct torture *t, const char *const *argv, int out, pid_t *ret_pid)
{
    AUTO(freep) char *life = xasprintf("%u", t->counts.lives);
    AUTO(freep) char *log = path_join(t->dir, "stderr");
    int err = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    pid_t pid = err < 0 || out < 0 ? -1 : fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(out, STDOUT_FILENO);
        dup2(err, STDERR_FILENO);
        setenv(TORTURE_LIFE_ENV, life, 1);
        setenv("no_proxy", "127.0.0.1", 1); /* the ledger */
        execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    int why = errno;
    if (err >= 0)
        close(err);
    if (out >= 0)
        close(out);
    if (pid < 0)
        return FAIL(ERR_TRANSIENT, "no process can be started: %s", strerror(why));
    *ret_pid = pid;
    return NULL;
}

/* Whoever lost its parent below us has become our child: without a child nobody is left. */
static bool
children_left(struct torture *t)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == t->worker_pid) {
            t->worker_pid = 0;
            t->worker_status = status;
        } else if (pid == t->listing_pid) {
            t->listing_pid = 0;
            t->counts.listings++;
            t->counts.listings_failed += status != 0;
            if (status)
                told_example(&t->told, "life %u: `tutti runs ls` ended with %d, see stderr",
                             t->counts.lives, WIFEXITED(status) ? WEXITSTATUS(status) : -status);
        }
    }
    return pid == 0;
}

static void
orphans_end(struct torture *t)
{
    AUTO(freep) char *path = xasprintf("/proc/self/task/%d/children", (int)getpid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char room[2048];
    ssize_t n = fd < 0 ? 0 : read(fd, room, sizeof room - 1);
    if (fd >= 0)
        close(fd);
    room[MAX(n, 0)] = '\0';
    char *rest = room;
    for (char *word; (word = strsep(&rest, " "));) {
        pid_t pid = (pid_t)strtol(word, NULL, 10);
        if (pid <= 0)
            continue;
        told_example(&t->told, "life %u: process %s is still there after %d ms", t->counts.lives,
                     word, SETTLE_MS);
        kill(pid, SIGKILL);
    }
    t->counts.orphans++;
}

/* Waits until nothing of the life that was cut is under way, neither a process nor a request. */
static void
settle(struct torture *t)
{
    int64_t until = rt_now_ms() + SETTLE_MS;
    do {
        ledger_serve(t->ledger, -1, 2);
        if (rt_now_ms() >= until) {
            orphans_end(t);
            return;
        }
    } while (children_left(t) || ledger_open_connections(t->ledger));
}

static struct err *
listing_start(struct torture *t)
{
    AUTO(freep) char *store = path_join(t->dir, "store");
    const char *const argv[] = {t->program, "runs", "ls", "--json", "--store", store, NULL};
    if (t->listing_pid || !t->told.acknowledged)
        return NULL;
    return spawn(t, argv, open("/dev/null", O_WRONLY | O_CLOEXEC), &t->listing_pid);
}

/* ---- one life -------------------------------------------------------------------------------- */

static struct err *
worker_start(struct torture *t, bool settled, bool finish, int *ret_fd)
{
    int fds[2];
    AUTO(freep) char *at_once = xasprintf("--at-once=%u", t->at_once);
    const char *argv[8] = {t->program, "torture", "--worker", t->dir, at_once};
    size_t n = 5;
    if (settled)
        argv[n++] = "--settled";
    if (finish)
        argv[n++] = "--finish";
    if (pipe2(fds, O_CLOEXEC) != 0)
        return FAIL(ERR_LIMIT, "no pipe: %s", strerror(errno));
    t->counts.lives++;
    struct err *e = spawn(t, argv, fds[1], &t->worker_pid);
    if (e)
        close(fds[0]);
    else
        *ret_fd = fds[0];
    return e;
}

/* False: the end. */
static bool
worker_read(struct torture *t, int fd)
{
    char room[2048];
    ssize_t n = read(fd, room, sizeof room);
    if (n <= 0)
        return n < 0 && errno == EINTR;
    str_addn(&t->in, room, (size_t)n);
    char *line = t->in.p;
    for (char *end; (end = memchr(line, '\n', t->in.len - (size_t)(line - t->in.p)));
         line = end + 1) {
        *end = '\0';
        told_line(&t->told, t->counts.lives, line);
    }
    str_cut(&t->in, (size_t)(line - t->in.p));
    return true;
}

/* Serves and listens until the worker is gone; kills it when its time is over, or as soon as it has
 * acknowledged so many records. */
static bool
worker_watch(struct torture *t, int fd, int64_t life_ms, int64_t records)
{
    int64_t kill_at = rt_now_ms() + life_ms, kill_after = t->told.acknowledged + records;
    bool killed = false, open = true;
    while (open || t->worker_pid) {
        int64_t left = killed ? 1 : MAX(kill_at - rt_now_ms(), 0);
        bool ready = ledger_serve(t->ledger, open ? fd : -1, open ? left : 1);
        if (open && ready)
            open = worker_read(t, fd);
        if (!killed && (rt_now_ms() >= kill_at || t->told.acknowledged >= kill_after)) {
            kill(t->worker_pid, SIGKILL);
            killed = true;
        }
        if (!open || killed)
            children_left(t);
    }
    str_reset(&t->in); /* a line that was cut was never told */
    close(fd);
    return killed && WIFSIGNALED(t->worker_status);
}

static struct err *
life(struct torture *t, bool settled)
{
    unsigned kind = chance_below(t, 10);
    int64_t ms = kind == 0 ? 1 + chance_below(t, YOUNG_MS_MAX)
                           : YOUNG_MS_MAX + chance_below(t, LIFE_MS_MAX - YOUNG_MS_MAX);
    int64_t records = kind < 3 ? 1 + chance_below(t, 300) : INT64_MAX / 2;
    int fd;
    PASS(worker_start(t, settled, false, &fd));
    if (t->counts.lives % LIST_EVERY == 0)
        PASS(listing_start(t));
    if (worker_watch(t, fd, ms, records)) {
        t->counts.kills++;
    } else {
        t->counts.own_ends++;
        told_example(&t->told, "life %u ended by itself with %d, see stderr", t->counts.lives,
                     WIFEXITED(t->worker_status) ? WEXITSTATUS(t->worker_status)
                                                 : -t->worker_status);
    }
    told_life_over(&t->told);
    return NULL;
}

static struct err *
lives(struct torture *t)
{
    bool settled = false;
    int64_t start = rt_now_us();
    while (t->counts.kills < t->kills && t->counts.own_ends < OWN_ENDS_MAX) {
        PASS(life(t, settled));
        settled = chance_below(t, SETTLE_ONE_OF) == 0;
        if (settled)
            settle(t);
        if (!t->json && isatty(STDERR_FILENO))
            fprintf(stderr, "\r%u kills, %lld steps ", t->counts.kills,
                    (long long)t->told.steps_ended);
    }
    t->counts.seconds = (double)(rt_now_us() - start) / 1e6;
    settle(t);
    int fd;
    PASS(worker_start(t, true, true, &fd));
    t->counts.unfinished = worker_watch(t, fd, FINISH_MS, INT64_MAX / 2) || t->worker_status != 0;
    told_life_over(&t->told);
    settle(t);
    return NULL;
}

/* ---- around it ------------------------------------------------------------------------------- */

static struct err *
place_make(struct torture *t)
{
    AUTO(freep) char *real = NULL;
    AUTO(freep) char *wanted = NULL;
    PASS(dir_make(t->store ? t->store : ".", 0777));
    real = realpath(t->store ? t->store : ".", NULL);
    wanted = path_join(real ? real : ".", "torture-XXXXXX");
    if (!mkdtemp(wanted))
        return FAIL(ERR_DENIED, "no folder can be made in '%s': %s", real, strerror(errno));
    t->dir = xstrdup(wanted);
    t->program = realpath("/proc/self/exe", NULL);
    if (!t->program)
        return FAIL(ERR_MISSING, "/proc is not there: %s", strerror(errno));
    AUTO(freep) char *ledger = path_join(t->dir, "ledger");
    PASS(ledger_open(ledger, t->counts.seed, &t->ledger));
    AUTO(freep) char *file = path_join(t->dir, "torture.yaml");
    AUTO(freep) char *text = torture_flow(t->program, t->dir, ledger_port(t->ledger));
    return file_write(file, text, strlen(text), 0600);
}

static int
entry_remove(const char *path, const struct stat *st, int what, struct FTW *at)
{
    (void)st;
    (void)what;
    (void)at;
    remove(path);
    return 0;
}

static struct err *
torture_run(struct torture *t)
{
    struct rt *rt; /* for the clock */
    PASS(rt_open(&(struct rt_opts){0}, &rt));
    if (!t->counts.seed)
        rt_random(&t->counts.seed, sizeof t->counts.seed / 2);
    t->chance = t->counts.seed;
    struct err *e = place_make(t);
    if (!e && !t->json) {
        printf("%u kills with seed %llu in %s\n", t->kills, (unsigned long long)t->counts.seed,
               t->dir);
        fflush(stdout);
    }
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (!e)
        e = lives(t);
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\n");
    ledger_close(STEAL(t->ledger));
    rt_close(rt);
    return e;
}

static int
torture(struct torture *t)
{
    unsigned bad = 1;
    told_init(&t->told);
    struct err *e = torture_run(t);
    if (!e)
        e = torture_check(t->dir, &t->told, &t->counts, t->json, &bad);
    if (!e && !bad && !t->keep)
        nftw(t->dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
    else if (t->dir)
        fprintf(stderr, "kept: %s\n", t->dir);
    told_fini(&t->told);
    str_fini(&t->in);
    free(t->dir);
    free(t->program);
    return e ? fail(e) : bad ? TUTTI_FAILED : 0;
}

static int
torture_main(int argc, char **argv)
{
    struct torture t = {0};
    const char *kills = "100", *seed = "0", *at_once = "24";
    const struct option_def defs[] = {
        {"--kills", "-n", .value = &kills}, {"--seed", .value = &seed},
        {"--store", .value = &t.store},     {"--keep", .flag = &t.keep},
        {"--json", .flag = &t.json},        {"--at-once", "-c", .value = &at_once},
        {"--worker", .value = &t.worker},   {"--effect", .value = &t.effect},
        {"--settled", .flag = &t.settled},  {"--finish", .flag = &t.finish}};
    if (options_take(defs, COUNT(defs), &argc, argv))
        return TUTTI_USAGE;
    t.kills = (unsigned)strtoul(kills, NULL, 10);
    t.at_once = (unsigned)strtoul(at_once, NULL, 10);
    t.counts.seed = strtoull(seed, NULL, 10);
    if (!t.kills || t.kills > KILLS_MAX || !t.at_once || t.at_once > 1000 || argc > 1)
        return usage_error(&cmd_torture, "kills are 1 to %d, runs at once 1 to 1000", KILLS_MAX);
    if (t.effect)
        return torture_effect(t.effect);
    if (t.worker)
        return torture_worker(&(struct torture_work){
            .dir = t.worker, .at_once = t.at_once, .settled = t.settled, .finish = t.finish});
    return torture(&t);
}

const struct command cmd_torture = {
    "torture",
    "torture [--kills N] [--seed S] [--at-once RUNS] [--store DIR] [--keep] [--json]",
    "kill a working tutti at random and check that nothing is lost or repeated",
    torture_main,
};
