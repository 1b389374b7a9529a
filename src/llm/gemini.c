/* gemini.c - Google's generateContent.
 *
 * Format: the reference of models.generateContent and models.streamGenerateContent, v1beta. Calls
 * of tools have no ids there, results are matched by name and order, and parts carry signatures of
 * the model's thinking that have to come back on the same part. */
#include "llm/gemini.h"
#include "base/log.h"
#include "llm/batchwire.h"
#include "llm/geminischema.h"
#include "llm/provider.h"
#include <stdlib.h>
#include <string.h>

/* ---- request: parts ---------------------------------------------------------------------------*/

static void
put_members(struct str *b, const json_t *object, const char *but)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)object, key, value) {
        if (but && strcmp(key, but) == 0)
            continue;
        str_addc(b, ',');
        json_quote(b, key, strlen(key));
        str_addc(b, ':');
        json_write(b, value);
    }
}

static const json_t *
kept(const json_t *part)
{
    return json_at(part, "keep", "gemini", NULL);
}

static void
put_text(struct str *b, const json_t *part)
{
    str_add(b, "{\"text\":");
    wire_string(b, json_object_get(part, "text"));
    put_members(b, kept(part), NULL);
    str_addc(b, '}');
}

static void
put_media(struct str *b, const json_t *part)
{
    const json_t *url = json_object_get(part, "url"), *mime = json_object_get(part, "mime");
    str_add(b, url ? "{\"fileData\":{\"fileUri\":" : "{\"inlineData\":{\"data\":");
    wire_string(b, url ? url : json_object_get(part, "data"));
    if (json_string_length(mime)) {
        str_add(b, ",\"mimeType\":");
        wire_string(b, mime);
    }
    str_add(b, "}}");
}

/* From the third generation on a call without a signature is refused; this value stands for calls
 * that another model made. */
static bool
wants_signature(const struct llm_call *c)
{
    return strstr(c->profile->model, "gemini-3") != NULL;
}

static void
put_call(struct str *b, const struct llm_call *c, const json_t *part, bool first)
{
    const json_t *keep = kept(part), *id = json_object_get(keep, "id");
    str_add(b, "{\"functionCall\":{\"name\":\"");
    toolname_add(b, &c->names, json_str(part, "name", ""));
    str_add(b, "\",\"args\":");
    json_write(b, json_object_get(part, "arguments"));
    if (id) {
        str_add(b, ",\"id\":");
        wire_string(b, id);
    }
    str_addc(b, '}');
    put_members(b, keep, "id");
    if (first && !json_object_get(keep, "thoughtSignature") && wants_signature(c))
        str_add(b, ",\"thoughtSignature\":\"skip_thought_signature_validator\"");
    str_addc(b, '}');
}

/* The call a result answers: in the nearest assistant message in front of it. */
static const json_t *
call_of(const json_t *messages, size_t at, const char *id)
{
    size_t i;
    json_t *part;
    while (at > 0 && !message_is(json_array_get(messages, at), "assistant"))
        at--;
    json_array_foreach (json_object_get(json_array_get(messages, at), "content"), i, part) {
        if (part_is(part, "tool_call") && str_eq(json_str(part, "id", ""), id))
            return part;
    }
    return NULL;
}

/* The response has to be an object: JSON objects stay, anything else becomes a member. */
static void
put_response(struct str *b, const json_t *result)
{
    AUTO(str_fini) struct str text = STR_INIT;
    AUTO(json_freep) json_t *value = NULL;
    const bool failed = json_bool(result, "is_error", false);
    message_add_text(&text, json_object_get(result, "content"));
    if (!failed && str_starts(str_c(&text), "{")) {
        struct err *e = json_parse(str_c(&text), text.len, &value);
        err_free(e);
    }
    if (json_is_object(value)) {
        str_addn(b, str_c(&text), text.len);
        return;
    }
    str_add(b, failed ? "{\"error\":" : "{\"result\":");
    json_quote(b, str_c(&text), text.len);
    str_addc(b, '}');
}

static void
put_result(struct str *b, const struct llm_call *c, size_t at, const json_t *part)
{
    const json_t *call = call_of(c->req->messages, at, json_str(part, "id", ""));
    const json_t *id = json_object_get(kept(call), "id"), *inner;
    const char *name = json_str(call, "name", json_str(part, "name", ""));
    str_add(b, "{\"functionResponse\":{\"name\":\"");
    toolname_add(b, &c->names, name);
    str_add(b, "\",\"response\":");
    put_response(b, part);
    if (id) {
        str_add(b, ",\"id\":");
        wire_string(b, id);
    }
    str_add(b, "}}");
    for (size_t i = 0; (inner = json_array_get(json_object_get(part, "content"), i)); i++) {
        if (part_is(inner, "text"))
            continue;
        str_addc(b, ',');
        put_media(b, inner);
    }
}

static bool
has_part(const json_t *part)
{
    if (part_is(part, "text"))
        return json_string_length(json_object_get(part, "text")) > 0 || kept(part);
    if (part_is(part, "provider"))
        return str_eq(json_str(part, "provider", ""), "gemini");
    return true;
}

static void
put_part(struct str *b, const struct llm_call *c, size_t at, const json_t *part, bool first_call)
{
    if (part_is(part, "text"))
        put_text(b, part);
    else if (part_is(part, "provider"))
        json_write(b, json_object_get(part, "data"));
    else if (part_is(part, "tool_call"))
        put_call(b, c, part, first_call);
    else if (part_is(part, "tool_result"))
        put_result(b, c, at, part);
    else
        put_media(b, part);
}

/* ---- request: messages ------------------------------------------------------------------------*/

static void
put_contents(struct wire *w, const struct llm_call *c)
{
    struct str *b = &w->body;
    bool open = false, model = false;
    size_t i, k;
    json_t *m, *part;
    if (!body_key(w, "contents"))
        return;
    str_addc(b, '[');
    json_array_foreach (c->req->messages, i, m) {
        bool first_call = true;
        const bool is_model = message_is(m, "assistant");
        if (message_is(m, "system"))
            continue;
        json_array_foreach (json_object_get(m, "content"), k, part) {
            if (!has_part(part))
                continue;
            if (open && model == is_model) {
                str_addc(b, ',');
            } else {
                str_add(b, open ? "]}," : "");
                str_add(b, is_model ? "{\"role\":\"model\",\"parts\":["
                                    : "{\"role\":\"user\",\"parts\":[");
                open = true;
                model = is_model;
            }
            put_part(b, c, i, part, first_call);
            first_call &= !part_is(part, "tool_call");
        }
    }
    str_add(b, open ? "]}]" : "]");
}

/* Answers by schema and tools exclude each other there: with tools the schema is asked for. */
static bool
schema_in_words(const struct llm_call *c)
{
    return c->req->output_schema && json_array_size(c->req->tools) > 0;
}

static void
put_system(struct wire *w, const struct llm_call *c)
{
    AUTO(str_fini) struct str text = STR_INIT;
    provider_system(&text, c);
    if (schema_in_words(c))
        provider_ask_schema(&text, c->req->output_schema);
    if (!text.len || !body_key(w, "systemInstruction"))
        return;
    str_add(&w->body, "{\"parts\":[{\"text\":");
    json_quote(&w->body, str_c(&text), text.len);
    str_add(&w->body, "}]}");
}

/* ---- request: tools and parameters ------------------------------------------------------------*/

static void
put_tools(struct wire *w, const struct llm_call *c)
{
    struct str *b = &w->body;
    size_t i;
    json_t *tool;
    if (!json_array_size(c->req->tools) || !body_key(w, "tools"))
        return;
    str_add(b, "[{\"functionDeclarations\":[");
    json_array_foreach (c->req->tools, i, tool) {
        const json_t *schema = json_object_get(tool, "input_schema");
        const char *description = json_str(tool, "description", "");
        str_add(b, i ? ",{\"name\":\"" : "{\"name\":\"");
        toolname_add(b, &c->names, json_str(tool, "name", ""));
        str_add(b, "\",\"description\":");
        json_quote(b, description, strlen(description));
        /* an object without properties is refused: such a tool has no parameters */
        if (json_object_size(json_object_get(schema, "properties"))) {
            AUTO(json_freep) json_t *subset = gemini_schema(schema);
            str_add(b, ",\"parameters\":");
            json_write(b, subset);
        }
        str_addc(b, '}');
    }
    str_add(b, "]}]");
}

static void
put_tool_choice(struct wire *w, const struct llm_call *c)
{
    const char *choice = c->req->tool_choice;
    if (!choice || !json_array_size(c->req->tools) || !body_key(w, "toolConfig"))
        return;
    const char *mode = str_eq(choice, "auto") ? "AUTO" : str_eq(choice, "none") ? "NONE" : "ANY";
    str_addf(&w->body, "{\"functionCallingConfig\":{\"mode\":\"%s\"", mode);
    if (str_eq(mode, "ANY") && !str_eq(choice, "required")) {
        str_add(&w->body, ",\"allowedFunctionNames\":[\"");
        toolname_add(&w->body, &c->names, choice);
        str_add(&w->body, "\"]");
    }
    str_add(&w->body, "}}");
}

static void
set_thinking(json_t *config, const struct llm_profile *p)
{
    const json_t *v = param_get(p, "reasoning");
    if (json_is_string(v))
        json_object_set_new(config, "thinkingConfig", json_pack("{s:O}", "thinkingLevel", v));
    else if (json_is_number(v))
        json_object_set_new(
            config, "thinkingConfig",
            json_pack("{s:I}", "thinkingBudget", (json_int_t)json_int(p->params, "reasoning", 0)));
}

static void
put_config(struct wire *w, const struct llm_call *c)
{
    static const struct param_name table[] = {{"temperature", "temperature"},
                                              {"top_p", "topP"},
                                              {"top_k", "topK"},
                                              {"max_tokens", "maxOutputTokens"},
                                              {"stop", NULL},
                                              {"seed", "seed"},
                                              {"presence_penalty", "presencePenalty"},
                                              {"frequency_penalty", "frequencyPenalty"},
                                              {"reasoning", NULL},
                                              {NULL, NULL}};
    json_t *config = json_object();
    json_t *stop = params_stop(c->profile);
    params_collect(config, c->profile, table);
    if (stop)
        json_object_set_new(config, "stopSequences", stop);
    set_thinking(config, c->profile);
    if (c->req->output_schema && !schema_in_words(c)) {
        json_object_set_new(config, "responseMimeType", json_string("application/json"));
        json_object_set_new(config, "responseSchema", gemini_schema(c->req->output_schema));
    }
    if (json_object_size(config))
        body_object(w, "generationConfig", config);
    else
        json_decref(config);
}

char *
gemini_path(const char *model, const char *verb)
{
    static const char fine[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/";
    struct str s = STR_INIT;
    str_add(&s, strchr(model, '/') ? "/" : "/models/");
    for (; *model; model++) {
        if (strchr(fine, *model))
            str_addc(&s, *model);
        else
            str_addf(&s, "%%%02X", (unsigned char)*model);
    }
    str_addf(&s, ":%s", verb);
    return str_steal(&s);
}

static struct err *
gemini_build(const struct llm_call *c, struct wire *w)
{
    const struct llm_profile *p = c->profile;
    AUTO(freep)
    char *path =
        gemini_path(p->model, c->stream ? "streamGenerateContent?alt=sse" : "generateContent");
    wire_url(w, p, c->base_url ? c->base_url : "", path);
    wire_header(w, "Content-Type", "application/json");
    if (p->api_key)
        wire_header(w, "x-goog-api-key", p->api_key);
    body_open(w, p->extra);
    put_system(w, c);
    put_contents(w, c);
    put_tools(w, c);
    put_tool_choice(w, c);
    put_config(w, c);
    body_close(w);
    return NULL;
}

/* ---- reply ------------------------------------------------------------------------------------*/

static struct err *MUST
take_finish(const struct llm_call *c, struct answer *a, const json_t *candidate)
{
    static const char *const filters[] = {
        "SAFETY", "RECITATION", "BLOCKLIST",   "PROHIBITED_CONTENT",
        "SPII",   "LANGUAGE",   "IMAGE_SAFETY"};
    const char *why = json_str(candidate, "finishReason", NULL);
    if (!why || str_eq(why, "FINISH_REASON_UNSPECIFIED"))
        return NULL;
    if (str_eq(why, "MALFORMED_FUNCTION_CALL") || str_eq(why, "UNEXPECTED_TOOL_CALL"))
        return provider_garbled(c, "the model made a tool call that cannot be read");
    a->finished = true;
    if (str_eq(why, "MAX_TOKENS"))
        a->reply->finish = LLM_LENGTH;
    for (size_t i = 0; i < COUNT(filters); i++) {
        if (str_eq(why, filters[i]))
            a->reply->finish = LLM_FILTER;
    }
    return NULL;
}

static void
take_common(struct answer *a, const json_t *body)
{
    const json_t *u = json_object_get(body, "usageMetadata");
    struct llm_usage *usage = &a->reply->usage;
    answer_set_text(&a->reply->model, json_object_get(body, "modelVersion"));
    if (json_object_get(body, "responseId")) {
        free(a->reply->id);
        a->reply->id = NULL;
        answer_set_text(&a->reply->id, json_object_get(body, "responseId"));
    }
    if (!json_is_number(json_object_get(u, "promptTokenCount")))
        return;
    usage->reasoning_tokens = answer_count(u, "thoughtsTokenCount");
    usage->input_tokens =
        answer_count(u, "promptTokenCount") + answer_count(u, "toolUsePromptTokenCount");
    usage->output_tokens = answer_count(u, "candidatesTokenCount") +
                           usage->reasoning_tokens; /* not among the candidates' */
    usage->cached_tokens = MIN(answer_count(u, "cachedContentTokenCount"), usage->input_tokens);
    a->counted = true;
}

/* What has to come back with the part: its signature, the id of a call. */
static json_t *
part_keep(const json_t *part)
{
    json_t *keep = json_object();
    json_t *signature = json_object_get(part, "thoughtSignature");
    json_t *id = json_at(part, "functionCall", "id", NULL);
    if (signature)
        json_object_set(keep, "thoughtSignature", signature);
    if (json_string_length(id))
        json_object_set(keep, "id", id);
    if (json_object_size(keep))
        return keep;
    json_decref(keep);
    return NULL;
}

/* Neighbouring texts are one piece: streams cut it anywhere. */
static int64_t
text_index(const struct answer *a)
{
    if (a->pieces.len && vec_last(&a->pieces).kind == PIECE_TEXT)
        return vec_last(&a->pieces).index;
    return (int64_t)a->pieces.len;
}

static struct err *MUST
take_text(struct answer *a, const json_t *part)
{
    const int64_t index = text_index(a);
    json_t *keep = part_keep(part);
    struct err *e = answer_text(a, index, json_object_get(part, "text"));
    struct piece *p = !e && keep ? answer_piece(a, PIECE_TEXT, index) : NULL;
    if (p) {
        json_decref(p->value);
        p->value = keep;
    } else {
        json_decref(keep);
    }
    return e;
}

static struct err *MUST
take_part(struct answer *a, json_t *part)
{
    const json_t *call = json_object_get(part, "functionCall");
    if (!call && !json_is_true(json_object_get(part, "thought")) && json_object_get(part, "text"))
        return take_text(a, part);
    struct piece *p = answer_piece_new(a, call ? PIECE_CALL : PIECE_OPAQUE, (int64_t)a->pieces.len);
    if (!p)
        return FAIL(ERR_LIMIT, "the reply has more than %d parts", ANSWER_PIECES_MAX);
    if (!call) { /* thoughts, code that was run there, ... */
        p->value = json_incref(part);
        return NULL;
    }
    AUTO(freep) char *args = json_as_text(json_object_get(call, "args"));
    p->value = part_keep(part);
    answer_set_text(&p->id, json_object_get(call, "id"));
    answer_set_text(&p->name, json_object_get(call, "name"));
    return answer_grow(a, &p->text, args, strlen(args));
}

static struct err *MUST
take_body(const struct llm_call *c, const json_t *body, struct answer *a)
{
    const json_t *candidate = json_array_get(json_object_get(body, "candidates"), 0);
    const json_t *blocked = json_at(body, "promptFeedback", "blockReason", NULL);
    size_t i;
    json_t *part;
    take_common(a, body);
    json_array_foreach (json_at(candidate, "content", "parts", NULL), i, part)
        PASS(take_part(a, part));
    if (!candidate && blocked) {
        a->finished = true;
        a->reply->finish = LLM_FILTER;
    }
    return take_finish(c, a, candidate);
}

static struct err *
gemini_whole(const struct llm_call *c, const json_t *body, struct answer *a)
{
    PASS(take_body(c, body, a));
    if (!a->finished)
        return provider_garbled(c, "no finished candidate in it");
    return NULL;
}

static struct err *
gemini_event(const struct llm_call *c, const char *type, const json_t *data, struct answer *a)
{
    (void)type;
    if (!data) {
        a->ended = true;
        return NULL;
    }
    if (!json_is_object(data))
        return provider_garbled(c, "an event that is no object");
    return take_body(c, data, a);
}

static void
gemini_fault(const json_t *body, struct refusal *f)
{
    size_t i;
    json_t *detail;
    refusal_read(body, f);
    if (json_is_array(body))
        body = json_array_get(body, 0);
    const json_t *e = json_object_get(body, "error");
    f->type = json_str(e, "status", f->type);
    json_array_foreach (json_object_get(e, "details"), i, detail) {
        const char *delay = json_str(detail, "retryDelay", NULL);
        if (delay && f->retry_after_ms < 0)
            f->retry_after_ms = refusal_duration(delay);
        if (str_starts(json_str(detail, "reason", ""), "API_KEY_"))
            f->denied = true;
    }
}

const struct llm_provider provider_gemini = {
    .name = "gemini",
    .key_env = "GEMINI_API_KEY",
    .base_url = "https://generativelanguage.googleapis.com/v1beta",
    .finish_ends = true,
    .build = gemini_build,
    .whole = gemini_whole,
    .event = gemini_event,
    .fault = gemini_fault,
    .batch = &batch_gemini,
};
