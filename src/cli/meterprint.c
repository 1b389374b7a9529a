/* meterprint.c - what a process used of its limits, breakers and connections, in words. */
#include "base/units.h"
#include "cli/watch.h"
#include <stdio.h>
#include <string.h>

static void
limits_print(const json_t *limits, struct str *to)
{
    static const char *const windows[] = {"rpm", "rpd", "tpm", "tpd"};
    const json_t *row;
    size_t i;
    json_array_foreach (limits, i, row) {
        str_addf(to, "  limit %s:", json_str(row, "limit", ""));
        for (size_t k = 0; k < COUNT(windows); k++) {
            const json_t *w = json_object_get(row, windows[k]);
            if (w)
                str_addf(to, " %lld of %lld %s,", (long long)json_int(w, "used", 0),
                         (long long)json_int(w, "limit", 0), windows[k]);
        }
        str_addf(to, " %lld calls", (long long)json_int(row, "admitted", 0));
        if (json_int(row, "waited_ms_max", 0)) {
            str_add(to, ", waited up to ");
            duration_add(to, json_int(row, "waited_ms_max", 0));
        }
        if (json_int(row, "refused", 0))
            str_addf(to, ", %lld refused by the service", (long long)json_int(row, "refused", 0));
        str_addc(to, '\n');
    }
}

static void
rest_print(const json_t *meters, struct str *to)
{
    const json_t *row;
    size_t i;
    json_array_foreach (json_object_get(meters, "breakers"), i, row)
        str_addf(to, "  breaker %s: %s, opened %lld times\n", json_str(row, "target", ""),
                 json_str(row, "state", ""), (long long)json_int(row, "openings", 0));
    json_array_foreach (json_object_get(meters, "connections"), i, row)
        str_addf(to, "  server %s: %lld connections for %lld calls, %lld lost\n",
                 json_str(row, "server", "(all)"), (long long)json_int(row, "opened", 0),
                 (long long)json_int(row, "taken", 0), (long long)json_int(row, "lost", 0));
}

void
meters_print(struct tutti *t)
{
    char *text = NULL, *error = NULL;
    AUTO(json_freep) json_t *meters = NULL;
    AUTO(str_fini) struct str out = STR_INIT;
    if (tutti_stats(t, &text, &error)) {
        fprintf(stderr, "%s\n", error);
        tutti_free(error);
        return;
    }
    err_drop(json_parse(text, strlen(text), &meters));
    tutti_free(text);
    const json_t *e = json_object_get(meters, "engine");
    str_addf(&out, "this process: %lld steps, %lld from the journal, %lld commits\n",
             (long long)json_int(e, "steps", 0), (long long)json_int(e, "replayed", 0),
             (long long)json_int(e, "commits", 0));
    limits_print(json_object_get(meters, "limits"), &out);
    rest_print(meters, &out);
    fputs(str_c(&out), stderr);
}
