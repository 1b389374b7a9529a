/* runs.c - `tutti runs`: what is in the store. */
#include "cli/runs.h"
#include "base/near.h"
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
        print_shown(stdout, "no runs\n");
    json_array_foreach (q->list, i, row)
        print_shown(stdout, "%-26s  %-10s %-24s %s\n", json_str(row, "run", ""),
                    json_str(row, "status", ""), json_str(row, "workflow", ""),
                    json_str(row, "created", ""));
    return NULL;
}

/* ---- show ------------------------------------------------------------------ */

/* Of a foreach over a file: counted, and the first failures. */
static void
show_items(const json_t *items)
{
    const json_t *one;
    size_t i;
    print_shown(stdout, "             %lld items completed, %lld failed\n",
                (long long)json_int(items, "completed", 0),
                (long long)json_int(items, "failed", 0));
    json_array_foreach (json_object_get(items, "failures"), i, one)
        print_shown(stdout, "             item %lld: %s\n", (long long)json_int(one, "index", 0),
                    json_str(one, "error", ""));
}

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
        str_addf(&line, "  %lld tool call%s", (long long)json_int(u, "tool_calls", 0),
                 json_int(u, "tool_calls", 0) == 1 ? "" : "s");
    if (json_int(n, "attempts", 1) > 1)
        str_addf(&line, "  %lld attempts", (long long)json_int(n, "attempts", 1));
    if (json_str(n, "error", NULL))
        str_addf(&line, "  %s", json_str(n, "error", ""));
    print_shown(stdout, "%s\n", str_c(&line));
    if (json_object_get(n, "items"))
        show_items(json_object_get(n, "items"));
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
    print_shown(stdout, "%s  %s  %s  %s\n", json_str(doc, "run", ""), json_str(doc, "workflow", ""),
                json_str(doc, "status", ""), str_c(&took));
    json_object_foreach (json_object_get(doc, "nodes"), path, n)
        show_node(path, n);
    const json_t *u = json_object_get(doc, "usage");
    const json_t *cost = json_object_get(u, "cost_usd");
    print_shown(stdout, "  %lld model calls, %lld tool calls, %lld + %lld tokens, ",
                (long long)json_int(u, "model_calls", 0), (long long)json_int(u, "tool_calls", 0),
                (long long)json_int(u, "input_tokens", 0),
                (long long)json_int(u, "output_tokens", 0));
    if (json_is_number(cost))
        print_shown(stdout, "$%.4f\n", json_number_value(cost));
    else
        print_shown(stdout, "cost unknown (no price)\n");
    if (json_str(doc, "error", NULL))
        print_shown(stdout, "error: %s\n", json_str(doc, "error", ""));
    AUTO(str_fini) struct str undone = STR_INIT;
    compensation_words(json_object_get(doc, "compensation"), &undone);
    if (undone.len)
        print_shown(stdout, "%s\n", str_c(&undone));
    if (json_str(doc, "waiting", NULL))
        print_shown(stdout, "waiting: %s\n", json_str(doc, "waiting", ""));
    const json_t *session = json_object_get(doc, "session");
    if (session)
        print_shown(stdout, "session: %s at %s\n", json_str(session, "state", ""),
                    json_str(session, "at", ""));
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
    print_shown(stdout, "%5lld %s %-15s %s  %.*s\n", (long long)ev->seq, ev->wall_ms ? iso : "",
                ev->name, ev->path, 400, detail);
    return NULL;
}

static struct err *
logs(struct app *a, void *arg)
{
    return engine_history(app_engine(a), ((struct asked *)arg)->id, log_line, arg);
}

/* ---- cancel, prune --------------------------------------------------------- */

/* Nobody has the cancelled run, and it has not ended: it is for us to undo what it has done. */
static struct err *
left_to_undo(struct app *a, const char *id, bool *ret_left)
{
    struct store_run row = {0};
    PASS(store_get_run(app_store(a), id, &row));
    *ret_left = row.status < RUN_ENDED && !row.owner;
    store_run_fini(&row);
    return NULL;
}

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
    if (!e)
        e = left_to_undo(a, row.id, &q->undo);
    if (!e && q->undo) {
        print_shown(stderr, "undoing what %s has done\n", row.id);
    } else if (!e && q->json) {
        AUTO(json_freep) json_t *doc = json_pack("{ss sb}", "run", row.id, "cancelled", 1);
        print_json(doc);
    } else if (!e) {
        print_shown(stdout, "cancelled %s\n", row.id);
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
        print_shown(stdout, "%zu run%s deleted\n", n, n == 1 ? "" : "s");
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

/* ---- the subcommands ------------------------------------------------------- */

int
runs_resume(struct asked *q, const struct watch_opts *watch)
{
    return run_resume(
        &(struct tutti_options){
            .store = q->store, .handle_signals = 1, .stream = !q->json, .stay = q->stay},
        q->id, q->in_doubt, watch);
}

static int
replay(struct asked *q, const struct watch_opts *watch)
{
    (void)watch;
    return runs_replay(q);
}

/* What is left to be undone is undone here and now. */
static int
cancel_and_undo(struct asked *q, const struct watch_opts *watch)
{
    AUTO(freep) char *dir = app_store_dir(q->store, NULL);
    struct watch_opts undoing = *watch;
    int code = with_app(&(struct with_app){.opts = {.store_dir = dir}, .fn = cancel, .arg = q});
    undoing.undoes = true;
    return code || !q->undo ? code : runs_resume(q, &undoing);
}

#define ALL "--json --store "
static const struct subcommand {
    const char *name;
    bool needs_id, writes;
    struct err *(*fn)(struct app *a, void *arg); /* over an open store; or */
    int (*alone)(struct asked *q, const struct watch_opts *watch);
    unsigned words; /* it takes so many */
    const char *options;
} subcommands[] = {
    /* clang-format off */
    {"ls", false, false, ls, NULL, 0, ALL "--all --live --status --workflow"},
    {"show", true, false, show, NULL, 1, ALL "--timeline --width"},
    {"logs", true, false, logs, NULL, 1, ALL},
    {"graph", true, false, runs_graph, NULL, 1, ALL "--format"},
    {"diff", true, false, NULL, runs_diff, 2, ALL},
    {"cancel", true, true, NULL, cancel_and_undo, 1, ALL "--force --quiet --events"},
    {"prune", false, true, prune, NULL, 0, ALL "--older-than"},
    {"resume", true, true, NULL, runs_resume, 1, ALL "--in-doubt --wait --events --quiet"},
    {"rollback", true, true, NULL, runs_rollback, 1, ALL "--dry-run --wait --events --quiet"},
    {"fork", true, true, NULL, runs_fork, 1,
     ALL "--from --model --input --yes --dry-run --wait --events --quiet"},
    {"replay", true, false, NULL, replay, 1, ALL "--speed --events --quiet"},
    {"signal", true, true, send_signal, NULL, 3, ALL "--once"},
    {"history", false, false, runs_history, NULL, 1, ALL "--conversation --workflow"},
    {"clear-history", false, true, runs_clear_history, NULL, 1, ALL "--conversation --workflow"},
    /* clang-format on */
};

struct given { /* on the command line, options taken out */
    const struct option_def *defs;
    size_t n;
    int argc;
    char **argv;
};

static int
subcommand_run(const struct subcommand *c, struct asked *q)
{
    if (c->needs_id && !q->id)
        return usage_error(&cmd_runs, "%s needs the id of a run (its beginning is enough)",
                           c->name);
    if (q->json && q->events)
        return usage_error(&cmd_runs, NOT_BOTH);
    if (q->format && !graph_format_known(q->format))
        return usage_error(&cmd_runs, "the format is text, mermaid, dot, svg or json");
    if (c->alone)
        return c->alone(
            q, &(struct watch_opts){.json = q->json, .events = q->events, .quiet = q->quiet});
    AUTO(freep) char *dir = app_store_dir(q->store, NULL);
    return with_app(&(struct with_app){
        .opts = {.store_dir = dir, .read_only = !c->writes}, .fn = c->fn, .arg = q});
}

static int
subcommand_check(const struct subcommand *c, const struct given *g, const struct asked *q)
{
    AUTO(freep) char *who = xasprintf("runs %s", c->name);
    const bool given = q->inputs.text.len || json_object_size(q->inputs.keys) || q->inputs.e;
    if (options_refuse(g->defs, g->n, c->options, who))
        return TUTTI_USAGE;
    if (given && !strstr(c->options, "--input")) {
        fprintf(stderr, "tutti: '%s' does not know the option '--input'\n", who);
        return TUTTI_USAGE;
    }
    if (g->argc > (int)c->words + 2)
        return usage_error(&cmd_runs, "'%s' is one word too many", g->argv[c->words + 2]);
    return 0;
}

static int
subcommand_find(const struct given *g, struct asked *q)
{
    const int argc = g->argc;
    char **argv = g->argv;
    const char *sub = argc > 1 ? argv[1] : "ls";
    struct near near = NEAR_INIT(sub);
    q->id = argc > 2 ? argv[2] : NULL;
    q->name = argc > 3 ? argv[3] : NULL;
    q->value = argc > 4 ? argv[4] : NULL;
    for (size_t i = 0; i < COUNT(subcommands); i++) {
        near_offer(&near, subcommands[i].name);
        if (strcmp(subcommands[i].name, sub) != 0)
            continue;
        const int code = subcommand_check(&subcommands[i], g, q);
        return code ? code : subcommand_run(&subcommands[i], q);
    }
    return near.best
               ? usage_error(&cmd_runs, "there is no '%s' (did you mean '%s'?)", sub, near.best)
               : usage_error(&cmd_runs, "there is no '%s'", sub);
}

static int
runs_main(int argc, char **argv)
{
    struct asked q = {.inputs = {.keys = json_object()}};
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
        {"--events", .flag = &q.events},
        {"--quiet", "-q", .flag = &q.quiet},
        {"--from", .value = &q.from},
        {"--model", "-m", .value = &q.model},
        {"--input", "-i", .each = inputs_add, .ctx = &q.inputs},
        {"--yes", "-y", .flag = &q.yes},
        {"--dry-run", .flag = &q.dry_run},
        {"--speed", .value = &q.speed},
    };
    int code = TUTTI_USAGE;
    if (options_take(defs, COUNT(defs), &argc, argv) == 0)
        code = subcommand_find(&(struct given){defs, COUNT(defs), argc, argv}, &q);
    json_decref(q.list);
    json_decref(q.inputs.keys);
    str_fini(&q.inputs.text);
    err_free(q.inputs.e);
    return code;
}

const struct command cmd_runs = {
    "runs",
    "runs ls [--live] [--status S] [--workflow W] [--all]\n"
    "       tutti runs show ID [--timeline [--width N]]\n"
    "       tutti runs logs ID\n"
    "       tutti runs graph ID [--format text|mermaid|dot|svg|json]\n"
    "       tutti runs diff ID ID\n"
    "       tutti runs resume ID [--in-doubt [NODE=]park|done|retry|fail,...] [--wait]\n"
    "       tutti runs rollback ID [--dry-run]\n"
    "       tutti runs fork ID --from NODE [-m MODEL] [-i TEXT|KEY=VALUE|@FILE] [--yes] "
    "[--dry-run]\n"
    "       tutti runs replay ID [--speed X] [--quiet]\n"
    "       tutti runs signal ID NAME [VALUE] [--once KEY]\n"
    "       tutti runs history [AGENT] [--conversation NAME] [--workflow W]\n"
    "       tutti runs clear-history [AGENT] [--conversation NAME] [--workflow W]\n"
    "       tutti runs cancel ID [--force]\n"
    "       tutti runs prune [--older-than 30d]\n"
    "all: [--store DIR] [--json]",
    "list, show, compare, resume, undo, fork, replay and cancel runs",
    runs_main,
};
