/* schema_seen.c - a set of addresses and a set of indexes. */
#include "schema/schema_seen.h"
#include "base/err.h"
#include <stdlib.h>
#include <string.h>

void
seen_fini(struct seen *s)
{
    free(s->item);
    free(s->keys);
    *s = SEEN_INIT;
}

/* The slot of the key or the free one where it belongs. */
static size_t
slot_of(const struct seen *s, const char *key)
{
    uint64_t h = (uint64_t)(uintptr_t)key * 0x9e3779b97f4a7c15ULL;
    size_t i = (size_t)(h >> 20) & (s->keys_cap - 1);
    while (s->keys[i] && s->keys[i] != key)
        i = (i + 1) & (s->keys_cap - 1);
    return i;
}

static void
keys_grow(struct seen *s)
{
    struct seen old = *s;
    s->keys_cap = old.keys_cap ? old.keys_cap * 2 : 16;
    s->keys = xcalloc(s->keys_cap, sizeof *s->keys);
    for (size_t i = 0; i < old.keys_cap; i++) {
        if (old.keys[i])
            s->keys[slot_of(s, old.keys[i])] = old.keys[i];
    }
    free(old.keys);
}

void
seen_key(struct seen *s, const char *key)
{
    if (s->keys_len * 2 >= s->keys_cap)
        keys_grow(s);
    size_t i = slot_of(s, key);
    if (!s->keys[i])
        s->keys_len++;
    s->keys[i] = key;
}

bool
seen_has_key(const struct seen *s, const char *key)
{
    return s->all || (s->keys_cap && s->keys[slot_of(s, key)]);
}

void
seen_item(struct seen *s, size_t i)
{
    if (i < s->items)
        return;
    if (i == s->items) {
        s->items++;
        return;
    }
    if (i >= s->item_len) {
        size_t len = MAX(i + 1, s->item_len * 2);
        s->item = xrealloc(s->item, len);
        memset(s->item + s->item_len, 0, len - s->item_len);
        s->item_len = len;
    }
    s->item[i] = 1;
}

bool
seen_has_item(const struct seen *s, size_t i)
{
    return s->all || i < s->items || (i < s->item_len && s->item[i]);
}

size_t
seen_merge(struct seen *s, struct seen *from)
{
    size_t work = 1;
    s->all = s->all || from->all;
    s->items = MAX(s->items, from->items);
    if (!s->item) {
        s->item = STEAL(from->item);
        s->item_len = STEAL(from->item_len);
    }
    for (size_t i = 0; i < from->item_len; i++) {
        if (from->item && from->item[i])
            seen_item(s, i);
    }
    if (!s->keys) {
        s->keys = STEAL(from->keys);
        s->keys_len = STEAL(from->keys_len);
        s->keys_cap = STEAL(from->keys_cap);
    }
    for (size_t i = 0; i < from->keys_cap; i++) {
        if (from->keys && from->keys[i])
            seen_key(s, from->keys[i]);
    }
    work += from->item_len / 16 + from->keys_cap / 4;
    seen_fini(from);
    return work;
}
