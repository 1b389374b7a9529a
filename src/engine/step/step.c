/* step.c - one recorded unit of work: found in the journal, or guarded, done and recorded.
 *
 * This is the only place that retries. */
#include "engine/journal/undolog.h"
#include "engine/saga.h"
#include "engine/step/coalesce.h"
#include "engine/step/leftopen.h"
#include "engine/step/prepaid.h"
#include "engine/step/stepping.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- what the journal says ------------------------------------------------- */

static json_t *
error_body(const struct err *e)
{
    AUTO(freep) char *text = err_text(e);
    return json_pack("{ss so sb}", "kind", err_kind_name(err_kind(e)), "text",
                     json_string_lossy(text, strlen(text)), "in_doubt", err_in_doubt(e));
}

static struct err *
error_from(const json_t *body)
{
    enum err_kind kind = ERR_TRANSIENT;
    err_kind_parse(json_str(body, "kind", ""), &kind);
    struct err *e = FAIL(kind, "%s", json_str(body, "text", "failed"));
    return json_bool(body, "in_doubt", false) ? err_set_in_doubt(e) : e;
}

static void
account(struct hosted *h, const struct usage *usage, unsigned attempts)
{
    usage_add(&h->usage, usage);
    h->attempts = MAX(h->attempts, attempts);
}

static struct err *
recorded(struct hosted *h, json_t *body, bool failed, json_t **ret_value)
{
    struct usage usage;
    usage_from_json(json_object_get(body, "usage"), &usage);
    account(h, &usage, (unsigned)json_int(body, "attempts", 1));
    h->run->engine->stats.replayed++;
    if (failed)
        return error_from(json_object_get(body, "error"));
    json_t *value = json_object_get(body, "value");
    *ret_value = value ? json_incref(value) : json_null();
    return NULL;
}

static bool
acts(const struct step *s)
{
    return s->effect == EFFECT_ONCE || s->effect == EFFECT_IDEMPOTENT;
}

/* For views of the run: nothing that goes on rests on it. */
static void
put_times(struct str *to, const struct stepping *st)
{
    if (st->began_wall_ms)
        json_put_int(to, "began", st->began_wall_ms);
    if (st->waited_ms)
        json_put_int(to, "waited_ms", st->waited_ms);
    if (st->rested_ms)
        json_put_int(to, "rested_ms", st->rested_ms);
    if (st->hedged)
        json_put_text(to, "hedged", st->won ? "second" : "first");
    if (st->tripped)
        json_put(to, "tripped", json_true());
}

/* what: "value" or "error". */
static bool
record_end(struct stepping *st, enum record_kind kind, const char *what, const json_t *of,
           bool unsure)
{
    AUTO(json_freep) json_t *held = spend_note(st);
    struct str *to = record_begin(st->h->run);
    json_put_text(to, "type", st->s->type);
    json_put_text(to, "target", st->s->target);
    json_put(to, what, of);
    json_put_int(to, "attempts", st->attempt);
    json_put_int(to, "at", rt_wall_ms());
    usage_put(to, "usage", &st->usage);
    json_put(to, "held", held);
    if (unsure)
        json_put(to, "unsure", json_true());
    put_times(to, st);
    return record_append_end(st->h->run, kind, st->path, &(struct step_end){st->usage, unsure});
}

static void
record_failed(struct stepping *st, const struct err *e)
{
    AUTO(json_freep) json_t *error = error_body(e);
    /* unsure: what is around it may have to be undone */
    record_end(st, REC_STEP_FAILED, "error", error, err_in_doubt(e) && acts(st->s));
}

static struct err *
record_done(struct stepping *st, const json_t *value)
{
    if (record_end(st, REC_STEP_DONE, "value", value, false))
        return NULL;
    AUTO(freep) char *what = xasprintf("what '%s' answered", st->s->target);
    struct err *e = too_large(what);
    if (acts(st->s)) /* it was carried out all the same */
        err_set_in_doubt(e);
    record_failed(st, e);
    return e;
}

/* ---- doing it -------------------------------------------------------------- */

/* Position, never content: the same step has the same key in each try and after each crash. Where
 * the other side may act on it, it cannot be guessed; elsewhere a plain hash will do. */
static void
key_make(struct stepping *st)
{
    const struct run *r = st->h->run;
    AUTO(freep) char *text = xasprintf("%s|%s", r->lease.id, st->path);
    size_t n = strlen(text);
    if (st->s->effect == EFFECT_LLM || st->s->effect == EFFECT_PURE)
        snprintf(st->key, sizeof st->key, "%016llx%016llx", (unsigned long long)hash_fnv(text, n),
                 (unsigned long long)hash_fnv(text + n / 2, n - n / 2));
    else
        hmac_sha256_hex(r->engine->opts.install_key, 32, text, n, st->key);
    st->key[32] = '\0';
}

void
step_tell(struct stepping *st, const char *event, json_t *more)
{
    struct run *r = st->h->run;
    if (r->engine->subscribers.len) {
        json_t *d = json_pack("{ss ss si}", "type", st->s->type, "target", st->s->target, "attempt",
                              (int)st->attempt);
        if (st->s->detail)
            json_object_set(d, "detail", (json_t *)(uintptr_t)st->s->detail);
        if (more)
            json_object_update(d, more);
        run_publish(r, (struct run_event){.name = event, .path = st->path, .detail = d});
        json_decref(d);
    }
    json_decref(more);
}

static struct err *
attempt_once(struct stepping *st, json_t **ret_value, struct usage *used)
{
    struct scope scope;
    uint64_t pass;
    PASS(guards_admit(st, &pass));
    int64_t deadline = rt_after(st->timeout_ms);
    struct step_limits told = STEP_LIMITS_NONE;
    struct step_call call = {.deadline_ms = deadline,
                             .key = st->key,
                             .attempt = st->attempt,
                             .second = st->second,
                             .limits = &told};
    step_tell(st, EVENT_STEP_STARTED, NULL);
    scope_open(&scope, deadline);
    st->open = st->sent = true;
    if (st->side)
        hedge_sent(st->side);
    struct err *e = st->s->run(st->s->ctx, &call, ret_value, used);
    st->open = e && (err_kind(e) == ERR_CANCELLED || err_in_doubt(e));
    struct err *late = scope_close(&scope);
    err_free(late); /* the call itself has told */
    struct err *ended = fiber_check();
    guards_verdict(st, pass, e, ended != NULL);
    err_free(ended);
    admit_end(st, e, used, &told);
    if (e && err_kind(e) == ERR_TIMEOUT && rt_now_ms() >= deadline)
        e = WRAP(e, "no answer within %.3g s", (double)st->timeout_ms / 1000.0);
    return e;
}

/* Its intent comes when it has its turn: while it waits, it was certainly not sent. */
static struct err *
attempt_in_turn(struct stepping *st, json_t **ret_value, struct usage *used)
{
    struct run *r = st->h->run;
    PASS(guards_peek(st));
    PASS(admit_wait(st));
    if (!st->intended &&
        (st->s->effect == EFFECT_ONCE || (acts(st->s) && plan_undoes(r->flow->plan))))
        run_append(
            r, REC_STEP_INTENT, st->path,
            json_pack("{ss ss ss}", "type", st->s->type, "target", st->s->target, "key", st->key),
            false);
    st->intended = true;
    struct err *e = run_barrier(r);
    if (!e)
        e = fiber_check();
    if (!e) {
        st->final = false;
        e = attempt_once(st, ret_value, used);
    }
    admit_cancel(st); /* when it was not sent after all */
    return e;
}

/* One try that is paid for. Nobody knows what it took when it may have been carried out and no
 * answer says so. */
struct err *
step_attempt(struct stepping *st, json_t **ret_value)
{
    struct amount held;
    struct usage used = {0};
    st->sent = false;
    st->final = true; /* what goes wrong before the call is not cured by another try */
    PASS(spend_reserve(st, !st->second, &held));
    struct err *e = attempt_in_turn(st, ret_value, &used);
    const bool refused =
        e && !err_in_doubt(e) && err_kind(e) != ERR_TIMEOUT && err_kind(e) != ERR_CANCELLED;
    if (!e && st->s->pays_for)
        spend_keep(st, held);
    else
        spend_settle(st, held, &used, st->sent && e && !refused);
    usage_add(&st->usage, &used);
    return e;
}

static bool
may_retry(const struct stepping *st, const struct err *e)
{
    if (!retry_allows(&st->retry, e, st->attempt) || (st->s->paid && err_answered(e)))
        return false;
    /* It may have been carried out: only somebody who knows may send it again. */
    return st->s->effect != EFFECT_ONCE || !err_in_doubt(e);
}

static struct err *
back_off(struct stepping *st, const struct err *e)
{
    double chance = (double)rt_random_below(1u << 20) / (double)(1u << 20);
    int64_t delay = retry_delay_ms(&st->retry, e, st->attempt, chance);
    AUTO(freep) char *text = err_text(e);
    step_tell(st, EVENT_NODE_RETRYING,
              json_pack("{sI ss so}", "delay_ms", delay, "kind", err_kind_name(err_kind(e)),
                        "error", json_string_lossy(text, strlen(text))));
    st->waited_ms += delay;
    return back_off_wait(st, delay);
}

static struct err *
step_do(struct stepping *st, json_t **ret_value)
{
    guards_find(st);
    key_make(st);
    st->began_wall_ms = rt_wall_ms();
    PASS(back_off_former(st));
    for (;; st->attempt++) {
        struct err *e = coalesce_try(st, hedge_may(st) ? hedge_attempt : step_attempt, ret_value);
        if (!e || st->final)
            return e;
        struct err *ended =
            fiber_check(); /* the node, the run or the process ends: nobody is to blame */
        if (ended) {
            err_free(e);
            return ended;
        }
        if (!may_retry(st, e))
            return e;
        st->repeated |= err_in_doubt(e);
        struct err *cut = back_off(st, e);
        err_free(e);
        PASS(cut);
    }
}

/* A `once` step whose intent is in the journal and whose end is not: nobody knows. */
static struct err *
doubt_resolve(struct stepping *st, json_t **ret_value, bool *ret_settled)
{
    *ret_settled = true;
    switch (doubts_answer(st->h->run->doubts, st->path)) {
    case IN_DOUBT_DONE:
        st->attempt = 1;
        *ret_value = json_null();
        return record_done(st, *ret_value);
    case IN_DOUBT_FAIL: {
        st->attempt = 1;
        struct err *e = err_set_in_doubt(FAIL(ERR_TRANSIENT,
                                              "'%s' was under way when the process ended; it was "
                                              "given up as failed",
                                              st->s->target));
        record_failed(st, e);
        return e;
    }
    case IN_DOUBT_RETRY:
        *ret_settled = false;
        return NULL;
    case IN_DOUBT_PARK:
        break;
    }
    return open_ask(st, "was under way when the process ended, and may have been carried out");
}

/* It ended with e, and what the journal is told of that. */
static struct err *
step_failed(struct stepping *st, struct err *OWN e)
{
    const struct step *s = st->s;
    const struct run *r = st->h->run;
    struct err *ended = fiber_check();
    err_free(ended);
    const bool cut_off = ended || err_kind(e) == ERR_CANCELLED ||
                         (!undo_part(st->path) && scope_is_cancelled(&r->scope));
    if (cut_off && s->effect == EFFECT_ONCE && st->open)
        return open_cut_off(st, e);
    if (cut_off || err_kind(e) == ERR_PARKED || r->broken) {
        spend_leave(st);
        return e;
    }
    if (s->effect == EFFECT_ONCE && err_in_doubt(e) && !s->tell_doubt) {
        AUTO(freep) char *text = err_text(e);
        AUTO(freep) char *how = xasprintf("may have been carried out (%s)", text);
        err_free(e);
        return open_ask(st, how);
    }
    if (st->repeated && acts(s) && err_kind(e) == ERR_MISSING && err_answered(e))
        e = err_set_in_doubt(e); /* gone: perhaps it was the try before that took it away */
    spend_end(st, e);
    record_failed(st, e);
    return e;
}

/* Without a saga only `once` calls have an intent: one that has begun is known to be that. */
static struct err *
effect_find(struct stepping *st, struct step *known)
{
    const struct run *r = st->h->run;
    if (!st->s->settle || r->engine->opts.recorded_only ||
        (view_step_begun(r->view, st->path) && !plan_undoes(r->flow->plan)))
        return NULL;
    assert(st->s->effect == EFFECT_ONCE);
    *known = *st->s;
    known->settle(known->ctx, known);
    st->s = known;
    return fiber_check(); /* that took its time, and nothing has begun */
}

/* A step that the journal has no end of. */
static struct err *
step_go(struct stepping *st, struct step *known, json_t **ret_value)
{
    struct run *r = st->h->run;
    bool settled = false;
    PASS(back_off_find(st));
    PASS(admit_find(st));
    PASS(effect_find(st, known));
    const struct step *s = st->s;
    if (s->effect == EFFECT_ONCE && !st->paused && !st->queued &&
        view_step_begun(r->view, st->path)) {
        PASS(doubt_resolve(st, ret_value, &settled));
        if (settled)
            return NULL;
    }
    if (r->engine->opts.recorded_only)
        return FAIL(ERR_PARKED, "the journal has no step '%s' ('%s')", st->path, s->target);
    st->repeated = acts(s) && view_step_begun(r->view, st->path);
    r->engine->stats.steps++;
    run_works(r, true);
    struct err *e = step_do(st, ret_value);
    coalesce_note(st);
    guards_leave(st);
    run_works(r, false);
    account(st->h, &st->usage, st->attempt);
    if (e)
        return step_failed(st, e);
    spend_end(st, NULL);
    e = record_done(st, *ret_value);
    if (e)
        json_freep(ret_value);
    return e;
}

struct taken { /* not on the stack: thousands of steps wait, and each page of theirs counts */
    struct stepping st;
    struct step known; /* the step with what was found out of it */
    struct spend spend;
};

struct err *
hosted_step(struct host *base, const struct step *s, json_t **ret_value)
{
    struct hosted *h = container_of(base, struct hosted, base);
    AUTO(freep) char *path = xasprintf("%s/%s", h->path, s->name);
    AUTO(json_freep) json_t *body = NULL;
    bool failed;
    PASS(view_step(h->run->view, path, &body, &failed));
    if (body && !failed && s->pays_for) {
        AUTO(freep) char *answer = xasprintf("%s/%s", h->path, s->pays_for);
        prepaid_adopt(h, answer);
    }
    if (body)
        return recorded(h, body, failed, ret_value);
    AUTO(freep) struct taken *t = xcalloc(1, sizeof *t);
    t->st = (struct stepping){.h = h, .s = s, .path = path, .spend = &t->spend};
    return step_go(&t->st, &t->known, ret_value);
}
