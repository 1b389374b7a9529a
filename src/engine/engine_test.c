/* engine_test.c - runs as their store has them, with agents made for the purpose: read, ended by
 * others, resumed from journals that are not what they should be. In virtual time; what happens is
 * written down in the fiber and compared outside of it. */
#include "engine/control_node.h"
#include "engine/enginetest.h"
#include "engine/journal/journal.h"
#include "plan/lower.h"
#include "rt/fiber.h"
#include "rt/rt.h"

/* ---- agents -----------------------------------------------------------------------------------
 */

static struct err *
echo_run(struct host *h, const struct task *t, struct reply *ret)
{
    (void)h;
    reply_set_text(ret, t->message, strlen(t->message));
    return NULL;
}

static struct err *
once_step(void *ctx, const struct step_call *c, json_t **ret_value, struct usage *usage)
{
    (void)c, (void)usage;
    const char *message = ctx;
    if (strcmp(message, "hang") == 0)
        return fiber_park(DEADLINE_NONE);
    if (strcmp(message, "lost") == 0)
        return err_set_in_doubt(FAIL(ERR_TRANSIENT, "the line went dead"));
    *ret_value = json_string("done");
    return NULL;
}

static struct err *
once_run(struct host *h, const struct task *t, struct reply *ret)
{
    json_t *value = NULL;
    struct step s = {.name = "send",
                     .type = "test",
                     .target = "mail",
                     .effect = EFFECT_ONCE,
                     .timeout_ms = 60000,
                     .run = once_step,
                     .ctx = (void *)(uintptr_t)t->message};
    PASS(h->ops->step(h, &s, &value));
    reply_set_json(ret, value);
    return NULL;
}

/* A peer that gave up on its own account; nobody here cancelled anything. */
static struct err *
gone_run(struct host *h, const struct task *t, struct reply *ret)
{
    (void)h, (void)t, (void)ret;
    return FAIL(ERR_CANCELLED, "the servers are being stopped");
}

static const struct kind gone_kind = {.name = "gone", .roles = ROLE_AGENT, .run = gone_run};
static const struct kind echo_kind = {.name = "echo", .roles = ROLE_AGENT, .run = echo_run};
static const struct kind once_kind = {.name = "once", .roles = ROLE_AGENT, .run = once_run};
static const struct kind *const agents[] = {&echo_kind, &once_kind,    &gone_kind, &asks_kind,
                                            &slow_kind, &recalls_kind, NULL};
static const struct kind *const workflows[] = {&dag_kind,      &task_kind,  &chain_kind,
                                               &parallel_kind, &human_kind, &wait_kind,
                                               &foreach_kind,  NULL};

#define DOC                                                                                        \
    "{\"agents\":{\"say\":{\"type\":\"echo\"},\"mail\":{\"type\":\"once\"},"                       \
    "\"gone\":{\"type\":\"gone\"},\"asker\":{\"type\":\"asks\"},\"who\":{\"type\":\"recalls\"},"   \
    "\"odd\":{\"type\":\"of a later "                                                              \
    "version\"}},\"workflows\":{"                                                                  \
    "\"main\":{\"type\":\"chain\",\"sequence\":[\"say\",\"say\"]},"                                \
    "\"send\":{\"type\":\"chain\",\"sequence\":[\"mail\"]},"                                       \
    "\"leaves\":{\"type\":\"chain\",\"sequence\":[\"gone\",\"say\"]},\"strange\":{\"type\":"       \
    "\"chain\",\"sequence\":[\"odd\"]},"                                                           \
    "\"recall\":{\"type\":\"chain\",\"sequence\":[\"who\"]},"                                      \
    "\"ask\":{\"type\":\"chain\",\"sequence\":[\"asker\"]},"                                       \
    "\"pick\":{\"nodes\":[{\"id\":\"a\",\"agent\":\"say\"}],\"output\":"                           \
    "\"{{ steps[input] and steps[input].text or 'no such step' }}\"},"                             \
    "\"none\":{\"nodes\":[{\"id\":\"a\",\"server_name\":\"box\"}]}}}"

/* ---- scenes -----------------------------------------------------------------------------------
 */

void
note(struct scene *s, const char *what, struct err *e)
{
    AUTO(freep) char *text = e ? err_text(e) : xstrdup("ok");
    str_addf(&s->out, "%s: %s\n", what, text);
    err_free(e);
}

static struct engine *
engine_make(struct store *store)
{
    static const unsigned char key[32] = "a key of thirty-two bytes, or so";
    return engine_new(&(struct engine_opts){
        .store = store, .agents = agents, .workflows = workflows, .install_key = key});
}

static void
scene_main(void *arg)
{
    struct scene *s = arg;
    struct err *e = store_open(&(struct store_opts){0}, &s->store);
    if (e) {
        note(s, "store", e);
        return;
    }
    s->e = engine_make(s->store);
    s->play(s);
    engine_free(s->e);
    store_close(s->store);
}

static void
scene_of(struct scene s, const char *want)
{
    struct rt *rt;
    assert_ok(rt_open(&(struct rt_opts){.simulated = true, .seed = 1}, &rt));
    rt_run(rt, scene_main, &s);
    rt_close(rt);
    for (char *id = s.out.p; id && (id = strstr(id, "'01")); id++)
        memmove(id + 1, id + RUN_ID_LEN, strlen(id + RUN_ID_LEN) + 1); /* ids: '' */
    for (char *dir = s.out.p; s.dir && dir && (dir = strstr(dir, s.dir)); dir += 3) {
        const size_t n = strlen(s.dir);
        memmove(dir + 3, dir + n, strlen(dir + n) + 1);
        memcpy(dir, "DIR", 3);
    }
    assert_string_equal(s.out.p ? s.out.p : "", want);
    str_fini(&s.out);
}

void
scene(void (*play)(struct scene *s), const char *want)
{
    scene_of((struct scene){.play = play}, want);
}

void
scene_in_folder(const char *doc, void (*play)(struct scene *s), const char *want)
{
    char dir[] = "/tmp/tutti-engine-XXXXXX";
    assert_non_null(mkdtemp(dir));
    scene_of((struct scene){.play = play, .doc = doc, .dir = dir}, want);
    AUTO(freep) char *rm = xasprintf("rm -r %s", dir);
    assert_int_equal(system(rm), 0);
}

struct err *
flow_of(struct scene *s, const char *workflow, struct flow **ret_flow)
{
    AUTO(json_freep) json_t *doc = NULL;
    const char *text = s->doc ? s->doc : DOC;
    PASS(json_parse(text, strlen(text), &doc));
    return engine_flow(s->e, &(struct flow_source){.doc = doc, .workflow = workflow}, ret_flow);
}

struct run *
begin(struct scene *s, const char *workflow, const char *input)
{
    AUTO(json_freep) json_t *value = json_string(input);
    struct flow *f = NULL;
    struct run *r = NULL;
    bool existing;
    struct err *e = flow_of(s, workflow, &f);
    if (!e)
        e = engine_start(s->e, &(struct run_request){.flow = f, .input = value, .dir = s->dir}, &r,
                         &existing);
    flow_unref(f);
    if (e)
        note(s, "start", e);
    return r;
}

void
show(struct scene *s, const char *id)
{
    AUTO(json_freep) json_t *doc = NULL;
    struct err *e = engine_document(s->e, id, &doc);
    if (e) {
        note(s, "document", e);
        return;
    }
    const char *path;
    json_t *node;
    str_addf(&s->out, "%s %s ! %s\n", json_str(doc, "status", ""), json_str(doc, "text", "-"),
             json_str(doc, "error", json_str(doc, "waiting", "-")));
    json_object_foreach (json_object_get(doc, "nodes"), path, node)
        str_addf(&s->out, "  %s %s %s ! %s\n", path, json_str(node, "status", ""),
                 json_str(node, "text", "-"), json_str(node, "error", "-"));
}

void
finish(struct scene *s, struct run *r)
{
    if (!r)
        return;
    note(s, "wait", run_wait(r, DEADLINE_NONE));
    show(s, run_id(r));
    run_unref(r);
}

/* ---- reading ----------------------------------------------------------------------------------
 */

static struct err *
history_line(void *ctx, const struct run_event *ev)
{
    struct scene *s = ctx;
    str_addf(&s->out, "%lld %s %s\n", (long long)ev->seq, ev->name, ev->path);
    return ev->seq == 4 ? FAIL(ERR_LIMIT, "enough") : NULL;
}

void
heard(void *ctx, const struct run_event *ev)
{
    (void)ev;
    ++*(unsigned *)ctx;
}

static void
read_back(struct scene *s)
{
    unsigned first = 0, second = 0;
    struct engine_stats stats;
    int one = engine_subscribe(s->e, heard, &first), two = engine_subscribe(s->e, heard, &second);
    engine_unsubscribe(s->e, two);
    engine_unsubscribe(s->e, 99); /* nobody's */
    struct run *r = begin(s, "main", "hello");
    note(s, "wait", run_wait(r, DEADLINE_NONE));
    str_addf(&s->out, "heard %u and %u\n", first, second);
    engine_unsubscribe(s->e, one);
    AUTO(json_freep) json_t *doc = NULL;
    AUTO(json_freep) json_t *here = NULL;
    assert_ok(run_document(r, true, &here));
    note(s, "document", engine_document(s->e, run_id(r), &doc));
    str_addf(&s->out, "the same: %d\n", json_equal(doc, here));
    show(s, run_id(r));
    note(s, "history", engine_history(s->e, run_id(r), history_line, s));
    engine_stats(s->e, &stats);
    str_addf(&s->out, "runs %d, records %d\n", (int)stats.runs, (int)stats.records);
    note(s, "cancel", engine_cancel_stored(s->e, run_id(r), false));
    run_unref(r);
    show(s, "nowhere");
    note(s, "history", engine_history(s->e, "nowhere", history_line, s));
    note(s, "cancel", engine_cancel_stored(s->e, "nowhere", false));
    struct run *none = NULL;
    note(s, "resume", engine_resume(s->e, "nowhere", NULL, &none));
}

/* By id, by the beginning of one, by the name its starter gave it. */
static void
find(struct scene *s)
{
    struct flow *f = NULL;
    struct run *r = NULL, *again = NULL;
    bool existing = false;
    struct err *e = flow_of(s, "send", &f);
    const struct run_request q = {.flow = f, .run_id = "order-7"};
    if (!e)
        e = engine_start(s->e, &q, &r, &existing);
    if (!e)
        e = engine_start(s->e, &q, &again, &existing);
    note(s, "start", e);
    str_addf(&s->out, "one run: %d, of %s\n", existing && again == r,
             plan_workflow(flow_plan(run_flow(r))));
    flow_unref(f);
    char prefix[RUN_ID_LEN];
    snprintf(prefix, sizeof prefix, "%.12s", run_id(r));
    const char *const asked[] = {run_id(r), prefix, "order-7", "order", "nowhere"};
    for (size_t i = 0; i < COUNT(asked); i++) {
        struct store_run row = {0};
        struct err *missing = engine_find_run(s->e, asked[i], &row);
        if (missing)
            note(s, "find", missing);
        else
            str_addf(&s->out, "found: %d\n", strcmp(row.id, run_id(r)) == 0);
        store_run_fini(&row);
    }
    note(s, "wait", run_wait(again, DEADLINE_NONE));
    run_unref(again);
    run_unref(r);
}

static void
reading(void **state)
{
    (void)state;
    scene(find, "start: ok\none run: 1, of send\nfound: 1\nfound: 1\nfound: 1\n"
                "find: there is no run 'order'\nfind: there is no run 'nowhere'\nwait: ok\n");
    scene(read_back, "wait: ok\n"
                     "heard 10 and 0\n"
                     "document: ok\n"
                     "the same: 1\n"
                     "completed hello ! -\n"
                     "  say completed hello ! -\n"
                     "  say-2 completed hello ! -\n"
                     "1 run.started \n"
                     "2 node.started say\n"
                     "3 node.completed say\n"
                     "4 node.started say-2\n"
                     "history: enough\n"
                     "runs 1, records 5\n"
                     "cancel: run '' has ended\n"
                     "document: there is no run 'nowhere'\n"
                     "history: there is no run 'nowhere'\n"
                     "cancel: there is no run 'nowhere'\n"
                     "resume: resuming 'nowhere': there is no run 'nowhere'\n");
}

/* ---- ending -----------------------------------------------------------------------------------
 */

/* Nobody has it: it ends here and now, and says what is open. */
static void
cancel_parked(struct scene *s)
{
    struct run *r = begin(s, "send", "lost");
    note(s, "wait", run_wait(r, DEADLINE_NONE));
    show(s, run_id(r));
    note(s, "cancel", engine_cancel_stored(s->e, run_id(r), false));
    show(s, run_id(r));
    note(s, "resume", engine_resume(s->e, run_id(r), "retry", &(struct run *){NULL}));
    run_unref(r);
}

/* Somebody else asks for it: seen within a moment. */
static void
cancel_after(struct scene *s, int64_t ms)
{
    struct run *r = begin(s, "send", "hang");
    struct engine *other = engine_make(s->store);
    note(s, "soon", run_wait(r, rt_after(ms)));
    note(s, "cancel", engine_cancel_stored(other, run_id(r), false));
    int64_t asked = rt_now_ms();
    note(s, "wait", run_wait(r, DEADLINE_NONE));
    str_addf(&s->out, "within %d ms\n", (int)(rt_now_ms() - asked));
    show(s, run_id(r));
    run_interrupt(r); /* too late for anything */
    run_cancel(r);
    run_unref(r);
    engine_free(other);
}

static void
cancel_running(struct scene *s)
{
    cancel_after(s, 1050);
}

/* Its owner looks in the very moment, and has ended it before we look again. */
static void
cancel_just_seen(struct scene *s)
{
    cancel_after(s, 1000);
}

/* By force: whoever has it is fenced off at once. */
static void
cancel_by_force(struct scene *s)
{
    struct run *r = begin(s, "send", "hang");
    struct engine *other = engine_make(s->store);
    note(s, "soon", run_wait(r, rt_after(100)));
    note(s, "cancel", engine_cancel_stored(other, run_id(r), true));
    show(s, run_id(r));
    run_interrupt(r);
    note(s, "wait", run_wait(r, DEADLINE_NONE));
    run_unref(r);
    engine_free(other);
}

static void
interrupt(struct scene *s)
{
    struct run *r = begin(s, "send", "hang"), *again = NULL;
    note(s, "soon", run_wait(r, rt_after(100)));
    engine_interrupt(s->e);
    note(s, "wait", run_wait(r, DEADLINE_NONE));
    str_addf(&s->out, "interrupted %d, over %d\n", run_was_interrupted(r), run_is_over(r));
    show(s, run_id(r));
    note(s, "resume", engine_resume(s->e, run_id(r), "fail", &again));
    note(s, "wait", run_wait(again, DEADLINE_NONE));
    show(s, run_id(r));
    run_unref(again);
    run_unref(r);
}

static void
write_down(void *ctx, const struct run_event *ev)
{
    struct scene *s = ctx;
    if (ev->seq)
        str_addf(&s->out, "  %lld %s %s %d\n", (long long)ev->seq, ev->name, ev->path,
                 json_is_object(ev->detail));
}

/* Who listens from now on hears all of what is not written yet. */
static void
listen_late(struct scene *s)
{
    struct run *r = begin(s, "send", "hang"), *again = NULL;
    note(s, "soon", run_wait(r, rt_after(100)));
    engine_interrupt(s->e);
    note(s, "wait", run_wait(r, DEADLINE_NONE));
    note(s, "resume", engine_resume(s->e, run_id(r), "done", &again));
    int who = engine_subscribe(s->e, write_down, s);
    note(s, "wait", run_wait(again, DEADLINE_NONE));
    engine_unsubscribe(s->e, who);
    run_unref(again);
    run_unref(r);
}

static void
spoil(void *ctx, struct str *text)
{
    (void)ctx;
    text->p[text->len - 1] = '?';
}

/* What takes secrets out must leave JSON: else nothing is started that could not be read again. */
static void
redact_badly(struct scene *s)
{
    struct engine *good = s->e;
    s->e = engine_new(&(struct engine_opts){
        .store = s->store, .workflows = workflows, .agents = agents, .redact = spoil});
    assert_null(begin(s, "main", "x"));
    engine_free(s->e);
    s->e = good;
}

static void
listening(void **state)
{
    (void)state;
    scene(listen_late, "soon: timed out\n"
                       "wait: ok\n"
                       "resume: ok\n"
                       "  4 run.resumed  1\n"
                       "  5 step.completed mail/send 1\n"
                       "  6 node.completed mail 1\n"
                       "  7 run.completed  1\n"
                       "wait: ok\n");
    scene(redact_badly, "start: starting the run: a journal record: not JSON: '}' expected near "
                        "'?' at line 1, column 123\n");
}

static void
ending(void **state)
{
    (void)state;
    scene(cancel_parked, "wait: ok\n"
                         "waiting - ! in doubt: 'mail' at mail/send may have been carried out (the "
                         "line went dead); look, then resume with --in-doubt done, retry or fail\n"
                         "  mail running - ! -\n"
                         "cancel: ok\n"
                         "cancelled - ! -\n"
                         "  mail cancelled - ! the run ended while 'mail' was in doubt: it may "
                         "have been carried out\n"
                         "resume: resuming '': run '' has ended\n");
    scene(cancel_running,
          "soon: timed out\n"
          "cancel: ok\n"
          "wait: ok\n"
          "within 150 ms\n"
          "cancelled - ! -\n"
          "  mail cancelled - ! 'mail' at mail/send was under way, and may have been carried "
          "out: cancelled\n");
    scene(cancel_just_seen,
          "soon: timed out\n"
          "cancel: ok\n"
          "wait: ok\n"
          "within 0 ms\n"
          "cancelled - ! -\n"
          "  mail cancelled - ! 'mail' at mail/send was under way, and may have been carried "
          "out: cancelled\n");
    scene(cancel_by_force, "soon: timed out\n"
                           "cancel: ok\n"
                           "cancelled - ! -\n"
                           "  mail cancelled - ! the run ended while 'mail' was in doubt: it may "
                           "have been carried out\n"
                           "wait: ok\n");
    scene(interrupt, "soon: timed out\n"
                     "wait: ok\n"
                     "interrupted 1, over 1\n"
                     "running - ! -\n"
                     "  mail running - ! -\n"
                     "resume: ok\n"
                     "wait: ok\n"
                     "failed - ! node 'mail': 'mail' was under way when the process ended; it was "
                     "given up as failed\n"
                     "  mail failed - ! 'mail' was under way when the process ended; it was given "
                     "up as failed\n");
}

/* ---- refused ----------------------------------------------------------------------------------
 */

static void
refuse(struct scene *s)
{
    static const char *const names[] = {"strange", "none", "leaves"};
    for (size_t i = 0; i < COUNT(names); i++)
        finish(s, begin(s, names[i], "x"));
    begin(s, "nothing", "x");
    size_t n = (size_t)17 << 20;
    AUTO(freep) char *large = xmalloc(n + 1);
    memset(large, 'x', n);
    large[n] = '\0';
    begin(s, "main", large);
}

/* Journals and definitions that somebody else wrote. */
static void
strange(struct scene *s)
{
    static const struct {
        int kind;
        const char *def, *body;
    } row[] = {
        {REC_STEP_INTENT, "d1", "1{}"},
        {REC_RUN_STARTED, "d1", "1{\"def\":\"missing\"}"},
        {REC_RUN_STARTED, "d1", "1{\"def\":\"d1\"}"},
        {REC_RUN_STARTED, "d1", "1{\"def\":\"d2\"}"},
        {REC_RUN_STARTED, "d1", "7{}"},
    };
    static const char wrong[] = "{\"doc\":" DOC ",\"workflow\":\"main\"}";
    note(s, "def",
         store_put_def(s->store, &(struct store_def){"d1", "main", wrong, sizeof wrong - 1}));
    note(s, "def", store_put_def(s->store, &(struct store_def){"d2", "main", "{", 1}));
    for (size_t i = 0; i < COUNT(row); i++) {
        char id[RUN_ID_LEN];
        struct store_lease lease;
        bool existing;
        unsigned char chance[10] = {(unsigned char)i};
        store_make_id(1000, chance, id);
        struct store_record first = {
            .kind = row[i].kind, .path = "", .body = row[i].body, .body_len = strlen(row[i].body)};
        struct store_new_run run = {.id = id,
                                    .def_hash = row[i].def,
                                    .name = "main",
                                    .records = &first,
                                    .nrecords = 1,
                                    .status = RUN_RUNNING};
        struct err *e = store_create(s->store, &run, &lease, &existing);
        if (!e)
            e = store_release(s->store, &lease, 0);
        struct run *r = NULL;
        if (!e)
            e = engine_resume(s->e, id, NULL, &r);
        AUTO(freep) char *text = e ? err_text(e) : xstrdup("ok");
        str_addf(&s->out, "%s\n", text + (e ? strcspn(text, ":") : 0));
        err_free(e);
        show(s, id);
    }
}

static void
refusing(void **state)
{
    (void)state;
    scene(refuse,
          "wait: ok\n"
          "failed - ! node 'odd': agents of type 'of a later version' cannot run in this version\n"
          "  odd failed - ! agents of type 'of a later version' cannot run in this version\n"
          "wait: ok\n"
          "failed - ! node 'a': agents of type 'llm' cannot run in this version\n"
          "  a failed - ! agents of type 'llm' cannot run in this version\n"
          "wait: ok\n"
          "failed - ! the servers are being stopped\n"
          "  gone cancelled - ! the servers are being stopped\n"
          "start: there is no workflow 'nothing'; the file has 'main', 'send', 'leaves', "
          "'strange', 'recall', 'ask', 'pick', 'none'\n"
          "start: the input is larger than 16 MB\n");
    scene(
        strange,
        "def: ok\n"
        "def: ok\n"
        ": the journal does not begin with the start of a run\n"
        "running - ! -\n"
        ": its definition: there is no definition 'missing'\n"
        "running - ! -\n"
        ": its definition does not have the hash d1 under which it was stored\n"
        "running - ! -\n"
        ": its definition: not JSON: string or '}' expected near end of file at line 1, column 1\n"
        "running - ! -\n"
        ": record 1: a journal record of an unknown format (written by a newer version?)\n"
        "document: record 1: a journal record of an unknown format (written by a newer "
        "version?)\n");
}

TESTS(engine_test, cmocka_unit_test(reading), cmocka_unit_test(ending), cmocka_unit_test(listening),
      cmocka_unit_test(refusing))
