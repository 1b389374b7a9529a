/* history.c - what was said before: found in the run, or in its conversation in the store. */
#include "engine/talk/history.h"
#include "base/hash.h"
#include "base/log.h"
#include "engine/runcore.h"
#include "engine/talk/said.h"
#include <stdlib.h>
#include <string.h>

#define STORED_MAX  1000 /* exchanges of one speaker: then the oldest are deleted */
#define STORED_LEFT 500
#define PART_MAX    120 /* bytes of a name in a key */

struct err *
conversation_check(const char *name)
{
    const size_t n = strlen(name);
    if (!n || n > CONVERSATION_BYTES_MAX)
        return FAIL(ERR_INVALID, "a conversation's name has 1 to %d bytes, not %zu",
                    CONVERSATION_BYTES_MAX, n);
    for (const char *p = name; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return FAIL(ERR_INVALID, "a conversation's name cannot have control characters in it");
    }
    return utf8_valid(name, n) ? NULL
                               : FAIL(ERR_INVALID, "the conversation's name is not valid UTF-8");
}

/* ---- keys ------------------------------------------------------------------ */

/* A slash in a name must not look like the next part; a long one ends in its hash. */
void
history_part(struct str *key, const char *name)
{
    AUTO(str_fini) struct str part = STR_INIT;
    for (const char *p = name; *p; p++) {
        if (*p == '/' || *p == '%' || (unsigned char)*p < 0x20 || *p == 0x7f)
            str_addf(&part, "%%%02x", (unsigned char)*p);
        else
            str_addc(&part, *p);
    }
    if (part.len > PART_MAX) {
        part.len = utf8_floor(part.p, PART_MAX - 17);
        str_addf(&part, "~%016llx", (unsigned long long)hash_fnv(name, strlen(name)));
    }
    str_add(key, str_c(&part));
}

static void
speaker_prefix(struct str *key, const char *conversation, const char *workflow, const char *who)
{
    const char *const parts[] = {conversation, workflow, who};
    str_add(key, HISTORY_PREFIX);
    for (size_t i = 0; i < COUNT(parts); i++) {
        history_part(key, parts[i]);
        str_addc(key, '/');
    }
}

static const char *
conversation_of(const struct run *r)
{
    return json_str(view_started(r->view), "conversation", NULL);
}

/* In order of their beginning; each place of each run has one of its own. */
static void
exchange_key(const struct run *r, const struct remembered *m, struct str *key)
{
    speaker_prefix(key, conversation_of(r), plan_workflow(r->flow->plan), m->who);
    str_addf(key, "%012llx-%s-%016llx", (unsigned long long)MAX(m->began_ms, 0), r->lease.id,
             (unsigned long long)hash_fnv(m->path, strlen(m->path)));
}

/* ---- reading a conversation ------------------------------------------------------ */

struct loading {
    json_t *list;
    VEC(char *) keys;
};

static struct err *
exchange_load(void *ctx, const char *key, const void *body, size_t n)
{
    struct loading *l = ctx;
    AUTO(json_freep) json_t *exchange = NULL;
    vec_push(&l->keys, xstrdup(key));
    struct record rec = {.body = body, .body_len = n};
    struct err *e = body ? record_decode(&rec, &exchange) : NULL;
    if (e || !body) {
        log_warn("engine", "an exchange of a conversation is damaged, and left out: %s", key);
        err_drop(e);
        return NULL;
    }
    json_array_append(l->list, exchange);
    if (json_array_size(l->list) > SAID_GIVEN)
        json_array_remove(l->list, 0);
    return NULL;
}

/* Somebody who talks for years leaves no endless trail. */
static void
trail_cut(struct engine *e, const struct loading *l)
{
    size_t n;
    if (l->keys.len <= STORED_MAX)
        return;
    for (size_t i = 0; i + STORED_LEFT < l->keys.len; i++)
        err_drop(store_kv_delete(e->opts.store, l->keys.at[i], &n)); /* the next run tries again */
}

static struct err *
conversation_load(struct run *r, const char *who, json_t **ret_list)
{
    struct loading l = {.list = json_array()};
    AUTO(str_fini) struct str prefix = STR_INIT;
    speaker_prefix(&prefix, conversation_of(r), plan_workflow(r->flow->plan), who);
    struct err *e = store_kv_list(r->engine->opts.store, str_c(&prefix), exchange_load, &l);
    if (!e)
        trail_cut(r->engine, &l);
    vec_each (&l.keys, key)
        free(*key);
    vec_fini(&l.keys);
    if (e) {
        json_decref(l.list);
        return WRAP(e, "reading the conversation '%s'", conversation_of(r));
    }
    *ret_list = exchanges_shown(l.list, json_array_size(l.list));
    json_decref(l.list);
    return NULL;
}

/* As when the journal cannot be written: the run stays as it is committed, and can be resumed. Its
 * work is not failed for want of a disk. */
static struct err *
run_break(struct run *r, struct err *OWN e)
{
    AUTO(freep) char *text = err_text(e);
    const enum err_kind kind = err_kind(e);
    if (r->broken)
        err_free(e);
    else
        r->broken = e;
    scope_cancel(&r->scope);
    return FAIL(kind, "%s", text);
}

/* ---- recall and remember --------------------------------------------------- */

struct err *
history_recall(struct run *r, const char *path, const char *who, json_t **ret_list)
{
    struct said *said = view_said(r->view);
    AUTO(json_freep) json_t *loaded = NULL;
    size_t n;
    if (view_recalled(r->view, path, &n)) {
        *ret_list = said_list(said, who, n);
        return NULL;
    }
    if (conversation_of(r) && !said_is_loaded(said, who))
        PASS(conversation_load(r, who, &loaded));
    if (said_is_loaded(said, who)) /* by another one meanwhile */
        json_freep(&loaded);
    n = said_count(said, who) + json_array_size(loaded);
    json_t *body = json_pack("{ss sI sO*}", "who", who, "n", (json_int_t)n, "loaded", loaded);
    said_take(said, body);
    run_append(r, REC_RECALLED, path, body, true);
    *ret_list = said_list(said, who, n);
    return NULL;
}

struct err *
history_remember(struct run *r, const struct remembered *m)
{
    json_t *exchange = exchange_bounded(m->exchange);
    json_decref(m->exchange);
    if (view_remembered(r->view, m->path)) { /* by a life that died before the node's end */
        json_decref(exchange);
        return NULL;
    }
    struct err *e = NULL;
    if (conversation_of(r)) {
        AUTO(str_fini) struct str key = STR_INIT, bytes = STR_INIT;
        exchange_key(r, m, &key);
        run_encode(r->engine, exchange, &bytes);
        e = run_barrier(r); /* what was said is told to nobody before it is committed */
        if (!e)
            e = store_kv_put(r->engine->opts.store, str_c(&key), bytes.p, bytes.len);
    }
    if (e) {
        json_decref(exchange);
        return run_break(
            r, WRAP(e, "keeping what was said in the conversation '%s'", conversation_of(r)));
    }
    json_t *body = json_pack("{ss so}", "who", m->who, "exchange", exchange);
    said_take(view_said(r->view), body);
    run_append(r, REC_REMEMBERED, m->path, body, false);
    return NULL;
}
