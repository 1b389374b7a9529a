/* rpc.h - JSON-RPC 2.0 messages to and from text (jsonrpc.org/specification, as MCP narrows it).
 *
 * Text only: no transport, no waiting, no table of calls (that is peer.h). An id is a string or an
 * integer, never null, and goes back with the type it came with. A batch is recognised, not
 * judged: only revision 2025-03-26 of MCP has them.
 *
 * What is repaired rather than refused: "\u0000" and halves of surrogate pairs in strings, and
 * bytes that are not UTF-8, become U+FFFD. Servers that cut texts at a byte count send these, and a
 * refused reply would leave its caller waiting. Bounds: RPC_BYTES_MAX a message, JSON_DEPTH_MAX
 * levels, RPC_VALUES_MAX values (a value takes up to 40 times its text in memory). */
#ifndef MCP_RPC_H
#define MCP_RPC_H
#include "base/json.h"

#define RPC_BYTES_MAX  ((size_t)64 * 1024 * 1024)
#define RPC_VALUES_MAX ((size_t)2 * 1000 * 1000)
#define RPC_BATCH_MAX  1000
#define RPC_ID_MAX     1024 /* bytes of a string id */

enum rpc_kind { RPC_REQUEST, RPC_NOTIFICATION, RPC_RESULT, RPC_ERROR, RPC_BATCH };

enum rpc_code { /* of error objects */
                RPC_PARSE_ERROR = -32700,
                RPC_INVALID_REQUEST = -32600,
                RPC_NO_METHOD = -32601,
                RPC_INVALID_PARAMS = -32602,
                RPC_INTERNAL = -32603,
                RPC_CONNECTION_CLOSED = -32000, /* of the usual SDKs, not of the protocol */
                RPC_REQUEST_TIMEOUT = -32001,
                RPC_NO_RESOURCE = -32002, /* up to 2025-11-25 */
                RPC_URL_ELICITATION = -32042
};

struct rpc_msg { /* all borrowed from doc */
    enum rpc_kind kind;
    const char *method;   /* request, notification */
    const json_t *id;     /* request, result, error; NULL in an error that names no request */
    const json_t *params; /* object, array or NULL */
    json_t *result;       /* any value */
    json_t *error;        /* object with an integer `code` and a string `message` */
    json_t *OWN doc;      /* RPC_BATCH: the array of messages, each still to be read */
};

/* One message or one batch. ERR_INVALID: not JSON, or not JSON-RPC 2.0; ERR_LIMIT: over a bound. */
struct err *MUST rpc_parse(const char *text, size_t n, struct rpc_msg *ret_msg);
/* A parsed document, or one item of a batch; takes a reference of doc. */
struct err *MUST rpc_read(json_t *doc, struct rpc_msg *ret_msg);
void rpc_msg_fini(struct rpc_msg *m);

/* Append one message, without a line end. params NULL: none. */
void rpc_write_request(struct str *to, uint64_t id, const char *method, const json_t *params);
void rpc_write_notification(struct str *to, const char *method, const json_t *params);
void rpc_write_result(struct str *to, const json_t *id, const json_t *result);
/* id NULL: the request could not be read; the member is left out, as null is not an id. */
void rpc_write_error(struct str *to, const json_t *id, int code, const char *message);

/* An error object as one of ours: -32601 and -32002 MISSING, -32602, -32600, -32700 and a server's
 * own codes INVALID, -32042 DENIED (with the URLs to visit), all else TRANSIENT and in doubt. */
struct err *OWN rpc_error_to_err(const json_t *error);
/* The code that tells the other side about an error of ours. */
int rpc_code_of(const struct err *e);

#endif
