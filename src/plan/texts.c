/* texts.c - templates and conditions of a graph: compiled, and what they mention becomes edges. */
#include "plan/lower.h"
#include <string.h>

/* Where a text begins: behind its quote, or in the line below the block's mark. */
static struct src_pos
lower_text_pos(const struct lowering *l, const char *pointer)
{
    if (!l->source->text_pos)
        return lower_pos(l, pointer);
    return l->source->text_pos(l->source->pos_ctx, pointer, 1, 1);
}

static void
expr_free_deferred(void *e)
{
    expr_free(e);
}

static void
template_free_deferred(void *t)
{
    template_free(t);
}

/* Where a reference is in the file: only the source knows how the text was folded there. */
static struct src_pos
ref_pos(const struct lowering *l, const char *pointer, struct src_pos at)
{
    struct src_pos start = lower_text_pos(l, pointer);
    if (!l->source->text_pos || at.line < start.line)
        return at;
    unsigned line = at.line - start.line + 1;
    unsigned col = line == 1 && at.col >= start.col ? at.col - start.col + 1 : at.col;
    return l->source->text_pos(l->source->pos_ctx, pointer, line, col);
}

/* A mention of steps.x is an edge; without a node (the graph's output) it only has to exist. */
static void
refs_note(struct lowering *l, struct expr_refs refs, const char *pointer, struct node *node)
{
    for (size_t i = 0; i < refs.len; i++) {
        if (refs.at[i].kind != EXPR_REF_STEP)
            continue;
        struct src_pos at = ref_pos(l, pointer, refs.at[i].at);
        if (node && node == l->undoing && strcmp(refs.at[i].name, node->id) == 0)
            continue; /* it is there when it is undone */
        if (node)
            lower_edge(l, node, refs.at[i].name, at);
        else
            vec_push(&l->edges, ((struct edge){UINT32_MAX, arena_strdup(l->arena, refs.at[i].name),
                                               at, false}));
    }
}

static void
lower_failed(struct lowering *l, struct err *e, const struct node *node)
{
    e = node ? WRAP(e, "%s: node '%s'", l->where, node->id) : WRAP(e, "%s: output", l->where);
    lower_refuse(l, e);
}

struct template *
lower_template(struct lowering *l, const char *text, const char *pointer, struct node *node)
{
    struct template *t = NULL;
    struct err *e = template_compile(l->space, text, lower_text_pos(l, pointer), &t);
    if (e) {
        lower_failed(l, e, node);
        return NULL;
    }
    arena_defer(l->arena, template_free_deferred, t);
    refs_note(l, template_refs(t), pointer, node);
    return t;
}

static struct expr *
condition_compile(struct lowering *l, const json_t *cond, const char *pointer,
                  const struct node *node)
{
    struct expr *x = NULL;
    const char *text = json_is_string(cond) ? json_string_value(cond)
                       : json_is_true(cond) ? "true"
                                            : "false";
    struct err *e = expr_compile(l->space, text, lower_text_pos(l, pointer), &x);
    if (e)
        lower_failed(l, e, node);
    else
        arena_defer(l->arena, expr_free_deferred, x);
    return x;
}

struct expr *
lower_condition(struct lowering *l, const json_t *cond, const char *pointer, struct node *node)
{
    struct expr *x = condition_compile(l, cond, pointer, node);
    if (x)
        refs_note(l, expr_refs(x), pointer, node);
    return x;
}

void
lower_way(struct lowering *l, struct way way)
{
    vec_push(&l->ways, way);
}

/* Of a workflow that stands by itself: there are no steps around it. */
static struct expr *
condition_alone(struct lowering *l, const json_t *cond, const char *pointer)
{
    struct expr *x = condition_compile(l, cond, pointer, NULL);
    const struct expr_refs refs = x ? expr_refs(x) : (struct expr_refs){0};
    for (size_t i = 0; i < refs.len; i++) {
        if (refs.at[i].kind == EXPR_REF_STEP)
            lower_fail(l, ref_pos(l, pointer, refs.at[i].at),
                       "there is no step '%s' around this workflow; a condition sees `input` and "
                       "`inputs`",
                       refs.at[i].name);
    }
    return x;
}

void
lower_rule(struct lowering *l, const json_t *cond, const char *pointer, const struct node *chosen)
{
    struct rule rule = {.node = chosen};
    rule.when = l->outer ? lower_condition(l->outer, cond, pointer, l->self)
                         : condition_alone(l, cond, pointer);
    vec_push(&l->rules, rule);
}

/* Of a workflow that stands by itself: there are no steps around it. */
static void
steps_refuse(struct lowering *l, size_t from)
{
    for (size_t i = from; i < l->edges.len; i++)
        lower_fail(l, l->edges.at[i].at,
                   "there is no step '%s' around this workflow; a template sees `input` and "
                   "`inputs`",
                   l->edges.at[i].dep);
    l->edges.len = from;
}

struct value_template *
lower_value(struct lowering *l, const json_t *value, const char *pointer)
{
    if (l->outer)
        return value_template_make(l->outer, value, pointer, l->self);
    const size_t before = l->edges.len;
    struct value_template *v = value_template_make(l, value, pointer, NULL);
    steps_refuse(l, before);
    return v;
}

struct template *
lower_text(struct lowering *l, const char *text, const char *pointer)
{
    if (l->outer)
        return lower_template(l->outer, text, pointer, l->self);
    const size_t before = l->edges.len;
    struct template *t = lower_template(l, text, pointer, NULL);
    steps_refuse(l, before);
    return t;
}
