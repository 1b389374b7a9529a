/* sendcmd.c - `tutti send`: the next input of a session, and what it says to it. */
#include "cli/cli.h"
#include "cli/watch.h"
#include <stdio.h>
#include <string.h>

/* The run is gone on with here, unless another process has it: that one heard the input too. */
static int
go_on(struct tutti *t, const char *id, const struct watch_opts *opts)
{
    struct tutti_run *run = NULL;
    char *error = NULL;
    int code = 0;
    struct watch *w = watch_new(t, opts);
    if (!tutti_resume(t, id, NULL, &run, &error))
        code = watch_run(w, run, false);
    else
        print_shown(stderr, "the input is stored; %s\n",
                    error ? error : "it is in another process");
    watch_free(w);
    tutti_free(error);
    return code;
}

/* That it works is its answer, and no error. */
static void
error_show(const char *error, bool is_answer, bool json)
{
    if (is_answer && json) {
        AUTO(json_freep)
        json_t *doc = json_pack("{so}", "busy", json_string_lossy(error, strlen(error)));
        print_json(doc);
    } else {
        print_shown(is_answer ? stdout : stderr, "%s\n", error);
    }
}

static int
send_main(int argc, char **argv)
{
    struct tutti_options o = {.handle_signals = 1};
    struct watch_opts watch = {0};
    bool detach = false;
    const struct option_def defs[] = {
        {"--store", .value = &o.store},      {"--json", .flag = &watch.json},
        {"--events", .flag = &watch.events}, {"--quiet", "-q", .flag = &watch.quiet},
        {"--detach", .flag = &detach},
    };
    if (options_take(defs, COUNT(defs), &argc, argv))
        return TUTTI_USAGE;
    if (argc != 3)
        return usage_error(&cmd_send, "send needs a run and a text");
    if (watch.json && watch.events)
        return usage_error(&cmd_send, NOT_BOTH);
    struct tutti *t;
    char *error = NULL;
    enum tutti_status status = tutti_open(&o, &t, &error);
    if (!status) {
        status = tutti_send(t, argv[1], argv[2], &error);
        if (!status && !detach)
            status = (enum tutti_status)go_on(t, argv[1], &watch);
        tutti_close(t);
    }
    if (error)
        error_show(error, status == TUTTI_BUSY, watch.json);
    tutti_free(error);
    return (int)status;
}

const struct command cmd_send = {
    "send",
    "send RUN TEXT [--detach] [--store DIR] [--json|--events] [--quiet]",
    "tell a session its next input, and hear what it says",
    send_main,
};
