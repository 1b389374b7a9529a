/* turn.c - turns that are taken, left and taken again. */
#include "engine/turn.h"
#include "engine/runcore.h"
#include "engine/step/stepping.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool
turnstile_has_room(const struct turnstile *s)
{
    return s->inside < s->limit && !s->back.first;
}

/* Who comes back goes first, and is inside before he knows it: nobody slips in between. */
static bool
let_back(struct turnstile *s)
{
    if (s->inside >= s->limit || !waitq_wake_one(&s->back))
        return false;
    s->inside++;
    return true;
}

static void
step_out(struct turnstile *s)
{
    s->inside--;
    if (!let_back(s) && s->more)
        s->open(s->ctx);
}

/* ---- by path ----------------------------------------------------------------- */

static void
index_add(struct waits *w, struct turn *t)
{
    if (w->turns_at && *t->path)
        t->same = map_put(w->turns_at, t->path, t);
}

static void
index_remove(struct waits *w, struct turn *t)
{
    if (!w->turns_at || !*t->path)
        return;
    struct turn *first = map_get(w->turns_at, t->path);
    if (first == t && t->same) {
        map_put(w->turns_at, t->path, t->same);
    } else if (first == t) {
        map_del(w->turns_at, t->path);
    } else {
        while (first->same != t)
            first = first->same;
        first->same = t->same;
    }
    t->same = NULL;
}

/* A run that never waits does without. */
static void
index_need(struct waits *w)
{
    if (w->turns_at)
        return;
    w->turns_at = map_new();
    for (struct turn *t = w->turns; t; t = t->next)
        index_add(w, t);
}

/* ---- taking and leaving ------------------------------------------------------- */

void
turn_take(struct run *r, struct turnstile *s, struct turn *t, const char *path)
{
    *t = (struct turn){.at = s, .path = path, .next = r->waits.turns};
    if (r->waits.turns)
        r->waits.turns->prev = t;
    r->waits.turns = t;
    index_add(&r->waits, t);
    s->inside++;
    r->waits.turns_taken++;
}

void
turn_name(struct run *r, struct turn *t, const char *path)
{
    index_remove(&r->waits, t);
    t->path = path;
    index_add(&r->waits, t);
}

static void
leave(struct run *r, struct turn *t)
{
    t->left = true;
    r->waits.turns_left++;
    step_out(t->at);
}

void
turn_end(struct run *r, struct turn *t)
{
    index_remove(&r->waits, t);
    *(t->prev ? &t->prev->next : &r->waits.turns) = t->next;
    if (t->next)
        t->next->prev = t->prev;
    if (t->left) {
        r->waits.turns_left--;
        return;
    }
    t->at->inside--;
    let_back(t->at);
}

static bool
may_leave(const struct turn *t)
{
    return !t->left && t->waits && (t->at->more || t->at->back.first);
}

static unsigned
depth_of(const char *path)
{
    unsigned n = 0;
    for (; *path; path++)
        n += *path == '/';
    return n;
}

/* Furthest in first: who begins there needs the turns around it. */
bool
turns_leave(struct run *r, unsigned *depth)
{
    unsigned deepest = *depth;
    bool any = false;
    for (struct turn *t = r->waits.turns; t; t = t->next) {
        if (may_leave(t))
            deepest = MAX(deepest, depth_of(t->path));
    }
    for (struct turn *t = r->waits.turns; t && r->waits.turns_left < TURNS_LEFT_MAX; t = t->next) {
        if (!may_leave(t) || depth_of(t->path) != deepest)
            continue;
        leave(r, t);
        any = true;
    }
    *depth = deepest;
    return any;
}

void
turns_wait(struct run *r, const char *path, bool begins)
{
    AUTO(freep) char *around = xstrdup(path);
    index_need(&r->waits);
    while (path_up(around)) {
        for (struct turn *t = map_get(r->waits.turns_at, around); t; t = t->same)
            t->waits += begins ? 1 : -1u;
    }
}

/* Of those that the path is inside of, the outermost that was left. */
static struct turn *
left_around(struct run *r, const char *path)
{
    struct turn *found = NULL;
    AUTO(freep) char *around = xstrdup(path);
    index_need(&r->waits);
    while (path_up(around)) {
        for (struct turn *t = map_get(r->waits.turns_at, around); t; t = t->same)
            found = t->left ? t : found;
    }
    return found;
}

/* As for one that has not begun, the time until then is none of its own. */
static struct err *
await_room(struct turnstile *s)
{
    scope_rest(true);
    struct err *e = waitq_wait(&s->back, DEADLINE_NONE);
    scope_rest(false);
    return e;
}

static struct err *
turn_back(struct run *r, struct turn *t)
{
    struct turnstile *s = t->at;
    if (s->inside < s->limit)
        s->inside++;
    else
        PASS(await_room(s));
    if (t->left) {
        t->left = false;
        r->waits.turns_left--;
    } else { /* something else in it came back before */
        step_out(s);
    }
    return NULL;
}

struct err *
turns_back(struct run *r, const char *path)
{
    struct turn *t;
    while (r->waits.turns_left && (t = left_around(r, path)))
        PASS(turn_back(r, t));
    return NULL;
}
