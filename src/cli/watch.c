/* watch.c - progress on stderr, the result on stdout. */
#include "cli/watch.h"
#include "model/status.h"
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
    struct tutti *engine;
    struct progress *progress;
    bool live;
    bool said;         /* a session has said something, which is its result */
    struct str spoken; /* of that what is printed when the live view is over */
};

/* A session talks as soon as its words are committed. */
static void
say(struct watch *w, const json_t *detail)
{
    const char *text = json_str(detail, "output", NULL);
    if (!text || w->opts.json || w->opts.events || strcmp(json_str(detail, "type", ""), "say") != 0)
        return;
    w->said = true;
    if (w->live && w->progress) { /* which draws over what stands there */
        str_addf(&w->spoken, "%s\n", text);
        return;
    }
    print_result(text);
    fflush(stdout);
}

static void
on_event(void *ctx, const struct tutti_event *event)
{
    struct watch *w = ctx;
    json_t *detail = NULL;
    const bool completed = strcmp(event->name, EVENT_NODE_COMPLETED) == 0;
    if (!w->progress && !w->opts.events && !completed)
        return;
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
    if (completed)
        say(w, detail);
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
    w->engine = t;
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
    if (!opts->json)
        tutti_subscribe(t, on_event, w);
    return w;
}

void
watch_free(struct watch *w)
{
    if (!w)
        return;
    progress_free(w->progress);
    str_fini(&w->spoken);
    free(w);
}

/* How far a run is undone: "undone: 3 nodes, 1 of them by hand; 1 given up". */
void
compensation_words(const json_t *c, struct str *to)
{
    const long long undone = (long long)json_int(c, "undone", 0),
                    by_hand = (long long)json_int(c, "by_hand", 0),
                    given_up = (long long)json_int(c, "given_up", 0),
                    left = (long long)json_int(c, "left", 0);
    if (!c)
        return;
    str_addf(to, "undone: %lld node%s", undone + by_hand, undone + by_hand == 1 ? "" : "s");
    if (by_hand)
        str_addf(to, ", %lld of them by hand", by_hand);
    if (given_up)
        str_addf(to, "; %lld given up", given_up);
    if (left)
        str_addf(to, "; %lld left", left);
}

static void
waiting_show(const json_t *doc, const char *id)
{
    const json_t *q;
    size_t i;
    print_shown(stderr, "waiting: %s\n", json_str(doc, "waiting", ""));
    json_array_foreach (json_object_get(doc, "waits"), i, q) {
        if (strcmp(json_str(q, "type", ""), "human") == 0)
            print_shown(stderr, "answer with: tutti gate respond %s %s ANSWER --resume\n", id,
                        json_str(q, "path", ""));
        else if (str_starts(json_str(q, "signal", ""), "input"))
            print_shown(stderr, "go on with: tutti send %s TEXT\n", id);
    }
}

/* Returns how it counts: its status, or partial. */
static enum tutti_status
result_show(struct watch *w, const char *id, const json_t *doc, enum tutti_status status)
{
    if (w->opts.result && !w->opts.result(doc, !w->opts.json && !w->opts.events) && !status)
        status = TUTTI_PARTIAL;
    if (w->opts.json) {
        print_json(doc);
        return status;
    }
    const char *text = json_str(doc, "text", ""), *error = json_str(doc, "error", NULL);
    if (*text && !w->opts.events && !w->said && !w->opts.result)
        print_result(text);
    fflush(stdout);
    if (error && !w->opts.undoes)
        print_shown(stderr, "failed: %s\n", error);
    AUTO(str_fini) struct str undone = STR_INIT;
    compensation_words(json_object_get(doc, "compensation"), &undone);
    if (undone.len)
        print_shown(stderr, "%s\n", str_c(&undone));
    if (status == TUTTI_WAITING)
        waiting_show(doc, id);
    if (status == TUTTI_PARTIAL)
        print_shown(stderr, "warning: the run is partial: not every %s completed\n",
                    w->opts.result ? "item" : "node");
    if (status == TUTTI_INTERRUPTED)
        print_shown(stderr, "interrupted; go on with: tutti runs resume %s\n", id);
    return status;
}

/* ---- asking at the terminal ------------------------------------------------ */

static void
question_print(const json_t *q)
{
    const json_t *choice;
    size_t i;
    print_shown(stderr, "\n%s\n", json_str(q, "prompt", ""));
    if (json_object_get(q, "arguments")) {
        AUTO(freep) char *args = json_text(json_object_get(q, "arguments"));
        print_shown(stderr, "%.2000s\n", args);
    }
    json_array_foreach (json_object_get(q, "choices"), i, choice) {
        AUTO(freep) char *text = json_as_text(choice);
        print_shown(stderr, "%s%s", i ? ", " : "(", text);
    }
    print_shown(stderr, "%s> ", i ? ") " : "");
}

/* Until it is answered; false: the person has left (end of input). */
static bool
question_ask(struct watch *w, const char *run, const json_t *q)
{
    char *line = NULL;
    size_t cap = 0;
    bool answered = false;
    while (!answered) {
        char *error = NULL;
        question_print(q);
        ssize_t n = getline(&line, &cap, stdin);
        if (n < 0)
            break;
        line[strcspn(line, "\r\n")] = '\0';
        if (!*line)
            continue;
        struct tutti_answer a = {
            .run_id = run, .path = json_str(q, "path", ""), .value = line, .by = rt_env("USER")};
        answered = !tutti_answer(w->engine, &a, &error);
        if (error)
            print_shown(stderr, "%s\n", error);
        tutti_free(error);
    }
    free(line);
    return answered;
}

/* The next input of a session; false: the person has left. */
static bool
input_ask(struct watch *w, const char *run)
{
    char *line = NULL, *error = NULL;
    size_t cap = 0;
    bool told = false;
    while (!told) {
        fputs("> ", stderr);
        if (getline(&line, &cap, stdin) < 0)
            break;
        line[strcspn(line, "\r\n")] = '\0';
        if (!*line)
            continue;
        told = !tutti_send(w->engine, run, line, &error);
        if (error)
            print_shown(stderr, "%s\n", error);
        tutti_free(error);
        error = NULL;
    }
    free(line);
    return told;
}

/* What the run asks, if somebody sits there. False: it cannot go on here. */
static bool
questions_ask(struct watch *w, struct tutti_run *run)
{
    AUTO(json_freep) json_t *doc = NULL;
    const json_t *q;
    size_t i;
    bool any = false;
    if (!isatty(0) || !isatty(2) || w->opts.json || w->opts.events || w->opts.quiet)
        return false;
    char *document = tutti_result(run);
    err_drop(json_parse(document, strlen(document), &doc));
    tutti_free(document);
    json_array_foreach (json_object_get(doc, "waits"), i, q) {
        if (str_starts(json_str(q, "signal", ""), "input")) /* the others are next */
            return input_ask(w, tutti_run_id(run));
        if (strcmp(json_str(q, "type", ""), "human") != 0)
            continue;
        if (!question_ask(w, tutti_run_id(run), q))
            return false;
        any = true;
    }
    return any;
}

/* Until its life here is over. */
static enum tutti_status
follow(struct watch *w, struct tutti_run *run, char **document, char **error)
{
    enum tutti_status status;
    do {
        status = tutti_wait(run, w->live && w->progress ? TICK_MS : -1,
                            w->opts.json || w->opts.result ? document : NULL, error);
        if (w->progress)
            progress_tick(w->progress, rt_wall_ms());
        if (status == TUTTI_TIMEOUT) {
            tutti_free(*error);
            *error = NULL;
        }
    } while (status == TUTTI_TIMEOUT);
    if (w->progress)
        progress_finish(w->progress);
    if (w->spoken.len) {
        w->spoken.p[--w->spoken.len] = '\0'; /* the last line gets its end again */
        print_result(str_c(&w->spoken));
    }
    fflush(stdout);
    str_reset(&w->spoken);
    return status;
}

/* What it asks a person is asked here, if one is here. */
static enum tutti_status
follow_and_ask(struct watch *w, struct tutti_run **run, char **document, char **error)
{
    for (;;) {
        enum tutti_status status = follow(w, *run, document, error);
        if (status != TUTTI_WAITING || !questions_ask(w, *run))
            return status;
        AUTO(freep) char *id = xstrdup(tutti_run_id(*run));
        tutti_release(*run);
        *run = NULL;
        status = tutti_resume(w->engine, id, NULL, run, error);
        if (status)
            return status;
    }
}

/* It has ended as whoever cancels or undoes it wants it to. */
static bool
has_undone(const json_t *doc)
{
    const char *status = json_str(doc, "status", "");
    return strcmp(status, "compensated") == 0 ||
           (strcmp(status, "cancelled") == 0 &&
            !json_int(json_object_get(doc, "compensation"), "given_up", 0));
}

int
watch_run(struct watch *w, struct tutti_run *run, bool strict)
{
    char *document = NULL, *error = NULL;
    AUTO(json_freep) json_t *doc = NULL;
    enum tutti_status status = follow_and_ask(w, &run, &document, &error);
    if (run && !error && !document)
        document = tutti_result(run);
    if (document)
        err_drop(json_parse(document, strlen(document), &doc));
    if (doc)
        status = result_show(w, tutti_run_id(run), doc, status);
    if (w->opts.undoes && has_undone(doc))
        status = TUTTI_OK;
    if (error)
        print_shown(stderr, "%s\n", error);
    if (w->opts.stats)
        meters_print(w->engine);
    tutti_free(document);
    tutti_free(error);
    tutti_release(run);
    return status == TUTTI_PARTIAL && !strict ? TUTTI_OK : (int)status;
}

int
watch_whole(const struct watched *x)
{
    struct tutti *t;
    struct tutti_run *run;
    char *error = NULL;
    enum tutti_status status = tutti_open(x->options, &t, &error);
    if (!status) {
        struct watch *w = watch_new(t, x->watch);
        status = x->begin(x->ctx, t, &run, &error);
        if (!status)
            status = (enum tutti_status)watch_run(w, run, x->strict);
        watch_free(w);
        tutti_close(t);
    }
    if (error)
        print_shown(stderr, "%s\n", error);
    tutti_free(error);
    return status;
}

struct taking { /* a run that is there already */
    const char *id, *in_doubt;
};

static enum tutti_status
resume_begin(void *ctx, struct tutti *t, struct tutti_run **run, char **error)
{
    const struct taking *take = ctx;
    return tutti_resume(t, take->id, take->in_doubt, run, error);
}

static enum tutti_status
rollback_begin(void *ctx, struct tutti *t, struct tutti_run **run, char **error)
{
    const struct taking *take = ctx;
    return tutti_rollback(t, take->id, run, error);
}

int
run_resume(const struct tutti_options *o, const char *id, const char *in_doubt,
           const struct watch_opts *watch)
{
    struct taking take = {id, in_doubt};
    return watch_whole(
        &(struct watched){.options = o, .watch = watch, .begin = resume_begin, .ctx = &take});
}

int
run_rollback(const struct tutti_options *o, const char *id, const struct watch_opts *watch)
{
    struct taking take = {.id = id};
    return watch_whole(
        &(struct watched){.options = o, .watch = watch, .begin = rollback_begin, .ctx = &take});
}
