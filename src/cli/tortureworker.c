/* tortureworker.c - what `tutti torture` kills: a process that keeps runs in flight, and the
 * effects they have. After each commit it tells its parent what is in the journal now. */
#include "cli/torture.h"
#include "rt/fiber.h"
#include "rt/file.h"
#include "rt/rt.h"
#include "rt/sync.h"
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS_MAX    50   /* of resuming what is left, at the end */
#define RESUMES_MAX   20   /* of one run in one life */
#define HELD_MS       1000 /* before it is asked for again */
#define CROWD         400  /* live runs: none is started, for lives are short */
#define LONG_TEXT     6000 /* more than a journal keeps in its own table */
#define EFFECT_MS_MAX 4
#define LINGER_MS     60000 /* of a process that nobody ends */
#define LINGER_ONE_OF 8

/* All classes of effects; two steps that may not be repeated can be under way at once. Beside them
 * what decides while it runs: items, repetition, a signal that is told from outside. One run of
 * five fails when all is done and undoes what it did. */
static const char flow_text[] =
    "profiles:\n"
    "  quick: {provider: script, delay: 2ms, default: \"I thought about it.\"}\n"
    "  long: {provider: script, delay: 3ms, default: \"@LONG@\"}\n"
    "  tools:\n"
    "    provider: script\n"
    "    delay: 1ms\n"
    "    replies:\n"
    "      - {turn: 0, tool_calls: [{name: agent__stamp, arguments: {message: a}}, "
    "{name: agent__stamp, arguments: {message: b}}]}\n"
    "      - {text: filed}\n"
    "agents:\n"
    "  thinker: {instruction: Think, profile: quick}\n"
    "  writer: {instruction: Write, profile: long}\n"
    "  clerk: {instruction: File it, profile: tools, agents: [stamp]}\n"
    "  stamp: {type: http, endpoint: \"@URL@/stamp\", method: PUT, "
    "headers: {X-Life: \"${" TORTURE_LIFE_ENV "}\"}}\n"
    "  look: {type: http, endpoint: \"@URL@/look\", method: GET}\n"
    "  store: {type: http, endpoint: \"@URL@/store\", method: PUT, "
    "headers: {X-Life: \"${" TORTURE_LIFE_ENV "}\"}}\n"
    "  order: {type: http, endpoint: \"@URL@/order\", method: POST, "
    "headers: {X-Life: \"${" TORTURE_LIFE_ENV "}\"}}\n"
    "  pay: {type: exec, command: [@PROGRAM@, torture, --effect, @LEDGER@]}\n"
    "  mail: {type: exec, effect: idempotent, command: [@PROGRAM@, torture, --effect, "
    "@LEDGER@]}\n"
    "  refund: {type: http, endpoint: \"@URL@/refund\", method: PUT, "
    "headers: {X-Life: \"${" TORTURE_LIFE_ENV "}\"}}\n"
    "  join: {type: lua, script: \"return message\"}\n"
    "  wrong: {type: lua, script: \"error('this run was to fail')\"}\n"
    "workflows:\n"
    "  main:\n"
    "    nodes:\n"
    "      - {id: plan, agent: thinker}\n"
    "      - {id: left, agent: thinker, depends_on: [plan]}\n"
    "      - {id: right, agent: clerk, depends_on: [plan]}\n"
    "      - {id: price, agent: look, depends_on: [plan]}\n"
    "      - {id: put, agent: store, depends_on: [left]}\n"
    "      - {id: sum, agent: join, depends_on: [put, right, price]}\n"
    "      - {id: each, type: foreach, items: [a, b, c, d], agent: store, concurrency: 3, "
    "depends_on: [plan], compensate: {agent: refund}}\n"
    "      - {id: again, type: loop, body: thinker, max_iterations: 2, depends_on: [right]}\n"
    "      - {id: told, type: wait, signal: go, depends_on: [price]}\n"
    "      - {id: order, agent: order, depends_on: [sum, told], compensate: {agent: refund}}\n"
    "      - {id: write, agent: writer, depends_on: [order, each]}\n"
    "      - {id: pay, agent: pay, depends_on: [sum], when: \"inputs.n % 4 == 0\", "
    "compensate: {agent: mail}}\n"
    "      - {id: mail, agent: mail, depends_on: [write], when: \"inputs.n % 4 == 2\"}\n"
    "      - {id: last, agent: join, depends_on: [write, pay, mail, again]}\n"
    "      - {id: wrong, agent: wrong, depends_on: [last], when: \"inputs.n % 5 == 3\"}\n";

/* A JSON string is one of YAML too, whatever is in the path. */
static char *
quoted(const char *text)
{
    AUTO(json_freep) json_t *j = json_string_lossy(text, strlen(text));
    return json_text(j);
}

char *
torture_flow(const char *program, const char *dir, int port)
{
    AUTO(str_fini) struct str large = STR_INIT;
    struct str text = STR_INIT;
    AUTO(freep) char *url = xasprintf("http://127.0.0.1:%d", port);
    AUTO(freep) char *path = path_join(dir, "ledger");
    AUTO(freep) char *quoted_program = quoted(program);
    AUTO(freep) char *quoted_ledger = quoted(path);
    while (large.len < LONG_TEXT)
        str_add(&large, "a long text ");
    const char *const fills[][2] = {{"@LONG@", str_c(&large)},
                                    {"@URL@", url},
                                    {"@PROGRAM@", quoted_program},
                                    {"@LEDGER@", quoted_ledger}};
    for (const char *p = flow_text; *p;) {
        size_t i = 0;
        while (i < COUNT(fills) && !str_starts(p, fills[i][0]))
            i++;
        if (i == COUNT(fills)) {
            str_addc(&text, *p++);
            continue;
        }
        str_add(&text, fills[i][1]);
        p += strlen(fills[i][0]);
    }
    return str_steal(&text);
}

/* ---- the effect of an exec agent ------------------------------------------------------------- */

/* A grandchild in a session of its own, as a careless program leaves it: it has to end with the
 * effect, or with the worker. */
static void
leave_behind(void)
{
    if (getpid() % LINGER_ONE_OF != 0 || fork() != 0)
        return;
    setsid();
    for (int fd = 0; fd < 3; fd++)
        close(fd);
    poll(NULL, 0, LINGER_MS);
    _exit(0);
}

/* A few ms; and when nobody listens any more it hangs, so that it has to be ended. */
static void
take_time(void)
{
    struct pollfd listener = {.fd = STDOUT_FILENO};
    if (poll(&listener, 1, (int)getpid() % EFFECT_MS_MAX) > 0)
        poll(NULL, 0, LINGER_MS);
}

int
torture_effect(const char *ledger_path)
{
    const char *key = rt_env("TUTTI_IDEMPOTENCY_KEY"), *life = rt_env(TORTURE_LIFE_ENV);
    int fd = open(ledger_path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0 || !key || !life) {
        fprintf(stderr, "tutti torture: this is no effect of a torture\n");
        return TUTTI_USAGE;
    }
    leave_behind();
    take_time(); /* a kill may come before it, or after */
    if (!ledger_append(fd, life, key))
        return TUTTI_FAILED;
    take_time();
    printf("done\n");
    return 0;
}

/* ---- telling the parent ---------------------------------------------------------------------- */

struct live {
    char id[RUN_ID_LEN];
    enum run_status status;
};
struct work {
    const struct torture_work *opts;
    struct app *app;
    struct flow *flow;
    struct sem slots;
    struct scope scope;
    struct map *ledger;       /* keys that are there */
    size_t ledger_read, held; /* held: runs that another process had, in this round */
    VEC(struct live) live;
    struct err *failed; /* the first unexpected error */
};

/* One write a line: a kill leaves whole lines only (pipe(7): up to PIPE_BUF bytes at once). */
static void
on_event(void *ctx, const struct run_event *ev)
{
    struct work *w = ctx;
    AUTO(freep) char *line = NULL;
    struct engine_stats stats;
    if (ev->seq) {
        engine_stats(app_engine(w->app), &stats);
        line = xasprintf("D %s %lld %lld %s %s\n", ev->run, (long long)ev->seq,
                         (long long)stats.commits, ev->name, ev->path);
    } else if (strcmp(ev->name, EVENT_STEP_STARTED) == 0 ||
               strcmp(ev->name, EVENT_NODE_STARTED) == 0) {
        line = xasprintf("S %s %s %s\n", ev->run, json_str(ev->detail, "type", "node"), ev->path);
    } else {
        return;
    }
    if (write(STDOUT_FILENO, line, strlen(line)) < 0)
        _exit(TUTTI_FAILED); /* the parent is gone */
}

/* ---- runs in doubt --------------------------------------------------------------------------- */

static void
ledger_line(void *ctx, unsigned life, const char *key)
{
    (void)life;
    map_put(((struct work *)ctx)->ledger, key, ctx);
}

struct open_steps {
    struct map *keys; /* path -> key, owned: intents without an end */
};

static struct err *
doubt_record(void *ctx, const struct run_event *ev)
{
    struct open_steps *o = ctx;
    const char *key = json_str(ev->detail, "key", NULL);
    if (strcmp(ev->name, EVENT_STEP_STARTED) == 0 && key)
        free(map_put(o->keys, ev->path, xstrdup(key)));
    else if (strcmp(ev->name, EVENT_STEP_COMPLETED) == 0 ||
             strcmp(ev->name, EVENT_STEP_FAILED) == 0)
        free(map_del(o->keys, ev->path));
    return NULL;
}

/* What somebody who looked would say of each: the ledger has it, or it has not. Nothing of a run
 * that waits for what it is told. */
static struct err *
doubt_decide(struct work *w, const char *id, struct str *to)
{
    struct open_steps o = {map_new()};
    AUTO(freep) char *path = path_join(w->opts->dir, "ledger");
    const char *step;
    void *key;
    struct err *e = engine_history(app_engine(w->app), id, doubt_record, &o);
    if (!e)
        e = ledger_read(path, &w->ledger_read, ledger_line, w);
    for (size_t i = 0; map_next(o.keys, &i, &step, &key);) {
        str_addf(to, "%s%s=%s", to->len ? "," : "", step,
                 map_has(w->ledger, key) ? "done" : "retry");
        free(key);
    }
    map_free(o.keys);
    return e;
}

/* ---- runs ------------------------------------------------------------------------------------ */

static void
failed(struct work *w, struct err *e, const char *id)
{
    if (!e)
        return;
    if (w->failed)
        err_free(e);
    else
        w->failed = WRAP(e, "run '%s'", id);
}

/* Somebody resumed it by hand, which is allowed. A process that was a guest of the folder and died
 * together with its owner keeps its runs until its lease ends. */
static bool
others_have_it(const struct err *e)
{
    return err_kind(e) == ERR_LIMIT || err_kind(e) == ERR_INVALID;
}

/* The same in each life, and stored once. */
static struct err *
tell(struct work *w, const char *id)
{
    const struct signal signal = {.run = id, .name = "go", .dedupe = "go"};
    bool is_new;
    return engine_signal(app_engine(w->app), &signal, &is_new);
}

static struct err *
go_on(struct work *w, const struct live *l)
{
    enum run_status status = l->status;
    bool decides = w->opts->settled || w->opts->finish;
    PASS(tell(w, l->id));
    for (unsigned i = 0; i < RESUMES_MAX && status < RUN_ENDED; i++) {
        AUTO(str_fini) struct str verdict = STR_INIT;
        struct run *run;
        if (status == RUN_WAITING && !decides)
            return NULL;
        if (status == RUN_WAITING)
            PASS(doubt_decide(w, l->id, &verdict));
        struct err *e = app_resume(w->app, l->id, verdict.p, &run);
        if (e && others_have_it(e)) {
            w->held++;
            err_drop(e);
            return NULL;
        }
        PASS(e);
        e = run_wait(run, DEADLINE_NONE);
        status = run_state(run);
        run_unref(run);
        PASS(e);
    }
    return status < RUN_ENDED ? FAIL(ERR_LIMIT, "resumed %d times and not over", RESUMES_MAX)
                              : NULL;
}

struct one {
    struct work *w;
    struct live live;
    struct run *run; /* started; or NULL: `live` is resumed */
};

static void
one_main(void *arg)
{
    struct one *o = arg;
    struct work *w = o->w;
    struct err *e = o->run ? tell(w, run_id(o->run)) : go_on(w, &o->live);
    if (!e && o->run)
        e = run_wait(o->run, DEADLINE_NONE);
    failed(w, e, o->run ? run_id(o->run) : o->live.id);
    run_unref(o->run);
    free(o);
    sem_release(&w->slots);
}

static struct err *
live_take(void *ctx, const struct store_run *r)
{
    struct work *w = ctx;
    struct live l = {.status = (enum run_status)r->status};
    memcpy(l.id, r->id, sizeof l.id);
    vec_push(&w->live, l);
    return NULL;
}

static struct err *
live_resume(struct work *w)
{
    w->live.len = 0;
    PASS(store_list(app_store(w->app), &(struct store_filter){.live_only = true}, live_take, w));
    for (size_t i = w->live.len; i-- > 0 && !w->failed;) { /* the oldest first */
        PASS(sem_acquire(&w->slots, DEADLINE_NONE));
        struct one *o = xcalloc(1, sizeof *o);
        *o = (struct one){.w = w, .live = w->live.at[i]};
        scope_spawn(&w->scope, "resumed", one_main, o);
    }
    return NULL;
}

static struct err *
one_start(struct work *w, unsigned n)
{
    AUTO(json_freep) json_t *input = json_stringf("topic %u", n);
    AUTO(json_freep) json_t *inputs = json_pack("{si}", "n", (int)n);
    struct run_request req = {.flow = w->flow, .input = input, .inputs = inputs};
    struct run *run;
    bool existing;
    PASS(sem_acquire(&w->slots, DEADLINE_NONE));
    PASS(engine_start(app_engine(w->app), &req, &run, &existing));
    struct one *o = xcalloc(1, sizeof *o);
    *o = (struct one){.w = w, .run = run};
    scope_spawn(&w->scope, "started", one_main, o);
    return NULL;
}

static struct err *
work_all(struct work *w)
{
    PASS(live_resume(w));
    const bool crowded = w->live.len >= CROWD;
    for (unsigned n = 0; !w->opts->finish && !w->failed; n++)
        PASS(crowded ? fiber_sleep(HELD_MS) : one_start(w, n));
    for (unsigned round = 0; w->opts->finish && !w->failed; round++) {
        PASS(scope_wait(&w->scope));
        if (w->held)
            PASS(fiber_sleep(HELD_MS));
        w->held = 0;
        PASS(live_resume(w));
        if (!w->live.len)
            return NULL;
        if (round == ROUNDS_MAX)
            return FAIL(ERR_LIMIT, "%zu runs are not over after %u rounds", w->live.len, round);
    }
    return NULL;
}

static struct err *
work_main(struct app *a, void *arg)
{
    struct work w = {.opts = arg, .app = a};
    AUTO(spec_freep) struct spec *spec = NULL;
    AUTO(freep) char *file = path_join(w.opts->dir, "torture.yaml");
    PASS(app_load(a, file, &spec));
    PASS(app_flow(a, spec, NULL, &w.flow));
    w.ledger = map_new();
    sem_setup(&w.slots, w.opts->at_once);
    int events = engine_subscribe(app_engine(a), on_event, &w);
    scope_open(&w.scope, DEADLINE_NONE);
    struct err *e = work_all(&w);
    if (e || w.failed)
        scope_cancel(&w.scope);
    err_free(scope_close(&w.scope));
    failed(&w, e, "-");
    engine_unsubscribe(app_engine(a), events); /* runs go on until the app is closed */
    vec_fini(&w.live);
    map_free(w.ledger);
    flow_unref(w.flow);
    return w.failed;
}

int
torture_worker(const struct torture_work *w)
{
    AUTO(freep) char *store = path_join(w->dir, "store");
    return with_app(&(struct with_app){
        .opts = {.store_dir = store}, .fn = work_main, .arg = (void *)(uintptr_t)w});
}
