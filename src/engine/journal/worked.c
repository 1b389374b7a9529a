/* worked.c - how long former lives of a run worked, on all of it and on what is at one path.
 *
 * A life worked from its start to the end of its last step: what came after that, and the time in
 * which nobody had the run, is not counted. Where somebody was waited for below the path while
 * others worked elsewhere, that does not tell how long it was worked on this; there the steps and
 * short waits below it do, laid over each other. */
#include "engine/journal/viewcore.h"
#include <stdlib.h>
#include <string.h>

int64_t
view_former_ms(const struct view *v, int64_t since_wall_ms)
{
    int64_t sum = 0;
    for (size_t i = 0; i < v->former.len; i++) {
        int64_t from = MAX(v->former.at[i].from, since_wall_ms), to = v->former.at[i].to;
        if (to > from)
            sum = add_saturating(sum, add_saturating(to, -MAX(from, -INT64_MAX)));
    }
    return sum;
}

int64_t
view_workflow_ms(const struct view *v, int64_t timeout_ms, int64_t since_wall_ms)
{
    int64_t left = timeout_ms;
    for (size_t i = 0; timeout_ms && i < v->former.len; i++) {
        const struct life *l = &v->former.at[i];
        left -= MAX(l->parked - MAX(l->to, since_wall_ms), 0);
    }
    return timeout_ms ? MAX(left, 1) : 0;
}

/* ---- stints, by path ------------------------------------------------------- */

static int
by_path(const void *a, const void *b)
{
    const struct stint *x = a, *y = b;
    return strcmp(x->path, y->path);
}

static int
by_start(const void *a, const void *b)
{
    const struct life *x = a, *y = b;
    return x->from < y->from ? -1 : x->from > y->from;
}

/* Pauses of a step for which it rested are taken from its beginning: how long it was is exact,
 * when it was only nearly. */
static struct err *
stint_read(const struct kept *k, struct stint *s)
{
    AUTO(json_freep) json_t *began = NULL;
    AUTO(json_freep) json_t *at = NULL;
    AUTO(json_freep) json_t *rested = NULL;
    const struct json_want want[] = {{"began", &began}, {"at", &at}, {"rested_ms", &rested}};
    const struct record rec = view_kept(k);
    PASS(record_pick(&rec, want, COUNT(want)));
    if (!json_is_integer(began))
        return NULL;
    s->during.to = json_integer_value(at);
    s->during.from = add_saturating(json_integer_value(began), MAX(json_integer_value(rested), 0));
    return NULL;
}

/* What this life adds is not looked at: of its steps nothing is kept, and its waits are told by
 * the time at which it began. */
static struct err *
stints_read(struct view *v)
{
    const char *path;
    void *value;
    for (size_t i = 0; map_next(v->places, &i, &path, &value);) {
        const struct place *p = value;
        struct stint s = {.waits = p->wait.body != NULL};
        if (p->step.body && (p->done || p->failed))
            PASS(stint_read(&p->step, &s));
        else if (p->wait.body && p->waited)
            PASS(stint_read(&p->wait, &s));
        if (!s.waits && s.during.to <= s.during.from)
            continue;
        s.path = xstrdup(path);
        vec_push(&v->stints, s);
    }
    if (v->stints.len)
        qsort(v->stints.at, v->stints.len, sizeof *v->stints.at, by_path);
    return NULL;
}

static bool
is_below(const char *path, const char *of, size_t n)
{
    return strncmp(path, of, n) == 0 && path[n] == '/';
}

/* The first whose path is not before "PATH/". */
static size_t
stint_first(const struct view *v, const char *path)
{
    AUTO(freep) char *from = xasprintf("%s/", path);
    size_t low = 0, high = v->stints.len;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strcmp(v->stints.at[mid].path, from) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static bool
has_streams_below(const struct view *v, const char *path)
{
    const struct viewstream *s;
    const size_t n = strlen(path);
    for (size_t i = 0; (s = viewstreams_next(v->streams, &i));) {
        if (strcmp(s->path, path) == 0 || is_below(s->path, path, n))
            return true;
    }
    return false;
}

static int64_t
union_ms(struct life *lives, size_t n, int64_t since_wall_ms)
{
    int64_t sum = 0, until = since_wall_ms;
    if (n)
        qsort(lives, n, sizeof *lives, by_start);
    for (size_t i = 0; i < n; i++) {
        const int64_t from = MAX(lives[i].from, until);
        if (lives[i].to <= from)
            continue;
        sum = add_saturating(sum, add_saturating(lives[i].to, -MAX(from, -INT64_MAX)));
        until = lives[i].to;
    }
    return sum;
}

int64_t
view_worked_ms(struct view *v, const char *path, int64_t since_wall_ms)
{
    const int64_t former = view_former_ms(v, since_wall_ms);
    if (!*path || !former || !v->has_waits || has_streams_below(v, path))
        return former;
    if (!v->has_stints)
        err_drop(stints_read(v)); /* each was read before, when it was kept */
    v->has_stints = true;
    const size_t n = strlen(path);
    VEC(struct life) lives = {0};
    bool waits = false;
    for (size_t i = stint_first(v, path);
         i < v->stints.len && is_below(v->stints.at[i].path, path, n); i++) {
        waits |= v->stints.at[i].waits;
        if (v->stints.at[i].during.from < vec_last(&v->former).to)
            vec_push(&lives, v->stints.at[i].during);
    }
    const int64_t worked = waits ? union_ms(lives.at, lives.len, since_wall_ms) : former;
    vec_fini(&lives);
    return MIN(worked, former);
}

void
stints_free(struct view *v)
{
    vec_each (&v->stints, s)
        free(s->path);
    vec_fini(&v->stints);
}
