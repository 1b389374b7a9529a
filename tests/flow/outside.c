/* outside.c - what others do to a run of a flow: cancel, interrupt, answer, signal. */
#include "flowplay.h"
#include "rt/fiber.h"
#include "rt/rt.h"
#include <string.h>

/* As `tutti runs cancel` in another process: asked for durably, seen by whoever has the run. */
static struct err *
outside_cancel(struct play *p, const json_t *entry)
{
    (void)entry;
    return engine_cancel_stored(app_engine(p->app), p->out->id, false);
}

/* As `tutti gate respond`. What is refused is told. */
static struct err *
outside_answer(struct play *p, const json_t *entry)
{
    AUTO(json_freep) json_t *question = NULL;
    struct answer a = {.run = p->out->id,
                       .path = json_str(entry, "path", NULL),
                       .value = json_object_get(entry, "value"),
                       .by = json_str(entry, "by", NULL)};
    return engine_answer(app_engine(p->app), &a, &question);
}

/* As `tutti runs signal`. */
static struct err *
outside_signal(struct play *p, const json_t *entry)
{
    bool is_new;
    struct signal s = {.run = p->out->id,
                       .name = json_str(entry, "name", NULL),
                       .value = json_object_get(entry, "value"),
                       .dedupe = json_str(entry, "dedupe", NULL)};
    return engine_signal(app_engine(p->app), &s, &is_new);
}

/* Ctrl-C: what is under way stops, and the run is left for the next life, which follows. */
static struct err *
outside_interrupt(struct play *p, const json_t *entry)
{
    (void)entry;
    engine_interrupt(app_engine(p->app));
    return NULL;
}

static const struct {
    const char *name;
    struct err *(*does)(struct play *p, const json_t *entry);
} deeds[] = {{"cancel", outside_cancel},
             {"interrupt", outside_interrupt},
             {"answer", outside_answer},
             {"signal", outside_signal}};

static struct err *
outside_do(struct play *p, const json_t *entry)
{
    for (size_t i = 0; i < COUNT(deeds); i++) {
        if (strcmp(deeds[i].name, json_str(entry, "do", "")) == 0)
            return deeds[i].does(p, entry);
    }
    return FAIL(ERR_BUG, "at: nobody can do '%s'", json_str(entry, "do", ""));
}

/* After a crash it may be too early, or be done already: it is tried for a while. */
static struct err *
outside_try(struct play *p, const json_t *entry)
{
    struct err *e = outside_do(p, entry);
    for (unsigned i = 0; i < 20 && p->resume && e && err_kind(e) == ERR_INVALID; i++) {
        err_free(e);
        PASS(fiber_sleep(5));
        e = outside_do(p, entry);
    }
    if (!e || err_kind(e) != ERR_INVALID)
        return e;
    AUTO(freep) char *text = err_text(e);
    err_free(e);
    str_addf(&p->out->journal, "%lld ~ refused %s\n", (long long)(rt_wall_ms() - WALL_START), text);
    return NULL;
}

void
outside_main(void *arg)
{
    struct play *p = arg;
    const json_t *all = json_object_get(p->file->request_json, "at"), *entry;
    while ((entry = json_array_get(all, p->world->deeds))) {
        const int64_t wait = json_int(entry, "ms", 0) + WALL_START - rt_wall_ms();
        struct err *e = wait > 0 ? fiber_sleep(wait) : NULL;
        if (!e)
            e = outside_try(p, entry);
        if (e) {
            if (err_kind(e) != ERR_CANCELLED && !p->crashed)
                err_print(e, stderr);
            err_drop(e);
            return;
        }
        p->world->deeds++;
    }
}
