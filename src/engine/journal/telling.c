/* telling.c - a run's events: told at once, or after the records that were appended before. */
#include "engine/runcore.h"
#include <stdlib.h>
#include <string.h>

struct late {
    uint64_t after; /* number of a record */
    struct run_event ev;
    char *path, *text; /* what ev borrows */
    json_t *detail;
};
struct telling {
    VEC(struct late) late;
    size_t told; /* of them */
};

static void
tell_all(struct run *r, struct run_event *ev)
{
    struct engine *e = r->engine;
    ev->run = r->lease.id;
    ev->wall_ms = rt_wall_ms();
    for (size_t i = 0; i < e->subscribers.len; i++)
        e->subscribers.at[i].fn(e->subscribers.at[i].ctx, ev);
}

static struct late
late_copy(const struct run *r, const struct run_event *ev)
{
    struct late l = {.after = r->want_commit,
                     .ev = *ev,
                     .path = xstrdup(ev->path),
                     .text = ev->text ? xstrndup(ev->text, ev->text_len) : NULL,
                     .detail = json_incref((json_t *)(uintptr_t)ev->detail)};
    l.ev.path = l.path;
    l.ev.text = l.text;
    return l;
}

static void
late_fini(struct late *l)
{
    free(l->path);
    free(l->text);
    json_decref(l->detail);
}

void
run_publish_now(struct run *r, struct run_event ev)
{
    tell_all(r, &ev);
}

void
run_publish(struct run *r, struct run_event ev)
{
    if (!r->engine->subscribers.len)
        return;
    if (ev.seq || r->told >= r->want_commit) {
        tell_all(r, &ev);
        return;
    }
    if (!r->telling)
        r->telling = xcalloc(1, sizeof *r->telling);
    vec_push(&r->telling->late, late_copy(r, &ev));
}

/* There may always be one that is late: those before it are not kept for that. */
static void
close_up(struct telling *t)
{
    t->late.len -= t->told;
    memmove(t->late.at, t->late.at + t->told, t->late.len * sizeof *t->late.at);
    t->told = 0;
}

void
run_tell_upto(struct run *r, uint64_t number)
{
    struct telling *t = r->telling;
    r->told = number;
    while (t && t->told < t->late.len && t->late.at[t->told].after <= number) {
        struct late l = t->late.at[t->told++];
        tell_all(r, &l.ev);
        late_fini(&l);
    }
    if (t && t->told > t->late.len / 2)
        close_up(t);
}

void
telling_free(struct telling *t)
{
    for (; t && t->told < t->late.len; t->told++)
        late_fini(&t->late.at[t->told]);
    if (t)
        vec_fini(&t->late);
    free(t);
}
