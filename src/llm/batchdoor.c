/* batchdoor.c - the door in front of a batch endpoint: so many requests a minute, none while it
 * wants to be left alone.
 *
 * Batches have limits of their own, so their requests count here and not as calls of the model. All
 * of an account go through one door. Exact: a request begins a minute after the one that was `rpm`
 * before it. Not kept over restarts: there are few of them, and a 429 closes it again. */
#include "base/hash.h"
#include "llm/batchcore.h"
#include "llm/batchwire.h"
#include "rt/rt.h"
#include <stdlib.h>
#include <string.h>

#define DOORS_MAX 256 /* beyond, those without a memory make room */
#define WINDOW_MS 60000

struct batch_door {
    char *key;
    unsigned users; /* requests under way */
    int64_t closed_until_ms;
    size_t begun; /* requests so far; the last rpm of them are in `at` */
    unsigned rpm; /* 0: no limit */
    int64_t *at;
};

static void
door_free(struct batch_door *d)
{
    free(d->at);
    free(d->key);
    free(d);
}

void
doors_free(struct map *doors)
{
    void *d;
    for (size_t i = 0; map_next(doors, &i, NULL, &d);)
        door_free(d);
    map_free(doors);
}

static void
doors_forget(struct map *doors)
{
    void *value;
    for (size_t i = 0; map_len(doors) >= DOORS_MAX && map_next(doors, &i, NULL, &value);) {
        struct batch_door *d = value;
        const bool recent =
            d->rpm && d->begun && rt_now_ms() - d->at[(d->begun - 1) % d->rpm] < WINDOW_MS;
        if (recent || d->users || d->closed_until_ms > rt_now_ms())
            continue;
        map_del(doors, d->key);
        door_free(d);
    }
}

static struct batch_door *
door_of(const struct batch_peer *p)
{
    struct map *doors = p->doors;
    const unsigned rpm = p->rpm;
    char key[SHA256_HEX];
    AUTO(freep)
    char *all = xasprintf("%s\n%s\n%u", p->base_url ? p->base_url : "",
                          p->profile->api_key ? p->profile->api_key : "", rpm);
    sha256_hex(all, strlen(all), key);
    struct batch_door *d = map_get(doors, key);
    if (d)
        return d;
    doors_forget(doors);
    d = xcalloc(1, sizeof *d);
    d->key = xstrdup(key);
    d->rpm = rpm;
    d->at = rpm ? xcalloc(rpm, sizeof *d->at) : NULL;
    map_put(doors, key, d);
    return d;
}

static struct err *
door_limit(const struct batch_peer *p, int64_t wait_ms, const char *why)
{
    return err_set_retry_after(FAIL(ERR_LIMIT, "%s takes no requests about batches for %lld s (%s)",
                                    p->profile->provider, (long long)(wait_ms + 999) / 1000, why),
                               wait_ms);
}

static struct err *
turn_take(const struct batch_peer *p, struct batch_door *d, int64_t deadline_ms)
{
    const int64_t now = rt_now_ms();
    if (d->closed_until_ms > now)
        return door_limit(p, d->closed_until_ms - now, "it asked for that");
    if (!d->rpm)
        return NULL;
    int64_t *slot = &d->at[d->begun % d->rpm];
    const int64_t turn = d->begun < d->rpm ? now : MAX(now, *slot + WINDOW_MS);
    if (turn >= deadline_ms)
        return door_limit(p, turn - now, "rpm of its batches");
    *slot = turn; /* it is ours, whatever becomes of us */
    d->begun++;
    return turn > now ? fiber_sleep(turn - now) : NULL;
}

struct err *
door_enter(const struct batch_peer *p, int64_t deadline_ms, struct batch_door **ret_door)
{
    struct batch_door *d = *ret_door = door_of(p);
    d->users++;
    struct err *e = turn_take(p, d, deadline_ms);
    if (e)
        d->users--;
    return e;
}

void
door_leave(struct batch_door *d, const struct err *e)
{
    const int64_t after = e ? err_retry_after_ms(e) : -1;
    d->users--;
    if (e && err_kind(e) == ERR_LIMIT && after > 0)
        d->closed_until_ms = MAX(d->closed_until_ms, rt_after(after));
}
