/* prepaid.c - what is reserved for answers that come later, by path and summed up for each purse.
 */
#include "engine/step/prepaid.h"
#include "engine/runcore.h"
#include "engine/step/stepping.h"
#include <stdlib.h>
#include <string.h>

struct sums { /* of all below a path: what run->prepaid_sums has */
    struct amount all, away;
};

static void
add(struct amount *to, struct amount a, int sign)
{
    to->nusd = sign > 0 ? add_saturating(to->nusd, a.nusd) : MAX(to->nusd - a.nusd, 0);
    to->tokens = sign > 0 ? add_saturating(to->tokens, a.tokens) : MAX(to->tokens - a.tokens, 0);
}

static void
sum(struct run *r, const struct prepaid *p, int all, int away)
{
    AUTO(freep) char *path = xstrdup(p->path);
    while (path_up(path)) {
        struct sums *s = map_get(r->prepaid_sums, path);
        if (!s) {
            s = xcalloc(1, sizeof *s);
            map_put(r->prepaid_sums, path, s);
        }
        if (all)
            add(&s->all, p->need, all);
        if (away)
            add(&s->away, p->need, away);
    }
}

struct prepaid *
prepaid_at(const struct run *r, const char *path)
{
    return r->prepaid ? map_get(r->prepaid, path) : NULL;
}

static void
give_to(struct prepaid *p, struct hosted *h)
{
    p->by = h;
    p->next = h->prepaid;
    h->prepaid = p;
}

void
prepaid_put(struct run *r, const struct prepaid *from)
{
    struct prepaid *p = prepaid_at(r, from->path);
    if (p)
        prepaid_remove(r, p);
    if (!r->prepaid) {
        r->prepaid = map_new();
        r->prepaid_sums = map_new();
    }
    p = xcalloc(1, sizeof *p);
    *p = *from;
    p->path = xstrdup(from->path);
    p->by = NULL;
    map_put(r->prepaid, p->path, p);
    if (!p->late)
        sum(r, p, 1, from->by ? 0 : 1);
    if (from->by)
        give_to(p, from->by);
}

void
prepaid_adopt(struct hosted *h, const char *path)
{
    struct prepaid *p = prepaid_at(h->run, path);
    if (!p || p->by)
        return;
    if (!p->late)
        sum(h->run, p, 0, -1);
    give_to(p, h);
}

static void
forget_host(struct prepaid *p)
{
    struct prepaid **at = p->by ? &p->by->prepaid : NULL;
    while (at && *at != p)
        at = &(*at)->next;
    if (at)
        *at = p->next;
}

void
prepaid_remove(struct run *r, struct prepaid *p)
{
    forget_host(p);
    if (!p->late)
        sum(r, p, -1, p->by ? 0 : -1);
    map_del(r->prepaid, p->path);
    free(p->path);
    free(p);
}

struct amount
prepaid_sum(const struct run *r, const char *path)
{
    const struct sums *s = r->prepaid_sums ? map_get(r->prepaid_sums, path) : NULL;
    return s ? s->all : (struct amount){0};
}

struct amount
prepaid_away(const struct run *r, const char *path)
{
    const struct sums *s = r->prepaid_sums ? map_get(r->prepaid_sums, path) : NULL;
    return s ? s->away : (struct amount){0};
}

int64_t
prepaid_until(const struct run *r, const char *path)
{
    const size_t n = strlen(path);
    int64_t first = INT64_MAX;
    void *value;
    for (size_t i = 0; r->prepaid && map_next(r->prepaid, &i, NULL, &value);) {
        const struct prepaid *p = value;
        if (!p->by && !p->late && (!n || (strncmp(p->path, path, n) == 0 && p->path[n] == '/')))
            first = MIN(first, p->until_wall_ms);
    }
    return first;
}

void
prepaid_leave(struct hosted *h, const struct err *e)
{
    struct run *r = h->run;
    const bool goes_on = (e && err_kind(e) == ERR_PARKED) || r->interrupted || r->broken;
    for (struct prepaid *p; (p = h->prepaid);) {
        h->prepaid = p->next;
        p->by = NULL;
        if (!p->late)
            sum(r, p, 0, 1);
        if (goes_on)
            spend_wake(r, p->path);
        else
            spend_give_up(r, p);
    }
}

void
prepaids_free(struct run *r)
{
    void *value;
    for (size_t i = 0; r->prepaid && map_next(r->prepaid, &i, NULL, &value);) {
        struct prepaid *p = value;
        free(p->path);
        free(p);
    }
    for (size_t i = 0; r->prepaid_sums && map_next(r->prepaid_sums, &i, NULL, &value);)
        free(value);
    map_free(r->prepaid);
    map_free(r->prepaid_sums);
}
