/* server_conf.h - what the configuration says about one server, and how that becomes a connection.
 *
 * Reads an entry of `mcp_servers` in normal form once; texts with ${NAME} are resolved at each
 * start, so that a missing variable fails the first use of that server and nothing else. Relative
 * paths (cwd, roots) start at base_dir; without cwd the server runs in base_dir. */
#ifndef MCP_SERVER_CONF_H
#define MCP_SERVER_CONF_H
#include "mcp/servers.h"

struct server_conf {
    char *name;
    json_t *def;                          /* the whole entry */
    int64_t connect_ms, call_ms, idle_ms; /* idle 0: never stopped */
    unsigned connections_max;
    bool required, shared; /* shared: by all runs */
};
/* ERR_INVALID: neither command nor url. */
struct err *MUST server_conf_read(const char *name, const json_t *def,
                                  struct server_conf *ret_conf);
void server_conf_fini(struct server_conf *c);
bool
server_conf_allows(const struct server_conf *c, const char *tool); /* tools.allow, tools.deny */
/* Starts the process; the connection is not yet greeted. */
struct err *MUST server_conf_connect(const struct server_conf *c, const struct servers_opts *opts,
                                     struct transport **OWN ret_transport) YIELDS;
/* [{uri, name}], empty when none are configured. */
struct err *MUST server_conf_roots(const struct server_conf *c, const struct servers_opts *opts,
                                   json_t **OWN ret_roots);
/* RFC 8089: the absolute path without "." and "..", as "file:///a%20b". Lexical: no link is
 * followed. */
char *OWN file_uri(const char *base_dir, const char *path);

#endif
