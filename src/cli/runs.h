/* runs.h - what the subcommands of `tutti runs` share: each is a function over an open store. */
#ifndef CLI_RUNS_H
#define CLI_RUNS_H
#include "cli/cli.h"
#include "cli/inputs.h"
#include "cli/watch.h"

struct asked { /* what the words and options said */
    const char *id, *store, *workflow, *status, *before, *in_doubt, *conversation;
    const char *format, *width, *from, *model, *speed;
    const char *name, *value, *dedupe; /* of a signal */
    bool json, all, force, live, timeline, stay, yes, dry_run, quiet, events, differs;
    struct inputs inputs;
    bool undo;               /* cancel: what it has done is left to be undone */
    char forked[RUN_ID_LEN]; /* the id of the new run */
    size_t limit;
    size_t shown; /* exchanges */
    json_t *list;
};

/* Each gets a struct asked. */
struct err *MUST runs_timeline(struct app *a, void *arg);
struct err *MUST runs_graph(struct app *a, void *arg);
struct err *MUST runs_history(struct app *a, void *arg);
struct err *MUST runs_clear_history(struct app *a, void *arg);

/* These open the store on their own, and return an exit code. */
int runs_resume(struct asked *q, const struct watch_opts *watch);
int runs_rollback(struct asked *q, const struct watch_opts *watch);
int runs_fork(struct asked *q, const struct watch_opts *watch);
int runs_replay(struct asked *q);
int runs_diff(struct asked *q, const struct watch_opts *watch);

bool graph_format_known(const char *format);

#endif
