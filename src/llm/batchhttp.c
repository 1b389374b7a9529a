/* batchhttp.c - exchanges about batches, with the headers that a call of the profile would have. */
#include "base/log.h"
#include "llm/batchwire.h"
#include "rt/rt.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ANSWER_MAX ((size_t)4 << 20)
#define WHOLE_MAX  ((size_t)64 << 20) /* of an answer that has the results in it */
#define NAME_MAX_  128
#define BEHIND_MS  3000 /* for a submission that was cut off here to be carried out there */

void
batch_base(const struct batch_peer *p, const char *path, struct str *url)
{
    size_t n = strlen(p->base_url);
    while (n && p->base_url[n - 1] == '/')
        n--;
    str_addn(url, p->base_url, n);
    str_add(url, path);
}

struct err *
batch_name_check(const struct batch_peer *p, const char *name)
{
    size_t n = name ? strlen(name) : 0;
    bool plain = n > 0 && n <= NAME_MAX_;
    for (size_t i = 0; plain && i < n; i++)
        plain = isalnum((unsigned char)name[i]) || name[i] == '-' || name[i] == '_';
    if (plain)
        return NULL;
    return FAIL(ERR_TRANSIENT, "%s sent a garbled answer: it names no batch", p->profile->provider);
}

struct err *
batch_name_take(const struct batch_peer *p, const char *id, char **ret_batch)
{
    struct err *e = batch_name_check(p, id);
    if (e)
        return err_set_in_doubt(e);
    *ret_batch = xstrdup(id);
    return NULL;
}

/* Credentials and the user's own headers stand in each request of the provider: one is built for
 * their sake, and the headers that speak of its body are left out. */
static struct err *
headers_make(const struct batch_peer *p, struct wire *w)
{
    AUTO(json_freep) json_t *messages = json_array();
    struct llm_request req = {.messages = messages};
    struct llm_call c = {.profile = p->profile, .req = &req, .base_url = p->base_url};
    json_array_append_new(messages, message_text("user", "-"));
    toolnames_init(&c.names, NULL);
    struct err *e = wire_user_headers(w, p->profile);
    if (!e)
        e = p->provider->build(&c, w);
    toolnames_fini(&c.names);
    size_t kept = 0;
    for (size_t i = 0; i < w->nheaders; i++) {
        if (strcasecmp(w->headers[i].name, "content-type") != 0)
            w->headers[kept++] = w->headers[i];
    }
    w->nheaders = kept;
    return e;
}

static struct err *
refused(const struct batch_peer *p, struct http *h, int64_t deadline_ms)
{
    struct refusal f = {.status = http_status(h), .retry_after_ms = refusal_retry_after(h)};
    AUTO(str_fini) struct str body = STR_INIT;
    AUTO(json_freep) json_t *json = NULL;
    bool end = false;
    struct err *e = NULL;
    while (!e && !end && body.len < REFUSAL_BODY_MAX)
        e = http_read(h, deadline_ms, &body, &end);
    if (e && err_kind(e) == ERR_CANCELLED)
        return e;
    err_drop(e); /* the status alone says enough */
    e = wire_parse(str_c(&body), body.len, &json);
    if (e)
        err_drop(e);
    else
        p->provider->fault(json, &f);
    return refusal_err(&f, p->profile, llm_key_env(p->profile->provider));
}

struct err *
batch_open(const struct batch_peer *p, const struct batch_post *post, int64_t deadline_ms,
           struct http **ret_http)
{
    AUTO(wire_fini) struct wire w = {0};
    struct http *h = NULL;
    PASS(headers_make(p, &w));
    if (post->type)
        wire_header(&w, "Content-Type", post->type);
    const struct http_req req = {.method = post->method,
                                 .url = post->url,
                                 .headers = w.headers,
                                 .nheaders = w.nheaders,
                                 .body = post->body ? str_c(post->body) : NULL,
                                 .body_len = post->body ? post->body->len : 0,
                                 .reply_max = BATCH_RESULTS_MAX};
    struct batch_door *door;
    PASS(door_enter(p, deadline_ms, &door));
    log_debug("llm", "%s %s", post->method, post->url);
    struct err *e = http_open(&req, deadline_ms, &h);
    if (e) {
        e = WRAP(e, "calling %s", p->profile->provider);
    } else if (http_status(h) < 200 || http_status(h) > 299) {
        e = refused(p, h, deadline_ms);
        http_close(h);
    }
    door_leave(door, e);
    PASS(e);
    *ret_http = h;
    return NULL;
}

struct err *
batch_ask(const struct batch_peer *p, const struct batch_post *post, int64_t deadline_ms,
          json_t **ret_body)
{
    AUTO(http_closep) struct http *h = NULL;
    AUTO(str_fini) struct str text = STR_INIT;
    json_t *body = NULL;
    bool end = false;
    PASS(batch_open(p, post, deadline_ms, &h));
    const size_t most = p->provider->batch->results ? WHOLE_MAX : ANSWER_MAX;
    while (!end && text.len < most)
        TRY(http_read(h, deadline_ms, &text, &end), "reading the answer of %s",
            p->profile->provider);
    struct err *e = wire_parse(str_c(&text), text.len, &body);
    if (!e && json_is_object(body)) {
        *ret_body = body;
        return NULL;
    }
    err_drop(e);
    json_decref(body);
    return err_set_in_doubt(FAIL(ERR_TRANSIENT, "%s sent a garbled answer", p->profile->provider));
}

char *
batch_words(const struct batch_peer *p, const char *text)
{
    struct str words = STR_INIT;
    refusal_quote(&words, text, strlen(text), REFUSAL_QUOTE_MAX, p->profile->api_key);
    return str_steal(&words);
}

struct err *
batch_certain(struct err *e)
{
    if (!e || !err_in_doubt(e))
        return e;
    AUTO(freep) char *text = err_text(e);
    struct err *plain = FAIL(err_kind(e), "%s", text);
    if (err_retry_after_ms(e) >= 0)
        plain = err_set_retry_after(plain, err_retry_after_ms(e));
    err_free(e);
    return plain;
}

struct err *
batch_recover(const struct batch_peer *p, const struct batch_lost *lost, struct err *e,
              int64_t deadline_ms, char **ret_batch)
{
    char *found = NULL;
    struct err *away = lost->find(p, lost->mark, deadline_ms, &found);
    if (!away && !found)
        away = fiber_sleep(BEHIND_MS);
    if (!away && !found)
        away = lost->find(p, lost->mark, deadline_ms, &found);
    if (away) {
        err_free(away);
        return e;
    }
    if (!found)
        return batch_certain(e);
    err_free(e);
    *ret_batch = found;
    return NULL;
}
