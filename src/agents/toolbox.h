/* toolbox.h - the tools of one llm agent: those of its servers, and other agents.
 *
 * On the wire a server's tool is `server__tool` and an agent `agent__name`: the characters all
 * providers accept. A long name is cut and ends with a hash. Allow and deny lists match
 * "server.tool". */
#ifndef AGENTS_TOOLBOX_H
#define AGENTS_TOOLBOX_H
#include "model/host.h"

struct toolbox {
    struct host *host;
    const json_t *def;       /* the agent's definition */
    const char *server_name; /* the one server of this node, instead of the agent's; or NULL */
    json_t *offered;         /* array for the model; NULL until loaded */
    json_t *routes;          /* wire name -> {server, tool, effect} or {agent} */
};
void toolbox_fini(struct toolbox *tb);
bool toolbox_has_any(const struct toolbox *tb);
/* Asks the servers what they have; once. A server that cannot be reached leaves its tools out and
 * is noted as an event, so that one dead server does not stop an agent. */
struct err *MUST toolbox_load(struct toolbox *tb, int64_t deadline_ms) YIELDS;

/* Runs one tool call ({id, name, arguments}) in a child host and returns the tool message's part.
 */
struct tool_use {
    const json_t *call;  /* a tool_call part */
    const json_t *route; /* or NULL: there is no such tool */
    int effect;          /* what node or agent said, or -1 */
    json_t *result;      /* a tool message, set on success */
};
struct err *MUST tool_use_run(struct host *child, void *tool_use) YIELDS;

/* One tool of a server as a recorded step below the host; *ret_result as servers_call. tell_doubt:
 * a call that may or may not have been carried out is an error here instead of parking the run. */
struct tool_request {
    const char *server, *tool;
    const json_t *args;
    int effect; /* -1: as the server says of the tool, asked when the call is to be made */
    bool tell_doubt;
};
struct err *MUST tool_step(struct host *h, const struct tool_request *q,
                           json_t **OWN ret_result) YIELDS;
enum effect tool_effect(const json_t *tool, int said);

#endif
