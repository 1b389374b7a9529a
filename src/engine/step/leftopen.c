/* leftopen.c - questions about calls that may have been carried out, by the paths around them. */
#include "engine/step/leftopen.h"
#include "engine/step/stepping.h"
#include <stdlib.h>
#include <string.h>

#define ASK_SOMEBODY "look, then resume with --in-doubt done, retry or fail"
#define MAYBE_DONE   "'%s' at %s was under way, and may have been carried out"

bool
path_up(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash)
        *slash = '\0';
    else if (*path)
        *path = '\0';
    else
        return false;
    return true;
}

struct err *
open_ask(const struct stepping *st, const char *how)
{
    struct run *r = st->h->run;
    AUTO(freep) char *path = xstrdup(st->path);
    AUTO(freep)
    char *what = xasprintf("in doubt: '%s' at %s %s; " ASK_SOMEBODY, st->s->target, st->path, how);
    if (!r->open.asked)
        r->open.asked = map_new();
    while (path_up(path)) {
        if (!map_has(r->open.asked, path))
            map_put(r->open.asked, path, xstrdup(what));
    }
    return FAIL(ERR_PARKED, "%s", what);
}

struct err *
open_cut_off(const struct stepping *st, struct err *e)
{
    struct run *r = st->h->run;
    if (fiber_deadline() <= rt_now_ms() && !r->cancelled && !r->interrupted) {
        err_free(e);
        return open_ask(st, "was under way when its time was over, and may have been carried out");
    }
    if (!r->open.unsure++)
        r->open.unsure_of = xasprintf(MAYBE_DONE, st->s->target, st->path);
    return err_set_in_doubt(WRAP(e, MAYBE_DONE, st->s->target, st->path));
}

struct err *
open_below(const struct run *r, const char *path, struct err *e)
{
    const char *what = e && r->open.asked ? map_get(r->open.asked, path) : NULL;
    if (!what || r->cancelled || r->interrupted)
        return e;
    if (err_kind(e) != ERR_TIMEOUT && err_kind(e) != ERR_CANCELLED && err_kind(e) != ERR_LIMIT)
        return e;
    err_free(e);
    return FAIL(ERR_PARKED, "%s", what);
}

struct err *
open_tell(const struct run *r, struct err *e)
{
    if (!e || !r->open.unsure || err_kind(e) == ERR_PARKED)
        return e;
    AUTO(freep) char *text = err_text(e);
    if (strstr(text, r->open.unsure_of))
        return e;
    AUTO(freep)
    char *more = r->open.unsure > 1 ? xasprintf(", and %u more", r->open.unsure - 1) : xstrdup("");
    struct err *told = FAIL(err_kind(e), "%s; %s%s", text, r->open.unsure_of, more);
    err_free(e);
    return err_set_in_doubt(told);
}

void
open_free(struct run *r)
{
    void *what;
    for (size_t i = 0; r->open.asked && map_next(r->open.asked, &i, NULL, &what);)
        free(what);
    map_free(r->open.asked);
    free(r->open.unsure_of);
}
