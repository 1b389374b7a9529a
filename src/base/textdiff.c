/* textdiff.c - Myers' shortest edit script over lines. */
#include "base/textdiff.h"
#include "base/vec.h"
#include <stdlib.h>
#include <string.h>

struct line {
    const char *p;
    size_t n;
};
struct text {
    VEC(struct line) lines;
};
struct differing {
    const struct text *texts; /* two of them */
    size_t context;
    struct line *a, *b; /* without the lines that both begin and end with */
    int na, nb;
    int *reach; /* for each number of edits d: the furthest x on the diagonals -d, -d+2, ..., d */
    bool *out, *in; /* lines of a that go, of b that come */
};

static bool
lines_split(struct text *t, const char *text)
{
    for (const char *p = text; *p;) {
        const size_t n = strcspn(p, "\n");
        if (t->lines.len == TEXTDIFF_LINES_MAX)
            return false;
        vec_push(&t->lines, ((struct line){p, n}));
        p += n + (p[n] == '\n');
    }
    return true;
}

static bool
same(const struct line *a, const struct line *b)
{
    return a->n == b->n && memcmp(a->p, b->p, a->n) == 0;
}

/* Where the row of d edits begins; it has d + 1 places. */
static size_t
row(int d)
{
    return (size_t)d * ((size_t)d + 1) / 2;
}

/* The furthest x on diagonal k after d edits, by what d - 1 edits reached. */
static int
step_from(const struct differing *f, int d, int k)
{
    const int *before = f->reach + row(d - 1);
    const int i = (k + d) / 2; /* of k - 1 in the row before: i - 1; of k + 1: i */
    const bool down = k == -d || (k != d && before[i - 1] < before[i]);
    return down ? before[i] : before[i - 1] + 1;
}

/* The number of edits, or -1: too many. */
static int
search(struct differing *f)
{
    const int most = MIN(f->na + f->nb, TEXTDIFF_EDITS_MAX);
    f->reach = xcalloc(row(most + 1), sizeof *f->reach);
    for (int d = 0; d <= most; d++) {
        for (int k = -d; k <= d; k += 2) {
            int x = d ? step_from(f, d, k) : 0;
            while (x < f->na && x - k < f->nb && x - k >= 0 && same(&f->a[x], &f->b[x - k]))
                x++;
            f->reach[row(d) + (size_t)(k + d) / 2] = x;
            if (x >= f->na && x - k >= f->nb)
                return d;
        }
    }
    return -1;
}

/* Back along the way that was found. */
static void
script(struct differing *f, int edits)
{
    int x = f->na, y = f->nb;
    for (int d = edits; d > 0; d--) {
        const int k = x - y, i = (k + d) / 2;
        const int *before = f->reach + row(d - 1);
        const bool down = k == -d || (k != d && before[i - 1] < before[i]);
        x = down ? before[i] : before[i - 1];
        y = x - (down ? k + 1 : k - 1);
        if (down)
            f->in[y] = true;
        else
            f->out[x] = true;
    }
}

/* ---- hunks ----------------------------------------------------------------- */

struct change { /* lines [a, a + na) become [b, b + nb) */
    size_t a, na, b, nb;
};

static void
lines_add(struct str *to, char mark, const struct line *lines, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        str_addc(to, mark);
        str_addn(to, lines[i].p, lines[i].n);
        str_addc(to, '\n');
    }
}

/* Changes that stand so near that their surroundings meet share a hunk. */
static size_t
hunk_end(const struct change *c, size_t n, size_t first, size_t context)
{
    size_t end = first + 1;
    while (end < n && c[end].a - (c[end - 1].a + c[end - 1].na) <= 2 * context)
        end++;
    return end;
}

static void
hunks_add(const struct differing *f, const struct change *c, size_t n, struct str *to)
{
    const struct text *a = f->texts, *b = a + 1;
    const size_t context = f->context;
    for (size_t first = 0, end; first < n; first = end) {
        end = hunk_end(c, n, first, context);
        const size_t before = MIN(c[first].a, context);
        const size_t last = c[end - 1].a + c[end - 1].na;
        const size_t after = MIN(a->lines.len - last, context);
        const size_t from_a = c[first].a - before, from_b = c[first].b - before;
        str_addf(to, "@@ -%zu,%zu +%zu,%zu @@\n", from_a + 1, last + after - from_a, from_b + 1,
                 c[end - 1].b + c[end - 1].nb + after - from_b);
        for (size_t i = first, at = from_a; i < end; i++) {
            lines_add(to, ' ', a->lines.at + at, c[i].a - at);
            lines_add(to, '-', a->lines.at + c[i].a, c[i].na);
            lines_add(to, '+', b->lines.at + c[i].b, c[i].nb);
            at = c[i].a + c[i].na;
        }
        lines_add(to, ' ', a->lines.at + last, after);
    }
}

/* Neighbouring lines that go and come are one change. */
static void
changes_show(const struct differing *f, struct str *to)
{
    VEC(struct change) changes = {0};
    const size_t skipped = f->texts->lines.len ? (size_t)(f->a - f->texts->lines.at) : 0;
    size_t x = 0, y = 0;
    while (x < (size_t)f->na || y < (size_t)f->nb) {
        struct change c = {.a = skipped + x, .b = skipped + y};
        while (x < (size_t)f->na && f->out[x])
            x++, c.na++;
        while (y < (size_t)f->nb && f->in[y])
            y++, c.nb++;
        if (c.na || c.nb) {
            vec_push(&changes, c);
            continue;
        }
        x++;
        y++;
    }
    hunks_add(f, changes.at, changes.len, to);
    vec_fini(&changes);
}

bool
text_diff(const char *a, const char *b, unsigned context, struct str *to)
{
    struct text texts[2] = {0}, *x = &texts[0], *y = &texts[1];
    int edits = -1;
    if (lines_split(x, a) && lines_split(y, b)) {
        size_t first = 0, na = x->lines.len, nb = y->lines.len;
        while (first < na && first < nb && same(&x->lines.at[first], &y->lines.at[first]))
            first++;
        while (na > first && nb > first && same(&x->lines.at[na - 1], &y->lines.at[nb - 1]))
            na--, nb--;
        struct differing f = {.texts = texts,
                              .context = context,
                              .a = first ? x->lines.at + first : x->lines.at,
                              .b = first ? y->lines.at + first : y->lines.at,
                              .na = (int)(na - first),
                              .nb = (int)(nb - first)};
        f.out = xcalloc((size_t)f.na, sizeof *f.out);
        f.in = xcalloc((size_t)f.nb, sizeof *f.in);
        edits = search(&f);
        if (edits >= 0)
            script(&f, edits);
        if (edits > 0)
            changes_show(&f, to);
        free(f.out);
        free(f.in);
        free(f.reach);
    }
    vec_fini(&x->lines);
    vec_fini(&y->lines);
    return edits >= 0;
}
