/* evaluate.c - one of the three, carried over to the large stack. */
#include "engine/evaluate.h"
#include "rt/rt.h"

struct evaluation { /* one of condition, value and template */
    const struct expr *condition;
    const struct value_template *value;
    const struct template *template;
    const struct expr_scope *scope;
    bool truth;
    json_t *made;
    struct err *e;
};

static void
evaluate(void *arg)
{
    struct evaluation *x = arg;
    if (x->condition)
        x->e = expr_test(x->condition, x->scope, &x->truth);
    else if (x->value)
        x->e = value_template_eval(x->value, x->scope, &x->made);
    else
        x->e = template_eval(x->template, x->scope, &x->made);
}

struct err *
evaluate_test(const struct expr *condition, const struct expr_scope *scope, bool *ret_truth)
{
    struct evaluation x = {.condition = condition, .scope = scope};
    rt_deep(evaluate, &x);
    PASS(x.e);
    *ret_truth = x.truth;
    return NULL;
}

struct err *
evaluate_value(const struct value_template *v, const struct expr_scope *scope, json_t **ret_value)
{
    struct evaluation x = {.value = v, .scope = scope};
    rt_deep(evaluate, &x);
    PASS(x.e);
    *ret_value = x.made;
    return NULL;
}

struct err *
evaluate_text(const struct template *t, const struct expr_scope *scope, char **ret_text)
{
    struct evaluation x = {.template = t, .scope = scope};
    if (!t)
        return NULL;
    rt_deep(evaluate, &x);
    PASS(x.e);
    AUTO(json_freep) json_t *made = x.made;
    *ret_text = json_as_text(made);
    return NULL;
}
