/* agentscmd.c - `tutti agents`: who can work, and with what. */
#include "app/registry.h"
#include "cli/cli.h"
#include "rt/rt.h"
#include <stdio.h>
#include <string.h>

#define PROBE_MS 60000

struct asked {
    const char *file, *name;
    bool json, probe;
};

static void
join(const json_t *list, struct str *to)
{
    const json_t *one;
    size_t i;
    json_array_foreach (list, i, one)
        str_addf(to, "%s%s", i ? ", " : "", json_is_string(one) ? json_string_value(one) : "");
}

static void
line_of_list(const char *label, const json_t *list)
{
    AUTO(str_fini) struct str text = STR_INIT;
    join(list, &text);
    if (text.len)
        print_shown(stdout, "    %-13s %s\n", label, str_c(&text));
}

static void
line_of_model(const json_t *row)
{
    const json_t *pictures = json_object_get(row, "multimodal");
    AUTO(str_fini) struct str text = STR_INIT;
    if (json_str(row, "model", NULL) || json_str(row, "provider", NULL))
        str_addf(&text, "%s%s%s", json_str(row, "provider", ""),
                 json_str(row, "provider", NULL) && json_str(row, "model", NULL) ? ":" : "",
                 json_str(row, "model", ""));
    else
        str_add(&text, "none is named");
    str_addf(&text, "; pictures: %s",
             json_is_true(pictures)    ? "yes"
             : json_is_false(pictures) ? "no"
                                       : "unknown");
    if (json_int(row, "max_tokens", 0))
        str_addf(&text, "; %lld tokens of a reply", (long long)json_int(row, "max_tokens", 0));
    else
        str_add(&text, "; tokens of a reply unknown");
    if (json_int(row, "context_window", 0))
        str_addf(&text, "; %lld of a conversation", (long long)json_int(row, "context_window", 0));
    print_shown(stdout, "    %-13s %s\n", "model", str_c(&text));
}

static void
probed_show(const json_t *row)
{
    static const char *const kinds[] = {"tools", "resources", "prompts"};
    const char *server;
    json_t *found;
    json_object_foreach (json_object_get(row, "probed"), server, found) {
        if (json_str(found, "error", NULL))
            print_shown(stdout, "    %s: %s\n", server, json_str(found, "error", ""));
        for (size_t i = 0; i < COUNT(kinds); i++) {
            AUTO(freep) char *label = xasprintf("%s.%s", server, kinds[i]);
            line_of_list(label, json_object_get(found, kinds[i]));
        }
    }
}

static void
row_show(const json_t *row)
{
    static const char *const lists[] = {"servers", "agents", "capabilities"};
    const char *about = json_str(row, "description", "");
    print_shown(stdout, "%s (%s)  %.*s\n", json_str(row, "name", ""), json_str(row, "kind", ""),
                (int)utf8_floor(about, MIN(strcspn(about, "\n"), 100)), about);
    if (strcmp(json_str(row, "kind", ""), "llm") == 0)
        line_of_model(row);
    for (size_t i = 0; i < COUNT(lists); i++)
        line_of_list(lists[i], json_object_get(row, lists[i]));
    line_of_list("tools", json_object_get(json_object_get(row, "tools"), "allow"));
    line_of_list("not the tools", json_object_get(json_object_get(row, "tools"), "deny"));
    probed_show(row);
}

static struct err *
agents(struct app *a, void *arg)
{
    const struct asked *q = arg;
    AUTO(freep) char *file = NULL;
    AUTO(spec_freep) struct spec *spec = NULL;
    AUTO(json_freep) json_t *list = NULL, *row = NULL;
    json_t *one;
    size_t i;
    PASS(app_find_file(q->file, &file));
    PASS(app_load(a, file, &spec));
    if (q->name)
        PASS(agents_find(a, spec->doc, q->name, &row));
    list = row ? json_pack("[O]", row) : agents_list(a, spec->doc);
    if (q->probe)
        PASS(app_servers_know(a, spec->doc));
    json_array_foreach (list, i, one) {
        if (q->probe && json_object_get(one, "servers"))
            agents_probe(a, one, rt_after(PROBE_MS));
        if (!q->json)
            row_show(one);
    }
    AUTO(json_freep) json_t *shown = app_redact_json(a, row ? row : list);
    if (q->json)
        print_json(shown);
    return NULL;
}

static int
agents_main(int argc, char **argv)
{
    struct asked q = {0};
    const struct option_def defs[] = {
        {"--json", .flag = &q.json}, {"--probe", .flag = &q.probe}, {"--agent", .value = &q.name}};
    if (options_take(defs, COUNT(defs), &argc, argv))
        return TUTTI_USAGE;
    if (argc > 2)
        return usage_error(&cmd_agents, "'%s' is one word too many", argv[2]);
    q.file = argc > 1 ? argv[1] : NULL;
    return with_app(&(struct with_app){.fn = agents, .arg = &q});
}

const struct command cmd_agents = {
    "agents",
    "agents [FILE] [--agent NAME] [--probe] [--json]",
    "list the agents of a file and what they can do",
    agents_main,
};
