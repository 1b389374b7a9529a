/* wire.h - frames on the control socket.
 *
 * A frame is its length (u32, of what follows), a type (u8), a number (i64) and a body. The client
 * says HELLO first and is answered by WELCOME or REFUSED; then it asks REQUESTs, in any number at a
 * time, and is answered by REPLYs with the same number, in any order. NEWS comes unasked. A frame
 * that is too long, unknown or malformed ends the connection. Both sides run on one machine under
 * one user (the folder is 0700, the socket 0600), and may be of different versions. */
#ifndef STORE_REMOTE_WIRE_H
#define STORE_REMOTE_WIRE_H
#include "rt/stream.h"
#include "store/driver.h"

#define CONTROL_VERSION 2
#define CONTROL_MAGIC   "tutti store"
#define FRAME_MAX       (2 * RECORD_BODY_MAX) /* a commit's bodies and their frame, or a page */

enum frame_type {
    FRAME_HELLO = 1, /* magic, u32 version, text node, text name, u8 read only */
    FRAME_WELCOME,   /* u32 version, i64 the owner's store time */
    FRAME_REFUSED,   /* text why */
    FRAME_REQUEST,   /* request_put */
    FRAME_REPLY,     /* reply_put */
    FRAME_NEWS       /* text run id; NULL: any run may have news */
};
struct frame {
    unsigned type;
    int64_t id;
    const char *body; /* valid until the next wire_read */
    size_t len;
};
struct wire { /* the reading side of a connection */
    struct stream *stream;
    struct str in;
    size_t at; /* bytes of `in` that were read */
};
/* *ret_end: the peer closed between two frames. ERR_INVALID: not a frame. */
struct err *MUST wire_read(struct wire *w, int64_t deadline_ms, struct frame *ret_frame,
                           bool *ret_end) YIELDS;
/* The whole frames in the bytes, for tests: 0 none yet, 1 one (`*at` moves on), -1 not a frame. */
int frame_parse(const char *bytes, size_t n, size_t *at, struct frame *ret_frame);

void frame_begin(struct str *s, enum frame_type type, int64_t id); /* then put the body */
void frame_end(struct str *s);                                     /* sets the length */

#endif
