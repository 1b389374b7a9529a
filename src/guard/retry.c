/* retry.c - exponential back-off with a ceiling, a floor and jitter. */
#include "guard/retry.h"
#include <assert.h>
#include <math.h>

void
retry_from_json(struct retry *retry, const json_t *def)
{
    retry->max_attempts = (unsigned)MAX(json_int(def, "max_attempts", retry->max_attempts), 1);
    retry->initial_ms = json_int(def, "initial_delay", retry->initial_ms);
    retry->max_ms = json_int(def, "max_delay", retry->max_ms);
    retry->min_ms = json_int(def, "min_delay", retry->min_ms);
    retry->base = json_num(def, "exponential_base", retry->base);
    retry->jitter = json_bool(def, "jitter", retry->jitter);
    retry->adaptive =
        str_eq(json_str(def, "strategy", retry->adaptive ? "adaptive" : ""), "adaptive");
    const json_t *on = json_object_get(def, "retry_on"), *name;
    if (!json_is_array(on))
        return;
    retry->kinds = 0;
    size_t i;
    json_array_foreach (on, i, name) {
        enum err_kind kind;
        if (json_is_string(name) && err_kind_parse(json_string_value(name), &kind))
            retry->kinds |= 1u << kind;
    }
}

bool
retry_allows(const struct retry *r, const struct err *e, unsigned attempt)
{
    assert(attempt > 0);
    return attempt < r->max_attempts && (r->kinds & 1u << err_kind(e));
}

int64_t
retry_delay_ms(const struct retry *r, const struct err *e, unsigned attempt, double chance)
{
    assert(chance >= 0 && chance < 1);
    const bool grows = !r->adaptive || err_kind(e) == ERR_LIMIT;
    double ms = (double)r->initial_ms * (grows ? pow(r->base, attempt - 1) : 1);
    ms = fmin(ms, (double)r->max_ms);
    ms = fmax(ms, (double)r->min_ms);
    if (r->jitter)
        ms *= 0.5 + chance / 2;
    ms = fmax(ms, (double)r->min_ms);
    return MAX(llround(ms), err_retry_after_ms(e));
}
