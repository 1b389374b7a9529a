/* poolmember.c - how members of a pool begin, rest, are checked and end. */
#include "guard/poolcore.h"
#include "rt/rt.h"
#include <assert.h>
#include <stdlib.h>

/* ---- the end ---------------------------------------------------------------- */

static void
bury(void *arg)
{
    struct pool_member *m = arg;
    struct pool_group *g = m->group;
    struct pool *p = g->pool;
    g->kind.close(g->kind.ctx, m->thing, m->broken);
    free(m->hangs);
    free(m);
    p->open--;
    p->closing--;
    group_leave(g);
    pool_room(p);
}

void
member_settle(struct pool_member *m)
{
    if (!m->over || m->users || m->pins)
        return;
    m->pins = 1; /* once only */
    m->group->pool->closing++;
    scope_spawn(&m->group->pool->burials, "pool burial", bury, m);
}

void
member_over(struct pool_member *m)
{
    struct pool_group *g = m->group;
    assert(!m->over);
    m->over = true;
    member_wake(m);
    struct pool_member **at = &g->members;
    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
    g->users -= m->users;
    if (m->checking)
        g->coming--;
    else
        g->ready--;
    member_settle(m);
}

void
pool_lost(struct pool_member *m, const char *why)
{
    struct pool_group *g = m->group;
    if (m->over)
        return;
    if (m->opening) { /* nobody has it yet: whoever opens it is told */
        if (!m->lost_early)
            m->lost_early = xstrdup(why);
        return;
    }
    if (!g->pool->stopping) {
        m->broken = true;
        g->stats.lost++;
        group_failed(g, why);
    }
    member_over(m);
    group_serve(g);
}

/* ---- rest ------------------------------------------------------------------- */

void
member_wake(struct pool_member *m)
{
    struct pool *p = m->group->pool;
    if (!m->resting)
        return;
    m->resting = false;
    *(m->rest_prev ? &m->rest_prev->rest_next : &p->rest_first) = m->rest_next;
    *(m->rest_next ? &m->rest_next->rest_prev : &p->rest_last) = m->rest_prev;
    m->rest_prev = m->rest_next = NULL;
}

/* When the next one has rested enough; DEADLINE_NONE: none rests. Closes those that have. */
static int64_t
rests_end(struct pool_group *g)
{
    int64_t next = DEADLINE_NONE, now = rt_now_ms();
    for (struct pool_member *m = g->members, *after; m; m = after) {
        after = m->next;
        if (!m->resting)
            continue;
        if (now - m->idle_since_ms >= g->kind.idle_ms) {
            g->stats.closed_idle++;
            member_over(m);
        } else {
            next = MIN(next, m->idle_since_ms + g->kind.idle_ms);
        }
    }
    return next;
}

static void
idler_run(void *arg)
{
    struct pool_group *g = arg;
    struct err *e = NULL;
    for (;;) {
        int64_t until = rests_end(g);
        if (until == DEADLINE_NONE)
            break;
        g->idler = fiber_self();
        e = fiber_sleep(until - rt_now_ms());
        g->idler = NULL;
        if (e)
            break;
    }
    err_drop(e);
    g->has_idler = false;
    group_leave(g);
}

void
member_rest(struct pool_member *m)
{
    struct pool_group *g = m->group;
    struct pool *p = g->pool;
    assert(!m->users && !m->over && !m->resting);
    m->idle_since_ms = rt_now_ms();
    m->resting = true;
    m->rest_prev = p->rest_last;
    *(p->rest_last ? &p->rest_last->rest_next : &p->rest_first) = m;
    p->rest_last = m;
    if (g->kind.idle_ms <= 0 || g->has_idler || p->stopping)
        return;
    g->has_idler = true;
    g->alive++;
    scope_spawn(&p->starts, "pool idler", idler_run, g);
}

/* ---- health ----------------------------------------------------------------- */

bool
member_is_stale(const struct pool_member *m)
{
    const struct pool_kind *k = &m->group->kind;
    return m->resting && k->check && k->check_ms > 0 &&
           rt_now_ms() - m->idle_since_ms >= k->check_ms;
}

static void
check_run(void *arg)
{
    struct pool_member *m = arg;
    struct pool_group *g = m->group;
    struct err *e = g->kind.check(g->kind.ctx, m->thing);
    m->pins--;
    if (m->over) { /* it told by itself, or the pool is being stopped */
        err_drop(e);
        member_settle(m);
        return;
    }
    if (!e || g->pool->stopping) {
        err_drop(e);
        m->checking = false;
        g->coming--;
        g->ready++;
        member_rest(m);
    } else {
        g->stats.unhealthy++;
        m->broken = true;
        member_over(m);
        err_drop(e); /* it is replaced, and nobody notices */
    }
    group_serve(g);
}

void
member_check(struct pool_member *m)
{
    member_wake(m);
    m->checking = true;
    m->group->ready--;
    m->group->coming++;
    m->pins++;
    scope_spawn(&m->group->pool->starts, "pool check", check_run, m);
}

void
member_hangs(struct pool_member *m)
{
    m->group->stats.unhealthy++;
    pool_lost(m, m->hangs);
}

static void
suspicion_run(void *arg)
{
    struct pool_member *m = arg;
    struct pool_group *g = m->group;
    const uint64_t worked = m->worked;
    struct err *e = g->kind.check(g->kind.ctx, m->thing);
    m->suspected = false;
    m->pins--;
    if (e && err_kind(e) == ERR_TIMEOUT && !m->over && worked == m->worked) {
        m->hangs = err_text(e);
        if (!m->users)
            member_hangs(m);
    } else {
        member_settle(m);
    }
    err_drop(e);
}

void
pool_suspect(struct pool_member *m)
{
    if (m->suspected || m->hangs || m->opening || m->over || m->group->pool->stopping ||
        !m->group->kind.check)
        return;
    m->suspected = true;
    m->pins++;
    scope_spawn(&m->group->pool->starts, "pool suspicion", suspicion_run, m);
}

/* ---- opening ---------------------------------------------------------------- */

static void
open_succeeded(struct pool_member *m)
{
    struct pool_group *g = m->group;
    g->stats.opened++;
    g->ready++;
    m->next = g->members;
    g->members = m;
    member_rest(m);
    if (g->ended || g->pool->stopping)
        member_over(m);
}

/* Told first: closing what did not work out may take its time. */
static void
open_failed(struct pool_member *m, struct err *e)
{
    struct pool_group *g = m->group;
    AUTO(freep) char *text = err_text(e);
    enum err_kind kind = err_kind(e);
    err_free(e);
    if (!g->pool->stopping) {
        g->stats.failed++;
        group_failed(g, text);
        if (!g->ready && !g->coming)
            group_fail(g, kind, text);
        else
            group_serve(g);
    }
    if (m->thing)
        g->kind.close(g->kind.ctx, m->thing, true);
}

/* The back-off; false: by then nobody waits any more. */
static bool
open_is_due(struct pool_group *g)
{
    int64_t left = g->retry_at_ms - rt_now_ms();
    struct err *e = left > 0 ? fiber_sleep(left) : NULL;
    bool cut = e || g->pool->stopping;
    err_drop(e);
    return !cut && (left <= 0 || g->waiting.n);
}

static struct err *
open_thing(struct pool_member *m)
{
    const struct pool_kind *k = &m->group->kind;
    m->group->openings++;
    m->opening = true;
    struct err *e = k->open(k->ctx, m, &m->thing);
    m->opening = false;
    AUTO(freep) char *lost = STEAL(m->lost_early);
    return !e && lost ? FAIL(ERR_TRANSIENT, "%s", lost) : e;
}

static void
open_run(void *arg)
{
    struct pool_member *m = arg;
    struct pool_group *g = m->group;
    struct pool *p = g->pool;
    struct err *e = NULL;
    bool due = open_is_due(g);
    if (due)
        e = open_thing(m);
    g->coming--;
    if (due && !e) {
        open_succeeded(m);
        group_serve(g);
        return;
    }
    if (e)
        open_failed(m, e);
    free(m);
    p->open--;
    group_serve(g); /* one may have come meanwhile */
    group_leave(g);
    pool_room(p);
}

void
member_open(struct pool_group *g)
{
    struct pool_member *m = xcalloc(1, sizeof *m);
    m->group = g;
    g->coming++;
    g->alive++;
    g->pool->open++;
    scope_spawn(&g->pool->starts, "pool opening", open_run, m);
}
