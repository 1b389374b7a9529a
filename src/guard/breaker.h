/* breaker.h - stop calling what keeps failing.
 *
 * closed --trip_after failures in a row--> open --cool_ms--> half open --one probe--> closed or
 * open. Pure state; the time is handed in. Knows nothing of HTTP, models or runs. */
#ifndef GUARD_BREAKER_H
#define GUARD_BREAKER_H
#include "base/lang.h"

struct breaker { /* embed it; fields belong to breaker.c */
    unsigned trip_after;
    int64_t cool_ms;
    unsigned failed;
    int64_t open_until_ms;
    bool probing;
};
void breaker_init(struct breaker *b, unsigned trip_after, int64_t cool_ms);
bool breaker_allow(struct breaker *b, int64_t now_ms); /* false: fail now, do not call */
/* Once per allowed call. Returns true when this report opened it. */
bool breaker_report(struct breaker *b, bool ok, int64_t now_ms);
void breaker_forget(struct breaker *b); /* an allowed call ended without a verdict (cancelled) */
int64_t
breaker_open_ms(const struct breaker *b, int64_t now_ms); /* until it may be tried; 0: now */
#endif
