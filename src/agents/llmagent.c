/* llmagent.c - an agent that is a language model: asks it, runs the tools it wants, until it
 * answers. */
#include "agents/agentlib.h"
#include "agents/batchcall.h"
#include "agents/conversation.h"
#include "agents/modellimit.h"
#include "model/status.h"
#include "rt/rt.h"
#include <stdlib.h>
#include <string.h>

#define ITERATIONS 15
#define REPAIRS    3

static void
conversation_fini(struct conversation *c)
{
    json_decref(c->def);
    json_decref(c->messages);
    json_decref(c->said);
    json_decref(c->profile_def);
    loopguard_fini(&c->circles);
    toolbox_fini(&c->tools);
}

/* ---- whom to ask ----------------------------------------------------------- */

/* The definition of a profile by name or inline; *ret_name for messages. */
static struct err *
profile_def(struct conversation *c, const json_t *which, json_t **ret_def, const char **ret_name)
{
    const json_t *def = which;
    *ret_name = NULL;
    if (json_is_string(which)) {
        *ret_name = json_string_value(which);
        def = c->host->ops->section(c->host, "profiles", *ret_name);
        if (!def)
            return FAIL(ERR_INVALID, "there is no profile '%s'", *ret_name);
    }
    TRY(def_expand(c->host, def, ret_def), "profile '%s'", *ret_name ? *ret_name : "inline");
    return NULL;
}

static const json_t *
main_profile(struct conversation *c)
{
    const json_t *which = json_object_get(c->def, "profile");
    return which ? which : c->host->ops->section(c->host, "default_profile", NULL);
}

/* An endpoint of its own makes the profile: OpenAI's form, posted to that very URL. */
static void
profile_of_endpoint(struct conversation *c, json_t *def)
{
    const char *const skipped[] = {"messages", "model"};
    const char *key;
    json_t *value;
    const json_t *auth = json_object_get(c->def, "authentication");
    json_t *extra = json_object();
    json_object_set_new(def, "provider", json_string("openai"));
    json_object_set_new(
        def, "model",
        json_string(json_str(c->task->params, "model", json_str(c->def, "model", "default"))));
    const char *type = json_str(auth, "type", "bearer");
    if (strcmp(type, "bearer") == 0 && json_str(auth, "token", NULL))
        json_object_set(def, "api_key", json_object_get(auth, "token"));
    if (strcmp(type, "api_key") == 0)
        json_object_set_new(
            def, "headers",
            json_pack("{ss}", json_str(auth, "header", "X-API-Key"), json_str(auth, "key", "")));
    json_object_foreach ((json_t *)(uintptr_t)c->task->params, key, value) {
        if (strcmp(key, skipped[0]) != 0 && strcmp(key, skipped[1]) != 0)
            json_object_set(extra, key, value);
    }
    json_object_set_new(def, "extra", extra);
}

/* ---- one model call -------------------------------------------------------- */

struct asking {
    struct conversation *c;
    struct llm_profile profile;
    struct batching batching;
    bool batched; /* gathered before it is sent */
};

static void
on_text(void *ctx, const char *text, size_t n)
{
    struct conversation *c = ctx;
    c->host->ops->chunk(c->host, CHUNK_TEXT, text, n);
}

static void
usage_take(struct usage *usage, const struct llm_usage *u)
{
    struct usage more = {.input_tokens = u->input_tokens,
                         .output_tokens = u->output_tokens,
                         .cached_tokens = u->cached_tokens,
                         .model_calls = 1,
                         .cost_usd = u->cost_usd,
                         .cost_known = u->cost_known};
    usage_add(usage, &more);
}

/* The routes of the tools it asked for are recorded with the reply: a resumed run need not ask the
 * servers for their lists to know what is to be done. */
static json_t *
routes_used(const struct conversation *c, const json_t *calls)
{
    const json_t *call;
    size_t i;
    json_t *used = json_object();
    json_array_foreach (calls, i, call) {
        const char *name = json_str(call, "name", "");
        json_t *route = json_object_get(c->tools.routes, name);
        if (route)
            json_object_set(used, name, route);
    }
    return used;
}

/* The request as it stands; attempt, key and where its pieces go are the call's own. */
static struct llm_request
request_of(const struct conversation *c)
{
    return (struct llm_request){.messages = c->messages,
                                .tools =
                                    json_array_size(c->tools.offered) ? c->tools.offered : NULL,
                                .output_schema = c->output_schema};
}

static struct err *
tools_ready(struct conversation *c, int64_t deadline_ms)
{
    if (toolbox_has_any(&c->tools))
        TRY(toolbox_load(&c->tools, deadline_ms), "the tools of '%s'", c->task->name);
    return NULL;
}

static struct err *
ask_most(void *ctx, int64_t deadline_ms, struct usage *ret_most)
{
    struct asking *a = ctx;
    struct llm_usage most;
    PASS(tools_ready(a->c, deadline_ms));
    const struct llm_request req = request_of(a->c);
    PASS(llm_bound(&a->profile, &req, &most));
    usage_take(ret_most, &most);
    return NULL;
}

static int64_t
tokens_expected(void *ctx, int64_t *ret_most)
{
    const struct asking *a = ctx;
    const struct llm_request req = request_of(a->c);
    return tokens_estimate(&a->profile, &req, ret_most);
}

static struct err *
ask_request(void *ctx, int64_t deadline_ms, struct llm_request *ret_req)
{
    const struct asking *a = ctx;
    PASS(tools_ready(a->c, deadline_ms));
    *ret_req = request_of(a->c);
    return NULL;
}

static json_t *
ask_record(void *ctx, const struct llm_reply *reply, struct usage *usage)
{
    const struct conversation *c = ((struct asking *)ctx)->c;
    json_t *value = llm_reply_to_json(reply);
    if (c->profile_name)
        json_object_set_new(value, "profile", json_string(c->profile_name));
    if (reply->tool_calls)
        json_object_set_new(value, "routes", routes_used(c, reply->tool_calls));
    usage_take(usage, &reply->usage);
    return value;
}

static struct err *
ask_once(void *ctx, const struct step_call *step, json_t **ret_value, struct usage *usage)
{
    struct asking *a = ctx;
    struct conversation *c = a->c;
    struct llm_reply reply = {0};
    struct llm_limits told = LLM_LIMITS_NONE;
    struct llm_request req;
    int64_t group;
    PASS(ask_request(a, step->deadline_ms, &req));
    if (a->batched && !step->second) /* who is to be quicker waits for nobody */
        PASS(llm_gather(c->llm, &a->profile, &a->batching, step->deadline_ms, &group));
    if (step->attempt > 1)
        c->host->ops->chunk(c->host, CHUNK_RESET, "", 0);
    req.attempt = step->attempt;
    req.key = step->key;
    req.limits = &told;
    req.on_text = c->streaming && !step->second ? on_text : NULL;
    req.ctx = c;
    struct err *e = llm_call(c->llm, &a->profile, &req, step->deadline_ms, &reply);
    limits_take(step->limits, &told);
    PASS(e);
    if (c->streaming && step->second) { /* instead of what the first one has shown so far */
        c->host->ops->chunk(c->host, CHUNK_RESET, "", 0);
        on_text(c, reply.text, strlen(reply.text));
    }
    *ret_value = ask_record(a, &reply, usage);
    llm_reply_fini(&reply);
    return NULL;
}

/* *ret_asked: the profile could be asked at all. What stands in the way of that is a mistake of the
 * file or of the environment, is not in the journal, and is no reason to ask somebody else. */
static struct err *
ask_profile(struct conversation *c, const json_t *which, const char *name, json_t **ret_value,
            bool *ret_asked)
{
    *ret_asked = false;
    AUTO(freep) struct asking *a = xcalloc(1, sizeof *a); /* large, and it waits */
    a->c = c;
    const char *endpoint = json_str(c->def, "endpoint", NULL);
    json_freep(&c->profile_def);
    if (endpoint && !which) {
        c->profile_def = json_object();
        profile_of_endpoint(c, c->profile_def);
    } else {
        PASS(profile_def(c, which, &c->profile_def, &c->profile_name));
    }
    if (c->nth == 0)
        c->fallbacks = json_array_size(json_object_get(c->profile_def, "fallbacks"));
    PASS(llm_profile_read(c->profile_name, c->profile_def, &a->profile));
    a->profile.url = which ? NULL : endpoint;
    a->profile.stream |= c->streaming;
    a->profile.dir = c->host->ops->service(c->host, "dir");
    AUTO(freep) char *target = xasprintf("%s:%s", a->profile.provider, a->profile.model);
    if (a->profile.price.input < 0) {
        const json_t *price = llm_price_find(c->host->ops->section(c->host, "price", NULL),
                                             a->profile.provider, a->profile.model);
        if (price)
            PASS(llm_price_read(price, &a->profile.price));
    }
    AUTO(json_freep) json_t *detail = json_pack("{ss*}", "profile", c->profile_name);
    AUTO(freep)
    char *limited = xasprintf("profile %s %s", c->profile_name ? c->profile_name : "-", target);
    struct step s = {.name = name,
                     .type = "model",
                     .target = target,
                     .address = a->profile.url ? a->profile.url : a->profile.base_url,
                     .effect = EFFECT_LLM,
                     .timeout_ms = json_int(c->profile_def, "timeout", 0),
                     .run = ask_once,
                     .most = ask_most,
                     .ctx = a,
                     .detail = detail,
                     .limited = limited,
                     .elsewhere = c->nth < c->fallbacks,
                     .limits = json_object_get(c->profile_def, "limits"),
                     .tokens = tokens_expected};
    PASS(llm_batching(c->llm, &a->profile, c->profile_def, &a->batching, &a->batched));
    *ret_asked = true;
    if (a->batched && a->batching.endpoint)
        llm_price_scale(&a->profile.price, a->batching.price_factor);
    if (!a->batched || !a->batching.endpoint)
        return c->host->ops->step(c->host, &s, ret_value);
    return batch_call(&(struct batch_call){c->host, c->llm, &a->profile, &a->batching, &s,
                                           ask_request, ask_record, a},
                      ret_value);
}

/* Somebody else may do better: the provider is down, slow, full, refuses us, has no such model any
 * more, or its window is too short. A request that is wrong is wrong everywhere. */
static bool
worth_a_fallback(const struct err *e)
{
    switch (err_kind(e)) {
    case ERR_TRANSIENT:
    case ERR_TIMEOUT:
    case ERR_LIMIT:
    case ERR_DENIED:
    case ERR_MISSING:
    case ERR_TOO_LONG:
        return true;
    default:
        return false;
    }
}

static void
fallback_tell(struct conversation *c, const char *from, const json_t *to, const struct err *e)
{
    AUTO(freep) char *text = err_text(e);
    AUTO(freep)
    char *name = json_is_string(to)
                     ? xstrdup(json_string_value(to))
                     : xasprintf("%s:%s", json_str(to, "provider", ""), json_str(to, "model", ""));
    c->host->ops->note(c->host, EVENT_MODEL_FALLBACK,
                       json_pack("{ss* ss ss so}", "from", from, "to", name, "kind",
                                 err_kind_name(err_kind(e)), "because",
                                 json_string_lossy(text, strlen(text))));
}

/* The agent's profile, then its fallbacks in order. */
static struct err *
ask(struct conversation *c, json_t **ret_value)
{
    const json_t *which = json_str(c->def, "endpoint", NULL) ? NULL : main_profile(c), *fallback;
    bool asked;
    if (!which && !json_str(c->def, "endpoint", NULL))
        return FAIL(ERR_MISSING,
                    "no profile says which model to use; add `profiles` and `default_profile`");
    AUTO(freep) char *name = xasprintf("turn[%u]", c->turn);
    c->nth = c->fallbacks = 0;
    struct err *e = ask_profile(c, which, name, ret_value, &asked);
    AUTO(json_freep) json_t *fallbacks = json_incref(json_object_get(c->profile_def, "fallbacks"));
    size_t i;
    json_array_foreach (fallbacks, i, fallback) {
        if (!e || !asked || !worth_a_fallback(e))
            break;
        fallback_tell(c, c->profile_name, fallback, e);
        err_free(e);
        AUTO(freep) char *again = xasprintf("turn[%u].fallback[%zu]", c->turn, i + 1);
        c->nth = i + 1;
        e = ask_profile(c, fallback, again, ret_value, &asked);
    }
    return e;
}

/* ---- tools ----------------------------------------------------------------- */

static struct err *
use_tools(struct conversation *c, const json_t *calls, const json_t *routes)
{
    const size_t n = json_array_size(calls), before = json_array_size(c->messages);
    struct tool_use *uses = xcalloc(n, sizeof *uses);
    void **args = xcalloc(n, sizeof *args);
    struct err **errs = xcalloc(n, sizeof *errs), *first = NULL;
    AUTO(freep) char *name = xasprintf("turn[%u]/tool", c->turn);
    for (size_t i = 0; i < n; i++) {
        uses[i].call = json_array_get(calls, i);
        uses[i].route = json_object_get(routes, json_str(uses[i].call, "name", ""));
        uses[i].effect = c->task->effect;
        args[i] = &uses[i];
    }
    c->host->ops->each(
        c->host,
        &(struct each){.name = name, .n = n, .fn = tool_use_run, .args = args, .ret_errs = errs});
    for (size_t i = 0; i < n; i++) {
        if (uses[i].result)
            json_array_append_new(c->messages, uses[i].result);
        if (!errs[i])
            continue;
        if (!first)
            first = errs[i];
        else
            err_free(errs[i]);
    }
    free(uses);
    free(args);
    free(errs);
    return first ? first
                 : circle_check(c->host, &c->circles,
                                &(struct tool_turn){calls, c->messages, before});
}

/* ---- the answer ------------------------------------------------------------ */

/* True when the reply is the answer; else the model has been told what is wrong. */
static struct err *
answer_take(struct conversation *c, const struct llm_reply *reply, struct reply *ret_reply,
            bool *ret_done)
{
    json_t *value = NULL;
    char *wrong = NULL;
    *ret_done = true;
    if (!c->output_schema) {
        reply_set_text(ret_reply, reply->text, strlen(reply->text));
        return NULL;
    }
    TRY(answer_fit(c->output_schema, reply->text, &value, &wrong), "output_schema");
    if (!wrong) {
        reply_set_json(ret_reply, value);
        return NULL;
    }
    AUTO(freep) char *complaint = wrong;
    if (c->repairs++ == c->repairs_max)
        return FAIL(ERR_INVALID, "the reply does not fit output_schema after %u repair%s: %s",
                    c->repairs_max, c->repairs_max == 1 ? "" : "s", complaint);
    AUTO(freep)
    char *text =
        xasprintf("Your reply does not fit the required JSON Schema:\n%s\nReply again with only "
                  "the corrected JSON.",
                  complaint);
    json_array_append_new(c->messages, message_text("user", text));
    *ret_done = false;
    return NULL;
}

/* ---- the loop -------------------------------------------------------------- */

static void
context_keep_within(struct conversation *c)
{
    int64_t max = json_int(json_object_get(c->def, "context"), "max_tokens", 0);
    size_t dropped;
    if (!max)
        return;
    json_t *kept = message_trim(c->messages, max, &dropped);
    json_decref(c->messages);
    c->messages = kept;
}

static struct err *
turn(struct conversation *c, struct reply *ret_reply, bool *ret_done)
{
    AUTO(json_freep) json_t *value = NULL;
    AUTO(llm_reply_fini) struct llm_reply reply = {0};
    *ret_done = false;
    context_keep_within(c);
    PASS(ask(c, &value));
    PASS(llm_reply_from_json(value, &reply));
    json_array_append_new(c->messages, llm_reply_message(&reply));
    if (reply.tool_calls)
        return use_tools(c, reply.tool_calls, json_object_get(value, "routes"));
    return answer_take(c, &reply, ret_reply, ret_done);
}

static struct err *
llm_run(struct host *h, const struct task *t, struct reply *ret_reply)
{
    AUTO(conversation_fini)
    struct conversation c = {.host = h, .task = t, .llm = h->ops->service(h, "llm")};
    PASS(def_expand(h, t->def, &c.def));
    c.output_schema = t->output_schema ? t->output_schema : json_object_get(c.def, "output_schema");
    c.repairs_max = (unsigned)json_int(c.def, "repairs", REPAIRS);
    c.streaming = h->ops->service(h, "watching") &&
                  json_bool(h->ops->section(h, "settings", NULL), "enable_streaming", true);
    c.tools = (struct toolbox){.host = h, .def = c.def, .server_name = t->server_name};
    loopguard_init(&c.circles, json_object_get(c.def, "loop_guard"), LOOPGUARD_REPEATS);
    PASS(conversation_begin(&c));
    int64_t limit = json_int(h->ops->section(h, "settings", NULL), "max_iterations", ITERATIONS);
    limit = json_int(c.def, "max_iterations", limit);
    for (c.turn = 0; c.turn < (unsigned)limit; c.turn++) {
        bool done;
        PASS(turn(&c, ret_reply, &done));
        if (done)
            return conversation_end(&c, ret_reply);
    }
    return FAIL(ERR_LIMIT, "no answer after %lld model calls (max_iterations)", (long long)limit);
}

const struct kind llm_kind = {
    .name = "llm",
    .also = NAMES("ai_agent"),
    .doc = "a language model with tools",
    .roles = ROLE_AGENT,
    .effect = EFFECT_LLM,
    .params = FIELDS(
        {"instruction", P_STRING, 0, "what it is and how it works",
         .also = NAMES("system_prompt", "prompt")},
        {"profile", P_ONE_OF, 0, "which model it uses", .also = NAMES("model"),
         .fields = FIELDS(
             {"profile", P_REF, .ref = REF_PROFILE},
             {"model", P_OBJECT,
              .fields = FIELDS({"provider", P_STRING, PARAM_REQUIRED, "who runs the model"},
                               {"model", P_STRING, PARAM_REQUIRED, "the model's name"},
                               {"temperature", P_NUMBER, 0, "0 to 2", .max = 2},
                               {"max_tokens", P_INT, 0, "of a reply", .min = 1, .max = 1e7})})},
        {"servers", P_LIST, PARAM_ONE, "tool servers it may use",
         .fields = ITEM("server", P_REF, .ref = REF_SERVER)},
        {"tools", P_OBJECT, 0, "which tools, as server.tool with * and ?",
         .fields =
             FIELDS({"allow", P_LIST, PARAM_ONE, "only these", .fields = ITEM("pattern", P_STRING)},
                    {"deny", P_LIST, PARAM_ONE, "not these", .fields = ITEM("pattern", P_STRING)},
                    {"approve", P_LIST, PARAM_ONE, "only when a person agrees",
                     .fields = ITEM("pattern", P_STRING)})},
        {"agents", P_LIST, PARAM_ONE, "agents and workflows it may call as tools",
         .fields = ITEM("agent", P_REF, .ref = REF_WORKER)},
        {"output_schema", P_SCHEMA, 0, "the reply is JSON of this schema"},
        {"max_iterations", P_INT, 0, "model calls at most", .min = 1, .max = 1000,
         .def = ITERATIONS},
        LOOP_GUARD_PARAM("what to do when it repeats itself"),
        {"use_history", P_BOOL, 0, "it sees what it was told before, and what it said"},
        {"context", P_OBJECT, 0, "what is sent when the conversation grows",
         .fields =
             FIELDS({"max_tokens", P_INT, 0, "estimated tokens at most", .min = 100, .max = 1e8},
                    {"strategy", P_ENUM, 0, "what to do beyond", .choices = NAMES("trim")})},
        {"endpoint", P_STRING, 0, "a chat-completions URL, instead of a profile"},
        {"authentication", P_OBJECT, 0, "for the endpoint", .fields = authentication_params}),
    .run = llm_run,
};
