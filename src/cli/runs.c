/* runs.c - `tutti runs`: what is in the store. */
#include "cli/runs.h"
#include "base/units.h"
#include "cli/watch.h"
#include "model/status.h"
#include "observe/progress.h"
#include "rt/rt.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- ls
 * -----------------------------------------------------------------------------------------------
 */

static json_t *
row_json(const struct store_run *r)
{
    char created[32], ended[32] = "";
    time_iso(r->created, created);
    if (r->ended)
        time_iso(r->ended, ended);
    return json_pack("{ss ss* ss ss ss* sI ss* si}", "run", r->id, "workflow", r->name, "status",
                     run_status_name((enum run_status)r->status), "created", created, "ended",
                     *ended ? ended : NULL, "records", r->seq, "name", r->client_key, "crashes",
                     r->crashes);
}

static struct err *
row_take(void *ctx, const struct store_run *r)
{
    json_array_append_new(((struct asked *)ctx)->list, row_json(r));
    return NULL;
}

static struct err *
ls(struct app *a, void *arg)
{
    struct asked *q = arg;
    struct store_filter f = {.live_only = q->live, .name = q->workflow, .limit = q->all ? 0 : 50};
    enum run_status status;
    if (q->status && !run_status_parse(q->status, &status))
        return FAIL(ERR_INVALID, "there is no status '%s'", q->status);
    f.status = q->status ? (int)status : 0;
    q->list = json_array();
    PASS(store_list(app_store(a), &f, row_take, q));
    if (q->json) {
        print_json(q->list);
        return NULL;
    }
    const json_t *row;
    size_t i;
    if (!json_array_size(q->list))
        printf("no runs\n");
    json_array_foreach (q->list, i, row)
        printf("%-26s  %-10s %-24s %s\n", json_str(row, "run", ""), json_str(row, "status", ""),
               json_str(row, "workflow", ""), json_str(row, "created", ""));
    return NULL;
}

/* ---- show ------------------------------------------------------------------ */

static void
show_node(const char *path, const json_t *n)
{
    AUTO(str_fini) struct str line = STR_INIT;
    const json_t *u = json_object_get(n, "usage");
    str_addf(&line, "  %-10s %-32s ", json_str(n, "status", ""), path);
    if (json_int(n, "duration_ms", -1) >= 0)
        duration_add(&line, json_int(n, "duration_ms", 0));
    if (json_int(u, "model_calls", 0))
        str_addf(&line, "  %lld tokens",
                 (long long)(json_int(u, "input_tokens", 0) + json_int(u, "output_tokens", 0)));
    if (json_int(u, "tool_calls", 0))
        str_addf(&line, "  %lld tool calls", (long long)json_int(u, "tool_calls", 0));
    if (json_int(n, "attempts", 1) > 1)
        str_addf(&line, "  %lld attempts", (long long)json_int(n, "attempts", 1));
    if (json_str(n, "error", NULL))
        str_addf(&line, "  %s", json_str(n, "error", ""));
    printf("%s\n", str_c(&line));
}

static struct err *
show(struct app *a, void *arg)
{
    struct asked *q = arg;
    AUTO(json_freep) json_t *doc = NULL;
    const char *path;
    json_t *n;
    if (q->timeline)
        return runs_timeline(a, q);
    PASS(engine_document(app_engine(a), q->id, &doc));
    if (q->json) {
        print_json(doc);
        return NULL;
    }
    AUTO(str_fini) struct str took = STR_INIT;
    duration_add(&took, json_int(doc, "duration_ms", 0));
    printf("%s  %s  %s  %s\n", json_str(doc, "run", ""), json_str(doc, "workflow", ""),
           json_str(doc, "status", ""), str_c(&took));
    json_object_foreach (json_object_get(doc, "nodes"), path, n)
        show_node(path, n);
    const json_t *u = json_object_get(doc, "usage");
    const json_t *cost = json_object_get(u, "cost_usd");
    printf("  %lld model calls, %lld tool calls, %lld + %lld tokens, ",
           (long long)json_int(u, "model_calls", 0), (long long)json_int(u, "tool_calls", 0),
           (long long)json_int(u, "input_tokens", 0), (long long)json_int(u, "output_tokens", 0));
    if (json_is_number(cost))
        printf("$%.4f\n", json_number_value(cost));
    else
        printf("cost unknown (no price)\n");
    if (json_str(doc, "error", NULL))
        printf("error: %s\n", json_str(doc, "error", ""));
    if (json_str(doc, "waiting", NULL))
        printf("waiting: %s\n", json_str(doc, "waiting", ""));
    return NULL;
}

/* ---- logs ------------------------------------------------------------------ */

static struct err *
log_line(void *ctx, const struct run_event *ev)
{
    struct asked *q = ctx;
    AUTO(str_fini) struct str line = STR_INIT;
    char iso[32];
    if (q->json) {
        event_line(ev, &line);
        fputs(str_c(&line), stdout);
        return NULL;
    }
    time_iso(ev->wall_ms, iso);
    AUTO(freep) char *detail = ev->detail ? json_text(ev->detail) : xstrdup("");
    printf("%5lld %s %-15s %s  %.*s\n", (long long)ev->seq, ev->wall_ms ? iso : "", ev->name,
           ev->path, 400, detail);
    return NULL;
}

static struct err *
logs(struct app *a, void *arg)
{
    return engine_history(app_engine(a), ((struct asked *)arg)->id, log_line, arg);
}

/* ---- cancel, prune --------------------------------------------------------- */

static struct err *
cancel(struct app *a, void *arg)
{
    struct asked *q = arg;
    struct store_run row = {0};
    PASS(engine_find_run(app_engine(a), q->id, &row));
    struct err *e = row.status >= RUN_ENDED
                        ? FAIL(ERR_INVALID, "the run '%s' has ended: %s", row.id,
                               run_status_name((enum run_status)row.status))
                        : engine_cancel_stored(app_engine(a), row.id, q->force);
    if (!e && q->json) {
        AUTO(json_freep) json_t *doc = json_pack("{ss sb}", "run", row.id, "cancelled", 1);
        print_json(doc);
    } else if (!e) {
        printf("cancelled %s\n", row.id);
    }
    store_run_fini(&row);
    return e;
}

static struct err *
prune(struct app *a, void *arg)
{
    struct asked *q = arg;
    int64_t age = 0;
    size_t n = 0;
    if (q->before && !duration_parse(q->before, &age))
        return FAIL(ERR_INVALID, "'%s' is not a duration: write 30d, 12h", q->before);
    PASS(store_prune(app_store(a), q->before ? rt_wall_ms() - age : 0, &n));
    if (q->json) {
        AUTO(json_freep) json_t *doc = json_pack("{sI}", "deleted", (json_int_t)n);
        print_json(doc);
    } else {
        printf("%zu runs deleted\n", n);
    }
    return NULL;
}

/* ---- signal ---------------------------------------------------------------- */

static struct err *
send_signal(struct app *a, void *arg)
{
    const struct asked *q = arg;
    if (!q->name)
        return FAIL(ERR_INVALID, "signal needs the name of the signal behind the run");
    return signal_send(a, &(struct signal_args){.run = q->id,
                                                .name = q->name,
                                                .value = q->value,
                                                .dedupe = q->dedupe,
                                                .json = q->json});
}

static const struct {
    const char *name;
    bool needs_id, writes;
    struct err *(*fn)(struct app *a, void *arg);
} subcommands[] = {
    /* clang-format off */
    {"ls", false, false, ls},
    {"show", true, false, show},
    {"logs", true, false, logs},
    {"graph", true, false, runs_graph},
    {"cancel", true, true, cancel},
    {"prune", false, true, prune},
    {"resume", true, true, NULL},
    {"signal", true, true, send_signal},
    {"history", false, false, runs_history},
    {"clear-history", false, true, runs_clear_history},
    /* clang-format on */
};

static int
runs_main(int argc, char **argv)
{
    struct asked q = {0};
    bool events = false, quiet = false;
    const struct option_def defs[] = {
        {"--json", .flag = &q.json},
        {"--store", .value = &q.store},
        {"--all", .flag = &q.all},
        {"--live", .flag = &q.live},
        {"--status", .value = &q.status},
        {"--workflow", .value = &q.workflow},
        {"--force", .flag = &q.force},
        {"--older-than", .value = &q.before},
        {"--conversation", .value = &q.conversation},
        {"--in-doubt", .value = &q.in_doubt},
        {"--timeline", .flag = &q.timeline},
        {"--width", .value = &q.width},
        {"--format", "-f", .value = &q.format},
        {"--once", .value = &q.dedupe},
        {"--wait", .flag = &q.stay},
        {"--events", .flag = &events},
        {"--quiet", "-q", .flag = &quiet},
    };
    if (options_take(defs, COUNT(defs), &argc, argv))
        return TUTTI_USAGE;
    const char *sub = argc > 1 ? argv[1] : "ls";
    q.id = argc > 2 ? argv[2] : NULL;
    q.name = argc > 3 ? argv[3] : NULL;
    q.value = argc > 4 ? argv[4] : NULL;
    for (size_t i = 0; i < COUNT(subcommands); i++) {
        if (strcmp(subcommands[i].name, sub) != 0)
            continue;
        if (subcommands[i].needs_id && !q.id)
            return usage_error(&cmd_runs, "%s needs the id of a run (its beginning is enough)",
                               sub);
        if (q.format && !graph_format_known(q.format))
            return usage_error(&cmd_runs, "the format is text, mermaid, dot, svg or json");
        if (!subcommands[i].fn)
            return run_resume(
                &(struct tutti_options){
                    .store = q.store, .handle_signals = 1, .stream = !q.json, .stay = q.stay},
                q.id, q.in_doubt,
                &(struct watch_opts){.json = q.json, .events = events, .quiet = quiet});
        AUTO(freep) char *dir = app_store_dir(q.store, NULL);
        int code = with_app(
            &(struct with_app){.opts = {.store_dir = dir, .read_only = !subcommands[i].writes},
                               .fn = subcommands[i].fn,
                               .arg = &q});
        json_decref(q.list);
        return code;
    }
    return usage_error(&cmd_runs, "there is no '%s'", sub);
}

const struct command cmd_runs = {
    "runs",
    "runs ls [--live] [--status S] [--workflow W] [--all] | show ID [--timeline [--width N]]\n"
    "             | logs ID | graph ID [--format text|mermaid|dot|svg|json] | cancel ID [--force] "
    "| prune [--older-than 30d]\n"
    "             | resume ID [--in-doubt [NODE=]park|done|retry|fail,...] [--wait]\n"
    "             | signal ID NAME [VALUE] [--once KEY]\n"
    "             | history [AGENT] [--conversation NAME] [--workflow W] | clear-history (the "
    "same)\n"
    "             (all: [--store DIR] [--json])",
    "list, show, resume and cancel runs",
    runs_main,
};
