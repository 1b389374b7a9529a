/* exprscan.c - two walks over the tokens: the first matches brackets and blocks, the second judges
 * names, lists references and writes the text for Lua. Locals are known by name only, wherever they
 * are declared in the text: good enough to not complain about them. */
#include "expr/exprscan.h"
#include "base/map.h"
#include "base/near.h"
#include "expr/exprtoken.h"
#include <string.h>

static const struct {
    const char *name;
    unsigned use;
} names[] = {
    {"input", EXPR_INPUT},
    {"inputs", EXPR_INPUTS},
    {"steps", EXPR_STEPS},
    {"item", EXPR_ITEM},
    {"index", EXPR_INDEX},
    {"output", EXPR_OUTPUT},
    {"run", EXPR_RUN},
    {"vars", EXPR_VARS},
    {"now", EXPR_NOW},
    {"date", EXPR_NOW},
    {"null", 0},
    {"json", 0},
    {"parse", 0},
    {"len", 0},
    {"first", 0},
    {"last", 0},
    {"keys", 0},
    {"contains", 0},
    {"default", 0},
    {"trim", 0},
    {"lower", 0},
    {"upper", 0},
    {"split", 0},
    {"join", 0},
    {"matches", 0},
    {"replace", 0},
    {"round", 0},
    {"min", 0},
    {"max", 0},
    {"tonumber", 0},
    {"tostring", 0},
    {"type", 0},
    {"pairs", 0},
    {"ipairs", 0},
    {"select", 0},
    {"error", 0},
    {"assert", 0},
    {"pcall", 0},
    {"string", 0},
    {"table", 0},
    {"math", 0},
    {"utf8", 0},
};

struct walk {
    const struct scan_input *in;
    struct scan *out;
    VEC(struct token) tokens;
    struct map *locals;     /* names declared anywhere in the text, or NULL */
    VEC(struct token) open; /* brackets and blocks not closed yet */
    struct src_pos end;     /* after the last token */
};

static const struct token nothing = {.kind = TOKEN_END, .p = ""};

static const struct token *
token_at(const struct walk *w, size_t i)
{
    return i < w->tokens.len ? &w->tokens.at[i]
                             : &nothing; /* i - 1 of 0 wraps to nothing as well */
}

/* After a dot (or a method's colon) even a keyword is only a member's name. */
static bool
is_member(const struct walk *w, size_t i)
{
    const struct token *before = token_at(w, i - 1);
    return token_is(before, ".") || (token_is(before, ":") && token_at(w, i)->kind == TOKEN_NAME);
}

static char *
token_name(const struct token *t)
{
    return xstrndup(t->p, t->len);
}

/* ---- first walk: brackets and blocks --------------------------------------- */
static bool
opens(const struct token *t)
{
    static const char *const word[] = {"(", "[", "{", "function", "if", "do", "repeat"};
    for (size_t i = 0; i < COUNT(word); i++) {
        if (token_is(t, word[i]))
            return true;
    }
    return false;
}

static const char *
closer_of(const struct token *open)
{
    return token_is(open, "(")        ? ")"
           : token_is(open, "[")      ? "]"
           : token_is(open, "{")      ? "}"
           : token_is(open, "repeat") ? "until"
                                      : "end";
}

static bool
closes(const struct token *t)
{
    return token_is(t, ")") || token_is(t, "]") || token_is(t, "}") || token_is(t, "end") ||
           token_is(t, "until");
}

static struct err *MUST
block_close(struct walk *w, const struct token *t)
{
    if (!w->open.len)
        return FAIL_AT(t->at, ERR_INVALID, "unexpected '%.*s': nothing is open here", (int)t->len,
                       t->p);
    const struct token *open = &vec_last(&w->open);
    if (!token_is(t, closer_of(open)))
        return FAIL_AT(t->at, ERR_INVALID,
                       "unexpected '%.*s': '%.*s' at line %u, column %u wants '%s' first",
                       (int)t->len, t->p, (int)open->len, open->p, open->at.line, open->at.col,
                       closer_of(open));
    w->open.len--;
    return NULL;
}

/* Outside of functions an expression holds no statements. */
static struct err *MUST
statement_refuse(const struct walk *w, const struct token *t)
{
    static const char *const word[] = {"if",     "for",  "while", "repeat", "local", "return",
                                       "do",     "goto", "break", "until",  "then",  "else",
                                       "elseif", "in",   "end",   "::",     ";",     "..."};
    if (w->in->mode == SCAN_SCRIPT)
        return NULL;
    for (size_t i = 0; i < w->open.len; i++) {
        if (token_is(&w->open.at[i], "function"))
            return NULL;
    }
    if (token_is(t, ";") && w->open.len && token_is(&vec_last(&w->open), "{"))
        return NULL;
    if (token_is(t, "return"))
        return FAIL_AT(t->at, ERR_INVALID, "leave out 'return': the expression is the value");
    for (size_t i = 0; i < COUNT(word); i++) {
        if (token_is(t, word[i]))
            return FAIL_AT(t->at, ERR_INVALID,
                           "unexpected '%s': one expression is expected, not statements", word[i]);
    }
    if (token_is(t, "=") && (!w->open.len || !token_is(&vec_last(&w->open), "{")))
        return FAIL_AT(t->at, ERR_INVALID, "unexpected '=' (to compare, write '==')");
    return NULL;
}

static struct err *MUST
fail_open(const struct walk *w)
{
    const struct token *open = &vec_last(&w->open);
    return FAIL_AT(open->at, ERR_INVALID, "'%.*s' is never closed by '%s'", (int)open->len, open->p,
                   closer_of(open));
}

static struct err *MUST
fail_braces(const struct walk *w)
{
    struct src_pos at = w->in->at; /* right behind the braces */
    at.col -= at.col > 2 ? 2 : 0;
    return FAIL_AT(at, ERR_INVALID, "'{{' is never closed by '}}'%s",
                   w->in->len == EXPR_BYTES_MAX ? " within 64 KB" : "");
}

static struct err *MUST
walk_read(struct walk *w)
{
    struct token_reader r = {w->in->text, w->in->text + w->in->len, w->in->at};
    for (;;) {
        struct token t;
        PASS(token_next(&r, &t));
        w->end = t.at;
        w->out->taken = (size_t)(r.p - w->in->text);
        if (t.kind == TOKEN_END && w->in->mode == SCAN_BRACES)
            return fail_braces(w);
        if (t.kind == TOKEN_END)
            return w->open.len ? fail_open(w) : NULL;
        if (w->in->mode == SCAN_BRACES && !w->open.len && token_is(&t, "}") && r.p < r.end &&
            *r.p == '}') {
            w->out->taken++;
            return NULL;
        }
        vec_push(&w->tokens, t);
        if (is_member(w, w->tokens.len - 1))
            continue;
        if (opens(&t)) {
            PASS(statement_refuse(w, &t));
            if (w->open.len == SCAN_DEPTH_MAX)
                return FAIL_AT(t.at, ERR_INVALID, "nested deeper than %d", SCAN_DEPTH_MAX);
            vec_push(&w->open, t);
        } else if (closes(&t) && w->open.len) {
            PASS(block_close(w, &t));
        } else {
            PASS(statement_refuse(w, &t));
            if (closes(&t))
                PASS(block_close(w, &t));
        }
    }
}

/* ---- locals ---------------------------------------------------------------- */
static void
local_add(struct walk *w, const struct token *t)
{
    AUTO(freep) char *name = token_name(t);
    if (!w->locals)
        w->locals = map_new();
    map_put(w->locals, name, w);
}

/* NAME {, NAME} from token i on, attributes skipped. */
static void
locals_add_list(struct walk *w, size_t i)
{
    while (token_at(w, i)->kind == TOKEN_NAME) {
        local_add(w, token_at(w, i++));
        if (token_is(token_at(w, i), "<"))
            i += 3;
        if (!token_is(token_at(w, i), ","))
            return;
        i++;
    }
}

static void
locals_find(struct walk *w)
{
    for (size_t i = 0; i < w->tokens.len; i++) {
        const struct token *t = token_at(w, i), *next = token_at(w, i + 1);
        if (t->kind != TOKEN_KEYWORD || is_member(w, i))
            continue;
        if (token_is(t, "function")) {
            size_t k = i + 1;
            if (next->kind == TOKEN_NAME)
                local_add(w, next);
            while (k < w->tokens.len && !token_is(token_at(w, k), "("))
                k++;
            locals_add_list(w, k + 1);
            i = MAX(i, k - 1);
        } else if (token_is(t, "local") || token_is(t, "for")) {
            locals_add_list(w, i + 1);
        }
    }
}

static bool
is_local(const struct walk *w, const char *name)
{
    return w->locals && map_has(w->locals, name);
}

/* ---- second walk: names ---------------------------------------------------- */
/* A name that stands for a value: not a member, a label or the key in {key = value}. */
static bool
is_variable(const struct walk *w, size_t i)
{
    const struct token *t = token_at(w, i), *before = token_at(w, i - 1),
                       *next = token_at(w, i + 1);
    if (t->kind != TOKEN_NAME || is_member(w, i) || token_is(before, "goto") ||
        (token_is(before, "::") && token_is(next, "::")))
        return false;
    if (token_is(before, "<") && token_is(next, ">") &&
        (str_starts(t->p, "const") || str_starts(t->p, "close")))
        return false;
    return !token_is(next, "=") ||
           !(token_is(before, "{") || token_is(before, ",") || token_is(before, ";"));
}

static void
ref_add(struct walk *w, enum expr_ref_kind kind, char *OWN name, struct src_pos at)
{
    struct expr_ref ref = {kind, name, at};
    vec_push(&w->out->refs, ref);
}

/* steps.id, steps["id"]: the member's name is listed; anything else may mean any of them. */
static void
member_note(struct walk *w, size_t i, enum expr_ref_kind kind, unsigned any)
{
    const struct token *next = token_at(w, i + 1), *member = token_at(w, i + 2);
    const char *p;
    size_t n;
    if (token_is(next, ".") && (member->kind == TOKEN_NAME || member->kind == TOKEN_KEYWORD))
        ref_add(w, kind, token_name(member), member->at);
    else if (token_is(next, "[") && token_is(token_at(w, i + 3), "]") &&
             token_plain_text(member, &p, &n))
        ref_add(w, kind, xstrndup(p, n), member->at);
    else
        w->out->uses |= any;
}

static struct err *MUST
fail_unknown(const struct walk *w, size_t i, const char *name)
{
    static const char *const word[] = {"and", "or", "not", "nil", "true", "false"};
    const struct token *t = token_at(w, i), *a = token_at(w, i - 2), *b = token_at(w, i - 4);
    if (token_is(token_at(w, i - 1), "-") && is_member(w, i - 2) && b->kind == TOKEN_NAME &&
        a->p + a->len + 1 == t->p)
        return FAIL_AT(t->at, ERR_INVALID,
                       "unknown name '%s' (a name with '-' is written "
                       "%.*s[\"%.*s-%s\"])",
                       name, (int)b->len, b->p, (int)a->len, a->p, name);
    struct near near = NEAR_INIT(name);
    for (size_t k = 0; k < COUNT(names); k++)
        near_offer(&near, names[k].name);
    for (size_t k = 0; k < COUNT(word); k++)
        near_offer(&near, word[k]);
    for (size_t k = 0; w->in->names && w->in->names[k]; k++)
        near_offer(&near, w->in->names[k]);
    if (near.best)
        return FAIL_AT(t->at, ERR_INVALID, "unknown name '%s' (did you mean '%s'?)", name,
                       near.best);
    return FAIL_AT(t->at, ERR_INVALID, "unknown name '%s' (text is written in quotes: '%s')", name,
                   name);
}

static struct err *MUST
name_check(struct walk *w, size_t i)
{
    const struct token *t = token_at(w, i);
    AUTO(freep) char *name = token_name(t);
    bool local = is_local(w, name);
    for (size_t k = 0; k < COUNT(names); k++) {
        if (strcmp(name, names[k].name) != 0)
            continue;
        w->out->uses |= names[k].use;
        if (names[k].use == EXPR_STEPS && !local)
            member_note(w, i, EXPR_REF_STEP, EXPR_STEPS_ANY);
        if (names[k].use == EXPR_INPUTS && !local)
            member_note(w, i, EXPR_REF_INPUT, EXPR_INPUTS_ANY);
        return NULL;
    }
    for (size_t k = 0; w->in->names && w->in->names[k]; k++) {
        if (strcmp(name, w->in->names[k]) == 0) {
            ref_add(w, EXPR_REF_LOCAL, STEAL(name), t->at);
            return NULL;
        }
    }
    return local ? NULL : fail_unknown(w, i, name);
}

/* ---- writing --------------------------------------------------------------- */
/* Line ends inside a token are lines for Lua as well; \r\n and \n\r are one. */
static void
write_line(struct walk *w, const char *p, size_t n, struct src_pos at)
{
    str_addn(&w->out->lua, p, n);
    str_addc(&w->out->lua, '\n');
    vec_push(&w->out->lines, at);
    for (size_t i = 0; i < n; i++) {
        if (p[i] != '\n' && p[i] != '\r')
            continue;
        if (i + 1 < n && (p[i + 1] == '\n' || p[i + 1] == '\r') && p[i + 1] != p[i])
            i++;
        vec_push(&w->out->lines, at);
    }
}

static void
write_token(struct walk *w, size_t i)
{
    static const struct {
        const char *from, *to;
    } spelled[] = {
        {"!=", "~="},
        {"&&", "and"},
        {"||", "or"},
        {"!", "not"},
    };
    const struct token *t = token_at(w, i);
    if (token_is(t, ".") && token_at(w, i + 1)->kind == TOKEN_KEYWORD)
        return; /* x.end becomes x["end"] */
    if (t->kind == TOKEN_KEYWORD && token_is(token_at(w, i - 1), ".")) {
        AUTO(freep) char *member = xasprintf("[\"%.*s\"]", (int)t->len, t->p);
        write_line(w, member, strlen(member), t->at);
        return;
    }
    for (size_t k = 0; k < COUNT(spelled); k++) {
        if (token_is(t, spelled[k].from)) {
            write_line(w, spelled[k].to, strlen(spelled[k].to), t->at);
            return;
        }
    }
    write_line(w, t->p, t->len, t->at);
}

static struct err *MUST
walk_write(struct walk *w)
{
    bool script = w->in->mode == SCAN_SCRIPT;
    if (!script)
        write_line(w, "return (", 8, w->in->at);
    for (size_t i = 0; i < w->tokens.len; i++) {
        if (!script && is_variable(w, i))
            PASS(name_check(w, i));
        write_token(w, i);
    }
    if (!script)
        write_line(w, ")", 1, w->end);
    vec_push(&w->out->lines, w->end); /* for Lua's <eof> */
    return NULL;
}

struct err *
scan_text(const struct scan_input *in, struct scan *ret)
{
    struct walk w = {.in = in, .out = ret, .end = in->at};
    struct err *e = walk_read(&w);
    if (!e && !w.tokens.len && in->mode != SCAN_SCRIPT)
        e = FAIL_AT(in->at, ERR_INVALID, "an expression is expected, but there is none");
    if (!e) {
        locals_find(&w);
        e = walk_write(&w);
    }
    vec_fini(&w.tokens);
    vec_fini(&w.open);
    map_free(w.locals);
    return e;
}

void
scan_fini(struct scan *s)
{
    str_fini(&s->lua);
    vec_fini(&s->lines);
    vec_each (&s->refs, ref)
        free((char *)(uintptr_t)ref->name);
    vec_fini(&s->refs);
}
