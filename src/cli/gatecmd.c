/* gatecmd.c - `tutti gate`: what runs ask people, and answering it. */
#include "base/units.h"
#include "cli/cli.h"
#include "cli/watch.h"
#include "model/status.h"
#include "rt/rt.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNS_SHOWN 50

struct gate {
    const char *store, *run, *path, *value, *token, *by, *to;
    bool json, all, resume, quiet;
    char *asked; /* the run whose question was answered; owned */
    char *typed; /* the token, from standard input; owned */
    struct app *app;
    json_t *list;
};

/* ---- ls -------------------------------------------------------------------- */

static struct err *
run_note(void *ctx, const struct store_run *r)
{
    json_array_append_new(ctx, json_string(r->id));
    return NULL;
}

static struct err *
questions_add(struct gate *g, const char *run)
{
    AUTO(json_freep) json_t *list = NULL;
    const json_t *one;
    size_t i;
    PASS(engine_questions(app_engine(g->app), run, &list));
    json_array_foreach (list, i, one) {
        const char *to = json_str(one, "to", "");
        if (!g->to || strcmp(g->to, to) == 0)
            json_array_append(g->list, (json_t *)(uintptr_t)one);
    }
    return NULL;
}

static void
question_show(const json_t *q)
{
    char iso[32];
    const json_t *choice;
    size_t i;
    time_iso(json_int(q, "at", 0), iso);
    print_shown(stdout, "%s  %s  %s  %s\n", json_str(q, "run", ""), json_str(q, "path", ""),
                json_str(q, "workflow", ""), iso);
    print_shown(stdout, "    %s\n", json_str(q, "prompt", ""));
    if (json_object_get(q, "arguments")) {
        AUTO(freep) char *args = json_text(json_object_get(q, "arguments"));
        print_shown(stdout, "    %.500s\n", args);
    }
    json_array_foreach (json_object_get(q, "choices"), i, choice) {
        AUTO(freep) char *text = json_as_text(choice);
        print_shown(stdout, "%s%s", i ? ", " : "    answers: ", text);
    }
    if (i)
        print_shown(stdout, "\n");
    if (json_str(q, "to", NULL))
        print_shown(stdout, "    for %s\n", json_str(q, "to", ""));
    if (json_int(q, "until", 0)) {
        time_iso(json_int(q, "until", 0), iso);
        print_shown(stdout, "    until %s\n", iso);
    }
}

/* Those that wait, and those that may ask somebody while they work. */
static struct err *
runs_find(const struct gate *g, json_t *runs, bool *ret_cut)
{
    static const enum run_status asking[] = {RUN_WAITING, RUN_RUNNING};
    for (size_t i = 0; i < COUNT(asking); i++) {
        const struct store_filter f = {.status = (int)asking[i], .limit = g->all ? 0 : RUNS_SHOWN};
        const size_t before = json_array_size(runs);
        PASS(store_list(app_store(g->app), &f, run_note, runs));
        *ret_cut |= f.limit && json_array_size(runs) - before == f.limit;
    }
    return NULL;
}

static struct err *
ls(struct app *a, void *arg)
{
    struct gate *g = arg;
    AUTO(json_freep) json_t *runs = json_array();
    const json_t *one;
    size_t i;
    bool cut = false;
    g->app = a;
    g->list = json_array();
    if (g->run)
        PASS(questions_add(g, g->run));
    else
        PASS(runs_find(g, runs, &cut));
    json_array_foreach (runs, i, one)
        PASS(questions_add(g, json_string_value(one)));
    if (g->json) {
        print_json(g->list);
        return NULL;
    }
    json_array_foreach (g->list, i, one)
        question_show(one);
    if (cut)
        print_shown(stderr, "only the latest %d runs were looked at; all: --all\n", RUNS_SHOWN);
    if (!json_array_size(g->list))
        print_shown(stdout, "nobody is asked anything\n");
    else
        print_shown(stderr, "answer with: tutti gate respond RUN [NODE] ANSWER\n");
    return NULL;
}

/* ---- respond, signal ------------------------------------------------------- */

static void
told(const struct gate *g, const char *run, const char *what)
{
    if (g->resume)
        return; /* what comes of it is told */
    if (g->json) {
        AUTO(json_freep) json_t *doc = json_pack("{ss ss}", "run", run, "told", what);
        print_json(doc);
    } else {
        print_shown(stdout, "told %s; if no process has it any more: tutti runs resume %s\n", run,
                    run);
    }
}

static struct err *
respond(struct app *a, void *arg)
{
    struct gate *g = arg;
    AUTO(json_freep) json_t *value = json_or_text(g->value, strlen(g->value));
    AUTO(json_freep) json_t *question = NULL;
    struct answer answer = {
        .run = g->run, .path = g->path, .token = g->token, .value = value, .by = g->by};
    PASS(engine_answer(app_engine(a), &answer, &question));
    g->asked = xstrdup(json_str(question, "run", ""));
    told(g, g->asked, json_str(question, "path", ""));
    return NULL;
}

struct err *
signal_send(struct app *a, void *arg)
{
    const struct signal_args *s = arg;
    AUTO(json_freep) json_t *value = s->value ? json_or_text(s->value, strlen(s->value)) : NULL;
    struct store_run row = {0};
    bool is_new = true;
    PASS(engine_find_run(app_engine(a), s->run, &row));
    struct signal signal = {
        .run = row.id, .name = s->name, .value = value, .dedupe = s->dedupe, .by = s->by};
    struct err *e = engine_signal(app_engine(a), &signal, &is_new);
    if (!e) {
        struct gate g = {.json = s->json};
        if (is_new || s->json)
            told(&g, row.id, is_new ? s->name : "");
        else
            print_shown(stdout, "the same signal was sent before\n");
    }
    store_run_fini(&row);
    return e;
}

/* ---- the command ----------------------------------------------------------- */

static int
store_call(struct gate *g, struct err *(*fn)(struct app *a, void *arg), bool writes)
{
    AUTO(freep) char *dir = app_store_dir(g->store, NULL);
    int code = with_app(
        &(struct with_app){.opts = {.store_dir = dir, .read_only = !writes}, .fn = fn, .arg = g});
    json_decref(g->list);
    return code;
}

/* "-": from standard input, where nobody who lists processes sees it. */
static int
token_read(struct gate *g)
{
    size_t cap = 0;
    if (strcmp(g->token, "-") != 0)
        return 0;
    const ssize_t n = getline(&g->typed, &cap, stdin);
    if (n <= 1)
        return usage_error(&cmd_gate, "there is no token in the input");
    g->typed[strcspn(g->typed, "\r\n")] = '\0';
    g->token = g->typed;
    return 0;
}

/* RUN ANSWER, RUN NODE ANSWER; with a token only ANSWER. */
static int
respond_words(struct gate *g, int argc, char **argv)
{
    const int words = argc - 2;
    if (g->token ? words != 1 : words != 2 && words != 3)
        return usage_error(&cmd_gate,
                           "respond needs a run and an answer, or --token and an answer");
    g->value = argv[argc - 1];
    if (g->token)
        return token_read(g);
    g->run = argv[2];
    g->path = words == 3 ? argv[3] : NULL;
    return 0;
}

static int
gate_respond(struct gate *g, int argc, char **argv)
{
    int code = respond_words(g, argc, argv) ? TUTTI_USAGE : TUTTI_OK;
    if (!code)
        code = store_call(g, respond, true);
    if (!code && g->resume)
        code = run_resume(&(struct tutti_options){.store = g->store, .handle_signals = 1}, g->asked,
                          NULL, &(struct watch_opts){.json = g->json, .quiet = g->quiet});
    freep(&g->asked);
    freep(&g->typed);
    return code;
}

static int
gate_main(int argc, char **argv)
{
    struct gate g = {0};
    const struct option_def defs[] = {
        {"--store", .value = &g.store},  {"--json", .flag = &g.json},
        {"--all", .flag = &g.all},       {"--to", .value = &g.to},
        {"--token", .value = &g.token},  {"--by", .value = &g.by},
        {"--resume", .flag = &g.resume}, {"--quiet", "-q", .flag = &g.quiet},
    };
    if (options_take(defs, COUNT(defs), &argc, argv))
        return TUTTI_USAGE;
    const char *sub = argc > 1 ? argv[1] : "ls";
    if (strcmp(sub, "respond") == 0)
        return gate_respond(&g, argc, argv);
    if (strcmp(sub, "ls") != 0)
        return usage_error(&cmd_gate, "there is no '%s'", sub);
    if (argc > 3)
        return usage_error(&cmd_gate, "'%s' is one word too many", argv[3]);
    g.run = argc > 2 ? argv[2] : NULL;
    return store_call(&g, ls, false);
}

const struct command cmd_gate = {
    "gate",
    "gate ls [RUN] [--to NAME] [--all] | respond RUN [NODE] ANSWER | respond --token TOKEN|- "
    "ANSWER\n"
    "             [--by NAME] [--resume]   (all: [--store DIR] [--json])",
    "what runs ask people, and answering it",
    gate_main,
};
