/* limiter.c - the rules of limiter.h, each on its own: windows, calls at once, what the provider
 * said. The latest of them decides. */
#include "guard/limiter.h"
#include <assert.h>
#include <string.h>

#define MINUTE_MS   60000
#define DAY_MS      ((int64_t)86400000)
#define GUESS_MS    1000 /* after a 429 that does not say; doubled each time */
#define RATIO_MIN   0.02 /* an estimate is put right by so much at most */
#define RATIO_MAX   20
#define RATIO_STEP  0.1 /* weight of the last call */
#define SAVED_PARTS 128 /* of a window, as it is written down */
#define SAID_MS_MAX DAY_MS

static const char *const names[] = {"rpm", "rpd", "tpm", "tpd"};
static const char *const debt_names[] = {"tpm owed", "tpd owed"};
static const int64_t spans[] = {MINUTE_MS, DAY_MS, MINUTE_MS, DAY_MS};

/* ---- what the user set --------------------------------------------------------------------- */

void
limit_set_read(const json_t *def, struct limit_set *ret_set)
{
    *ret_set = (struct limit_set){.rpm = json_int(def, "rpm", 0),
                                  .rpd = json_int(def, "rpd", 0),
                                  .tpm = json_int(def, "tpm", 0),
                                  .tpd = json_int(def, "tpd", 0),
                                  .max_concurrency = json_int(def, "max_concurrency", 0)};
}

static void
tighten(int64_t *limit, int64_t by)
{
    if (by > 0 && (*limit <= 0 || by < *limit))
        *limit = by;
}

void
limit_set_tighten(struct limit_set *s, const struct limit_set *by)
{
    tighten(&s->rpm, by->rpm);
    tighten(&s->rpd, by->rpd);
    tighten(&s->tpm, by->tpm);
    tighten(&s->tpd, by->tpd);
    tighten(&s->max_concurrency, by->max_concurrency);
}

bool
limit_set_is_empty(const struct limit_set *s)
{
    return !(s->rpm || s->rpd || s->tpm || s->tpd || s->max_concurrency);
}

const char *
limit_reason_text(enum limit_reason r)
{
    static const char *const texts[] = {
        [LIMIT_NONE] = "nothing",
        [LIMIT_RPM] = "rpm",
        [LIMIT_RPD] = "rpd",
        [LIMIT_TPM] = "tpm",
        [LIMIT_TPD] = "tpd",
        [LIMIT_CONCURRENCY] = "max_concurrency",
        [LIMIT_SAID_REQUESTS] = "the provider's requests",
        [LIMIT_SAID_TOKENS] = "the provider's tokens",
        [LIMIT_REFUSED] = "refused by the provider",
        [LIMIT_BLOCK] = "the store",
    };
    return texts[r];
}

static int64_t
limit_of(const struct limiter *l, unsigned window)
{
    const int64_t limits[] = {l->set.rpm, l->set.rpd, l->set.tpm, l->set.tpd};
    return limits[window];
}

void
limiter_init(struct limiter *l)
{
    *l = (struct limiter){.heard_nth = -1, .ratio = 1};
    for (unsigned i = 0; i < COUNT(spans); i++)
        l->window[i].span_ms = spans[i];
    for (unsigned i = 0; i < COUNT(l->debt); i++)
        l->debt[i].span_ms = 2 * spans[2 + i];
}

void
limiter_fini(struct limiter *l)
{
    for (unsigned i = 0; i < COUNT(spans); i++)
        window_fini(&l->window[i]);
    for (unsigned i = 0; i < COUNT(l->debt); i++)
        window_fini(&l->debt[i]);
}

void
limiter_set(struct limiter *l, const struct limit_set *set)
{
    l->set = *set;
}

int64_t
limiter_used(struct limiter *l, unsigned window, int64_t now_ms)
{
    int64_t debt = window < 2 ? 0 : window_used(&l->debt[window - 2], now_ms);
    return window_used(&l->window[window], now_ms) + debt;
}

/* ---- may it start? ------------------------------------------------------------------------- */

static int64_t
amount_of(unsigned window, int64_t tokens)
{
    return window < 2 ? 1 : tokens;
}

/* Beside a debt, which ends part by part. */
static int64_t
tokens_ready_ms(struct limiter *l, unsigned window, int64_t now_ms, int64_t tokens)
{
    struct window *w = &l->window[window], *debt = &l->debt[window - 2];
    const int64_t limit = limit_of(l, window), amount = MIN(tokens, limit);
    int64_t owed = window_used(debt, now_ms), at = now_ms, best = INT64_MAX;
    struct window_part part;
    for (size_t i = 0; at < best; owed -= part.amount, at = part.last_ms + debt->span_ms) {
        if (amount + owed <= limit)
            best = MIN(best, MAX(at, window_ready_ms(w, now_ms, amount + owed, limit)));
        if (!window_next(debt, 0, &i, &part))
            break;
    }
    return best;
}

static int64_t
used_ready_ms(struct limiter *l, unsigned window, int64_t now_ms, int64_t tokens)
{
    if (window < 2)
        return window_ready_ms(&l->window[window], now_ms, 1, limit_of(l, window));
    return tokens_ready_ms(l, window, now_ms, tokens);
}

static void
later(int64_t ready, enum limit_reason reason, int64_t *latest, enum limit_reason *ret_reason)
{
    if (ready <= *latest)
        return;
    *latest = ready;
    *ret_reason = reason;
}

/* What the provider leaves us, with what has come back since. */
static int64_t
credit_ready_ms(const struct limit_credit *c, int64_t now_ms, int64_t amount)
{
    if (!c->known || now_ms >= c->reset_at_ms)
        return now_ms;
    int64_t missing = MIN(amount, c->limit > 0 ? c->limit : amount) - c->left;
    if (missing <= 0)
        return now_ms;
    if (!c->refills || missing >= c->used_up)
        return c->reset_at_ms;
    double share = (double)missing / (double)c->used_up;
    int64_t ready = c->at_ms + (int64_t)(share * (double)(c->reset_at_ms - c->at_ms)) + 1;
    return MAX(MIN(ready, c->reset_at_ms), now_ms);
}

static bool
block_is_short(const struct limiter *l, int64_t tokens)
{
    if (!l->kept || !limiter_has_windows(l))
        return false;
    return l->block[0] < 1 || ((l->set.tpm || l->set.tpd) && l->block[1] < tokens);
}

int64_t
limiter_ready_ms(struct limiter *l, int64_t now_ms, int64_t tokens, enum limit_reason *ret_reason)
{
    int64_t ready = now_ms;
    *ret_reason = LIMIT_NONE;
    for (unsigned i = 0; i < COUNT(spans); i++) {
        if (limit_of(l, i))
            later(used_ready_ms(l, i, now_ms, tokens), LIMIT_RPM + i, &ready, ret_reason);
    }
    later(credit_ready_ms(&l->said[0], now_ms, 1), LIMIT_SAID_REQUESTS, &ready, ret_reason);
    later(credit_ready_ms(&l->said[1], now_ms, tokens), LIMIT_SAID_TOKENS, &ready, ret_reason);
    later(l->held_until_ms, LIMIT_REFUSED, &ready, ret_reason);
    if (ready > now_ms)
        return ready;
    if (l->set.max_concurrency && l->in_flight >= l->set.max_concurrency)
        later(INT64_MAX, LIMIT_CONCURRENCY, &ready, ret_reason);
    if (l->cap && l->in_flight >= (int64_t)l->cap)
        later(INT64_MAX, LIMIT_REFUSED, &ready, ret_reason);
    if (block_is_short(l, tokens))
        later(INT64_MAX, LIMIT_BLOCK, &ready, ret_reason);
    return ready;
}

/* ---- from admission to the end ------------------------------------------------------------- */

void
limiter_take(struct limiter *l, int64_t now_ms, int64_t tokens, struct limit_grant *ret_grant)
{
    *ret_grant = (struct limit_grant){
        .at_ms = now_ms, .tokens = tokens, .nth = l->admitted, .taken = l->taken + tokens};
    for (unsigned i = 0; i < COUNT(spans); i++) {
        if (!limit_of(l, i))
            continue;
        window_add(&l->window[i], now_ms, amount_of(i, tokens));
        ret_grant->counted |= 1u << i;
    }
    l->said[0].left--;
    l->said[1].left -= tokens;
    l->block[0]--;
    l->block[1] -= tokens;
    l->in_flight++;
    l->admitted++;
    l->taken += tokens;
}

/* Only where it was counted: limits come and go while it is under way. */
static void
take_back(struct limiter *l, const struct limit_grant *g, unsigned window, int64_t amount)
{
    if (g->counted & 1u << window)
        window_take_back(&l->window[window], g->at_ms, amount);
}

static void
tokens_less(struct limiter *l, const struct limit_grant *g, int64_t less)
{
    take_back(l, g, 2, less);
    take_back(l, g, 3, less);
    l->said[1].left += less;
}

/* What is beyond the limit counts for two spans: it is missing in this one and in the next. */
static void
tokens_more(struct limiter *l, unsigned window, int64_t now_ms, int64_t more)
{
    int64_t beyond = MAX(limiter_used(l, window, now_ms) + more - limit_of(l, window), 0);
    int64_t debt = MIN(beyond, more);
    window_add(&l->debt[window - 2], now_ms, debt);
    window_add(&l->window[window], now_ms, more - debt);
}

/* Its share of the block is not given back: what is written down may only be too much. */
void
limiter_cancel(struct limiter *l, const struct limit_grant *g)
{
    assert(l->in_flight > 0);
    l->in_flight--;
    take_back(l, g, 0, 1);
    take_back(l, g, 1, 1);
    l->said[0].left++;
    tokens_less(l, g, g->tokens);
}

void
limiter_settle(struct limiter *l, int64_t now_ms, const struct limit_grant *g, int64_t tokens)
{
    assert(l->in_flight > 0);
    l->in_flight--;
    if (tokens < 0 || tokens == g->tokens)
        return;
    if (tokens < g->tokens) {
        tokens_less(l, g, g->tokens - tokens);
        return;
    }
    int64_t more = tokens - g->tokens;
    for (unsigned i = 2; i < COUNT(spans); i++) {
        if (limit_of(l, i))
            tokens_more(l, i, now_ms, more);
    }
    l->said[1].left -= more;
    l->block[1] -= more;
    l->taken += more;
}

int64_t
limiter_reserve(const struct limiter *l, int64_t estimated)
{
    return estimated > 0 ? MAX((int64_t)((double)estimated * l->ratio + 0.5), 1) : 0;
}

void
limiter_compare(struct limiter *l, int64_t estimated, int64_t took)
{
    if (estimated <= 0 || took < 0)
        return;
    double wrong = MIN(MAX((double)took / (double)estimated, RATIO_MIN), RATIO_MAX);
    l->ratio += (wrong - l->ratio) * RATIO_STEP; /* right estimates leave it at 1 to the bit */
}

/* ---- what the provider says ---------------------------------------------------------------- */

/* A bucket that refills evenly is full again after its part of a minute or a day; a window that
 * begins anew says the same time however much is left. */
static bool
refills_evenly(const struct limit_said *s)
{
    for (unsigned i = 0; i < 2; i++) {
        double full = (double)(s->limit - s->remaining) * (double)spans[i] / (double)s->limit;
        double off = (double)s->reset_ms - full;
        if (off > -0.1 * full - 1000 && off < 0.1 * full + 1000)
            return true;
    }
    return false;
}

static void
credit_hear(struct limit_credit *c, int64_t now_ms, const struct limit_said *s, int64_t since)
{
    *c = (struct limit_credit){.known = true,
                               .limit = MAX(s->limit, 0),
                               .left = s->remaining - since,
                               .at_ms = now_ms,
                               .reset_at_ms = now_ms + MIN(s->reset_ms, SAID_MS_MAX)};
    if (s->limit > s->remaining && refills_evenly(s)) {
        c->refills = true;
        c->used_up = s->limit - s->remaining;
    }
}

/* Replies come in any order, and what one says may be as old as its call: then all that was
 * admitted since is not in it. An older call's word than the last we heard says nothing new. */
bool
limiter_hear(struct limiter *l, int64_t now_ms, const struct limit_grant *g,
             const struct limit_said said[2])
{
    const int64_t since[2] = {l->admitted - g->nth - 1, l->taken - g->taken};
    bool news = false;
    if (g->nth < l->heard_nth)
        return false;
    for (unsigned i = 0; i < 2; i++) {
        const struct limit_said *s = &said[i];
        if (s->limit > 0 && s->limit != l->said[i].limit)
            news = true;
        if (s->remaining < 0 || s->reset_ms < 0)
            continue;
        credit_hear(&l->said[i], now_ms, s, MAX(since[i], 0));
        l->heard_nth = g->nth;
    }
    return news;
}

void
limiter_well(struct limiter *l)
{
    l->refused_in_a_row = 0;
    if (l->cap && ++l->cap > l->cap_goal)
        l->cap = 0;
}

/* The calls that were under way with it are refused as well, likely: they are one event. After the
 * pause it starts with half as many at once, and one more for each that went well. */
void
limiter_refused(struct limiter *l, int64_t now_ms, int64_t retry_after_ms)
{
    l->refused++;
    if (now_ms >= l->held_until_ms) {
        unsigned many = (unsigned)MIN(l->in_flight + 1, 1 << 20);
        l->cap = MAX(many / 2, 1);
        l->cap_goal = 2 * many;
        if (retry_after_ms < 0)
            retry_after_ms = MIN((int64_t)GUESS_MS << MIN(l->refused_in_a_row, 6), MINUTE_MS);
        l->refused_in_a_row++;
    }
    if (retry_after_ms > 0)
        l->held_until_ms = MAX(l->held_until_ms, now_ms + MIN(retry_after_ms, SAID_MS_MAX));
}

/* ---- outliving the process ----------------------------------------------------------------- */

bool
limiter_has_windows(const struct limiter *l)
{
    return l->set.rpm || l->set.rpd || l->set.tpm || l->set.tpd;
}

void
limiter_block_size(const struct limiter *l, int64_t tokens, int64_t ret_block[2])
{
    for (unsigned i = 0; i < 2; i++) {
        int64_t minute = limit_of(l, 2 * i) / 20, day = limit_of(l, 2 * i + 1) / 100;
        bool both = limit_of(l, 2 * i) && limit_of(l, 2 * i + 1);
        int64_t least = i ? tokens : 1;
        ret_block[i] = MAX(both ? MIN(minute, day) : minute + day, least);
        if (!limit_of(l, 2 * i) && !limit_of(l, 2 * i + 1))
            ret_block[i] = INT32_MAX; /* nothing counts these */
    }
}

bool
limiter_wants_block(const struct limiter *l)
{
    int64_t size[2];
    limiter_block_size(l, 0, size);
    return l->kept && limiter_has_windows(l) &&
           (l->block[0] <= size[0] / 2 || l->block[1] <= size[1] / 2);
}

static void
window_save(struct window *w, const char *name, int64_t now_ms, int64_t to_wall_ms, json_t *saved)
{
    struct window_part part;
    if (!window_used(w, now_ms))
        return;
    json_t *list = json_array();
    json_object_set_new(saved, name, list);
    for (size_t i = 0; window_next(w, w->span_ms / SAVED_PARTS, &i, &part);)
        json_array_append_new(list, json_pack("[II]", part.last_ms + to_wall_ms, part.amount));
}

json_t *
limiter_save(struct limiter *l, int64_t now_ms, int64_t now_wall_ms, const int64_t block[2])
{
    bool counted[2] = {l->set.rpm || l->set.rpd, l->set.tpm || l->set.tpd};
    const int64_t to_wall_ms = now_wall_ms - now_ms;
    json_t *saved = json_pack("{si s[II]}", "v", 1, "block", counted[0] ? block[0] : 0,
                              counted[1] ? block[1] : 0);
    for (unsigned i = 0; i < COUNT(spans); i++) {
        window_save(&l->window[i], names[i], now_ms, to_wall_ms, saved);
        if (i >= 2)
            window_save(&l->debt[i - 2], debt_names[i - 2], now_ms, to_wall_ms, saved);
    }
    return saved;
}

static struct err *
window_load(struct window *w, const char *name, int64_t now_ms, int64_t now_wall_ms,
            const json_t *saved)
{
    const json_t *list = json_object_get(saved, name), *part;
    size_t i;
    json_array_foreach (list, i, part) {
        const json_t *wall = json_array_get(part, 0), *amount = json_array_get(part, 1);
        if (!json_is_integer(wall) || !json_is_integer(amount) || json_integer_value(amount) < 0 ||
            json_integer_value(amount) > INT64_C(1) << 48)
            return FAIL(ERR_INVALID, "part %zu of '%s' is no time and amount", i + 1, name);
        /* A clock that was put back must not keep it for longer than a span. */
        int64_t age = MIN(MAX(now_wall_ms - MAX(json_integer_value(wall), 0), 0), 2 * DAY_MS);
        window_add(w, now_ms - age, json_integer_value(amount));
    }
    return NULL;
}

struct err *
limiter_load(struct limiter *l, int64_t now_ms, int64_t now_wall_ms, const json_t *saved)
{
    const json_t *block = json_object_get(saved, "block");
    if (json_int(saved, "v", 0) != 1 || json_array_size(block) != 2)
        return FAIL(ERR_INVALID, "it is not of a form that this version writes");
    for (unsigned i = 0; i < COUNT(spans); i++) {
        PASS(window_load(&l->window[i], names[i], now_ms, now_wall_ms, saved));
        if (i >= 2)
            PASS(window_load(&l->debt[i - 2], debt_names[i - 2], now_ms, now_wall_ms, saved));
        int64_t ahead = json_integer_value(json_array_get(block, i / 2));
        int64_t limit = limit_of(l, i);
        if (ahead > 0) /* a limit that nobody has set yet may come */
            window_add(&l->window[i], now_ms, limit ? MIN(ahead, limit) : MIN(ahead, INT32_MAX));
    }
    return NULL;
}

void
limiter_distrust(struct limiter *l, int64_t now_ms)
{
    for (unsigned i = 0; i < COUNT(spans); i += 2)
        window_add(&l->window[i], now_ms, limit_of(l, i));
}
