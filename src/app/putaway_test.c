/* putaway_test.c - runs that nobody has while they wait: waited for, told things, taken up again,
 * undone. The library as a program uses it: a real runtime and a store in a folder of its own. */
#include "app/tutticore.h"
#include "base/test.h"
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static const char spec[] =
    "agents:\n"
    "  keep: {type: exec, command: [echo, kept]}\n"
    "  undo: {type: exec, command: [echo, undone]}\n"
    "workflows:\n"
    "  nap: {nodes: [{id: w, type: wait, for: 1h}]}\n"
    "  paid: {nodes: [{id: w, type: wait, signal: paid, timeout: 1h, default: never}]}\n"
    "  ever: {nodes: [{id: w, type: wait, signal: paid}]}\n"
    "  ask: {nodes: [{id: q, type: human, prompt: Well?, choices: [yes, no]}]}\n"
    "  two: {nodes: [{id: q, type: human, prompt: A?}, {id: r, type: human, prompt: B?}]}\n"
    "  done: {nodes: [{id: a, agent: keep, compensate: {agent: undo}}]}\n";

struct place {
    char dir[64];
    char *file, *error, *document;
    struct tutti *t;
    struct tutti_run *run;
};

static void
place_open(struct place *p, struct tutti_options o)
{
    *p = (struct place){0};
    snprintf(p->dir, sizeof p->dir, "/tmp/putaway_test.XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    p->file = xasprintf("%s/flow.yaml", p->dir);
    FILE *f = fopen(p->file, "w");
    assert_non_null(f);
    fputs(spec, f);
    fclose(f);
    o.store = p->dir;
    assert_int_equal(tutti_open(&o, &p->t, NULL), TUTTI_OK);
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
}

static const char *
start(struct place *p, const char *workflow)
{
    const struct tutti_request q = {.file = p->file, .workflow = workflow, .input = "x"};
    assert_int_equal(tutti_start(p->t, &q, &p->run, NULL), TUTTI_OK);
    return tutti_run_id(p->run);
}

static enum tutti_status
wait_for(struct place *p, int64_t ms)
{
    tutti_free(p->error);
    tutti_free(p->document);
    p->error = p->document = NULL;
    return tutti_wait(p->run, ms, &p->document, &p->error);
}

static enum tutti_status
answer(struct place *p, struct tutti_answer a)
{
    tutti_free(p->error);
    p->error = NULL;
    return tutti_answer(p->t, &a, &p->error);
}

static enum tutti_status
send_signal(struct place *p, const struct tutti_signal s)
{
    tutti_free(p->error);
    p->error = NULL;
    return tutti_signal(p->t, &s, &p->error);
}

#define assert_has(text, part)                                                                     \
    do {                                                                                           \
        assert_non_null(text);                                                                     \
        if (!strstr(text, part))                                                                   \
            fail_msg("'%s' is not in: %s", part, text);                                            \
    } while (0)

/* ---- waiting ----------------------------------------------------------------------------------
 */

/* The call is what times out: the run waits on. */
static void
a_time(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, (struct tutti_options){0});
    start(&p, "nap");
    assert_int_equal(wait_for(&p, 150), TUTTI_TIMEOUT);
    assert_int_equal(wait_for(&p, 0), TUTTI_TIMEOUT);
    assert_null(p.document);
    p.document = tutti_result(p.run);
    assert_has(p.document, "\"status\":\"waiting\"");
    place_end(&p);
}

/* One that waits for somebody too is only stayed with when that is asked for; then the store is
 * looked at again and again. */
static void
somebody(void **state)
{
    (void)state;
    static const char *const workflow[] = {"paid", "ever"};
    for (size_t i = 0; i < COUNT(workflow); i++) {
        struct place p;
        place_open(&p, (struct tutti_options){0});
        start(&p, workflow[i]);
        assert_int_equal(wait_for(&p, -1), TUTTI_WAITING);
        assert_has(p.document, "waits for the signal 'paid'");
        place_end(&p);
        place_open(&p, (struct tutti_options){.stay = 1});
        const char *id = start(&p, workflow[i]);
        assert_int_equal(wait_for(&p, 600), TUTTI_TIMEOUT);
        assert_int_equal(send_signal(&p, (struct tutti_signal){id, "paid", "{\"eur\":3}", NULL}),
                         TUTTI_OK);
        assert_int_equal(wait_for(&p, -1), TUTTI_OK);
        assert_has(p.document, "\"output\":{\"eur\":3}");
        assert_has(p.document, id); /* it is the handle's, also after the run was taken up again */
        place_end(&p);
    }
}

static void
cancelled(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, (struct tutti_options){0});
    start(&p, "nap");
    assert_int_equal(wait_for(&p, 100), TUTTI_TIMEOUT);
    assert_int_equal(tutti_cancel(p.run, NULL), TUTTI_OK);
    assert_int_equal(wait_for(&p, -1), TUTTI_FAILED);
    assert_has(p.document, "\"status\":\"cancelled\"");
    place_end(&p);
}

/* A signal to the process ends the waiting, not the run. */
static void
interrupted(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, (struct tutti_options){.stay = 1, .handle_signals = 1});
    start(&p, "nap");
    assert_int_equal(wait_for(&p, 100), TUTTI_TIMEOUT);
    raise(SIGINT);
    assert_int_equal(wait_for(&p, -1), TUTTI_INTERRUPTED);
    assert_has(p.document, "\"status\":\"waiting\"");
    assert_int_equal(wait_for(&p, -1), TUTTI_INTERRUPTED); /* and stays so */
    place_end(&p);
}

/* It came before the run was put away: that is not waited for. */
static void
interrupted_before(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, (struct tutti_options){.stay = 1, .handle_signals = 1});
    raise(SIGINT);
    start(&p, "ever");
    assert_int_equal(wait_for(&p, 5000), TUTTI_INTERRUPTED);
    place_end(&p);
}

/* While it was put away somebody else resumed it. */
static void
taken_up(void **state)
{
    (void)state;
    struct place p;
    struct tutti_run *other = NULL;
    place_open(&p, (struct tutti_options){.stay = 1});
    const char *id = start(&p, "ask");
    assert_int_equal(wait_for(&p, 100), TUTTI_TIMEOUT);
    assert_int_equal(answer(&p, (struct tutti_answer){.run_id = id, .value = "yes"}), TUTTI_OK);
    assert_int_equal(tutti_resume(p.t, id, NULL, &other, NULL), TUTTI_OK);
    assert_int_equal(wait_for(&p, -1), TUTTI_FAILED);
    AUTO(freep) char *want = xasprintf("the run '%s' was taken up by another process", id);
    assert_string_equal(p.error, want);
    assert_null(p.document);
    assert_int_equal(tutti_wait(other, -1, NULL, NULL), TUTTI_OK);
    tutti_release(p.run); /* the older one of two */
    place_end(&p);
}

/* ---- answers and signals ----------------------------------------------------------------------
 */

static void
answers(void **state)
{
    (void)state;
    static const struct {
        const char *workflow, *path, *value, *by;
        enum tutti_status status;
        const char *said; /* the error, or in the document when it goes on */
    } row[] = {
        {"ask", NULL, "yes", "ann", TUTTI_OK, "\"output\":\"yes\""},
        {"ask", "q", "\"no\"", NULL, TUTTI_OK, "\"output\":\"no\""},
        {"ask", "q/question", "YES", NULL, TUTTI_OK, "\"output\":\"yes\""},
        {"ask", NULL, "perhaps", NULL, TUTTI_USAGE, "'perhaps' is none of 'yes', 'no'"},
        {"ask", NULL, NULL, NULL, TUTTI_USAGE, "there is no answer in it"},
        {"ask", NULL, "yes", "\xff", TUTTI_USAGE, "is not valid UTF-8"},
        {"ask", "z", "yes", NULL, TUTTI_USAGE, "nothing is asked at 'z'; open: 'q/question'"},
        {"two", NULL, "yes", NULL, TUTTI_USAGE, "several questions are open: say which of"},
        {"ever", NULL, "yes", NULL, TUTTI_USAGE, "asks nobody anything"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct place p;
        struct tutti_run *again = NULL;
        place_open(&p, (struct tutti_options){0});
        const char *id = start(&p, row[i].workflow);
        assert_int_equal(wait_for(&p, -1), TUTTI_WAITING);
        const struct tutti_answer a = {
            .run_id = id, .path = row[i].path, .value = row[i].value, .by = row[i].by};
        assert_int_equal(answer(&p, a), row[i].status);
        if (row[i].status != TUTTI_OK) {
            assert_has(p.error, row[i].said);
        } else {
            assert_int_equal(answer(&p, a), TUTTI_USAGE); /* the first one counts */
            assert_has(p.error, "it was answered already");
            assert_int_equal(tutti_resume(p.t, id, NULL, &again, NULL), TUTTI_OK);
            p.run = again;
            assert_int_equal(wait_for(&p, -1), TUTTI_OK);
            assert_has(p.document, row[i].said);
        }
        place_end(&p);
    }
}

static void
tokens(void **state)
{
    (void)state;
    struct place p;
    char token[ENGINE_TOKEN_LEN];
    place_open(&p, (struct tutti_options){0});
    const char *id = start(&p, "two");
    assert_int_equal(wait_for(&p, -1), TUTTI_WAITING);
    engine_token(app_engine(p.t->app), id, "r/question", token);
    AUTO(freep) char *wrong = xasprintf("%s0", token);
    assert_int_equal(answer(&p, (struct tutti_answer){.token = wrong, .value = "b"}), TUTTI_FAILED);
    assert_has(p.error, "the token fits no open question");
    assert_int_equal(answer(&p, (struct tutti_answer){.token = token, .value = "b"}), TUTTI_OK);
    assert_int_equal(answer(&p, (struct tutti_answer){.run_id = id, .path = "q", .value = "a"}),
                     TUTTI_OK);
    assert_int_equal(tutti_resume(p.t, id, NULL, &p.run, NULL), TUTTI_OK);
    assert_int_equal(wait_for(&p, -1), TUTTI_OK);
    assert_has(p.document, "\"output\":{\"q\":\"a\",\"r\":\"b\"}");
    place_end(&p);
}

/* The same name and mark is the same signal: the first value stays. */
static void
signals(void **state)
{
    (void)state;
    struct place p;
    place_open(&p, (struct tutti_options){0});
    assert_int_equal(send_signal(&p, (struct tutti_signal){"nobody", "paid", "1", NULL}),
                     TUTTI_USAGE);
    assert_has(p.error, "there is no run 'nobody'");
    const char *id = start(&p, "paid");
    assert_int_equal(wait_for(&p, -1), TUTTI_WAITING);
    assert_int_equal(send_signal(&p, (struct tutti_signal){id, "other", NULL, NULL}), TUTTI_OK);
    assert_int_equal(send_signal(&p, (struct tutti_signal){id, "paid", "in part", "k"}), TUTTI_OK);
    assert_int_equal(send_signal(&p, (struct tutti_signal){id, "paid", "in full", "k"}), TUTTI_OK);
    assert_int_equal(tutti_resume(p.t, id, NULL, &p.run, NULL), TUTTI_OK);
    assert_int_equal(wait_for(&p, -1), TUTTI_OK);
    assert_has(p.document, "\"output\":\"in part\"");
    assert_int_equal(send_signal(&p, (struct tutti_signal){id, "paid", "1", NULL}), TUTTI_USAGE);
    assert_has(p.error, "has ended: completed");
    place_end(&p);
}

/* ---- undone -----------------------------------------------------------------------------------
 */

static void
rolled_back(void **state)
{
    (void)state;
    struct place p;
    struct tutti_run *run = NULL;
    place_open(&p, (struct tutti_options){0});
    assert_int_equal(tutti_rollback(p.t, "nobody", &run, &p.error), TUTTI_USAGE);
    assert_has(p.error, "there is no run 'nobody'");
    const char *id = start(&p, "done");
    assert_int_equal(wait_for(&p, -1), TUTTI_OK);
    assert_has(p.document, "\"output\":\"kept\"");
    assert_int_equal(tutti_rollback(p.t, id, &run, NULL), TUTTI_OK);
    p.run = run;
    assert_int_equal(wait_for(&p, -1), TUTTI_FAILED);
    assert_has(p.document, "\"status\":\"compensated\"");
    place_end(&p);
}

TESTS(putaway_test, cmocka_unit_test(a_time), cmocka_unit_test(somebody),
      cmocka_unit_test(cancelled), cmocka_unit_test(interrupted),
      cmocka_unit_test(interrupted_before), cmocka_unit_test(taken_up), cmocka_unit_test(answers),
      cmocka_unit_test(tokens), cmocka_unit_test(signals), cmocka_unit_test(rolled_back))
