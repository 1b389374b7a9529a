/* tortureledger.c - the outside world of `tutti torture`: carries effects out and keeps count.
 *
 * HTTP/1.1 (RFC 9112) as far as our own client uses it: one request at a time on a connection, a
 * body with Content-Length. Any request with an Idempotency-Key is an effect: one synced line, then
 * the answer, a little later; now and then the connection breaks instead of a POST's answer. It
 * never refuses a key it has seen: counting them is what it is for. */
#include "cli/torture.h"
#include "rt/file.h"
#include "rt/rt.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX   1024
#define REQUEST_BYTES_MAX ((size_t)1 << 20)
#define LINE_BYTES        64
#define LEDGER_BYTES_MAX  ((size_t)1 << 30)
#define ANSWER_MS_MAX     8
#define DROP_ONE_OF       200 /* POSTs that are carried out and not answered */

struct connection {
    int fd;
    struct str in;
    int64_t answer_at; /* 0: nothing to answer */
    bool drop;
};
struct ledger {
    int file, listener, port;
    uint64_t chance;
    VEC(struct connection *) connections;
    struct pollfd polled[CONNECTIONS_MAX + 2];
};

/* A kill cuts a write short where it enters the next page of the file. No line does: their length
 * divides a page's. */
bool
ledger_append(int fd, const char *life, const char *key)
{
    char line[LINE_BYTES + 1];
    if (snprintf(line, sizeof line, "%-*s %s\n", LINE_BYTES - TORTURE_KEY_LEN - 2, life, key) !=
        LINE_BYTES)
        return false;
    return write(fd, line, LINE_BYTES) == LINE_BYTES && fdatasync(fd) == 0;
}

struct err *
ledger_read(const char *path, size_t *offset, ledger_line_fn fn, void *ctx)
{
    AUTO(str_fini) struct str text = STR_INIT;
    PASS(file_read(path, LEDGER_BYTES_MAX, &text));
    while (*offset < text.len) {
        char *line = text.p + *offset, *end = memchr(line, '\n', text.len - *offset), *key;
        if (!end)
            break;
        *end = '\0';
        unsigned life = (unsigned)strtoul(line, &key, 10);
        key += strspn(key, " ");
        if (end - line != LINE_BYTES - 1 || strlen(key) != TORTURE_KEY_LEN)
            return FAIL(ERR_INVALID, "a line of the ledger is torn: '%s'", line);
        fn(ctx, life, key);
        *offset += (size_t)(end - line) + 1;
    }
    return NULL;
}

/* ---- one connection -------------------------------------------------------------------------- */

static unsigned
chance_below(struct ledger *l, unsigned n)
{
    l->chance = l->chance * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
    return (unsigned)((l->chance >> 33) % n);
}

static void
connection_free(struct connection *c)
{
    close(c->fd);
    str_fini(&c->in);
    free(c);
}

/* The value of a header of the request in `in`, or "". */
static void
header_of(const struct str *in, const char *name, char *to, size_t size)
{
    AUTO(freep) char *wanted = xasprintf("\r\n%s:", name);
    const char *p = strcasestr(str_c(in), wanted);
    to[0] = '\0';
    if (!p)
        return;
    p += strlen(wanted);
    p += strspn(p, " ");
    snprintf(to, size, "%.*s", (int)strcspn(p, "\r"), p);
}

/* True when a whole request was there; it is carried out. */
static bool
request_take(struct ledger *l, struct connection *c)
{
    char length[16], key[64], life[16];
    const char *body = strstr(str_c(&c->in), "\r\n\r\n");
    if (!body)
        return false;
    header_of(&c->in, "Content-Length", length, sizeof length);
    size_t whole = (size_t)(body + 4 - c->in.p) + strtoul(length, NULL, 10);
    if (c->in.len < whole)
        return false;
    header_of(&c->in, "Idempotency-Key", key, sizeof key);
    header_of(&c->in, "X-Life", life, sizeof life);
    c->drop = str_starts(c->in.p, "POST") && chance_below(l, DROP_ONE_OF) == 0;
    if (*key && !ledger_append(l->file, *life ? life : "0", key))
        c->drop = true;
    c->answer_at = rt_now_ms() + chance_below(l, ANSWER_MS_MAX + 1);
    str_cut(&c->in, whole);
    return true;
}

/* False: the connection is over. What a killed client had sent is still carried out. */
static bool
connection_read(struct ledger *l, struct connection *c)
{
    char room[2048];
    for (;;) {
        ssize_t n = read(c->fd, room, sizeof room);
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n > 0)
            str_addn(&c->in, room, (size_t)n);
        if (n <= 0 || c->in.len > REQUEST_BYTES_MAX) {
            while (request_take(l, c))
                ;
            return false;
        }
        if (!c->answer_at)
            request_take(l, c);
    }
}

static bool
connection_answer(struct connection *c)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                 "Content-Length: 12\r\n\r\n{\"ok\": true}";
    c->answer_at = 0;
    return !c->drop && write(c->fd, answer, sizeof answer - 1) == sizeof answer - 1;
}

/* ---- the server ------------------------------------------------------------------------------ */

static void
connections_accept(struct ledger *l)
{
    for (;;) {
        int fd = accept4(l->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        struct connection *c = xcalloc(1, sizeof *c);
        c->fd = fd;
        vec_push(&l->connections, c);
        if (l->connections.len > CONNECTIONS_MAX)
            connection_free(vec_pop(&l->connections));
    }
}

/* Answers what is due; returns when the next answer is. */
static int64_t
connections_turn(struct ledger *l, const struct pollfd *polled, size_t n)
{
    int64_t next = INT64_MAX, now = rt_now_ms();
    for (size_t i = n; i-- > 0;) {
        struct connection *c = l->connections.at[i];
        bool open = !polled[i].revents || connection_read(l, c);
        if (open && c->answer_at && c->answer_at <= now)
            open = connection_answer(c);
        if (open) {
            next = c->answer_at ? MIN(next, c->answer_at) : next;
            continue;
        }
        connection_free(c);
        l->connections.at[i] = vec_last(&l->connections);
        l->connections.len--;
    }
    return next;
}

bool
ledger_serve(struct ledger *l, int fd, int64_t ms)
{
    int64_t until = rt_now_ms() + ms, next = rt_now_ms();
    struct pollfd *p = l->polled;
    for (;;) {
        size_t n = l->connections.len;
        for (size_t i = 0; i < n; i++)
            p[i] = (struct pollfd){.fd = l->connections.at[i]->fd, .events = POLLIN};
        p[n] = (struct pollfd){.fd = l->listener, .events = POLLIN};
        p[n + 1] = (struct pollfd){.fd = fd, .events = POLLIN};
        int64_t left = MIN(until, next) - rt_now_ms();
        if (poll(p, n + 2, left > 0 ? (int)left : 0) < 0)
            return false; /* a signal: the caller looks what it was */
        bool ready = p[n + 1].revents;
        if (p[n].revents)
            connections_accept(l);
        next = connections_turn(l, p, n);
        if (ready || rt_now_ms() >= until)
            return ready;
    }
}

static struct err *
listener_make(struct ledger *l)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    l->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->listener < 0 || bind(l->listener, (struct sockaddr *)&at, n) != 0 ||
        listen(l->listener, CONNECTIONS_MAX) != 0 ||
        getsockname(l->listener, (struct sockaddr *)&at, &n) != 0)
        return FAIL(ERR_TRANSIENT, "no port for the ledger: %s", strerror(errno));
    l->port = ntohs(at.sin_port);
    return NULL;
}

struct err *
ledger_open(const char *path, uint64_t seed, struct ledger **ret_ledger)
{
    struct ledger *l = xcalloc(1, sizeof *l);
    l->chance = seed;
    l->listener = -1;
    l->file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    struct err *e = l->file < 0 ? FAIL(ERR_DENIED, "'%s': %s", path, strerror(errno)) : NULL;
    if (!e)
        e = listener_make(l);
    if (e) {
        ledger_close(l);
        return e;
    }
    *ret_ledger = l;
    return NULL;
}

void
ledger_close(struct ledger *l)
{
    if (!l)
        return;
    vec_each (&l->connections, c)
        connection_free(*c);
    vec_fini(&l->connections);
    if (l->listener >= 0)
        close(l->listener);
    if (l->file >= 0)
        close(l->file);
    free(l);
}

int
ledger_port(const struct ledger *l)
{
    return l->port;
}

size_t
ledger_open_connections(const struct ledger *l)
{
    return l->connections.len;
}
