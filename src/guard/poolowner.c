/* poolowner.c - who waits in a pool, and what each owner holds of it. */
#include "guard/poolcore.h"
#include <assert.h>
#include <stdlib.h>

/* ---- queues ----------------------------------------------------------------- */

void
taker_join(struct takers *q, struct taker *t)
{
    t->in = q;
    t->next = NULL;
    t->prev = q->last;
    *(q->last ? &q->last->next : &q->first) = t;
    q->last = t;
    q->n++;
}

void
taker_leave(struct taker *t)
{
    struct takers *q = t->in;
    *(t->prev ? &t->prev->next : &q->first) = t->next;
    *(t->next ? &t->next->prev : &q->last) = t->prev;
    q->n--;
    t->in = NULL;
}

void
taker_done(struct taker *t)
{
    if (t->in)
        taker_leave(t);
    t->done = true;
    fiber_wake(t->fiber);
}

/* Its group, or all, is being stopped. */
void
taker_fail(struct taker *t)
{
    t->e = FAIL(ERR_CANCELLED, "the servers are being stopped");
    taker_done(t);
}

/* ---- owners ----------------------------------------------------------------- */

struct owner *
owner_enter(struct pool *p, const char *name)
{
    struct owner *o = map_get(p->owners, name);
    if (!o) {
        o = xcalloc(1, sizeof *o);
        o->name = xstrdup(name);
        map_put(p->owners, name, o);
    }
    o->takers++;
    return o;
}

static void
owner_settle(struct pool *p, struct owner *o)
{
    if (o->takers || o->used || o->holds.len || o->waiting.n)
        return;
    map_del(p->owners, o->name);
    vec_fini(&o->holds);
    free(o->name);
    free(o);
}

void
owner_leave(struct pool *p, struct owner *o)
{
    o->takers--;
    owner_settle(p, o);
}

static struct hold *
owner_hold(struct owner *o, const struct pool_member *m)
{
    vec_each (&o->holds, h) {
        if (h->member == m)
            return h;
    }
    return NULL;
}

/* The least used one of the group that the owner holds anyway. */
struct pool_member *
owner_best(struct owner *o, const struct pool_group *g)
{
    struct pool_member *best = NULL;
    vec_each (&o->holds, h) {
        struct pool_member *m = h->member;
        if (m->group == g && !m->over && !m->hangs && (!best || m->users < best->users))
            best = m;
    }
    return best;
}

/* One member less: who waits longest of the owner's takers may have another. */
void
owner_permit_back(struct owner *o)
{
    struct taker *t = o->waiting.first;
    while (t && t->group->ended) {
        taker_fail(t);
        t = o->waiting.first;
    }
    if (!t) {
        o->used--;
        return;
    }
    taker_leave(t);
    t->permitted = true;
    taker_join(&t->group->waiting, t);
    group_serve(t->group);
}

/* The owner has a member of this group now: its takers that wait for one share it. */
static void
owner_share(struct owner *o, struct pool_member *m)
{
    for (struct taker *t = o->waiting.first, *next; t; t = next) {
        next = t->next;
        if (t->group == m->group)
            member_assign(m, t);
    }
}

void
owner_hold_add(struct owner *o, struct pool_member *m, bool permitted)
{
    struct hold *h = owner_hold(o, m);
    if (h) {
        h->count++;
        if (permitted)
            owner_permit_back(o);
        return;
    }
    assert(permitted);
    vec_push(&o->holds, ((struct hold){m, 1}));
    owner_share(o, m);
}

void
owner_hold_end(struct pool *p, const char *name, const struct pool_member *m)
{
    struct owner *o = name ? map_get(p->owners, name) : NULL;
    struct hold *h = o ? owner_hold(o, m) : NULL;
    if (!h || --h->count)
        return;
    *h = vec_last(&o->holds);
    o->holds.len--;
    owner_permit_back(o);
    owner_settle(p, o);
}
