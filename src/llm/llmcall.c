/* llmcall.c - one call from request to reply: send, read whole or streamed, classify, put right. */
#include "base/log.h"
#include "llm/batchwire.h"
#include "llm/cassette.h"
#include "llm/llm.h"
#include "llm/provider.h"
#include "net/sse.h"
#include "rt/fiber.h"
#include "rt/rt.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TOOLS_MAX        1024
#define STREAM_BYTES_MAX (256 << 20) /* an event wraps a few letters in hundreds of bytes */
#define EVENT_BYTES_MAX  (16 << 20)  /* an event may hold an image */
#define LINGER_MS        200         /* for the end of the body behind the end mark: keep-alive */

struct exchange { /* one HTTP exchange of one call */
    const struct llm_provider *provider;
    const struct llm_call *call;
    const char *key_env;
    struct http *http;
    int64_t deadline_ms;
};

struct err *
llm_new(const struct llm_opts *opts, struct llm **ret_llm)
{
    struct llm *llm = xcalloc(1, sizeof *llm);
    struct err *e = opts ? cassette_open(opts->record, opts->replay, &llm->cassette) : NULL;
    if (e) {
        free(llm);
        return e;
    }
    *ret_llm = llm;
    return NULL;
}

void
llm_free(struct llm *llm)
{
    if (!llm)
        return;
    batches_free(llm->batches);
    cassette_close(llm->cassette);
    free(llm);
}

struct err *
provider_garbled(const struct llm_call *c, const char *what)
{
    /* the parser's words quote the answer, and that may quote our key */
    AUTO(str_fini) struct str words = STR_INIT;
    refusal_quote(&words, what, strlen(what), REFUSAL_QUOTE_MAX, c->profile->api_key);
    return FAIL(ERR_TRANSIENT, "%s sent a garbled answer: %s", c->profile->provider, str_c(&words));
}

/* ---- errors -----------------------------------------------------------------------------------*/

static struct err *MUST
fault_of(const struct exchange *x, const json_t *body, struct refusal *f)
{
    if (body)
        x->provider->fault(body, f);
    return refusal_err(f, x->call->profile, x->key_env);
}

/* A status that is no success: the body is read as far as it helps. */
static struct err *MUST
read_refusal(const struct exchange *x)
{
    struct refusal f = {.status = http_status(x->http),
                        .retry_after_ms = refusal_retry_after(x->http)};
    AUTO(str_fini) struct str body = STR_INIT, words = STR_INIT;
    AUTO(json_freep) json_t *json = NULL;
    bool end = false;
    struct err *e = NULL;
    while (!e && !end && body.len < REFUSAL_BODY_MAX)
        e = http_read(x->http, x->deadline_ms, &body, &end);
    if (e && err_kind(e) == ERR_CANCELLED)
        return e;
    if (e)
        err_drop(e); /* the status alone says enough */
    e = wire_parse(str_c(&body), body.len, &json);
    if (e) { /* a page of a proxy */
        err_drop(e);
        refusal_quote(&words, str_c(&body), body.len, 200, x->call->profile->api_key);
        f.message = str_c(&words);
    }
    return fault_of(x, json, &f);
}

/* Some services say 200 and then that it went wrong. */
static bool
is_fault(const json_t *body)
{
    if (json_is_array(body))
        body = json_array_get(body, 0);
    return json_truthy(json_object_get(body, "error"));
}

static struct err *MUST
hidden_fault(const struct exchange *x, const json_t *body)
{
    struct refusal f = {.retry_after_ms = -1};
    return fault_of(x, body, &f);
}

/* ---- whole bodies -----------------------------------------------------------------------------*/

static struct err *MUST
take_whole(const struct exchange *x, const char *bytes, size_t n, struct answer *a)
{
    AUTO(json_freep) json_t *body = NULL;
    struct err *e = wire_parse(bytes, n, &body);
    if (e) {
        AUTO(freep) char *why = err_text(e);
        err_drop(e);
        return provider_garbled(x->call, why);
    }
    if (is_fault(body))
        return hidden_fault(x, body);
    return x->provider->whole(x->call, body, a);
}

static struct err *MUST
read_whole(const struct exchange *x, struct answer *a)
{
    AUTO(str_fini) struct str body = STR_INIT;
    for (bool end = false; !end;)
        TRY(http_read(x->http, x->deadline_ms, &body, &end), "reading the answer of %s",
            x->call->profile->provider);
    log_debug("llm", "reply: %s", str_c(&body));
    PASS(take_whole(x, str_c(&body), body.len, a));
    return NULL;
}

/* ---- streams ----------------------------------------------------------------------------------*/

static struct err *MUST
take_event(const struct exchange *x, const char *type, const char *data, size_t n, struct answer *a)
{
    AUTO(json_freep) json_t *json = NULL;
    while (n && strchr(" \t\r\n", data[n - 1]))
        n--;
    if (!n)
        return NULL;
    log_debug("llm", "event: %s", data);
    if (n == 6 && memcmp(data, "[DONE]", 6) == 0)
        return x->provider->event(x->call, type, NULL, a);
    struct err *e = wire_parse(data, n, &json);
    if (e) {
        AUTO(freep) char *why = err_text(e);
        err_drop(e);
        return provider_garbled(x->call, why);
    }
    if (is_fault(json))
        return hidden_fault(x, json);
    return x->provider->event(x->call, type, json, a);
}

struct feed { /* bytes to events */
    struct sse sse;
    struct str lines;
    size_t at, seen; /* start of the line; searched up to here */
};

static void
feed_fini(struct feed *f)
{
    sse_fini(&f->sse);
    str_fini(&f->lines);
}

static struct err *MUST
feed_sse(const struct exchange *x, struct feed *f, const struct str *bytes, struct answer *a)
{
    sse_feed(&f->sse, str_c(bytes), bytes->len);
    while (!a->ended) {
        struct sse_event ev;
        bool got;
        TRY(sse_next(&f->sse, &ev, &got), "reading the stream of %s", x->call->profile->provider);
        if (!got)
            break;
        PASS(take_event(x, ev.type, ev.data, ev.data_len, a));
    }
    return NULL;
}

static struct err *MUST
feed_lines(const struct exchange *x, struct feed *f, const struct str *bytes, bool end,
           struct answer *a)
{
    str_addn(&f->lines, str_c(bytes), bytes->len);
    if (end)
        str_addc(&f->lines, '\n');
    while (!a->ended && f->seen < f->lines.len) {
        char *from = f->lines.p + f->seen;
        char *nl = memchr(from, '\n', f->lines.len - f->seen);
        if (!nl) {
            f->seen = f->lines.len;
            break;
        }
        *nl = '\0';
        const char *line = f->lines.p + f->at;
        size_t n = (size_t)(nl - line);
        f->at = f->seen = (size_t)(nl - f->lines.p) + 1;
        PASS(take_event(x, "", line, n, a));
    }
    str_cut(&f->lines, f->at);
    f->seen -= f->at;
    f->at = 0;
    if (f->lines.len > EVENT_BYTES_MAX)
        return FAIL(ERR_LIMIT, "a line of the stream is longer than %d bytes", EVENT_BYTES_MAX);
    return NULL;
}

/* So that the connection can be used again; not worth an error. */
static void
linger(const struct exchange *x, bool end)
{
    AUTO(str_fini) struct str rest = STR_INIT;
    const int64_t until = MIN(x->deadline_ms, rt_after(LINGER_MS));
    struct err *e = NULL;
    while (!e && !end && rest.len < 65536)
        e = http_read(x->http, until, &rest, &end);
    err_drop(e);
}

static struct err *MUST
read_stream(const struct exchange *x, struct answer *a)
{
    AUTO(feed_fini) struct feed f = {.sse = SSE_INIT(EVENT_BYTES_MAX)};
    AUTO(str_fini) struct str bytes = STR_INIT;
    bool end = false;
    while (!a->ended && !end) {
        str_reset(&bytes);
        TRY(http_read(x->http, x->deadline_ms, &bytes, &end), "reading the stream of %s",
            x->call->profile->provider);
        if (x->provider->lines)
            PASS(feed_lines(x, &f, &bytes, end, a));
        else
            PASS(feed_sse(x, &f, &bytes, a));
    }
    if (a->ended)
        linger(x, end);
    if (!a->ended && !(a->finished && x->provider->finish_ends))
        return FAIL(ERR_TRANSIENT, "the stream of %s ended early", x->call->profile->provider);
    return NULL;
}

/* Asked for a stream, some servers answer whole. */
static bool
is_whole(const struct exchange *x)
{
    const char *type = http_header(x->http, "content-type");
    return !x->call->stream ||
           (type && !x->provider->lines && strncasecmp(type, "application/json", 16) == 0);
}

/* ---- the call ---------------------------------------------------------------------------------*/

static struct err *MUST
send_request(struct exchange *x, const struct wire *w)
{
    const struct http_req req = {
        .method = "POST",
        .url = str_c(&w->url),
        .headers = w->headers,
        .nheaders = w->nheaders,
        .body = str_c(&w->body),
        .body_len = w->body.len,
        .reply_max = x->call->stream ? STREAM_BYTES_MAX : 0,
    };
    log_debug("llm", "POST %s %s", str_c(&w->url), str_c(&w->body));
    TRY(http_open(&req, x->deadline_ms, &x->http), "calling %s", x->call->profile->provider);
    return NULL;
}

static struct err *MUST
exchange_run(struct exchange *x, struct answer *a)
{
    const struct llm_profile *p = x->call->profile;
    if (!x->call->base_url && !p->url)
        return FAIL(ERR_INVALID, "profile '%s' needs base_url", p->name ? p->name : p->model);
    AUTO(wire_fini) struct wire w = {0};
    PASS(wire_user_headers(&w, p));
    PASS(x->provider->build(x->call, &w));
    str_fit(&w.body);
    PASS(send_request(x, &w));
    wire_fini(&w); /* a large body is not kept while the model thinks */
    const int status = http_status(x->http);
    if (x->call->req->limits)
        refusal_limits(x->http, x->call->req->limits);
    if (status < 200 || status > 299)
        return read_refusal(x);
    const char *id = http_header(x->http, "x-request-id");
    if (id)
        a->reply->id = xstrndup(id, strnlen(id, 256));
    struct err *e = is_whole(x) ? read_whole(x, a) : read_stream(x, a);
    return e ? err_set_in_doubt(e) : NULL; /* it was accepted, and may be charged for */
}

static struct err *MUST
check_request(const struct llm_request *req)
{
    TRY(message_check(req->messages), "the conversation is not valid");
    if (json_array_size(req->tools) > TOOLS_MAX)
        return FAIL(ERR_LIMIT, "more than %d tools", TOOLS_MAX);
    size_t i;
    json_t *tool;
    json_array_foreach (req->tools, i, tool) {
        if (!*json_str(tool, "name", ""))
            return FAIL(ERR_INVALID, "tool %zu has no name", i + 1);
    }
    return NULL;
}

static void
call_fini(struct llm_call *c)
{
    toolnames_fini(&c->names);
}

static struct err *MUST
call_answer(struct llm_call *c, int64_t deadline_ms, struct answer *a)
{
    struct exchange x = {.call = c, .deadline_ms = deadline_ms};
    TRY(provider_find(c->profile, &x.provider, &c->base_url), "calling a model");
    a->provider = x.provider->name;
    if (x.provider->answer)
        return x.provider->answer(c, deadline_ms, a);
    x.key_env = llm_key_env(c->profile->provider);
    struct err *e = exchange_run(&x, a);
    http_close(x.http);
    return e;
}

struct live { /* not on the stack: thousands of calls wait here, and each page of theirs counts */
    struct llm_call call;
    struct answer answer;
};

static void
live_freep(struct live **l)
{
    answer_fini(&(*l)->answer);
    call_fini(&(*l)->call);
    free(*l);
}

static struct err *MUST
call_live(const struct llm_profile *p, const struct llm_request *req, int64_t deadline_ms,
          struct llm_reply *ret)
{
    AUTO(live_freep) struct live *l = xcalloc(1, sizeof *l);
    struct answer *a = &l->answer;
    l->call = (struct llm_call){.profile = p, .req = req, .stream = p->stream};
    toolnames_init(&l->call.names, req->tools);
    answer_init(a, p->provider, req, ret);
    struct err *e = call_answer(&l->call, deadline_ms, a);
    if (e) {
        llm_reply_fini(ret);
        return e;
    }
    bool said = a->pieces.len > 0; /* pieces of a stream were told as they came */
    answer_close(a, &l->call.names);
    if (!said && req->on_text && *ret->text)
        req->on_text(req->ctx, ret->text, strlen(ret->text));
    llm_usage_price(&ret->usage, &p->price, a->counted);
    return NULL;
}

struct err *
llm_call(struct llm *llm, const struct llm_profile *p, const struct llm_request *req,
         int64_t deadline_ms, struct llm_reply *ret)
{
    PASS(check_request(req));
    if (p->timeout_ms > 0)
        deadline_ms = MIN(deadline_ms, rt_after(p->timeout_ms));
    if (!llm->cassette)
        return call_live(p, req, deadline_ms, ret);
    struct take take = {.profile = p, .req = req};
    bool done;
    struct err *e = cassette_find(llm->cassette, &take, ret, &done);
    if (done)
        return e;
    e = call_live(p, req, deadline_ms, ret);
    return cassette_keep(llm->cassette, &take, ret, e);
}
