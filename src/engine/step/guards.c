/* guards.c - what stands around the tries of a step: its retries, its timeout, its breaker.
 *
 * A breaker belongs to a target and to the numbers that an agent gave for it: agents that name
 * other numbers for the same target have a breaker of their own, so that each gets what its writer
 * asked for and none can shut the door on another. All runs of the engine share them. */
#include "engine/journal/undolog.h"
#include "engine/step/stepping.h"
#include <stdlib.h>
#include <string.h>

#define REQUEST_TIMEOUT_MS  180000
#define UNDO_DELAY_MS_MAX   600000 /* between the tries of an undo */
#define FAILURES            5
#define COOL_MS             60000
#define BREAKERS_KEPT       4096 /* beyond, those that have nothing to tell are forgotten */
#define LAST_FAILURE_LENGTH 300  /* bytes of it that are quoted */

struct health { /* a breaker and whom it is about */
    struct breaker breaker;
    char *key, *target, *last; /* last: the failure that was told last; or NULL */
    unsigned users;            /* steps under way */
};

static void
health_free(struct health *h)
{
    free(h->key);
    free(h->target);
    free(h->last);
    free(h);
}

void
guards_free(struct engine *e)
{
    void *h;
    for (size_t i = 0; map_next(e->breakers, &i, NULL, &h);)
        health_free(h);
    map_free(e->breakers);
}

static void
healthy_forget(struct engine *e)
{
    void *value;
    if (map_len(e->breakers) < BREAKERS_KEPT)
        return;
    for (size_t i = 0; map_next(e->breakers, &i, NULL, &value);) {
        struct health *h = value;
        if (h->users || h->breaker.failed || h->breaker.state != BREAKER_CLOSED)
            continue;
        map_del(e->breakers, h->key);
        health_free(h);
    }
}

static struct health *
health_find(struct engine *e, const struct step *s, const json_t *def)
{
    const unsigned failures = (unsigned)json_int(def, "failure_threshold", FAILURES);
    const int64_t cool_ms = json_int(def, "recovery_timeout", COOL_MS);
    AUTO(freep)
    char *key = xasprintf("%u %lld %s %s", failures, (long long)cool_ms, s->target,
                          s->address ? s->address : "");
    struct health *h = map_get(e->breakers, key);
    if (h)
        return h;
    healthy_forget(e);
    h = xcalloc(1, sizeof *h);
    h->target = xstrdup(s->target);
    breaker_init(&h->breaker, failures, cool_ms, rt_now_ms());
    map_put(e->breakers, key, h);
    h->key = STEAL(key);
    return h;
}

static int64_t
timeout_of(const struct hosted *h, const struct step *s, const json_t *settings)
{
    const int64_t said[] = {h->node ? h->node->timeout_ms : 0, json_int(h->agent, "timeout", 0),
                            s->timeout_ms};
    for (size_t i = 0; i < COUNT(said); i++) {
        if (said[i])
            return said[i];
    }
    return json_int(settings, "request_timeout", REQUEST_TIMEOUT_MS);
}

static int64_t
hedge_of(const struct hosted *h)
{
    const json_t *of_node = h->node ? json_object_get(h->node->def, "hedge") : NULL;
    return json_int(of_node ? of_node : json_object_get(h->agent, "hedge"), "after", 0);
}

void
guards_find(struct stepping *st)
{
    const struct hosted *h = st->h;
    const json_t *settings = json_object_get(h->run->flow->doc, "settings");
    const json_t *breaker = json_object_get(h->agent, "circuit_breaker");
    st->retry = RETRY_DEFAULT;
    st->retry.max_attempts = (unsigned)json_int(settings, "retry_attempts", st->retry.max_attempts);
    st->retry.initial_ms = json_int(settings, "retry_delay", st->retry.initial_ms);
    retry_from_json(&st->retry, json_object_get(h->agent, "retry"));
    if (undo_part(st->path)) {
        st->retry.max_attempts = UINT32_MAX; /* but for what the compensate itself says */
        st->retry.max_ms = MAX(st->retry.max_ms, UNDO_DELAY_MS_MAX);
    }
    if (h->node && h->node->retry)
        retry_from_json(&st->retry, h->node->retry);
    st->timeout_ms = timeout_of(h, st->s, settings);
    st->hedge_ms = hedge_of(h);
    if (!breaker || undo_part(st->path)) /* an undo waits in its own way */
        return;
    st->health = health_find(h->run->engine, st->s, breaker);
    st->health->users++;
}

void
guards_leave(struct stepping *st)
{
    if (st->health)
        st->health->users--;
}

/* ---- the breaker ----------------------------------------------------------- */

static struct err *
refusal(const struct health *h)
{
    const int64_t left = breaker_open_ms(&h->breaker, rt_now_ms());
    AUTO(freep)
    char *when = left ? xasprintf("it is tried again in %lld ms", (long long)left)
                      : xstrdup("one call is trying it now");
    return FAIL(ERR_DENIED, "circuit breaker is open: '%s' failed %u time%s in a row (%s); %s",
                h->target, h->breaker.failed, h->breaker.failed == 1 ? "" : "s",
                h->last ? h->last : "", when);
}

static void
change_tell(struct stepping *st)
{
    static const char *const events[] = {EVENT_BREAKER_CLOSED, EVENT_BREAKER_OPENED,
                                         EVENT_BREAKER_HALF_OPEN};
    const struct breaker *b = &st->health->breaker;
    json_t *more = json_pack("{si}", "failures", (int)b->failed);
    if (b->state == BREAKER_OPEN) {
        st->tripped = true;
        json_object_set_new(more, "cool_ms", json_integer(b->cool_ms));
    }
    step_tell(st, events[b->state], more);
}

struct err *
guards_admit(struct stepping *st, uint64_t *ret_pass)
{
    *ret_pass = 0;
    if (!st->health)
        return NULL;
    struct breaker *b = &st->health->breaker;
    const enum breaker_state before = b->state;
    *ret_pass = breaker_allow(b, rt_now_ms());
    if (!*ret_pass) {
        st->h->refused = true;
        st->final = true; /* it fails at once: that is what it is for */
        return refusal(st->health);
    }
    if (b->state != before)
        change_tell(st);
    return NULL;
}

struct err *
guards_peek(struct stepping *st)
{
    uint64_t pass;
    if (!st->health || !breaker_open_ms(&st->health->breaker, rt_now_ms()))
        return NULL;
    return guards_admit(st, &pass);
}

static bool
is_failure(const struct err *e)
{
    const enum err_kind kind = err_kind(e);
    return kind == ERR_TRANSIENT || kind == ERR_TIMEOUT || kind == ERR_LIMIT;
}

/* Says nothing about the target's health: nobody waited for its own time to be over. */
static bool
is_no_verdict(const struct err *e, bool cut_off)
{
    return err_kind(e) == ERR_CANCELLED || err_kind(e) == ERR_PARKED ||
           (err_kind(e) == ERR_TIMEOUT && cut_off);
}

void
guards_verdict(struct stepping *st, uint64_t pass, const struct err *e, bool cut_off)
{
    struct health *h = st->health;
    if (!pass)
        return;
    if (e && is_no_verdict(e, cut_off)) {
        breaker_forget(&h->breaker, pass);
        return;
    }
    const bool ok = !e || !is_failure(e);
    if (!ok) {
        AUTO(freep) char *text = err_text(e);
        free(h->last);
        h->last = xstrndup(text, utf8_floor(text, MIN(strlen(text), LAST_FAILURE_LENGTH)));
    }
    if (breaker_report(&h->breaker, pass, ok, rt_now_ms()))
        change_tell(st);
}

void
engine_breakers(const struct engine *e, void (*fn)(void *ctx, const struct breaker_stats *s),
                void *ctx)
{
    const int64_t to_wall = rt_wall_ms() - rt_now_ms();
    void *value;
    for (size_t i = 0; map_next(e->breakers, &i, NULL, &value);) {
        const struct health *h = value;
        const struct breaker *b = &h->breaker;
        const struct breaker_stats s = {.target = h->target,
                                        .state = breaker_state_name(b->state),
                                        .last_failure = h->last,
                                        .failure_threshold = b->trip_after,
                                        .failures = b->failed,
                                        .recovery_ms = b->cool_ms,
                                        .since_wall_ms = b->since_ms + to_wall,
                                        .openings = (int64_t)b->openings,
                                        .refused = (int64_t)b->refused};
        fn(ctx, &s);
    }
}
