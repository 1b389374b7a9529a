/* server.c - libmicrohttpd in the loop: the listener, its connections and their clocks. */
#include "net/servercore.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RUNS_MAX 16 /* MHD_run in a row before the rest of the loop gets its turn */

/* ---- the daemon's turns ---------------------------------------------------- */

static void
server_run(void *server)
{
    struct server *s = server;
    for (int i = 0; i < RUNS_MAX; i++) {
        MHD_UNSIGNED_LONG_LONG ms;
        s->kicked = false;
        MHD_run(s->daemon);
        if (s->kicked)
            continue;
        if (MHD_get_timeout(s->daemon, &ms) != MHD_YES) {
            timer_at(s->timer, DEADLINE_NONE);
            return;
        }
        if (ms > 0) {
            timer_at(s->timer, rt_after((int64_t)MIN(ms, 3600000u)));
            return;
        }
    }
    timer_at(s->timer, rt_after(1));
}

static void
server_ready(void *server, unsigned events)
{
    (void)events;
    server_run(server);
}

void
server_kick(struct server *s)
{
    if (s->kicked)
        return;
    s->kicked = true; /* one run serves all that are resumed in this turn of the loop */
    timer_at(s->timer, rt_now_ms());
}

/* ---- connections ----------------------------------------------------------- */

static void
peer_late(void *peer)
{
    struct peer *p = peer;
    shutdown(p->fd, SHUT_RDWR); /* MHD sees the end of the connection and cleans up */
}

static void
peer_left(void *peer, unsigned events)
{
    struct peer *p = peer;
    if (!(events & POLL_HANGUP))
        return;
    poll_want(p->poll, 0);
    if (p->request)
        request_cancel(p->request);
}

static void
peer_open(struct server *s, struct MHD_Connection *con, void **socket_context)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(con, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct peer *p = xcalloc(1, sizeof *p);
    p->server = s;
    p->fd = fcntl(info->connect_fd, F_DUPFD_CLOEXEC, 3);
    if (p->fd < 0) {
        free(p);
        shutdown(info->connect_fd,
                 SHUT_RDWR); /* descriptors are used up: this one cannot be served */
        return;
    }
    struct err *e = poll_new(p->fd, peer_left, p, &p->poll);
    if (e) {
        err_drop(e);
        shutdown(p->fd, SHUT_RDWR);
    }
    p->timer = timer_new(peer_late, p);
    timer_at(p->timer, rt_after(s->opts.request_ms));
    *socket_context = p;
}

static void
peer_close(struct peer *p)
{
    struct request *r = p->request;
    if (r && !r->adopted) { /* its header was never whole: MHD tells nobody of its end */
        request_leave(r);
        request_unref(r);
    }
    if (p->poll)
        poll_free(p->poll);
    timer_free(p->timer);
    close(p->fd);
    free(p);
}

static void
on_connection(void *server, struct MHD_Connection *con, void **socket_context,
              enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        peer_open(server, con, socket_context);
    else if (*socket_context)
        peer_close(*socket_context);
    /* At its limit of connections MHD stops listening, and begins again only in the next run. */
    if (what == MHD_CONNECTION_NOTIFY_CLOSED)
        server_kick(server);
}

/* ---- requests -------------------------------------------------------------- */

/* The first line has been read. */
static void *
on_target(void *server, const char *target, struct MHD_Connection *con)
{
    struct server *s = server;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(con, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct peer *p = info->socket_context;
    if (!p)
        return NULL;
    timer_at(p->timer, rt_after(s->opts.request_ms));
    return request_new(p, con, target);
}

static enum MHD_Result
add_header(void *request, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct request *r = request;
    (void)kind;
    vec_push(&r->headers, ((struct http_header){arena_strdup(r->arena, name),
                                                arena_strdup(r->arena, value ? value : "")}));
    return MHD_YES;
}

/* The header is there, the body is to come. */
static enum MHD_Result
request_adopt(struct request *r, const char *method)
{
    r->adopted = true;
    r->method = arena_strdup(r->arena, method);
    MHD_get_connection_values(r->con, MHD_HEADER_KIND, add_header, r);
    const char *length = request_header(r, "content-length");
    if (length && (strlen(length) > 18 || strtoull(length, NULL, 10) > r->server->opts.body_max))
        return request_refuse(r->con, MHD_HTTP_CONTENT_TOO_LARGE, "the request's body is too long");
    if (r->server->stopping)
        return request_refuse(r->con, MHD_HTTP_SERVICE_UNAVAILABLE, "the server is stopping");
    return MHD_YES;
}

static enum MHD_Result
on_request(void *server, struct MHD_Connection *con, const char *url, /* tidy: MHD's own form */
           const char *method, const char *version, const char *upload, size_t *upload_len,
           void **request)
{
    struct request *r = *request;
    (void)server, (void)url, (void)version, (void)con;
    if (!r)
        return MHD_NO;
    if (!r->adopted)
        return request_adopt(r, method);
    if (*upload_len) {
        if (*upload_len > r->server->opts.body_max - r->body.len)
            return MHD_NO; /* of unknown length and too long: there is no room for manners */
        str_addn(&r->body, upload, *upload_len);
        *upload_len = 0;
        return MHD_YES;
    }
    timer_at(r->peer->timer, DEADLINE_NONE);
    return request_dispatch(r);
}

static void
on_completed(void *server, struct MHD_Connection *con, void **request,
             enum MHD_RequestTerminationCode why)
{
    struct request *r = *request;
    (void)server, (void)con, (void)why;
    if (!r)
        return;
    *request = NULL;
    timer_at(r->peer->timer, rt_after(r->server->opts.idle_ms));
    request_leave(r);
    request_unref(r);
}

/* Paths and queries are handed on as they were sent: decoding a whole path would hide which slashes
 * were data. */
static size_t
no_unescape(void *unused, struct MHD_Connection *con, char *text)
{
    (void)unused, (void)con;
    return strlen(text);
}

/* ---- start and stop -------------------------------------------------------- */

static struct err *
bind_failed(const char *host, unsigned port)
{
    switch (errno) {
    case EADDRINUSE:
        return FAIL(ERR_LIMIT,
                    "port %u of %s is taken by another program (choose another, or 0 for any)",
                    port, host);
    case EACCES:
        return FAIL(ERR_DENIED, "port %u of %s may not be used (those below 1024 are for root)",
                    port, host);
    case EADDRNOTAVAIL:
        return FAIL(ERR_INVALID, "'%s' is not an address of this machine", host);
    default:
        return FAIL(ERR_LIMIT, "listening on port %u of %s: %s", port, host, strerror(errno));
    }
}

static struct err *
listener_make(const char *host, unsigned port, int *ret_fd, unsigned *ret_port)
{
    const bool local = strcmp(host, "localhost") == 0;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST | AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *a = NULL;
    struct sockaddr_storage bound = {0};
    socklen_t len = sizeof bound;
    char service[8];
    int one = 1;
    if (port > 65535)
        return FAIL(ERR_INVALID, "the port %u is greater than 65535", port);
    snprintf(service, sizeof service, "%u", port);
    if (getaddrinfo(local ? "127.0.0.1" : host, service, &hints, &a) != 0)
        return FAIL(ERR_INVALID, "'%s' is not an IP address to listen on", host);
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
              bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, 1024) == 0 &&
              getsockname(fd, (struct sockaddr *)&bound, &len) == 0;
    struct err *e = ok ? NULL : bind_failed(host, port);
    freeaddrinfo(a);
    if (e) {
        if (fd >= 0)
            close(fd);
        return e;
    }
    *ret_fd = fd;
    struct sockaddr_in6 v6; /* IPv4 has the port at the same place */
    memcpy(&v6, &bound, sizeof v6);
    *ret_port = ntohs(v6.sin6_port);
    return NULL;
}

static void
opts_fill(struct server_opts *o)
{
    o->host = o->host ? o->host : "127.0.0.1";
    o->body_max = o->body_max ? o->body_max : (size_t)8 * 1024 * 1024;
    o->head_max = o->head_max ? o->head_max : (size_t)16 * 1024;
    o->connections_max = o->connections_max ? o->connections_max : 1000;
    o->request_ms = o->request_ms ? o->request_ms : 30000;
    o->idle_ms = o->idle_ms ? o->idle_ms : 60000;
}

static struct MHD_Daemon *
daemon_start(struct server *s)
{
    unsigned idle_s = (unsigned)((s->opts.idle_ms + 999) / 1000);
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, s,
                            MHD_OPTION_LISTEN_SOCKET, s->listener, MHD_OPTION_CONNECTION_LIMIT,
                            s->opts.connections_max,
                            /* Half of a connection's memory is the most that its header gets. */
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, 2 * s->opts.head_max,
                            MHD_OPTION_CONNECTION_TIMEOUT, idle_s, MHD_OPTION_STRICT_FOR_CLIENT,
                            1, /* what RFC 9112 forbids is refused, not guessed at */
                            MHD_OPTION_URI_LOG_CALLBACK, on_target, s, MHD_OPTION_NOTIFY_COMPLETED,
                            on_completed, s, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
                            MHD_OPTION_UNESCAPE_CALLBACK, no_unescape, NULL, MHD_OPTION_END);
}

struct err *
server_start(const struct server_opts *opts, struct server **ret_server)
{
    struct server *s = xcalloc(1, sizeof *s);
    assert(opts->handler && !rt_is_simulated());
    s->opts = *opts;
    opts_fill(&s->opts);
    struct err *e = listener_make(s->opts.host, s->opts.port, &s->listener, &s->port);
    s->opts.host = NULL;
    if (e) {
        free(s);
        return e;
    }
    s->daemon = daemon_start(s);
    if (!s->daemon) {
        close(s->listener);
        free(s);
        return FAIL(ERR_LIMIT, "the HTTP server could not be started (out of descriptors?)");
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    e = poll_new(info->epoll_fd, server_ready, s, &s->poll);
    if (e) {
        MHD_stop_daemon(s->daemon);
        free(s);
        return e;
    }
    s->timer = timer_new(server_run, s);
    scope_open_detached(&s->scope);
    poll_want(s->poll, POLL_READ);
    *ret_server = s;
    return NULL;
}

unsigned
server_port(const struct server *s)
{
    return s->port;
}

unsigned
server_requests(const struct server *s)
{
    return s->requests;
}

void
server_stop(struct server *s, int64_t grace_ms)
{
    if (!s)
        return;
    s->stopping = true;
    MHD_socket listener = MHD_quiesce_daemon(s->daemon);
    if (listener != MHD_INVALID_SOCKET)
        close(listener);
    int64_t until = rt_after(grace_ms);
    bool was = fiber_shield(true);
    while (s->requests) {
        struct err *e = waitq_wait(&s->ended, until);
        if (e) { /* the grace has run out */
            err_drop(e);
            break;
        }
    }
    scope_end(&s->scope);
    fiber_shield(was);
    server_run(
        s); /* what was resumed by the last handlers; the daemon may have none suspended now */
    poll_free(s->poll);
    MHD_stop_daemon(s->daemon);
    timer_free(s->timer);
    assert(!s->requests);
    free(s);
}
