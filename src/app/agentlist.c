/* agentlist.c - what is known of the agents of a document: from their definitions, from their
 * models' names, from what they do in this process, and, asked, from their tool servers. */
#include "app/appcore.h"
#include "app/registry.h"
#include "base/near.h"
#include "llm/knownmodel.h"
#include "rt/rt.h"
#include <string.h>

/* ---- from the definition --------------------------------------------------- */

static void
copy(json_t *to, const json_t *from, const char *const *keys)
{
    for (; *keys; keys++) {
        json_t *v = json_object_get(from, *keys);
        if (v)
            json_object_set(to, *keys, v);
    }
}

/* The profile that it uses: named, written there, or the usual one. */
static const json_t *
profile_of(const json_t *doc, const json_t *def, json_t *row)
{
    const json_t *which = json_object_get(def, "profile");
    if (!which)
        which = json_object_get(doc, "default_profile");
    if (!json_is_string(which))
        return which;
    json_object_set(row, "profile", (json_t *)(uintptr_t)which);
    return json_object_get(json_object_get(doc, "profiles"), json_string_value(which));
}

static void
model_add(const json_t *doc, const json_t *def, json_t *row)
{
    const bool at_endpoint = json_str(def, "endpoint", NULL) != NULL;
    const json_t *profile = at_endpoint ? def : profile_of(doc, def, row);
    const char *model = json_str(profile, "model", NULL);
    const struct known_model *known = model ? known_model_find(model) : NULL;
    const int64_t reply = json_int(profile, "max_tokens", known ? known->reply : 0),
                  context = json_int(profile, "context_window", known ? known->context : 0);
    if (!at_endpoint && json_str(profile, "provider", NULL))
        json_object_set(row, "provider", json_object_get(profile, "provider"));
    if (model)
        json_object_set(row, "model", json_object_get(profile, "model"));
    json_object_set_new(row, "multimodal", known ? json_boolean(known->multimodal) : json_null());
    json_object_set_new(row, "max_tokens", reply ? json_integer(reply) : json_null());
    json_object_set_new(row, "context_window", context ? json_integer(context) : json_null());
}

static json_t *
agent_row(const json_t *doc, const char *name, const json_t *def)
{
    static const char *const copied[] = {"servers",     "tools",    "agents",  "capabilities",
                                         "use_history", "endpoint", "command", NULL};
    const char *kind = json_str(def, "type", "llm");
    json_t *row =
        json_pack("{ss ss so}", "name", name, "kind", kind, "description",
                  json_string(json_str(def, "description", json_str(def, "instruction", ""))));
    if (strcmp(kind, "llm") == 0)
        model_add(doc, def, row);
    copy(row, def, copied);
    if (json_str(def, "server", NULL))
        json_object_set_new(row, "servers", json_pack("[O]", json_object_get(def, "server")));
    return row;
}

static json_t *
workflow_row(const char *name, const json_t *def)
{
    return json_pack("{ss ss ss sb}", "name", name, "kind", json_str(def, "type", "dag"),
                     "description", json_str(def, "description", ""), "workflow", 1);
}

/* ---- from what it does ----------------------------------------------------- */

/* Those that have not worked here are idle. */
static void
status_add(const json_t *roster, json_t *row)
{
    static const char *const copied[] = {"status", "running", "done",  "failed",
                                         "run",    "task",    "error", NULL};
    const json_t *one;
    size_t i;
    json_array_foreach (roster, i, one) {
        if (strcmp(json_str(one, "agent", ""), json_str(row, "name", "")) == 0) {
            copy(row, one, copied);
            return;
        }
    }
    json_object_set_new(row, "status", json_string("idle"));
    json_object_set_new(row, "done", json_integer(0));
    json_object_set_new(row, "failed", json_integer(0));
}

json_t *
agents_list(struct app *a, const json_t *doc)
{
    AUTO(json_freep) json_t *roster = engine_roster(app_engine(a));
    json_t *list = json_array(), *def;
    const char *name;
    json_object_foreach (json_object_get(doc, "agents"), name, def) {
        json_t *row = agent_row(doc, name, def);
        status_add(roster, row);
        json_array_append_new(list, row);
    }
    json_object_foreach (json_object_get(doc, "workflows"), name, def)
        json_array_append_new(list, workflow_row(name, def));
    return list;
}

struct err *
agents_find(struct app *a, const json_t *doc, const char *name, json_t **ret_row)
{
    AUTO(json_freep) json_t *list = agents_list(a, doc);
    struct near near = NEAR_INIT(name);
    json_t *row;
    size_t i;
    json_array_foreach (list, i, row) {
        if (strcmp(json_str(row, "name", ""), name) == 0) {
            *ret_row = json_incref(row);
            return NULL;
        }
        near_offer(&near, json_str(row, "name", ""));
    }
    return FAIL(ERR_MISSING, "there is no agent or workflow '%s'%s%s%s", name,
                near.best ? " (did you mean '" : "", near.best ? near.best : "",
                near.best ? "'?)" : "");
}

/* ---- from its tool servers ------------------------------------------------- */

/* A server that has none of a kind says so by not knowing the question. */
static json_t *
names_of(struct app *a, const char *server, const char *what, int64_t deadline_ms)
{
    AUTO(freep) char *method = xasprintf("%s/list", what);
    AUTO(json_freep) json_t *items = NULL;
    const json_t *one;
    size_t i;
    json_t *names = json_array();
    struct err *e = servers_list(app_servers(a), server, method, deadline_ms, &items);
    err_drop(e);
    json_array_foreach (items, i, one)
        json_array_append_new(names, json_string(json_str(one, "name", json_str(one, "uri", ""))));
    return names;
}

static json_t *
server_probe(struct app *a, const char *server, int64_t deadline_ms)
{
    AUTO(json_freep) json_t *tools = NULL;
    const json_t *tool;
    size_t i;
    struct err *e = app_server_tools(a, server, deadline_ms, &tools);
    if (e) {
        AUTO(freep) char *text = err_text(e);
        err_free(e);
        return json_pack("{so}", "error", json_string_lossy(text, strlen(text)));
    }
    json_t *names = json_array();
    json_array_foreach (tools, i, tool)
        json_array_append_new(names, json_string(json_str(tool, "name", "")));
    return json_pack("{so so so}", "tools", names, "resources",
                     names_of(a, server, "resources", deadline_ms), "prompts",
                     names_of(a, server, "prompts", deadline_ms));
}

void
agents_probe(struct app *a, json_t *row, int64_t deadline_ms)
{
    const json_t *server;
    size_t i;
    json_t *probed = json_object();
    json_array_foreach (json_object_get(row, "servers"), i, server) {
        if (json_is_string(server))
            json_object_set_new(probed, json_string_value(server),
                                server_probe(a, json_string_value(server), deadline_ms));
    }
    json_object_set_new(row, "probed", probed);
}
