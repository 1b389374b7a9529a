/* breaker.c - three states, and passes that tell late verdicts from those that count. */
#include "guard/breaker.h"
#include <assert.h>

const char *
breaker_state_name(enum breaker_state s)
{
    static const char *const names[] = {"closed", "open", "half_open"};
    return names[s];
}

void
breaker_init(struct breaker *b, unsigned trip_after, int64_t cool_ms, int64_t now_ms)
{
    assert(trip_after > 0);
    *b = (struct breaker){
        .trip_after = trip_after, .cool_ms = cool_ms, .since_ms = now_ms, .pass = 1};
}

static void
become(struct breaker *b, enum breaker_state state, int64_t now_ms)
{
    b->state = state;
    b->since_ms = now_ms;
    b->pass++;
    b->probing = false;
}

uint64_t
breaker_allow(struct breaker *b, int64_t now_ms)
{
    if (b->state == BREAKER_CLOSED)
        return b->pass;
    if (b->state == BREAKER_OPEN && now_ms >= b->open_until_ms)
        become(b, BREAKER_HALF_OPEN, now_ms);
    if (b->state == BREAKER_OPEN || b->probing) {
        b->refused++;
        return 0;
    }
    b->probing = true; /* a second caller waits for this one's verdict */
    return ++b->pass;
}

static void
trip(struct breaker *b, int64_t now_ms)
{
    b->openings += b->state == BREAKER_CLOSED;
    become(b, BREAKER_OPEN, now_ms);
    b->open_until_ms = add_saturating(now_ms, b->cool_ms);
}

bool
breaker_report(struct breaker *b, uint64_t pass, bool ok, int64_t now_ms)
{
    if (pass != b->pass)
        return false;
    b->failed = ok ? 0 : b->failed + 1;
    if (b->state == BREAKER_CLOSED && b->failed < b->trip_after)
        return false;
    if (ok)
        become(b, BREAKER_CLOSED, now_ms);
    else
        trip(b, now_ms);
    return true;
}

void
breaker_forget(struct breaker *b, uint64_t pass)
{
    if (pass == b->pass)
        b->probing = false;
}

int64_t
breaker_open_ms(const struct breaker *b, int64_t now_ms)
{
    if (b->state != BREAKER_OPEN || now_ms >= b->open_until_ms)
        return 0;
    return b->open_until_ms - now_ms;
}
