/* fairq.c - levels of priority, in each a heap of flows by their virtual start, in each of these a
 * line of items. */
#include "guard/fairq.h"
#include "base/map.h"
#include "base/vec.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define IDLE_SPARE 64 /* flows without items that are kept beside the busy ones */

struct level {
    int priority;
    VEC(struct fairq_flow *) heap; /* by start, then by the age of the first item */
};
struct fairq_flow { /* of one priority */
    char *key;
    struct level *level;
    size_t at;      /* in the heap */
    int64_t start;  /* virtual: when its first item is due */
    int64_t finish; /* when what it had is used up */
    struct fairq_item *first, *last;
};
struct fairq {
    struct fairq_clock *clock;
    VEC(struct level *) levels; /* highest first */
    struct map *flows;          /* by key, idle ones too while they are ahead */
    size_t len, busy;
    int64_t seq;
};

struct fairq *
fairq_new(struct fairq_clock *clock)
{
    struct fairq *q = xcalloc(1, sizeof *q);
    q->clock = clock;
    q->flows = map_new();
    return q;
}

static void
flow_free(struct fairq_flow *f)
{
    free(f->key);
    free(f);
}

void
fairq_free(struct fairq *q)
{
    if (!q)
        return;
    assert(q->len == 0);
    void *f;
    for (size_t i = 0; map_next(q->flows, &i, NULL, &f);)
        flow_free(f);
    vec_each (&q->levels, l) {
        vec_fini(&(*l)->heap);
        free(*l);
    }
    vec_fini(&q->levels);
    map_free(q->flows);
    free(q);
}

/* ---- heaps --------------------------------------------------------------------------------- */

static bool
due_before(const struct fairq_flow *a, const struct fairq_flow *b)
{
    return a->start != b->start ? a->start < b->start : a->first->seq < b->first->seq;
}

static void
heap_set(struct level *l, size_t i, struct fairq_flow *f)
{
    l->heap.at[i] = f;
    f->at = i;
}

static void
heap_up(struct level *l, size_t i)
{
    struct fairq_flow *f = l->heap.at[i];
    for (; i > 0 && due_before(f, l->heap.at[(i - 1) / 2]); i = (i - 1) / 2)
        heap_set(l, i, l->heap.at[(i - 1) / 2]);
    heap_set(l, i, f);
}

static void
heap_down(struct level *l, size_t i)
{
    struct fairq_flow *f = l->heap.at[i];
    for (;;) {
        size_t kid = 2 * i + 1;
        if (kid + 1 < l->heap.len && due_before(l->heap.at[kid + 1], l->heap.at[kid]))
            kid++;
        if (kid >= l->heap.len || !due_before(l->heap.at[kid], f))
            break;
        heap_set(l, i, l->heap.at[kid]);
        i = kid;
    }
    heap_set(l, i, f);
}

static void
heap_moved(struct level *l, size_t i)
{
    heap_up(l, i);
    heap_down(l, l->heap.at[i]->at);
}

static void
heap_remove(struct level *l, size_t i)
{
    struct fairq_flow *last = vec_pop(&l->heap);
    if (i == l->heap.len)
        return;
    heap_set(l, i, last);
    heap_moved(l, i);
}

/* ---- flows --------------------------------------------------------------------------------- */

static struct level *
level_of(struct fairq *q, int priority)
{
    size_t i = 0;
    while (i < q->levels.len && q->levels.at[i]->priority > priority)
        i++;
    if (i < q->levels.len && q->levels.at[i]->priority == priority)
        return q->levels.at[i];
    struct level *l = xcalloc(1, sizeof *l);
    l->priority = priority;
    vec_push(&q->levels, l);
    for (size_t k = q->levels.len - 1; k > i; k--)
        q->levels.at[k] = q->levels.at[k - 1];
    q->levels.at[i] = l;
    return l;
}

/* Flows that have no items and owe nothing need not be remembered. */
static void
idle_sweep(struct fairq *q)
{
    if (map_len(q->flows) <= 2 * q->busy + IDLE_SPARE)
        return;
    struct map *kept = map_new();
    const char *key;
    void *value;
    for (size_t i = 0; map_next(q->flows, &i, &key, &value);) {
        struct fairq_flow *f = value;
        if (f->first || (q->len && f->finish > q->clock->now))
            map_put(kept, key, f);
        else
            flow_free(f);
    }
    map_free(q->flows);
    q->flows = kept;
}

static struct fairq_flow *
flow_of(struct fairq *q, const char *name, int priority)
{
    AUTO(freep) char *key = xasprintf("%d/%s", priority, name);
    struct fairq_flow *f = map_get(q->flows, key);
    if (f)
        return f;
    idle_sweep(q);
    f = xcalloc(1, sizeof *f);
    f->key = STEAL(key);
    f->level = level_of(q, priority);
    map_put(q->flows, f->key, f);
    return f;
}

static void
flow_sleep(struct fairq *q, struct fairq_flow *f)
{
    heap_remove(f->level, f->at);
    q->busy--;
    q->clock->flows--;
}

void
fairq_add(struct fairq *q, struct fairq_item *it, const char *flow, int priority, int64_t cost)
{
    struct fairq_flow *f = flow_of(q, flow, priority);
    *it = (struct fairq_item){.flow = f, .cost = MAX(cost, 1), .seq = q->seq++, .prev = f->last};
    *(f->last ? &f->last->next : &f->first) = it;
    f->last = it;
    q->len++;
    if (f->first != it)
        return;
    f->start = MAX(q->clock->now, f->finish);
    q->busy++;
    q->clock->flows++;
    vec_push(&f->level->heap, f);
    heap_up(f->level, f->level->heap.len - 1);
}

/* ---- turns --------------------------------------------------------------------------------- */

static bool
is_aged_turn(const struct fairq_clock *clock)
{
    return clock->turns % FAIRQ_AGED == FAIRQ_AGED - 1;
}

bool
fairq_before(const struct fairq_clock *clock, const struct fairq_item *a,
             const struct fairq_item *b)
{
    const struct fairq_flow *x = a->flow, *y = b->flow;
    if (x->level->priority != y->level->priority && !is_aged_turn(clock))
        return x->level->priority > y->level->priority;
    return x->start < y->start;
}

struct fairq_item *
fairq_first(const struct fairq *q)
{
    struct fairq_flow *best = NULL;
    for (size_t i = 0; i < q->levels.len; i++) {
        const struct level *l = q->levels.at[i];
        if (!l->heap.len)
            continue;
        if (!best || due_before(l->heap.at[0], best))
            best = l->heap.at[0];
        if (!is_aged_turn(q->clock))
            break;
    }
    return best ? best->first : NULL;
}

static void
item_unlink(struct fairq *q, struct fairq_item *it)
{
    struct fairq_flow *f = it->flow;
    *(it->prev ? &it->prev->next : &f->first) = it->next;
    *(it->next ? &it->next->prev : &f->last) = it->prev;
    q->len--;
    if (!f->first)
        flow_sleep(q, f);
    else
        heap_moved(f->level, f->at);
}

/* The clock goes on by what each flow could have got of this turn: so it moves even when flows keep
 * coming that have had nothing yet, and nobody who waits is passed for ever. */
void
fairq_take(struct fairq *q, struct fairq_item *it)
{
    struct fairq_flow *f = it->flow;
    struct fairq_clock *c = q->clock;
    assert(f->first == it);
    c->now = MAX(c->now, f->start) + it->cost / (int64_t)MAX(c->flows, 1);
    c->turns++;
    f->finish = f->start + it->cost;
    f->start = f->finish;
    item_unlink(q, it);
}

void
fairq_remove(struct fairq *q, struct fairq_item *it)
{
    item_unlink(q, it);
}

size_t
fairq_len(const struct fairq *q)
{
    return q->len;
}
