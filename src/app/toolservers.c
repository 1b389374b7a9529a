/* toolservers.c - the tool servers of an app: known by its documents, used by runs and commands. */
#include "app/appcore.h"
#include "mcp/content.h"

struct servers *
app_servers(struct app *a)
{
    if (!a->servers)
        a->servers = servers_new(&(struct servers_opts){
            .version = TUTTI_VERSION, .base_dir = a->root, .expand = app_expand, .expand_ctx = a});
    return a->servers;
}

json_t *
app_servers_status(struct app *a)
{
    return servers_status(app_servers(a));
}

json_t *
app_pools(struct app *a)
{
    return a->servers ? servers_pools(a->servers) : json_array();
}

struct err *
app_server_tools(struct app *a, const char *server, int64_t deadline_ms, json_t **ret_tools)
{
    const struct servers_whose nobody = {server, NULL};
    return servers_tools(app_servers(a), &nobody, deadline_ms, ret_tools);
}

struct err *
app_server_call(struct app *a, const struct app_tool *t, int64_t deadline_ms, json_t **ret_result,
                struct str *text)
{
    struct servers_call c = {
        .server = t->server, .tool = t->tool, .args = t->args, .deadline_ms = deadline_ms};
    PASS(servers_call(app_servers(a), &c, ret_result));
    tool_result_text(*ret_result, FILE_BYTES_MAX, text);
    return NULL;
}

struct err *
app_servers_know(struct app *a, const json_t *doc)
{
    const char *name;
    json_t *def;
    const json_t *servers = json_object_get(doc, "mcp_servers"),
                 *settings = json_object_get(doc, "settings");
    if (json_object_size(servers))
        servers_limit(app_servers(a), (unsigned)json_int(settings, "max_connections", 0),
                      (unsigned)json_int(settings, "max_connections_per_run", 0));
    json_object_foreach ((json_t *)(uintptr_t)servers, name, def) {
        if (!json_bool(def, "disabled", false) && !servers_has(app_servers(a), name))
            TRY(servers_add(app_servers(a), name, def), "mcp server '%s'", name);
    }
    return NULL;
}

void
app_run_over(void *ctx, const char *run_id)
{
    struct app *a = ctx;
    if (a->servers)
        servers_run_over(a->servers, run_id);
}
