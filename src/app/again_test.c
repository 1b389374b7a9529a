/* again_test.c - stored runs once more. A run is made in a store of memory, or written there with
 * records that another run left: as they are, changed, or with some missing. What is asserted is
 * asserted outside of the fiber. */
#include "app/again.h"
#include "app/sealed.h"
#include "base/test.h"
#include "base/vec.h"
#include "engine/journal/journal.h"
#include "rt/http.h"
#include "rt/proc.h"
#include "rt/rt.h"

static const char spec[] = "profiles:\n"
                           "  p: {provider: script, replies: [{match: boom, error: 400}, {match: "
                           "'', text: '{{last}}!'}]}\n"
                           "  q: {provider: script, default: 'Q({{last}})'}\n"
                           "default_profile: p\n"
                           "agents:\n"
                           "  a: {use_history: true}\n"
                           "  b: {profile: p}\n"
                           "workflows:\n"
                           "  panel: {type: chain, sequence: [b, a]}\n"
                           "  main:\n"
                           "    nodes:\n"
                           "      - {id: one, agent: a}\n"
                           "      - {id: two, workflow: panel, depends_on: [one]}\n"
                           "  fails: {type: chain, sequence: [a, b]}\n"
                           "  slow: {type: chain, timeout: 50ms, sequence: [late]}\n"
                           "  late: {nodes: [{id: w, type: wait, for: 30s}]}\n"
                           "  any: {type: parallel, fan_out: [a, late], quorum: 1}\n"
                           "  ask: {nodes: [{id: q, type: human, prompt: Well?}]}\n";

#define ALL (-1)

struct scene {
    const char *workflow, *input, *conversation;
    int drop_kind;         /* a copy of the run without these records, or ALL; 0: the run itself */
    const char *path;      /* ... of this path */
    const char *from, *to; /* a copy in which this stands in the end at the path; or NULL */
    const char *fork, *model; /* instead of reading a tape: forked from there */
    const char *id;           /* of another run */
    struct tape *tape;
    char *told; /* of the fork: its text */
    struct err *e;
};

/* ---- a run, and a copy of it ------------------------------------------------------------------
 */

static struct err *
run_make(struct app *a, const struct scene *s, char ret_id[RUN_ID_LEN])
{
    AUTO(spec_freep) struct spec *sp = NULL;
    struct flow *flow = NULL;
    struct run *run = NULL;
    bool existing;
    PASS(app_load_text(a, "flow.yaml", spec, sizeof spec - 1, &sp));
    PASS(app_flow(a, sp, s->workflow, &flow));
    AUTO(json_freep) json_t *input = json_string(s->input);
    const struct run_request q = {.flow = flow, .input = input, .conversation = s->conversation};
    struct err *e = engine_start(app_engine(a), &q, &run, &existing);
    flow_unref(flow);
    PASS(e);
    e = run_wait(run, rt_after(10000));
    memcpy(ret_id, run_id(run), RUN_ID_LEN);
    run_unref(run);
    return e;
}

struct copying {
    const struct scene *s;
    VEC(struct store_record) records;
};

static struct err *
record_copy(void *ctx, const struct store_record *rec)
{
    struct copying *c = ctx;
    const struct scene *s = c->s;
    struct store_record copy = *rec;
    const bool meant = s->path && strcmp(rec->path, s->path) == 0;
    if (meant && (rec->kind == s->drop_kind || s->drop_kind == ALL))
        return NULL;
    AUTO(str_fini) struct str body = STR_INIT;
    str_addn(&body, rec->body, rec->body_len);
    char *at = s->from ? strstr(str_c(&body), s->from) : NULL;
    if (at && meant && rec->kind == REC_NODE_ENDED)
        memcpy(at, s->to, strlen(s->to)); /* as long */
    copy.path = xstrdup(rec->path);
    copy.body_len = body.len;
    copy.body = str_steal(&body);
    vec_push(&c->records, copy);
    return NULL;
}

static struct err *
run_copy(struct app *a, const struct scene *s, char id[RUN_ID_LEN])
{
    struct copying c = {.s = s};
    struct store_run row = {0};
    struct store_lease lease;
    bool existing;
    PASS(store_get_run(app_store(a), id, &row));
    struct err *e = store_read(app_store(a), id, 1, record_copy, &c);
    id[RUN_ID_LEN - 2] = id[RUN_ID_LEN - 2] == '0' ? '1' : '0';
    const struct store_new_run copy = {.id = id,
                                       .def_hash = row.def_hash,
                                       .name = row.name,
                                       .records = c.records.at,
                                       .nrecords = c.records.len,
                                       .status = RUN_RUNNING};
    if (!e)
        e = store_create(app_store(a), &copy, &lease, &existing);
    if (!e)
        e = store_release(app_store(a), &lease, 0);
    vec_each (&c.records, r) {
        free((char *)(uintptr_t)r->path);
        free((void *)(uintptr_t)r->body);
    }
    vec_fini(&c.records);
    store_run_fini(&row);
    return e;
}

static struct err *
run_fork(struct app *a, struct scene *s, const char *id)
{
    char forked[RUN_ID_LEN];
    struct run *run = NULL;
    struct fork_request q = {.run = id, .from = s->fork};
    PASS(app_fork(a, &q, s->model, forked));
    PASS(app_resume(a, forked, NULL, &run));
    struct err *e = run_wait(run, rt_after(10000));
    AUTO(json_freep) json_t *doc = NULL;
    if (!e)
        e = run_document(run, false, &doc);
    run_unref(run);
    s->told = xstrdup(json_str(doc, "text", "no text"));
    return e;
}

static struct err *
scene_play(struct app *a, struct scene *s)
{
    char id[RUN_ID_LEN] = "";
    PASS(run_make(a, s, id));
    if (s->conversation) /* once more: the second was shown what the first said */
        PASS(run_make(a, s, id));
    if (s->fork)
        return run_fork(a, s, id);
    if (s->drop_kind || s->from)
        PASS(run_copy(a, s, id));
    return tape_read(a, s->id ? s->id : id, &s->tape);
}

static void
scene_main(void *arg)
{
    struct scene *s = arg;
    struct app *a = NULL;
    s->e = app_open(&(struct app_opts){0}, &a);
    if (!s->e)
        s->e = scene_play(a, s);
    app_close(a);
}

static struct err *
scene_run(struct scene *s)
{
    struct rt *rt;
    assert_ok(rt_open(&(struct rt_opts){0}, &rt));
    rt_run(rt, scene_main, s);
    rt_close(rt);
    return s->e;
}

/* ---- replays ----------------------------------------------------------------------------------
 */

/* The report without the run's id. */
static void
replay(struct scene s, const char *want)
{
    AUTO(json_freep) json_t *report = NULL;
    assert_ok(scene_run(&s));
    assert_ok(tape_play(s.tape, &report));
    tape_free(s.tape);
    assert_int_equal(strlen(json_str(report, "run", "")), RUN_ID_LEN - 1);
    json_object_del(report, "run");
    AUTO(freep) char *text = json_text(report);
    assert_string_equal(text, want);
}

#define SAME(status, nodes, steps)                                                                 \
    "{\"status\":\"" status "\",\"same\":true,\"nodes\":" nodes ",\"steps\":" steps                \
    ",\"differences\":[]}"

/* Also where a time, somebody or the end of another decided. */
static void
the_same(void **state)
{
    (void)state;
    replay((struct scene){.workflow = "main", .input = "go"}, SAME("completed", "4", "3"));
    replay((struct scene){.workflow = "main", .input = "go", .conversation = "c"},
           SAME("completed", "4", "3"));
    replay((struct scene){.workflow = "fails", .input = "boom"}, SAME("failed", "1", "1"));
    replay((struct scene){.workflow = "slow", .input = "x"}, SAME("failed", "2", "0"));
    replay((struct scene){.workflow = "any", .input = "x"}, SAME("completed", "2", "1"));
    replay((struct scene){.workflow = "ask", .input = "x"}, SAME("waiting", "1", "0"));
}

/* What a node is said to have given is not what its step gives. */
static void
differing(void **state)
{
    (void)state;
    replay(
        (struct scene){
            .workflow = "main", .input = "go", .path = "one", .from = "go!", .to = "no!"},
        "{\"status\":\"completed\",\"same\":false,\"nodes\":4,\"steps\":3,"
        "\"differences\":[{\"path\":\"one\",\"what\":\"output\",\"recorded\":\"no!\",\"replayed\":"
        "\"go!\"},{\"path\":\"one\",\"what\":\"text\",\"recorded\":\"no!\",\"replayed\":\"go!\"}]"
        "}");
}

static void
missing(void **state)
{
    (void)state;
    replay(
        (struct scene){
            .workflow = "main", .input = "go", .drop_kind = REC_STEP_DONE, .path = "two/b/turn[0]"},
        "{\"status\":\"completed\",\"same\":false,\"nodes\":4,\"steps\":2,\"stopped\":\"the "
        "journal "
        "has no step 'two/b/turn[0]' ('script:script')\",\"differences\":["
        "{\"path\":\"two\",\"what\":\"status\",\"recorded\":\"completed\",\"replayed\":\"stopped\"}"
        ","
        "{\"path\":\"two/b\",\"what\":\"status\",\"recorded\":\"completed\",\"replayed\":"
        "\"stopped\"},"
        "{\"path\":\"two/a\",\"what\":\"status\",\"recorded\":\"completed\",\"replayed\":"
        "\"stopped\"},"
        "{\"path\":\"\",\"what\":\"status\",\"recorded\":\"completed\",\"replayed\":\"stopped\"}]"
        "}");
    /* an end comes about again; a node of which nothing was written is told */
    replay(
        (struct scene){
            .workflow = "main", .input = "go", .drop_kind = REC_NODE_ENDED, .path = "one"},
        SAME("completed", "4", "3"));
    replay((struct scene){.workflow = "main", .input = "go", .drop_kind = ALL, .path = "one"},
           "{\"status\":\"completed\",\"same\":false,\"nodes\":4,\"steps\":3,"
           "\"differences\":[{\"path\":\"one\",\"what\":\"status\",\"recorded\":null,\"replayed\":"
           "\"completed\"}]}");
}

static void
unreadable(void **state)
{
    (void)state;
    struct scene s = {.workflow = "main", .input = "go", .id = "nobody"};
    assert_err(scene_run(&s), ERR_MISSING, "there is no run 'nobody'");
    assert_null(s.tape);
    s = (struct scene){.workflow = "main", .input = "go", .drop_kind = REC_RUN_STARTED, .path = ""};
    assert_err(scene_run(&s), ERR_INVALID, "the journal does not begin with the start of a run");
    tape_free(NULL);
}

/* ---- forks ------------------------------------------------------------------------------------
 */

static void
forked(void **state)
{
    (void)state;
    static const struct {
        const char *from, *model, *text; /* NULL: refused */
    } row[] = {
        {"two/a", NULL, "go!!!"},
        {"two/a", "q", "Q(go!!)"},
        {"one", "q", "Q(Q(Q(go)))"},
        {"two/a", "nobody", NULL},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct scene s = {
            .workflow = "main", .input = "go", .fork = row[i].from, .model = row[i].model};
        struct err *e = scene_run(&s);
        if (row[i].text) {
            assert_ok(e);
            assert_string_equal(s.told, row[i].text);
        } else {
            assert_err(e, ERR_INVALID,
                       "'nobody' is neither a profile of the file nor provider.model");
        }
        free(s.told);
    }
}

/* ---- nothing gets out -------------------------------------------------------------------------
 */

struct outside {
    struct err *web, *program;
    struct str said;
    int code;
};

static void
outside_main(void *arg)
{
    struct outside *o = arg;
    struct http *h = NULL;
    sealed_install("not now");
    o->web = http_open(&(struct http_req){.method = "GET", .url = "http://x/"}, rt_after(100), &h);
    static const char *const argv[] = {"rm", "-rf", "all", NULL};
    struct proc *p = NULL;
    o->program = proc_start(&(struct proc_opts){.argv = argv}, &p);
    if (!o->program)
        o->program = proc_wait(p, rt_after(1000), &o->code);
    if (p)
        str_add(&o->said, proc_stderr(p));
    proc_stop(p, 10);
}

static void
sealed(void **state)
{
    (void)state;
    struct outside o = {0};
    struct rt *rt;
    assert_ok(rt_open(&(struct rt_opts){.simulated = true, .seed = 1}, &rt));
    rt_run(rt, outside_main, &o);
    rt_close(rt);
    assert_err(o.web, ERR_DENIED, "'http://x/' is not called: not now");
    assert_ok(o.program);
    assert_int_equal(o.code, 127);
    assert_string_equal(str_c(&o.said), "'rm' is not run: not now");
    str_fini(&o.said);
}

TESTS(again_test, cmocka_unit_test(the_same), cmocka_unit_test(differing),
      cmocka_unit_test(missing), cmocka_unit_test(unreadable), cmocka_unit_test(forked),
      cmocka_unit_test(sealed))
