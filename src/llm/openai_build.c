/* openai_build.c - requests in OpenAI's chat completions.
 *
 * This is the hot path of the product: everything is written once, straight into the body. */
#include "llm/openai_build.h"
#include "base/log.h"
#include <stdlib.h>
#include <string.h>

#define SCHEMA_DEPTH_MAX 64

/* ---- request: parts ---------------------------------------------------------------------------*/

static void
put_data_url(struct str *b, const json_t *part)
{
    const json_t *data = json_object_get(part, "data");
    str_add(b, "\"data:");
    AUTO(str_fini) struct str mime = STR_INIT;
    wire_string(&mime, json_object_get(part, "mime"));
    str_addn(b, str_c(&mime) + 1, mime.len - 2); /* quoted, without its quotes */
    str_add(b, ";base64,");
    /* base64 needs no quoting; what is none of it must not break out of the string either */
    AUTO(str_fini) struct str text = STR_INIT;
    wire_string(&text, data);
    str_addn(b, str_c(&text) + 1, text.len - 1);
}

static const char *
audio_format(const char *mime)
{
    if (strstr(mime, "mpeg") || strstr(mime, "mp3"))
        return "mp3";
    const char *slash = strrchr(mime, '/');
    return strstr(mime, "wav") || !slash ? "wav" : slash + 1;
}

static struct err *MUST
put_media(struct str *b, const json_t *part)
{
    const json_t *url = json_object_get(part, "url");
    if (part_is(part, "image")) {
        str_add(b, "{\"type\":\"image_url\",\"image_url\":{\"url\":");
        if (url)
            wire_string(b, url);
        else
            put_data_url(b, part);
        str_add(b, "}}");
        return NULL;
    }
    if (url)
        return FAIL(ERR_INVALID, "openai takes %s parts as data, not by URL",
                    json_str(part, "type", ""));
    if (part_is(part, "audio")) {
        const char *format = audio_format(json_str(part, "mime", ""));
        str_add(b, "{\"type\":\"input_audio\",\"input_audio\":{\"data\":");
        wire_string(b, json_object_get(part, "data"));
        str_add(b, ",\"format\":");
        json_quote(b, format, strlen(format));
        str_add(b, "}}");
        return NULL;
    }
    const char *name = json_str(part, "name", "file");
    str_add(b, "{\"type\":\"file\",\"file\":{\"filename\":");
    json_quote(b, name, strlen(name));
    str_add(b, ",\"file_data\":");
    put_data_url(b, part);
    str_add(b, "}}");
    return NULL;
}

static struct err *MUST
put_part(struct str *b, const json_t *part)
{
    if (!part_is(part, "text"))
        return put_media(b, part);
    str_add(b, "{\"type\":\"text\",\"text\":");
    wire_string(b, json_object_get(part, "text"));
    str_addc(b, '}');
    return NULL;
}

static void
put_joined_text(struct str *b, const json_t *parts)
{
    if (json_array_size(parts) == 1 && part_is(json_array_get(parts, 0), "text")) {
        wire_string(b, json_object_get(json_array_get(parts, 0), "text"));
        return;
    }
    AUTO(str_fini) struct str text = STR_INIT;
    message_add_text(&text, parts);
    json_quote(b, str_c(&text), text.len);
}

/* ---- request: messages ------------------------------------------------------------------------*/

static struct err *MUST
put_user(struct str *b, const char *role, const json_t *parts)
{
    size_t i;
    json_t *part;
    str_add(b, "{\"role\":\"");
    str_add(b, role);
    str_add(b, "\",\"content\":");
    if (json_array_size(parts) == 1 && part_is(json_array_get(parts, 0), "text")) {
        put_joined_text(b, parts);
    } else {
        str_addc(b, '[');
        json_array_foreach (parts, i, part) {
            if (i)
                str_addc(b, ',');
            PASS(put_part(b, part));
        }
        str_addc(b, ']');
    }
    str_addc(b, '}');
    return NULL;
}

static void
put_members(struct str *b, const json_t *object)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)object, key, value) {
        str_addc(b, ',');
        json_quote(b, key, strlen(key));
        str_addc(b, ':');
        json_write(b, value);
    }
}

static void
put_call(struct str *b, const struct llm_call *c, const json_t *part)
{
    const json_t *invalid = json_object_get(part, "invalid");
    AUTO(str_fini) struct str text = STR_INIT;
    str_add(b, "{\"id\":");
    wire_string(b, json_object_get(part, "id"));
    str_add(b, ",\"type\":\"function\",\"function\":{\"name\":\"");
    toolname_add(b, &c->names, json_str(part, "name", ""));
    str_add(b, "\",\"arguments\":");
    if (json_is_string(invalid)) {
        wire_string(b, invalid);
    } else {
        json_write(&text, json_object_get(part, "arguments"));
        json_quote(b, str_c(&text), text.len);
    }
    str_addc(b, '}');
    put_members(b, json_at(part, "keep", "openai", NULL));
    str_addc(b, '}');
}

static void
put_assistant(struct str *b, const struct llm_call *c, const json_t *parts)
{
    size_t i, calls = 0;
    json_t *part;
    AUTO(str_fini) struct str text = STR_INIT;
    message_add_text(&text, parts);
    str_add(b, "{\"role\":\"assistant\",\"content\":");
    json_array_foreach (parts, i, part)
        calls += part_is(part, "tool_call");
    if (calls && !text.len)
        str_add(b, "null");
    else
        json_quote(b, str_c(&text), text.len);
    json_array_foreach (parts, i, part) {
        if (part_is(part, "provider") && str_eq(json_str(part, "provider", ""), "openai"))
            put_members(b, json_object_get(part, "data"));
    }
    if (calls) {
        bool first = true;
        str_add(b, ",\"tool_calls\":[");
        json_array_foreach (parts, i, part) {
            if (!part_is(part, "tool_call"))
                continue;
            if (!first)
                str_addc(b, ',');
            first = false;
            put_call(b, c, part);
        }
        str_addc(b, ']');
    }
    str_addc(b, '}');
}

static void
put_results(struct str *b, const json_t *parts)
{
    size_t i;
    json_t *part;
    json_array_foreach (parts, i, part) {
        if (i)
            str_addc(b, ',');
        str_add(b, "{\"role\":\"tool\",\"tool_call_id\":");
        wire_string(b, json_object_get(part, "id"));
        str_add(b, ",\"content\":");
        put_joined_text(b, json_object_get(part, "content"));
        str_addc(b, '}');
    }
}

static json_t *
media_of_results(const json_t *messages, size_t from, size_t to)
{
    json_t *media = json_array(), *result, *part;
    size_t i, k;
    for (; from < to; from++) {
        json_array_foreach (json_object_get(json_array_get(messages, from), "content"), i, result) {
            json_array_foreach (json_object_get(result, "content"), k, part) {
                if (!part_is(part, "text"))
                    json_array_append(media, part);
            }
        }
    }
    return media;
}

/* Tool messages hold text only: what else the tools returned follows as the user's. */
static struct err *MUST
put_media_of_results(struct str *b, const json_t *messages, size_t last)
{
    size_t from = last + 1;
    while (from && message_is(json_array_get(messages, from - 1), "tool"))
        from--;
    AUTO(json_freep) json_t *media = media_of_results(messages, from, last + 1);
    if (!json_array_size(media))
        return NULL;
    str_addc(b, ',');
    return put_user(b, "user", media);
}

static struct err *MUST
put_message(struct str *b, const struct llm_call *c, size_t i)
{
    const json_t *messages = c->req->messages, *m = json_array_get(messages, i);
    const json_t *parts = json_object_get(m, "content");
    const char *role = message_role(m);
    if (str_eq(role, "assistant")) {
        put_assistant(b, c, parts);
    } else if (str_eq(role, "tool")) {
        put_results(b, parts);
        if (!message_is(json_array_get(messages, i + 1), "tool"))
            PASS(put_media_of_results(b, messages, i));
    } else {
        PASS(put_user(b, role, parts));
    }
    return NULL;
}

static struct err *MUST
put_messages(struct wire *w, const struct llm_call *c)
{
    struct str *b = &w->body;
    const char *system = c->profile->system_prompt;
    bool first = true;
    if (!body_key(w, "messages"))
        return NULL;
    str_addc(b, '[');
    if (system) {
        str_add(b, "{\"role\":\"system\",\"content\":");
        json_quote(b, system, strlen(system));
        str_addc(b, '}');
        first = false;
    }
    for (size_t i = 0; i < json_array_size(c->req->messages); i++) {
        if (!json_array_size(json_object_get(json_array_get(c->req->messages, i), "content")))
            continue; /* an empty message is refused, and says nothing */
        if (!first)
            str_addc(b, ',');
        first = false;
        PASS(put_message(b, c, i));
    }
    str_addc(b, ']');
    return NULL;
}

/* ---- request: tools, schema, parameters -------------------------------------------------------*/

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
        str_add(b, i ? ",{\"type\":\"function\",\"function\":{\"name\":\""
                     : "{\"type\":\"function\",\"function\":{\"name\":\"");
        toolname_add(b, &c->names, json_str(tool, "name", ""));
        str_addc(b, '"');
        if (json_is_string(description)) {
            str_add(b, ",\"description\":");
            wire_string(b, description);
        }
        if (json_is_object(schema)) {
            str_add(b, ",\"parameters\":");
            json_write(b, schema);
        }
        str_add(b, "}}");
    }
    str_addc(b, ']');
}

static void
put_tool_choice(struct wire *w, const struct llm_call *c)
{
    const char *choice = c->req->tool_choice;
    if (!choice || !json_array_size(c->req->tools) || !body_key(w, "tool_choice"))
        return;
    if (str_eq(choice, "auto") || str_eq(choice, "none") || str_eq(choice, "required")) {
        json_quote(&w->body, choice, strlen(choice));
        return;
    }
    str_add(&w->body, "{\"type\":\"function\",\"function\":{\"name\":\"");
    toolname_add(&w->body, &c->names, choice);
    str_add(&w->body, "\"}}");
}

/* Strict mode is refused unless every object is closed and requires all it names. */
static bool
schema_is_strict(const json_t *s, int depth)
{
    const json_t *properties = json_object_get(s, "properties");
    const char *key;
    json_t *value;
    size_t i;
    if (depth > SCHEMA_DEPTH_MAX)
        return false;
    if (json_is_array(s)) {
        json_array_foreach (s, i, value) {
            if (!schema_is_strict(value, depth + 1))
                return false;
        }
        return true;
    }
    if ((properties || str_eq(json_str(s, "type", ""), "object")) &&
        (!json_is_false(json_object_get(s, "additionalProperties")) ||
         json_object_size(properties) != json_array_size(json_object_get(s, "required"))))
        return false;
    json_object_foreach ((json_t *)(uintptr_t)s, key, value) {
        if (!schema_is_strict(value, depth + 1))
            return false;
    }
    return true;
}

static void
put_response_format(struct wire *w, const struct llm_call *c)
{
    const json_t *schema = c->req->output_schema;
    if (!schema || !body_key(w, "response_format"))
        return;
    str_add(&w->body, "{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"output\",\"strict\":");
    str_add(&w->body, schema_is_strict(schema, 0) ? "true" : "false");
    str_add(&w->body, ",\"schema\":");
    json_write(&w->body, schema);
    str_add(&w->body, "}}");
}

/* o1, o3-mini, o4 ..., gpt-5...: they count their thinking in max_completion_tokens. */
static bool
is_reasoning(const char *model)
{
    return (model[0] == 'o' && model[1] >= '1' && model[1] <= '9') || str_starts(model, "gpt-5");
}

/* Of these the first generation refuses any temperature but its own. */
static bool
is_fixed_temperature(const char *model)
{
    return is_reasoning(model) && !str_starts(model, "gpt-5.") && !str_starts(model, "gpt-5-chat");
}

static void
put_params(struct wire *w, const struct llm_profile *p)
{
    static const struct param_name plain[] = {
        {"temperature", "temperature"},
        {"top_p", "top_p"},
        {"max_tokens", "max_tokens"},
        {"stop", "stop"},
        {"seed", "seed"},
        {"presence_penalty", "presence_penalty"},
        {"frequency_penalty", "frequency_penalty"},
        {"reasoning", NULL},
        {NULL, NULL},
    };
    static const struct param_name reasoning[] = {
        {"temperature", "temperature"},
        {"top_p", "top_p"},
        {"max_tokens", "max_completion_tokens"},
        {"stop", "stop"},
        {"seed", "seed"},
        {"reasoning", NULL},
        {NULL, NULL},
    };
    const json_t *effort = param_get(p, "reasoning");
    const struct param_name *table = is_reasoning(p->model) ? reasoning : plain;
    body_params(w, p, is_fixed_temperature(p->model) ? table + 2 : table);
    if (json_is_string(effort))
        body_json(w, "reasoning_effort", effort);
    else if (effort)
        log_debug("llm", "%s takes 'reasoning' as an effort, not as a number: left out",
                  p->provider);
}

struct err *
openai_build(const struct llm_call *c, struct wire *w)
{
    const struct llm_profile *p = c->profile;
    wire_url(w, p, c->base_url, "/chat/completions");
    wire_header(w, "Content-Type", "application/json");
    if (p->api_key)
        wire_header_held(w, "Authorization", xasprintf("Bearer %s", p->api_key));
    str_reserve(&w->body, 2048);
    body_open(w, p->extra);
    body_text(w, "model", p->model);
    PASS(put_messages(w, c));
    put_tools(w, c);
    put_tool_choice(w, c);
    put_response_format(w, c);
    put_params(w, p);
    if (c->stream) {
        if (body_key(w, "stream"))
            str_add(&w->body, "true");
        body_object(w, "stream_options", json_pack("{s:b}", "include_usage", 1));
    }
    body_close(w);
    return NULL;
}
