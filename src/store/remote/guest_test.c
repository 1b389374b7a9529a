/* guest_test.c - an owner and its guests, when a guest is played by hand: it greets wrongly, asks
 * for what it may not, does not read, comes in crowds, and goes. The owner lives on. */
#include "rt/file.h"
#include "rt/rt.h"
#include "store/front.h"
#include "store/remote/wire.h"
#include "store/storetest.h"
#include <stdio.h>

struct guest {
    struct wire wire;
    struct frame got; /* the last frame */
    bool end;         /* the owner hung up */
};

static struct err *
guest_connect(struct world *w, struct guest *g)
{
    AUTO(freep) char *path = path_join(w->dir, "control.sock");
    *g = (struct guest){0};
    return stream_connect(path, rt_after(2000), &g->wire.stream);
}

static struct err *
guest_send(struct guest *g, struct str *frame)
{
    frame_end(frame);
    struct err *e = stream_write(g->wire.stream, frame->p, frame->len, rt_after(2000));
    str_reset(frame);
    return e;
}

static struct err *
guest_hear(struct guest *g)
{
    return wire_read(&g->wire, rt_after(2000), &g->got, &g->end);
}

static void
guest_leave(struct guest *g)
{
    stream_close(g->wire.stream);
    str_fini(&g->wire.in);
}

static struct err *
guest_greet(struct guest *g, const char *node, bool read_only)
{
    AUTO(str_fini) struct str frame = STR_INIT;
    frame_begin(&frame, FRAME_HELLO, 0);
    put_text(&frame, CONTROL_MAGIC);
    put_u32(&frame, CONTROL_VERSION);
    put_text(&frame, node);
    put_text(&frame, "by hand");
    put_u8(&frame, read_only);
    PASS(guest_send(g, &frame));
    return guest_hear(g);
}

/* A guest that was welcomed. */
static struct err *
guest_come(struct world *w, struct guest *g, const char *node, bool read_only)
{
    PASS(guest_connect(w, g));
    PASS(guest_greet(g, node, read_only));
    return g->got.type == FRAME_WELCOME ? NULL : FAIL(ERR_BUG, "frame %u", g->got.type);
}

static struct err *
owner_open(struct world *w, int64_t renew_ms)
{
    return store_open(&(struct store_opts){.dir = w->dir, .renew_ms = renew_ms}, &w->s);
}

/* ---- greetings ------------------------------------------------------------------------------- */

static void
greetings(struct world *w)
{
    EXPECT_OK(owner_open(w, 0));
    const struct {
        const char *node, *want;
    } row[] = {
        {"", "the hello is malformed"},
        {NULL, "the hello is malformed"},
        {"a name that is longer than any node's", "the hello is malformed"},
        {w->s->node, "two processes have the same node id"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct guest g;
        EXPECT_OK(guest_connect(w, &g));
        EXPECT_OK(guest_greet(&g, row[i].node, false));
        struct bytes_in in = bytes_in(g.got.body, g.got.len);
        bool right = g.got.type == FRAME_REFUSED && str_eq(get_text(&in), row[i].want);
        EXPECT(right);
        EXPECT_OK(guest_hear(&g));
        EXPECT(g.end);
        guest_leave(&g);
    }
    struct guest silent;
    EXPECT_OK(guest_connect(w, &silent));
    guest_leave(&silent);
    err_drop(fiber_sleep(2));
    struct store_lease l;
    EXPECT_OK(test_run(w, w->s, &l));
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* Who came for reading only reads, and changes nothing. */
static void
reads_only(struct world *w)
{
    struct guest g;
    struct store_lease l;
    AUTO(str_fini) struct str frame = STR_INIT;
    EXPECT_OK(owner_open(w, 0));
    EXPECT_OK(test_run(w, w->s, &l));
    EXPECT_OK(guest_come(w, &g, "reader", true));
    static const enum op ops[] = {OP_CANCEL, OP_SIGNALS};
    for (size_t i = 0; i < COUNT(ops); i++) {
        struct request r = {.op = ops[i], .id = l.id};
        AUTO(request_fini) struct request answer = {.op = ops[i]};
        frame_begin(&frame, FRAME_REQUEST, 70 + (int64_t)i);
        request_put(&frame, &r);
        EXPECT_OK(guest_send(&g, &frame));
        EXPECT_OK(guest_hear(&g));
        EXPECT(g.got.type == FRAME_REPLY && g.got.id == 70 + (int64_t)i);
        struct bytes_in in = bytes_in(g.got.body, g.got.len);
        EXPECT(reply_get(&in, &answer));
        if (ops[i] == OP_CANCEL)
            EXPECT_ERR(STEAL(answer.err), ERR_DENIED);
        EXPECT(!answer.err);
    }
    int cancel = -1;
    EXPECT_OK(store_cancel_state(w->s, l.id, &cancel));
    EXPECT(cancel == 0);
    /* And what is no request ends it. */
    frame_begin(&frame, FRAME_NEWS, 0);
    EXPECT_OK(guest_send(&g, &frame));
    EXPECT_OK(guest_hear(&g));
    EXPECT(g.end);
    guest_leave(&g);
    EXPECT_OK(test_step(w->s, &l, "goes on"));
}

/* ---- news ------------------------------------------------------------------------------------ */

/* More news at once than are kept for one guest: it is told to look at all its runs, and then of
 * what comes later by name again. */
static void
news(struct world *w)
{
    struct guest g, silent;
    EXPECT_OK(owner_open(w, 0));
    EXPECT_OK(guest_come(w, &g, "guest", false));
    EXPECT_OK(guest_connect(w, &silent)); /* not greeted yet: it hears nothing */
    err_drop(fiber_sleep(1));
    for (int i = 0; i < 5000; i++)
        store_news(w->s, "RUN-1");
    EXPECT_OK(guest_hear(&g));
    struct bytes_in in = bytes_in(g.got.body, g.got.len);
    EXPECT(g.got.type == FRAME_NEWS && get_text(&in) == NULL && bytes_in_done(&in));
    store_news(w->s, "RUN-2");
    EXPECT_OK(guest_hear(&g));
    in = bytes_in(g.got.body, g.got.len);
    EXPECT(g.got.type == FRAME_NEWS && str_eq(get_text(&in), "RUN-2"));
    guest_leave(&g);
    bool end;
    AUTO(str_fini) struct str nothing = STR_INIT;
    EXPECT_ERR(stream_read(silent.wire.stream, rt_after(2), &nothing, &end), ERR_TIMEOUT);
    guest_leave(&silent);
}

/* ---- crowds ---------------------------------------------------------------------------------- */

#define ROOM 64

static void
crowds(struct world *w)
{
    static struct guest g[ROOM];
    struct guest more;
    char node[RUN_ID_LEN];
    EXPECT_OK(owner_open(w, 0));
    for (int i = 0; i < ROOM; i++) {
        snprintf(node, sizeof node, "guest-%d", i);
        EXPECT_OK(guest_come(w, &g[i], node, false));
    }
    EXPECT_OK(guest_connect(w, &more));
    EXPECT_OK(guest_hear(&more)); /* one too many: hung up on at once */
    EXPECT(more.end);
    guest_leave(&more);
    guest_leave(&g[7]);
    struct err *e = NULL;
    for (int i = 0; i < 200; i++) { /* there is room again as soon as its leaving was seen */
        err_free(e);
        e = guest_come(w, &g[7], "late", false);
        if (!e)
            break;
        guest_leave(&g[7]);
        err_drop(fiber_sleep(1));
    }
    EXPECT_OK(e);
    for (int i = 0; i < ROOM; i++)
        guest_leave(&g[i]);
}

/* ---- leases ---------------------------------------------------------------------------------- */

static bool
commits_grow(struct store *s, int64_t ms)
{
    struct store_numbers before, after;
    store_numbers(s, &before);
    err_drop(fiber_sleep(ms));
    store_numbers(s, &after);
    return after.commits > before.commits;
}

/* Nothing is written for a hundred times as long as a renewal is apart from the next. */
static bool
comes_to_rest(struct store *s)
{
    int left = 50;
    while (left && commits_grow(s, 100))
        left--;
    return left > 0;
}

static bool
comes_to_life(struct store *s)
{
    int left = 500;
    while (left && !commits_grow(s, 10))
        left--;
    return left > 0;
}

/* While somebody is connected the leases are renewed. When the last one has gone, what it had is
 * looked after for a while; then nothing is written any more. */
static void
ticks(struct world *w)
{
    struct guest g, reader;
    EXPECT_OK(owner_open(w, 1));
    EXPECT_OK(guest_come(w, &reader, "reader", true));
    EXPECT(comes_to_rest(w->s)); /* a reader has no leases */
    EXPECT_OK(guest_come(w, &g, "guest", false));
    EXPECT(comes_to_life(w->s));
    EXPECT(comes_to_life(w->s));
    guest_leave(&g);
    EXPECT(comes_to_rest(w->s));
    guest_leave(&reader);
}

static scenario_fn now;

static void
then_close(struct world *w)
{
    now(w);
    store_close(w->s);
}

static void
each(void **state)
{
    (void)state;
    static const scenario_fn fn[] = {greetings, reads_only, news, crowds, ticks};
    for (size_t i = 0; i < COUNT(fn); i++) {
        struct world w = {.dir = test_dir_new()};
        now = fn[i];
        test_in_fiber(&w, false, then_close);
        test_dir_free(w.dir);
    }
}

TESTS(guest_test, cmocka_unit_test(each))
