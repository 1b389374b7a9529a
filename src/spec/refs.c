/* refs.c - do the names that are mentioned exist? Asked when all files are read. */
#include "base/near.h"
#include "spec/load.h"
#include <string.h>

static const struct {
    const char *what;
    const char *sections[3];
} refs[] = {
    [REF_AGENT] = {"agent", {"agents"}},
    [REF_PROFILE] = {"profile", {"profiles"}},
    [REF_SERVER] = {"MCP server", {"mcp_servers"}},
    [REF_NODE] = {"node", {NULL}}, /* plan's business: nodes have scopes */
    [REF_WORKER] = {"agent or workflow", {"agents", "workflows"}},
};

/* Comparing each wrong name with all names is quadratic: after so many, none is suggested. */
#define SUGGESTED_MAX 200

/* near: offered the names there are; or NULL. */
static bool
ref_exists(const json_t *doc, const struct pending *r, struct near *near)
{
    for (const char *const *s = refs[r->ref].sections; *s; s++) {
        const json_t *section = json_object_get(doc, *s);
        if (json_object_get(section, r->name))
            return true;
    }
    for (const char *const *s = refs[r->ref].sections; near && *s; s++) {
        const char *name;
        json_t *value;
        json_object_foreach (json_object_get(doc, *s), name, value)
            near_offer(near, name);
    }
    return false;
}

void
refs_check(struct check *c, const json_t *doc)
{
    unsigned wrong = 0;
    vec_each (&c->refs, r) {
        struct near near = NEAR_INIT(r->name);
        if (r->ref == REF_NODE || ref_exists(doc, r, wrong < SUGGESTED_MAX ? &near : NULL))
            continue;
        wrong++;
        const char *what = refs[r->ref].what;
        AUTO(freep)
        char *text = near.best ? xasprintf("%s: there is no %s '%.60s' (did you mean '%s'?)",
                                           r->where, what, r->name, near.best)
                               : xasprintf("%s: there is no %s '%.60s'", r->where, what, r->name);
        check_fail_at(c, r->node->file ? r->node->file->index : 0, yaml_pos(r->node), ERR_INVALID,
                      text);
    }
}
