/* limiter.h - how much one target may be used: by what the user set, and by what its provider says.
 *
 * Limits the user set hold exactly: in no 60 s and in no 24 h, wherever they begin, are there more
 * admissions or tokens than allowed (window.h), and never more calls at once. Tokens are reserved
 * at admission, as an estimate, and put right when the call has ended; what goes beyond the limit
 * then counts twice as long, so that the next window has as much less. What a provider says in its
 * headers or by a 429 only ever holds back.
 *
 * Windows outlive the process (limiter_save) by blocks: so and so much of them is written down as
 * used before it is, so that not each admission needs a commit; after a crash the whole block
 * counts. Pure arithmetic: the time is handed in, monotonic; nothing waits here. */
#ifndef GUARD_LIMITER_H
#define GUARD_LIMITER_H
#include "base/json.h"
#include "guard/window.h"

struct limit_set { /* 0: none */
    int64_t rpm, rpd, tpm, tpd, max_concurrency;
};
void limit_set_read(const json_t *def, struct limit_set *ret_set);       /* NULL: none */
void limit_set_tighten(struct limit_set *s, const struct limit_set *by); /* the lower of each */
bool limit_set_is_empty(const struct limit_set *s);

enum limit_reason {
    LIMIT_NONE,
    LIMIT_RPM,
    LIMIT_RPD,
    LIMIT_TPM,
    LIMIT_TPD,
    LIMIT_CONCURRENCY,
    LIMIT_SAID_REQUESTS, /* the provider's headers */
    LIMIT_SAID_TOKENS,
    LIMIT_REFUSED, /* a 429 */
    LIMIT_BLOCK,   /* the next block has to be written down first */
};
const char *limit_reason_text(enum limit_reason r);

struct limit_said { /* what a reply's headers say of one thing; -1: nothing */
    int64_t limit, remaining, reset_ms;
};
#define LIMIT_SAID_NOTHING ((struct limit_said){-1, -1, -1})

struct limit_grant { /* of one admitted call */
    int64_t at_ms, tokens;
    int64_t nth, taken; /* calls before it; tokens with it */
    unsigned counted;   /* bits of the windows that it is in */
};
struct limit_credit {    /* what the provider leaves us */
    bool known, refills; /* refills: evenly, until reset_at; else all at once then */
    int64_t limit, left, used_up, at_ms, reset_at_ms;
};
struct limiter {             /* embed it; fields belong to limiter.c, but for those for reading */
    struct limit_set set;    /* for reading */
    struct window window[4]; /* rpm, rpd, tpm, tpd */
    struct window debt[2];   /* of tokens, a minute's and a day's: used beyond the limit */
    struct limit_credit said[2];              /* requests, tokens */
    int64_t heard_nth;                        /* of the newest call whose headers were heard */
    int64_t held_until_ms;                    /* by a 429 */
    unsigned refused_in_a_row, cap, cap_goal; /* cap: calls at once after a 429; 0: none */
    double ratio;     /* of what calls took to what they were estimated at, lately */
    bool kept;        /* windows outlive the process */
    int64_t block[2]; /* left of it: requests, tokens */
    int64_t in_flight, admitted, refused; /* for reading; since the process began */
    int64_t taken;                        /* tokens, never less than was used */
};
void limiter_init(struct limiter *l);
void limiter_fini(struct limiter *l);
/* What was used under a limit before it was set is not known to it. */
void limiter_set(struct limiter *l, const struct limit_set *set);
int64_t limiter_used(struct limiter *l, unsigned window, int64_t now_ms); /* for people */

/* When a call of so many tokens may start, if no other does before: now_ms or later; INT64_MAX:
 * when a call ends or a block was written. reason: what it waits for. */
int64_t
limiter_ready_ms(struct limiter *l, int64_t now_ms, int64_t tokens, enum limit_reason *ret_reason);
void limiter_take(struct limiter *l, int64_t now_ms, int64_t tokens, struct limit_grant *ret_grant);
void limiter_cancel(struct limiter *l, const struct limit_grant *g); /* it was never sent */
/* It has ended. tokens: what it really took; -1: not known. */
void limiter_settle(struct limiter *l, int64_t now_ms, const struct limit_grant *g, int64_t tokens);
/* What to reserve for a call that is estimated at so many: as much more or less as estimates were
 * wrong lately. */
int64_t limiter_reserve(const struct limiter *l, int64_t estimated);
void limiter_compare(struct limiter *l, int64_t estimated, int64_t took); /* -1: not known */
/* The headers of its reply. Returns true when the provider's limit is new to us. */
bool limiter_hear(struct limiter *l, int64_t now_ms, const struct limit_grant *g,
                  const struct limit_said said[2]);
void limiter_well(struct limiter *l); /* it was answered: the last 429 is over */
/* 429, once the call was settled. retry_after_ms -1: not said, then it is ours to guess. */
void limiter_refused(struct limiter *l, int64_t now_ms, int64_t retry_after_ms);

/* ---- outliving the process ---- */
bool limiter_has_windows(const struct limiter *l);
/* How much a block is: a twentieth of a minute, a hundredth of a day, and never less than `tokens`.
 */
void limiter_block_size(const struct limiter *l, int64_t tokens, int64_t ret_block[2]);
/* Less than half a block is left. */
bool limiter_wants_block(const struct limiter *l);
/* The windows and a block on top of them, as a value that limiter_load understands. */
json_t *OWN limiter_save(struct limiter *l, int64_t now_ms, int64_t now_wall_ms,
                         const int64_t block[2]);
/* Windows as they were saved, the block counted as used now. ERR_INVALID: not such a value. */
struct err *MUST limiter_load(struct limiter *l, int64_t now_ms, int64_t now_wall_ms,
                              const json_t *saved);
/* What was saved cannot be read: the last minute counts as used up. */
void limiter_distrust(struct limiter *l, int64_t now_ms);

#endif
