/* seedplan.h - random definitions, and the law by which the end of their runs is judged. */
#ifndef FLOW_SEEDPLAN_H
#define FLOW_SEEDPLAN_H
#include "base/json.h"
#include "base/str.h"
#include "dice.h"

/* A definition as JSON text: agents of every kind, workflows inside workflows, `main` a dag. */
char *OWN seedplan_make(struct dice *d);
/* How many HTTP requests a run of main may have under way at once. */
unsigned seedplan_http_max(const json_t *spec);
/* What is known when a run has ended. */
struct seed_case {
    const json_t *spec, *doc;
    const json_t *records; /* of its journal: {name, path, detail} */
    const json_t *sends;   /* what was said to its sessions: {text, outcome, began, ended} */
};
/* Appends a line to `faults` for each node whose state in the run's document cannot be. */
void seedplan_judge(const struct seed_case *sc, struct str *faults);

#endif
