/* tables.c - the language's common keys. The order is the order of the manual and of the schema. */
#include "spec/tables.h"
#include "spec/yaml.h"

#define COUNT_MAX 1e9

/* ---- parts that several tables share --------------------------------------- */
static const char *const effects[] = {"pure", "idempotent", "once", NULL};
static const char *const failure_strategies[] = {"stop_on_first_failure", "continue_on_failure",
                                                 "partial_completion_allowed", NULL};

static const struct param price_params[] = {
    {"input", P_NUMBER, PARAM_NULL, "USD per million input tokens; null: not known", .max = 1e6},
    {"cached_input", P_NUMBER, PARAM_NULL, "USD per million cached input tokens", .max = 1e6},
    {"cache_write", P_NUMBER, PARAM_NULL, "USD per million input tokens written to a cache",
     .max = 1e6},
    {"output", P_NUMBER, PARAM_NULL, "USD per million output tokens", .max = 1e6},
    {0}};

const struct param spec_limit_params[] = {
    {"rpm", P_INT, 0, "requests per minute", .min = 1, .max = COUNT_MAX},
    {"rpd", P_INT, 0, "requests per day", .min = 1, .max = COUNT_MAX},
    {"tpm", P_INT, 0, "tokens per minute", .min = 1, .max = 1e12},
    {"tpd", P_INT, 0, "tokens per day", .min = 1, .max = 1e12},
    {"max_concurrency", P_INT, 0, "calls at once", .min = 1, .max = 100000},
    {0}};

static const struct param retry_params[] = {
    {"max_attempts", P_INT, 0, "attempts, the first one counted", .min = 1, .max = 1000, .def = 3},
    {"initial_delay", P_DURATION, 0, "wait before the second attempt", .def = 1000},
    {"min_delay", P_DURATION, 0, "wait at least this long"},
    {"max_delay", P_DURATION, 0, "wait at most this long", .def = 60000},
    {"exponential_base", P_NUMBER, 0, "each wait is this many times the one before", .min = 1,
     .max = 100, .def = 2},
    {"jitter", P_BOOL, 0, "waits are shortened by chance to 50 to 100 %", .def = 1},
    {"strategy", P_ENUM, 0, "adaptive: only waits for a limit grow; what broke is tried again soon",
     .choices = NAMES("exponential", "adaptive")},
    {"retry_on", P_LIST, PARAM_ONE, "failures that are worth another attempt",
     .fields = ITEM("failure", P_ENUM,
                    .choices = NAMES("transient", "limit", "timeout", "invalid", "missing",
                                     "denied", "too_long"))},
    {0}};

static const struct param breaker_params[] = {
    {"failure_threshold", P_INT, 0, "failures in a row that open the breaker", .min = 1, .max = 1e6,
     .def = 5},
    {"recovery_timeout", P_DURATION, 0, "time until one call may try again", .def = 60000},
    {0}};

static const struct param budget_params[] = {
    {"usd", P_NUMBER, 0, "cost at most, in USD", .max = COUNT_MAX},
    {"tokens", P_INT, 0, "input and output tokens at most", .min = 1, .max = 1e15},
    {"time", P_DURATION, 0, "time at most"},
    {"mode", P_ENUM, 0, "enforce stops the run; audit only tells",
     .choices = NAMES("enforce", "audit")},
    {0}};

static const struct param hedge_params[] = {
    {"after", P_DURATION, PARAM_REQUIRED, "a second call starts when the first takes this long"},
    {0}};

#define TEXT_MAP                                                                                   \
    ITEM("value", P_STRING, PARAM_PLAIN, "a text; a bare number or boolean is taken as written")
#define LIMITS(doc_text)                                                                           \
    {                                                                                              \
        "limits", P_ONE_OF, 0, doc_text,                                                           \
            .fields = FIELDS({"preset", P_ENUM, .choices = NAMES("development")},                  \
                             {"limits", P_OBJECT, .fields = spec_limit_params})                    \
    }

/* ---- tests ----------------------------------------------------------------- */
#define TEXTS(name, doc_text)                                                                      \
    {                                                                                              \
        name, P_LIST, PARAM_ONE, doc_text, .fields = ITEM("text", P_STRING, PARAM_PLAIN)           \
    }
static const struct param expect_params[] = {
    {"status", P_ENUM, 0, "how the run ends (completed; with `error`: failed)",
     .choices = NAMES("completed", "partial", "failed", "cancelled", "compensated", "waiting")},
    {"output", P_ANY, 0, "the whole output"},
    TEXTS("contains", "texts that are in the output"),
    TEXTS("excludes", "texts that are not"),
    TEXTS("matches", "regular expressions that the output matches"),
    {"json", P_ANY, 0, "values of members of the output, by their path"},
    {"when", P_LIST, PARAM_ONE, "conditions over output, steps, inputs and vars",
     .fields = ITEM("condition", P_COND)},
    {"error", P_STRING, 0, "a part of the error's text"},
    {"nodes", P_ANY, 0, "state of nodes by path, or their status and output"},
    {0}};
static const struct param test_params[] = {
    {"description", P_STRING, 0, "for people"},
    {"workflow", P_STRING, PARAM_NONEMPTY, "which workflow (default as of a run)"},
    {"input", P_ANY, 0, "the run's input"},
    {"inputs", P_ANY, 0, "the run's inputs"},
    {"context", P_ANY, 0, "further inputs"},
    {"replies", P_ANY, 0, "what agents answer: by name, or a list for all of them"},
    {"recording", P_PATH, PARAM_NONEMPTY, "models answer from this file"},
    {"answers", P_ANY, 0, "what people answer, by the path of the question"},
    {"signals", P_ANY, 0, "signals that the run is sent, by name"},
    {"clock", P_ENUM, 0, "whose time it is (virtual)", .choices = NAMES("virtual", "real")},
    {"expect", P_OBJECT, 0, "what has to come of it", .fields = expect_params},
    {0}};

/* ---- a file ---------------------------------------------------------------- */
const struct param spec_top_params[] = {
    {"$schema", P_STRING, 0, "for editors; not kept"},
    {"name", P_STRING, PARAM_NONEMPTY, "what this file is called; names its workflow"},
    {"version", P_STRING, PARAM_PLAIN, "the file's own version"},
    {"description", P_STRING, 0, "for people"},
    {"include", P_LIST, PARAM_ONE, "further files, relative to this one",
     .fields = ITEM("file", P_PATH, PARAM_NONEMPTY)},
    {"inputs", P_SCHEMA, 0, "JSON Schema of what a run is given"},
    {"profiles", P_MAP, 0, "named ways to call a model",
     .fields = ITEM("profile", P_OBJECT, .fields = spec_profile_params)},
    {"default_profile", P_REF, 0, "the profile of agents that name none", .ref = REF_PROFILE},
    {"settings", P_OBJECT, 0, "defaults of the whole file", .fields = spec_setting_params},
    {"limits", P_ONE_OF, 0, "limits by provider:model, shared by all that use it",
     .fields =
         FIELDS({"preset", P_ENUM, .choices = NAMES("development")},
                {"limits", P_MAP, .fields = ITEM("limit", P_OBJECT, .fields = spec_limit_params)})},
    {"price", P_MAP, 0, "prices by provider:model",
     .fields = ITEM("price", P_OBJECT, .fields = price_params), .also = NAMES("prices")},
    {"mcp_servers", P_MAP, 0, "named MCP servers",
     .fields = ITEM("server", P_OBJECT, .fields = spec_server_params)},
    {"tests", P_MAP, 0, "runs and what has to come of them, for `tutti test`",
     .fields = ITEM("test", P_OBJECT, .fields = test_params)},
    {"agents", P_ANY, 0, "named workers"},
    {"workflows", P_ANY, 0, "named patterns over agents"},
    {0}};

/* Those with a wire or an address of their own; any other name needs base_url. The list is repeated
 * from llm, which this folder does not see. */
const char *const spec_providers[] = {
    "openai",      "anthropic", "gemini",    "google",   "ollama",   "script",
    "passthrough", "playback",  "groq",      "xai",      "deepseek", "openrouter",
    "mistral",     "together",  "fireworks", "cerebras", NULL};

const struct param spec_profile_params[] = {
    {"name", P_STRING, 0, "a title for people"},
    {"description", P_STRING, 0, "for people"},
    {"provider", P_STRING, PARAM_NONEMPTY,
     "openai, anthropic, gemini, ollama, script, or any name with base_url"},
    {"model", P_STRING, PARAM_NONEMPTY, "the provider's name of the model"},
    {"api_key", P_STRING, PARAM_SECRET, "usually ${NAME}"},
    {"base_url", P_STRING, PARAM_NONEMPTY, "address of an OpenAI-compatible server",
     .also = NAMES("api_base", "endpoint")},
    {"headers", P_MAP, PARAM_SECRET, "further request headers", .fields = TEXT_MAP},
    {"system_prompt", P_STRING, 0, "goes in front of every conversation"},
    {"temperature", P_NUMBER, 0, "chance in the choice of words", .max = 2},
    {"max_tokens", P_INT, 0, "tokens of a reply at most", .min = 1, .max = COUNT_MAX},
    {"top_p", P_NUMBER, 0, "share of probability that is sampled", .max = 1},
    {"top_k", P_INT, 0, "candidates that are sampled", .min = 1, .max = COUNT_MAX},
    {"stop", P_LIST, PARAM_ONE, "texts that end a reply",
     .fields = ITEM("text", P_STRING, PARAM_NONEMPTY)},
    {"seed", P_INT, 0, "for repeatable replies, where supported"},
    {"presence_penalty", P_NUMBER, 0, "against known topics", .min = -2, .max = 2},
    {"frequency_penalty", P_NUMBER, 0, "against repetition", .min = -2, .max = 2},
    {"reasoning", P_ONE_OF, 0, "effort (low, medium, high) or a number of tokens",
     .fields = FIELDS({"effort", P_STRING}, {"tokens", P_INT, .max = COUNT_MAX})},
    {"context_window", P_INT, 0, "tokens a conversation may have", .min = 1, .max = COUNT_MAX},
    {"timeout", P_DURATION, 0, "of one call"},
    {"stream", P_BOOL, 0, "ask for the reply in pieces"},
    {"fallbacks", P_LIST, PARAM_ONE, "who is asked when this one fails, in order",
     .fields = ITEM("fallback", P_ONE_OF,
                    .fields = FIELDS({"profile", P_REF, .ref = REF_PROFILE},
                                     {"fallback", P_OBJECT, .fields = spec_profile_params}))},
    LIMITS("of this profile"),
    {"price", P_OBJECT, 0, "what tokens cost", .fields = price_params},
    {"batch", P_OBJECT, 0, "gather calls before sending",
     .fields = FIELDS(
         {"size", P_INT, 0, "calls at most", .min = 1, .max = 50000, .def = 10},
         {"flush_interval", P_DURATION, 0, "wait at most this long", .def = 1000},
         {"endpoint", P_BOOL, 0, "the provider's own batches: cheaper, and they take up to a day"},
         {"poll_interval", P_DURATION, 0, "first wait until a batch is looked at", .def = 30000},
         {"rpm", P_INT, 0, "requests about batches in a minute", .min = 1, .max = 100000},
         {"price_factor", P_NUMBER, 0, "what a call in a batch costs, of `price`", .max = 1})},
    {"extra", P_ANY, 0, "merged into the request as it is"},
    {"replies", P_ANY, 0, "script: replies by pattern"},
    {"echo", P_ANY, 0, "script: the message is the reply"},
    {"playback", P_ANY, 0, "script: a recorded conversation, as a file or a list of replies"},
    {"default", P_ANY, 0, "script: the reply when none matches"},
    {"delay", P_ANY, 0, "script: time before each reply"},
    {"chunk", P_ANY, 0, "script: characters of a streamed piece"},
    {"chunk_delay", P_ANY, 0, "script: time between streamed pieces"},
    {"faults", P_ANY, 0, "script: failures on demand"},
    {"script", P_ANY, 0, "script: all of the above in one"},
    {0}};

const struct param spec_setting_params[] = {
    {"max_iterations", P_INT, 0, "model calls of one agent's turn", .min = 1, .max = 10000,
     .def = 15},
    {"request_timeout", P_DURATION, 0, "of one call", .def = 180000},
    {"enable_streaming", P_BOOL, 0, "show replies as they come"},
    {"max_concurrency", P_INT, 0, "work at once", .min = 1, .max = 100000, .def = 10},
    {"max_connections", P_INT, 0, "connections to tool servers at once, in all", .min = 1,
     .max = 10000, .def = 64},
    {"max_connections_per_run", P_INT, 0, "different ones that a run uses at once", .min = 1,
     .max = 10000, .also = NAMES("max_agents_per_run")},
    {"retry_attempts", P_INT, 0, "attempts of a call, the first one counted", .min = 1, .max = 1000,
     .def = 3},
    {"retry_delay", P_DURATION, 0, "wait before the second attempt", .def = 1000},
    {"debug_mode", P_BOOL, 0, "log every request and reply, redacted"},
    {"enable_tracing", P_BOOL, 0, "send traces"},
    {"metrics_port", P_INT, 0, "where metrics are served", .max = 65535},
    {0}};

const struct setting_env spec_setting_env[] = {
    {"MAX_CONCURRENCY", "max_concurrency"}, {"REQUEST_TIMEOUT", "request_timeout"},
    {"RETRY_ATTEMPTS", "retry_attempts"},   {"RETRY_DELAY", "retry_delay"},
    {"DEBUG_MODE", "debug_mode"},           {"ENABLE_TRACING", "enable_tracing"},
    {"METRICS_PORT", "metrics_port"},       {0}};

const struct param spec_server_params[] = {
    {"type", P_ENUM, 0, "usually told by command or url; filesystem and playwright are shorthands",
     .choices = NAMES("stdio", "http", "streamable-http", "streamable_http", "sse", "filesystem",
                      "playwright"),
     .also = NAMES("transport")},
    {"description", P_STRING, 0, "for people and routers"},
    {"command", P_ONE_OF, 0, "the program to start, alone or with its arguments",
     .fields = FIELDS({"command", P_STRING, PARAM_NONEMPTY},
                      {"command and arguments", P_LIST, PARAM_NONEMPTY, .fields = TEXT_MAP})},
    {"args", P_LIST, 0, "its arguments", .fields = TEXT_MAP},
    {"env", P_MAP, PARAM_SECRET, "its environment, beside a minimal one", .fields = TEXT_MAP},
    {"cwd", P_PATH, 0, "its folder"},
    {"url", P_STRING, PARAM_NONEMPTY, "a server reached over HTTP",
     .also = NAMES("endpoint", "server_url")},
    {"headers", P_MAP, PARAM_SECRET, "request headers", .fields = TEXT_MAP},
    {"protocol", P_ENUM, 0, "which generation of the protocol is spoken",
     .choices = NAMES("auto", "legacy", "modern")},
    {"root", P_PATH, PARAM_NONEMPTY, "shorthand: a filesystem server on this folder"},
    {"roots", P_LIST, PARAM_ONE, "folders the server is told of", .fields = ITEM("folder", P_PATH)},
    {"connect_timeout", P_DURATION, 0, "until it has introduced itself", .def = 10000},
    {"call_timeout", P_DURATION, 0, "of one call", .also = NAMES("timeout"), .def = 60000},
    {"idle_timeout", P_DURATION, 0, "stopped when unused for so long"},
    {"max_connections", P_INT, 0, "processes or sessions at once", .min = 1, .max = 1000, .def = 1},
    {"shared", P_BOOL, 0, "one connection serves all runs", .def = 1},
    {"tools", P_OBJECT, 0, "which of its tools can be used",
     .fields = FIELDS(
         {"allow", P_LIST, PARAM_ONE, "patterns", .fields = ITEM("tool", P_STRING)},
         {"deny", P_LIST, PARAM_ONE, "patterns; they win", .fields = ITEM("tool", P_STRING)})},
    {"limits", P_OBJECT, 0, "how much it may be used",
     .fields = FIELDS({"rpm", P_INT, 0, "calls per minute", .min = 1, .max = COUNT_MAX},
                      {"rpd", P_INT, 0, "calls per day", .min = 1, .max = COUNT_MAX},
                      {"max_concurrency", P_INT, 0, "calls at once", .min = 1, .max = 100000})},
    {"required", P_BOOL, 0, "a run does not start without it"},
    {"disabled", P_BOOL, 0, "it counts as not there"},
    {"auto_approve", P_ANY, 0, "of desktop clients; not used", .also = NAMES("always_allow")},
    {0}};

/* ---- agents ---------------------------------------------------------------- */
const struct param spec_agent_params[] = {
    {"name", P_STRING, 0, "a title for people"},
    {"description", P_STRING, 0, "what routers and planners read; default: the instruction"},
    {"timeout", P_DURATION, 0, "of one attempt"},
    {"total_timeout", P_DURATION, 0, "of all attempts and waits"},
    {"retry", P_OBJECT, 0, "when and how often to try again", .fields = retry_params,
     .also = NAMES("retry_config")},
    {"circuit_breaker", P_OBJECT, 0, "stop calling what keeps failing", .fields = breaker_params},
    {"effect", P_ENUM, 0, "what a call does to the world", .choices = effects},
    {"capabilities", P_LIST, PARAM_ONE, "what it can do, as the tasks of a queue ask for it",
     .fields = ITEM("capability", P_STRING, PARAM_NONEMPTY)},
    {"max_concurrency", P_INT, 0, "calls at once", .min = 1, .max = 100000},
    {"coalesce", P_BOOL, 0, "pure calls that are under way already are joined", .def = 1},
    {"hedge", P_OBJECT, 0, "a second call when the first is slow", .fields = hedge_params},
    {"custom_params", P_ANY, 0, "further values for the agent"},
    {0}};

/* ---- workflows ------------------------------------------------------------- */
const struct param spec_workflow_params[] = {
    {"name", P_STRING, 0, "a title for people"},
    {"version", P_STRING, PARAM_PLAIN, "the workflow's own version"},
    {"description", P_STRING, 0, "what routers and planners read"},
    {"inputs", P_SCHEMA, 0, "JSON Schema of what a run is given"},
    {"output", P_VALUE, 0, "what the run gives back; default: what the last nodes gave"},
    {"timeout", P_DURATION, 0, "of the whole run", .also = NAMES("global_timeout")},
    {"failure_strategy", P_ENUM, 0, "what the failure of a node means",
     .choices = failure_strategies},
    {"parallel_execution", P_BOOL, 0, "nodes that can run at once do", .def = 1},
    {"max_concurrency", P_INT, 0, "nodes at once", .min = 1, .max = 100000},
    {"budget", P_OBJECT, 0, "what a run may cost", .fields = budget_params},
    {"priority", P_INT, 0, "higher first", .min = -1000, .max = 1000},
    {0}};

const struct param spec_graph_params[] = {
    {"nodes", P_NODES, PARAM_REQUIRED | PARAM_NONEMPTY, "what is to be done",
     .also = NAMES("tasks")},
    {"edges", P_LIST, 0, "[a, b]: b waits for a; the same as depends_on",
     .fields =
         ITEM("edge", P_LIST, PARAM_NONEMPTY, .fields = ITEM("node", P_STRING, PARAM_NONEMPTY))},
    {0}};

/* ---- nodes ----------------------------------------------------------------- */
static const struct param compensate_params[] = {
    {"agent", P_REF, 0, "who undoes it, an agent or a workflow; default: the node's agent",
     .ref = REF_WORKER, .also = NAMES("agent_name", "workflow")},
    {"action", P_TEXT, 0, "what the agent is to do"},
    {"parameters", P_VALUE, 0, "values for the action"},
    {"input", P_VALUE, 0, "the message; default: what the node gave", .also = NAMES("message")},
    {"instruction", P_TEXT, 0, "what to do with it"},
    {"server_name", P_REF, 0, "the one server to use", .ref = REF_SERVER},
    {"timeout", P_DURATION, 0, "of one attempt"},
    {"retry", P_OBJECT, 0, "when and how often to try again", .fields = retry_params,
     .also = NAMES("retry_config")},
    {"effect", P_ENUM, 0, "what it does to the world", .choices = effects},
    {"tolerates_not_done", P_BOOL, 0, "it does no harm where there is nothing to undo"},
    {0}};

const struct param spec_node_params[] = {
    {"name", P_STRING, 0, "the id, or a title beside one"},
    {"description", P_STRING, 0, "for people"},
    {"depends_on", P_LIST, PARAM_ONE, "nodes that come before",
     .fields = ITEM("node", P_REF, .ref = REF_NODE)},
    {"from", P_LIST, PARAM_ONE, "nodes whose replies are the input; they come before",
     .fields = ITEM("node", P_REF, .ref = REF_NODE), .also = NAMES("from_ids")},
    {"input", P_VALUE, 0, "the message; default: the replies of the nodes before",
     .also = NAMES("message")},
    {"instruction", P_TEXT, 0, "what to do with it"},
    {"when", P_COND, 0, "false: the node is skipped"},
    {"timeout", P_DURATION, 0, "of one attempt"},
    {"total_timeout", P_DURATION, 0, "of all attempts and waits"},
    {"retry", P_OBJECT, 0, "when and how often to try again", .fields = retry_params,
     .also = NAMES("retry_config")},
    {"continue_on_failure", P_BOOL, 0, "its failure does not fail the run"},
    {"compensate", P_OBJECT, 0, "undoes it when the run is rolled back",
     .fields = compensate_params},
    {"effect", P_ENUM, 0, "what it does to the world", .choices = effects},
    {"priority", P_INT, 0, "higher first", .min = -1000, .max = 1000},
    {"coalesce", P_BOOL, 0, "pure calls that are under way already are joined", .def = 1},
    {"hedge", P_OBJECT, 0, "a second call when the first is slow", .fields = hedge_params},
    {"budget", P_OBJECT, 0, "what it may cost", .fields = budget_params},
    {0}};

const struct param spec_work_params[] = {
    {"agent", P_ONE_OF, 0, "who does it", .also = NAMES("agent_name"),
     .fields = FIELDS({"agent", P_REF, .ref = REF_WORKER}, {"workflow", P_NODE})},
    {"workflow", P_ONE_OF, 0, "a workflow that does it",
     .fields = FIELDS({"workflow", P_REF, .ref = REF_WORKER}, {"workflow", P_NODE})},
    {"action", P_TEXT, 0, "what the agent is to do: a tool, METHOD /path, ..."},
    {"parameters", P_VALUE, 0, "values for the action"},
    {"server_name", P_REF, 0, "the one server to use", .ref = REF_SERVER},
    {0}};
