/* turn.h - whose turn it is where only so many run at a time, and leaving it to others meanwhile.
 *
 * A node that waits for somebody keeps its fiber, so that an answer is taken up at once; when all
 * of its run waits it leaves its turn to those that have not begun. Once it can go on it takes a
 * turn again, before any of them. TURNS_LEFT_MAX of a run may have left theirs; the next ones are
 * put away, as all are when nobody else can begin. */
#ifndef ENGINE_TURN_H
#define ENGINE_TURN_H
#include "rt/fiber.h"

#define TURNS_LEFT_MAX 1000

struct run;
struct turnstile { /* of one graph, or of members that are asked for together */
    unsigned limit;
    unsigned inside;         /* who has a turn */
    bool more;               /* somebody has not begun yet */
    void (*open)(void *ctx); /* there is room: one may begin. Must not wait */
    void *ctx;
    struct waitq back; /* who left, and can go on */
};
struct turn { /* stays where it is from turn_take to turn_end */
    struct turnstile *at;
    const char *path; /* of the node; borrowed */
    unsigned waits;   /* in it, for somebody */
    struct turn *next, *prev;
    struct turn *same; /* another one at this path */
    bool left;
};

bool turnstile_has_room(const struct turnstile *s); /* for one that begins */
/* One more is inside, if there is room or not. */
void turn_take(struct run *r, struct turnstile *s, struct turn *t, const char *path);
/* It is for what is at this path now; "": for nothing, and nobody waits in it. */
void turn_name(struct run *r, struct turn *t, const char *path);
/* Who is back comes in; where there is still room then, others may begin: that is the caller's. */
void turn_end(struct run *r, struct turn *t);
/* All of the run waits: who waits for somebody leaves his turn, but for those whose path has less
 * than *depth slashes; that becomes the depth of those who did. False: nobody can begin by that. */
bool turns_leave(struct run *r, unsigned *depth);
/* What is at the path can go on, or begins: takes again what was left of the turns around it. */
struct err *MUST turns_back(struct run *r, const char *path) YIELDS;

/* At the path somebody is waited for, or is not any more. */
void turns_wait(struct run *r, const char *path, bool begins);

#endif
