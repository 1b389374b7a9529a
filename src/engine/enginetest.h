/* enginetest.h - what the tests of the engine share: a scene with a store in RAM and an engine, in
 * virtual time. What happens is written down in the fiber and compared outside of it. */
#ifndef ENGINE_ENGINETEST_H
#define ENGINE_ENGINETEST_H
#include "base/test.h"
#include "engine/engine.h"

struct scene {
    struct str out; /* what happened */
    struct store *store;
    struct engine *e;
    void (*play)(struct scene *s);
    const char *doc; /* other workflows than the usual ones; or NULL */
    char *dir;       /* of runs; or NULL: in what is compared it is DIR */
};
/* Plays it; ids are cut out of what it wrote, which must be `want`. */
void scene(void (*play)(struct scene *s), const char *want);
/* The same with other workflows, and a folder of its own. */
void scene_in_folder(const char *doc, void (*play)(struct scene *s), const char *want);
void note(struct scene *s, const char *what, struct err *OWN e);
void show(struct scene *s, const char *id); /* the run's document, a line for it and each node */
struct err *MUST flow_of(struct scene *s, const char *workflow, struct flow **OWN ret_flow);
/* Starts the workflow; NULL after an error, which is noted. */
struct run *OWN begin(struct scene *s, const char *workflow, const char *input);
/* Lets it run to its end, tells how that was, lets go of it; accepts NULL. */
void finish(struct scene *s, struct run *OWN r);
void heard(void *ctx, const struct run_event *ev); /* a subscriber that counts */

extern const struct kind slow_kind;    /* itemstream_test.c: an agent of type "slow" */
extern const struct kind asks_kind;    /* an agent of type "asks" */
extern const struct kind recalls_kind; /* "recalls": says how much it remembers */

#endif
