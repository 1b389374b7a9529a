/* ratesaid_test.c - what the headers of a reply say is left. */
#include "base/test.h"
#include "llm/llm.h"
#include "llm/refusal.h"
#include "rt/rt.h"
#include <strings.h>

struct reply_stub {
    struct http http;
    int status;
    struct http_header header[6];
};

static int
stub_status(const struct http *h)
{
    return container_of(h, const struct reply_stub, http)->status;
}

static const char *
stub_header(const struct http *h, const char *name)
{
    const struct reply_stub *r = container_of(h, const struct reply_stub, http);
    for (size_t i = 0; i < COUNT(r->header) && r->header[i].name; i++) {
        if (strcasecmp(r->header[i].name, name) == 0)
            return r->header[i].value;
    }
    return NULL;
}

static const struct http_ops ops = {.status = stub_status, .header = stub_header};

static void
said(void **state)
{
    (void)state;
    static const struct {
        int status;
        struct http_header header[6];
        const char *want;
    } row[] = {
        {200, {{0}}, "-1 -1 -1, -1 -1 -1, 0"},
        {200,
         {{"x-ratelimit-limit-requests", "60"},
          {"X-RateLimit-Remaining-Requests", "59"},
          {"x-ratelimit-reset-requests", "1s"},
          {"x-ratelimit-limit-tokens", "150000"},
          {"x-ratelimit-remaining-tokens", "149984"},
          {"x-ratelimit-reset-tokens", "6m0s"}},
         "60 59 1000, 150000 149984 360000, 0"},
        {429,
         {{"anthropic-ratelimit-requests-limit", "50"},
          {"anthropic-ratelimit-requests-remaining", "0"},
          {"anthropic-ratelimit-requests-reset", "2026-01-01T00:00:30Z"},
          {"anthropic-ratelimit-input-tokens-limit", "20000"},
          {"anthropic-ratelimit-input-tokens-remaining", "7"},
          {"anthropic-ratelimit-input-tokens-reset", "2026-01-01T00:01:00Z"}},
         "50 0 30000, 20000 7 60000, 1"},
        {200,
         {{"anthropic-ratelimit-output-tokens-limit", "8000"},
          {"anthropic-ratelimit-tokens-limit", "9000"},
          {"anthropic-ratelimit-tokens-remaining", "8000"}},
         "-1 -1 -1, 9000 8000 -1, 0"},
        {200,
         {{"x-ratelimit-limit", "100"},
          {"x-ratelimit-remaining", "3"},
          {"x-ratelimit-reset", "20"}},
         "100 3 20000, -1 -1 -1, 0"},
        {200,
         {{"x-ratelimit-limit-requests", "many"},
          {"x-ratelimit-remaining-requests", "-4"},
          {"x-ratelimit-limit-tokens", "99999999999999999999"},
          {"x-ratelimit-remaining-tokens", "12 or so"},
          {"x-ratelimit-reset-tokens", "soon"},
          {"x-ratelimit-limit", ""}},
         "-1 -1 -1, -1 -1 -1, 0"},
    };
    struct rt *rt;
    assert_ok(rt_open(&(struct rt_opts){.simulated = true}, &rt));
    for (size_t i = 0; i < COUNT(row); i++) {
        struct reply_stub stub = {.http = {&ops}, .status = row[i].status};
        memcpy(stub.header, row[i].header, sizeof stub.header);
        struct llm_limits l;
        refusal_limits(&stub.http, &l);
        AUTO(freep)
        char *got = xasprintf("%lld %lld %lld, %lld %lld %lld, %d", (long long)l.requests.limit,
                              (long long)l.requests.remaining, (long long)l.requests.reset_ms,
                              (long long)l.tokens.limit, (long long)l.tokens.remaining,
                              (long long)l.tokens.reset_ms, l.refused);
        assert_string_equal(got, row[i].want);
    }
    rt_close(rt);
}

TESTS(ratesaid_test, cmocka_unit_test(said))
