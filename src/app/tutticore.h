/* tutticore.h - the inside of the public API; for the files of this folder only. */
#ifndef APP_TUTTICORE_H
#define APP_TUTTICORE_H
#include "app/app.h"
#include "engine/tell.h"
#include "rt/fiber.h"
#include "tutti/tutti.h"

struct tutti {
    struct rt *rt;
    struct app *app; /* NULL until the first file says where the store is */
    struct app_opts opts;
    struct registry *registry;
    char *store_dir, *model, *record, *replay, *store_option;
    bool memory, handle_signals, following; /* following: the engine's events */
    bool stay;
    struct waitq alarm; /* who waits for a run to be woken */
    int interrupted;    /* signals so far */
    void (*event_fn)(void *ctx, const struct tutti_event *event);
    void *event_ctx;
    struct tutti_run *runs;
};

struct tutti_run {
    struct tutti *engine;
    struct run *run;     /* another one when it was put away and is taken up again */
    char id[RUN_ID_LEN]; /* the same for all of them */
    bool interrupted;    /* while it was put away */
    struct tutti_run *next;
};

struct call { /* one call of the API: a turn of the runtime with a fiber that does it */
    struct tutti *t;
    struct tutti_run *run;
    const struct tutti_request *request;
    const char *file, *id, *in_doubt;
    const struct answer *answer;
    const struct signal *signal;
    int64_t timeout_ms;
    bool whole; /* with the nodes */
    char *document;
    struct err *e;
};

/* Opens the engine when the first call says where its store is; file: the one it is beside, or
 * NULL. */
struct err *MUST tutti_ready(struct tutti *t, const char *file) YIELDS;
struct tutti_run *tutti_handle(struct tutti *t, struct run *OWN r);
/* Frees e; its text goes to *error, secrets taken out. */
enum tutti_status tutti_give_up(struct tutti *t, struct err *OWN e, char **error);

/* putaway.c: waits for the run of a struct call, through times in which nobody has it. */
void tutti_wait_main(void *call) YIELDS;

#endif
