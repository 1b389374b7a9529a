/* map.c - open addressing over an insertion-ordered array of entries. */
#include "base/map.h"
#include "base/hash.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    char *key; /* NULL: deleted */
    void *value;
    uint64_t hash;
};
struct map {
    struct entry *entries; /* in order of insertion, with holes where pairs were deleted */
    size_t used, cap, live;
    uint32_t *slots; /* index into entries + 1; 0: free */
    size_t nslots;   /* a power of two, at least twice cap */
};

struct map *
map_new(void)
{
    return xcalloc(1, sizeof(struct map));
}

void
map_free(struct map *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->used; i++)
        free(m->entries[i].key);
    free(m->entries);
    free(m->slots);
    free(m);
}

void
map_freep(struct map **m)
{
    map_free(*m);
    *m = NULL;
}

size_t
map_len(const struct map *m)
{
    return m->live;
}

static void
map_slot(struct map *m, size_t index)
{
    size_t i = m->entries[index].hash & (m->nslots - 1);
    while (m->slots[i])
        i = (i + 1) & (m->nslots - 1);
    m->slots[i] = (uint32_t)(index + 1);
}

static void
map_grow(struct map *m)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->used; i++) {
        if (m->entries[i].key)
            m->entries[kept++] = m->entries[i];
    }
    m->used = kept;
    if (m->used * 4 >= m->cap * 3) {
        m->cap = m->cap ? m->cap * 2 : 8;
        assert(m->cap < UINT32_MAX);
        m->entries = xrealloc(m->entries, m->cap * sizeof *m->entries);
    }
    free(m->slots);
    m->nslots = 16;
    while (m->nslots < m->cap * 2)
        m->nslots *= 2;
    m->slots = xcalloc(m->nslots, sizeof *m->slots);
    for (size_t i = 0; i < m->used; i++)
        map_slot(m, i);
}

static struct entry *
map_find(const struct map *m, const char *key)
{
    if (!m->nslots)
        return NULL;
    uint64_t h = hash_name(key);
    for (size_t i = h & (m->nslots - 1); m->slots[i]; i = (i + 1) & (m->nslots - 1)) {
        struct entry *e = &m->entries[m->slots[i] - 1];
        if (e->key && e->hash == h && strcmp(e->key, key) == 0)
            return e;
    }
    return NULL;
}

void *
map_get(const struct map *m, const char *key)
{
    struct entry *e = map_find(m, key);
    return e ? e->value : NULL;
}

bool
map_has(const struct map *m, const char *key)
{
    return map_find(m, key) != NULL;
}

void *
map_put(struct map *m, const char *key, void *value)
{
    struct entry *e = map_find(m, key);
    if (e) {
        void *old = e->value;
        e->value = value;
        return old;
    }
    if (m->used == m->cap)
        map_grow(m);
    m->entries[m->used] = (struct entry){xstrdup(key), value, hash_name(key)};
    map_slot(m, m->used++);
    m->live++;
    return NULL;
}

void *
map_del(struct map *m, const char *key)
{
    struct entry *e = map_find(m, key);
    if (!e)
        return NULL;
    void *old = e->value;
    free(e->key);
    *e = (struct entry){0};
    m->live--;
    return old;
}

bool
map_next(const struct map *m, size_t *i, const char **ret_key, void **ret_value)
{
    while (*i < m->used) {
        const struct entry *e = &m->entries[(*i)++];
        if (!e->key)
            continue;
        if (ret_key)
            *ret_key = e->key;
        if (ret_value)
            *ret_value = e->value;
        return true;
    }
    return false;
}
