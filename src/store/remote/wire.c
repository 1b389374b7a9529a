/* wire.c - cutting the stream into frames. */
#include "store/remote/wire.h"
#include <assert.h>
#include <string.h>

#define HEAD 13 /* length, type, number */

void
frame_begin(struct str *s, enum frame_type type, int64_t id)
{
    assert(s->len == 0);
    put_u32(s, 0);
    put_u8(s, type);
    put_i64(s, id);
}

void
frame_end(struct str *s)
{
    size_t n = s->len - 4;
    assert(s->len >= HEAD && n <= UINT32_MAX);
    for (unsigned i = 0; i < 4; i++)
        s->p[i] = (char)(n >> (8 * i));
}

int
frame_parse(const char *bytes, size_t n, size_t *at, struct frame *ret_frame)
{
    struct bytes_in in = bytes_in(bytes + *at, n - *at);
    uint32_t len = get_u32(&in);
    if (in.bad)
        return 0;
    if (len < HEAD - 4 || len > FRAME_MAX)
        return -1;
    if (n - *at - 4 < len)
        return 0;
    ret_frame->type = get_u8(&in);
    ret_frame->id = get_i64(&in);
    ret_frame->body = (const char *)in.at;
    ret_frame->len = len - (HEAD - 4);
    *at += 4 + (size_t)len;
    return 1;
}

struct err *
wire_read(struct wire *w, int64_t deadline_ms, struct frame *ret_frame, bool *ret_end)
{
    *ret_end = false;
    for (;;) {
        int got = w->in.len > w->at ? frame_parse(w->in.p, w->in.len, &w->at, ret_frame) : 0;
        if (got > 0)
            return NULL;
        if (got < 0)
            return FAIL(ERR_INVALID, "the other process speaks another protocol");
        /* What was read goes before more comes: each byte moves once per refill at most. */
        str_cut(&w->in, w->at);
        w->at = 0;
        bool end = false;
        PASS(stream_read(w->stream, deadline_ms, &w->in, &end));
        if (end && w->in.len)
            return FAIL(ERR_TRANSIENT, "the other process went away in the middle of a message");
        if (end) {
            *ret_end = true;
            return NULL;
        }
    }
}
