/* streamcore.h - a stream over a descriptor; for this folder. */
#ifndef RT_STREAMCORE_H
#define RT_STREAMCORE_H
#include "rt/core.h"
#include "rt/stream.h"

/* Takes the descriptor of a pipe or a Unix socket. */
struct err *MUST stream_of_fd(int fd, struct stream **OWN ret_stream);
/* Called for each piece that arrives instead of buffering it; the stream is never paused.
 * n is 0 once, at the end. */
void stream_on_data(struct stream *s, void (*fn)(void *ctx, const char *p, size_t n), void *ctx);

#endif
