/* text.c - what is inside of texts: templates, conditions, variables; and JSON Schemas.
 *
 * They are compiled here only to find mistakes early, with their place in the file; whoever runs
 * them compiles again. */
#include "expr/expr.h"
#include "schema/schema.h"
#include "spec/check.h"
#include "spec/expand.h"
#include <string.h>

#define WARNINGS_MAX 100

/* An error that has its place inside of the text (or none) gets its place in the file. */
static void
text_fail(struct check *c, const struct ynode *n, struct err *OWN e)
{
    const struct src_pos in = err_pos(e);
    const struct src_pos at = in.line ? yaml_line_pos(n, in.line, in.col) : yaml_pos(n);
    AUTO(freep) char *text = err_text(e), *whole = xasprintf("'%s': %s", str_c(&c->path), text);
    check_fail_at(c, n->file ? n->file->index : 0, at, ERR_INVALID, whole);
    err_drop(e);
}

void
check_template(struct check *c, const struct ynode *n)
{
    AUTO(template_freep) struct template *t = NULL;
    if (!template_has_braces(n->text))
        return;
    struct err *e = template_compile(c->space, n->text, NOWHERE, &t);
    if (e)
        text_fail(c, n, e);
}

void
check_condition(struct check *c, const struct ynode *n)
{
    AUTO(expr_freep) struct expr *x = NULL;
    struct err *e = expr_compile(c->space, n->text, NOWHERE, &x);
    if (e)
        text_fail(c, n, e);
}

void
check_schema(struct check *c, const struct ynode *n, const json_t *schema)
{
    AUTO(schema_freep) struct schema *s = NULL;
    struct err *e = schema_compile(schema, &s);
    if (e)
        text_fail(c, n, e);
}

static void
locals_tell(struct check *c)
{
    vec_push(&c->locals, NULL);
    c->locals.len--;
    expr_space_allow(c->space, c->locals.len ? c->locals.at : NULL);
}

void
check_locals_push(struct check *c, const char *name)
{
    if (!name)
        return;
    vec_push(&c->locals, name);
    locals_tell(c);
}

void
check_locals_pop(struct check *c, const char *name)
{
    if (!name)
        return;
    c->locals.len--;
    locals_tell(c);
}

static void
variable_warn(struct check *c, const struct ynode *n, const struct expand_ref *r)
{
    const char *where = str_c(&c->where);
    problems_add(&c->warnings, n->file ? n->file->index : 0,
                 FAIL_AT(yaml_text_pos(n, r->at), ERR_MISSING,
                         "%s%s'%s': environment variable '%.*s' is not set", where,
                         *where ? ": " : "", str_c(&c->path), (int)r->name_len, r->name));
}

static bool
variable_is_set(const struct check *c, const struct expand_ref *r)
{
    char name[EXPAND_NAME_MAX + 1];
    memcpy(name, r->name, r->name_len);
    name[r->name_len] = '\0';
    return c->env && c->env->get && c->env->get(c->env->ctx, name);
}

/* Looking for a place costs a walk over the text: only so many times for each. */
#define WARNINGS_OF_TEXT_MAX 10

void
check_variables(struct check *c, const struct ynode *n, bool strict)
{
    struct expand_ref r;
    unsigned warned = 0;
    for (size_t i = 0; expand_next(n->text, &i, &r);) {
        if (r.bad && strict) {
            AUTO(freep) char *text = xasprintf("'%s': %s", str_c(&c->path), expand_bad);
            check_fail_at(c, n->file ? n->file->index : 0, yaml_text_pos(n, r.at), ERR_INVALID,
                          text);
            return;
        }
        if (r.bad || r.escaped || r.otherwise || variable_is_set(c, &r))
            continue;
        if (++warned > WARNINGS_OF_TEXT_MAX || c->warnings.total >= WARNINGS_MAX)
            return;
        variable_warn(c, n, &r);
    }
}
