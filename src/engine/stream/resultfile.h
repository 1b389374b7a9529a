/* resultfile.h - the results of a stream in a file: a line of JSON an item, as they end.
 *
 * {"index": 18, "output": ...} or {"index": 18, "error": "..."}; index counts from 1.
 *
 * A line is written when the record of its item is committed. Now and then the file is synced and a
 * cursor recorded: these items' lines are in the first N bytes. A resumed run cuts the file there
 * and writes again what the journal has beyond; so in the end each item has one line, whatever
 * happened in between. Only one thing is not promised: their order. */
#ifndef ENGINE_RESULTFILE_H
#define ENGINE_RESULTFILE_H
#include "engine/journal/viewstream.h"
#include "engine/runcore.h"

struct resultfile;
/* `known`: what former lives recorded, borrowed; what of it has no line yet gets one. */
struct err *MUST resultfile_open(struct run *r, struct viewstream *known,
                                 struct resultfile **OWN ret_file) YIELDS;
void resultfile_free(struct resultfile *OWN f); /* accepts NULL */

/* The item's end was the last that was appended to the run's journal. */
void resultfile_add(struct resultfile *f, int64_t index, const struct reply *reply,
                    const struct err *error);
/* Writes what can be written; waits when much waits to be committed. ERR_PARKED: it cannot be
 * written any more. */
struct err *MUST resultfile_pump(struct resultfile *f) YIELDS;
/* All that was added is written and safe. */
struct err *MUST resultfile_finish(struct resultfile *f) YIELDS;

#endif
