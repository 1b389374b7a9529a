/* schema_seen.h - which members or items of one value some keyword has already looked at.
 *
 * unevaluatedProperties and unevaluatedItems apply to the others. Members are known by the address
 * of their key in the value (jansson keeps it while the value is unchanged), items by index. */
#ifndef SCHEMA_SCHEMA_SEEN_H
#define SCHEMA_SCHEMA_SEEN_H
#include "base/lang.h"

struct seen {
    bool all;            /* every member and item */
    size_t items;        /* the first so many items */
    unsigned char *item; /* those beyond, by index: 1 when seen; NULL while there is none */
    size_t item_len;
    const char **keys; /* open addressing; NULL is free */
    size_t keys_len, keys_cap;
};
#define SEEN_INIT ((struct seen){0})

void seen_fini(struct seen *s);
void seen_key(struct seen *s, const char *key);
bool seen_has_key(const struct seen *s, const char *key);
void seen_item(struct seen *s, size_t i);
bool seen_has_item(const struct seen *s, size_t i);
/* Adds all of `from` and empties it. Return the work done, in entries. */
size_t seen_merge(struct seen *s, struct seen *from);
#endif
