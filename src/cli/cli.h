/* cli.h - a command of the program: one file, one row of the table in main.c. */
#ifndef CLI_CLI_H
#define CLI_CLI_H
#include "app/app.h"
#include "tutti/tutti.h"
#include <stdio.h>

struct command {
    const char *name, *usage, *summary;
    int (*run)(int argc, char **argv); /* argv[0] is the command; returns the exit code */
};
extern const struct command cmd_run, cmd_validate, cmd_schema, cmd_graph, cmd_runs, cmd_mcp,
    cmd_doctor, cmd_init, cmd_send, cmd_agents, cmd_version, cmd_torture, cmd_bench, cmd_gate,
    cmd_batch;

extern const struct command cmd_stats, cmd_test;

/* Options of one command. Values follow as the next word or after '='. */
struct option_def {
    const char *name;                           /* "--json"; short ones as "-i" in `brief` */
    const char *brief;                          /* or NULL */
    bool *flag;                                 /* set when given; or */
    const char **value;                         /* the value; or */
    void (*each)(void *ctx, const char *value); /* called for each */
    void *ctx;
};
/* Takes the options out; *argc and argv keep the words that are left, argv[0] first. -1 after
 * saying what is wrong. "--" ends options. */
int options_take(const struct option_def *defs, size_t n, int *argc, char **argv);
/* For one of several subcommands that share defs: -1, after saying so, when an option was given
 * that is not among `allowed` ("--json --store"). Not for those with `each`. */
int options_refuse(const struct option_def *defs, size_t n, const char *allowed, const char *who);

int usage_error(const struct command *c, const char *fmt, ...) FMT(2); /* prints, returns 2 */
int complain(const struct err *e); /* prints the error, returns its exit code */
int fail(struct err *OWN e);       /* the same, and frees it */
void print_json(const json_t *j);
/* printf for words that others wrote: what a terminal would obey is replaced by blanks. Lines stay
 * lines. */
void print_shown(FILE *to, const char *fmt, ...) FMT(2);
/* A result: as it is into a file or a pipe, as by print_shown where a person sits. */
void print_result(const char *text);

/* Runs fn in a fiber with an open app; the usual frame of commands that look into the store. */
struct with_app {
    struct app_opts opts;
    struct err *(*fn)(struct app *a, void *arg)MUST;
    void *arg;
};
int with_app(struct with_app *w); /* exit code */

/* gatecmd.c: for with_app. Sends a signal to a run and says so. */
struct signal_args {
    const char *run, *name, *value, *dedupe, *by;
    bool json;
};
struct err *MUST signal_send(struct app *a, void *signal_args) YIELDS;

#endif
