/* reply.c - the reply as a struct, as a message and as JSON. */
#include "llm/answer.h"
#include <stdlib.h>
#include <string.h>

static const char *const finish_names[] = {[LLM_STOP] = "stop",
                                           [LLM_TOOL_CALLS] = "tool_calls",
                                           [LLM_LENGTH] = "length",
                                           [LLM_FILTER] = "filter"};

const char *
llm_finish_name(enum llm_finish f)
{
    return finish_names[f];
}

void
llm_reply_fini(struct llm_reply *r)
{
    json_decref(r->content);
    json_decref(r->tool_calls);
    free(r->model);
    free(r->id);
    free(r->text_held);
    *r = (struct llm_reply){.text = ""};
}

void
llm_reply_index(struct llm_reply *r)
{
    struct str joined = STR_INIT;
    const json_t *only = NULL;
    size_t i, texts = 0;
    json_t *part;
    json_array_foreach (r->content, i, part) {
        if (part_is(part, "tool_call")) {
            if (!r->tool_calls)
                r->tool_calls = json_array();
            json_array_append(r->tool_calls, part);
        } else if (part_is(part, "text")) {
            only = json_object_get(part, "text");
            texts++;
        }
    }
    r->text = texts == 1 && json_is_string(only) ? json_string_value(only) : "";
    if (texts < 2)
        return;
    message_add_text(&joined, r->content);
    free(r->text_held);
    r->text = r->text_held = str_steal(&joined);
}

json_t *
llm_reply_message(const struct llm_reply *r)
{
    return message_new("assistant", json_incref(r->content));
}

static void
set_int(json_t *obj, const char *key, int64_t value)
{
    if (value)
        json_object_set_new(obj, key, json_integer(value));
}

json_t *
llm_usage_to_json(const struct llm_usage *u)
{
    json_t *j = json_object();
    json_object_set_new(j, "input_tokens", json_integer(u->input_tokens));
    json_object_set_new(j, "output_tokens", json_integer(u->output_tokens));
    set_int(j, "cached_tokens", u->cached_tokens);
    set_int(j, "cache_write_tokens", u->cache_write_tokens);
    set_int(j, "reasoning_tokens", u->reasoning_tokens);
    set_int(j, "model_calls", u->model_calls);
    set_int(j, "tool_calls", u->tool_calls);
    json_object_set_new(j, "cost_usd", u->cost_known ? json_real(u->cost_usd) : json_null());
    if (!u->cost_known && u->cost_usd > 0)
        json_object_set_new(j, "cost_usd_min", json_real(u->cost_usd));
    return j;
}

static void
usage_from_json(const json_t *j, struct llm_usage *u)
{
    *u = (struct llm_usage){
        .input_tokens = json_int(j, "input_tokens", 0),
        .output_tokens = json_int(j, "output_tokens", 0),
        .cached_tokens = json_int(j, "cached_tokens", 0),
        .cache_write_tokens = json_int(j, "cache_write_tokens", 0),
        .reasoning_tokens = json_int(j, "reasoning_tokens", 0),
        .model_calls = json_int(j, "model_calls", 0),
        .tool_calls = json_int(j, "tool_calls", 0),
        .cost_known = json_is_number(json_object_get(j, "cost_usd")),
        .cost_usd = json_num(j, "cost_usd", json_num(j, "cost_usd_min", 0)),
    };
}

json_t *
llm_reply_to_json(const struct llm_reply *r)
{
    json_t *j = json_object();
    json_object_set(j, "content", r->content);
    json_object_set_new(j, "finish", json_string(finish_names[r->finish]));
    json_object_set_new(j, "usage", llm_usage_to_json(&r->usage));
    if (r->model)
        json_object_set_new(j, "model", json_string_lossy(r->model, strlen(r->model)));
    if (r->id)
        json_object_set_new(j, "id", json_string_lossy(r->id, strlen(r->id)));
    return j;
}

struct err *
llm_reply_from_json(const json_t *j, struct llm_reply *ret)
{
    json_t *content = json_object_get(j, "content");
    const char *finish = json_str(j, "finish", "");
    size_t f = 0;
    while (f < COUNT(finish_names) && strcmp(finish_names[f], finish) != 0)
        f++;
    if (!json_is_array(content) || f == COUNT(finish_names))
        return FAIL(ERR_INVALID, "not a recorded reply: it needs content and finish");
    *ret = (struct llm_reply){.content = json_incref(content), .finish = (enum llm_finish)f};
    usage_from_json(json_object_get(j, "usage"), &ret->usage);
    answer_set_text(&ret->model, json_object_get(j, "model"));
    answer_set_text(&ret->id, json_object_get(j, "id"));
    llm_reply_index(ret);
    return NULL;
}
