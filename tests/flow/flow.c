/* flow.c - runs flow files: each once as it stands, then once for every commit with a crash there.
 *
 * usage: flow FILE...   UPDATE=1 writes the expected parts anew; REPLAYS=1: each is replayed from
 * its journal instead of crashed. The last line is "N passed, N
 * failed". */
#include "flowfiles.h"
#include "flowplay.h"
#include "replays.h"
#include "rt/fiber.h"
#include "rt/file.h"
#include "rt/rt.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_MAX 2000 /* bytes of a value that are written down */

/* ---- files ----------------------------------------------------------------- */

/* The text between "--- name" and the next "---". */
static char *
part(const char *text, const char *name)
{
    AUTO(freep) char *mark = xasprintf("--- %s\n", name);
    const char *at = strstr(text, mark);
    if (!at)
        return xstrdup("");
    at += strlen(mark);
    const char *end = strstr(at, "\n--- ");
    return end ? xstrndup(at, (size_t)(end - at) + 1) : xstrdup(at);
}

/* "<<N times TEXT>>" stands for what nobody wants to read. */
static char *
part_written_out(char *OWN written)
{
    struct str s = STR_INIT;
    const char *at = written, *from, *text, *end;
    while ((from = strstr(at, "<<")) && (text = strstr(from, " times ")) &&
           (end = strstr(text, ">>"))) {
        const long n = strtol(from + 2, NULL, 10);
        text += strlen(" times ");
        str_addn(&s, at, (size_t)(from - at));
        for (long i = 0; i < n; i++)
            str_addn(&s, text, (size_t)(end - text));
        at = end + 2;
    }
    str_add(&s, at);
    free(written);
    return str_steal(&s);
}

static struct err *
flow_file_read(const char *path, struct flow_file *f)
{
    *f = (struct flow_file){.path = path};
    PASS(file_read(path, 1 << 20, &f->text));
    f->spec = part_written_out(part(str_c(&f->text), "spec"));
    f->request = part(str_c(&f->text), "run");
    f->http = part(str_c(&f->text), "http");
    f->expect = part(str_c(&f->text), "expect");
    if (*f->request)
        TRY(json_parse(f->request, strlen(f->request), &f->request_json), "%s: run", path);
    if (*f->http)
        TRY(json_parse(f->http, strlen(f->http), &f->http_json), "%s: http", path);
    AUTO(freep) char *written = part(str_c(&f->text), "files");
    AUTO(json_freep) json_t *files = NULL;
    if (*written)
        TRY(json_parse(written, strlen(written), &files), "%s: files", path);
    f->dir = flowfiles_make(files);
    return NULL;
}

static void
flow_file_fini(struct flow_file *f)
{
    str_fini(&f->text);
    free(f->spec);
    free(f->request);
    free(f->http);
    free(f->expect);
    json_decref(f->request_json);
    json_decref(f->http_json);
    flowfiles_remove(f->dir);
}

/* ---- one life -------------------------------------------------------------- */

static bool
on_commit(void *ctx, int64_t n, bool after)
{
    struct play *p = ctx;
    if (p->beside) {
        p->commits_before = n;
        return true;
    }
    n -= p->commits_before;
    p->out->commits = MAX(p->out->commits, n);
    if (p->crashed || n != p->crash_at || after == p->crash_before)
        return !p->crashed;
    p->crashed = true;
    sim_crash();
    return after;
}

static void
value_add(struct str *to, const json_t *value)
{
    AUTO(freep) char *text = json_text(value);
    const size_t n = strlen(text);
    str_addn(to, text, n > SHOWN_MAX ? utf8_floor(text, SHOWN_MAX / 20) : n);
    if (n > SHOWN_MAX)
        str_addf(to, "... (%zu bytes)", n);
}

/* What a pattern tells that is in no record: why it chose, fell back, gave up; and what the file
 * asks for by the beginning of its name. */
static bool
is_told(const struct flow_file *f, const char *event)
{
    static const char *const by[] = {"router.",    "orchestrator.", "manager.", "peers.",
                                     "evaluator.", "maker.",        "loop.",    "switch."};
    const json_t *start;
    size_t i;
    for (i = 0; i < COUNT(by); i++) {
        if (str_starts(event, by[i]))
            return true;
    }
    json_array_foreach (json_object_get(f->request_json, "notices"), i, start) {
        if (str_starts(event, json_string_value(start)))
            return true;
    }
    return false;
}

static void
on_event(void *ctx, const struct run_event *ev)
{
    struct play *p = ctx;
    struct str *j = &p->out->journal;
    if (p->beside)
        return;
    if (!ev->seq && !is_told(p->file, ev->name))
        return;
    if (json_bool(p->file->request_json, "brief", false) && strchr(ev->path, '/'))
        return;
    str_addf(j, "%lld %s%s", (long long)(ev->wall_ms - WALL_START), ev->seq ? "" : "~ ", ev->name);
    if (*ev->path)
        str_addf(j, " %s", ev->path);
    if (!ev->seq) {
        str_addc(j, ' ');
        value_add(j, ev->detail);
        str_addc(j, '\n');
        return;
    }
    if (json_str(ev->detail, "target", NULL))
        str_addf(j, " -> %s", json_str(ev->detail, "target", ""));
    if (json_int(ev->detail, "attempts", 1) > 1)
        str_addf(j, " attempts=%d", (int)json_int(ev->detail, "attempts", 1));
    const char *error = json_str(ev->detail, "error",
                                 json_str(json_object_get(ev->detail, "error"), "text",
                                          json_str(ev->detail, "reason", NULL)));
    if (error)
        str_addf(j, " ! %s", error);
    json_t *output = json_object_get(ev->detail, "output");
    if (output && !json_is_null(output)) {
        str_add(j, " = ");
        value_add(j, output);
    }
    str_addc(j, '\n');
}

/* ---- runs beside it --------------------------------------------------------- */

/* Another run of the same flow, before or after the one that is looked at. */
static struct err *
run_beside(struct app *a, struct run_request req, const json_t *input, json_t **ret_output)
{
    struct run *run = NULL;
    bool existing;
    req.input = input;
    AUTO(json_freep) json_t *doc = NULL;
    PASS(engine_start(app_engine(a), &req, &run, &existing));
    struct err *e = run_wait(run, DEADLINE_NONE);
    if (!e)
        e = run_document(run, false, &doc);
    run_unref(run);
    PASS(e);
    *ret_output = json_incref(json_object_get(doc, "output"));
    return NULL;
}

static struct err *
runs_before(struct app *a, struct play *p, struct run_request req)
{
    const json_t *input;
    size_t i;
    struct err *e = NULL;
    p->beside = true;
    json_array_foreach (json_object_get(p->file->request_json, "before"), i, input) {
        AUTO(json_freep) json_t *output = NULL;
        if (!e)
            e = run_beside(a, req, input, &output);
    }
    p->beside = false;
    return e;
}

/* The run that is looked at; ret_run NULL: the one after it, to its end. */
static struct err *
live(struct app *a, struct play *p, struct run **ret_run)
{
    AUTO(spec_freep) struct spec *spec = NULL;
    struct flow *flow = NULL;
    bool existing;
    const json_t *q = p->file->request_json;
    if (p->resume && ret_run)
        return app_resume(a, p->out->id, p->in_doubt, ret_run);
    PASS(app_load_text(a, "flow.yaml", p->file->spec, strlen(p->file->spec), &spec));
    PASS(app_flow(a, spec, json_str(q, "workflow", NULL), &flow));
    struct run_request req = {.flow = flow,
                              .input = json_object_get(q, "input"),
                              .inputs = json_object_get(q, "inputs"),
                              .conversation = json_str(q, "conversation", NULL),
                              .dir = p->file->dir};
    struct err *e = ret_run ? runs_before(a, p, req) : NULL;
    if (!e && !ret_run)
        e = run_beside(a, req, json_object_get(q, "after"), &p->out->after);
    else if (!e)
        e = engine_start(app_engine(a), &req, ret_run, &existing);
    flow_unref(flow);
    return e;
}

/* Until it can go on: its time has come, or it was told something. False: nothing will. */
static bool
put_away_wait(struct play *p, const struct run *run)
{
    const json_t *all = json_object_get(p->file->request_json, "at");
    struct store_run row = {0};
    for (;;) {
        struct err *e = store_get_run(app_store(p->app), run_id(run), &row);
        const bool due = !e && row.wake_at <= rt_wall_ms(), live = !e && row.status < RUN_ENDED;
        const bool told = p->world->deeds >= json_array_size(all);
        const bool never = row.wake_at == INT64_MAX;
        store_run_fini(&row);
        err_drop(e);
        if (due || !live || (told && never) || p->crashed)
            return due && live;
        const int64_t deed = WALL_START + json_int(json_array_get(all, p->world->deeds), "ms", 0);
        const int64_t next = MIN(run_wakes_at(run), told ? INT64_MAX : deed) - rt_wall_ms();
        err_drop(fiber_sleep(MAX(next, 10)));
    }
}

/* As `tutti run` does: what was put away is taken up again. */
static struct err *
live_on(struct play *p, struct run **run)
{
    PASS(run_wait(*run, DEADLINE_NONE));
    while (run_state(*run) == RUN_WAITING && !p->crashed && put_away_wait(p, *run)) {
        struct run *again = NULL;
        struct err *e = app_resume(p->app, p->out->id, p->in_doubt, &again);
        if (e && err_kind(e) == ERR_LIMIT) { /* who cancels it has it for a moment */
            err_free(e);
            PASS(fiber_sleep(10));
            continue;
        }
        PASS(e);
        run_unref(*run);
        *run = again;
        PASS(run_wait(*run, DEADLINE_NONE));
    }
    return NULL;
}

/* Of one that was put away the store knows more. */
static struct err *
outcome_document(struct play *p, const struct run *run)
{
    return run_state(run) == RUN_WAITING
               ? engine_document(app_engine(p->app), p->out->id, &p->out->doc)
               : run_document(run, true, &p->out->doc);
}

static void
play_main(void *arg)
{
    struct play *p = arg;
    struct app *a = NULL;
    struct run *run = NULL;
    struct scope outside;
    p->commits_before = 0;
    world_enter(p->world);
    sim_set_wall_ms(p->world->wall_ms);
    struct err *e = app_open(&(struct app_opts){.mem = p->mem}, &a);
    p->app = a;
    if (!e) {
        store_on_commit(app_store(a), on_commit, p);
        engine_subscribe(app_engine(a), on_event, p);
        e = live(a, p, &run);
    }
    if (!e)
        memcpy(p->out->id, run_id(run), RUN_ID_LEN);
    scope_open_detached(&outside);
    if (!e) {
        if (json_object_get(p->file->request_json, "at"))
            scope_spawn(&outside, "outside", outside_main, p);
        e = live_on(p, &run);
    }
    scope_end(&outside);
    p->world->wall_ms = rt_wall_ms();
    if (!e && !p->crashed)
        e = outcome_document(p, run);
    p->beside = true;
    if (!e && !p->crashed && json_object_get(p->file->request_json, "after"))
        e = live(a, p, NULL);
    p->beside = false;
    if (e && !p->crashed)
        p->out->error = err_text(e);
    err_free(e);
    run_unref(run);
    app_close(a);
}

static void
play_once(struct play *p, uint64_t seed)
{
    struct rt *rt;
    err_drop(rt_open(&(struct rt_opts){.simulated = true, .seed = seed}, &rt));
    rt_run(rt, play_main, p);
    rt_close(rt);
    const char *results = json_str(p->file->request_json, "results", NULL);
    if (results) {
        free(p->out->lines);
        p->out->lines = flowfiles_lines(p->file->dir, results);
    }
}

/* Until it ends, waits or dies: an interrupted run goes on in a further life. */
static void
play_on(struct play *p, uint64_t seed)
{
    play_once(p, seed);
    while (!p->crashed && p->out->doc && str_eq(json_str(p->out->doc, "status", ""), "running")) {
        json_freep(&p->out->doc);
        p->resume = true;
        play_once(p, seed);
    }
}

/* ---- comparing ------------------------------------------------------------- */

static char *
result_text(const struct outcome *o, const char *dir)
{
    struct str s = STR_INIT;
    str_add(&s, str_c(&o->journal));
    if (o->error)
        str_addf(&s, "refused: %s\n", o->error);
    if (o->doc) {
        str_addf(&s, "status %s\noutput ", json_str(o->doc, "status", ""));
        value_add(&s, json_object_get(o->doc, "output"));
        str_addc(&s, '\n');
    }
    if (o->after) {
        str_add(&s, "after ");
        value_add(&s, o->after);
        str_addc(&s, '\n');
    }
    if (o->lines)
        str_addf(&s, "results\n%s", o->lines);
    return flowfiles_shown(dir, str_steal(&s));
}

static void
outcome_fini(struct outcome *o)
{
    str_fini(&o->journal);
    json_decref(o->doc);
    json_decref(o->after);
    free(o->error);
    free(o->lines);
}

static void
expectation_write(struct flow_file *f, const char *result)
{
    struct str s = STR_INIT;
    const char *at = strstr(str_c(&f->text), "--- expect\n");
    str_addn(&s, f->text.p, at ? (size_t)(at - f->text.p) : f->text.len);
    str_addf(&s, "--- expect\n%s", result);
    err_drop(file_write(f->path, s.p, s.len, 0644));
    str_fini(&s);
}

static bool
same_end(const struct outcome *a, const struct outcome *b)
{
    return strcmp(json_str(a->doc, "status", "?"), json_str(b->doc, "status", "!")) == 0 &&
           json_equal(json_object_get(a->doc, "output"), json_object_get(b->doc, "output")) &&
           str_eq(a->lines, b->lines) && (a->after == b->after || json_equal(a->after, b->after));
}

/* Crash at commit n, resume until the run is over: the same end, or parked because of a `once`
 * effect that is in doubt; and then, told to try again, the same end. No key twice in the ledger,
 * unless we said so. */
static bool
crash_holds(struct flow_file *f, const struct outcome *whole, int64_t n, bool before)
{
    struct world w;
    struct outcome o = {0};
    world_init(&w, f->http_json);
    struct store_mem *mem = store_mem_new();
    struct play p = {
        .file = f, .world = &w, .mem = mem, .crash_at = n, .crash_before = before, .out = &o};
    play_on(&p, 1);
    bool ok = p.crashed, parked = false;
    if (ok && !*o.id) { /* it died before the start was acknowledged: nothing to resume */
        ok = true;
    } else if (ok) {
        p.crash_at = 0;
        p.crashed = false;
        p.resume = true;
        play_on(&p, 2);
        parked = o.doc && strcmp(json_str(o.doc, "status", ""), "waiting") == 0 &&
                 strcmp(json_str(whole->doc, "status", ""), "waiting") != 0;
        ok = (json_bool(f->request_json, "repeats", false) || world_twice(&w) == 0);
        if (ok && parked) {
            json_freep(&o.doc);
            p.in_doubt = "retry";
            play_on(&p, 3);
        }
        bool ended_already = o.error && strstr(o.error, "has ended");
        ok = ok && (ended_already || same_end(&o, whole));
    }
    if (!ok) {
        AUTO(freep) char *text = result_text(&o, f->dir);
        fprintf(stderr, "%s: crash %s commit %lld: crashed=%d twice=%u\n%s", f->path,
                before ? "before" : "after", (long long)n, p.crashed, world_twice(&w), text);
    }
    store_mem_free(mem);
    outcome_fini(&o);
    world_fini(&w);
    return ok;
}

static void
flow_run(const char *path, unsigned *passed, unsigned *failed)
{
    struct flow_file f;
    struct world w;
    struct outcome whole = {0};
    struct err *e = flow_file_read(path, &f);
    if (e) {
        err_print(e, stderr);
        err_free(e);
        ++*failed;
        return;
    }
    world_init(&w, f.http_json);
    struct store_mem *mem = store_mem_new();
    play_on(&(struct play){.file = &f, .world = &w, .mem = mem, .out = &whole}, 1);
    AUTO(freep) char *result = result_text(&whole, f.dir);
    if (getenv("UPDATE"))
        expectation_write(&f, result);
    bool same = getenv("UPDATE") || strcmp(result, f.expect) == 0;
    if (!same)
        fprintf(stderr, "%s: expected:\n%sgot:\n%s", path, f.expect, result);
    ++*(same ? passed : failed);
    const bool replays = getenv("REPLAYS");
    if (replays && *whole.id && json_bool(f.request_json, "replay", true))
        ++*(replay_holds(path, mem, whole.id) ? passed : failed);
    bool crashes = whole.doc && !replays && json_bool(f.request_json, "crash", true);
    for (int64_t n = 1; crashes && n <= whole.commits; n++) {
        ++*(crash_holds(&f, &whole, n, true) ? passed : failed);
        ++*(crash_holds(&f, &whole, n, false) ? passed : failed);
    }
    store_mem_free(mem);
    outcome_fini(&whole);
    world_fini(&w);
    flow_file_fini(&f);
}

int
main(int argc, char **argv)
{
    unsigned passed = 0, failed = 0;
    for (int i = 1; i < argc; i++)
        flow_run(argv[i], &passed, &failed);
    printf("%u passed, %u failed\n", passed, failed);
    return failed ? 1 : 0;
}
