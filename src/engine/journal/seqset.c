/* seqset.c - pieces of a bitmap, in order. */
#include "engine/journal/seqset.h"
#include <string.h>

#define WORD  64
#define PIECE ((int64_t)WORD * SEQSET_WORDS)

void
seqset_fini(struct seqset *s)
{
    vec_fini(&s->pieces);
    s->count = 0;
}

/* The first piece that begins behind n: the one before it, if any, is where n would be. */
static size_t
piece_behind(const struct seqset *s, int64_t n)
{
    size_t low = 0, high = s->pieces.len;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        if (s->pieces.at[mid].base <= n)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* NULL: there is none. */
static struct seqset_piece *
piece_of(const struct seqset *s, int64_t n)
{
    const size_t behind = piece_behind(s, n);
    struct seqset_piece *p = behind ? &s->pieces.at[behind - 1] : NULL;
    return p && n - p->base < PIECE ? p : NULL;
}

static struct seqset_piece *
piece_make(struct seqset *s, int64_t n)
{
    struct seqset_piece *p = piece_of(s, n);
    if (p)
        return p;
    const size_t i = piece_behind(s, n), after = s->pieces.len - i;
    vec_push(&s->pieces, (struct seqset_piece){0});
    memmove(&s->pieces.at[i + 1], &s->pieces.at[i], after * sizeof *p);
    s->pieces.at[i] = (struct seqset_piece){.base = n / PIECE * PIECE};
    return &s->pieces.at[i];
}

static bool
is_empty(const struct seqset_piece *p)
{
    uint64_t any = 0;
    for (size_t i = 0; i < SEQSET_WORDS; i++)
        any |= p->words[i];
    return !any;
}

void
seqset_add(struct seqset *s, int64_t n)
{
    struct seqset_piece *p = piece_make(s, n);
    uint64_t *word = &p->words[(n - p->base) / WORD];
    const uint64_t bit = (uint64_t)1 << (n % WORD);
    s->count += !(*word & bit);
    *word |= bit;
}

bool
seqset_del(struct seqset *s, int64_t n)
{
    struct seqset_piece *p = piece_of(s, n);
    if (!p)
        return false;
    uint64_t *word = &p->words[(n - p->base) / WORD];
    const uint64_t bit = (uint64_t)1 << (n % WORD);
    if (!(*word & bit))
        return false;
    *word &= ~bit;
    s->count--;
    if (!is_empty(p))
        return true;
    const size_t i = (size_t)(p - s->pieces.at);
    s->pieces.len--;
    memmove(p, p + 1, (s->pieces.len - i) * sizeof *p);
    return true;
}

static int64_t
highest(const struct seqset_piece *p, int64_t bits)
{
    for (int64_t i = SEQSET_WORDS - 1; i >= 0; i--) {
        const int64_t in_word = bits - i * WORD;
        uint64_t w = in_word <= 0 ? 0 : p->words[i];
        if (in_word > 0 && in_word < WORD)
            w &= ((uint64_t)1 << in_word) - 1;
        if (w)
            return p->base + i * WORD + (WORD - 1 - __builtin_clzll(w));
    }
    return -1;
}

int64_t
seqset_before(const struct seqset *s, int64_t n)
{
    for (size_t i = n > 0 ? piece_behind(s, n - 1) : 0; i-- > 0;) {
        const struct seqset_piece *p = &s->pieces.at[i];
        const int64_t found = highest(p, n - p->base);
        if (found >= 0)
            return found;
    }
    return -1;
}

void
seqset_move(struct seqset *to, struct seqset *from)
{
    vec_each (&from->pieces, p) {
        struct seqset_piece *into = piece_make(to, p->base);
        for (size_t i = 0; i < SEQSET_WORDS; i++) {
            to->count += __builtin_popcountll(p->words[i] & ~into->words[i]);
            into->words[i] |= p->words[i];
        }
    }
    seqset_fini(from);
}
