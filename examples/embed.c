/* embed.c - a program that runs a workflow by the library.
 *
 *   cc examples/embed.c -ltutti -o embed && ./embed flow.yaml "some input"
 *
 * It prints each node as it ends, then the text of the result. Interrupted by Ctrl-C the run is
 * parked; `tutti runs resume` or tutti_resume() goes on with it. */
#include <stdio.h>
#include <string.h>
#include <tutti/tutti.h>

static void
on_event(void *ctx, const struct tutti_event *event)
{
    int *ended = ctx;
    if (strncmp(event->name, "node.", 5) != 0 || event->seq == 0)
        return;
    ++*ended;
    fprintf(stderr, "%s %s\n", event->name, event->path);
}

int
main(int argc, char **argv)
{
    struct tutti *engine;
    struct tutti_run *run;
    char *document = NULL, *error = NULL;
    int ended = 0;

    if (argc < 2) {
        fprintf(stderr, "usage: %s FILE [INPUT]\n", argv[0]);
        return TUTTI_USAGE;
    }
    enum tutti_status status =
        tutti_open(&(struct tutti_options){.handle_signals = 1}, &engine, &error);
    if (status != TUTTI_OK) {
        fprintf(stderr, "%s\n", error);
        tutti_free(error);
        return status;
    }
    tutti_subscribe(engine, on_event, &ended);

    struct tutti_request request = {.file = argv[1], .input = argc > 2 ? argv[2] : NULL};
    status = tutti_start(engine, &request, &run, &error);
    if (status == TUTTI_OK) {
        fprintf(stderr, "run %s\n", tutti_run_id(run));
        status = tutti_wait(run, -1, &document, &error);
        tutti_release(run);
    }
    if (document)
        printf("%s\n", document);
    if (error)
        fprintf(stderr, "%s\n", error);
    fprintf(stderr, "%d events of nodes, status %d\n", ended, (int)status);

    tutti_free(document);
    tutti_free(error);
    tutti_close(engine);
    return status;
}
