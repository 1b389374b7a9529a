/* watch.h - following a run from the terminal until it is over. */
#ifndef CLI_WATCH_H
#define CLI_WATCH_H
#include "cli/cli.h"

struct watch;
/* What is told of who asks for both. */
#define NOT_BOTH "--json is one document, --events a line for each: not both"
struct watch_opts {
    bool json;   /* one JSON document on stdout and nothing else */
    bool events; /* JSON lines of events on stdout */
    bool quiet;  /* only the result */
    bool stats;  /* then what the process used of limits, breakers and connections, on stderr */
    bool undoes; /* that it ends compensated or cancelled is what was asked for */
    /* What came of it, nodes and all; print: in words. False: not all was done. NULL: its text. */
    bool (*result)(const json_t *doc, bool print);
};
struct watch *OWN watch_new(struct tutti *t, const struct watch_opts *opts); /* subscribes */
void watch_free(struct watch *OWN w);
/* Waits for the run and prints what came of it. Releases the handle. Returns the exit code. */
int watch_run(struct watch *w, struct tutti_run *OWN run, bool strict);
/* The whole of a command: opens an engine, begins a run, watches it, closes. Returns the exit code.
 */
struct watched { /* all borrowed */
    const struct tutti_options *options;
    const struct watch_opts *watch;
    bool strict;
    enum tutti_status (*begin)(void *ctx, struct tutti *t, struct tutti_run **run, char **error);
    void *ctx;
};
int watch_whole(const struct watched *x);
/* Opens an engine, takes a run that has ended up to undo it, and watches that. Returns the exit
 * code.
 */
int run_rollback(const struct tutti_options *o, const char *id, const struct watch_opts *watch);
/* Opens an engine, resumes a run and watches it. Returns the exit code. */
int run_resume(const struct tutti_options *o, const char *id, const char *in_doubt,
               const struct watch_opts *watch);

/* meterprint.c: what the process used of limits, breakers and connections, on stderr. */
void meters_print(struct tutti *t);

/* How far a run is undone, in words; nothing for NULL. */
void compensation_words(const json_t *compensation, struct str *to);

#endif
