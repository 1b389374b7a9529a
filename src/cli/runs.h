/* runs.h - what the subcommands of `tutti runs` share: each is a function over an open store. */
#ifndef CLI_RUNS_H
#define CLI_RUNS_H
#include "cli/cli.h"

struct asked { /* what the words and options said */
    const char *id, *store, *workflow, *status, *before, *in_doubt, *conversation;
    const char *format, *width;
    const char *name, *value, *dedupe; /* of a signal */
    bool json, all, force, live, timeline, stay;
    size_t limit;
    json_t *list;
};

/* Each gets a struct asked. */
struct err *MUST runs_timeline(struct app *a, void *arg);
struct err *MUST runs_graph(struct app *a, void *arg);
struct err *MUST runs_history(struct app *a, void *arg);
struct err *MUST runs_clear_history(struct app *a, void *arg);

bool graph_format_known(const char *format);

#endif
