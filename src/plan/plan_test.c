/* plan_test.c - workflows that must be refused with what is told of each, drawings, hashes, limits.
 */
#include "base/test.h"
#include "plan/lower.h"
#include "plan/plan.h"
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
static struct err *
fails_lower(struct lowering *l, const json_t *def, const char *pointer)
{
    (void)l, (void)def, (void)pointer;
    return FAIL(ERR_INVALID, "this pattern never fits");
}

static const struct kind fails_kind = {
    .name = "fails", .roles = ROLE_WORKFLOW, .lower = fails_lower};
static const struct kind later_kind = {/* understood, and not there yet */
                                       .name = "later",
                                       .roles = ROLE_WORKFLOW | ROLE_NODE,
                                       .params = FIELDS({"agents", P_LIST, .fields = WORKER_ITEM})};
static const struct kind *const workflow_kinds[] = {
    &fails_kind,    &dag_kind,    &task_kind, &chain_kind, &pipeline_kind,
    &parallel_kind, &reduce_kind, &gate_kind, &later_kind, NULL};

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

/* As a resumed run does it: no file, no positions. */
static void
made_from_doc(struct made *m, const char *text)
{
    json_t *doc = NULL;
    assert_ok(json_parse(text, strlen(text), &doc));
    *m = (struct made){.space = expr_space_new((struct luastate_limits){0}),
                       .spec = spec_from_doc(doc)};
    m->source = (struct plan_source){.doc = doc, .kinds = workflow_kinds};
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

/* ---- refusals ---------------------------------------------------------------------------------
 */

static const struct {
    const char *text, *name, *told;
} refused[] = {
    {"  main:\n    nodes:\n      - {id: fetch, agent: ann}\n"
     "      - {id: b, agent: bob, depends_on: [fecth]}\n",
     NULL,
     "flow.yaml:8:42: workflow 'main': node 'b': there is no node 'fecth' (did you mean "
     "'fetch'?)\n"},
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
    {"  main:\n    nodes:\n      - {id: a, type: gate}\n", NULL,
     "flow.yaml:7:14: workflow 'main': node 'a': a gate needs `when`\n"},
    {"  main:\n    nodes:\n      - {id: a, type: gate, when: true, agent: ann}\n", NULL,
     "flow.yaml:7:14: workflow 'main': node 'a': a gate runs nothing; put 'ann' into a node below "
     "it\n"},
    {"  main:\n    nodes:\n      - {id: a, type: reduce, agent: ann}\n", NULL,
     "flow.yaml:7:14: workflow 'main': node 'a': a reduce needs `from`\n"},
    {"  main: {type: later, agents: [ann]}\n", NULL,
     "flow.yaml:5:3: workflow 'main': a workflow of type 'later' cannot run in this version\n"},
    {"  main:\n    nodes:\n      - {id: a, type: later, agents: [ann]}\n", NULL,
     "flow.yaml:7:14: workflow 'main': node 'a': a node of type 'later' cannot run in this "
     "version\n"},
    {"  main:\n    nodes:\n      - {id: a, type: gate, when: \"true\", compensate: {agent: bob}}\n",
     NULL, "flow.yaml:7:43: workflow 'main': node 'a': a gate does nothing to be undone\n"},
    {"  w: {type: chain, sequence: [ann]}\n  main:\n    nodes:\n"
     "      - {id: a, workflow: w, compensate: {input: x}}\n",
     "main",
     "flow.yaml:8:30: workflow 'main': node 'a': compensate needs an agent or a workflow\n"},
    {"  main:\n    nodes:\n      - {id: a, agent: ann, compensate: {input: \"{{ steps.zed.text "
     "}}\"}}\n",
     NULL, "flow.yaml:7:59: workflow 'main': node 'a': there is no node 'zed'\n"},
    {"  main:\n    nodes:\n      - {id: a, agent: ann, compensate: {agent: main}}\n", NULL,
     "flow.yaml:7:49: workflow 'main': the workflow 'main' contains itself\n"},
    {"  main:\n    nodes:\n      - {id: a, agent: ann, input: \"{{ steps.a.text }}\", compensate: "
     "{}}\n",
     NULL, "flow.yaml:7:46: workflow 'main': node 'a' waits for itself\n"},
    {"  main:\n    nodes:\n      - {id: a}\n", NULL,
     "flow.yaml:7:14: workflow 'main': node 'a': an agent or a workflow is needed\n"},
    /* the place inside of a text, whatever its quotes and folding */
    {"  main:\n    nodes:\n      - id: a\n        agent: ann\n        input: |\n"
     "          first\n          {{ steps.zed.text }}\n",
     NULL, "flow.yaml:11:20: workflow 'main': node 'a': there is no node 'zed'\n"},
    {"  main:\n    nodes:\n      - id: a\n        agent: ann\n        when: steps.zed.ok\n", NULL,
     "flow.yaml:9:21: workflow 'main': node 'a': there is no node 'zed'\n"},
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

/* ---- limits -----------------------------------------------------------------------------------
 */

/* One workflow an item: wN runs w(N-1) as often as `times` says; w0 runs an agent. */
static char *
tower(unsigned height, unsigned times, bool lowest_first)
{
    struct str s = STR_INIT;
    for (unsigned i = 0; i <= height; i++) {
        unsigned n = lowest_first ? i : height - i;
        str_addf(&s, "  w%u: {type: chain, sequence: [", n);
        for (unsigned k = 0; k < times; k++) {
            if (n)
                str_addf(&s, "%sw%u", k ? ", " : "", n - 1);
            else
                str_addf(&s, "%sann", k ? ", " : "");
        }
        str_add(&s, "]}\n");
    }
    return str_steal(&s);
}

static void
limits(void **state)
{
    (void)state;
    static const struct {
        unsigned height, times;
        const char *root, *told; /* a part of it, or NULL: it is fine */
    } row[] = {
        {32, 1, "w32", NULL},
        {33, 1, "w33", "workflows nested deeper than 32\n"},
        /* what is known by the time it is used is as deep as when it is not */
        {11, 2, "w11", NULL},
        {12, 2, "w12", "workflow 'w12': more than 10000 nodes, with those of the workflows inside"},
        {30, 4, "w30", "workflow 'w6': more than 10000 nodes, with those of the workflows inside"},
    };
    for (size_t i = 0; i < 2 * COUNT(row); i++) {
        struct made m;
        AUTO(freep) char *text = tower(row[i / 2].height, row[i / 2].times, i & 1);
        AUTO(err_freep) struct err *e = make(&m, text, row[i / 2].root);
        AUTO(freep) char *told = e ? printed(e) : NULL;
        bool as_told = row[i / 2].told ? told && strstr(told, row[i / 2].told) : !told;
        if (!as_told || err_count(e) > 1)
            fail_msg("row %zu: %s", i / 2, told);
        made_fini(&m);
    }
}

/* Each is there when the next needs it, so that none is deep by the way it is reached. */
static void
limits_upwards(void **state)
{
    (void)state;
    struct made m;
    AUTO(freep) char *built = tower(33, 1, true);
    AUTO(str_fini) struct str s = STR_INIT;
    str_add(&s, built);
    str_add(&s, "  main: {type: chain, sequence: [");
    for (unsigned i = 0; i <= 33; i++)
        str_addf(&s, "%sw%u", i ? ", " : "", i);
    str_add(&s, "]}\n");
    assert_err(make(&m, str_c(&s), "main"), ERR_INVALID,
               "workflow 'w33': workflows nested deeper than 32");
    made_fini(&m);
}

static void
list_of(struct str *s, const char *word, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        str_addf(s, "%s%s", i ? ", " : "", word);
}

/* As wide as it may be, at once; and one more. */
static void
width(void **state)
{
    (void)state;
    for (unsigned more = 0; more < 2; more++) {
        struct made m;
        AUTO(str_fini) struct str s = STR_INIT;
        str_add(&s, "  main: {type: parallel, fan_in: bob, fan_out: [");
        list_of(&s, "ann", PLAN_NODES_MAX - 1 + more);
        str_add(&s, "]}\n");
        AUTO(err_freep) struct err *e = make(&m, str_c(&s), NULL);
        if (more) {
            AUTO(freep) char *told = printed(e);
            assert_string_equal(told, "flow.yaml:5:34: workflow 'main': more than 10000 nodes\n");
        } else {
            assert_null(e);
            const struct graph *g = plan_root(m.plan);
            assert_int_equal(g->nnodes, PLAN_NODES_MAX);
            assert_string_equal(g->nodes[9998]->id, "ann-9999");
            assert_int_equal(g->nodes[9999]->ndeps, 9999);
            assert_int_equal(g->nodes[9999]->deps[9998], 9998);
        }
        made_fini(&m);
    }
}

/* A file of nothing but mistakes is told of within reason. */
static void
mistakes_bounded(void **state)
{
    (void)state;
    struct made m;
    AUTO(str_fini) struct str s = STR_INIT;
    str_add(&s, "  main:\n    nodes:\n      - {id: a, agent: ann, depends_on: [");
    list_of(&s, "zed", 5000);
    str_add(&s, "]}\n");
    AUTO(err_freep) struct err *e = make(&m, str_c(&s), NULL);
    assert_int_equal(err_count(e), 1000);
    made_fini(&m);
}

/* ---- what is made -----------------------------------------------------------------------------
 */

/* A stored definition, whose names nobody has checked. */
static const char drawn[] =
    "{\"agents\": {\"ann\": {}, \"b\\\\ob\": {}}, \"workflows\": {"
    "\"in\\nner\": {\"type\": \"chain\", \"sequence\": [\"ann\", \"ann\"]},"
    "\"main\": {\"type\": \"dag\", \"nodes\": [{\"id\": \"ann\", \"agent\": \"ann\"},"
    "{\"id\": \"say \\\"hi\\\"\", \"agent\": \"b\\\\ob\", \"depends_on\": [\"ann\"]},"
    "{\"id\": \"all\", \"workflow\": \"in\\nner\", \"when\": true,"
    " \"depends_on\": [\"ann\", \"say \\\"hi\\\"\"]}]}}}";

static void
drawings(void **state)
{
    (void)state;
    struct made m;
    AUTO(str_fini) struct str text = STR_INIT, mermaid = STR_INIT, dot = STR_INIT;
    made_from_doc(&m, drawn);
    assert_ok(plan_make(&m.source, "main", m.space, &m.plan));
    plan_draw_text(m.plan, &text);
    assert_string_equal(str_c(&text), "main (dag)\n"
                                      "  ann\n"
                                      "  say \"hi\" (b\\ob)  <- ann\n"
                                      "  all (in ner)  <- ann, say \"hi\"  [when true]\n"
                                      "    ann\n"
                                      "    ann-2 (ann)  <- ann\n");
    plan_draw_mermaid(m.plan, &mermaid);
    assert_string_equal(str_c(&mermaid), "flowchart TD\n"
                                         "  n0[\"ann\"]\n"
                                         "  n1[\"say #quot;hi#quot;: b\\ob\"]\n"
                                         "  n2[\"all: in ner\"]\n"
                                         "  subgraph g2[\"in ner\"]\n"
                                         "    n3[\"ann\"]\n"
                                         "    n4[\"ann-2: ann\"]\n"
                                         "    n3 --> n4\n"
                                         "  end\n"
                                         "  n2 -.-> n3\n"
                                         "  n0 --> n1\n"
                                         "  n0 -->|\"true\"| n2\n"
                                         "  n1 -->|\"true\"| n2\n");
    plan_draw_dot(m.plan, &dot);
    assert_string_equal(str_c(&dot), "digraph \"main\" {\n"
                                     "  graph [fontname=\"sans-serif\"];\n"
                                     "  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n"
                                     "  edge [fontname=\"sans-serif\", fontsize=11];\n"
                                     "  n0 [label=\"ann\"];\n"
                                     "  n1 [label=\"say \\\"hi\\\": b\\\\ob\"];\n"
                                     "  n2 [label=\"all: in ner\"];\n"
                                     "  subgraph cluster_2 { label=\"in ner\";\n"
                                     "    n3 [label=\"ann\"];\n"
                                     "    n4 [label=\"ann-2: ann\"];\n"
                                     "    n3 -> n4;\n"
                                     "  }\n"
                                     "  n2 -> n3 [style=dotted];\n"
                                     "  n0 -> n1;\n"
                                     "  n0 -> n2 [label=\"true\"];\n"
                                     "  n1 -> n2 [label=\"true\"];\n"
                                     "}\n");
    made_fini(&m);
}

/* The same definition has the same hash, whatever its layout; another workflow of it has its own.
 */
static void
hashes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *name;
        bool same;
    } row[] = {
        {"  one: {type: chain, sequence: [ann, bob]}\n  two: {type: chain, sequence: [bob]}\n",
         "one", true},
        {"  # as before\n  one:\n    sequence:\n      - ann\n      - bob\n    type: chain\n"
         "  two: {sequence: [bob], type: chain}\n",
         "one", true},
        {"  one: {type: chain, sequence: [ann, bob]}\n  two: {type: chain, sequence: [bob]}\n",
         "two", false},
        {"  one: {type: chain, sequence: [bob, ann]}\n  two: {type: chain, sequence: [bob]}\n",
         "one", false},
    };
    char first[80] = "";
    for (size_t i = 0; i < COUNT(row); i++) {
        struct made m;
        assert_ok(make(&m, row[i].text, row[i].name));
        if (!i)
            snprintf(first, sizeof first, "%s", plan_hash(m.plan));
        assert_int_equal(strcmp(first, plan_hash(m.plan)) == 0, row[i].same);
        assert_string_equal(plan_workflow(m.plan), row[i].name);
        made_fini(&m);
    }
}

static void
defaults(void **state)
{
    (void)state;
    static const struct {
        const char *workflows, *want; /* the one that NULL means */
    } row[] = {
        {"  only: {type: chain, sequence: [ann]}\n", "only"},
        {"  other: {type: chain, sequence: [ann]}\n  main: {type: chain, sequence: [ann]}\n",
         "main"},
        {"  other: {type: chain, sequence: [ann]}\n  shop: {type: chain, sequence: [ann]}\n"
         "name: shop\n",
         "shop"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct made m;
        assert_ok(make(&m, row[i].workflows, NULL));
        assert_string_equal(plan_workflow(m.plan), row[i].want);
        made_fini(&m);
    }
}

/* What an agent may call is reached, by way of other agents too, and may call itself. */
static void
tools_reached(void **state)
{
    (void)state;
    struct made m;
    made_load(&m, "agents:\n"
                  "  ann: {agents: [bob]}\n"
                  "  bob: {agents: [helper, main]}\n"
                  "  cid: {agents: [far]}\n"
                  "workflows:\n"
                  "  main: {type: chain, sequence: [ann]}\n"
                  "  helper: {type: chain, sequence: [ann]}\n"
                  "  far: {type: chain, sequence: [ann]}\n");
    assert_ok(plan_make(&m.source, "main", m.space, &m.plan));
    assert_string_equal(plan_graph(m.plan, "helper")->name, "helper");
    assert_ptr_equal(plan_graph(m.plan, "main"), plan_root(m.plan));
    assert_null(plan_graph(m.plan, "far"));
    assert_null(plan_graph(m.plan, "bob"));
    made_fini(&m);
    made_load(&m, "agents:\n"
                  "  ann: {agents: [asks]}\n"
                  "workflows:\n"
                  "  main: {type: chain, sequence: [ann]}\n"
                  "  asks: {type: later, agents: [ann]}\n");
    assert_err(plan_make(&m.source, "main", m.space, &m.plan), ERR_INVALID,
               "workflow 'asks': a workflow of type 'later' cannot run in this version");
    assert_ok(plan_check_all(&m.source, m.space)); /* a warning in the log is all */
    made_fini(&m);
}

static void
check_all(void **state)
{
    (void)state;
    struct made m;
    AUTO(freep)
    char *text = xasprintf("%s%s", agents,
                           "  one:\n    nodes:\n      - {id: a}\n"
                           "  two:\n    nodes:\n      - {id: b}\n");
    made_load(&m, text);
    AUTO(err_freep) struct err *e = plan_check_all(&m.source, m.space);
    AUTO(freep) char *told = printed(e);
    assert_string_equal(
        told, "flow.yaml:7:14: workflow 'one': node 'a': an agent or a workflow is needed\n"
              "flow.yaml:10:14: workflow 'two': node 'b': an agent or a workflow is needed\n");
    made_fini(&m);
}

/* ---- values -----------------------------------------------------------------------------------
 */

static const char nested[] =
    "  main:\n    nodes:\n      - id: a\n        agent: ann\n        input:\n"
    "          plain: {deep: [1, two]}\n"
    "          filled: [\"{{ 1 + 1 }}\", {x: \"a {{ inputs.n }} b\"}, three]\n";

static void
values(void **state)
{
    (void)state;
    struct made m;
    json_t *made = NULL, *inputs = json_pack("{si}", "n", 7);
    assert_ok(make(&m, nested, NULL));
    const struct expr_scope scope = {.inputs = inputs};
    assert_ok(value_template_eval(plan_root(m.plan)->nodes[0]->input, &scope, &made));
    AUTO(freep) char *text = json_canonical(made);
    assert_string_equal(text, "{\"filled\":[2,{\"x\":\"a 7 b\"},\"three\"],"
                              "\"plain\":{\"deep\":[1,\"two\"]}}");
    json_decref(made);
    json_decref(inputs);
    made_fini(&m);
}

static void
values_deep(void **state)
{
    (void)state;
    for (int depth = 64; depth <= 70; depth += 6) {
        struct made m;
        json_t *made = NULL;
        AUTO(str_fini) struct str s = STR_INIT;
        str_add(&s, "{\"agents\":{\"ann\":{}},\"workflows\":{\"main\":{\"nodes\":[{\"id\":\"a\","
                    "\"agent\":\"ann\",\"input\":");
        for (int i = 0; i < depth; i++)
            str_addc(&s, '[');
        str_add(&s, "\"{{ 1 }}\"");
        for (int i = 0; i < depth; i++)
            str_addc(&s, ']');
        str_add(&s, "}]}}}");
        made_from_doc(&m, str_c(&s));
        struct err *e = plan_make(&m.source, NULL, m.space, &m.plan);
        if (depth > 64) {
            assert_err(e, ERR_INVALID, "workflow 'main': values nested deeper than 64");
        } else {
            const struct expr_scope scope = {0};
            assert_ok(e);
            assert_ok(value_template_eval(plan_root(m.plan)->nodes[0]->input, &scope, &made));
            json_decref(made);
        }
        made_fini(&m);
    }
}

/* What a stored definition should not hold, but may. */
static void
damaged(void **state)
{
    (void)state;
    static const struct {
        const char *doc, *told;
    } row[] = {
        {"{\"workflows\":{\"main\":{\"nodes\":[]}}}", "workflow 'main': there is nothing to run"},
        {"{\"workflows\":{\"main\":{\"type\":\"chain\",\"sequence\":[7]}}}",
         "workflow 'main': node 'step': the name of an agent or a workflow is expected"},
        {"{\"agents\":{\"annie\":{\"agents\":[7]}},\"workflows\":{\"main\":{\"type\":\"chain\","
         "\"sequence\":[\"anie\"]}}}",
         "workflow 'main': node 'anie': there is no agent or workflow 'anie' (did you mean "
         "'annie'?)"},
        {"{\"agents\":{\"a\":{\"agents\":[7]}},\"workflows\":{\"main\":{\"nodes\":[{\"id\":\"x\","
         "\"agent\":\"a\"},{\"id\":\"x\",\"agent\":\"a\"}]}}}",
         "workflow 'main': the node 'x' is defined twice"},
        {"{\"agents\":{\"a\":{}},\"workflows\":{\"main\":{\"nodes\":[{\"id\":\"x\","
         "\"agent\":\"a\",\"when\":\"1 +\"}]}}}",
         "workflow 'main': node 'x': the expression ends too early"},
        {"{\"agents\":{\"a\":{}},\"workflows\":{\"main\":{\"nodes\":[{\"id\":\"x\","
         "\"agent\":\"a\"}],\"output\":\"{{ 1 + }}\"}}}",
         "workflow 'main': output: the expression ends too early"},
        {"{\"workflows\":{\"main\":{\"type\":\"odd\"}}}",
         "workflow 'main': a workflow of type 'odd' cannot run in this version"},
        {"{\"workflows\":{\"main\":{\"type\":\"fails\"}}}", "this pattern never fits"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct made m;
        made_from_doc(&m, row[i].doc);
        assert_err(plan_make(&m.source, NULL, m.space, &m.plan), ERR_INVALID, row[i].told);
        made_fini(&m);
    }
}

TESTS(plan_test, cmocka_unit_test(refusals), cmocka_unit_test(limits),
      cmocka_unit_test(limits_upwards), cmocka_unit_test(width), cmocka_unit_test(mistakes_bounded),
      cmocka_unit_test(drawings), cmocka_unit_test(hashes), cmocka_unit_test(defaults),
      cmocka_unit_test(tools_reached), cmocka_unit_test(check_all), cmocka_unit_test(values),
      cmocka_unit_test(values_deep), cmocka_unit_test(damaged))
