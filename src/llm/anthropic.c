/* anthropic.c - Anthropic's messages.
 *
 * Format: the reference of POST /v1/messages, version 2023-06-01. Three things differ from the
 * neutral form: the system prompt stands apart, results of tools are the user's, and roles have to
 * take turns, so that neighbours of one role become one message. Thinking is kept unread, with its
 * signature, and goes back where it came from: without it a tool loop is refused. */
#include "base/log.h"
#include "llm/batchwire.h"
#include "llm/provider.h"
#include <stdlib.h>
#include <string.h>

#define MAX_TOKENS_DEFAULT 4096 /* the API has none of its own and insists on one */
#define SCHEMA_DEPTH_MAX   64
#define THINKING_MIN       1024 /* the least budget it takes */

/* ---- request: parts ---------------------------------------------------------------------------*/

static void
put_source(struct str *b, const json_t *part)
{
    const json_t *url = json_object_get(part, "url");
    if (url) {
        str_add(b, "\"source\":{\"type\":\"url\",\"url\":");
        wire_string(b, url);
    } else {
        str_add(b, "\"source\":{\"type\":\"base64\",\"media_type\":");
        wire_string(b, json_object_get(part, "mime"));
        str_add(b, ",\"data\":");
        wire_string(b, json_object_get(part, "data"));
    }
    str_addc(b, '}');
}

static struct err *MUST
put_media(struct str *b, const json_t *part)
{
    const json_t *name = json_object_get(part, "name");
    if (part_is(part, "audio"))
        return FAIL(ERR_INVALID, "anthropic takes no audio");
    str_add(b, part_is(part, "image") ? "{\"type\":\"image\"," : "{\"type\":\"document\",");
    if (part_is(part, "file") && json_string_length(name)) {
        str_add(b, "\"title\":");
        wire_string(b, name);
        str_addc(b, ',');
    }
    put_source(b, part);
    str_addc(b, '}');
    return NULL;
}

static void
put_text(struct str *b, const json_t *text)
{
    str_add(b, "{\"type\":\"text\",\"text\":");
    wire_string(b, text);
    str_addc(b, '}');
}

static void
put_call(struct str *b, const struct llm_call *c, const json_t *part)
{
    str_add(b, "{\"type\":\"tool_use\",\"id\":");
    tool_id_add(b, json_str(part, "id", ""));
    str_add(b, ",\"name\":\"");
    toolname_add(b, &c->names, json_str(part, "name", ""));
    str_add(b, "\",\"input\":");
    json_write(b, json_object_get(part, "arguments"));
    str_addc(b, '}');
}

static struct err *MUST
put_result(struct str *b, const json_t *part)
{
    const json_t *content = json_object_get(part, "content");
    size_t i;
    json_t *inner;
    bool first = true;
    str_add(b, "{\"type\":\"tool_result\",\"tool_use_id\":");
    tool_id_add(b, json_str(part, "id", ""));
    str_add(b, ",\"content\":[");
    json_array_foreach (content, i, inner) {
        const json_t *text = json_object_get(inner, "text");
        if (part_is(inner, "text") && !json_string_length(text))
            continue; /* empty text blocks are refused */
        if (!first)
            str_addc(b, ',');
        first = false;
        if (part_is(inner, "text"))
            put_text(b, text);
        else
            PASS(put_media(b, inner));
    }
    str_add(b, json_bool(part, "is_error", false) ? "],\"is_error\":true}" : "]}");
    return NULL;
}

/* Is there anything of the part to send? */
static bool
has_block(const json_t *part)
{
    if (part_is(part, "text"))
        return json_string_length(json_object_get(part, "text")) > 0;
    if (part_is(part, "provider"))
        return str_eq(json_str(part, "provider", ""), "anthropic");
    return true;
}

static struct err *MUST
put_block(struct str *b, const struct llm_call *c, const json_t *part)
{
    if (part_is(part, "text"))
        put_text(b, json_object_get(part, "text"));
    else if (part_is(part, "provider"))
        json_write(b, json_object_get(part, "data"));
    else if (part_is(part, "tool_call"))
        put_call(b, c, part);
    else if (part_is(part, "tool_result"))
        return put_result(b, part);
    else
        return put_media(b, part);
    return NULL;
}

/* ---- request: messages ------------------------------------------------------------------------*/

static bool
is_assistant(const json_t *m)
{
    return message_is(m, "assistant");
}

/* The blocks of neighbours of one role, as one message. */
static struct err *MUST
put_messages(struct wire *w, const struct llm_call *c)
{
    struct str *b = &w->body;
    bool open = false, assistant = false;
    size_t i, k;
    json_t *m, *part;
    if (!body_key(w, "messages"))
        return NULL;
    str_addc(b, '[');
    json_array_foreach (c->req->messages, i, m) {
        if (message_is(m, "system"))
            continue;
        json_array_foreach (json_object_get(m, "content"), k, part) {
            if (!has_block(part))
                continue;
            if (open && assistant == is_assistant(m)) {
                str_addc(b, ',');
            } else {
                assistant = is_assistant(m);
                str_add(b, open ? "]}," : "");
                str_add(b, assistant ? "{\"role\":\"assistant\",\"content\":["
                                     : "{\"role\":\"user\",\"content\":[");
                open = true;
            }
            PASS(put_block(b, c, part));
        }
    }
    str_add(b, open ? "]}]" : "]");
    return NULL;
}

/* Claude 2, 3 and the first of 4 know no schema for the answer. */
static bool
knows_schema(const char *model)
{
    static const char *const older[] = {"claude-2*",          "claude-3*",        "claude-instant*",
                                        "claude-sonnet-4-2*", "claude-opus-4-2*", "claude-*-4-0",
                                        "claude-opus-4-1-2*"};
    for (size_t i = 0; i < COUNT(older); i++) {
        if (str_glob(older[i], model))
            return false;
    }
    return true;
}

/* It takes closed objects only. */
static bool
schema_is_closed(const json_t *s, int depth)
{
    const char *key;
    json_t *value;
    size_t i;
    if (depth > SCHEMA_DEPTH_MAX)
        return false;
    json_array_foreach (s, i, value) {
        if (!schema_is_closed(value, depth + 1))
            return false;
    }
    if (json_is_object(s) && str_eq(json_str(s, "type", ""), "object") &&
        !json_is_false(json_object_get(s, "additionalProperties")))
        return false;
    json_object_foreach ((json_t *)(uintptr_t)s, key, value) {
        if (!schema_is_closed(value, depth + 1))
            return false;
    }
    return true;
}

static bool
schema_in_words(const struct llm_call *c)
{
    return c->req->output_schema &&
           !(knows_schema(c->profile->model) && schema_is_closed(c->req->output_schema, 0));
}

static void
put_system(struct wire *w, const struct llm_call *c)
{
    AUTO(str_fini) struct str text = STR_INIT;
    provider_system(&text, c);
    if (schema_in_words(c))
        provider_ask_schema(&text, c->req->output_schema);
    if (text.len && body_key(w, "system"))
        json_quote(&w->body, str_c(&text), text.len);
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
    str_addc(b, '[');
    json_array_foreach (c->req->tools, i, tool) {
        const json_t *schema = json_object_get(tool, "input_schema");
        const json_t *description = json_object_get(tool, "description");
        str_add(b, i ? ",{\"name\":\"" : "{\"name\":\"");
        toolname_add(b, &c->names, json_str(tool, "name", ""));
        str_addc(b, '"');
        if (json_is_string(description)) {
            str_add(b, ",\"description\":");
            wire_string(b, description);
        }
        str_add(b, ",\"input_schema\":");
        if (json_is_object(schema))
            json_write(b, schema);
        else
            str_add(b, "{\"type\":\"object\"}");
        str_addc(b, '}');
    }
    str_addc(b, ']');
}

static void
put_tool_choice(struct wire *w, const struct llm_call *c)
{
    const char *choice = c->req->tool_choice;
    if (!choice || !json_array_size(c->req->tools) || !body_key(w, "tool_choice"))
        return;
    if (str_eq(choice, "auto") || str_eq(choice, "none")) {
        str_addf(&w->body, "{\"type\":\"%s\"}", choice);
    } else if (str_eq(choice, "required")) {
        str_add(&w->body, "{\"type\":\"any\"}");
    } else {
        str_add(&w->body, "{\"type\":\"tool\",\"name\":\"");
        toolname_add(&w->body, &c->names, choice);
        str_add(&w->body, "\"}");
    }
}

/* An effort as a budget of thinking, out of the tokens of the answer; 0: none. */
static int64_t
thinking_budget(const struct llm_profile *p, int64_t max_tokens)
{
    const json_t *v = param_get(p, "reasoning");
    int64_t budget = 0;
    if (json_is_number(v))
        budget = (int64_t)MIN(MAX(json_number_value(v), 0), 1e9);
    else if (json_is_string(v))
        budget = str_eq(json_string_value(v), "high")     ? 16384
                 : str_eq(json_string_value(v), "medium") ? 8192
                 : str_eq(json_string_value(v), "low")    ? 2048
                                                          : 0;
    budget = MIN(budget, max_tokens - 1);
    return budget >= THINKING_MIN ? budget : 0;
}

static void
put_params(struct wire *w, const struct llm_profile *p)
{
    static const struct param_name plain[] = {{"temperature", "temperature"},
                                              {"top_p", "top_p"},
                                              {"top_k", "top_k"},
                                              {"max_tokens", NULL},
                                              {"stop", NULL},
                                              {"reasoning", NULL},
                                              {NULL, NULL}};
    /* With thinking on, other sampling parameters are refused. */
    static const struct param_name thinking[] = {
        {"max_tokens", NULL}, {"stop", NULL}, {"reasoning", NULL}, {NULL, NULL}};
    int64_t max_tokens = json_int(p->params, "max_tokens", 0);
    const json_t *effort = param_get(p, "reasoning");
    if (max_tokens <= 0) /* room for the thinking that is asked for */
        max_tokens = effort ? 32768 : MAX_TOKENS_DEFAULT;
    const int64_t budget = thinking_budget(p, max_tokens);
    AUTO(json_freep) json_t *stop = params_stop(p);
    if (body_key(w, "max_tokens"))
        str_addf(&w->body, "%lld", (long long)max_tokens);
    if (budget)
        body_object(
            w, "thinking",
            json_pack("{s:s, s:I}", "type", "enabled", "budget_tokens", (json_int_t)budget));
    body_json(w, "stop_sequences", stop);
    body_params(w, p, budget ? thinking : plain);
}

static void
put_schema(struct wire *w, const struct llm_call *c)
{
    json_t *schema = (json_t *)(uintptr_t)c->req->output_schema;
    if (schema && !schema_in_words(c))
        body_object(w, "output_config",
                    json_pack("{s:{s:s, s:O}}", "format", "type", "json_schema", "schema", schema));
}

static struct err *
anthropic_build(const struct llm_call *c, struct wire *w)
{
    const struct llm_profile *p = c->profile;
    const bool versioned =
        c->base_url && (str_ends(c->base_url, "/v1") || str_ends(c->base_url, "/v1/"));
    wire_url(w, p, c->base_url ? c->base_url : "", versioned ? "/messages" : "/v1/messages");
    wire_header(w, "Content-Type", "application/json");
    wire_header(w, "anthropic-version", "2023-06-01");
    if (p->api_key)
        wire_header(w, "x-api-key", p->api_key);
    body_open(w, p->extra);
    body_text(w, "model", p->model);
    put_system(w, c);
    PASS(put_messages(w, c));
    put_tools(w, c);
    put_tool_choice(w, c);
    put_schema(w, c);
    put_params(w, p);
    if (c->stream && body_key(w, "stream"))
        str_add(&w->body, "true");
    body_close(w);
    return NULL;
}

/* ---- reply ------------------------------------------------------------------------------------*/

static void
take_stop(struct answer *a, const json_t *from)
{
    const char *why = json_str(from, "stop_reason", NULL);
    if (!why)
        return;
    a->finished = true;
    if (str_eq(why, "tool_use"))
        a->reply->finish = LLM_TOOL_CALLS;
    else if (str_eq(why, "max_tokens") || str_eq(why, "model_context_window_exceeded"))
        a->reply->finish = LLM_LENGTH;
    else if (str_eq(why, "refusal"))
        a->reply->finish = LLM_FILTER;
}

static void
take_count(const json_t *usage, const char *key, int64_t *to)
{
    if (json_is_number(json_object_get(usage, key)))
        *to = answer_count(usage, key);
}

/* What was read from the cache and written to it is counted apart here: input_tokens is the rest.
 * A stream repeats the numbers; what it leaves out stays. */
static void
take_usage(struct answer *a, const json_t *usage)
{
    struct llm_usage *u = &a->reply->usage;
    int64_t rest = u->input_tokens - u->cached_tokens - u->cache_write_tokens;
    if (!json_is_object(usage))
        return;
    take_count(usage, "input_tokens", &rest);
    take_count(usage, "cache_read_input_tokens", &u->cached_tokens);
    take_count(usage, "cache_creation_input_tokens", &u->cache_write_tokens);
    take_count(usage, "output_tokens", &u->output_tokens);
    u->input_tokens = rest + u->cached_tokens + u->cache_write_tokens;
    a->counted |= json_is_number(json_object_get(usage, "output_tokens")) &&
                  json_is_number(json_object_get(usage, "input_tokens"));
}

static void
take_head(struct answer *a, const json_t *message)
{
    free(a->reply->id);
    a->reply->id = NULL;
    answer_set_text(&a->reply->id, json_object_get(message, "id"));
    answer_set_text(&a->reply->model, json_object_get(message, "model"));
    take_usage(a, json_object_get(message, "usage"));
}

static struct err *
anthropic_whole(const struct llm_call *c, const json_t *body, struct answer *a)
{
    const json_t *content = json_object_get(body, "content");
    size_t i;
    json_t *block;
    if (!json_is_array(content))
        return provider_garbled(c, "no content in it");
    json_array_foreach (content, i, block) {
        const char *type = json_str(block, "type", "");
        json_t *input = json_object_get(block, "input");
        if (str_eq(type, "text"))
            answer_add_text(a, json_object_get(block, "text"));
        else if (str_eq(type, "tool_use"))
            answer_add_call(a, json_str(block, "id", ""), json_str(block, "name", ""),
                            json_is_object(input) ? json_incref(input) : json_object());
        else
            answer_add_opaque(a,
                              json_incref(block)); /* thinking, redacted_thinking, server tools */
    }
    take_stop(a, body);
    take_head(a, body);
    return NULL;
}

/* ---- stream -----------------------------------------------------------------------------------*/

static struct err *MUST
too_many(void)
{
    return FAIL(ERR_LIMIT, "the reply has more than %d parts", ANSWER_PIECES_MAX);
}

static struct err *MUST
block_start(struct answer *a, int64_t index, json_t *block)
{
    const char *type = json_str(block, "type", "");
    struct piece *p;
    if (str_eq(type, "text"))
        return answer_text(a, index, json_object_get(block, "text"));
    p = answer_piece(a, str_eq(type, "tool_use") ? PIECE_CALL : PIECE_OPAQUE, index);
    if (!p)
        return too_many();
    if (p->kind == PIECE_OPAQUE) {
        json_decref(p->value);
        p->value = json_copy(block);
        return NULL;
    }
    answer_set_text(&p->id, json_object_get(block, "id"));
    answer_set_text(&p->name, json_object_get(block, "name"));
    if (!json_object_size(json_object_get(block, "input")))
        return NULL;
    /* some proxies send the arguments whole at the start */
    AUTO(freep) char *text = json_text(json_object_get(block, "input"));
    return answer_grow(a, &p->text, text, strlen(text));
}

static struct err *MUST
grow_piece(struct answer *a, enum piece_kind kind, int64_t index, const json_t *text)
{
    struct piece *p = answer_piece(a, kind, index);
    if (!p)
        return too_many();
    return answer_grow(a, &p->text, json_string_value(text), json_string_length(text));
}

static struct err *MUST
block_delta(struct answer *a, int64_t index, const json_t *delta)
{
    const json_t *signature = json_object_get(delta, "signature");
    const json_t *thinking = json_object_get(delta, "thinking");
    const json_t *partial = json_object_get(delta, "partial_json");
    PASS(answer_text(a, index, json_object_get(delta, "text")));
    if (json_string_length(partial)) {
        /* tools of the server's own stream their input, too: it goes back with their block */
        bool ours = answer_piece_find(a, PIECE_CALL, index);
        PASS(grow_piece(a, ours ? PIECE_CALL : PIECE_OPAQUE, index, partial));
    }
    if (json_string_length(thinking))
        PASS(grow_piece(a, PIECE_OPAQUE, index, thinking));
    if (!json_string_length(signature))
        return NULL;
    struct piece *p = answer_piece(a, PIECE_OPAQUE, index);
    if (!p)
        return too_many();
    return answer_grow(a, &p->more, json_string_value(signature), json_string_length(signature));
}

/* The block of an opaque piece as a whole body would have it. */
static void
block_stop(struct answer *a, int64_t index)
{
    struct piece *p = answer_piece_find(a, PIECE_OPAQUE, index);
    if (!p || !p->value)
        return;
    json_t *text = json_string_lossy(str_c(&p->text), p->text.len);
    const char *type = json_str(p->value, "type", "");
    json_t *input = NULL;
    if (str_eq(type, "thinking")) {
        json_object_set(p->value, "thinking", text);
    } else if (p->text.len) {
        struct err *e = wire_parse(str_c(&p->text), p->text.len, &input);
        if (e)
            err_drop(e);
        else
            json_object_set_new(p->value, "input", input);
    }
    json_decref(text);
    if (p->more.len)
        json_object_set_new(p->value, "signature", json_string_lossy(str_c(&p->more), p->more.len));
}

static struct err *
anthropic_event(const struct llm_call *c, const char *type, const json_t *data, struct answer *a)
{
    const char *name = json_str(data, "type", type);
    const int64_t index = json_int(data, "index", 0);
    if (data && !json_is_object(data))
        return provider_garbled(c, "an event that is no object");
    if (str_eq(name, "message_start"))
        take_head(a, json_object_get(data, "message"));
    else if (str_eq(name, "content_block_start"))
        return block_start(a, index, json_object_get(data, "content_block"));
    else if (str_eq(name, "content_block_delta"))
        return block_delta(a, index, json_object_get(data, "delta"));
    else if (str_eq(name, "content_block_stop"))
        block_stop(a, index);
    else if (str_eq(name, "message_delta")) {
        take_stop(a, json_object_get(data, "delta"));
        take_usage(a, json_object_get(data, "usage"));
    } else if (str_eq(name, "message_stop"))
        a->ended = true;
    return NULL; /* "ping", and what later versions add */
}

const struct llm_provider provider_anthropic = {
    .name = "anthropic",
    .key_env = "ANTHROPIC_API_KEY",
    .base_url = "https://api.anthropic.com",
    .build = anthropic_build,
    .whole = anthropic_whole,
    .event = anthropic_event,
    .fault = refusal_read,
    .batch = &batch_anthropic,
};
