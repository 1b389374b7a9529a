/* ollama.c - Ollama's own chat.
 *
 * Format: its reference of POST /api/chat. Streams are JSON lines; calls of tools come whole and
 * mostly without ids; results are told apart by the tool's name; images stand beside the text as
 * plain base64, and nothing else than text and images is taken. */
#include "base/log.h"
#include "llm/provider.h"
#include <stdlib.h>
#include <string.h>

/* ---- request: messages ------------------------------------------------------------------------*/

static struct err *MUST
collect_images(const json_t *parts, json_t *images)
{
    size_t i;
    json_t *part;
    json_array_foreach (parts, i, part) {
        json_t *data = json_object_get(part, "data");
        const char *type = json_str(part, "type", "");
        if (str_eq(type, "tool_result")) {
            PASS(collect_images(json_object_get(part, "content"), images));
            continue;
        }
        if (str_eq(type, "audio") || str_eq(type, "file"))
            return FAIL(ERR_INVALID, "ollama takes no %s parts", type);
        if (str_eq(type, "image") && !data)
            return FAIL(ERR_INVALID, "ollama takes images as data, not by URL");
        if (str_eq(type, "image"))
            json_array_append(images, data);
    }
    return NULL;
}

static struct err *MUST
put_images(struct str *b, const json_t *parts)
{
    AUTO(json_freep) json_t *images = json_array();
    PASS(collect_images(parts, images));
    if (json_array_size(images)) {
        str_add(b, ",\"images\":");
        json_write(b, images);
    }
    return NULL;
}

static void
put_text(struct str *b, const json_t *parts)
{
    AUTO(str_fini) struct str text = STR_INIT;
    message_add_text(&text, parts);
    json_quote(b, str_c(&text), text.len);
}

static void
put_calls(struct str *b, const struct llm_call *c, const json_t *parts)
{
    size_t i;
    json_t *part;
    bool first = true;
    json_array_foreach (parts, i, part) {
        if (!part_is(part, "tool_call"))
            continue;
        str_add(b, first ? ",\"tool_calls\":[{\"function\":{\"name\":\""
                         : ",{\"function\":{\"name\":\"");
        first = false;
        toolname_add(b, &c->names, json_str(part, "name", ""));
        str_add(b, "\",\"arguments\":");
        json_write(b, json_object_get(part, "arguments"));
        str_add(b, "}}");
    }
    if (!first)
        str_addc(b, ']');
}

static struct err *MUST
put_results(struct str *b, const struct llm_call *c, const json_t *parts)
{
    size_t i;
    json_t *part;
    json_array_foreach (parts, i, part) {
        if (i)
            str_addc(b, ',');
        str_add(b, "{\"role\":\"tool\",\"tool_name\":\"");
        toolname_add(b, &c->names, json_str(part, "name", ""));
        str_add(b, "\",\"content\":");
        put_text(b, json_object_get(part, "content"));
        PASS(put_images(b, json_object_get(part, "content")));
        str_addc(b, '}');
    }
    return NULL;
}

static struct err *MUST
put_message(struct str *b, const struct llm_call *c, const json_t *m)
{
    const json_t *parts = json_object_get(m, "content");
    const char *role = message_role(m);
    if (str_eq(role, "tool"))
        return put_results(b, c, parts);
    str_add(b, "{\"role\":");
    json_quote(b, role, strlen(role));
    str_add(b, ",\"content\":");
    put_text(b, parts);
    PASS(put_images(b, parts));
    put_calls(b, c, parts);
    str_addc(b, '}');
    return NULL;
}

static struct err *MUST
put_messages(struct wire *w, const struct llm_call *c)
{
    struct str *b = &w->body;
    const char *system = c->profile->system_prompt;
    bool first = true;
    size_t i;
    json_t *m;
    if (!body_key(w, "messages"))
        return NULL;
    str_addc(b, '[');
    if (system) {
        str_add(b, "{\"role\":\"system\",\"content\":");
        json_quote(b, system, strlen(system));
        str_addc(b, '}');
        first = false;
    }
    json_array_foreach (c->req->messages, i, m) {
        if (!json_array_size(json_object_get(m, "content")))
            continue;
        if (!first)
            str_addc(b, ',');
        first = false;
        PASS(put_message(b, c, m));
    }
    str_addc(b, ']');
    return NULL;
}

/* ---- request: the rest ------------------------------------------------------------------------*/

static void
put_tools(struct wire *w, const struct llm_call *c)
{
    struct str *b = &w->body;
    size_t i;
    json_t *tool;
    if (!json_array_size(c->req->tools) || str_eq(c->req->tool_choice, "none") ||
        !body_key(w, "tools"))
        return;
    if (c->req->tool_choice && !str_eq(c->req->tool_choice, "auto"))
        log_debug("llm", "ollama does not know tool_choice '%s': left out", c->req->tool_choice);
    str_addc(b, '[');
    json_array_foreach (c->req->tools, i, tool) {
        const json_t *schema = json_object_get(tool, "input_schema");
        const char *description = json_str(tool, "description", "");
        str_add(b, i ? ",{\"type\":\"function\",\"function\":{\"name\":\""
                     : "{\"type\":\"function\",\"function\":{\"name\":\"");
        toolname_add(b, &c->names, json_str(tool, "name", ""));
        str_add(b, "\",\"description\":");
        json_quote(b, description, strlen(description));
        str_add(b, ",\"parameters\":");
        if (json_is_object(schema))
            json_write(b, schema);
        else
            str_add(b, "{\"type\":\"object\",\"properties\":{}}");
        str_add(b, "}}");
    }
    str_addc(b, ']');
}

static void
put_params(struct wire *w, const struct llm_profile *p)
{
    static const struct param_name table[] = {{"temperature", "temperature"},
                                              {"top_p", "top_p"},
                                              {"top_k", "top_k"},
                                              {"max_tokens", "num_predict"},
                                              {"stop", NULL},
                                              {"seed", "seed"},
                                              {"presence_penalty", "presence_penalty"},
                                              {"frequency_penalty", "frequency_penalty"},
                                              {"reasoning", NULL},
                                              {NULL, NULL}};
    const json_t *effort = param_get(p, "reasoning");
    json_t *options = json_object(), *stop = params_stop(p);
    params_collect(options, p, table);
    if (stop)
        json_object_set_new(options, "stop", stop);
    if (json_object_size(options))
        body_object(w, "options", options);
    else
        json_decref(options);
    if (json_is_string(effort))
        body_json(w, "think", effort);
    else if (effort)
        log_debug("llm", "ollama takes 'reasoning' as an effort, not as a number: left out");
}

/* Many write the address of its compatible endpoint, ".../v1", or stop at ".../api". */
static void
put_url(struct wire *w, const struct llm_call *c)
{
    static const char *const tails[] = {"/", "/v1", "/api"};
    AUTO(freep) char *base = xstrdup(c->base_url ? c->base_url : "");
    for (size_t i = 0; i < COUNT(tails); i++) {
        if (str_ends(base, tails[i]))
            base[strlen(base) - strlen(tails[i])] = '\0';
    }
    wire_url(w, c->profile, base, "/api/chat");
}

static struct err *
ollama_build(const struct llm_call *c, struct wire *w)
{
    const struct llm_profile *p = c->profile;
    put_url(w, c);
    wire_header(w, "Content-Type", "application/json");
    if (p->api_key)
        wire_header_held(w, "Authorization", xasprintf("Bearer %s", p->api_key));
    body_open(w, p->extra);
    body_text(w, "model", p->model);
    PASS(put_messages(w, c));
    put_tools(w, c);
    body_json(w, "format", c->req->output_schema);
    put_params(w, p);
    if (body_key(w, "stream")) /* it streams unless told not to */
        str_add(&w->body, c->stream ? "true" : "false");
    body_close(w);
    return NULL;
}

/* ---- reply ------------------------------------------------------------------------------------*/

static void
take_end(struct answer *a, const json_t *body)
{
    struct llm_usage *u = &a->reply->usage;
    answer_set_text(&a->reply->model, json_object_get(body, "model"));
    if (!json_is_true(json_object_get(body, "done")))
        return;
    a->finished = a->ended = true;
    if (str_eq(json_str(body, "done_reason", ""), "length"))
        a->reply->finish = LLM_LENGTH;
    u->output_tokens = answer_count(body, "eval_count");
    /* left out when the whole prompt was in its cache; then nobody knows the number */
    u->input_tokens = answer_count(body, "prompt_eval_count");
    a->counted = json_is_number(json_object_get(body, "prompt_eval_count")) &&
                 json_is_number(json_object_get(body, "eval_count"));
}

static struct err *MUST
take_call(struct answer *a, const json_t *call)
{
    const json_t *function = json_object_get(call, "function");
    AUTO(freep) char *args = json_as_text(json_object_get(function, "arguments"));
    struct piece *p = answer_piece_new(a, PIECE_CALL, (int64_t)a->pieces.len);
    if (!p)
        return FAIL(ERR_LIMIT, "the reply has more than %d parts", ANSWER_PIECES_MAX);
    answer_set_text(&p->id, json_object_get(call, "id"));
    answer_set_text(&p->name, json_object_get(function, "name"));
    return answer_grow(a, &p->text, args, strlen(args));
}

static struct err *MUST
take_message(struct answer *a, const json_t *message)
{
    size_t i;
    json_t *call;
    PASS(answer_text(a, 0, json_object_get(message, "content")));
    json_array_foreach (json_object_get(message, "tool_calls"), i, call)
        PASS(take_call(a, call));
    return NULL; /* its thinking is for people, and is not wanted back */
}

static struct err *
ollama_event(const struct llm_call *c, const char *type, const json_t *data, struct answer *a)
{
    (void)type;
    if (!json_is_object(data))
        return provider_garbled(c, "a line that is no object");
    PASS(take_message(a, json_object_get(data, "message")));
    take_end(a, data);
    return NULL;
}

static struct err *
ollama_whole(const struct llm_call *c, const json_t *body, struct answer *a)
{
    if (!json_is_object(json_object_get(body, "message")))
        return provider_garbled(c, "no message in it");
    PASS(ollama_event(c, "", body, a));
    if (!a->finished)
        return provider_garbled(c, "it is not done");
    return NULL;
}

const struct llm_provider provider_ollama = {
    .name = "ollama",
    .base_url = "http://localhost:11434",
    .lines = true,
    .build = ollama_build,
    .whole = ollama_whole,
    .event = ollama_event,
    .fault = refusal_read,
};
