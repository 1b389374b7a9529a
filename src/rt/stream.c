/* stream.c - pipes and Unix sockets on libuv, read and written by fibers. */
#include "rt/streamcore.h"
#include "rt/sync.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_AHEAD                                                                                 \
    ((size_t)256 * 1024) /* arrived and not yet taken; then the kernel holds the rest */
#define READ_CHUNK ((size_t)64 * 1024)

struct stream {
    uv_pipe_t pipe;
    struct str in;
    struct waitq readers, writers;
    bool reading, ended, closing, writing;
    int error;      /* of libuv; sticky */
    unsigned users; /* fibers inside a call: storage stays until they have left */
    bool closed;
    void (*on_data)(void *ctx, const char *p, size_t n);
    void *on_data_ctx;
};

static void
stream_unref(struct stream *s)
{
    if (!s->closed || s->users)
        return;
    str_fini(&s->in);
    free(s);
}

static void
stream_closed(uv_handle_t *h)
{
    struct stream *s = h->data;
    s->closed = true;
    stream_unref(s);
}

/* One buffer for all reads of a loop turn: what arrived is copied out at once. */
static void
stream_room(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    static _Thread_local char room[65536];
    (void)h, (void)suggested;
    *buf = uv_buf_init(room, READ_CHUNK);
}

static void
stream_arrived(uv_stream_t *h, ssize_t n, const uv_buf_t *buf)
{
    struct stream *s = h->data;
    if (n == 0)
        return;
    if (s->on_data) {
        s->on_data(s->on_data_ctx, n > 0 ? buf->base : NULL, n > 0 ? (size_t)n : 0);
        if (n < 0)
            uv_read_stop(h);
        return;
    }
    if (n > 0) {
        str_addn(&s->in, buf->base, (size_t)n);
    } else {
        s->ended = true;
        if (n != UV_EOF)
            s->error = (int)n;
    }
    if (s->ended || s->in.len >= READ_AHEAD) {
        uv_read_stop(h);
        s->reading = false;
    }
    waitq_wake_all(&s->readers);
}

static void
stream_start(struct stream *s)
{
    if (s->reading || s->ended || s->closing)
        return;
    int rc = uv_read_start((uv_stream_t *)&s->pipe, stream_room, stream_arrived);
    s->reading = rc == 0;
    if (rc) {
        s->ended = true;
        s->error = rc;
    }
}

static struct stream *
stream_make(void)
{
    struct stream *s = xcalloc(1, sizeof *s);
    int rc = uv_pipe_init(&rt_now->loop, &s->pipe, 0);
    assert(rc == 0);
    (void)rc;
    s->pipe.data = s;
    return s;
}

struct err *
stream_of_fd(int fd, struct stream **ret_stream)
{
    struct stream *s = stream_make();
    int rc = uv_pipe_open(&s->pipe, fd);
    if (rc) {
        close(fd);
        stream_close(s);
        return FAIL(ERR_LIMIT, "opening a pipe: %s", uv_strerror(rc));
    }
    *ret_stream = s;
    return NULL;
}

void
stream_on_data(struct stream *s, void (*fn)(void *ctx, const char *p, size_t n), void *ctx)
{
    s->on_data = fn;
    s->on_data_ctx = ctx;
    stream_start(s);
}

struct err *
stream_read(struct stream *s, int64_t deadline_ms, struct str *to, bool *ret_end)
{
    *ret_end = false;
    s->users++;
    struct err *e = NULL;
    while (!e && !s->in.len && !s->ended && !s->closing) {
        stream_start(s);
        if (!s->ended)
            e = waitq_wait(&s->readers, deadline_ms);
    }
    s->users--;
    if (!e && s->closing)
        e = FAIL(ERR_CANCELLED, "the stream was closed");
    if (!e && s->in.len) {
        if (to->len == 0) { /* the usual case costs no copy */
            struct str empty = *to;
            *to = s->in;
            s->in = empty;
            str_reset(&s->in);
        } else {
            str_addn(to, s->in.p, s->in.len);
            str_reset(&s->in);
        }
    } else if (!e) {
        *ret_end = true;
        if (s->error)
            e = FAIL(ERR_TRANSIENT, "reading from the peer: %s", uv_strerror(s->error));
    }
    if (s->closing)
        stream_unref(s);
    return e;
}

struct write {
    uv_write_t req;
    struct event done;
    int status;
    bool abandoned;
    char bytes[];
};

static void
stream_written(uv_write_t *req, int status)
{
    struct write *w = req->data;
    w->status = status;
    if (w->abandoned)
        free(w);
    else
        event_set(&w->done);
}

/* What the kernel did not take at once is copied, so that a cancelled writer can leave. */
static struct err *
write_rest(struct stream *s, const char *p, size_t n, int64_t deadline_ms)
{
    struct write *w = xcalloc(1, sizeof *w + n);
    memcpy(w->bytes, p, n);
    w->req.data = w;
    uv_buf_t buf = uv_buf_init(w->bytes, (unsigned)n);
    int rc = uv_write(&w->req, (uv_stream_t *)&s->pipe, &buf, 1, stream_written);
    assert(rc == 0); /* uv_try_write has just found nothing wrong with the stream */
    struct err *e = event_wait(&w->done, deadline_ms);
    if (!w->done.set) {
        w->abandoned = true;
        return e;
    }
    err_free(e);
    rc = w->status;
    free(w);
    if (rc)
        return FAIL(rc == UV_ECANCELED ? ERR_CANCELLED : ERR_TRANSIENT, "writing to the peer: %s",
                    uv_strerror(rc));
    return NULL;
}

struct err *
stream_write(struct stream *s, const void *bytes, size_t n, int64_t deadline_ms)
{
    const char *p = bytes;
    assert(n < UINT32_MAX);
    PASS(fiber_check());
    s->users++;
    struct err *e = NULL;
    while (!e && s->writing && !s->closing)
        e = waitq_wait(&s->writers, deadline_ms);
    if (!e && s->closing)
        e = FAIL(ERR_CANCELLED, "the stream was closed");
    if (!e) {
        s->writing = true;
        uv_buf_t buf = uv_buf_init((char *)(uintptr_t)p, (unsigned)n);
        int k = uv_try_write((uv_stream_t *)&s->pipe, &buf, 1);
        if (k < 0 && k != UV_EAGAIN)
            e = FAIL(ERR_TRANSIENT, "writing to the peer: %s", uv_strerror(k));
        else if (MAX(k, 0) < (ssize_t)n)
            e = write_rest(s, p + MAX(k, 0), n - (size_t)MAX(k, 0), deadline_ms);
        s->writing = false;
        waitq_wake_one(&s->writers);
    }
    s->users--;
    if (s->closing)
        stream_unref(s);
    return e;
}

void
stream_close(struct stream *s)
{
    if (!s || s->closing)
        return;
    s->closing = true;
    waitq_wake_all(&s->readers);
    waitq_wake_all(&s->writers);
    uv_close((uv_handle_t *)&s->pipe, stream_closed);
}

/* ---- Unix sockets ---------------------------------------------------------- */

struct listener {
    uv_pipe_t pipe;
    unsigned waiting; /* connections the kernel holds for us */
    struct waitq acceptors;
    char *path;
};

static void
listener_arrived(uv_stream_t *h, int status)
{
    struct listener *l = h->data;
    l->waiting += status == 0;
    waitq_wake_one(&l->acceptors);
}

static void
listener_closed(uv_handle_t *h)
{
    struct listener *l = h->data;
    free(l->path);
    free(l);
}

struct err *
listener_open(const char *path, struct listener **ret_listener)
{
    struct listener *l = xcalloc(1, sizeof *l);
    uv_pipe_init(&rt_now->loop, &l->pipe, 0);
    l->pipe.data = l;
    l->path = xstrdup(path);
    if (strlen(path) > 100) { /* sun_path holds 108 */
        uv_close((uv_handle_t *)&l->pipe, listener_closed);
        return FAIL(ERR_INVALID, "the socket's path '%s' is longer than 100 bytes", path);
    }
    unlink(path);
    mode_t before = umask(0177);
    int rc = uv_pipe_bind(&l->pipe, path);
    umask(before);
    if (!rc)
        rc = uv_listen((uv_stream_t *)&l->pipe, 64, listener_arrived);
    if (rc) {
        uv_close((uv_handle_t *)&l->pipe, listener_closed);
        return FAIL(rc == UV_EACCES ? ERR_DENIED : ERR_TRANSIENT, "listening on '%s': %s", path,
                    uv_strerror(rc));
    }
    *ret_listener = l;
    return NULL;
}

struct err *
listener_accept(struct listener *l, int64_t deadline_ms, struct stream **ret_stream)
{
    while (!l->waiting)
        PASS(waitq_wait(&l->acceptors, deadline_ms));
    l->waiting--;
    struct stream *s = stream_make();
    int rc = uv_accept((uv_stream_t *)&l->pipe, (uv_stream_t *)&s->pipe);
    assert(rc == 0); /* the loop holds the connection's descriptor already */
    (void)rc;
    *ret_stream = s;
    return NULL;
}

void
listener_close(struct listener *l)
{
    if (!l)
        return;
    assert(!l->acceptors.first); /* cancel the accepting fiber first */
    unlink(l->path);
    uv_close((uv_handle_t *)&l->pipe, listener_closed);
}

struct connect {
    uv_connect_t req;
    struct event done;
    int status;
};

static void
stream_connected(uv_connect_t *req, int status)
{
    struct connect *c = req->data;
    c->status = status;
    event_set(&c->done);
}

struct err *
stream_connect(const char *path, int64_t deadline_ms, struct stream **ret_stream)
{
    PASS(fiber_check());
    if (deadline_ms <= rt_now_ms())
        return FAIL(ERR_TIMEOUT, "timed out");
    if (strlen(path) > 100)
        return FAIL(ERR_INVALID, "the socket's path '%s' is longer than 100 bytes", path);
    struct stream *s = stream_make();
    struct connect c = {.status = 0};
    c.req.data = &c;
    uv_pipe_connect(&c.req, &s->pipe, path, stream_connected);
    /* A Unix socket is connected or refused at once; the loop tells it in its next turn. */
    bool was = fiber_shield(true);
    err_drop(event_wait(&c.done, DEADLINE_NONE));
    fiber_shield(was);
    if (c.status) {
        stream_close(s);
        return FAIL(c.status == UV_EACCES   ? ERR_DENIED
                    : c.status == UV_ENOENT ? ERR_MISSING
                                            : ERR_TRANSIENT,
                    "connecting to '%s': %s", path, uv_strerror(c.status));
    }
    *ret_stream = s;
    return NULL;
}
