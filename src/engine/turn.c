/* turn.c - turns that are taken, left and taken again. */
#include "engine/turn.h"
#include "engine/runcore.h"
#include <assert.h>
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

void
turn_take(struct run *r, struct turnstile *s, struct turn *t, const char *path)
{
    *t = (struct turn){.at = s, .path = path, .next = r->waits.turns};
    if (r->waits.turns)
        r->waits.turns->prev = t;
    r->waits.turns = t;
    s->inside++;
    r->waits.turns_taken++;
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

static bool
is_around(const struct turn *t, const char *path)
{
    const size_t n = strlen(t->path);
    return strncmp(path, t->path, n) == 0 && path[n] == '/';
}

void
turns_wait(struct run *r, const char *path, bool begins)
{
    for (struct turn *t = r->waits.turns; t; t = t->next) {
        if (is_around(t, path))
            t->waits += begins ? 1 : -1u;
    }
}

/* Of those that the path is inside of, the outermost that was left. */
static struct turn *
left_around(struct run *r, const char *path)
{
    struct turn *found = NULL;
    for (struct turn *t = r->waits.turns; t; t = t->next) {
        if (t->left && is_around(t, path) && (!found || is_around(t, found->path)))
            found = t;
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
