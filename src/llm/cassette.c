/* cassette.c - recording and replaying model calls.
 *
 * The file is small and for tests: it is read whole, and kept in memory while it is replayed. */
#include "llm/cassette.h"
#include "base/map.h"
#include "base/vec.h"
#include "rt/file.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_LEN_MIN 6 /* shorter values are ordinary words */
#define SHOWN_MAX      80

struct tape { /* one recorded call */
    char key[SHA256_HEX];
    unsigned n;
    json_t *line;
};
struct cassette {
    char *path;
    FILE *out; /* recording */
    size_t written;
    struct map *count; /* key to the number of calls so far, as a pointer */
    VEC(struct tape) tapes;
};

/* ---- the request in canonical form ------------------------------------------------------------*/

static json_t *
request_json(const struct llm_profile *p, const struct llm_request *req)
{
    json_t *params = json_object(), *j = json_object();
    for (size_t i = 0; LLM_PARAMS[i]; i++) {
        json_t *v = json_object_get(p->params, LLM_PARAMS[i]);
        if (json_truthy(v))
            json_object_set(params, LLM_PARAMS[i], v);
    }
    if (json_object_size(p->extra))
        json_object_set(params, "extra", (json_t *)(uintptr_t)p->extra);
    json_object_set_new(j, "provider", json_string(p->provider));
    json_object_set_new(j, "model", json_string(p->model));
    if (p->system_prompt)
        json_object_set_new(j, "system_prompt", json_string(p->system_prompt));
    json_object_set(j, "messages", (json_t *)(uintptr_t)req->messages);
    json_object_set_new(j, "params", params);
    if (json_array_size(req->tools))
        json_object_set(j, "tools", (json_t *)(uintptr_t)req->tools);
    if (req->tool_choice)
        json_object_set_new(j, "tool_choice", json_string(req->tool_choice));
    if (req->output_schema)
        json_object_set(j, "output_schema", (json_t *)(uintptr_t)req->output_schema);
    return j;
}

static void
request_key(const json_t *request, char ret[SHA256_HEX])
{
    AUTO(freep) char *text = json_canonical(request);
    sha256_hex(text, strlen(text), ret);
}

static unsigned
count_next(struct cassette *c, const char *key)
{
    unsigned n = (unsigned)(uintptr_t)map_get(c->count, key) + 1;
    map_put(c->count, key, (void *)(uintptr_t)n);
    return n;
}

/* ---- opening ----------------------------------------------------------------------------------*/

static struct err *MUST
load_line(struct cassette *c, const char *text, size_t n, size_t number)
{
    AUTO(json_freep) json_t *line = NULL;
    TRY(json_parse(text, n, &line), "cassette '%s': line %zu", c->path, number);
    const char *key = json_str(line, "key", "");
    const int64_t nth = json_int(line, "n", 0);
    if (strlen(key) != SHA256_HEX - 1 || nth < 1 || nth > UINT32_MAX)
        return FAIL(ERR_INVALID, "cassette '%s': line %zu is not a recorded call", c->path, number);
    struct tape tape = {.n = (unsigned)nth, .line = json_incref(line)};
    memcpy(tape.key, key, SHA256_HEX);
    vec_push(&c->tapes, tape);
    return NULL;
}

static struct err *MUST
load(struct cassette *c)
{
    AUTO(str_fini) struct str text = STR_INIT;
    size_t number = 0;
    TRY(file_read(c->path, CASSETTE_BYTES_MAX, &text), "reading the cassette '%s'", c->path);
    const char *at = str_c(&text), *end = at + text.len;
    while (at < end) {
        const char *nl = memchr(at, '\n', (size_t)(end - at));
        const size_t n = (size_t)((nl ? nl : end) - at);
        number++;
        if (n)
            PASS(load_line(c, at, n, number));
        at += n + (nl ? 1 : 0);
    }
    return NULL;
}

struct err *
cassette_open(const char *record, const char *replay, struct cassette **ret_cassette)
{
    *ret_cassette = NULL;
    if (!record && !replay)
        return NULL;
    if (record && replay)
        return FAIL(ERR_INVALID, "either record or replay, not both");
    struct cassette *c = xcalloc(1, sizeof *c);
    struct err *e = NULL;
    c->path = xstrdup(record ? record : replay);
    c->count = map_new();
    if (replay)
        e = load(c);
    else if (!(c->out = fopen(record, "we")))
        e = FAIL(ERR_INVALID, "cannot record to '%s': %s", record, strerror(errno));
    if (e) {
        cassette_close(c);
        return e;
    }
    *ret_cassette = c;
    return NULL;
}

void
cassette_close(struct cassette *c)
{
    if (!c)
        return;
    if (c->out)
        fclose(c->out);
    vec_each (&c->tapes, t)
        json_decref(t->line);
    vec_fini(&c->tapes);
    map_free(c->count);
    free(c->path);
    free(c);
}

/* ---- replaying --------------------------------------------------------------------------------*/

static void
shown(struct str *to, const json_t *value)
{
    AUTO(freep) char *text = value ? json_text(value) : xstrdup("nothing");
    const size_t n = strlen(text), keep = utf8_floor(text, MIN(n, (size_t)SHOWN_MAX));
    str_addn(to, text, keep);
    if (keep < n)
        str_add(to, "...");
}

static bool
differs_in(const json_t *a, const json_t *b, struct str *path)
{
    const char *key;
    json_t *v;
    if (json_equal(a, b))
        return false;
    const json_t *at = a, *other = b;
    for (bool deeper = true; deeper;) {
        deeper = false;
        if (json_is_object(at) && json_is_object(other)) {
            const json_t *both[2] = {at, other};
            for (size_t side = 0; side < 2 && !deeper; side++) {
                json_object_foreach ((json_t *)(uintptr_t)both[side], key, v) {
                    const json_t *x = json_object_get(at, key), *y = json_object_get(other, key);
                    if (json_equal(x, y))
                        continue;
                    str_addf(path, "%s%s", path->len ? "." : "", key);
                    at = x, other = y, deeper = true;
                    break;
                }
            }
        } else if (json_is_array(at) && json_is_array(other)) {
            size_t i = 0;
            while (json_equal(json_array_get(at, i), json_array_get(other, i)))
                i++;
            str_addf(path, "[%zu]", i);
            at = json_array_get(at, i), other = json_array_get(other, i), deeper = true;
        }
    }
    str_add(path, " was ");
    shown(path, at);
    str_add(path, " when recorded and is ");
    shown(path, other);
    return true;
}

static size_t
common_len(const char *a, const char *b)
{
    size_t n = 0, tail = 0, la = strlen(a), lb = strlen(b);
    while (n < la && n < lb && a[n] == b[n])
        n++;
    while (tail < la - n && tail < lb - n && a[la - 1 - tail] == b[lb - 1 - tail])
        tail++;
    return n + tail;
}

/* The recorded request that shares most of its text with this one. */
static const struct tape *
nearest(const struct cassette *c, const json_t *request)
{
    AUTO(freep) char *wanted = json_canonical(request);
    const struct tape *best = NULL;
    size_t best_len = 0;
    for (size_t i = 0; i < c->tapes.len; i++) {
        const struct tape *t = &c->tapes.at[i];
        AUTO(freep) char *text = json_canonical(json_object_get(t->line, "request"));
        const size_t len = common_len(wanted, text);
        if (!best || len > best_len) {
            best = t;
            best_len = len;
        }
    }
    return best;
}

static struct err *MUST
miss(const struct cassette *c, const json_t *request, unsigned n)
{
    const struct tape *t = nearest(c, request);
    AUTO(str_fini) struct str where = STR_INIT;
    if (!t)
        return FAIL(ERR_MISSING, "cassette '%s' is empty: record it again", c->path);
    if (!differs_in(json_object_get(t->line, "request"), request, &where))
        return FAIL(ERR_MISSING,
                    "cassette '%s' holds this request fewer times than it is made now (%u): "
                    "record it again",
                    c->path, n);
    return FAIL(ERR_MISSING, "cassette '%s' has no such request; in the nearest one %s", c->path,
                str_c(&where));
}

static struct err *MUST
play_error(const json_t *error)
{
    enum err_kind kind = ERR_TRANSIENT;
    if (!err_kind_parse(json_str(error, "kind", ""), &kind))
        return FAIL(ERR_INVALID, "the recorded error is of no known kind");
    struct err *e = FAIL(kind, "%s", json_str(error, "text", "a recorded error"));
    if (json_bool(error, "in_doubt", false))
        e = err_set_in_doubt(e);
    return err_set_retry_after(e, json_int(error, "retry_after_ms", -1));
}

static struct err *MUST
play(const struct cassette *c, const struct take *take, struct llm_reply *ret)
{
    const struct llm_request *req = take->req;
    const struct tape *found = NULL;
    for (size_t i = 0; i < c->tapes.len; i++) {
        const struct tape *t = &c->tapes.at[i];
        if (t->n == take->n && strcmp(t->key, take->key) == 0)
            found = t;
    }
    if (!found)
        return miss(c, take->request, take->n);
    const json_t *error = json_object_get(found->line, "error");
    if (error)
        return play_error(error);
    TRY(llm_reply_from_json(json_object_get(found->line, "reply"), ret), "cassette '%s'", c->path);
    if (req->on_text && *ret->text)
        req->on_text(req->ctx, ret->text, strlen(ret->text));
    return NULL;
}

struct err *
cassette_find(struct cassette *c, struct take *take, struct llm_reply *ret, bool *ret_done)
{
    take->request = request_json(take->profile, take->req);
    request_key(take->request, take->key);
    take->n = count_next(c, take->key);
    *ret_done = !c->out;
    if (c->out)
        return NULL;
    struct err *e = play(c, take, ret);
    json_decref(STEAL(take->request));
    return e;
}

/* ---- recording --------------------------------------------------------------------------------*/

/* Secrets as they would look inside a JSON string. */
static void
blot(struct str *text, const char *secret)
{
    AUTO(json_freep) json_t *value = json_string_lossy(secret, strlen(secret));
    AUTO(freep) char *quoted = json_text(value);
    const size_t n = strlen(quoted) - 2;
    if (n < SECRET_LEN_MIN)
        return;
    struct str clean = STR_INIT;
    const char *at = str_c(text), *end = at + text->len, *hit;
    while ((hit = memmem(at, (size_t)(end - at), quoted + 1, n))) {
        str_addn(&clean, at, (size_t)(hit - at));
        str_add(&clean, "[redacted]");
        at = hit + n;
    }
    str_addn(&clean, at, (size_t)(end - at));
    str_fini(text);
    *text = clean;
}

static void
blot_all(struct str *line, const struct llm_profile *p)
{
    const char *name;
    json_t *value;
    if (p->api_key)
        blot(line, p->api_key);
    json_object_foreach ((json_t *)(uintptr_t)p->headers, name, value) {
        const char *text = json_string_value(value);
        if (!text)
            continue;
        blot(line, text);
        if (strchr(text, ' ')) /* "Bearer secret" */
            blot(line, strchr(text, ' ') + 1);
    }
}

static json_t *
error_json(const struct err *e)
{
    AUTO(freep) char *text = err_text(e);
    json_t *j = json_object();
    json_object_set_new(j, "kind", json_string(err_kind_name(err_kind(e))));
    json_object_set_new(j, "text", json_string_lossy(text, strlen(text)));
    if (err_retry_after_ms(e) >= 0)
        json_object_set_new(j, "retry_after_ms", json_integer(err_retry_after_ms(e)));
    if (err_in_doubt(e))
        json_object_set_new(j, "in_doubt", json_true());
    return j;
}

static struct err *MUST
write_line(struct cassette *c, const struct str *line)
{
    if (c->written + line->len > CASSETTE_BYTES_MAX)
        return FAIL(ERR_LIMIT, "cassette '%s' is full (%d bytes)", c->path, CASSETTE_BYTES_MAX);
    if (fwrite(str_c(line), 1, line->len, c->out) != line->len || fflush(c->out) != 0)
        return FAIL(ERR_INVALID, "cannot write the cassette '%s': %s", c->path, strerror(errno));
    c->written += line->len;
    return NULL;
}

struct err *
cassette_keep(struct cassette *c, struct take *take, struct llm_reply *reply, struct err *e)
{
    AUTO(json_freep) json_t *request = STEAL(take->request);
    AUTO(json_freep) json_t *line = json_object();
    AUTO(str_fini) struct str text = STR_INIT;
    if (e && err_kind(e) == ERR_CANCELLED) /* our own doing: it says nothing about the model */
        return e;
    json_object_set_new(line, "key", json_string(take->key));
    json_object_set_new(line, "n", json_integer(take->n));
    json_object_set(line, "request", request);
    if (e)
        json_object_set_new(line, "error", error_json(e));
    else
        json_object_set_new(line, "reply", llm_reply_to_json(reply));
    json_write(&text, line);
    str_addc(&text, '\n');
    blot_all(&text, take->profile);
    struct err *broken = write_line(c, &text);
    if (!broken)
        return e;
    if (e)
        err_drop(e);
    else
        llm_reply_fini(reply);
    return broken;
}
