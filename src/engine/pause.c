/* pause.c - one wait at a path, from its first record to its last.
 *
 * What ends it is used up in the commit that says so. */
#include "base/units.h"
#include "engine/control_node.h"
#include "engine/runcore.h"
#include "engine/turn.h"
#include <stdlib.h>
#include <string.h>

#define NEAR_MS    60000       /* what comes so soon is waited for in memory */
#define CUT_OFF    "cancelled" /* what ended a wait that its node did not live to see */
#define REASON_MAX 1000        /* of the reasons to wait that are told together */
#define QUIET_MS   20          /* nothing worked for so long: the rest of the run waits too */

struct waiting { /* one wait under way */
    const char *path;
    const struct pause *p;
    int64_t until_wall_ms; /* INT64_MAX: no time ends it */
    int64_t began_wall_ms;
    int64_t cut_wall_ms; /* until then: its end, else that of the time of its node */
    uint64_t number;     /* of all that the run began here */
    bool brief;          /* it was short from its beginning: its time counts as worked */
};

void
waits_fini(struct waits *w)
{
    vec_each (&w->used, one)
        free(*one);
    vec_fini(&w->used);
    vec_fini(&w->all);
    store_signals_free(w->signals, w->nsignals);
}

void
run_works(struct run *r, bool begins)
{
    struct waits *w = &r->waits;
    scope_work(begins);
    w->moves++;
    w->working += begins ? 1 : -1u;
    if (!w->working)
        waitq_wake_all(&w->changed);
}

/* ---- signals --------------------------------------------------------------- */

/* One cannot know of the next what it knew of the last: the store is asked when it may know more.
 */
static struct err *
news_read(struct run *r)
{
    struct waits *w = &r->waits;
    struct store_signal *signals = NULL;
    size_t n = 0;
    int cancel = 0;
    if (!w->news_due)
        return NULL;
    w->news_due = false;
    struct err *e = store_take_news(r->engine->opts.store, &r->lease, &signals, &n, &cancel);
    if (e) {
        w->news_due = true;
        return WRAP(e, "looking for signals");
    }
    store_signals_free(w->signals, w->nsignals);
    w->signals = signals;
    w->nsignals = n;
    waitq_wake_all(&w->changed); /* those who looked while they were read */
    if (cancel)
        run_cancel(r);
    return NULL;
}

static char *
used_name(const struct store_signal *s)
{
    return xasprintf("%s\n%s", s->name, s->dedupe);
}

static bool
is_used(const struct waits *w, const struct store_signal *s)
{
    AUTO(freep) char *name = used_name(s);
    for (size_t i = 0; i < w->used.len; i++) {
        if (strcmp(w->used.at[i], name) == 0)
            return true;
    }
    return s->consumed_seq != 0;
}

/* The first of that name which nobody has had; they are in order of arrival. */
static const struct store_signal *
signal_next(struct waits *w, const char *name)
{
    for (size_t i = 0; name && i < w->nsignals; i++) {
        if (strcmp(w->signals[i].name, name) == 0 && !is_used(w, &w->signals[i]))
            return &w->signals[i];
    }
    return NULL;
}

/* {value, by} of a signal; one that is not such an object is the value itself. */
static json_t *
signal_body(const struct store_signal *s)
{
    json_t *body = NULL;
    struct err *e = json_parse(s->body, s->body_len, &body);
    if (e) {
        err_drop(e);
        return json_pack("{so}", "value", json_string_lossy(s->body, s->body_len));
    }
    if (json_object_get(body, "value"))
        return body;
    return json_pack("{so}", "value", body);
}

/* ---- how a wait ends ------------------------------------------------------- */

static void
done_append(struct run *r, const struct waiting *w, const char *by, json_t *value,
            const struct store_signal *s)
{
    json_t *body = json_pack("{ss ss sI}", "type", w->p->type, "by", by, "at", rt_wall_ms());
    json_t *attempt = json_object_get(w->p->detail, "attempt");
    if (value)
        json_object_set(body, "value", value);
    if (attempt)
        json_object_set(body, "attempt", attempt);
    if (w->brief)
        json_object_set_new(body, "began", json_integer(w->began_wall_ms));
    if (s)
        vec_push(&r->waits.used, used_name(s));
    run_append_using(r, REC_WAIT_DONE, w->path, body, s);
}

static void
refuse(struct run *r, const struct waiting *w, const struct store_signal *s, struct err *OWN why)
{
    AUTO(freep) char *text = err_text(why);
    err_free(why);
    vec_push(&r->waits.used, used_name(s));
    run_append_using(r, REC_WAIT_REFUSED, w->path,
                     json_pack("{ss so sI}", "type", w->p->type, "error",
                               json_string_lossy(text, strlen(text)), "at", rt_wall_ms()),
                     s);
}

/* Was it answered? An answer that does not fit is told and forgotten; the question stands. */
static bool
signal_ends(struct run *r, const struct waiting *w, const char *name, json_t **ret_value)
{
    const struct store_signal *s;
    while ((s = signal_next(&r->waits, name))) {
        AUTO(json_freep) json_t *body = signal_body(s);
        json_t *value = NULL;
        if (json_int(body, "at", 0) > w->until_wall_ms) /* so do those behind it */
            return false;
        struct err *e = answer_check(w->p->detail, json_object_get(body, "value"), &value);
        if (e) {
            refuse(r, w, s, e);
            continue;
        }
        done_append(r, w, json_str(body, "by", "signal"), value, s);
        *ret_value = value;
        return true;
    }
    return false;
}

/* ---- waiting --------------------------------------------------------------- */

static int64_t
first_time(const struct waits *w)
{
    int64_t first = INT64_MAX;
    for (size_t i = 0; i < w->all.len; i++)
        first = MIN(first, w->all.at[i]->cut_wall_ms);
    return first;
}

static bool
is_quiet(const struct run *r)
{
    return !r->waits.working && !r->committing;
}

static char *
waits_for(const struct waiting *w)
{
    char iso[32] = "";
    const char *prompt = json_str(w->p->detail, "prompt", NULL);
    if (w->until_wall_ms < INT64_MAX)
        time_iso(w->until_wall_ms, iso);
    if (strcmp(w->p->type, PAUSE_HUMAN) == 0)
        return xasprintf("'%s' waits for an answer%s%s%s%s", w->path, prompt ? ": " : "",
                         prompt ? prompt : "", *iso ? "; until " : "", iso);
    if (w->p->signal)
        return xasprintf("'%s' waits for the signal '%s'%s%s", w->path, w->p->signal,
                         *iso ? ", until " : "", iso);
    return xasprintf("'%s' waits until %s", w->path, iso);
}

/* Nothing of the run can go on here. */
static struct err *
put_away(struct run *r, const struct waiting *w)
{
    AUTO(freep) char *why = waits_for(w);
    if (!r->waits.some_away)
        r->waits.sig_seq = r->lease.sig_seq;
    r->waits.some_away = true;
    r->waits.wake_at = MIN(r->waits.wake_at, w->cut_wall_ms);
    r->waits.someone |= w->p->signal || strcmp(w->p->type, PAUSE_HUMAN) == 0;
    return FAIL(ERR_PARKED, "%s", why);
}

/* All of the run waits. Those who have not begun get the turns of those who did; when that lets
 * nobody begin any more, nothing of it can go on. */
static bool
nobody_begins(struct run *r)
{
    struct waits *w = &r->waits;
    const int64_t now = rt_now_ms();
    const uint64_t turns = r->waits.turns_taken + w->begun;
    const bool just_left = now - w->left_ms < QUIET_MS;
    if (just_left && turns == w->turns_seen)
        return false;
    w->turns_seen = turns;
    if (!just_left)
        w->left_depth = 0;
    if (turns_leave(r, &w->left_depth))
        w->left_ms = now;
    if (now - w->left_ms < QUIET_MS)
        return false;
    w->away = w->begun; /* all of them, whoever begins when the first are gone */
    return true;
}

static void
quiet_found(struct waits *w)
{
    if (w->quiet_at == w->moves)
        return;
    w->quiet_at = w->moves;
    w->away = 0;
}

struct err *
parked_both(struct err *a, struct err *b)
{
    static const char more[] = "; and more";
    if (!a)
        return b;
    AUTO(freep) char *first = err_text(a);
    AUTO(freep) char *second = err_text(b);
    const size_t n = strlen(first);
    err_free(b);
    if (n >= strlen(more) && strcmp(first + n - strlen(more), more) == 0)
        return a;
    err_free(a);
    return FAIL(ERR_PARKED, "%s%s%s", first, n < REASON_MAX ? "; " : more,
                n < REASON_MAX ? second : "");
}

/* NULL when it may have ended. */
static struct err *
wait_once(struct run *r, const struct waiting *w)
{
    struct waits *all = &r->waits;
    const int64_t now = rt_wall_ms();
    const uint64_t moves = all->moves;
    const bool far = first_time(all) - now > NEAR_MS, idle = !all->working;
    int64_t ms = MIN(w->until_wall_ms - now, NEAR_MS); /* the wall's clock may be set meanwhile */
    if (far && idle && all->all.at[0] == w)            /* one looks for all of them */
        ms = MIN(ms, QUIET_MS);
    if (far && idle && all->quiet_at == moves && (w->number <= all->away || nobody_begins(r)))
        return put_away(r, w);
    struct err *e = waitq_wait(&all->changed, rt_after(ms));
    if (e && err_kind(e) == ERR_TIMEOUT) {
        err_free(e);
        e = fiber_check();
        if (!e && far && idle && is_quiet(r) && moves == all->moves && !all->news_due)
            quiet_found(all);
    }
    return e;
}

/* Of the time limits around it, those that do not stand still now: more of them do when others have
 * ended. */
static int64_t
deadline_wall_ms(void)
{
    const int64_t left = add_saturating(fiber_deadline(), -rt_now_ms());
    return fiber_deadline() == DEADLINE_NONE ? INT64_MAX : add_saturating(rt_wall_ms(), left);
}

static struct err *
wait_until_ended(struct run *r, struct waiting *w, const char *name, json_t **ret_value)
{
    for (bool over = false;;) {
        PASS(fiber_check());
        w->cut_wall_ms = MIN(w->until_wall_ms, deadline_wall_ms());
        PASS(news_read(r));
        if (signal_ends(r, w, name, ret_value))
            return NULL;
        if (w->until_wall_ms <= rt_wall_ms()) {
            if (name && !over) { /* what came in time and nobody has looked for counts */
                over = r->waits.news_due = true;
                continue;
            }
            done_append(r, w, "time", NULL, NULL);
            return NULL;
        }
        PASS(wait_once(r, w));
    }
}

static void
waiting_remove(struct waits *all, const struct waiting *w)
{
    size_t i = 0;
    while (all->all.at[i] != w)
        i++;
    all->all.at[i] = all->all.at[--all->all.len];
    waitq_wake_all(&all->changed); /* the others may be all that is left */
}

/* The body of its first record. */
static json_t *
open_append(struct run *r, const char *path, const struct pause *p)
{
    int64_t now = rt_wall_ms();
    int64_t until = p->for_ms < 0 ? INT64_MAX : add_saturating(now, p->for_ms);
    json_t *body = p->detail ? json_copy((json_t *)(uintptr_t)p->detail) : json_object();
    json_object_set_new(body, "type", json_string(p->type));
    json_object_set_new(body, "at", json_integer(now));
    if (until < INT64_MAX)
        json_object_set_new(body, "until", json_integer(until));
    if (p->signal)
        json_object_set_new(body, "signal", json_string(p->signal));
    run_append(r, REC_WAIT_OPEN, path, json_incref(body), false);
    return body;
}

/* A time of less than a minute is part of the work around it, as a pause between two tries is.
 * Everything else takes no time from it, in memory as little as in the store. */
static struct err *
wait_here(struct run *r, struct waiting *w, const char *name, json_t **ret_value)
{
    void (*const counts)(bool begins) = w->brief ? scope_work : scope_rest;
    counts(true);
    w->cut_wall_ms = w->until_wall_ms;
    vec_push(&r->waits.all, w);
    w->number = ++r->waits.begun;
    turns_wait(r, w->path, true);
    struct err *e = wait_until_ended(r, w, name, ret_value);
    waiting_remove(&r->waits, w);
    turns_wait(r, w->path, false);
    counts(false);
    return e;
}

struct err *
pause_wait(struct run *r, const char *path, const struct pause *p, json_t **ret_value)
{
    AUTO(json_freep) json_t *open = NULL;
    AUTO(json_freep) json_t *done = NULL;
    struct waiting w = {.path = path, .p = p};
    *ret_value = NULL;
    PASS(view_wait(r->view, path, &open, &done));
    if (done && strcmp(json_str(done, "by", ""), CUT_OFF) != 0) {
        *ret_value = json_incref(json_object_get(done, "value"));
        return NULL;
    }
    AUTO(freep)
    char *name = strcmp(p->type, PAUSE_HUMAN) == 0 ? answer_signal(path)
                 : p->signal                       ? named_signal(p->signal)
                                                   : NULL;
    if (!open)
        open = open_append(r, path, p);
    w.until_wall_ms = json_int(open, "until", INT64_MAX);
    w.began_wall_ms = json_int(open, "at", 0);
    w.brief = !name && w.until_wall_ms - w.began_wall_ms <= NEAR_MS;
    PASS(run_barrier(r)); /* nobody is asked for what may be asked again */
    struct err *e = wait_here(r, &w, name, ret_value);
    if (!e)
        return turns_back(r, path);
    if (err_kind(e) != ERR_PARKED && !r->interrupted && !r->broken)
        done_append(r, &w, CUT_OFF, NULL, NULL); /* nobody needs it any more */
    return e;
}
