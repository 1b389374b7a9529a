/* broker_test.c - calls that use several limits at once, that give up, that wait for too long, and
 * windows in a store that fails or has nonsense. In virtual time. */
#include "base/test.h"
#include "engine/step/brokercore.h"
#include "rt/sim.h"

static struct str out; /* what happened; compared outside of the fibers */
static struct store *store;
static struct broker *b;

struct stage {
    struct store_mem *mem;
    void (*play)(void);
};

static void
stage_main(void *arg)
{
    const struct stage *s = arg;
    struct err *e = store_open(&(struct store_opts){.mem = s->mem}, &store);
    if (e)
        str_add(&out, "no store\n");
    err_free(e);
    b = broker_new(store);
    s->play();
    broker_free(b);
    store_close(store);
}

static void
stage(struct store_mem *mem, void (*play)(void), const char *want)
{
    struct rt *rt;
    struct stage s = {mem, play};
    str_reset(&out);
    assert_ok(rt_open(&(struct rt_opts){.simulated = true, .seed = 3}, &rt));
    rt_run(rt, stage_main, &s);
    rt_close(rt);
    assert_string_equal(str_c(&out), want);
    str_fini(&out);
}

static void
note(const char *what, struct err *OWN e)
{
    AUTO(freep) char *text = e ? err_text(e) : xstrdup("ok");
    str_addf(&out, "%lld %s: %s\n", (long long)rt_now_ms(), what, text);
    err_free(e);
}

static struct limit_need *
need_of(const char *first, struct limit_set set, const char *second, int64_t at_once)
{
    const struct limit_claim claims[] = {
        {.key = first, .name = first, .set = set},
        {.key = second, .name = second, .set = {.max_concurrency = at_once}}};
    return broker_need(b, claims, second ? 2 : 1);
}

struct call { /* made in a fiber of its own */
    const char *name;
    struct limit_need *need;
    int64_t takes_ms, tokens, begins_ms;
    int priority;
    struct scope scope;
    struct limit_wait wait;
    bool late;
};

static void
slow(void *ctx, const struct limit_wait *w)
{
    const struct call *c = ctx;
    str_addf(&out, "%lld %s: waits for %s of %s, %lld ms, %zu waiting\n", (long long)rt_now_ms(),
             c->name, limit_reason_text(w->reason), w->name, (long long)w->wait_ms, w->waiting);
}

static struct err *
call_make(struct call *c)
{
    struct admission a = {.need = c->need};
    const struct limit_ask ask = {
        .flow = c->name, .priority = c->priority, .tokens = c->tokens, .slow = slow, .ctx = c};
    PASS(broker_admit(b, &ask, &a, &c->late, &c->wait));
    if (c->late)
        return NULL;
    str_addf(&out, "%lld %s\n", (long long)rt_now_ms(), c->name);
    struct err *e = fiber_sleep(c->takes_ms);
    admission_end(b, &a,
                  &(struct call_end){
                      .tokens = -1, .well = !e, .said = {LIMIT_SAID_NOTHING, LIMIT_SAID_NOTHING}});
    return e;
}

static void
call_main(void *arg)
{
    struct call *c = arg;
    scope_open(&c->scope, DEADLINE_NONE);
    struct err *e = fiber_sleep(c->begins_ms);
    if (!e)
        e = call_make(c);
    if (e)
        note(c->name, e);
    err_free(scope_close(&c->scope));
}

static void
calls(struct scope *scope, struct call *c, size_t n)
{
    scope_open(scope, DEADLINE_NONE);
    for (size_t i = 0; i < n; i++)
        scope_spawn(scope, c[i].name, call_main, &c[i]);
}

/* ---- several limits at once ------------------------------------------------------------------ */

/* x lacks its agent and lets y pass, who does not need it; z comes after x, whose agent is the
 * same. */
static void
narrower(void)
{
    struct limit_need *ma = need_of("m", (struct limit_set){.max_concurrency = 2}, "a", 1);
    struct limit_need *m = need_of("m", (struct limit_set){0}, NULL, 0);
    struct call c[] = {{.name = "w", .need = ma, .takes_ms = 100},
                       {.name = "x", .need = ma, .takes_ms = 10, .begins_ms = 1},
                       {.name = "y", .need = m, .takes_ms = 20, .begins_ms = 2},
                       {.name = "z", .need = ma, .takes_ms = 10, .begins_ms = 3},
                       {.name = "v", .need = m, .takes_ms = 200, .begins_ms = 50},
                       {.name = "u", .need = m, .takes_ms = 10, .begins_ms = 60}};
    struct scope scope;
    calls(&scope, c, COUNT(c));
    err_drop(scope_close(&scope));
    broker_need_free(ma);
    broker_need_free(m);
}

/* Anything at any time, through five combinations of four limits: never more at once than each
 * allows, nobody is left over. */
enum { RANDOM = 400 };
static struct call random_call[RANDOM];
static int at_once[4], most[4];

static void
random_main(void *arg)
{
    static const unsigned uses[][3] = {{0, 1, 9}, {0, 2, 9}, {0, 9, 9}, {3, 1, 9}, {3, 9, 9}};
    struct call *c = arg;
    const unsigned *use = uses[(size_t)(c - random_call) % COUNT(uses)];
    struct admission a = {.need = c->need};
    struct limit_ask ask = {.flow = c->name, .priority = c->priority};
    struct scope scope;
    scope_open(&scope, c->begins_ms % 3 ? DEADLINE_NONE : rt_after(c->begins_ms + 40));
    struct err *e = fiber_sleep(c->begins_ms);
    if (!e)
        e = broker_admit(b, &ask, &a, &c->late, &c->wait);
    if (!e) {
        for (unsigned i = 0; use[i] < 4; i++) {
            at_once[use[i]]++;
            most[use[i]] = MAX(most[use[i]], at_once[use[i]]);
        }
        err_drop(fiber_sleep(c->takes_ms));
        for (unsigned i = 0; use[i] < 4; i++)
            at_once[use[i]]--;
        if (c->takes_ms % 5 == 0)
            admission_cancel(b, &a);
        else
            admission_end(b, &a,
                          &(struct call_end){.tokens = -1,
                                             .refused = c->takes_ms % 17 == 0,
                                             .retry_after_ms = 3,
                                             .said = {LIMIT_SAID_NOTHING, LIMIT_SAID_NOTHING}});
    }
    err_free(e);
    err_free(scope_close(&scope));
}

static void
stats_check(void *ctx, const struct limit_stats *s)
{
    (void)ctx;
    if (s->in_flight || s->waiting)
        str_addf(&out, "%s has %d in flight and %d waiting\n", s->name, (int)s->in_flight,
                 (int)s->waiting);
}

static void
at_random(void)
{
    static char names[RANDOM][8];
    const struct limit_set m = {.max_concurrency = 5}, n = {.max_concurrency = 3};
    struct limit_need *needs[] = {need_of("m", m, "a", 2), need_of("m", m, "b", 1),
                                  need_of("m", m, NULL, 0), need_of("n", n, "a", 2),
                                  need_of("n", n, NULL, 0)};
    struct scope scope;
    scope_open(&scope, DEADLINE_NONE);
    for (unsigned i = 0; i < RANDOM; i++) {
        snprintf(names[i], sizeof names[i], "r%u", i % 37);
        random_call[i] = (struct call){.name = names[i],
                                       .need = needs[i % COUNT(needs)],
                                       .takes_ms = (int64_t)rt_random_below(60),
                                       .begins_ms = (int64_t)rt_random_below(300),
                                       .priority = (int)rt_random_below(5) - 2};
        scope_spawn(&scope, names[i], random_main, &random_call[i]);
    }
    err_drop(scope_close(&scope));
    str_addf(&out, "most at once: %d %d %d %d\n", most[0], most[1], most[2], most[3]);
    broker_stats(b, stats_check, NULL);
    for (size_t i = 0; i < COUNT(needs); i++)
        broker_need_free(needs[i]);
    str_addf(&out, "%zu things\n", map_len(b->targets));
}

static void
several(void **state)
{
    (void)state;
    stage(NULL, narrower, "0 w\n2 y\n50 v\n100 x\n110 z\n120 u\n");
    stage(NULL, at_random, "most at once: 5 2 1 3\n4 things\n");
}

/* ---- giving up, and waiting for long --------------------------------------------------------- */

/* The first in the line is too large, and gives up: those behind it go at once. */
static void
gives_up(void)
{
    struct limit_need *m = need_of("m", (struct limit_set){.tpm = 1000}, NULL, 0);
    struct call c[] = {{.name = "first", .need = m, .tokens = 500},
                       {.name = "large", .need = m, .tokens = 600, .begins_ms = 10},
                       {.name = "small", .need = m, .tokens = 100, .begins_ms = 20}};
    struct scope scope;
    calls(&scope, c, COUNT(c));
    err_drop(fiber_sleep(2000));
    scope_cancel(&c[1].scope);
    err_drop(scope_close(&scope));
    broker_need_free(m);
}

static void
stats_tell(void *ctx, const struct limit_stats *s)
{
    (void)ctx;
    str_addf(&out,
             "%s: rpd %lld, %lld of %lld used, %lld admitted, waited %lld and %lld at most, "
             "%lld refused, held %lld\n",
             s->name, (long long)s->set.rpd, (long long)s->used[1], (long long)s->set.rpd,
             (long long)s->admitted, (long long)s->waited_ms, (long long)s->waited_ms_max,
             (long long)s->refused, (long long)s->held_ms);
}

/* All who wait are told, and who comes then too; who uses the agent alone goes on. */
static void
for_long(void)
{
    struct limit_need *m = need_of("m", (struct limit_set){.rpd = 2, .max_concurrency = 1}, "a", 9);
    struct limit_need *a = need_of("a", (struct limit_set){0}, NULL, 0);
    struct call c[] = {{.name = "one", .need = m, .takes_ms = 50},
                       {.name = "two", .need = m, .begins_ms = 10, .takes_ms = 50},
                       {.name = "three", .need = m, .begins_ms = 20},
                       {.name = "four", .need = m, .begins_ms = 300},
                       {.name = "five", .need = a, .begins_ms = 400}};
    struct scope scope;
    calls(&scope, c, COUNT(c));
    err_drop(scope_close(&scope));
    for (size_t i = 0; i < COUNT(c); i++) {
        if (c[i].late)
            str_addf(&out, "%s: late, %s of %s, %lld ms\n", c[i].name,
                     limit_reason_text(c[i].wait.reason), c[i].wait.name,
                     (long long)c[i].wait.wait_ms);
    }
    broker_stats(b, stats_tell, NULL);
    broker_need_free(m);
    broker_need_free(a);
}

/* One that is too large for the rest of the day is told so; what fits behind it goes on. */
static void
large_for_long(void)
{
    struct limit_need *m =
        need_of("m", (struct limit_set){.tpd = 3000, .max_concurrency = 1}, NULL, 0);
    struct call c[] = {{.name = "one", .need = m, .tokens = 2500, .takes_ms = 50},
                       {.name = "small", .need = m, .tokens = 10, .begins_ms = 10, .takes_ms = 30},
                       {.name = "large", .need = m, .tokens = 1000, .begins_ms = 20},
                       {.name = "less", .need = m, .tokens = 10, .begins_ms = 30}};
    struct scope scope;
    calls(&scope, c, COUNT(c));
    err_drop(scope_close(&scope));
    str_addf(&out, "late: %d %d, %lld ms\n", c[2].late, c[3].late, (long long)c[2].wait.wait_ms);
    broker_need_free(m);
}

/* The narrower one is used up for long: those who need it are told, others go. */
static void
narrow_for_long(void)
{
    const struct limit_claim claims[] = {{.key = "m", .name = "m"},
                                         {.key = "p", .name = "p", .set = {.rpd = 1}}};
    struct limit_need *mp = broker_need(b, claims, 2), *m = broker_need(b, claims, 1);
    struct call c[] = {{.name = "one", .need = mp},
                       {.name = "two", .need = mp, .begins_ms = 5},
                       {.name = "three", .need = m, .begins_ms = 6}};
    struct scope scope;
    calls(&scope, c, COUNT(c));
    err_drop(scope_close(&scope));
    str_addf(&out, "two late: %d\n", c[1].late);
    broker_need_free(mp);
    broker_need_free(m);
}

static void
waits(void **state)
{
    (void)state;
    stage(
        NULL, gives_up,
        "0 first\n1010 large: waits for tpm of m, 58990 ms, 2 waiting\n"
        "1020 small: waits for tpm of m, 58980 ms, 2 waiting\n2000 large: cancelled\n2000 small\n");
    stage(NULL, for_long,
          "0 one\n50 two\n400 five\n"
          "three: late, rpd of m, 86399950 ms\nfour: late, rpd of m, 86399700 ms\n"
          "m: rpd 2, 2 of 2 used, 2 admitted, waited 70 and 40 at most, 0 refused, held 0\n"
          "a: rpd 0, 0 of 0 used, 3 admitted, waited 0 and 0 at most, 0 refused, held 0\n");
    stage(NULL, large_for_long, "0 one\n50 small\n80 less\nlate: 1 0, 86399950 ms\n");
    stage(NULL, narrow_for_long, "0 one\n6 three\ntwo late: 1\n");
}

/* ---- who says what --------------------------------------------------------------------------- */

/* The lowest of what is said holds, as long as it is said. */
static void
claims(void)
{
    struct limit_need *high = need_of("m", (struct limit_set){.rpm = 5, .tpm = 900}, NULL, 0);
    struct limit_need *low = need_of("m", (struct limit_set){.rpm = 2}, NULL, 0);
    struct target *t = high->targets[0];
    str_addf(&out, "%d %d, tokens %d\n", (int)t->limiter.set.rpm, (int)t->limiter.set.tpm,
             (int)limit_need_tokens(low));
    broker_need_free(low);
    str_addf(&out, "%d\n", (int)t->limiter.set.rpm);
    broker_need_free(high);
    broker_need_free(NULL);
    str_addf(&out, "%d\n", (int)t->limiter.set.rpm);
}

/* Beyond some thousands, those that nobody needs any more are forgotten. */
static void
forgotten(void)
{
    for (unsigned i = 0; i < 5000; i++) {
        char key[16];
        snprintf(key, sizeof key, "m%u", i);
        broker_need_free(need_of(key, (struct limit_set){.rpm = 1}, NULL, 0));
    }
    str_addf(&out, "%d\n", map_len(b->targets) <= 4096);
}

/* A provider that refuses holds back everybody, and says so. */
static void
refused(void)
{
    struct limit_need *m = need_of("m", (struct limit_set){0}, NULL, 0);
    struct admission a = {.need = m};
    bool late;
    struct limit_wait w;
    note("admit", broker_admit(b, &(struct limit_ask){.flow = "r"}, &a, &late, &w));
    bool told = admission_end(b, &a,
                              &(struct call_end){.tokens = -1,
                                                 .refused = true,
                                                 .retry_after_ms = 2500,
                                                 .said = {LIMIT_SAID_NOTHING, LIMIT_SAID_NOTHING}});
    str_addf(&out, "told %d\n", told);
    broker_stats(b, stats_tell, NULL);
    note("admit", broker_admit(b, &(struct limit_ask){.flow = "r"}, &a, &late, &w));
    admission_cancel(b, &a);
    admission_cancel(b, &a); /* once is enough */
    broker_need_free(m);
}

static void
said(void **state)
{
    (void)state;
    stage(NULL, claims, "2 900, tokens 900\n5\n5\n");
    stage(NULL, forgotten, "1\n");
    stage(NULL, refused,
          "0 admit: ok\ntold 1\n"
          "m: rpd 0, 0 of 0 used, 1 admitted, waited 0 and 0 at most, 1 refused, held 2500\n"
          "2500 admit: ok\n");
}

/* ---- the store ------------------------------------------------------------------------------- */

static void
two_calls(void)
{
    struct limit_need *m = need_of("m\n\x7f", (struct limit_set){.rpm = 2, .tpm = 100}, NULL, 0);
    struct call c[] = {{.name = "one", .need = m, .tokens = 10},
                       {.name = "two", .need = m, .tokens = 10, .begins_ms = 5}};
    struct scope scope;
    calls(&scope, c, COUNT(c));
    err_drop(scope_close(&scope));
    broker_need_free(m);
}

/* What is stored cannot be read: it begins anew, a minute later. */
static void
nonsense(void)
{
    static const char *const bad[] = {"{", "7", "{\"v\":1,\"block\":[1,1],\"rpm\":[[1]]}"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        char key[16];
        snprintf(key, sizeof key, "limits/n%zu", i);
        note("put", store_kv_put(store, key, bad[i], strlen(bad[i])));
        struct limit_need *m = need_of(key + 7, (struct limit_set){.rpm = 3}, NULL, 0);
        struct call c = {.name = "call", .need = m};
        note("call", call_make(&c));
        broker_need_free(m);
    }
}

static bool
nothing_is_written(void *ctx, int64_t n, bool after)
{
    (void)n;
    return !*(bool *)ctx || after;
}

/* Who waits for a block that cannot be written is told so; the next one tries again. */
static void
unwritable(void)
{
    bool stopped = true;
    struct limit_need *m = need_of("m", (struct limit_set){.rpm = 40}, "a", 9);
    struct limit_need *p = need_of("q", (struct limit_set){0}, NULL, 0);
    const struct limit_claim both[] = {{.key = "q", .name = "q"},
                                       {.key = "m", .name = "m", .set = {.rpm = 40}}};
    struct limit_need *qm = broker_need(b, both, 2);
    store_on_commit(store, nothing_is_written, &stopped);
    struct call c[] = {{.name = "one", .need = m}, {.name = "two", .need = qm, .begins_ms = 1}};
    struct scope scope;
    calls(&scope, c, COUNT(c));
    err_drop(scope_close(&scope));
    stopped = false;
    struct call good = {.name = "good", .need = m};
    note("good", call_make(&good));
    store_on_commit(store, NULL, NULL);
    broker_need_free(m);
    broker_need_free(p);
    broker_need_free(qm);
}

/* Several ask for the same thing for the first time; it is looked for once. */
static void
first_use(void)
{
    struct limit_need *m = need_of("m", (struct limit_set){.rpm = 100}, NULL, 0);
    struct call c[] = {
        {.name = "one", .need = m}, {.name = "two", .need = m}, {.name = "three", .need = m}};
    struct scope scope;
    calls(&scope, c, COUNT(c));
    err_drop(scope_close(&scope));
    str_addf(&out, "loaded %d\n", m->targets[0]->loaded);
    broker_need_free(m);
}

static void
kept(void **state)
{
    (void)state;
    struct store_mem *mem = store_mem_new();
    stage(mem, two_calls, "0 one\n5 two\n");
    stage(mem, two_calls,
          "1000 one: waits for rpm of m\n\x7f, 59000 ms, 2 waiting\n"
          "1005 two: waits for rpm of m\n\x7f, 58995 ms, 2 waiting\n60000 one\n60000 two\n");
    store_mem_free(mem);
    stage(NULL, nonsense,
          "0 put: ok\n1000 call: waits for rpm of n0, 59000 ms, 1 waiting\n60000 call\n"
          "60000 call: ok\n60000 put: ok\n61000 call: waits for rpm of n1, 59000 ms, 1 waiting\n"
          "120000 call\n120000 call: ok\n120000 put: ok\n"
          "121000 call: waits for rpm of n2, 59000 ms, 1 waiting\n180000 call\n180000 call: ok\n");
    stage(NULL, unwritable,
          "0 one: keeping the limits of 'm': the store was stopped at commit 1\n"
          "1 two: keeping the limits of 'm': the store was stopped at commit 2\n"
          "1 good\n1 good: ok\n");
    stage(NULL, first_use, "0 three\n0 one\n0 two\nloaded 1\n");
}

TESTS(broker_test, cmocka_unit_test(several), cmocka_unit_test(waits), cmocka_unit_test(said),
      cmocka_unit_test(kept))
