/* window.c - a ring of moments, the oldest first. */
#include "guard/window.h"
#include "base/err.h"
#include <assert.h>
#include <stdlib.h>

#define STEPS 1024 /* of a span, once there are too many moments */

static struct window_part *
part_at(const struct window *w, size_t i)
{
    return &w->ring[(w->head + i) % w->cap];
}

void
window_fini(struct window *w)
{
    free(w->ring);
    *w = (struct window){.span_ms = w->span_ms};
}

static void
window_expire(struct window *w, int64_t now_ms)
{
    while (w->len && part_at(w, 0)->last_ms <= now_ms - w->span_ms) {
        w->used -= part_at(w, 0)->amount;
        w->head = (w->head + 1) % w->cap;
        w->len--;
    }
    if (!w->len)
        w->step_ms = 0;
}

int64_t
window_used(struct window *w, int64_t now_ms)
{
    window_expire(w, now_ms);
    return w->used;
}

int64_t
window_ready_ms(struct window *w, int64_t now_ms, int64_t amount, int64_t limit)
{
    int64_t left = window_used(w, now_ms), room = limit - MIN(amount, limit), ready = now_ms;
    for (size_t i = 0; left > room; i++) {
        left -= part_at(w, i)->amount;
        ready = part_at(w, i)->last_ms + w->span_ms;
    }
    return MAX(ready, now_ms);
}

static void
ring_grow(struct window *w)
{
    size_t cap = w->cap ? w->cap * 2 : 16;
    struct window_part *ring = xcalloc(cap, sizeof *ring);
    for (size_t i = 0; i < w->len; i++)
        ring[i] = *part_at(w, i);
    free(w->ring);
    w->ring = ring;
    w->cap = cap;
    w->head = 0;
}

/* Nothing of what is there may count shorter than before. */
static void
ring_coarsen(struct window *w)
{
    struct window_part part;
    size_t from = 0, to = 0;
    w->step_ms = MAX(w->span_ms / STEPS, 1);
    while (window_next(w, w->step_ms, &from, &part))
        *part_at(w, to++) = part; /* never before what is still to be read */
    w->len = to;
}

void
window_add(struct window *w, int64_t now_ms, int64_t amount)
{
    assert(amount >= 0);
    window_expire(w, now_ms);
    if (amount == 0)
        return;
    if (w->len >= WINDOW_PARTS)
        ring_coarsen(w);
    w->used += amount;
    struct window_part *last = w->len ? part_at(w, w->len - 1) : NULL;
    if (last && now_ms - last->first_ms <= w->step_ms) {
        last->last_ms = MAX(last->last_ms, now_ms);
        last->amount += amount;
        return;
    }
    if (w->len == w->cap)
        ring_grow(w);
    *part_at(w, w->len++) = (struct window_part){now_ms, now_ms, amount};
}

void
window_take_back(struct window *w, int64_t at_ms, int64_t amount)
{
    size_t low = 0, high = w->len;
    while (low < high) { /* the first part that ends at at_ms or later */
        size_t mid = (low + high) / 2;
        if (part_at(w, mid)->last_ms < at_ms)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == w->len || part_at(w, low)->first_ms > at_ms)
        return;
    struct window_part *part = part_at(w, low);
    int64_t less = MIN(amount, part->amount);
    part->amount -= less;
    w->used -= less;
}

bool
window_next(const struct window *w, int64_t step_ms, size_t *i, struct window_part *ret_part)
{
    struct window_part sum = {0};
    while (*i < w->len && sum.amount == 0) /* what was taken back wholly is no part */
        sum = *part_at(w, (*i)++);
    if (sum.amount == 0)
        return false;
    for (; *i < w->len && part_at(w, *i)->last_ms - sum.first_ms <= step_ms; ++*i) {
        sum.last_ms = part_at(w, *i)->last_ms;
        sum.amount += part_at(w, *i)->amount;
    }
    *ret_part = sum;
    return true;
}
