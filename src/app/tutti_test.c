/* tutti_test.c - the library as a program uses it: real runtime, a folder of its own, no network.
 */
#include "base/json.h"
#include "base/test.h"
#include "tutti/tutti.h"
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const char spec[] =
    "profiles:\n"
    "  s: {provider: script, default: \"you said {{last}}\"}\n"
    "agents:\n"
    "  echo: {instruction: Repeat}\n"
    "  twice: {type: lua, script: \"return {n = inputs and 0 or 2}\"}\n"
    "  broken: {type: lua, script: \"error('no luck')\"}\n"
    "  show: {type: exec, command: [printf, '%s', \"${SHOWN_TOKEN:-none}\"]}\n"
    "  gate: {type: exec, effect: pure, command: [sh, -c, 'GATE']}\n"
    "  door: {type: exec, command: [sh, -c, 'GATE']}\n"
    "workflows:\n"
    "  main: {type: chain, sequence: [echo]}\n"
    "  lua: {type: chain, sequence: [twice]}\n"
    "  fails: {type: chain, sequence: [broken]}\n"
    "  half: {type: parallel, fan_out: [echo, broken]}\n"
    "  token: {type: chain, sequence: [show]}\n"
    "  gated: {type: chain, sequence: [gate]}\n"
    "  doored: {type: chain, sequence: [door]}\n"
    "  doors: {nodes: [{id: left, agent: door}, {id: right, agent: door}]}\n"
    "  strict:\n"
    "    inputs: {type: object, required: [city]}\n"
    "    nodes: [{id: a, agent: echo, input: \"{{ inputs.city }}\"}]\n";

struct place { /* a folder with a file, a store and an engine */
    char dir[64];
    char *file, *store, *open; /* open: the file that lets gate and door answer */
    struct tutti *t;
    char *error, *document;
};

static void
write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void
place_make(struct place *p)
{
    *p = (struct place){0};
    snprintf(p->dir, sizeof p->dir, "/tmp/tutti_test.XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    p->file = xasprintf("%s/flow.yaml", p->dir);
    p->store = xasprintf("%s/store", p->dir);
    p->open = xasprintf("%s/open", p->dir);
    AUTO(freep)
    char *gate = xasprintf("if test -e %s; then echo open; else exec sleep 600; fi", p->open);
    AUTO(str_fini) struct str text = STR_INIT;
    for (const char *at = spec; *at;) {
        if (str_starts(at, "GATE")) {
            str_add(&text, gate);
            at += 4;
        } else {
            str_addc(&text, *at++);
        }
    }
    write_file(p->file, str_c(&text));
}

static void
place_open(struct place *p)
{
    assert_int_equal(tutti_open(&(struct tutti_options){.store = p->store}, &p->t, NULL), TUTTI_OK);
}

static void
place_end(struct place *p)
{
    tutti_close(p->t);
    tutti_free(p->error);
    tutti_free(p->document);
    AUTO(freep) char *command = xasprintf("rm -rf %s", p->dir);
    assert_int_equal(system(command), 0);
    free(p->file);
    free(p->store);
    free(p->open);
}

static enum tutti_status
start(struct place *p, struct tutti_request q, struct tutti_run **run)
{
    tutti_free(p->error);
    p->error = NULL;
    if (!q.file)
        q.file = p->file;
    return tutti_start(p->t, &q, run, &p->error);
}

static enum tutti_status
wait_for(struct place *p, struct tutti_run *run, int64_t ms)
{
    tutti_free(p->error);
    tutti_free(p->document);
    p->error = p->document = NULL;
    return tutti_wait(run, ms, &p->document, &p->error);
}

static char *
member(const struct place *p, const char *key)
{
    AUTO(json_freep) json_t *doc = NULL;
    assert_ok(json_parse(p->document, strlen(p->document), &doc));
    return json_as_text(json_object_get(doc, key));
}

#define assert_member(p, key, want)                                                                \
    do {                                                                                           \
        AUTO(freep) char *got_ = member(p, key);                                                   \
        assert_string_equal(got_, want);                                                           \
    } while (0)

/* ---- runs that end ----------------------------------------------------------------------------
 */

static void
endings(void **state)
{
    (void)state;
    static const struct {
        struct tutti_request q;
        enum tutti_status end;
        const char *status, *text, *error;
    } row[] = {
        {{.workflow = "main", .input = "hi"}, TUTTI_OK, "completed", "you said hi", ""},
        {{.workflow = "lua"}, TUTTI_OK, "completed", "{\"n\":2}", ""},
        {{.workflow = "strict", .inputs = "{\"city\":\"Ulm\"}"},
         TUTTI_OK,
         "completed",
         "you said Ulm",
         ""},
        {{.workflow = "half", .input = "x"}, TUTTI_PARTIAL, "partial", "[echo]: you said x", ""},
        {{.workflow = "token"}, TUTTI_OK, "completed", "none", ""},
        {{.workflow = "fails"}, TUTTI_FAILED, "failed", "", "node 'broken': its script: no luck"},
    };
    struct place p;
    place_make(&p);
    place_open(&p);
    for (size_t i = 0; i < COUNT(row); i++) {
        struct tutti_run *run = NULL;
        assert_int_equal(start(&p, row[i].q, &run), TUTTI_OK);
        assert_int_equal(wait_for(&p, run, -1), row[i].end);
        assert_member(&p, "status", row[i].status);
        assert_member(&p, "text", row[i].text);
        assert_member(&p, "error", row[i].error);
        assert_member(&p, "run", tutti_run_id(run));
        assert_int_equal(wait_for(&p, run, 0), row[i].end); /* once more is the same */
        assert_int_equal(tutti_wait(run, -1, NULL, NULL), row[i].end);
        tutti_free(p.document);
        p.document = tutti_result(run); /* the same without the nodes */
        assert_member(&p, "status", row[i].status);
        assert_member(&p, "text", row[i].text);
        assert_member(&p, "error", row[i].error);
        assert_member(&p, "nodes", "");
        tutti_release(run);
    }
    place_end(&p);
}

/* ---- what is refused --------------------------------------------------------------------------
 */

static void
refusals(void **state)
{
    (void)state;
    static const struct {
        struct tutti_request q;
        enum tutti_status status;
        const char *error; /* a part of it */
    } row[] = {
        {{.file = "/nowhere/flow.yaml"}, TUTTI_USAGE, "/nowhere/flow.yaml"},
        {{.workflow = "mian"}, TUTTI_USAGE, "no workflow 'mian' (did you mean 'main'?)"},
        {{.inputs = "{"}, TUTTI_USAGE, "inputs: "},
        {{.inputs = "[1]"}, TUTTI_USAGE, "inputs: a JSON object is expected"},
        {{.workflow = "strict"}, TUTTI_USAGE, "the inputs"},
        {{.goal = "\xff"}, TUTTI_USAGE, "not valid UTF-8"},
    };
    struct place p;
    struct tutti_run *run = NULL;
    place_make(&p);
    place_open(&p);
    for (size_t i = 0; i < COUNT(row); i++) {
        assert_int_equal(start(&p, row[i].q, &run), row[i].status);
        assert_null(run);
        if (!strstr(p.error, row[i].error))
            fail_msg("row %zu: %s", i, p.error);
    }
    AUTO(freep) char *bad = xasprintf("%s/bad.yaml", p.dir);
    write_file(bad, "agents:\n  a: {typ: llm}\nworkflows:\n  main: {sequence: [b]}\n");
    assert_int_equal(start(&p, (struct tutti_request){.file = bad}, &run), TUTTI_INVALID);
    assert_non_null(strstr(p.error, "bad.yaml:2:7: "));
    assert_non_null(strstr(p.error, "\n")); /* a line a mistake */
    assert_int_equal(tutti_resume(p.t, "01NOSUCHRUN", NULL, &run, NULL), TUTTI_USAGE);
    tutti_free(p.error);
    assert_int_equal(tutti_resume(p.t, "01NOSUCHRUN", "maybe", &run, &p.error), TUTTI_USAGE);
    place_end(&p);
}

/* What the process knows of itself is there before any run, and counts them. */
static void
meters(void **state)
{
    (void)state;
    struct place p;
    struct tutti_run *run = NULL;
    char *text = NULL;
    place_make(&p);
    place_open(&p);
    assert_int_equal(tutti_stats(p.t, &text, NULL), TUTTI_OK);
    assert_non_null(strstr(text, "\"runs\":0,"));
    assert_non_null(strstr(text, "\"limits\":[],\"breakers\":[]"));
    tutti_free(text);
    struct tutti_request q = {.file = p.file, .workflow = "main", .input = "hi"};
    assert_int_equal(tutti_start(p.t, &q, &run, NULL), TUTTI_OK);
    assert_int_equal(tutti_wait(run, -1, NULL, NULL), TUTTI_OK);
    assert_int_equal(tutti_stats(p.t, &text, NULL), TUTTI_OK);
    assert_non_null(strstr(text, "\"runs\":1,"));
    tutti_free(text);
    tutti_release(run);
    place_end(&p);
}

/* A store that cannot be opened is told here as anywhere. */
static void
meters_of_no_store(void **state)
{
    (void)state;
    struct place p;
    char *text = NULL;
    place_make(&p);
    write_file(p.store, "a file where a folder should be");
    place_open(&p);
    assert_int_not_equal(tutti_stats(p.t, &text, &p.error), TUTTI_OK);
    assert_null(text);
    assert_non_null(p.error);
    place_end(&p);
}

static void
no_file(void **state)
{
    (void)state;
    struct place p;
    struct tutti_run *run = NULL;
    place_make(&p);
    AUTO(freep) char *back = realpath(".", NULL);
    assert_int_equal(unlink(p.file), 0);
    assert_int_equal(chdir(p.dir), 0);
    place_open(&p);
    assert_int_equal(tutti_start(p.t, &(struct tutti_request){0}, &run, &p.error), TUTTI_USAGE);
    assert_string_equal(
        p.error, "no file was named, and there is no tutti.yaml here; `tutti init` makes one");
    write_file("tutti.yml", "agents: {a: {type: lua, script: \"return 'found'\"}}\n"
                            "workflows: {w: {type: chain, sequence: [a]}}\n");
    assert_int_equal(tutti_start(p.t, &(struct tutti_request){0}, &run, NULL), TUTTI_OK);
    assert_int_equal(wait_for(&p, run, -1), TUTTI_OK);
    assert_member(&p, "text", "found");
    assert_int_equal(chdir(back), 0);
    place_end(&p);
}

static void
store_unusable(void **state)
{
    (void)state;
    struct place p;
    struct tutti_run *run = NULL;
    place_make(&p);
    AUTO(freep) char *inside = xasprintf("%s/store", p.file); /* a file where a folder has to be */
    assert_int_equal(tutti_open(&(struct tutti_options){.store = inside}, &p.t, NULL), TUTTI_OK);
    assert_int_not_equal(start(&p, (struct tutti_request){.workflow = "main"}, &run), TUTTI_OK);
    assert_non_null(strstr(p.error, "opening the store: "));
    tutti_close(p.t);
    place_open(&p);
    assert_int_equal(start(&p, (struct tutti_request){.workflow = "main"}, &run), TUTTI_OK);
    tutti_close(p.t);
    AUTO(freep) char *key = xasprintf("%s/install.key", p.store);
    struct stat st;
    assert_int_equal(stat(key, &st), 0);
    assert_int_equal(st.st_mode & 077, 0); /* nobody else's business */
    write_file(key, "short");
    place_open(&p);
    assert_int_not_equal(start(&p, (struct tutti_request){.workflow = "main"}, &run), TUTTI_OK);
    assert_non_null(strstr(p.error, "install.key' is damaged: 5 bytes instead of 32"));
    place_end(&p);
}

/* ---- names ------------------------------------------------------------------------------------
 */

static void
same_run(void **state)
{
    (void)state;
    struct place p;
    struct tutti_run *first = NULL, *again = NULL, *other = NULL;
    struct tutti_request q = {.workflow = "gated", .input = "x", .run_id = "order-7"};
    place_make(&p);
    place_open(&p);
    assert_int_equal(start(&p, q, &first), TUTTI_OK);
    assert_int_equal(wait_for(&p, first, 50), TUTTI_TIMEOUT);
    assert_null(p.document);
    assert_int_equal(start(&p, q, &again), TUTTI_OK); /* while it is under way */
    assert_string_equal(tutti_run_id(again), tutti_run_id(first));
    assert_int_equal(wait_for(&p, again, 0), TUTTI_TIMEOUT);
    q.input = "y";
    assert_int_equal(start(&p, q, &other), TUTTI_USAGE);
    assert_string_equal(p.error, "the run id 'order-7' is taken by a run with another input");
    tutti_close(p.t);
    place_open(&p); /* as after a crash: the same start goes on with it */
    write_file(p.open, "");
    q.input = "x";
    assert_int_equal(start(&p, q, &first), TUTTI_OK);
    assert_int_equal(wait_for(&p, first, -1), TUTTI_OK);
    assert_member(&p, "text", "open");
    assert_int_equal(start(&p, q, &again), TUTTI_OK); /* when it has ended */
    assert_string_equal(tutti_run_id(again), tutti_run_id(first));
    assert_int_equal(wait_for(&p, again, -1), TUTTI_OK);
    assert_member(&p, "text", "open");
    place_end(&p);
}

/* ---- stopping and going on --------------------------------------------------------------------
 */

static void
cancelled(void **state)
{
    (void)state;
    struct place p;
    struct tutti_run *run = NULL;
    place_make(&p);
    place_open(&p);
    assert_int_equal(start(&p, (struct tutti_request){.workflow = "gated"}, &run), TUTTI_OK);
    assert_int_equal(wait_for(&p, run, 20), TUTTI_TIMEOUT);
    assert_int_equal(tutti_cancel(run, NULL), TUTTI_OK);
    assert_int_equal(wait_for(&p, run, -1), TUTTI_FAILED);
    assert_member(&p, "status", "cancelled");
    assert_int_equal(tutti_cancel(run, NULL), TUTTI_OK); /* it has ended: nothing changes */
    assert_int_equal(wait_for(&p, run, -1), TUTTI_FAILED);
    AUTO(freep) char *id = xstrdup(tutti_run_id(run));
    assert_int_not_equal(tutti_resume(p.t, id, NULL, &run, NULL), TUTTI_OK);
    place_end(&p);
}

/* A program that may not run twice was under way when the process went away. */
static void
in_doubt(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        enum tutti_status end;
        const char *status, *text;
    } row[] = {
        {NULL, TUTTI_WAITING, "waiting", ""}, {"park", TUTTI_WAITING, "waiting", ""},
        {"done", TUTTI_OK, "completed", ""},  {"retry", TUTTI_OK, "completed", "open"},
        {"fail", TUTTI_FAILED, "failed", ""},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct place p;
        struct tutti_run *run = NULL;
        place_make(&p);
        place_open(&p);
        assert_int_equal(start(&p, (struct tutti_request){.workflow = "doored"}, &run), TUTTI_OK);
        assert_int_equal(wait_for(&p, run, 50), TUTTI_TIMEOUT);
        AUTO(freep) char *id = xstrdup(tutti_run_id(run));
        tutti_close(p.t); /* interrupts it */
        write_file(p.open, "");
        place_open(&p);
        assert_int_equal(tutti_resume(p.t, id, row[i].answer, &run, &p.error), TUTTI_OK);
        assert_int_equal(wait_for(&p, run, -1), row[i].end);
        assert_member(&p, "status", row[i].status);
        assert_member(&p, "text", row[i].text);
        place_end(&p);
    }
}

/* Two at once, and one answer for each. */
static void
both_in_doubt(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        enum tutti_status resumed, end;
        const char *key, *value; /* of the document, or the error */
    } row[] = {
        {NULL, TUTTI_OK, TUTTI_WAITING, "waiting",
         "in doubt: 'exec:door' at left/exec was under way when the process ended, and may have "
         "been carried out; look, then resume with --in-doubt done, retry or fail; in doubt: "
         "'exec:door' at right/exec was under way when the process ended, and may have been "
         "carried "
         "out; look, then resume with --in-doubt done, retry or fail"},
        {"middle=done", TUTTI_USAGE, TUTTI_OK, NULL,
         "nothing is in doubt at 'middle'; there is 'left/exec', 'right/exec'"},
        {"left=yes", TUTTI_USAGE, TUTTI_OK, NULL,
         "in doubt: 'yes' is none of park, done, retry, fail"},
        {"left=done,right=retry", TUTTI_OK, TUTTI_OK, "output",
         "{\"left\":null,\"right\":\"open\"}"},
        {"left=done", TUTTI_OK, TUTTI_WAITING, "status", "waiting"},
        {"retry", TUTTI_OK, TUTTI_OK, "output", "{\"left\":\"open\",\"right\":\"open\"}"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct place p;
        struct tutti_run *run = NULL;
        place_make(&p);
        place_open(&p);
        assert_int_equal(start(&p, (struct tutti_request){.workflow = "doors"}, &run), TUTTI_OK);
        assert_int_equal(wait_for(&p, run, 50), TUTTI_TIMEOUT);
        AUTO(freep) char *id = xstrdup(tutti_run_id(run));
        tutti_close(p.t); /* interrupts it */
        write_file(p.open, "");
        place_open(&p);
        tutti_free(p.error);
        p.error = NULL;
        assert_int_equal(tutti_resume(p.t, id, row[i].answer, &run, &p.error), row[i].resumed);
        if (row[i].resumed == TUTTI_OK) {
            assert_int_equal(wait_for(&p, run, -1), row[i].end);
            assert_member(&p, row[i].key, row[i].value);
        } else if (!strstr(p.error, row[i].value)) {
            fail_msg("%s: %s", row[i].answer, p.error);
        }
        place_end(&p);
    }
}

static void
signalled(void **state)
{
    (void)state;
    struct place p;
    struct tutti_run *run = NULL;
    place_make(&p);
    assert_int_equal(
        tutti_open(&(struct tutti_options){.store = p.store, .handle_signals = 1}, &p.t, NULL),
        TUTTI_OK);
    assert_int_equal(start(&p, (struct tutti_request){.workflow = "gated"}, &run), TUTTI_OK);
    assert_int_equal(wait_for(&p, run, 20), TUTTI_TIMEOUT);
    raise(SIGTERM);
    assert_int_equal(wait_for(&p, run, -1), TUTTI_INTERRUPTED);
    assert_member(&p, "status", "running"); /* it can be resumed */
    place_end(&p);
}

/* It came when there was no run yet to be parked. */
static void
signalled_early(void **state)
{
    (void)state;
    struct place p;
    struct tutti_run *run = NULL;
    place_make(&p);
    assert_int_equal(
        tutti_open(&(struct tutti_options){.store = p.store, .handle_signals = 1}, &p.t, NULL),
        TUTTI_OK);
    raise(SIGINT);
    assert_int_equal(start(&p, (struct tutti_request){.workflow = "gated"}, &run), TUTTI_OK);
    assert_int_equal(wait_for(&p, run, -1), TUTTI_INTERRUPTED);
    assert_member(&p, "status", "running");
    place_end(&p);
}

/* ---- events and secrets -----------------------------------------------------------------------
 */

struct heard {
    struct str names, all;
};

static void
hear(void *ctx, const struct tutti_event *ev)
{
    struct heard *h = ctx;
    if (ev->seq)
        str_addf(&h->names, "%s%s%s\n", ev->name, *ev->path ? " " : "", ev->path);
    str_add(&h->all, ev->detail ? ev->detail : "");
    str_addn(&h->all, ev->text, ev->text_len);
}

static void
events(void **state)
{
    (void)state;
    struct place p;
    struct tutti_run *run = NULL;
    struct heard h = {0}, other = {0};
    place_make(&p);
    assert_int_equal(tutti_open(&(struct tutti_options){.store = p.store, .stream = 1}, &p.t, NULL),
                     TUTTI_OK);
    tutti_subscribe(p.t, hear, &other);
    tutti_subscribe(p.t, hear, &h); /* the last one counts */
    assert_int_equal(start(&p, (struct tutti_request){.workflow = "main"}, &run), TUTTI_OK);
    tutti_subscribe(p.t, hear, &h); /* while it runs: still once each */
    assert_int_equal(wait_for(&p, run, -1), TUTTI_OK);
    assert_string_equal(str_c(&h.names), "run.started\nstep.completed echo/turn[0]\n"
                                         "node.completed echo\nrun.completed\n");
    assert_int_equal(other.names.len, 0);
    str_reset(&h.names);
    tutti_subscribe(p.t, NULL, NULL);
    assert_int_equal(start(&p, (struct tutti_request){.workflow = "main"}, &run), TUTTI_OK);
    assert_int_equal(wait_for(&p, run, -1), TUTTI_OK);
    assert_int_equal(h.names.len, 0);
    str_fini(&h.names);
    str_fini(&h.all);
    place_end(&p);
}

/* A secret from the environment, one from .env and one that stands in the file. */
static void
secrets_hidden(void **state)
{
    (void)state;
    static const struct {
        const char *env, *dotenv, *file;
    } row[] = {{"zz9\"12345", NULL, NULL},
               {NULL, "SHOWN_TOKEN=zz9-dotenv\n", NULL},
               {NULL, NULL, "zz9-file"}};
    for (size_t i = 0; i < COUNT(row); i++) {
        struct place p;
        struct tutti_run *run = NULL;
        struct heard h = {0};
        place_make(&p);
        if (row[i].env)
            setenv("SHOWN_TOKEN", row[i].env, 1);
        if (row[i].dotenv) {
            AUTO(freep) char *path = xasprintf("%s/.env", p.dir);
            write_file(path, row[i].dotenv);
        }
        AUTO(freep)
        char *text = xasprintf(
            "agents:\n"
            "  web: {type: http, endpoint: 'http://x', authentication: {token: \"%s\"}}\n"
            "  show: {type: exec, command: [printf, '%%s', \"%s\"]}\n"
            "workflows: {main: {type: chain, sequence: [show]}}\n",
            row[i].file ? row[i].file : "none", row[i].file ? row[i].file : "${SHOWN_TOKEN}");
        write_file(p.file, text);
        place_open(&p);
        tutti_subscribe(p.t, hear, &h);
        assert_int_equal(start(&p, (struct tutti_request){0}, &run), TUTTI_OK);
        assert_int_equal(wait_for(&p, run, -1), TUTTI_OK);
        assert_member(&p, "text", "***");
        assert_null(strstr(p.document, "zz9"));
        assert_null(strstr(str_c(&h.all), "zz9"));
        assert_non_null(strstr(str_c(&h.all), "***"));
        unsetenv("SHOWN_TOKEN");
        str_fini(&h.names);
        str_fini(&h.all);
        place_end(&p);
    }
}

static void
nothing(void **state)
{
    (void)state;
    struct tutti *t = NULL;
    tutti_close(NULL);
    tutti_release(NULL);
    tutti_free(NULL);
    assert_non_null(strchr(tutti_version(), '.'));
    assert_int_equal(tutti_open(NULL, &t, NULL), TUTTI_OK);
    tutti_close(t); /* nothing was ever started: nothing was made on disk */
}

TESTS(tutti_test, cmocka_unit_test(endings), cmocka_unit_test(refusals), cmocka_unit_test(no_file),
      cmocka_unit_test(store_unusable), cmocka_unit_test(same_run), cmocka_unit_test(cancelled),
      cmocka_unit_test(in_doubt), cmocka_unit_test(both_in_doubt), cmocka_unit_test(signalled),
      cmocka_unit_test(signalled_early), cmocka_unit_test(events), cmocka_unit_test(secrets_hidden),
      cmocka_unit_test(nothing), cmocka_unit_test(meters), cmocka_unit_test(meters_of_no_store))
