/* runcmd.c - `tutti run`: start a workflow and watch it. */
#include "app/overlay.h"
#include "base/map.h"
#include "cli/cli.h"
#include "cli/inputs.h"
#include "cli/watch.h"
#include "rt/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct run_args {
    struct tutti_options options;
    struct tutti_request request;
    struct watch_opts watch;
    bool dry_run, strict, debug;
};

static enum tutti_status
run_begin(void *ctx, struct tutti *t, struct tutti_run **run, char **error)
{
    const struct run_args *a = ctx;
    return tutti_start(t, &a->request, run, error);
}

static int
run_with(struct run_args *a)
{
    return watch_whole(&(struct watched){.options = &a->options,
                                         .watch = &a->watch,
                                         .strict = a->strict,
                                         .begin = run_begin,
                                         .ctx = a});
}

static struct err *
dry_run_show(struct app *a, void *arg)
{
    struct run_args *r = arg;
    AUTO(freep) char *file = NULL;
    AUTO(spec_freep) struct spec *spec = NULL;
    AUTO(plan_freep) struct plan *plan = NULL;
    AUTO(str_fini) struct str text = STR_INIT;
    AUTO(arena_freep) struct arena *arena = arena_new(0);
    PASS(app_find_file(r->request.file, &file));
    PASS(app_load(a, file, &spec));
    PASS(app_plan(a, spec, r->request.workflow, &plan));
    if (r->watch.json) {
        AUTO(json_freep) json_t *picture = picture_json(picture_make(arena, plan));
        json_object_set_new(picture, "plan", json_string(plan_hash(plan)));
        print_json(picture);
        return NULL;
    }
    plan_draw_text(plan, &text);
    print_shown(stdout, "%splan %s; nothing was run\n", str_c(&text), plan_hash(plan));
    return NULL;
}

static int
cmd_run_main(int argc, char **argv)
{
    struct run_args a = {0};
    struct inputs in = {.keys = json_object()};
    bool json = false, events = false, quiet = false, no_stream = false, stay = false,
         stats = false;
    const struct option_def defs[] = {
        {"--input", "-i", .each = inputs_add, .ctx = &in},
        {"--json", .flag = &json},
        {"--events", .flag = &events},
        {"--quiet", "-q", .flag = &quiet},
        {"--store", .value = &a.options.store},
        {"--model", "-m", .value = &a.options.model},
        {"--record", .value = &a.options.record},
        {"--replay", .value = &a.options.replay},
        {"--run-id", .value = &a.request.run_id},
        {"--goal", .value = &a.request.goal},
        {"--conversation", .value = &a.request.conversation},
        {"--dry-run", .flag = &a.dry_run},
        {"--strict", .flag = &a.strict},
        {"--wait", .flag = &stay},
        {"--stats", .flag = &stats},
        {"--no-stream", .flag = &no_stream},
        {"--debug", .flag = &a.debug},
    };
    if (options_take(defs, COUNT(defs), &argc, argv)) {
        json_decref(in.keys);
        return TUTTI_USAGE;
    }
    if (argc > 3) {
        json_decref(in.keys);
        return usage_error(&cmd_run, "'%s' is one word too many", argv[3]);
    }
    if (json && events) {
        json_decref(in.keys);
        return usage_error(&cmd_run, NOT_BOTH);
    }
    a.request.file = argc > 1 ? argv[1] : NULL;
    a.request.workflow = argc > 2 ? argv[2] : NULL;
    a.watch = (struct watch_opts){.stats = stats, .json = json, .events = events, .quiet = quiet};
    a.options.debug = a.debug;
    a.options.handle_signals = 1;
    a.options.stay = stay;
    a.options.stream = !no_stream && !json && (events || (!quiet && isatty(2)));
    if (!in.e && !in.text.len && !json_object_size(in.keys) && !isatty(0) && !a.dry_run)
        in.e = inputs_file("-", &in.text);
    AUTO(freep) char *keys = json_object_size(in.keys) ? json_text(in.keys) : NULL;
    a.request.inputs = keys;
    a.request.input = in.text.len ? str_c(&in.text) : NULL;
    int code = in.e        ? fail(in.e)
               : a.dry_run ? with_app(&(struct with_app){
                                 .opts = {.model = a.options.model}, .fn = dry_run_show, .arg = &a})
                           : run_with(&a);
    json_decref(in.keys);
    str_fini(&in.text);
    return code;
}

const struct command cmd_run = {
    "run",
    "run [FILE [WORKFLOW]] [-i TEXT|KEY=VALUE|@FILE] [--json] [--events] [-m MODEL] [--record "
    "F|--replay F]\n"
    "                 [--run-id ID] [--goal TEXT] [--conversation NAME] [--store DIR] [--dry-run] "
    "[--strict] [--wait] [--stats] [--quiet] "
    "[--debug]",
    "run a workflow",
    cmd_run_main,
};
