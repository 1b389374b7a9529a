/* httpcall.c - the front of HTTP: hands a request to whatever world is installed. */
#include "base/json.h"
#include "base/units.h"
#include "rt/core.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_AFTER_MAX_MS ((int64_t)7 * 86400 * 1000)

void
http_install(const struct http_ops *ops, void *ctx)
{
    rt_now->http_ops = ops;
    rt_now->http_ctx = ctx;
}

struct err *
http_open(const struct http_req *req, int64_t deadline_ms, struct http **ret_http)
{
    PASS(fiber_check());
    assert(rt_now->http_ops); /* net_client_install or sim_on_http comes first */
    return rt_now->http_ops->open(rt_now->http_ctx, req, deadline_ms, ret_http);
}

int
http_status(const struct http *h)
{
    return h->ops->status(h);
}

const char *
http_header(const struct http *h, const char *name)
{
    return h->ops->header(h, name);
}

struct err *
http_read(struct http *h, int64_t deadline_ms, struct str *to, bool *ret_end)
{
    return h->ops->read(h, deadline_ms, to, ret_end);
}

void
http_close(struct http *h)
{
    if (h)
        h->ops->close(h);
}

void
http_closep(struct http **h)
{
    http_close(*h);
    *h = NULL;
}

int64_t
http_retry_after_ms(const struct http *h)
{
    const char *v = http_header(h, "retry-after");
    int64_t ms, at;
    if (!v)
        return -1;
    if (duration_parse(v, &ms)) /* delay-seconds; decimals are tolerated */
        return MIN(ms, RETRY_AFTER_MAX_MS);
    if (time_parse_http(v, &at))
        return MIN(MAX(at - rt_wall_ms(), 0), RETRY_AFTER_MAX_MS);
    return -1;
}

struct err *
http_fetch(const struct http_req *req, int64_t deadline_ms, struct http_reply *ret_reply)
{
    AUTO(http_closep) struct http *h = NULL;
    AUTO(str_fini) struct str body = STR_INIT;
    bool end = false;
    PASS(http_open(req, deadline_ms, &h));
    while (!end)
        PASS(http_read(h, deadline_ms, &body, &end));
    const char *type = http_header(h, "content-type");
    *ret_reply = (struct http_reply){.status = http_status(h),
                                     .body = body,
                                     .content_type = type ? xstrdup(type) : NULL,
                                     .retry_after_ms = http_retry_after_ms(h)};
    body = STR_INIT; /* moved */
    return NULL;
}

void
http_reply_fini(struct http_reply *r)
{
    str_fini(&r->body);
    free(r->content_type);
    *r = (struct http_reply){0};
}
