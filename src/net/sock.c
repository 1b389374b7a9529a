/* sock.c - curl's sockets on the loop.
 *
 * A kept connection stays armed for reading between two transfers: disarming and arming it again
 * would be two system calls for each call. When an idle one does become readable (the server closed
 * it, as a rule) it is disarmed then; curl notices by itself when it wants to use it again. */
#include "net/clientcore.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sock *
sock_new(struct client *c, int fd, bool ours)
{
    while (c->socks.len <= (size_t)fd)
        vec_push(&c->socks, NULL);
    struct sock *s = xcalloc(1, sizeof *s);
    s->client = c;
    s->fd = fd;
    s->ours = ours;
    c->socks.at[fd] = s;
    return s;
}

struct sock *
sock_get(struct client *c, int fd)
{
    return fd >= 0 && (size_t)fd < c->socks.len ? c->socks.at[fd] : NULL;
}

static void
sock_free(struct sock *s)
{
    s->client->socks.at[s->fd] = NULL;
    if (s->poll)
        poll_free(s->poll);
    free(s);
}

curl_socket_t
sock_open(void *call, curlsocktype purpose, struct curl_sockaddr *addr)
{
    struct call *c = call;
    struct client *client = c->shard->host->client;
    (void)purpose;
    int fd = socket(addr->family, addr->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, addr->protocol);
    if (fd < 0) {
        c->os_error = errno;
        return CURL_SOCKET_BAD;
    }
    c->os_error = 0; /* of an address tried before */
    client->connects++;
    sock_new(client, fd, true);
    return fd;
}

int
sock_close(void *client, curl_socket_t fd)
{
    struct sock *s = sock_get(client, fd);
    if (s)
        sock_free(s);
    return close(fd);
}

static void
sock_want(struct sock *s, unsigned want)
{
    if (s->poll && s->want != want)
        poll_want(s->poll, want);
    s->want = want;
}

static void
sock_ready(void *sock, unsigned events)
{
    struct sock *s = sock;
    if (s->idle) {
        sock_want(s, 0);
        return;
    }
    int to_curl = (events & POLL_READ ? CURL_CSELECT_IN : 0) |
                  (events & POLL_WRITE ? CURL_CSELECT_OUT : 0) |
                  (events & POLL_HANGUP ? CURL_CSELECT_ERR : 0);
    shard_event(s->shard, s->fd, to_curl);
}

int
sock_changed(CURL *easy, curl_socket_t fd, int what, void *shard, void *unused)
{
    struct shard *of = shard;
    struct sock *s = sock_get(of->host->client, fd);
    (void)easy, (void)unused;
    if (what == CURL_POLL_REMOVE) {
        if (!s)
            return 0;
        s->idle = true;
        if (!s->ours)
            sock_free(s); /* curl closes it without telling */
        else if (s->want & POLL_WRITE)
            sock_want(s, POLL_READ); /* an idle socket is always writable */
        return 0;
    }
    if (!s)
        s = sock_new(of->host->client, fd, false);
    if (!s->poll) {
        struct err *e = poll_new(fd, sock_ready, s, &s->poll);
        if (e) { /* the call will end by its deadline */
            err_drop(e);
            return 0;
        }
    }
    s->shard = of;
    s->idle = false;
    sock_want(s, (what & CURL_POLL_IN ? POLL_READ : 0) | (what & CURL_POLL_OUT ? POLL_WRITE : 0));
    return 0;
}
