/* testworld.h - for the tests of this folder: a runtime with the client in it, checks inside
 * fibers, and peers that speak whatever bytes a test wants on a real socket of the loopback.
 *
 * cmocka leaves a failed test by longjmp, which a fiber's stack must not see: CHECK notes the first
 * failure, and world_run asserts on the main stack that there was none. */
#ifndef NET_TESTWORLD_H
#define NET_TESTWORLD_H
#include "base/test.h"
#include "net/client.h"
#include "rt/fiber.h"
#include "rt/http.h"
#include "rt/rt.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define UNUSED_FN UNUSED static

static char world_failure[1024];

UNUSED_FN void
world_fail(const char *file, int line, const char *what, const char *more)
{
    if (!world_failure[0])
        snprintf(world_failure, sizeof world_failure, "%s:%d: %s (%s)", file, line, what, more);
}

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond))                                                                               \
            world_fail(__FILE__, __LINE__, #cond, "does not hold");                                \
    } while (0)
#define CHECK_OK(call)                                                                             \
    do {                                                                                           \
        struct err *check_e_ = (call);                                                             \
        if (check_e_) {                                                                            \
            char *check_t_ = err_text(check_e_);                                                   \
            world_fail(__FILE__, __LINE__, #call, check_t_);                                       \
            free(check_t_);                                                                        \
            err_free(check_e_);                                                                    \
        }                                                                                          \
    } while (0)
/* The call fails with this kind, this doubt, and a text that contains `part`. */
#define CHECK_ERR(call, want_kind, want_doubt, part)                                               \
    world_check_err(__FILE__, __LINE__, #call, (call), want_kind, want_doubt, part)

UNUSED_FN void
world_check_err(const char *file, int line, const char *call, struct err *e, enum err_kind kind,
                bool doubt, const char *part)
{
    AUTO(freep) char *text = e ? err_text(e) : xstrdup("");
    AUTO(freep)
    char *got = e ? xasprintf("%s%s: %s; wanted: %s%s: %s", err_kind_name(err_kind(e)),
                              err_in_doubt(e) ? " in doubt" : "", text, err_kind_name(kind),
                              doubt ? " in doubt" : "", part)
                  : xasprintf("no error; wanted: %s", part);
    if (!e || err_kind(e) != kind || err_in_doubt(e) != doubt || !strstr(text, part))
        world_fail(file, line, call, got);
    err_free(e);
}

struct world {
    void (*fn)(void);
    struct net_client_opts client;
};

UNUSED_FN void
world_main(void *arg)
{
    const struct world *w = arg;
    net_client_install(&w->client);
    w->fn();
    struct net_client_stats stats;
    net_client_stats(&stats);
    CHECK(stats.in_flight == 0);
    net_client_remove();
}

/* Runs fn in a fiber of a fresh runtime with a client, and fails if one of its checks did. */
UNUSED_FN void
world_run(void (*fn)(void))
{
    struct rt *rt;
    struct world w = {.fn = fn};
    world_failure[0] = '\0';
    assert_ok(rt_open(&(struct rt_opts){0}, &rt));
    rt_run(rt, world_main, &w);
    rt_close(rt);
    if (world_failure[0])
        fail_msg("%s", world_failure);
}

/* ---- raw sockets: tried again each millisecond, which is enough for tests
 * ------------------------- */

UNUSED_FN int
raw_listen(unsigned *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&a, len) == 0 && listen(fd, 100) == 0);
    getsockname(fd, (struct sockaddr *)&a, &len);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

UNUSED_FN int
raw_accept(int listener) /* -1: cancelled */
{
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            return fd;
        struct err *e = fiber_sleep(1);
        if (e) {
            err_free(e);
            return -1;
        }
    }
}

UNUSED_FN int
raw_connect(unsigned port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* loopback connects at once */
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
    return fd;
}

UNUSED_FN void
raw_send(int fd, const char *text)
{
    ssize_t n = send(fd, text, strlen(text), MSG_NOSIGNAL);
    CHECK(n == (ssize_t)strlen(text));
}

/* Reads until `mark` has been seen (NULL: until the end) or 3 s have passed. False: no mark. */
UNUSED_FN bool
raw_read(int fd, const char *mark, struct str *to)
{
    char b[1024];
    for (int i = 0; i < 3000 && !world_failure[0]; i++) {
        ssize_t n = recv(fd, b, sizeof b, MSG_DONTWAIT);
        if (n > 0)
            str_addn(to, b, (size_t)n);
        if (mark && strstr(str_c(to), mark))
            return true;
        if (n == 0 || (n < 0 && errno != EAGAIN))
            return !mark;
        if (n < 0) {
            struct err *e = fiber_sleep(1);
            if (e) {
                err_free(e);
                return false;
            }
        }
    }
    return false;
}

#endif
