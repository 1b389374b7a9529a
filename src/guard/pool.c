/* pool.c - who gets which member, who waits, and what is opened for whom. */
#include "guard/pool.h"
#include "guard/poolcore.h"
#include "rt/rt.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- handing out ------------------------------------------------------------ */

void
member_assign(struct pool_member *m, struct taker *t)
{
    struct pool_group *g = m->group;
    member_wake(m);
    m->users++;
    g->users++;
    g->stats.taken++;
    g->stats.reused += m->served;
    m->served = true;
    t->got = m;
    taker_done(t);
    if (t->owner)
        owner_hold_add(t->owner, m, t->permitted);
}

static struct pool_member *
group_best(const struct pool_group *g)
{
    struct pool_member *best = NULL;
    for (struct pool_member *m = g->members; m; m = m->next) {
        if (!m->checking && !m->hangs && !member_is_stale(m) && (!best || m->users < best->users))
            best = m;
    }
    return best;
}

struct census {
    unsigned fresh, idle; /* idle: of the fresh ones */
    unsigned hanging;
    struct pool_member *stale;
};

static struct census
group_count(const struct pool_group *g)
{
    struct census c = {0};
    for (struct pool_member *m = g->members; m; m = m->next) {
        if (m->checking)
            continue;
        if (m->hangs) {
            c.hanging++;
        } else if (member_is_stale(m)) {
            c.stale = m;
        } else {
            c.fresh++;
            c.idle += m->resting;
        }
    }
    return c;
}

static bool
group_backs_off(const struct pool_group *g)
{
    return g->retry_at_ms > rt_now_ms();
}

/* True when there is room for one more. Else a group that has nothing to share stands in line. */
static bool
room_take(struct pool_group *g)
{
    struct pool *p = g->pool;
    if (!p->limits.total || p->open < p->limits.total)
        return true;
    if (g->ready || g->coming)
        return false;
    if (!g->hungry) {
        g->hungry = true;
        g->hungry_next = NULL;
        *(p->hungry_last ? &p->hungry_last->hungry_next : &p->hungry_first) = g;
        p->hungry_last = g;
        p->hungry++;
    }
    return false;
}

/* The longest rests end for those who stand in line. */
static void
room_make(struct pool *p)
{
    while (p->rest_first && p->closing < p->hungry) {
        p->rest_first->group->stats.evicted++;
        member_over(p->rest_first);
    }
}

static void
group_hungry_end(struct pool_group *g)
{
    struct pool *p = g->pool;
    if (!g->hungry)
        return;
    struct pool_group **at = &p->hungry_first, *before = NULL;
    while (*at != g) {
        before = *at;
        at = &before->hungry_next;
    }
    *at = g->hungry_next;
    if (p->hungry_last == g)
        p->hungry_last = before;
    g->hungry = false;
    p->hungry--;
}

void
pool_room(struct pool *p)
{
    while (p->hungry_first && (!p->limits.total || p->open < p->limits.total)) {
        struct pool_group *g = p->hungry_first;
        group_hungry_end(g);
        group_serve(g);
    }
}

/* Looks for as many members as takers want. */
static void
group_grow(struct pool_group *g)
{
    for (;;) {
        struct census c = group_count(g);
        if (g->waiting.n <= c.idle + g->coming)
            return;
        if (c.stale) {
            member_check(c.stale);
            continue;
        }
        if (c.fresh + c.hanging + g->coming >= g->kind.members_max)
            return;
        if (c.fresh ? group_backs_off(g) : g->coming > 0)
            return;
        if (!room_take(g))
            return;
        member_open(g);
    }
}

/* Hands out what there is, evenly over what is there and what comes. */
static void
group_hand_out(struct pool_group *g)
{
    while (g->waiting.n) {
        struct pool_member *m = group_best(g);
        unsigned members = g->ready + g->coming;
        if (!m)
            return;
        unsigned share = (g->users + g->waiting.n + members - 1) / members;
        if (g->coming && m->users >= share)
            return; /* the others are for those that come */
        member_assign(m, g->waiting.first);
    }
    group_hungry_end(g);
}

void
group_serve(struct pool_group *g)
{
    if (g->pool->stopping || g->ended)
        return;
    group_grow(g);
    group_hand_out(g);
    room_make(g->pool);
}

static struct err *
group_error(const struct pool_group *g, enum err_kind kind, const char *text)
{
    struct err *e = FAIL(kind, "starting it: %s", text);
    int64_t wait = g->retry_at_ms - rt_now_ms();
    return wait > 0 ? err_set_retry_after(e, wait) : e;
}

void
group_fail(struct pool_group *g, enum err_kind kind, const char *text)
{
    while (g->waiting.first) {
        struct taker *t = g->waiting.first;
        t->e = group_error(g, kind, text);
        taker_done(t);
    }
}

/* The first failure of a row costs no wait: servers that die of idleness are common. */
int64_t
pool_backoff_ms(unsigned failures)
{
    if (failures < 2)
        return 0;
    unsigned doublings = MIN(failures - 2, 20u);
    return MIN((int64_t)POOL_BACKOFF_MS << doublings, (int64_t)POOL_BACKOFF_MAX_MS);
}

void
group_failed(struct pool_group *g, const char *why)
{
    g->failures++;
    g->retry_at_ms = rt_after(pool_backoff_ms(g->failures));
    free(g->error);
    g->error = xstrdup(why);
}

void
pool_worked(struct pool_member *m)
{
    m->group->failures = 0;
    m->group->retry_at_ms = 0;
    m->worked++;
    if (!m->hangs)
        return;
    free(STEAL(m->hangs));
    if (!m->over)
        group_serve(m->group);
}

/* ---- taking ----------------------------------------------------------------- */

/* What a taker that gives up was waiting for. */
static struct err *
explain(const struct taker *t, struct err *e)
{
    const struct pool_limits *l = &t->group->pool->limits;
    if (err_kind(e) != ERR_TIMEOUT)
        return e;
    if (t->owner && t->in == &t->owner->waiting)
        return WRAP(e,
                    "waiting for a connection: the run uses %u already (settings: "
                    "max_connections_per_run)",
                    l->per_owner);
    if (t->group->hungry)
        return WRAP(e, "waiting for a connection: all %u are in use (settings: max_connections)",
                    l->total);
    for (const struct pool_member *m = t->group->members; m; m = m->next) {
        if (m->hangs)
            return WRAP(e, "waiting for a connection that answers: %s", m->hangs);
    }
    return WRAP(e, "waiting for it to start");
}

static void
taker_give_up(struct taker *t)
{
    struct pool_group *g = t->group;
    if (t->in)
        taker_leave(t);
    if (t->permitted)
        owner_permit_back(t->owner);
    if (!g->waiting.n)
        group_hungry_end(g);
}

/* Patience has ended: whatever there is will do. */
static void
taker_share(struct taker *t)
{
    struct pool_member *m = t->in == &t->group->waiting ? group_best(t->group) : NULL;
    if (m)
        member_assign(m, t);
}

static struct err *
taker_wait(struct taker *t, int64_t deadline_ms)
{
    while (!t->done) {
        struct err *e = fiber_park(MIN(deadline_ms, rt_after(POOL_PATIENCE_MS)));
        if (e && err_kind(e) == ERR_TIMEOUT && rt_now_ms() < deadline_ms) {
            err_drop(e);
            e = fiber_check(); /* a scope may have ended as well */
            if (!e && !t->done)
                taker_share(t);
        }
        if (t->done) {
            err_drop(e); /* what was handed over is not dropped: the next wait will tell */
        } else if (e) {
            e = explain(t, e);
            taker_give_up(t);
            return e;
        }
    }
    if (t->e && t->permitted)
        owner_permit_back(t->owner);
    return t->e;
}

/* A back-off that is not worth waiting for. */
static struct err *
backoff_tell(const struct pool_group *g, int64_t deadline_ms)
{
    int64_t left = g->retry_at_ms - rt_now_ms();
    if (g->ready || left <= 0 || (left <= g->kind.backoff_wait_ms && g->retry_at_ms < deadline_ms))
        return NULL;
    return err_set_retry_after(FAIL(ERR_TRANSIENT, "it failed %u times in a row, the last time: %s",
                                    g->failures, g->error),
                               left);
}

static void
taker_enter(struct taker *t)
{
    struct pool_group *g = t->group;
    struct owner *o = t->owner;
    if (o && (o->used >= g->pool->limits.per_owner || o->waiting.n)) {
        struct pool_member *m = owner_best(o, g);
        if (m)
            member_assign(m, t);
        else
            taker_join(&o->waiting, t);
        return;
    }
    if (o) {
        o->used++;
        t->permitted = true;
    }
    taker_join(&g->waiting, t);
    group_serve(g);
}

static struct err *
take(struct taker *t, int64_t deadline_ms)
{
    struct pool_group *g = t->group;
    int64_t since = rt_now_ms();
    taker_enter(t);
    if (t->done)
        return NULL;
    struct err *e = taker_wait(t, deadline_ms);
    int64_t waited = rt_now_ms() - since;
    g->stats.wait_ms += waited;
    g->stats.wait_ms_max = MAX(g->stats.wait_ms_max, waited);
    return e;
}

static void
pool_leave(struct pool *p)
{
    if (--p->inside == 0)
        waitq_wake_all(&p->leaving);
}

struct err *
pool_take(struct pool_group *g, const char *owner, int64_t deadline_ms,
          struct pool_member **ret_member)
{
    struct pool *p = g->pool;
    struct taker t = {.group = g, .fiber = fiber_self()};
    if (p->stopping || g->ended)
        return FAIL(ERR_CANCELLED, "the servers are being stopped");
    PASS(backoff_tell(g, deadline_ms));
    if (owner && p->limits.per_owner)
        t.owner = owner_enter(p, owner);
    p->inside++;
    g->alive++;
    struct err *e = take(&t, deadline_ms);
    if (t.owner)
        owner_leave(p, t.owner);
    group_leave(g);
    if (e) {
        pool_leave(p);
        return e;
    }
    *ret_member = t.got;
    return NULL;
}

void
pool_give(struct pool_member *m, const char *owner)
{
    struct pool_group *g = m->group;
    struct pool *p = g->pool;
    assert(m->users > 0);
    m->users--;
    if (!m->over)
        g->users--;
    owner_hold_end(p, owner, m);
    if (m->over) {
        member_settle(m);
    } else if (!m->users && m->hangs) {
        member_hangs(m);
    } else if (!m->users) {
        member_rest(m);
        group_serve(g);
    }
    pool_leave(p);
}

void *
pool_thing(const struct pool_member *m)
{
    return m->thing;
}

/* ---- groups ----------------------------------------------------------------- */

struct pool_group *
pool_group_find(const struct pool *p, const char *key)
{
    return map_get(p->groups, key);
}

struct pool_group *
pool_group(struct pool *p, const char *key, const struct pool_kind *kind)
{
    struct pool_group *g = map_get(p->groups, key);
    if (g)
        return g;
    g = xcalloc(1, sizeof *g);
    g->pool = p;
    g->key = xstrdup(key);
    g->kind = *kind;
    g->stats.key = g->key;
    map_put(p->groups, key, g);
    return g;
}

static void
stats_add(struct pool_stats *to, const struct pool_stats *more)
{
    to->opened += more->opened;
    to->failed += more->failed;
    to->taken += more->taken;
    to->reused += more->reused;
    to->closed_idle += more->closed_idle;
    to->evicted += more->evicted;
    to->unhealthy += more->unhealthy;
    to->lost += more->lost;
    to->wait_ms += more->wait_ms;
    to->wait_ms_max = MAX(to->wait_ms_max, more->wait_ms_max);
}

static void
group_free(struct pool_group *g)
{
    stats_add(&g->pool->gone, &g->stats);
    free(g->key);
    free(g->error);
    free(g);
}

void
group_leave(struct pool_group *g)
{
    assert(g->alive > 0);
    if (--g->alive == 0 && g->ended)
        group_free(g);
}

/* Those who wait are told; whoever is left when its last holder leaves. */
static void
group_close(struct pool_group *g)
{
    while (g->waiting.first)
        taker_fail(g->waiting.first);
    group_hungry_end(g);
    while (g->members)
        member_over(g->members);
    if (g->idler)
        fiber_wake(g->idler);
}

void
pool_group_end(struct pool_group *g)
{
    g->alive++;
    g->ended = true;
    map_del(g->pool->groups, g->key);
    group_close(g);
    group_leave(g);
}

void
pool_group_health(const struct pool_group *g, struct pool_health *ret_health)
{
    *ret_health = (struct pool_health){g->failures, g->retry_at_ms, g->openings,
                                       g->ready,    g->coming,      g->error};
}

void
pool_each(const struct pool *p, pool_stats_fn fn, void *ctx)
{
    void *value;
    for (size_t i = 0; map_next(p->groups, &i, NULL, &value);) {
        const struct pool_group *g = value;
        struct pool_stats s = g->stats;
        for (const struct pool_member *m = g->members; m; m = m->next) {
            s.in_use += m->users > 0;
            s.idle += m->resting;
        }
        s.coming = g->coming;
        s.waiting = g->waiting.n;
        fn(ctx, &s);
    }
    if (p->gone.taken || p->gone.failed)
        fn(ctx, &p->gone);
}

/* ---- life ------------------------------------------------------------------- */

struct pool *
pool_new(const struct pool_limits *limits)
{
    struct pool *p = xcalloc(1, sizeof *p);
    p->limits = *limits;
    p->groups = map_new();
    p->owners = map_new();
    scope_open_detached(&p->starts);
    scope_open_detached(&p->burials);
    return p;
}

void
pool_limit(struct pool *p, const struct pool_limits *limits)
{
    p->limits = *limits;
    pool_room(p);
}

void
pool_stop(struct pool *p)
{
    void *value;
    p->stopping = true;
    scope_cancel(&p->starts);
    for (size_t i = 0; map_next(p->owners, &i, NULL, &value);) {
        struct owner *o = value;
        while (o->waiting.first)
            taker_fail(o->waiting.first);
    }
    for (size_t i = 0; map_next(p->groups, &i, NULL, &value);)
        group_close(value);
}

void
pool_free(struct pool *p)
{
    void *value;
    if (!p)
        return;
    bool was = fiber_shield(true);
    pool_stop(p);
    scope_end(&p->starts);
    while (p->inside) {
        struct err *e = waitq_wait(&p->leaving, DEADLINE_NONE);
        if (e)
            fiber_yield(); /* a simulated crash: the others unwind too */
        err_drop(e);
    }
    err_drop(scope_close(&p->burials));
    fiber_shield(was);
    for (size_t i = 0; map_next(p->groups, &i, NULL, &value);)
        group_free(value);
    map_free(p->groups);
    assert(map_len(p->owners) == 0);
    map_free(p->owners);
    free(p);
}
