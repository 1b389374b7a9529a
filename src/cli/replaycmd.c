/* replaycmd.c - `tutti runs replay`: a stored run walked again from its journal, without a call. */
#include "app/again.h"
#include "base/units.h"
#include "cli/runs.h"
#include "observe/progress.h"
#include "rt/fiber.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct replaying {
    struct asked *q;
    double speed;      /* 0: as fast as it can be read */
    int64_t before_ms; /* of the last event */
    struct tape *tape;
};

static struct err *
event_show(void *ctx, const struct run_event *ev)
{
    struct replaying *r = ctx;
    AUTO(str_fini) struct str line = STR_INIT;
    char iso[32];
    if (r->speed > 0 && r->before_ms && ev->wall_ms > r->before_ms)
        PASS(fiber_sleep((int64_t)((double)(ev->wall_ms - r->before_ms) / r->speed)));
    r->before_ms = ev->wall_ms ? ev->wall_ms : r->before_ms;
    if (r->q->events) {
        event_line(ev, &line);
    } else {
        time_iso(r->before_ms, iso);
        str_addf(&line, "%s %-15s %s", iso, ev->name, ev->path);
        if (json_str(ev->detail, "target", NULL))
            str_addf(&line, "  %s", json_str(ev->detail, "target", ""));
        str_addc(&line, '\n');
    }
    fputs(str_c(&line), stdout);
    return NULL;
}

static struct err *
replay_read(struct app *a, void *arg)
{
    struct replaying *r = arg;
    if (!r->q->quiet && !r->q->json)
        PASS(engine_history(app_engine(a), r->q->id, event_show, r));
    return tape_read(a, r->q->id, &r->tape);
}

#define SHOWN_MAX 200

static void
value_show(const char *what, const json_t *value)
{
    AUTO(freep) char *text = value ? json_text(value) : xstrdup("nothing");
    const size_t n = strlen(text), shown = n > SHOWN_MAX ? utf8_floor(text, SHOWN_MAX) : n;
    print_shown(stderr, "    %s: %.*s%s\n", what, (int)shown, text, shown < n ? "..." : "");
}

static void
report_show(const json_t *report)
{
    const json_t *d;
    size_t i;
    json_array_foreach (json_object_get(report, "differences"), i, d) {
        const char *path = json_str(d, "path", "");
        print_shown(stderr, "  %s: %s differs\n", *path ? path : "the run",
                    json_str(d, "what", ""));
        value_show("recorded", json_object_get(d, "recorded"));
        value_show("replayed", json_object_get(d, "replayed"));
    }
    const char *stopped = json_str(report, "stopped", NULL);
    print_shown(stderr, "replayed %s: %lld nodes with %lld recorded steps, no call; %s%s\n",
                json_str(report, "run", ""), (long long)json_int(report, "nodes", 0),
                (long long)json_int(report, "steps", 0),
                stopped                            ? "it stopped: "
                : json_bool(report, "same", false) ? "the same"
                                                   : "it differs",
                stopped ? stopped : "");
}

int
runs_replay(struct asked *q)
{
    struct replaying r = {.q = q};
    AUTO(json_freep) json_t *report = NULL;
    char *end = NULL;
    r.speed = q->speed ? strtod(q->speed, &end) : 0;
    if (q->speed && (*end || !(r.speed > 0) || r.speed > 1e9))
        return usage_error(&cmd_runs,
                           "the speed '%s' is not a number above 0: 1 is as it was, 10 "
                           "ten times as fast",
                           q->speed);
    AUTO(freep) char *dir = app_store_dir(q->store, NULL);
    int code = with_app(&(struct with_app){
        .opts = {.store_dir = dir, .read_only = true}, .fn = replay_read, .arg = &r});
    if (code)
        return code;
    struct err *e = tape_play(r.tape, &report);
    tape_free(r.tape);
    if (e)
        return fail(e);
    if (q->json)
        print_json(report);
    else
        report_show(report);
    return json_bool(report, "same", false) ? TUTTI_OK : TUTTI_FAILED;
}
