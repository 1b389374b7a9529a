/* exchange.c - one request, its handler's fiber and its reply. */
#include "base/json.h"
#include "net/servercore.h"
#include "net/url.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define WRITE_PIECE ((size_t)64 * 1024) /* a long write waits for room piece by piece */

/* ---- life ------------------------------------------------------------------ */

/* The target without scheme and host, when a proxy's form of request was sent (RFC 9112 3.2.2). */
static const char *
target_path(const char *target)
{
    const char *p = strstr(target, "://");
    if (target[0] == '/' || !p)
        return target;
    p += 3 + strcspn(p + 3, "/?");
    return *p ? p : "/";
}

struct request *
request_new(struct peer *p, struct MHD_Connection *con, const char *target)
{
    struct request *r = xcalloc(1, sizeof *r);
    assert(!p->request);
    target = target_path(target);
    size_t n = strcspn(target, "?");
    r->server = p->server;
    r->peer = p;
    r->con = con;
    r->refs = 1;
    r->arena = arena_new(0);
    r->path = arena_strndup(r->arena, target, n);
    r->query = target[n] ? arena_strdup(r->arena, target + n + 1) : NULL;
    p->request = r;
    r->server->requests++;
    return r;
}

void
request_unref(void *request)
{
    struct request *r = request;
    assert(r->refs > 0);
    if (--r->refs)
        return;
    assert(!r->running && !r->peer);
    if (r->response)
        MHD_destroy_response(r->response);
    arena_free(r->arena);
    vec_fini(&r->headers);
    str_fini(&r->body);
    str_fini(&r->out);
    free(r);
}

void
request_cancel(struct request *r)
{
    r->gone = true;
    if (r->running)
        scope_cancel(&r->scope);
    waitq_wake_all(&r->drained);
}

void
request_leave(struct request *r)
{
    r->peer->request = NULL;
    if (r->peer->poll)
        poll_want(r->peer->poll, 0);
    r->peer = NULL;
    r->con = NULL;
    r->suspended = false;
    r->server->requests--;
    if (r->server->stopping)
        waitq_wake_all(&r->server->ended);
    request_cancel(r);
    if (r->response) /* not queued, nor ever will be: its reader holds this request */
        MHD_destroy_response(STEAL(r->response));
}

void
request_resume(struct request *r)
{
    if (!r->suspended)
        return;
    r->suspended = false;
    MHD_resume_connection(r->con);
    server_kick(r->server);
}

static void
request_suspend(struct request *r)
{
    assert(!r->suspended);
    r->suspended = true;
    MHD_suspend_connection(r->con);
}

/* ---- handling -------------------------------------------------------------- */

static void
request_handle(void *request)
{
    struct request *r = request;
    r->running = true;
    scope_open(&r->scope, DEADLINE_NONE);
    if (r->gone) /* left before we came to run */
        scope_cancel(&r->scope);
    r->server->opts.handler(r->server->opts.ctx, r);
    err_drop(scope_close(&r->scope)); /* cancelled: the client left, and knows */
    r->running = false;
    if (!r->replied && !r->gone) {
        static const char text[] = "{\"error\":{\"message\":\"the request was not answered\"}}";
        err_drop(reply_send(r, 500, "application/json", text, sizeof text - 1));
    }
    if (r->streaming && !r->ended)
        r->gone = true; /* the reader breaks the connection */
    request_resume(r);
    request_unref(r);
}

enum MHD_Result
request_dispatch(struct request *r)
{
    if (!r->started) {
        r->started = true;
        r->refs++;
        if (r->peer->poll)
            poll_want(r->peer->poll, POLL_HANGUP);
        scope_spawn(&r->server->scope, "request", request_handle, r);
    }
    if (r->response) {
        enum MHD_Result ok = MHD_queue_response(r->con, (unsigned)r->status, r->response);
        MHD_destroy_response(r->response); /* our reference; MHD has its own */
        r->response = NULL;
        r->queued = true;
        return ok;
    }
    if (r->gone)
        return MHD_NO;
    request_suspend(r);
    return MHD_YES;
}

enum MHD_Result
request_refuse(struct MHD_Connection *con, unsigned status, const char *why)
{
    AUTO(freep) char *body = xasprintf("{\"error\":{\"message\":\"%s\"}}", why);
    struct MHD_Response *m =
        MHD_create_response_from_buffer(strlen(body), body, MHD_RESPMEM_MUST_COPY);
    if (!m)
        return MHD_NO;
    MHD_add_response_header(m, "Content-Type", "application/json");
    enum MHD_Result ok = MHD_queue_response(con, status, m);
    MHD_destroy_response(m);
    return ok;
}

/* ---- what was asked -------------------------------------------------------- */

const char *
request_method(const struct request *r)
{
    return r->method;
}

const char *
request_path(const struct request *r)
{
    return r->path;
}

static bool
query_name_is(const char *p, size_t n, const char *name)
{
    AUTO(str_fini) struct str decoded = STR_INIT;
    return url_decode(&decoded, p, n, true) && strcmp(str_c(&decoded), name) == 0;
}

const char *
request_query(struct request *r, const char *name)
{
    for (const char *p = r->query; p && *p;) {
        size_t n = strcspn(p, "&"), name_len = MIN(strcspn(p, "="), n);
        if (query_name_is(p, name_len, name)) {
            AUTO(str_fini) struct str value = STR_INIT;
            size_t skip = MIN(name_len + 1, n);
            if (!url_decode(&value, p + skip, n - skip, true))
                return NULL; /* holds a NUL: nothing we would ask for */
            return arena_strdup(r->arena, str_c(&value));
        }
        p += n + (p[n] == '&');
    }
    return NULL;
}

const char *
request_header(const struct request *r, const char *name)
{
    for (size_t i = 0; i < r->headers.len; i++) {
        if (strcasecmp(r->headers.at[i].name, name) == 0)
            return r->headers.at[i].value;
    }
    return NULL;
}

const void *
request_body(const struct request *r, size_t *ret_len)
{
    *ret_len = r->body.len;
    return str_c(&r->body);
}

bool
request_is_gone(const struct request *r)
{
    return r->gone;
}

/* ---- the answer ------------------------------------------------------------ */

static struct err *
reply_check(const struct request *r)
{
    if (r->gone)
        return FAIL(ERR_CANCELLED, "the client closed the connection");
    assert(!r->replied); /* one reply each */
    return NULL;
}

static struct err *
reply_add_header(struct MHD_Response *m, const char *name, const char *value)
{
    if (*value && MHD_add_response_header(m, name, value) != MHD_YES)
        return FAIL(ERR_INVALID, "the reply's header '%.60s' is not valid", name);
    return NULL;
}

static void
reply_ready(struct request *r, int status, struct MHD_Response *OWN m)
{
    r->response = m;
    r->status = status;
    r->replied = true;
    request_resume(r);
}

struct err *
reply_send(struct request *r, int status, const char *content_type, const void *body, size_t n)
{
    PASS(reply_check(r));
    /* The cast: MHD copies, its prototype just does not say const. */
    struct MHD_Response *m = MHD_create_response_from_buffer(n, (void *)(uintptr_t)(n ? body : ""),
                                                             MHD_RESPMEM_MUST_COPY);
    if (!m)
        return FAIL(ERR_LIMIT, "out of memory for a reply");
    struct err *e = content_type ? reply_add_header(m, "Content-Type", content_type) : NULL;
    if (e) {
        MHD_destroy_response(m);
        return e;
    }
    reply_ready(r, status, m);
    return NULL;
}

struct err *
reply_json(struct request *r, int status, const json_t *body)
{
    AUTO(str_fini) struct str text = STR_INIT;
    json_write(&text, body);
    return reply_send(r, status, "application/json", str_c(&text), text.len);
}

/* MHD asks for the next bytes of a stream. When there are none the connection is suspended: to
 * return 0 without that would make MHD ask again at once, for ever. */
static ssize_t
stream_read_block(void *request, uint64_t pos, char *to, size_t max)
{
    struct request *r = request;
    (void)pos;
    size_t n = MIN(max, r->out.len - r->out_at);
    if (n) {
        memcpy(to, r->out.p + r->out_at, n);
        r->out_at += n;
        if (r->out_at == r->out.len) {
            str_reset(&r->out);
            r->out_at = 0;
        }
        if (r->out.len - r->out_at <= REPLY_HIGH / 2)
            waitq_wake_all(&r->drained);
        return (ssize_t)n;
    }
    if (r->ended)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (r->gone)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    request_suspend(r);
    return 0;
}

struct err *
reply_begin(struct request *r, int status, const struct http_header *headers, size_t nheaders)
{
    PASS(reply_check(r));
    struct MHD_Response *m = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, REPLY_BLOCK,
                                                               stream_read_block, r, request_unref);
    if (!m)
        return FAIL(ERR_LIMIT, "out of memory for a reply");
    r->refs++; /* the reader's */
    struct err *e = NULL;
    for (size_t i = 0; i < nheaders && !e; i++)
        e = reply_add_header(m, headers[i].name, headers[i].value);
    if (e) {
        MHD_destroy_response(m);
        return e;
    }
    r->streaming = true;
    reply_ready(r, status, m);
    return NULL;
}

struct err *
reply_write(struct request *r, const void *bytes, size_t n, int64_t deadline_ms)
{
    const char *p = bytes;
    assert(r->streaming && !r->ended);
    bool is_head = strcmp(r->method, "HEAD") == 0; /* nobody will read it */
    while (n) {
        while (!r->gone && r->out.len - r->out_at > REPLY_HIGH)
            TRY(waitq_wait(&r->drained, deadline_ms), "waiting for the client to take the reply");
        if (r->gone)
            return FAIL(ERR_CANCELLED, "the client closed the connection");
        size_t piece = MIN(n, WRITE_PIECE);
        if (!is_head) {
            if (r->out_at > REPLY_HIGH) {
                str_cut(&r->out, r->out_at);
                r->out_at = 0;
            }
            str_addn(&r->out, p, piece);
            request_resume(r);
        }
        p += piece;
        n -= piece;
    }
    return NULL;
}

void
reply_end(struct request *r)
{
    assert(r->streaming && !r->ended);
    r->ended = true;
    request_resume(r);
}
