/* trace.h - a run as it went: a tree by path, made from the run's events in order.
 *
 * Every node and step of the run is one place of the tree, with its time, tries, tokens and end.
 * Items and turns (`each[0]`, `each[1]`, ...) beyond `apart` are folded into one place `each[*]`
 * that counts them; so a run of a million items takes no more memory than its definition. */
#ifndef OBSERVE_TRACE_H
#define OBSERVE_TRACE_H
#include "base/vec.h"
#include "model/event.h"
#include "model/kind.h"

#define TRACE_PLACES_MAX 50000 /* beyond: folded into the place above */
#define TRACE_DEPTH_MAX  64    /* likewise */

enum trace_what {
    TRACE_PART, /* a part of a path that has no record of its own: turn[2] around its tools */
    TRACE_NODE,
    TRACE_STEP,
    TRACE_WAIT, /* for a person, a time or a signal */
};
struct trace_place {
    char *name, *path;       /* name: the last part of the path; "each[*]": folded */
    enum trace_what what;    /* of its first event */
    char *type, *who;        /* "agent", "task", "model", "tool", ...; agent or target; or NULL */
    enum node_status status; /* of the last that ended; running while one of them is */
    size_t n, ended[NODE_CANCELLED + 1]; /* how many it stands for; how many ended so */
    int64_t from_ms, to_ms; /* wall time of the first start and the last end; 0: not known */
    int64_t busy_ms;        /* durations summed up */
    int64_t waited_ms;      /* pauses between tries; for a time, a signal or a person */
    int64_t waits_from_ms;  /* it waits; 0: it does not */
    unsigned retries;       /* tries beyond the first ones */
    struct usage usage;
    bool taken;    /* over from the run that this is a fork of: its time is not this run's */
    char *error;   /* of the last that failed, or NULL */
    json_t *steps; /* what a planner answered: its `steps`; or NULL */
    struct trace_place *up;
    VEC(struct trace_place *) below; /* in order of appearance */
};

struct trace {
    unsigned apart;          /* so many items or turns of one name have places of their own */
    struct trace_place root; /* the run itself; name is the workflow's */
    char *run;
    enum run_status status;
    int64_t from_ms, to_ms; /* to_ms: the last thing that is known */
    unsigned lives;         /* processes that worked on it */
    size_t places;
    struct map *by_path;
};
struct trace *OWN trace_new(unsigned apart);
void trace_free(struct trace *OWN t); /* accepts NULL */
void trace_freep(struct trace **t);
void trace_event(struct trace *t, const struct run_event *ev); /* of the journal, in order */

/* The place without its index: "each" of "each[12]" and "each[*]", "ask" of "ask[3].wait", which is
 * a part of what a state does. Returns its length. */
size_t trace_base_len(const char *name);
bool trace_is_folded(const struct trace_place *p);
/* "completed", "3 of 5 completed, 1 failed", ... */
void trace_say_state(const struct trace_place *p, struct str *to);

#endif
