/* benchcmd.c - `tutti bench`: a workflow of yours, many times, with its journal on, next to what
 * the disk can do. */
#include "cli/cli.h"
#include "rt/fiber.h"
#include "rt/file.h"
#include "rt/rt.h"
#include "rt/sync.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define SYNCS  200
#define CLAIMS 200

struct bench {
    const char *file, *workflow, *input, *runs_text, *at_once_text, *store;
    bool json;
    unsigned runs, at_once;
    struct app *app;
    struct flow *flow;
    unsigned started, failed, waiting;
    char (*parked)[RUN_ID_LEN]; /* some of those that wait, spread over all */
    unsigned nparked;
    double claim_ms, claim_worst_ms;
    struct sem slots;
    struct scope scope;
    double seconds;
};

/* fdatasync/s of appending small records to a file of the store's folder. */
static double
disk_syncs(const char *dir)
{
    AUTO(freep) char *path = path_join(dir, "bench.tmp");
    char record[512] = {0};
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return 0;
    int64_t start = rt_now_us();
    for (int i = 0; i < SYNCS; i++) {
        if (write(fd, record, sizeof record) != sizeof record || fdatasync(fd) != 0)
            break;
    }
    double s = (double)(rt_now_us() - start) / 1e6;
    close(fd);
    unlink(path);
    return SYNCS / s;
}

static void
ended(void *ctx, struct run *run)
{
    struct bench *b = ctx;
    const unsigned every = b->runs / CLAIMS + 1;
    if (run_state(run) == RUN_WAITING) {
        if (b->waiting++ % every == 0 && b->nparked < CLAIMS)
            memcpy(b->parked[b->nparked++], run_id(run), RUN_ID_LEN);
    } else if (run_state(run) != RUN_COMPLETED) {
        b->failed++;
    }
    run_unref(run);
    sem_release(&b->slots);
}

/* Only starts the run: a fiber that waited for it would be measured too. */
static void
one(void *arg)
{
    struct bench *b = arg;
    struct run *run = NULL;
    bool existing;
    AUTO(json_freep)
    json_t *input = b->input ? json_string(b->input) : json_stringf("topic %u", b->started++);
    struct run_request req = {.flow = b->flow, .input = input};
    struct err *e = engine_start(app_engine(b->app), &req, &run, &existing);
    if (!e) {
        run_on_end(run, ended, b);
        return;
    }
    err_free(e);
    b->failed++;
    sem_release(&b->slots);
}

static struct err *
bench_runs(struct bench *b)
{
    int64_t start = rt_now_us();
    sem_setup(&b->slots, b->at_once);
    scope_open(&b->scope, DEADLINE_NONE);
    struct err *e = NULL;
    for (unsigned i = 0; i < b->runs && !e; i++) {
        e = sem_acquire(&b->slots, DEADLINE_NONE);
        if (!e)
            scope_spawn(&b->scope, "bench", one, b);
    }
    struct err *closed = scope_close(&b->scope);
    for (unsigned i = 0; i < b->at_once && !e; i++) /* all slots are free: all runs are over */
        e = sem_acquire(&b->slots, DEADLINE_NONE);
    b->seconds = (double)(rt_now_us() - start) / 1e6;
    if (e)
        err_free(closed);
    return e ? e : closed;
}

static int
by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* How long it takes to get hold of one of all those that wait. */
static struct err *
claims_measure(struct bench *b)
{
    struct store *s = app_store(b->app);
    double took[CLAIMS];
    for (unsigned i = 0; i < b->nparked; i++) {
        struct store_lease lease;
        int64_t start = rt_now_us();
        PASS(store_claim(s, b->parked[i], &lease));
        took[i] = (double)(rt_now_us() - start) / 1e3;
        PASS(store_release(s, &lease, INT64_MAX));
    }
    qsort(took, b->nparked, sizeof *took, by_size);
    if (b->nparked) {
        b->claim_ms = took[b->nparked / 2];
        b->claim_worst_ms = took[b->nparked - 1];
    }
    return NULL;
}

static void
report(const struct bench *b, double syncs)
{
    struct rusage u;
    struct engine_stats stats;
    getrusage(RUSAGE_SELF, &u);
    engine_stats(app_engine(b->app), &stats);
    double cpu = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                 (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
    double steps = (double)MAX(stats.steps, 1);
    json_t *d = json_pack(
        "{si si si sf sf sf sf sf sf sf sf}", "runs", (int)b->runs, "at_once", (int)b->at_once,
        "failed", (int)b->failed, "seconds", b->seconds, "runs_per_s", b->runs / b->seconds,
        "steps_per_s", (double)stats.steps / b->seconds, "commits_per_s",
        (double)stats.commits / b->seconds, "cpu_s_per_1000_steps", cpu / steps * 1000, "peak_mb",
        (double)u.ru_maxrss / 1024.0, "fdatasync_per_s", syncs, "steps_per_fdatasync",
        syncs > 0 ? (double)stats.steps / b->seconds / syncs : 0.0);
    if (b->waiting)
        json_object_update_new(d, json_pack("{si sf sf}", "waiting", (int)b->waiting, "claim_ms",
                                            b->claim_ms, "claim_worst_ms", b->claim_worst_ms));
    const char *key;
    json_t *value;
    if (b->json) {
        AUTO(freep) char *line = json_text(d);
        printf("%s\n", line);
    } else {
        json_object_foreach (d, key, value)
            printf("%-22s %12.3f\n", key, json_number_value(value));
    }
    json_decref(d);
}

static struct err *
bench(struct app *a, void *arg)
{
    struct bench *b = arg;
    AUTO(freep) char *file = NULL;
    AUTO(spec_freep) struct spec *spec = NULL;
    b->app = a;
    PASS(app_find_file(b->file, &file));
    PASS(app_load(a, file, &spec));
    PASS(app_flow(a, spec, b->workflow, &b->flow));
    b->parked = xcalloc(CLAIMS, sizeof *b->parked);
    struct err *e = bench_runs(b);
    flow_unref(b->flow);
    if (!e)
        e = claims_measure(b);
    free(b->parked);
    PASS(e);
    report(b, disk_syncs(b->store));
    return b->failed ? FAIL(ERR_TRANSIENT, "%u of %u runs did not complete", b->failed, b->runs)
                     : NULL;
}

static int
bench_main(int argc, char **argv)
{
    struct bench b = {.runs_text = "1000", .at_once_text = "50"};
    const struct option_def defs[] = {{"--json", .flag = &b.json},
                                      {"--runs", "-n", .value = &b.runs_text},
                                      {"--concurrency", "-c", .value = &b.at_once_text},
                                      {"--input", "-i", .value = &b.input},
                                      {"--store", .value = &b.store}};
    if (options_take(defs, COUNT(defs), &argc, argv))
        return TUTTI_USAGE;
    b.file = argc > 1 ? argv[1] : NULL;
    b.workflow = argc > 2 ? argv[2] : NULL;
    b.runs = (unsigned)strtoul(b.runs_text, NULL, 10);
    b.at_once = (unsigned)strtoul(b.at_once_text, NULL, 10);
    if (!b.runs || !b.at_once || b.runs > 10000000 || b.at_once > 20000)
        return usage_error(&cmd_bench, "runs and concurrency are numbers of at least 1");
    AUTO(freep) char *dir = app_store_dir(b.store, b.file);
    b.store = dir;
    return with_app(&(struct with_app){.opts = {.store_dir = dir}, .fn = bench, .arg = &b});
}

const struct command cmd_bench = {
    "bench",
    "bench [FILE [WORKFLOW]] [-n RUNS] [-c AT_ONCE] [-i TEXT] [--store DIR] [--json]",
    "run a workflow many times and measure",
    bench_main,
};
