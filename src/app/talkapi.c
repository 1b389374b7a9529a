/* talkapi.c - the public API of conversations. */
#include "app/tutticore.h"
#include "rt/rt.h"

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
