/* schema_eval.h - what the checks need to tell why they failed, beyond schema_node.h. */
#ifndef SCHEMA_SCHEMA_EVAL_H
#define SCHEMA_SCHEMA_EVAL_H
#include "base/str.h"
#include "base/vec.h"

struct run;
struct spot;

/* Counts a failure. True: its text is wanted, so compose it and call run_note. */
bool run_notes(struct run *r);
void run_note(struct run *r, const struct spot *at, const char *keyword, unsigned types,
              struct str *OWN text);
char *OWN spot_pointer(const struct spot *at);           /* RFC 6901 */
void pointer_token_add(struct str *s, const char *name); /* "/a~1b" */
#endif
