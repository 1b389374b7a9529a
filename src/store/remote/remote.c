/* remote.c - the client's side of the control socket. */
#include "store/remote/remote.h"
#include "base/vec.h"
#include "rt/rt.h"
#include "rt/sync.h"
#include "store/remote/wire.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MS 60000 /* an owner that is silent that long counts as gone */

struct slot { /* of a request under way; its frame's number is index and generation */
    struct request *r;
    struct event done;
    uint32_t generation;
    bool busy;
};

struct remote {
    struct remote_opts opts;
    struct wire wire;
    bool gone, closing;
    VEC(struct slot *) slots;
    VEC(uint32_t) free_slots;
    struct scope scope; /* the reader */
    struct store_numbers numbers;
};

/* ---- slots ----------------------------------------------------------------------------------- */

static struct slot *
slot_take(struct remote *rm, struct request *r, int64_t *ret_id)
{
    if (!rm->free_slots.len) {
        uint32_t index = (uint32_t)rm->slots.len;
        vec_push(&rm->slots, (struct slot *)xcalloc(1, sizeof(struct slot)));
        vec_push(&rm->free_slots, index);
    }
    uint32_t index = vec_pop(&rm->free_slots);
    struct slot *slot = rm->slots.at[index];
    slot->r = r;
    slot->busy = true;
    slot->generation++;
    slot->done = (struct event){0};
    *ret_id = (int64_t)((uint64_t)(slot->generation & INT32_MAX) << 32 | index);
    return slot;
}

static void
slot_give(struct remote *rm, struct slot *slot, int64_t id)
{
    slot->busy = false;
    slot->r = NULL;
    vec_push(&rm->free_slots, (uint32_t)id);
}

static struct slot *
slot_find(struct remote *rm, int64_t id)
{
    uint32_t index = (uint32_t)id, generation = (uint32_t)((uint64_t)id >> 32);
    if (id < 0 || index >= rm->slots.len)
        return NULL;
    struct slot *slot = rm->slots.at[index];
    bool right = slot->busy && !slot->done.set && (slot->generation & INT32_MAX) == generation;
    return right ? slot : NULL;
}

/* ---- the connection -------------------------------------------------------------------------- */

static void
remote_break(struct remote *rm)
{
    if (rm->gone)
        return;
    rm->gone = true;
    stream_close(rm->wire.stream);
    vec_each (&rm->slots, slot) {
        if ((*slot)->busy && !(*slot)->done.set) {
            (*slot)->r->gone = true;
            event_set(&(*slot)->done);
        }
    }
    if (!rm->closing)
        rm->opts.on_gone(rm->opts.ctx);
}

static bool
reply_take(struct remote *rm, const struct frame *f)
{
    struct slot *slot = slot_find(rm, f->id);
    struct bytes_in in = bytes_in(f->body, f->len);
    if (!slot || !reply_get(&in, slot->r))
        return false;
    event_set(&slot->done);
    return true;
}

static bool
news_take(struct remote *rm, const struct frame *f)
{
    struct bytes_in in = bytes_in(f->body, f->len);
    const char *id = get_text(&in);
    if (!bytes_in_done(&in))
        return false;
    rm->opts.news(rm->opts.ctx, id);
    return true;
}

static void
remote_listen(void *arg)
{
    struct remote *rm = arg;
    bool end = false, fine = true;
    while (fine && !rm->gone) {
        struct frame f;
        struct err *e = wire_read(&rm->wire, DEADLINE_NONE, &f, &end);
        fine = !e && !end;
        err_free(e);
        if (fine)
            fine = (f.type == FRAME_REPLY && reply_take(rm, &f)) ||
                   (f.type == FRAME_NEWS && news_take(rm, &f));
    }
    remote_break(rm);
}

static struct err *
hello(struct remote *rm, int64_t deadline_ms, int64_t *ret_clock)
{
    AUTO(str_fini) struct str frame = STR_INIT;
    frame_begin(&frame, FRAME_HELLO, 0);
    put_text(&frame, CONTROL_MAGIC);
    put_u32(&frame, CONTROL_VERSION);
    put_text(&frame, rm->opts.node);
    put_text(&frame, rm->opts.node_name);
    put_u8(&frame, rm->opts.read_only);
    frame_end(&frame);
    PASS(stream_write(rm->wire.stream, frame.p, frame.len, deadline_ms));
    struct frame f;
    bool end;
    PASS(wire_read(&rm->wire, deadline_ms, &f, &end));
    if (end)
        return FAIL(ERR_TRANSIENT, "the owner of the folder closed the connection");
    struct bytes_in in = bytes_in(f.body, f.len);
    if (f.type == FRAME_REFUSED) {
        const char *why = get_text(&in);
        return FAIL(ERR_INVALID, "refused by the process that has the folder: %s", why ? why : "");
    }
    uint32_t version = get_u32(&in);
    int64_t clock = get_i64(&in);
    if (f.type != FRAME_WELCOME || version != CONTROL_VERSION || in.bad)
        return FAIL(ERR_INVALID, "the process that has the folder speaks another protocol");
    *ret_clock = clock;
    return NULL;
}

static void
remote_free(struct remote *rm)
{
    stream_close(rm->wire.stream);
    str_fini(&rm->wire.in);
    vec_each (&rm->slots, slot)
        free(*slot);
    vec_fini(&rm->slots);
    vec_fini(&rm->free_slots);
    free(rm);
}

struct err *
remote_open(const struct remote_opts *opts, int64_t deadline_ms, struct remote **ret_remote,
            int64_t *ret_clock)
{
    struct stream *stream;
    PASS(stream_connect(opts->path, deadline_ms, &stream));
    struct remote *rm = xcalloc(1, sizeof *rm);
    rm->opts = *opts;
    rm->wire.stream = stream;
    struct err *e = hello(rm, deadline_ms, ret_clock);
    if (e) {
        remote_free(rm);
        return e;
    }
    scope_open_detached(&rm->scope);
    scope_spawn(&rm->scope, "control client", remote_listen, rm);
    *ret_remote = rm;
    return NULL;
}

static void
remote_close(void *driver)
{
    struct remote *rm = driver;
    rm->closing = true;
    scope_end(&rm->scope);
    if (rm->gone)
        rm->wire.stream = NULL; /* closed by remote_break */
    remote_free(rm);
}

/* ---- requests -------------------------------------------------------------------------------- */

/* The request's memory is the caller's, and the owner may be carrying it out: waits whatever
 * happens to the caller's scope. */
static void
ask(struct remote *rm, struct slot *slot, struct str *frame)
{
    int64_t deadline = rt_after(ANSWER_MS);
    struct err *e = stream_write(rm->wire.stream, frame->p, frame->len, deadline);
    while (!e && !slot->done.set)
        e = event_wait(&slot->done, deadline);
    if (!slot->done.set) {
        /* Breaking sets every slot that waits, this one included. */
        remote_break(rm);
        assert(slot->done.set);
    }
    err_drop(e);
}

static void
remote_exec(void *driver, struct request *r)
{
    struct remote *rm = driver;
    int64_t id;
    if (rm->gone) {
        r->gone = true;
        return;
    }
    struct slot *slot = slot_take(rm, r, &id);
    AUTO(str_fini) struct str frame = STR_INIT;
    frame_begin(&frame, FRAME_REQUEST, id);
    request_put(&frame, r);
    if (frame.len > FRAME_MAX) {
        r->err = FAIL(ERR_INVALID, "a commit of %zu bytes is too large", frame.len);
    } else {
        frame_end(&frame);
        bool was = fiber_shield(true);
        ask(rm, slot, &frame);
        fiber_shield(was);
    }
    if (!r->gone && !r->err && op_writes(r->op)) {
        rm->numbers.commits++;
        rm->numbers.records += (int64_t)r->nrecords;
    }
    slot_give(rm, slot, id);
}

static void
remote_numbers(const void *driver, struct store_numbers *ret_numbers)
{
    *ret_numbers = ((const struct remote *)driver)->numbers;
}

const struct driver_ops remote_ops = {
    .name = "remote", .exec = remote_exec, .close = remote_close, .numbers = remote_numbers};
