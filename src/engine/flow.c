/* flow.c - the engine itself, and definitions shared by runs. */
#include "engine/roster.h"
#include "engine/runcore.h"
#include "engine/step/broker.h"
#include "schema/schema.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define WATCH_MS 200 /* how often a cancel asked for elsewhere is looked for */

struct engine *
engine_new(const struct engine_opts *opts)
{
    struct engine *e = xcalloc(1, sizeof *e);
    e->opts = *opts;
    e->space = expr_space_new((struct luastate_limits){0});
    e->flows = map_new();
    e->breakers = map_new();
    e->flights = map_new();
    e->broker = broker_new(opts->store);
    e->nothing = json_object();
    e->roster = roster_new();
    scope_open_detached(&e->scope);
    return e;
}

void
engine_interrupt(struct engine *e)
{
    for (size_t i = 0; i < e->runs.len; i++)
        run_interrupt(e->runs.at[i]);
}

void
engine_free(struct engine *e)
{
    if (!e)
        return;
    engine_interrupt(e);
    scope_end(&e->scope);
    assert(!e->runs.len);
    assert(!map_len(e->flows)); /* flows and runs are given back first */
    map_free(e->flows);
    guards_free(e);
    map_free(e->flights); /* empty: no step is left */
    broker_free(e->broker);
    str_fini(&e->encoding);
    vec_fini(&e->runs);
    vec_fini(&e->subscribers);
    json_decref(e->nothing);
    roster_free(e->roster);
    expr_space_free(e->space);
    free(e);
}

/* Another process may have asked for a run of ours to be cancelled. */
static void
engine_watch(void *arg)
{
    struct engine *e = arg;
    while (e->runs.len) {
        struct err *over = fiber_sleep(WATCH_MS);
        if (over) {
            err_drop(over);
            break;
        }
        for (size_t i = 0; i < e->runs.len; i++) {
            struct run *r = e->runs.at[i];
            int cancel = 0;
            if (!store_has_news(e->opts.store, r->lease.id))
                continue;
            r->refs++;
            r->waits.news_due = true;
            waitq_wake_all(&r->waits.changed);
            if (!r->cancelled)
                err_drop(store_cancel_state(e->opts.store, r->lease.id, &cancel));
            if (cancel)
                run_cancel(r);
            run_unref(r);
        }
    }
    e->watching = false;
}

void
engine_watch_start(struct engine *e)
{
    if (e->watching)
        return;
    e->watching = true;
    scope_spawn(&e->scope, "watch", engine_watch, e);
}

int
engine_subscribe(struct engine *e, run_event_fn fn, void *ctx)
{
    vec_push(&e->subscribers, ((struct subscriber){fn, ctx, ++e->handles}));
    return e->handles;
}

void
engine_unsubscribe(struct engine *e, int handle)
{
    for (size_t i = 0; i < e->subscribers.len; i++) {
        if (e->subscribers.at[i].handle == handle) {
            e->subscribers.at[i] = e->subscribers.at[e->subscribers.len - 1];
            e->subscribers.len--;
            return;
        }
    }
}

void
engine_stats(const struct engine *e, struct engine_stats *ret_stats)
{
    *ret_stats = e->stats;
}

struct expr_space *
engine_space(struct engine *e)
{
    return e->space;
}

struct luastate *
engine_lua(struct engine *e)
{
    return expr_space_lua(e->space);
}

/* ---- flows ----------------------------------------------------------------- */

struct flow *
flow_ref(struct flow *f)
{
    f->refs++;
    return f;
}

void
flow_unref(struct flow *f)
{
    if (!f || --f->refs)
        return;
    if (map_get(f->engine->flows, plan_hash(f->plan)) == f)
        map_del(f->engine->flows, plan_hash(f->plan));
    needs_free(f);
    plan_free(f->plan);
    json_decref(f->doc);
    free(f->body);
    free(f);
}

const struct plan *
flow_plan(const struct flow *f)
{
    return f->plan;
}

const json_t *
flow_doc(const struct flow *f)
{
    return f->doc;
}

struct planning { /* parsers need more stack than a fiber has */
    struct engine *e;
    const struct plan_source *source;
    const char *workflow;
    struct plan *plan;
    struct err *err;
};

static void
plan_deep(void *arg)
{
    struct planning *p = arg;
    p->err = plan_make(p->source, p->workflow, p->e->space, &p->plan);
}

static struct err *
flow_make(struct engine *e, const struct flow_source *from, struct flow **ret_flow)
{
    struct plan_source source = {.doc = from->doc,
                                 .pos = from->pos,
                                 .text_pos = from->text_pos,
                                 .pos_ctx = from->pos_ctx,
                                 .kinds = e->opts.workflows};
    struct planning p = {e, &source, from->workflow, NULL, NULL};
    rt_deep(plan_deep, &p);
    PASS(p.err);
    struct flow *known = map_get(e->flows, plan_hash(p.plan));
    if (known) {
        plan_free(p.plan);
        *ret_flow = flow_ref(known);
        return NULL;
    }
    struct flow *f = xcalloc(1, sizeof *f);
    f->engine = e;
    f->refs = 1;
    f->plan = p.plan;
    f->doc = json_incref(from->doc);
    map_put(e->flows, plan_hash(f->plan), f);
    *ret_flow = f;
    return NULL;
}

struct err *
engine_flow(struct engine *e, const struct flow_source *source, struct flow **ret_flow)
{
    PASS(flow_make(e, source, ret_flow));
    struct flow *f = *ret_flow;
    if (f->body)
        return NULL;
    json_t *stored = json_pack("{sssO}", "workflow", plan_workflow(f->plan), "doc", f->doc);
    f->body = json_text(stored);
    json_decref(stored);
    return NULL;
}

struct err *
flow_stored(struct engine *e, const char *hash, struct flow **ret_flow)
{
    struct flow *known = map_get(e->flows, hash);
    if (known) {
        *ret_flow = flow_ref(known);
        return NULL;
    }
    AUTO(str_fini) struct str body = STR_INIT;
    AUTO(json_freep) json_t *stored = NULL;
    TRY(store_get_def(e->opts.store, hash, &body), "its definition");
    TRY(json_parse(str_c(&body), body.len, &stored), "its definition");
    struct flow_source source = {.doc = json_object_get(stored, "doc"),
                                 .workflow = json_str(stored, "workflow", "")};
    TRY(flow_make(e, &source, ret_flow), "its definition");
    if (strcmp(plan_hash((*ret_flow)->plan), hash) == 0)
        return NULL;
    flow_unref(STEAL(*ret_flow));
    return FAIL(ERR_INVALID, "its definition does not have the hash %s under which it was stored",
                hash);
}

struct checking {
    const json_t *schema, *value;
    struct err *err;
};

static void
check_deep(void *arg)
{
    struct checking *c = arg;
    AUTO(schema_freep) struct schema *schema = NULL;
    c->err = schema_compile(c->schema, &schema);
    if (!c->err)
        c->err = schema_enforce(schema, c->value);
}

struct err *
flow_check_inputs(struct flow *f, const json_t *inputs)
{
    return inputs_check(plan_root(f->plan), inputs ? inputs : f->engine->nothing);
}

struct err *
inputs_check(const struct graph *g, const json_t *inputs)
{
    struct checking c = {.schema = g->inputs_schema, .value = inputs};
    if (!c.schema)
        return NULL;
    rt_deep(check_deep, &c);
    return c.err ? WRAP(c.err, "the inputs") : NULL;
}
