/* talks.c - what is stored of conversations: listed, and forgotten. */
#include "base/vec.h"
#include "engine/runcore.h"
#include "engine/talk/history.h"
#include <stdlib.h>
#include <string.h>

#define PARTS 4 /* conversation, workflow, who, and the exchange */

struct listing {
    const struct conversation_filter *filter;
    conversation_fn fn; /* or NULL: the keys are collected */
    void *ctx;
    VEC(char *) keys;
};

static void
decoded(const char *part, size_t n, struct str *to)
{
    for (size_t i = 0; i < n; i++) {
        char hex[3] = {0};
        if (part[i] != '%' || i + 2 >= n) {
            str_addc(to, part[i]);
            continue;
        }
        memcpy(hex, part + i + 1, 2);
        str_addc(to, (char)strtol(hex, NULL, 16));
        i += 2;
    }
}

/* Names are compared as they stand in keys: long ones are shortened there. */
static bool
part_fits(const char *part, size_t n, const char *wanted)
{
    AUTO(str_fini) struct str key = STR_INIT;
    if (!wanted)
        return true;
    history_part(&key, wanted);
    return key.len == n && memcmp(key.p, part, n) == 0;
}

/* "router[triage]" is meant by its name too. */
static bool
who_fits(const char *part, size_t n, const char *wanted)
{
    const char *open = memchr(part, '[', n);
    if (part_fits(part, n, wanted))
        return true;
    return open && part[n - 1] == ']' &&
           part_fits(open + 1, n - (size_t)(open + 1 - part) - 1, wanted);
}

static struct err *
row_tell(const struct listing *l, const struct str *names, const char *last, const void *body,
         size_t n)
{
    AUTO(json_freep) json_t *exchange = NULL;
    struct record rec = {.body = body, .body_len = n};
    if (body)
        err_drop(record_decode(&rec, &exchange)); /* told as damaged */
    struct conversation_row row = {.conversation = str_c(&names[0]),
                                   .workflow = str_c(&names[1]),
                                   .who = str_c(&names[2]),
                                   .at_ms = (int64_t)strtoll(last, NULL, 16),
                                   .exchange = exchange};
    return l->fn(l->ctx, &row);
}

static struct err *
key_take(void *ctx, const char *key, const void *body, size_t n)
{
    struct listing *l = ctx;
    const char *part[PARTS];
    size_t len[PARTS], parts = 0;
    for (const char *p = key + strlen(HISTORY_PREFIX); parts < PARTS; p += len[parts++] + 1) {
        part[parts] = p;
        len[parts] = strcspn(p, "/");
        if (!p[len[parts]])
            break;
    }
    if (parts != PARTS - 1) /* nobody here wrote it */
        return NULL;
    const char *const wanted[] = {l->filter->conversation, l->filter->workflow};
    struct str names[PARTS - 1] = {STR_INIT, STR_INIT, STR_INIT};
    bool fits = who_fits(part[2], len[2], l->filter->who);
    for (size_t i = 0; i < COUNT(wanted); i++)
        fits &= part_fits(part[i], len[i], wanted[i]);
    for (size_t i = 0; i < COUNT(names); i++)
        decoded(part[i], len[i], &names[i]);
    struct err *e = NULL;
    if (fits && l->fn)
        e = row_tell(l, names, part[PARTS - 1], body, n);
    else if (fits)
        vec_push(&l->keys, xstrdup(key));
    for (size_t i = 0; i < COUNT(names); i++)
        str_fini(&names[i]);
    return e;
}

static struct err *
walk(struct engine *e, struct listing *l)
{
    AUTO(str_fini) struct str prefix = STR_INIT;
    str_add(&prefix, HISTORY_PREFIX);
    if (l->filter->conversation) {
        history_part(&prefix, l->filter->conversation);
        str_addc(&prefix, '/');
    }
    return store_kv_list(e->opts.store, str_c(&prefix), key_take, l);
}

struct err *
engine_conversations(struct engine *e, const struct conversation_filter *f, conversation_fn fn,
                     void *ctx)
{
    struct listing l = {.filter = f, .fn = fn, .ctx = ctx};
    return walk(e, &l);
}

struct err *
engine_forget_said(struct engine *e, const struct conversation_filter *f, size_t *ret_n)
{
    struct listing l = {.filter = f};
    size_t forgotten = 0;
    struct err *err = walk(e, &l);
    vec_each (&l.keys, key) {
        size_t n = 0;
        if (!err)
            err = store_kv_delete(e->opts.store, *key, &n);
        forgotten += n;
        free(*key);
    }
    vec_fini(&l.keys);
    PASS(err);
    *ret_n = forgotten;
    return NULL;
}
