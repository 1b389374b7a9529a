/* exprtoken.c - the tokenizer. It must agree with Lua's own on where each token ends; what is
 * inside a number or an escape is left for Lua's parser to judge. */
#include "expr/exprtoken.h"
#include "base/str.h"
#include <string.h>

static const char *const keywords[] = {
    "and",      "break",  "do",   "else", "elseif", "end",   "false", "for",
    "function", "goto",   "if",   "in",   "local",  "nil",   "not",   "or",
    "repeat",   "return", "then", "true", "until",  "while",
};

/* Longest first. */
static const char *const operators[] = {
    "...", "..", "==", "~=", "<=", ">=", "//", "::", "<<", ">>", "!=", "&&", "||",
    "+",   "-",  "*",  "/",  "%",  "^",  "#",  "&",  "~",  "|",  "<",  ">",  "=",
    "(",   ")",  "{",  "}",  "[",  "]",  ";",  ":",  ",",  ".",  "!",
};

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool
is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

void
token_skip(struct token_reader *r, size_t n)
{
    for (; n && r->p < r->end; n--, r->p++) {
        if (*r->p == '\n') {
            r->at.line++;
            r->at.col = 1;
        } else if (((unsigned char)*r->p & 0xc0) != 0x80) {
            r->at.col++;
        }
    }
}

/* The length of the opening "[==[" at p and its level, or 0. */
static size_t
long_open(const char *p, const char *end, size_t *ret_level)
{
    const char *q = p;
    if (q == end || *q != '[')
        return 0;
    for (q++; q < end && *q == '=';)
        q++;
    if (q == end || *q != '[')
        return 0;
    *ret_level = (size_t)(q - p) - 1;
    return (size_t)(q - p) + 1;
}

/* The length of the long bracket at p up to and with its close; 0: never closed. Linear: a failed
 * close cannot start again inside its own '=' signs. */
static size_t
long_len(const char *p, const char *end, size_t open, size_t level)
{
    for (const char *q = p + open; q < end;) {
        if (*q++ != ']')
            continue;
        size_t n = 0;
        while (q < end && *q == '=') {
            q++;
            n++;
        }
        if (n == level && q < end && *q == ']')
            return (size_t)(q + 1 - p);
    }
    return 0;
}

static struct err *MUST
skip_blank(struct token_reader *r)
{
    while (r->p < r->end) {
        if (is_space(*r->p)) {
            token_skip(r, 1);
            continue;
        }
        if (r->end - r->p < 2 || r->p[0] != '-' || r->p[1] != '-')
            return NULL;
        size_t level, open = long_open(r->p + 2, r->end, &level), len;
        if (open) {
            len = long_len(r->p + 2, r->end, open, level);
            if (!len)
                return FAIL_AT(r->at, ERR_INVALID, "this comment is never closed");
            len += 2;
        } else {
            const char *line_end = memchr(r->p, '\n', (size_t)(r->end - r->p));
            len = (size_t)((line_end ? line_end : r->end) - r->p);
        }
        token_skip(r, len);
    }
    return NULL;
}

/* As Lua reads numerals: greedy over everything that could belong to one. */
static size_t
number_len(const char *p, const char *end)
{
    const char *q = p, *exponent = "eE";
    if (end - p > 1 && p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
        exponent = "pP";
        q += 2;
    }
    while (q < end) {
        if (*q == exponent[0] || *q == exponent[1]) {
            q++;
            if (q < end && (*q == '+' || *q == '-'))
                q++;
        } else if (is_digit(*q) || is_name_start(*q) || *q == '.') {
            q++;
        } else {
            break;
        }
    }
    return (size_t)(q - p);
}

static size_t
quoted_len(const char *p, const char *end)
{
    for (const char *q = p + 1; q < end;) {
        if (*q == *p)
            return (size_t)(q + 1 - p);
        if (*q == '\n' || *q == '\r')
            return 0;
        if (*q != '\\') {
            q++;
            continue;
        }
        if (++q == end)
            return 0;
        char escaped = *q++;
        if (escaped == 'z') {
            while (q < end && is_space(*q))
                q++;
        } else if (escaped == '\r' && q < end && *q == '\n') {
            q++;
        }
    }
    return 0;
}

static bool
is_keyword(const char *p, size_t n)
{
    for (size_t i = 0; i < COUNT(keywords); i++) {
        if (keywords[i][0] == *p && strlen(keywords[i]) == n && memcmp(keywords[i], p, n) == 0)
            return true;
    }
    return false;
}

static struct err *MUST
fail_character(const struct token_reader *r)
{
    size_t n = 1;
    while (r->p + n < r->end && ((unsigned char)r->p[n] & 0xc0) == 0x80 && n < 4)
        n++;
    if (*r->p == '?')
        return FAIL_AT(r->at, ERR_INVALID, "unexpected '?' (write 'a and b or c' for 'a ? b : c')");
    if ((unsigned char)*r->p < 0x20)
        return FAIL_AT(r->at, ERR_INVALID, "unexpected byte 0x%02x", (unsigned char)*r->p);
    AUTO(str_fini) struct str shown = STR_INIT;
    str_add_utf8(&shown, r->p, n);
    return FAIL_AT(r->at, ERR_INVALID, "unexpected character '%s'", str_c(&shown));
}

static struct err *MUST
token_measure(const struct token_reader *r, struct token *t)
{
    const char *p = r->p, *end = r->end;
    size_t level, open;
    if (p == end) {
        t->kind = TOKEN_END;
    } else if (is_name_start(*p)) {
        while (p + t->len < end && (is_name_start(p[t->len]) || is_digit(p[t->len])))
            t->len++;
        t->kind = is_keyword(p, t->len) ? TOKEN_KEYWORD : TOKEN_NAME;
    } else if (is_digit(*p) || (*p == '.' && end - p > 1 && is_digit(p[1]))) {
        t->kind = TOKEN_NUMBER;
        t->len = number_len(p, end);
    } else if (*p == '"' || *p == '\'') {
        t->kind = TOKEN_TEXT;
        t->len = quoted_len(p, end);
        if (!t->len)
            return FAIL_AT(r->at, ERR_INVALID, "this text is never closed by %c", *p);
    } else if ((open = long_open(p, end, &level))) {
        t->kind = TOKEN_TEXT;
        t->len = long_len(p, end, open, level);
        if (!t->len)
            return FAIL_AT(r->at, ERR_INVALID, "this text is never closed");
    } else {
        t->kind = TOKEN_OP;
        for (size_t i = 0; i < COUNT(operators) && !t->len; i++) {
            size_t n = operators[i][0] == *p ? strlen(operators[i]) : 0;
            if (n && (size_t)(end - p) >= n && memcmp(p, operators[i], n) == 0)
                t->len = n;
        }
        if (!t->len)
            return fail_character(r);
    }
    return NULL;
}

struct err *
token_next(struct token_reader *r, struct token *ret_token)
{
    PASS(skip_blank(r));
    struct token t = {.p = r->p, .at = r->at};
    PASS(token_measure(r, &t));
    token_skip(r, t.len);
    *ret_token = t;
    return NULL;
}

bool
token_is(const struct token *t, const char *op_or_keyword)
{
    return (t->kind == TOKEN_OP || t->kind == TOKEN_KEYWORD) && t->p[0] == op_or_keyword[0] &&
           strlen(op_or_keyword) == t->len && memcmp(t->p, op_or_keyword, t->len) == 0;
}

bool
token_plain_text(const struct token *t, const char **ret_p, size_t *ret_len)
{
    if (t->kind != TOKEN_TEXT || t->p[0] == '[' || memchr(t->p, '\\', t->len))
        return false;
    *ret_p = t->p + 1;
    *ret_len = t->len - 2;
    return true;
}
