/* kind.h - what a kind of agent, node or workflow provides.
 *
 * A kind is one file that exports one `const struct kind`. `app` collects them in tables and hands
 * these to spec (which checks what users write by `params`), to plan (which lowers workflows) and
 * to the engine (which runs them). Engine and agents never see each other; they meet here. */
#ifndef MODEL_KIND_H
#define MODEL_KIND_H
#include "base/json.h"
#include "model/param.h"

enum effect { /* what may happen to a step that was under way in a crash; durability.md 3.4 */
              EFFECT_PURE,       /* run again */
              EFFECT_IDEMPOTENT, /* run again with the same key */
              EFFECT_ONCE,       /* never run again: in doubt */
              EFFECT_LLM,        /* run again; the first committed result wins */
              EFFECTS
};
const char *effect_name(enum effect e);
bool effect_parse(const char *name, enum effect *ret_effect);

enum role {
    ROLE_AGENT = 1,    /* an entry of `agents` */
    ROLE_NODE = 2,     /* an entry of a workflow's `nodes` */
    ROLE_WORKFLOW = 4, /* an entry of `workflows` */
};

struct usage { /* what a piece of work cost; sums up along the path */
    int64_t input_tokens, output_tokens, cached_tokens;
    int64_t model_calls, tool_calls;
    double cost_usd;
    bool cost_known; /* false: some call had no price, cost_usd is a lower bound */
};
void usage_add(struct usage *to, const struct usage *more);
json_t *OWN usage_to_json(const struct usage *u);
void usage_put(struct str *s, const char *key, const struct usage *u); /* the same, as a member */
void usage_from_json(const json_t *j, struct usage *ret_usage);
/* The same without a tree: what json_pick has to want inside of it, and what it got. */
#define USAGE_WANTS 6
struct usage_picked {
    struct usage usage;
    json_t *cost;
    struct json_want want[USAGE_WANTS];
};
void usage_pick_init(struct usage_picked *p); /* it stays where it is */
struct usage usage_pick_fini(struct usage_picked *p);

struct task {                /* what an agent is asked to do; all borrowed for the call */
    const char *name;        /* the agent's name */
    const json_t *def;       /* its normal-form definition, ${} not yet resolved */
    const char *message;     /* the text to work on */
    const json_t *input;     /* the same as a value, when it is not just text; or NULL */
    const json_t *context;   /* agent_1_output, parallel_results, ...; object or NULL */
    const char *action;      /* node's `action`, or NULL */
    const json_t *params;    /* node's `parameters` with templates filled in, or NULL */
    const char *instruction; /* node's `instruction`: set when the agent has to see it; or NULL */
    const char *server_name; /* node's `server_name`, or NULL */
    const json_t
        *output_schema; /* what a model's reply has to be, whatever the agent says; or NULL */
    bool use_history;   /* of the agent, whatever it says itself */
    int effect;         /* enum effect said by the node or the agent; -1: neither did */
};

struct reply {      /* what an agent answers; owned by the caller, who calls reply_fini */
    json_t *output; /* the value: structured output, or the text as a JSON string */
    char *text;     /* of another output than a string; use reply_text */
    bool partial;   /* of a workflow: something inside failed, and it went on without */
    struct usage usage;
};
void reply_fini(struct reply *r);
const char *reply_text(const struct reply *r); /* for a person or a model; never NULL */
void reply_set_text(struct reply *r, const char *text, size_t n); /* output and text */
void reply_set_json(struct reply *r, json_t *OWN value);          /* output and text */

struct host;     /* host.h: what the engine does for a kind */
struct lowering; /* plan: what lowering a workflow can use */
struct control;  /* engine: what a kind can do that decides while it runs */

struct kind {
    const char *name;           /* what users write as `type` */
    const char *const *also;    /* further names; NULL-ended, or NULL */
    const char *doc;            /* one line */
    unsigned roles;             /* enum role */
    const struct param *params; /* beside the keys common to its role */
    enum effect effect;         /* of an agent's own calls, when nothing else says */
    /* ROLE_AGENT: does the task. Returns what broke; retrying is the engine's. */
    struct err *(*run)(struct host *h, const struct task *t, struct reply *ret_reply)MUST YIELDS;
    /* ROLE_AGENT: further checks of a definition at load; positions by pointer below the agent. */
    struct err *(*check)(const json_t *def, const char *pointer, void *spec)MUST;
    /* ROLE_WORKFLOW, ROLE_NODE: fills the graph from the definition; pure. */
    struct err *(*lower)(struct lowering *l, const json_t *def, const char *pointer)MUST;
    /* With lower: says while it runs which nodes of its graph run, how often and with what. NULL:
     * all run, as their edges say. */
    struct err *(*control)(struct control *c, struct reply *ret_reply)MUST YIELDS;
};

#endif
