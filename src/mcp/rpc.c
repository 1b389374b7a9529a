/* rpc.c - reading and writing single messages, and the errors inside them. */
#include "mcp/rpc.h"
#include "base/hash.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

void
rpc_msg_fini(struct rpc_msg *m)
{
    json_decref(m->doc);
    *m = (struct rpc_msg){0};
}

/* ---- repair ---------------------------------------------------------------- */

/* The second half of a surrogate pair as an escape at p. */
static bool
is_low_half(const char *p, const char *end)
{
    if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
        return false;
    int v = hex4_decode(p + 2, (size_t)(end - (p + 2)));
    return v >= 0xDC00 && v <= 0xDFFF;
}

/* Replaces in place the escapes that are legal JSON but no text: NUL and lone surrogates. All have
 * six bytes, as has their replacement. */
static bool
repair_escapes(char *p, char *end)
{
    bool changed = false;
    while ((p = memchr(p, '\\', (size_t)(end - p))) && end - p >= 2) {
        int v = p[1] == 'u' ? hex4_decode(p + 2, (size_t)(end - (p + 2))) : -1;
        if (v < 0) {
            p += 2;
        } else if (v >= 0xD800 && v <= 0xDBFF && is_low_half(p + 6, end)) {
            p += 12;
        } else {
            if (v == 0 || (v >= 0xD800 && v <= 0xDFFF)) {
                memcpy(p, "\\ufffd", 6);
                changed = true;
            }
            p += 6;
        }
    }
    return changed;
}

/* A second try for text that is nearly JSON; ERR_INVALID is what the first one said. */
static struct err *
parse_repaired(const char *text, size_t n, struct err *why, json_t **ret_doc)
{
    AUTO(str_fini) struct str copy = STR_INIT;
    str_add_utf8(&copy, text, n);
    bool changed = copy.len != n || memcmp(copy.p, text, n) != 0;
    changed |= repair_escapes(copy.p, copy.p + copy.len);
    json_t *doc;
    if (!changed)
        return why;
    struct err *e = json_parse(copy.p, copy.len, &doc);
    if (e) {
        err_drop(e);
        return why;
    }
    err_drop(why);
    *ret_doc = doc;
    return NULL;
}

/* ---- reading --------------------------------------------------------------- */

/* Counts separators, which bounds the values; small texts cannot hold too many. */
static bool
values_ok(const char *p, size_t n)
{
    if (n < RPC_VALUES_MAX)
        return true;
    size_t values = 0;
    for (size_t i = 0; i < n; i++)
        values += p[i] == ',' || p[i] == '[' || p[i] == '{';
    return values <= RPC_VALUES_MAX;
}

static bool
id_ok(const json_t *id)
{
    return json_is_integer(id) || (json_is_string(id) && json_string_length(id) <= RPC_ID_MAX);
}

static struct err *
read_call(json_t *doc, struct rpc_msg *m)
{
    m->params = json_object_get(doc, "params");
    if (json_is_null(m->params))
        m->params = NULL;
    if (m->params && !json_is_object(m->params) && !json_is_array(m->params))
        return FAIL(ERR_INVALID, "'params' of '%s' is neither object nor array", m->method);
    m->kind = m->id ? RPC_REQUEST : RPC_NOTIFICATION;
    if (m->id && !id_ok(m->id))
        return FAIL(ERR_INVALID, "the id of '%s' is neither a string nor an integer", m->method);
    return NULL;
}

static struct err *
read_error(struct rpc_msg *m)
{
    m->kind = RPC_ERROR;
    if (json_is_null(m->id)) /* what the plain JSON-RPC rules ask for when no id could be read */
        m->id = NULL;
    if (m->id && !id_ok(m->id))
        return FAIL(ERR_INVALID, "an error's id is neither a string nor an integer");
    if (!json_is_object(m->error) || !json_is_integer(json_object_get(m->error, "code")))
        return FAIL(ERR_INVALID, "an error without an integer 'code'");
    return NULL;
}

struct err *
rpc_read(json_t *doc, struct rpc_msg *ret_msg)
{
    struct rpc_msg m = {.doc = doc};
    if (json_is_array(doc)) {
        size_t items = json_array_size(doc);
        if (items == 0 || items > RPC_BATCH_MAX)
            return FAIL(ERR_INVALID, "a batch of %zu messages; 1 to %d are accepted", items,
                        RPC_BATCH_MAX);
        m.kind = RPC_BATCH;
        json_incref(doc);
        *ret_msg = m;
        return NULL;
    }
    const char *version = json_str(doc, "jsonrpc", NULL);
    if (!version || strcmp(version, "2.0") != 0)
        return FAIL(ERR_INVALID, "not a message: \"jsonrpc\": \"2.0\" is missing");
    m.id = json_object_get(doc, "id");
    m.method = json_str(doc, "method", NULL);
    m.result = json_object_get(doc, "result");
    m.error = json_object_get(doc, "error");
    if (m.method) {
        PASS(read_call(doc, &m));
    } else if (m.error && !json_is_null(m.error)) {
        m.result = NULL;
        PASS(read_error(&m));
    } else if (!m.result) {
        return FAIL(ERR_INVALID, "a message without 'method', 'result' and 'error'");
    } else if (!m.id || !id_ok(m.id)) {
        return FAIL(ERR_INVALID, "a result's id is neither a string nor an integer");
    } else {
        m.kind = RPC_RESULT;
        m.error = NULL; /* some send both, this one null */
    }
    json_incref(doc);
    *ret_msg = m;
    return NULL;
}

struct err *
rpc_parse(const char *text, size_t n, struct rpc_msg *ret_msg)
{
    if (n > RPC_BYTES_MAX)
        return FAIL(ERR_LIMIT, "a message of %zu bytes; at most %zu are accepted", n,
                    RPC_BYTES_MAX);
    if (!values_ok(text, n))
        return FAIL(ERR_LIMIT, "a message of over %zu values", RPC_VALUES_MAX);
    AUTO(json_freep) json_t *doc = NULL;
    struct err *e = json_parse(text, n, &doc);
    if (e)
        PASS(parse_repaired(text, n, e, &doc));
    return rpc_read(doc, ret_msg);
}

/* ---- writing --------------------------------------------------------------- */

/* A name of ours (a method) needs no escapes; any other text goes through jansson. */
static void
write_string(struct str *to, const char *text)
{
    AUTO(json_freep) json_t *j = json_string_lossy(text, strlen(text));
    json_write(to, j);
}

static void
write_call(struct str *to, const char *method, const json_t *params)
{
    str_add(to, "\"method\":");
    write_string(to, method);
    if (params) {
        str_add(to, ",\"params\":");
        json_write(to, params);
    }
    str_addc(to, '}');
}

void
rpc_write_request(struct str *to, uint64_t id, const char *method, const json_t *params)
{
    str_addf(to, "{\"jsonrpc\":\"2.0\",\"id\":%llu,", (unsigned long long)id);
    write_call(to, method, params);
}

void
rpc_write_notification(struct str *to, const char *method, const json_t *params)
{
    str_add(to, "{\"jsonrpc\":\"2.0\",");
    write_call(to, method, params);
}

void
rpc_write_result(struct str *to, const json_t *id, const json_t *result)
{
    assert(id_ok(id) && result);
    str_add(to, "{\"jsonrpc\":\"2.0\",\"id\":");
    json_write(to, id);
    str_add(to, ",\"result\":");
    json_write(to, result);
    str_addc(to, '}');
}

void
rpc_write_error(struct str *to, const json_t *id, int code, const char *message)
{
    str_add(to, "{\"jsonrpc\":\"2.0\",");
    if (id) {
        str_add(to, "\"id\":");
        json_write(to, id);
        str_addc(to, ',');
    }
    str_addf(to, "\"error\":{\"code\":%d,\"message\":", code);
    write_string(to, message);
    str_add(to, "}}");
}

/* ---- errors ---------------------------------------------------------------- */

/* The pages a person has to visit before the call can succeed (revision 2025-11-25). */
static void
add_urls(struct str *text, const json_t *error)
{
    size_t i;
    json_t *item;
    json_array_foreach (json_at(error, "data", "elicitations", NULL), i, item) {
        const char *url = json_str(item, "url", NULL);
        if (url && i < 5)
            str_addf(text, "; visit %.500s", url);
    }
}

struct err *
rpc_error_to_err(const json_t *error)
{
    int64_t code = json_int(error, "code", RPC_INTERNAL);
    AUTO(str_fini) struct str text = STR_INIT;
    str_addf(&text, "%.2000s", json_str(error, "message", "no message"));
    if (text.len >= 2000)
        text.p[text.len = utf8_floor(text.p, text.len)] = '\0';
    switch (code) {
    case RPC_URL_ELICITATION:
        add_urls(&text, error);
        return FAIL(ERR_DENIED, "%s", str_c(&text));
    case RPC_NO_METHOD:
    case RPC_NO_RESOURCE:
        return FAIL(ERR_MISSING, "%s", str_c(&text));
    case RPC_CONNECTION_CLOSED:
    case RPC_REQUEST_TIMEOUT:
    case RPC_INTERNAL:
        return err_set_in_doubt(FAIL(ERR_TRANSIENT, "%s (error %d)", str_c(&text), (int)code));
    default:
        return FAIL(ERR_INVALID, "%s (error %lld)", str_c(&text), (long long)code);
    }
}

int
rpc_code_of(const struct err *e)
{
    switch (err_kind(e)) {
    case ERR_MISSING:
        return RPC_NO_METHOD;
    case ERR_INVALID:
        return RPC_INVALID_PARAMS;
    case ERR_DENIED:
        return -1; /* what the protocol's own examples use for "the user refused" */
    default:
        return RPC_INTERNAL;
    }
}
