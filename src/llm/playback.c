/* playback.c - recorded conversations, read anew for each answer: nothing is remembered. */
#include "llm/playback.h"
#include "llm/message.h"
#include "rt/file.h"
#include <stdlib.h>
#include <string.h>

#define PLAYBACK_BYTES_MAX (16 << 20)

static json_t *
one_text(const char *text, size_t n)
{
    json_t *parts = json_array();
    json_array_append_new(parts, part_text(text, n));
    return parts;
}

static json_t *
exhausted(size_t have, size_t turn)
{
    AUTO(freep)
    char *text =
        xasprintf("MESSAGES EXHAUSTED (list size %zu) (%zu overage)", have, turn - have + 1);
    return one_text(text, strlen(text));
}

static struct err *MUST
from_list(const json_t *list, size_t turn, json_t **ret_content)
{
    size_t i, have = 0;
    json_t *m;
    if (!json_is_array(list))
        list = json_object_get(list, "messages");
    if (!json_is_array(list))
        return FAIL(ERR_INVALID, "playback is not a list of messages");
    json_array_foreach (list, i, m) {
        json_t *content = json_object_get(m, "content");
        if (!message_is(m, "assistant") || have++ != turn)
            continue;
        if (json_is_array(content))
            *ret_content = json_incref(content);
        else if (json_is_string(content))
            *ret_content = one_text(json_string_value(content), json_string_length(content));
        else
            return FAIL(ERR_INVALID, "playback: message %zu has no content", i + 1);
        return NULL;
    }
    *ret_content = exhausted(have, turn);
    return NULL;
}

/* The name behind "---" when the line is a divider, else NULL. */
static const char *
divider(const char *line, size_t n, size_t *ret_len)
{
    if (n < 4 || memcmp(line, "---", 3) != 0)
        return NULL;
    line += 3, n -= 3;
    while (n && strchr(" \r\t", line[n - 1]))
        n--;
    for (size_t i = 0; i < n; i++) {
        if (line[i] < 'A' || line[i] > 'Z')
            return NULL;
    }
    *ret_len = n;
    return line;
}

static json_t *
trimmed(const char *text, size_t n)
{
    while (n && strchr("\r\n", text[n - 1]))
        n--;
    return one_text(text, n);
}

static json_t *
from_text(const char *text, size_t n, size_t turn)
{
    const char *end = text + n, *body = NULL; /* of the answer that is wanted */
    size_t have = 0, len = 0;
    for (const char *line = text; line < end;) {
        const char *nl = memchr(line, '\n', (size_t)(end - line));
        const char *next = nl ? nl + 1 : end;
        const char *who = divider(line, (size_t)((nl ? nl : end) - line), &len);
        if (who && body)
            return trimmed(body, (size_t)(line - body));
        if (who && len == 9 && memcmp(who, "ASSISTANT", 9) == 0 && have++ == turn)
            body = next;
        line = next;
    }
    return body ? trimmed(body, (size_t)(end - body)) : exhausted(have, turn);
}

static struct err *MUST
from_file(const char *name, const char *dir, size_t turn, json_t **ret_content)
{
    AUTO(freep) char *path = path_join(dir ? dir : ".", name);
    AUTO(str_fini) struct str text = STR_INIT;
    AUTO(json_freep) json_t *list = NULL;
    TRY(file_read(path, PLAYBACK_BYTES_MAX, &text), "reading the playback '%s'", name);
    if (!str_ends(name, ".json")) {
        *ret_content = from_text(str_c(&text), text.len, turn);
        return NULL;
    }
    TRY(json_parse(str_c(&text), text.len, &list), "reading the playback '%s'", name);
    return from_list(list, turn, ret_content);
}

struct err *
playback_answer(const json_t *playback, const char *dir, size_t turn, json_t **ret_content)
{
    if (!json_is_string(playback))
        return from_list(playback, turn, ret_content);
    const char *text = json_string_value(playback);
    if (!strchr(text, '\n'))
        return from_file(text, dir, turn, ret_content);
    *ret_content = from_text(text, strlen(text), turn);
    return NULL;
}
