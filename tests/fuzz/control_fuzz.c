/* control_fuzz.c - bytes as what another process sends on the control socket, and as pages of rows.
 *
 * Whole frames are cut out; a request that decodes must encode to the same request again, must be
 * judged without a crash, and is carried out on a store in RAM, as its owner would. Answers and
 * rows are decoded the way a client does. */
#include "store/driver.h"
#include "store/mem/mem.h"
#include "store/remote/wire.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
no_news(void *ctx, const char *run_id)
{
    (void)ctx;
    assert(run_id);
}

static void
carry_out(struct mem *mem, struct request_in *q)
{
    struct request *r = &q->r;
    memcpy(r->node, "peer", sizeof "peer");
    r->node_inc = 1;
    r->now_ms = 1000;
    r->err = request_check(r);
    if (!r->err)
        mem_ops.exec(mem, r);
    struct str reply = STR_INIT;
    struct request back = {.op = r->op};
    reply_put(&reply, r);
    struct bytes_in in = bytes_in(reply.p, reply.len);
    bool fine = reply_get(&in, &back);
    assert(fine && !back.err == !r->err && back.page.len == r->page.len);
    request_fini(&back);
    str_fini(&reply);
}

static void
request_try(struct mem *mem, const struct frame *f)
{
    struct request_in q;
    struct bytes_in in = bytes_in(f->body, f->len);
    if (request_get(&in, &q)) {
        struct str once = STR_INIT, twice = STR_INIT;
        struct request_in again;
        request_put(&once, &q.r);
        in = bytes_in(once.p, once.len);
        bool fine = request_get(&in, &again);
        assert(fine);
        request_put(&twice, &again.r);
        assert(once.len == twice.len && memcmp(once.p, twice.p, once.len) == 0);
        request_in_fini(&again);
        str_fini(&once);
        str_fini(&twice);
        carry_out(mem, &q);
    }
    request_in_fini(&q);
}

static void
frames_try(struct mem *mem, const char *bytes, size_t n)
{
    struct frame f;
    for (size_t at = 0; frame_parse(bytes, n, &at, &f) > 0;) {
        assert(at <= n && f.body + f.len == bytes + at);
        request_try(mem, &f);
        struct request r = {0};
        struct bytes_in in = bytes_in(f.body, f.len);
        (void)reply_get(&in, &r);
        request_fini(&r);
    }
}

static void
rows_try(const char *bytes, size_t n)
{
    struct bytes_in in = bytes_in(bytes, n);
    while (in.at < in.end && !in.bad) {
        struct store_record rec;
        record_get(&in, &rec);
        if (!in.bad)
            (void)record_crc(7, "RUN", rec.seq, &rec);
    }
    for (in = bytes_in(bytes, n); in.at < in.end && !in.bad;) {
        struct store_run run;
        run_get(&in, &run);
        store_run_fini(&run);
    }
    for (in = bytes_in(bytes, n); in.at < in.end && !in.bad;) {
        struct store_signal *g = xcalloc(1, sizeof *g);
        signal_get(&in, g);
        store_signals_free(g, 1);
    }
    struct store_lease lease;
    in = bytes_in(bytes, n);
    lease_get(&in, &lease);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct store_mem *m = store_mem_new();
    int64_t clock;
    struct mem *mem = mem_open(m, "owner", no_news, NULL, &clock);
    char *copy = xmalloc(size + 1); /* exactly as long: reading past it is seen */
    memcpy(copy, data, size);
    frames_try(mem, copy, size);
    rows_try(copy, size);
    /* The same bytes as the body of one request: the fuzzer need not find the head. */
    struct frame body = {.type = FRAME_REQUEST, .body = copy, .len = size};
    request_try(mem, &body);
    free(copy);
    mem_ops.close(mem);
    store_mem_free(m);
    return 0;
}
