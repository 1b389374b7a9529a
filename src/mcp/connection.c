/* connection.c - how a connection to a server begins, is checked and ends. */
#include "mcp/connection.h"
#include "base/log.h"
#include "rt/rt.h"
#include <stdlib.h>
#include <string.h>

/* ---- the end of a connection ----------------------------------------------- */

static void
conn_unlink(struct conn *c)
{
    struct conn **at = &c->server->conns;
    while (*at && *at != c)
        at = &(*at)->next;
    if (*at)
        *at = c->next;
}

static void
conn_close(void *ctx, void *thing, bool broken)
{
    struct conn *c = thing;
    (void)ctx;
    conn_unlink(c);
    session_close(c->session, broken ? BROKEN_GRACE_MS : STOP_GRACE_MS);
    free(c);
}

static void
conn_ended(void *ctx, const char *why)
{
    struct conn *c = ctx;
    log_debug("mcp", "server '%s': %s", c->server->conf.name, why);
    conn_unlink(c);
    pool_lost(c->member, why);
}

void
toolserver_fail(struct toolserver *s)
{
    while (s->conns)
        session_fail(s->conns->session, "the servers are being stopped");
}

/* Answers that come late are no answers: the pool asks because a call had none in time, or because
 * nobody has heard of it for long. */
static struct err *
conn_check(void *ctx, void *thing)
{
    struct conn *c = thing;
    const struct toolserver *s = ctx;
    AUTO(json_freep) json_t *result = NULL;
    struct err *e =
        session_request(c->session, "ping", NULL, rt_after(s->conf.connect_ms), &result);
    if (!e || err_kind(e) != ERR_TIMEOUT)
        return e;
    AUTO(str_fini) struct str why = STR_INIT;
    str_add(&why, "it hangs: it answers neither calls nor pings");
    session_describe(c->session, &why);
    err_free(e);
    return FAIL(ERR_TIMEOUT, "%s", str_c(&why));
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
conn_greet(struct conn *c)
{
    const struct toolserver *s = c->server;
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
greeted(struct toolserver *s, struct conn *c)
{
    c->next = s->conns;
    s->conns = c;
    free(s->version);
    s->version = xstrdup(session_version(c->session));
    json_decref(s->info);
    s->info = json_incref((json_t *)(uintptr_t)session_server_info(c->session));
}

static struct err *
conn_open(void *ctx, struct pool_member *m, void **ret_thing)
{
    struct toolserver *s = ctx;
    struct conn *c = xcalloc(1, sizeof *c);
    struct scope scope;
    c->server = s;
    c->member = m;
    scope_open(&scope, rt_after(s->conf.connect_ms)); /* for the process too, not only its answer */
    struct err *e = conn_greet(c);
    err_drop(scope_close(&scope));
    if (!e && session_is_ended(c->session))
        e = FAIL(ERR_TRANSIENT, "it ended as soon as it had introduced itself");
    *ret_thing = c;
    if (!e) {
        greeted(s, c);
        return NULL;
    }
    AUTO(freep) char *text = err_text(e);
    log_debug("mcp", "server '%s': starting it: %s", s->conf.name, text);
    return e;
}

/* ---- taking ---------------------------------------------------------------- */

static struct pool_kind
kind_of(struct toolserver *s)
{
    const struct server_conf *conf = &s->conf;
    return (struct pool_kind){.ctx = s,
                              .open = conn_open,
                              .check = conn_check,
                              .close = conn_close,
                              .members_max = conf->connections_max,
                              .idle_ms = conf->idle_ms,
                              .check_ms = CHECK_AFTER_MS,
                              .backoff_wait_ms = conf->connect_ms};
}

void
toolserver_open(struct toolserver *s)
{
    struct pool_kind kind = kind_of(s);
    s->group = pool_group(s->all->pool, s->conf.name, &kind);
}

/* No name of a server has a line end. */
static char *
key_of_run(const struct toolserver *s, const char *run)
{
    return xasprintf("%s\n%s", s->conf.name, run);
}

void
toolserver_leave(struct toolserver *s, const char *run)
{
    AUTO(freep) char *key = key_of_run(s, run);
    struct pool_group *g = s->conf.shared ? NULL : pool_group_find(s->all->pool, key);
    if (g)
        pool_group_end(g);
}

struct err *
conn_take(struct toolserver *s, const char *run, int64_t deadline_ms, struct conn **ret_conn)
{
    struct pool_group *g = s->group;
    struct pool_member *m;
    if (run && !s->conf.shared) {
        AUTO(freep) char *key = key_of_run(s, run);
        struct pool_kind kind = kind_of(s);
        g = pool_group(s->all->pool, key, &kind);
    }
    PASS(pool_take(g, run, deadline_ms, &m));
    *ret_conn = pool_thing(m);
    return NULL;
}

void
conn_give(struct conn *c, const char *run)
{
    pool_give(c->member, run);
}
