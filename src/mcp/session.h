/* session.h - our side of a conversation with one MCP server that shakes hands (`initialize`):
 * revisions 2024-11-05, 2025-03-26, 2025-06-18 and 2025-11-25 of modelcontextprotocol.io.
 *
 * Classifies failures and never repeats a call: who may repeat is the engine's business. A session
 * that has ended stays ended; servers.h starts the next one. Deadlines are hard: progress does not
 * move them. A call that is cancelled or times out returns at once, after telling the server.
 * Error texts end with what the server last wrote to stderr when the connection broke. */
#ifndef MCP_SESSION_H
#define MCP_SESSION_H
#include "mcp/transport.h"

#define SESSION_PAGES_MAX 200   /* pages of one list */
#define SESSION_ITEMS_MAX 10000 /* entries of one list */
#define TOOL_NAME_MAX     128
#define SESSION_META_KEY  "tutti/idempotency-key" /* in a call's _meta */
#define SESSION_MISFIT    "tutti/output-mismatch" /* in a result's _meta; see session_call_tool */

struct session;
struct session_hooks { /* each may be NULL */
    void *ctx;
    /* The server asks for input of a person, or for a model's reply: params and result as in the
     * protocol. Without the function the capability is not offered. */
    struct err *(*elicit)(void *ctx, const json_t *params, json_t **OWN ret_result)MUST YIELDS;
    struct err *(*sample)(void *ctx, const json_t *params, json_t **OWN ret_result)MUST YIELDS;
    void (*log)(void *ctx, const char *level, const char *logger, const char *text);
    /* "tools", "prompts", "resources", or the URI of a resource subscribed to. */
    void (*changed)(void *ctx, const char *what);
    void (*ended)(void *ctx, const char *why); /* the connection is over; not on session_close */
};
struct session_opts {    /* copied, but for hooks.ctx */
    const char *version; /* of tutti, for clientInfo */
    const json_t *roots; /* array of {uri, name?}; NULL or empty: not offered */
    struct session_hooks hooks;
};

/* Takes the transport over and starts reading. Then greet; nothing else is allowed before. */
struct session *OWN session_new(struct transport *OWN t, const struct session_opts *opts);
/* Shakes hands. ERR_INVALID: it speaks no revision we know. After a failure only session_close is
 * left. */
struct err *MUST session_greet(struct session *s, int64_t deadline_ms) YIELDS;
/* Calls that wait fail with ERR_TRANSIENT. Accepts NULL. */
void session_close(struct session *OWN s, int64_t grace_ms) YIELDS;
void session_fail(struct session *s, const char *why); /* as if the connection had broken */

bool session_is_ended(const struct session *s);
const char *session_version(const struct session *s);        /* "2025-11-25" */
const json_t *session_server_info(const struct session *s);  /* {name, version, ...} or NULL */
const json_t *session_capabilities(const struct session *s); /* object */
const char *session_instructions(const struct session *s);   /* or NULL */
bool session_offers(const struct session *s, const char *capability); /* "prompts", ... */
int session_pid(const struct session *s);                             /* 0: no process */
unsigned session_pending(const struct session *s);                    /* calls under way */
void session_describe(struct session *s, struct str *to); /* appends the end of stderr */

/* All tools, {name, description, inputSchema, ...} as the server wrote them, in its order; kept
 * until the server says that they changed. Left out: names that are empty, over TOOL_NAME_MAX bytes
 * or hold control characters, names given twice, tools without an object as inputSchema. A new
 * reference: do not modify. */
struct err *MUST session_tools(struct session *s, int64_t deadline_ms,
                               json_t **OWN ret_tools) YIELDS;
/* Among those known by now, without asking: NULL when it is not there. Borrowed until a yield. */
const json_t *session_tool(const struct session *s, const char *name);
void session_tools_forget(struct session *s);            /* list them again at the next use */
unsigned session_tools_dropped(const struct session *s); /* left out of the last list */

typedef void (*progress_fn)(void *ctx, double progress, double total, const char *message);
struct tool_call {
    const char *tool;
    const json_t *args; /* object or NULL */
    const char *key;    /* goes along as _meta."tutti/idempotency-key"; or NULL */
    int64_t deadline_ms;
    progress_fn on_progress; /* total < 0: unknown; message may be NULL. Must not yield. Or NULL */
    void *progress_ctx;
};
/* The whole result {content, structuredContent?, isError?}. A tool that fails returns isError,
 * which is no error of the call. When structuredContent does not fit the tool's outputSchema, the
 * effect has happened all the same: the result is returned with _meta."tutti/output-mismatch"
 * saying what is wrong, which tool_result_text repeats to the model. */
struct err *MUST session_call_tool(struct session *s, const struct tool_call *c,
                                   json_t **OWN ret_result) YIELDS;

/* Other requests by name ("prompts/get", "resources/read", "completion/complete", "ping",
 * "logging/setLevel", "resources/subscribe"); params and result as in the protocol. */
struct err *MUST session_request(struct session *s, const char *method, const json_t *params,
                                 int64_t deadline_ms, json_t **OWN ret_result) YIELDS;
/* All pages of a list joined: ("prompts/list", "prompts"), ("resources/list", "resources"),
 * ("resources/templates/list", "resourceTemplates"). ERR_LIMIT over the bounds above. */
struct err *MUST session_list(struct session *s, const char *method, const char *member,
                              int64_t deadline_ms, json_t **OWN ret_items) YIELDS;

#endif
