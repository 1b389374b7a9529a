/* exprscan.h - from a user's text to text for Lua, with every place kept.
 *
 * The text made holds one token a line, so that the line in any message of Lua's names a token and
 * by `lines` its place in the user's file. On the way brackets are matched, names are checked and
 * references are listed. Pure; linear in the text. */
#ifndef EXPR_EXPRSCAN_H
#define EXPR_EXPRSCAN_H
#include "base/vec.h"
#include "expr/expr.h"

#define SCAN_DEPTH_MAX                                                                             \
    100 /* brackets and blocks within each other; Lua's parser stands about 190 */

enum scan_mode {
    SCAN_EXPR,   /* the whole text is one expression */
    SCAN_BRACES, /* one expression up to the }} that ends it */
    SCAN_SCRIPT, /* statements; names are not checked */
};

struct scan_input {
    enum scan_mode mode;
    const char *text;
    size_t len;
    struct src_pos at;        /* file borrowed by everything that is made */
    const char *const *names; /* allowed beside the usual; ends with NULL; may be NULL */
};

struct scan {
    struct str lua;            /* a chunk; for expressions it returns the value */
    VEC(struct src_pos) lines; /* [line - 1]: the place in the user's file */
    VEC(struct expr_ref) refs; /* names owned */
    unsigned uses;             /* enum expr_use */
    size_t taken;              /* bytes of the text read, the }} included */
};

/* ret must be zeroed; scan_fini it also after an error. */
struct err *MUST scan_text(const struct scan_input *in, struct scan *ret);
void scan_fini(struct scan *s);
#endif
