/* backoff.c - the time between two tries of a step: a moment of sleep, or hours as a row.
 *
 * A long one is a wait in the journal (pause.h) that says which try it came after; so tries are
 * counted over all lives, and a step that is found waiting is known not to be under way. */
#include "engine/step/stepping.h"
#include <stdlib.h>

#define LONG_MS 60000

static struct err *
wait_long(struct stepping *st, unsigned number, int64_t delay_ms)
{
    struct run *r = st->h->run;
    AUTO(freep) char *path = xasprintf("%s/wait[%u]", st->path, number);
    AUTO(json_freep) json_t *nothing = NULL;
    AUTO(json_freep)
    json_t *detail = json_pack("{ss si}", "target", st->s->target, "attempt", (int)st->attempt);
    struct pause p = {.type = PAUSE_RETRY, .for_ms = delay_ms, .detail = detail};
    const int64_t since = rt_wall_ms();
    run_works(r, false);
    struct err *e = pause_wait(r, path, &p, &nothing);
    run_works(r, true);
    st->rested_ms += rt_wall_ms() - since;
    return e;
}

struct err *
back_off_wait(struct stepping *st, int64_t delay_ms)
{
    return delay_ms < LONG_MS ? fiber_sleep(delay_ms) : wait_long(st, ++st->pauses, delay_ms);
}

struct err *
back_off_find(struct stepping *st)
{
    const struct view *v = st->h->run->view;
    st->paused = false;
    for (st->pauses = 0; view_has_waits(v); st->pauses++) {
        AUTO(freep) char *path = xasprintf("%s/wait[%u]", st->path, st->pauses + 1);
        AUTO(json_freep) json_t *open = NULL;
        AUTO(json_freep) json_t *done = NULL;
        PASS(view_wait(v, path, &open, &done));
        if (!open && !done)
            break;
        st->attempt = (unsigned)json_int(open ? open : done, "attempt", 1);
        st->paused = open != NULL;
    }
    return NULL;
}

struct err *
back_off_former(struct stepping *st)
{
    if (st->paused)
        PASS(wait_long(st, st->pauses, 0)); /* until the time that it had */
    st->paused = false;
    st->attempt++;
    return NULL;
}
