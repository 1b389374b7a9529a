/* limits_test.c - many runs against one target, in virtual time, with a ledger of its own that
 * knows nothing of windows: it notes each call when it is sent, and counts afterwards. */
#include "base/test.h"
#include "base/vec.h"
#include "engine/engine.h"
#include "plan/lower.h"
#include "rt/fiber.h"
#include "rt/rt.h"
#include "rt/sim.h"
#include <stdio.h>

#define START 1767225600000

struct sent { /* one call, as its receiver sees it */
    int64_t at, end, asked, tokens;
    unsigned run, nth;
};
static VEC(struct sent) ledger;
static unsigned now_at_once, most_at_once;
static unsigned crash_after; /* so many were sent; 0: never */

struct caller { /* what one agent does; the message says it: "run calls tokens estimate latency" */
    unsigned run, calls, nth;
    int64_t tokens, estimate, latency, asked;
    bool together;
};

static int64_t
tokens_expected(void *ctx, int64_t *ret_most)
{
    *ret_most = 0;
    return ((struct caller *)ctx)->estimate;
}

/* Token counts differ from call to call, around those of the caller. */
static int64_t
tokens_of(const struct caller *c)
{
    return c->tokens * (50 + (c->run * 7 + c->nth * 13) % 101) / 100;
}

static struct err *
call_once(void *ctx, const struct step_call *call, json_t **ret_value, struct usage *usage)
{
    struct caller *c = ctx;
    (void)call;
    size_t i = ledger.len;
    if (crash_after && ledger.len >= crash_after && !sim_crashed())
        sim_crash();
    if (sim_crashed())
        return FAIL(ERR_CANCELLED, "crashed");
    vec_push(&ledger, ((struct sent){.at = rt_wall_ms() - START,
                                     .asked = c->asked,
                                     .tokens = tokens_of(c),
                                     .run = c->run,
                                     .nth = c->nth}));
    now_at_once++;
    most_at_once = MAX(most_at_once, now_at_once);
    struct err *e = fiber_sleep(c->latency);
    now_at_once--;
    ledger.at[i].end = rt_wall_ms() - START;
    if (e)
        return e;
    usage->input_tokens = tokens_of(c);
    *ret_value = json_true();
    return NULL;
}

static struct err *
one_call(struct host *h, void *arg)
{
    struct caller *c = arg;
    AUTO(json_freep) json_t *value = NULL;
    AUTO(freep) char *name = xasprintf("call[%u]", c->nth);
    if (c->estimate < 0)
        c->estimate = tokens_of(c);
    c->asked = rt_wall_ms() - START;
    struct step s = {.name = name,
                     .type = "model",
                     .target = "sim:m",
                     .effect = EFFECT_LLM,
                     .run = call_once,
                     .ctx = c,
                     .tokens = tokens_expected};
    return h->ops->step(h, &s, &value);
}

static struct err *
calls_together(struct host *h, const struct caller *c)
{
    struct caller *all = xcalloc(c->calls, sizeof *all);
    void **args = xcalloc(c->calls, sizeof *args);
    struct err **errs = xcalloc(c->calls, sizeof *errs), *first = NULL;
    for (unsigned i = 0; i < c->calls; i++) {
        all[i] = *c;
        all[i].nth = i;
        args[i] = &all[i];
    }
    h->ops->each(
        h, &(struct each){
               .name = "many", .n = c->calls, .fn = one_call, .args = args, .ret_errs = errs});
    for (unsigned i = 0; i < c->calls; i++) {
        if (first)
            err_free(errs[i]);
        else
            first = errs[i];
    }
    free(all);
    free(args);
    free(errs);
    return first;
}

static struct err *
caller_run(struct host *h, const struct task *t, struct reply *ret)
{
    struct caller c = {0};
    int estimate = 0, tokens = 0, latency = 0, together = 0;
    sscanf(t->message, "%u %u %d %d %d %d", &c.run, &c.calls, &tokens, &estimate, &latency,
           &together);
    c.tokens = tokens;
    c.latency = latency;
    if (together) {
        c.estimate = estimate;
        PASS(calls_together(h, &c));
    }
    for (c.nth = 0; !together && c.nth < c.calls; c.nth++) {
        c.estimate = estimate;
        PASS(one_call(h, &c));
    }
    reply_set_text(ret, "done", 4);
    return NULL;
}

static const struct kind caller_kind = {.name = "caller", .roles = ROLE_AGENT, .run = caller_run};
static const struct kind *const agents[] = {&caller_kind, NULL};
static const struct kind *const workflows[] = {&dag_kind, &task_kind, &chain_kind, NULL};

/* ---- a life ---------------------------------------------------------------------------------- */

struct life {
    const char *limits;
    struct store_mem *mem; /* NULL: its own */
    int64_t wall_ms;
    bool resume;
    void (*play)(struct life *l);
    struct engine *e;
    struct store *store;
    struct flow *flow;
    VEC(struct run *) runs;
    unsigned resumed;
    struct str failed;
};

static void
failed(struct life *l, struct err *OWN e)
{
    AUTO(freep) char *text = e ? err_text(e) : NULL;
    if (e && !sim_crashed())
        str_addf(&l->failed, "%s\n", text);
    err_free(e);
}

static void
begin(struct life *l, const char *message)
{
    AUTO(json_freep) json_t *input = json_string(message);
    struct run *r = NULL;
    bool existing;
    struct err *e =
        engine_start(l->e, &(struct run_request){.flow = l->flow, .input = input}, &r, &existing);
    failed(l, e);
    if (!e)
        vec_push(&l->runs, r);
}

static void
finish(struct life *l)
{
    vec_each (&l->runs, r) {
        failed(l, run_wait(*r, DEADLINE_NONE));
        if (run_state(*r) != RUN_COMPLETED && !sim_crashed())
            str_addf(&l->failed, "a run is %d\n", (int)run_state(*r));
        run_unref(*r);
    }
    l->runs.len = 0;
}

static void
life_main(void *arg)
{
    static const unsigned char key[32] = "a key of thirty-two bytes, or so";
    struct life *l = arg;
    if (l->wall_ms)
        sim_set_wall_ms(l->wall_ms);
    AUTO(freep)
    char *text = xasprintf("{\"limits\":{\"sim:m\":%s},\"agents\":{\"c\":{\"type\":\"caller\"}},"
                           "\"workflows\":{\"main\":{\"type\":\"chain\",\"sequence\":[\"c\"]}}}",
                           l->limits);
    AUTO(json_freep) json_t *doc = NULL;
    failed(l, json_parse(text, strlen(text), &doc));
    failed(l, store_open(&(struct store_opts){.mem = l->mem}, &l->store));
    l->e = engine_new(&(struct engine_opts){
        .store = l->store, .agents = agents, .workflows = workflows, .install_key = key});
    failed(l, engine_flow(l->e, &(struct flow_source){.doc = doc, .workflow = "main"}, &l->flow));
    l->play(l);
    finish(l);
    l->wall_ms = rt_wall_ms();
    flow_unref(l->flow);
    engine_free(l->e);
    store_close(l->store);
}

static void
live(struct life *l)
{
    struct rt *rt;
    now_at_once = 0;
    assert_ok(rt_open(&(struct rt_opts){.simulated = true, .seed = 5}, &rt));
    rt_run(rt, life_main, l);
    rt_close(rt);
    if (l->failed.len)
        fail_msg("%s", str_c(&l->failed));
    vec_fini(&l->runs);
}

static void
ledger_reset(void)
{
    vec_fini(&ledger);
    most_at_once = 0;
    crash_after = 0;
}

/* The most that any window of so many ms holds, wherever it begins. */
static int64_t
peak(int64_t span, bool of_tokens)
{
    int64_t inside = 0, most = 0;
    for (size_t i = 0, from = 0; i < ledger.len; i++) {
        inside += of_tokens ? ledger.at[i].tokens : 1;
        for (; ledger.at[from].at <= ledger.at[i].at - span; from++)
            inside -= of_tokens ? ledger.at[from].tokens : 1;
        most = MAX(most, inside);
    }
    return most;
}

static double
per_minute(bool of_tokens)
{
    int64_t total = 0;
    for (size_t i = 0; i < ledger.len; i++)
        total += of_tokens ? ledger.at[i].tokens : 1;
    return (double)total * 60000 / (double)vec_last(&ledger).end;
}

/* ---- a thousand runs ------------------------------------------------------------------------- */

enum { RUNS = 1000 };
static int calls_each, tokens_each, latency_each;

static void
thousand(struct life *l)
{
    for (unsigned i = 0; i < RUNS; i++) {
        AUTO(freep)
        char *message = xasprintf("%u %d %d -1 %d", i, calls_each, tokens_each, latency_each);
        begin(l, message);
    }
}

/* Nobody has had two more than somebody who waits; and nobody waits twice as long as it takes when
 * everybody has one turn after the other. */
static void
is_fair(double binding_per_minute)
{
    static unsigned had[RUNS];
    memset(had, 0, sizeof had);
    unsigned least = 0, with_least = RUNS;
    int64_t longest = 0;
    for (size_t i = 0; i < ledger.len; i++) {
        const struct sent *s = &ledger.at[i];
        with_least -= had[s->run]++ == least;
        if (!with_least) {
            least++;
            for (unsigned r = 0; r < RUNS; r++)
                with_least += had[r] == least;
        }
        assert_true(had[s->run] <= least + 2);
        longest = MAX(longest, s->at - s->asked);
    }
    double share = RUNS * 60000.0 / binding_per_minute;
    print_message("           longest wait %.0f s, fair share %.0f s\n", (double)longest / 1000,
                  share / 1000);
    assert_true((double)longest <= 2 * share);
}

static void
thousand_runs(void **state)
{
    (void)state;
    static const struct {
        int calls, tokens, latency;
        double requests, of_tokens, at_once; /* what binds: the others are 0 */
    } row[] = {
        {2, 100, 2000, 60, 0, 0},
        {1, 300, 2000, 0, 9000, 0},
        {1, 100, 10000, 0, 0, 7},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct life l = {.limits = "{\"rpm\":60,\"tpm\":9000,\"max_concurrency\":7}",
                         .play = thousand};
        ledger_reset();
        calls_each = row[i].calls;
        tokens_each = row[i].tokens;
        latency_each = row[i].latency;
        live(&l);
        assert_int_equal(ledger.len, (size_t)(RUNS * row[i].calls));
        int64_t requests = peak(60000, false), tokens = peak(60000, true);
        double use = row[i].requests ? per_minute(false) / row[i].requests
                     : row[i].of_tokens
                         ? per_minute(true) / row[i].of_tokens
                         : per_minute(false) * row[i].latency / 60000 / row[i].at_once;
        print_message(
            "           most in a minute: %lld calls, %lld tokens; %u at once; %.1f %% of "
            "what binds\n",
            (long long)requests, (long long)tokens, most_at_once, use * 100);
        assert_true(requests <= 60 && tokens <= 9000 && most_at_once <= 7);
        assert_true(use >= 0.95);
        is_fair(per_minute(false));
    }
    ledger_reset();
}

/* ---- who comes late -------------------------------------------------------------------------- */

#ifdef __SANITIZE_THREAD__
#define MANY "6000" /* TSan knows 8128 threads, and takes each fiber for one */
#else
#define MANY "10000"
#endif

/* A run of ten thousand calls at once; and runs of one, the first while there is room in the
 * minute, the second when it is used up. */
static void
many_and_one(struct life *l)
{
    begin(l, "0 " MANY " 1 -1 500 1");
    failed(l, fiber_sleep(20250));
    begin(l, "1 1 1 -1 500");
    failed(l, fiber_sleep(30000));
    begin(l, "2 1 1 -1 500");
    failed(l, run_wait(l->runs.at[2], DEADLINE_NONE));
    run_interrupt(l->runs.at[0]);
    vec_each (&l->runs, r) {
        failed(l, run_wait(*r, DEADLINE_NONE));
        run_unref(*r);
    }
    l->runs.len = 0;
}

static void
one_beside_many(void **state)
{
    (void)state;
    struct life l = {.limits = "{\"rpm\":600,\"max_concurrency\":7}", .play = many_and_one};
    int64_t at[3] = {0}, asked[3] = {0}, first_after = INT64_MAX;
    ledger_reset();
    live(&l);
    for (size_t i = 0; i < ledger.len; i++) {
        at[ledger.at[i].run] = ledger.at[i].at;
        asked[ledger.at[i].run] = ledger.at[i].asked;
    }
    for (size_t i = 0; i < ledger.len; i++) {
        if (ledger.at[i].at >= asked[2])
            first_after = MIN(first_after, ledger.at[i].at);
    }
    assert_int_equal(asked[1], 20250);
    assert_int_equal(at[1], 20500); /* as soon as a call of the other ends */
    assert_int_equal(asked[2], 50250);
    assert_int_equal(at[2], first_after); /* as soon as the minute moves on */
    assert_int_equal(first_after, 60000);
    assert_true(peak(60000, false) <= 600 && most_at_once <= 7);
    ledger_reset();
}

/* ---- what nobody knows beforehand ------------------------------------------------------------ */

static void
wrong_estimates(struct life *l)
{
    for (unsigned i = 0; i < 50; i++) {
        AUTO(freep) char *message = xasprintf("%u 10 400 %d 2000", i, tokens_each);
        begin(l, message);
    }
}

/* Each call takes four times what was said, or an eighth: what a minute had too much, by the calls
 * under way, the next has less; and what was reserved for nothing is used. */
static void
corrections(void **state)
{
    (void)state;
    static const int said[] = {100, 3200};
    for (size_t i = 0; i < COUNT(said); i++) {
        struct life l = {.limits = "{\"tpm\":9000,\"max_concurrency\":7}", .play = wrong_estimates};
        ledger_reset();
        tokens_each = said[i];
        live(&l);
        int64_t error = 7 * 600, one = peak(60000, true), two = peak(120000, true),
                ten = peak(600000, true);
        print_message("           said %d: most tokens in 1, 2 and 10 minutes %lld, %lld, %lld; "
                      "%.0f a minute\n",
                      said[i], (long long)one, (long long)two, (long long)ten, per_minute(true));
        assert_true(one <= 9000 + error);
        assert_true(two <= 2 * 9000 + error);
        assert_true(ten <= 10 * 9000 + error);
        assert_true(per_minute(true) >= 0.9 * 9000);
    }
    ledger_reset();
}

/* ---- lives ----------------------------------------------------------------------------------- */

static struct err *
resume_one(void *ctx, const struct store_run *row)
{
    struct life *l = ctx;
    struct run *r = NULL;
    PASS(engine_resume(l->e, row->id, NULL, &r));
    vec_push(&l->runs, r);
    l->resumed++;
    return NULL;
}

static void
some_runs(struct life *l)
{
    if (l->resume) {
        failed(l, store_list(l->store, &(struct store_filter){.live_only = true}, resume_one, l));
        return;
    }
    for (unsigned i = 0; i < 9; i++) {
        AUTO(freep) char *message = xasprintf("%u 12 100 -1 700", i);
        begin(l, message);
    }
}

/* Killed after n calls, at any n, and begun anew at once: no minute has more than it may, whichever
 * life its calls are of; and what a death costs is one block. */
static void
restarts(void **state)
{
    (void)state;
    for (unsigned n = 1; n < 70; n += 4) {
        struct life l = {.limits = "{\"rpm\":40,\"tpm\":4000,\"max_concurrency\":5}",
                         .mem = store_mem_new(),
                         .play = some_runs};
        ledger_reset();
        crash_after = n;
        live(&l);
        assert_int_equal(ledger.len, n);
        crash_after = 0;
        l.resume = true;
        live(&l);
        assert_true(ledger.len >= 12 * l.resumed);
        assert_true(peak(60000, false) <= 40);
        assert_true(peak(60000, true) <= 4000);
        assert_true(per_minute(false) >= 0.7 * 40);
        store_mem_free(l.mem);
    }
    ledger_reset();
}

static void
few_runs(struct life *l)
{
    begin(l, l->resume ? "1 1 10 -1 10" : "0 40 10 -1 10");
}

/* Ended in order, nothing is lost: what was left of the minute is there for the next. */
static void
in_order(void **state)
{
    (void)state;
    struct life l = {.limits = "{\"rpm\":41}", .mem = store_mem_new(), .play = few_runs};
    ledger_reset();
    live(&l);
    assert_int_equal(ledger.len, 40);
    l.resume = true;
    live(&l);
    assert_int_equal(ledger.len, 41);
    assert_true(ledger.at[40].at - ledger.at[40].asked < 10);
    live(&l);
    assert_int_equal(ledger.len, 42);
    assert_true(ledger.at[41].at >= 60000);
    store_mem_free(l.mem);
    ledger_reset();
}

static int64_t stopped_commit, failures;

static bool
one_is_stopped(void *ctx, int64_t n, bool after)
{
    (void)ctx;
    return after || n != stopped_commit;
}

static void
hiccup(struct life *l)
{
    store_on_commit(l->store, one_is_stopped, NULL);
    begin(l, "0 3 10 -1 10");
    if (!l->runs.len) { /* it could not even begin */
        str_fini(&l->failed);
        return;
    }
    struct run *r = vec_pop(&l->runs);
    err_drop(run_wait(r, DEADLINE_NONE)); /* its journal could not be written: it goes on later */
    failures += run_state(r) == RUN_FAILED;
    run_unref(r);
}

/* A store that fails for a moment is no failure of a call: windows that cannot be written are tried
 * again, as calls are. */
static void
store_fails(void **state)
{
    (void)state;
    failures = 0;
    for (stopped_commit = 1; stopped_commit < 8; stopped_commit++) {
        struct life l = {.limits = "{\"rpm\":40}", .play = hiccup};
        ledger_reset();
        live(&l);
    }
    assert_int_equal(failures, 0);
    ledger_reset();
}

TESTS(limits_test, cmocka_unit_test(thousand_runs), cmocka_unit_test(one_beside_many),
      cmocka_unit_test(corrections), cmocka_unit_test(restarts), cmocka_unit_test(in_order),
      cmocka_unit_test(store_fails))
