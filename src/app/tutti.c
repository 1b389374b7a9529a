/* tutti.c - the public API: each call is one turn of the runtime with a fiber that does the work.
 */
#include "app/registry.h"
#include "app/tutticore.h"
#include "rt/fiber.h"
#include "rt/file.h"
#include "rt/rt.h"
#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

const char *
tutti_version(void)
{
    return TUTTI_VERSION;
}

void
tutti_free(char *text)
{
    free(text);
}

/* ---- errors ---------------------------------------------------------------- */

static enum tutti_status
status_of(const struct err *e)
{
    switch (err_kind(e)) {
    case ERR_INVALID:
        return err_pos(e).line || err_next(e) ? TUTTI_INVALID : TUTTI_USAGE;
    case ERR_LIMIT:
        return err_pos(e).line ? TUTTI_INVALID : TUTTI_FAILED; /* a file too large to be read */
    case ERR_MISSING:
        return TUTTI_USAGE;
    case ERR_TIMEOUT:
        return TUTTI_TIMEOUT;
    case ERR_CANCELLED:
        return TUTTI_INTERRUPTED;
    default:
        return TUTTI_FAILED;
    }
}

/* Frees e; its text goes to *error, secrets taken out. */
enum tutti_status
tutti_give_up(struct tutti *t, struct err *e, char **error)
{
    enum tutti_status status = status_of(e);
    if (error) {
        char *text = NULL;
        size_t n = 0;
        FILE *f = open_memstream(&text, &n);
        err_print(e, f);
        fclose(f);
        struct str shown = STR_INIT;
        while (n && text[n - 1] == '\n')
            n--;
        if (t && t->app)
            app_redact(t->app, text, n, &shown);
        else
            str_addn(&shown, text, n);
        free(text);
        *error = str_steal(&shown);
    }
    err_free(e);
    return status;
}

/* ---- events ---------------------------------------------------------------- */

static void
on_event(void *ctx, const struct run_event *ev)
{
    struct tutti *t = ctx;
    AUTO(json_freep) json_t *shown = NULL;
    AUTO(str_fini) struct str text = STR_INIT;
    if (!t->event_fn)
        return;
    if (ev->detail)
        shown = app_redact_json(t->app, ev->detail);
    AUTO(freep) char *detail = shown ? json_text(shown) : NULL;
    app_redact(t->app, ev->text, ev->text_len, &text);
    struct tutti_event out = {.run = ev->run,
                              .name = ev->name,
                              .path = ev->path,
                              .seq = ev->seq,
                              .time_ms = ev->wall_ms,
                              .detail = detail,
                              .text = text.len ? str_c(&text) : NULL,
                              .text_len = text.len};
    t->event_fn(t->event_ctx, &out);
}

/* Once an engine, whoever asks and however often. */
static void
events_follow(struct tutti *t)
{
    if (!t->app || !t->event_fn || t->following)
        return;
    t->following = true;
    engine_subscribe(app_engine(t->app), on_event, t);
}

void
tutti_subscribe(struct tutti *engine, void (*fn)(void *ctx, const struct tutti_event *event),
                void *ctx)
{
    engine->event_fn = fn;
    engine->event_ctx = ctx;
    events_follow(engine);
}

static void
on_signal(void *ctx, int signum)
{
    struct tutti *t = ctx;
    (void)signum;
    t->interrupted++;
    if (t->interrupted > 2) /* three times: now */
        _exit(TUTTI_INTERRUPTED);
    if (t->app)
        engine_interrupt(app_engine(t->app));
    waitq_wake_all(&t->alarm);
}

/* ---- one call, one fiber --------------------------------------------------- */

struct err *
tutti_ready(struct tutti *t, const char *file)
{
    if (t->app)
        return NULL;
    if (!t->memory && !t->store_dir)
        t->store_dir = app_store_dir(t->store_option, file);
    t->opts.store_dir = t->store_dir;
    PASS(app_open(&t->opts, &t->app));
    events_follow(t);
    return NULL;
}

struct tutti_run *
tutti_handle(struct tutti *t, struct run *r)
{
    struct tutti_run *h = xcalloc(1, sizeof *h);
    h->engine = t;
    h->run = r;
    snprintf(h->id, sizeof h->id, "%s", run_id(r));
    h->next = t->runs;
    t->runs = h;
    return h;
}

/* The same start again after its process died goes on with it; who has it keeps it. */
static struct err *
take_up(struct app *a, struct run **run)
{
    struct run *again = NULL;
    if (!run_is_over(*run) || run_state(*run) != RUN_RUNNING)
        return NULL;
    struct err *e = app_resume(a, run_id(*run), NULL, &again);
    if (e && err_kind(e) == ERR_LIMIT) {
        err_drop(e);
        return NULL;
    }
    PASS(e);
    run_unref(*run);
    *run = again;
    return NULL;
}

static struct err *
start(struct call *c)
{
    const struct tutti_request *q = c->request;
    AUTO(freep) char *file = NULL;
    AUTO(spec_freep) struct spec *spec = NULL;
    AUTO(json_freep) json_t *inputs = NULL, *input = NULL;
    struct flow *flow = NULL;
    struct run *run = NULL;
    bool existing = false;
    PASS(app_find_file(q->file, &file));
    if (q->inputs)
        TRY(json_parse(q->inputs, strlen(q->inputs), &inputs), "inputs");
    if (inputs && !json_is_object(inputs))
        return FAIL(ERR_INVALID, "inputs: a JSON object is expected");
    PASS(tutti_ready(c->t, file));
    PASS(app_load(c->t->app, file, &spec));
    PASS(app_flow(c->t->app, spec, q->workflow, &flow));
    if (q->input)
        input = json_string_lossy(q->input, strlen(q->input));
    else if (inputs && json_object_size(inputs))
        input = json_incref(inputs);
    struct run_request req = {.flow = flow,
                              .input = input,
                              .inputs = inputs,
                              .run_id = q->run_id,
                              .goal = q->goal,
                              .conversation = q->conversation,
                              .dir = app_root(c->t->app)};
    struct err *e = engine_start(app_engine(c->t->app), &req, &run, &existing);
    flow_unref(flow);
    if (!e && existing)
        e = take_up(c->t->app, &run);
    if (e) {
        run_unref(run);
        return e;
    }
    c->run = tutti_handle(c->t, run);
    return NULL;
}

static void
start_main(void *arg)
{
    struct call *c = arg;
    c->e = start(c);
}

static struct err *
resume(struct call *c)
{
    struct run *run = NULL;
    PASS(tutti_ready(c->t, NULL));
    PASS(app_resume(c->t->app, c->id, c->in_doubt, &run));
    c->run = tutti_handle(c->t, run);
    return NULL;
}

static void
resume_main(void *arg)
{
    struct call *c = arg;
    c->e = resume(c);
}

static void
rollback_main(void *arg)
{
    struct call *c = arg;
    struct run *run = NULL;
    c->e = tutti_ready(c->t, NULL);
    if (!c->e)
        c->e = app_rollback(c->t->app, c->id, &run);
    if (!c->e)
        c->run = tutti_handle(c->t, run);
}

static void
document_main(void *arg)
{
    struct call *c = arg;
    AUTO(json_freep) json_t *doc = NULL;
    c->e = run_document(c->run->run, c->whole, &doc);
    if (c->e)
        return;
    AUTO(json_freep) json_t *shown = app_redact_json(c->t->app, doc);
    c->document = json_text(shown);
}

static void
close_main(void *arg)
{
    app_close(((struct tutti *)arg)->app);
}

/* ---- the calls ------------------------------------------------------------- */

static char *
copy_of(const char *s)
{
    return s ? xstrdup(s) : NULL;
}

enum tutti_status
tutti_open(const struct tutti_options *options, struct tutti **engine, char **error)
{
    static const struct tutti_options none;
    const struct tutti_options *o = options ? options : &none;
    struct tutti *t = xcalloc(1, sizeof *t);
    t->opts.registry = t->registry = registry_new();
    t->store_option = copy_of(o->store);
    t->memory = o->memory;
    t->opts.model = t->model = copy_of(o->model);
    t->opts.record = t->record = copy_of(o->record);
    t->opts.replay = t->replay = copy_of(o->replay);
    t->opts.debug = o->debug;
    t->opts.stream = o->stream;
    t->stay = o->stay;
    struct err *e = rt_open(&(struct rt_opts){0}, &t->rt);
    if (!e && o->handle_signals) {
        e = rt_on_signal(SIGINT, on_signal, t);
        if (!e)
            e = rt_on_signal(SIGTERM, on_signal, t);
    }
    if (e) {
        enum tutti_status status = tutti_give_up(t, e, error);
        tutti_close(t);
        return status;
    }
    *engine = t;
    return TUTTI_OK;
}

void
tutti_close(struct tutti *engine)
{
    struct tutti *t = engine;
    if (!t)
        return;
    for (struct tutti_run *r = t->runs, *next; r; r = next) {
        next = r->next;
        run_unref(r->run);
        free(r);
    }
    if (t->rt) {
        if (t->app)
            rt_run(t->rt, close_main, t);
        rt_close(t->rt);
    }
    registry_free(t->registry);
    free(t->store_dir);
    free(t->store_option);
    free(t->model);
    free(t->record);
    free(t->replay);
    free(t);
}

enum tutti_status
tutti_start(struct tutti *engine, const struct tutti_request *request, struct tutti_run **run,
            char **error)
{
    struct call c = {.t = engine, .request = request};
    rt_run(engine->rt, start_main, &c);
    if (c.e)
        return tutti_give_up(engine, c.e, error);
    *run = c.run;
    return TUTTI_OK;
}

enum tutti_status
tutti_resume(struct tutti *engine, const char *run_id, const char *in_doubt, struct tutti_run **run,
             char **error)
{
    struct call c = {.t = engine, .id = run_id, .in_doubt = in_doubt};
    rt_run(engine->rt, resume_main, &c);
    if (c.e)
        return tutti_give_up(engine, c.e, error);
    *run = c.run;
    return TUTTI_OK;
}

enum tutti_status
tutti_rollback(struct tutti *engine, const char *run_id, struct tutti_run **run, char **error)
{
    struct call c = {.t = engine, .id = run_id};
    rt_run(engine->rt, rollback_main, &c);
    if (c.e)
        return tutti_give_up(engine, c.e, error);
    *run = c.run;
    return TUTTI_OK;
}

static enum tutti_status
status_of_run(enum run_status status, bool interrupted)
{
    switch (status) {
    case RUN_COMPLETED:
        return TUTTI_OK;
    case RUN_PARTIAL:
        return TUTTI_PARTIAL;
    case RUN_WAITING:
        return TUTTI_WAITING;
    case RUN_RUNNING:
        return interrupted ? TUTTI_INTERRUPTED : TUTTI_FAILED;
    default:
        return TUTTI_FAILED;
    }
}

enum tutti_status
tutti_wait(struct tutti_run *run, int64_t timeout_ms, char **document, char **error)
{
    struct call c = {.t = run->engine, .run = run, .timeout_ms = timeout_ms, .whole = true};
    rt_run(run->engine->rt, tutti_wait_main, &c);
    if (!c.e && document)
        rt_run(run->engine->rt, document_main, &c);
    if (c.e)
        return tutti_give_up(run->engine, c.e, error);
    if (document)
        *document = c.document;
    if (run->interrupted)
        return TUTTI_INTERRUPTED;
    return status_of_run(run_state(run->run), run_was_interrupted(run->run));
}

char *
tutti_result(struct tutti_run *run)
{
    struct call c = {.t = run->engine, .run = run};
    rt_run(run->engine->rt, document_main, &c);
    err_drop(c.e); /* none: without nodes nothing is read */
    return c.document;
}

const char *
tutti_run_id(const struct tutti_run *run)
{
    return run->id;
}

static void
cancel_main(void *arg)
{
    struct call *c = arg;
    c->e = store_cancel(app_store(c->t->app), run_id(c->run->run), false);
    run_cancel(c->run->run);
}

enum tutti_status
tutti_cancel(struct tutti_run *run, char **error)
{
    struct call c = {.t = run->engine, .run = run};
    rt_run(run->engine->rt, cancel_main, &c);
    return c.e ? tutti_give_up(run->engine, c.e, error) : TUTTI_OK;
}

void
tutti_release(struct tutti_run *run)
{
    if (!run)
        return;
    struct tutti_run **at = &run->engine->runs;
    while (*at != run)
        at = &(*at)->next;
    *at = run->next;
    run_unref(run->run);
    free(run);
}
