/* putaway.c - runs that wait longer than a process cares to keep them: waited for from outside,
 * told things, and taken up again. */
#include "app/tutticore.h"
#include "rt/rt.h"
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 500 /* whether somebody has told it something */

/* Is it time to go on with it? It is somebody else's, or has ended, when *ret_gone. */
static struct err *
put_away_look(struct app *a, const char *id, bool *ret_due, bool *ret_gone)
{
    struct store_run row = {0};
    PASS(store_get_run(app_store(a), id, &row));
    *ret_gone = row.status >= RUN_ENDED || row.owner;
    *ret_due = row.wake_at <= store_now_ms(app_store(a));
    store_run_fini(&row);
    return NULL;
}

static struct err *
put_away_sleep(struct tutti *t, int64_t wake_at, int64_t deadline_ms)
{
    int64_t ms = t->stay ? LOOK_MS : 60000; /* the wall's clock may be set meanwhile */
    if (wake_at < INT64_MAX)
        ms = MIN(ms, MAX(wake_at - rt_wall_ms(), 0));
    struct err *e = waitq_wait(&t->alarm, MIN(rt_after(ms), deadline_ms));
    if (e && err_kind(e) == ERR_TIMEOUT && rt_now_ms() < deadline_ms) {
        err_free(e);
        return NULL;
    }
    return e;
}

/* Waits until the run that was put away can go on, and takes it up. */
static struct err *
put_away_wait(struct call *c, int64_t deadline_ms)
{
    struct tutti_run *h = c->run;
    AUTO(freep) char *id = xstrdup(run_id(h->run));
    const int64_t wake_at = run_wakes_at(h->run);
    struct run *again = NULL;
    bool due = false, gone = false;
    while (!due && !gone) {
        if (c->t->interrupted) {
            h->interrupted = true;
            return NULL;
        }
        PASS(put_away_look(c->t->app, id, &due, &gone));
        if (due || gone)
            break;
        PASS(put_away_sleep(c->t, wake_at, deadline_ms));
    }
    if (gone)
        return FAIL(ERR_LIMIT, "the run '%s' was taken up by another process", id);
    PASS(app_resume(c->t->app, id, NULL, &again));
    run_unref(h->run);
    h->run = again;
    return NULL;
}

static bool
goes_on_by_itself(const struct tutti_run *h)
{
    return run_is_over(h->run) && run_state(h->run) == RUN_WAITING && !h->interrupted &&
           (h->engine->stay || !run_needs_someone(h->run));
}

/* It was put away for want of somebody who has answered since. */
static bool
was_answered(struct call *c)
{
    const struct tutti_run *h = c->run;
    bool due = false, gone = false;
    if (!run_is_over(h->run) || run_state(h->run) != RUN_WAITING || h->interrupted)
        return false;
    err_drop(put_away_look(c->t->app, run_id(h->run), &due, &gone));
    return due && !gone;
}

void
tutti_wait_main(void *arg)
{
    struct call *c = arg;
    const int64_t deadline_ms = rt_after(c->timeout_ms);
    do {
        /* It may have come when there was no run yet, or while this one was taken up. */
        if (c->t->interrupted)
            run_interrupt(c->run->run);
        c->e = run_wait(c->run->run, deadline_ms);
        if (!c->e && (goes_on_by_itself(c->run) || was_answered(c)))
            c->e = put_away_wait(c, deadline_ms);
    } while (!c->e && (!run_is_over(c->run->run) || goes_on_by_itself(c->run)));
}

/* ---- what it is told ------------------------------------------------------- */

static void
answer_main(void *arg)
{
    struct call *c = arg;
    AUTO(json_freep) json_t *question = NULL;
    c->e = tutti_ready(c->t, NULL);
    if (!c->e)
        c->e = engine_answer(app_engine(c->t->app), c->answer, &question);
}

static void
signal_main(void *arg)
{
    struct call *c = arg;
    bool is_new;
    c->e = tutti_ready(c->t, NULL);
    if (!c->e)
        c->e = engine_signal(app_engine(c->t->app), c->signal, &is_new);
}

static json_t *
value_of(const char *text)
{
    return text ? json_or_text(text, strlen(text)) : NULL;
}

enum tutti_status
tutti_answer(struct tutti *engine, const struct tutti_answer *answer, char **error)
{
    AUTO(json_freep) json_t *value = value_of(answer->value);
    struct answer a = {.run = answer->run_id,
                       .path = answer->path,
                       .token = answer->token,
                       .value = value,
                       .by = answer->by};
    struct call c = {.t = engine, .answer = &a};
    rt_run(engine->rt, answer_main, &c);
    return c.e ? tutti_give_up(engine, c.e, error) : TUTTI_OK;
}

enum tutti_status
tutti_signal(struct tutti *engine, const struct tutti_signal *signal, char **error)
{
    AUTO(json_freep) json_t *value = value_of(signal->value);
    struct signal s = {
        .run = signal->run_id, .name = signal->name, .value = value, .dedupe = signal->dedupe};
    struct call c = {.t = engine, .signal = &s};
    rt_run(engine->rt, signal_main, &c);
    return c.e ? tutti_give_up(engine, c.e, error) : TUTTI_OK;
}
