/* viewcore.h - the inside of a view: what is known of a run, place by place. For journal.c, which
 * feeds it, and found.c, which looks things up in it. */
#ifndef ENGINE_VIEWCORE_H
#define ENGINE_VIEWCORE_H
#include "base/map.h"
#include "base/vec.h"
#include "engine/journal/journal.h"
#include "engine/journal/viewstream.h"
#include "engine/talk/said.h"

struct kept { /* a body as it is stored */
    char *body;
    size_t len;
};
struct place {        /* what happened at a path: of a node or of a step */
    struct kept node; /* its end, else its first start */
    bool is_node, node_ended;
    bool begun, done, failed; /* of a step: its intent; its last end */
    bool open;                /* begun, and nobody knows whether it was carried out */
    char *target;             /* of the intent */
    bool reserved;            /* step is what it reserved: it has no end */
    struct kept step, decided;
    struct kept wait; /* its end, else its beginning */
    bool waited;      /* it has ended */
    size_t recalled;  /* one more than the exchanges that were shown; 0: none were */
    bool remembered;
};
struct life { /* from a process taking the run to its last step's end; wall ms */
    int64_t from, to;
    int64_t parked; /* when calls were left open, the end of which is not known; 0: none were */
};
struct stint { /* worked.c: when a step worked, or a short wait was waited for */
    char *path;
    struct life during; /* {0}: it is not known */
    bool waits;
};
struct view {
    char *run_id;
    VEC(struct stint) stints; /* of former lives, by path; once somebody has asked */
    bool has_stints;
    VEC(struct life) former;
    json_t *started, *ended, *waiting;
    json_t *session;      /* its last condition */
    struct map *places;   /* path -> struct place */
    struct undolog *undo; /* NULL: no node has noted one */
    struct viewstreams *streams;
    struct usage usage;
    enum run_status status;
    bool has_waits; /* there ever was one */
    bool forked;    /* what it takes over of another run is there */
    struct said *said;
};

void stints_free(struct view *v);
struct record view_kept(const struct kept *k);
/* Of a step that has ended or was reserved: what it took, and what it may have taken beside that.
 */
struct err *MUST place_cost(const struct place *p, struct view_cost *ret_cost);

#endif
