/* brokerkeep.c - what the broker does in time: waking up when a window moves on, and writing
 * windows down a block ahead of their use. */
#include "engine/step/brokercore.h"
#include <stdlib.h>
#include <string.h>

#define SAVED_BYTES_MAX ((size_t)64 << 10)

/* ---- times --------------------------------------------------------------------------------- */

static int64_t
next_due(const struct broker *b)
{
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < b->timed.len; i++)
        next = MIN(next, b->timed.at[i]->due_ms);
    return next;
}

static struct target *
due_take(struct broker *b, int64_t now)
{
    for (size_t i = 0; i < b->timed.len; i++) {
        struct target *t = b->timed.at[i];
        if (t->due_ms > now)
            continue;
        b->timed.at[i] = vec_pop(&b->timed);
        t->timed = false;
        t->due_ms = INT64_MAX;
        return t;
    }
    return NULL;
}

/* There only while a time is waited for: a process that has nothing to do can end. */
static void
ticks(void *arg)
{
    struct broker *b = arg;
    struct target *t;
    while (b->timed.len) {
        struct err *e = waitq_wait(&b->changed, next_due(b));
        bool over = e && err_kind(e) != ERR_TIMEOUT;
        err_free(e);
        if (over)
            break;
        while ((t = due_take(b, rt_now_ms())))
            target_changed(b, t);
    }
    b->ticking = false;
}

void
target_due(struct broker *b, struct target *t, int64_t at_ms)
{
    if (at_ms == INT64_MAX || (t->timed && t->due_ms <= at_ms && t->due_ms > rt_now_ms()))
        return;
    t->due_ms = at_ms;
    if (!t->timed)
        vec_push(&b->timed, t);
    t->timed = true;
    if (!b->ticking) {
        b->ticking = true;
        scope_spawn(&b->scope, "limits", ticks, b);
    } else {
        waitq_wake_all(&b->changed);
    }
}

struct limit_wait
target_wait(struct target *t, int64_t tokens)
{
    const int64_t now = rt_now_ms();
    struct limit_wait w = {.name = t->name, .waiting = t->waiting};
    int64_t ready = limiter_ready_ms(&t->limiter, now, tokens, &w.reason);
    w.wait_ms = ready == INT64_MAX ? -1 : ready - now;
    return w;
}

/* ---- windows in the store ------------------------------------------------------------------ */

static char *
store_key(const struct target *t)
{
    char *key = xasprintf("limits/%s", t->key);
    for (char *c = key; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '_';
    }
    return key;
}

static bool
is_ours(const struct broker *b)
{
    return strcmp(store_driver(b->store), "remote") != 0;
}

static struct err *
load(struct broker *b, struct target *t)
{
    AUTO(freep) char *key = store_key(t);
    AUTO(str_fini) struct str body = STR_INIT;
    AUTO(json_freep) json_t *saved = NULL;
    bool found = false;
    struct err *e = store_kv_get(b->store, key, &body, &found);
    if (!e && found)
        e = json_parse(str_c(&body), body.len, &saved);
    if (!e && found)
        e = limiter_load(&t->limiter, rt_now_ms(), store_now_ms(b->store), saved);
    if (e && err_kind(e) == ERR_INVALID) { /* damaged: nothing is known of the last minute */
        err_drop(e);
        limiter_distrust(&t->limiter, rt_now_ms());
        e = NULL;
    }
    t->loaded = !e;
    t->limiter.kept = is_ours(b);
    return e ? WRAP(e, "what is left of the limits of '%s'", t->name) : NULL;
}

struct err *
target_load(struct broker *b, struct target *t)
{
    while (t->loading)
        PASS(waitq_wait(&t->loads, DEADLINE_NONE));
    if (!limiter_has_windows(&t->limiter))
        return NULL;
    if (t->loaded) { /* the folder's owner may have gone, and it is ours now */
        t->limiter.kept = is_ours(b);
        return NULL;
    }
    t->loading = true;
    struct err *e = load(b, t);
    t->loading = false;
    waitq_wake_all(&t->loads);
    return e;
}

static struct err *
save(struct broker *b, struct target *t, const int64_t block[2])
{
    AUTO(freep) char *key = store_key(t);
    AUTO(json_freep)
    json_t *saved = limiter_save(&t->limiter, rt_now_ms(), store_now_ms(b->store), block);
    AUTO(freep) char *text = json_text(saved);
    return store_kv_put(b->store, key, text, strlen(text));
}

/* What was admitted while it was on its way is of the new block as well as of the old one; when
 * nobody knows which of them is written down, what is left is the lesser. */
static void
block_take(struct limiter *l, const int64_t block[2], const int64_t before[2], bool in_doubt)
{
    const int64_t since[2] = {l->admitted - before[0], l->taken - before[1]};
    for (unsigned i = 0; i < 2; i++) {
        int64_t left = block[i] - since[i];
        l->block[i] = in_doubt ? MIN(l->block[i], left) : left;
    }
}

static void
fail(struct broker *b, struct target *t, struct err *OWN e)
{
    t->error = WRAP(e, "keeping the limits of '%s'", t->name);
    t->error_text = err_text(t->error);
    target_fail(b, t);
    err_freep(&t->error);
    freep(&t->error_text);
}

struct saving {
    struct broker *b;
    struct target *t;
};

static void
saver(void *arg)
{
    AUTO(freep) struct saving *s = arg;
    struct target *t = s->t;
    int64_t block[2];
    limiter_block_size(&t->limiter, t->want_tokens, block);
    const int64_t before[2] = {t->limiter.admitted, t->limiter.taken};
    t->want_tokens = 0;
    t->dirty = true;
    struct err *e = save(s->b, t, block);
    block_take(&t->limiter, block, before, e != NULL);
    t->saving = false;
    if (e)
        fail(s->b, t, e);
    else
        target_changed(s->b, t);
}

void
target_save_soon(struct broker *b, struct target *t, int64_t tokens)
{
    t->want_tokens = MAX(t->want_tokens, tokens);
    if (t->saving)
        return;
    t->saving = true;
    struct saving *s = xmalloc(sizeof *s);
    *s = (struct saving){b, t};
    scope_spawn(&b->scope, "limits.save", saver, s);
}

/* An orderly end: only what was used is written down. */
void
target_close(struct broker *b, struct target *t)
{
    const int64_t none[2] = {0, 0};
    if (t->dirty && t->limiter.kept)
        err_drop(save(b, t, none));
}

void
broker_stats(struct broker *b, void (*fn)(void *ctx, const struct limit_stats *s), void *ctx)
{
    const int64_t now = rt_now_ms();
    void *value;
    for (size_t i = 0; map_next(b->targets, &i, NULL, &value);) {
        struct target *t = value;
        struct limiter *l = &t->limiter;
        struct limit_stats s = {.name = t->name,
                                .set = l->set,
                                .in_flight = l->in_flight,
                                .waiting = (int64_t)t->waiting,
                                .admitted = l->admitted,
                                .waited_ms = t->waited_ms,
                                .waited_ms_max = t->waited_ms_max,
                                .refused = l->refused,
                                .held_ms = MAX(l->held_until_ms - now, 0)};
        for (unsigned k = 0; k < COUNT(s.used); k++)
            s.used[k] = limiter_used(l, k, now);
        fn(ctx, &s);
    }
}
