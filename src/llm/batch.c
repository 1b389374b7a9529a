/* batch.c - calls that wait for each other, and the batches that are made of them. */
#include "llm/batch.h"
#include "base/hash.h"
#include "llm/batchcore.h"
#include "llm/batchwire.h"
#include "rt/rt.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SIZE          10
#define FLUSH_MS      1000
#define POLL_MS       30000
#define ARRIVE_MS     5000   /* for the others of a group to come with their calls */
#define SUBMIT_MS     300000 /* of the whole submission */
#define KEPT_MAX      ((size_t)256 << 20)
#define OWN_PRICE     0.5    /* all three ask for half of what a call costs otherwise */
#define GROUP_KEEP_MS 600000 /* one that nobody came for is forgotten */

struct part { /* of a group: one batch of the provider's */
    char *batch;
    struct err *e;
    bool done;
};
struct group { /* calls that are sent together */
    struct batches *all;
    int64_t id;
    char *key;
    unsigned refs;
    unsigned waiting;  /* in llm_gather */
    unsigned expected; /* of those, who have not come with their call */
    int64_t flush_at_ms, flushed_at_ms, send_at_ms;
    bool flushed, sending;
    struct waitq changed;
    VEC(struct batch_line) items;
    struct profile_copy profile;
    unsigned rpm;
    VEC(struct part *) parts;
    struct map *part_of; /* of an item, by its id; when it was sent */
};

/* ---- what is wanted --------------------------------------------------------- */

static const struct batch_wire *
wire_of(const struct llm_profile *p, struct batch_peer *ret_peer)
{
    *ret_peer = (struct batch_peer){.profile = p};
    struct err *e = provider_find(p, &ret_peer->provider, &ret_peer->base_url);
    if (!e)
        return p->url ? NULL : ret_peer->provider->batch;
    err_drop(e); /* the call itself will say so */
    return NULL;
}

/* Of the providers that have an endpoint it is theirs alone: services that speak the same language
 * have their own ways and prices, and a base_url may be anybody's. */
static bool
is_their_own(const struct llm_profile *p)
{
    struct batch_peer peer;
    return wire_of(p, &peer) && !p->base_url && strcmp(p->provider, peer.provider->name) == 0;
}

struct err *
llm_batching(const struct llm *llm, const struct llm_profile *p, const json_t *def,
             struct batching *ret, bool *ret_wanted)
{
    const json_t *batch = json_object_get(def, "batch");
    struct batch_peer peer;
    const bool own = is_their_own(p);
    *ret_wanted = json_is_object(batch) && !llm->cassette;
    if (!*ret_wanted)
        return NULL;
    if (json_bool(batch, "endpoint", false) && !wire_of(p, &peer))
        return FAIL(ERR_INVALID,
                    "profile '%s': '%s' has no endpoint for batches that is known; leave out "
                    "'endpoint', and gathered calls are sent one by one",
                    p->name ? p->name : p->model, p->provider);
    *ret = (struct batching){.size = (unsigned)MAX(json_int(batch, "size", SIZE), 1),
                             .flush_ms = json_int(batch, "flush_interval", FLUSH_MS),
                             .poll_ms = MAX(json_int(batch, "poll_interval", POLL_MS), 1),
                             .rpm = (unsigned)json_int(batch, "rpm", 0),
                             .endpoint = wire_of(p, &peer) && json_bool(batch, "endpoint", own),
                             .price_factor = json_num(batch, "price_factor", own ? OWN_PRICE : 1)};
    return NULL;
}

int64_t
llm_batch_wait_ms(const struct batching *b, unsigned k)
{
    const int64_t most = MAX(b->poll_ms, BATCH_POLL_MAX_MS);
    int64_t wait = b->poll_ms, sum = 0;
    for (unsigned i = 0; i < k && sum <= BATCH_GIVE_UP_MS; i++) {
        sum += wait;
        wait = MIN(wait + MAX(wait / 2, 1), most);
    }
    return sum > BATCH_GIVE_UP_MS ? -1 : wait;
}

/* ---- groups ----------------------------------------------------------------- */

static void
group_unref(struct group *g)
{
    if (--g->refs)
        return;
    vec_each (&g->items, item) {
        free(item->id);
        free(item->body);
    }
    vec_fini(&g->items);
    profile_copy_fini(&g->profile);
    vec_each (&g->parts, part) {
        free((*part)->batch);
        err_free((*part)->e);
        free(*part);
    }
    vec_fini(&g->parts);
    map_free(g->part_of);
    free(g->key);
    free(g);
}

static void
group_name(int64_t id, char name[24])
{
    snprintf(name, 24, "%lld", (long long)id);
}

/* Of the process, made by its first call that is gathered. */
struct batches *
llm_batches(struct llm *llm)
{
    struct batches *b = llm->batches;
    if (b)
        return b;
    b = llm->batches = xcalloc(1, sizeof *b);
    scope_open_detached(&b->scope);
    b->gathering = map_new();
    b->groups = map_new();
    b->known = map_new();
    b->doors = map_new();
    b->kept_max = KEPT_MAX;
    return b;
}

void
batches_free(struct batches *b)
{
    void *value;
    if (!b)
        return;
    scope_end(&b->scope);
    for (size_t i = 0; map_next(b->groups, &i, NULL, &value);)
        group_unref(value);
    map_free(b->groups);
    assert(map_len(b->gathering) == 0);
    map_free(b->gathering);
    known_free_all(b);
    map_free(b->known);
    doors_free(b->doors);
    free(b);
}

/* Calls that may share a batch: the same account at the same place, and the same model. */
static char *
group_key(const struct llm_profile *p, const struct batching *b)
{
    char hash[SHA256_HEX];
    AUTO(freep) char *headers = p->headers ? json_canonical(p->headers) : NULL;
    AUTO(freep)
    char *all =
        xasprintf("%s\n%s\n%s\n%s\n%s\n%u %u %lld %d", p->provider, p->model,
                  p->base_url ? p->base_url : "", p->api_key ? p->api_key : "",
                  headers ? headers : "", b->size, b->rpm, (long long)b->flush_ms, b->endpoint);
    sha256_hex(all, strlen(all), hash);
    return xstrdup(hash);
}

static void
groups_forget(struct batches *b)
{
    void *value;
    for (size_t i = 0; map_next(b->groups, &i, NULL, &value);) {
        struct group *g = value;
        char name[24];
        if (rt_now_ms() - g->flushed_at_ms < GROUP_KEEP_MS)
            continue;
        group_name(g->id, name);
        map_del(b->groups, name);
        group_unref(g);
    }
}

static void
group_flush(struct group *g, bool endpoint)
{
    char name[24];
    g->flushed = true;
    g->flushed_at_ms = rt_now_ms();
    g->expected = g->waiting;
    map_del(g->all->gathering, g->key);
    if (endpoint) {
        groups_forget(g->all);
        group_name(g->id, name);
        g->refs++;
        map_put(g->all->groups, name, g);
    }
    waitq_wake_all(&g->changed);
}

static struct err *
group_wait(struct group *g, const struct batching *b, int64_t deadline_ms)
{
    while (!g->flushed) {
        struct err *e = waitq_wait(&g->changed, MIN(deadline_ms, g->flush_at_ms));
        if (e && err_kind(e) == ERR_TIMEOUT && rt_now_ms() >= g->flush_at_ms) {
            err_drop(e);
            e = fiber_check();
            if (!e && !g->flushed)
                group_flush(g, b->endpoint);
        }
        if (e && g->flushed) {
            g->expected--;
            return e;
        }
        if (e) {
            if (--g->waiting == 0)
                map_del(g->all->gathering, g->key);
            return e;
        }
    }
    return NULL;
}

struct err *
llm_gather(struct llm *llm, const struct llm_profile *p, const struct batching *b,
           int64_t deadline_ms, int64_t *ret_group)
{
    struct batches *all = llm_batches(llm);
    AUTO(freep) char *key = group_key(p, b);
    struct group *g = map_get(all->gathering, key);
    if (!g) {
        g = xcalloc(1, sizeof *g);
        g->all = all;
        g->id = ++all->ids;
        g->key = xstrdup(key);
        g->flush_at_ms = rt_after(b->flush_ms);
        map_put(all->gathering, key, g);
    }
    g->refs++;
    if (++g->waiting >= b->size)
        group_flush(g, b->endpoint);
    struct err *e = group_wait(g, b, deadline_ms);
    *ret_group = g->id;
    group_unref(g);
    return e ? WRAP(e, "waiting for other calls of its batch") : NULL;
}

/* ---- submitting ------------------------------------------------------------- */

/* As many items from `at` on as one request may hold; one that is too large goes alone. */
static size_t
part_size(const struct group *g, size_t at, size_t bytes_max)
{
    size_t bytes = 0, n = 0;
    for (; at + n < g->items.len; n++) {
        bytes += strlen(g->items.at[at + n].body) + BATCH_ITEM_MAX + 128;
        if (n && bytes > bytes_max)
            break;
    }
    return n;
}

static void
part_send(struct group *g, const struct batch_peer *peer, size_t at, size_t n)
{
    struct part *part = xcalloc(1, sizeof *part);
    vec_push(&g->parts, part);
    for (size_t i = 0; i < n; i++)
        map_put(g->part_of, g->items.at[at + i].id, part);
    part->e =
        peer->provider->batch->submit(peer, g->items.at + at, n, rt_after(SUBMIT_MS), &part->batch);
    part->done = true;
    waitq_wake_all(&g->changed);
}

static void
send_run(void *arg)
{
    struct group *g = arg;
    struct batch_peer peer;
    const struct batch_wire *wire = wire_of(&g->profile.profile, &peer);
    peer.doors = g->all->doors;
    peer.rpm = g->rpm;
    for (size_t at = 0, n; at < g->items.len; at += n) {
        n = part_size(g, at, wire->bytes_max);
        part_send(g, &peer, at, n);
    }
    group_unref(g);
}

/* In a fiber of its own: it is for many, and is cut off with none of them. */
static void
group_send(struct group *g)
{
    char name[24];
    g->sending = true;
    g->part_of = map_new();
    group_name(g->id, name);
    map_del(g->all->groups, name); /* what it held is the sender's */
    scope_spawn(&g->all->scope, "llm batch", send_run, g);
}

static struct err *
body_make(const struct batch_item *item, char **ret_body)
{
    struct batch_peer peer;
    AUTO(wire_fini) struct wire w = {0};
    const struct batch_wire *wire = wire_of(item->profile, &peer);
    if (!wire)
        return FAIL(ERR_INVALID, "'%s' has no endpoint for batches", item->profile->provider);
    struct llm_call c = {.profile = item->profile, .req = item->req, .base_url = peer.base_url};
    TRY(message_check(item->req->messages), "the conversation is not valid");
    toolnames_init(&c.names, item->req->tools);
    struct err *e = wire_user_headers(&w, item->profile);
    if (!e)
        e = peer.provider->build(&c, &w);
    toolnames_fini(&c.names);
    PASS(e);
    *ret_body = str_steal(&w.body);
    return NULL;
}

/* The group of this item: the one it was gathered in, or a new one. */
static struct err *
group_of(struct llm *llm, const struct batch_item *item, int64_t deadline_ms, struct group **ret)
{
    struct batches *all = llm_batches(llm);
    int64_t id = item->group;
    for (;;) {
        char name[24];
        group_name(id, name);
        *ret = map_get(all->groups, name);
        if (*ret)
            return NULL;
        PASS(llm_gather(llm, item->profile, item->batching, deadline_ms, &id));
    }
}

static void
item_take_back(struct group *g, const char *id)
{
    vec_each (&g->items, item) {
        if (strcmp(item->id, id) != 0)
            continue;
        free(item->id);
        free(item->body);
        *item = vec_last(&g->items);
        g->items.len--;
        return;
    }
}

/* Of an item that was sent; NULL: it was not yet. */
static const struct part *
part_done(const struct group *g, const char *id)
{
    const struct part *part = g->part_of ? map_get(g->part_of, id) : NULL;
    return part && part->done ? part : NULL;
}

static struct err *
sent_wait(struct group *g, const char *id, int64_t deadline_ms)
{
    while (!part_done(g, id)) {
        int64_t until = g->sending ? deadline_ms : MIN(deadline_ms, g->send_at_ms);
        struct err *e = waitq_wait(&g->changed, until);
        if (e && !g->sending && err_kind(e) == ERR_TIMEOUT && rt_now_ms() >= g->send_at_ms) {
            err_drop(e);
            e = fiber_check();
            if (!e && !g->sending)
                group_send(g); /* who has not come by now was cut off */
        }
        if (e && !g->sending)
            item_take_back(g, id);
        if (e) {
            e = WRAP(e, "submitting its batch");
            return g->sending ? err_set_in_doubt(e) : e;
        }
    }
    return NULL;
}

static struct err *
outcome(const struct part *part, char **ret_batch)
{
    const struct err *e = part->e;
    if (!e) {
        *ret_batch = xstrdup(part->batch);
        return NULL;
    }
    AUTO(freep) char *text = err_text(e);
    struct err *again = FAIL(err_kind(e), "%s", text);
    if (err_retry_after_ms(e) >= 0)
        again = err_set_retry_after(again, err_retry_after_ms(e));
    return err_in_doubt(e) ? err_set_in_doubt(again) : again;
}

struct err *
llm_batch_submit(struct llm *llm, const struct batch_item *item, int64_t deadline_ms,
                 char **ret_batch)
{
    struct group *g;
    char *body;
    PASS(body_make(item, &body));
    struct err *e = group_of(llm, item, deadline_ms, &g);
    if (e) {
        free(body);
        return e;
    }
    vec_push(&g->items, ((struct batch_line){xstrdup(item->id), body}));
    if (g->items.len == 1) {
        profile_copy_fini(&g->profile); /* of one that was taken back */
        profile_copy_make(&g->profile, item->profile);
        g->rpm = item->batching->rpm;
        g->send_at_ms = rt_after(ARRIVE_MS);
    }
    g->refs++;
    if (g->items.len >= g->expected)
        group_send(g);
    e = sent_wait(g, item->id, deadline_ms);
    if (!e)
        e = outcome(part_done(g, item->id), ret_batch);
    group_unref(g);
    return e;
}
