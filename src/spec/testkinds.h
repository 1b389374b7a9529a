/* tidy: twenty kinds as tables, for tests alone, take more lines than a header should */
/* testkinds.h - kinds for the tests of this folder, close to the real ones but without code.
 *
 * Real kinds live in agents and plan, which this folder cannot see. */
#ifndef SPEC_TESTKINDS_H
#define SPEC_TESTKINDS_H
#include "spec/spec.h"
#include <string.h>

#define TEXT_ITEM ITEM("text", P_STRING, PARAM_PLAIN)
#define WORKER                                                                                     \
    ITEM("agent", P_ONE_OF,                                                                        \
         .fields = FIELDS({"agent", P_REF, .ref = REF_WORKER}, {"workflow", P_NODE}))

/* ---- agents --------------------------------------------------------------------------------- */
static const struct param test_auth[] = {{"type", P_ENUM, PARAM_REQUIRED, "how to prove who we are",
                                          .choices = NAMES("bearer", "api_key", "basic", "oauth2")},
                                         {"token", P_STRING, PARAM_SECRET, "bearer"},
                                         {"key", P_STRING, PARAM_SECRET, "api_key"},
                                         {"header", P_STRING, 0, "api_key: name of the header"},
                                         {"username", P_STRING, 0, "basic"},
                                         {"password", P_STRING, PARAM_SECRET, "basic"},
                                         {"token_url", P_STRING, 0, "oauth2"},
                                         {"client_id", P_STRING, 0, "oauth2"},
                                         {"client_secret", P_STRING, PARAM_SECRET, "oauth2"},
                                         {"scope", P_STRING, 0, "oauth2"},
                                         {0}};

static const struct param test_llm[] = {
    {"instruction", P_TEXT, 0, "what the agent is to do", .also = NAMES("instructions")},
    {"profile", P_REF, 0, "the model", .ref = REF_PROFILE},
    {"model", P_STRING, PARAM_NONEMPTY, "another model of the profile's provider"},
    {"servers", P_LIST, PARAM_ONE, "MCP servers whose tools it has",
     .fields = ITEM("server", P_REF, .ref = REF_SERVER)},
    {"tools", P_OBJECT, 0, "which tools it may use",
     .fields = FIELDS(
         {"allow", P_LIST, PARAM_ONE, "patterns", .fields = TEXT_ITEM},
         {"deny", P_LIST, PARAM_ONE, "patterns; they win", .fields = TEXT_ITEM},
         {"approve", P_LIST, PARAM_ONE, "patterns that a human decides", .fields = TEXT_ITEM})},
    {"agents", P_LIST, PARAM_ONE, "agents as tools",
     .fields = ITEM("agent", P_REF, .ref = REF_WORKER)},
    {"output_schema", P_SCHEMA, 0, "the reply's form"},
    {"max_iterations", P_INT, 0, "model calls", .min = 1, .max = 10000, .def = 15},
    {"use_history", P_BOOL, 0, "earlier runs are remembered"},
    {"context", P_OBJECT, 0, "what fits into the model's window",
     .fields = FIELDS(
         {"max_tokens", P_INT, 0, "at most", .min = 1, .max = 1e9},
         {"strategy", P_ENUM, 0, "what to do beyond", .choices = NAMES("trim", "summarise")})},
    {"endpoint", P_STRING, PARAM_NONEMPTY, "the very URL to post to"},
    {"authentication", P_OBJECT, 0, "for the endpoint", .fields = test_auth},
    {0}};

static const struct param test_http[] = {
    {"endpoint", P_STRING, PARAM_REQUIRED | PARAM_NONEMPTY, "base URL", .also = NAMES("url")},
    {"authentication", P_OBJECT, 0, "for the endpoint", .fields = test_auth},
    {"headers", P_MAP, 0, "request headers", .fields = TEXT_ITEM},
    {"max_body", P_SIZE, 0, "of a reply"},
    {0}};

static struct err *
test_mcp_check(const json_t *def, const char *pointer, void *spec)
{
    (void)pointer, (void)spec;
    if (!json_object_get(def, "server") && !json_object_get(def, "endpoint"))
        return FAIL(ERR_INVALID, "needs 'server' or 'endpoint'");
    return NULL;
}

static const struct kind test_kind_llm = {.name = "llm",
                                          .also = NAMES("ai_agent"),
                                          .doc = "a model with tools",
                                          .roles = ROLE_AGENT,
                                          .params = test_llm};
static const struct kind test_kind_http = {.name = "http",
                                           .also = NAMES("http_api"),
                                           .doc = "an HTTP API",
                                           .roles = ROLE_AGENT,
                                           .params = test_http};
static const struct kind test_kind_mcp = {
    .name = "mcp",
    .also = NAMES("mcp_server"),
    .doc = "tools of one MCP server",
    .roles = ROLE_AGENT,
    .check = test_mcp_check,
    .params = FIELDS({"server", P_REF, 0, "which", .ref = REF_SERVER},
                     {"endpoint", P_STRING, PARAM_NONEMPTY, "URL or command"},
                     {"tool", P_STRING, 0, "when no action says"})};
static const struct kind test_kind_exec = {
    .name = "exec",
    .doc = "a command",
    .roles = ROLE_AGENT,
    .params = FIELDS({"command", P_LIST, PARAM_REQUIRED | PARAM_NONEMPTY, "program and arguments",
                      .fields = TEXT_ITEM},
                     {"cwd", P_PATH, 0, "its folder"},
                     {"env", P_MAP, 0, "its environment", .fields = TEXT_ITEM},
                     {"stderr_max", P_SIZE, 0, "bytes kept"})};
static const struct kind test_kind_lua = {
    .name = "lua",
    .doc = "a script",
    .roles = ROLE_AGENT,
    .params = FIELDS({"script", P_STRING, PARAM_NONEMPTY, "the text"},
                     {"file", P_PATH, 0, "or its file"})};
static const struct kind test_kind_plugin = {
    .name = "plugin",
    .also = NAMES("custom"),
    .doc = "a shared library",
    .roles = ROLE_AGENT,
    .params =
        FIELDS({"path", P_PATH, 0, "the library"}, {"endpoint", P_STRING, 0, "custom://name"})};
static const struct kind *const test_agents[] = {&test_kind_llm,
                                                 &test_kind_http,
                                                 &test_kind_mcp,
                                                 &test_kind_exec,
                                                 &test_kind_lua,
                                                 &test_kind_plugin,
                                                 NULL};

/* ---- workflows ------------------------------------------------------------------------------ */
#define INLINE ROLE_WORKFLOW | ROLE_NODE
static const struct kind test_kind_chain = {
    .name = "chain",
    .doc = "one after the other",
    .roles = INLINE,
    .params =
        FIELDS({"sequence", P_LIST, PARAM_REQUIRED | PARAM_NONEMPTY, "in order", .fields = WORKER},
               {"cumulative", P_BOOL, 0, "each sees all before"},
               {"continue_with_final", P_BOOL, 0, "the conversation goes on"})};
static const struct kind test_kind_parallel = {
    .name = "parallel",
    .doc = "at once",
    .roles = INLINE,
    .params =
        FIELDS({"fan_out", P_LIST, PARAM_REQUIRED | PARAM_NONEMPTY, "at once", .fields = WORKER},
               {"fan_in", P_REF, 0, "who merges", .ref = REF_WORKER},
               {"include_request", P_BOOL, 0, "fan_in sees the request"},
               {"quorum", P_INT, 0, "replies at least", .min = 1, .max = 10000})};
static const struct kind test_kind_router = {
    .name = "router",
    .doc = "one of several",
    .roles = INLINE,
    .params = FIELDS({"agents", P_LIST, PARAM_NONEMPTY, "who", .fields = WORKER},
                     {"routing_instruction", P_TEXT, 0, "how"},
                     {"profile", P_REF, 0, "the model that chooses", .ref = REF_PROFILE},
                     {"use_history", P_BOOL, 0, "earlier choices"},
                     {"routes", P_LIST, PARAM_NONEMPTY, "rules",
                      .fields = ITEM("route", P_OBJECT,
                                     .fields = FIELDS({"when", P_COND, PARAM_REQUIRED, "rule"},
                                                      {"agent", P_REF, PARAM_REQUIRED, "who",
                                                       .ref = REF_WORKER}))},
                     {"default", P_REF, 0, "who else", .ref = REF_WORKER})};
static const struct kind test_kind_orchestrator = {
    .name = "orchestrator",
    .doc = "plans, then runs the plan",
    .roles = INLINE,
    .params =
        FIELDS({"agents", P_LIST, PARAM_REQUIRED | PARAM_NONEMPTY, "who", .fields = WORKER},
               {"plan_type", P_ENUM, 0, "when to plan", .choices = NAMES("full", "iterative")},
               {"profile", P_REF, 0, "the model that plans", .ref = REF_PROFILE},
               {"max_iterations", P_INT, 0, "steps", .min = 1, .max = 1000})};
static const struct kind test_kind_evaluator = {
    .name = "evaluator_optimizer",
    .doc = "until it is good",
    .roles = INLINE,
    .params = FIELDS({"generator", P_REF, PARAM_REQUIRED, "who writes", .ref = REF_WORKER},
                     {"evaluator", P_REF, PARAM_REQUIRED, "who judges", .ref = REF_WORKER},
                     {"min_rating", P_ENUM, 0, "good enough",
                      .choices = NAMES("POOR", "FAIR", "GOOD", "EXCELLENT")},
                     {"max_refinements", P_INT, 0, "at most", .min = 1, .max = 1000})};
static const struct kind test_kind_session = {
    .name = "session",
    .doc = "a conversation",
    .roles = ROLE_WORKFLOW,
    .params = FIELDS({"start", P_STRING, PARAM_REQUIRED | PARAM_NONEMPTY, "first state"},
                     {"states", P_MAP, PARAM_REQUIRED | PARAM_NONEMPTY, "by name",
                      .fields = ITEM("state", P_OBJECT,
                                     .fields = FIELDS({"say", P_TEXT, 0, "what is said"},
                                                      {"wait", P_ENUM, 0, "for what",
                                                       .choices = NAMES("text", "choice")},
                                                      {"next", P_STRING, 0, "state"}))})};
static const struct kind test_kind_dag = {
    .name = "dag", .also = NAMES("graph"), .doc = "nodes with dependencies", .roles = INLINE};

/* ---- nodes ---------------------------------------------------------------------------------- */
static const struct kind test_kind_task = {
    .name = "task", .doc = "one agent or workflow", .roles = ROLE_NODE};
static const struct kind test_kind_foreach = {
    .name = "foreach",
    .doc = "once for each item",
    .roles = ROLE_NODE,
    .params = FIELDS({"items", P_VALUE, 0, "a list, {file: ...} or a template"},
                     {"as", P_STRING, PARAM_NONEMPTY, "another name for item"},
                     {"concurrency", P_INT, 0, "at once", .min = 1, .max = 100000,
                      .also = NAMES("max_concurrency")},
                     {"failure_mode", P_ENUM, 0, "when one fails",
                      .choices = NAMES("continue", "stop", "fail_fast")})};
static const struct kind test_kind_reduce = {
    .name = "reduce", .doc = "one from many", .roles = ROLE_NODE};
static const struct kind test_kind_gate = {
    .name = "gate",
    .doc = "open or closed",
    .roles = ROLE_NODE,
    .params = FIELDS({"when", P_COND, PARAM_REQUIRED, "false: closed"})};
static const struct kind test_kind_switch = {
    .name = "switch",
    .doc = "one branch",
    .roles = ROLE_NODE,
    .params = FIELDS({"cases", P_LIST, PARAM_REQUIRED | PARAM_NONEMPTY, "in order",
                      .fields = ITEM("case", P_OBJECT,
                                     .fields = FIELDS({"when", P_COND, PARAM_REQUIRED, "rule"},
                                                      {"next", P_REF, PARAM_REQUIRED, "node",
                                                       .ref = REF_NODE}))},
                     {"default", P_REF, 0, "else", .ref = REF_NODE})};
static const struct kind test_kind_loop = {
    .name = "loop",
    .doc = "again and again",
    .roles = ROLE_NODE,
    .params = FIELDS({"body", P_ONE_OF, PARAM_REQUIRED, "what",
                      .fields = FIELDS({"agent", P_REF, .ref = REF_WORKER}, {"node", P_NODE},
                                       {"nodes", P_NODES, PARAM_NONEMPTY})},
                     {"until", P_COND, 0, "stop when"},
                     {"max_iterations", P_INT, 0, "at most", .min = 1, .max = 100000})};
static const struct kind test_kind_human = {
    .name = "human",
    .doc = "asks a person",
    .roles = ROLE_NODE,
    .params = FIELDS({"prompt", P_TEXT, PARAM_REQUIRED, "the question"},
                     {"choices", P_LIST, 0, "answers", .fields = TEXT_ITEM},
                     {"schema", P_SCHEMA, 0, "form of the answer"},
                     {"default", P_ANY, 0, "when nobody answers"})};
static const struct kind test_kind_wait = {
    .name = "wait",
    .doc = "for a time or a signal",
    .roles = ROLE_NODE,
    .params = FIELDS({"for", P_DURATION, 0, "so long"}, {"until", P_TEXT, 0, "ISO time"},
                     {"signal", P_STRING, PARAM_NONEMPTY, "name"})};
static const struct kind *const test_workflows[] = {
    &test_kind_chain,     &test_kind_parallel, &test_kind_router, &test_kind_orchestrator,
    &test_kind_evaluator, &test_kind_session,  &test_kind_dag,    &test_kind_task,
    &test_kind_foreach,   &test_kind_reduce,   &test_kind_gate,   &test_kind_switch,
    &test_kind_loop,      &test_kind_human,    &test_kind_wait,   NULL};

static const struct spec_tables test_tables = {test_agents, test_workflows};

/* ---- an environment and files in memory -------------------------------------------------------
 */
struct test_world {
    const char *const *env;   /* "NAME=value", NULL-ended; or NULL */
    const char *const *files; /* path, text, path, text, NULL; or NULL */
};

static const char *
test_env_get(void *ctx, const char *name)
{
    const struct test_world *w = ctx;
    const size_t n = strlen(name);
    for (const char *const *e = w->env; e && *e; e++) {
        if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
            return *e + n + 1;
    }
    return NULL;
}

static const char *
test_env_at(void *ctx, size_t i)
{
    const struct test_world *w = ctx;
    return w->env ? w->env[i] : NULL;
}

static struct err *
test_read(void *ctx, const char *path, struct str *ret_text)
{
    const struct test_world *w = ctx;
    for (const char *const *f = w->files; f && *f; f += 2) {
        if (strcmp(*f, path) == 0) {
            str_add(ret_text, f[1]);
            return NULL;
        }
    }
    return FAIL(ERR_MISSING, "there is no such file");
}

static struct err *
test_list(void *ctx, const char *folder, const char *suffix,
          void (*found)(void *arg, const char *path), void *arg)
{
    const struct test_world *w = ctx;
    for (const char *const *f = w->files; f && *f; f += 2) {
        const size_t n = strlen(folder);
        if (strncmp(*f, folder, n) == 0 && (*f)[n] == '/' && str_ends(*f, suffix))
            found(arg, *f);
    }
    return NULL;
}

UNUSED static struct err *MUST
test_load(struct test_world *w, const char *path, const char *text, struct spec **ret_spec)
{
    const struct spec_env env = {test_env_get, test_env_at, w};
    const struct spec_files files = {test_read, test_list, w};
    const struct spec_source source = {
        .path = path, .text = text, .len = strlen(text), .env = &env, .files = &files};
    return spec_load(&test_tables, &source, ret_spec);
}
#endif
