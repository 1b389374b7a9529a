/* llmwire.c - URLs, headers and JSON bodies of requests; reading JSON that is not quite JSON. */
#include "llm/llmwire.h"
#include "base/hash.h"
#include "base/log.h"
#include "llm/llm.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *const LLM_PARAMS[] = {
    "temperature",       "top_p",     "top_k", "max_tokens", "stop", "seed", "presence_penalty",
    "frequency_penalty", "reasoning", NULL};

void
wire_fini(struct wire *w)
{
    str_fini(&w->url);
    str_fini(&w->body);
    for (size_t i = 0; i < w->nheld; i++)
        free(w->held[i]);
    *w = (struct wire){0};
}

/* ---- headers and URL --------------------------------------------------------------------------*/

static bool
has_header(const struct wire *w, const char *name)
{
    for (size_t i = 0; i < w->nheaders; i++) {
        if (strcasecmp(w->headers[i].name, name) == 0)
            return true;
    }
    return false;
}

struct err *
wire_user_headers(struct wire *w, const struct llm_profile *p)
{
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)p->headers, name, value) {
        if (!json_is_string(value))
            return FAIL(ERR_INVALID, "header '%s' of profile '%s' is not a text", name,
                        p->name ? p->name : p->model);
        if (w->nheaders == WIRE_HEADERS_MAX - 8) /* room for our own */
            return FAIL(ERR_INVALID, "profile '%s' sets more than %d headers",
                        p->name ? p->name : p->model, WIRE_HEADERS_MAX - 8);
        w->headers[w->nheaders++] = (struct http_header){name, json_string_value(value)};
    }
    return NULL;
}

void
wire_header(struct wire *w, const char *name, const char *value)
{
    if (has_header(w, name))
        return;
    assert(w->nheaders < WIRE_HEADERS_MAX);
    w->headers[w->nheaders++] = (struct http_header){name, value};
}

void
wire_header_held(struct wire *w, const char *name, char *value)
{
    assert(w->nheld < COUNT(w->held));
    w->held[w->nheld++] = value;
    wire_header(w, name, value);
}

void
wire_url(struct wire *w, const struct llm_profile *p, const char *base, const char *path)
{
    if (p->url) {
        str_add(&w->url, p->url);
        return;
    }
    size_t n = strlen(base);
    while (n && base[n - 1] == '/')
        n--;
    str_addn(&w->url, base, n);
    if (!str_ends(str_c(&w->url), path))
        str_add(&w->url, path);
}

/* ---- JSON text --------------------------------------------------------------------------------*/

void
wire_string(struct str *to, const json_t *string)
{
    if (json_is_string(string))
        json_quote(to, json_string_value(string), json_string_length(string));
    else
        str_addn(to, "\"\"", 2);
}

/* ---- the body ---------------------------------------------------------------------------------*/

void
body_open(struct wire *w, const json_t *extra)
{
    w->extra = json_object_size(extra) ? extra : NULL;
    str_addc(&w->body, '{');
}

static void
write_key(struct wire *w, const char *key)
{
    if (w->body.p[w->body.len - 1] != '{')
        str_addc(&w->body, ',');
    json_quote(&w->body, key, strlen(key));
    str_addc(&w->body, ':');
}

bool
body_key(struct wire *w, const char *key)
{
    if (w->extra && json_object_get(w->extra, key))
        return false;
    write_key(w, key);
    return true;
}

void
body_text(struct wire *w, const char *key, const char *text)
{
    if (text && body_key(w, key))
        json_quote(&w->body, text, strlen(text));
}

void
body_json(struct wire *w, const char *key, const json_t *value)
{
    if (value && body_key(w, key))
        json_write(&w->body, value);
}

void
body_object(struct wire *w, const char *key, json_t *object)
{
    const json_t *more = w->extra ? json_object_get(w->extra, key) : NULL;
    if (!more) {
        write_key(w, key);
        json_write(&w->body, object);
    } else if (json_is_object(more) && w->nmerged < WIRE_MERGED_MAX) {
        json_object_update_recursive(object, (json_t *)(uintptr_t)more);
        write_key(w, key);
        json_write(&w->body, object);
        w->merged[w->nmerged++] = key;
    }
    json_decref(object);
}

static bool
is_merged(const struct wire *w, const char *key)
{
    for (size_t i = 0; i < w->nmerged; i++) {
        if (strcmp(w->merged[i], key) == 0)
            return true;
    }
    return false;
}

void
body_close(struct wire *w)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)w->extra, key, value) {
        if (is_merged(w, key) || json_is_null(value))
            continue;
        write_key(w, key);
        json_write(&w->body, value);
    }
    str_addc(&w->body, '}');
}

/* ---- parameters -------------------------------------------------------------------------------*/

const json_t *
param_get(const struct llm_profile *p, const char *name)
{
    const json_t *v = json_object_get(p->params, name);
    return json_is_null(v) ? NULL : v;
}

static const struct param_name *
param_find(const struct param_name *table, const char *name)
{
    for (; table->name; table++) {
        if (strcmp(table->name, name) == 0)
            return table;
    }
    return NULL;
}

/* The next parameter that is set and goes out under a name of its own. */
static const struct param_name *
param_next(const struct llm_profile *p, const struct param_name *table, size_t *i,
           const json_t **ret_value)
{
    while (LLM_PARAMS[*i]) {
        const char *name = LLM_PARAMS[(*i)++];
        const json_t *value = param_get(p, name);
        if (!value)
            continue;
        const struct param_name *known = param_find(table, name);
        if (!known)
            log_debug("llm", "%s does not know '%s': left out", p->provider, name);
        if (!known || !known->wire)
            continue;
        *ret_value = value;
        return known;
    }
    return NULL;
}

void
body_params(struct wire *w, const struct llm_profile *p, const struct param_name *table)
{
    const struct param_name *known;
    const json_t *value = NULL;
    if (!json_object_size(p->params))
        return;
    for (size_t i = 0; (known = param_next(p, table, &i, &value));)
        body_json(w, known->wire, value);
}

void
params_collect(json_t *to, const struct llm_profile *p, const struct param_name *table)
{
    const struct param_name *known;
    const json_t *value = NULL;
    for (size_t i = 0; (known = param_next(p, table, &i, &value));)
        json_object_set(to, known->wire, (json_t *)(uintptr_t)value);
}

json_t *
params_stop(const struct llm_profile *p)
{
    const json_t *stop = param_get(p, "stop");
    if (json_is_array(stop))
        return json_incref((json_t *)(uintptr_t)stop);
    if (!json_is_string(stop))
        return NULL;
    json_t *list = json_array();
    json_array_append(list, (json_t *)(uintptr_t)stop);
    return list;
}

/* ---- reading ----------------------------------------------------------------------------------*/

/* Length of the escape at p (p[0] is a backslash) and whether it stands for a character at all. */
static size_t
escape_len(const char *p, size_t n, bool *ret_good)
{
    *ret_good = true;
    if (n < 2 || p[1] != 'u')
        return MIN(n, (size_t)2);
    int unit = hex4_decode(p + 2, n - 2);
    if (unit < 0)
        return 2; /* not ours to mend: the parser will say so */
    bool high = unit >= 0xd800 && unit < 0xdc00, low = unit >= 0xdc00 && unit < 0xe000;
    int next = high && n >= 12 && p[6] == '\\' && p[7] == 'u' ? hex4_decode(p + 8, n - 8) : -1;
    if (high && next >= 0xdc00 && next < 0xe000)
        return 12;
    *ret_good = unit != 0 && !high && !low;
    return 6;
}

static void
mend(struct str *to, const char *text, size_t n)
{
    str_reserve(to, n);
    for (size_t i = 0; i < n;) {
        const char *slash = memchr(text + i, '\\', n - i);
        size_t plain = slash ? (size_t)(slash - text) - i : n - i;
        str_add_utf8(to, text + i, plain);
        i += plain;
        if (!slash)
            break;
        bool good;
        size_t len = escape_len(slash, n - i, &good);
        if (good)
            str_addn(to, slash, len);
        else
            str_add(to, "\\ufffd");
        i += len;
    }
}

struct err *
wire_parse(const char *text, size_t n, json_t **ret)
{
    struct err *e = json_parse(text, n, ret);
    if (!e)
        return NULL;
    AUTO(str_fini) struct str mended = STR_INIT;
    mend(&mended, text, n);
    if (mended.len == n && memcmp(str_c(&mended), text, n) == 0)
        return e; /* nothing of that kind */
    struct err *again = json_parse(str_c(&mended), mended.len, ret);
    if (again) {
        err_drop(again);
        return e;
    }
    err_drop(e);
    return NULL;
}
