/* graphcmd.c - `tutti graph`: a workflow drawn as it is defined, or as a run of it went. */
#include "app/overlay.h"
#include "cli/runs.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEEDS_GRAPHVIZ                                                                             \
    "svg needs the program 'dot' of Graphviz: install the package graphviz, or use --format dot"

static struct err *
svg_by_graphviz(const char *dot)
{
    FILE *p = popen("dot -Tsvg", "w"); /* an optional program; it gets our own text only */
    if (!p)
        return FAIL(ERR_MISSING, NEEDS_GRAPHVIZ);
    fputs(dot, p);
    return pclose(p) ? FAIL(ERR_MISSING, NEEDS_GRAPHVIZ) : NULL;
}

static struct err *
picture_show(const struct picture *p, const char *format)
{
    AUTO(str_fini) struct str text = STR_INIT;
    AUTO(json_freep) json_t *json = NULL;
    if (strcmp(format, "json") == 0) {
        json = picture_json(p);
        print_json(json);
        return NULL;
    }
    if (strcmp(format, "text") == 0)
        picture_text(p, &text);
    else if (strcmp(format, "mermaid") == 0)
        picture_mermaid(p, &text);
    else
        picture_dot(p, &text);
    if (strcmp(format, "svg") == 0)
        return svg_by_graphviz(str_c(&text));
    fputs(str_c(&text), stdout);
    return NULL;
}

struct err *
runs_graph(struct app *a, void *arg)
{
    const struct asked *q = arg;
    struct flow *flow = NULL;
    AUTO(trace_freep) struct trace *trace = NULL;
    AUTO(arena_freep) struct arena *arena = arena_new(0);
    PASS(app_trace(a, q->id, 0, &trace));
    TRY(engine_stored_flow(app_engine(a), q->id, &flow), "the run '%s'", q->id);
    struct picture *p = picture_make(arena, flow_plan(flow));
    overlay_run(arena, p, trace);
    struct err *e = picture_show(p, q->json ? "json" : q->format ? q->format : "text");
    flow_unref(flow);
    return e;
}

struct graphing {
    const char *file, *workflow, *format;
};

static struct err *
file_graph(struct app *a, void *arg)
{
    const struct graphing *g = arg;
    AUTO(freep) char *file = NULL;
    AUTO(spec_freep) struct spec *spec = NULL;
    AUTO(plan_freep) struct plan *plan = NULL;
    AUTO(arena_freep) struct arena *arena = arena_new(0);
    PASS(app_find_file(g->file, &file));
    PASS(app_load(a, file, &spec));
    PASS(app_plan(a, spec, g->workflow, &plan));
    return picture_show(picture_make(arena, plan), g->format);
}

bool
graph_format_known(const char *format)
{
    static const char *const formats[] = {"text", "mermaid", "dot", "svg", "json"};
    for (size_t i = 0; i < COUNT(formats); i++) {
        if (strcmp(formats[i], format) == 0)
            return true;
    }
    return false;
}

static int
graph_main(int argc, char **argv)
{
    struct graphing g = {.format = "text"};
    struct asked q = {0};
    const struct option_def defs[] = {{"--format", "-f", .value = &g.format},
                                      {"--run", .value = &q.id},
                                      {"--store", .value = &q.store},
                                      {"--json", .flag = &q.json}};
    if (options_take(defs, COUNT(defs), &argc, argv))
        return TUTTI_USAGE;
    if (!graph_format_known(g.format))
        return usage_error(&cmd_graph, "the format is text, mermaid, dot, svg or json");
    if (argc > (q.id ? 1 : 3))
        return usage_error(&cmd_graph, q.id ? "a run brings its workflow along: name no file"
                                            : "too many words");
    if (q.id) {
        q.format = g.format;
        AUTO(freep) char *dir = app_store_dir(q.store, NULL);
        return with_app(&(struct with_app){
            .opts = {.store_dir = dir, .read_only = true}, .fn = runs_graph, .arg = &q});
    }
    if (q.json)
        g.format = "json";
    g.file = argc > 1 ? argv[1] : NULL;
    g.workflow = argc > 2 ? argv[2] : NULL;
    return with_app(&(struct with_app){.fn = file_graph, .arg = &g});
}

const struct command cmd_graph = {"graph",
                                  "graph [FILE [WORKFLOW]] [--format text|mermaid|dot|svg|json]\n"
                                  "       tutti graph --run ID [--format ...] [--store DIR]",
                                  "draw a workflow, or a run as it went", graph_main};
