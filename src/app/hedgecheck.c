/* hedgecheck.c - refuses hedges that would send twice what must not be, or that nobody would see.
 */
#include "app/hedgecheck.h"
#include <string.h>

struct checking {
    const struct spec *spec;
    struct err *errs;
};

static void
refuse(struct checking *c, const char *pointer, struct err *OWN e)
{
    AUTO(freep) char *text = err_text(e);
    AUTO(freep) char *at = xasprintf("%s/hedge", pointer);
    err_free(e);
    err_join(&c->errs, FAIL_AT(spec_pos(c->spec, at), ERR_INVALID, "%s", text));
}

/* "POST /orders": a method that is written there and does something. */
static bool
method_acts(const char *text)
{
    static const char *const methods[] = {"POST", "PATCH"};
    for (size_t i = 0; text && i < COUNT(methods); i++) {
        const size_t n = strlen(methods[i]);
        if (strncmp(text, methods[i], n) == 0 && (!text[n] || text[n] == ' '))
            return true;
    }
    return false;
}

/* Why what the agent does is known to be `once`; NULL: it is not, or nobody knows. */
static const char *
known_once(const json_t *agent, const json_t *node)
{
    const char *effect = json_str(node, "effect", json_str(agent, "effect", NULL));
    const char *type = json_str(agent, "type", "llm");
    const char *action = json_str(node, "action", NULL);
    if (strcmp(type, "llm") == 0) /* there it is about its tools */
        return NULL;
    if (effect)
        return strcmp(effect, "once") == 0 ? "its effect is `once`" : NULL;
    if (strcmp(type, "exec") == 0)
        return "a program is taken to do something";
    if (strcmp(type, "http") == 0 &&
        (method_acts(action) || (!action && method_acts(json_str(agent, "method", NULL)))))
        return "POST and PATCH do something";
    return NULL;
}

#define SENT_TWICE                                                                                 \
    "%s '%s': a hedge may send the same call twice, and %s; say `effect: pure` or `effect: "       \
    "idempotent` where that is true, or take the hedge out"

static void
agents_look(struct checking *c)
{
    const char *name;
    json_t *agent;
    json_object_foreach (json_object_get(c->spec->doc, "agents"), name, agent) {
        AUTO(freep) char *at = xasprintf("/agents/%s", name);
        const char *why = known_once(agent, NULL);
        if (json_object_get(agent, "hedge") && why)
            refuse(c, at, FAIL(ERR_INVALID, SENT_TWICE, "agent", name, why));
    }
}

static void
node_look(struct checking *c, const json_t *node, const char *pointer)
{
    const json_t *agents = json_object_get(c->spec->doc, "agents");
    const json_t *which = json_object_get(node, "agent");
    const json_t *agent =
        json_object_get(agents, json_is_string(which) ? json_string_value(which) : "");
    const char *id = json_str(node, "id", "node");
    const bool one_call = agent || (!which && json_object_get(node, "server_name"));
    const char *why = known_once(agent, node);
    if (!json_object_get(node, "hedge"))
        return;
    if (!one_call)
        refuse(c, pointer,
               FAIL(ERR_INVALID,
                    "node '%s': a hedge is for the calls of an agent, and this node runs a "
                    "workflow; say it at the agents in there",
                    id));
    else if (agent && why)
        refuse(c, pointer, FAIL(ERR_INVALID, SENT_TWICE, "node", id, why));
}

/* Nodes, wherever workflows are written. */
static void
nodes_look(struct checking *c, const json_t *def, const char *pointer)
{
    const char *key;
    json_t *member;
    size_t i;
    json_object_foreach ((json_t *)(uintptr_t)def, key, member) {
        AUTO(freep) char *at = xasprintf("%s/%s", pointer, key);
        if (json_is_object(member) || json_is_array(member))
            nodes_look(c, member, at);
    }
    json_array_foreach (def, i, member) {
        AUTO(freep) char *at = xasprintf("%s/%zu", pointer, i);
        if (json_object_get(member, "id"))
            node_look(c, member, at);
        nodes_look(c, member, at);
    }
}

struct err *
hedge_check(const struct spec *spec)
{
    struct checking c = {.spec = spec};
    agents_look(&c);
    nodes_look(&c, json_object_get(spec->doc, "workflows"), "/workflows");
    return c.errs;
}
