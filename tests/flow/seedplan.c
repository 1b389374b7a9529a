/* seedplan.c - writing random definitions. */
#include "seedplan.h"
#include <stdlib.h>
#include <string.h>

/* Those that always fail come once among many: a graph is to get somewhere. The last two are
 * workflows. */
static const char *const leaves[] = {"get",    "get",    "post",  "post",  "put",  "free", "up",
                                     "up",     "low",    "low",   "ask",   "ask",  "echo", "tools",
                                     "tools",  "shape",  "shape", "boss",  "boss", "echo", "free",
                                     "backed", "strict", "fails", "wrong", "jobs", "talk"};
static const char *const strategies[] = {"stop_on_first_failure", "continue_on_failure",
                                         "partial_completion_allowed"};

static const char *
leaf(struct dice *d)
{
    return leaves[dice_below(d, COUNT(leaves))];
}

/* No workflow by name: it would be inside of itself. */
static const char *
plain_leaf(struct dice *d)
{
    return leaves[dice_below(d, COUNT(leaves) - 2)];
}

static void
add_retry(struct dice *d, struct str *s)
{
    static const char *const on[] = {"[\"transient\"]", "[\"timeout\", \"limit\"]",
                                     "[\"transient\", \"limit\", \"timeout\"]"};
    str_addf(s, ", \"retry\": {\"max_attempts\": %u", 1 + dice_below(d, 4));
    str_addf(s, ", \"initial_delay\": \"%ums\"", 50 + dice_below(d, 3000));
    str_addf(s, ", \"jitter\": %s", dice_chance(d, 50) ? "true" : "false");
    if (dice_chance(d, 30))
        str_addf(s, ", \"retry_on\": %s", on[dice_below(d, COUNT(on))]);
    str_addc(s, '}');
}

static void
add_guards(struct dice *d, struct str *s)
{
    if (dice_chance(d, 40))
        str_addf(s, ", \"timeout\": \"%ums\"", 50 + dice_below(d, 30000));
    if (dice_chance(d, 50))
        add_retry(d, s);
    if (dice_chance(d, 20)) {
        str_addf(s, ", \"circuit_breaker\": {\"failure_threshold\": %u", 1 + dice_below(d, 3));
        str_addf(s, ", \"recovery_timeout\": %u}", 1 + dice_below(d, 30));
    }
    str_addc(s, '}');
}

/* What may be sent twice may have a second call beside it. */
static void
add_hedge(struct dice *d, struct str *s, const char *agent)
{
    static const char *const twice[] = {"api/get", "api/it", "free/x", "'instruction'"};
    for (size_t i = 0; i < COUNT(twice); i++) {
        if (strstr(agent, twice[i]) && dice_chance(d, 15))
            str_addf(s, ", \"hedge\": {\"after\": \"%ums\"}", 1 + dice_below(d, 3000));
    }
}

static void
add_budget(struct dice *d, struct str *s)
{
    if (dice_chance(d, 30))
        str_addf(s, ", \"budget\": {\"usd\": 0.%u}", 1 + dice_below(d, 9));
    else if (dice_chance(d, 15))
        str_addf(s, ", \"budget\": {\"tokens\": %u, \"time\": %u}", 500 + dice_below(d, 5000),
                 1 + dice_below(d, 200));
    else if (dice_chance(d, 10))
        str_add(s, ", \"budget\": {\"usd\": 0.01, \"mode\": \"audit\"}");
}

static void
add_agents(struct dice *d, struct str *s)
{
    static const char *const agents[] = {
        "'get': {'type': 'http', 'endpoint': 'http://api/get'",
        "'post': {'type': 'http', 'endpoint': 'http://api/orders', 'method': 'POST'",
        "'put': {'type': 'http', 'endpoint': 'http://api/it', 'method': 'PUT'",
        "'free': {'type': 'http', 'endpoint': 'http://free/x', 'method': 'POST', "
        "'effect': 'idempotent'",
        "'up': {'type': 'exec', 'command': ['up'], 'capabilities': ['quick'], 'max_concurrency': 2",
        "'fails': {'type': 'exec', 'command': ['fails']",
        "'low': {'type': 'lua', 'capabilities': ['quick'], 'script': \"return "
        "string.lower(message)\"",
        "'wrong': {'type': 'lua', 'script': \"error(1)\"",
        "'box': {'type': 'mcp', 'server': 'box'",
        "'ask': {'instruction': 'Ask'",
        "'tools': {'instruction': 'Use tools', 'servers': ['box']",
        "'shape': {'instruction': 'JSON', 'output_schema': {'type': 'object', 'required': ['n'], "
        "'properties': {'n': {'type': 'integer'}}}",
        "'boss': {'instruction': 'Lead', 'servers': ['box'], "
        "'agents': ['get', 'post', 'ask', 'up', 'line']",
        "'echo': {'instruction': 'Echo', 'profile': 'canned'",
        "'backed': {'instruction': 'Two', 'profile': 'two'",
        "'strict': {'instruction': 'S', 'servers': ['box'], 'tools': {'allow': ['box.look']}, "
        "'max_iterations': 2",
    };
    str_add(s, ", \"agents\": {");
    for (size_t i = 0; i < COUNT(agents); i++) {
        str_add(s, i ? ",\n  " : "\n  ");
        for (const char *p = agents[i]; *p; p++)
            str_addc(s, *p == '\'' ? '"' : *p);
        add_hedge(d, s, agents[i]);
        add_guards(d, s);
    }
    str_addc(s, '}');
}

static void
add_names(struct dice *d, struct str *s, const char *key, size_t n)
{
    str_addf(s, "\"%s\": [", key);
    for (size_t i = 0; i < n; i++)
        str_addf(s, "%s\"%s\"", i ? ", " : "", leaf(d));
    str_addc(s, ']');
}

static void
add_strategy(struct dice *d, struct str *s)
{
    if (dice_chance(d, 70))
        str_addf(s, ", \"failure_strategy\": \"%s\"", strategies[dice_below(d, COUNT(strategies))]);
}

static void
add_common(struct dice *d, struct str *s)
{
    if (dice_chance(d, 40))
        str_addf(s, ", \"max_concurrency\": %u", 1 + dice_below(d, 4));
    add_strategy(d, s);
}

static void
add_chain(struct dice *d, struct str *s)
{
    str_add(s, "\"type\": \"chain\", ");
    add_names(d, s, "sequence", 1 + dice_below(d, 3));
    if (dice_chance(d, 30))
        str_add(s, ", \"cumulative\": true");
}

static void
add_parallel(struct dice *d, struct str *s)
{
    unsigned n = 1 + dice_below(d, 4);
    str_add(s, "\"type\": \"parallel\", ");
    add_names(d, s, "fan_out", n);
    if (dice_chance(d, 50))
        str_addf(s, ", \"fan_in\": \"%s\", \"quorum\": %u", leaf(d), 1 + dice_below(d, n));
    add_common(d, s);
}

static void
add_quorum(struct dice *d, struct str *s)
{
    unsigned n = 2 + dice_below(d, 3);
    str_add(s, "\"type\": \"parallel\", ");
    add_names(d, s, "fan_out", n);
    str_addf(s, ", \"quorum\": %u", 1 + dice_below(d, n));
    add_common(d, s);
}

static void
add_pipeline(struct dice *d, struct str *s)
{
    str_add(s, "\"type\": \"pipeline\", ");
    add_names(d, s, "stages", 1 + dice_below(d, 3));
    add_strategy(d, s);
}

static void
add_cases(struct dice *d, struct str *s, const char *key, const char *who)
{
    unsigned n = 1 + dice_below(d, 3);
    str_addf(s, "\"%s\": [", key);
    for (unsigned i = 0; i < n; i++)
        str_addf(s, "%s{\"when\": \"1 == %u\", \"%s\": \"%s\"}", i ? ", " : "",
                 1 + dice_below(d, 2), who, leaf(d));
    str_addc(s, ']');
    if (dice_chance(d, 60))
        str_addf(s, ", \"default\": \"%s\"", leaf(d));
}

static void
add_rules(struct dice *d, struct str *s)
{
    str_add(s, "\"type\": \"router\", ");
    add_cases(d, s, "routes", "agent");
}

static void
add_switch(struct dice *d, struct str *s)
{
    str_add(s, "\"type\": \"switch\", ");
    add_cases(d, s, "cases", "then");
}

static void
add_router(struct dice *d, struct str *s)
{
    str_add(s, "\"type\": \"router\", ");
    add_names(d, s, "agents", 1 + dice_below(d, 3));
    if (dice_chance(d, 40))
        str_addf(s, ", \"min_confidence\": 0.%u, \"default\": \"%s\"", dice_below(d, 10), leaf(d));
}

static void
add_loop(struct dice *d, struct str *s)
{
    str_addf(s, "\"type\": \"loop\", \"body\": \"%s\", \"max_iterations\": %u", leaf(d),
             1 + dice_below(d, 4));
    if (dice_chance(d, 70))
        str_addf(s, ", \"until\": \"index >= %u\"", 1 + dice_below(d, 4));
    add_strategy(d, s);
}

static void
add_foreach(struct dice *d, struct str *s)
{
    unsigned n = dice_below(d, 6);
    str_add(s, "\"type\": \"foreach\", \"items\": [");
    for (unsigned i = 0; i < n; i++)
        str_addf(s, "%s%u", i ? ", " : "", dice_below(d, 100));
    str_addf(s, "], \"agent\": \"%s\", \"input\": \"{{ item }} {{ index }}\"", leaf(d));
    str_addf(s, ", \"concurrency\": %u, \"failure_mode\": \"%s\"", 1 + dice_below(d, 4),
             dice_chance(d, 60) ? "continue" : "stop");
}

static void
add_maker(struct dice *d, struct str *s)
{
    str_addf(s, "\"type\": \"maker\", \"worker\": \"%s\", \"k\": %u, \"max_samples\": %u", leaf(d),
             1 + dice_below(d, 3), 1 + dice_below(d, 5));
}

static void
add_evaluator(struct dice *d, struct str *s)
{
    str_addf(s, "\"type\": \"evaluator_optimizer\", \"generator\": \"%s\", \"evaluator\": \"%s\"",
             leaf(d), dice_chance(d, 60) ? "ask" : leaf(d));
    str_addf(s, ", \"max_refinements\": %u", dice_below(d, 3));
    add_strategy(d, s);
}

static void
add_manager(struct dice *d, struct str *s)
{
    str_addf(s, "\"type\": \"manager\", \"agents\": {\"x\": \"%s\", \"y\": \"%s\"}", leaf(d),
             leaf(d));
    add_strategy(d, s);
}

static void
add_peers(struct dice *d, struct str *s)
{
    str_add(s, "\"type\": \"peers\", ");
    add_names(d, s, "agents", 1 + dice_below(d, 3));
    if (dice_chance(d, 50))
        str_addf(s, ", \"synthesizer\": \"%s\"", leaf(d));
    add_common(d, s);
}

static void
add_orchestrator(struct dice *d, struct str *s)
{
    str_addf(s, "\"type\": \"orchestrator\", \"plan_type\": \"%s\", \"max_iterations\": %u, ",
             dice_chance(d, 50) ? "full" : "iterative", 1 + dice_below(d, 4));
    add_names(d, s, "agents", 1 + dice_below(d, 3));
    add_common(d, s);
}

/* ---- queues and sessions --------------------------------------------------------------------- */

/* Who is sure to be one of the agents, and what one of them can do. */
static void
add_jobs_of(struct dice *d, struct str *s, const char *const *agents, unsigned n)
{
    static const char *const can[][2] = {{"get", "http"}, {"post", "http"}, {"put", "http"},
                                         {"up", "quick"}, {"low", "quick"}, {"fails", "exec"},
                                         {"ask", "llm"},  {"boss", "box"},  {"tools", "box"}};
    const char *agent = agents[dice_below(d, n)], *capability = NULL;
    for (size_t i = 0; i < COUNT(can); i++)
        capability = strcmp(can[i][0], agent) == 0 ? can[i][1] : capability;
    if (dice_chance(d, 50))
        str_addf(s, ", \"priority\": %d", (int)dice_below(d, 5) - 2);
    if (dice_chance(d, 20))
        str_addf(s, ", \"timeout\": \"%ums\"", 50 + dice_below(d, 20000));
    if (dice_chance(d, 20))
        str_addf(s, ", \"agent\": \"%s\"", agent);
    else if (capability && dice_chance(d, 30))
        str_addf(s, ", \"capability\": \"%s\"", capability);
    str_addc(s, '}');
}

/* A list in the file, or one that is there only when it runs. */
static void
add_queue(struct dice *d, struct str *s)
{
    const char *agents[3];
    const unsigned n = 1 + dice_below(d, COUNT(agents));
    const bool listed = dice_chance(d, 70);
    const unsigned tasks = listed ? 1 + dice_below(d, 6) : dice_below(d, 5);
    str_add(s, "\"type\": \"queue\", \"agents\": [");
    for (unsigned i = 0; i < n; i++) {
        agents[i] = dice_chance(d, 10) ? "talk" : plain_leaf(d);
        str_addf(s, "%s\"%s\"", i ? ", " : "", agents[i]);
    }
    str_addf(s, "], \"%s\": [", listed ? "tasks" : "items");
    for (unsigned i = 0; i < tasks; i++) {
        str_addf(s, "%s{\"id\": \"t%u\", \"description\": \"do %u\"", i ? ", " : "", i, i);
        add_jobs_of(d, s, agents, n);
    }
    str_addc(s, ']');
    if (dice_chance(d, 40))
        str_addf(s, ", \"task_timeout\": \"%ums\"", 50 + dice_below(d, 20000));
    if (dice_chance(d, 60))
        str_addf(s, ", \"max_attempts\": %u", 1 + dice_below(d, 4));
    add_common(d, s);
}

/* Where it goes on from the state with this number: to one after it, or back to the first. */
static void
add_way(struct dice *d, struct str *s, const char *key, unsigned from, unsigned states)
{
    const unsigned to = from + 1 + dice_below(d, 2);
    if (to < states)
        str_addf(s, "\"%s\": \"s%u\"", key, to);
    else
        str_addf(s, "\"%s\": \"%s\"", key, dice_chance(d, 20) ? "bye" : "hear");
}

/* A wait, and the state that answers what was heard there. */
static void
add_wait(struct dice *d, struct str *s, unsigned i, unsigned states)
{
    if (dice_chance(d, 50))
        str_addf(s, "\"s%u\": {\"say\": \"tell %u\", \"wait\": \"text\"", i, i);
    else
        str_addf(s, "\"s%u\": {\"wait\": \"text\"", i);
    if (dice_chance(d, 30))
        str_add(s, ", \"schema\": {\"type\": \"string\", \"pattern\": \"^(yes|bye) \"}");
    if (dice_chance(d, 40))
        str_addf(s, ", \"timeout\": \"%ums\"%s",
                 500 + dice_below(d, dice_chance(d, 50) ? 4000 : 200000),
                 dice_chance(d, 80) ? ", \"on_timeout\": \"late\"" : "");
    str_addf(s, ", \"next\": \"told%u\"}, ", i);
    str_addf(s, "\"told%u\": {\"say\": \"heard {{ vars.message }}\", ", i);
    add_way(d, s, "next", i, states);
    str_add(s, "}, ");
}

static void
add_state(struct dice *d, struct str *s, unsigned i, unsigned states)
{
    const unsigned what = dice_below(d, 4);
    if (what == 0) {
        add_wait(d, s, i, states);
        return;
    }
    str_addf(s, "\"s%u\": {", i);
    if (what < 3)
        str_addf(s, "\"agent\": \"%s\", ", dice_chance(d, 50) ? "low" : plain_leaf(d));
    else
        str_addf(s, "\"say\": \"so {{ vars.message }}\", ");
    if (dice_chance(d, 30)) {
        str_addf(s, "\"cases\": [{\"when\": \"1 == %u\", ", 1 + dice_below(d, 2));
        add_way(d, s, "next", i, states);
        str_add(s, "}], ");
    }
    if (dice_chance(d, 40)) {
        add_way(d, s, "on_error", i, states);
        str_add(s, ", ");
    }
    add_way(d, s, "next", i, states);
    str_add(s, "}, ");
}

/* It hears, does something, tells what it heard, hears again; until somebody says bye. */
static void
add_session(struct dice *d, struct str *s)
{
    const unsigned states = 1 + dice_below(d, 4);
    str_add(s, "\"type\": \"session\", \"start\": \"hear\", ");
    if (dice_chance(d, 60))
        str_addf(s, "\"on_error\": \"%s\", ", dice_chance(d, 80) ? "sorry" : "end");
    str_add(s, "\"states\": {\"hear\": {\"wait\": \"text\", ");
    if (dice_chance(d, 40))
        str_add(s, "\"say\": \"go on\", ");
    if (dice_chance(d, 40))
        str_addf(s, "\"timeout\": \"%ums\", \"on_timeout\": \"%s\", ",
                 500 + dice_below(d, dice_chance(d, 50) ? 4000 : 200000),
                 dice_chance(d, 70) ? "late" : "end");
    str_add(s, "\"next\": \"told\"}, \"told\": {\"say\": \"heard {{ vars.message }}\", "
               "\"cases\": [{\"when\": \"contains(vars.message, 'bye ')\", \"next\": \"bye\"}], "
               "\"next\": \"s0\"}, ");
    for (unsigned i = 0; i < states; i++)
        add_state(d, s, i, states);
    str_addf(s, "\"late\": {\"say\": \"still there?\", \"next\": \"%s\"}, ",
             dice_chance(d, 60) ? "hear" : "end");
    str_add(s, "\"sorry\": {\"say\": \"sorry\", \"next\": \"hear\"}, "
               "\"bye\": {\"say\": \"bye\", \"next\": \"end\"}}");
}

static void
add_pattern(struct dice *d, struct str *s)
{
    static void (*const all[])(struct dice * d, struct str * s) = {
        add_quorum, add_pipeline,     add_rules, add_switch,    add_router,
        add_loop,   add_foreach,      add_maker, add_evaluator, add_manager,
        add_peers,  add_orchestrator, add_queue, add_queue};
    all[dice_below(d, COUNT(all))](d, s);
}

static void add_nodes(struct dice *d, struct str *s, unsigned max, unsigned depth);

static void
add_work(struct dice *d, struct str *s, unsigned depth)
{
    static const char *const by_name[] = {"line", "panel", "jobs", "talk", "small"};
    static const char *const tools[] = {"add", "look", "put", "refuse", "none"};
    unsigned what = dice_below(d, depth < 2 ? 15 : 9);
    if (what >= (depth < 2 ? 12 : 7)) {
        add_pattern(d, s);
        return;
    }
    if (what < 5) {
        str_addf(s, "\"agent\": \"%s\"", leaf(d));
    } else if (what == 5) {
        str_addf(s, "\"agent\": \"box\", \"action\": \"%s\", \"parameters\": {\"n\": 1}",
                 tools[dice_below(d, COUNT(tools))]);
    } else if (what == 6) {
        str_add(s, "\"server_name\": \"box\"");
    } else if (what < 9) {
        str_addf(s, "\"workflow\": \"%s\"", by_name[dice_below(d, depth ? 4 : 5)]);
    } else if (what == 9) {
        add_chain(d, s);
    } else if (what == 10) {
        add_parallel(d, s);
    } else {
        str_add(s, "\"type\": \"dag\", ");
        add_nodes(d, s, 4, depth + 1);
        add_common(d, s);
    }
}

/* The last of its dependencies, or UINT32_MAX. */
static unsigned
add_deps(struct dice *d, struct str *s, unsigned i)
{
    unsigned n = 0, last = UINT32_MAX;
    str_add(s, ", \"depends_on\": [");
    for (unsigned k = 0; k < i; k++) {
        if (!dice_chance(d, i < 3 ? 50 : 25))
            continue;
        str_addf(s, "%s\"n%u\"", n++ ? ", " : "", k);
        last = k;
    }
    str_addc(s, ']');
    return last;
}

/* With a pause that ends within the time of a seed. */
static void
add_compensate(struct dice *d, struct str *s)
{
    static const char *const who[] = {"put", "put", "free", "post", "low", "up", "wrong", "line"};
    str_addf(s, ", \"compensate\": {\"agent\": \"%s\", \"input\": \"undo {{ output }}\"",
             who[dice_below(d, COUNT(who))]);
    str_add(s, ", \"retry\": {\"initial_delay\": \"100ms\", \"max_delay\": 20}");
    if (dice_chance(d, 30))
        str_add(s, ", \"tolerates_not_done\": true");
    str_addc(s, '}');
}

static void
add_node(struct dice *d, struct str *s, unsigned i, unsigned depth)
{
    const size_t begin = s->len;
    str_addf(s, "\n    {\"id\": \"n%u\", ", i);
    if (i && dice_chance(d, 6)) {
        str_addf(s, "\"type\": \"gate\", \"when\": \"1 == %u\"", 1 + dice_below(d, 2));
        add_deps(d, s, i);
        str_addc(s, '}');
        return;
    }
    if (i && dice_chance(d, 6)) {
        str_addf(s, "\"type\": \"reduce\", \"from\": [\"n%u\"], \"agent\": \"%s\"",
                 dice_below(d, i), leaf(d));
        str_add(s, ", \"instruction\": \"Merge\"");
    } else {
        add_work(d, s, depth);
    }
    unsigned dep = add_deps(d, s, i);
    bool has = dep != UINT32_MAX;
    if (has && !strstr(str_c(s) + begin, "\"input\"") && dice_chance(d, 30))
        str_addf(s, ", \"input\": \"got {{ steps.n%u.text }} {{ steps.n%u.status }}\"", dep, dep);
    if (dice_chance(d, 10))
        str_addf(s, ", \"when\": \"1 == %u\"", 1 + dice_below(d, 2));
    else if (has && dice_chance(d, 15))
        str_addf(s, ", \"when\": \"steps.n%u.status == 'completed'\"", dep);
    if (dice_chance(d, 20))
        str_add(s, ", \"continue_on_failure\": true");
    if (dice_chance(d, 20))
        str_addf(s, ", \"timeout\": \"%ums\"", 20 + dice_below(d, 20000));
    if (dice_chance(d, 20))
        str_addf(s, ", \"total_timeout\": \"%ums\"", 100 + dice_below(d, 60000));
    if (dice_chance(d, 20))
        add_retry(d, s);
    if (dice_chance(d, 5))
        add_compensate(d, s);
    str_addc(s, '}');
}

static void
add_nodes(struct dice *d, struct str *s, unsigned max, unsigned depth)
{
    unsigned n = 1 + dice_below(d, max);
    str_add(s, "\"nodes\": [");
    for (unsigned i = 0; i < n; i++) {
        if (i)
            str_addc(s, ',');
        add_node(d, s, i, depth);
    }
    str_addc(s, ']');
}

static void
add_dag(struct dice *d, struct str *s, unsigned max, unsigned depth)
{
    add_nodes(d, s, max, depth);
    add_common(d, s);
    add_budget(d, s);
    if (dice_chance(d, 20))
        str_addf(s, ", \"timeout\": \"%ums\"", 200 + dice_below(d, 120000));
    if (dice_chance(d, 15))
        str_add(s, ", \"parallel_execution\": false");
}

#define PRICED ", \"max_tokens\": 40, \"price\": {\"input\": 1000, \"output\": 1000}"

static void
add_head(struct dice *d, struct str *s)
{
    str_addf(s, "{\"settings\": {\"retry_attempts\": %u, \"retry_delay\": 0.5",
             1 + dice_below(d, 3));
    str_addf(s, ", \"request_timeout\": %u, \"max_iterations\": %u},\n", 5 + dice_below(d, 100),
             1 + dice_below(d, 5));
    str_add(
        s,
        "\"profiles\": {\"main\": {\"provider\": \"openai\", \"model\": \"m\", "
        "\"base_url\": \"http://ai/v1\", \"api_key\": \"k\"" PRICED "},\n"
        "  \"canned\": {\"provider\": \"script\", \"replies\": [{\"delay\": \"30ms\", "
        "\"text\": \"echo {{last}}\"}]" PRICED "},\n"
        "  \"two\": {\"provider\": \"openai\", \"model\": \"n\", \"base_url\": \"http://ai/v2\", "
        "\"api_key\": \"k\"" PRICED ", \"fallbacks\": [\"main\", \"canned\"]}},\n"
        "\"default_profile\": \"main\", \"mcp_servers\": {\"box\": {\"command\": \"fake-mcp\"");
    if (dice_chance(d, 50)) {
        str_addf(s, ", \"connect_timeout\": \"%us\"", 1 + dice_below(d, 10));
        str_addf(s, ", \"call_timeout\": \"%us\"", 1 + dice_below(d, 30));
    }
    str_add(s, "}}");
}

char *
seedplan_make(struct dice *d)
{
    struct str s = STR_INIT;
    add_head(d, &s);
    add_agents(d, &s);
    str_add(&s,
            ",\n\"workflows\": {\n"
            "  \"line\": {\"type\": \"chain\", \"sequence\": [\"low\", \"get\"]},\n  \"panel\": {");
    add_parallel(d, &s);
    str_add(&s, "},\n  \"jobs\": {");
    add_queue(d, &s);
    str_add(&s, "},\n  \"talk\": {");
    if (dice_chance(d, 40))
        add_session(d, &s);
    else
        str_add(&s, "\"type\": \"chain\", \"sequence\": [\"low\"]");
    str_add(&s, "},\n  \"small\": {");
    add_dag(d, &s, 4, 1);
    str_add(&s, "},\n  \"main\": {");
    add_dag(d, &s, 12, 0);
    str_add(&s, "}}}\n");
    return str_steal(&s);
}
