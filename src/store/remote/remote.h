/* remote.h - the store of a process that is not the owner of its folder: every request goes to the
 * owner through DIR/control.sock.
 *
 * When the connection breaks, requests under way and later ones come back with `gone` set, and
 * on_gone is called once: the store then looks for the new owner, or becomes it. */
#ifndef STORE_REMOTE_REMOTE_H
#define STORE_REMOTE_REMOTE_H
#include "store/driver.h"

struct remote_opts {
    const char *path; /* of the socket */
    const char *node, *node_name;
    bool read_only;
    news_fn news; /* run_id NULL: any of the runs */
    void (*on_gone)(void *ctx);
    void *ctx;
};
extern const struct driver_ops remote_ops;
struct remote;
/* ERR_TRANSIENT or ERR_MISSING: nobody answers there; ERR_INVALID: refused (the reason is told). */
struct err *MUST remote_open(const struct remote_opts *opts, int64_t deadline_ms,
                             struct remote **OWN ret_remote, int64_t *ret_clock) YIELDS;

#endif
