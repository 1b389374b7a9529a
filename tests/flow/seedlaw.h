/* seedlaw.h - the laws of patterns whose records tell more than their end; for seedlaw.c. */
#ifndef FLOW_SEEDLAW_H
#define FLOW_SEEDLAW_H
#include "base/str.h"
#include "seedplan.h"

struct hearing { /* one node that ran such a pattern; all borrowed */
    const struct seed_case *sc;
    const json_t *def, *state; /* state: its end in the document */
    const char *path;
    struct str *faults;
};
/* Each task is given to one who can do it and is free, the most urgent first, is done or tried as
 * often as it may be, and told so in the reply. */
void law_of_queue(const struct hearing *h);
/* Each state follows from the one before it; what was heard is answered, and is in the reply. */
void law_of_session(const struct hearing *h);
/* Of all sessions: what was taken is heard once and in order, what was not is never heard. */
void law_of_sends(const struct seed_case *sc, struct str *faults);

/* What is left of the path below another, or NULL; "" is above all. */
const char *law_below(const char *path, const char *above);

#endif
