/* inspect.c - `tutti validate`, `schema`, `graph`, `version`: what a file says, without running it.
 */
#include "cli/cli.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct inspect {
    const char *file, *workflow, *format;
    bool json;
};

/* ---- validate -------------------------------------------------------------- */

static json_t *
problem(const struct err *e, const char *level)
{
    AUTO(freep) char *text = err_text(e);
    struct src_pos at = err_pos(e);
    return json_pack("{ss ss* si si so}", "level", level, "file", at.file, "line", (int)at.line,
                     "column", (int)at.col, "message", json_string_lossy(text, strlen(text)));
}

static struct err *
validate(struct app *a, void *arg)
{
    struct inspect *in = arg;
    AUTO(freep) char *file = NULL;
    AUTO(spec_freep) struct spec *spec = NULL;
    PASS(app_find_file(in->file, &file));
    struct err *e = app_load(a, file, &spec);
    if (!e)
        e = app_check(a, spec);
    if (!in->json) {
        PASS(e);
        if (spec_warnings(spec)) {
            fprintf(stderr, "warnings:\n");
            err_print(spec_warnings(spec), stderr);
        }
        printf("%s: valid (%zu agents, %zu workflows)\n", file,
               json_object_size(json_object_get(spec->doc, "agents")),
               json_object_size(json_object_get(spec->doc, "workflows")));
        return NULL;
    }
    json_t *list = json_array();
    for (const struct err *i = e; i; i = err_next(i))
        json_array_append_new(list, problem(i, "error"));
    for (const struct err *i = spec ? spec_warnings(spec) : NULL; i; i = err_next(i))
        json_array_append_new(list, problem(i, "warning"));
    json_t *doc = json_pack("{ss sb so}", "file", file, "valid", e == NULL, "problems", list);
    print_json(doc);
    json_decref(doc);
    return e;
}

static int
validate_main(int argc, char **argv)
{
    struct inspect in = {0};
    const struct option_def defs[] = {{"--json", .flag = &in.json}};
    if (options_take(defs, COUNT(defs), &argc, argv))
        return TUTTI_USAGE;
    if (argc > 2)
        return usage_error(&cmd_validate, "'%s' is one word too many", argv[2]);
    in.file = argc > 1 ? argv[1] : NULL;
    int code = with_app(&(struct with_app){.fn = validate, .arg = &in});
    return code == TUTTI_USAGE && in.file ? TUTTI_INVALID : code;
}

const struct command cmd_validate = {"validate", "validate [FILE] [--json]",
                                     "check a file without running it", validate_main};

/* ---- graph ----------------------------------------------------------------- */

static struct err *
svg_by_graphviz(const char *dot)
{
    FILE *p = popen("dot -Tsvg", "w"); /* an optional program; it gets our own text only */
    if (!p)
        return FAIL(ERR_MISSING,
                    "svg needs the program 'dot' of Graphviz; install it, or use --format dot");
    fputs(dot, p);
    int status = pclose(p);
    if (status)
        return FAIL(ERR_MISSING,
                    "svg needs the program 'dot' of Graphviz; install it, or use --format dot");
    return NULL;
}

static struct err *
graph(struct app *a, void *arg)
{
    struct inspect *in = arg;
    AUTO(freep) char *file = NULL;
    AUTO(spec_freep) struct spec *spec = NULL;
    AUTO(plan_freep) struct plan *plan = NULL;
    AUTO(str_fini) struct str text = STR_INIT;
    PASS(app_find_file(in->file, &file));
    PASS(app_load(a, file, &spec));
    PASS(app_plan(a, spec, in->workflow, &plan));
    if (strcmp(in->format, "text") == 0)
        plan_draw_text(plan, &text);
    else if (strcmp(in->format, "mermaid") == 0)
        plan_draw_mermaid(plan, &text);
    else
        plan_draw_dot(plan, &text);
    if (strcmp(in->format, "svg") == 0)
        return svg_by_graphviz(str_c(&text));
    fputs(str_c(&text), stdout);
    return NULL;
}

static int
graph_main(int argc, char **argv)
{
    static const char *const formats[] = {"text", "mermaid", "dot", "svg"};
    struct inspect in = {.format = "text"};
    bool known = false;
    const struct option_def defs[] = {{"--format", "-f", .value = &in.format}};
    if (options_take(defs, COUNT(defs), &argc, argv))
        return TUTTI_USAGE;
    for (size_t i = 0; i < COUNT(formats); i++)
        known |= strcmp(formats[i], in.format) == 0;
    if (!known || argc > 3)
        return usage_error(&cmd_graph,
                           known ? "too many words" : "the format is text, mermaid, dot or svg");
    in.file = argc > 1 ? argv[1] : NULL;
    in.workflow = argc > 2 ? argv[2] : NULL;
    return with_app(&(struct with_app){.fn = graph, .arg = &in});
}

const struct command cmd_graph = {"graph",
                                  "graph [FILE [WORKFLOW]] [--format text|mermaid|dot|svg]",
                                  "draw a workflow", graph_main};

/* ---- schema, version ------------------------------------------------------- */

static int
schema_main(int argc, char **argv)
{
    if (options_take(NULL, 0, &argc, argv))
        return TUTTI_USAGE;
    json_t *schema = app_schema();
    print_json(schema);
    json_decref(schema);
    return 0;
}

const struct command cmd_schema = {"schema", "schema",
                                   "print the JSON Schema of files, for editors", schema_main};

static int
version_main(int argc, char **argv)
{
    bool json = false;
    const struct option_def defs[] = {{"--json", .flag = &json}};
    if (options_take(defs, COUNT(defs), &argc, argv))
        return TUTTI_USAGE;
    printf(json ? "{\"version\": \"%s\"}\n" : "tutti %s\n", tutti_version());
    return 0;
}

const struct command cmd_version = {"version", "version [--json]", "print the version",
                                    version_main};
