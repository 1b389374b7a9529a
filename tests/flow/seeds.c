/* seeds.c - thousands of random definitions in random worlds under virtual time.
 *
 * usage: seeds [-f FIRST] [-n COUNT] [-j JOBS] [-v]    or, one of them again: seeds -s SEED [-v]
 *
 * Each worker process takes every JOBS-th seed; one that dies is a failed seed and is replaced.
 * Every 20th seed runs twice and must be the same, switch by switch. The last line is
 * "N passed, N failed". */
#include "base/err.h"
#include "seedrun.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define JOBS_MAX    64
#define SECONDS_MAX 120 /* of one seed, in real time: it spins */
#define SHOWN_MAX   3   /* failed seeds of a worker that are told in full */
#define TWICE_EVERY 20

static const char *const ends[] = {"completed", "partial", "failed", "cancelled", "compensated"};

struct tally { /* in memory that all processes share */
    uint64_t at;
    unsigned passed, failed, shown, lives, effects, ends[COUNT(ends)];
    int64_t virtual_ms;
};

static void
show(uint64_t seed, const struct seed_result *r, bool whole)
{
    unsigned long long n = seed;
    if (r->faults.len)
        printf("seed %llu: %s", n, str_c(&r->faults));
    if (whole)
        printf(
            "---- plan\n%s---- lives\n%s---- journal\n%s---- again: build/test/seeds -s %llu -v\n",
            r->plan, str_c(&r->story), str_c(&r->journal), n);
    fflush(stdout);
}

static void
compare_twice(uint64_t seed, struct seed_result *r)
{
    struct seed_result second;
    seed_run(seed, &second);
    if (second.digest != r->digest)
        str_add(&r->faults, "run again it takes another course\n");
    if (!str_eq(str_c(&second.journal), str_c(&r->journal)))
        str_addf(&r->faults, "run again it writes another journal:\n%s", str_c(&second.journal));
    seed_result_fini(&second);
}

static bool
one(uint64_t seed, bool twice, bool verbose, struct tally *t)
{
    struct seed_result r;
    alarm(SECONDS_MAX);
    seed_run(seed, &r);
    if (twice)
        compare_twice(seed, &r);
    alarm(0);
    bool ok = !r.faults.len;
    t->lives += r.lives;
    t->effects += r.effects;
    t->virtual_ms += r.virtual_ms;
    for (size_t i = 0; i < COUNT(ends); i++)
        t->ends[i] += str_eq(r.status, ends[i]);
    ++*(ok ? &t->passed : &t->failed);
    if (!ok || verbose)
        show(seed, &r, verbose || t->shown++ < SHOWN_MAX);
    seed_result_fini(&r);
    return ok;
}

struct batch {
    uint64_t first, end;
    unsigned jobs;
    bool verbose;
    struct tally *tallies;
    pid_t pids[JOBS_MAX];
};

static void
worker_start(struct batch *b, unsigned i)
{
    struct tally *t = &b->tallies[i];
    fflush(stdout);
    b->pids[i] = fork();
    if (b->pids[i])
        return;
    for (; t->at < b->end; t->at += b->jobs)
        one(t->at, t->at % TWICE_EVERY == 0, b->verbose, t);
    exit(0); /* not _exit: leaks are looked for on the way out */
}

/* True: it was replaced. */
static bool
worker_ended(struct batch *b, unsigned i, int status)
{
    struct tally *t = &b->tallies[i];
    if (WIFEXITED(status) && !WEXITSTATUS(status))
        return false;
    printf("seed %llu: the process died: %s %d\n", (unsigned long long)t->at,
           WIFSIGNALED(status) ? "signal" : "status",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    t->failed++;
    t->at += b->jobs;
    if (t->at >= b->end)
        return false;
    worker_start(b, i);
    return true;
}

static void
workers_run(struct batch *b)
{
    for (unsigned i = 0; i < b->jobs; i++) {
        b->tallies[i].at = b->first + i;
        worker_start(b, i);
    }
    for (unsigned left = b->jobs; left;) {
        int status;
        pid_t pid = wait(&status);
        for (unsigned i = 0; i < b->jobs; i++) {
            if (b->pids[i] == pid)
                left -= !worker_ended(b, i, status);
        }
    }
}

static unsigned
summary(const struct batch *b, double seconds)
{
    struct tally sum = {0};
    for (unsigned i = 0; i < b->jobs; i++) {
        const struct tally *t = &b->tallies[i];
        sum.passed += t->passed;
        sum.failed += t->failed;
        sum.lives += t->lives;
        sum.effects += t->effects;
        sum.virtual_ms += t->virtual_ms;
        for (size_t k = 0; k < COUNT(ends); k++)
            sum.ends[k] += t->ends[k];
    }
    printf("%u lives, %u once effects; runs:", sum.lives, sum.effects);
    for (size_t k = 0; k < COUNT(ends); k++)
        printf(" %u %s", sum.ends[k], ends[k]);
    printf("\n%.1f s, %.0f seeds/s, %.0f virtual seconds a second\n", seconds,
           (double)(b->end - b->first) / seconds, (double)sum.virtual_ms / 1000 / seconds);
    printf("%u passed, %u failed\n", sum.passed, sum.failed);
    return sum.failed;
}

static double
seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int
many(uint64_t first, uint64_t count, unsigned jobs, bool verbose)
{
    struct batch b = {.first = first, .end = first + count, .jobs = jobs, .verbose = verbose};
    b.tallies = mmap(NULL, JOBS_MAX * sizeof *b.tallies, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (b.tallies == MAP_FAILED)
        return 3;
    double began = seconds_now();
    workers_run(&b);
    unsigned failed = summary(&b, seconds_now() - began);
    munmap(b.tallies, JOBS_MAX * sizeof *b.tallies);
    return failed ? 1 : 0;
}

int
main(int argc, char **argv)
{
    uint64_t numbers[128] = {['f'] = 1, ['n'] = 100, ['j'] = 1};
    bool verbose = false;
    for (int o; (o = getopt(argc, argv, "f:n:j:s:v")) != -1;) {
        if (o == '?')
            return 3;
        if (o == 'v')
            verbose = true;
        else
            numbers[o] = strtoull(optarg, NULL, 10);
    }
    unsigned jobs = (unsigned)MIN(MAX(numbers['j'], 1), JOBS_MAX);
    if (!numbers['s'])
        return many(numbers['f'], numbers['n'], jobs, verbose);
    struct tally t = {0};
    bool ok = one(numbers['s'], true, verbose, &t);
    printf("%d passed, %d failed\n", ok, !ok);
    return ok ? 0 : 1;
}
