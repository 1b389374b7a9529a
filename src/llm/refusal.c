/* refusal.c - statuses, codes and words of providers to the kinds of err.h.
 *
 * The words were collected from the providers' documentation of errors; where one has a code of its
 * own for a case the code is used, and words only for those that have none. */
#include "llm/refusal.h"
#include "base/units.h"
#include "llm/llm.h"
#include "rt/rt.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define RETRY_MS_MAX (INT64_C(7) * 24 * 3600 * 1000) /* what a confused clock asks for at most */

/* ---- reading ----------------------------------------------------------------------------------*/

void
refusal_read(const json_t *body, struct refusal *f)
{
    if (json_is_array(body)) /* Gemini wraps the errors of a stream so */
        body = json_array_get(body, 0);
    const json_t *e = json_object_get(body, "error");
    if (json_is_string(e)) {
        f->message = json_string_value(e);
        return;
    }
    const json_t *at = json_is_object(e) ? e : body;
    const json_t *code = json_object_get(at, "code");
    f->message = json_str(at, "message", json_str(at, "detail", NULL));
    f->type = json_str(at, "type", NULL);
    f->code = json_is_string(code) ? json_string_value(code) : NULL;
    /* In a stream the status line is behind us; some repeat it here. */
    if (!f->status && json_is_integer(code) && json_integer_value(code) >= 400 &&
        json_integer_value(code) < 600)
        f->status = (int)json_integer_value(code);
}

static bool
one_of(const char *text, const char *const *list)
{
    for (; text && *list; list++) {
        if (strcasecmp(text, *list) == 0)
            return true;
    }
    return false;
}

static bool
mentions(const char *text, const char *const *list)
{
    for (; text && *list; list++) {
        if (strcasestr(text, *list))
            return true;
    }
    return false;
}

/* ---- delays -----------------------------------------------------------------------------------*/

int64_t
refusal_duration(const char *text)
{
    double total = 0;
    bool any = false;
    while (*text) {
        char *end;
        if (*text < '0' || *text > '9')
            return -1;
        double value = strtod(text, &end);
        size_t unit = 1;
        if (end[0] == 'm' && end[1] == 's')
            unit = 2;
        else if (end[0] == 'h')
            value *= 3600e3;
        else if (end[0] == 'm')
            value *= 60e3;
        else if (end[0] == 's')
            value *= 1e3;
        else
            return -1;
        total += value;
        any = true;
        text = end + unit;
    }
    return any && total < (double)RETRY_MS_MAX ? (int64_t)ceil(total) : any ? RETRY_MS_MAX : -1;
}

/* A moment (ISO 8601), a duration ("6m0s"), seconds, or seconds or milliseconds since 1970. */
static int64_t
reset_ms(const char *text)
{
    int64_t wall, ms = refusal_duration(text);
    if (ms >= 0)
        return ms;
    if (time_parse_iso(text, &wall))
        return MIN(MAX(wall - rt_wall_ms(), 0), RETRY_MS_MAX);
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= 0))
        return -1;
    if (value > 1e11)
        value -= (double)rt_wall_ms();
    else if (value > 1e8)
        value = value * 1e3 - (double)rt_wall_ms();
    else
        value *= 1e3;
    return (int64_t)MIN(MAX(value, 0), (double)RETRY_MS_MAX);
}

/* Of several windows: the longest that is used up; when none says so, the shortest. */
static int64_t
windows_ms(const struct http *h)
{
    static const struct {
        const char *reset, *remaining;
    } window[] = {
        {"x-ratelimit-reset-requests", "x-ratelimit-remaining-requests"},
        {"x-ratelimit-reset-tokens", "x-ratelimit-remaining-tokens"},
        {"anthropic-ratelimit-requests-reset", "anthropic-ratelimit-requests-remaining"},
        {"anthropic-ratelimit-tokens-reset", "anthropic-ratelimit-tokens-remaining"},
        {"anthropic-ratelimit-input-tokens-reset", "anthropic-ratelimit-input-tokens-remaining"},
        {"anthropic-ratelimit-output-tokens-reset", "anthropic-ratelimit-output-tokens-remaining"},
        {"x-ratelimit-reset", "x-ratelimit-remaining"},
    };
    int64_t used_up = -1, shortest = -1;
    for (size_t i = 0; i < COUNT(window); i++) {
        const char *reset = http_header(h, window[i].reset);
        const char *left = http_header(h, window[i].remaining);
        int64_t ms = reset ? reset_ms(reset) : -1;
        if (ms < 0)
            continue;
        if (left && strcmp(left, "0") == 0)
            used_up = MAX(used_up, ms);
        shortest = shortest < 0 ? ms : MIN(shortest, ms);
    }
    return used_up >= 0 ? used_up : shortest;
}

int64_t
refusal_retry_after(const struct http *h)
{
    const char *ms = http_header(h, "retry-after-ms");
    char *end;
    double value = ms ? strtod(ms, &end) : -1;
    if (ms && end != ms && !*end && value >= 0)
        return (int64_t)MIN(ceil(value), (double)RETRY_MS_MAX);
    int64_t after = http_retry_after_ms(h);
    return after >= 0 ? MIN(after, RETRY_MS_MAX) : windows_ms(h);
}

struct limit_names {
    const char *limit, *remaining, *reset;
};

static int64_t
count_of(const struct http *h, const char *name)
{
    const char *text = http_header(h, name);
    char *end;
    long long n = text ? strtoll(text, &end, 10) : -1;
    return text && end != text && !*end && n >= 0 && n < 1000000000000000 ? n : -1;
}

/* The first of these that the service speaks of. */
static void
limit_read(const struct http *h, const struct limit_names *names, size_t n, struct llm_limit *ret)
{
    *ret = (struct llm_limit){-1, -1, -1};
    for (size_t i = 0; i < n; i++) {
        struct llm_limit l = {count_of(h, names[i].limit), count_of(h, names[i].remaining), -1};
        if (l.limit < 0 && l.remaining < 0)
            continue;
        const char *reset = http_header(h, names[i].reset);
        l.reset_ms = reset ? reset_ms(reset) : -1;
        *ret = l;
        return;
    }
}

void
refusal_limits(const struct http *h, struct llm_limits *ret)
{
    static const struct limit_names requests[] = {
        {"x-ratelimit-limit-requests", "x-ratelimit-remaining-requests",
         "x-ratelimit-reset-requests"},
        {"anthropic-ratelimit-requests-limit", "anthropic-ratelimit-requests-remaining",
         "anthropic-ratelimit-requests-reset"},
        {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"},
    };
    /* Not those for output alone: what is reserved is input and output. */
    static const struct limit_names tokens[] = {
        {"x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"},
        {"anthropic-ratelimit-tokens-limit", "anthropic-ratelimit-tokens-remaining",
         "anthropic-ratelimit-tokens-reset"},
        {"anthropic-ratelimit-input-tokens-limit", "anthropic-ratelimit-input-tokens-remaining",
         "anthropic-ratelimit-input-tokens-reset"},
    };
    limit_read(h, requests, COUNT(requests), &ret->requests);
    limit_read(h, tokens, COUNT(tokens), &ret->tokens);
    ret->refused = http_status(h) == 429;
}

/* "Please try again in 1.5s.": OpenAI's words where no header came along. */
static int64_t
words_ms(const char *message)
{
    const char *at = message ? strcasestr(message, "try again in ") : NULL;
    char text[24];
    size_t n = 0;
    if (!at)
        return -1;
    for (at += strlen("try again in ");
         n < sizeof text - 1 && *at && strchr("0123456789.hms", *at);)
        text[n++] = *at++;
    while (n && text[n - 1] == '.')
        n--;
    text[n] = '\0';
    return refusal_duration(text);
}

/* ---- kinds ------------------------------------------------------------------------------------*/

static bool
is_too_long(const struct refusal *f)
{
    static const char *const codes[] = {"context_length_exceeded", "request_too_large",
                                        "exceed_context_size_error", "string_above_max_length",
                                        NULL};
    static const char *const words[] = {
        "context length",     "context window",        "context size",
        "prompt is too long", "input is too long",     "exceeds the maximum number of tokens",
        "input token count",  "too many input tokens", "maximum prompt length",
        "prompt too long",    "reduce the length",     NULL};
    if (one_of(f->code, codes) || one_of(f->type, codes) || f->status == 413)
        return true;
    return (f->status == 0 || f->status == 400 || f->status == 422) && mentions(f->message, words);
}

static bool
is_denied(const struct refusal *f)
{
    static const char *const codes[] = {"insufficient_quota",   "billing_hard_limit_reached",
                                        "billing_not_active",   "invalid_api_key",
                                        "authentication_error", "permission_error",
                                        "billing_error",        "PERMISSION_DENIED",
                                        "UNAUTHENTICATED",      NULL};
    static const char *const words[] = {"credit balance is too low", "api key not valid",
                                        "api key expired",           "invalid api key",
                                        "insufficient balance",      NULL};
    if (f->denied || f->status == 401 || f->status == 402 || f->status == 403)
        return true;
    if (one_of(f->code, codes) || one_of(f->type, codes))
        return true;
    return (f->status == 0 || f->status == 400) && mentions(f->message, words);
}

static bool
is_limit(const struct refusal *f)
{
    static const char *const codes[] = {"rate_limit_error", "rate_limit_exceeded",
                                        "RESOURCE_EXHAUSTED", "too_many_requests", NULL};
    if (f->status == 429)
        return true;
    return f->status == 0 && (one_of(f->code, codes) || one_of(f->type, codes));
}

static bool
is_invalid(const struct refusal *f)
{
    static const char *const codes[] = {
        "invalid_request_error", "not_found_error", "model_not_found",
        "INVALID_ARGUMENT",      "NOT_FOUND",       NULL};
    if (f->status == 408 || f->status == 409 || f->status == 425)
        return false;
    if (f->status)
        return f->status < 500 || f->status == 501 || f->status == 505;
    return one_of(f->code, codes) || one_of(f->type, codes);
}

/* The model is not there, or not any more. */
static bool
is_missing(const struct refusal *f)
{
    static const char *const codes[] = {"not_found_error", "model_not_found", "NOT_FOUND", NULL};
    return f->status == 404 || f->status == 410 || one_of(f->code, codes) || one_of(f->type, codes);
}

/* ---- words ------------------------------------------------------------------------------------*/

void
refusal_quote(struct str *to, const char *text, size_t n, size_t max, const char *key)
{
    const size_t key_len = key ? strlen(key) : 0;
    AUTO(str_fini) struct str line = STR_INIT;
    bool blank = false;
    for (size_t i = 0; i < n && line.len < max;) {
        /* A short key would blot out ordinary words, and guards nothing. */
        if (key_len >= 4 && n - i >= key_len && memcmp(text + i, key, key_len) == 0) {
            str_add(&line, blank ? " [key]" : "[key]");
            blank = false;
            i += key_len;
            continue;
        }
        unsigned char c = (unsigned char)text[i++];
        if (c <= ' ' || c == 0x7f) {
            blank = line.len > 0;
            continue;
        }
        if (blank)
            str_addc(&line, ' ');
        blank = false;
        str_addc(&line, (char)c);
    }
    size_t keep = utf8_floor(str_c(&line), line.len);
    str_add_utf8(to, str_c(&line), keep);
    if (n > max && line.len >= max)
        str_add(to, "...");
}

static void
quote_text(struct str *to, const char *text, size_t max, const char *key)
{
    if (text)
        refusal_quote(to, text, strlen(text), max, key);
}

/* "(429, rate_limit_exceeded): 'words'" */
static void
add_words(struct str *to, const struct refusal *f, const char *key)
{
    const char *code = f->code ? f->code : f->type;
    AUTO(str_fini) struct str words = STR_INIT, short_code = STR_INIT;
    quote_text(&words, f->message, REFUSAL_QUOTE_MAX, key);
    quote_text(&short_code, code, 64, key);
    if (f->status && short_code.len)
        str_addf(to, " (%d, %s)", f->status, str_c(&short_code));
    else if (f->status)
        str_addf(to, " (%d)", f->status);
    else if (short_code.len)
        str_addf(to, " (%s)", str_c(&short_code));
    if (words.len)
        str_addf(to, ": '%s'", str_c(&words));
}

static struct err *
denied_err(const struct llm_profile *p, const char *key_env, const char *words)
{
    const char *name = p->name ? p->name : p->model;
    if (!p->api_key && key_env)
        return FAIL(ERR_DENIED, "%s wants a key%s: set %s, or api_key of profile '%s'", p->provider,
                    words, key_env, name);
    if (key_env)
        return FAIL(ERR_DENIED,
                    "%s denies access%s: check the key and its credit (api_key of profile '%s', "
                    "usually %s)",
                    p->provider, words, name, key_env);
    return FAIL(ERR_DENIED, "%s denies access%s: check api_key of profile '%s'", p->provider, words,
                name);
}

struct err *
refusal_err(const struct refusal *f, const struct llm_profile *p, const char *key_env)
{
    AUTO(str_fini) struct str words = STR_INIT;
    add_words(&words, f, p->api_key);
    const char *w = str_c(&words);
    if (is_denied(f))
        return denied_err(p, key_env, w);
    if (is_too_long(f))
        return FAIL(ERR_TOO_LONG, "the conversation is too long for model '%s'%s", p->model, w);
    int64_t retry = f->retry_after_ms >= 0 ? f->retry_after_ms : words_ms(f->message);
    if (is_limit(f))
        return err_set_retry_after(
            FAIL(ERR_LIMIT, "%s limits requests to model '%s'%s", p->provider, p->model, w), retry);
    if (f->status >= 300 && f->status < 400)
        return FAIL(ERR_INVALID, "%s answers with a redirect%s: correct base_url of profile '%s'",
                    p->provider, w, p->name ? p->name : p->model);
    if (is_invalid(f))
        return FAIL(is_missing(f) ? ERR_MISSING : ERR_INVALID,
                    "%s refuses the request to model '%s'%s", p->provider, p->model, w);
    struct err *e =
        err_set_retry_after(FAIL(ERR_TRANSIENT, "%s is in trouble%s", p->provider, w), retry);
    const bool unknown = f->status == 500 || f->status == 502 || f->status == 504;
    return unknown ? err_set_in_doubt(e) : e; /* somebody on the way gave up, others may not have */
}
