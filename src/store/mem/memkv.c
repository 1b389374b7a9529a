/* memkv.c - the values, in RAM. */
#include "base/hash.h"
#include "store/mem/memcore.h"
#include <stdlib.h>
#include <string.h>

static uint32_t
value_crc(const char *key, const void *body, size_t n)
{
    return crc32c(crc32c(0, key, strlen(key) + 1), body, n);
}

static void
value_free(struct mem_value *v)
{
    str_fini(&v->body);
    free(v);
}

void
values_free(struct map *values)
{
    const char *key;
    void *v;
    for (size_t i = 0; map_next(values, &i, &key, &v);)
        value_free(v);
    map_free(values);
}

void
value_put(struct mem *h, struct request *r)
{
    struct mem_value *v = map_get(h->m->values, r->name);
    if (!v) {
        v = xcalloc(1, sizeof *v);
        map_put(h->m->values, r->name, v);
    }
    str_reset(&v->body);
    str_addn(&v->body, r->body, r->body_len);
    v->crc = value_crc(r->name, r->body, r->body_len);
}

static int
by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The keys behind `after` that begin with prefix, sorted; caller frees. */
static const char **
keys_of(const struct store_mem *m, const char *prefix, const char *after, size_t *ret_n)
{
    VEC(const char *) keys = {0};
    const char *key;
    void *v;
    for (size_t i = 0; map_next(m->values, &i, &key, &v);) {
        if (str_starts(key, prefix) && (!after || strcmp(key, after) > 0))
            vec_push(&keys, key);
    }
    if (keys.len)
        qsort(keys.at, keys.len, sizeof *keys.at, by_bytes);
    *ret_n = keys.len;
    return keys.at;
}

void
values_delete(struct mem *h, struct request *r)
{
    size_t n = 0;
    const char **keys = keys_of(h->m, r->name, NULL, &n);
    for (size_t i = 0; i < n && i < KV_STEP; i++) {
        value_free(map_del(h->m->values, keys[i]));
        r->number++;
    }
    r->more = n > KV_STEP;
    free(keys);
}

static bool
value_is_good(const char *key, const struct mem_value *v)
{
    return v->crc == value_crc(key, v->body.p, v->body.len);
}

void
value_get(struct mem *h, struct request *r)
{
    const struct mem_value *v = map_get(h->m->values, r->name);
    r->flag = v != NULL;
    if (v && !value_is_good(r->name, v))
        r->err = err_kv_damaged(r->name);
    else if (v)
        str_addn(&r->page, v->body.p, v->body.len);
}

void
values_list(struct mem *h, struct request *r)
{
    size_t n = 0;
    const char **keys = keys_of(h->m, r->name, r->dedupe, &n);
    for (size_t i = 0; i < n && !r->more; i++) {
        const struct mem_value *v = map_get(h->m->values, keys[i]);
        kv_put(&r->page, keys[i], value_is_good(keys[i], v) ? str_c(&v->body) : NULL, v->body.len);
        r->more = i + 1 < n && (r->page.len > KV_PAGE || i + 1 == LIST_MAX);
        r->number++;
    }
    free(keys);
}

int64_t
values_damaged(const struct store_mem *m)
{
    int64_t n = 0;
    const char *key;
    void *v;
    for (size_t i = 0; map_next(m->values, &i, &key, &v);)
        n += !value_is_good(key, v);
    return n;
}
