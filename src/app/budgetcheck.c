/* budgetcheck.c - walks a plan with the budgets that are in force, and looks at every model. */
#include "app/budgetcheck.h"
#include "base/map.h"
#include "llm/llm.h"
#include <string.h>

struct force {        /* what holds where the walk is */
    const char *what; /* "workflow 'main'": whose budget */
    bool usd, any;
};
struct walk {
    const struct budget_check *q;
    const json_t *doc;
    struct map *seen; /* what was looked at, and under which kind of budget */
    struct err *errs;
};

static void graph_check(struct walk *w, const struct graph *g, struct force f);
static void worker_check(struct walk *w, const char *name, struct force f);

static struct force
force_add(struct force f, const json_t *budget, const char *what)
{
    if (!budget || str_eq(json_str(budget, "mode", NULL), "audit"))
        return f;
    const bool usd = json_object_get(budget, "usd"), tokens = json_object_get(budget, "tokens");
    if ((usd && !f.usd) || (tokens && !f.any))
        f.what = what;
    f.usd |= usd;
    f.any |= usd || tokens;
    return f;
}

/* True the first time. */
static bool
first_look(struct walk *w, const char *kind, const char *name, struct force f)
{
    AUTO(freep) char *key = xasprintf("%s %d %d %s", kind, f.usd, f.any, name);
    if (map_has(w->seen, key))
        return false;
    map_put(w->seen, key, w);
    return true;
}

static void
tell(struct walk *w, const char *pointer, struct err *OWN e)
{
    AUTO(freep) char *text = err_text(e);
    err_free(e);
    err_join(&w->errs, FAIL_AT(spec_pos(w->q->spec, pointer), ERR_INVALID, "%s", text));
}

/* ---- profiles -------------------------------------------------------------- */

static const json_t *
price_of(const struct walk *w, const json_t *def)
{
    const json_t *own = json_object_get(def, "price");
    AUTO(freep) char *provider = NULL;
    AUTO(freep) char *model = NULL;
    if (own)
        return own;
    struct err *e = w->q->expand(w->q->ctx, json_str(def, "provider", "openai"), &provider);
    if (!e)
        e = w->q->expand(w->q->ctx, json_str(def, "model", "script"), &model);
    if (e) {
        err_drop(e); /* a variable is missing: told when the profile is used */
        return NULL;
    }
    return llm_price_find(json_object_get(w->doc, "price"), provider, model);
}

static bool
is_priced(const json_t *price)
{
    return json_is_number(json_object_get(price, "input")) &&
           json_is_number(json_object_get(price, "output"));
}

static void
profile_look(struct walk *w, const json_t *def, const char *name, const char *pointer,
             struct force f)
{
    const char *loose = llm_extra_unbounded(json_object_get(def, "extra"));
    if (!json_object_get(def, "max_tokens"))
        tell(w, pointer,
             FAIL(ERR_INVALID,
                  "profile '%s' has no `max_tokens`, so nobody knows what a call may cost before "
                  "it is made, and the budget of %s cannot be held; say it, or `mode: audit`",
                  name, f.what));
    if (loose)
        tell(w, pointer,
             FAIL(ERR_INVALID,
                  "profile '%s': `extra.%s` may override `max_tokens`, and the budget of %s "
                  "cannot be held; take it out, or say `mode: audit`",
                  name, loose, f.what));
    if (f.usd && !is_priced(price_of(w, def)))
        tell(w, pointer,
             FAIL(ERR_INVALID,
                  "profile '%s' has no known price, and the budget of %s in USD cannot be held; "
                  "say `price: {input: .., output: ..}`, USD per million tokens, in the profile "
                  "or in the file's `price`, or `mode: audit`",
                  name, f.what));
}

static void
one_profile(struct walk *w, const json_t *which, const char *pointer, struct force f)
{
    const char *name = json_string_value(which);
    AUTO(freep) char *at = name ? xasprintf("/profiles/%s", name) : xstrdup(pointer);
    const json_t *def = name ? json_object_get(json_object_get(w->doc, "profiles"), name) : which,
                 *fallback;
    size_t i;
    if (!json_is_object(def) || !first_look(w, "profile", at, f))
        return;
    profile_look(w, def, name ? name : json_str(def, "model", "inline"), at, f);
    json_array_foreach (json_object_get(def, "fallbacks"), i, fallback) {
        AUTO(freep) char *below = xasprintf("%s/fallbacks/%zu", at, i);
        one_profile(w, fallback, below, f);
    }
}

/* The profile that `def` names, else the default one. */
static void
profile_check(struct walk *w, const json_t *def, const char *pointer, struct force f)
{
    const json_t *which = json_object_get(def, "profile");
    AUTO(freep) char *at = xasprintf("%s/profile", pointer);
    if (!which)
        which = json_object_get(w->doc, "default_profile");
    one_profile(w, which, at, f);
}

/* ---- who is reached -------------------------------------------------------- */

static void
llm_check(struct walk *w, const char *name, const json_t *def, struct force f)
{
    AUTO(freep) char *pointer = xasprintf("/agents/%s", name);
    const json_t *one;
    size_t i;
    if (f.any && json_object_get(def, "endpoint"))
        tell(w, pointer,
             FAIL(ERR_INVALID,
                  "agent '%s' asks an `endpoint` whose price and limits nobody knows, and the "
                  "budget of %s cannot be held; use a profile with `base_url`, or `mode: audit`",
                  name, f.what));
    else if (f.any)
        profile_check(w, def, pointer, f);
    json_array_foreach (json_object_get(def, "agents"), i, one)
        worker_check(w, json_string_value(one), f);
}

static void
worker_check(struct walk *w, const char *name, struct force f)
{
    static const char custom[] = "custom://";
    const json_t *def = json_object_get(json_object_get(w->doc, "agents"), name);
    const struct graph *g = def ? NULL : plan_graph(w->q->plan, name);
    const char *type = json_str(def, "type", "llm"), *to = json_str(def, "endpoint", "");
    if (g)
        graph_check(w, g, f);
    if ((!def && *name) || !first_look(w, "agent", name, f))
        return;
    if (str_eq(type, "llm"))
        llm_check(w, name, def, f);
    else if (str_eq(type, "custom") && str_starts(to, custom))
        worker_check(w, to + strlen(custom), f);
}

/* A kind that has a model choose or plan, unless rules or an agent do. */
static bool
asks_a_model(const struct graph *g)
{
    bool asks = false;
    for (const struct param *p = g->kind ? g->kind->params : NULL; p && p->name; p++)
        asks |= strcmp(p->name, "profile") == 0;
    return asks && !json_object_get(g->def, "routes") && !json_object_get(g->def, "classifier");
}

static void
node_check(struct walk *w, const struct node *n, struct force f)
{
    AUTO(freep) char *what = xasprintf("node '%s'", n->id);
    if (!n->child || n->child->def != n->def)
        f = force_add(f, json_object_get(n->def, "budget"), what);
    if (n->child)
        graph_check(w, n->child, f);
    else if (n->worker)
        worker_check(w, n->worker, f);
}

static void
graph_check(struct walk *w, const struct graph *g, struct force f)
{
    AUTO(freep) char *what = xasprintf("workflow '%s'", g->name);
    AUTO(freep) char *key = xasprintf("%p", (const void *)g);
    f = force_add(f, json_object_get(g->def, "budget"), what);
    if (!first_look(w, "graph", key, f))
        return;
    if (f.any && asks_a_model(g))
        profile_check(w, g->def, "", f);
    for (size_t i = 0; i < g->nnodes; i++)
        node_check(w, g->nodes[i], f);
}

struct err *
budget_check(const struct budget_check *q)
{
    struct walk w = {.q = q, .doc = q->spec->doc, .seen = map_new()};
    graph_check(&w, plan_root(q->plan), (struct force){.what = ""});
    map_free(w.seen);
    return w.errs;
}

static bool
has_budget(const json_t *j)
{
    const char *key;
    json_t *member;
    size_t i;
    if (json_is_object(json_object_get(j, "budget")))
        return true;
    json_object_foreach ((json_t *)(uintptr_t)j, key, member) {
        if (has_budget(member))
            return true;
    }
    json_array_foreach (j, i, member) {
        if (has_budget(member))
            return true;
    }
    return false;
}

struct err *
budget_check_all(const struct budget_check *q, const struct plan_source *source,
                 struct expr_space *space)
{
    json_t *workflows = json_object_get(source->doc, "workflows"), *def;
    const char *name;
    if (!has_budget(workflows))
        return NULL;
    json_object_foreach (workflows, name, def) {
        AUTO(plan_freep) struct plan *plan = NULL;
        struct budget_check one = *q;
        PASS(plan_make(source, name, space, &plan));
        one.plan = plan;
        PASS(budget_check(&one));
    }
    return NULL;
}
