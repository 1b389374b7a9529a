/* stub.c - a model that answers at once: the other end of every benchmark.
 *
 *   stub [-p port] [-d delay_ms] [-n chunks] [-i chunk_ms]
 *
 * POST .../chat/completions answers with a chat completion of about 1 KB, or, when the body says
 * "stream": true, with the same text as server-sent events in n chunks (20), chunk_ms apart (0).
 * GET /stats tells what was seen; GET /reset sets it to zero. A request may carry the header
 * X-Stub-Delay-Ms. Binds 127.0.0.1 only; port 0 (the default) takes a free one. The first line on
 * stdout is the port.
 *
 * One thread, epoll, HTTP/1.1 with keep-alive and pipelining. The requests of our benchmarks are
 * well formed; what is not is answered with 400 and the connection closed. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEAD_MAX   (64 * 1024)
#define BODY_MAX   (64 * 1024 * 1024)
#define CHUNKS_MAX 1000
#define KEEP_MAX   (64 * 1024) /* input buffers larger than this are not kept */

struct bytes {
    char *p;
    size_t len, cap;
};

struct conn {
    int fd;
    struct bytes in, out;
    size_t out_at;      /* written up to here */
    bool busy;          /* a request waits for its answer: it has an entry in the heap */
    bool stream, close; /* what that request asked for */
    int chunk;          /* the next one of a stream */
    bool wants_write;
};

struct due {
    int64_t at_ns;
    uint64_t order;
    struct conn *conn;
};

static struct {
    int epoll, listener;
    int64_t delay_ns, chunk_ns;
    int nchunks;
    struct bytes whole, chunk[CHUNKS_MAX + 1]; /* answers with their headers */
    struct due *heap;
    size_t heap_len, heap_cap;
    uint64_t order;
    long requests, inflight, inflight_max, conns, conns_max;
} stub;

static const char text[] =
    "The plan has three parts. First, collect what is known about the request and write it down in "
    "plain words, so that each later step can rely on it. Second, compare the possible answers and "
    "keep the one that needs the fewest assumptions; note why the others were dropped. Third, "
    "check "
    "the result against the numbers given at the start. All three parts are done. The answer is "
    "that the change is safe to make, that it takes about a day, and that nobody outside the team "
    "has to be asked. What remains open is the naming, which can wait until the review.";

static void
die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t
now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void
bytes_add(struct bytes *b, const void *p, size_t n)
{
    if (b->cap - b->len < n) {
        b->cap = (b->len + n) * 2;
        b->p = realloc(b->p, b->cap);
        if (!b->p)
            die("realloc");
    }
    memcpy(b->p + b->len, p, n);
    b->len += n;
}

__attribute__((format(printf, 2, 3))) static void
bytes_addf(struct bytes *b, const char *fmt, ...)
{
    char *s = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&s, fmt, ap);
    va_end(ap);
    if (n < 0)
        die("vasprintf");
    bytes_add(b, s, (size_t)n);
    free(s);
}

/* ---- answers, made once
 * -------------------------------------------------------------------------- */

static void
make_whole(void)
{
    struct bytes b = {0};
    bytes_addf(
        &b,
        "{\"id\":\"chatcmpl-stub-0001\",\"object\":\"chat.completion\",\"created\":1767225600,"
        "\"model\":\"stub\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
        "\"content\":\"%s\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
        "\"usage\":{\"prompt_tokens\":40,\"completion_tokens\":110,\"total_tokens\":150,"
        "\"prompt_tokens_details\":{\"cached_tokens\":0},"
        "\"completion_tokens_details\":{\"reasoning_tokens\":0}},"
        "\"system_fingerprint\":\"fp_stub\"}",
        text);
    bytes_addf(&stub.whole,
               "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-request-id: stub\r\n"
               "Content-Length: %zu\r\n\r\n",
               b.len);
    bytes_add(&stub.whole, b.p, b.len);
    free(b.p);
}

static void
chunk_add(struct bytes *to, const struct bytes *payload)
{
    bytes_addf(to, "%zx\r\n", payload->len);
    bytes_add(to, payload->p, payload->len);
    bytes_add(to, "\r\n", 2);
}

static const char chunk_head[] =
    "data: {\"id\":\"chatcmpl-stub-0001\",\"object\":"
    "\"chat.completion.chunk\",\"created\":1767225600,\"model\":\"stub\"";

static void
make_chunks(void)
{
    size_t len = strlen(text), n = (size_t)stub.nchunks;
    bytes_addf(&stub.chunk[0], "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                               "Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (size_t i = 0; i < n; i++) {
        size_t from = len * i / n, to = len * (i + 1) / n;
        struct bytes b = {0};
        bytes_addf(&b,
                   "%s,\"choices\":[{\"index\":0,\"delta\":{%s\"content\":\"%.*s\"},"
                   "\"finish_reason\":null}]}\n\n",
                   chunk_head, i ? "" : "\"role\":\"assistant\",", (int)(to - from), text + from);
        chunk_add(&stub.chunk[i], &b);
        free(b.p);
    }
    struct bytes b = {0};
    bytes_addf(&b,
               "%s,\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
               "%s,\"choices\":[],\"usage\":{\"prompt_tokens\":40,\"completion_tokens\":110,"
               "\"total_tokens\":150}}\n\ndata: [DONE]\n\n",
               chunk_head, chunk_head);
    chunk_add(&stub.chunk[n], &b);
    bytes_add(&stub.chunk[n], "0\r\n\r\n", 5);
    free(b.p);
}

/* ---- what is due when
 * ---------------------------------------------------------------------------- */

static bool
due_before(const struct due *a, const struct due *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void
due_push(struct conn *c, int64_t at_ns)
{
    if (stub.heap_len == stub.heap_cap) {
        stub.heap_cap = stub.heap_cap ? stub.heap_cap * 2 : 1024;
        stub.heap = realloc(stub.heap, stub.heap_cap * sizeof *stub.heap);
        if (!stub.heap)
            die("realloc");
    }
    struct due d = {at_ns, ++stub.order, c};
    size_t i = stub.heap_len++;
    for (; i && due_before(&d, &stub.heap[(i - 1) / 2]); i = (i - 1) / 2)
        stub.heap[i] = stub.heap[(i - 1) / 2];
    stub.heap[i] = d;
}

static struct conn *
due_pop(void)
{
    struct conn *first = stub.heap[0].conn;
    struct due d = stub.heap[--stub.heap_len];
    size_t i = 0;
    for (size_t k; (k = 2 * i + 1) < stub.heap_len; i = k) {
        k += k + 1 < stub.heap_len && due_before(&stub.heap[k + 1], &stub.heap[k]);
        if (!due_before(&stub.heap[k], &d))
            break;
        stub.heap[i] = stub.heap[k];
    }
    stub.heap[i] = d;
    return first;
}

/* ---- connections
 * --------------------------------------------------------------------------------- */

/* A connection with a request under way keeps its entry in the heap: it is freed when that is due.
 */
static void
conn_close(struct conn *c)
{
    if (c->fd >= 0) {
        close(c->fd);
        c->fd = -1;
        stub.conns--;
    }
    if (c->busy)
        return;
    free(c->in.p);
    free(c->out.p);
    free(c);
}

static void
conn_watch(struct conn *c, bool write)
{
    if (c->wants_write == write)
        return;
    c->wants_write = write;
    struct epoll_event e = {.events = EPOLLIN | (write ? EPOLLOUT : 0u), .data.ptr = c};
    epoll_ctl(stub.epoll, EPOLL_CTL_MOD, c->fd, &e);
}

/* False: the connection is broken. */
static bool
conn_flush(struct conn *c)
{
    while (c->out_at < c->out.len) {
        ssize_t n = send(c->fd, c->out.p + c->out_at, c->out.len - c->out_at, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            conn_watch(c, true);
            return true;
        }
        if (n < 0)
            return false;
        c->out_at += (size_t)n;
    }
    c->out.len = c->out_at = 0;
    conn_watch(c, false);
    return true;
}

static bool
conn_send(struct conn *c, const char *p, size_t n)
{
    if (!c->out.len) { /* the usual case: all of it goes at once, without a copy */
        ssize_t sent = send(c->fd, p, n, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return false;
        sent = sent < 0 ? 0 : sent;
        p += sent;
        n -= (size_t)sent;
        if (!n)
            return true;
    }
    bytes_add(&c->out, p, n);
    return conn_flush(c);
}

static bool
conn_send_small(struct conn *c, const char *status, const char *body)
{
    struct bytes b = {0};
    bytes_addf(&b, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
               status, strlen(body), body);
    bool ok = conn_send(c, b.p, b.len);
    free(b.p);
    return ok;
}

static void
request_done(struct conn *c)
{
    c->busy = false;
    stub.inflight--;
}

/* The request's answer, or the next part of it, is due. False: the connection is gone. */
static bool
conn_answer(struct conn *c)
{
    if (c->fd < 0) {
        request_done(c);
        conn_close(c);
        return false;
    }
    bool ok = true;
    if (!c->stream) {
        ok = conn_send(c, stub.whole.p, stub.whole.len);
    } else {
        do {
            const struct bytes *b = &stub.chunk[c->chunk];
            ok = conn_send(c, b->p, b->len);
        } while (ok && c->chunk++ < stub.nchunks && !stub.chunk_ns);
        if (ok && c->chunk <= stub.nchunks) {
            due_push(c, now_ns() + stub.chunk_ns);
            return true;
        }
    }
    request_done(c);
    if (ok && !(c->close && !c->out.len))
        return true;
    conn_close(c);
    return false;
}

/* ---- requests
 * ------------------------------------------------------------------------------------ */

/* The value of a header line, or NULL. */
static const char *
header_find(const char *head, const char *end, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = head; p < end;) {
        const char *eol = memchr(p, '\n', (size_t)(end - p));
        eol = eol ? eol : end;
        if ((size_t)(eol - p) > n && p[n] == ':' && strncasecmp(p, name, n) == 0) {
            for (p += n + 1; *p == ' ';)
                p++;
            return p;
        }
        p = eol + 1;
    }
    return NULL;
}

static bool
body_wants_stream(const char *body, size_t n)
{
    const char *p = memmem(body, n, "\"stream\"", 8);
    if (!p)
        return false;
    for (p += 8; p < body + n && (*p == ':' || *p == ' ');)
        p++;
    return (size_t)(body + n - p) >= 4 && memcmp(p, "true", 4) == 0;
}

static bool
stats_send(struct conn *c, bool reset)
{
    char b[256];
    snprintf(b, sizeof b,
             "{\"requests\":%ld,\"in_flight\":%ld,\"in_flight_max\":%ld,\"connections\":%ld,"
             "\"connections_max\":%ld}\n",
             stub.requests, stub.inflight, stub.inflight_max, stub.conns, stub.conns_max);
    if (reset)
        stub.requests = stub.inflight_max = stub.conns_max = 0;
    return conn_send_small(c, "200 OK", b);
}

/* Answers or queues one request that is there as a whole. False: the connection is gone. */
static bool
request_take(struct conn *c, const char *head, const char *head_end, const char *body, size_t n)
{
    const char *eol = memchr(head, '\r', (size_t)(head_end - head));
    const char *v = header_find(head, head_end, "connection");
    c->close = v && strncasecmp(v, "close", 5) == 0;
    if (memmem(head, (size_t)((eol ? eol : head_end) - head), "/chat/completions", 17)) {
        int64_t delay = stub.delay_ns;
        if ((v = header_find(head, head_end, "x-stub-delay-ms")))
            delay = (int64_t)strtol(v, NULL, 10) * 1000000;
        c->stream = body_wants_stream(body, n);
        c->chunk = 0;
        c->busy = true;
        stub.requests++;
        if (++stub.inflight > stub.inflight_max)
            stub.inflight_max = stub.inflight;
        if (delay > 0) {
            due_push(c, now_ns() + delay);
            return true;
        }
        return conn_answer(c);
    }
    bool reset = strncmp(head, "GET /reset", 10) == 0, ok;
    if (reset || strncmp(head, "GET /stats", 10) == 0)
        ok = stats_send(c, reset);
    else
        ok = conn_send_small(c, "404 Not Found", "{\"error\":{\"message\":\"no such path\"}}");
    if (ok && !c->close)
        return true;
    conn_close(c);
    return false;
}

/* The body's length, or -1 when the header is not one we read. Chunked requests are not. */
static long
body_length(const char *head, const char *head_end)
{
    const char *v = header_find(head, head_end, "content-length");
    if (!v)
        return header_find(head, head_end, "transfer-encoding") ? -1 : 0;
    char *end;
    long n = strtol(v, &end, 10);
    return end == v || n < 0 || n > BODY_MAX ? -1 : n;
}

/* Takes the whole requests from the input, one at a time. False: the connection is gone. */
static bool
conn_parse(struct conn *c)
{
    size_t at = 0;
    while (!c->busy && at < c->in.len) {
        const char *head = c->in.p + at;
        const char *head_end = memmem(head, c->in.len - at, "\r\n\r\n", 4);
        long n = head_end ? body_length(head, head_end + 2) : 0;
        if (n < 0 || (!head_end && c->in.len - at > HEAD_MAX)) {
            conn_send_small(c, "400 Bad Request", "{\"error\":{\"message\":\"cannot read this\"}}");
            conn_close(c);
            return false;
        }
        const char *body = head_end ? head_end + 4 : NULL;
        if (!body || (size_t)(c->in.p + c->in.len - body) < (size_t)n)
            break;
        at = (size_t)(body + n - c->in.p);
        if (!request_take(c, head, head_end + 2, body, (size_t)n))
            return false;
    }
    if (!at)
        return true;
    c->in.len -= at;
    memmove(c->in.p, c->in.p + at, c->in.len);
    if (!c->in.len && c->in.cap > KEEP_MAX) {
        free(c->in.p);
        c->in = (struct bytes){0};
    }
    return true;
}

/* ---- the loop
 * ------------------------------------------------------------------------------------ */

static void
accept_all(void)
{
    for (;;) {
        int one = 1, fd = accept4(stub.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct conn *c = calloc(1, sizeof *c);
        if (!c)
            die("calloc");
        c->fd = fd;
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(stub.epoll, EPOLL_CTL_ADD, fd, &e) < 0)
            die("epoll_ctl");
        if (++stub.conns > stub.conns_max)
            stub.conns_max = stub.conns;
    }
}

static void
conn_ready(struct conn *c, unsigned events)
{
    if (events & EPOLLOUT && (!conn_flush(c) || (c->close && !c->busy && !c->out.len))) {
        conn_close(c);
        return;
    }
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return;
    static char room[16 * 1024];
    ssize_t n = recv(c->fd, room, sizeof room, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0 || c->in.len > BODY_MAX + HEAD_MAX) {
        conn_close(c);
        return;
    }
    bytes_add(&c->in, room, (size_t)n);
    conn_parse(c);
}

static void
serve(void)
{
    struct epoll_event ev[256];
    for (;;) {
        struct timespec wait = {0}, *until = NULL;
        if (stub.heap_len) {
            int64_t left = stub.heap[0].at_ns - now_ns();
            left = left > 0 ? left : 0;
            wait = (struct timespec){left / 1000000000, left % 1000000000};
            until = &wait;
        }
        int n = epoll_pwait2(stub.epoll, ev, 256, until, NULL);
        if (n < 0 && errno != EINTR)
            die("epoll_pwait2");
        for (int i = 0; i < n; i++) {
            if (ev[i].data.ptr)
                conn_ready(ev[i].data.ptr, ev[i].events);
            else
                accept_all();
        }
        int64_t now = stub.heap_len ? now_ns() : 0;
        while (stub.heap_len && stub.heap[0].at_ns <= now) {
            struct conn *c = due_pop();
            if (conn_answer(c) && !c->busy)
                conn_parse(c);
        }
    }
}

static int
listen_on(int port)
{
    int one = 1;
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    stub.epoll = epoll_create1(EPOLL_CLOEXEC);
    stub.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(stub.listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(stub.listener, (void *)&a, sizeof a) < 0)
        die("bind");
    if (listen(stub.listener, 4096) < 0)
        die("listen");
    struct epoll_event e = {.events = EPOLLIN};
    if (epoll_ctl(stub.epoll, EPOLL_CTL_ADD, stub.listener, &e) < 0)
        die("epoll_ctl");
    getsockname(stub.listener, (void *)&a, &len);
    return ntohs(a.sin_port);
}

int
main(int argc, char **argv)
{
    int port = 0;
    stub.nchunks = 20;
    for (int o; (o = getopt(argc, argv, "p:d:n:i:")) != -1;) {
        switch (o) {
        case 'p':
            port = (int)strtol(optarg, NULL, 10);
            break;
        case 'd':
            stub.delay_ns = (int64_t)(atof(optarg) * 1e6);
            break;
        case 'n':
            stub.nchunks = (int)strtol(optarg, NULL, 10);
            break;
        case 'i':
            stub.chunk_ns = (int64_t)(atof(optarg) * 1e6);
            break;
        default:
            fprintf(stderr, "usage: stub [-p port] [-d delay_ms] [-n chunks] [-i chunk_ms]\n");
            return 2;
        }
    }
    if (stub.nchunks < 1 || stub.nchunks > CHUNKS_MAX) {
        fprintf(stderr, "stub: -n must be between 1 and %d\n", CHUNKS_MAX);
        return 2;
    }
    struct rlimit r;
    getrlimit(RLIMIT_NOFILE, &r);
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &r);
    signal(SIGPIPE, SIG_IGN);
    make_whole();
    make_chunks();
    printf("%d\n", listen_on(port));
    fflush(stdout);
    serve();
}
