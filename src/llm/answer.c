/* answer.c - gathering a reply and putting it right at the end. */
#include "llm/answer.h"
#include "base/map.h"
#include "llm/llmwire.h"
#include "llm/toolname.h"
#include <stdlib.h>
#include <string.h>

void
answer_init(struct answer *a, const char *provider, const struct llm_request *req,
            struct llm_reply *reply)
{
    *a = (struct answer){.reply = reply, .req = req, .provider = provider};
    *reply = (struct llm_reply){.text = ""};
    reply->content = json_array();
}

void
answer_fini(struct answer *a)
{
    vec_each (&a->pieces, p) {
        str_fini(&p->text);
        str_fini(&p->more);
        free(p->id);
        free(p->name);
        json_decref(p->value);
    }
    vec_fini(&a->pieces);
}

static void
add_part(struct answer *a, json_t *part)
{
    if (json_array_size(a->reply->content) < ANSWER_PIECES_MAX)
        json_array_append_new(a->reply->content, part);
    else
        json_decref(part);
}

void
answer_add_text(struct answer *a, json_t *string)
{
    if (!json_string_length(string))
        return;
    json_t *part = json_object();
    json_object_set_new(part, "type", json_string("text"));
    json_object_set(part, "text", string);
    add_part(a, part);
}

void
answer_add_call(struct answer *a, const char *id, const char *name, json_t *arguments)
{
    add_part(a, part_tool_call(id ? id : "", name ? name : "", arguments));
}

int64_t
answer_count(const json_t *usage, const char *key)
{
    return MIN(MAX(json_int(usage, key, 0), 0), INT64_C(1)
                                                    << 40); /* sums of them cannot overflow */
}

/* Some servers encode the arguments twice: a JSON string that holds the object. */
static json_t *
parse_arguments(const char *text, size_t n)
{
    json_t *args = NULL;
    struct err *e = wire_parse(text, n, &args);
    if (!e && json_is_string(args)) {
        AUTO(json_freep) json_t *outer = args;
        args = NULL;
        e = wire_parse(json_string_value(outer), json_string_length(outer), &args);
    }
    if (e)
        err_drop(e);
    if (!e && json_is_null(args)) {
        json_decref(args);
        return json_object();
    }
    if (json_is_object(args))
        return args;
    json_decref(args);
    return NULL;
}

static bool
is_blank(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!strchr(" \t\r\n", text[i]))
            return false;
    }
    return true;
}

static json_t *
call_part(const char *id, const char *name, const char *text, size_t n)
{
    json_t *args = is_blank(text, n) ? json_object() : parse_arguments(text, n);
    json_t *part = part_tool_call(id ? id : "", name ? name : "", args);
    if (!args)
        json_object_set_new(part, "invalid", json_string_lossy(text, n));
    return part;
}

void
answer_add_call_text(struct answer *a, const char *id, const char *name, const char *text, size_t n)
{
    add_part(a, call_part(id, name, text, n));
}

void
answer_add_opaque(struct answer *a, json_t *data)
{
    add_part(a, part_provider(a->provider, data));
}

static void
part_keep(json_t *part, const char *provider, json_t *data)
{
    json_t *keep = json_object();
    json_object_set_new(keep, provider, data);
    json_object_set_new(part, "keep", keep);
}

void
answer_keep(struct answer *a, json_t *data)
{
    size_t n = json_array_size(a->reply->content);
    if (n)
        part_keep(json_array_get(a->reply->content, n - 1), a->provider, data);
    else
        json_decref(data);
}

void
answer_set_text(char **field, const json_t *string)
{
    if (!json_string_length(string))
        return;
    free(*field);
    *field = xstrdup(json_string_value(string));
}

/* ---- streams ----------------------------------------------------------------------------------*/

struct piece *
answer_piece_find(struct answer *a, enum piece_kind kind, int64_t index)
{
    for (size_t i = a->pieces.len; i > 0; i--) {
        struct piece *p = &a->pieces.at[i - 1];
        if (p->kind == kind && p->index == index)
            return p;
    }
    return NULL;
}

struct piece *
answer_piece_new(struct answer *a, enum piece_kind kind, int64_t index)
{
    if (a->pieces.len == ANSWER_PIECES_MAX)
        return NULL;
    vec_push(&a->pieces, ((struct piece){.kind = kind, .index = index}));
    return &vec_last(&a->pieces);
}

struct piece *
answer_piece(struct answer *a, enum piece_kind kind, int64_t index)
{
    struct piece *p = answer_piece_find(a, kind, index);
    return p ? p : answer_piece_new(a, kind, index);
}

struct err *
answer_grow(struct answer *a, struct str *to, const char *text, size_t n)
{
    a->bytes += n;
    if (a->bytes > ANSWER_BYTES_MAX)
        return FAIL(ERR_LIMIT, "the reply is longer than %d bytes", ANSWER_BYTES_MAX);
    str_addn(to, text, n);
    return NULL;
}

struct err *
answer_text(struct answer *a, int64_t index, const json_t *string)
{
    size_t n = json_string_length(string);
    if (!n)
        return NULL;
    struct piece *p = answer_piece(a, PIECE_TEXT, index);
    if (!p)
        return FAIL(ERR_LIMIT, "the reply has more than %d parts", ANSWER_PIECES_MAX);
    PASS(answer_grow(a, &p->text, json_string_value(string), n));
    if (a->req->on_text)
        a->req->on_text(a->req->ctx, json_string_value(string), n);
    return NULL;
}

static void
close_piece(struct answer *a, struct piece *p)
{
    json_t *part;
    if (p->kind == PIECE_OPAQUE) {
        if (p->value)
            answer_add_opaque(a, STEAL(p->value));
        return;
    }
    if (p->kind == PIECE_TEXT && !p->text.len && !p->value)
        return;
    if (p->kind == PIECE_TEXT)
        part = part_text(str_c(&p->text), p->text.len);
    else
        part = call_part(p->id, p->name, str_c(&p->text), p->text.len);
    if (p->value)
        part_keep(part, a->provider, STEAL(p->value));
    add_part(a, part);
}

/* ---- putting right ----------------------------------------------------------------------------*/

static bool
id_used(const json_t *messages, const char *id)
{
    size_t i, k;
    json_t *m, *part;
    json_array_foreach (messages, i, m) {
        json_array_foreach (json_object_get(m, "content"), k, part) {
            if (part_is(part, "tool_call") && strcmp(json_str(part, "id", ""), id) == 0)
                return true;
        }
    }
    return false;
}

/* The same conversation always gets the same made-up ids: they end up in journals and cassettes. */
static void
make_id(const struct answer *a, struct map *seen, size_t number, json_t *call)
{
    const size_t turn = json_array_size(a->req->messages);
    for (size_t again = 0;; again++) {
        char id[80];
        if (again)
            snprintf(id, sizeof id, "call_%zu_%zu_%zu", turn, number, again);
        else
            snprintf(id, sizeof id, "call_%zu_%zu", turn, number);
        if (map_has(seen, id) || id_used(a->req->messages, id))
            continue;
        json_object_set_new(call, "id", json_string(id));
        map_put(seen, id, call);
        return;
    }
}

static void
settle_calls(struct answer *a, const struct toolnames *names)
{
    struct llm_reply *r = a->reply;
    AUTO(map_freep) struct map *seen = map_new();
    size_t i;
    json_t *call;
    json_array_foreach (r->tool_calls, i, call) {
        const char *id = json_str(call, "id", "");
        const char *name = json_str(call, "name", "");
        const char *back = toolname_back(names, name);
        if (back != name)
            json_object_set_new(call, "name", json_string(back));
        if (!*id || map_has(seen, id) || id_used(a->req->messages, id))
            make_id(a, seen, i + 1, call);
        else
            map_put(seen, id, call);
    }
    r->usage.tool_calls = (int64_t)json_array_size(r->tool_calls);
    if (r->tool_calls && r->finish == LLM_STOP)
        r->finish = LLM_TOOL_CALLS;
    else if (!r->tool_calls && r->finish == LLM_TOOL_CALLS)
        r->finish = LLM_STOP;
}

void
answer_close(struct answer *a, const struct toolnames *names)
{
    vec_each (&a->pieces, p)
        close_piece(a, p);
    llm_reply_index(a->reply);
    settle_calls(a, names);
    a->reply->usage.model_calls = 1;
}
