/* seedrun.c - the lives of one seed.
 *
 * A life is a runtime from opening to closing or crash. The store's memory, the world and the wall
 * clock go on; the run is started once and resumed until it has a lawful end. */
#include "seedrun.h"
#include "engine/tell.h"
#include "rt/fiber.h"
#include "rt/rt.h"
#include "seedcore.h"
#include "seedplan.h"
#include <stdlib.h>
#include <string.h>

#define WALL_START   1767225600000
#define LIFE_MS_MAX  ((int64_t)3 * 86400 * 1000)
#define SWITCHES_MAX 500000
#define GRACE_MS     15000 /* a cancelled or timed-out run has ended by then */
#define LIVES_MAX    60

struct life {
    struct seed *s;
    struct app *app;
    struct run *run;
    int64_t crash_at_commit, break_at_commit; /* 0: never; so the next three */
    int64_t crash_at_ms, interrupt_at_ms, cancel_at_ms;
    bool before, cancel_stored;
    bool crashed, broke, interrupted;
    int64_t cancelled_ms; /* when; 0: not */
    struct scope scope;
};

static void
on_event(void *ctx, const struct run_event *ev)
{
    audit_event(ctx, ev);
}

/* ---- trouble --------------------------------------------------------------------------------- */

static bool
on_commit(void *ctx, int64_t n, bool after)
{
    struct life *l = ctx;
    if (l->broke)
        return false; /* a disk that is full stays so */
    if (after == l->before)
        return true;
    if (n == l->break_at_commit) {
        l->broke = true;
        return false;
    }
    if (n != l->crash_at_commit)
        return true;
    l->crashed = true;
    sim_crash();
    return after;
}

static bool
sleep_ms(int64_t ms)
{
    struct err *e = fiber_sleep(ms);
    bool slept = !e;
    err_free(e);
    return slept;
}

static void
crash_later(void *arg)
{
    struct life *l = arg;
    if (!sleep_ms(l->crash_at_ms) || l->crashed)
        return;
    l->crashed = true;
    sim_crash();
}

static void
interrupt_later(void *arg)
{
    struct life *l = arg;
    if (!sleep_ms(l->interrupt_at_ms) || run_is_over(l->run))
        return;
    l->interrupted = true;
    run_interrupt(l->run);
}

static void
cancel_later(void *arg)
{
    struct life *l = arg;
    if (!sleep_ms(l->cancel_at_ms) || run_is_over(l->run))
        return;
    if (!l->cancel_stored) {
        l->cancelled_ms = rt_now_ms();
        run_cancel(l->run);
        return;
    }
    struct err *e = engine_cancel_stored(app_engine(l->app), l->s->id, false);
    if (!e && !run_is_over(l->run)) {
        l->cancelled_ms = rt_now_ms();
        l->s->cancelled = true;
    }
    err_free(e); /* it may have ended, or the store is broken */
}

/* Somebody says the next thing; what becomes of it is noted. */
static void
speak(struct seed *s, struct engine *engine)
{
    static const char *const words[] = {"say", "say", "yes", "yes", "bye"};
    const size_t n = json_array_size(s->sends) + 1;
    const unsigned word = dice_below(&s->dice, n > 12 ? 5 : 4 + (n > 4));
    AUTO(freep) char *text = xasprintf("%s %zu", n > 30 ? "bye" : words[word], n);
    json_t *send =
        json_pack("{ss ss sI}", "text", text, "outcome", "unknown", "began", ++s->moment);
    AUTO(freep) char *busy = NULL;
    json_array_append_new(s->sends, send);
    struct err *e = engine_send(engine, s->id, text, &busy);
    const bool nothing = e && (err_kind(e) == ERR_INVALID || err_kind(e) == ERR_MISSING);
    const char *outcome = nothing ? "refused" : e ? "unknown" : busy ? "answered busy" : "taken";
    json_object_set_new(send, "outcome", json_string(outcome));
    json_object_set_new(send, "ended", json_integer(++s->moment));
    err_free(e);
}

static void
people(void *arg)
{
    struct life *l = arg;
    while (sleep_ms(dice_between(&l->s->dice, 5, dice_chance(&l->s->dice, 50) ? 200 : 8000)) &&
           !run_is_over(l->run))
        speak(l->s, app_engine(l->app));
}

/* Now and then nobody is reached. */
static void
weather(void *arg)
{
    struct life *l = arg;
    struct dice d = {l->s->number ^ (uint64_t)l->s->out->lives << 40};
    for (bool off = false; sleep_ms(dice_between(&d, 100, off ? 5000 : 60000)); off = !off)
        sim_http_refuse(!off);
}

static void
give_up_later(void *arg)
{
    struct life *l = arg;
    if (!sleep_ms(LIFE_MS_MAX))
        return;
    seed_fault(l->s, "it hangs: nothing has come of it for three days");
    l->crashed = l->s->over = true;
    sim_crash();
}

static void
life_draw(struct life *l)
{
    struct dice *d = &l->s->dice;
    if (!l->s->troubles)
        return;
    l->s->troubles--;
    l->before = dice_chance(d, 50);
    l->cancel_stored = dice_chance(d, 50);
    int64_t at_ms = dice_between(d, 1, dice_chance(d, 50) ? 1000 : 60000);
    int64_t at_commit = dice_between(d, 1, dice_chance(d, 50) ? 8 : 30);
    unsigned what = dice_below(d, 14);
    if (what < 4)
        l->crash_at_commit = at_commit;
    else if (what < 6)
        l->break_at_commit = at_commit;
    else if (what < 9)
        l->crash_at_ms = at_ms;
    else if (what < 11)
        l->interrupt_at_ms = at_ms;
    else if (what < 12)
        l->cancel_at_ms = at_ms;
    if (l->cancel_at_ms && l->cancel_stored &&
        dice_chance(d, 50)) /* before its owner has seen it */
        l->crash_at_ms = at_ms + dice_between(d, 0, 150);
}

static void
trouble_start(struct life *l)
{
    scope_open(&l->scope, DEADLINE_NONE);
    scope_spawn(&l->scope, "give-up", give_up_later, l);
    scope_spawn(&l->scope, "weather", weather, l);
    for (unsigned i = l->s->talks ? dice_below(&l->s->dice, 3) : 0; i; i--)
        scope_spawn(&l->scope, "people", people, l);
    if (l->crash_at_ms)
        scope_spawn(&l->scope, "crash", crash_later, l);
    if (l->interrupt_at_ms)
        scope_spawn(&l->scope, "interrupt", interrupt_later, l);
    if (l->cancel_at_ms)
        scope_spawn(&l->scope, "cancel", cancel_later, l);
}

static void
trouble_end(struct life *l)
{
    scope_end(&l->scope);
    sim_http_refuse(false);
    l->crash_at_ms = l->interrupt_at_ms = l->cancel_at_ms = 0; /* once in a life */
}

/* A run that nobody has may be cancelled between two lives. */
static void
cancel_between(struct life *l)
{
    struct seed *s = l->s;
    if (!*s->id || s->cancelled || !dice_chance(&s->dice, 3))
        return;
    const bool force = dice_chance(&s->dice, 50);
    struct err *e = engine_cancel_stored(app_engine(l->app), s->id, force);
    s->cancelled = !e;
    s->forced = !e && force;
    str_addf(&s->out->story, "  cancelled in the store: %s\n", e ? "not" : "done");
    err_free(e);
}

/* ---- starting -------------------------------------------------------------------------------- */

static struct err *
go_first(struct life *l)
{
    AUTO(spec_freep) struct spec *spec = NULL;
    AUTO(json_freep) json_t *input = json_string("go");
    struct flow *flow = NULL;
    bool existing = false;
    const char *text = l->s->out->plan;
    PASS(app_load_text(l->app, "seed.json", text, strlen(text), &spec));
    PASS(app_flow(l->app, spec, "main", &flow));
    struct run_request req = {.flow = flow, .input = input, .run_id = "the-one"};
    struct err *e = engine_start(app_engine(l->app), &req, &l->run, &existing);
    flow_unref(flow);
    PASS(e);
    memcpy(l->s->id, run_id(l->run), RUN_ID_LEN);
    if (!existing)
        return NULL;
    run_unref(STEAL(l->run)); /* a former life made it and did not learn so */
    return app_resume(l->app, l->s->id, l->s->in_doubt, &l->run);
}

static struct err *
go(struct life *l)
{
    struct seed *s = l->s;
    if (!*s->id)
        return go_first(l);
    PASS(engine_history(app_engine(l->app), s->id, audit_history, s));
    if (str_eq(s->in_doubt, "retry"))
        s->retries++;
    return app_resume(l->app, s->id, s->in_doubt, &l->run);
}

/* ---- what came of it ------------------------------------------------------------------------- */

static void
check_time(struct life *l, int64_t began_ms)
{
    const json_t *main = json_at(l->s->spec, "workflows", "main", NULL);
    const char *timeout = json_str(main, "timeout", NULL);
    long long took = rt_now_ms() - began_ms, after = rt_now_ms() - l->cancelled_ms;
    if (l->s->undoes) /* neither ends that */
        return;
    if (timeout && !l->s->talks && /* the time in which people are waited for is not counted */
        took > atoll(timeout) + GRACE_MS)
        seed_fault(l->s, "the workflow's timeout is %s and the run took %lld ms", timeout, took);
    if (l->cancelled_ms && after > GRACE_MS)
        seed_fault(l->s, "it went on for %lld ms after it was cancelled", after);
}

static void
take_end(struct life *l, json_t *doc)
{
    struct seed *s = l->s;
    AUTO(json_freep) json_t *stored = NULL;
    const char *status = json_str(doc, "status", "");
    struct err *e = engine_document(app_engine(l->app), s->id, &stored);
    if (e && !l->broke)
        seed_fault_err(s, "reading the document", STEAL(e));
    else if (!e && !json_equal(stored, doc))
        seed_fault(s, "the journal tells another document than the run");
    err_free(e);
    if (s->cancelled && !l->cancelled_ms && !str_eq(status, "cancelled") &&
        (!s->undoes || str_eq(status, "completed"))) /* it may end first */
        seed_fault(s, "it was cancelled, and is %s", status);
    json_decref(s->doc);
    s->doc = json_incref(doc);
    s->over = true;
    snprintf(s->out->status, sizeof s->out->status, "%s", status);
}

static bool
is_end(const char *status)
{
    return str_eq(status, "completed") || str_eq(status, "partial") || str_eq(status, "failed") ||
           str_eq(status, "cancelled") || str_eq(status, "compensated");
}

/* Whoever is asked about an undo says something. */
static void
questions_answer(struct life *l, const json_t *doc)
{
    const json_t *q;
    size_t i;
    json_array_foreach (json_object_get(doc, "waits"), i, q) {
        const json_t *choices = json_object_get(q, "choices");
        AUTO(json_freep) json_t *question = NULL;
        if (!json_array_size(choices) || dice_chance(&l->s->dice, 20))
            continue;
        const uint32_t nth = dice_below(&l->s->dice, (unsigned)json_array_size(choices));
        const struct answer a = {.run = l->s->id,
                                 .path = json_str(q, "path", ""),
                                 .value = json_array_get(choices, nth)};
        err_free(engine_answer(app_engine(l->app), &a, &question)); /* the store may be broken */
    }
}

/* The run is not going on here: has it ended, does it wait, or shall it go on in another life? */
static void
take_outcome(struct life *l)
{
    static const char *const beliefs[] = {"retry", "done", "fail", "park"};
    struct seed *s = l->s;
    AUTO(json_freep) json_t *doc = NULL;
    struct err *read = run_document(l->run, true, &doc);
    if (read)
        seed_fault(s, "its document cannot be read");
    err_free(read);
    const char *status = json_str(doc, "status", "");
    s->in_doubt = NULL;
    if (is_end(status)) {
        take_end(l, doc);
    } else if (str_eq(status, "waiting")) {
        s->in_doubt = beliefs[dice_below(&s->dice, ++s->doubts < 8 ? 4 : 3)];
        questions_answer(l, doc);
        if (s->talks && dice_chance(&s->dice, 80))
            speak(s, app_engine(l->app));
    } else if (!l->interrupted) {
        seed_fault(s, "it is %s, and nothing goes on", status);
        s->over = true;
    }
    str_addf(&s->out->story, "  %s at %lld ms, belief for the next life: %s\n", status,
             (long long)rt_now_ms(), s->in_doubt ? s->in_doubt : "none");
}

/* It could not be started or resumed, or its journal could not be written. */
static void
take_error(struct life *l, struct err *failed)
{
    struct seed *s = l->s;
    AUTO(json_freep) json_t *doc = NULL;
    AUTO(freep) char *text = err_text(failed);
    bool has_ended = strstr(text, "has ended") != NULL;
    str_addf(&s->out->story, "  error: %s\n", text);
    err_free(failed);
    if (l->crashed || (l->broke && !has_ended))
        return;
    struct err *e = has_ended ? engine_document(app_engine(l->app), s->id, &doc) : NULL;
    if (e)
        seed_fault_err(s, "reading the document", e);
    else if (doc)
        take_end(l, doc);
    else
        seed_fault(s, "it cannot go on: %s", text);
    s->over = true;
}

static void
check_store(struct life *l)
{
    struct store_invariants inv = {0};
    struct err *e = store_check(app_store(l->app), &inv);
    if (e)
        seed_fault_err(l->s, "checking the store", e);
    else if (inv.lost_runs || inv.gaps || inv.orphans || inv.damaged)
        seed_fault(l->s, "the store: %lld lost, %lld gaps, %lld orphans, %lld damaged",
                   (long long)inv.lost_runs, (long long)inv.gaps, (long long)inv.orphans,
                   (long long)inv.damaged);
}

/* ---- one life -------------------------------------------------------------------------------- */

/* Once more within this life, when it was interrupted or waited and the dice say so. */
static void
go_on(struct life *l)
{
    bool again = true;
    while (again && !l->crashed && !l->broke && !l->s->over) {
        int64_t began_ms = rt_now_ms();
        l->interrupted = false;
        struct err *e = go(l);
        if (!e) {
            trouble_start(l);
            e = run_wait(l->run, DEADLINE_NONE);
            trouble_end(l);
        }
        again = !e && dice_chance(&l->s->dice, 50);
        if (e) {
            take_error(l, e);
        } else if (!l->crashed) {
            check_time(l, began_ms);
            audit_roster(l->s, l->app);
            take_outcome(l);
        }
        run_unref(STEAL(l->run));
    }
}

static void
life_main(void *arg)
{
    struct life *l = arg;
    struct seed *s = l->s;
    chaos_enter(&s->world);
    sim_set_wall_ms(s->wall_ms);
    struct err *e = app_open(&(struct app_opts){.mem = s->mem}, &l->app);
    if (e) {
        seed_fault_err(s, "opening", e);
        s->over = true;
        return;
    }
    for (unsigned i = 1; i < s->out->lives; i++)
        (void)rt_random_below(2); /* another order of switches, with the same installation's key */
    store_on_commit(app_store(l->app), on_commit, l);
    engine_subscribe(app_engine(l->app), on_event, s);
    cancel_between(l);
    go_on(l);
    if (!l->crashed)
        check_store(l);
    app_close(l->app);
    if (l->crashed || !sleep_ms(1000))
        return;
    if (s->world.requests.len || s->world.programs)
        seed_fault(s, "%zu requests and %u programs outlived the process", s->world.requests.len,
                   s->world.programs);
}

static void
life_tell(const struct life *l)
{
    str_addf(
        &l->s->out->story,
        "life %u: crash at commit %lld or %lld ms, break at commit %lld (%s), interrupt at %lld "
        "ms, cancel at %lld ms%s\n",
        l->s->out->lives, (long long)l->crash_at_commit, (long long)l->crash_at_ms,
        (long long)l->break_at_commit, l->before ? "before" : "after",
        (long long)l->interrupt_at_ms, (long long)l->cancel_at_ms,
        l->cancel_stored ? " in the store" : "");
}

static void
life_run(struct seed *s)
{
    struct life l = {.s = s};
    struct rt *rt;
    struct rt_stats stats;
    s->out->lives++;
    life_draw(&l);
    life_tell(&l);
    err_drop(rt_open(&(struct rt_opts){.simulated = true, .seed = s->number}, &rt));
    rt_run(rt, life_main, &l);
    if (sim_crashed() && !l.crashed) {
        seed_fault(s, "deadlock: every fiber waited for something that could not come");
        s->over = true;
    }
    rt_stats(&stats);
    if (stats.switches > SWITCHES_MAX)
        seed_fault(s, "%llu switches in one life", (unsigned long long)stats.switches);
    s->wall_ms = rt_wall_ms() + dice_between(&s->dice, 0, 100000);
    s->out->virtual_ms += rt_now_ms();
    s->out->digest = s->out->digest * 31 + sim_digest();
    rt_close(rt); /* asserts that no fiber is left */
}

/* ---- a seed ---------------------------------------------------------------------------------- */

static void
seed_begin(struct seed *s, uint64_t seed, struct seed_result *ret)
{
    static const unsigned percents[] = {0, 3, 10, 25, 50};
    struct dice d = {seed};
    d.state = dice_next(&d); /* neighbours would else draw the same numbers, one later */
    *ret = (struct seed_result){.plan = seedplan_make(&d)};
    *s = (struct seed){.number = seed,
                       .out = ret,
                       .mem = store_mem_new(),
                       .wall_ms = WALL_START,
                       .recorded = json_object(),
                       .ended = json_object(),
                       .keys = json_object(),
                       .key_of = json_object(),
                       .ready = json_object(),
                       .undone = json_object(),
                       .records = json_array(),
                       .sends = json_array(),
                       .talks = strstr(ret->plan, "\"session\"") != NULL,
                       .undoes = strstr(ret->plan, "\"compensate\"") != NULL};
    uint64_t of_world = dice_next(&d);
    chaos_init(&s->world, of_world, percents[dice_below(&d, COUNT(percents))]);
    s->world.on_once = audit_once;
    s->world.ctx = s;
    s->dice.state = dice_next(&d);
    s->troubles = dice_below(&s->dice, 7);
    struct err *e = json_parse(ret->plan, strlen(ret->plan), &s->spec);
    if (e)
        seed_fault_err(s, "the plan is not JSON", e);
}

static void
seed_end(struct seed *s)
{
    chaos_fini(&s->world);
    store_mem_free(s->mem);
    json_decref(s->spec);
    json_decref(s->recorded);
    json_decref(s->ended);
    json_decref(s->keys);
    json_decref(s->key_of);
    json_decref(s->ready);
    json_decref(s->undone);
    json_decref(s->records);
    json_decref(s->sends);
    json_decref(s->doc);
}

/* By the count of the model itself. */
static void
audit_money(struct seed *s)
{
    const json_t *budget =
        json_object_get(json_object_get(json_object_get(s->spec, "workflows"), "main"), "budget");
    const double spent = (double)s->world.charged * CHAOS_TOKEN_USD,
                 limit = json_num(budget, "usd", 1e9);
    if (!json_object_get(budget, "mode") && spent > limit + 1e-9)
        seed_fault(s, "%g USD were spent of a budget of %g", spent, limit);
}

void
seed_run(uint64_t seed, struct seed_result *ret)
{
    struct seed s;
    seed_begin(&s, seed, ret);
    while (!s.over && ret->lives < LIVES_MAX)
        life_run(&s);
    if (!s.over)
        seed_fault(&s, "no end after %u lives", ret->lives);
    audit_afterwards(&s);
    if (s.doc)
        seedplan_judge(&(struct seed_case){s.spec, s.doc, s.records, s.sends}, &ret->faults);
    unsigned most = seedplan_http_max(s.spec);
    if (s.world.requests_max > most)
        seed_fault(&s, "%u requests at once, where %u are allowed", s.world.requests_max, most);
    audit_money(&s);
    seed_end(&s);
}

void
seed_result_fini(struct seed_result *r)
{
    str_fini(&r->faults);
    str_fini(&r->story);
    str_fini(&r->journal);
    free(r->plan);
}
