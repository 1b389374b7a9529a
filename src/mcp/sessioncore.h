/* sessioncore.h - the inside of a session, for the files of this folder only. */
#ifndef MCP_SESSIONCORE_H
#define MCP_SESSIONCORE_H
#include "mcp/peer.h"
#include "mcp/session.h"
#include "mcp/tools.h"

struct progress { /* who wants to hear of a call under way; on the caller's stack */
    struct progress *next;
    uint64_t token; /* the id of the request */
    progress_fn fn;
    void *ctx;
};

struct session {
    struct transport *t;
    struct peer *peer;
    struct scope scope; /* of the reader */
    struct session_hooks hooks;
    json_t *roots; /* array */
    char *tutti_version;
    json_t *hello; /* the result of initialize */
    bool greeted, ended, closing;
    struct tools *tools;      /* as last listed, or NULL */
    bool tools_fresh;         /* false: list again before the next use */
    bool tools_fetching;      /* somebody lists them now */
    unsigned tools_changes;   /* list_changed so far */
    struct waitq tools_ready; /* who waits for that */
    unsigned users;           /* fibers inside a call: storage stays until they have left */
    struct waitq leaving;     /* session_close, waiting for them */
    struct progress *progress;
};

/* Calls with the end of stderr in the text of a time-out. */
struct err *MUST session_ask(struct session *s, const struct peer_call *c,
                             json_t **OWN ret_result) YIELDS;
/* incoming.c: what the server asks and tells us. */
struct err *MUST session_answer(void *session, const char *method, const json_t *params,
                                json_t **OWN ret_result) YIELDS;
void session_heed(void *session, const char *method, const json_t *params);

#endif
