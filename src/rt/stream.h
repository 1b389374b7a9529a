/* stream.h - bytes in order: Unix sockets and the pipes of processes. */
#ifndef RT_STREAM_H
#define RT_STREAM_H
#include "base/str.h"

struct stream;
/* Appends what has arrived, waiting for at least one byte. *ret_end true: the peer closed. */
struct err *MUST stream_read(struct stream *s, int64_t deadline_ms, struct str *to,
                             bool *ret_end) YIELDS;
/* Waits until all is handed to the kernel. ERR_TRANSIENT when the peer is gone. One writer at a
 * time: others queue in order. */
struct err *MUST stream_write(struct stream *s, const void *bytes, size_t n,
                              int64_t deadline_ms) YIELDS;
void
stream_close(struct stream *OWN s); /* accepts NULL; wakes whoever waits in it with ERR_CANCELLED */

/* Unix sockets; paths of at most 100 bytes. */
struct listener;
struct err *MUST listener_open(const char *path,
                               struct listener **OWN ret_listener); /* mode 0600 */
struct err *MUST listener_accept(struct listener *l, int64_t deadline_ms,
                                 struct stream **OWN ret_stream) YIELDS;
void listener_close(struct listener *OWN l); /* removes the path */
struct err *MUST stream_connect(const char *path, int64_t deadline_ms,
                                struct stream **OWN ret_stream) YIELDS;

#endif
