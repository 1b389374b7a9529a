/* batchknown.c - batches that were submitted, in this life or another: whether they have ended, and
 * whose answer is whose.
 *
 * Many wait for one batch. It is looked at once for all of them, and its results are fetched once
 * and kept, a line an item, as long as there is room; what was forgotten is fetched again. */
#include "base/log.h"
#include "llm/batch.h"
#include "llm/batchcore.h"
#include "llm/batchwire.h"
#include "rt/rt.h"
#include <stdlib.h>
#include <string.h>

#define KNOWN_MAX       64  /* batches that are remembered */
#define FAILURE_KEEP_MS 500 /* told to those who look at the same time, not to their next try */

struct known {
    char *batch;
    unsigned users;
    uint64_t used;
    bool busy; /* somebody asks or fetches now */
    struct waitq idle;
    int64_t looked_at_ms; /* 0: never */
    struct err *e;        /* how the last look failed; NULL: it did not */
    struct batch_state state;
    bool fetched;
    struct map *lines; /* id -> text */
    size_t bytes;      /* of them */
};

/* ---- profiles ---------------------------------------------------------------- */

void
profile_copy_make(struct profile_copy *to, const struct llm_profile *p)
{
    const char **const texts[] = {&to->profile.name, &to->profile.provider, &to->profile.model,
                                  &to->profile.api_key, &to->profile.base_url};
    const json_t **const objects[] = {&to->profile.params, &to->profile.headers,
                                      &to->profile.extra};
    to->profile = *p;
    to->profile.url = to->profile.system_prompt = to->profile.dir = NULL;
    to->profile.script = NULL;
    for (size_t i = 0; i < COUNT(texts); i++)
        *texts[i] = to->texts[i] = *texts[i] ? xstrdup(*texts[i]) : NULL;
    for (size_t i = 0; i < COUNT(objects); i++)
        *objects[i] = to->objects[i] = json_incref((json_t *)(uintptr_t)*objects[i]);
}

void
profile_copy_fini(struct profile_copy *c)
{
    for (size_t i = 0; i < COUNT(c->texts); i++)
        free(c->texts[i]);
    for (size_t i = 0; i < COUNT(c->objects); i++)
        json_decref(c->objects[i]);
}

/* ---- what is known ----------------------------------------------------------- */

static void
lines_free(struct known *k)
{
    void *line;
    for (size_t i = 0; k->lines && map_next(k->lines, &i, NULL, &line);)
        free(line);
    map_free(k->lines);
    k->lines = NULL;
    k->bytes = 0;
    k->fetched = false;
}

static void
state_fini(struct batch_state *s)
{
    free(s->files[0]);
    free(s->files[1]);
    free(s->failure);
}

static void
known_free(struct known *k)
{
    lines_free(k);
    err_free(k->e);
    state_fini(&k->state);
    free(k->batch);
    free(k);
}

void
known_free_all(struct batches *b)
{
    void *k;
    for (size_t i = 0; map_next(b->known, &i, NULL, &k);)
        known_free(k);
}

static void
known_forget(struct batches *b)
{
    struct known *oldest = NULL;
    void *value;
    if (map_len(b->known) < KNOWN_MAX)
        return;
    for (size_t i = 0; map_next(b->known, &i, NULL, &value);) {
        struct known *k = value;
        if (!k->users && (!oldest || k->used < oldest->used))
            oldest = k;
    }
    if (!oldest)
        return;
    map_del(b->known, oldest->batch);
    known_free(oldest);
}

/* Taken for oneself: others wait. */
static struct err *
known_enter(struct batches *b, const char *batch, int64_t deadline_ms, struct known **ret)
{
    struct known *k = map_get(b->known, batch);
    if (!k) {
        known_forget(b);
        k = xcalloc(1, sizeof *k);
        k->batch = xstrdup(batch);
        map_put(b->known, batch, k);
    }
    k->users++;
    k->used = ++b->uses;
    while (k->busy) {
        struct err *e = waitq_wait(&k->idle, deadline_ms);
        if (e) {
            k->users--;
            waitq_wake_one(&k->idle); /* perhaps the turn was this one's */
            return WRAP(e, "waiting for a look at batch '%s'", batch);
        }
    }
    k->busy = true;
    *ret = k;
    return NULL;
}

static void
known_leave(struct known *k)
{
    k->busy = false;
    k->users--;
    waitq_wake_one(&k->idle);
}

static struct err *
peer_of(struct llm *llm, const struct batch_item *item, struct batch_peer *ret)
{
    const struct llm_profile *p = item->profile;
    *ret = (struct batch_peer){.profile = p};
    PASS(provider_find(p, &ret->provider, &ret->base_url));
    if (p->url || !ret->provider->batch)
        return FAIL(ERR_INVALID, "'%s' has no endpoint for batches", p->provider);
    ret->doors = llm_batches(llm)->doors;
    ret->rpm = item->batching->rpm;
    return NULL;
}

/* ---- has it ended? ------------------------------------------------------------ */

/* As it was told to the one who looked. */
static struct err *
look_failed(const struct known *k)
{
    AUTO(freep) char *text = err_text(k->e);
    struct err *e = FAIL(err_kind(k->e), "%s", text);
    return err_retry_after_ms(k->e) >= 0 ? err_set_retry_after(e, err_retry_after_ms(k->e)) : e;
}

static struct err *
look(struct known *k, const struct batch_peer *p, int64_t deadline_ms)
{
    struct batch_state state = {0};
    struct err *e = p->provider->batch->look(p, k->batch, deadline_ms, &state);
    err_free(k->e);
    k->e = NULL;
    if (e && err_kind(e) == ERR_CANCELLED) /* of this one, not of the batch */
        return e;
    k->looked_at_ms = MAX(rt_now_ms(), 1);
    if (!e) {
        k->state = state;
        return NULL;
    }
    state_fini(&state);
    k->e = WRAP(e, "looking at batch '%s'", k->batch);
    return look_failed(k);
}

struct err *
llm_batch_ended(struct llm *llm, const struct batch_item *item, const char *batch,
                int64_t deadline_ms, bool *ret_ended)
{
    struct batch_peer peer;
    struct known *k;
    struct err *e = NULL;
    PASS(peer_of(llm, item, &peer));
    PASS(batch_name_check(&peer, batch));
    PASS(known_enter(llm_batches(llm), batch, deadline_ms, &k));
    const int64_t keep = MIN(item->batching->poll_ms / 2, k->e ? FAILURE_KEEP_MS : INT64_MAX);
    const bool fresh = k->looked_at_ms && rt_now_ms() - k->looked_at_ms < keep;
    if (!k->state.ended && !fresh)
        e = look(k, &peer, deadline_ms);
    else if (!k->state.ended && k->e)
        e = look_failed(k);
    *ret_ended = k->state.ended;
    known_leave(k);
    return e;
}

/* ---- whose answer is whose ----------------------------------------------------- */

static void
keep(struct known *k, const struct batch_wire *wire, const json_t *json, char *OWN line)
{
    struct batch_result r = {0};
    wire->read(json, &r);
    if (r.id && strlen(r.id) <= BATCH_ITEM_MAX) {
        k->bytes += strlen(line);
        line = map_put(k->lines, r.id, line);
    }
    free(line);
}

/* One that cannot be read is nobody's: whoever misses it is told. */
static void
line_keep(struct known *k, const struct batch_wire *wire, const char *line, size_t n)
{
    AUTO(json_freep) json_t *json = NULL;
    struct err *e = wire_parse(line, n, &json);
    if (!e)
        keep(k, wire, json, xstrndup(line, n));
    err_drop(e);
}

static void
results_keep(struct known *k, const struct batch_wire *wire, const json_t *answer)
{
    const json_t *one;
    size_t i;
    json_array_foreach (wire->results(answer), i, one)
        keep(k, wire, one, json_text(one));
}

static struct err *
lines_take(struct known *k, const struct batch_wire *wire, struct str *bytes, bool end)
{
    size_t at = 0;
    if (end && bytes->len)
        str_addc(bytes, '\n');
    for (char *nl; at < bytes->len && (nl = memchr(bytes->p + at, '\n', bytes->len - at));) {
        const size_t n = (size_t)(nl - (bytes->p + at));
        if (n)
            line_keep(k, wire, bytes->p + at, n);
        at += n + 1;
    }
    str_cut(bytes, at);
    if (bytes->len > BATCH_LINE_MAX)
        return FAIL(ERR_LIMIT, "a result of batch '%s' is longer than %zu bytes", k->batch,
                    BATCH_LINE_MAX);
    return NULL;
}

static struct err *
fetch_file(struct known *k, const struct batch_peer *p, const char *file, int64_t deadline_ms)
{
    AUTO(http_closep) struct http *h = NULL;
    AUTO(str_fini) struct str url = STR_INIT, bytes = STR_INIT;
    bool end = false;
    p->provider->batch->results_url(p, k->batch, file, &url);
    const struct batch_post get = {"GET", str_c(&url), NULL, NULL};
    if (p->provider->batch->results) {
        AUTO(json_freep) json_t *answer = NULL;
        PASS(batch_ask(p, &get, deadline_ms, &answer));
        results_keep(k, p->provider->batch, answer);
        return NULL;
    }
    PASS(batch_open(p, &get, deadline_ms, &h));
    while (!end) {
        PASS(http_read(h, deadline_ms, &bytes, &end));
        PASS(lines_take(k, p->provider->batch, &bytes, end));
    }
    return NULL;
}

static struct err *
fetch(struct known *k, const struct batch_peer *p, int64_t deadline_ms)
{
    if (!k->state.ended)
        PASS(look(k, p, deadline_ms)); /* another life saw that it had ended */
    lines_free(k);
    k->lines = map_new();
    for (size_t i = 0; i < COUNT(k->state.files); i++) {
        if (k->state.files[i])
            TRY(fetch_file(k, p, k->state.files[i], deadline_ms),
                "fetching the results of batch '%s'", k->batch);
    }
    k->fetched = true;
    return NULL;
}

/* Those of others, the longest unused first, until there is room for these. */
static void
others_forget(const struct batches *b, const struct known *mine)
{
    for (;;) {
        struct known *oldest = NULL;
        size_t sum = 0;
        void *value;
        for (size_t i = 0; map_next(b->known, &i, NULL, &value);) {
            struct known *k = value;
            sum += k->bytes;
            if (k != mine && k->bytes && !k->busy && (!oldest || k->used < oldest->used))
                oldest = k;
        }
        if (sum <= b->kept_max || !oldest)
            return;
        lines_free(oldest);
    }
}

static struct err *
answer_make(const struct batch_peer *p, const struct batch_item *item, const json_t *body,
            struct llm_reply *ret)
{
    AUTO(answer_fini) struct answer a;
    struct llm_call c = {.profile = item->profile, .req = item->req, .base_url = p->base_url};
    toolnames_init(&c.names, item->req->tools);
    answer_init(&a, item->profile->provider, item->req, ret);
    a.provider = p->provider->name;
    struct err *e = p->provider->whole(&c, body, &a);
    if (e) {
        llm_reply_fini(ret);
    } else {
        answer_close(&a, &c.names);
        llm_usage_price(&ret->usage, &item->profile->price, a.counted);
    }
    toolnames_fini(&c.names);
    return e;
}

static struct err *
result_take(const struct batch_peer *p, const struct batch_item *item, const char *line,
            struct llm_reply *ret)
{
    AUTO(json_freep) json_t *json = NULL;
    struct batch_result r = {0};
    PASS(wire_parse(line, strlen(line), &json));
    p->provider->batch->read(json, &r);
    if (r.body)
        return answer_make(p, item, r.body, ret);
    struct err *e =
        r.expired ? FAIL(ERR_TIMEOUT, "the provider did not come to it within its time")
                  : refusal_err(&r.refusal, item->profile, llm_key_env(item->profile->provider));
    return r.failed ? err_set_answered(e) : e;
}

static struct err *
failure_of(const struct known *k)
{
    struct err *e = FAIL(ERR_TRANSIENT, "batch '%s' failed: %s", k->batch, k->state.failure);
    return k->state.free ? err_set_answered(e) : e;
}

struct err *
llm_batch_take(struct llm *llm, const struct batch_item *item, const char *batch,
               int64_t deadline_ms, struct llm_reply *ret)
{
    struct batch_peer peer;
    struct known *k;
    struct err *e = NULL;
    PASS(peer_of(llm, item, &peer));
    PASS(batch_name_check(&peer, batch));
    PASS(known_enter(llm_batches(llm), batch, deadline_ms, &k));
    if (!k->fetched)
        e = fetch(k, &peer, deadline_ms);
    others_forget(llm_batches(llm), k);
    const char *line = e ? NULL : map_get(k->lines, item->id);
    if (!e && !line && k->state.failure)
        e = failure_of(k);
    else if (!e && !line)
        e = FAIL(ERR_MISSING, "batch '%s' has ended without a result for it", batch);
    else if (!e)
        e = result_take(&peer, item, line, ret);
    known_leave(k);
    return e;
}
