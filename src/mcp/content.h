/* content.h - what a tool or prompt returned, as text for a model or a person; pure. */
#ifndef MCP_CONTENT_H
#define MCP_CONTENT_H
#include "base/json.h"

/* Appends the text of a tools/call result: texts and embedded text resources as they are, anything
 * else as a note of one line ("[image: image/png, 12 KB]"); structuredContent as JSON when there is
 * no text. At most max bytes and a note of how much was left out. Return isError. */
bool tool_result_text(const json_t *result, size_t max, struct str *to);
/* The same for content blocks (an array, or one block), as in messages of prompts/get. */
void content_text(const json_t *content, size_t max, struct str *to);
/* The same for `contents` of resources/read. */
void resource_text(const json_t *contents, size_t max, struct str *to);

struct tool_hints { /* annotations; claims of the server, not facts. Defaults: schema of 2025-11-25
                     */
    bool read_only; /* false */
    bool destructive; /* true; means something only when not read_only */
    bool idempotent;  /* false; likewise */
    bool open_world;  /* true */
};
struct tool_hints tool_hints(const json_t *tool);

#endif
