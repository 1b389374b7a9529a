/* testcast.c - who answers in a test: the script provider, in the place of agents and models. */
#include "app/defaults.h"
#include "app/tester.h"
#include <string.h>

#define EVERYBODY "*"

/* A text, an entry of the script provider, or a list of these; of texts the n-th is for the n-th
 * turn of a conversation, and the last for all that follow. */
static json_t *
entries_of(const json_t *replies)
{
    json_t *list = json_array();
    const json_t *one;
    size_t i;
    if (!json_is_array(replies)) {
        json_t *entry = json_is_object(replies)
                            ? json_incref((json_t *)(uintptr_t)replies)
                            : json_pack("{so}", "text", json_incref((json_t *)(uintptr_t)replies));
        json_array_append_new(list, entry);
        return list;
    }
    const size_t n = json_array_size(replies);
    json_array_foreach (replies, i, one) {
        json_t *entry = json_is_object(one) ? json_incref((json_t *)(uintptr_t)one)
                                            : json_pack("{sO}", "text", one);
        if (!json_is_object(one) && i + 1 < n)
            json_object_set_new(entry, "turn", json_integer((json_int_t)i));
        json_array_append_new(list, entry);
    }
    return list;
}

/* Without an entry a script would echo; here nobody has said what is answered. */
static json_t *
script_of(const char *who, const json_t *replies)
{
    json_t *entries = replies ? entries_of(replies) : json_array();
    json_array_append_new(entries, json_pack("{ss ss}", "model", "-", "text", "never"));
    return json_pack("{ss ss so}", "provider", "script", "model", who, "replies", entries);
}

static bool
all_json(const json_t *entries)
{
    const json_t *one;
    size_t i;
    json_array_foreach (entries, i, one) {
        if (!json_object_get(one, "json"))
            return false;
    }
    return json_array_size(entries) > 0;
}

/* What is no model becomes one: it is known by its name and answers as it is told. */
static json_t *
stand_in(const json_t *agent, const json_t *replies)
{
    AUTO(json_freep) json_t *entries = entries_of(replies);
    json_t *made = json_pack("{ss}", "type", "llm");
    json_t *about = json_object_get(agent, "description");
    if (about)
        json_object_set(made, "description", about);
    if (all_json(entries))
        json_object_set_new(made, "output_schema", json_object());
    return made;
}

static struct err *
agent_cast(json_t *doc, const char *name, const json_t *replies)
{
    json_t *agents = json_object_get(doc, "agents"), *agent = json_object_get(agents, name);
    if (!agent)
        return FAIL(ERR_INVALID, "'replies' are for '%s', and there is no such agent", name);
    if (strcmp(json_str(agent, "type", "llm"), "llm") != 0) {
        json_object_set_new(agents, name, stand_in(agent, replies));
        agent = json_object_get(agents, name);
    }
    AUTO(freep) char *profile = xasprintf("test %s", name);
    json_object_set_new(json_object_get(doc, "profiles"), profile, script_of(name, replies));
    json_object_set_new(agent, "profile", json_string(profile));
    json_object_del(agent, "endpoint");
    return NULL;
}

struct err *
test_cast(json_t *doc, const json_t *test)
{
    const json_t *replies = json_object_get(test, "replies"), *one;
    const json_t *rest = json_is_object(replies) ? json_object_get(replies, EVERYBODY) : replies;
    const char *name;
    if (!replies)
        return NULL;
    if (!json_object_get(doc, "profiles"))
        json_object_set_new(doc, "profiles", json_object());
    json_object_set_new(json_object_get(doc, "profiles"), "test", script_of("test", rest));
    PASS(model_apply(doc, "test"));
    if (!json_is_object(replies))
        return NULL;
    json_object_foreach ((json_t *)(uintptr_t)replies, name, one) {
        if (strcmp(name, EVERYBODY) != 0)
            PASS(agent_cast(doc, name, one));
    }
    return NULL;
}
