/* talkapi.c - the public API of conversations and sessions. */
#include "app/tutticore.h"
#include "rt/rt.h"
#include <stdlib.h>

struct forgetting {
    struct call call;
    struct conversation_filter filter;
};

static void
forget_main(void *arg)
{
    struct forgetting *f = arg;
    size_t n;
    f->call.e = tutti_ready(f->call.t, NULL);
    if (!f->call.e)
        f->call.e = engine_forget_said(app_engine(f->call.t->app), &f->filter, &n);
}

enum tutti_status
tutti_clear_history(struct tutti *engine, const char *conversation, const char *agent, char **error)
{
    struct forgetting f = {.call = {.t = engine},
                           .filter = {.conversation = conversation, .who = agent}};
    rt_run(engine->rt, forget_main, &f);
    return f.call.e ? tutti_give_up(engine, f.call.e, error) : TUTTI_OK;
}

struct sending {
    struct call call;
    const char *run, *text;
    char *busy;
};

static void
send_main(void *arg)
{
    struct sending *s = arg;
    s->call.e = tutti_ready(s->call.t, NULL);
    if (!s->call.e)
        s->call.e = engine_send(app_engine(s->call.t->app), s->run, s->text, &s->busy);
}

enum tutti_status
tutti_send(struct tutti *engine, const char *run_id, const char *text, char **error)
{
    struct sending s = {.call = {.t = engine}, .run = run_id, .text = text};
    rt_run(engine->rt, send_main, &s);
    if (s.call.e)
        return tutti_give_up(engine, s.call.e, error);
    if (!s.busy)
        return TUTTI_OK;
    if (error)
        *error = s.busy;
    else
        free(s.busy);
    return TUTTI_BUSY;
}
