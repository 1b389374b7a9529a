/* breaker.h - stop calling what keeps failing.
 *
 * closed --trip_after failures in a row--> open --cool_ms, then a call--> half open
 * --that call's verdict--> closed or open. While half open exactly one call is out: the probe. A
 * call that was let through before the state changed has no say any more: of fifty that fail
 * together one opens it, and none of the others keeps it open for longer.
 *
 * Pure state; the time is handed in. Knows nothing of HTTP, models or runs. */
#ifndef GUARD_BREAKER_H
#define GUARD_BREAKER_H
#include "base/lang.h"

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };
const char *breaker_state_name(enum breaker_state s); /* "closed", "open", "half_open" */

struct breaker { /* embed it; read what you like, only breaker.c writes */
    unsigned trip_after;
    int64_t cool_ms;
    enum breaker_state state;
    int64_t since_ms; /* of the state */
    int64_t open_until_ms;
    unsigned failed;   /* in a row */
    bool probing;      /* half open: the probe is out */
    uint64_t pass;     /* of the calls whose verdict counts */
    uint64_t openings; /* how often it went from closed to open */
    uint64_t refused;  /* calls that were not let through */
};
void breaker_init(struct breaker *b, unsigned trip_after, int64_t cool_ms, int64_t now_ms);
/* A pass to hand back with the verdict; 0: fail now, do not call. It may make the state half open.
 */
uint64_t breaker_allow(struct breaker *b, int64_t now_ms);
/* The verdict, once per pass. True: it changed the state. */
bool breaker_report(struct breaker *b, uint64_t pass, bool ok, int64_t now_ms);
/* Instead of a verdict: the call was cancelled, or says nothing about the target. */
void breaker_forget(struct breaker *b, uint64_t pass);
/* How long no call is let through; 0: now is fine. */
int64_t breaker_open_ms(const struct breaker *b, int64_t now_ms);
#endif
