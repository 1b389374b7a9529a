/* agentlib.c - resolved definitions, headers, replies. */
#include "agents/agentlib.h"
#include "base/hash.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool
needs_expand(const json_t *v)
{
    const char *key;
    json_t *m;
    size_t i;
    if (json_is_string(v))
        return strstr(json_string_value(v), "$") != NULL;
    json_object_foreach ((json_t *)(uintptr_t)v, key, m) {
        if (needs_expand(m))
            return true;
    }
    json_array_foreach (v, i, m) {
        if (needs_expand(m))
            return true;
    }
    return false;
}

struct err *
def_expand(struct host *h, const json_t *def, json_t **ret_def)
{
    const char *key;
    json_t *m;
    size_t i;
    if (!def || !needs_expand(def)) {
        *ret_def = def ? json_incref((json_t *)(uintptr_t)def) : json_object();
        return NULL;
    }
    if (json_is_string(def)) {
        AUTO(freep) char *text = NULL;
        PASS(h->ops->expand(h, json_string_value(def), &text));
        *ret_def = json_string_lossy(text, strlen(text));
        return NULL;
    }
    AUTO(json_freep) json_t *made = json_is_array(def) ? json_array() : json_object();
    json_object_foreach ((json_t *)(uintptr_t)def, key, m) {
        json_t *x = NULL;
        TRY(def_expand(h, m, &x), "'%s'", key);
        json_object_set_new(made, key, x);
    }
    json_array_foreach (def, i, m) {
        json_t *x = NULL;
        PASS(def_expand(h, m, &x));
        json_array_append_new(made, x);
    }
    *ret_def = STEAL(made);
    return NULL;
}

void
headers_add(struct headers *h, const char *name, const char *value)
{
    h->at = xrealloc(h->at, (h->n + 1) * sizeof *h->at);
    h->at[h->n++] = (struct http_header){xstrdup(name), xstrdup(value)};
}

void
headers_fini(struct headers *h)
{
    for (size_t i = 0; i < h->n; i++) {
        free((char *)(uintptr_t)h->at[i].name);
        free((char *)(uintptr_t)h->at[i].value);
    }
    free(h->at);
    *h = (struct headers){0};
}

const struct param authentication_params[] = {
    {"type", P_ENUM, 0, "how", .choices = NAMES("bearer", "api_key", "basic", "oauth2")},
    {"token", P_STRING, PARAM_SECRET, "of bearer"},
    {"key", P_STRING, PARAM_SECRET, "of api_key"},
    {"header", P_STRING, 0, "of api_key"},
    {"username", P_STRING, 0, "of basic"},
    {"password", P_STRING, PARAM_SECRET, "of basic"},
    {0}};

static struct err *
authentication(const json_t *auth, struct headers *h)
{
    const char *type = json_str(auth, "type", "bearer");
    if (strcmp(type, "bearer") == 0) {
        const char *token = json_str(auth, "token", NULL);
        if (!token)
            return FAIL(ERR_INVALID, "authentication: bearer needs a token");
        AUTO(freep) char *value = xasprintf("Bearer %s", token);
        headers_add(h, "Authorization", value);
    } else if (strcmp(type, "api_key") == 0) {
        const char *key = json_str(auth, "key", json_str(auth, "token", NULL));
        if (!key)
            return FAIL(ERR_INVALID, "authentication: api_key needs a key");
        headers_add(h, json_str(auth, "header", "X-API-Key"), key);
    } else if (strcmp(type, "basic") == 0) {
        AUTO(freep)
        char *pair =
            xasprintf("%s:%s", json_str(auth, "username", ""), json_str(auth, "password", ""));
        AUTO(freep) char *coded = base64_encode(pair, strlen(pair));
        AUTO(freep) char *value = xasprintf("Basic %s", coded);
        headers_add(h, "Authorization", value);
    } else {
        return FAIL(ERR_INVALID, "authentication of type '%s' cannot be used in this version",
                    type);
    }
    return NULL;
}

struct err *
headers_of(const json_t *def, struct headers *h)
{
    const char *key;
    json_t *value;
    const json_t *auth = json_object_get(def, "authentication");
    if (json_is_object(auth))
        PASS(authentication(auth, h));
    json_object_foreach (json_object_get(def, "headers"), key, value) {
        AUTO(freep) char *text = json_as_text(value);
        headers_add(h, key, text);
    }
    const char *agent = json_str(json_object_get(def, "custom_params"), "user_agent", NULL);
    if (agent)
        headers_add(h, "User-Agent", agent);
    return NULL;
}

static enum err_kind
status_kind(int status)
{
    switch (status) {
    case 401:
    case 403:
        return ERR_DENIED;
    case 404:
    case 410:
        return ERR_MISSING;
    case 429:
        return ERR_LIMIT;
    case 408:
    case 425:
        return ERR_TRANSIENT;
    default:
        return status >= 500 ? ERR_TRANSIENT : ERR_INVALID;
    }
}

struct err *
http_status_err(const char *who, const struct http_reply *reply)
{
    if (reply->status >= 200 && reply->status < 300)
        return NULL;
    AUTO(str_fini) struct str quoted = STR_INIT;
    str_add_utf8(&quoted, str_c(&reply->body),
                 utf8_floor(str_c(&reply->body), MIN(reply->body.len, 500)));
    struct err *e = FAIL(status_kind(reply->status), "%s answered %d%s%s", who, reply->status,
                         quoted.len ? ": " : "", str_c(&quoted));
    /* 503 and 429 say that nothing was done; other 5xx do not. */
    if (reply->status >= 500 && reply->status != 503)
        err_set_in_doubt(e);
    return err_set_answered(err_set_retry_after(e, reply->retry_after_ms));
}

void
reply_from_value(struct reply *r, json_t *value)
{
    const char *text = json_str(value, "text", NULL);
    reply_set_json(r, value);
    if (!text)
        return;
    free(r->text);
    r->text = xstrdup(text);
}

void
reply_from_text(struct reply *r, const char *text, size_t n)
{
    json_t *value = NULL;
    size_t skip = 0;
    while (skip < n && isspace((unsigned char)text[skip]))
        skip++;
    if (skip < n && (text[skip] == '{' || text[skip] == '[')) {
        struct err *e = json_parse(text, n, &value);
        if (!e) {
            reply_from_value(r, value);
            return;
        }
        err_drop(e); /* then it is text */
    }
    while (n && (text[n - 1] == '\n' || text[n - 1] == '\r'))
        n--;
    reply_set_text(r, text, n);
}

enum effect
effect_of(const struct task *t, enum effect otherwise)
{
    return t->effect >= 0 ? (enum effect)t->effect : otherwise;
}

/* Lengths go in front, so that no two lists of texts look alike. */
void
same_of(char ret_same[SHA256_HEX], const char *const *texts, size_t n)
{
    AUTO(str_fini) struct str all = STR_INIT;
    for (size_t i = 0; i < n; i++) {
        if (texts[i])
            str_addf(&all, "%zu:%s", strlen(texts[i]), texts[i]);
        else
            str_addc(&all, '-');
    }
    sha256_hex(str_c(&all), all.len, ret_same);
}
