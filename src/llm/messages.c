/* messages.c - building, checking, measuring and trimming neutral conversations.
 *
 * Everything is linear in the conversation: it is walked before every model call. */
#include "base/map.h"
#include "base/vec.h"
#include "llm/message.h"
#include <assert.h>
#include <string.h>

#define PART_DEPTH_MAX 4 /* a tool result may hold parts, and these no results */

enum {
    TOKENS_MESSAGE = 4,
    TOKENS_CALL = 8,
    TOKENS_MEDIA = 1000,
    TOKENS_AUDIO_MIN = 50,
    TOKENS_FILE_MIN = 250
};

static json_t *
text_json(const char *text)
{
    return json_string_lossy(text, strlen(text));
}

static void
set_text(json_t *obj, const char *key, const char *text)
{
    if (text)
        json_object_set_new(obj, key, text_json(text));
}

static json_t *
part_new(const char *type)
{
    json_t *part = json_object();
    json_object_set_new(part, "type", json_string(type));
    return part;
}

json_t *
message_new(const char *role, json_t *parts)
{
    assert(json_is_array(parts));
    json_t *m = json_object();
    json_object_set_new(m, "role", json_string(role));
    json_object_set_new(m, "content", parts);
    return m;
}

json_t *
message_text(const char *role, const char *text)
{
    json_t *parts = json_array();
    json_array_append_new(parts, part_text(text, strlen(text)));
    return message_new(role, parts);
}

json_t *
message_tool_result(const char *id, const char *name, json_t *parts, bool is_error)
{
    json_t *all = json_array();
    json_array_append_new(all, part_tool_result(id, name, parts, is_error));
    return message_new("tool", all);
}

json_t *
part_text(const char *text, size_t n)
{
    json_t *part = part_new("text");
    json_object_set_new(part, "text", json_string_lossy(text, n));
    return part;
}

json_t *
part_media(const char *kind, const char *mime, const char *name, const char *base64,
           const char *url)
{
    assert(!base64 != !url);
    json_t *part = part_new(kind);
    set_text(part, "mime", mime);
    set_text(part, "name", name);
    set_text(part, "data", base64);
    set_text(part, "url", url);
    return part;
}

json_t *
part_tool_call(const char *id, const char *name, json_t *arguments)
{
    json_t *part = part_new("tool_call");
    set_text(part, "id", id);
    set_text(part, "name", name);
    json_object_set_new(part, "arguments", arguments ? arguments : json_object());
    return part;
}

json_t *
part_tool_result(const char *id, const char *name, json_t *parts, bool is_error)
{
    json_t *part = part_new("tool_result");
    set_text(part, "id", id);
    set_text(part, "name", name);
    json_object_set_new(part, "content", parts ? parts : json_array());
    if (is_error)
        json_object_set_new(part, "is_error", json_true());
    return part;
}

json_t *
part_provider(const char *provider, json_t *data)
{
    json_t *part = part_new("provider");
    set_text(part, "provider", provider);
    json_object_set_new(part, "data", data);
    return part;
}

bool
part_is(const json_t *part, const char *type)
{
    return strcmp(json_str(part, "type", ""), type) == 0;
}

const char *
message_role(const json_t *message)
{
    return json_str(message, "role", "");
}

bool
message_is(const json_t *message, const char *role)
{
    return strcmp(message_role(message), role) == 0;
}

static void
add_text(struct str *to, const json_t *parts, int depth)
{
    size_t i;
    json_t *part;
    if (depth >= PART_DEPTH_MAX)
        return;
    json_array_foreach (parts, i, part) {
        const json_t *text = json_object_get(part, "text");
        if (part_is(part, "text") && json_is_string(text))
            str_addn(to, json_string_value(text), json_string_length(text));
        else if (part_is(part, "tool_result"))
            add_text(to, json_object_get(part, "content"), depth + 1);
    }
}

void
message_add_text(struct str *to, const json_t *message_or_parts)
{
    if (json_is_array(message_or_parts))
        add_text(to, message_or_parts, 0);
    else
        add_text(to, json_object_get(message_or_parts, "content"), 0);
}

/* ---- checking ---------------------------------------------------------------------------------*/

struct check {
    struct map *seen; /* every id so far */
    struct map *open; /* calls of the last assistant message that nobody answered yet */
    size_t message, part;
};

static struct err *MUST
check_string(const struct check *c, const json_t *part, const char *key)
{
    if (json_is_string(json_object_get(part, key)))
        return NULL;
    return FAIL(ERR_INVALID, "message %zu, part %zu: %s has no text '%s'", c->message + 1,
                c->part + 1, json_str(part, "type", "part"), key);
}

static struct err *MUST
check_media(const struct check *c, const json_t *part)
{
    bool data = json_is_string(json_object_get(part, "data"));
    bool url = json_is_string(json_object_get(part, "url"));
    if (data == url)
        return FAIL(ERR_INVALID, "message %zu, part %zu: %s needs either 'data' or 'url'",
                    c->message + 1, c->part + 1, json_str(part, "type", "part"));
    return data ? check_string(c, part, "mime") : NULL;
}

static struct err *MUST
check_call(struct check *c, const json_t *part)
{
    PASS(check_string(c, part, "id"));
    PASS(check_string(c, part, "name"));
    const char *id = json_str(part, "id", "");
    if (!json_is_object(json_object_get(part, "arguments")))
        return FAIL(ERR_INVALID, "message %zu: tool call '%s': arguments are not an object",
                    c->message + 1, id);
    if (map_has(c->seen, id))
        return FAIL(ERR_INVALID, "message %zu: tool call id '%s' is there twice", c->message + 1,
                    id);
    map_put(c->seen, id, c);
    map_put(c->open, id, c);
    return NULL;
}

static struct err *MUST check_parts(struct check *c, const json_t *parts, const char *role,
                                    int depth);

static struct err *MUST
check_result(struct check *c, const json_t *part, int depth)
{
    PASS(check_string(c, part, "id"));
    const char *id = json_str(part, "id", "");
    if (!map_has(c->open, id))
        return FAIL(ERR_INVALID, "message %zu: tool result '%s' has no open call before it",
                    c->message + 1, id);
    map_del(c->open, id);
    return check_parts(c, json_object_get(part, "content"), "result", depth + 1);
}

static struct err *MUST
check_part(struct check *c, const json_t *part, const char *role, int depth)
{
    const char *type = json_str(part, "type", "");
    bool result = str_eq(type, "tool_result");
    if (result != str_eq(role, "tool"))
        return FAIL(ERR_INVALID, "message %zu, part %zu: '%s' cannot stand in a message of '%s'",
                    c->message + 1, c->part + 1, type, role);
    if (result)
        return check_result(c, part, depth);
    if (str_eq(type, "text"))
        return check_string(c, part, "text");
    if (str_eq(type, "image") || str_eq(type, "audio") || str_eq(type, "file"))
        return check_media(c, part);
    if (str_eq(role, "assistant") && str_eq(type, "tool_call"))
        return check_call(c, part);
    if (str_eq(role, "assistant") && str_eq(type, "provider"))
        return check_string(c, part, "provider");
    return FAIL(ERR_INVALID, "message %zu, part %zu: '%s' cannot stand in a message of '%s'",
                c->message + 1, c->part + 1, type, role);
}

static struct err *MUST
check_parts(struct check *c, const json_t *parts, const char *role, int depth)
{
    if (!json_is_array(parts) || depth >= PART_DEPTH_MAX)
        return FAIL(ERR_INVALID, "message %zu: content is not a list of parts", c->message + 1);
    size_t i;
    json_t *part;
    json_array_foreach (parts, i, part) {
        if (!depth)
            c->part = i;
        PASS(check_part(c, part, role, depth));
    }
    return NULL;
}

static struct err *MUST
check_all_answered(const struct check *c)
{
    const char *id;
    void *value;
    size_t i = 0;
    if (map_next(c->open, &i, &id, &value))
        return FAIL(ERR_INVALID, "message %zu: tool call '%s' before it has no result",
                    c->message + 1, id);
    return NULL;
}

static struct err *MUST
check_message(struct check *c, const json_t *m)
{
    const char *role = message_role(m);
    if (!str_eq(role, "tool"))
        PASS(check_all_answered(c));
    if (!str_eq(role, "system") && !str_eq(role, "user") && !str_eq(role, "assistant") &&
        !str_eq(role, "tool"))
        return FAIL(ERR_INVALID, "message %zu: unknown role '%s'", c->message + 1, role);
    return check_parts(c, json_object_get(m, "content"), role, 0);
}

struct err *
message_check(const json_t *messages)
{
    if (!json_is_array(messages))
        return FAIL(ERR_INVALID, "messages are not a list");
    if (json_array_size(messages) > MESSAGES_MAX)
        return FAIL(ERR_INVALID, "more than %d messages", MESSAGES_MAX);
    AUTO(map_freep) struct map *seen = map_new();
    AUTO(map_freep) struct map *open = map_new();
    struct check c = {.seen = seen, .open = open};
    json_t *m;
    json_array_foreach (messages, c.message, m)
        PASS(check_message(&c, m));
    return NULL;
}

/* ---- measuring --------------------------------------------------------------------------------*/

int64_t
text_tokens(const char *text, size_t n)
{
    size_t ascii = 0, two = 0, longer = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        ascii += c < 0x80;
        two += c >= 0xc0 && c < 0xe0;
        longer += c >= 0xe0;
    }
    return (int64_t)((ascii + 3) / 4 + (two + 1) / 2 + longer);
}

static int64_t
json_tokens(const json_t *j)
{
    return j ? (int64_t)(json_dumpb(j, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY) + 3) / 4 : 0;
}

static int64_t
string_tokens(const json_t *s)
{
    return json_is_string(s) ? text_tokens(json_string_value(s), json_string_length(s)) : 0;
}

static int64_t
media_tokens(const json_t *part)
{
    const json_t *data = json_object_get(part, "data");
    int64_t bytes = (int64_t)json_string_length(data) / 4 * 3;
    if (!data || part_is(part, "image"))
        return TOKENS_MEDIA;
    if (part_is(part, "audio"))
        return MAX(bytes / 1000, TOKENS_AUDIO_MIN);
    return MAX(bytes / 40, TOKENS_FILE_MIN);
}

static int64_t
parts_tokens(const json_t *parts, int depth)
{
    int64_t n = 0;
    size_t i;
    json_t *part;
    if (depth >= PART_DEPTH_MAX)
        return 0;
    json_array_foreach (parts, i, part) {
        if (part_is(part, "text"))
            n += string_tokens(json_object_get(part, "text"));
        else if (part_is(part, "tool_call"))
            n += TOKENS_CALL + string_tokens(json_object_get(part, "name")) +
                 json_tokens(json_object_get(part, "arguments"));
        else if (part_is(part, "tool_result"))
            n += TOKENS_CALL + parts_tokens(json_object_get(part, "content"), depth + 1);
        else if (part_is(part, "provider"))
            n += json_tokens(json_object_get(part, "data"));
        else
            n += media_tokens(part);
    }
    return n;
}

static int64_t
one_tokens(const json_t *message)
{
    return TOKENS_MESSAGE + parts_tokens(json_object_get(message, "content"), 0);
}

int64_t
message_tokens(const json_t *messages)
{
    int64_t n = 0;
    size_t i;
    json_t *m;
    json_array_foreach (messages, i, m)
        n += one_tokens(m);
    return n;
}

/* ---- trimming ---------------------------------------------------------------------------------*/

struct unit { /* messages that go or stay together */
    size_t from, to;
    int64_t tokens;
    bool stays;
};
struct units {
    VEC(struct unit) all;
    int64_t tokens;
};

/* Tool messages belong to the assistant message in front of them. */
static void
units_find(struct units *u, const json_t *messages)
{
    bool first_user = true;
    size_t i;
    json_t *m;
    json_array_foreach (messages, i, m) {
        int64_t tokens = one_tokens(m);
        u->tokens += tokens;
        if (message_is(m, "tool") && u->all.len) {
            vec_last(&u->all).to = i + 1;
            vec_last(&u->all).tokens += tokens;
            continue;
        }
        bool user = message_is(m, "user");
        struct unit unit = {.from = i, .to = i + 1, .tokens = tokens};
        unit.stays = message_is(m, "system") || (user && first_user);
        first_user &= !user;
        vec_push(&u->all, unit);
    }
    if (u->all.len)
        vec_last(&u->all).stays = true;
}

json_t *
message_trim(const json_t *messages, int64_t max_tokens, size_t *ret_dropped)
{
    struct units u = {0};
    json_t *kept = json_array();
    size_t dropped = 0;
    units_find(&u, messages);
    vec_each (&u.all, unit) {
        if (!unit->stays && u.tokens > max_tokens) {
            u.tokens -= unit->tokens;
            dropped += unit->to - unit->from;
            continue;
        }
        for (size_t i = unit->from; i < unit->to; i++)
            json_array_append(kept, json_array_get(messages, i));
    }
    vec_fini(&u.all);
    if (ret_dropped)
        *ret_dropped = dropped;
    return kept;
}
