/* arena.c - blocks that double up to 64 KB; a large request gets a block of its own. */
#include "base/arena.h"
#include "base/str.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct block {
    struct block *next;
    size_t used, size;
    max_align_t data[];
};
struct defer {
    struct defer *next;
    void (*fn)(void *);
    void *arg;
};
struct arena {
    struct block *blocks; /* the first one is being filled */
    struct defer *defers;
    size_t total, soft_limit, block_size;
};

#define BLOCK_MIN 1024
#define BLOCK_MAX 65536

struct arena *
arena_new(size_t soft_limit)
{
    struct arena *a = xcalloc(1, sizeof *a);
    a->soft_limit = soft_limit ? soft_limit : SIZE_MAX;
    a->block_size = BLOCK_MIN;
    return a;
}

static struct block *
block_new(size_t size)
{
    struct block *b = xcalloc(1, sizeof *b + size);
    b->size = size;
    return b;
}

void *
arena_alloc(struct arena *a, size_t n)
{
    assert(n > 0 && n < SIZE_MAX / 2);
    n = (n + sizeof(max_align_t) - 1) & ~(sizeof(max_align_t) - 1);
    a->total += n;
    if (n > BLOCK_MAX / 4) { /* beside the block being filled, so that its rest is not lost */
        struct block *b = block_new(n);
        b->used = n;
        if (a->blocks) {
            b->next = a->blocks->next;
            a->blocks->next = b;
        } else {
            a->blocks = b;
        }
        return b->data;
    }
    if (!a->blocks || a->blocks->size - a->blocks->used < n) {
        struct block *b = block_new(MAX(a->block_size, n));
        a->block_size = MIN(a->block_size * 2, BLOCK_MAX);
        b->next = a->blocks;
        a->blocks = b;
    }
    void *p = (char *)a->blocks->data + a->blocks->used;
    a->blocks->used += n;
    return p;
}

char *
arena_strndup(struct arena *a, const char *s, size_t n)
{
    char *p = arena_alloc(a, n + 1);
    memcpy(p, s, n);
    return p;
}

char *
arena_strdup(struct arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
    AUTO(str_fini) struct str s = STR_INIT;
    va_list ap;
    va_start(ap, fmt);
    str_addv(&s, fmt, ap);
    va_end(ap);
    return arena_strndup(a, str_c(&s), s.len);
}

void
arena_defer(struct arena *a, void (*fn)(void *), void *arg)
{
    struct defer *d = arena_make(a, struct defer);
    *d = (struct defer){.next = a->defers, .fn = fn, .arg = arg};
    a->defers = d;
}

bool
arena_over(const struct arena *a)
{
    return a->total > a->soft_limit;
}

size_t
arena_size(const struct arena *a)
{
    return a->total;
}

void
arena_free(struct arena *a)
{
    if (!a)
        return;
    for (struct defer *d = a->defers; d; d = d->next)
        d->fn(d->arg);
    for (struct block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(a);
}

void
arena_freep(struct arena **a)
{
    arena_free(*a);
    *a = NULL;
}
