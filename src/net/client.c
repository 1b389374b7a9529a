/* client.c - the HTTP operations of a runtime, done by fibers that wait for curl. */
#include "net/client.h"
#include "net/clientcore.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define FILES_MAX 65536

/* The client of this thread's runtime; a runtime belongs to one thread (rt/rt.h). */
static _Thread_local struct client *client_now;

/* The reader cannot wait any longer: the transfer ends here. */
static struct err *
call_give_up(struct call *c, struct err *OWN e)
{
    shard_remove(c->shard, c);
    c->done = c->broken = true;
    e = WRAP(e, "waiting for the reply of %s", c->shard->host->label);
    return c->sends ? err_set_in_doubt(e) : e;
}

/* Waits for what curl brings. */
static struct err *
call_wait(struct call *c, int64_t deadline_ms)
{
    assert(!c->waiter); /* one reader at a time */
    c->waiter = fiber_self();
    struct err *e = fiber_park(deadline_ms);
    c->waiter = NULL;
    return e ? call_give_up(c, e) : NULL;
}

static void
client_close(struct http *http)
{
    struct call *c = container_of(http, struct call, http);
    shard_remove(c->shard, c); /* when it still runs: the connection is dropped, the stream reset */
    call_recycle(c);
}

static struct call *
call_take(struct host *h)
{
    struct shard *s = shard_find(h);
    struct call *c = s->idle;
    s->open++;
    if (!c)
        return call_new(s);
    s->idle = c->next_idle;
    s->idle_count--;
    s->idle_low = MIN(s->idle_low, s->idle_count);
    return c;
}

static const struct http_ops client_ops;

static struct err *
client_open(void *ctx, const struct http_req *req, int64_t deadline_ms, struct http **ret_http)
{
    struct host *h;
    PASS(net_request_check(req));
    PASS(host_find(ctx, req->url, &h));
    h->users++;
    struct err *e = host_resolve(h, deadline_ms);
    h->users--;
    if (e)
        return e;
    struct call *c = call_take(h);
    c->http.ops = &client_ops;
    call_prepare(c, req);
    shard_begin(c->shard, c);
    while (!e && !c->head_done && !c->done)
        e = call_wait(c, deadline_ms);
    if (!e && !c->head_done)
        e = c->result == CURLE_OK
                ? FAIL(ERR_TRANSIENT, "%s sent no reply that can be read", h->label)
                : call_fault(c);
    if (e) {
        client_close(&c->http);
        return e;
    }
    *ret_http = &c->http;
    return NULL;
}

static int
client_status(const struct http *http)
{
    return container_of(http, const struct call, http)->status;
}

static const char *
client_header(const struct http *http, const char *name)
{
    const struct call *c = container_of(http, const struct call, http);
    size_t n = strlen(name);
    for (const char *p = str_c(&c->head), *end = p + c->head.len; p < end; p += strlen(p) + 1) {
        if (strncasecmp(p, name, n) == 0 && p[n] == ':')
            return p + n + 1 + strspn(p + n + 1, " \t");
    }
    return NULL;
}

/* Hands over what has arrived: the buffer itself, or a reader's that has some already gets more. */
static void
body_take(struct call *c, struct str *to)
{
    if (!to->len) {
        struct str empty = *to;
        *to = c->body;
        c->body = empty;
    } else {
        str_addn(to, str_c(&c->body), c->body.len);
    }
    str_reset(&c->body);
    if (c->paused && !c->done) {
        c->paused = false; /* before the call: curl may bring more from within it */
        curl_easy_pause(c->easy, CURLPAUSE_CONT);
    }
}

static struct err *
client_read(struct http *http, int64_t deadline_ms, struct str *to, bool *ret_end)
{
    struct call *c = container_of(http, struct call, http);
    struct err *e = fiber_check();
    if (e)
        return call_give_up(c, e);
    while (!c->body.len && !c->done)
        PASS(call_wait(c, deadline_ms));
    if (c->body.len) {
        body_take(c, to);
        *ret_end = c->done && c->result == CURLE_OK && !c->broken && !c->body.len;
        return NULL;
    }
    if (c->broken)
        return err_set_in_doubt(
            FAIL(ERR_CANCELLED, "the exchange with %s was given up before", c->shard->host->label));
    if (c->result != CURLE_OK)
        return call_fault(c);
    *ret_end = true;
    return NULL;
}

static const struct http_ops client_ops = {
    .open = client_open,
    .status = client_status,
    .header = client_header,
    .read = client_read,
    .close = client_close,
};

static void
files_raise(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur >= FILES_MAX)
        return;
    r.rlim_cur = MIN(r.rlim_max, (rlim_t)FILES_MAX);
    (void)setrlimit(RLIMIT_NOFILE, &r); /* refused: fewer calls at once, and the error says so */
}

void
net_client_install(const struct net_client_opts *opts)
{
    static const struct net_client_opts defaults;
    assert(!client_now && !rt_is_simulated());
    opts = opts ? opts : &defaults;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        abort();
    files_raise();
    struct client *c = client_now = xcalloc(1, sizeof *c);
    c->user_agent = xstrdup(opts->user_agent ? opts->user_agent : "tutti");
    c->ca_file = opts->ca_file ? xstrdup(opts->ca_file) : NULL;
    /* Not zstd: its window lets a reply of a few bytes ask for 128 MB. */
    bool brotli = curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_BROTLI;
    c->encodings = brotli ? "gzip, deflate, br" : "gzip, deflate";
    c->hosts = map_new();
    c->urls = map_new();
    c->names = names_new();
    http_install(&client_ops, c);
}

void
net_client_remove(void)
{
    struct client *c = client_now;
    if (!c)
        return;
    assert(!c->in_flight); /* every exchange is closed first */
    names_free(c->names);
    hosts_free(c);
    timer_free(c->trim);
    for (size_t i = 0; i < c->socks.len; i++)
        assert(!c->socks.at[i]);
    vec_fini(&c->socks);
    free(c->user_agent);
    free(c->ca_file);
    free(c);
    client_now = NULL;
    http_install(NULL, NULL);
    curl_global_cleanup();
}

void
net_client_stats(struct net_client_stats *ret_stats)
{
    const struct client *c = client_now;
    const char *key;
    void *value;
    *ret_stats = (struct net_client_stats){.in_flight = c->in_flight,
                                           .hosts = (unsigned)map_len(c->hosts),
                                           .connects = c->connects,
                                           .lookups = names_lookups(c->names)};
    for (size_t i = 0; map_next(c->hosts, &i, &key, &value);) {
        const struct host *h = value;
        ret_stats->shards += (unsigned)h->shards.len;
        for (size_t k = 0; k < h->shards.len; k++)
            ret_stats->idle += h->shards.at[k]->idle_count;
    }
}
