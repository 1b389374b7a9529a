/* problems.c - errors in order of their place. */
#include "spec/problems.h"
#include <stdlib.h>

void
problems_fini(struct problems *p)
{
    vec_each (&p->list, i)
        err_free(i->err);
    vec_fini(&p->list);
    p->total = 0;
}

bool
problems_full(const struct problems *p)
{
    return p->list.len >= PROBLEMS_KEPT_MAX;
}

void
problems_add(struct problems *p, unsigned file, struct err *e)
{
    p->total++;
    if (problems_full(p)) {
        err_drop(e);
        return;
    }
    const struct src_pos at = err_pos(e);
    const struct problem one = {at.line ? file : 0, at.line, at.col, p->list.len, e};
    vec_push(&p->list, one);
}

static int
problem_order(const void *a, const void *b)
{
    const struct problem *x = a, *y = b;
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    if (x->col != y->col)
        return x->col < y->col ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

struct err *
problems_steal(struct problems *p)
{
    struct err *all = NULL;
    size_t shown = 0;
    if (p->list.len)
        qsort(p->list.at, p->list.len, sizeof *p->list.at, problem_order);
    for (; shown < p->list.len && shown < PROBLEMS_SHOWN_MAX; shown++)
        err_join(&all, STEAL(p->list.at[shown].err));
    if (p->total > shown)
        err_join(&all, FAIL(ERR_INVALID, "and %zu more", p->total - shown));
    problems_fini(p);
    return all;
}
