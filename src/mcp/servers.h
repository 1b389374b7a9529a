/* servers.h - all configured MCP servers of this process, by name.
 *
 * A server is started by its first use, shared by everyone (or, with `shared: false`, by the calls
 * of one run), and stopped when idle or at the end; guard/pool.h says how connections are counted,
 * shared, waited for and checked. One that dies, hangs, floods or prints garbage fails the calls it
 * has, with the end of its stderr in the text; it is started again by the next use, at once after
 * the first failure of a row, then not before a back-off has passed (250 ms, doubled up to 30 s; a
 * successful tool call ends the row). A use that comes earlier waits; the others never notice.
 *
 * Hanging: a call that times out sends a ping after itself; when that is not answered either,
 * nobody gets this connection until it answers a call, and who holds it last closes it.
 *
 * Nothing is repeated here. Errors of all calls: ERR_MISSING (no such server; no such program),
 * ERR_INVALID (tool or arguments), ERR_DENIED (tool not allowed), ERR_TIMEOUT, ERR_CANCELLED,
 * ERR_TRANSIENT (with err_retry_after_ms while backing off); in doubt once a request was sent. */
#ifndef MCP_SERVERS_H
#define MCP_SERVERS_H
#include "mcp/session.h"

struct servers;
struct servers_hooks { /* as session_hooks, told which server it is; each may be NULL */
    void *ctx;
    struct err *(*elicit)(void *ctx, const char *server, const json_t *params,
                          json_t **OWN ret_result)MUST YIELDS;
    struct err *(*sample)(void *ctx, const char *server, const json_t *params,
                          json_t **OWN ret_result)MUST YIELDS;
    void (*log)(void *ctx, const char *server, const char *level, const char *logger,
                const char *text);
};
struct servers_opts {     /* copied, but for contexts */
    const char *version;  /* of tutti */
    const char *base_dir; /* absolute; relative paths (cwd, roots) start here. NULL: where we run */
    /* Resolves ${NAME} in command, args, env, cwd, url, headers and roots, at each start; NULL:
     * they are taken as they are. */
    struct err *(*expand)(void *ctx, const char *text, char **OWN ret_text)MUST;
    void *expand_ctx;
    struct servers_hooks hooks;
};
struct servers *OWN servers_new(const struct servers_opts *opts); /* NULL: defaults */
/* Stops all of them side by side (EOF, SIGTERM, SIGKILL). Calls that wait fail. Accepts NULL. */
void servers_free(struct servers *OWN s) YIELDS;
/* def: an entry of `mcp_servers` in normal form (durations in ms). ERR_INVALID: neither command nor
 * url, or the name is taken. */
struct err *MUST servers_add(struct servers *s, const char *name, const json_t *def);
bool servers_has(const struct servers *s, const char *name);
/* Connections at once, in all and used by one run; 0: 64 in all, a run without a bound. */
void servers_limit(struct servers *s, unsigned total, unsigned per_run);
/* Closes what the run had of its own (servers with `shared: false`). */
void servers_run_over(struct servers *s, const char *run);

/* Starts those marked `required` side by side; the first failure, or NULL. */
struct err *MUST servers_start_required(struct servers *s, int64_t deadline_ms) YIELDS;

struct servers_call {
    const char *server, *tool;
    const char *run;     /* whose call it is; NULL: nobody's */
    const json_t *args;  /* object or NULL */
    const char *key;     /* idempotency key or NULL */
    int64_t deadline_ms; /* the nearer of this and the server's call_timeout holds; waiting for the
                            start is bounded by connect_timeout on its own */
    progress_fn on_progress; /* or NULL */
    void *progress_ctx;
};
/* As session_call_tool. ERR_INVALID with the nearest name for a tool that is not there. */
struct err *MUST servers_call(struct servers *s, const struct servers_call *c,
                              json_t **OWN ret_result) YIELDS;
struct servers_whose {
    const char *server, *run; /* run: as above */
};
/* The tools of one server that `tools.allow` and `tools.deny` let through. A new reference. */
struct err *MUST servers_tools(struct servers *s, const struct servers_whose *w,
                               int64_t deadline_ms, json_t **OWN ret_tools) YIELDS;
/* One of them. ERR_DENIED, or ERR_INVALID with the nearest name. A new reference. */
struct err *MUST servers_tool(struct servers *s, const struct servers_whose *w, const char *tool,
                              int64_t deadline_ms, json_t **OWN ret_tool) YIELDS;
/* As session_request and session_list. */
struct servers_ask {
    const char *server, *method;
    const json_t *params; /* or NULL */
    int64_t deadline_ms;
    const char *run; /* as above */
};
struct err *MUST servers_request(struct servers *s, const struct servers_ask *ask,
                                 json_t **OWN ret_result) YIELDS;
struct err *MUST servers_list(struct servers *s, const char *server, const char *method,
                              int64_t deadline_ms, json_t **OWN ret_items) YIELDS;

/* For `mcp ls` and `doctor`; starts nothing. An array of {name, state, pid?, protocol?, info?,
 * tools?, starts, failures, retry_in_ms?, error?, command | url}; state: idle starting ready
 * failed. */
json_t *OWN servers_status(const struct servers *s);
/* What the pool has done so far: an array of {server, run?, opened, failed, taken, reused, in_use,
 * idle, opening, waiting, closed_idle, evicted, unhealthy, lost, wait_ms, wait_ms_max}, run: of a
 * server that is not shared. A row without `server` sums up those whose run is over. */
json_t *OWN servers_pools(const struct servers *s);

#endif
