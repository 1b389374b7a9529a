/* peer.h - both halves of a JSON-RPC conversation: our calls and theirs, over any carrier.
 *
 * Ids live in two spaces, one a direction: theirs may equal ours. A call of ours is a fiber that
 * waits; a request of theirs runs in a fiber of its own, at most PEER_INCOMING_MAX at once (more
 * are answered with an error); notifications are handed over in order, on the reader's fiber. A
 * reply nobody waits for is counted and dropped. Once broken, a peer stays so: all calls fail. */
#ifndef MCP_PEER_H
#define MCP_PEER_H
#include "mcp/transport.h"
#include "rt/fiber.h"

#define PEER_INCOMING_MAX 64
#define PEER_REPLY_MS     10000 /* an answer that cannot be handed over for so long is dropped */

struct peer;
struct peer_ops { /* what the owner provides */
    struct err *(*send)(void *ctx, const struct transport_out *out, int64_t deadline_ms)MUST YIELDS;
    /* Answers a request of theirs. ERR_MISSING: no such method. Runs in a scope that is cancelled
     * when they take the request back. */
    struct err *(*request)(void *ctx, const char *method, const json_t *params,
                           json_t **OWN ret_result)MUST YIELDS;
    void (*notify)(void *ctx, const char *method, const json_t *params); /* must not yield */
    /* The caller of our request `id` left before the reply (time-out, cancellation). Must not wait.
     */
    void (*abandoned)(void *ctx, uint64_t id, const char *why);
};
struct peer *OWN peer_new(const struct peer_ops *ops, void *ctx);
/* Cancels what runs for the other side and waits for it. No call of ours may be waiting. */
void peer_free(struct peer *OWN p) YIELDS;

struct peer_call {
    const char *method;
    const json_t *params; /* or NULL */
    int64_t deadline_ms;
    bool never_abandoned; /* do not take it back: `initialize` must not be cancelled */
    json_t **ret_error;   /* or NULL; gets the error object (a reference) of an error reply */
};
/* Errors: of the reply (rpc_error_to_err), TIMEOUT, CANCELLED, TRANSIENT when the peer broke; all
 * three in doubt once the request was handed over. */
struct err *MUST peer_call(struct peer *p, const struct peer_call *c,
                           json_t **OWN ret_result) YIELDS;
struct err *MUST peer_notify(struct peer *p, const char *method, const json_t *params,
                             int64_t deadline_ms) YIELDS;
/* Takes in one message that arrived; it is left empty. */
void peer_take(struct peer *p, struct rpc_msg *m);
void peer_allow_batches(struct peer *p, bool on);      /* 2025-03-26; else answered with an error */
void peer_take_back(struct peer *p, const json_t *id); /* they cancelled their request */
void peer_break(struct peer *p, const char *why);      /* all calls fail with this text, in doubt */
bool peer_is_broken(const struct peer *p);
uint64_t peer_next_id(const struct peer *p); /* of the next call, if made without a yield */
bool peer_waits_for(const struct peer *p, uint64_t id); /* our call `id` has no reply yet */
unsigned peer_pending(const struct peer *p);            /* calls of ours without a reply */
uint64_t peer_strays(const struct peer *p);             /* replies nobody waited for */

#endif
