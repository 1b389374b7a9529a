/* http.h - an HTTP exchange as the layers above see it.
 *
 * The real half is net/client.c (libcurl); a simulation answers from a script (sim.h). One exchange
 * is one request: redirects are not followed, nothing is retried. Errors: ERR_INVALID (URL),
 * ERR_TIMEOUT, ERR_CANCELLED, ERR_LIMIT (reply longer than allowed), ERR_TRANSIENT (connection,
 * TLS, protocol). err_in_doubt is set as soon as the request may have reached the server. */
#ifndef RT_HTTP_H
#define RT_HTTP_H
#include "base/str.h"

struct http_header {
    const char *name, *value;
};
struct http_req {       /* all borrowed until http_open returns */
    const char *method; /* "POST" */
    const char *url;    /* http: or https: */
    const struct http_header *headers;
    size_t nheaders;
    const void *body;
    size_t body_len;
    size_t reply_max;           /* bytes of the decoded body that are accepted; 0: 32 MiB */
    int64_t connect_timeout_ms; /* 0: 10 s */
};

struct http;
/* Sends the request and waits for the status line and headers. */
struct err *MUST http_open(const struct http_req *req, int64_t deadline_ms,
                           struct http **OWN ret_http) YIELDS;
int http_status(const struct http *h);
const char *
http_header(const struct http *h, const char *name); /* case-insensitive; NULL: absent */
/* Appends what has arrived, waiting for at least one byte; *ret_end true: the body is complete. */
struct err *MUST http_read(struct http *h, int64_t deadline_ms, struct str *to,
                           bool *ret_end) YIELDS;
void http_close(struct http *OWN h); /* before the end: the connection is torn down. Accepts NULL */
void http_closep(struct http **h);

/* The whole reply in one call. */
struct http_reply {
    int status;
    struct str body;
    char *content_type;     /* or NULL */
    int64_t retry_after_ms; /* Retry-After as a delay (RFC 9110 10.2.3), or -1 */
};
struct err *MUST http_fetch(const struct http_req *req, int64_t deadline_ms,
                            struct http_reply *ret_reply) YIELDS;
void http_reply_fini(struct http_reply *r);
/* The delay that Retry-After of this exchange asks for (seconds or a date), or -1. */
int64_t http_retry_after_ms(const struct http *h);

struct http_ops { /* the world's half */
    struct err *(*open)(void *ctx, const struct http_req *req, int64_t deadline_ms,
                        struct http **OWN ret_http);
    int (*status)(const struct http *h);
    const char *(*header)(const struct http *h, const char *name);
    struct err *(*read)(struct http *h, int64_t deadline_ms, struct str *to, bool *ret_end);
    void (*close)(struct http *OWN h);
};
struct http {
    const struct http_ops *ops;
};
void http_install(const struct http_ops *ops, void *ctx); /* into the current runtime */

#endif
