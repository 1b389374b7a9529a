/* batchapi.c - a workflow or an agent for each line of a file: a run whose plan is one foreach.
 *
 * What is written to belongs to one batch: the store keeps, by the output's path, which run that is
 * and what it was begun with, so that going on with it needs no id. The paths are inputs of the run
 * and not parts of its plan; that says how the definition is known again. */
#include "app/tutticore.h"
#include "base/hash.h"
#include "model/status.h"
#include "rt/file.h"
#include "rt/rt.h"
#include <stdlib.h>
#include <string.h>

#define AT_ONCE       10
#define NOTE_BYTES    512
#define NO_LIMIT      (-1)
#define WORKFLOW_NAME "batch of %s"

struct batch {
    struct tutti *t;
    const struct tutti_batch *asked;
    char *input, *output; /* absolute */
    char *key;            /* of the store's note */
    json_t *note;         /* {run, definition, input, parallel, max_failures} */
    struct spec *spec;
    char *worker, *workflow; /* who does a line; the workflow that goes over them */
    bool is_agent;
    char definition[SHA256_HEX];
    struct run *run;
    struct err *e;
};

static void
batch_fini(struct batch *b)
{
    free(b->input);
    free(b->output);
    free(b->key);
    free(b->worker);
    free(b->workflow);
    json_decref(b->note);
    spec_free(b->spec);
}

/* ---- where ----------------------------------------------------------------- */

/* Whoever starts a batch names its files: they may be anywhere. */
static struct err *
absolute(const char *path, char **ret_path)
{
    AUTO(freep) char *here = NULL;
    PASS(path_under("/", ".", &here));
    AUTO(freep) char *cwd = realpath(".", NULL);
    AUTO(freep) char *joined = path_join(cwd ? cwd : "/", path);
    return path_under("/", joined, ret_path);
}

static struct err *
places_find(struct batch *b)
{
    char hash[SHA256_HEX];
    if (!b->asked->input || !*b->asked->input || strcmp(b->asked->input, "-") == 0)
        return FAIL(ERR_INVALID, "say which file has the input; what comes on stdin could not be "
                                 "gone on with: write it to a file first");
    if (!b->asked->output || !*b->asked->output)
        return FAIL(ERR_INVALID, "say which file the output goes to");
    TRY(absolute(b->asked->input, &b->input), "the input");
    TRY(absolute(b->asked->output, &b->output), "the output");
    if (!file_exists(b->input))
        return FAIL(ERR_MISSING, "the input '%s' is not there", b->asked->input);
    if (strcmp(b->input, b->output) == 0)
        return FAIL(ERR_INVALID, "'%s' is the input and the output", b->asked->input);
    if (file_is_dir(b->output))
        return FAIL(ERR_INVALID, "the output '%s' is a folder", b->asked->output);
    sha256_hex(b->output, strlen(b->output), hash);
    b->key = xasprintf("batch/%s", hash);
    return NULL;
}

/* ---- what ------------------------------------------------------------------ */

static struct err *
worker_find(struct batch *b)
{
    AUTO(plan_freep) struct plan *plan = NULL;
    const char *name = b->asked->workflow;
    const json_t *doc = b->spec->doc;
    b->is_agent = name && !json_object_get(json_object_get(doc, "workflows"), name) &&
                  json_object_get(json_object_get(doc, "agents"), name);
    if (!b->is_agent) {
        PASS(app_plan(b->t->app, b->spec, name, &plan));
        name = plan_workflow(plan);
    }
    b->worker = xstrdup(name);
    b->workflow = xasprintf(WORKFLOW_NAME, name);
    return NULL;
}

static json_t *
settings_of(const struct batch *b)
{
    const struct tutti_batch *q = b->asked;
    return json_pack("{si sI}", "parallel", q->parallel > 0 ? q->parallel : AT_ONCE, "max_failures",
                     (json_int_t)(q->limit_failures ? q->max_failures : NO_LIMIT));
}

static void
workflow_put(struct batch *b, const json_t *settings)
{
    json_t *node = json_pack("{ss ss s{ss} ss ss ss si}", "id", "lines", "type", "foreach", "items",
                             "file", "{{ inputs.input }}", "results", "{{ inputs.output }}",
                             b->is_agent ? "agent" : "workflow", b->worker, "failure_mode",
                             "continue", "concurrency", (int)json_int(settings, "parallel", 1));
    const int64_t max = json_int(settings, "max_failures", NO_LIMIT);
    if (max >= 0)
        json_object_set_new(node, "max_failures", json_integer(max));
    json_object_set_new(json_object_get(b->spec->doc, "workflows"), b->workflow,
                        json_pack("{ss ss s[o]}", "type", "dag", "failure_strategy",
                                  "partial_completion_allowed", "nodes", node));
}

/* The same for whatever settings: these may be others when it goes on. */
static struct err *
definition_find(struct batch *b)
{
    AUTO(json_freep) json_t *one = json_pack("{si si}", "parallel", 1, "max_failures", NO_LIMIT);
    AUTO(plan_freep) struct plan *plan = NULL;
    if (!json_object_get(b->spec->doc, "workflows"))
        json_object_set_new(b->spec->doc, "workflows", json_object());
    workflow_put(b, one);
    PASS(app_plan(b->t->app, b->spec, b->workflow, &plan));
    snprintf(b->definition, sizeof b->definition, "%s", plan_hash(plan));
    return NULL;
}

/* ---- which ----------------------------------------------------------------- */

static struct err *
note_read(struct batch *b, bool *ret_found)
{
    AUTO(str_fini) struct str text = STR_INIT;
    PASS(store_kv_get(app_store(b->t->app), b->key, &text, ret_found));
    if (*ret_found)
        TRY(json_parse(str_c(&text), text.len, &b->note), "what is kept of the batch");
    return NULL;
}

static struct err *
note_check(const struct batch *b)
{
    const char *input = json_str(b->note, "input", "");
    if (strcmp(input, b->input) != 0)
        return FAIL(ERR_INVALID, "the batch that writes '%s' reads '%s', not '%s'",
                    b->asked->output, input, b->asked->input);
    if (strcmp(json_str(b->note, "definition", ""), b->definition) != 0)
        return FAIL(ERR_INVALID,
                    "'%s' has changed since the batch began: put it back as it was, or remove "
                    "'%s' and start anew",
                    b->asked->file ? b->asked->file : "the file", b->asked->output);
    return NULL;
}

static struct err *
note_new(struct batch *b)
{
    unsigned char chance[10];
    char id[RUN_ID_LEN];
    if (file_exists(b->output))
        return FAIL(ERR_INVALID, "the output '%s' is there already; %s", b->asked->output,
                    b->asked->resume ? "no batch that is known here wrote it"
                                     : "go on with --resume, or remove it");
    rt_random(chance, sizeof chance);
    store_make_id(rt_wall_ms(), chance, id);
    AUTO(freep) char *name = xasprintf("batch-%s", id);
    b->note = json_pack("{ss ss ss}", "run", name, "definition", b->definition, "input", b->input);
    if (!b->note)
        return FAIL(ERR_INVALID, "the names of input and output have to be UTF-8");
    AUTO(json_freep) json_t *settings = settings_of(b);
    json_object_update(b->note, settings);
    AUTO(freep) char *text = json_text(b->note);
    return store_kv_put(app_store(b->t->app), b->key, text, strlen(text));
}

/* Put down before the run is started: who comes back starts it, when it never was. */
static struct err *
note_find(struct batch *b)
{
    bool found = false;
    if (b->asked->resume)
        PASS(note_read(b, &found));
    return found ? note_check(b) : note_new(b);
}

/* ---- starting -------------------------------------------------------------- */

/* One that was left or waits goes on; one that has ended is only told of. */
static struct err *
go_on(struct batch *b)
{
    struct run *again = NULL;
    if (run_is_over(b->run) && run_state(b->run) >= RUN_ENDED && !file_exists(b->output))
        return FAIL(ERR_MISSING,
                    "the batch has ended, and its output '%s' is gone: leave --resume out to do it "
                    "again",
                    b->asked->output);
    if (!run_is_over(b->run) || run_state(b->run) >= RUN_ENDED)
        return NULL;
    PASS(app_resume(b->t->app, run_id(b->run), NULL, &again));
    run_unref(b->run);
    b->run = again;
    return NULL;
}

static struct err *
run_begin(struct batch *b)
{
    struct flow *flow = NULL;
    bool existing = false;
    AUTO(json_freep)
    json_t *inputs = json_pack("{ss ss}", "input", b->input, "output", b->output);
    AUTO(json_freep) json_t *files = json_pack("[ss]", b->input, b->output);
    if (!inputs || !files)
        return FAIL(ERR_INVALID, "the names of input and output have to be UTF-8");
    workflow_put(b, b->note);
    PASS(app_flow(b->t->app, b->spec, b->workflow, &flow));
    struct run_request req = {.flow = flow,
                              .input = inputs,
                              .inputs = inputs,
                              .run_id = json_str(b->note, "run", NULL),
                              .files = files,
                              .dir = app_root(b->t->app)};
    struct err *e = engine_start(app_engine(b->t->app), &req, &b->run, &existing);
    flow_unref(flow);
    if (!e && existing)
        e = go_on(b);
    if (e)
        run_unref(b->run);
    return e;
}

static struct err *
batch_begin(struct batch *b)
{
    AUTO(freep) char *file = NULL;
    PASS(app_find_file(b->asked->file, &file));
    PASS(places_find(b));
    PASS(tutti_ready(b->t, file));
    PASS(app_load(b->t->app, file, &b->spec));
    PASS(worker_find(b));
    PASS(definition_find(b));
    PASS(note_find(b));
    return run_begin(b);
}

static void
batch_main(void *arg)
{
    struct batch *b = arg;
    b->e = batch_begin(b);
}

enum tutti_status
tutti_batch(struct tutti *engine, const struct tutti_batch *batch, struct tutti_run **run,
            char **error)
{
    struct batch b = {.t = engine, .asked = batch};
    rt_run(engine->rt, batch_main, &b);
    batch_fini(&b);
    if (b.e)
        return tutti_give_up(engine, b.e, error);
    *run = tutti_handle(engine, b.run);
    return TUTTI_OK;
}
