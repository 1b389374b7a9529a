/* doubt.c - answers for steps in doubt, by path. */
#include "engine/step/doubt.h"
#include "base/vec.h"
#include "engine/journal/undolog.h"
#include <stdlib.h>
#include <string.h>

struct answer {
    char *path;
    enum in_doubt is;
};
struct doubts {
    enum in_doubt otherwise;
    VEC(struct answer) some;
};

static bool
answer_parse(const char *p, size_t n, enum in_doubt *ret)
{
    static const char *const names[] = {"park", "done", "retry", "fail"};
    for (size_t i = 0; i < COUNT(names); i++) {
        if (strlen(names[i]) == n && memcmp(names[i], p, n) == 0) {
            *ret = (enum in_doubt)i;
            return true;
        }
    }
    return false;
}

/* One of the list: an answer, or path=answer. A path may hold '=' itself. */
static struct err *
one_parse(struct doubts *d, const char *p, size_t n)
{
    const char *sign = memrchr(p, '=', n), *word = sign ? sign + 1 : p;
    enum in_doubt is;
    if (!answer_parse(word, (size_t)(p + n - word), &is))
        return FAIL(ERR_INVALID, "in doubt: '%.*s' is none of park, done, retry, fail",
                    (int)MIN(p + n - word, 60), word);
    if (sign == p)
        return FAIL(ERR_INVALID, "in doubt: '%.*s' names no node", (int)MIN(n, 60), p);
    if (sign)
        vec_push(&d->some, ((struct answer){xstrndup(p, (size_t)(sign - p)), is}));
    else
        d->otherwise = is;
    return NULL;
}

struct err *
doubts_parse(const char *text, struct doubts **ret_doubts)
{
    struct doubts *d = xcalloc(1, sizeof *d);
    struct err *e = NULL;
    for (const char *p = text; p && !e;) {
        size_t n = strcspn(p, ",");
        e = one_parse(d, p, n);
        p = p[n] ? p + n + 1 : NULL;
    }
    if (e) {
        doubts_free(d);
        return e;
    }
    *ret_doubts = d;
    return NULL;
}

void
doubts_free(struct doubts *d)
{
    if (!d)
        return;
    vec_each (&d->some, a)
        free(a->path);
    vec_fini(&d->some);
    free(d);
}

/* What is said of a node is not said of its undo. */
bool
doubts_covers(const char *of, const char *path)
{
    size_t n = strlen(of);
    const char *undo = undo_part(path);
    if (undo && n < (size_t)(undo - path))
        return false;
    return strncmp(of, path, n) == 0 && (!path[n] || path[n] == '/');
}

enum in_doubt
doubts_answer(const struct doubts *d, const char *path)
{
    enum in_doubt is = d ? d->otherwise : IN_DOUBT_PARK;
    size_t nearest = 0;
    for (size_t i = 0; d && i < d->some.len; i++) {
        const struct answer *a = &d->some.at[i];
        if (strlen(a->path) > nearest && doubts_covers(a->path, path)) {
            nearest = strlen(a->path);
            is = a->is;
        }
    }
    return is;
}

const char *
doubts_path(const struct doubts *d, size_t n)
{
    return d && n < d->some.len ? d->some.at[n].path : NULL;
}
