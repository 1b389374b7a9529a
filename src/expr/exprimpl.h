/* exprimpl.h - inside src/expr: what expressions and templates share. */
#ifndef EXPR_EXPRIMPL_H
#define EXPR_EXPRIMPL_H
#include "expr/exprlua.h"
#include "expr/exprscan.h"

struct expr_space {
    struct luastate *lua;
    const char *const *names; /* of expr_space_allow; may be NULL */
};

struct expr_text { /* a piece of a user's text that is one expression */
    enum scan_mode mode;
    const char *text;
    size_t len;
    struct src_pos at;
};

/* ret_taken: bytes of the text read. */
struct err *MUST expr_compile_text(struct expr_space *space, const struct expr_text *text,
                                   struct expr **OWN ret_expr, size_t *ret_taken);
/* Appends the value as text to s, bounded by TEMPLATE_BYTES_MAX in all. */
struct err *MUST expr_splice(const struct expr *e, const struct expr_scope *scope, struct str *s);
struct src_pos pos_or_start(struct src_pos at); /* NOWHERE becomes line 1, column 1 */
#endif
