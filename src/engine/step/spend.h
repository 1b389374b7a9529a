/* spend.h - budgets of workflows and nodes while they run; for the files of this folder only.
 *
 * A purse is the budget of one workflow or node at its path, from its start to its end. A step
 * below that path spends from it, and from all purses around: they are found by the step's path, so
 * that nothing that runs below a budget can miss it. What former lives spent is told by the
 * journal.
 *
 * Enforced: before each try its worst case is reserved, and a record of that is committed before
 * the call leaves the process; so a call that was sent and of which nothing is known counts in
 * full. Audited: what was used is counted, and that it is too much is told once. */
#ifndef ENGINE_SPEND_H
#define ENGINE_SPEND_H
#include "guard/budget.h"
#include "model/kind.h"

struct run;
struct stepping;
struct purse;
struct purse_of {
    const char *path, *what; /* what: "workflow 'main'", for messages */
    const json_t *budget;    /* normal form; NULL: no purse is opened */
    int64_t started_wall_ms; /* in whatever life */
};
/* *ret_purse is NULL when there is no budget. */
struct err *MUST purse_open(struct run *r, const struct purse_of *of, struct purse **OWN ret_purse);
/* Takes how it ended and gives back how it did: a time that is used up is told as that. */
struct err *OWN purse_close(struct purse *OWN p, struct err *OWN e) YIELDS; /* p may be NULL */
void purses_free(struct run *r);

struct spend {              /* of one step; zeroed: nothing yet */
    struct amount base;     /* what tries of former lives may have taken */
    struct amount unknown;  /* what tries of this life may have taken, of which nothing is known */
    struct amount out;      /* reserved for calls under way */
    struct amount recorded; /* what the journal has of it */
    bool found;             /* base was looked up */
};
/* Before a try: its worst case is taken from all purses. wait: until others know what they took,
 * when that may be less than they reserved. ERR_LIMIT: it does not fit. */
struct err *MUST spend_reserve(struct stepping *st, bool wait, struct amount *ret_held) YIELDS;
/* After it: what it took; unknown: as much as it may have. */
void spend_settle(struct stepping *st, struct amount held, const struct usage *used, bool unknown);
/* Instead of that, after a try of a step that pays for another, which went well. */
void spend_keep(struct stepping *st, struct amount held);
/* Before the step's last record: e NULL: it has an answer. */
void spend_end(struct stepping *st, const struct err *e);
/* What to add to that record: {usd, tokens}; NULL: nothing. */
json_t *OWN spend_note(const struct stepping *st);
/* The step ends without a record of its own. */
void spend_leave(struct stepping *st);

/* For prepaid.c. */
struct prepaid;
void spend_wake(const struct run *r, const char *path); /* who waits for purses around it */
/* Counts it as spent, for this life and the next ones. */
void spend_give_up(struct run *r, struct prepaid *OWN p);
#endif
