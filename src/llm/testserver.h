/* testserver.h - the scripted server of the tests of this folder.
 *
 * A fixture says what is asked, what the server answers in its very bytes, and what has to come
 * out, as one line. Single quotes stand for double ones in every text, so that JSON reads as JSON.
 * The answer is cut wherever the test wants, each piece arriving at a time of its own. */
#ifndef LLM_TESTSERVER_H
#define LLM_TESTSERVER_H
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

#endif
