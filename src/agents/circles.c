/* circles.c - hashes turns with tools and tells the model when they repeat themselves.
 *
 * What was asked for and what came of it count, in order, ids left out: they are new each time. */
#include "agents/circles.h"
#include "base/hash.h"
#include "llm/message.h"
#include "model/status.h"
#include <string.h>

#define QUOTED_MAX 200

static void
add(struct str *to, const json_t *j)
{
    AUTO(freep) char *text = json_canonical(j);
    str_add(to, text);
    str_addc(to, '\n');
}

static uint64_t
turn_hash(const struct tool_turn *t)
{
    AUTO(str_fini) struct str all = STR_INIT;
    const json_t *call, *part;
    size_t i, k;
    json_array_foreach (t->calls, i, call) {
        str_addf(&all, "%s ", json_str(call, "name", ""));
        add(&all, json_object_get(call, "arguments"));
    }
    for (i = t->results; i < json_array_size(t->messages); i++) {
        const json_t *content = json_object_get(json_array_get(t->messages, i), "content");
        json_array_foreach (content, k, part)
            add(&all, json_object_get(part, "content"));
    }
    return hash_fnv(all.p, all.len);
}

/* A word behind the last answer: every provider takes it there. */
static void
tell_model(const struct tool_turn *t, unsigned stale)
{
    const json_t *message = json_array_get(t->messages, json_array_size(t->messages) - 1);
    const json_t *content = json_object_get(message, "content");
    const json_t *last = json_array_get(content, json_array_size(content) - 1);
    AUTO(freep)
    char *text = xasprintf("Note: your last %u turns only repeated tool calls that you had made "
                           "before, with the same results. Repeating them will not help. Try "
                           "something else, or answer with what you know.",
                           stale);
    json_array_append_new(json_object_get(last, "content"), part_text(text, strlen(text)));
}

static char *
calls_text(const json_t *calls)
{
    const json_t *first = json_array_get(calls, 0);
    AUTO(freep) char *args = json_canonical(json_object_get(first, "arguments"));
    const size_t n = strlen(args);
    return xasprintf("%s %.*s%s", json_str(first, "name", ""),
                     (int)utf8_floor(args, MIN(n, QUOTED_MAX)), args, n > QUOTED_MAX ? "..." : "");
}

struct err *
circle_check(struct host *h, struct loopguard *g, const struct tool_turn *t)
{
    if (!g->repeats || json_array_size(t->messages) <= t->results)
        return NULL;
    const enum loop_verdict verdict = loopguard_turn(g, turn_hash(t));
    if (verdict == LOOP_FINE)
        return NULL;
    AUTO(freep) char *last = calls_text(t->calls);
    h->ops->note(h, EVENT_LOOP_REPEATED,
                 json_pack("{si so}", "turns", (int)g->stale, "last",
                           json_string_lossy(last, strlen(last))));
    if (verdict == LOOP_STOP)
        return FAIL(ERR_LIMIT,
                    "the model goes round in circles: %u turns of the same tool calls with the "
                    "same results, the last one %s (loop_guard)",
                    g->stale, last);
    tell_model(t, g->stale);
    return NULL;
}
