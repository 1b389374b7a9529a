/* watch.c - progress on stderr, the result on stdout. */
#include "cli/watch.h"
#include "observe/progress.h"
#include "rt/rt.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TICK_MS 100

struct watch {
    struct watch_opts opts;
    struct progress *progress;
    bool live;
};

static void
on_event(void *ctx, const struct tutti_event *event)
{
    struct watch *w = ctx;
    json_t *detail = NULL;
    if (event->detail)
        err_drop(json_parse(event->detail, strlen(event->detail), &detail));
    struct run_event ev = {.run = event->run,
                           .name = event->name,
                           .path = event->path,
                           .seq = event->seq,
                           .wall_ms = event->time_ms,
                           .detail = detail,
                           .text = event->text,
                           .text_len = event->text_len};
    if (w->opts.events) {
        AUTO(str_fini) struct str line = STR_INIT;
        event_line(&ev, &line);
        fputs(str_c(&line), stdout);
        fflush(stdout);
    }
    if (w->progress)
        progress_event(w->progress, &ev);
    json_decref(detail);
}

struct watch *
watch_new(struct tutti *t, const struct watch_opts *opts)
{
    struct watch *w = xcalloc(1, sizeof *w);
    struct winsize size = {0};
    w->opts = *opts;
    const char *term = rt_env("TERM");
    w->live = isatty(2) && term && strcmp(term, "dumb") != 0;
    if (w->live)
        ioctl(2, TIOCGWINSZ, &size);
    if (!opts->quiet && !opts->json && !opts->events)
        w->progress = progress_new(&(struct progress_opts){.out = stderr,
                                                           .live = w->live,
                                                           .color = w->live && !rt_env("NO_COLOR"),
                                                           .width = size.ws_col,
                                                           .rows = size.ws_row});
    if (w->progress || opts->events)
        tutti_subscribe(t, on_event, w);
    return w;
}

void
watch_free(struct watch *w)
{
    if (!w)
        return;
    progress_free(w->progress);
    free(w);
}

static void
result_show(const struct watch *w, const char *id, const char *document, enum tutti_status status)
{
    AUTO(json_freep) json_t *doc = NULL;
    err_drop(json_parse(document, strlen(document), &doc));
    if (w->opts.json) {
        print_json(doc);
        return;
    }
    const char *text = json_str(doc, "text", ""), *error = json_str(doc, "error", NULL);
    if (*text && !w->opts.events)
        printf("%s\n", text);
    fflush(stdout);
    if (error)
        fprintf(stderr, "failed: %s\n", error);
    if (status == TUTTI_WAITING)
        fprintf(stderr, "waiting: %s\n", json_str(doc, "waiting", ""));
    if (status == TUTTI_PARTIAL)
        fprintf(stderr, "warning: the run is partial: not every node completed\n");
    if (status == TUTTI_INTERRUPTED)
        fprintf(stderr, "interrupted; go on with: tutti runs resume %s\n", id);
}

int
watch_run(struct watch *w, struct tutti_run *run, bool strict)
{
    char *document = NULL, *error = NULL;
    enum tutti_status status;
    do {
        status = tutti_wait(run, w->live && w->progress ? TICK_MS : -1,
                            w->opts.json ? &document : NULL, &error);
        if (w->progress)
            progress_tick(w->progress, rt_wall_ms());
        if (status == TUTTI_TIMEOUT) {
            tutti_free(error);
            error = NULL;
        }
    } while (status == TUTTI_TIMEOUT);
    if (w->progress)
        progress_finish(w->progress);
    if (!error && !document)
        document = tutti_result(run);
    if (document)
        result_show(w, tutti_run_id(run), document, status);
    if (error)
        fprintf(stderr, "%s\n", error);
    tutti_free(document);
    tutti_free(error);
    tutti_release(run);
    return status == TUTTI_PARTIAL && !strict ? TUTTI_OK : (int)status;
}
