/* broker.c - queues in front of limiters.
 *
 * Everything that decides runs between two waits. What changes a limiter (a call ends, time passes,
 * a block is written) looks through the queues that it stands in front of. */
#include "engine/step/brokercore.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SLOW_MS      1000 /* a wait so long is told */
#define TARGETS_KEPT 4096 /* beyond, those that nobody needs are forgotten */

/* ---- things and needs ---------------------------------------------------------------------- */

struct broker *
broker_new(struct store *store)
{
    struct broker *b = xcalloc(1, sizeof *b);
    b->store = store;
    b->targets = map_new();
    scope_open_detached(&b->scope);
    return b;
}

static void
target_free(struct target *t)
{
    assert(!t->lanes.len && !t->sleepers.len);
    limiter_fini(&t->limiter);
    vec_fini(&t->lanes);
    vec_fini(&t->sleepers);
    vec_fini(&t->claims);
    free(t->key);
    free(t->name);
    free(t);
}

void
broker_free(struct broker *b)
{
    if (!b)
        return;
    scope_end(&b->scope);
    void *t;
    for (size_t i = 0; map_next(b->targets, &i, NULL, &t);)
        target_close(b, t);
    for (size_t i = 0; map_next(b->targets, &i, NULL, &t);)
        target_free(t);
    map_free(b->targets);
    vec_fini(&b->timed);
    free(b);
}

static bool
is_idle(struct target *t)
{
    bool used = t->timed || t->saving || t->loading || t->refs || t->limiter.in_flight;
    for (unsigned i = 0; i < 4 && !used; i++)
        used = limiter_used(&t->limiter, i, rt_now_ms()) > 0;
    return !used;
}

static void
idle_forget(struct broker *b)
{
    if (map_len(b->targets) < TARGETS_KEPT)
        return;
    void *value;
    for (size_t i = 0; map_next(b->targets, &i, NULL, &value);) {
        struct target *t = value;
        if (!is_idle(t))
            continue;
        map_del(b->targets, t->key);
        target_free(t);
    }
}

static struct target *
target_of(struct broker *b, const struct limit_claim *c)
{
    struct target *t = map_get(b->targets, c->key);
    if (t)
        return t;
    idle_forget(b);
    t = xcalloc(1, sizeof *t);
    t->key = xstrdup(c->key);
    t->name = xstrdup(c->name);
    t->due_ms = INT64_MAX;
    limiter_init(&t->limiter);
    map_put(b->targets, t->key, t);
    return t;
}

static void
claims_apply(struct target *t)
{
    struct limit_set set = {0};
    vec_each (&t->claims, c)
        limit_set_tighten(&set, &c->set);
    limiter_set(&t->limiter, &set);
}

struct limit_need *
broker_need(struct broker *b, const struct limit_claim *claims, size_t n)
{
    assert(n > 0 && n <= LIMITS_OF_CALL);
    struct limit_need *need = xcalloc(1, sizeof *need);
    for (size_t i = 0; i < n; i++) {
        struct target *t = target_of(b, &claims[i]);
        t->refs++; /* at once: the next one may make room */
        need->targets[need->n++] = t;
        vec_push(&t->claims, ((struct claim){need, claims[i].set}));
        claims_apply(t);
    }
    return need;
}

void
broker_need_free(struct limit_need *need)
{
    if (!need)
        return;
    for (size_t i = 0; i < need->n; i++) {
        struct target *t = need->targets[i];
        t->refs--;
        for (size_t k = 0; k < t->claims.len; k++) {
            if (t->claims.at[k].of != need)
                continue;
            t->claims.at[k] = vec_pop(&t->claims);
            break;
        }
        if (t->claims.len) /* else the last word stands: nothing is asked of it any more */
            claims_apply(t);
    }
    free(need);
}

int64_t
limit_need_tokens(const struct limit_need *need)
{
    struct limit_set all = {0};
    for (size_t i = 0; i < need->n; i++) {
        const struct limiter *l = &need->targets[i]->limiter;
        limit_set_tighten(&all, &l->set);
        limit_set_tighten(&all, &(struct limit_set){.tpm = l->said[1].limit});
    }
    return all.tpm && all.tpd ? MIN(all.tpm, all.tpd) : all.tpm + all.tpd;
}

/* ---- lanes --------------------------------------------------------------------------------- */

static struct lane *
lane_of(struct limit_need *need)
{
    struct target *first = need->targets[0];
    vec_each (&first->lanes, l) {
        if ((*l)->n == need->n &&
            memcmp((*l)->targets, need->targets, need->n * sizeof *need->targets) == 0)
            return *l;
    }
    struct lane *lane = xcalloc(1, sizeof *lane);
    lane->n = need->n;
    memcpy(lane->targets, need->targets, sizeof lane->targets);
    lane->queue = fairq_new(&first->clock);
    vec_push(&first->lanes, lane);
    return lane;
}

static void
lane_awake(struct lane *lane)
{
    struct target *on = lane->asleep_on;
    if (!on)
        return;
    size_t i = 0;
    while (on->sleepers.at[i] != lane)
        i++;
    memmove(&on->sleepers.at[i], &on->sleepers.at[i + 1],
            (--on->sleepers.len - i) * sizeof *on->sleepers.at);
    lane->asleep_on = NULL;
}

static void
lane_sleep(struct lane *lane, struct target *on)
{
    lane->asleep_on = on;
    vec_push(&on->sleepers, lane);
}

/* Only by a waiter that leaves: whoever looks through lanes may have it in hand. */
static void
lane_leave(struct lane *lane)
{
    if (--lane->users)
        return;
    struct target *first = lane->targets[0];
    lane_awake(lane);
    size_t i = 0;
    while (first->lanes.at[i] != lane)
        i++;
    first->lanes.at[i] = vec_pop(&first->lanes);
    fairq_free(lane->queue);
    free(lane);
}

/* ---- whose turn it is ---------------------------------------------------------------------- */

static struct lane *
lane_next(const struct target *t)
{
    struct lane *best = NULL;
    for (size_t i = 0; i < t->lanes.len; i++) {
        struct lane *l = t->lanes.at[i];
        struct fairq_item *it = l->asleep_on ? NULL : fairq_first(l->queue);
        if (it && (!best || fairq_before(&t->clock, it, fairq_first(best->queue))))
            best = l;
    }
    return best;
}

static void
waiter_settle(struct waiter *w, enum waiter_state state)
{
    w->state = state;
    fiber_wake(w->fiber);
}

/* Whoever hears that he was cancelled takes it for his own end. */
static struct err *
store_failure(const struct target *t)
{
    const enum err_kind kind = err_kind(t->error);
    return FAIL(kind == ERR_CANCELLED ? ERR_TRANSIENT : kind, "%s", t->error_text);
}

/* It leaves the line without having had its turn: it takes long, or the store fails. */
static void
waiter_dismiss(struct waiter *w, struct target *why, enum waiter_state state)
{
    struct lane *lane = w->lane;
    fairq_remove(lane->queue, &w->item);
    lane->targets[0]->waiting--;
    w->why = target_wait(why, w->admission->tokens);
    if (state == WAITER_FAILED)
        w->error = store_failure(why);
    waiter_settle(w, state);
}

static void
lane_fail(struct lane *lane, struct target *why)
{
    for (struct fairq_item *it; (it = fairq_first(lane->queue));)
        waiter_dismiss(container_of(it, struct waiter, item), why, WAITER_FAILED);
}

static void
take_all(struct broker *b, const struct limit_need *need, struct admission *a)
{
    for (size_t i = 0; i < need->n; i++) {
        limiter_take(&need->targets[i]->limiter, rt_now_ms(), a->tokens, &a->grant[i]);
        if (limiter_wants_block(&need->targets[i]->limiter))
            target_save_soon(b, need->targets[i], 0);
    }
    a->admitted = true;
}

/* The first of these limits that does not admit it now, or NULL. */
static struct target *
short_of(const struct limit_need *need, int64_t tokens, int64_t *ret_ready,
         enum limit_reason *ret_why)
{
    const int64_t now = rt_now_ms();
    for (size_t i = 0; i < need->n; i++) {
        *ret_ready = limiter_ready_ms(&need->targets[i]->limiter, now, tokens, ret_why);
        if (*ret_ready > now)
            return need->targets[i];
    }
    return NULL;
}

static bool
is_long(int64_t ready)
{
    return ready < INT64_MAX && ready - rt_now_ms() > LIMIT_LONG_MS;
}

/* The one whose turn it is cannot go: when will it be worth to look again? For long: it is told,
 * and the next one is looked at, who may need less. False: nobody behind it may pass either. */
static bool
wait_for(struct broker *b, struct waiter *w, struct target *on, int64_t ready,
         enum limit_reason why)
{
    if (is_long(ready)) {
        waiter_dismiss(w, on, WAITER_LATE);
        return true;
    }
    if (why == LIMIT_BLOCK)
        target_save_soon(b, on, w->admission->tokens);
    else
        target_due(b, on, ready);
    if (on == w->lane->targets[0])
        return false;
    lane_sleep(w->lane, on);
    return true;
}

/* Lets in whoever can go, by turns. */
static void
target_pump(struct broker *b, struct target *t)
{
    struct lane *lane;
    while ((lane = lane_next(t))) {
        struct fairq_item *it = fairq_first(lane->queue);
        struct waiter *w = container_of(it, struct waiter, item);
        int64_t ready;
        enum limit_reason why;
        struct target *on = short_of(w->admission->need, w->admission->tokens, &ready, &why);
        if (on && !wait_for(b, w, on, ready, why))
            return;
        if (on)
            continue;
        fairq_take(lane->queue, it);
        t->waiting--;
        take_all(b, w->admission->need, w->admission);
        waiter_settle(w, WAITER_ADMITTED);
    }
}

void
target_changed(struct broker *b, struct target *t)
{
    size_t n = t->sleepers.len; /* those that go to sleep again come behind them */
    while (n-- && t->sleepers.len) {
        struct lane *lane = t->sleepers.at[0];
        lane_awake(lane);
        target_pump(b, lane->targets[0]);
    }
    if (t->lanes.len)
        target_pump(b, t);
}

void
target_fail(struct broker *b, struct target *t)
{
    for (size_t i = 0; i < t->lanes.len; i++)
        lane_fail(t->lanes.at[i], t);
    while (t->sleepers.len) {
        struct lane *lane = t->sleepers.at[0];
        lane_awake(lane);
        lane_fail(lane, t);
        target_pump(b, lane->targets[0]);
    }
}

/* ---- one call ------------------------------------------------------------------------------ */

static void
waited_note(struct target *t, int64_t ms)
{
    t->waited_ms += ms;
    t->waited_ms_max = MAX(t->waited_ms_max, ms);
}

/* What the first of the line waits for: so do the others. */
static struct limit_wait
lane_wait(const struct lane *lane)
{
    const struct waiter *first = container_of(fairq_first(lane->queue), struct waiter, item);
    const struct admission *a = first->admission;
    int64_t ready;
    enum limit_reason why;
    struct target *on = short_of(a->need, a->tokens, &ready, &why);
    return target_wait(on ? on : lane->targets[0], a->tokens);
}

static struct err *
waiter_wait(struct waiter *w)
{
    const int64_t slow = rt_after(SLOW_MS);
    bool told = !w->ask->slow;
    while (w->state == WAITER_WAITS) {
        struct err *e = fiber_park(told ? DEADLINE_NONE : slow);
        if (!e || w->state != WAITER_WAITS) {
            err_free(e);
            continue;
        }
        struct err *cut = fiber_check();
        if (told || cut) {
            err_free(cut);
            return e;
        }
        err_free(e);
        told = true;
        struct limit_wait wait = lane_wait(w->lane);
        w->ask->slow(w->ask->ctx, &wait);
    }
    return STEAL(w->error);
}

static struct err *
queue_up(struct broker *b, const struct limit_ask *ask, struct admission *a, bool *ret_late,
         struct limit_wait *ret_wait)
{
    struct limit_need *need = a->need;
    struct target *first = need->targets[0];
    struct lane *lane = lane_of(need);
    struct waiter w = {.fiber = fiber_self(), .lane = lane, .ask = ask, .admission = a};
    const int64_t since = rt_now_ms();
    lane->users++;
    first->waiting++;
    fairq_add(lane->queue, &w.item, ask->flow, ask->priority, FAIRQ_UNIT);
    target_pump(b, first);
    struct err *e = waiter_wait(&w);
    bool gives_up = w.state == WAITER_WAITS;
    if (gives_up) {
        fairq_remove(lane->queue, &w.item);
        first->waiting--;
    }
    lane_leave(lane);
    waited_note(first, rt_now_ms() - since);
    if (gives_up) /* those behind it may be smaller */
        target_pump(b, first);
    *ret_late = w.state == WAITER_LATE;
    *ret_wait = w.why;
    return e;
}

struct err *
broker_admit(struct broker *b, const struct limit_ask *ask, struct admission *a, bool *ret_late,
             struct limit_wait *ret_wait)
{
    struct limit_need *need = a->need;
    int64_t ready;
    enum limit_reason why;
    bool queued = false;
    assert(!a->admitted);
    *ret_late = false;
    a->asked = ask->tokens;
    a->tokens = limiter_reserve(&need->targets[0]->limiter, ask->tokens);
    for (size_t i = 0; i < need->n; i++)
        PASS(target_load(b, need->targets[i]));
    PASS(fiber_check());
    for (size_t i = 0; i < need->n; i++)
        queued |= need->targets[i]->waiting || need->targets[i]->sleepers.len;
    if (queued || short_of(need, a->tokens, &ready, &why))
        return queue_up(b, ask, a, ret_late, ret_wait);
    take_all(b, need, a);
    return NULL;
}

/* The narrower ones first: who waited for them has his turn before those who came later. */
static void
need_changed(struct broker *b, const struct limit_need *need)
{
    for (size_t i = need->n; i-- > 0;)
        target_changed(b, need->targets[i]);
}

void
admission_cancel(struct broker *b, struct admission *a)
{
    if (!a->admitted)
        return;
    a->admitted = false;
    for (size_t i = 0; i < a->need->n; i++)
        limiter_cancel(&a->need->targets[i]->limiter, &a->grant[i]);
    need_changed(b, a->need);
}

bool
admission_end(struct broker *b, struct admission *a, const struct call_end *end)
{
    const int64_t now = rt_now_ms();
    bool news = end->refused;
    a->admitted = false;
    for (size_t i = 0; i < a->need->n; i++)
        limiter_settle(&a->need->targets[i]->limiter, now, &a->grant[i], end->tokens);
    /* What the provider says is about the widest, the model; not about our own divisions of it. */
    struct limiter *l = &a->need->targets[0]->limiter;
    limiter_compare(l, a->asked, end->tokens);
    news |= limiter_hear(l, now, &a->grant[0], end->said);
    if (end->refused)
        limiter_refused(l, now, end->retry_after_ms);
    else if (end->well)
        limiter_well(l);
    need_changed(b, a->need);
    return news;
}
