/* sse.h - Server-Sent Events out of a stream of bytes (WHATWG HTML, 9.2.6).
 *
 * Feed whatever has arrived, then take events until there is none; how the bytes were cut makes no
 * difference. Lines end with CR, LF or CRLF; comments, unknown fields and a leading BOM are
 * skipped; an event the stream ends in the middle of is not delivered, as the standard demands. The
 * bytes of values are passed on as they are: whether they are UTF-8 is for the reader of the data
 * to judge.
 *
 *   AUTO(sse_fini) struct sse sse = SSE_INIT(1 << 20);
 *   sse_feed(&sse, bytes, n);
 *   for (;;) {
 *       struct sse_event ev;
 *       bool got;
 *       TRY(sse_next(&sse, &ev, &got), "reading the stream");
 *       if (!got)
 *           break;
 *       use(ev.type, ev.data);
 *   } */
#ifndef NET_SSE_H
#define NET_SSE_H
#include "base/str.h"

struct sse {                /* fields belong to sse.c */
    size_t event_max;       /* bytes of one line and of the data of one event */
    struct str in;          /* fed and not parsed yet */
    size_t at, seen;        /* start of the current line; searched for its end up to here */
    bool skip_lf;           /* the last line ended with CR: an LF right behind belongs to it */
    bool begun;             /* the BOM, if any, is behind us */
    bool broken;            /* a limit was passed: nothing more is parsed */
    bool dispatched;        /* data and type below belong to the event given out last */
    struct str data, type;  /* of the event being gathered */
    struct str id, id_next; /* last event id: given out, and being gathered */
    int64_t retry_ms;       /* the reconnection time asked for last, or -1 */
};
#define SSE_INIT(max) ((struct sse){.event_max = (max), .retry_ms = -1})
void sse_fini(struct sse *s);

struct sse_event {    /* borrowed until the next call on the parser; strings end with NUL */
    const char *type; /* "message" when the stream did not say */
    const char *data;
    size_t data_len;
    const char *id; /* last event id, which stays until it is changed; "" at first */
};
void sse_feed(struct sse *s, const void *bytes, size_t n);
/* ERR_LIMIT when a line or an event is longer than event_max; the parser stays broken then. */
struct err *MUST sse_next(struct sse *s, struct sse_event *ret_event, bool *ret_got);
int64_t sse_retry_ms(const struct sse *s); /* -1: the stream did not say */

/* Writes one event; type NULL or "": none is named, id NULL: none. Data may hold line breaks; in
 * type and id they are dropped. */
void sse_write(struct str *to, const char *type, const char *id, const char *data);

#endif
