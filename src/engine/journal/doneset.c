/* doneset.c - a number and a bitmap that moves along. */
#include "engine/journal/doneset.h"
#include <stdlib.h>
#include <string.h>

#define WORD 64

void
doneset_fini(struct doneset *d)
{
    free(d->words);
    *d = (struct doneset){0};
}

bool
doneset_has(const struct doneset *d, int64_t i)
{
    if (i < d->base)
        return i >= 0;
    const size_t word = d->head + (size_t)((i - d->base) / WORD);
    return word < d->len && (d->words[word] >> (i % WORD) & 1);
}

/* Words that are full are left behind; their room is used again when it is half of all. */
static void
move_along(struct doneset *d)
{
    while (d->head < d->len && d->words[d->head] == UINT64_MAX) {
        d->head++;
        d->base += WORD;
    }
    if (d->head < 16 || d->head * 2 < d->len)
        return;
    memmove(d->words, d->words + d->head, (d->len - d->head) * sizeof *d->words);
    d->len -= d->head;
    d->head = 0;
}

static void
reach(struct doneset *d, size_t word)
{
    if (word < d->len)
        return;
    while (d->cap <= word)
        d->cap = d->cap ? d->cap * 2 : 16;
    d->words = xrealloc(d->words, d->cap * sizeof *d->words);
    memset(d->words + d->len, 0, (word + 1 - d->len) * sizeof *d->words);
    d->len = word + 1;
}

bool
doneset_add(struct doneset *d, int64_t i)
{
    if (i < 0 || i - d->base >= DONESET_AHEAD_MAX)
        return false;
    if (doneset_has(d, i))
        return true;
    const size_t word = d->head + (size_t)((i - d->base) / WORD);
    reach(d, word);
    d->words[word] |= (uint64_t)1 << (i % WORD);
    d->count++;
    move_along(d);
    return true;
}

int64_t
doneset_low(const struct doneset *d)
{
    return d->base + (d->head < d->len ? __builtin_ctzll(~d->words[d->head]) : 0);
}

json_t *
doneset_to_json(const struct doneset *d)
{
    const int64_t low = doneset_low(d);
    const int64_t end = d->base + (int64_t)(d->len - d->head) * WORD;
    json_t *j = json_array();
    json_array_append_new(j, json_integer(low));
    for (int64_t i = low; i < end; i++) {
        if (!doneset_has(d, i))
            continue;
        json_array_append_new(j, json_integer(i));
        while (i + 1 < end && doneset_has(d, i + 1))
            i++;
        json_array_append_new(j, json_integer(i));
    }
    return j;
}

static void
below(struct doneset *d, int64_t low)
{
    d->base = low / WORD * WORD;
    d->count = d->base;
    for (int64_t i = d->base; i < low; i++)
        doneset_add(d, i);
}

struct err *
doneset_from_json(const json_t *j, struct doneset *ret_set)
{
    struct doneset d = {0};
    const size_t n = json_array_size(j);
    int64_t before = json_integer_value(json_array_get(j, 0));
    bool ok = n % 2 == 1 && before >= 0 && before < INT64_MAX / 2;
    if (ok)
        below(&d, before);
    for (size_t k = 1; ok && k + 1 < n; k += 2) {
        const int64_t first = json_integer_value(json_array_get(j, k)),
                      last = json_integer_value(json_array_get(j, k + 1));
        ok = first >= before && last >= first && last - d.base < DONESET_AHEAD_MAX;
        for (int64_t i = first; ok && i <= last; i++)
            doneset_add(&d, i);
        before = last + 1;
    }
    if (!ok) {
        doneset_fini(&d);
        return FAIL(ERR_INVALID, "a list of what is done that is none");
    }
    *ret_set = d;
    return NULL;
}
