/* connection.h - one server's connections: what the pool (guard/pool.h) opens, checks and closes;
 * for this folder.
 *
 * The pool owns their number, their sharing, the back-off and the waiting. A server that is shared
 * has one group in it; one that is not has a group for each run. */
#ifndef MCP_CONNECTION_H
#define MCP_CONNECTION_H
#include "guard/pool.h"
#include "mcp/server_conf.h"
#include "rt/fiber.h"

#define STOP_GRACE_MS   2000  /* between EOF, SIGTERM and SIGKILL */
#define BROKEN_GRACE_MS 300   /* the same for one that has failed already */
#define CHECK_AFTER_MS  30000 /* unused for so long, it is pinged before it is used */

struct servers;
struct toolserver;
struct conn {
    struct conn *next; /* of the server */
    struct toolserver *server;
    struct session *session;
    struct pool_member *member;
};
struct toolserver {
    struct servers *all;
    struct server_conf conf;
    struct pool_group *group; /* of all runs; of none when it is not shared */
    struct conn *conns;       /* greeted and not yet closed */
    size_t tools_seen;        /* in the last list; SIZE_MAX: never listed */
    char *version;            /* of the last handshake, or NULL */
    json_t *info;             /* serverInfo of it, or NULL */
};

struct servers { /* the table; servers.c */
    struct servers_opts opts;
    struct map *by_name;
    struct pool *pool;
    unsigned unshared; /* servers of which each run has its own connections */
};

/* A connection to use, started if need be; of the run's own where the server is not shared. run:
 * whom it is counted for; NULL: nobody. */
struct err *MUST conn_take(struct toolserver *s, const char *run, int64_t deadline_ms,
                           struct conn **ret_conn) YIELDS;
void conn_give(struct conn *c, const char *run);
void toolserver_open(struct toolserver *s); /* its group, once */
void toolserver_leave(struct toolserver *s, const char *run);
void toolserver_fail(struct toolserver *s); /* all its connections break: calls end */

#endif
