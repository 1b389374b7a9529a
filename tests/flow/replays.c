/* replays.c - whatever a flow does, its journal alone tells it again. */
#include "replays.h"
#include "app/again.h"
#include "rt/rt.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    struct store_mem *mem;
    const char *run;
    struct tape *tape;
    struct err *e;
};

static void
read_main(void *arg)
{
    struct reading *r = arg;
    struct app *a = NULL;
    r->e = app_open(&(struct app_opts){.mem = r->mem}, &a);
    if (!r->e)
        r->e = tape_read(a, r->run, &r->tape);
    app_close(a);
}

bool
replay_holds(const char *flow, struct store_mem *mem, const char *run)
{
    struct rt *rt;
    struct reading r = {.mem = mem, .run = run};
    AUTO(json_freep) json_t *report = NULL;
    err_drop(rt_open(&(struct rt_opts){.simulated = true, .seed = 4}, &rt));
    rt_run(rt, read_main, &r);
    rt_close(rt);
    if (!r.e)
        r.e = tape_play(r.tape, &report);
    tape_free(r.tape);
    AUTO(freep) char *why = r.e ? err_text(r.e) : NULL;
    const bool same =
        json_bool(report, "same", false) || (why && strstr(why, "cannot be replayed"));
    if (!same) {
        AUTO(freep)
        char *text = why ? xstrdup(why) : json_pretty(json_object_get(report, "differences"));
        fprintf(stderr, "%s: the replay differs: %s\n", flow, text);
    }
    err_free(r.e);
    return same;
}
