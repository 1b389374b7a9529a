/* app.h - the composition root: everything joined, for the command line and the library's own API.
 *
 * Here the tables of kinds are, here the real world is plugged in, and here files become flows. All
 * calls that yield are made from fibers of the runtime that app_open was called in. */
#ifndef APP_APP_H
#define APP_APP_H
#include "engine/engine.h"
#include "engine/tell.h"
#include "spec/spec.h"

#define TUTTI_VERSION "0.1.0"

struct app;
struct registry;
struct app_opts {          /* strings borrowed for the app's life */
    const char *store_dir; /* NULL: memory */
    struct store_mem *mem; /* store_dir NULL: this memory, which outlives the app; or NULL */
    bool read_only;        /* listings: no lock is taken */
    const char *model, *record, *replay;
    bool debug, stream;
    bool testing;    /* a file's `tests` are kept in what is loaded */
    bool unresolved; /* ${NAME} of a variable that is not set stays as it is written */
    bool replaying;  /* nothing leaves the process: a step that the journal does not have parks */
    const struct registry *registry; /* agents beside those of the files; or NULL */
};
struct err *MUST app_open(const struct app_opts *opts, struct app **OWN ret_app) YIELDS;
void app_close(struct app *OWN a) YIELDS; /* accepts NULL */
struct engine *app_engine(struct app *a);
struct store *app_store(struct app *a);
json_t *OWN app_servers_status(struct app *a);
struct servers *app_servers(struct app *a);
/* What this process knows of itself: {engine, limits, breakers, connections}, each a list but the
 * first. */
json_t *OWN app_meters(struct app *a);
json_t *OWN app_pools(struct app *a); /* servers_pools: what the pool of connections has done */
/* Makes the tool servers of a document known; for commands that use them without a run. */
struct err *MUST app_servers_know(struct app *a, const json_t *doc);
struct err *MUST app_server_tools(struct app *a, const char *server, int64_t deadline_ms,
                                  json_t **OWN ret_tools) YIELDS;
/* *ret_result as MCP has it; its text for people is appended to text. */
struct app_tool {
    const char *server, *tool;
    const json_t *args; /* object or NULL */
};
struct err *MUST app_server_call(struct app *a, const struct app_tool *t, int64_t deadline_ms,
                                 json_t **OWN ret_result, struct str *text) YIELDS;

/* Reads and checks a file (and .env beside it, and what it includes). With `model` of the options
 * applied. ERR_INVALID: a list of all mistakes. */
struct err *MUST app_load(struct app *a, const char *path, struct spec **OWN ret_spec);
/* The same from bytes: path is for messages and relative names. */
struct err *MUST app_load_text(struct app *a, const char *path, const char *text, size_t n,
                               struct spec **OWN ret_spec);
/* For what was loaded by another app: its folder, its variables and its secrets become those of
 * this one. */
struct err *MUST app_adopt(struct app *a, const char *path, const struct spec *spec);
/* A flow of a loaded file; its tool servers become known. */
struct err *MUST app_flow(struct app *a, struct spec *spec, const char *workflow,
                          struct flow **OWN ret_flow) YIELDS;
/* Resumes with the tool servers of the stored definition. */
struct err *MUST app_resume(struct app *a, const char *id, const char *in_doubt,
                            struct run **OWN ret_run) YIELDS;
/* engine_rollback with the tool servers of the stored definition. */
struct err *MUST app_rollback(struct app *a, const char *id, struct run **OWN ret_run) YIELDS;
/* All workflows of the file, for `validate`. */
const char *app_root(const struct app *a); /* folder of the file loaded last; NULL: none was */
struct err *MUST app_check(struct app *a, struct spec *spec);
/* One workflow lowered, for drawings; the spec has to live as long. */
struct err *MUST app_plan(struct app *a, struct spec *spec, const char *workflow,
                          struct plan **OWN ret_plan);
json_t *OWN app_schema(void);
/* Numbers over the stored runs (observe/stats.h) of a workflow (NULL: all) that were created since
 * then. *ret_damaged: runs whose journal could not be read, which are left out. */
struct stats;
struct err *MUST app_stats(struct app *a, const char *workflow, int64_t since_wall_ms,
                           struct stats *s, size_t *ret_damaged) YIELDS;
/* A stored run as it went (observe/trace.h); apart: items and turns with places of their own. */
struct trace;
struct err *MUST app_trace(struct app *a, const char *id, unsigned apart,
                           struct trace **OWN ret_trace) YIELDS;

/* FILE if given, else tutti.yaml, .yml or .json in the current folder. malloc'd. */
struct err *MUST app_find_file(const char *given, char **OWN ret_path);
/* Where the journal of this file is: --store, $TUTTI_STORE, or .tutti beside it. malloc'd. */
char *OWN app_store_dir(const char *option, const char *file);

/* Values that must not be seen: replaced by *** in logs, events and errors. */
void app_redact(struct app *a, const char *text, size_t n, struct str *to);
void app_secrets_of(struct app *a, const json_t *doc); /* those that stand in a definition */
json_t *OWN app_redact_json(struct app *a, const json_t *j);

#endif
