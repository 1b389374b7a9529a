/* hosted.c - what an agent gets from the engine, and running one. */
#include "engine/roster.h"
#include "engine/runcore.h"
#include "engine/step/prepaid.h"
#include "engine/talk/history.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct hosted *
hosted_of(struct host *h)
{
    return container_of(h, struct hosted, base);
}

static void
hosted_chunk(struct host *h, enum chunk_kind kind, const char *text, size_t n)
{
    struct hosted *x = hosted_of(h);
    if (!x->run->engine->subscribers.len)
        return;
    static const char *const kinds[] = {"text", "progress", "reset"};
    json_t *detail = json_pack("{ss}", "kind", kinds[kind]);
    run_publish(x->run, (struct run_event){.name = EVENT_AGENT_CHUNK,
                                           .path = x->path,
                                           .detail = detail,
                                           .text = text,
                                           .text_len = n});
    json_decref(detail);
}

static void
hosted_note(struct host *h, const char *event, json_t *detail)
{
    struct hosted *x = hosted_of(h);
    run_publish(x->run, (struct run_event){.name = event, .path = x->path, .detail = detail});
    json_decref(detail);
}

static const json_t *
hosted_section(struct host *h, const char *section, const char *name)
{
    const json_t *all = json_object_get(hosted_of(h)->run->flow->doc, section);
    return name ? json_object_get(all, name) : all;
}

static struct err *
hosted_expand(struct host *h, const char *text, char **ret_text)
{
    const struct engine *e = hosted_of(h)->run->engine;
    return e->opts.expand(e->opts.ctx, text, ret_text);
}

static int64_t
hosted_now(struct host *h)
{
    return hosted_of(h)->started_wall_ms;
}

static void *
hosted_service(struct host *h, const char *name)
{
    const struct engine *e = hosted_of(h)->run->engine;
    return e->opts.service(e->opts.ctx, name);
}

static const char *
hosted_path(struct host *h)
{
    return hosted_of(h)->path;
}

static const char *
hosted_run_id(struct host *h)
{
    return hosted_of(h)->run->lease.id;
}

/* ---- children -------------------------------------------------------------- */

static struct err *
hosted_call(struct host *h, const char *name, const char *worker, const struct task *t,
            struct reply *ret_reply)
{
    struct hosted *x = hosted_of(h);
    AUTO(freep) char *path = xasprintf("%s/%s", x->path, name);
    if (x->depth.calls >= CALL_DEPTH_MAX)
        return FAIL(ERR_LIMIT, "agents call each other deeper than %d", CALL_DEPTH_MAX);
    struct work w = {.path = path,
                     .type = "agent",
                     .worker = worker,
                     .child = plan_graph(x->run->flow->plan, worker),
                     .task = *t,
                     .depth = {x->depth.all + 1, x->depth.calls + 1},
                     .inputs = x->inputs};
    struct err *e = work_run(x->run, &w, ret_reply);
    usage_add(&x->usage, &ret_reply->usage);
    return e;
}

static struct err *
hosted_recall(struct host *h, json_t **ret_exchanges)
{
    struct hosted *x = hosted_of(h);
    return history_recall(x->run, x->path, x->name, ret_exchanges);
}

static struct err *
hosted_remember(struct host *h, json_t *exchange)
{
    struct hosted *x = hosted_of(h);
    struct remembered m = {x->path, x->name, x->started_wall_ms, exchange};
    return history_remember(x->run, &m);
}

struct one_of_many {
    struct hosted host;
    struct err *(*fn)(struct host *child, void *arg);
    void *arg;
    struct err **ret_err;
    struct sem *sem;
};

static void
one_run(void *arg)
{
    struct one_of_many *o = arg;
    struct err *e = o->sem ? sem_acquire(o->sem, DEADLINE_NONE) : NULL;
    if (!e) {
        e = o->fn(&o->host.base, o->arg);
        prepaid_leave(&o->host, e);
        if (o->sem)
            sem_release(o->sem);
    }
    *o->ret_err = e;
}

static void
hosted_each(struct host *h, const struct each *e)
{
    struct hosted *x = hosted_of(h);
    struct one_of_many *all = xcalloc(e->n, sizeof *all);
    struct sem sem;
    struct scope scope;
    sem_setup(&sem, e->limit);
    scope_open(&scope, DEADLINE_NONE);
    for (size_t i = 0; i < e->n; i++) {
        all[i] = (struct one_of_many){
            .host = *x, .fn = e->fn, .arg = e->args[i], .ret_err = &e->ret_errs[i]};
        all[i].sem = e->limit ? &sem : NULL;
        all[i].host.path = xasprintf("%s/%s[%zu]", x->path, e->name, i);
        all[i].host.usage = (struct usage){0};
        all[i].host.prepaid = NULL;
        e->ret_errs[i] = NULL;
        if (e->n == 1)
            one_run(&all[i]);
        else
            scope_spawn(&scope, e->name, one_run, &all[i]);
    }
    err_drop(scope_close(&scope)); /* each has its own error */
    for (size_t i = 0; i < e->n; i++) {
        usage_add(&x->usage, &all[i].host.usage);
        x->attempts = MAX(x->attempts, all[i].host.attempts);
        free((char *)(uintptr_t)all[i].host.path);
    }
    free(all);
}

static struct err *
hosted_pause(struct host *h, const struct pause *p, json_t **ret_value)
{
    struct hosted *x = hosted_of(h);
    AUTO(freep) char *path = xasprintf("%s/%s", x->path, p->name);
    return pause_wait(x->run, path, p, ret_value);
}

static const struct host_ops hosted_ops = {
    .step = hosted_step,
    .pause = hosted_pause,
    .call = hosted_call,
    .each = hosted_each,
    .recall = hosted_recall,
    .remember = hosted_remember,
    .chunk = hosted_chunk,
    .note = hosted_note,
    .section = hosted_section,
    .expand = hosted_expand,
    .now_wall_ms = hosted_now,
    .service = hosted_service,
    .path = hosted_path,
    .run_id = hosted_run_id,
};

/* ---- an agent -------------------------------------------------------------- */

static const struct kind *
kind_of(const struct engine *e, const json_t *def)
{
    const char *type = json_str(def, "type", "llm");
    for (const struct kind *const *k = e->opts.agents; *k; k++) {
        if (strcmp((*k)->name, type) == 0)
            return *k;
    }
    return NULL;
}

struct err *
agent_run(struct run *r, const struct work *w, int64_t started_wall_ms, struct reply *ret_reply,
          unsigned *ret_attempts)
{
    const json_t *def = w->agent;
    if (!def)
        def = json_object_get(json_object_get(r->flow->doc, "agents"), w->worker);
    if (!def && *w->worker)
        return FAIL(ERR_INVALID, "there is no agent '%s'", w->worker);
    if (!def)
        def = r->engine->nothing;
    const struct kind *kind = kind_of(r->engine, def);
    if (!kind || !kind->run)
        return FAIL(ERR_INVALID, "agents of type '%s' cannot run in this version",
                    json_str(def, "type", "llm"));
    struct hosted h = {.base = {&hosted_ops},
                       .run = r,
                       .path = w->path,
                       .agent = def,
                       .name = *w->worker ? w->worker : "assistant",
                       .node = w->node,
                       .attempts = 1,
                       .started_wall_ms = started_wall_ms,
                       .depth = w->depth,
                       .inputs = w->inputs};
    struct task t = w->task;
    enum effect effect;
    const char *said = json_str(def, "effect", NULL);
    t.name = h.name;
    t.use_history = w->node && w->node->use_history;
    t.def = def;
    t.effect = w->node ? w->node->effect : -1;
    if (t.effect < 0 && said && effect_parse(said, &effect))
        t.effect = (int)effect;
    struct roster_work working = {.agent = t.name, .path = w->path};
    roster_begin(r, &working);
    struct err *e = kind->run(&h.base, &t, ret_reply);
    prepaid_leave(&h, e);
    working.refused = h.refused;
    roster_end(r, &working, e);
    ret_reply->usage = h.usage;
    *ret_attempts = h.attempts;
    return e;
}
