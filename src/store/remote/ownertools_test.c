/* ownertools_test.c - the owner by hand of ownertest.h. */
#include "rt/file.h"
#include "store/remote/ownertest.h"

void
owner_reply(struct str *frame, int64_t id, const struct request *r)
{
    frame_begin(frame, FRAME_REPLY, id);
    reply_put(frame, r);
    frame_end(frame);
}

static void
greet(const struct owner *o, struct str *frame)
{
    static const enum frame_type types[] = {[WELCOME] = FRAME_WELCOME,
                                            [OTHER_VERSION] = FRAME_WELCOME,
                                            [OTHER_FRAME] = FRAME_NEWS,
                                            [REFUSE] = FRAME_REFUSED,
                                            [REFUSE_DUMB] = FRAME_REFUSED};
    frame_begin(frame, types[o->greeting], 0);
    if (o->greeting == REFUSE)
        put_text(frame, "not today");
    else
        put_u32(frame, o->greeting == OTHER_VERSION ? 99 : CONTROL_VERSION);
    if (o->greeting != REFUSE_DUMB)
        put_i64(frame, 0);
    frame_end(frame);
}

static struct err *
connection_serve(struct owner *o, struct wire *wire)
{
    struct frame f;
    bool end;
    AUTO(str_fini) struct str hello = STR_INIT;
    PASS(wire_read(wire, rt_after(2000), &f, &end));
    if (end || o->greeting == HANG_UP)
        return NULL;
    greet(o, &hello);
    PASS(stream_write(wire->stream, hello.p, hello.len, rt_after(2000)));
    if (o->stall && o->connections == 1) { /* says something that is no answer */
        str_reset(&hello);
        PASS(fiber_sleep(5));
        greet(o, &hello);
        PASS(stream_write(wire->stream, hello.p, hello.len, rt_after(2000)));
        return fiber_sleep(5);
    }
    for (;;) {
        struct request_in q;
        AUTO(str_fini) struct str frame = STR_INIT;
        PASS(wire_read(wire, DEADLINE_NONE, &f, &end));
        if (end)
            return NULL;
        struct bytes_in in = bytes_in(f.body, f.len);
        bool goes_on = request_get(&in, &q);
        o->requests++;
        o->retried = q.r.retry;
        goes_on = goes_on && o->answer(o, &q.r, &frame, f.id);
        request_in_fini(&q);
        if (!goes_on)
            return NULL;
        PASS(stream_write(wire->stream, frame.p, frame.len, rt_after(2000)));
    }
}

static void
owner_run(void *arg)
{
    struct owner *o = arg;
    for (;;) {
        struct wire wire = {0};
        struct err *e = listener_accept(o->listener, DEADLINE_NONE, &wire.stream);
        if (e) {
            err_drop(e);
            return;
        }
        o->connections++;
        err_drop(connection_serve(o, &wire));
        stream_close(wire.stream);
        str_fini(&wire.in);
    }
}

struct err *
owner_open(struct owner *o)
{
    AUTO(freep) char *lock = path_join(o->w->dir, "lock");
    AUTO(freep) char *path = path_join(o->w->dir, "control.sock");
    PASS(file_lock(lock, &o->lock));
    PASS(listener_open(path, &o->listener));
    scope_open_detached(&o->scope);
    scope_spawn(&o->scope, "owner", owner_run, o);
    return NULL;
}

void
owner_close(struct owner *o)
{
    scope_end(&o->scope);
    listener_close(o->listener);
    file_unlock(o->lock);
}

int ownertools_test(void); /* the Makefile calls one function per test file */
int
ownertools_test(void)
{
    return 0;
}
