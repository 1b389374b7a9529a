/* texts_test.c - what a node is told and what a graph answers when some of it did not complete.
 */
#include "base/test.h"
#include "engine/message.h"

struct small { /* a graph of three nodes, the second of which failed */
    struct node nodes[3];
    const struct node *list[3];
    struct graph g;
    struct node_state states[3];
};

static void
small_make(struct small *x)
{
    static const char *const ids[] = {"one", "two", "three"};
    *x = (struct small){.g = {.name = "g", .nodes = x->list, .nnodes = 3}};
    for (unsigned i = 0; i < 3; i++) {
        x->nodes[i] = (struct node){.id = ids[i], .label = ids[i], .index = i};
        x->list[i] = &x->nodes[i];
        x->states[i].status = i == 1 ? NODE_FAILED : NODE_COMPLETED;
        if (i != 1)
            reply_set_text(&x->states[i].reply, ids[i], strlen(ids[i]));
    }
}

static void
small_fini(struct small *x)
{
    for (unsigned i = 0; i < 3; i++)
        reply_fini(&x->states[i].reply);
}

static void
messages(void **state)
{
    (void)state;
    static const unsigned all[] = {0, 1};
    static const struct {
        enum input_rule rule;
        size_t ndeps;
        const char *want;
    } row[] = {
        {INPUT_GRAPH, 2, "ask"},
        {INPUT_DEFAULT, 0, "ask"},
        {INPUT_DEFAULT, 1, "one"},
        {INPUT_DEFAULT, 2, "[one]:\none"}, /* who failed said nothing */
        {INPUT_CUMULATIVE, 1, "ask\n\n--- Response from one ---\none"},
        {INPUT_FAN_IN, 2, "Original Request: ask\n\n--- Agent Responses ---\n\n[one]:\none"},
        {INPUT_RESPONSES, 2, "--- Agent Responses ---\n\n[one]:\none"},
    };
    struct small x;
    small_make(&x);
    const struct task outer = {.message = "ask"};
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(str_fini) struct str s = STR_INIT;
        x.nodes[2].input_rule = row[i].rule;
        x.nodes[2].from = all;
        x.nodes[2].nfrom = row[i].ndeps;
        message_make(&x.g, &x.nodes[2], x.states, &outer, &s);
        assert_string_equal(str_c(&s), row[i].want);
    }
    small_fini(&x);
}

/* What the nodes of a chain see of those before them: what completed, by position. */
static void
contexts(void **state)
{
    (void)state;
    static const unsigned all[] = {0, 1};
    struct small x;
    small_make(&x);
    AUTO(json_freep) json_t *common = NULL;
    x.nodes[2].from = all;
    x.nodes[2].nfrom = 2;
    for (unsigned i = 0; i < 2; i++)
        context_add(&common, &x.g, &x.nodes[i], &x.states[i]);
    assert_null(common); /* not a chain */
    assert_null(context_make(&x.g, &x.nodes[2], x.states, common));
    x.g.positional_context = true;
    for (unsigned i = 0; i < 2; i++)
        context_add(&common, &x.g, &x.nodes[i], &x.states[i]);
    x.nodes[2].input_rule = INPUT_FAN_IN;
    AUTO(json_freep) json_t *c = context_make(&x.g, &x.nodes[2], x.states, common);
    AUTO(freep) char *text = json_text(c);
    assert_string_equal(text,
                        "{\"agent_1_output\":\"one\",\"parallel_results\":{\"one\":\"one\"}}");
    assert_int_equal(json_object_size(common), 1); /* its own copy got the results */
    small_fini(&x);
}

static void
outputs(void **state)
{
    (void)state;
    static const struct {
        enum output_rule rule;
        bool nothing; /* not a single node completed */
        const char *output, *text;
    } row[] = {
        {OUTPUT_LEAVES, false, "{\"one\":\"one\",\"three\":\"three\"}",
         "[one]:\none\n\n[three]:\nthree"},
        {OUTPUT_LEAVES, true, "null", ""},
        {OUTPUT_LAST, false, "\"three\"", "three"},
        {OUTPUT_LAST, true, "null", ""},
        {OUTPUT_JOIN, false, "\"[one]: one\\n\\n[three]: three\"", "[one]: one\n\n[three]: three"},
        {OUTPUT_JOIN, true, "\"\"", ""},
        {OUTPUT_FAN_IN, false, "\"three\"", "three"},
        {OUTPUT_FAN_IN, true, "\"\"", ""},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct small x;
        struct reply r = {0};
        const struct expr_scope scope = {0};
        small_make(&x);
        x.g.output_rule = row[i].rule;
        for (size_t k = 0; k < 3 && row[i].nothing; k++)
            x.states[k].status = NODE_SKIPPED;
        assert_ok(graph_output(&x.g, x.states, &scope, &r));
        AUTO(freep) char *output = json_text(r.output);
        assert_string_equal(output, row[i].output);
        assert_string_equal(reply_text(&r), row[i].text);
        reply_fini(&r);
        small_fini(&x);
    }
}

/* steps.x of one that failed. */
static void
views(void **state)
{
    (void)state;
    struct node_state s = {.status = NODE_FAILED, .error = (char[]){"no luck"}};
    AUTO(json_freep) json_t *v = step_view(&s);
    assert_string_equal(json_str(v, "status", ""), "failed");
    assert_string_equal(json_str(v, "error", ""), "no luck");
    assert_true(json_is_null(json_object_get(v, "output")));
    assert_true(json_is_null(json_object_get(v, "text")));
}

TESTS(texts_test, cmocka_unit_test(messages), cmocka_unit_test(contexts), cmocka_unit_test(outputs),
      cmocka_unit_test(views))
