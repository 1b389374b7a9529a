/* spend.c - purses: who may spend, who has to wait, what is known after a crash. */
#include "engine/step/spend.h"
#include "engine/journal/undolog.h"
#include "engine/step/prepaid.h"
#include "engine/step/stepping.h"
#include <stdlib.h>
#include <string.h>

#define ADOPT_MS 1000 /* for those who were waiting in a former life to come back to it */

struct purse_waiter { /* on the waiting fiber's stack */
    struct fiber *fiber;
    struct purse_waiter *next;
};
struct purse {
    struct run *run;
    struct budget budget;
    char *path, *what;
    struct purse *around;       /* another one at the same path, further out; or NULL */
    bool audit, told;           /* told: that it is exceeded */
    struct purse_waiter *first; /* in order of arrival: nobody is passed by who needs less */
    int64_t quiet_at_ms;        /* nobody here has anything to give back then; 0: not so */
    int64_t time_ms;            /* 0: no limit */
    struct scope scope;         /* of the time, if it is limited */
};

/* ---- words ----------------------------------------------------------------- */

/* "0.50", "0.000125": two digits, and more where they tell something. */
static char *
usd_text(int64_t nusd)
{
    char *text =
        xasprintf("%lld.%09lld", (long long)(nusd / 1000000000), (long long)(nusd % 1000000000));
    size_t n = strlen(text), least = n - 7;
    while (n > least && text[n - 1] == '0')
        text[--n] = '\0';
    return text;
}

static json_t *
amount_to_json(struct amount a)
{
    return json_pack("{sf sI}", "usd", usd_of(a.nusd), "tokens", a.tokens);
}

static struct err *
refusal(const struct purse *p, struct amount need)
{
    const struct budget *b = &p->budget;
    const struct amount gone = amount_add(b->spent, b->reserved);
    if (add_saturating(gone.nusd, need.nusd) <= b->limit.nusd)
        return FAIL(
            ERR_LIMIT, "%s: budget of %lld tokens: %lld spent or reserved, this call may take %lld",
            p->what, (long long)b->limit.tokens, (long long)gone.tokens, (long long)need.tokens);
    AUTO(freep) char *limit = usd_text(b->limit.nusd);
    AUTO(freep) char *used = usd_text(gone.nusd);
    AUTO(freep) char *cost = usd_text(need.nusd);
    return FAIL(ERR_LIMIT, "%s: budget of %s USD: %s spent or reserved, this call may cost %s",
                p->what, limit, used, cost);
}

static void
exceeded_tell(struct purse *p, const char *of)
{
    if (p->told)
        return;
    p->told = true;
    json_t *d = json_pack("{ss ss ss so}", "budget", p->what, "of", of, "mode",
                          p->audit ? "audit" : "enforce", "spent", amount_to_json(p->budget.spent));
    if (p->budget.limit.nusd != BUDGET_UNLIMITED)
        json_object_set_new(d, "usd", json_real(usd_of(p->budget.limit.nusd)));
    if (p->budget.limit.tokens != BUDGET_UNLIMITED)
        json_object_set_new(d, "tokens", json_integer(p->budget.limit.tokens));
    if (p->time_ms)
        json_object_set_new(d, "time_ms", json_integer(p->time_ms));
    run_publish(p->run,
                (struct run_event){.name = EVENT_BUDGET_EXCEEDED, .path = p->path, .detail = d});
    json_decref(d);
}

/* ---- former lives ---------------------------------------------------------- */

static struct amount
amount_of(const struct usage *u)
{
    return (struct amount){nusd_of(u->cost_usd), add_saturating(u->input_tokens, u->output_tokens)};
}

static void
past_add(struct map *past, const char *path, struct amount more)
{
    struct amount *sum = map_get(past, path);
    if (!sum) {
        sum = xcalloc(1, sizeof *sum);
        map_put(past, path, sum);
    }
    *sum = amount_add(*sum, more);
}

/* The node that it was for has ended: nobody will ask for the answer. */
static bool
is_given_up(const struct run *r, const char *path)
{
    AUTO(freep) char *around = xstrdup(path);
    while (path_up(around)) {
        if (view_node_ended(r->view, around))
            return true;
    }
    return false;
}

/* What a former life left for an answer that this one may get. */
static void
past_open(struct run *r, const struct view_cost *cost)
{
    struct prepaid p = {.path = (char *)(uintptr_t)cost->path,
                        .need = cost->open,
                        .lost = amount_less(cost->held, cost->open),
                        .until_wall_ms = cost->until_wall_ms,
                        .late = cost->until_wall_ms <= rt_wall_ms()};
    prepaid_put(r, &p);
}

/* One look at all records, for all purses of the run: by path, what was spent below it. */
static struct err *
past_read(struct run *r)
{
    struct view_cost cost;
    bool more;
    if (r->past)
        return NULL;
    r->past = map_new();
    for (size_t i = 0;;) {
        PASS(view_step_cost(r->view, &i, &cost, &more));
        if (!more)
            return NULL;
        struct amount spent = amount_add(amount_of(&cost.usage), cost.held);
        if (!amount_is_zero(cost.open) && !is_given_up(r, cost.path)) {
            past_open(r, &cost);
            if (!prepaid_at(r, cost.path)->late)
                spent = amount_less(spent, cost.open);
        }
        AUTO(freep) char *path = xstrdup(cost.path);
        while (!amount_is_zero(spent) && path_up(path))
            past_add(r->past, path, spent);
    }
}

void
purses_free(struct run *r)
{
    void *sum;
    for (size_t i = 0; r->past && map_next(r->past, &i, NULL, &sum);)
        free(sum);
    map_free(r->past);
    map_free(r->purses);
}

/* ---- a purse --------------------------------------------------------------- */

static int64_t
limit_usd(const json_t *budget)
{
    return json_object_get(budget, "usd") ? nusd_of(json_num(budget, "usd", 0)) : BUDGET_UNLIMITED;
}

struct err *
purse_open(struct run *r, const struct purse_of *of, struct purse **ret_purse)
{
    *ret_purse = NULL;
    if (!json_object_size(of->budget))
        return NULL;
    TRY(past_read(r), "what was spent before");
    if (!r->purses)
        r->purses = map_new();
    const struct amount *before = map_get(r->past, of->path);
    struct purse *p = xcalloc(1, sizeof *p);
    *p = (struct purse){.run = r,
                        .path = xstrdup(of->path),
                        .what = xstrdup(of->what),
                        .audit = str_eq(json_str(of->budget, "mode", "enforce"), "audit"),
                        .time_ms = json_int(of->budget, "time", 0)};
    p->budget.limit.nusd = limit_usd(of->budget);
    p->budget.limit.tokens = json_int(of->budget, "tokens", BUDGET_UNLIMITED);
    p->budget.spent = before ? *before : (struct amount){0};
    if (!p->audit)
        p->budget.reserved = prepaid_sum(r, p->path);
    p->told = budget_is_exceeded(&p->budget); /* a former life did */
    p->around = map_put(r->purses, p->path, p);
    if (p->time_ms)
        run_scope_open(r, &p->scope, of->path, of->started_wall_ms, p->time_ms);
    if (p->time_ms && p->audit)
        scope_be_lenient(&p->scope);
    *ret_purse = p;
    return NULL;
}

/* What broke because the time was up is told as that, unless something further out ended too. */
static struct err *
time_check(struct purse *p, struct err *OWN e)
{
    const bool before = !p->audit && !p->run->cancelled && !p->run->interrupted && cut_before(e);
    if (!p->time_ms || (!scope_is_late(&p->scope) && !before))
        return e;
    if (!p->audit && (!e || (err_kind(e) != ERR_TIMEOUT && err_kind(e) != ERR_CANCELLED)))
        return e;
    exceeded_tell(p, "time");
    struct err *outer = fiber_check();
    if (p->audit || outer) {
        err_free(outer);
        return e;
    }
    const bool in_doubt = err_in_doubt(e);
    err_free(e);
    e = FAIL(ERR_LIMIT, "%s: budget of %.3g s is used up", p->what, (double)p->time_ms / 1000.0);
    return in_doubt ? err_set_in_doubt(WRAP(e, "what was under way may have been carried out")) : e;
}

struct err *
purse_close(struct purse *p, struct err *e)
{
    if (!p)
        return e;
    if (p->time_ms)
        err_free(scope_close(&p->scope)); /* what was inside has told */
    e = time_check(p, e);
    if (p->around)
        map_put(p->run->purses, p->path, p->around);
    else
        map_del(p->run->purses, p->path);
    free(p->path);
    free(p->what);
    free(p);
    return e;
}

static void
purse_wake(const struct purse *p)
{
    if (p->first)
        fiber_wake(p->first->fiber);
}

static void
purse_give(struct purse *p, struct amount held, struct amount spent)
{
    budget_settle(&p->budget, p->audit ? (struct amount){0} : held, spent);
    if (budget_is_exceeded(&p->budget))
        exceeded_tell(p, "spent");
    purse_wake(p);
}

/* All that is reserved here is for answers that come when the run is taken up again. */
static bool
purse_is_away(const struct purse *p)
{
    const struct amount away = prepaid_away(p->run, p->path);
    return !amount_is_zero(away) && !amount_exceeds(p->budget.reserved, away);
}

static struct err *
purse_put_away(const struct purse *p)
{
    struct waits *w = &p->run->waits;
    w->wake_at = MIN(w->wake_at, prepaid_until(p->run, p->path));
    return FAIL(ERR_PARKED, "%s: its budget is reserved for calls whose answers are waited for",
                p->what);
}

/* Until something was given back. Who waits so does not work: what others wait for in memory may
 * be put away with the run, and then this is too. */
static struct err *
purse_wait(struct purse *p, const struct purse_waiter *me)
{
    int64_t until = DEADLINE_NONE;
    if (p->first != me || !purse_is_away(p))
        p->quiet_at_ms = p->first == me ? 0 : p->quiet_at_ms;
    else if (!p->quiet_at_ms)
        until = p->quiet_at_ms = rt_after(ADOPT_MS);
    else if (rt_now_ms() >= p->quiet_at_ms)
        return purse_put_away(p);
    else
        until = p->quiet_at_ms;
    run_works(p->run, false);
    scope_work(true); /* for the time limits around it, it does */
    struct err *e = fiber_park(until);
    scope_work(false);
    run_works(p->run, true);
    if (e && err_kind(e) == ERR_TIMEOUT && rt_now_ms() >= until) {
        err_free(e);
        e = fiber_check();
    }
    return e;
}

/* In order: whoever needs much is not passed by those who need little. */
static struct err *
purse_queue(struct purse *p, struct amount need, enum budget_answer *ret_answer)
{
    struct purse_waiter me = {.fiber = fiber_self()};
    struct purse_waiter **at = &p->first;
    struct err *e = NULL;
    while (*at)
        at = &(*at)->next;
    *at = &me;
    while (!e) {
        *ret_answer = budget_ask(&p->budget, need);
        if (p->first == &me && *ret_answer != BUDGET_LATER)
            break;
        e = purse_wait(p, &me);
    }
    for (at = &p->first; *at != &me;)
        at = &(*at)->next;
    *at = me.next;
    return e;
}

static struct err *
purse_take(struct purse *p, struct amount need, bool wait)
{
    enum budget_answer answer = budget_ask(&p->budget, need);
    if (answer == BUDGET_FITS && p->first)
        answer = BUDGET_LATER;
    if (answer == BUDGET_LATER && wait) {
        struct err *e = purse_queue(p, need, &answer);
        if (e) {
            purse_wake(p);
            return e;
        }
    }
    struct err *e = answer == BUDGET_FITS ? NULL : refusal(p, need);
    if (!e)
        budget_reserve(&p->budget, need);
    else if (answer == BUDGET_NEVER && wait) /* a hedge can do without */
        exceeded_tell(p, "reserved");
    purse_wake(p);
    return e;
}

/* ---- a step ---------------------------------------------------------------- */

struct chain { /* the purses around a step, the nearest first */
    VEC(struct purse *) purses;
    bool enforced, usd;
};

static void
chain_fini(struct chain *c)
{
    vec_fini(&c->purses);
}

static void
chain_around(const struct run *r, const char *of, struct chain *c)
{
    if (!r->purses || !map_len(r->purses))
        return;
    AUTO(freep) char *path = xstrdup(of);
    while (path_up(path)) {
        for (struct purse *p = map_get(r->purses, path); p; p = p->around) {
            vec_push(&c->purses, p);
            c->enforced |= !p->audit;
            c->usd |= !p->audit && p->budget.limit.nusd != BUDGET_UNLIMITED;
        }
    }
}

static void
chain_find(const struct stepping *st, struct chain *c)
{
    if (st->s->most)
        chain_around(st->h->run, st->path, c);
}

static struct err *
chain_take(const struct chain *c, struct amount need, bool wait)
{
    for (size_t i = 0; i < c->purses.len; i++) {
        struct purse *p = c->purses.at[i];
        struct err *e = p->audit ? NULL : purse_take(p, need, wait);
        if (!e)
            continue;
        while (i-- > 0)
            purse_give(c->purses.at[i], need, (struct amount){0});
        return e;
    }
    return NULL;
}

/* Where the journal has what this step reserved: where the answer will be. */
static char *OWN
account_of(const struct stepping *st)
{
    return st->s->pays_for ? xasprintf("%s/%s", st->h->path, st->s->pays_for) : xstrdup(st->path);
}

static json_t *
reserved_body(const struct stepping *st, struct amount held)
{
    st->spend->recorded = held;
    return json_pack("{ss ss so sI}", "type", st->s->type, "target", st->s->target, "held",
                     amount_to_json(held), "at", rt_wall_ms());
}

static void
reserved_record(struct stepping *st, struct amount held, bool lazy)
{
    AUTO(freep) char *account = account_of(st);
    run_append(st->h->run, REC_STEP_RESERVED, account, reserved_body(st, held), lazy);
}

static struct amount
not_known(const struct stepping *st)
{
    return amount_add(st->spend->base, st->spend->unknown);
}

static struct err *
worst_case(struct stepping *st, bool usd, struct amount *ret)
{
    struct usage most = {0};
    struct spend *s = st->spend;
    AUTO(freep) char *account = account_of(st);
    if (!s->found)
        PASS(view_step_held(st->h->run->view, account, &s->base));
    if (!s->found)
        s->recorded = s->base;
    s->found = true;
    TRY(st->s->most(st->s->ctx, rt_after(st->timeout_ms), &most), "what this call may cost");
    if (usd && !most.cost_known)
        return FAIL(ERR_INVALID,
                    "the price of '%s' is not known, which a budget in USD needs: say `price`",
                    st->s->target);
    *ret = amount_of(&most);
    return NULL;
}

struct err *
spend_reserve(struct stepping *st, bool wait, struct amount *ret_held)
{
    AUTO(chain_fini) struct chain c = {0};
    *ret_held = (struct amount){0};
    chain_find(st, &c);
    if (!c.enforced || st->s->paid ||
        undo_part(st->path)) /* what was done is undone, whatever that costs */
        return NULL;
    struct amount need;
    PASS(worst_case(st, c.usd, &need));
    PASS(chain_take(&c, need, wait));
    *ret_held = need;
    st->spend->out = amount_add(st->spend->out, need);
    const struct amount held = amount_add(not_known(st), st->spend->out);
    if (amount_exceeds(held, st->spend->recorded))
        reserved_record(st, amount_max(held, st->spend->recorded), false);
    return NULL;
}

/* What it may have taken of what was held, beside what it says. */
static struct amount
beyond(struct amount held, const struct usage *used, bool unknown)
{
    const struct amount took = amount_of(used), rest = amount_less(held, took);
    struct amount more = {0};
    if (unknown || (used->model_calls && !used->cost_known))
        more.nusd = rest.nusd;
    if (unknown || (used->model_calls && !took.tokens))
        more.tokens = rest.tokens;
    return more;
}

void
spend_settle(struct stepping *st, struct amount held, const struct usage *used, bool unknown)
{
    AUTO(chain_fini) struct chain c = {0};
    chain_find(st, &c);
    if (!c.purses.len)
        return;
    const struct amount took = amount_of(used), more = beyond(held, used, unknown);
    st->spend->unknown = amount_add(st->spend->unknown, more);
    st->spend->out.nusd -= held.nusd;
    st->spend->out.tokens -= held.tokens;
    for (size_t i = 0; i < c.purses.len; i++)
        purse_give(c.purses.at[i], held, amount_add(took, more));
}

/* ---- a step that pays for another, and that other one --------------------------------------- */

static void
chain_settle(const struct run *r, const struct prepaid *p, const char *path, struct amount spent)
{
    AUTO(chain_fini) struct chain c = {0};
    const struct amount held = p && !p->late ? p->need : (struct amount){0};
    chain_around(r, path, &c);
    for (size_t i = 0; i < c.purses.len; i++) {
        if (p && p->late)
            budget_refund(&c.purses.at[i]->budget, p->need);
        purse_give(c.purses.at[i], held, spent);
    }
}

void
spend_keep(struct stepping *st, struct amount held)
{
    struct run *r = st->h->run;
    if (amount_is_zero(held))
        return;
    AUTO(freep) char *account = account_of(st);
    struct prepaid *old = prepaid_at(r, account);
    const int64_t until = add_saturating(rt_wall_ms(), st->s->pays_ms);
    const struct amount lost = not_known(st);
    if (old)
        spend_give_up(r, old);
    st->spend->out = amount_less(st->spend->out, held);
    prepaid_put(
        r, &(struct prepaid){
               .path = account, .need = held, .lost = lost, .until_wall_ms = until, .by = st->h});
    json_t *body = reserved_body(st, amount_add(lost, held));
    json_object_set_new(body, "open", amount_to_json(held));
    json_object_set_new(body, "until", json_integer(until));
    run_append(r, REC_STEP_RESERVED, account, body, false);
}

static void
prepaid_settle(struct stepping *st, const struct err *e)
{
    struct run *r = st->h->run;
    struct prepaid *p = prepaid_at(r, st->path);
    const struct amount held = p ? p->need : (struct amount){0};
    const struct amount more = beyond(held, &st->usage, e && !err_answered(e));
    chain_settle(r, p, st->path, amount_add(amount_of(&st->usage), more));
    st->spend->unknown = p ? amount_add(p->lost, more) : more;
    if (p)
        prepaid_remove(r, p);
}

void
spend_give_up(struct run *r, struct prepaid *p)
{
    chain_settle(r, p, p->path, p->need);
    if (!r->broken && !p->late)
        run_append(r, REC_STEP_RESERVED, p->path,
                   json_pack("{so sI}", "held", amount_to_json(amount_add(p->lost, p->need)), "at",
                             rt_wall_ms()),
                   true);
    prepaid_remove(r, p);
}

void
spend_wake(const struct run *r, const char *path)
{
    AUTO(chain_fini) struct chain c = {0};
    chain_around(r, path, &c);
    for (size_t i = 0; i < c.purses.len; i++)
        purse_wake(c.purses.at[i]);
}

void
spend_end(struct stepping *st, const struct err *e)
{
    if (st->s->paid)
        prepaid_settle(st, e);
    else if (st->s->pays_for && e && amount_exceeds(st->spend->recorded, not_known(st)))
        reserved_record(st, not_known(st), false);
}

json_t *
spend_note(const struct stepping *st)
{
    if (st->s->pays_for) /* it is noted where the answer will be */
        return NULL;
    const struct amount held = not_known(st);
    return amount_is_zero(held) ? NULL : amount_to_json(held);
}

void
spend_leave(struct stepping *st)
{
    const struct amount held = not_known(st);
    if (amount_exceeds(st->spend->recorded, held) && !st->h->run->broken)
        reserved_record(st, held, true);
}
