/* firstwords.c - what an llm agent's conversation begins with, and what is remembered of it. */
#include "agents/conversation.h"
#include <stdlib.h>
#include <string.h>

static bool
is_parts(const json_t *v)
{
    static const char *const types[] = {"text", "image", "audio", "file"};
    const json_t *part;
    size_t i;
    json_array_foreach (v, i, part) {
        bool known = false;
        for (size_t k = 0; k < COUNT(types); k++)
            known |= part_is(part, types[k]);
        if (!known)
            return false;
    }
    return json_array_size(v) > 0;
}

static json_t *
first_user_message(const struct task *t)
{
    json_t *parts = json_array();
    if (t->instruction && *t->instruction)
        json_array_append_new(parts, part_text(t->instruction, strlen(t->instruction)));
    if (is_parts(t->input)) {
        json_array_extend(parts, (json_t *)(uintptr_t)t->input);
    } else if (t->message && *t->message) {
        if (json_array_size(parts)) {
            AUTO(freep) char *both = xasprintf("%s\n\n%s", t->instruction, t->message);
            json_array_clear(parts);
            json_array_append_new(parts, part_text(both, strlen(both)));
        } else {
            json_array_append_new(parts, part_text(t->message, strlen(t->message)));
        }
    }
    if (!json_array_size(parts))
        json_array_append_new(parts, part_text("", 0));
    return message_new("user", parts);
}

/* seeds' `ai_agent` with an endpoint: `parameters` are the request in chat-completions form. */
static void
messages_from_params(struct conversation *c, const json_t *given)
{
    const json_t *m, *part;
    size_t i, k;
    json_array_foreach (given, i, m) {
        const json_t *content = json_object_get(m, "content");
        json_t *parts = json_array();
        if (json_is_string(content))
            json_array_append_new(
                parts, part_text(json_string_value(content), json_string_length(content)));
        json_array_foreach (content, k, part) {
            const char *url = json_str(json_object_get(part, "image_url"), "url", NULL);
            const char *text = json_str(part, "text", "");
            json_array_append_new(parts, url ? part_media("image", NULL, NULL, NULL, url)
                                             : part_text(text, strlen(text)));
        }
        const char *role = json_str(m, "role", "user");
        json_array_append_new(c->messages,
                              message_new(strcmp(role, "developer") == 0 ? "system" : role, parts));
    }
}

/* What was said before: the messages and the answers, without the tools that were used. */
static void
history_add(struct conversation *c, const json_t *exchanges)
{
    const json_t *one;
    size_t i;
    json_array_foreach (exchanges, i, one) {
        json_t *user = json_object_get(one, "user");
        json_array_append_new(c->messages, json_is_array(user)
                                               ? message_new("user", json_incref(user))
                                               : message_text("user", json_str(one, "user", "")));
        json_array_append_new(c->messages,
                              message_text("assistant", json_str(one, "assistant", "")));
    }
}

struct err *
conversation_begin(struct conversation *c)
{
    AUTO(json_freep) json_t *before = NULL;
    const json_t *given = json_object_get(c->task->params, "messages");
    const char *instruction = json_str(c->def, "instruction", NULL);
    c->messages = json_array();
    if (instruction && *instruction)
        json_array_append_new(c->messages, message_text("system", instruction));
    if (json_is_array(given)) { /* a whole conversation of its own */
        messages_from_params(c, given);
        return NULL;
    }
    json_t *message = first_user_message(c->task);
    if (c->task->use_history || json_bool(c->def, "use_history", false)) {
        c->said = json_incref(json_object_get(message, "content"));
        struct err *e = c->host->ops->recall(c->host, &before);
        if (e) {
            json_decref(message);
            return e;
        }
        history_add(c, before);
    }
    json_array_append_new(c->messages, message);
    return NULL;
}

struct err *
conversation_end(struct conversation *c, const struct reply *reply)
{
    const char *text = reply_text(reply);
    if (!c->said)
        return NULL;
    return c->host->ops->remember(c->host, json_pack("{sO so}", "user", c->said, "assistant",
                                                     json_string_lossy(text, strlen(text))));
}
