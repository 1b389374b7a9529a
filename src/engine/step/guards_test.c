/* guards_test.c - breakers as runs share them: who opens one, who probes, what statistics say. */
#include "base/json.h"
#include "engine/step/steptest.h"
#include "plan/lower.h"
#include "rt/fiber.h"
#include "rt/rt.h"

/* The message is how it goes: "fail", "slow" (a second), "hang", or well; of `def`'s target. */
static struct err *
call_step(void *ctx, const struct step_call *c, json_t **ret_value, struct usage *usage)
{
    (void)c, (void)usage;
    const struct task *t = ctx;
    if (strcmp(t->message, "hang") == 0)
        return fiber_park(DEADLINE_NONE);
    PASS(fiber_sleep(strcmp(t->message, "slow") == 0 ? 1000 : 10));
    if (strcmp(t->message, "fail") == 0)
        return FAIL(ERR_TRANSIENT, "it broke");
    if (strcmp(t->message, "wrong") == 0)
        return FAIL(ERR_INVALID, "a wrong request");
    *ret_value = json_string("done");
    return NULL;
}

static struct err *
call_run(struct host *h, const struct task *t, struct reply *ret)
{
    json_t *value = NULL;
    struct step s = {.name = "call",
                     .type = "test",
                     .target = "peer",
                     .address = json_bool(t->def, "roams", false)
                                    ? t->message
                                    : json_str(t->def, "address", NULL),
                     .effect = EFFECT_PURE,
                     .run = call_step,
                     .ctx = (void *)(uintptr_t)t};
    PASS(h->ops->step(h, &s, &value));
    reply_set_json(ret, value);
    return NULL;
}

static const struct kind call_kind = {.name = "call", .roles = ROLE_AGENT, .run = call_run};
static const struct kind *const agents[] = {&call_kind, NULL};
static const struct kind *const workflows[] = {&dag_kind, &task_kind, &chain_kind, NULL};

#define DOC                                                                                        \
    "{'settings':{'retry_attempts':1},'agents':{"                                                  \
    "'two':{'type':'call','circuit_breaker':{'failure_threshold':2,'recovery_timeout':5000}},"     \
    "'same':{'type':'call','circuit_breaker':{'failure_threshold':2,'recovery_timeout':5000}},"    \
    "'three':{'type':'call','circuit_breaker':{'failure_threshold':3}},"                           \
    "'there':{'type':'call','address':'there','circuit_breaker':{'failure_threshold':2,"           \
    "'recovery_timeout':5000}},'bare':{'type':'call'},'many':{'type':'call','roams':true,"         \
    "'circuit_breaker':{'failure_threshold':2}}},"                                                 \
    "'workflows':{'a two':{'type':'chain','sequence':['two']},"                                    \
    "'a same':{'type':'chain','sequence':['same']},"                                               \
    "'a three':{'type':'chain','sequence':['three']},"                                             \
    "'a there':{'type':'chain','sequence':['there']},"                                             \
    "'a many':{'type':'chain','sequence':['many']},"                                               \
    "'a bare':{'type':'chain','sequence':['bare']}}}"

static struct run *
call(struct scene *s, const char *agent, const char *input)
{
    struct run *r = NULL;
    struct err *e = start_quoted(s->e, DOC, agent, input, &r);
    if (e)
        note(s, "start", e);
    return r;
}

static void
stats_line(void *ctx, const struct breaker_stats *b)
{
    struct scene *s = ctx;
    str_addf(&s->out, "  %s %u of %u in %lld ms: %s, opened %lld, refused %lld, last '%s'\n",
             b->target, b->failures, b->failure_threshold, (long long)b->recovery_ms, b->state,
             (long long)b->openings, (long long)b->refused, b->last_failure ? b->last_failure : "");
    if (b->since_wall_ms > rt_wall_ms())
        str_add(&s->out, "  in the future\n");
}

/* An engine with agents of its own kind, for the scene that follows. */
static void
with_calls(struct scene *s, void (*play)(struct scene *s))
{
    static const unsigned char key[32] = "another key of thirty-two bytes";
    struct engine *before = s->e;
    s->e = engine_new(&(struct engine_opts){
        .store = s->store, .agents = agents, .workflows = workflows, .install_key = key});
    play(s);
    engine_free(s->e);
    s->e = before;
}

static void
sharing_play(struct scene *s)
{
    finish(s, call(s, "two", "fail"));
    finish(s, call(s, "there", "fail"));
    finish(s, call(s, "three", "fail"));
    finish(s, call(s, "same", "wrong")); /* the peer is well: it says what is wrong */
    finish(s, call(s, "two", "fail"));
    finish(s, call(s, "same", "fail")); /* another agent, another run, the same numbers: open */
    finish(s, call(s, "two", "ok"));    /* not even asked */
    finish(s, call(s, "three", "ok"));
    finish(s, call(s, "bare", "ok")); /* no breaker: it may */
    engine_breakers(s->e, stats_line, s);
}

/* The probe is cancelled with its run: the next call is the probe. */
static void
probes_play(struct scene *s)
{
    finish(s, call(s, "two", "fail"));
    finish(s, call(s, "two", "fail"));
    err_drop(fiber_sleep(6000));
    struct run *probe = call(s, "two", "hang");
    err_drop(fiber_sleep(10));
    finish(s, call(s, "two", "ok"));
    engine_breakers(s->e, stats_line, s);
    run_cancel(probe);
    finish(s, probe);
    struct run *next = call(s, "two", "slow");
    err_drop(fiber_sleep(100));
    finish(s, call(s, "two", "ok"));
    finish(s, next);
    finish(s, call(s, "two", "ok"));
    engine_breakers(s->e, stats_line, s);
}

static void
one_more(void *ctx, const struct breaker_stats *b)
{
    (void)b;
    ++*(int *)ctx;
}

/* Thousands of targets: those that are well are forgotten, the one that is not stays. */
static void
crowd_play(struct scene *s)
{
    int kept = 0;
    finish(s, call(s, "many", "fail"));
    for (int i = 0; i < 4200; i++) {
        AUTO(freep) char *where = xasprintf("%d", i);
        struct run *r = call(s, "many", where);
        err_drop(run_wait(r, DEADLINE_NONE));
        run_unref(r);
    }
    engine_breakers(s->e, one_more, &kept);
    str_addf(&s->out, "%d kept\n", kept);
    finish(s, call(s, "many", "fail"));
    finish(s, call(s, "many", "fail"));
}

static void
crowd_scene(struct scene *s)
{
    with_calls(s, crowd_play);
}

static void
sharing_scene(struct scene *s)
{
    with_calls(s, sharing_play);
}

static void
probes_scene(struct scene *s)
{
    with_calls(s, probes_play);
}

#define ENDED(status, who, text, error)                                                            \
    "wait: ok\n" status " " text " ! " error "\n  " who " " status " " text " ! "
#define DONE(who)        ENDED("completed", who, "done", "-") "-\n"
#define FAILED(who, why) ENDED("failed", who, "-", "node '" who "': " why) why "\n"
#define OPEN(when)                                                                                 \
    FAILED("two", "circuit breaker is open: 'peer' failed 2 times in a row (it broke); " when)

#define OPENED                                                                                     \
    "circuit breaker is open: 'peer' failed 2 times in a row (it broke); it is tried again in "    \
    "60000 ms"

static void
sharing(void **state)
{
    (void)state;
    scene(sharing_scene,
          FAILED("two", "it broke") FAILED("there", "it broke") FAILED("three", "it broke") FAILED(
              "same", "a wrong request") FAILED("two", "it broke") FAILED("same", "it broke")
              OPEN("it is tried again in 5000 ms") DONE("three") DONE(
                  "bare") "  peer 2 of 2 in 5000 ms: open, opened 1, refused 1, last 'it broke'\n"
                          "  peer 1 of 2 in 5000 ms: closed, opened 0, refused 0, last 'it broke'\n"
                          "  peer 0 of 3 in 60000 ms: closed, opened 0, refused 0, last 'it "
                          "broke'\n");
}

static void
probes(void **state)
{
    (void)state;
    scene(
        probes_scene,
        FAILED("two", "it broke") FAILED("two", "it broke") OPEN(
            "one call is trying it now") "  peer 2 of 2 in 5000 ms: half_open, opened 1, refused "
                                         "1, last 'it broke'\n"
                                         "wait: ok\ncancelled - ! -\n  two cancelled - ! "
                                         "cancelled\n" OPEN("one call is trying it now") DONE("two")
                                             DONE("two") "  peer 0 of 2 in 5000 ms: closed, opened "
                                                         "1, refused 2, last 'it broke'\n");
}

static void
crowd(void **state)
{
    (void)state;
    scene(crowd_scene, FAILED("many", "it broke") "106 kept\n" FAILED("many", "it broke")
                           ENDED("failed", "many", "-", "node 'many': " OPENED) OPENED "\n");
}

TESTS(guards_test, cmocka_unit_test(sharing), cmocka_unit_test(probes), cmocka_unit_test(crowd))
