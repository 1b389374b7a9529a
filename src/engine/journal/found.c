/* found.c - what a resumed run finds in its view. */
#include "engine/journal/viewcore.h"
#include <stdlib.h>
#include <string.h>

struct record
view_kept(const struct kept *k)
{
    return (struct record){.body = k->body, .body_len = k->len};
}

bool
view_node_ended(const struct view *v, const char *path)
{
    const struct place *p = map_get(v->places, path);
    return p && p->node_ended;
}

struct err *
view_node_pick(const struct view *v, const char *path, const struct json_want *want, size_t count)
{
    const struct place *p = map_get(v->places, path);
    for (size_t i = 0; i < count; i++) {
        if (want[i].at)
            *want[i].at = NULL;
    }
    if (!p || !p->is_node)
        return NULL;
    struct record rec = view_kept(&p->node);
    return record_pick(&rec, want, count);
}

struct err *
view_node_started(const struct view *v, const char *path, int64_t *ret_ms)
{
    AUTO(json_freep) json_t *at = NULL;
    const struct json_want want = {"at", &at};
    PASS(view_node_pick(v, path, &want, 1));
    *ret_ms = json_integer_value(at);
    return NULL;
}

bool
view_has_waits(const struct view *v)
{
    return v->has_waits;
}

struct err *
view_wait(const struct view *v, const char *path, json_t **ret_open, json_t **ret_done)
{
    const struct place *p = map_get(v->places, path);
    *ret_open = *ret_done = NULL;
    if (!p || !p->wait.body)
        return NULL;
    struct record rec = view_kept(&p->wait);
    return record_decode(&rec, p->waited ? ret_done : ret_open);
}

static int
by_time(const void *a, const void *b)
{
    const json_t *x = *(const json_t *const *)a, *y = *(const json_t *const *)b;
    const int64_t at = json_int(x, "at", 0) - json_int(y, "at", 0);
    return at ? (at > 0 ? 1 : -1) : strcmp(json_str(x, "path", ""), json_str(y, "path", ""));
}

struct err *
view_waits(const struct view *v, json_t *list)
{
    VEC(json_t *) found = {0};
    const char *path;
    void *value;
    struct err *e = NULL;
    for (size_t i = 0; !e && map_next(v->places, &i, &path, &value);) {
        const struct place *p = value;
        json_t *body = NULL;
        if (!p->wait.body || p->waited)
            continue;
        struct record rec = view_kept(&p->wait);
        e = record_decode(&rec, &body);
        if (e)
            break;
        json_object_set_new(body, "path", json_string(path));
        vec_push(&found, body);
    }
    if (found.len)
        qsort(found.at, found.len, sizeof *found.at, by_time);
    vec_each (&found, one)
        json_array_append_new(list, *one);
    vec_fini(&found);
    return e;
}

bool
view_step_begun(const struct view *v, const char *path)
{
    const struct place *p = map_get(v->places, path);
    return p && p->begun;
}

struct err *
view_step(const struct view *v, const char *path, json_t **ret_body, bool *ret_failed)
{
    const struct place *p = map_get(v->places, path);
    *ret_body = NULL;
    *ret_failed = false;
    if (!p || !p->step.body || p->reserved)
        return NULL;
    *ret_failed = p->failed;
    struct record rec = view_kept(&p->step);
    return record_decode(&rec, ret_body);
}

static struct amount
amount_read(const json_t *amount)
{
    return (struct amount){nusd_of(json_num(amount, "usd", 0)),
                           MAX(json_int(amount, "tokens", 0), 0)};
}

struct err *
place_cost(const struct place *p, struct view_cost *ret_cost)
{
    AUTO(json_freep) json_t *usage = NULL;
    AUTO(json_freep) json_t *held = NULL;
    AUTO(json_freep) json_t *open = NULL;
    AUTO(json_freep) json_t *until = NULL;
    const struct json_want want[] = {
        {"usage", &usage}, {"held", &held}, {"open", &open}, {"until", &until}};
    const struct record rec = view_kept(&p->step);
    PASS(record_pick(&rec, want, p->reserved ? COUNT(want) : 2));
    usage_from_json(usage, &ret_cost->usage);
    ret_cost->held = amount_read(held);
    ret_cost->open = amount_min(amount_read(open), ret_cost->held);
    ret_cost->until_wall_ms = json_integer_value(until);
    return NULL;
}

#define STREAMS_FROM ((size_t)1 << 62) /* behind all steps: what items that are done had */

static bool
stream_cost(const struct view *v, size_t *i, struct view_cost *ret_cost)
{
    size_t k = *i - STREAMS_FROM;
    const struct viewstream *s = viewstreams_next(v->streams, &k);
    *i = STREAMS_FROM + k;
    if (s)
        *ret_cost = (struct view_cost){.path = s->items, .usage = s->steps, .held = s->held};
    return s != NULL;
}

struct err *
view_step_cost(const struct view *v, size_t *i, struct view_cost *ret_cost, bool *ret_more)
{
    void *value;
    *ret_more = false;
    while (*i < STREAMS_FROM && map_next(v->places, i, &ret_cost->path, &value)) {
        const struct place *p = value;
        if (!p->step.body)
            continue;
        *ret_more = true;
        return place_cost(p, ret_cost);
    }
    *i = MAX(*i, STREAMS_FROM);
    *ret_more = stream_cost(v, i, ret_cost);
    return NULL;
}

struct err *
view_step_held(const struct view *v, const char *path, struct amount *ret_held)
{
    const struct place *p = map_get(v->places, path);
    struct view_cost cost;
    *ret_held = (struct amount){0};
    if (!p || !p->reserved)
        return NULL;
    PASS(place_cost(p, &cost));
    *ret_held = cost.held;
    return NULL;
}

struct err *
view_decided(const struct view *v, const char *path, json_t **ret_body)
{
    const struct place *p = map_get(v->places, path);
    *ret_body = NULL;
    if (!p || !p->decided.body)
        return NULL;
    struct record rec = view_kept(&p->decided);
    return record_decode(&rec, ret_body);
}

const json_t *
view_session(const struct view *v)
{
    return v->session;
}

struct said *
view_said(struct view *v)
{
    return v->said;
}

bool
view_recalled(const struct view *v, const char *path, size_t *ret_n)
{
    const struct place *p = map_get(v->places, path);
    if (!p || !p->recalled)
        return false;
    *ret_n = p->recalled - 1;
    return true;
}

bool
view_remembered(const struct view *v, const char *path)
{
    const struct place *p = map_get(v->places, path);
    return p && p->remembered;
}
