/* openai.c - OpenAI's chat completions, and the many servers that speak them.
 *
 * Format: the reference of POST /v1/chat/completions. Compatible servers differ in small ways that
 * are all taken here: no ids, arguments encoded twice or as an object, usage in odd places or not
 * at all, every streamed call under index 0, no "[DONE]", errors with status 200. */
#include "llm/batchwire.h"
#include "llm/openai_build.h"
#include <stdlib.h>
#include <string.h>

/* ---- reply ------------------------------------------------------------------------------------*/

static void
take_finish(struct answer *a, const json_t *choice)
{
    const char *why = json_str(choice, "finish_reason", NULL);
    if (!why || !*why)
        return;
    a->finished = true;
    if (str_eq(why, "length"))
        a->reply->finish = LLM_LENGTH;
    else if (str_eq(why, "content_filter"))
        a->reply->finish = LLM_FILTER;
    else if (str_eq(why, "tool_calls") || str_eq(why, "function_call"))
        a->reply->finish = LLM_TOOL_CALLS;
}

static void
take_usage(struct answer *a, const json_t *usage)
{
    struct llm_usage *u = &a->reply->usage;
    if (!json_is_number(json_object_get(usage, "prompt_tokens")))
        return;
    const json_t *in = json_object_get(usage, "prompt_tokens_details");
    const json_t *out = json_object_get(usage, "completion_tokens_details");
    u->input_tokens = answer_count(usage, "prompt_tokens");
    u->output_tokens = answer_count(usage, "completion_tokens");
    /* The second name is DeepSeek's. */
    const int64_t cached = json_object_get(in, "cached_tokens")
                               ? answer_count(in, "cached_tokens")
                               : answer_count(usage, "prompt_cache_hit_tokens");
    u->cached_tokens = MIN(cached, u->input_tokens);
    u->reasoning_tokens = answer_count(out, "reasoning_tokens");
    a->counted = json_is_number(json_object_get(usage, "completion_tokens"));
}

/* Beside the choices, inside one, or in a service's own corner. */
static void
take_common(struct answer *a, const json_t *body, const json_t *choice)
{
    struct llm_reply *r = a->reply;
    take_usage(a, json_at(body, "x_groq", "usage", NULL));
    take_usage(a, json_object_get(choice, "usage"));
    take_usage(a, json_object_get(body, "usage"));
    if (!r->model)
        answer_set_text(&r->model, json_object_get(body, "model"));
    if (!r->id)
        answer_set_text(&r->id, json_object_get(body, "id"));
}

static void
take_call(struct answer *a, const json_t *call)
{
    const json_t *function = json_object_get(call, "function");
    const json_t *args = json_object_get(function, "arguments");
    json_t *extra = json_object_get(call, "extra_content");
    const char *id = json_str(call, "id", ""), *name = json_str(function, "name", "");
    if (json_is_object(args))
        answer_add_call(a, id, name, json_incref((json_t *)(uintptr_t)args));
    else
        answer_add_call_text(a, id, name, json_is_string(args) ? json_string_value(args) : "",
                             json_string_length(args));
    if (extra) /* signatures of Gemini behind its compatible endpoint */
        answer_keep(a, json_pack("{s:O}", "extra_content", extra));
}

static void
take_content(struct answer *a, const json_t *content)
{
    size_t i;
    json_t *part;
    answer_add_text(a, (json_t *)(uintptr_t)content);
    json_array_foreach (content, i, part) /* some list parts here, too */
    {
        if (part_is(part, "text"))
            answer_add_text(a, json_object_get(part, "text"));
    }
}

static struct err *
openai_whole(const struct llm_call *c, const json_t *body, struct answer *a)
{
    const json_t *choice = json_array_get(json_object_get(body, "choices"), 0);
    const json_t *message = json_object_get(choice, "message");
    json_t *refusal = json_object_get(message, "refusal"), *call;
    const json_t *calls = json_object_get(message, "tool_calls");
    json_t *thought = json_object_get(message, "reasoning_content");
    size_t i;
    if (!json_is_object(message))
        return provider_garbled(c, "no choices[0].message in it");
    /* DeepSeek wants its thinking back within a tool loop, and only there. */
    if (json_array_size(calls) && json_string_length(thought))
        answer_add_opaque(a, json_pack("{s:O}", "reasoning_content", thought));
    take_content(a, json_object_get(message, "content"));
    answer_add_text(a, refusal);
    json_array_foreach (calls, i, call)
        take_call(a, call);
    take_finish(a, choice);
    if (json_string_length(refusal))
        a->reply->finish = LLM_FILTER;
    free(a->reply->id); /* the name in the body is the one its support asks for */
    a->reply->id = NULL;
    take_common(a, body, choice);
    return NULL;
}

/* ---- stream -----------------------------------------------------------------------------------*/

/* The piece a delta belongs to. Servers that put every call under index 0 begin a new one by a new
 * id; those that give no index go on with the last one. */
static struct piece *
call_piece(struct answer *a, const json_t *delta)
{
    const char *id = json_str(delta, "id", "");
    struct piece *p;
    int64_t index = json_int(delta, "index", -1);
    if (index >= 0) {
        p = answer_piece_find(a, PIECE_CALL, index);
    } else {
        bool begins = *id || *json_str(json_object_get(delta, "function"), "name", "");
        p = begins || !a->pieces.len ? NULL : &vec_last(&a->pieces);
        p = p && p->kind == PIECE_CALL ? p : NULL;
    }
    if (p && *id && p->id && strcmp(p->id, id) != 0)
        p = NULL;
    return p ? p : answer_piece_new(a, PIECE_CALL, index);
}

static struct err *MUST
take_call_delta(struct answer *a, const json_t *delta)
{
    const json_t *function = json_object_get(delta, "function");
    const json_t *args = json_object_get(function, "arguments");
    json_t *extra = json_object_get(delta, "extra_content");
    struct piece *p = call_piece(a, delta);
    if (!p)
        return FAIL(ERR_LIMIT, "the reply has more than %d parts", ANSWER_PIECES_MAX);
    answer_set_text(&p->id, json_object_get(delta, "id"));
    answer_set_text(&p->name, json_object_get(function, "name"));
    if (extra && !p->value)
        p->value = json_pack("{s:O}", "extra_content", extra);
    if (json_is_object(args)) {
        AUTO(freep) char *text = json_text(args);
        return answer_grow(a, &p->text, text, strlen(text));
    }
    return json_is_string(args)
               ? answer_grow(a, &p->text, json_string_value(args), json_string_length(args))
               : NULL;
}

static struct err *MUST
take_delta(struct answer *a, const json_t *delta)
{
    const json_t *refusal = json_object_get(delta, "refusal");
    const json_t *thought = json_object_get(delta, "reasoning_content");
    size_t i;
    json_t *call;
    if (json_string_length(thought)) {
        struct piece *p = answer_piece(a, PIECE_OPAQUE, 0);
        if (p)
            PASS(answer_grow(a, &p->text, json_string_value(thought), json_string_length(thought)));
    }
    PASS(answer_text(a, 0, json_object_get(delta, "content")));
    PASS(answer_text(a, 0, refusal));
    if (json_string_length(refusal))
        a->reply->finish = LLM_FILTER;
    json_array_foreach (json_object_get(delta, "tool_calls"), i, call)
        PASS(take_call_delta(a, call));
    return NULL;
}

static void
end_stream(struct answer *a)
{
    struct piece *thought = answer_piece_find(a, PIECE_OPAQUE, 0);
    bool calls = false;
    vec_each (&a->pieces, p)
        calls |= p->kind == PIECE_CALL;
    if (thought && calls && !thought->value)
        thought->value = json_pack("{s:o}", "reasoning_content",
                                   json_string_lossy(str_c(&thought->text), thought->text.len));
}

static struct err *
openai_event(const struct llm_call *c, const char *type, const json_t *data, struct answer *a)
{
    (void)type;
    if (!data) {
        a->ended = true;
        return NULL;
    }
    if (!json_is_object(data))
        return provider_garbled(c, "an event that is no object");
    const json_t *choice = json_array_get(json_object_get(data, "choices"), 0);
    const json_t *delta = json_object_get(choice, "delta");
    PASS(take_delta(a, delta ? delta : json_object_get(choice, "message")));
    bool refused = a->reply->finish == LLM_FILTER;
    take_finish(a, choice);
    if (refused)
        a->reply->finish = LLM_FILTER;
    if (a->finished)
        end_stream(a);
    take_common(a, data, choice);
    return NULL;
}

const struct llm_provider provider_openai = {
    .name = "openai",
    .key_env = "OPENAI_API_KEY",
    .base_url = "https://api.openai.com/v1",
    .finish_ends = true,
    .build = openai_build,
    .whole = openai_whole,
    .event = openai_event,
    .fault = refusal_read,
    .batch = &batch_openai,
};
