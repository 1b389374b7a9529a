/* httpagent.c - an agent that is an HTTP API. */
#include "agents/agentlib.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct call {
    const char *name;
    char method[16];
    struct str url;
    struct headers headers;
    char *body;
};

static void
call_fini(struct call *c)
{
    str_fini(&c->url);
    headers_fini(&c->headers);
    free(c->body);
}

/* RFC 3986: everything but the unreserved characters is escaped. */
static void
url_escape(struct str *to, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (isalnum(*p) || strchr("-._~", *p))
            str_addc(to, (char)*p);
        else
            str_addf(to, "%%%02X", *p);
    }
}

static void
query_add(struct str *url, const json_t *query)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)query, key, value) {
        AUTO(freep) char *text = json_as_text(value);
        str_addc(url, strchr(str_c(url), '?') ? '&' : '?');
        url_escape(url, key);
        str_addc(url, '=');
        url_escape(url, text);
    }
}

/* "POST /orders", "GET", "/orders", "fetch" or another word: a method, a path, or neither. */
static struct err *
action_apply(struct call *c, const char *action, const json_t *def)
{
    const char *endpoint = json_str(def, "endpoint", NULL), *path = NULL;
    if (!endpoint)
        return FAIL(ERR_INVALID, "an http agent needs an endpoint");
    snprintf(c->method, sizeof c->method, "%s", json_str(def, "method", ""));
    if (action && *action) {
        size_t n = strspn(action, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
        if (n && n < sizeof c->method && (!action[n] || action[n] == ' ')) {
            snprintf(c->method, sizeof c->method, "%.*s", (int)n, action);
            path = action[n] ? action + n + 1 : NULL;
        } else if (action[0] == '/') {
            path = action;
        } else if (strcmp(action, "fetch") == 0) {
            snprintf(c->method, sizeof c->method, "GET");
        }
    }
    str_add(&c->url, endpoint);
    if (path && *path) {
        while (c->url.len && c->url.p[c->url.len - 1] == '/')
            c->url.p[--c->url.len] = '\0';
        str_addf(&c->url, "%s%s", path[0] == '/' ? "" : "/", path);
    }
    return NULL;
}

static struct err *
call_make(struct host *h, const struct task *t, const json_t *def, struct call *c)
{
    const json_t *params = t->params, *body = json_object_get(params, "body");
    const json_t *query = json_object_get(params, "query"),
                 *extra = json_object_get(params, "headers");
    bool shaped = body || query || extra;
    const char *key;
    json_t *value;
    (void)h;
    c->name = t->name;
    PASS(action_apply(c, t->action, def));
    if (!*c->method)
        snprintf(c->method, sizeof c->method, "%s", body || (params && !shaped) ? "POST" : "GET");
    bool bodyless = strcmp(c->method, "GET") == 0 || strcmp(c->method, "HEAD") == 0;
    if (!shaped && params) {
        if (bodyless)
            query = params;
        else
            body = params;
    }
    query_add(&c->url, query);
    PASS(headers_of(def, &c->headers));
    json_object_foreach ((json_t *)(uintptr_t)extra, key, value) {
        AUTO(freep) char *text = json_as_text(value);
        headers_add(&c->headers, key, text);
    }
    if (body && !bodyless) {
        c->body = json_is_string(body) ? xstrdup(json_string_value(body)) : json_text(body);
        if (!json_is_string(body))
            headers_add(&c->headers, "Content-Type", "application/json");
    }
    return NULL;
}

static enum effect
method_effect(const char *method)
{
    static const struct {
        const char *method;
        enum effect effect;
    } known[] = {{"GET", EFFECT_PURE},          {"HEAD", EFFECT_PURE},
                 {"OPTIONS", EFFECT_PURE},      {"PUT", EFFECT_IDEMPOTENT},
                 {"DELETE", EFFECT_IDEMPOTENT}, {"POST", EFFECT_ONCE},
                 {"PATCH", EFFECT_ONCE}};
    for (size_t i = 0; i < COUNT(known); i++) {
        if (strcmp(known[i].method, method) == 0)
            return known[i].effect;
    }
    return EFFECT_ONCE;
}

/* A body that cannot be read does not undo what was asked for. */
static struct err *
reply_take(const struct call *c, const struct http_reply *reply, json_t **ret_value)
{
    json_t *parsed = NULL;
    AUTO(freep) char *who = xasprintf("%s %s", c->method, str_c(&c->url));
    PASS(http_status_err(who, reply));
    struct err *e = NULL;
    if (reply->content_type && strstr(reply->content_type, "json") && reply->body.len)
        e = json_parse(str_c(&reply->body), reply->body.len, &parsed);
    if (e && method_effect(c->method) != EFFECT_PURE)
        err_set_in_doubt(e);
    if (e)
        return WRAP(e, "%s", who);
    *ret_value =
        json_pack("{si so}", "status", reply->status, "body",
                  parsed ? parsed : json_string_lossy(str_c(&reply->body), reply->body.len));
    return NULL;
}

/* Two of them are none: a caller's own one is the one. */
static bool
has_key(const struct headers *h)
{
    for (size_t i = 0; i < h->n; i++) {
        if (strcasecmp(h->at[i].name, "Idempotency-Key") == 0)
            return true;
    }
    return false;
}

static struct err *
http_step(void *ctx, const struct step_call *step, json_t **ret_value, struct usage *usage)
{
    struct call *c = ctx;
    struct http_reply reply;
    struct headers headers = {0};
    for (size_t i = 0; i < c->headers.n; i++)
        headers_add(&headers, c->headers.at[i].name, c->headers.at[i].value);
    if (strcmp(c->method, "GET") != 0 && strcmp(c->method, "HEAD") != 0 && !has_key(&headers))
        headers_add(&headers, "Idempotency-Key", step->key);
    struct http_req req = {.method = c->method,
                           .url = str_c(&c->url),
                           .headers = headers.at,
                           .nheaders = headers.n,
                           .body = c->body,
                           .body_len = c->body ? strlen(c->body) : 0};
    usage->tool_calls++;
    struct err *e = http_fetch(&req, step->deadline_ms, &reply);
    headers_fini(&headers);
    if (e)
        return WRAP(e, "%s %s", c->method, str_c(&c->url));
    e = reply_take(c, &reply, ret_value);
    http_reply_fini(&reply);
    return e;
}

static void
call_same(const struct call *c, char ret_same[SHA256_HEX])
{
    const size_t n = c->headers.n, total = 2 * n + 3;
    const char **texts = xcalloc(total, sizeof *texts);
    texts[0] = c->method;
    texts[1] = str_c(&c->url);
    texts[2] = c->body;
    for (size_t i = 0; i < n; i++) {
        texts[3 + 2 * i] = c->headers.at[i].name;
        texts[4 + 2 * i] = c->headers.at[i].value;
    }
    same_of(ret_same, texts, total);
    free(texts);
}

static struct err *
http_run(struct host *h, const struct task *t, struct reply *ret_reply)
{
    AUTO(call_fini) struct call c = {0};
    AUTO(json_freep) json_t *def = NULL, *value = NULL;
    PASS(def_expand(h, t->def, &def));
    PASS(call_make(h, t, def, &c));
    AUTO(freep) char *target = xasprintf("http:%s", t->name);
    struct step s = {.name = "request",
                     .type = "http",
                     .target = target,
                     .address = json_str(def, "endpoint", NULL),
                     .effect = effect_of(t, method_effect(c.method)),
                     .run = http_step,
                     .ctx = &c};
    char same[SHA256_HEX];
    if (s.effect == EFFECT_PURE) {
        call_same(&c, same);
        s.same = same;
    }
    PASS(h->ops->step(h, &s, &value));
    json_t *body = json_object_get(value, "body");
    reply_from_value(ret_reply,
                     body ? json_incref(body) : json_null()); /* null: given up as done */
    return NULL;
}

const struct kind http_kind = {
    .name = "http",
    .also = NAMES("http_api"),
    .doc = "an HTTP API; the action is \"METHOD /path\"",
    .roles = ROLE_AGENT,
    .effect = EFFECT_ONCE,
    .params =
        FIELDS({"endpoint", P_STRING, PARAM_REQUIRED | PARAM_NONEMPTY, "the URL",
                .also = NAMES("url", "base_url")},
               {"method", P_ENUM, 0, "when the action does not say",
                .choices = NAMES("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")},
               {"headers", P_MAP, 0, "sent with each request", .fields = ITEM("header", P_STRING)},
               {"authentication", P_OBJECT, 0, "who is asking", .fields = authentication_params}),
    .run = http_run,
};
