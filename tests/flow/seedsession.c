/* seedsession.c - the law of conversations: where they go, and what becomes of what is said. */
#include "seedlaw.h"
#include <stdlib.h>
#include <string.h>

/* ---- one session ----------------------------------------------------------------------------- */

struct stay { /* one visit of a state */
    char state[32];
    bool worked, failed;      /* its agent; has an end */
    bool waited, late, heard; /* it waited; until its time was over; for an input */
    const char *input, *said;
    char last[16]; /* condition */
};
struct walk {
    const struct hearing *h;
    struct stay *at; /* by number, from 1 */
    unsigned n, max;
};

static void
guilty(const struct walk *w, unsigned visit, const char *why)
{
    str_addf(w->h->faults, "session %s: %s[%u]: %s\n", w->h->path,
             visit <= w->n ? w->at[visit].state : "?", visit, why);
}

/* "hear[3].wait": the visit, and ".wait"; NULL: none of a session. */
static struct stay *
stay_of(struct walk *w, const char *name, const char **ret_what)
{
    const char *open = strchr(name, '[');
    char *end = NULL;
    const unsigned long number = open ? strtoul(open + 1, &end, 10) : 0;
    if (!number || *end != ']' || number > w->max || (size_t)(open - name) >= 32)
        return NULL;
    struct stay *s = &w->at[number];
    if (!*s->state)
        snprintf(s->state, sizeof s->state, "%.*s", (int)(open - name), name);
    if (strncmp(s->state, name, (size_t)(open - name)) != 0)
        guilty(w, (unsigned)number, "the visit is of two states");
    w->n = MAX(w->n, (unsigned)number);
    *ret_what = end + 1;
    return s;
}

static void
condition_judge(struct walk *w, struct stay *s, const char *now)
{
    static const char *const after[][3] = {
        /* what it may be after what */
        {"acting", "", NULL},      {"processing", "", NULL}, {"error", "acting", "processing"},
        {"waiting", "", "acting"}, {"idle", "", "acting"},   {"listening", "waiting", "idle"}};
    const unsigned visit = (unsigned)(s - w->at);
    bool lawful = strcmp(now, "listening") == 0 && visit == 1; /* the run's own input */
    for (size_t i = 0; i < COUNT(after); i++) {
        for (size_t k = 1; k < COUNT(after[i]) && after[i][k]; k++)
            lawful |= strcmp(after[i][0], now) == 0 && strcmp(after[i][k], s->last) == 0;
    }
    const json_t *def = json_at(w->h->def, "states", s->state, NULL);
    lawful |= strcmp(now, "idle") == 0 && strcmp(s->last, "idle") != 0;
    if (strcmp(now, "waiting") == 0 && !json_object_get(def, "wait"))
        lawful = false;
    if (!lawful)
        guilty(w, visit, "its condition does not follow from the one before");
    snprintf(s->last, sizeof s->last, "%s", now);
}

static void
record_take(struct walk *w, const char *event, const char *name, const json_t *detail)
{
    const char *what = NULL;
    struct stay *s = stay_of(w, name, &what);
    if (!s)
        return;
    if (strcmp(event, "session.state") == 0) {
        condition_judge(w, s, json_str(detail, "state", ""));
    } else if (strcmp(event, "wait.started") == 0) {
        s->waited = true;
        if (strcmp(s->last, "waiting") != 0 && strcmp(s->last, "idle") != 0)
            guilty(w, (unsigned)(s - w->at), "it waits, and does not say so");
    } else if (strcmp(event, "wait.ended") == 0) {
        s->late = strcmp(json_str(detail, "by", ""), "time") == 0;
        s->input = json_str(detail, "value", NULL);
        s->heard = s->input != NULL;
    } else if (strcmp(what, ".say") == 0 && strcmp(event, "node.completed") == 0) {
        s->said = json_str(detail, "text", json_str(detail, "output", ""));
    } else if (!*what && strcmp(event, "node.started") != 0 && str_starts(event, "node.")) {
        s->worked = true;
        s->failed = strcmp(event, "node.failed") == 0;
    }
}

static bool
leads(const json_t *def, const char *key, const char *to)
{
    return strcmp(json_str(def, key, "end"), to) == 0;
}

/* May the state `to` ("end") come after this one? */
static bool
follows(const struct walk *w, const struct stay *s, const char *to)
{
    const json_t *def = json_at(w->h->def, "states", s->state, NULL), *one;
    const char *sorry = json_str(def, "on_error", json_str(w->h->def, "on_error", NULL));
    size_t i;
    if (s->failed)
        return sorry && strcmp(sorry, to) == 0;
    if (s->late)
        return json_object_get(def, "on_timeout") && leads(def, "on_timeout", to);
    json_array_foreach (json_object_get(def, "cases"), i, one) {
        const char *when = json_str(one, "when", "");
        const bool bye = str_starts(when, "contains");
        if (strcmp(when, "1 == 1") == 0 || (bye && s->said && strstr(s->said, "bye ")))
            return leads(one, "next", to);
    }
    return leads(def, "next", to);
}

/* Its first state takes the run's input at once, if it says nothing. */
static bool
waits(const struct walk *w, unsigned visit)
{
    const json_t *def = json_at(w->h->def, "states", w->at[visit].state, NULL);
    return json_object_get(def, "wait") && (visit > 1 || json_object_get(def, "say"));
}

static void
stay_judge(const struct walk *w, unsigned visit, bool last)
{
    const struct stay *s = &w->at[visit];
    const json_t *def = json_at(w->h->def, "states", s->state, NULL);
    if (!*s->state || !def) {
        guilty(w, visit, "nobody knows it");
        return;
    }
    if (last)
        return;
    if (json_object_get(def, "agent") && !s->worked)
        guilty(w, visit, "it went on before its agent had ended");
    if (waits(w, visit) && !s->failed && !s->late && !s->heard)
        guilty(w, visit, "it went on before it heard anything");
    if (!s->failed && json_object_get(def, "say") && !s->said)
        guilty(w, visit, "it went on and did not say what it has to");
}

/* What was heard is answered by the state that follows. */
static void
answers_judge(const struct walk *w)
{
    for (unsigned i = 1; i < w->n; i++) {
        const struct stay *s = &w->at[i], *next = &w->at[i + 1];
        if (!s->heard || !next->said)
            continue;
        AUTO(freep) char *want = xasprintf("heard %s", s->input);
        if (!str_starts(next->state, "told") || strcmp(next->said, want) != 0)
            guilty(w, i + 1, "another answer than to what was heard");
    }
}

/* What it heard last under each name is in its reply. */
static void
reply_judge(const struct walk *w)
{
    const json_t *vars = json_object_get(w->h->state, "output");
    for (unsigned i = 1; i <= w->n; i++) {
        bool again = false;
        for (unsigned k = i + 1; k <= w->n; k++)
            again |= w->at[k].heard && strcmp(w->at[k].state, w->at[i].state) == 0;
        if (w->at[i].heard && !again &&
            !str_eq(json_str(vars, w->at[i].state, NULL), w->at[i].input))
            guilty(w, i, "its reply has not what was heard last");
    }
    if (w->n && !follows(w, &w->at[w->n], "end"))
        guilty(w, w->n, "it ended where it does not end");
}

void
law_of_session(const struct hearing *h)
{
    const unsigned max = (unsigned)json_array_size(h->sc->records);
    struct walk w = {.h = h, .at = xcalloc(max + 1, sizeof *w.at), .max = max};
    const bool completed = strcmp(json_str(h->state, "status", ""), "completed") == 0;
    const json_t *record;
    size_t i;
    json_array_foreach (h->sc->records, i, record) {
        const char *name = law_below(json_str(record, "path", ""), h->path);
        if (name && !strchr(name, '/') && !str_starts(name, "undo["))
            record_take(&w, json_str(record, "name", ""), name, json_object_get(record, "detail"));
    }
    for (unsigned k = 1; k <= w.n; k++) {
        stay_judge(&w, k, k == w.n && !completed);
        if (k > 1 && !follows(&w, &w.at[k - 1], w.at[k].state))
            guilty(&w, k, "no way leads there from the one before");
    }
    if (w.n && strcmp(w.at[1].state, json_str(h->def, "start", "")) != 0)
        guilty(&w, 1, "it does not begin at its start");
    answers_judge(&w);
    if (completed)
        reply_judge(&w);
    free(w.at);
}

/* ---- what was said to all of them ------------------------------------------------------------ */

static const json_t *
send_of(const json_t *sends, const char *text)
{
    const json_t *one;
    size_t i;
    json_array_foreach (sends, i, one) {
        if (strcmp(json_str(one, "text", ""), text) == 0)
            return one;
    }
    return NULL;
}

struct hall { /* what is known of all sessions */
    const struct seed_case *sc;
    struct str *faults;
    json_t *heard; /* text -> true */
    json_t *last;  /* session -> what it heard last */
    size_t opened, ended;
};

static void
heard(struct hall *h, const char *path, const char *text)
{
    const json_t *send = send_of(h->sc->sends, text);
    AUTO(freep) char *session = xstrdup(path);
    char *name = strrchr(session, '/');
    *(name ? name : session) = '\0';
    const json_t *before = json_object_get(h->last, session);
    const char *outcome = json_str(send, "outcome", "never said");
    if (strcmp(outcome, "taken") != 0 && strcmp(outcome, "unknown") != 0)
        str_addf(h->faults, "%s heard '%s', which was %s\n", path, text, outcome);
    if (json_object_get(h->heard, text))
        str_addf(h->faults, "%s heard '%s', which was heard before\n", path, text);
    if (before && json_int(send, "ended", INT64_MAX) < json_int(before, "began", 0))
        str_addf(h->faults, "%s heard '%s' after '%s'\n", path, text, json_str(before, "text", ""));
    json_object_set_new(h->heard, text, json_true());
    json_object_set(h->last, session, (json_t *)(uintptr_t)send);
    h->ended++;
}

void
law_of_sends(const struct seed_case *sc, struct str *faults)
{
    struct hall h = {.sc = sc, .faults = faults, .heard = json_object(), .last = json_object()};
    const json_t *record, *send;
    size_t i, lost = 0;
    json_array_foreach (sc->records, i, record) {
        const char *path = json_str(record, "path", ""), *event = json_str(record, "name", "");
        const json_t *detail = json_object_get(record, "detail");
        if (!str_ends(path, ".wait"))
            continue;
        h.opened += strcmp(event, "wait.started") == 0;
        if (strcmp(event, "wait.ended") == 0 && json_str(detail, "value", NULL))
            heard(&h, path, json_str(detail, "value", ""));
    }
    json_array_foreach (sc->sends, i, send) {
        if (strcmp(json_str(send, "outcome", ""), "taken") == 0 &&
            !json_object_get(h.heard, json_str(send, "text", "")))
            lost++;
    }
    if (lost > h.opened - h.ended) /* each was taken for a wait of its own */
        str_addf(faults, "%zu inputs were taken and are lost; %zu of %zu waits heard nothing\n",
                 lost, h.opened - h.ended, h.opened);
    json_decref(h.heard);
    json_decref(h.last);
}
