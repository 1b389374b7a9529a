/* forkmark.h - which records of a journal a fork takes over; pure. For fork.c. */
#ifndef ENGINE_FORKMARK_H
#define ENGINE_FORKMARK_H
#include "base/map.h"
#include "base/vec.h"
#include "engine/journal/journal.h"
#include "plan/plan.h"
#include "store/store.h"

enum spot_fate { SPOT_TAKEN, SPOT_AGAIN /* itself, not what is below it */, SPOT_ANEW /* all */ };
struct spot { /* a place of the journal: of a node, of a step, or on the way to one */
    char *path;
    const char *name; /* its last part */
    struct spot *up;
    VEC(struct spot *) below;
    char *worker,
        *target; /* of a node; of a `once` step that was begun, or a file that is written */
    bool is_node, ended, undone; /* undone: or it was tried */
    enum node_status status;
    int64_t first, last; /* numbers of its records and of those below it */
    enum spot_fate fate;
};
struct fork_marks {
    struct map *spots; /* path -> struct spot */
    struct spot root;
    enum run_status status; /* of the run */
};
void fork_marks_init(struct fork_marks *m);
void fork_marks_fini(struct fork_marks *m);
/* A record of the origin, in order. */
struct err *MUST fork_marks_feed(struct fork_marks *m, const struct store_record *rec);
/* Decides the fate of every spot. ERR_MISSING: there is no such place. */
struct err *MUST fork_marks_set(struct fork_marks *m, const struct plan *p, const char *from);
bool fork_takes(const struct fork_marks *m, const struct store_record *rec);

#endif
