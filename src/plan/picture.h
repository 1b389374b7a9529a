/* picture.h - what is drawn of a plan: boxes with names, arrows and remarks, and nothing else.
 *
 * Made from a plan; whoever knows how a run went may write that into it (state, note) and add what
 * came up while it ran. Then it is drawn as text, mermaid, dot or JSON: equal pictures give equal
 * bytes. Everything belongs to the arena. */
#ifndef PLAN_PICTURE_H
#define PLAN_PICTURE_H
#include "plan/plan.h"

enum picture_state {
    PICTURE_PLAIN, /* of a definition: nothing is known of a run */
    PICTURE_UNREACHED,
    PICTURE_RUNNING,
    PICTURE_COMPLETED,
    PICTURE_FAILED,
    PICTURE_SKIPPED,
    PICTURE_CANCELLED,
};

struct picture;
struct picture_node;
struct picture_way {               /* where it may go on, in what has states */
    const struct picture_node *to; /* NULL: it ends */
    const char *when;              /* the condition, "on error", ...; NULL: always, or else */
    bool rare;                     /* a failure or a timeout leads there */
};
struct picture_node {
    const char *id, *label; /* label: who does it, or of which kind it is */
    const char *when;       /* its condition, or the rule that chooses it; or NULL */
    const char *undo;       /* who undoes it, and how; or NULL */
    const char *hears;      /* what it waits for: "an input, for 2d", ...; or NULL */
    const char *note;       /* how it went; or NULL */
    enum picture_state state;
    unsigned index; /* in the picture's nodes */
    bool invented;  /* it is not in the definition: a planner or a model asked for it */
    unsigned *deps; /* indexes of the nodes before it */
    size_t ndeps;
    struct picture_way *ways;
    size_t nways;
    struct picture *child; /* what is inside of it; or NULL */
};
struct picture {
    const char *title, *type;
    const char *about; /* how its nodes are chosen, when that is decided while it runs; else NULL */
    const char *note;  /* of the whole; or NULL */
    struct picture_node **nodes;
    size_t nnodes, room;
    struct picture_way *ways; /* into it, and from wherever it is */
    size_t nways;
    bool has_states; /* its nodes lead to one another by their ways */
};
struct picture *picture_make(struct arena *a, const struct plan *p);
/* Adds a node that the definition does not have. */
struct picture_node *picture_invent(struct arena *a, struct picture *in, const char *id);

void picture_text(const struct picture *p, struct str *to);
void picture_mermaid(const struct picture *p, struct str *to);
void picture_dot(const struct picture *p, struct str *to);
json_t *OWN picture_json(const struct picture *p);

#endif
