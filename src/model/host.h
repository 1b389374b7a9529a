/* host.h - what a kind may ask of the engine.
 *
 * A kind never talks to the world on its own account: each outside call is a step. The engine looks
 * the step's path up in the journal; recorded, the result is returned at once; else it commits what
 * the step rests on, guards it (deadline, limits, retry), runs it and records the result. Paths
 * come from position, never from content: a kind that runs again from its top asks for the same
 * steps in the same places and so finds them. */
#ifndef MODEL_HOST_H
#define MODEL_HOST_H
#include "model/kind.h"

struct step_limit { /* what a reply's headers say of one limit; -1: nothing */
    int64_t limit, remaining, reset_ms;
};
struct step_limits {
    struct step_limit requests, tokens;
    bool refused; /* too many requests */
};

struct step_call {       /* one try of a step; what the engine tells the function it runs */
    int64_t deadline_ms; /* absolute, monotonic; of this try */
    const char *key;     /* idempotency key: the same in each try and after each crash */
    unsigned attempt;    /* 1, 2, ... */
    bool second;         /* beside a first call of the same step that is slow: nothing is shown of
                            it before it has its answer */
    struct step_limits *limits; /* to be filled in from what comes back; it says nothing yet */
};

/* Does the call once. Sets *ret_value (any JSON; becomes the journal record) and adds to *usage.
 * What ctx holds is only read: a step that is no `once` may have two calls at once. */
typedef struct err *(*step_fn)(void *ctx, const struct step_call *call, json_t **ret_value,
                               struct usage *usage);

struct step {
    const char *name;    /* last part of the path: "turn[2]", "tool[0]"; unique below this host */
    const char *type;    /* for events and the journal: "model", "tool", "http", "exec", ... */
    const char *target;  /* who is called, for limits, breakers and events: "openai:gpt-4o",
                            "files.read_file" */
    const char *address; /* where that is, when the name alone does not tell; or NULL */
    enum effect effect;
    /* What goes before a first try and is no part of it: gets the other side ready, so that a
     * `once` call has not begun while that takes its time, and sets in the step what only the other
     * side can tell of it, effect and same. Not asked for when the journal has the step's end, nor
     * when a `once` call is in doubt. Until then the effect has to be `once`. NULL: nothing does.
     */
    void (*settle)(void *ctx, struct step *s) YIELDS;
    int64_t timeout_ms; /* of one try, unless node or agent says; 0: settings' request_timeout */
    bool tell_doubt; /* a `once` call whose outcome is unknown fails; else the run is parked for a
                        person */
    step_fn run;
    /* The most that one try can use: tokens, and cost_usd with cost_known. Asked for when a budget
     * is to be held, before the call; may wait. NULL: a call costs nothing. */
    struct err *(*most)(void *ctx, int64_t deadline_ms, struct usage *ret_most)MUST YIELDS;
    /* A call in two steps, of which the first is sent and the second has the answer. pays_for: of
     * the first, the other's name: its worst case stays reserved until that one has an end, over
     * restarts too, and is hoped for so long. paid: of the second. When it fails with an
     * err_answered, that is the answer: it is not asked for again, and nothing was used. */
    const char *pays_for;
    int64_t pays_ms;
    bool paid;
    void *ctx;
    const char *same; /* pure: a hash of all that the call is made of, credentials too; equal calls
                         under way are made once. Or NULL */
    const json_t *detail; /* small facts for the event (tool's arguments, model); or NULL */
    const char
        *limited; /* what it is a call of, beside target and agent: "server files"; or NULL */
    const json_t *limits; /* of that; or NULL */
    bool elsewhere; /* somebody else can be asked: a wait of more than a minute is a failure */
    /* Tokens one try may take, likely and at most (0: not known); asked where tokens are limited.
     * NULL: it takes none. */
    int64_t (*tokens)(void *ctx, int64_t *ret_most);
};

enum chunk_kind {
    CHUNK_TEXT,
    CHUNK_PROGRESS,
    CHUNK_RESET /* a new attempt: forget what was streamed */
};

/* fn(args[i]) at once for all i, each with a host of its own at path/name[i]; waits for all. */
struct each {
    const char *name;
    size_t n;
    unsigned limit; /* at most so many at a time; 0: no limit */
    struct err *(*fn)(struct host *child, void *arg);
    void **args;
    struct err **ret_errs; /* what each returned */
};

struct pause {          /* waiting for a time, a signal or a person; for days, if it has to be */
    const char *name;   /* last part of the path; unique below this host */
    const char *type;   /* PAUSE_...: told in events and listings */
    const char *signal; /* a signal of this name ends it; NULL: none does */
    int64_t for_ms;     /* it ends by itself so long after it began; < 0: never */
    const json_t
        *detail; /* what whoever answers has to know: prompt, choices, schema, to; or NULL */
};
#define PAUSE_HUMAN  "human" /* ended by an answer that fits choices and schema of the detail */
#define PAUSE_TIMER  "timer"
#define PAUSE_SIGNAL "signal"
#define PAUSE_LIMIT  "limit"
#define PAUSE_RETRY  "retry" /* between two tries */

struct host_ops {
    struct err *(*step)(struct host *h, const struct step *s, json_t **OWN ret_value)MUST YIELDS;
    /* Runs an agent or a workflow as a child at path/name. */
    struct err *(*call)(struct host *h, const char *name, const char *worker, const struct task *t,
                        struct reply *ret_reply)MUST YIELDS;
    void (*each)(struct host *h, const struct each *e) YIELDS;
    /* *ret_value is what it was answered or signalled; NULL: its time was over. ERR_PARKED has to
     * be passed up: the run is put away until then, and asks again when it goes on. */
    struct err *(*pause)(struct host *h, const struct pause *p, json_t **OWN ret_value)MUST YIELDS;
    /* Earlier exchanges of this agent: {user, assistant}, oldest first; what a resumed one sees is
     * what it saw before. And one more, at the end of the agent's work. */
    struct err *(*recall)(struct host *h, json_t **OWN ret_exchanges)MUST YIELDS;
    struct err *(*remember)(struct host *h, json_t *OWN exchange)MUST YIELDS;
    void (*chunk)(struct host *h, enum chunk_kind kind, const char *text,
                  size_t n); /* may be lost */
    void (*note)(struct host *h, const char *event,
                 json_t *OWN detail); /* an event, not journaled */
    const json_t *(*section)(struct host *h, const char *section,
                             const char *name); /* definition or NULL */
    /* Text with ${NAME} resolved; a missing variable is ERR_MISSING naming it. Secrets found this
     * way are redacted from logs and events. */
    struct err *(*expand)(struct host *h, const char *text, char **OWN ret_text)MUST;
    int64_t (*now_wall_ms)(struct host *h); /* recorded time of the current node */
    void *(*service)(struct host *h,
                     const char *name); /* what app registered: "llm", "mcp", "lua" */
    const char *(*path)(struct host *h);
    const char *(*run_id)(struct host *h); /* whose work it is */
};

struct host {
    const struct host_ops *ops;
};

#endif
