/* testllm.h - the test world of this folder: one model call against scripted bytes.
 *
 * A fixture says what is asked, what the server answers in its very bytes, and what has to come
 * out, as one line. Single quotes stand for double ones in every text, so that JSON reads as JSON.
 * The answer is cut wherever the test wants, each piece arriving at a time of its own. */
#ifndef LLM_TESTLLM_H
#define LLM_TESTLLM_H
#include "base/test.h"
#include "llm/llm.h"
#include "rt/fiber.h"
#include "rt/rt.h"
#include "rt/sim.h"

struct fixture {
    const char *name;
    const char *profile; /* a definition */
    const char *request; /* {messages, tools, tool_choice, output_schema} */
    int status;          /* 0: 200 */
    const char *type;    /* content type; NULL: by `stream` of the profile */
    struct http_header header[3];
    const char *body;
    const char *sent; /* the request's body; NULL: whatever it is */
    const char *want; /* see outcome_of */
};
struct server {
    const struct fixture *f;
    char *body;          /* with double quotes */
    size_t cut, cut_end; /* the answer is sent as [0,cut) [cut,cut_end) [cut_end,..) */
    size_t each;         /* or in pieces of this many bytes; 0: no */
    size_t drop_at;      /* the connection breaks behind this many bytes */
    struct str url, sent, headers;
    unsigned requests;
};
struct ask { /* one call and what came of it */
    struct server *server;
    const struct fixture *f;
    struct llm *llm; /* NULL: a new one */
    int64_t deadline_ms;
    unsigned attempt;
    const char *key;
    struct str outcome, heard;
};

static UNUSED char *
quoted(const char *text)
{
    char *s = xstrdup(text ? text : "null");
    for (char *p = s; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    return s;
}

static UNUSED json_t *
json_of(const char *text)
{
    AUTO(freep) char *s = quoted(text);
    json_t *j = NULL;
    struct err *e = json_parse(s, strlen(s), &j);
    if (e) {
        err_trace(e, stderr);
        err_free(e);
        abort();
    }
    return j;
}

static UNUSED void
send_piece(struct server *s, struct sim_http *x, size_t from, size_t to)
{
    const size_t n = MIN(strlen(s->body), s->drop_at);
    to = MIN(to, n);
    if (from >= to)
        return;
    sim_http_send(x, s->body + from, to - from);
    err_free(fiber_sleep(1));
}

static UNUSED void
serve(void *ctx, struct sim_http *x)
{
    struct server *s = ctx;
    const struct http_req *req = sim_http_req(x);
    struct http_header headers[5] = {{"Content-Type", s->f->type}};
    size_t n = 1;
    s->requests++;
    str_reset(&s->url);
    str_add(&s->url, req->url);
    str_reset(&s->sent);
    str_addn(&s->sent, req->body, req->body_len);
    str_reset(&s->headers);
    for (size_t i = 0; i < req->nheaders; i++)
        str_addf(&s->headers, "%s: %s\n", req->headers[i].name, req->headers[i].value);
    if (!headers[0].value)
        headers[0].value =
            strstr(s->f->profile, "'stream':true") ? "text/event-stream" : "application/json";
    for (size_t i = 0; i < COUNT(s->f->header) && s->f->header[i].name; i++)
        headers[n++] = s->f->header[i];
    sim_http_begin(x, s->f->status ? s->f->status : 200, headers, n);
    if (s->each) {
        for (size_t at = 0; at < strlen(s->body); at += s->each)
            send_piece(s, x, at, at + s->each);
    } else {
        send_piece(s, x, 0, s->cut);
        send_piece(s, x, s->cut, s->cut_end);
        send_piece(s, x, s->cut_end, SIZE_MAX);
    }
    if (s->drop_at < strlen(s->body))
        sim_http_drop(x);
}

static UNUSED void
server_init(struct server *s, const struct fixture *f)
{
    *s = (struct server){.f = f, .body = quoted(f->body ? f->body : ""), .drop_at = SIZE_MAX};
}

static UNUSED void
server_fini(struct server *s)
{
    free(s->body);
    str_fini(&s->url);
    str_fini(&s->sent);
    str_fini(&s->headers);
}

static UNUSED void
hear(void *ctx, const char *text, size_t n)
{
    str_addn(ctx, text, n);
}

/* "kind: text" and "retry=ms", or
 * "finish [parts] in/out cached=.. write=.. think=.. usd=.. (model id)"; zeros are left out. */
static UNUSED void
outcome_of(struct str *to, const struct err *e, const struct llm_reply *r)
{
    if (e) {
        AUTO(freep) char *text = err_text(e);
        str_addf(to, "%s: %s", err_kind_name(err_kind(e)), text);
        if (err_retry_after_ms(e) >= 0)
            str_addf(to, " retry=%d", (int)err_retry_after_ms(e));
        return;
    }
    AUTO(freep) char *parts = json_text(r->content);
    const struct llm_usage *u = &r->usage;
    str_addf(to, "%s %s %d/%d", llm_finish_name(r->finish), parts, (int)u->input_tokens,
             (int)u->output_tokens);
    if (u->cached_tokens)
        str_addf(to, " cached=%d", (int)u->cached_tokens);
    if (u->cache_write_tokens)
        str_addf(to, " write=%d", (int)u->cache_write_tokens);
    if (u->reasoning_tokens)
        str_addf(to, " think=%d", (int)u->reasoning_tokens);
    if (u->cost_known)
        str_addf(to, " usd=%.6f", u->cost_usd);
    str_addf(to, " (%s %s)", r->model ? r->model : "-", r->id ? r->id : "-");
}

static UNUSED void
ask_now(struct ask *a)
{
    AUTO(json_freep) json_t *def = json_of(a->f->profile);
    AUTO(json_freep) json_t *request = json_of(a->f->request);
    struct llm_profile p = {0};
    struct llm_reply reply = {0};
    struct llm *llm = a->llm;
    str_reset(&a->outcome);
    str_reset(&a->heard);
    if (a->server)
        sim_on_http(serve, a->server);
    struct llm_request req = {
        .messages = json_object_get(request, "messages"),
        .tools = json_object_get(request, "tools"),
        .tool_choice = json_str(request, "tool_choice", NULL),
        .output_schema = json_object_get(request, "output_schema"),
        .attempt = a->attempt,
        .key = a->key,
        .on_text = hear,
        .ctx = &a->heard,
    };
    struct err *e = llm ? NULL : llm_new(NULL, &llm);
    if (!e)
        e = llm_profile_read("fast", def, &p);
    if (!e)
        e = llm_call(llm, &p, &req, a->deadline_ms ? a->deadline_ms : rt_after(60000), &reply);
    outcome_of(&a->outcome, e, &reply);
    if (!e && strcmp(str_c(&a->heard), reply.text) != 0)
        str_addf(&a->outcome, " BUT on_text heard '%s'", str_c(&a->heard));
    if (!e)
        llm_reply_fini(&reply);
    err_free(e);
    if (!a->llm)
        llm_free(llm);
}

static UNUSED void
ask_fiber(void *arg)
{
    ask_now(arg);
}

static UNUSED void
ask_fini(struct ask *a)
{
    str_fini(&a->outcome);
    str_fini(&a->heard);
}

static UNUSED void
in_sim(void (*fn)(void *), void *arg)
{
    struct rt *rt;
    assert_ok(rt_open(&(struct rt_opts){.simulated = true, .seed = 1}, &rt));
    rt_run(rt, fn, arg);
    rt_close(rt);
}

static UNUSED void
expect(const char *name, const char *what, const char *got_plain, const char *want_single)
{
    AUTO(freep) char *want = quoted(want_single), *got = quoted(got_plain);
    if (strcmp(got, want) != 0)
        fail_msg("%s: %s\n got  %s\n want %s", name, what, got, want);
}

static UNUSED void
check_fixture(const struct fixture *f)
{
    struct server s;
    server_init(&s, f);
    struct ask a = {.server = &s, .f = f};
    in_sim(ask_fiber, &a);
    if (f->want)
        expect(f->name, "outcome", str_c(&a.outcome), f->want);
    if (f->sent)
        expect(f->name, "request", str_c(&s.sent), f->sent);
    ask_fini(&a);
    server_fini(&s);
}

#define check_fixtures(table)                                                                      \
    do {                                                                                           \
        for (size_t i_ = 0; i_ < COUNT(table); i_++)                                               \
            check_fixture(&(table)[i_]);                                                           \
    } while (0)

/* The same answer however its bytes are cut: one by one, at every place, and at pairs of places. */
struct cuts {
    const struct fixture *f;
    struct server *s;
    struct str wrong;
};

static UNUSED void
try_cut(struct cuts *c, size_t cut, size_t cut_end, size_t each)
{
    struct ask a = {.server = c->s, .f = c->f};
    AUTO(freep) char *want = quoted(c->f->want);
    c->s->cut = cut;
    c->s->cut_end = cut_end;
    c->s->each = each;
    ask_now(&a);
    if (strcmp(str_c(&a.outcome), want) != 0 && !c->wrong.len)
        str_addf(&c->wrong, "cut at %zu, %zu, each %zu: %s", cut, cut_end, each, str_c(&a.outcome));
    ask_fini(&a);
}

static UNUSED void
cuts_fiber(void *arg)
{
    struct cuts *c = arg;
    const size_t n = strlen(c->s->body);
    for (size_t each = 1; each < 8; each++)
        try_cut(c, 0, 0, each);
    for (size_t cut = 0; cut <= n; cut++)
        try_cut(c, cut, MIN(cut + 1 + cut % 7, n), 0);
}

static UNUSED void
check_cuts(const struct fixture *f)
{
    struct server s;
    server_init(&s, f);
    struct cuts c = {.f = f, .s = &s};
    in_sim(cuts_fiber, &c);
    if (c.wrong.len)
        fail_msg("%s: %s", f->name, str_c(&c.wrong));
    str_fini(&c.wrong);
    server_fini(&s);
}

/* Broken at every byte: never a success, never anything but a transient error. `until`: bytes up to
 * the end mark, behind which the connection may break unnoticed; 0: all. */
static UNUSED void
drops_fiber(void *arg)
{
    struct cuts *c = arg;
    for (size_t at = 0; at < c->s->cut_end; at++) {
        struct ask a = {.server = c->s, .f = c->f};
        c->s->each = 0;
        c->s->cut = 0;
        c->s->drop_at = at;
        ask_now(&a);
        if (!str_starts(str_c(&a.outcome), "transient: ") && !c->wrong.len)
            str_addf(&c->wrong, "dropped at %zu: %s", at, str_c(&a.outcome));
        ask_fini(&a);
    }
}

static UNUSED void
check_drops(const struct fixture *f, size_t until)
{
    struct server s;
    server_init(&s, f);
    s.cut_end = until ? until : strlen(s.body);
    struct cuts c = {.f = f, .s = &s};
    in_sim(drops_fiber, &c);
    if (c.wrong.len)
        fail_msg("%s: %s", f->name, str_c(&c.wrong));
    str_fini(&c.wrong);
    server_fini(&s);
}

#endif
