/* mcpcmd.c - `tutti mcp`: the tool servers of a file, tried from the command line. */
#include "cli/cli.h"
#include "rt/rt.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WITHIN_MS 60000

struct asked {
    const char *file, *what, *server, *tool, *args;
    bool json;
};

static void
tool_line(const char *server, const json_t *tool)
{
    const char *about = json_str(tool, "description", json_str(tool, "title", ""));
    int n = (int)MIN(strcspn(about, "\n"), 90);
    print_shown(stdout, "  %s.%-28s %.*s\n", server, json_str(tool, "name", ""), n, about);
}

static struct err *
tools_of(struct app *a, const char *server, json_t *all, bool print)
{
    AUTO(json_freep) json_t *tools = NULL;
    const json_t *tool;
    size_t i;
    PASS(app_server_tools(a, server, rt_after(WITHIN_MS), &tools));
    AUTO(json_freep) json_t *shown = app_redact_json(a, tools);
    json_object_set(all, server, shown);
    json_array_foreach (shown, i, tool) {
        if (print)
            tool_line(server, tool);
    }
    return NULL;
}

static struct err *
list_tools(struct app *a, const struct asked *q, const json_t *doc, bool status)
{
    AUTO(json_freep) json_t *all = json_object();
    const char *name;
    json_t *def;
    struct err *list = NULL;
    if (q->server && !json_object_get(json_object_get(doc, "mcp_servers"), q->server))
        return FAIL(ERR_MISSING, "there is no server '%s' in mcp_servers", q->server);
    if (!json_object_size(json_object_get(doc, "mcp_servers")))
        fprintf(stderr, "the file names no `mcp_servers`\n");
    json_object_foreach (json_object_get(doc, "mcp_servers"), name, def) {
        if (q->server && strcmp(q->server, name) != 0)
            continue;
        struct err *e = tools_of(a, name, all, !q->json && !status);
        if (e && !status)
            err_join(&list, WRAP(e, "%s", name));
        else
            err_free(e);
    }
    if (!status) {
        if (q->json)
            print_json(all);
        return list;
    }
    AUTO(json_freep) json_t *told = app_servers_status(a);
    AUTO(json_freep) json_t *rows = app_redact_json(a, told);
    const json_t *row;
    size_t i;
    if (q->json)
        print_json(rows);
    json_array_foreach (rows, i, row) {
        if (!q->json)
            print_shown(stdout, "%-16s %-9s %-11s %3lld tools  %s\n", json_str(row, "name", ""),
                        json_str(row, "state", ""), json_str(row, "protocol", ""),
                        (long long)json_int(row, "tools", 0),
                        json_str(row, "error", json_str(row, "command", json_str(row, "url", ""))));
    }
    return NULL;
}

static struct err *
call(struct app *a, const struct asked *q)
{
    AUTO(json_freep) json_t *args = NULL, *result = NULL;
    AUTO(str_fini) struct str text = STR_INIT;
    if (q->args)
        TRY(json_parse(q->args, strlen(q->args), &args), "the arguments");
    struct app_tool t = {q->server, q->tool, args};
    PASS(app_server_call(a, &t, rt_after(WITHIN_MS), &result, &text));
    AUTO(json_freep) json_t *shown = app_redact_json(a, result);
    AUTO(str_fini) struct str said = STR_INIT;
    app_redact(a, str_c(&text), text.len, &said);
    if (q->json)
        print_json(shown);
    else
        print_result(str_c(&said));
    return json_bool(result, "isError", false) ? FAIL(ERR_TRANSIENT, "the tool says that it failed")
                                               : NULL;
}

static struct err *
mcp(struct app *a, void *arg)
{
    const struct asked *q = arg;
    AUTO(freep) char *file = NULL;
    AUTO(spec_freep) struct spec *spec = NULL;
    PASS(app_find_file(q->file, &file));
    PASS(app_load(a, file, &spec));
    PASS(app_servers_know(a, spec->doc));
    if (strcmp(q->what, "call") == 0)
        return call(a, q);
    return list_tools(a, q, spec->doc, strcmp(q->what, "ls") == 0);
}

static int
mcp_main(int argc, char **argv)
{
    struct asked q = {.what = "ls"};
    const struct option_def defs[] = {{"--json", .flag = &q.json},
                                      {"--file", "-f", .value = &q.file}};
    if (options_take(defs, COUNT(defs), &argc, argv))
        return TUTTI_USAGE;
    if (argc > 1)
        q.what = argv[1];
    q.server = argc > 2 ? argv[2] : NULL;
    q.tool = argc > 3 ? argv[3] : NULL;
    q.args = argc > 4 ? argv[4] : NULL;
    bool is_call = strcmp(q.what, "call") == 0;
    if (!is_call && strcmp(q.what, "ls") != 0 && strcmp(q.what, "tools") != 0)
        return usage_error(&cmd_mcp, "there is no '%s'", q.what);
    const int words = is_call ? 5 : strcmp(q.what, "ls") == 0 ? 2 : 3;
    if (argc > words)
        return usage_error(&cmd_mcp, "'%s' is one word too many", argv[words]);
    if (is_call && !q.tool)
        return usage_error(&cmd_mcp, "call needs a server and a tool");
    return with_app(&(struct with_app){.fn = mcp, .arg = &q});
}

const struct command cmd_mcp = {
    "mcp",
    "mcp ls | tools [SERVER] | call SERVER TOOL [JSON]   (all: [-f FILE] [--json])",
    "list and try the tool servers of a file",
    mcp_main,
};
