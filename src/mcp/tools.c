/* tools.c - checking and indexing a list of tools, and results against what they promise. */
#include "mcp/tools.h"
#include "base/log.h"
#include "base/map.h"
#include "mcp/session.h"
#include "schema/schema.h"
#include <stdlib.h>
#include <string.h>

struct tool { /* an entry of the index */
    const json_t *def;
    struct schema *output; /* compiled outputSchema, once it was needed */
    bool compiled;         /* that was tried */
};
struct tools {
    json_t *all;
    struct map *index; /* name -> struct tool */
    unsigned dropped;
};

/* 2025-11-25 asks for A-Z a-z 0-9 _ - . only; servers of older revisions use more (slashes,
 * blanks), and whoever hands names to a model maps them anyway. */
bool
tool_name_ok(const char *name)
{
    size_t n = strlen(name);
    if (n == 0 || n > TOOL_NAME_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            return false;
    }
    return true;
}

static bool
tool_ok(const struct tools *t, const json_t *def)
{
    const char *name = json_str(def, "name", NULL);
    return name && tool_name_ok(name) && !map_has(t->index, name) &&
           json_is_object(json_object_get(def, "inputSchema"));
}

struct tools *
tools_new(const json_t *listed)
{
    struct tools *t = xcalloc(1, sizeof *t);
    t->all = json_array();
    t->index = map_new();
    size_t i;
    json_t *def;
    json_array_foreach (listed, i, def) {
        if (!tool_ok(t, def)) {
            log_debug("mcp", "the tool '%.128s' is left out", json_str(def, "name", ""));
            t->dropped++;
            continue;
        }
        struct tool *tool = xcalloc(1, sizeof *tool);
        tool->def = def;
        json_array_append(t->all, def);
        map_put(t->index, json_str(def, "name", ""), tool);
    }
    return t;
}

void
tools_free(struct tools *t)
{
    if (!t)
        return;
    const char *name;
    void *value;
    for (size_t i = 0; map_next(t->index, &i, &name, &value);) {
        schema_free(((struct tool *)value)->output);
        free(value);
    }
    map_free(t->index);
    json_decref(t->all);
    free(t);
}

json_t *
tools_all(const struct tools *t)
{
    return t->all;
}

const json_t *
tools_find(const struct tools *t, const char *name)
{
    const struct tool *tool = t ? map_get(t->index, name) : NULL;
    return tool ? tool->def : NULL;
}

unsigned
tools_dropped(const struct tools *t)
{
    return t->dropped;
}

static void
compile_output(struct tool *tool, const char *name)
{
    const json_t *doc = json_object_get(tool->def, "outputSchema");
    tool->compiled = true;
    if (!doc)
        return;
    struct err *e = schema_compile(doc, &tool->output);
    if (!e)
        return;
    AUTO(freep) char *why = err_text(e);
    log_debug("mcp", "the output schema of '%s' is not used: %s", name, why);
    err_drop(e);
}

char *
tools_misfit(struct tools *t, const char *name, const json_t *result)
{
    struct tool *tool = t ? map_get(t->index, name) : NULL;
    if (!tool || json_bool(result, "isError", false))
        return NULL;
    if (!tool->compiled)
        compile_output(tool, name);
    if (!tool->output)
        return NULL;
    const json_t *content = json_object_get(result, "structuredContent");
    if (!content)
        return xstrdup("there is no structured content, though the tool has an output schema");
    struct err *e = schema_enforce(tool->output, content);
    if (!e)
        return NULL;
    char *text = err_text(e);
    err_drop(e);
    return text;
}
