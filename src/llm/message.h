/* message.h - a conversation with a model, in no provider's words.
 *
 * A conversation is a JSON array of messages {"role": "system|user|assistant|tool", "content":
 * [part...]}. Parts:
 *
 *   {"type":"text","text":...}
 *   {"type":"image","mime":...,"data":base64 | "url":...}
 *   {"type":"audio","mime":...,"data":base64}
 *   {"type":"file","mime":...,"name":...,"data":base64 | "url":...}        PDF and the like
 *   {"type":"tool_call","id":...,"name":...,"arguments":{...}}             assistant only
 *   {"type":"tool_result","id":...,"name":...,"content":[part...],"is_error":bool}  tool only
 *   {"type":"provider","provider":...,"data":...}                          assistant only
 *
 * A provider part is passed back unread to the provider that made it and left out for all others:
 * signed thinking survives a tool loop that way. Any part may also carry "keep": {provider: data},
 * the same for one part. A tool_call whose arguments the model garbled has "arguments": {} and the
 * garbled text in "invalid": answer it with an error result.
 *
 * The invariant (message_check): ids of calls are unique, each call is answered by a result in the
 * tool messages right behind its assistant message, and no result stands without its call; only
 * the calls of the very last message may be open. Providers refuse whatever breaks this.
 *
 * Builders copy text (which has to be UTF-8; other bytes become U+FFFD) and take over OWN values.
 */
#ifndef LLM_MESSAGE_H
#define LLM_MESSAGE_H
#include "base/json.h"

json_t *OWN message_new(const char *role, json_t *OWN parts); /* parts: array */
json_t *OWN message_text(const char *role, const char *text); /* one text part */
/* An answer to one call; text NULL: no content. Role "tool". */
json_t *OWN message_tool_result(const char *id, const char *name, json_t *OWN parts, bool is_error);

json_t *OWN part_text(const char *text, size_t n);
/* Exactly one of base64 and url. kind: "image", "audio" or "file"; mime and name may be NULL. */
json_t *OWN part_media(const char *kind, const char *mime, const char *name, const char *base64,
                       const char *url);
json_t *OWN part_tool_call(const char *id, const char *name, json_t *OWN arguments);
json_t *OWN part_tool_result(const char *id, const char *name, json_t *OWN parts, bool is_error);
json_t *OWN part_provider(const char *provider, json_t *OWN data);
bool part_is(const json_t *part, const char *type);

const char *message_role(const json_t *message); /* "" when there is none */
bool message_is(const json_t *message, const char *role);
/* Appends the text parts of a message, or of an array of parts, tool results included. */
void message_add_text(struct str *to, const json_t *message_or_parts);

/* ERR_INVALID naming the message and the part. Also bounds: at most MESSAGES_MAX messages. */
#define MESSAGES_MAX 100000
struct err *MUST message_check(const json_t *messages);

/* A rough count, for limits and trimming before the provider has counted: per message 4; text: a
 * quarter of its ASCII characters, half of its 2-byte and all of its longer UTF-8 characters; image
 * 1,000; audio a thousandth of its bytes, at least 50; file a fortieth of its bytes, at least 250;
 * by URL 1,000; calls and results 8 and what they hold; provider parts a quarter of their bytes. */
int64_t message_tokens(const json_t *messages);
int64_t text_tokens(const char *text, size_t n);

/* A conversation of at most max_tokens by message_tokens: the oldest are left out. System messages,
 * the first user message and the last unit always stay, even when they alone are too many; a call
 * and its results are one unit and go or stay together. The messages are shared, not copied. */
json_t *OWN message_trim(const json_t *messages, int64_t max_tokens, size_t *ret_dropped);

#endif
