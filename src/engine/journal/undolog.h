/* undolog.h - what a run has done that can be undone, and how far undoing it is.
 *
 * A node with `compensate` notes its undo when it begins and again when it has completed: a request
 * that is ready to be carried out, so that undoing needs neither the plan nor the steps around the
 * node. Fed from the journal, like the rest of the view; in the order in which it has to be undone:
 * what completed last comes first.
 *
 * The requests stay in the store; here is the number of the record that has one. Of an item of a
 * stream that has ended not even its path is kept, but that number, as a bit (viewstream.h): what
 * was noted in it is an entry again when its record is read back, or when the journal says what
 * became of it. So a million items are undone in the memory of a few. */
#ifndef ENGINE_UNDOLOG_H
#define ENGINE_UNDOLOG_H
#include "engine/journal/journal.h"

enum undo_state {
    UNDO_BEGUN,    /* the node began, and did not complete */
    UNDO_READY,    /* it completed */
    UNDO_UNSURE,   /* it did not, but may have been carried out: somebody has to look */
    UNDO_TRYING,   /* its nth try is under way */
    UNDO_FAILED,   /* which failed: somebody has to look */
    UNDO_DONE,     /* from here on nothing is left to do */
    UNDO_BY_HAND,  /* somebody did it */
    UNDO_NOTHING,  /* somebody looked: the node was not carried out */
    UNDO_GIVEN_UP, /* somebody said so: what the node did stays */
    UNDO_STATES
};
const char *undo_state_name(enum undo_state s);
const char *undo_event(const json_t *body); /* the event that a REC_UNDO is */

struct undo_entry {
    char *path; /* of the node */
    enum undo_state state;
    unsigned tries;
    unsigned doubts; /* steps of the node that nobody knows the end of */
    bool tolerates;  /* undone also when nobody knows whether it was carried out */
    char *error;     /* of the last try; or NULL */
    int64_t seq;     /* of the record with the request */
};

struct undolog;
struct viewstream;
struct viewstreams;
struct undolog *OWN undolog_new(struct viewstreams *streams); /* borrowed as long as it is there */
void undolog_free(struct undolog *OWN log);                   /* accepts NULL, as all of these do */
/* An entry goes when it is fed that nothing of it is left to do. */
struct err *MUST undolog_feed(struct undolog *log, const struct record *rec);
/* A step was begun, or its end is known now: it counts for the nearest node around it. */
void undolog_doubt(struct undolog *log, const char *step_path, bool begun);
/* The item that this path is of or in has ended: no more than a number is kept of what was noted
 * there, in `of`. */
void undolog_pack(struct undolog *log, const char *path, struct viewstream *of);

struct undo_entry *undolog_at(const struct undolog *log, const char *path);
/* Is there something that has to be done before it is all undone? */
bool undo_is_due(const struct undo_entry *x);
/* The record with the request of what has to be undone first: of all that is due, below a path ("":
 * all), and noted after the record `since` and before `before`, the newest. 0: there is none. */
int64_t undolog_newest(const struct undolog *log, const char *below, int64_t since, int64_t before);
/* Its entry, with that record as it was read back. It stays where it is until it is settled. */
struct err *MUST undolog_open(struct undolog *log, const struct record *rec,
                              struct undo_entry **ret_entry);
/* In such a record, {agent, server_name, action, instruction, parameters, input, ...}, or {error}:
 * it could not be made. */
struct err *MUST undo_request(const struct record *rec, json_t **OWN ret_request);
int64_t undolog_count(const struct undolog *log, enum undo_state s); /* of UNDO_DONE and later */

/* The body of REC_UNDOING of the run ("") or the workflow at a path; NULL: nothing is undone there.
 */
const json_t *undolog_begun(const struct undolog *log, const char *path);
/* {reason, undone, by_hand, not_done, given_up, left}, or NULL: nothing was ever undone. */
json_t *OWN undolog_document(const struct undolog *log);

/* The path of a step or node of an undo has a part that no node has: "pay/undo[1]/request".
 * NULL: it has none; else from that part on. */
const char *undo_part(const char *path);

#endif
