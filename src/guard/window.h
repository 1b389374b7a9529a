/* window.h - how much was used within the last so many milliseconds; never less than the truth.
 *
 * A sliding window over moments: no stretch of span_ms, wherever it begins, holds more than was
 * allowed, because every use counts until a whole span after it. Exact to the millisecond while few
 * moments are inside; from WINDOW_PARTS on, uses within 1/1024 of the span are kept as one, dated
 * by the last of them. So they count too long, by 58 ms of a minute and 84 s of a day at most: 0.1
 * %. Time is handed in; a clock that goes back stands still. */
#ifndef GUARD_WINDOW_H
#define GUARD_WINDOW_H
#include "base/lang.h"

#define WINDOW_PARTS 2200

struct window_part {
    int64_t first_ms, last_ms, amount;
};
struct window { /* embed it, zeroed but for span_ms; fields belong to window.c */
    int64_t span_ms;
    struct window_part *ring; /* oldest at `head` */
    size_t head, len, cap;
    int64_t used;    /* sum of the parts */
    int64_t step_ms; /* nearer moments are kept as one; 0: only the same millisecond */
};
void window_fini(struct window *w);
int64_t window_used(struct window *w, int64_t now_ms);
/* When `amount` more fits under the limit, if nothing else is used: now_ms or later. More than the
 * limit fits when nothing else is inside. */
int64_t window_ready_ms(struct window *w, int64_t now_ms, int64_t amount, int64_t limit);
void window_add(struct window *w, int64_t now_ms, int64_t amount);
/* What was added at at_ms turned out to be less. Nothing when it is not inside any more. */
void window_take_back(struct window *w, int64_t at_ms, int64_t amount);
/* The parts from the oldest, those within step_ms of each other as one; false behind the last.
 * Start with *i = 0. */
bool window_next(const struct window *w, int64_t step_ms, size_t *i, struct window_part *ret_part);

#endif
