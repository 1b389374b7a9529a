/* inspect.c - `tutti validate`, `schema`, `version`: what a file says, without running it.
 */
#include "cli/cli.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct inspect {
    const char *file;
    bool json;
};

/* ---- validate -------------------------------------------------------------- */

static json_t *
problem(const struct err *e, const char *level)
{
    AUTO(freep) char *text = err_text(e);
    struct src_pos at = err_pos(e);
    return json_pack("{ss so* si si so}", "level", level, "file",
                     at.file ? json_string_lossy(at.file, strlen(at.file)) : NULL, "line",
                     (int)at.line, "column", (int)at.col, "message",
                     json_string_lossy(text, strlen(text)));
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
        const size_t agents = json_object_size(json_object_get(spec->doc, "agents"));
        const size_t workflows = json_object_size(json_object_get(spec->doc, "workflows"));
        if (spec_warnings(spec)) {
            print_shown(stderr, "warnings:\n");
            err_print(spec_warnings(spec), stderr);
        }
        print_shown(stdout, "%s: valid (%zu agent%s, %zu workflow%s)\n", file, agents,
                    agents == 1 ? "" : "s", workflows, workflows == 1 ? "" : "s");
        return NULL;
    }
    json_t *list = json_array();
    for (const struct err *i = e; i; i = err_next(i))
        json_array_append_new(list, problem(i, "error"));
    for (const struct err *i = spec ? spec_warnings(spec) : NULL; i; i = err_next(i))
        json_array_append_new(list, problem(i, "warning"));
    json_t *doc = json_pack("{so sb so}", "file", json_string_lossy(file, strlen(file)), "valid",
                            e == NULL, "problems", list);
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

/* ---- schema, version ------------------------------------------------------- */

static int
schema_main(int argc, char **argv)
{
    if (options_take(NULL, 0, &argc, argv))
        return TUTTI_USAGE;
    if (argc > 1)
        return usage_error(&cmd_schema, "'%s' is one word too many", argv[1]);
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
    if (argc > 1)
        return usage_error(&cmd_version, "'%s' is one word too many", argv[1]);
    print_shown(stdout, json ? "{\"version\": \"%s\"}\n" : "tutti %s\n", tutti_version());
    return 0;
}

const struct command cmd_version = {"version", "version [--json]", "print the version",
                                    version_main};
