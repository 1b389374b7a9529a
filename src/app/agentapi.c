/* agentapi.c - the public API of agents: registered, looked up, listed. */
#include "app/registry.h"
#include "app/tutticore.h"
#include "rt/rt.h"

enum tutti_status
tutti_register(struct tutti *engine, const char *name, const char *definition, char **error)
{
    struct err *e = registry_add(engine->registry, name, definition);
    return e ? tutti_give_up(engine, e, error) : TUTTI_OK;
}

struct listing {
    struct call call;
    const char *name; /* or NULL: all */
};

/* Without a file the registered ones are a document of their own. */
static struct err *
document(struct tutti *t, const char *file, struct spec **ret_spec)
{
    PASS(tutti_ready(t, file));
    return file ? app_load(t->app, file, ret_spec) : registry_load(t->registry, ret_spec);
}

static struct err *
list(struct listing *l)
{
    struct tutti *t = l->call.t;
    AUTO(spec_freep) struct spec *spec = NULL;
    AUTO(json_freep) json_t *found = NULL;
    PASS(document(t, l->call.file, &spec));
    if (l->name)
        PASS(agents_find(t->app, spec->doc, l->name, &found));
    else
        found = agents_list(t->app, spec->doc);
    AUTO(json_freep) json_t *shown = app_redact_json(t->app, found);
    l->call.document = json_text(shown);
    return NULL;
}

static void
list_main(void *arg)
{
    struct listing *l = arg;
    l->call.e = list(l);
}

static enum tutti_status
ask(struct listing *l, char **text, char **error)
{
    rt_run(l->call.t->rt, list_main, l);
    if (l->call.e)
        return tutti_give_up(l->call.t, l->call.e, error);
    *text = l->call.document;
    return TUTTI_OK;
}

enum tutti_status
tutti_agents(struct tutti *engine, const char *file, char **agents, char **error)
{
    struct listing l = {.call = {.t = engine, .file = file}};
    return ask(&l, agents, error);
}

enum tutti_status
tutti_agent(struct tutti *engine, const char *file, const char *name, char **row, char **error)
{
    struct listing l = {.call = {.t = engine, .file = file}, .name = name};
    return ask(&l, row, error);
}
