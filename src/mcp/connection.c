/* connection.c - how connections of a server begin, are shared, rest, hang and end. */
#include "mcp/connection.h"
#include "base/log.h"
#include "rt/rt.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- the end of a connection ----------------------------------------------- */

/* The first failure of a row costs no wait: servers that die of idleness are common. */
int64_t
backoff_ms(unsigned failures)
{
    if (failures < 2)
        return 0;
    unsigned doublings = MIN(failures - 2, 20u);
    return MIN((int64_t)BACKOFF_FIRST_MS << doublings, (int64_t)BACKOFF_MAX_MS);
}

static void
toolserver_failed(struct toolserver *s, const char *why)
{
    s->failures++;
    s->retry_at_ms = rt_after(backoff_ms(s->failures));
    free(s->last_error);
    s->last_error = xstrdup(why);
    log_debug("mcp", "server '%s': %s", s->conf.name, why);
}

static void
bury(void *arg)
{
    struct conn *c = arg;
    session_close(c->session, c->broken ? BROKEN_GRACE_MS : STOP_GRACE_MS);
    free(c);
}

static void
conn_over(struct conn *c)
{
    struct toolserver *s = c->server;
    if (c->over)
        return;
    c->over = true;
    struct conn **at = &s->conns;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    s->nconns--;
    waitq_wake_all(&s->changed);
    if (c->sleeper)
        fiber_wake(c->sleeper);
    if (!c->users)
        scope_spawn(&s->all->burials, "mcp burial", bury, c);
}

static void
conn_ended(void *ctx, const char *why)
{
    struct conn *c = ctx;
    if (!c->server->all->closing && !c->over) {
        c->broken = true;
        toolserver_failed(c->server, why);
    }
    conn_over(c);
}

void
toolserver_stop(struct toolserver *s)
{
    while (s->conns)
        session_fail(s->conns->session, "the servers are being stopped");
}

/* ---- idleness and hangs ---------------------------------------------------- */

static void
idler_run(void *arg)
{
    struct conn *c = arg;
    struct err *e = NULL;
    while (!e && !c->over && c->users == 1) { /* the one user is this fiber */
        int64_t left = c->idle_since_ms + c->server->conf.idle_ms - rt_now_ms();
        if (left <= 0) {
            conn_over(c);
            break;
        }
        c->sleeper = fiber_self();
        e = fiber_sleep(left);
        c->sleeper = NULL;
    }
    c->restless = e != NULL;
    err_drop(e);
    c->idler = false;
    conn_give(c);
}

static void
conn_rest(struct conn *c)
{
    struct toolserver *s = c->server;
    if (c->idler || c->restless || c->over || s->all->closing || s->conf.idle_ms <= 0)
        return;
    c->idle_since_ms = rt_now_ms();
    c->idler = true;
    c->users++;
    scope_spawn(&s->all->starts, "mcp idler", idler_run, c);
}

void
conn_give(struct conn *c)
{
    assert(c->users > 0);
    c->users--;
    if (c->idler) {
        c->idle_since_ms = rt_now_ms();
    } else if (c->users == 0) {
        conn_rest(c);
    }
    if (c->users == 0 && c->over)
        scope_spawn(&c->server->all->burials, "mcp burial", bury, c);
}

static bool
is_alone(const struct conn *c)
{
    return c->users <= 1u + c->idler;
}

static void
probe_run(void *arg)
{
    struct conn *c = arg;
    AUTO(json_freep) json_t *result = NULL;
    struct err *e =
        session_request(c->session, "ping", NULL, rt_after(c->server->conf.connect_ms), &result);
    if (e && err_kind(e) == ERR_TIMEOUT && is_alone(c)) {
        AUTO(str_fini) struct str why = STR_INIT;
        str_add(&why, "it hangs: it answers neither calls nor pings");
        session_describe(c->session, &why);
        session_fail(c->session, str_c(&why));
    }
    err_drop(e);
    c->probing = false;
    conn_give(c);
}

void
conn_suspect(struct conn *c)
{
    if (c->probing || c->over || c->server->all->closing)
        return;
    c->probing = true;
    c->users++;
    scope_spawn(&c->server->all->starts, "mcp probe", probe_run, c);
}

void
conn_worked(struct conn *c)
{
    c->server->failures = 0;
    c->server->retry_at_ms = 0;
}

/* ---- starting -------------------------------------------------------------- */

static struct err *
hook_elicit(void *ctx, const json_t *params, json_t **ret_result)
{
    const struct toolserver *s = ((struct conn *)ctx)->server;
    const struct servers_hooks *h = &s->all->opts.hooks;
    return h->elicit(h->ctx, s->conf.name, params, ret_result);
}

static struct err *
hook_sample(void *ctx, const json_t *params, json_t **ret_result)
{
    const struct toolserver *s = ((struct conn *)ctx)->server;
    const struct servers_hooks *h = &s->all->opts.hooks;
    return h->sample(h->ctx, s->conf.name, params, ret_result);
}

static void
hook_log(void *ctx, const char *level, const char *logger, const char *text)
{
    const struct toolserver *s = ((struct conn *)ctx)->server;
    const struct servers_hooks *h = &s->all->opts.hooks;
    h->log(h->ctx, s->conf.name, level, logger, text);
}

static struct err *
conn_open(struct toolserver *s, struct conn *c)
{
    const struct servers_opts *o = &s->all->opts;
    AUTO(json_freep) json_t *roots = NULL;
    struct transport *t;
    struct session_opts opts = {.version = o->version, .hooks = {.ctx = c, .ended = conn_ended}};
    if (o->hooks.elicit)
        opts.hooks.elicit = hook_elicit;
    if (o->hooks.sample)
        opts.hooks.sample = hook_sample;
    if (o->hooks.log)
        opts.hooks.log = hook_log;
    PASS(server_conf_roots(&s->conf, o, &roots));
    opts.roots = roots;
    PASS(server_conf_connect(&s->conf, o, &t));
    c->session = session_new(t, &opts);
    return session_greet(c->session, rt_after(s->conf.connect_ms));
}

static void
start_succeeded(struct toolserver *s, struct conn *c)
{
    c->next = s->conns;
    s->conns = c;
    s->nconns++;
    free(s->version);
    s->version = xstrdup(session_version(c->session));
    json_decref(s->info);
    s->info = json_incref((json_t *)(uintptr_t)session_server_info(c->session));
}

static void
start_failed(struct toolserver *s, struct err *e)
{
    s->start_kind = err_kind(e);
    s->start_error = err_text(e);
    toolserver_failed(s, s->start_error);
    err_drop(e);
}

static void
start_run(void *arg)
{
    struct toolserver *s = arg;
    struct conn *c = xcalloc(1, sizeof *c);
    struct scope scope;
    c->server = s;
    scope_open(&scope, rt_after(s->conf.connect_ms)); /* for the process too, not only its answer */
    struct err *e = conn_open(s, c);
    bool ok = !e;
    err_drop(scope_close(&scope));
    freep(&s->start_error);
    if (ok)
        start_succeeded(s, c);
    else
        start_failed(s, e);
    s->starting = false;
    s->starts_ended++;
    waitq_wake_all(&s->changed);
    if (ok)
        return;
    session_close(c->session, BROKEN_GRACE_MS); /* whoever waited is on its way already */
    free(c);
}

static void
start_begin(struct toolserver *s)
{
    s->starting = true;
    s->starts++;
    scope_spawn(&s->all->starts, "mcp start", start_run, s);
}

/* ---- taking ---------------------------------------------------------------- */

static struct conn *
conn_best(const struct toolserver *s)
{
    struct conn *best = NULL;
    for (struct conn *c = s->conns; c; c = c->next) {
        if (!best || c->users - c->idler < best->users - best->idler)
            best = c;
    }
    return best;
}

static struct err *
start_failure(const struct toolserver *s)
{
    struct err *e = FAIL(s->start_kind, "starting it: %s", s->start_error);
    int64_t wait = s->retry_at_ms - rt_now_ms();
    return wait > 0 ? err_set_retry_after(e, wait) : e;
}

/* The back-off after a failure: waited for when it is short, else told. */
static struct err *
backoff_wait(struct toolserver *s, int64_t deadline_ms)
{
    int64_t left = s->retry_at_ms - rt_now_ms();
    if (left > s->conf.connect_ms || s->retry_at_ms >= deadline_ms)
        return err_set_retry_after(FAIL(ERR_TRANSIENT,
                                        "it failed %u times in a row, the last time: %s",
                                        s->failures, s->last_error),
                                   left);
    struct err *e = waitq_wait(&s->changed, s->retry_at_ms);
    if (e && err_kind(e) == ERR_TIMEOUT && rt_now_ms() >= s->retry_at_ms) {
        err_drop(e);
        e = fiber_check();
    }
    return e;
}

/* One step towards a connection: sees what there is, starts one, or waits for one. *ret_conn stays
 * NULL when it is worth another look. */
static struct err *
conn_look(struct toolserver *s, int64_t deadline_ms, struct conn **ret_conn)
{
    struct conn *best = conn_best(s);
    bool more = s->nconns < s->conf.connections_max && !s->starting;
    bool soon = s->retry_at_ms > rt_now_ms();
    if (best && best->users > best->idler && more && !soon)
        start_begin(s); /* for the next one: this one shares */
    if (best) {
        *ret_conn = best;
        return NULL;
    }
    if (!s->starting && soon)
        return backoff_wait(s, deadline_ms);
    if (!s->starting)
        start_begin(s);
    uint64_t mine = s->starts;
    PASS(waitq_wait(&s->changed, deadline_ms));
    if (s->starts_ended >= mine && s->start_error)
        return start_failure(s);
    return NULL;
}

/* One that greets and dies at once is started twice for a caller, not until its deadline. */
struct err *
conn_take(struct toolserver *s, int64_t deadline_ms, struct conn **ret_conn)
{
    struct conn *c = NULL;
    uint64_t before = s->starts;
    while (!c) {
        if (s->all->closing)
            return FAIL(ERR_CANCELLED, "the servers are being stopped");
        if (s->starts >= before + 2 && !s->conns && !s->starting)
            return FAIL(ERR_TRANSIENT, "it was started twice and ended: %s", s->last_error);
        PASS(conn_look(s, deadline_ms, &c));
    }
    c->users++;
    *ret_conn = c;
    return NULL;
}
