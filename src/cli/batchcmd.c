/* batchcmd.c - `tutti batch`: a workflow or an agent for each line of a file. */
#include "base/units.h"
#include "cli/cli.h"
#include "cli/watch.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct batch_args {
    struct tutti_options options;
    struct tutti_batch batch;
    struct watch_opts watch;
    const char *parallel, *max_failures;
    bool strict, resume;
};

/* How many there were, instead of the run's text. */
static bool
summary_show(const json_t *doc, bool print)
{
    const json_t *items = json_at(doc, "nodes", "lines", "items", NULL);
    const long long completed = json_int(items, "completed", 0),
                    failed = json_int(items, "failed", 0);
    AUTO(str_fini) struct str took = STR_INIT;
    duration_add(&took, json_int(doc, "duration_ms", 0));
    if (print && items)
        print_shown(stdout, "%lld completed, %lld failed, %s\n", completed, failed, str_c(&took));
    if (print && failed)
        print_shown(stdout, "which failed, and why: tutti runs show %s\n",
                    json_str(doc, "run", ""));
    return !failed;
}

static bool
number_take(const char *text, int64_t min, int64_t max, int64_t *ret)
{
    char *end;
    long long n = strtoll(text, &end, 10);
    if (!*text || *end || n < min || n > max)
        return false;
    *ret = n;
    return true;
}

static enum tutti_status
batch_begin(void *ctx, struct tutti *t, struct tutti_run **run, char **error)
{
    const struct batch_args *a = ctx;
    return tutti_batch(t, &a->batch, run, error);
}

static int
batch_watch(struct batch_args *a)
{
    return watch_whole(&(struct watched){.options = &a->options,
                                         .watch = &a->watch,
                                         .strict = a->strict,
                                         .begin = batch_begin,
                                         .ctx = a});
}

static int
cmd_batch_main(int argc, char **argv)
{
    struct batch_args a = {.watch.result = summary_show};
    int64_t n = 0;
    const struct option_def defs[] = {
        {"--input", "-i", .value = &a.batch.input},
        {"--output", "-o", .value = &a.batch.output},
        {"--parallel", "-c", .value = &a.parallel},
        {"--max-failures", .value = &a.max_failures},
        {"--resume", .flag = &a.resume},
        {"--json", .flag = &a.watch.json},
        {"--events", .flag = &a.watch.events},
        {"--quiet", "-q", .flag = &a.watch.quiet},
        {"--store", .value = &a.options.store},
        {"--model", "-m", .value = &a.options.model},
        {"--strict", .flag = &a.strict},
    };
    if (options_take(defs, COUNT(defs), &argc, argv))
        return TUTTI_USAGE;
    if (argc < 2 || argc > 3 || !a.batch.input || !a.batch.output)
        return usage_error(&cmd_batch, "a file, --input and --output are needed");
    if (a.watch.json && a.watch.events)
        return usage_error(&cmd_batch, NOT_BOTH);
    if (a.parallel && !number_take(a.parallel, 1, 10000, &n))
        return usage_error(&cmd_batch, "--parallel takes a number from 1 to 10000, not '%s'",
                           a.parallel);
    a.batch.parallel = (int)n;
    if (a.max_failures && !number_take(a.max_failures, 0, INT64_MAX, &a.batch.max_failures))
        return usage_error(&cmd_batch, "--max-failures takes a number, not '%s'", a.max_failures);
    a.batch.limit_failures = a.max_failures != NULL;
    a.batch.file = argv[1];
    a.batch.workflow = argc > 2 ? argv[2] : NULL;
    a.batch.resume = a.resume;
    a.options.handle_signals = 1;
    return batch_watch(&a);
}

const struct command cmd_batch = {
    "batch",
    "batch FILE [WORKFLOW|AGENT] --input FILE --output FILE [--parallel N] [--max-failures N] "
    "[--resume]\n"
    "                 [--json] [--events] [-m MODEL] [--store DIR] [--strict] [--quiet]",
    "run a workflow for each line of a file",
    cmd_batch_main,
};
