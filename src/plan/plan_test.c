/* plan_test.c - workflows that must be refused with what is told of each, drawings, hashes, limits. */
#include "plan/plan.h"
#include "base/test.h"
#include "plan/lower.h"
#include "spec/spec.h"

static const struct kind test_llm = {
    .name = "llm",
    .doc = "a model",
    .roles = ROLE_AGENT,
    .params = FIELDS({"instruction", P_STRING, 0, "what it is"},
                     {"agents", P_LIST, PARAM_ONE, "whom it may call",
                      .fields = ITEM("agent", P_REF, .ref = REF_WORKER)}),
};
static const struct kind *const agent_kinds[] = {&test_llm, NULL};
static const struct kind *const workflow_kinds[] = {
    &dag_kind, &task_kind, &chain_kind, &parallel_kind, &router_kind, &orchestrator_kind, NULL};

static const char agents[] = "agents:\n"
                             "  ann: {instruction: x}\n"
                             "  bob: {instruction: x}\n"
                             "workflows:\n"; /* what follows begins in line 5 */

static struct src_pos
pos_of(void *ctx, const char *pointer)
{
    return spec_pos(ctx, pointer);
}

static struct src_pos
text_pos_of(void *ctx, const char *pointer, unsigned line, unsigned col)
{
    return spec_text_pos(ctx, pointer, line, col);
}

struct made {
    struct expr_space *space;
    struct spec *spec;
    struct plan_source source;
    struct plan *plan;
};

static void
made_fini(struct made *m)
{
    plan_free(m->plan);
    spec_free(m->spec);
    expr_space_free(m->space);
}

/* The file is fine for spec: what is wrong with it is for plan to say. */
static void
made_load(struct made *m, const char *text)
{
    *m = (struct made){.space = expr_space_new((struct luastate_limits){0})};
    const struct spec_tables tables = {agent_kinds, workflow_kinds};
    const struct spec_source source = {
        .path = "flow.yaml", .text = text, .len = strlen(text), .space = m->space};
    assert_ok(spec_load(&tables, &source, &m->spec));
    m->source = (struct plan_source){.doc = m->spec->doc,
                                     .pos = pos_of,
                                     .text_pos = text_pos_of,
                                     .pos_ctx = m->spec,
                                     .kinds = workflow_kinds};
}

static struct err *
make(struct made *m, const char *workflows, const char *name)
{
    AUTO(freep) char *text = xasprintf("%s%s", agents, workflows);
    made_load(m, text);
    return plan_make(&m->source, name, m->space, &m->plan);
}

static char *
printed(const struct err *e)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    assert_non_null(f);
    err_print(e, f);
    fclose(f);
    return text;
}

/* ---- refusals --------------------------------------------------------------------------------- */

static const struct {
    const char *text, *name, *told;
} refused[] = {
    {"  main:\n    nodes:\n      - {id: fetch, agent: ann}\n"
     "      - {id: b, agent: bob, depends_on: [fecth]}\n",
     NULL,
     "flow.yaml:8:42: workflow 'main': node 'b': there is no node 'fecth' (did you mean 'fetch'?)\n"},
    {"  main:\n    nodes:\n      - {id: a, agent: ann, depends_on: [a]}\n", NULL,
     "flow.yaml:7:42: workflow 'main': node 'a' waits for itself\n"},
    {"  main:\n    nodes:\n      - {id: a, agent: ann, depends_on: [c]}\n"
     "      - {id: b, agent: ann, depends_on: [a]}\n      - {id: c, agent: ann, depends_on: [b]}\n"
     "      - {id: d, agent: ann}\n",
     NULL,
     "flow.yaml:7:14: workflow 'main': nodes wait for each other: 'a' -> 'c' -> 'b' -> 'a'\n"},
    {"  main:\n    nodes:\n      - {id: a, agent: ann, input: \"{{ steps.b.text }}\"}\n"
     "      - {id: b, agent: ann, input: \"{{ steps.a.text }}\"}\n",
     NULL, "flow.yaml:7:14: workflow 'main': nodes wait for each other: 'a' -> 'b' -> 'a'\n"},
    {"  main:\n    nodes:\n      - {id: a, agent: ann, input: \"{{ steps.zed.text }}\"}\n", NULL,
     "flow.yaml:7:46: workflow 'main': node 'a': there is no node 'zed'\n"},
    {"  main:\n    nodes:\n      - {id: a, agent: ann}\n    output: \"{{ steps.b.text }}\"\n", NULL,
     "flow.yaml:8:23: workflow 'main': output: there is no node 'b'\n"},
    {"  main:\n    nodes:\n      - {id: a, agent: ann}\n    edges: [[a, zed]]\n", NULL,
     "flow.yaml:8:13: workflow 'main': edges: there is no node 'zed'\n"},
    {"  main:\n    nodes:\n      - {id: a, agent: ann}\n    edges: [[zed, a]]\n", NULL,
     "flow.yaml:8:13: workflow 'main': node 'a': there is no node 'zed'\n"},
    {"  main: {type: parallel, fan_out: [ann, bob], fan_in: ann, quorum: 3}\n", NULL,
     "flow.yaml:5:68: workflow 'main': quorum 3 of 2 branches: 1 to 2 is possible\n"},
    {"  main: {type: chain, sequence: [ann, two]}\n"
     "  two: {type: chain, sequence: [bob, main]}\n",
     "main", "flow.yaml:6:38: workflow 'two': the workflow 'main' contains itself\n"},
    {"  main: {type: router, agents: [ann]}\n", NULL,
     "flow.yaml:5:3: workflow 'main': a workflow of type 'router' cannot run in this version\n"},
    {"  main:\n    nodes:\n      - {id: a, type: router, agents: [ann]}\n", NULL,
     "flow.yaml:7:14: workflow 'main': node 'a': a node of type 'router' cannot run in this "
     "version\n"},
    {"  main:\n    nodes:\n      - {id: a, agent: ann, compensate: {agent: bob}}\n", NULL,
     "flow.yaml:7:29: workflow 'main': node 'a': compensate cannot run in this version\n"},
    {"  main:\n    nodes:\n      - {id: a}\n", NULL,
     "flow.yaml:7:14: workflow 'main': node 'a': an agent or a workflow is needed\n"},
    /* all mistakes come together */
    {"  main:\n    nodes:\n      - {id: a, agent: ann, depends_on: [x1, x2]}\n      - {id: b}\n",
     NULL,
     "flow.yaml:8:14: workflow 'main': node 'b': an agent or a workflow is needed\n"
     "flow.yaml:7:42: workflow 'main': node 'a': there is no node 'x1'\n"
     "flow.yaml:7:46: workflow 'main': node 'a': there is no node 'x2'\n"},
    /* which workflow? */
    {"  one: {type: chain, sequence: [ann]}\n  two: {type: chain, sequence: [bob]}\n", NULL,
     "which workflow? the file has 'one', 'two'; name one, or call one 'main'\n"},
    {"  one: {type: chain, sequence: [ann]}\n", "oen",
     "there is no workflow 'oen' (did you mean 'one'?)\n"},
    {"  one: {type: chain, sequence: [ann]}\n", "elsewhere",
     "there is no workflow 'elsewhere'; the file has 'one'\n"},
    {"  {}\n", NULL, "the file defines no workflow\n"},
    {"  {}\n", "x", "there is no workflow 'x'; the file has none\n"},
};

static void
refusals(void **state)
{
    (void)state;
    unsigned wrong = 0;
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct made m;
        AUTO(err_freep) struct err *e = make(&m, refused[i].text, refused[i].name);
        AUTO(freep) char *told = e ? printed(e) : xstrdup("nothing\n");
        if (strcmp(told, refused[i].told) != 0) {
            print_error("row %zu: expected\n%sgot\n%s", i, refused[i].told, told);
            wrong++;
        }
        made_fini(&m);
    }
    assert_int_equal(wrong, 0);
}

TESTS(plan_test, cmocka_unit_test(refusals))
