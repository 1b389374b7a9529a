/* commit.h - a run's journal: appended in memory, committed in batches, told afterwards.
 *
 * Records are committed in the order in which they were appended. The first whose commit fails
 * breaks the run: it stays as it is stored, and can be resumed. */
#ifndef ENGINE_COMMIT_H
#define ENGINE_COMMIT_H
#include "engine/engine.h"
#include "engine/journal/journal.h"

struct run;
struct telling;
struct pending { /* a record that is not committed yet */
    enum record_kind kind;
    uint64_t number;    /* as run->appended counts them: one more each */
    char *path, *bytes; /* path NULL: it was taken back */
    size_t len;
    json_t *body;          /* for subscribers, if there are any and it was a tree; or NULL */
    struct step_end *end;  /* of a step: what it says; or NULL */
    char *signal, *dedupe; /* that is used up with it; or NULL */
};
/* Appends to the journal; `lazy` records need not be committed before the next effect.
 * False: nothing was, because the store takes no record so large; only what holds a reply can be.
 */
bool
run_append(struct run *r, enum record_kind kind, const char *path, json_t *OWN body, bool lazy);
/* The same for a record whose body is written at once, member by member (json_put): what comes
 * with every call need not be a tree for a moment. Between the two nothing else is appended. */
struct str *record_begin(struct run *r);
bool record_append(struct run *r, enum record_kind kind, const char *path, bool lazy);
bool record_append_end(struct run *r, enum record_kind kind, const char *path,
                       const struct step_end *end); /* of a step; end: what it says */
/* The same for what nothing rests on but itself: committed a moment later, or with others. */
bool run_append_soon(struct run *r, enum record_kind kind, const char *path, json_t *OWN body);
/* Takes a lazy record back (r->appended when it was appended), if no commit has it yet. */
void run_retract(struct run *r, uint64_t number);
struct err *MUST too_large(const char *what); /* ERR_LIMIT, in words for the reader */
/* The same, using up a signal in the same commit. */
void run_append_using(struct run *r, enum record_kind kind, const char *path, json_t *OWN body,
                      const struct store_signal *signal);
struct err *MUST run_barrier(struct run *r) YIELDS; /* all that matters so far is committed */
struct err *MUST run_flush(struct run *r) YIELDS;   /* and what flush would commit */
struct err *MUST run_commit_all(struct run *r) YIELDS;
void pending_free(struct pending *OWN p, size_t n);
struct err *MUST broken_again(const struct run *r); /* a copy of r->broken */
void flush_soon(struct run *r); /* flush.c: commits what was appended, if nobody else does */

/* telling.c: fills in the run and the time, and tells everybody: at once, or when something that
 * was appended before is just being committed, after that. Of ev only the name must stay. */
void run_publish(struct run *r, struct run_event ev);
/* Always at once: what is no matter of this run alone. */
void run_publish_now(struct run *r, struct run_event ev);
/* The record with this number has been told: so is what waited for it. */
void run_tell_upto(struct run *r, uint64_t number);
void telling_free(struct telling *OWN t); /* accepts NULL; what was not told is forgotten */

void run_encode(const struct engine *e, const json_t *body,
                struct str *to);               /* a record as it is stored, secrets taken out */
int64_t engine_expiry(const struct engine *e); /* of a run that ends now, for the store */

#endif
