/* problems.h - the errors of all files of a configuration, gathered and then told in order.
 *
 * A user wants to see everything that is wrong in one go, by file and line. Problems are kept up to
 * a bound and counted beyond it; the list that comes out is what err_print prints, one a line. */
#ifndef SPEC_PROBLEMS_H
#define SPEC_PROBLEMS_H
#include "base/err.h"
#include "base/vec.h"

#define PROBLEMS_SHOWN_MAX 100  /* told one by one; then "and N more" */
#define PROBLEMS_KEPT_MAX  1000 /* remembered for sorting */

struct problem {
    unsigned file; /* files in order of reading; 0: no file */
    unsigned line, col;
    size_t order; /* of finding, where two share a place */
    struct err *err;
};

struct problems {
    VEC(struct problem) list;
    size_t total;
};

void problems_fini(struct problems *p);
/* True: further ones are only counted, so that it is idle to look for their place. */
bool problems_full(const struct problems *p);
/* Takes over e (a single error); its position must be that of `file`. */
void problems_add(struct problems *p, unsigned file, struct err *OWN e);
/* All of them as one list in order of file, line and column; NULL when there is none. p is empty
 * afterwards. */
struct err *MUST problems_steal(struct problems *p);
#endif
