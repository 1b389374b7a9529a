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
    int64_t cut_wall_ms;  /* until then: its end, else that of the time of its node */
    uint64_t number;      /* of all that the run began here */
    size_t index;         /* among them */
    struct fiber *parked; /* who is to be woken when nothing works any more; or NULL */
    bool brief;           /* it was short from its beginning: its time counts as worked */
};

void
waits_fini(struct waits *w)
{
    map_free(w->used);
    map_free(w->turns_at);
    vec_fini(&w->all);
    store_signals_free(w->signals, w->nsignals);
}

/* One of them looks for all, unless the time limits around the others may stand still now. */
static void
look_again(struct waits *w)
{
    if (w->working || !w->all.len)
        return;
    if (w->ncut)
        waitq_wake_all(&w->changed);
    else if (w->all.at[0]->parked)
        fiber_wake(w->all.at[0]->parked);
}

void
run_works(struct run *r, bool begins)
{
    struct waits *w = &r->waits;
    scope_work(begins);
    w->moves++;
    w->working += begins ? 1 : -1u;
    look_again(w);
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

/* What was read again while its use was not committed is noted at the signal, too. */
static bool
is_used(const struct waits *w, struct store_signal *s)
{
    if (s->consumed_seq || !w->used)
        return s->consumed_seq;
    AUTO(freep) char *name = used_name(s);
    if (map_has(w->used, name))
        s->consumed_seq = INT64_MAX;
    return s->consumed_seq;
}

static void
use_up(struct waits *w, struct store_signal *s)
{
    AUTO(freep) char *name = used_name(s);
    if (!w->used)
        w->used = map_new();
    map_put(w->used, name, NULL);
    s->consumed_seq = INT64_MAX;
}

/* The first of that name which nobody has had; they are in order of arrival. */
static struct store_signal *
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
            struct store_signal *s)
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
        use_up(&r->waits, s);
    run_append_using(r, REC_WAIT_DONE, w->path, body, s);
}

static void
refuse(struct run *r, const struct waiting *w, struct store_signal *s, struct err *OWN why)
{
    AUTO(freep) char *text = err_text(why);
    err_free(why);
    use_up(&r->waits, s);
    run_append_using(r, REC_WAIT_REFUSED, w->path,
                     json_pack("{ss so sI}", "type", w->p->type, "error",
                               json_string_lossy(text, strlen(text)), "at", rt_wall_ms()),
                     s);
}

/* Was it answered? An answer that does not fit is told and forgotten; the question stands. */
static bool
signal_ends(struct run *r, const struct waiting *w, const char *name, json_t **ret_value)
{
    struct store_signal *s;
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

/* There may be thousands that end one by one: not all are looked at for each. */
static int64_t
first_time(struct waits *w)
{
    for (size_t i = w->nfirst ? w->all.len : 0; i < w->all.len; i++) {
        const int64_t ms = w->all.at[i]->cut_wall_ms;
        if (!w->nfirst || ms < w->first_ms) {
            w->first_ms = ms;
            w->nfirst = 0;
        }
        w->nfirst += ms == w->first_ms;
    }
    return w->nfirst ? w->first_ms : INT64_MAX;
}

static void
cut_forget(struct waits *all, const struct waiting *w)
{
    all->ncut -= w->cut_wall_ms < w->until_wall_ms;
    if (all->nfirst && w->cut_wall_ms == all->first_ms)
        all->nfirst--;
}

static void
cut_note(struct waits *all, struct waiting *w, int64_t wall_ms)
{
    w->cut_wall_ms = wall_ms;
    all->ncut += wall_ms < w->until_wall_ms;
    if (all->nfirst && wall_ms < all->first_ms) {
        all->first_ms = wall_ms;
        all->nfirst = 1;
    } else if (all->nfirst && wall_ms == all->first_ms) {
        all->nfirst++;
    }
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
wait_once(struct run *r, struct waiting *w)
{
    struct waits *all = &r->waits;
    const int64_t now = rt_wall_ms();
    const uint64_t moves = all->moves;
    const bool idle = !all->working, far = idle && first_time(all) - now > NEAR_MS;
    int64_t ms = MIN(w->until_wall_ms - now, NEAR_MS); /* the wall's clock may be set meanwhile */
    if (far && all->all.at[0] == w)                    /* one looks for all of them */
        ms = MIN(ms, QUIET_MS);
    if (far && all->quiet_at == moves && (w->number <= all->away || nobody_begins(r)))
        return put_away(r, w);
    w->parked = fiber_self();
    struct err *e = waitq_wait(&all->changed, rt_after(ms));
    w->parked = NULL;
    if (e && err_kind(e) == ERR_TIMEOUT) {
        err_free(e);
        e = fiber_check();
        if (!e && far && is_quiet(r) && moves == all->moves && !all->news_due)
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
        cut_forget(&r->waits, w);
        cut_note(&r->waits, w, MIN(w->until_wall_ms, deadline_wall_ms()));
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
waiting_add(struct waits *all, struct waiting *w)
{
    cut_note(all, w, w->until_wall_ms);
    w->index = all->all.len;
    vec_push(&all->all, w);
    w->number = ++all->begun;
}

/* The others may be all that is left; and when one is put away they are, too. */
static void
waiting_remove(struct waits *all, const struct waiting *w, bool away)
{
    cut_forget(all, w);
    struct waiting *last = all->all.at[--all->all.len];
    all->all.at[w->index] = last;
    last->index = w->index;
    if (away)
        waitq_wake_all(&all->changed);
    else
        look_again(all);
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
    waiting_add(&r->waits, w);
    turns_wait(r, w->path, true);
    struct err *e = wait_until_ended(r, w, name, ret_value);
    waiting_remove(&r->waits, w, e && err_kind(e) == ERR_PARKED);
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
