/* budgetcheck_test.c - files whose budgets cannot be held are refused, with the place and the fix.
 */
#include "app/refusaltest.h"

#define PRICED "price: {input: 1, output: 2}"
#define NO_MAX(pos, who, whose)                                                                    \
    "flow.yaml:" pos ": profile '" who                                                             \
    "' has no `max_tokens`, so nobody knows what a call may cost before it is made, and the "      \
    "budget of " whose " cannot be held; say it, or `mode: audit`\n"
#define NO_PRICE(pos, who, whose)                                                                  \
    "flow.yaml:" pos ": profile '" who "' has no known price, and the budget of " whose            \
    " in USD cannot be held; say `price: {input: .., output: ..}`, USD per million tokens, in "    \
    "the profile or in the file's `price`, or `mode: audit`\n"

/* Profiles: full has all, bare nothing, cheap no price, loose too much. */
#define HEAD                                                                                       \
    "profiles:\n"                                                                                  \
    "  full: {provider: openai, model: full, max_tokens: 9, " PRICED "}\n"                         \
    "  bare: {provider: openai, model: bare}\n"                                                    \
    "  cheap: {provider: openai, model: cheap, max_tokens: 9}\n"                                   \
    "  loose: {provider: openai, model: loose, max_tokens: 9, " PRICED ", extra: {n: 3}}\n"        \
    "  falls: {provider: openai, model: falls, max_tokens: 9, " PRICED ", fallbacks: [full, "      \
    "cheap]}\n"                                                                                    \
    "  table: {provider: openai, model: \"${TABLE:-table}\", max_tokens: 9}\n"                     \
    "  half: {provider: openai, model: half, max_tokens: 9, price: {input: 1}}\n"                  \
    "default_profile: full\n"                                                                      \
    "price: {\"openai:tab*\": {input: 1, output: 1}}\n"                                            \
    "agents:\n"                                                                                    \
    "  a: {}\n"                                                                                    \
    "  b: {profile: bare}\n"                                                                       \
    "  c: {profile: cheap}\n"                                                                      \
    "  l: {profile: loose}\n"                                                                      \
    "  f: {profile: falls}\n"                                                                      \
    "  t: {profile: table}\n"                                                                      \
    "  h: {profile: half}\n"                                                                       \
    "  i: {profile: {provider: openai, model: inline}}\n"                                          \
    "  boss: {agents: [c, sub]}\n"                                                                 \
    "  e: {endpoint: \"http://x/\"}\n"                                                             \
    "  web: {type: http, endpoint: \"http://x/\"}\n"                                               \
    "  by: {type: custom, endpoint: \"custom://c\"}\n"                                             \
    "mcp_servers: {box: {command: none}}\n"                                                        \
    "workflows:\n"                                                                                 \
    "  sub: {type: chain, sequence: [b]}\n"

static const struct {
    const char *main, *told; /* told "": it is fine */
} row[] = {
    {"{type: chain, sequence: [a, web, t], budget: {usd: 1}}", ""},
    {"{type: chain, sequence: [b], budget: {usd: 1, mode: audit}}", ""},
    {"{type: chain, sequence: [b], budget: {time: 1}}", ""},
    {"{type: chain, sequence: [b, c]}", ""},
    {"{type: chain, sequence: [c], budget: {tokens: 100}}", ""},
    {"{type: chain, sequence: [b, b], budget: {usd: 1}}",
     NO_MAX("3:3", "bare", "workflow 'main'") NO_PRICE("3:3", "bare", "workflow 'main'")},
    {"{type: chain, sequence: [b], budget: {tokens: 1}}", NO_MAX("3:3", "bare", "workflow 'main'")},
    {"{type: chain, sequence: [c, h], budget: {usd: 1}}",
     NO_PRICE("4:3", "cheap", "workflow 'main'") NO_PRICE("8:3", "half", "workflow 'main'")},
    {"{type: chain, sequence: [l], budget: {usd: 1}}",
     "flow.yaml:5:3: profile 'loose': `extra.n` may override `max_tokens`, and the budget of "
     "workflow 'main' cannot be held; take it out, or say `mode: audit`\n"},
    {"{type: chain, sequence: [f], budget: {usd: 1}}", NO_PRICE("4:3", "cheap", "workflow 'main'")},
    {"{type: chain, sequence: [i], budget: {tokens: 1}}",
     NO_MAX("19:7", "inline", "workflow 'main'")},
    {"{type: chain, sequence: [boss], budget: {tokens: 1}}",
     NO_MAX("3:3", "bare", "workflow 'main'")},
    {"{type: chain, sequence: [by], budget: {usd: 1}}",
     NO_PRICE("4:3", "cheap", "workflow 'main'")},
    {"{type: chain, sequence: [e], budget: {usd: 1}}",
     "flow.yaml:21:3: agent 'e' asks an `endpoint` whose price and limits nobody knows, and the "
     "budget of workflow 'main' cannot be held; use a profile with `base_url`, or `mode: audit`\n"},
    {"{type: router, agents: [a], profile: cheap, budget: {usd: 1}}",
     NO_PRICE("4:3", "cheap", "workflow 'main'")},
    {"{type: router, routes: [{when: true, agent: a}], budget: {usd: 1}}", ""},
    {"{nodes: [{id: n, agent: c, budget: {usd: 1}}, {id: m, agent: b}]}",
     NO_PRICE("4:3", "cheap", "node 'n'")},
    {"{nodes: [{id: n, type: chain, sequence: [c], budget: {usd: 1}}, {id: m, agent: b}]}",
     NO_PRICE("4:3", "cheap", "workflow 'n'")},
    {"{nodes: [{id: n, server_name: box}], budget: {usd: 1}}", ""},
};

static char *told[COUNT(row)];

/* Refused when it is checked, and when a run of it would start. */
static char *
load(struct app *a, size_t i)
{
    AUTO(spec_freep) struct spec *spec = NULL;
    AUTO(freep) char *text = xasprintf(HEAD "  main: %s\n", row[i].main);
    struct flow *f = NULL;
    struct err *e = app_load_text(a, "flow.yaml", text, strlen(text), &spec), *again = NULL;
    if (!e) {
        e = app_check(a, spec);
        again = app_flow(a, spec, "main", &f);
        flow_unref(f);
        if (!e != !again)
            err_join(&e, FAIL(ERR_BUG, "checked and started are not the same"));
    }
    err_free(again);
    return refusal_words(e, "");
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

TESTS(budgetcheck_test, cmocka_unit_test(refusals))
