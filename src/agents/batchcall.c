/* batchcall.c - gathering, submitting, waiting, taking: the steps of a call in a batch. */
#include "agents/batchcall.h"
#include "rt/fiber.h"
#include "rt/rt.h"
#include <stdlib.h>
#include <string.h>

struct travel { /* one call under way */
    const struct batch_call *b;
    int64_t group;           /* of this process; 0: not gathered here */
    const json_t *submitted; /* {batch, item} */
    const struct err *lost;  /* why nobody can ask for the answer; NULL: it can be taken */
};

static struct batch_item
item_of(const struct travel *t, const struct llm_request *req, const char *id)
{
    return (struct batch_item){t->b->profile, req, t->b->batching, id, t->group};
}

static struct err *
gather_once(void *ctx, const struct step_call *call, json_t **ret_value, struct usage *usage)
{
    struct travel *t = ctx;
    const struct batch_call *b = t->b;
    (void)usage;
    if (call->second) /* a hedge: it cannot gather any quicker */
        return fiber_park(call->deadline_ms);
    PASS(llm_gather(b->llm, b->profile, b->batching, call->deadline_ms, &t->group));
    *ret_value = json_true();
    return NULL;
}

static struct err *
submit_most(void *ctx, int64_t deadline_ms, struct usage *ret_most)
{
    const struct step *call = ((struct travel *)ctx)->b->step;
    return call->most(call->ctx, deadline_ms, ret_most);
}

/* The id is the step's own: the same whoever submits it, and of no other call. */
static struct err *
submit_once(void *ctx, const struct step_call *call, json_t **ret_value, struct usage *usage)
{
    struct travel *t = ctx;
    const struct batch_call *b = t->b;
    struct llm_request req;
    AUTO(freep) char *id = xasprintf("t-%s", call->key);
    AUTO(freep) char *batch = NULL;
    (void)usage;
    PASS(b->request(b->ctx, call->deadline_ms, &req));
    const struct batch_item item = item_of(t, &req, id);
    PASS(llm_batch_submit(b->llm, &item, call->deadline_ms, &batch));
    *ret_value = json_pack("{ss ss}", "batch", batch, "item", id);
    return NULL;
}

static struct err *
look_once(void *ctx, const struct step_call *call, json_t **ret_value, struct usage *usage)
{
    struct travel *t = ctx;
    const struct batch_item item = item_of(t, NULL, NULL);
    bool ended = false;
    (void)usage;
    PASS(llm_batch_ended(t->b->llm, &item, json_str(t->submitted, "batch", ""), call->deadline_ms,
                         &ended));
    *ret_value = json_pack("{sb}", "ended", ended);
    return NULL;
}

/* Of a batch that the provider refused as a whole nothing was done. */
static struct err *
lost_again(const struct err *e)
{
    AUTO(freep) char *text = err_text(e);
    struct err *again = FAIL(err_kind(e), "%s", text);
    return err_kind(e) == ERR_INVALID ? err_set_answered(again) : again;
}

static struct err *
take_once(void *ctx, const struct step_call *call, json_t **ret_value, struct usage *usage)
{
    struct travel *t = ctx;
    const struct batch_call *b = t->b;
    struct llm_request req;
    struct llm_reply reply = {0};
    if (t->lost)
        return lost_again(t->lost);
    PASS(b->request(b->ctx, call->deadline_ms, &req));
    const struct batch_item item = item_of(t, &req, json_str(t->submitted, "item", ""));
    struct err *e = llm_batch_take(b->llm, &item, json_str(t->submitted, "batch", ""),
                                   call->deadline_ms, &reply);
    if (e)
        return e;
    *ret_value = b->record(b->ctx, &reply, usage);
    llm_reply_fini(&reply);
    return NULL;
}

/* Batches are outside of a model's limits: providers have others for them. */
static void
without_limits(struct step *s)
{
    s->type = "batch";
    s->limits = NULL;
    s->tokens = NULL;
}

/* One step of the journey; like the call's own, but for these. */
static struct err *
travel_step(struct travel *t, const char *what, enum effect effect, step_fn run, json_t **ret_value)
{
    struct step s = *t->b->step;
    AUTO(freep) char *name = xasprintf("%s.%s", s.name, what);
    s.name = name;
    s.effect = effect;
    s.run = run;
    s.ctx = t;
    if (effect == EFFECT_ONCE) { /* what it costs is known when the answer is there */
        s.most = submit_most;
        s.pays_for = t->b->step->name;
        s.pays_ms = BATCH_GIVE_UP_MS;
    } else {
        s.most = NULL;
    }
    without_limits(&s);
    return t->b->host->ops->step(t->b->host, &s, ret_value);
}

/* Nobody waits for the answer any more, or not in this life. */
static bool
is_over(const struct err *e)
{
    struct err *ended = fiber_check();
    const bool over = ended || err_kind(e) == ERR_CANCELLED || err_kind(e) == ERR_PARKED;
    err_drop(ended);
    return over;
}

/* Not reached is not ended: it goes on without us. */
static bool
may_wait_on(const struct err *e)
{
    const enum err_kind kind = err_kind(e);
    return !is_over(e) && (kind == ERR_TRANSIENT || kind == ERR_TIMEOUT || kind == ERR_LIMIT);
}

static struct err *
looked(struct travel *t, unsigned k, bool *ret_ended)
{
    AUTO(json_freep) json_t *state = NULL;
    AUTO(freep) char *what = xasprintf("status[%u]", k);
    struct err *e = travel_step(t, what, EFFECT_PURE, look_once, &state);
    if (e && !may_wait_on(e))
        return e;
    *ret_ended = !e && json_bool(state, "ended", false);
    err_drop(e);
    return NULL;
}

static struct err *
waited(struct travel *t, unsigned k)
{
    struct host *h = t->b->host;
    json_t *nothing = NULL;
    const int64_t ms = llm_batch_wait_ms(t->b->batching, k);
    if (ms < 0)
        return FAIL(ERR_TIMEOUT, "batch '%s' has not ended after %lld hours",
                    json_str(t->submitted, "batch", ""), (long long)(BATCH_GIVE_UP_MS / 3600000));
    AUTO(freep) char *name = xasprintf("%s.wait[%u]", t->b->step->name, k);
    AUTO(json_freep)
    json_t *detail = json_pack("{ss}", "batch", json_str(t->submitted, "batch", ""));
    const struct pause p = {.name = name, .type = PAUSE_TIMER, .for_ms = ms, .detail = detail};
    PASS(h->ops->pause(h, &p, &nothing));
    json_decref(nothing);
    return NULL;
}

static struct err *
ended_wait(struct travel *t)
{
    bool ended = false;
    for (unsigned k = 0; !ended; k++) {
        PASS(waited(t, k));
        PASS(looked(t, k, &ended));
    }
    return NULL;
}

struct err *
batch_call(const struct batch_call *b, json_t **ret_value)
{
    struct travel t = {.b = b};
    AUTO(json_freep) json_t *gathered = NULL;
    AUTO(json_freep) json_t *submitted = NULL;
    struct step take = *b->step;
    struct err *e = NULL;
    PASS(travel_step(&t, "gather", EFFECT_PURE, gather_once, &gathered));
    PASS(travel_step(&t, "submit", EFFECT_ONCE, submit_once, &submitted));
    if (!json_is_object(submitted))
        return FAIL(ERR_MISSING, "its batch was taken for submitted, and nobody knows its name");
    t.submitted = submitted;
    e = ended_wait(&t);
    if (e && is_over(e))
        return e;
    t.lost = e;
    take.run = take_once;
    take.ctx = &t;
    take.effect = EFFECT_PURE;
    take.most = NULL;
    take.paid = true;
    without_limits(&take);
    struct err *failed = b->host->ops->step(b->host, &take, ret_value);
    err_free(e);
    return failed;
}
