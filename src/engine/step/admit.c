/* admit.c - a step in front of the broker: which limits it falls under, what it will take, how it
 * waits, and what came of it.
 *
 * A call of a model falls under what the file says of provider:model, under its profile and under
 * its agent; a call of a tool under its server; other calls under their agent. */
#include "engine/step/stepping.h"
#include <stdlib.h>
#include <string.h>

/* ---- which limits -------------------------------------------------------------------------- */

static const json_t *
file_limits(const struct stepping *st)
{
    const json_t *limits = json_object_get(st->h->run->flow->doc, "limits");
    const json_t *own = json_object_get(limits, st->s->target);
    return own ? own : json_object_get(limits, "*");
}

/* The agent's own calls; what a model asks for is no call of its agent. */
static bool
is_own_call(const struct stepping *st)
{
    return strcmp(st->s->type, "model") == 0 ||
           strcmp(json_str(st->h->agent, "type", "llm"), "llm") != 0;
}

struct claims {
    struct limit_claim list[LIMITS_OF_CALL];
    char *keys[LIMITS_OF_CALL], *names[LIMITS_OF_CALL];
    size_t n;
};

static void
claims_fini(struct claims *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free(c->keys[i]);
        free(c->names[i]);
    }
}

static void
claim_add(struct claims *c, char *OWN key, char *OWN name, const json_t *limits)
{
    struct limit_claim *claim = &c->list[c->n];
    c->keys[c->n] = key;
    c->names[c->n++] = name;
    *claim = (struct limit_claim){.key = key, .name = name};
    limit_set_read(limits, &claim->set);
}

static bool
agent_is_limited(const struct stepping *st)
{
    return is_own_call(st) && json_int(st->h->agent, "max_concurrency", 0) > 0;
}

/* Agents of the same name in two files are two agents, unless they are the same to the letter. */
static char *OWN
agent_key(const struct stepping *st)
{
    AUTO(freep) char *text = json_text(st->h->agent);
    return xasprintf("agent %s %016llx", st->h->name,
                     (unsigned long long)hash_fnv(text, strlen(text)));
}

/* From the widest to the narrowest. A model is always there: its provider may have its own ideas.
 */
static void
claims_find(const struct stepping *st, struct claims *c)
{
    const struct step *s = st->s;
    if (strcmp(s->type, "model") == 0)
        claim_add(c, xstrdup(s->target), xstrdup(s->target), file_limits(st));
    if (s->limits)
        claim_add(c, xstrdup(s->limited), xstrdup(s->limited), s->limits);
    if (!agent_is_limited(st))
        return;
    AUTO(json_freep)
    json_t *limits =
        json_pack("{sI}", "max_concurrency", json_int(st->h->agent, "max_concurrency", 0));
    char *key = agent_key(st);
    claim_add(c, key, xstrndup(key, strlen(key) - 17), limits);
}

void
needs_free(struct flow *f)
{
    void *need;
    for (size_t i = 0; f->needs && map_next(f->needs, &i, NULL, &need);)
        broker_need_free(need);
    map_free(f->needs);
}

/* Looked for once in each flow. */
static struct limit_need *
need_of(const struct stepping *st)
{
    struct flow *f = st->h->run->flow;
    const bool of_agent = agent_is_limited(st);
    if (strcmp(st->s->type, "model") != 0 && !st->s->limits && !of_agent)
        return NULL;
    AUTO(freep) char *agent = of_agent ? agent_key(st) : NULL;
    AUTO(freep)
    char *key = xasprintf("%s\n%s\n%s", st->s->target, st->s->limits ? st->s->limited : "",
                          agent ? agent : "");
    if (!f->needs)
        f->needs = map_new();
    struct limit_need *need = map_get(f->needs, key);
    if (need)
        return need;
    AUTO(claims_fini) struct claims claims = {.n = 0};
    claims_find(st, &claims);
    need = broker_need(st->h->run->engine->broker, claims.list, claims.n);
    map_put(f->needs, key, need);
    return need;
}

/* ---- its turn ------------------------------------------------------------------------------ */

/* What providers reckon with, input and the longest reply, as long as that leaves room for others;
 * else what is likely. What it really was is put right afterwards. */
static int64_t
tokens_of(const struct stepping *st)
{
    const int64_t limit = limit_need_tokens(st->admission.need);
    int64_t most = 0;
    if (!limit || !st->s->tokens)
        return 0;
    const int64_t likely = st->s->tokens(st->s->ctx, &most);
    return most && most <= limit / 4 ? most : MAX(likely, 1);
}

static void
tell_wait(void *ctx, const struct limit_wait *w)
{
    struct stepping *st = ctx;
    json_t *more = json_pack("{ss ss sI}", "limit", w->name, "reason", limit_reason_text(w->reason),
                             "waiting", (json_int_t)w->waiting);
    if (w->wait_ms >= 0)
        json_object_set_new(more, "wait_ms", json_integer(w->wait_ms));
    step_tell(st, EVENT_LIMIT_WAITING, more);
}

/* The nth wait of this step that is too long for memory: begun, gone on with, or over. */
static struct err *
long_wait(struct stepping *st, unsigned number, const struct limit_wait *w)
{
    struct run *r = st->h->run;
    AUTO(freep) char *path = xasprintf("%s/limit[%u]", st->path, number);
    AUTO(json_freep) json_t *detail = json_pack("{si}", "attempt", (int)st->attempt);
    if (w)
        json_object_update_new(detail, json_pack("{ss ss ss}", "target", st->s->target, "limit",
                                                 w->name, "reason", limit_reason_text(w->reason)));
    struct pause p = {.type = PAUSE_LIMIT, .for_ms = w ? w->wait_ms : 0, .detail = detail};
    AUTO(json_freep) json_t *value = NULL;
    const int64_t since = rt_wall_ms();
    run_works(r, false);
    struct err *e = pause_wait(r, path, &p, &value);
    run_works(r, true);
    st->rested_ms += rt_wall_ms() - since;
    return e;
}

struct err *
admit_find(struct stepping *st)
{
    const struct view *v = st->h->run->view;
    st->queued = false;
    for (st->limit_waits = 0; view_has_waits(v); st->limit_waits++) {
        AUTO(freep) char *path = xasprintf("%s/limit[%u]", st->path, st->limit_waits + 1);
        AUTO(json_freep) json_t *open = NULL;
        AUTO(json_freep) json_t *done = NULL;
        PASS(view_wait(v, path, &open, &done));
        if (!open && !done)
            break;
        const unsigned nth = (unsigned)MAX(json_int(open ? open : done, "attempt", 1), 1);
        st->attempt = MAX(st->attempt, nth - 1); /* those before it are over */
        st->queued = !done;
    }
    return NULL;
}

static struct err *
admit_once(struct stepping *st, bool *ret_late, struct limit_wait *ret_wait)
{
    const struct run *r = st->h->run;
    const int64_t since = rt_now_ms();
    const struct limit_ask ask = {.flow = r->lease.id,
                                  .priority =
                                      (int)json_int(plan_root(r->flow->plan)->def, "priority", 0) +
                                      (st->h->node ? st->h->node->priority : 0),
                                  .tokens = tokens_of(st),
                                  .slow = tell_wait,
                                  .ctx = st};
    struct err *e = broker_admit(r->engine->broker, &ask, &st->admission, ret_late, ret_wait);
    st->waited_ms += rt_now_ms() - since;
    st->final &= !e; /* the store failed: that may be over at the next try */
    return e;
}

struct err *
admit_wait(struct stepping *st)
{
    if (st->queued) /* until the time that it had */
        PASS(long_wait(st, st->limit_waits, NULL));
    st->queued = false;
    if (!st->admission.need)
        st->admission.need = need_of(st);
    while (st->admission.need) {
        bool late;
        struct limit_wait w;
        PASS(admit_once(st, &late, &w));
        if (!late)
            return NULL;
        tell_wait(st, &w);
        if (st->s->elsewhere || st->second) /* the other one may have its answer before */
            return err_set_retry_after(FAIL(ERR_LIMIT, "'%s' admits nobody for %lld s (%s of %s)",
                                            st->s->target, (long long)(w.wait_ms + 999) / 1000,
                                            limit_reason_text(w.reason), w.name),
                                       w.wait_ms);
        PASS(long_wait(st, ++st->limit_waits, &w));
    }
    return NULL;
}

void
admit_cancel(struct stepping *st)
{
    if (st->admission.need)
        admission_cancel(st->h->run->engine->broker, &st->admission);
}

/* ---- what came of it ----------------------------------------------------------------------- */

static int64_t
tokens_taken(const struct stepping *st, const struct usage *used, bool refused)
{
    int64_t took = used->input_tokens + used->output_tokens;
    if (took > 0)
        return took;
    return !st->s->tokens || refused ? 0 : -1; /* -1: the estimate stays */
}

static json_t *
told_json(const struct step_limit *l)
{
    return l->limit < 0 && l->remaining < 0
               ? NULL
               : json_pack("{sI sI sI}", "limit", l->limit, "remaining", l->remaining, "reset_ms",
                           l->reset_ms);
}

void
admit_end(struct stepping *st, const struct err *e, const struct usage *used,
          const struct step_limits *told)
{
    if (!st->admission.admitted)
        return;
    const int64_t after = e ? err_retry_after_ms(e) : -1;
    const bool refused = e && err_kind(e) == ERR_LIMIT && (told->refused || after >= 0);
    const struct call_end end = {
        .tokens = tokens_taken(st, used, refused),
        .refused = refused,
        .well = !e,
        .retry_after_ms = after,
        .said = {{told->requests.limit, told->requests.remaining, told->requests.reset_ms},
                 {told->tokens.limit, told->tokens.remaining, told->tokens.reset_ms}}};
    if (!admission_end(st->h->run->engine->broker, &st->admission, &end))
        return;
    json_t *more = json_pack("{sb so* so*}", "refused", (int)refused, "requests",
                             told_json(&told->requests), "tokens", told_json(&told->tokens));
    if (after >= 0)
        json_object_set_new(more, "retry_after_ms", json_integer(after));
    step_tell(st, EVENT_LIMIT_LEARNED, more);
}

void
engine_limits(const struct engine *e, void (*fn)(void *ctx, const struct limit_stats *s), void *ctx)
{
    broker_stats(e->broker, fn, ctx);
}
