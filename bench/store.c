/* bench/store.c - durable commits a second next to fdatasync a second of the same folder.
 *
 *   build/bench/store [FOLDER] [SECONDS]      default: a new folder under the current one, 2 s
 *
 * A commit is one run going on by two records (a result of 512 bytes and the next intent). The
 * database runs with synchronous=FULL; there is no way to switch that off here. Also: what a commit
 * costs in CPU time, and how long opening takes. */
#include "store/store.h"
#include "base/vec.h"
#include "rt/fiber.h"
#include "rt/rt.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct bench {
    const char *dir;
    int64_t ms;
    double fsyncs;
    struct store *s;
    int64_t until, commits;
    unsigned ids;
};

static double
cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void
die(struct err *e)
{
    if (!e)
        return;
    err_print(e, stderr);
    exit(1);
}

/* Overwrites blocks of a file that is there already: the best that the disk can do. */
static double
fdatasync_rate(const char *dir, int64_t ms)
{
    AUTO(freep) char *path = xasprintf("%s/probe", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    static char block[4096];
    int64_t n = 0;
    if (fd < 0)
        return 0;
    for (off_t i = 0; i < 1000; i++)
        if (pwrite(fd, block, sizeof block, i * 4096) != sizeof block)
            break;
    fsync(fd);
    int64_t start = rt_now_us();
    while (rt_now_us() - start < ms * 1000) {
        block[0]++;
        if (pwrite(fd, block, sizeof block, (n++ % 1000) * 4096) != sizeof block || fdatasync(fd))
            break;
    }
    double rate = (double)n * 1e6 / (double)(rt_now_us() - start);
    close(fd);
    unlink(path);
    return rate;
}

static void
run_one(void *arg)
{
    struct bench *b = arg;
    char id[RUN_ID_LEN], body[512];
    unsigned char random[10];
    struct store_lease l;
    bool existing;
    rt_random(random, sizeof random);
    store_make_id(rt_wall_ms(), random, id);
    memset(body, 'x', sizeof body);
    struct store_new_run run = {.id = id, .def_hash = "d", .name = "bench", .status = 1};
    struct store_record rs[2] = {
        {.kind = 5, .path = "panel/analyst[3]/turn[2]", .body = body, .body_len = sizeof body},
        {.kind = 4, .path = "panel/analyst[3]/turn[2]/tool[0]", .body = "{}", .body_len = 2}};
    struct store_commit c = {.lease = &l, .records = rs, .nrecords = 2, .status = 1};
    die(store_create(b->s, &run, &l, &existing));
    while (rt_now_us() < b->until) {
        die(store_commit(b->s, &c));
        b->commits++;
    }
    struct store_commit end = {.lease = &l, .status = 10, .release = true};
    die(store_commit(b->s, &end));
}

static void
measure(struct bench *b, unsigned runs)
{
    struct scope scope;
    struct store_numbers before, after;
    b->commits = 0;
    store_numbers(b->s, &before);
    double cpu = cpu_us();
    int64_t start = rt_now_us();
    b->until = start + b->ms * 1000;
    scope_open(&scope, DEADLINE_NONE);
    for (unsigned i = 0; i < runs; i++)
        scope_spawn(&scope, "run", run_one, b);
    die(scope_close(&scope));
    double seconds = (double)(rt_now_us() - start) / 1e6, n = (double)b->commits;
    store_numbers(b->s, &after);
    printf("%-7s %4u in flight: %8.0f commits/s  %5.2f x fdatasync  %5.1f us CPU each  %5.1f a "
           "batch\n",
           store_driver(b->s), runs, n / seconds, n / seconds / b->fsyncs, (cpu_us() - cpu) / n,
           n / (double)MAX(after.batches - before.batches, 1));
}

static void
opening(struct bench *b, const char *what)
{
    struct store_opts opts = {.dir = b->dir};
    int64_t start = rt_now_us();
    die(store_open(&opts, &b->s));
    printf("opening %-22s %7.2f ms\n", what, (double)(rt_now_us() - start) / 1e3);
}

static void
bench(void *arg)
{
    struct bench *b = arg;
    b->fsyncs = fdatasync_rate(b->dir, b->ms / 2);
    printf("fdatasync: %.0f/s\n", b->fsyncs);
    opening(b, "a new folder");
    measure(b, 1);
    measure(b, 1);
    measure(b, 64);
    measure(b, 256);
    int64_t start = rt_now_us();
    store_close(b->s);
    printf("closing                        %7.2f ms\n", (double)(rt_now_us() - start) / 1e3);
    opening(b, "it again");
    store_close(b->s);
}

int
main(int argc, char **argv)
{
    char own[] = "store-bench-XXXXXX";
    struct bench b = {.dir = argc > 1 ? argv[1] : mkdtemp(own),
                      .ms = (argc > 2 ? strtol(argv[2], NULL, 10) : 2) * 1000};
    struct rt *rt;
    struct rt_opts opts = {0};
    if (!b.dir || b.ms <= 0) {
        fprintf(stderr, "usage: store [FOLDER] [SECONDS]\n");
        return 2;
    }
    die(rt_open(&opts, &rt));
    rt_run(rt, bench, &b);
    rt_close(rt);
    if (b.dir == own) {
        static const char *const names[] = {"tutti.db", "tutti.db-wal", "tutti.db-shm", "lock",
                                            "control.sock"};
        for (size_t i = 0; i < COUNT(names); i++) {
            AUTO(freep) char *path = xasprintf("%s/%s", own, names[i]);
            unlink(path);
        }
        rmdir(own);
    }
    return 0;
}
