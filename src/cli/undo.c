/* undo.c - `tutti runs rollback`: what a run has done, and would be undone. */
#include "cli/runs.h"
#include <stdio.h>
#include <string.h>

static void
line_show(const json_t *one)
{
    static const char *const shown[] = {"action", "instruction", "input", "parameters"};
    print_shown(stdout, "  %-32s %s", json_str(one, "node", ""), json_str(one, "agent", ""));
    for (size_t i = 0; i < COUNT(shown); i++) {
        const json_t *value = json_object_get(one, shown[i]);
        AUTO(freep) char *text = value ? json_as_text(value) : NULL;
        if (text)
            print_shown(stdout, "  %.400s", text);
    }
    if (strcmp(json_str(one, "state", ""), "ready") != 0)
        print_shown(stdout, "  (%s)", json_str(one, "state", ""));
    if (json_str(one, "error", NULL))
        print_shown(stdout, "  cannot be made: %s", json_str(one, "error", ""));
    print_shown(stdout, "\n");
}

struct shown {
    bool json;
    int64_t count;
};

/* One after the other: there may be a million. */
static struct err *
one_show(void *ctx, const json_t *one)
{
    struct shown *s = ctx;
    const bool first = !s->count++;
    if (s->json) {
        AUTO(freep) char *text = json_text(one);
        printf("%s  %s", first ? "[\n" : ",\n", text);
    } else {
        line_show(one);
    }
    return NULL;
}

static struct err *
undo_list(struct app *a, void *arg)
{
    const struct asked *q = arg;
    struct shown s = {.json = q->json};
    struct err *e = engine_undo_list(app_engine(a), q->id, one_show, &s);
    if (s.json && (s.count || !e))
        printf(s.count ? "\n]\n" : "[]\n");
    else if (!s.count && !e)
        print_shown(stdout, "nothing to undo\n");
    return e;
}

int
runs_rollback(struct asked *q, const struct watch_opts *watch)
{
    const struct tutti_options o = {
        .store = q->store, .handle_signals = 1, .stream = !q->json, .stay = q->stay};
    struct watch_opts undoing = *watch;
    undoing.undoes = true;
    if (!q->dry_run)
        return run_rollback(&o, q->id, &undoing);
    AUTO(freep) char *dir = app_store_dir(q->store, NULL);
    return with_app(&(struct with_app){
        .opts = {.store_dir = dir, .read_only = true}, .fn = undo_list, .arg = q});
}
