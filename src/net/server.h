/* server.h - an HTTP/1.1 server in the loop; each request is answered by a fiber of its own.
 *
 * The handler is called when the request is there as a whole, its body within limits; it answers
 * once, with reply_send, reply_json, or reply_begin + reply_write + reply_end. When the client goes
 * away, the handler's scope is cancelled: its waits return ERR_CANCELLED. A handler that returns
 * without an answer gives status 500; one that returns in the middle of a stream breaks the
 * connection, so that the client cannot take the part for the whole.
 *
 * No TLS, no HTTP/2, no authentication, no routing: those belong to a proxy in front, or to whoever
 * mounts handlers here. A client that shuts down its sending side counts as gone. */
#ifndef NET_SERVER_H
#define NET_SERVER_H
#include "rt/http.h"
#include <jansson.h>

struct server;
struct request;
typedef void (*server_fn)(void *ctx, struct request *r); /* runs in a fiber; may wait */

struct server_opts {
    const char *host; /* address or "localhost"; NULL: 127.0.0.1 */
    unsigned port;    /* 0: a free one, see server_port */
    server_fn handler;
    void *ctx;
    /* limits; 0: the value named */
    size_t body_max;          /* 8 MiB; more: status 413 */
    size_t head_max;          /* 16 KiB of request line and header; more: status 431 */
    unsigned connections_max; /* 1000; more wait in the kernel's queue */
    int64_t request_ms;       /* 30 s for sending the whole request, however slowly it drips */
    int64_t idle_ms; /* 60 s between requests; also for a client that does not take its reply */
};
/* ERR_INVALID: the host is no address of this machine; ERR_LIMIT: the port is taken; ERR_DENIED: it
 * may not be used. */
struct err *MUST server_start(const struct server_opts *opts, struct server **OWN ret_server);
unsigned server_port(const struct server *s);
/* Takes no more connections, gives requests under way grace_ms to end, cancels the rest, waits for
 * their handlers, frees. Accepts NULL. */
void server_stop(struct server *OWN s, int64_t grace_ms) YIELDS;
unsigned server_requests(const struct server *s); /* under way now */

/* The request; what is returned lives as long as it. */
const char *request_method(const struct request *r);
const char *request_path(const struct request *r); /* as sent, percent-encoded; see url_decode */
/* The decoded value of the first such parameter of the query; NULL: there is none. */
const char *request_query(struct request *r, const char *name);
const char *
request_header(const struct request *r, const char *name);          /* case-insensitive or NULL */
const void *request_body(const struct request *r, size_t *ret_len); /* NUL-terminated */
bool request_is_gone(const struct request *r);                      /* nobody waits for the reply */

/* The reply, once. ERR_CANCELLED when the client has gone, ERR_INVALID when a header is malformed;
 * a header without a value is left out. */
struct err *MUST reply_send(struct request *r, int status, const char *content_type,
                            const void *body, size_t n);
struct err *MUST reply_json(struct request *r, int status, const json_t *body);
struct err *MUST reply_begin(struct request *r, int status, const struct http_header *headers,
                             size_t nheaders);
/* Waits while more than 256 KiB have not been taken by the client. */
struct err *MUST reply_write(struct request *r, const void *bytes, size_t n,
                             int64_t deadline_ms) YIELDS;
void reply_end(struct request *r);

#endif
