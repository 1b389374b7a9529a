/* tutti.h - run agent workflows from inside a program.
 *
 *     struct tutti *t;
 *     struct tutti_run *run;
 *     char *text;
 *     tutti_open(NULL, &t, NULL);
 *     tutti_start(t, &(struct tutti_request){.file = "flow.yaml", .input = "hello"}, &run, NULL);
 *     tutti_wait(run, -1, &text, NULL);             (the document of `tutti run --json`)
 *     tutti_release(run);
 *     tutti_close(t);
 *
 * Work goes on only inside of these calls, on the thread that makes them: open, use and close one
 * engine from one thread. Each runs a loop until it has its answer, and so may carry on with any
 * run of the engine; only tutti_wait takes its time. Strings given are copied; `char *` returned is
 * the caller's, freed by tutti_free, `const char *` is borrowed. Every call that can fail returns a
 * status and sets its results only when that says so: TUTTI_OK, unless told otherwise. With `error`
 * not NULL it also sets a text for people when it fails; that is not NULL only then, if it was
 * before. Link with -ltutti. */
#ifndef TUTTI_TUTTI_H
#define TUTTI_TUTTI_H
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define TUTTI_API __attribute__((visibility("default")))
#else
#define TUTTI_API
#endif

enum tutti_status { /* also the exit codes of the command line */
                    TUTTI_OK = 0,
                    TUTTI_FAILED =
                        1, /* the run failed or was cancelled; or the call itself failed */
                    TUTTI_USAGE = 2,   /* the request is wrong */
                    TUTTI_INVALID = 3, /* the file is wrong; the text has one line per mistake */
                    TUTTI_WAITING = 4, /* the run waits for a person or a signal */
                    TUTTI_PARTIAL = 5, /* it ended partial (the command line: only with --strict) */
                    TUTTI_TIMEOUT = 6, /* of tutti_wait: it goes on */
                    TUTTI_BUSY = 7, /* of tutti_send: the session works; the text is its answer */
                    TUTTI_INTERRUPTED = 130 /* it was interrupted and can be resumed */
};

struct tutti;
struct tutti_run;

struct tutti_options {  /* zero what you do not use; NULL for all defaults */
    const char *store;  /* folder of the journal; NULL: $TUTTI_STORE, else .tutti beside the file */
    int memory;         /* not 0: nothing is stored, for tests */
    const char *model;  /* "provider.model" or a profile, instead of the default profile */
    const char *record; /* write all model calls to this file */
    const char *replay; /* answer all model calls from this file */
    int debug;          /* not 0: log every request and reply, redacted */
    int handle_signals; /* not 0: SIGINT and SIGTERM park the runs that are under way */
    int stream;         /* not 0: ask models for their replies in pieces (agent.chunk events) */
    int stay;           /* not 0: tutti_wait goes on while a person or a signal is waited for */
};
TUTTI_API enum tutti_status
tutti_open(const struct tutti_options *options, struct tutti **engine, char **error);
/* Runs that are under way are interrupted; they can be resumed. Handles of runs that were not
 * released are gone with it. Accepts NULL. */
TUTTI_API void tutti_close(struct tutti *engine);

struct tutti_request {
    const char *file;         /* YAML or JSON */
    const char *workflow;     /* NULL: the only one, or `main` */
    const char *input;        /* text, or NULL */
    const char *inputs;       /* JSON object for `inputs`, or NULL */
    const char *run_id;       /* names the run: the same start twice is one run; or NULL */
    const char *goal;         /* kept with it; or NULL */
    const char *conversation; /* agents with use_history know what was said in earlier runs of it;
                                 or NULL */
};
/* Stored when it returns; goes on in the calls that follow. *run is to be released. TUTTI_INVALID:
 * the file is wrong; TUTTI_USAGE: it is not there, or has no such workflow. */
TUTTI_API enum tutti_status tutti_start(struct tutti *engine, const struct tutti_request *request,
                                        struct tutti_run **run, char **error);
struct tutti_batch {      /* one workflow or agent for each line of a file; all of it is one run */
    const char *file;     /* YAML or JSON */
    const char *workflow; /* or an agent; NULL: the only workflow, or `main` */
    const char *input;    /* JSONL, CSV, lines of text, or a folder: what each one gets */
    const char *output;   /* a line of JSON for each, as they end */
    int parallel;         /* at once; 0: 10 */
    int limit_failures;   /* not 0: more than max_failures end it */
    int64_t max_failures;
    int resume; /* not 0: goes on with the batch that writes this output, as it was begun */
};
/* Wait for it with tutti_wait. TUTTI_USAGE: the output is there already; to resume: the definition
 * or the input is another one. */
TUTTI_API enum tutti_status tutti_batch(struct tutti *engine, const struct tutti_batch *batch,
                                        struct tutti_run **run, char **error);
/* in_doubt: "done", "retry", "fail" or "park" for the steps that must not be repeated and were
 * under way when their process ended; for some of them "NODE=done,OTHER=retry"; NULL: "park". */
TUTTI_API enum tutti_status
tutti_resume(struct tutti *engine, const char *run_id, const char *in_doubt, struct tutti_run **run,
             char **error);
/* Undoes a run that has ended: what completed in it and has `compensate`, newest first; it ends
 * `compensated`. One that is being undone so goes on. */
TUTTI_API enum tutti_status
tutti_rollback(struct tutti *engine, const char *run_id, struct tutti_run **run, char **error);
/* Waits until the run is over; timeout_ms < 0: for ever. Sets *document (JSON; or NULL for none)
 * unless it timed out or failed itself: then it sets the error. The status tells how the run ended.
 * One that only waits for a time is gone on with when it has come; one that waits for somebody is
 * TUTTI_WAITING, and is resumed once it was told. */
TUTTI_API enum tutti_status
tutti_wait(struct tutti_run *run, int64_t timeout_ms, char **document, char **error);
struct tutti_answer {
    const char *run_id; /* its beginning, or the run's name, will do */
    const char *path;   /* of the question, or of the node that asks; NULL: there is only one */
    const char *token;  /* of the question, instead of both; or NULL */
    const char *value;  /* JSON, or else a text */
    const char *by;     /* who; or NULL */
};
/* Answers a question of a run, wherever the run is; a run that was put away has to be resumed. The
 * first answer counts. TUTTI_USAGE: it does not fit, or nothing is asked. */
TUTTI_API enum tutti_status
tutti_answer(struct tutti *engine, const struct tutti_answer *answer, char **error);
struct tutti_signal {
    const char *run_id, *name;
    const char *value;  /* JSON, a text, or NULL */
    const char *dedupe; /* the same name and this are the same signal; NULL: it is a new one */
};
/* Sends a signal to a run: kept until it waits for one of that name. */
TUTTI_API enum tutti_status
tutti_signal(struct tutti *engine, const struct tutti_signal *signal, char **error);
/* The next input of a session that waits; a run that was put away has to be resumed. One input a
 * wait: TUTTI_BUSY while it works. TUTTI_USAGE: it does not fit, or the run is no session. */
TUTTI_API enum tutti_status
tutti_send(struct tutti *engine, const char *run_id, const char *text, char **error);
/* The document without its `nodes`, small however many there are: how it stands now, or ended. */
TUTTI_API char *tutti_result(struct tutti_run *run);
TUTTI_API const char *tutti_run_id(const struct tutti_run *run); /* until it is released */
/* What works is cut off; tutti_wait tells when it has ended. */
TUTTI_API enum tutti_status tutti_cancel(struct tutti_run *run, char **error);
TUTTI_API void tutti_release(struct tutti_run *run); /* the run itself goes on. Accepts NULL */

/* Registers an agent that is in no file: definition is what would stand below its name in `agents`,
 * in YAML or JSON. It is there for every run started afterwards. TUTTI_INVALID: the mistakes;
 * TUTTI_USAGE: the name is taken. */
TUTTI_API enum tutti_status
tutti_register(struct tutti *engine, const char *name, const char *definition, char **error);
/* The agents and workflows of a file (NULL: those that are registered), as a JSON list: name, kind,
 * description, profile, provider, model, servers, tools, capabilities, multimodal, max_tokens,
 * context_window (null: unknown), and what they do in this process: status (idle, busy, error,
 * offline), run, task, done, failed, error. */
TUTTI_API enum tutti_status
tutti_agents(struct tutti *engine, const char *file, char **list, char **error);
/* One of them by its name. TUTTI_USAGE: there is none. */
TUTTI_API enum tutti_status
tutti_agent(struct tutti *engine, const char *file, const char *name, char **row, char **error);

/* Forgets what was said: in one conversation or all (NULL), by one agent or all (NULL). */
TUTTI_API enum tutti_status tutti_clear_history(struct tutti *engine, const char *conversation,
                                                const char *agent, char **error);

/* What this process has done and holds, as JSON: {engine: {runs, steps, ...}, limits: [{limit, rpm:
 * {used, limit}, in_flight, waiting, ...}], breakers: [{target, state, ...}], connections: [...]}.
 */
TUTTI_API enum tutti_status tutti_stats(struct tutti *engine, char **stats, char **error);

struct tutti_event {               /* borrowed for the call */
    const char *run, *name, *path; /* name: "node.completed", ...; path "" for the run itself */
    int64_t seq;                   /* number of the journal record; 0: a passing notice */
    int64_t time_ms;               /* since 1970 */
    const char *detail;            /* JSON, or NULL */
    const char *text;              /* of agent.chunk: a piece of the reply */
    size_t text_len;
};
/* fn is called inside of the calls above, and must not call the library. */
TUTTI_API void tutti_subscribe(struct tutti *engine,
                               void (*fn)(void *ctx, const struct tutti_event *event), void *ctx);

TUTTI_API void tutti_free(char *text); /* accepts NULL */
TUTTI_API const char *tutti_version(void);

#ifdef __cplusplus
}
#endif
#endif
