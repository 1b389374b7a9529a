/* stream_test.c - streams whose other end hangs, goes away, or never was one. */
#include "rt/fiber.h"
#include "rt/file.h"
#include "rt/rttest.h"
#include "rt/streamcore.h"
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define LARGE ((size_t)1 << 20) /* more than the kernel takes at once */

static int
pair_open(struct stream **ret_stream)
{
    int ends[2];
    int rc = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
    assert(rc == 0);
    (void)rc;
    struct err *e = stream_of_fd(ends[0], ret_stream);
    assert(!e);
    (void)e;
    return ends[1];
}

/* ---- what is no stream ----------------------------------------------------------------------- */

static void
wrong_cases(void *arg)
{
    struct seen *s = arg;
    struct stream *x = NULL;
    struct listener *l = NULL;
    bool end;
    AUTO(str_fini) struct str in = STR_INIT;
    AUTO(freep) char *path = xasprintf("/tmp/%0101d", 1);
    say_text(s, stream_of_fd(9999, &x));
    int ends[2];
    say_text(s, pipe2(ends, O_CLOEXEC) == 0 ? stream_of_fd(ends[1], &x) : NULL);
    say_text(s, stream_read(x, rt_after(1000), &in, &end)); /* the end that is written */
    stream_close(x);
    say_text(s, stream_of_fd(ends[0], &x));
    say_text(s, stream_write(x, "x", 1, rt_after(1000)));
    stream_close(x);
    stream_close(NULL);
    say_text(s, stream_connect(path, rt_after(1000), &x));
    say_text(s, listener_open(path, &l));
    say_text(s, listener_open("/nonexistent/x.sock", &l));
    listener_close(NULL);
}

static void
wrong(void **state)
{
    (void)state;
    struct seen s = {0};
    in_world(false, 0, wrong_cases, &s);
    AUTO(freep)
    char *longer = xasprintf("the socket's path '/tmp/%0101d' is longer than 100 bytes", 1);
    AUTO(freep)
    char *want = xasprintf("limit: opening a pipe: bad file descriptor;"
                           "ok;transient: reading from the peer: socket is not connected;"
                           "ok;transient: writing to the peer: broken pipe;"
                           "invalid: %s;invalid: %s;"
                           "denied: listening on '/nonexistent/x.sock': permission denied;",
                           longer, longer);
    assert_string_equal(str_c(&s.log), want);
    str_fini(&s.log);
}

/* ---- peers that hang or go ------------------------------------------------------------------- */

struct writing {
    struct seen *s;
    struct stream *stream;
    const char *bytes;
    size_t n;
    int64_t deadline_ms;
    char who;
};

static void
write_run(void *arg)
{
    struct writing *w = arg;
    struct err *e = stream_write(w->stream, w->bytes, w->n, w->deadline_ms);
    str_addf(&w->s->log, "%c ", w->who);
    say_text(w->s, e);
}

/* Two fibers write to a peer that does not read. */
static void
two_write(struct seen *s, struct stream *stream, struct scope *scope, struct writing w[2])
{
    static char large[LARGE];
    memset(large, 'a', sizeof large);
    w[0] = (struct writing){s, stream, large, LARGE, DEADLINE_NONE, '1'};
    w[1] = (struct writing){s, stream, "bb", 2, DEADLINE_NONE, '2'};
    scope_open(scope, DEADLINE_NONE);
    scope_spawn(scope, "first", write_run, &w[0]);
    scope_spawn(scope, "second", write_run, &w[1]);
    err_drop(fiber_sleep(1));
}

static void
hang_cases(void *arg)
{
    struct seen *s = arg;
    struct stream *x;
    struct scope scope;
    struct writing w[2];
    /* It never reads: the writer leaves when its time is up, its bytes stay with the loop. */
    int peer = pair_open(&x);
    AUTO(freep) char *bytes = xcalloc(1, LARGE);
    say_text(s, stream_write(x, bytes, LARGE, rt_after(5)));
    stream_close(x);
    close(peer);
    /* It reads in the end: both come, whole and in order. */
    peer = pair_open(&x);
    two_write(s, x, &scope, w);
    str_add(&s->log, "reads ");
    struct stream *y;
    bool end = false;
    AUTO(str_fini) struct str in = STR_INIT;
    struct err *e = stream_of_fd(peer, &y);
    while (!e && !end && in.len < LARGE + 2)
        e = stream_read(y, rt_after(5000), &in, &end);
    err_drop(scope_close(&scope));
    say_text(s, e);
    str_addf(&s->log, "%s;",
             in.len == LARGE + 2 && !memchr(in.p, 'b', LARGE) && memcmp(in.p + LARGE, "bb", 2) == 0
                 ? "whole"
                 : "mixed");
    stream_close(y);
    stream_close(x);
    /* It goes away: who writes is told, and who writes next. */
    peer = pair_open(&x);
    two_write(s, x, &scope, w);
    close(peer);
    err_drop(scope_close(&scope));
    stream_close(x);
    /* We close it ourselves. */
    peer = pair_open(&x);
    two_write(s, x, &scope, w);
    stream_close(x);
    err_drop(scope_close(&scope));
    close(peer);
}

static void
hanging(void **state)
{
    (void)state;
    struct seen s = {0};
    in_world(false, 0, hang_cases, &s);
    assert_string_equal(str_c(&s.log), "timeout: timed out;"
                                       "reads 1 ok;2 ok;ok;whole;"
                                       "1 transient: writing to the peer: broken pipe;"
                                       "2 transient: writing to the peer: broken pipe;"
                                       "2 cancelled: the stream was closed;"
                                       "1 cancelled: writing to the peer: operation canceled;");
    str_fini(&s.log);
}

/* Nothing of a connection that was given up is left behind; another one works. */
static void
connect_cases(void *arg)
{
    struct seen *s = arg;
    struct stream *x;
    struct listener *l;
    AUTO(freep) char *path = xasprintf("/tmp/tutti-stream-test-%d.sock", (int)getpid());
    struct err *e = listener_open(path, &l);
    if (e) {
        say_text(s, e);
        return;
    }
    say_text(s, stream_connect(path, rt_now_ms(), &x));
    e = stream_connect(path, rt_after(1000), &x);
    bool connected = !e;
    say_text(s, e);
    if (connected)
        stream_close(x);
    listener_close(l);
}

static void
connecting(void **state)
{
    (void)state;
    struct seen s = {0};
    in_world(false, 0, connect_cases, &s);
    assert_string_equal(str_c(&s.log), "timeout: timed out;ok;");
    str_fini(&s.log);
}

/* ---- bytes that somebody else took ----------------------------------------------------------- */

struct heard {
    struct str bytes;
    int ends;
    int thief; /* takes what is there for the other one; -1: no more */
};

static void
hear(void *ctx, const char *p, size_t n)
{
    struct heard *h = ctx;
    char room[8];
    if (h->thief >= 0)
        str_addf(&h->bytes, "took %d;", (int)read(h->thief, room, sizeof room));
    h->thief = -1;
    h->ends += n == 0;
    if (n)
        str_addn(&h->bytes, p, n);
}

/* The loop was told that there is something to read, and then there is not: this is not the end. */
static void
spurious_cases(void *arg)
{
    struct seen *s = arg;
    struct stream *a, *b;
    int to_a = pair_open(&a), to_b = pair_open(&b), fd = -1;
    uv_fileno((uv_handle_t *)b, &fd); /* a stream begins with its handle */
    struct heard of_a = {.thief = fcntl(fd, F_DUPFD_CLOEXEC, 3)}, of_b = {.thief = -1};
    int thief = of_a.thief;
    stream_on_data(a, hear, &of_a);
    stream_on_data(b, hear, &of_b);
    bool wrote = write(to_a, "aa", 2) == 2 && write(to_b, "bb", 2) == 2;
    err_drop(fiber_sleep(1));
    wrote = wrote && write(to_b, "cc", 2) == 2;
    err_drop(fiber_sleep(1));
    str_addf(&s->log, "%d a: %s %d b: %s %d;", wrote, str_c(&of_a.bytes), of_a.ends,
             str_c(&of_b.bytes), of_b.ends);
    close(to_b);
    err_drop(fiber_sleep(1));
    str_addf(&s->log, "b: %s %d", str_c(&of_b.bytes), of_b.ends);
    close(to_a);
    close(thief);
    stream_close(a);
    stream_close(b);
    str_fini(&of_a.bytes);
    str_fini(&of_b.bytes);
}

static void
spurious(void **state)
{
    (void)state;
    struct seen s = {0};
    in_world(false, 0, spurious_cases, &s);
    assert_string_equal(str_c(&s.log), "1 a: took 2;aa 0 b: cc 0;b: cc 1");
    str_fini(&s.log);
}

TESTS(stream_test, cmocka_unit_test(wrong), cmocka_unit_test(hanging), cmocka_unit_test(connecting),
      cmocka_unit_test(spurious))
