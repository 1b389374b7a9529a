/* content.c - content blocks as text within a bound. */
#include "mcp/content.h"
#include "mcp/session.h"
#include <string.h>

#define BLOCKS_MAX 1000 /* blocks that are read; more are counted */

struct bounded { /* a text that stops growing */
    struct str *to;
    size_t left, lost; /* bytes */
};

static void
put(struct bounded *b, const char *text, size_t n)
{
    size_t fits = n <= b->left ? n : utf8_floor(text, b->left);
    str_addn(b->to, text, fits);
    b->left = fits < n ? 0 : b->left - fits; /* nothing follows a cut */
    b->lost += n - fits;
}

static void
put_text(struct bounded *b, const char *text)
{
    put(b, text, strlen(text));
}

static void
put_end(struct bounded *b)
{
    if (b->lost)
        str_addf(b->to, "\n[%zu more bytes left out]", b->lost);
}

/* Bytes behind a base64 text. */
static size_t
base64_size(const json_t *data)
{
    return json_string_length(data) / 4 * 3;
}

static void
put_note(struct bounded *b, const json_t *block, const char *what, const json_t *data)
{
    AUTO(str_fini) struct str note = STR_INIT;
    const char *mime = json_str(block, "mimeType", NULL), *name = json_str(block, "name", NULL);
    const char *uri = json_str(block, "uri", NULL);
    str_addf(&note, "[%s", what);
    const char *sep = ": ";
    const char *const parts[] = {name, uri, mime};
    for (size_t i = 0; i < COUNT(parts); i++) {
        if (!parts[i])
            continue;
        str_addf(&note, "%s%.500s", sep, parts[i]);
        sep = ", ";
    }
    if (data)
        str_addf(&note, "%s%zu bytes", sep, base64_size(data));
    str_addc(&note, ']');
    AUTO(str_fini) struct str clean = STR_INIT; /* a precision may have cut a character */
    str_add_utf8(&clean, note.p, note.len);
    put(b, clean.p, clean.len);
}

static void
put_resource(struct bounded *b, const json_t *resource)
{
    const json_t *text = json_object_get(resource, "text");
    if (json_is_string(text))
        put(b, json_string_value(text), json_string_length(text));
    else
        put_note(b, resource, "resource", json_object_get(resource, "blob"));
}

static void
put_block(struct bounded *b, const json_t *block)
{
    const char *type = json_str(block, "type", "?");
    const json_t *text = json_object_get(block, "text");
    if (strcmp(type, "text") == 0 && json_is_string(text))
        put(b, json_string_value(text), json_string_length(text));
    else if (strcmp(type, "resource") == 0)
        put_resource(b, json_object_get(block, "resource"));
    else if (strcmp(type, "resource_link") == 0)
        put_note(b, block, "resource", NULL);
    else if (strcmp(type, "image") == 0 || strcmp(type, "audio") == 0)
        put_note(b, block, type, json_object_get(block, "data"));
    else
        put_note(b, block, "content of an unknown type", NULL);
}

static void
put_each(struct bounded *b, const json_t *list, void (*one)(struct bounded *b, const json_t *item))
{
    size_t n = json_array_size(list);
    for (size_t i = 0; i < MIN(n, (size_t)BLOCKS_MAX); i++) {
        if (i)
            put_text(b, "\n");
        one(b, json_array_get(list, i));
    }
    if (n > BLOCKS_MAX) {
        AUTO(str_fini) struct str note = STR_INIT;
        str_addf(&note, "\n[%zu more parts left out]", n - BLOCKS_MAX);
        put(b, note.p, note.len);
    }
}

static void
put_content(struct bounded *b, const json_t *content)
{
    if (json_is_array(content))
        put_each(b, content, put_block);
    else if (content)
        put_block(b, content);
}

void
content_text(const json_t *content, size_t max, struct str *to)
{
    struct bounded b = {.to = to, .left = max};
    put_content(&b, content);
    put_end(&b);
}

void
resource_text(const json_t *contents, size_t max, struct str *to)
{
    struct bounded b = {.to = to, .left = max};
    put_each(&b, contents, put_resource);
    put_end(&b);
}

bool
tool_result_text(const json_t *result, size_t max, struct str *to)
{
    struct bounded b = {.to = to, .left = max};
    const json_t *content = json_object_get(result, "content");
    const json_t *structured = json_object_get(result, "structuredContent");
    const char *misfit = json_str(json_object_get(result, "_meta"), SESSION_MISFIT, NULL);
    if (json_array_size(content) == 0 && structured) {
        AUTO(freep) char *text = json_text(structured);
        put_text(&b, text);
    } else {
        put_content(&b, content);
    }
    put_end(&b);
    if (misfit)
        str_addf(to, "\n[the structured content does not fit the tool's output schema: %.500s]",
                 misfit);
    return json_bool(result, "isError", false);
}

struct tool_hints
tool_hints(const json_t *tool)
{
    const json_t *a = json_object_get(tool, "annotations");
    return (struct tool_hints){.read_only = json_bool(a, "readOnlyHint", false),
                               .destructive = json_bool(a, "destructiveHint", true),
                               .idempotent = json_bool(a, "idempotentHint", false),
                               .open_world = json_bool(a, "openWorldHint", true)};
}
