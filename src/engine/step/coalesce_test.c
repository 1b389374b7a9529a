/* coalesce_test.c - runs that make the same call at the same time: who sends it, who is told, and
 * what becomes of the others when one is cut off. */
#include "base/json.h"
#include "engine/step/steptest.h"
#include "plan/lower.h"
#include "rt/fiber.h"
#include "rt/rt.h"

static unsigned sent; /* calls made so far: the answer is the number of the call */

static struct err *
call_step(void *ctx, const struct step_call *c, json_t **ret_value, struct usage *usage)
{
    const struct task *t = ctx;
    const unsigned mine = ++sent;
    (void)c;
    usage->tool_calls++;
    PASS(fiber_sleep(json_int(t->def, "takes", 100)));
    if (strcmp(t->message, "fail") == 0)
        return err_set_retry_after(err_set_in_doubt(FAIL(ERR_LIMIT, "number %u broke", mine)), 5);
    *ret_value = json_integer(mine);
    return NULL;
}

static struct err *
call_run(struct host *h, const struct task *t, struct reply *ret)
{
    json_t *value = NULL;
    struct step s = {.name = "call",
                     .type = "test",
                     .target = "peer",
                     .same = t->message,
                     .effect = t->effect >= 0 ? (enum effect)t->effect : EFFECT_PURE,
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
    "{'settings':{'retry_attempts':1},'agents':{'reads':{'type':'call'},"                          \
    "'alone':{'type':'call','coalesce':false},'brief':{'type':'call','timeout':60},"               \
    "'writes':{'type':'call','effect':'idempotent','takes':10}},"                                  \
    "'workflows':{'a reads':{'type':'chain','sequence':['reads']},"                                \
    "'a alone':{'type':'chain','sequence':['alone']},"                                             \
    "'a brief':{'type':'chain','sequence':['brief']},"                                             \
    "'a writes':{'type':'chain','sequence':['writes']}}}"

static struct run *
call(struct scene *s, const char *agent, const char *input)
{
    struct run *r = NULL;
    struct err *e = start_quoted(s->e, DOC, agent, input, &r);
    if (e)
        note(s, "start", e);
    err_drop(fiber_sleep(1)); /* in this order */
    return r;
}

/* Its end in a line, with what it used and when. */
static void
end(struct scene *s, const char *who, struct run *r)
{
    AUTO(json_freep) json_t *doc = NULL;
    struct err *e = run_wait(r, DEADLINE_NONE);
    if (!e)
        e = run_document(r, false, &doc);
    if (e) {
        note(s, who, e);
    } else {
        AUTO(freep) char *output = json_as_text(json_object_get(doc, "output"));
        str_addf(&s->out, "%s: %s %s%s calls %d\n", who, json_str(doc, "status", ""), output,
                 json_str(doc, "error", ""),
                 (int)json_int(json_object_get(doc, "usage"), "tool_calls", 0));
    }
    run_unref(r);
}

static void
sum(struct scene *s)
{
    struct engine_stats st;
    engine_stats(s->e, &st);
    str_addf(&s->out, "sent %u, joined %d\n", sent, (int)st.joined);
}

static void
play_parts(struct scene *s)
{
    struct run *a = call(s, "reads", "x"), *b = call(s, "reads", "x"), *c = call(s, "reads", "y"),
               *d = call(s, "alone", "x"), *e = call(s, "brief", "y");
    end(s, "a", a);
    end(s, "b joined", b);
    end(s, "c asked for something else", c);
    end(s, "d wants its own", d);
    end(s, "e has less time", e);
    a = call(s, "reads", "fail"), b = call(s, "reads", "fail");
    end(s, "a", a);
    end(s, "b", b);
    sum(s);
    a = call(s, "reads", "x"), b = call(s, "reads", "x"), c = call(s, "reads", "x");
    run_cancel(b); /* who joined */
    err_drop(fiber_sleep(50));
    run_cancel(a); /* who made it: c makes it anew */
    d = call(s, "reads", "x");
    end(s, "a", a);
    end(s, "b", b);
    end(s, "c", c);
    end(s, "d joined c", d);
    sum(s);
    a = call(s, "brief", "x"), b = call(s, "brief", "x"); /* in vain: told to both */
    end(s, "a", a);
    end(s, "b", b);
    sum(s);
    a = call(s, "reads", "x");
    end(s, "w", call(s, "writes", "x"));
    b = call(s, "reads", "x"), c = call(s, "reads", "x");
    end(s, "a", a);
    end(s, "b came after a write", b);
    end(s, "c joined b", c);
    sum(s);
}

static void
play(struct scene *s)
{
    static const unsigned char key[32] = "another key of thirty-two bytes";
    struct engine *before = s->e;
    sent = 0;
    s->e = engine_new(&(struct engine_opts){
        .store = s->store, .agents = agents, .workflows = workflows, .install_key = key});
    play_parts(s);
    engine_free(s->e);
    s->e = before;
}

static void
runs_that_join(void **state)
{
    (void)state;
    scene(play, "a: completed 1 calls 1\n"
                "b joined: completed 1 calls 0\n"
                "c asked for something else: completed 2 calls 1\n"
                "d wants its own: completed 3 calls 1\n"
                "e has less time: failed node 'brief': no answer within 0.06 s: timed out calls 1\n"
                "a: failed node 'reads': number 5 broke calls 1\n"
                "b: failed node 'reads': number 5 broke calls 0\n"
                "sent 5, joined 2\n"
                "a: cancelled  calls 0\n"
                "b: cancelled  calls 0\n"
                "c: completed 7 calls 1\n"
                "d joined c: completed 7 calls 0\n"
                "sent 7, joined 3\n"
                "a: failed node 'brief': no answer within 0.06 s: timed out calls 1\n"
                "b: failed node 'brief': no answer within 0.06 s: timed out calls 0\n"
                "sent 8, joined 4\n"
                "w: completed 10 calls 1\n"
                "a: completed 9 calls 1\n"
                "b came after a write: completed 11 calls 1\n"
                "c joined b: completed 11 calls 0\n"
                "sent 11, joined 5\n");
}

TESTS(coalesce_test, cmocka_unit_test(runs_that_join))
