/* sagas.c - every way in which a run can be undone, judged by a ledger that stands outside.
 *
 * n steps, of which one fails or is cut off by a cancel; each undo answers as it should, is busy
 * once, is refused once, or loses its answer; and the process is killed at each undo, before or
 * after its effect, in all combinations; then at each commit, and at each pair of them. A person
 * who is asked looks into the ledger and answers. Whatever happened: each step that completed is
 * undone exactly once, the last one first, or the run waits and is listed so.
 *
 * usage: sagas [STEPS]   The last line is "N passed, N failed". */
#include "app/app.h"
#include "rt/fiber.h"
#include "rt/rt.h"
#include "rt/sim.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_MAX 6
#define LIVES_MAX 40

enum manner { FINE, BUSY, REFUSED, LOST, MANNERS };
enum death { NEVER, BEFORE, AFTER, KILLS };

struct saga {           /* what is played */
    unsigned steps;     /* that complete; the next one ends the run */
    bool cancel;        /* by a cancel, while it is under way; else by failing */
    bool once;          /* nothing may be sent twice */
    enum manner manner; /* of each undo, when it is asked for the first time */
    enum death kill[STEPS_MAX];
    int64_t commit[2]; /* the process dies at this commit of its first and second life; 0: no */
    bool before[2];
};

struct deed {  /* a line of the ledger */
    char verb; /* d(one), u(ndone) */
    unsigned step;
    char key[40];
};

struct play {
    const struct saga *saga;
    struct store_mem *mem;
    struct app *app;
    char id[RUN_ID_LEN];
    struct deed ledger[200];
    size_t effects;
    unsigned asked[STEPS_MAX], killed[STEPS_MAX]; /* undos, each time it was asked for */
    unsigned lives;
    int64_t commits; /* of this life */
    bool crashed, waited;
    char *answer; /* for resume: in-doubt */
    json_t *doc;
    char *error;
    int64_t wall_ms;
};

/* ---- the world outside ----------------------------------------------------- */

static const char *
header_of(const struct http_req *r, const char *name)
{
    for (size_t i = 0; i < r->nheaders; i++) {
        if (strcasecmp(r->headers[i].name, name) == 0)
            return r->headers[i].value;
    }
    return "";
}

static void
happened(struct play *p, char verb, unsigned step, const struct http_req *r)
{
    if (p->effects == COUNT(p->ledger))
        return; /* far too many: told by the judge */
    struct deed *x = &p->ledger[p->effects++];
    x->verb = verb;
    x->step = step;
    snprintf(x->key, sizeof x->key, "%s", header_of(r, "Idempotency-Key"));
}

static unsigned
count_of(const struct play *p, char verb, unsigned step)
{
    unsigned n = 0;
    for (size_t i = 0; i < p->effects; i++)
        n += p->ledger[i].verb == verb && p->ledger[i].step == step;
    return n;
}

static void
say(struct sim_http *x, int status)
{
    const struct http_header json = {"Content-Type", "application/json"};
    sim_http_begin(x, status, &json, 1);
    sim_http_send(x, "{\"ok\": true}", 12);
}

static void
answer_undo(struct play *p, struct sim_http *x, unsigned step)
{
    const unsigned nth = ++p->asked[step];
    const bool first = nth == 1;
    if (first && p->saga->manner == BUSY)
        return say(x, 503);
    if (first && p->saga->manner == REFUSED)
        return say(x, 403);
    const bool kill = !p->killed[step]++ && p->saga->kill[step] != NEVER;
    if (kill && p->saga->kill[step] == BEFORE) {
        sim_crash();
        return;
    }
    happened(p, 'u', step, sim_http_req(x));
    if (kill)
        sim_crash();
    else if (first && p->saga->manner == LOST)
        sim_http_drop(x);
    else
        say(x, 200);
}

static void
on_http(void *ctx, struct sim_http *x)
{
    struct play *p = ctx;
    const struct http_req *r = sim_http_req(x);
    unsigned step = 0;
    err_drop(fiber_sleep(10));
    if (sim_http_gone(x))
        return;
    if (sscanf(r->url, "http://fake/undo/%u", &step) == 1 && step < STEPS_MAX) {
        answer_undo(p, x, step);
    } else if (sscanf(r->url, "http://fake/do/%u", &step) == 1 && step < p->saga->steps) {
        happened(p, 'd', step, r);
        say(x, 200);
    } else if (p->saga->cancel) {
        err_drop(engine_cancel_stored(app_engine(p->app), p->id, false));
        err_drop(fiber_park(DEADLINE_NONE));
    } else {
        say(x, 400);
    }
}

/* ---- a life of the process ------------------------------------------------- */

static bool
on_commit(void *ctx, int64_t n, bool after)
{
    struct play *p = ctx;
    p->commits = MAX(p->commits, n);
    if (p->crashed || p->lives > COUNT(p->saga->commit) || n != p->saga->commit[p->lives - 1] ||
        after == p->saga->before[p->lives - 1])
        return !p->crashed;
    p->crashed = true;
    sim_crash();
    return after;
}

static char *
flow_text(const struct saga *s)
{
    struct str t = STR_INIT;
    str_add(&t,
            "agents:\n  shop: {type: http, endpoint: \"http://fake\", retry: {max_attempts: 1}}\n"
            "workflows:\n  main:\n    nodes:\n");
    for (unsigned i = 0; i < s->steps; i++) {
        str_addf(&t, "      - {id: s%u, agent: shop, action: %s /do/%u%s", i,
                 s->once ? "POST" : "PUT", i, i ? "" : ", ");
        if (i)
            str_addf(&t, ", depends_on: [s%u], ", i - 1);
        str_addf(&t, "compensate: {action: %s /undo/%u}}\n", s->once ? "POST" : "DELETE", i);
    }
    str_addf(&t, "      - {id: end, agent: shop, action: GET /end%s", s->steps ? "" : "}\n");
    if (s->steps)
        str_addf(&t, ", depends_on: [s%u]}\n", s->steps - 1);
    return str_steal(&t);
}

static struct err *
start(struct play *p, struct run **ret_run)
{
    AUTO(spec_freep) struct spec *spec = NULL;
    AUTO(freep) char *text = flow_text(p->saga);
    struct flow *flow = NULL;
    bool existing;
    PASS(app_load_text(p->app, "saga.yaml", text, strlen(text), &spec));
    PASS(app_flow(p->app, spec, NULL, &flow));
    struct run_request req = {.flow = flow, .run_id = "the-saga"};
    struct err *e = engine_start(app_engine(p->app), &req, ret_run, &existing);
    flow_unref(flow);
    return e;
}

/* What it asks is answered: again. */
static struct err *
questions_answer(struct play *p)
{
    const json_t *q;
    size_t i;
    json_array_foreach (json_object_get(p->doc, "waits"), i, q) {
        AUTO(json_freep) json_t *value = json_string("retry");
        AUTO(json_freep) json_t *question = NULL;
        if (strcmp(json_str(q, "type", ""), "human") != 0)
            continue;
        struct answer a = {.run = p->id, .path = json_str(q, "path", ""), .value = value};
        PASS(engine_answer(app_engine(p->app), &a, &question));
    }
    return NULL;
}

static struct err *
status_read(const struct play *p, int *ret_status)
{
    struct store_run row = {0};
    *ret_status = 0;
    if (!*p->id)
        return NULL;
    PASS(store_get_run(app_store(p->app), p->id, &row));
    *ret_status = row.status;
    store_run_fini(&row);
    return NULL;
}

static struct err *
live(struct play *p)
{
    struct run *run = NULL;
    int status;
    PASS(status_read(p, &status));
    if (status >= RUN_ENDED) /* its end was the last thing that happened */
        return engine_document(app_engine(p->app), p->id, &p->doc);
    struct err *e = *p->id ? app_resume(p->app, p->id, p->answer, &run) : start(p, &run);
    free(p->answer);
    p->answer = NULL;
    PASS(e);
    memcpy(p->id, run_id(run), RUN_ID_LEN);
    e = run_wait(run, DEADLINE_NONE);
    json_freep(&p->doc);
    if (!e && !sim_crashed())
        e = run_document(run, true, &p->doc);
    run_unref(run);
    PASS(e);
    if (sim_crashed())
        return NULL;
    PASS(status_read(p, &status));
    p->waited = status == RUN_WAITING;
    return p->waited ? questions_answer(p) : NULL;
}

static void
life_main(void *arg)
{
    struct play *p = arg;
    sim_on_http(on_http, p);
    sim_set_wall_ms(p->wall_ms);
    struct err *e = app_open(&(struct app_opts){.mem = p->mem}, &p->app);
    if (!e) {
        store_on_commit(app_store(p->app), on_commit, p);
        e = live(p);
    }
    if (e && !sim_crashed())
        p->error = err_text(e);
    p->crashed = sim_crashed();
    p->wall_ms = rt_wall_ms();
    err_free(e);
    app_close(p->app);
}

/* Who is asked whether a step was carried out looks. */
static char *
looked(const struct play *p)
{
    const char *why = json_str(p->doc, "waiting", "");
    unsigned step;
    char path[80];
    const char *at = strstr(why, " at s");
    if (!at || sscanf(at, " at s%u", &step) != 1 || sscanf(at, " at %79s", path) != 1)
        return NULL;
    const char verb = strstr(path, "/undo[") ? 'u' : 'd';
    return xasprintf("%s=%s", path, count_of(p, verb, step) ? "done" : "retry");
}

static void
play(struct play *p, const struct saga *s)
{
    *p = (struct play){.saga = s, .mem = store_mem_new(), .wall_ms = 1767225600000};
    bool over = false;
    while (!over && !p->error && p->lives < LIVES_MAX) {
        struct rt *rt;
        p->commits = 0;
        p->crashed = p->waited = false;
        err_drop(rt_open(&(struct rt_opts){.simulated = true, .seed = ++p->lives}, &rt));
        rt_run(rt, life_main, p);
        rt_close(rt);
        if (p->waited)
            p->answer = looked(p);
        over = !p->crashed && !p->waited;
    }
}

static void
play_fini(struct play *p)
{
    store_mem_free(p->mem);
    json_decref(p->doc);
    free(p->answer);
    free(p->error);
}

/* ---- the judge ------------------------------------------------------------- */

static size_t
first_of(const struct play *p, char verb, unsigned step)
{
    size_t i = 0;
    while (i < p->effects && (p->ledger[i].verb != verb || p->ledger[i].step != step))
        i++;
    return i;
}

/* One that may be sent twice is one effect by its key. */
static bool
happened_once(const struct play *p, char verb, unsigned step)
{
    const size_t first = first_of(p, verb, step);
    for (size_t i = first + 1; i < p->effects; i++) {
        const struct deed *x = &p->ledger[i];
        if (x->verb == verb && x->step == step &&
            (p->saga->once || strcmp(x->key, p->ledger[first].key) != 0))
            return false;
    }
    return first < p->effects && p->ledger[first].key[0];
}

static const char *
verdict(const struct play *p)
{
    const struct saga *s = p->saga;
    if (p->error)
        return p->error;
    if (p->lives == LIVES_MAX)
        return "it never ended";
    if (!*p->id) /* it died before the start was acknowledged */
        return p->effects ? "effects of a run that never was" : NULL;
    const char *status = json_str(p->doc, "status", "");
    if (strcmp(status, s->steps ? "compensated" : s->cancel ? "cancelled" : "failed") != 0)
        return "it ended otherwise";
    for (unsigned i = 0; i < STEPS_MAX; i++) {
        if (i >= s->steps && (count_of(p, 'd', i) || count_of(p, 'u', i)))
            return "what was not done was undone";
        if (i < s->steps && !happened_once(p, 'd', i))
            return "a step was not done exactly once";
        if (i < s->steps && !happened_once(p, 'u', i))
            return "a step was not undone exactly once";
        if (i && i < s->steps && first_of(p, 'u', i) > first_of(p, 'u', i - 1))
            return "not the last one first";
        if (i < s->steps && first_of(p, 'u', i) < first_of(p, 'd', s->steps - 1))
            return "undone before all was done";
    }
    return NULL;
}

static void
tell(const struct play *p, const char *why)
{
    static const char *const manners[] = {"fine", "busy", "refused", "lost"};
    const struct saga *s = p->saga;
    fprintf(stderr, "%u steps, %s, %s, undos %s, kills", s->steps, s->cancel ? "cancel" : "failure",
            s->once ? "once" : "idempotent", manners[s->manner]);
    for (unsigned i = 0; i < s->steps; i++)
        fprintf(stderr, " %c", ".ba"[s->kill[i]]);
    fprintf(stderr, ", commits %s%lld %s%lld: %s\n", s->before[0] ? "before " : "",
            (long long)s->commit[0], s->before[1] ? "before " : "", (long long)s->commit[1], why);
    for (size_t i = 0; i < p->effects; i++)
        fprintf(stderr, "  %c%u %s\n", p->ledger[i].verb, p->ledger[i].step, p->ledger[i].key);
    fprintf(stderr, "  %s %s\n", json_str(p->doc, "status", "no document"),
            json_str(p->doc, "waiting", json_str(p->doc, "error", "")));
}

/* ---- all of them ----------------------------------------------------------- */

static unsigned passed, failed;

/* How many commits its first life had. */
static int64_t
try_one(const struct saga *s)
{
    static struct play p; /* large */
    play(&p, s);
    const char *why = verdict(&p);
    if (why)
        tell(&p, why);
    ++*(why ? &failed : &passed);
    const int64_t commits = p.lives == 1 ? p.commits : 0;
    play_fini(&p);
    return commits;
}

static void
kills_all(struct saga s)
{
    unsigned ways = 1;
    for (unsigned i = 0; i < s.steps; i++)
        ways *= KILLS;
    for (unsigned way = 0; way < ways; way++) {
        for (unsigned i = 0, rest = way; i < s.steps; i++, rest /= KILLS)
            s.kill[i] = (enum death)(rest % KILLS);
        try_one(&s);
    }
}

static void
commits_all(struct saga s, bool pairs)
{
    const int64_t n = try_one(&s);
    for (int64_t a = 1; a <= 2 * n; a++) {
        s.commit[0] = (a + 1) / 2;
        s.before[0] = a % 2;
        s.commit[1] = 0;
        try_one(&s);
        for (int64_t b = 1; pairs && b <= 2 * n; b++) {
            s.commit[1] = (b + 1) / 2;
            s.before[1] = b % 2;
            try_one(&s);
        }
    }
}

int
main(int argc, char **argv)
{
    const unsigned steps = argc > 1 ? (unsigned)MIN(strtoul(argv[1], NULL, 10), STEPS_MAX - 1) : 3;
    for (unsigned way = 0; way < (steps + 1) * 4 * MANNERS; way++) {
        const struct saga s = {.steps = way / (4 * MANNERS),
                               .cancel = way & 1,
                               .once = way & 2,
                               .manner = (enum manner)(way / 4 % MANNERS)};
        kills_all(s);
        commits_all(s, s.steps <= 2 && s.manner == FINE);
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed ? 1 : 0;
}
