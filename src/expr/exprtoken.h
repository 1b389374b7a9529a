/* exprtoken.h - Lua's words, with places, for expressions and scripts.
 *
 * Reads one token at a time and knows nothing of grammar. Accepts != && || ! beside Lua's own
 * operators. The text is borrowed. */
#ifndef EXPR_EXPRTOKEN_H
#define EXPR_EXPRTOKEN_H
#include "base/err.h"

enum token_kind { TOKEN_END, TOKEN_NAME, TOKEN_KEYWORD, TOKEN_NUMBER, TOKEN_TEXT, TOKEN_OP };

struct token {
    enum token_kind kind;
    const char *p; /* as written, quotes included */
    size_t len;
    struct src_pos at;
};
struct token_reader {
    const char *p, *end;
    struct src_pos at; /* of p */
};

/* White space and comments are skipped. ERR_INVALID at the place of what is wrong. */
struct err *MUST token_next(struct token_reader *r, struct token *ret_token);
/* Moves over n bytes, counting lines and columns (characters, not bytes). */
void token_skip(struct token_reader *r, size_t n);
bool
token_is(const struct token *t, const char *op_or_keyword); /* never true for names and texts */
/* The content of a text token without escapes in s; false when it has escapes or is a long text. */
bool token_plain_text(const struct token *t, const char **ret_p, size_t *ret_len);
#endif
