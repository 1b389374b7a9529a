/* loopguard.c - which turns were there, and how many brought nothing new. */
#include "guard/loopguard.h"
#include <stdio.h>

void
loopguard_init(struct loopguard *g, const json_t *def, unsigned otherwise)
{
    *g = (struct loopguard){.repeats = otherwise};
    if (json_is_object(def))
        g->repeats = (unsigned)json_int(def, "repeats", LOOPGUARD_REPEATS);
    else if (json_is_boolean(def))
        g->repeats = json_is_true(def) ? LOOPGUARD_REPEATS : 0;
}

void
loopguard_fini(struct loopguard *g)
{
    map_free(g->seen);
}

enum loop_verdict
loopguard_turn(struct loopguard *g, uint64_t hash)
{
    char key[20];
    if (!g->repeats)
        return LOOP_FINE;
    if (!g->seen)
        g->seen = map_new();
    snprintf(key, sizeof key, "%016llx", (unsigned long long)hash);
    g->stale = map_has(g->seen, key) ? g->stale + 1 : 1;
    map_put(g->seen, key, g);
    return g->stale >= 2 * g->repeats ? LOOP_STOP : g->stale >= g->repeats ? LOOP_WARN : LOOP_FINE;
}
