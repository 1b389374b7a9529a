/* statscmd.c - `tutti stats`: numbers over the runs of a store. */
#include "base/units.h"
#include "cli/cli.h"
#include "observe/stats.h"
#include "rt/rt.h"
#include <stdio.h>
#include <stdlib.h>

struct counting {
    const char *store, *workflow, *since;
    bool json;
};

static struct err *
count(struct app *a, void *arg)
{
    const struct counting *c = arg;
    int64_t age = 0;
    size_t damaged = 0;
    if (c->since && !duration_parse(c->since, &age))
        return FAIL(ERR_INVALID, "'%s' is not a duration: write 7d, 12h", c->since);
    struct stats *s = stats_new();
    struct err *e =
        app_stats(a, c->workflow, c->since ? rt_wall_ms() - age : INT64_MIN, s, &damaged);
    if (!e && c->json) {
        AUTO(json_freep) json_t *doc = stats_json(s);
        if (damaged)
            json_object_set_new(doc, "damaged_runs", json_integer((json_int_t)damaged));
        print_json(doc);
    } else if (!e) {
        AUTO(str_fini) struct str text = STR_INIT;
        stats_text(s, &text);
        fputs(str_c(&text), stdout);
    }
    if (!e && damaged)
        fprintf(stderr,
                "warning: %zu runs are left out: their journals are damaged; `tutti doctor` "
                "tells more\n",
                damaged);
    stats_free(s);
    return e;
}

static int
stats_main(int argc, char **argv)
{
    struct counting c = {0};
    const struct option_def defs[] = {{"--workflow", .value = &c.workflow},
                                      {"--since", .value = &c.since},
                                      {"--store", .value = &c.store},
                                      {"--json", .flag = &c.json}};
    if (options_take(defs, COUNT(defs), &argc, argv))
        return TUTTI_USAGE;
    if (argc > 1)
        return usage_error(&cmd_stats, "'%s' is one word too many", argv[1]);
    AUTO(freep) char *dir = app_store_dir(c.store, NULL);
    return with_app(
        &(struct with_app){.opts = {.store_dir = dir, .read_only = true}, .fn = count, .arg = &c});
}

const struct command cmd_stats = {
    "stats", "stats [--workflow W] [--since 7d] [--store DIR] [--json]",
    "numbers over the runs: by workflow, agent, model and tool", stats_main};
