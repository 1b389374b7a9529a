/* tester.c - runs the tests of files, each in a world of its own. */
#include "app/tester.h"
#include "app/sealed.h"
#include "base/near.h"
#include "engine/tell.h"
#include "rt/fiber.h"
#include "rt/file.h"
#include "rt/rt.h"
#include <stdlib.h>
#include <string.h>

#define REAL_MS 300000 /* a test with a real clock may take so long */

struct test_source { /* a file that was read, once for all of its tests */
    const char *file;
    struct spec *spec; /* without tests */
    json_t *tests;
};

struct testing { /* one test under way */
    const struct tester_opts *opts;
    const struct test_source *source;
    const char *name;
    char *recording;
    bool virtual;
    struct app *app;
    struct scope scope; /* of the people that answer */
    unsigned answering;
    json_t *test, *doc; /* doc: of the run */
    json_t *failures, *result;
    int64_t took_ms;
    struct err *e;
};

static json_t *
inputs_of(const json_t *test)
{
    json_t *inputs = json_object();
    json_object_update(inputs, json_object_get(test, "context"));
    json_object_update(inputs, json_object_get(test, "inputs"));
    return inputs;
}

static struct err *
signals_send(struct app *a, const char *run, const json_t *signals)
{
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)signals, name, value) {
        const struct signal s = {.run = run, .name = name, .value = value, .by = "the test"};
        bool is_new;
        TRY(engine_signal(app_engine(a), &s, &is_new), "the signal '%s'", name);
    }
    return NULL;
}

/* ---- people ---------------------------------------------------------------- */

struct answering {
    struct testing *t;
    char *run, *path;
    const json_t *value;
};

static void
answer_main(void *arg)
{
    struct answering *x = arg;
    AUTO(json_freep) json_t *question = NULL;
    const struct answer answer = {
        .run = x->run, .path = x->path, .value = x->value, .by = "the test"};
    struct err *e = engine_answer(app_engine(x->t->app), &answer, &question);
    if (e) {
        AUTO(freep) char *text = err_text(e);
        json_array_append_new(x->t->failures,
                              json_pack("{ss sO so}", "what", "answer", "expected", x->value,
                                        "actual", json_string_lossy(text, strlen(text))));
        err_free(e);
    }
    x->t->answering--;
    free(x->run);
    free(x->path);
    free(x);
}

/* Whoever is asked answers at once, in a fiber of his own. */
static void
on_event(void *ctx, const struct run_event *ev)
{
    struct testing *t = ctx;
    const char *path;
    json_t *value;
    if (strcmp(ev->name, EVENT_ASKED) != 0)
        return;
    json_object_foreach (json_object_get(t->test, "answers"), path, value) {
        const size_t n = strlen(path);
        if (strncmp(ev->path, path, n) != 0 || (ev->path[n] && ev->path[n] != '/'))
            continue;
        struct answering *x = xcalloc(1, sizeof *x);
        *x = (struct answering){t, xstrdup(ev->run), xstrdup(ev->path), value};
        t->answering++;
        scope_spawn(&t->scope, "answer", answer_main, x);
        return;
    }
}

/* When the run can go on; INT64_MAX: never by itself. */
static struct err *
wakes_at(struct testing *t, const char *run, int64_t *ret_ms)
{
    struct store_run row = {0};
    while (t->answering)
        PASS(fiber_sleep(1));
    PASS(store_get_run(app_store(t->app), run, &row));
    *ret_ms = row.wake_at;
    store_run_fini(&row);
    return NULL;
}

/* Waits for times as well; for people only as long as they answer. */
static struct err *
wait_all(struct testing *t, struct run **run, int64_t deadline_ms)
{
    for (;;) {
        struct run *again = NULL;
        int64_t wake_ms;
        PASS(run_wait(*run, deadline_ms));
        if (run_state(*run) != RUN_WAITING)
            return NULL;
        AUTO(freep) char *id = xstrdup(run_id(*run));
        PASS(wakes_at(t, id, &wake_ms));
        if (wake_ms == INT64_MAX)
            return NULL;
        const int64_t left = MAX(wake_ms - rt_wall_ms(), 0);
        if (rt_after(left) > deadline_ms)
            return FAIL(ERR_TIMEOUT, "it waits longer than a test with a real clock may take");
        PASS(fiber_sleep(left));
        PASS(app_resume(t->app, id, NULL, &again));
        run_unref(*run);
        *run = again;
    }
}

/* ---- the run --------------------------------------------------------------- */

static struct err *
run_it(struct testing *t, struct flow *flow)
{
    struct app *a = t->app;
    AUTO(json_freep) json_t *inputs = inputs_of(t->test);
    json_t *input = json_object_get(t->test, "input");
    struct run *run = NULL;
    bool existing;
    struct run_request q = {.flow = flow,
                            .input = input                      ? input
                                     : json_object_size(inputs) ? inputs
                                                                : NULL,
                            .inputs = inputs,
                            .dir = app_root(a)};
    PASS(engine_start(app_engine(a), &q, &run, &existing));
    const int64_t began = rt_now_ms();
    struct err *e = signals_send(a, run_id(run), json_object_get(t->test, "signals"));
    if (!e)
        e = wait_all(t, &run, t->virtual ? DEADLINE_NONE : rt_after(REAL_MS));
    t->took_ms = rt_now_ms() - began;
    if (!e)
        e = run_document(run, true, &t->doc);
    run_unref(run);
    return e;
}

static struct err *
run_with_people(struct testing *t, struct flow *flow)
{
    scope_open(&t->scope, DEADLINE_NONE);
    const int handle = engine_subscribe(app_engine(t->app), on_event, t);
    struct err *e = run_it(t, flow);
    engine_unsubscribe(app_engine(t->app), handle);
    struct err *closed = scope_close(&t->scope);
    if (e)
        err_free(closed);
    return e ? e : closed;
}

static struct err *
play(struct testing *t)
{
    struct app *a = t->app;
    struct flow *flow = NULL;
    struct spec own = *t->source->spec; /* its places are shared, its definitions are not */
    AUTO(json_freep) json_t *doc = own.doc = json_deep_copy(own.doc);
    PASS(app_adopt(a, t->source->file, &own));
    if (!t->opts->record)
        PASS(test_cast(doc, t->test));
    PASS(app_flow(a, &own, json_str(t->test, "workflow", NULL), &flow));
    struct err *e = run_with_people(t, flow);
    flow_unref(flow);
    if (!e)
        e = test_check(engine_space(app_engine(a)), t->test, t->doc, t->failures);
    return e;
}

static void
play_main(void *arg)
{
    struct testing *t = arg;
    if (t->virtual)
        sealed_install("a test with a virtual clock calls nothing outside; answer for the agent in "
                       "`replies`, or say `clock: real`");
    t->e = app_open(&(struct app_opts){.testing = true,
                                       .unresolved = t->virtual,
                                       .record = t->opts->record ? t->recording : NULL,
                                       .replay = t->opts->record ? NULL : t->recording},
                    &t->app);
    if (!t->e)
        t->e = play(t);
    app_close(t->app);
}

/* ---- its result ------------------------------------------------------------ */

/* The test could not be carried out: that is no success either. */
static void
error_note(struct testing *t)
{
    if (!t->e)
        return;
    AUTO(freep) char *text = err_text(t->e);
    err_freep(&t->e);
    json_array_append_new(t->failures, json_pack("{ss so}", "what", "error", "actual",
                                                 json_string_lossy(text, strlen(text))));
}

/* Names of files may have any bytes. */
static json_t *
path_json(const char *path)
{
    return json_string_lossy(path, strlen(path));
}

static json_t *
result_make(struct testing *t)
{
    const bool ok = json_array_size(t->failures) == 0;
    return json_pack("{so ss sO? sb sO? sI sb sO sO? sO?}", "file", path_json(t->source->file),
                     "name", t->name, "workflow", json_object_get(t->doc, "workflow"), "ok", ok,
                     "status", json_object_get(t->doc, "status"), "duration_ms", t->took_ms,
                     "virtual", t->virtual, "failures", t->failures, "usage",
                     json_object_get(t->doc, "usage"), "output", json_object_get(t->doc, "output"));
}

static struct err *
test_run(const struct tester_opts *o, const struct test_source *source, const char *name,
         json_t **ret_result)
{
    struct rt *rt;
    AUTO(freep) char *dir = path_dir(source->file);
    json_t *test = json_object_get(source->tests, name);
    const char *recording = json_str(test, "recording", NULL);
    AUTO(freep) char *path = recording ? path_join(dir, recording) : NULL;
    struct testing t = {.opts = o,
                        .source = source,
                        .name = name,
                        .test = test,
                        .recording = path,
                        .virtual = !o->record &&
                                   strcmp(json_str(test, "clock", "virtual"), "virtual") == 0,
                        .failures = json_array()};
    PASS(rt_open(&(struct rt_opts){.simulated = t.virtual, .seed = 1}, &rt));
    rt_run(rt, play_main, &t);
    rt_close(rt);
    error_note(&t);
    *ret_result = result_make(&t);
    json_decref(t.doc);
    json_decref(t.failures);
    return NULL;
}

/* ---- those of a file ------------------------------------------------------- */

struct listing {
    struct test_source *source;
    struct err *e;
};

static void
source_fini(struct test_source *s)
{
    spec_free(s->spec);
    json_decref(s->tests);
}

static struct err *
list(struct app *a, struct listing *l)
{
    struct test_source *s = l->source;
    PASS(app_load(a, s->file, &s->spec));
    s->tests = json_incref(json_object_get(s->spec->doc, "tests"));
    json_object_del(s->spec->doc, "tests");
    return NULL;
}

static void
list_main(void *arg)
{
    struct listing *l = arg;
    struct app *a = NULL;
    l->e = app_open(&(struct app_opts){.testing = true}, &a);
    if (!l->e)
        l->e = list(a, l);
    app_close(a);
}

static struct err *
file_list(struct test_source *source)
{
    struct rt *rt;
    struct listing l = {.source = source};
    PASS(rt_open(&(struct rt_opts){0}, &rt));
    rt_run(rt, list_main, &l);
    rt_close(rt);
    return l.e;
}

static bool
is_wanted(const struct tester_opts *o, const char *name, const json_t *test)
{
    if (o->record && !json_object_get(test, "recording"))
        return false;
    if (!o->filter)
        return true;
    return strpbrk(o->filter, "*?") ? str_glob(o->filter, name) : strstr(name, o->filter) != NULL;
}

/* The second of two tests would write over what the first has recorded. */
static struct err *
recording_alone(json_t *recordings, const char *name, const json_t *test)
{
    const char *recording = json_str(test, "recording", "");
    const char *other = json_str(recordings, recording, NULL);
    if (other)
        return FAIL(ERR_INVALID,
                    "the tests '%s' and '%s' have the same recording '%s', and each would write it "
                    "anew: give each its own",
                    other, name, recording);
    json_object_set_new(recordings, recording, json_string(name));
    return NULL;
}

struct tally_of_tests { /* over all files */
    const struct tester_opts *opts;
    json_t *results, *errors;
    json_t *names; /* of tests that were passed over */
    size_t failed;
};

static struct err *
file_check(const struct tester_opts *o, const json_t *tests)
{
    AUTO(json_freep) json_t *recordings = json_object();
    const char *name;
    json_t *test;
    json_object_foreach ((json_t *)(uintptr_t)tests, name, test) {
        if (o->record && is_wanted(o, name, test))
            PASS(recording_alone(recordings, name, test));
    }
    return NULL;
}

static struct err *
file_run(struct tally_of_tests *t, const struct test_file *file, json_t *results)
{
    AUTO(source_fini) struct test_source source = {.file = file->path};
    const char *name;
    json_t *test;
    PASS(file_list(&source));
    if (!json_object_size(source.tests) && !file->usual)
        return FAIL(ERR_MISSING, "'%s' has no `tests`", file->path);
    PASS(file_check(t->opts, source.tests));
    json_object_foreach (source.tests, name, test) {
        json_t *result = NULL;
        if (!is_wanted(t->opts, name, test)) {
            json_array_append_new(t->names, json_string(name));
            continue;
        }
        PASS(test_run(t->opts, &source, name, &result));
        t->failed += !json_bool(result, "ok", false);
        json_array_append_new(results, result);
    }
    return NULL;
}

/* ---- all of them ----------------------------------------------------------- */

/* One of a list, as it is told at a terminal. */
static json_t *
error_json(const struct err *e)
{
    AUTO(freep) char *text = err_text(e);
    AUTO(str_fini) struct str s = STR_INIT;
    const struct src_pos at = err_pos(e);
    if (at.line)
        str_addf(&s, "%s:%u:%u: ", at.file, at.line, at.col);
    str_add(&s, text);
    return json_string_lossy(str_c(&s), s.len);
}

/* What is wrong with one file keeps no other from being run. */
static void
file_tell(struct tally_of_tests *t, const struct test_file *file)
{
    AUTO(json_freep) json_t *results = json_array();
    AUTO(json_freep)
    json_t *of_file = json_pack("{so sO}", "file", path_json(file->path), "tests", results);
    struct err *e = file_run(t, file, results);
    json_array_extend(t->results, results);
    for (const struct err *one = e; one; one = err_next(one))
        json_array_append_new(t->errors, json_pack("{so so}", "file", path_json(file->path),
                                                   "error", error_json(one)));
    if (t->opts->each && (e || json_array_size(results)))
        t->opts->each(t->opts->ctx, of_file, e);
    err_free(e);
}

/* Why nothing was run, when nothing was. */
static struct err *
none_run(const struct tally_of_tests *t)
{
    const struct tester_opts *o = t->opts;
    struct near near = NEAR_INIT(o->filter ? o->filter : "");
    const json_t *name;
    size_t i;
    json_array_foreach (t->names, i, name)
        near_offer(&near, json_string_value(name));
    if (!i)
        return FAIL(ERR_MISSING, "there are no tests here: they stand under `tests`, in a file of "
                                 "their own (flow.test.yaml) or in the workflow's");
    if (!o->filter)
        return FAIL(ERR_MISSING, "none of the tests has a `recording`");
    return FAIL(ERR_MISSING, "there is no test '%s'%s%s%s%s", o->filter,
                o->record ? " with a `recording`" : "", near.best ? " (did you mean '" : "",
                near.best ? near.best : "", near.best ? "'?)" : "");
}

static json_t *
report_make(const struct tally_of_tests *t)
{
    const size_t passed = json_array_size(t->results) - t->failed;
    return json_pack("{sI sI sO sO}", "passed", (json_int_t)passed, "failed", (json_int_t)t->failed,
                     "tests", t->results, "errors", t->errors);
}

struct err *
tests_run(const struct tester_opts *o, json_t **ret_report)
{
    AUTO(test_files_fini) struct test_files files = {0};
    struct tally_of_tests t = {.opts = o};
    PASS(test_files_find(o->paths, o->npaths, &files));
    t.results = json_array();
    t.errors = json_array();
    t.names = json_array();
    vec_each (&files.list, file)
        file_tell(&t, file);
    const bool none = !json_array_size(t.results) && !json_array_size(t.errors);
    struct err *e = none ? none_run(&t) : NULL;
    if (!e)
        *ret_report = report_make(&t);
    json_decref(t.results);
    json_decref(t.errors);
    json_decref(t.names);
    return e;
}
