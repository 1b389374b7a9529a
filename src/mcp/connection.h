/* connection.h - one server's connections: starting, sharing, back-off, idling, burying; for this
 * folder.
 *
 * A server has up to connections_max connections; one start is under way at a time, in a fiber of
 * its own, so that no caller's cancellation ends it for the others. A connection that is over is
 * unlinked at once and buried by a fiber when its last user has left. */
#ifndef MCP_CONNECTION_H
#define MCP_CONNECTION_H
#include "mcp/server_conf.h"
#include "rt/fiber.h"

#define BACKOFF_FIRST_MS 250
#define BACKOFF_MAX_MS   30000
#define STOP_GRACE_MS    2000 /* between EOF, SIGTERM and SIGKILL */
#define BROKEN_GRACE_MS  300  /* the same for one that has failed already */

struct servers;
struct conn {
    struct conn *next;
    struct toolserver *server;
    struct session *session;
    unsigned users; /* calls that hold it */
    int64_t idle_since_ms;
    bool broken;            /* it failed by itself: nobody has to be polite to it */
    bool over;             /* unlinked; not to be used any more */
    bool probing;          /* a fiber finds out whether it hangs */
    bool idler, restless;  /* a fiber watches for idleness; no more of that: waits are over */
    struct fiber *sleeper; /* that fiber while it sleeps */
};
struct toolserver {
    struct servers *all;
    struct server_conf conf;
    struct conn *conns;
    unsigned nconns;
    bool starting;
    struct waitq changed; /* a start has ended, a connection is over */
    unsigned failures;    /* in a row */
    int64_t retry_at_ms;  /* not started again before; 0: at once */
    uint64_t starts, starts_ended;
    enum err_kind start_kind; /* of the last start that failed; valid while start_error is set */
    char *start_error;        /* why the last start failed; NULL: it did not */
    char *last_error;         /* whatever went wrong last, for status */
    size_t tools_seen;        /* in the last list; SIZE_MAX: never listed */
    char *version;            /* of the last handshake, or NULL */
    json_t *info;             /* serverInfo of it, or NULL */
};

struct servers { /* the table; servers.c */
    struct servers_opts opts;
    struct map *by_name;
    struct scope starts;  /* what is cancelled at the end: starts, idlers, probes */
    struct scope burials; /* what is not */
    unsigned users;
    struct waitq leaving;
    bool closing;
};

/* A connection to use, started if need be. */
struct err *MUST conn_take(struct toolserver *s, int64_t deadline_ms,
                           struct conn **ret_conn) YIELDS;
void conn_give(struct conn *c);
void conn_worked(struct conn *c);           /* a call was answered: the row of failures ends */
void conn_suspect(struct conn *c);          /* a call timed out: find out whether it hangs */
void toolserver_stop(struct toolserver *s); /* all its connections end; waits for nothing */
int64_t backoff_ms(unsigned failures);

#endif
