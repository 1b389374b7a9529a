/* exprtemplate.c - text with {{ expressions }} in it. */
#include "expr/exprimpl.h"
#include "expr/exprtoken.h"
#include <stdlib.h>
#include <string.h>

struct part { /* text, then an expression; either may be missing */
    char *text;
    size_t len;
    struct expr *expr;
};

struct template
{
    VEC(struct part) parts;
    VEC(struct expr_ref) refs; /* of all parts; borrowed from them */
    unsigned uses;
};

bool
template_has_braces(const char *text)
{
    return strstr(text, "{{") != NULL;
}

static void
part_note(struct template *t, const struct expr *e)
{
    struct expr_refs refs = expr_refs(e);
    t->uses |= refs.uses;
    for (size_t i = 0; i < refs.len; i++)
        vec_push(&t->refs, refs.at[i]);
}

static struct err *MUST
template_read(struct template *t, struct expr_space *space, struct token_reader *r)
{
    while (r->p < r->end) {
        const char *open = strstr(r->p, "{{");
        struct part part = {.len = (size_t)((open ? open : r->end) - r->p)};
        part.text = xstrndup(r->p, part.len);
        vec_push(&t->parts, part);
        token_skip(r, part.len);
        if (!open)
            return NULL;
        if (t->parts.len > TEMPLATE_PARTS_MAX)
            return FAIL_AT(r->at, ERR_INVALID, "more than %d '{{' in one text", TEMPLATE_PARTS_MAX);
        token_skip(r, 2);
        size_t taken;
        struct expr_text text = {SCAN_BRACES, r->p, (size_t)(r->end - r->p), r->at};
        PASS(expr_compile_text(space, &text, &vec_last(&t->parts).expr, &taken));
        part_note(t, vec_last(&t->parts).expr);
        token_skip(r, taken);
    }
    return NULL;
}

struct err *
template_compile(struct expr_space *space, const char *text, struct src_pos at,
                 struct template **ret_template)
{
    size_t len = strlen(text);
    struct token_reader r = {text, text + len, pos_or_start(at)};
    if (len > TEMPLATE_BYTES_MAX)
        return FAIL_AT(r.at, ERR_INVALID, "the text is longer than %zu MB",
                       TEMPLATE_BYTES_MAX >> 20);
    AUTO(template_freep) struct template *t = xcalloc(1, sizeof *t);
    PASS(template_read(t, space, &r));
    *ret_template = STEAL(t);
    return NULL;
}

void
template_free(struct template *t)
{
    if (!t)
        return;
    vec_each (&t->parts, part) {
        free(part->text);
        expr_free(part->expr);
    }
    vec_fini(&t->parts);
    vec_fini(&t->refs);
    free(t);
}

void
template_freep(struct template **t)
{
    template_free(*t);
    *t = NULL;
}

struct expr_refs
template_refs(const struct template *t)
{
    return (struct expr_refs){t->refs.at, t->refs.len, t->uses};
}

struct err *
template_eval(const struct template *t, const struct expr_scope *scope, json_t **ret_json)
{
    if (t->parts.len == 1 && t->parts.at[0].expr && !t->parts.at[0].len)
        return expr_eval(t->parts.at[0].expr, scope, ret_json);
    AUTO(str_fini) struct str s = STR_INIT;
    for (size_t i = 0; i < t->parts.len; i++) {
        const struct part *part = &t->parts.at[i];
        str_addn(&s, part->text, part->len);
        if (part->expr)
            PASS(expr_splice(part->expr, scope, &s));
    }
    *ret_json = json_string_lossy(str_c(&s), s.len);
    return NULL;
}
