/* saga.h - undoing what a run has done; for the files of this folder only.
 *
 * A node with `compensate` notes its undo when it begins and when it has completed. A workflow that
 * fails, and a run that fails, is cancelled or is rolled back, undoes what was done in it before it
 * ends: one after the other, what completed last first. That is recorded like any work, so it goes
 * on after a crash; nothing that was undone is undone again.
 *
 * Neither the cancel nor the timeout of the run ends it; an interrupt does, and it goes on when the
 * run is resumed. An undo that breaks on the way is tried again for ever; about one that is
 * refused, and one of which nobody knows whether there is something to undo, a person is asked
 * (pause.h), and the run waits. */
#ifndef ENGINE_SAGA_H
#define ENGINE_SAGA_H
#include "engine/runcore.h"

/* Appends to the journal; nothing when the node has no undo. */
void saga_note_begun(struct run *r, const struct work *w);
void saga_note_ready(struct run *r, const struct work *w, const struct reply *reply);

/* What a subtree that begins now will note comes behind this record. */
int64_t saga_mark(const struct run *r);
/* The workflow at the path ("" is not one) failed with e or was cut off: undoes what was done in
 * it, if anything, noted since the mark. Returns e; else ERR_PARKED, or why that was not brought to
 * an end. Waits, whatever is cancelled around it. */
struct err *MUST saga_failed(struct run *r, const char *path, int64_t mark,
                             struct err *OWN e) YIELDS;
/* The failure of a workflow whose undoing began in a former life, or NULL: it did not. */
struct err *saga_cause(const struct run *r, const char *path);

/* Undoes what the whole run has done. reason: "failed", "cancelled" or "rollback"; e: the failure
 * or NULL. *ret_did: there was something to undo. */
struct err *MUST saga_all(struct run *r, const char *reason, const struct err *e,
                          bool *ret_did) YIELDS;
/* The run's last record, when all is undone: {status, ...}. */
json_t *OWN saga_end_body(const struct run *r);
void saga_interrupt(struct run *r); /* what is being undone stops where it is */

#endif
