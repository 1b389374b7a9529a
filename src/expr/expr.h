/* expr.h - conditions and templates: `when: steps.check.output.score > 0.8`, "Hello {{ inputs.name
 * }}".
 *
 * An expression is one Lua 5.4 expression in which != && || ! are read as ~= and or not, and a
 * keyword may be a member's name (x.end). A template is text with {{ expressions }}; one that is
 * exactly one {{ }} keeps the value's type, else texts are spliced as they are, nil and null as
 * nothing, other values as JSON. What values are and what a call may cost: luastate.h.
 *
 * Names an expression can see: input, inputs, steps, item, index, output, run, vars, null, the
 * helpers (README.md) and string, table, math, utf8 in safe parts. Any other name is an error when
 * compiled, with a suggestion. Compiled once, evaluated often (about a microsecond); evaluation is
 * pure: the same scope gives the same value. What is not here: ${VARIABLES}, edges, the clock.
 *
 * Errors carry the place in the user's file. Compiling fails with ERR_INVALID; evaluating with
 * ERR_INVALID (the expression does not fit the data) or ERR_LIMIT. Nothing here yields. Not thread
 * safe: one space a thread; a space outlives all that was compiled in it. */
#ifndef EXPR_EXPR_H
#define EXPR_EXPR_H
#include "expr/luastate.h"

#define EXPR_BYTES_MAX     ((size_t)64 << 10) /* text of one expression */
#define TEMPLATE_PARTS_MAX 10000              /* {{ }} in one template */
#define TEMPLATE_BYTES_MAX ((size_t)16 << 20) /* text that one template makes */

struct expr_space;
struct expr_space *OWN expr_space_new(struct luastate_limits limits); /* zeros: the usual */
void expr_space_free(struct expr_space *OWN space);                   /* accepts NULL */
void expr_space_freep(struct expr_space **space);
struct luastate *expr_space_lua(struct expr_space *space); /* for scripts; borrowed */
/* Further names that what is compiled from now on may use (foreach's `as: page`): a list that ends
 * with NULL, borrowed until the next call of this; NULL: none. Values: scope.locals. */
void expr_space_allow(struct expr_space *space, const char *const *names);

/* ---- what a text mentions ------------------------------------------------------------------- */
enum expr_use {
    EXPR_INPUT = 1 << 0,
    EXPR_INPUTS = 1 << 1,
    EXPR_STEPS = 1 << 2,
    EXPR_ITEM = 1 << 3,
    EXPR_INDEX = 1 << 4,
    EXPR_OUTPUT = 1 << 5,
    EXPR_RUN = 1 << 6,
    EXPR_VARS = 1 << 7,
    EXPR_STEPS_ANY = 1 << 8,  /* steps[computed] or steps as a whole: any step may be meant */
    EXPR_INPUTS_ANY = 1 << 9, /* likewise */
    EXPR_NOW = 1 << 10,       /* now() or date() */
};
enum expr_ref_kind { EXPR_REF_STEP, EXPR_REF_INPUT, EXPR_REF_LOCAL };
struct expr_ref { /* steps.name or steps["name"], inputs.name, a name of expr_space_allow */
    enum expr_ref_kind kind;
    const char *name;
    struct src_pos at; /* of the name, not of 'steps' */
};
struct expr_refs {
    const struct expr_ref *at; /* in order of the text; a name may be there more than once */
    size_t len;
    unsigned uses; /* enum expr_use; never misses one, but a local of the same name counts too */
};

/* ---- the world of one evaluation ------------------------------------------------------------ */
struct expr_scope { /* all borrowed until the evaluation ends and not changed during it; NULL: nil
                     */
    json_t *input, *inputs, *item, *index, *output, *run, *vars;
    json_t *locals; /* object: values of the names of expr_space_allow */
    json_t *steps;  /* object; or NULL and the next two: */
    json_t *(*step)(void *ctx, const char *id); /* borrowed as above; NULL: no such step */
    void *step_ctx;
    int64_t now_wall_ms; /* what now() and date() tell */
};

/* ---- expressions ---------------------------------------------------------------------------- */
struct expr;
/* at: the place of text's first character in the user's file (the name is copied). Columns count
 * characters; lines after the first count from column 1. NOWHERE: from line 1, column 1. */
struct err *MUST expr_compile(struct expr_space *space, const char *text, struct src_pos at,
                              struct expr **OWN ret_expr);
void expr_free(struct expr *OWN e); /* accepts NULL */
void expr_freep(struct expr **e);
struct expr_refs expr_refs(const struct expr *e); /* borrowed */
/* JSON null for nil. *ret_json may share members with the scope: treat both as read-only. */
struct err *MUST expr_eval(const struct expr *e, const struct expr_scope *scope,
                           json_t **OWN ret_json);
/* False for false, nil and null; true for everything else (0, "" and {} too). */
struct err *MUST expr_test(const struct expr *e, const struct expr_scope *scope, bool *ret_truth);

/* ---- templates ------------------------------------------------------------------------------ */
struct template;
bool template_has_braces(const char *text); /* false: text stands for itself */
struct err *MUST template_compile(struct expr_space *space, const char *text, struct src_pos at,
                                  struct template **OWN ret_template);
void template_free(struct template *OWN t); /* accepts NULL */
void template_freep(struct template **t);
struct expr_refs template_refs(const struct template *t); /* borrowed */
struct err *MUST template_eval(const struct template *t, const struct expr_scope *scope,
                               json_t **OWN ret_json);
#endif
