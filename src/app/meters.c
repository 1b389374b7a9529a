/* meters.c - what this process knows of itself: limits, circuit breakers, connections, counts. */
#include "app/tutticore.h"
#include "engine/step/broker.h"
#include "rt/rt.h"

static void
limit_row(void *ctx, const struct limit_stats *s)
{
    static const char *const names[] = {"rpm", "rpd", "tpm", "tpd"};
    const int64_t set[] = {s->set.rpm, s->set.rpd, s->set.tpm, s->set.tpd};
    json_t *row = json_pack("{ss sI sI sI sI sI sI sI}", "limit", s->name, "in_flight",
                            (json_int_t)s->in_flight, "waiting", (json_int_t)s->waiting, "admitted",
                            (json_int_t)s->admitted, "waited_ms", (json_int_t)s->waited_ms,
                            "waited_ms_max", (json_int_t)s->waited_ms_max, "refused",
                            (json_int_t)s->refused, "held_ms", (json_int_t)s->held_ms);
    for (size_t i = 0; i < COUNT(names); i++) {
        if (set[i])
            json_object_set_new(
                row, names[i],
                json_pack("{sI sI}", "used", (json_int_t)s->used[i], "limit", (json_int_t)set[i]));
    }
    if (s->set.max_concurrency)
        json_object_set_new(row, "max_concurrency", json_integer(s->set.max_concurrency));
    json_array_append_new(ctx, row);
}

static void
breaker_row(void *ctx, const struct breaker_stats *s)
{
    json_array_append_new(
        ctx, json_pack("{ss ss si si sI sI sI sI ss*}", "target", s->target, "state", s->state,
                       "failures", (int)s->failures, "failure_threshold", (int)s->failure_threshold,
                       "recovery_ms", (json_int_t)s->recovery_ms, "since",
                       (json_int_t)s->since_wall_ms, "openings", (json_int_t)s->openings, "refused",
                       (json_int_t)s->refused, "last_failure", s->last_failure));
}

json_t *
app_meters(struct app *a)
{
    struct engine_stats e;
    json_t *limits = json_array(), *breakers = json_array();
    engine_stats(app_engine(a), &e);
    engine_limits(app_engine(a), limit_row, limits);
    engine_breakers(app_engine(a), breaker_row, breakers);
    return json_pack("{s{sI sI sI sI sI sI} so so so}", "engine", "runs", (json_int_t)e.runs,
                     "steps", (json_int_t)e.steps, "replayed", (json_int_t)e.replayed, "joined",
                     (json_int_t)e.joined, "commits", (json_int_t)e.commits, "records",
                     (json_int_t)e.records, "limits", limits, "breakers", breakers, "connections",
                     app_pools(a));
}

static void
meters_main(void *arg)
{
    struct call *c = arg;
    AUTO(json_freep) json_t *found = NULL;
    c->e = tutti_ready(c->t, NULL);
    if (c->e)
        return;
    found = app_meters(c->t->app);
    AUTO(json_freep) json_t *shown = app_redact_json(c->t->app, found);
    c->document = json_text(shown);
}

enum tutti_status
tutti_stats(struct tutti *engine, char **stats, char **error)
{
    struct call c = {.t = engine};
    rt_run(engine->rt, meters_main, &c);
    if (c.e)
        return tutti_give_up(engine, c.e, error);
    *stats = c.document;
    return TUTTI_OK;
}
