/* scripted.c - the provider that needs no network: replies by pattern, playback, echo, faults.
 *
 * docs/script-provider.md is what users read. The one rule here: an answer depends on the request
 * alone (its messages, tools, attempt and key), never on what was asked before, so that a run that
 * resumes, or one that runs beside a thousand others, gets the same answers again. */
#include "base/hash.h"
#include "base/units.h"
#include "llm/pattern.h"
#include "llm/playback.h"
#include "llm/provider.h"
#include "rt/fiber.h"
#include "rt/rt.h"
#include <stdlib.h>
#include <string.h>

#define REPLIES_MAX        1000
#define REPEATED_BYTES_MAX ((size_t)64 << 20) /* more than any reply may have: for trying that */

/* The script's keys stand in the profile, or in its `script`. */
static json_t *
script_get(const struct llm_profile *p, const char *key)
{
    json_t *inner = json_object_get(json_object_get(p->script, "script"), key);
    return inner ? inner : json_object_get(p->script, key);
}

struct scene { /* what of the request a reply is chosen by */
    const struct llm_call *call;
    const json_t *messages;
    struct str last;        /* text of the last user or tool message */
    struct str message;     /* text of the last user message */
    struct str tool_result; /* text of the tool results at the end; empty when there are none */
    struct str system;
    const json_t *results; /* the last message, when it is one of tool results; or NULL */
    int64_t deadline_ms;   /* of the call */
    size_t turn;           /* assistant messages so far */
    struct groups groups;  /* of the pattern that matched */
};

static void
scene_fini(struct scene *s)
{
    str_fini(&s->last);
    str_fini(&s->message);
    str_fini(&s->tool_result);
    str_fini(&s->system);
    groups_fini(&s->groups);
}

static void
scene_add(struct scene *s, const json_t *m)
{
    const char *role = message_role(m);
    if (str_eq(role, "system")) {
        if (s->system.len)
            str_addc(&s->system, '\n');
        message_add_text(&s->system, m);
    } else if (str_eq(role, "assistant")) {
        s->turn++;
        s->results = NULL;
        str_reset(&s->tool_result);
    } else if (str_eq(role, "tool")) {
        s->results = m;
        str_reset(&s->last);
        message_add_text(&s->tool_result, m);
        message_add_text(&s->last, m);
    } else {
        s->results = NULL;
        str_reset(&s->tool_result);
        str_reset(&s->message);
        str_reset(&s->last);
        message_add_text(&s->message, m);
        message_add_text(&s->last, m);
    }
}

static void
scene_open(struct scene *s, const struct llm_call *c)
{
    *s = (struct scene){.call = c, .messages = c->req->messages};
    if (c->profile->system_prompt)
        str_add(&s->system, c->profile->system_prompt);
}

static void
scene_fill(const struct scene *s, struct fill *f)
{
    *f = (struct fill){.last = str_c(&s->last),
                       .message = str_c(&s->message),
                       .tool_result = str_c(&s->tool_result),
                       .system = str_c(&s->system),
                       .turn = (int64_t)s->turn,
                       .groups = &s->groups};
}

static void
add_filled(struct str *to, const struct scene *s, const json_t *template)
{
    struct fill f;
    scene_fill(s, &f);
    AUTO(freep) char *text = json_as_text(template);
    fill_text(to, text, strlen(text), &f);
}

/* ---- choosing ---------------------------------------------------------------------------------*/

static bool
result_of(const struct scene *s, const char *tool)
{
    size_t i;
    json_t *part;
    json_array_foreach (json_object_get(s->results, "content"), i, part) {
        if (str_glob(tool, json_str(part, "name", "")))
            return true;
    }
    return false;
}

static bool
has_tool(const struct scene *s, const char *tool)
{
    size_t i;
    json_t *t;
    json_array_foreach (s->call->req->tools, i, t) {
        if (str_glob(tool, json_str(t, "name", "")))
            return true;
    }
    return false;
}

static struct err *MUST
text_matches(const json_t *entry, const char *key, const char *text, struct groups *g, bool *all)
{
    const char *pattern = json_str(entry, key, NULL);
    if (!*all || !pattern)
        return NULL;
    return pattern_match(pattern, text, g, all);
}

static struct err *MUST
entry_matches(struct scene *s, const json_t *entry, bool *ret_matches)
{
    const char *when_tool = json_str(entry, "when_tool", NULL);
    const char *tool = json_str(entry, "has_tool", NULL);
    const char *model = json_str(entry, "model", NULL);
    struct groups unused = {0};
    bool all = (!when_tool || result_of(s, when_tool)) && (!tool || has_tool(s, tool)) &&
               (!model || str_glob(model, s->call->profile->model)) &&
               json_int(entry, "turn", (int64_t)s->turn) == (int64_t)s->turn;
    struct err *e = text_matches(entry, "system", str_c(&s->system), &unused, &all);
    groups_fini(&unused);
    PASS(e);
    groups_fini(&s->groups);
    PASS(text_matches(entry, "match", str_c(&s->last), &s->groups, &all));
    *ret_matches = all;
    return NULL;
}

/* The first entry that matches and is not used up; used[i] counts its uses before. */
static struct err *MUST
choose(struct scene *s, const json_t *replies, const unsigned *used, size_t *ret_index)
{
    size_t i;
    json_t *entry;
    json_array_foreach (replies, i, entry) {
        bool matches = false;
        const int64_t times = json_int(entry, "times", -1);
        if (times >= 0 && used[i] >= times)
            continue;
        TRY(entry_matches(s, entry, &matches), "replies[%zu]", i + 1);
        if (matches) {
            *ret_index = i;
            return NULL;
        }
    }
    *ret_index = SIZE_MAX;
    return NULL;
}

static bool
any_times(const json_t *replies)
{
    size_t i;
    json_t *entry;
    json_array_foreach (replies, i, entry) {
        if (json_object_get(entry, "times"))
            return true;
    }
    return false;
}

/* `times` is counted by asking again what each earlier answer of this conversation was. */
static struct err *MUST
choose_in_order(struct scene *s, const json_t *replies, size_t *ret_index)
{
    const size_t n = json_array_size(replies);
    const bool counts = any_times(replies);
    AUTO(freep) unsigned *used = xcalloc(n, sizeof *used);
    size_t i, index;
    json_t *m;
    json_array_foreach (s->messages, i, m) {
        if (counts && message_is(m, "assistant")) {
            PASS(choose(s, replies, used, &index));
            if (index != SIZE_MAX)
                used[index]++;
        }
        scene_add(s, m);
    }
    return choose(s, replies, used, ret_index);
}

/* ---- answering --------------------------------------------------------------------------------*/

static struct err *MUST
wait_ms(int64_t ms, int64_t deadline_ms)
{
    if (ms <= 0)
        return NULL;
    const int64_t until = rt_after(ms);
    if (until <= deadline_ms)
        return fiber_sleep(ms);
    struct err *e = NULL;
    while (!e)
        e = fiber_park(deadline_ms);
    return e;
}

static int64_t
value_ms(const json_t *v)
{
    int64_t ms = 0;
    AUTO(freep) char *text = json_as_text(v);
    return v && duration_parse(text, &ms) ? ms : 0;
}

static const json_t *
entry_or_script(const struct scene *s, const json_t *entry, const char *key)
{
    const json_t *v = json_object_get(entry, key);
    return v ? v : script_get(s->call->profile, key);
}

/* Streams in pieces of `chunk` bytes; stops after `limit` bytes (a connection that drops). */
static struct err *MUST
say(const struct scene *s, const json_t *entry, const char *text, size_t limit, struct answer *a)
{
    const size_t n = MIN(strlen(text), limit);
    const json_t *size = entry_or_script(s, entry, "chunk");
    const int64_t asked = json_is_integer(size) ? json_integer_value(size) : 16;
    const size_t chunk = (size_t)MIN(MAX(asked, 4), 1 << 20); /* a character has up to 4 bytes */
    const int64_t pause = value_ms(entry_or_script(s, entry, "chunk_delay"));
    if (!s->call->stream) {
        AUTO(json_freep) json_t *whole = json_string_lossy(text, n);
        answer_add_text(a, whole);
        return NULL;
    }
    for (size_t at = 0; at < n;) {
        size_t len = utf8_floor(text + at, MIN(chunk, n - at));
        if (!len) /* the limit cuts a character */
            break;
        AUTO(json_freep) json_t *piece = json_string_lossy(text + at, len);
        if (at)
            PASS(wait_ms(pause, s->deadline_ms));
        PASS(answer_text(a, 0, piece));
        at += len;
    }
    return NULL;
}

static void
add_call(struct answer *a, const struct scene *s, const json_t *call)
{
    struct fill f;
    scene_fill(s, &f);
    const json_t *args = json_object_get(call, "arguments");
    const char *id = json_str(call, "id", ""), *name = json_str(call, "name", "");
    AUTO(json_freep) json_t *filled = args ? fill_json(args, &f) : NULL;
    AUTO(freep) char *text = json_as_text(filled);
    if (a->req->messages && s->call->stream) {
        struct piece *p = answer_piece_new(a, PIECE_CALL, (int64_t)a->pieces.len);
        if (!p)
            return;
        str_add(&p->text, text);
        p->id = xstrdup(id);
        p->name = xstrdup(name);
        return;
    }
    answer_add_call_text(a, id, name, text, strlen(text));
}

/* One of `texts`, by the step's key: samples of one question differ, each the same for ever. */
static const json_t *
entry_text(const struct scene *s, const json_t *entry)
{
    const json_t *texts = json_object_get(entry, "texts");
    const char *key = s->call->req->key ? s->call->req->key : "";
    const size_t n = json_array_size(texts);
    if (n)
        return json_array_get(texts, hash_fnv(key, strlen(key)) % n);
    const json_t *value = json_object_get(entry, "json");
    return value ? value : json_object_get(entry, "text");
}

static void
count(const struct scene *s, const json_t *entry, struct answer *a)
{
    const json_t *given = json_object_get(entry, "usage");
    struct llm_usage *u = &a->reply->usage;
    int64_t out = 0;
    size_t i;
    json_t *part;
    json_array_foreach (a->reply->content, i, part) {
        AUTO(freep) char *text = json_text(part);
        out += part_is(part, "text")
                   ? text_tokens(json_str(part, "text", ""), strlen(json_str(part, "text", "")))
                   : text_tokens(text, strlen(text));
    }
    vec_each (&a->pieces, p)
        out += text_tokens(str_c(&p->text), p->text.len);
    const char *system = s->call->profile->system_prompt;
    int64_t in = message_tokens(s->messages) + (system ? text_tokens(system, strlen(system)) : 0);
    u->input_tokens = MAX(json_int(given, "input_tokens", in), 0);
    u->output_tokens = MAX(json_int(given, "output_tokens", out), 0);
    u->cached_tokens = MIN(MAX(json_int(given, "cached_tokens", 0), 0), u->input_tokens);
    a->counted = true;
}

static void
set_finish(const json_t *entry, struct answer *a)
{
    const char *finish = json_str(entry, "finish", "stop");
    for (int f = LLM_STOP; f <= LLM_FILTER; f++) {
        if (str_eq(finish, llm_finish_name((enum llm_finish)f)))
            a->reply->finish = (enum llm_finish)f;
    }
}

/* ---- faults -----------------------------------------------------------------------------------*/

static struct err *MUST
fail_by_name(const struct scene *s, const json_t *entry, const char *name, struct answer *a)
{
    struct err *e = NULL;
    if (str_eq(name, "hang")) {
        while (!e)
            e = fiber_park(s->deadline_ms);
        return e;
    }
    if (str_eq(name, "drop")) {
        AUTO(str_fini) struct str text = STR_INIT;
        add_filled(&text, s, entry_text(s, entry));
        PASS(say(s, entry, str_c(&text), text.len / 2, a));
        return err_set_in_doubt(FAIL(ERR_TRANSIENT, "script: the connection broke"));
    }
    if (str_eq(name, "malformed"))
        return provider_garbled(s->call, "not JSON, as the script wants it");
    if (str_eq(name, "too_long"))
        return FAIL(ERR_TOO_LONG, "the conversation is too long for model '%s'",
                    s->call->profile->model);
    return FAIL(ERR_INVALID,
                "script: unknown error '%s' (a status, hang, drop, malformed or too_long)", name);
}

static int64_t
retry_after(const json_t *error)
{
    const json_t *v = json_object_get(error, "retry_after");
    int64_t ms = -1;
    AUTO(freep) char *text = json_as_text(v);
    return v && duration_parse(text, &ms) ? ms : -1;
}

/* NULL: this attempt does not fail. */
static struct err *MUST
fail_entry(const struct scene *s, const json_t *entry, struct answer *a)
{
    const json_t *error = json_object_get(entry, "error");
    const unsigned attempt = MAX(s->call->req->attempt, 1U);
    if (!json_truthy(error) || (int64_t)attempt > json_int(error, "times", INT64_MAX))
        return NULL;
    const json_t *status = json_is_object(error) ? json_object_get(error, "status") : error;
    const char *name =
        json_is_string(status) ? json_string_value(status) : json_str(error, "kind", NULL);
    if (name && !(name[0] >= '1' && name[0] <= '9'))
        return fail_by_name(s, entry, name, a);
    const struct refusal f = {
        .status = name ? (int)strtol(name, NULL, 10) : (int)json_integer_value(status),
        .code = json_str(error, "code", NULL),
        .message = json_str(error, "message", "as the script wants it"),
        .retry_after_ms = retry_after(error),
    };
    if (f.status < 300 || f.status > 599)
        return FAIL(ERR_INVALID, "script: error status %d is not one of 300 to 599", f.status);
    return refusal_err(&f, s->call->profile, NULL);
}

/* ---- the ways to answer -----------------------------------------------------------------------*/

/* `repeat`: the text so many times over. */
static struct err *MUST
text_repeat(const json_t *entry, struct str *text)
{
    const int64_t times = json_int(entry, "repeat", 1);
    const size_t n = text->len;
    if (times < 1 || (n && (uint64_t)times > REPEATED_BYTES_MAX / n))
        return FAIL(ERR_INVALID, "script: repeat %lld of %zu bytes: 1 to %zu is possible",
                    (long long)times, n, REPEATED_BYTES_MAX / MAX(n, 1));
    AUTO(freep) char *once = xstrndup(str_c(text), n);
    for (int64_t i = 1; n && i < times; i++)
        str_addn(text, once, n);
    return NULL;
}

static struct err *MUST
answer_entry(const struct scene *s, const json_t *entry, struct answer *a)
{
    const json_t *calls = json_object_get(entry, "tool_calls");
    AUTO(str_fini) struct str text = STR_INIT;
    size_t i;
    json_t *call;
    PASS(wait_ms(value_ms(json_object_get(entry, "delay")), s->deadline_ms));
    PASS(fail_entry(s, entry, a));
    if (json_is_string(entry))
        add_filled(&text, s, entry);
    else
        add_filled(&text, s, entry_text(s, entry));
    PASS(text_repeat(entry, &text));
    PASS(say(s, entry, str_c(&text), SIZE_MAX, a));
    json_array_foreach (calls, i, call)
        add_call(a, s, call);
    set_finish(entry, a);
    count(s, entry, a);
    return NULL;
}

static struct err *MUST
answer_plain(const struct scene *s, const char *text, struct answer *a)
{
    PASS(say(s, NULL, text, SIZE_MAX, a));
    count(s, NULL, a);
    return NULL;
}

static struct err *MUST
answer_playback(const struct scene *s, const json_t *playback, struct answer *a)
{
    AUTO(json_freep) json_t *content = NULL;
    size_t i;
    json_t *part;
    PASS(playback_answer(playback, s->call->profile->dir, s->turn, &content));
    AUTO(str_fini) struct str text = STR_INIT;
    message_add_text(&text, content);
    PASS(say(s, NULL, str_c(&text), SIZE_MAX, a));
    json_array_foreach (content, i, part) {
        if (part_is(part, "tool_call"))
            add_call(a, s, part);
    }
    count(s, NULL, a);
    return NULL;
}

/* "***CALL_TOOL name {json}": the message itself asks for a tool. */
static struct err *MUST
answer_call_tool(const struct scene *s, const char *command, struct answer *a)
{
    while (*command == ' ')
        command++;
    const size_t n = strcspn(command, " \t\r\n{");
    AUTO(freep) char *name = xstrndup(command, n);
    const char *args = command + n;
    while (*args && strchr(" \t\r\n", *args))
        args++;
    if (!n)
        return FAIL(ERR_INVALID, "script: ***CALL_TOOL names no tool");
    AUTO(json_freep) json_t *call = json_pack("{s:s, s:s}", "name", name, "arguments", args);
    if (!call)
        return FAIL(ERR_INVALID, "script: ***CALL_TOOL is not valid UTF-8");
    add_call(a, s, call);
    count(s, NULL, a);
    return NULL;
}

#define CALL_TOOL      "***CALL_TOOL"
#define FIXED_RESPONSE "***FIXED_RESPONSE"

/* What the last "***FIXED_RESPONSE text" of the conversation said; false: there is none. */
static bool
fixed_response(const struct scene *s, struct str *to)
{
    for (size_t i = json_array_size(s->messages); i > 0; i--) {
        const json_t *m = json_array_get(s->messages, i - 1);
        if (!message_is(m, "user"))
            continue;
        str_reset(to);
        message_add_text(to, m);
        if (!str_starts(str_c(to), FIXED_RESPONSE))
            continue;
        str_cut(to, strlen(FIXED_RESPONSE));
        str_cut(to, strspn(str_c(to), " \r\n\t"));
        return true;
    }
    return false;
}

static struct err *MUST
answer_passthrough(const struct scene *s, struct answer *a)
{
    AUTO(str_fini) struct str fixed = STR_INIT;
    if (!s->results && str_starts(str_c(&s->message), CALL_TOOL))
        return answer_call_tool(s, str_c(&s->message) + strlen(CALL_TOOL), a);
    if (fixed_response(s, &fixed))
        return answer_plain(s, str_c(&fixed), a);
    return answer_plain(s, str_c(&s->last), a);
}

static bool
is_command(const struct scene *s)
{
    return !s->results && str_starts(str_c(&s->message), "***");
}

/* `faults` come before everything: the first that matches and fails this attempt is it. */
static struct err *MUST
fail_first(struct scene *s, struct answer *a)
{
    const json_t *faults = script_get(s->call->profile, "faults");
    size_t i;
    json_t *entry;
    json_array_foreach (faults, i, entry) {
        bool matches = false;
        TRY(entry_matches(s, entry, &matches), "script: faults[%zu]", i + 1);
        if (matches)
            PASS(fail_entry(s, entry, a));
    }
    return NULL;
}

static struct err *MUST
no_answer(const struct scene *s, size_t replies)
{
    const struct llm_profile *p = s->call->profile;
    AUTO(str_fini) struct str words = STR_INIT;
    refusal_quote(&words, str_c(&s->last), s->last.len, 120, NULL);
    return FAIL(ERR_INVALID,
                "script: none of %zu replies of profile '%s' matches '%s' (turn %zu); add one, "
                "'default' or 'echo: true'",
                replies, p->name ? p->name : p->model, str_c(&words), s->turn);
}

/* Which of the ways: faults, replies, playback, commands in the message, default, echo. */
static struct err *
script_answer(const struct llm_call *c, int64_t deadline_ms, struct answer *a)
{
    const struct llm_profile *p = c->profile;
    const json_t *replies = script_get(p, "replies"), *playback = script_get(p, "playback");
    const json_t *otherwise = script_get(p, "default");
    AUTO(scene_fini) struct scene s;
    size_t index, n = json_array_size(replies);
    scene_open(&s, c);
    s.deadline_ms = deadline_ms;
    if (n > REPLIES_MAX || json_array_size(script_get(p, "faults")) > REPLIES_MAX)
        return FAIL(ERR_LIMIT, "script: more than %d replies", REPLIES_MAX);
    TRY(choose_in_order(&s, replies, &index), "script");
    a->reply->model = xstrdup(p->model);
    PASS(wait_ms(value_ms(script_get(p, "delay")), s.deadline_ms));
    PASS(fail_first(&s, a));
    if (index != SIZE_MAX)
        return answer_entry(&s, json_array_get(replies, index), a);
    if (json_truthy(playback))
        return answer_playback(&s, playback, a);
    if (json_truthy(otherwise) && !is_command(&s))
        return answer_entry(&s, otherwise, a);
    if (!n || json_truthy(script_get(p, "echo")) || is_command(&s))
        return answer_passthrough(&s, a);
    return no_answer(&s, n);
}

const struct llm_provider provider_script = {
    .name = "script",
    .answer = script_answer,
};
