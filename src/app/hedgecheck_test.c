/* hedgecheck_test.c - hedges that cannot be are refused, with the place and the fix. */
#include "app/refusaltest.h"

#define TWICE(pos, who, why)                                                                       \
    "flow.yaml:" pos ": " who ": a hedge may send the same call twice, and " why                   \
    "; say `effect: pure` or `effect: idempotent` where that is true, or take the hedge out\n"
#define RUNS_A_WORKFLOW(pos, id)                                                                   \
    "flow.yaml:" pos ": node '" id "': a hedge is for the calls of an agent, and this node runs "  \
    "a workflow; say it at the agents in there\n"

static const struct {
    const char *agent, *node, *told; /* lines 3 and 7 */
} row[] = {
    {"{type: http, endpoint: 'http://x/', hedge: {after: 1}}", "{id: n, agent: a}", ""},
    {"{type: exec, command: [x], hedge: {after: 1}, effect: pure}", "{id: n, agent: a}", ""},
    {"{hedge: {after: 1}, effect: once}", "{id: n, agent: a}", ""}, /* of its tools */
    {"{type: exec, command: [x], hedge: {after: 1}}", "{id: n, agent: a}",
     TWICE("3:33", "agent 'a'", "a program is taken to do something")},
    {"{type: http, endpoint: 'http://x/', effect: once, hedge: {after: 1}}", "{id: n, agent: a}",
     TWICE("3:56", "agent 'a'", "its effect is `once`")},
    {"{type: http, endpoint: 'http://x/', method: POST, hedge: {after: 1}}", "{id: n, agent: a}",
     TWICE("3:56", "agent 'a'", "POST and PATCH do something")},
    {"{type: http, endpoint: 'http://x/'}",
     "{id: n, agent: a, action: PATCH /x, hedge: {after: 1}}",
     TWICE("7:41", "node 'n'", "POST and PATCH do something")},
    {"{type: http, endpoint: 'http://x/'}",
     "{id: n, agent: a, action: POST /x, effect: idempotent, hedge: {after: 1}}", ""},
    {"{type: http, endpoint: 'http://x/'}", "{id: n, agent: a, action: POSTS, hedge: {after: 1}}",
     ""},
    {"{type: lua, script: return 1}", "{id: n, agent: a, effect: once, hedge: {after: 1}}",
     TWICE("7:37", "node 'n'", "its effect is `once`")},
    {"{}", "{id: n, workflow: sub, hedge: {after: 1}}", RUNS_A_WORKFLOW("7:28", "n")},
    {"{}", "{id: n, agent: sub, hedge: {after: 1}}", RUNS_A_WORKFLOW("7:25", "n")},
    {"{}", "{id: n, type: chain, sequence: [a], hedge: {after: 1}}", RUNS_A_WORKFLOW("7:41", "n")},
    {"{}", "{id: n, agent: a, hedge: {after: 1}}", ""},
};

static char *told[COUNT(row)];

static char *
load(struct app *a, size_t i)
{
    AUTO(spec_freep) struct spec *spec = NULL;
    AUTO(freep)
    char *text = xasprintf("# a comment\nagents:\n  a: %s\nworkflows:\n  sub: {type: chain, "
                           "sequence: [a]}\n  main: {nodes: [\n    %s]}\n",
                           row[i].agent, row[i].node);
    return refusal_words(app_load_text(a, "flow.yaml", text, strlen(text), &spec), "");
}

static bool
same(size_t i, const char *is, char **want)
{
    *want = xstrdup(row[i].told);
    return strcmp(is, row[i].told) == 0;
}

static void
refusals(void **state)
{
    (void)state;
    refusals_check(&(struct refusing){COUNT(row), load, told}, same);
}

TESTS(hedgecheck_test, cmocka_unit_test(refusals))
