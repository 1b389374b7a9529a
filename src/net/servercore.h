/* servercore.h - the inside of the HTTP server, for the files of this folder only.
 *
 * libmicrohttpd calls us from MHD_run only, which only server_run calls, on the loop. Whoever
 * resumes a connection asks for another MHD_run (server_kick): without it the connection would stay
 * where it is. */
#ifndef NET_SERVERCORE_H
#define NET_SERVERCORE_H
#include "base/arena.h"
#include "base/vec.h"
#include "net/server.h"
#include "rt/fiber.h"
#include "rt/loop.h"
#include "rt/rt.h"
#include <microhttpd.h>

#define REPLY_HIGH  ((size_t)256 * 1024) /* bytes not taken yet at which a writer waits */
#define REPLY_BLOCK 8192                 /* libmicrohttpd's buffer for a stream */

struct server {
    struct server_opts opts; /* defaults filled in; host is not kept */
    struct MHD_Daemon *daemon;
    int listener; /* -1: the daemon's */
    unsigned port;
    struct poll *poll;   /* of the daemon's epoll descriptor */
    struct timer *timer; /* the next MHD_run, when no descriptor calls for it */
    bool kicked, stopping;
    struct scope scope; /* the handlers' fibers */
    unsigned requests;  /* from their first line to their end */
    struct waitq ended; /* one of them ended while stopping */
};

struct peer { /* one connection */
    struct server *server;
    int fd; /* a dup: watched for the client's leaving, which MHD does not see when suspended */
    struct poll *poll;
    struct timer *timer;     /* closes it when a request takes too long to come, or none comes */
    struct request *request; /* the current one */
};

struct request {
    struct server *server;
    struct peer *peer;          /* NULL: the exchange is over for MHD */
    struct MHD_Connection *con; /* as peer */
    unsigned refs;              /* MHD, the handler's fiber, the reply's reader */
    struct arena *arena;
    char *method, *path, *query; /* query: NULL or what follows '?' */
    VEC(struct http_header) headers;
    struct str body;
    struct scope scope;            /* of the handler, while `running` */
    bool adopted;                  /* MHD has told us of its header and will tell of its end */
    bool running, started;         /* the handler runs; it was begun */
    bool suspended;                /* the connection waits for resume */
    bool gone;                     /* the client left, or the exchange is over */
    struct MHD_Response *response; /* made and not queued yet */
    int status;
    bool replied, streaming, ended, queued;
    struct str out; /* of a stream; the reader has taken out_at bytes of it */
    size_t out_at;
    struct waitq drained;
};

/* server.c */
void server_kick(struct server *s);
/* exchange.c */
struct request *request_new(struct peer *p, struct MHD_Connection *con, const char *target);
void request_unref(void *request);
void
request_leave(struct request *r); /* MHD is done with it: the connection or the exchange ended */
void request_cancel(struct request *r); /* the client left */
enum MHD_Result
request_dispatch(struct request *r); /* whole: start the handler; resumed: queue its reply */
void request_resume(struct request *r);
enum MHD_Result request_refuse(struct MHD_Connection *con, unsigned status, const char *why);

#endif
