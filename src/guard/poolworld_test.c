/* poolworld_test.c - the world of the pool's tests. */
#include "guard/poolworld_test.h"
#include "base/test.h"
#include "rt/fiber.h"
#include "rt/rt.h"

#define SAW_MAX 4000

void
world_say(struct world *w, const char *fmt, ...)
{
    va_list ap;
    if (w->nsaw == SAW_MAX)
        return;
    struct saw *s = &w->saw[w->nsaw++];
    s->at_ms = rt_now_ms();
    va_start(ap, fmt);
    vsnprintf(s->text, sizeof s->text, fmt, ap);
    va_end(ap);
}

static int
earlier(const void *a, const void *b)
{
    const struct saw *x = a, *y = b;
    return x->at_ms != y->at_ms ? (x->at_ms > y->at_ms) - (x->at_ms < y->at_ms)
                                : strcmp(x->text, y->text);
}

static void
show(struct world *w)
{
    qsort(w->saw, w->nsaw, sizeof *w->saw, earlier);
    for (size_t i = 0; i < w->nsaw; i++)
        str_addf(&w->log, "%s@%lld ", w->saw[i].text, (long long)w->saw[i].at_ms);
}

static struct err *
thing_open(void *ctx, struct pool_member *m, void **ret_thing)
{
    struct group *g = ctx;
    struct world *w = g->w;
    w->live++;
    w->live_max = MAX(w->live_max, w->live);
    struct err *e = g->open_ms ? fiber_sleep(g->open_ms) : NULL;
    if (!e && g->fail) {
        g->fail--;
        e = FAIL(ERR_MISSING, "no such thing");
    }
    if (e && !g->fail_half) {
        w->live--;
        return e;
    }
    struct thing *t = xcalloc(1, sizeof *t);
    *t = (struct thing){.w = w, .member = m, .group = g->name, .no = ++g->opened};
    if (w->nthings < (int)COUNT(w->things))
        w->things[w->nthings++] = t;
    t->hangs = g->hang > 0;
    g->hang -= t->hangs;
    if (g->lose) {
        g->lose--;
        pool_lost(m, "it went away");
        pool_lost(m, "twice");
    }
    *ret_thing = t;
    return e;
}

static struct err *
thing_check(void *ctx, void *thing)
{
    struct thing *t = thing;
    (void)ctx;
    world_say(t->w, "check %c%d", t->group, t->no);
    PASS(fiber_sleep(5));
    if (t->hangs)
        return FAIL(ERR_TIMEOUT, "it hangs");
    return t->dead ? FAIL(ERR_TRANSIENT, "it is dead") : NULL;
}

static void
thing_close(void *ctx, void *thing, bool broken)
{
    struct group *g = ctx;
    struct thing *t = thing;
    if (g->close_slow) {
        struct err *e = fiber_sleep(100);
        err_drop(e);
    }
    world_say(g->w, "%s %c%d", broken ? "broken" : "close", t->group, t->no);
    g->w->live--;
    free(t);
}

struct err *
world_take(struct world *w, int group, const char *owner, int64_t deadline_ms,
           struct pool_member **m)
{
    return pool_take(w->group[group].g, owner, deadline_ms, m);
}

void
world_use(void *arg)
{
    struct user *u = arg;
    struct pool_member *m;
    struct err *e = u->at_ms ? fiber_sleep(u->at_ms) : NULL;
    if (!e)
        e = world_take(u->w, u->group, u->owner,
                       u->deadline_ms ? rt_after(u->deadline_ms) : DEADLINE_NONE, &m);
    if (e) {
        AUTO(freep) char *text = err_text(e);
        world_say(u->w, "%s: %s: %s%s", u->who ? u->who : "", err_kind_name(err_kind(e)), text,
                  err_retry_after_ms(e) >= 0 ? " (retry)" : "");
        err_free(e);
        return;
    }
    struct thing *t = pool_thing(m);
    world_say(u->w, "%s%s%c%d", u->who ? u->who : "", u->who ? ":" : "", t->group, t->no);
    e = fiber_sleep(u->hold_ms);
    err_drop(e);
    if (u->doubts && (t->hangs || t->dead))
        pool_suspect(m);
    if (u->praises)
        pool_worked(m);
    pool_give(m, u->owner);
}

void
world_use_all(struct world *w, struct user *users, size_t n)
{
    struct scope scope;
    scope_open(&scope, DEADLINE_NONE);
    for (size_t i = 0; i < n; i++) {
        users[i].w = w;
        users[i].at_ms = users[i].at_ms ? users[i].at_ms : (int64_t)i; /* in this order */
        scope_spawn(&scope, "user", world_use, &users[i]);
    }
    err_drop(scope_close(&scope));
}

static void
world_run(void *arg)
{
    struct world *w = arg;
    w->pool = pool_new(&w->limits);
    for (int i = 0; i < 4; i++) {
        struct group *g = &w->group[i];
        char key[2] = {(char)('a' + i), '\0'};
        g->w = w;
        g->name = key[0];
        struct pool_kind kind = {.ctx = g,
                                 .open = thing_open,
                                 .check = thing_check,
                                 .close = thing_close,
                                 .members_max = w->members_max ? w->members_max : 1,
                                 .idle_ms = w->idle_ms,
                                 .check_ms = w->check_ms,
                                 .backoff_wait_ms = 1000};
        g->g = pool_group(w->pool, key, &kind);
    }
    w->drive(w);
    pool_free(w->pool);
}

void
world_check(struct world *w, const char *want)
{
    struct rt *rt;
    w->saw = xcalloc(SAW_MAX, sizeof *w->saw);
    assert_ok(rt_open(&(struct rt_opts){.simulated = true, .seed = 1}, &rt));
    rt_run(rt, world_run, w);
    rt_close(rt);
    show(w);
    free(w->saw);
    if (want && strcmp(str_c(&w->log), want) != 0)
        print_message("got:  %s\nwant: %s\n", str_c(&w->log), want);
    if (want)
        assert_string_equal(str_c(&w->log), want);
    assert_int_equal(w->live, 0); /* nothing is left open */
    str_fini(&w->log);
}

void
world_count(void *ctx, const struct pool_stats *s)
{
    if (s->taken || s->failed)
        world_say(ctx, "%s opened %d failed %d taken %d reused %d in_use %u idle %u wait %lld/%lld",
                  s->key ? s->key : "-", (int)s->opened, (int)s->failed, (int)s->taken,
                  (int)s->reused, s->in_use, s->idle, (long long)s->wait_ms,
                  (long long)s->wait_ms_max);
}

static void
nothing(struct world *w)
{
    world_say(w, "b");
    world_say(w, "a");
}

static void
world_is_fair(void **state)
{
    (void)state;
    struct world w = {.drive = nothing};
    world_check(&w, "a@0 b@0 ");
}

TESTS(poolworld_test, cmocka_unit_test(world_is_fair))
