/* shard.c - hosts, and the curl multis that serve them. */
#include "net/clientcore.h"
#include "net/proxy.h"
#include "net/url.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ZERO_TIMERS_MAX 8 /* then curl waits a millisecond, lest it keep the loop to itself */

/* ---- shards ---------------------------------------------------------------- */

static void
shard_reap(struct shard *s)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(s->multi, &left));) {
        struct call *c = NULL;
        if (m->msg != CURLMSG_DONE)
            continue;
        CURLcode result = m->data.result; /* m is gone once the handle is removed */
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &c);
        assert(c && c->in_multi);
        call_finish(c, result);
    }
}

void
shard_event(struct shard *s, int fd, int events)
{
    int running;
    s->zero_timers = 0;
    curl_multi_socket_action(s->multi, fd, events, &running);
    shard_reap(s);
}

static void
shard_timer_due(void *shard)
{
    struct shard *s = shard;
    int running;
    curl_multi_socket_action(s->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    shard_reap(s);
}

static int
shard_timer_set(CURLM *multi, long ms, void *shard)
{
    struct shard *s = shard;
    (void)multi;
    if (ms == 0 && ++s->zero_timers > ZERO_TIMERS_MAX)
        ms = 1;
    else if (ms != 0)
        s->zero_timers = 0;
    timer_at(s->timer, rt_after(ms)); /* -1: disarmed */
    return 0;
}

static struct shard *
shard_new(struct host *h)
{
    struct shard *s = xcalloc(1, sizeof *s);
    s->host = h;
    s->index = h->shards.len;
    s->used_ms = rt_now_ms();
    s->multi = curl_multi_init();
    if (!s->multi)
        abort();
    s->timer = timer_new(shard_timer_due, s);
    curl_multi_setopt(s->multi, CURLMOPT_SOCKETFUNCTION, sock_changed);
    curl_multi_setopt(s->multi, CURLMOPT_SOCKETDATA, s);
    curl_multi_setopt(s->multi, CURLMOPT_TIMERFUNCTION, shard_timer_set);
    curl_multi_setopt(s->multi, CURLMOPT_TIMERDATA, s);
    curl_multi_setopt(s->multi, CURLMOPT_MAXCONNECTS, (long)SHARD_CALLS_MAX + 8);
    curl_multi_setopt(s->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    vec_push(&h->shards, s);
    if (!h->client->trim) {
        h->client->trim = timer_new(client_trim, h->client);
        timer_at(h->client->trim, rt_after(TRIM_MS));
    }
    return s;
}

static void
shard_idle_free(struct shard *s, unsigned n)
{
    for (; n && s->idle; n--) {
        struct call *c = s->idle;
        s->idle = c->next_idle;
        s->idle_count--;
        call_free(c);
    }
}

static void
shard_free(struct shard *s)
{
    assert(!s->open && !s->in_flight);
    shard_idle_free(s, UINT32_MAX);
    curl_multi_cleanup(s->multi); /* closes its connections, through sock_close */
    timer_free(s->timer);
    free(s);
}

struct shard *
shard_find(struct host *h)
{
    for (size_t i = h->hint; i < h->shards.len; i++) {
        if (h->shards.at[i]->in_flight < SHARD_CALLS_MAX) {
            h->hint = i;
            return h->shards.at[i];
        }
    }
    h->hint = h->shards.len;
    return shard_new(h);
}

void
shard_begin(struct shard *s, struct call *c)
{
    assert(!c->in_multi);
    CURLMcode rc = curl_multi_add_handle(s->multi, c->easy);
    assert(rc == CURLM_OK);
    (void)rc;
    c->in_multi = true;
    s->in_flight++;
    s->host->client->in_flight++;
}

void
shard_remove(struct shard *s, struct call *c)
{
    if (!c->in_multi)
        return;
    c->in_multi = false;
    curl_multi_remove_handle(s->multi, c->easy);
    assert(s->in_flight > 0);
    s->in_flight--;
    s->host->client->in_flight--;
    s->host->hint = MIN(s->host->hint, s->index);
    s->used_ms = s->host->used_ms = rt_now_ms();
}

/* ---- hosts ----------------------------------------------------------------- */

static char *
env_copy(const char *name, const char *otherwise)
{
    const char *v = rt_env(name);
    if (!v || !*v)
        v = otherwise ? rt_env(otherwise) : NULL;
    return v && *v ? xstrdup(v) : NULL;
}

/* What is looked up and connected to when there is a proxy. A proxy that cannot be read is left to
 * curl, which refuses it with its own words. */
static void
host_dial_proxy(struct host *h)
{
    CURLU *u = curl_url();
    char *name = NULL, *port = NULL;
    if (!u)
        abort();
    if (curl_url_set(u, CURLUPART_URL, h->proxy, CURLU_NON_SUPPORT_SCHEME | CURLU_GUESS_SCHEME) ==
            CURLUE_OK &&
        curl_url_get(u, CURLUPART_HOST, &name, 0) == CURLUE_OK) {
        bool has_port = curl_url_get(u, CURLUPART_PORT, &port, 0) == CURLUE_OK;
        unsigned otherwise = str_starts(h->proxy, "https:") ? 443 : 1080; /* curl's defaults */
        h->dial_port = has_port ? (unsigned)strtoul(port, NULL, 10) : otherwise;
        h->dial_label = xasprintf("%s:%u", name, h->dial_port);
        h->dial_name = name_is_address(name) ? NULL : xstrdup(name);
    } else {
        h->dial_label = xstrdup("the proxy");
    }
    curl_free(name);
    curl_free(port);
    curl_url_cleanup(u);
}

static struct host *
host_new(struct client *c, const struct url *u)
{
    struct host *h = xcalloc(1, sizeof *h);
    h->client = c;
    h->origin = xstrdup(u->origin);
    h->label = xstrdup(strstr(u->origin, "://") + 3);
    h->tls = u->tls;
    const char *proxy = proxy_for(u->tls, u->host);
    h->proxy = proxy ? xstrdup(proxy) : NULL;
    h->ca_file = c->ca_file ? xstrdup(c->ca_file) : env_copy("CURL_CA_BUNDLE", "SSL_CERT_FILE");
    h->ca_dir = env_copy("SSL_CERT_DIR", NULL);
    if (proxy) {
        host_dial_proxy(h);
    } else {
        h->dial_port = u->port;
        h->dial_label = xstrdup(h->label);
        h->dial_name = name_is_address(u->host) ? NULL : xstrdup(u->host);
    }
    map_put(c->hosts, h->origin, h);
    return h;
}

static void
host_free(struct host *h)
{
    assert(!h->users);
    vec_each (&h->shards, s)
        shard_free(*s);
    vec_fini(&h->shards);
    free(h->resolve);
    free(h->origin);
    free(h->label);
    free(h->proxy);
    free(h->dial_name);
    free(h->dial_label);
    free(h->ca_file);
    free(h->ca_dir);
    free(h->addrs);
    free(h);
}

static bool
host_is_idle(const struct host *h)
{
    for (size_t i = 0; i < h->shards.len; i++) {
        if (h->shards.at[i]->open)
            return false;
    }
    return !h->users;
}

static void
urls_forget(struct client *c)
{
    map_free(c->urls);
    c->urls = map_new();
}

/* Frees the hosts that have not been used for idle_ms. */
static void
hosts_trim(struct client *c, int64_t idle_ms)
{
    const char *key;
    void *value;
    bool any = false;
    for (size_t i = 0; map_next(c->hosts, &i, &key, &value);) {
        struct host *h = value;
        if (!host_is_idle(h) || rt_now_ms() - h->used_ms < idle_ms)
            continue;
        map_del(c->hosts, key);
        host_free(h);
        any = true;
    }
    if (any)
        urls_forget(c);
}

static void
shard_trim(struct shard *s)
{
    shard_idle_free(s, s->idle_low);
    s->idle_low = s->idle_count;
}

void
client_trim(void *client)
{
    struct client *c = client;
    const char *key;
    void *value;
    hosts_trim(c, HOST_IDLE_MS);
    for (size_t i = 0; map_next(c->hosts, &i, &key, &value);) {
        struct host *h = value;
        while (h->shards.len > 1 && !vec_last(&h->shards)->open &&
               rt_now_ms() - vec_last(&h->shards)->used_ms >= HOST_IDLE_MS)
            shard_free(vec_pop(&h->shards));
        h->hint = MIN(h->hint, h->shards.len);
        vec_each (&h->shards, s)
            shard_trim(*s);
    }
    timer_at(c->trim, rt_after(TRIM_MS));
}

void
hosts_free(struct client *c)
{
    const char *key;
    void *value;
    for (size_t i = 0; map_next(c->hosts, &i, &key, &value);)
        host_free(value);
    map_free(c->hosts);
    map_free(c->urls);
}

struct err *
host_find(struct client *c, const char *url, struct host **ret_host)
{
    AUTO(url_fini) struct url u = {0};
    struct host *h = map_get(c->urls, url);
    if (h) {
        *ret_host = h;
        return NULL;
    }
    PASS(url_parse(url, &u));
    h = map_get(c->hosts, u.origin);
    if (!h) {
        if (map_len(c->hosts) >= HOSTS_MAX)
            hosts_trim(c, 0);
        if (map_len(c->hosts) >= HOSTS_MAX)
            return FAIL(ERR_LIMIT, "more than %d hosts are being called at once", HOSTS_MAX);
        h = host_new(c, &u);
    }
    if (map_len(c->urls) >= URLS_MAX)
        urls_forget(c);
    map_put(c->urls, url, h);
    h->used_ms = rt_now_ms();
    *ret_host = h;
    return NULL;
}

struct err *
host_resolve(struct host *h, int64_t deadline_ms)
{
    const char *addrs;
    if (!h->dial_name)
        return NULL;
    PASS(names_find(h->client->names, h->dial_name, deadline_ms, &addrs));
    if (str_eq(addrs, h->addrs))
        return NULL;
    free(h->addrs);
    h->addrs = xstrdup(addrs);
    free(h->resolve);
    h->resolve = xasprintf("%s:%u:%s", h->dial_name, h->dial_port, addrs);
    h->resolve_gen++;
    return NULL;
}
