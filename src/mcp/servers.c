/* servers.c - the table of servers and what can be asked of one by name. */
#include "mcp/servers.h"
#include "base/log.h"
#include "base/map.h"
#include "base/near.h"
#include "mcp/connection.h"
#include "rt/rt.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS_TOTAL 64 /* unless the settings say something else */

/* ---- life ------------------------------------------------------------------ */

struct servers *
servers_new(const struct servers_opts *opts)
{
    struct servers *s = xcalloc(1, sizeof *s);
    if (opts)
        s->opts = *opts;
    s->opts.version = xstrdup(s->opts.version ? s->opts.version : "0");
    if (s->opts.base_dir)
        s->opts.base_dir = xstrdup(s->opts.base_dir);
    s->by_name = map_new();
    s->pool = pool_new(&(struct pool_limits){.total = CONNECTIONS_TOTAL});
    return s;
}

static void
toolserver_free(struct toolserver *s)
{
    assert(!s->conns);
    server_conf_fini(&s->conf);
    free(s->version);
    json_decref(s->info);
    free(s);
}

void
servers_free(struct servers *s)
{
    const char *name;
    void *server;
    if (!s)
        return;
    AUTO(json_freep) json_t *rows = servers_pools(s);
    AUTO(freep) char *text = json_text(rows);
    log_debug("mcp", "connections: %s", text);
    bool was = fiber_shield(true);
    pool_stop(s->pool);
    for (size_t i = 0; map_next(s->by_name, &i, &name, &server);)
        toolserver_fail(server);
    pool_free(s->pool);
    fiber_shield(was);
    for (size_t i = 0; map_next(s->by_name, &i, &name, &server);)
        toolserver_free(server);
    map_free(s->by_name);
    free((char *)(uintptr_t)s->opts.version);
    free((char *)(uintptr_t)s->opts.base_dir);
    free(s);
}

struct err *
servers_add(struct servers *s, const char *name, const json_t *def)
{
    if (map_has(s->by_name, name))
        return FAIL(ERR_INVALID, "there is already a server '%s'", name);
    struct server_conf conf;
    PASS(server_conf_read(name, def, &conf));
    struct toolserver *server = xcalloc(1, sizeof *server);
    server->all = s;
    server->conf = conf;
    server->tools_seen = SIZE_MAX;
    toolserver_open(server);
    s->unshared += !conf.shared;
    map_put(s->by_name, name, server);
    return NULL;
}

void
servers_limit(struct servers *s, unsigned total, unsigned per_run)
{
    pool_limit(s->pool, &(struct pool_limits){total ? total : CONNECTIONS_TOTAL, per_run});
}

void
servers_run_over(struct servers *s, const char *run)
{
    void *server;
    if (!s->unshared)
        return;
    for (size_t i = 0; map_next(s->by_name, &i, NULL, &server);)
        toolserver_leave(server, run);
}

bool
servers_has(const struct servers *s, const char *name)
{
    return map_has(s->by_name, name);
}

/* ---- using one ------------------------------------------------------------- */

static struct err *
server_find(const struct servers *s, const char *name, struct toolserver **ret_server)
{
    struct near near = NEAR_INIT(name);
    const char *key;
    void *value;
    *ret_server = map_get(s->by_name, name);
    if (*ret_server)
        return NULL;
    for (size_t i = 0; map_next(s->by_name, &i, &key, &value);)
        near_offer(&near, key);
    if (near.best)
        return FAIL(ERR_MISSING, "there is no server '%s' (did you mean '%s'?)", name, near.best);
    return FAIL(ERR_MISSING, "there is no server '%s'; servers are listed under 'mcp_servers'",
                name);
}

struct use { /* a connection held for one call */
    struct toolserver *server;
    const char *run;
    struct conn *conn;
};

static struct err *
use_begin(struct servers *s, const char *name, int64_t deadline_ms, struct use *u)
{
    PASS(server_find(s, name, &u->server));
    TRY(conn_take(u->server, u->run, deadline_ms, &u->conn), "server '%s'", name);
    return NULL;
}

static struct err *
use_end(struct use *u, struct err *e)
{
    if (e && err_kind(e) == ERR_TIMEOUT)
        pool_suspect(u->conn->member);
    if (e)
        e = WRAP(e, "server '%s'", u->server->conf.name);
    conn_give(u->conn, u->run);
    return e;
}

static int64_t
call_deadline(const struct use *u, int64_t deadline_ms)
{
    return MIN(deadline_ms, rt_after(u->server->conf.call_ms));
}

/* ---- tools ----------------------------------------------------------------- */

static struct err *
tools_allowed(const struct use *u, int64_t deadline_ms, json_t **ret_tools)
{
    AUTO(json_freep) json_t *all = NULL;
    json_t *tools = json_array(), *tool;
    size_t i;
    struct err *e = session_tools(u->conn->session, deadline_ms, &all);
    if (e) {
        json_decref(tools);
        return WRAP(e, "listing its tools");
    }
    json_array_foreach (all, i, tool) {
        if (server_conf_allows(&u->server->conf, json_str(tool, "name", "")))
            json_array_append(tools, tool);
    }
    u->server->tools_seen = json_array_size(all);
    *ret_tools = tools;
    return NULL;
}

struct err *
servers_tools(struct servers *s, const struct servers_whose *w, int64_t deadline_ms,
              json_t **ret_tools)
{
    struct use u = {.run = w->run};
    PASS(use_begin(s, w->server, deadline_ms, &u));
    return use_end(&u, tools_allowed(&u, call_deadline(&u, deadline_ms), ret_tools));
}

static struct err *
no_such_tool(const struct use *u, const json_t *all, const char *tool)
{
    struct near near = NEAR_INIT(tool);
    size_t i;
    json_t *other;
    json_array_foreach (all, i, other) {
        const char *name = json_str(other, "name", "");
        if (server_conf_allows(&u->server->conf, name))
            near_offer(&near, name);
    }
    if (near.best)
        return FAIL(ERR_INVALID, "it has no tool '%s' (did you mean '%s'?)", tool, near.best);
    return FAIL(ERR_INVALID, "it has no tool '%s'; it has %zu others", tool, json_array_size(all));
}

/* Listing may be in doubt, the call that was to follow has certainly not been made. */
static struct err *
listing_failed(struct err *e)
{
    AUTO(freep) char *text = err_text(e);
    struct err *plain = FAIL(err_kind(e), "listing its tools: %s", text);
    err_drop(e);
    return plain;
}

/* Servers that say when their list changes are believed; others are asked again first. */
static struct err *
tool_check(const struct use *u, const char *tool, int64_t deadline_ms)
{
    struct session *s = u->conn->session;
    AUTO(json_freep) json_t *all = NULL;
    if (!server_conf_allows(&u->server->conf, tool))
        return FAIL(ERR_DENIED, "its setting 'tools' does not allow '%s'", tool);
    struct err *e = session_tools(s, deadline_ms, &all);
    if (e)
        return listing_failed(e);
    u->server->tools_seen = json_array_size(all);
    if (session_tool(s, tool))
        return NULL;
    const json_t *offer = json_object_get(session_capabilities(s), "tools");
    if (!json_bool(offer, "listChanged", false)) {
        json_decref(STEAL(all));
        session_tools_forget(s);
        e = session_tools(s, deadline_ms, &all);
        if (e)
            return listing_failed(e);
        if (session_tool(s, tool))
            return NULL;
    }
    return no_such_tool(u, all, tool);
}

struct err *
servers_tool(struct servers *s, const struct servers_whose *w, const char *tool,
             int64_t deadline_ms, json_t **ret_tool)
{
    struct use u = {.run = w->run};
    PASS(use_begin(s, w->server, deadline_ms, &u));
    struct err *e = tool_check(&u, tool, call_deadline(&u, deadline_ms));
    if (!e)
        *ret_tool = json_incref((json_t *)(uintptr_t)session_tool(u.conn->session, tool));
    return use_end(&u, e);
}

static struct err *
tool_call(const struct use *u, const struct servers_call *c, json_t **ret_result)
{
    int64_t deadline_ms = call_deadline(u, c->deadline_ms);
    PASS(tool_check(u, c->tool, deadline_ms));
    struct tool_call call = {.tool = c->tool,
                             .args = c->args,
                             .key = c->key,
                             .deadline_ms = deadline_ms,
                             .on_progress = c->on_progress,
                             .progress_ctx = c->progress_ctx};
    TRY(session_call_tool(u->conn->session, &call, ret_result), "tool '%s'", c->tool);
    pool_worked(u->conn->member);
    return NULL;
}

struct err *
servers_call(struct servers *s, const struct servers_call *c, json_t **ret_result)
{
    struct use u = {.run = c->run};
    PASS(use_begin(s, c->server, c->deadline_ms, &u));
    return use_end(&u, tool_call(&u, c, ret_result));
}

/* ---- the rest -------------------------------------------------------------- */

static struct err *
offer_check(const struct use *u, const char *method)
{
    static const char *const needs[][2] = {{"prompts/", "prompts"},
                                           {"resources/", "resources"},
                                           {"completion/", "completions"},
                                           {"logging/", "logging"}};
    for (size_t i = 0; i < COUNT(needs); i++) {
        if (str_starts(method, needs[i][0]) && !session_offers(u->conn->session, needs[i][1]))
            return FAIL(ERR_MISSING, "it offers no %s", needs[i][1]);
    }
    return NULL;
}

struct err *
servers_request(struct servers *s, const struct servers_ask *ask, json_t **ret_result)
{
    struct use u = {.run = ask->run};
    PASS(use_begin(s, ask->server, ask->deadline_ms, &u));
    struct err *e = offer_check(&u, ask->method);
    if (!e)
        e = session_request(u.conn->session, ask->method, ask->params,
                            call_deadline(&u, ask->deadline_ms), ret_result);
    return use_end(&u, e ? WRAP(e, "'%s'", ask->method) : NULL);
}

struct err *
servers_list(struct servers *s, const char *server, const char *method, int64_t deadline_ms,
             json_t **ret_items)
{
    static const char *const lists[][2] = {{"prompts/list", "prompts"},
                                           {"resources/list", "resources"},
                                           {"resources/templates/list", "resourceTemplates"}};
    const char *member = NULL;
    for (size_t i = 0; i < COUNT(lists); i++) {
        if (strcmp(method, lists[i][0]) == 0)
            member = lists[i][1];
    }
    assert(member);
    struct use u = {0};
    PASS(use_begin(s, server, deadline_ms, &u));
    struct err *e = offer_check(&u, method);
    if (!e)
        e = session_list(u.conn->session, method, member, call_deadline(&u, deadline_ms),
                         ret_items);
    return use_end(&u, e ? WRAP(e, "'%s'", method) : NULL);
}

struct start { /* one required server */
    struct servers *all;
    const char *name;
    int64_t deadline_ms;
    struct err *e;
};

static void
start_one(void *arg)
{
    struct start *one = arg;
    struct use u = {0};
    one->e = use_begin(one->all, one->name, one->deadline_ms, &u);
    if (!one->e)
        one->e = use_end(&u, NULL);
}

struct err *
servers_start_required(struct servers *s, int64_t deadline_ms)
{
    struct scope scope;
    struct start *all = xcalloc(map_len(s->by_name) + 1, sizeof *all);
    size_t n = 0;
    const char *name;
    void *server;
    scope_open(&scope, deadline_ms);
    for (size_t i = 0; map_next(s->by_name, &i, &name, &server);) {
        if (!((struct toolserver *)server)->conf.required)
            continue;
        all[n] = (struct start){.all = s, .name = name, .deadline_ms = deadline_ms};
        scope_spawn(&scope, "mcp required", start_one, &all[n++]);
    }
    struct err *e = scope_close(&scope);
    for (size_t i = 0; i < n; i++) {
        if (e)
            err_drop(all[i].e);
        else
            e = all[i].e;
    }
    free(all);
    return e;
}

/* ---- status ---------------------------------------------------------------- */

static const char *
state_of(const struct toolserver *s, const struct pool_health *h)
{
    if (s->conns)
        return "ready";
    if (h->coming)
        return "starting";
    return h->failures ? "failed" : "idle";
}

static void
set_text(json_t *j, const char *key, const char *text)
{
    if (text)
        json_object_set_new(j, key, json_string_lossy(text, strlen(text)));
}

static json_t *
status_of(const struct toolserver *s)
{
    json_t *j = json_object();
    struct pool_health h;
    pool_group_health(s->group, &h);
    int pid = s->conns ? session_pid(s->conns->session) : 0;
    set_text(j, "name", s->conf.name);
    set_text(j, "state", state_of(s, &h));
    if (pid)
        json_object_set_new(j, "pid", json_integer(pid));
    set_text(j, "protocol", s->version);
    if (s->info)
        json_object_set(j, "info", s->info);
    if (s->tools_seen != SIZE_MAX)
        json_object_set_new(j, "tools", json_integer((json_int_t)s->tools_seen));
    json_object_set_new(j, "starts", json_integer((json_int_t)h.openings));
    json_object_set_new(j, "failures", json_integer(h.failures));
    if (h.retry_at_ms > rt_now_ms())
        json_object_set_new(j, "retry_in_ms", json_integer(h.retry_at_ms - rt_now_ms()));
    set_text(j, "error", h.error);
    set_text(j, "command", json_str(s->conf.def, "command", NULL));
    set_text(j, "url", json_str(s->conf.def, "url", NULL));
    return j;
}

json_t *
servers_status(const struct servers *s)
{
    json_t *all = json_array();
    const char *name;
    void *server;
    for (size_t i = 0; map_next(s->by_name, &i, &name, &server);)
        json_array_append_new(all, status_of(server));
    return all;
}

static void
pool_row(void *ctx, const struct pool_stats *st)
{
    json_t *row = json_object();
    size_t n = st->key ? strcspn(st->key, "\n") : 0;
    const struct {
        const char *name;
        uint64_t n;
    } counts[] = {{"opened", st->opened},
                  {"failed", st->failed},
                  {"taken", st->taken},
                  {"reused", st->reused},
                  {"in_use", st->in_use},
                  {"idle", st->idle},
                  {"opening", st->coming},
                  {"waiting", st->waiting},
                  {"closed_idle", st->closed_idle},
                  {"evicted", st->evicted},
                  {"unhealthy", st->unhealthy},
                  {"lost", st->lost},
                  {"wait_ms", (uint64_t)st->wait_ms},
                  {"wait_ms_max", (uint64_t)st->wait_ms_max}};
    if (st->key)
        json_object_set_new(row, "server", json_string_lossy(st->key, n));
    if (st->key && st->key[n])
        set_text(row, "run", st->key + n + 1);
    for (size_t i = 0; i < COUNT(counts); i++)
        json_object_set_new(row, counts[i].name, json_integer((json_int_t)counts[i].n));
    json_array_append_new(ctx, row);
}

json_t *
servers_pools(const struct servers *s)
{
    json_t *all = json_array();
    pool_each(s->pool, pool_row, all);
    return all;
}
