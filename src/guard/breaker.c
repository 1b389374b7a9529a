/* breaker.c - three states from two numbers. */
#include "guard/breaker.h"
#include <assert.h>

void
breaker_init(struct breaker *b, unsigned trip_after, int64_t cool_ms)
{
    assert(trip_after > 0);
    *b = (struct breaker){.trip_after = trip_after, .cool_ms = cool_ms};
}

bool
breaker_allow(struct breaker *b, int64_t now_ms)
{
    if (b->failed < b->trip_after)
        return true;
    if (b->probing || now_ms < b->open_until_ms)
        return false;
    b->probing = true; /* a second caller waits for this one's verdict */
    return true;
}

bool
breaker_report(struct breaker *b, bool ok, int64_t now_ms)
{
    b->probing = false;
    b->failed = ok ? 0 : b->failed + 1;
    if (b->failed < b->trip_after)
        return false;
    b->open_until_ms = now_ms + b->cool_ms;
    return true;
}

void
breaker_forget(struct breaker *b)
{
    b->probing = false;
}

int64_t
breaker_open_ms(const struct breaker *b, int64_t now_ms)
{
    if (b->failed < b->trip_after || now_ms >= b->open_until_ms)
        return 0;
    return b->open_until_ms - now_ms;
}
