/* spend_test.c - what a budget asks of a step, when the step cannot say it. */
#include "engine/enginetest.h"
#include "plan/lower.h"

static struct err *
pay_step(void *ctx, const struct step_call *c, json_t **ret_value, struct usage *usage)
{
    (void)ctx, (void)c;
    usage->model_calls++;
    *ret_value = json_string("paid");
    return NULL;
}

/* The message says what is known before: "price", "tokens" alone, or nothing. */
static struct err *
pay_most(void *ctx, int64_t deadline_ms, struct usage *ret_most)
{
    const struct task *t = ctx;
    (void)deadline_ms;
    ret_most->model_calls = 1;
    ret_most->input_tokens = 10;
    ret_most->cost_usd = 0.25;
    ret_most->cost_known = strcmp(t->message, "price") == 0;
    return strcmp(t->message, "nothing") == 0 ? FAIL(ERR_INVALID, "it has no bound") : NULL;
}

static struct err *
pay_run(struct host *h, const struct task *t, struct reply *ret)
{
    json_t *value = NULL;
    struct step s = {.name = "pay",
                     .type = "model",
                     .target = "shop",
                     .effect = EFFECT_LLM,
                     .run = pay_step,
                     .most = pay_most,
                     .ctx = (void *)(uintptr_t)t};
    PASS(h->ops->step(h, &s, &value));
    reply_set_json(ret, value);
    return NULL;
}

static const struct kind pay_kind = {.name = "pay", .roles = ROLE_AGENT, .run = pay_run};
static const struct kind *const agents[] = {&pay_kind, NULL};
static const struct kind *const workflows[] = {&dag_kind, &task_kind, &chain_kind, NULL};

static struct err *
pay(struct engine *e, const char *budget, const char *message, struct run **ret_run)
{
    AUTO(freep)
    char *text = xasprintf("{\"agents\": {\"a\": {\"type\": \"pay\"}}, \"workflows\": {\"main\": "
                           "{\"type\": \"chain\", \"sequence\": [\"a\", \"a\"], \"budget\": %s}}}",
                           budget);
    AUTO(json_freep) json_t *doc = NULL;
    AUTO(json_freep) json_t *input = json_string(message);
    struct flow *f = NULL;
    bool existing;
    PASS(json_parse(text, strlen(text), &doc));
    PASS(engine_flow(e, &(struct flow_source){.doc = doc}, &f));
    struct err *err =
        engine_start(e, &(struct run_request){.flow = f, .input = input}, ret_run, &existing);
    flow_unref(f);
    return err;
}

static void
paying(struct scene *s)
{
    static const unsigned char key[32] = "a key of thirty-two bytes, again";
    static const char *const cases[][2] = {{"{\"usd\": 1}", "price"},
                                           {"{\"usd\": 1}", "tokens"},
                                           {"{\"tokens\": 25}", "tokens"},
                                           {"{\"usd\": 1}", "nothing"},
                                           {"{\"usd\": 0, \"mode\": \"audit\"}", "nothing"},
                                           {"{}", "nothing"}};
    struct engine *before = s->e;
    s->e = engine_new(&(struct engine_opts){
        .store = s->store, .agents = agents, .workflows = workflows, .install_key = key});
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct run *r = NULL;
        struct err *e = pay(s->e, cases[i][0], cases[i][1], &r);
        if (e)
            note(s, "start", e);
        finish(s, r);
    }
    engine_free(s->e);
    s->e = before;
}

#define PAID     "wait: ok\ncompleted paid ! -\n  a completed paid ! -\n  a-2 completed paid ! -\n"
#define NO_PRICE "the price of 'shop' is not known, which a budget in USD needs: say `price`\n"
#define NO_BOUND "what this call may cost: it has no bound\n"

/* The second node's message is what the first one said: "paid". */
static void
bounds(void **state)
{
    (void)state;
    scene(paying, "wait: ok\nfailed - ! node 'a-2': " NO_PRICE
                  "  a completed paid ! -\n  a-2 failed - ! " NO_PRICE
                  "wait: ok\nfailed - ! node 'a': " NO_PRICE "  a failed - ! " NO_PRICE PAID
                  "wait: ok\nfailed - ! node 'a': " NO_BOUND "  a failed - ! " NO_BOUND PAID PAID);
}

TESTS(spend_test, cmocka_unit_test(bounds))
