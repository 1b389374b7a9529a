/* coalesce.c - calls under way, by what they are made of, and who waits for them. */
#include "engine/step/coalesce.h"
#include <stdlib.h>

struct flight { /* a call under way */
    char *key;
    uint64_t writes;    /* of the engine, when it was sent */
    struct waitq ended; /* who joined it */
    unsigned refs;
    bool told; /* value or error say how it ended; else each is on its own again */
    json_t *value;
    struct err *e;
};

static void
flight_unref(struct flight *f)
{
    if (--f->refs)
        return;
    json_decref(f->value);
    err_free(f->e);
    free(f->key);
    free(f);
}

static bool
is_shared(const struct stepping *st)
{
    const struct hosted *h = st->h;
    return st->s->effect == EFFECT_PURE && st->s->same && json_bool(h->agent, "coalesce", true) &&
           !(h->node && h->node->alone);
}

static struct err *
err_again(const struct err *e)
{
    AUTO(freep) char *text = err_text(e);
    struct err *again = FAIL(err_kind(e), "%s", text);
    if (err_retry_after_ms(e) >= 0)
        again = err_set_retry_after(again, err_retry_after_ms(e));
    return err_in_doubt(e) ? err_set_in_doubt(again) : again;
}

/* Says nothing about the call, only about who made it. */
static bool
is_own(const struct stepping *st, const struct err *e)
{
    struct err *ended = fiber_check(); /* its node or its run has no time left, or was cut off */
    const bool own =
        st->final || ended || err_kind(e) == ERR_CANCELLED || err_kind(e) == ERR_PARKED;
    err_drop(ended);
    return own;
}

/* Takes the key over. */
static struct err *
lead(struct stepping *st, char *OWN key,
     struct err *(*send)(struct stepping *st, json_t **ret_value), json_t **ret_value)
{
    struct engine *engine = st->h->run->engine;
    struct flight *f = xcalloc(1, sizeof *f);
    f->key = key;
    f->refs = 1;
    f->writes = engine->writes;
    map_put(engine->flights, key, f); /* one that is older goes on for those who joined it */
    struct err *e = send(st, ret_value);
    if (map_get(engine->flights, key) == f)
        map_del(engine->flights, key);
    f->told = f->refs > 1 && (!e || !is_own(st, e));
    if (f->told && e)
        f->e = err_again(e);
    else if (f->told)
        f->value = json_deep_copy(*ret_value);
    waitq_wake_all(&f->ended);
    flight_unref(f);
    return e;
}

/* *ret_joined false: it has to be made after all. */
static struct err *
join(struct stepping *st, struct flight *f, json_t **ret_value, bool *ret_joined)
{
    f->refs++;
    step_tell(st, EVENT_STEP_STARTED, json_pack("{sb}", "joined", true));
    struct err *e = waitq_wait(&f->ended, DEADLINE_NONE); /* the leader's own time bounds it */
    *ret_joined = e || f->told;
    if (!e && f->told) {
        st->h->run->engine->stats.joined++;
        if (f->e)
            e = err_again(f->e);
        else
            *ret_value = json_deep_copy(f->value);
    }
    flight_unref(f);
    return e;
}

struct err *
coalesce_try(struct stepping *st, struct err *(*send)(struct stepping *st, json_t **ret_value),
             json_t **ret_value)
{
    struct engine *engine = st->h->run->engine;
    if (!is_shared(st))
        return send(st, ret_value);
    for (;;) {
        AUTO(freep)
        char *key = xasprintf("%s %lld %s", st->s->same, (long long)st->timeout_ms, st->s->target);
        struct flight *f = map_get(engine->flights, key);
        bool joined;
        if (!f || f->writes != engine->writes)
            return lead(st, STEAL(key), send, ret_value);
        struct err *e = join(st, f, ret_value, &joined);
        if (joined)
            return e;
    }
}

void
coalesce_note(struct stepping *st)
{
    const enum effect effect = st->s->effect;
    st->h->run->engine->writes += effect == EFFECT_ONCE || effect == EFFECT_IDEMPOTENT;
}
