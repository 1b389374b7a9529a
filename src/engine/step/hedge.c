/* hedge.c - a second identical call beside a first one that is slow; the first good answer wins.
 *
 * Each of both is a try of its own: it is reserved for, admitted and told like any other, in a
 * fiber of its own. The one that is not needed any more is cancelled, down to its connection. Only
 * what may be sent twice is: pure and idempotent calls (the key is the same), and models. */
#include "engine/step/stepping.h"
#include <stdlib.h>
#include <string.h>

struct hedge;
struct side { /* one of the two */
    struct hedge *hedge;
    struct stepping *st;
    struct scope scope;
    json_t *value;
    struct err *e;
    bool open, done; /* open: its scope is there */
    bool sent;
    int64_t sent_ms;
};
struct hedge {
    struct side first, second;
    struct stepping twin; /* the second's */
    struct waitq changed;
    struct scope scope;
};

bool
hedge_may(const struct stepping *st)
{
    return st->hedge_ms > 0 && st->s->effect != EFFECT_ONCE;
}

void
hedge_sent(struct side *side)
{
    struct hedge *h = side->hedge;
    struct stepping *st = h->first.st;
    side->sent = true;
    side->sent_ms = rt_now_ms();
    waitq_wake_all(&h->changed);
    if (side == &h->first)
        return;
    st->hedged = true;
    step_tell(st, EVENT_STEP_HEDGED, json_pack("{sI}", "after_ms", st->hedge_ms));
}

static bool
is_good(const struct side *s)
{
    return s->done && !s->e;
}

static void
side_main(void *arg)
{
    struct side *s = arg;
    struct hedge *h = s->hedge;
    struct side *other = s == &h->first ? &h->second : &h->first;
    scope_open(&s->scope, DEADLINE_NONE);
    s->open = true;
    s->e = step_attempt(s->st, &s->value);
    s->done = true;
    if (!s->e && other->open) /* at once: it must not tell anything more */
        scope_cancel(&other->scope);
    s->open = false;
    err_free(scope_close(&s->scope));
    waitq_wake_all(&h->changed);
}

static void
second_begin(struct hedge *h)
{
    struct stepping *st = h->first.st;
    h->twin = (struct stepping){.h = st->h,
                                .s = st->s,
                                .path = st->path,
                                .timeout_ms = st->timeout_ms,
                                .health = st->health,
                                .attempt = st->attempt,
                                .spend = st->spend,
                                .side = &h->second,
                                .intended = true,
                                .second = true};
    memcpy(h->twin.key, st->key, sizeof st->key);
    h->second.hedge = h;
    h->second.st = &h->twin;
    scope_spawn(&h->scope, "hedge", side_main, &h->second);
}

/* Until one is good or all have failed; the time is counted from when the first was sent. */
static struct err *
both_wait(struct hedge *h)
{
    const int64_t after = h->first.st->hedge_ms;
    while (!is_good(&h->first) && !is_good(&h->second)) {
        const bool begun = h->second.st != NULL;
        int64_t until = DEADLINE_NONE;
        if (h->first.done && (!begun || h->second.done))
            return NULL;
        if (!begun && h->first.sent)
            until = add_saturating(h->first.sent_ms, after);
        if (!begun && until != DEADLINE_NONE && rt_now_ms() >= until) {
            second_begin(h);
            continue;
        }
        struct err *e = waitq_wait(&h->changed, until);
        struct err *over = e ? fiber_check() : NULL;
        err_free(e); /* its time has come, unless this fiber is to end */
        if (over)
            return over;
    }
    return NULL;
}

/* A call that was cut off: what it used is in no answer. */
static void
loser_count(struct stepping *st, const struct side *s)
{
    if (s->e && err_kind(s->e) == ERR_CANCELLED && s->sent && st->s->effect == EFFECT_LLM)
        usage_add(&st->usage, &(struct usage){.model_calls = 1});
}

static void
side_fini(struct side *s)
{
    json_decref(s->value);
    err_free(s->e);
}

struct err *
hedge_attempt(struct stepping *st, json_t **ret_value)
{
    struct hedge *h = xcalloc(1, sizeof *h);
    h->first = (struct side){.hedge = h, .st = st};
    st->side = &h->first;
    scope_open(&h->scope, DEADLINE_NONE);
    scope_spawn(&h->scope, "first", side_main, &h->first);
    struct err *e = both_wait(h);
    scope_cancel(&h->scope);
    struct err *closed = scope_close(&h->scope);
    err_free(closed); /* each has told */
    st->side = NULL;
    struct side *winner = is_good(&h->first) ? &h->first : &h->second;
    struct side *loser = winner == &h->first ? &h->second : &h->first;
    if (loser->st)
        loser_count(st, loser);
    usage_add(&st->usage, &h->twin.usage);
    if (!e && is_good(winner)) {
        *ret_value = winner->value;
        winner->value = NULL;
        st->open = st->final = false;
        st->won = winner == &h->second;
    } else if (!e) {
        e = h->first.e;
        h->first.e = NULL;
    }
    side_fini(&h->first);
    side_fini(&h->second);
    free(h);
    return e;
}
