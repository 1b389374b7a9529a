/* transport.h - how messages travel; knows nothing of what they mean.
 *
 * Below the session (session.h), above bytes. One transport is one connection to one server. The
 * stdio one is here; Streamable HTTP fills in the same table: `send` is told which request it
 * carries, so it can set headers and read that request's stream; `recv` hands out what came on any
 * stream, in order of arrival; `abandon` is where HTTP closes the stream of a call nobody waits
 * for. */
#ifndef MCP_TRANSPORT_H
#define MCP_TRANSPORT_H
#include "mcp/rpc.h"

struct transport;
struct transport_out { /* one message on its way out; borrowed for the call */
    const char *text;  /* complete JSON, no line end */
    size_t len;
    enum rpc_kind kind;
    uint64_t id;          /* RPC_REQUEST */
    const char *method;   /* RPC_REQUEST, RPC_NOTIFICATION; else NULL */
    const json_t *params; /* of it, for headers that repeat a part; or NULL */
};

struct transport_ops {
    /* Hands the message over, whole or not at all: an error means that nothing was sent, unless it
     * is in doubt. Waits only when too much is queued. */
    struct err *(*send)(struct transport *t, const struct transport_out *out,
                        int64_t deadline_ms)MUST YIELDS;
    /* Waits for the next message. ERR_TRANSIENT: the connection is over, with the reason and what
     * the server said last. Anything that is no message is counted and skipped up to a bound, then
     * ERR_TRANSIENT too. One reader at a time, in a scope that is cancelled to end it. */
    struct err *(*recv)(struct transport *t, struct rpc_msg *ret_msg)MUST YIELDS;
    void (*abandon)(struct transport *t, uint64_t id);        /* or NULL */
    void (*agreed)(struct transport *t, const char *version); /* protocol version; or NULL */
    /* Appends "; its stderr ended: ..." and the like: what helps to understand a failure. */
    void (*describe)(struct transport *t, struct str *to); /* or NULL */
    int (*pid)(const struct transport *t);                 /* or NULL: no process */
    void (*shut)(struct transport *t); /* from now on send fails, also for who waits in it */
    /* Ends the connection and frees. Nobody may be inside any more. */
    void (*close)(struct transport *OWN t, int64_t grace_ms) YIELDS;
};
struct transport {
    const struct transport_ops *ops;
};

#define STDIO_QUEUE_MAX         ((size_t)1024 * 1024) /* bytes not yet read by the server */
#define STDIO_GARBAGE_MAX       ((size_t)1024 * 1024) /* bytes that are no message, in a row */
#define STDIO_GARBAGE_LINES_MAX 1000                  /* lines that are no message, in a row */

struct proc_opts; /* rt/proc.h */
/* A child process that speaks one JSON message a line on stdin and stdout; what it writes to stderr
 * is kept for error texts and means nothing else. */
struct err *MUST stdio_open(const struct proc_opts *opts,
                            struct transport **OWN ret_transport) YIELDS;

#endif
