/* foreach.c - one agent or workflow for each item of a list, several at once. */
#include "base/near.h"
#include "engine/stream/itemstream.h"
#include "engine/stream/source.h"
#include "plan/lower.h"
#include <stdlib.h>
#include <string.h>

#define ITEMS_MAX 100000 /* a model may have made the list */

/* `items: {file: ...}`; the file's name may be a template, what else it says may not. */
static void
stream_lower(struct lowering *l, const json_t *items, const char *pointer)
{
    static const char *const known[] = {"file", "format", "separator", "match", NULL};
    const char *key, *format = json_str(items, "format", NULL);
    json_t *value;
    bool formats = !format;
    l->graph->items_are_stream = true;
    json_object_foreach ((json_t *)(uintptr_t)items, key, value) {
        struct near near = NEAR_INIT(key);
        bool found = false;
        for (size_t i = 0; known[i]; i++) {
            found |= strcmp(key, known[i]) == 0;
            near_offer(&near, known[i]);
        }
        AUTO(freep) char *at = xasprintf("%s/items/%s", pointer, key);
        if (!found)
            lower_fail(l, lower_pos(l, at), "unknown key '%s' of `items`%s%s%s", key,
                       near.best ? " (did you mean '" : "", near.best ? near.best : "",
                       near.best ? "'?)" : "");
        else if (!json_is_string(value) || !*json_string_value(value))
            lower_fail(l, lower_pos(l, at), "'%s' of `items` must be a text", key);
    }
    for (size_t i = 0; format && source_formats[i]; i++)
        formats |= strcmp(format, source_formats[i]) == 0;
    AUTO(freep) char *at = xasprintf("%s/items/format", pointer);
    if (!formats)
        lower_fail(l, lower_pos(l, at),
                   "unknown format '%s': there are jsonl, csv, text and folder", format);
}

/* Where the items are, and what is only known of a file of them. */
static void
items_lower(struct lowering *l, const json_t *def, const char *pointer)
{
    static const char *const of_files[] = {"results", "max_failures"};
    const json_t *items = json_object_get(def, "items"), *results = json_object_get(def, "results");
    if (items)
        l->graph->items = value_template_make(l->outer, items,
                                              arena_printf(l->arena, "%s/items", pointer), l->self);
    if (json_is_object(items) && json_object_get(items, "file"))
        stream_lower(l, items, pointer);
    for (size_t i = 0; i < COUNT(of_files) && !l->graph->items_are_stream; i++) {
        const char *at = arena_printf(l->arena, "%s/%s", pointer, of_files[i]);
        if (json_object_get(def, of_files[i]))
            lower_fail(l, lower_pos(l, at), "`%s` is for items of a file: items: {file: ...}",
                       of_files[i]);
    }
    if (results)
        l->graph->results = value_template_make(
            l->outer, results, arena_printf(l->arena, "%s/results", pointer), l->self);
}

/* Its templates are filled in for each item; so they are the member's, and what they mention has to
 * be there for the node itself. */
static struct err *
foreach_lower(struct lowering *l, const json_t *def, const char *pointer)
{
    const char *as = json_str(def, "as", NULL);
    const char *const *before = as ? lower_local(l, as) : NULL;
    lower_turns(l);
    struct node *member = lower_member(l, def, pointer, "agent");
    if (!member)
        member = lower_member(l, def, pointer, "workflow");
    if (!member && json_object_get(def, "server_name")) { /* the default agent, with that server */
        member = lower_node(l, "assistant", false, lower_pos(l, pointer));
        member->worker = "";
    }
    if (!member) {
        lower_fail(l, lower_pos(l, pointer), "an agent or a workflow is needed for each item");
    } else {
        member->server_name = json_str(def, "server_name", NULL);
        lower_templates(l->outer, member, l->self, def, pointer);
        lower_compensate(l->outer, member, l->self, def, pointer);
    }
    if (as)
        lower_locals(l, before);
    items_lower(l, def, pointer);
    if (json_object_get(def, "failure_mode"))
        l->graph->failure = strcmp(json_str(def, "failure_mode", ""), "continue") == 0
                                ? FAILURE_PARTIAL
                                : FAILURE_STOP;
    return NULL;
}

/* The list that `items` makes; without it the reply of the node before. */
static struct err *
items_find(struct control *c, json_t **ret_items)
{
    AUTO(json_freep) json_t *items = NULL;
    if (c->graph->items)
        TRY(control_value(c, c->graph->items, &items), "its items");
    else
        items = json_incref((json_t *)(uintptr_t)c->task->input);
    if (json_is_string(items)) {
        json_t *parsed = json_loads(json_string_value(items), 0, NULL);
        json_decref(items);
        items = parsed;
    }
    if (!json_is_array(items))
        return FAIL(ERR_INVALID, "its items are not a list%s",
                    c->graph->items ? "" : "; say `items`, or `from` a node that gives a list");
    if (json_array_size(items) > ITEMS_MAX)
        return FAIL(ERR_LIMIT, "its list has %zu items; at most %d are possible",
                    json_array_size(items), ITEMS_MAX);
    *ret_items = STEAL(items);
    return NULL;
}

/* What the run waits for; else the first failure, before those that it cut off. */
static struct err *
failure_take(struct asked *asked, size_t n)
{
    struct err **found = NULL, *waits = NULL;
    for (size_t i = 0; i < n; i++) {
        struct err **e = &asked[i].error;
        if (*e && err_kind(*e) == ERR_PARKED)
            waits = parked_both(waits, STEAL(*e));
        else if (*e && (!found || (err_kind(*found) == ERR_CANCELLED && control_may_go_on(*e))))
            found = e;
    }
    if (waits)
        return waits;
    return found ? STEAL(*found) : NULL;
}

/* A list in the order of the items; null for one that failed. */
static void
replies_join(struct asked *asked, size_t n, struct reply *ret_reply)
{
    json_t *all = json_array();
    AUTO(str_fini) struct str text = STR_INIT;
    for (size_t i = 0; i < n; i++) {
        json_t *output = asked[i].reply.output;
        json_array_append_new(all, output ? json_incref(output) : json_null());
        if (output)
            str_addf(&text, "%s[%zu]: %s", text.len ? "\n\n" : "", i + 1,
                     reply_text(&asked[i].reply));
    }
    reply_set_json(ret_reply, all);
    free(ret_reply->text);
    ret_reply->text = str_steal(&text);
}

static void
asked_free(struct asked *asked, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        reply_fini(&asked[i].reply);
        err_free(asked[i].error);
        free((char *)(uintptr_t)asked[i].ask.name);
    }
    free(asked);
}

static struct err *
foreach_control(struct control *c, struct reply *ret_reply)
{
    AUTO(json_freep) json_t *items = NULL;
    const struct node *member = c->graph->nodes[0];
    const bool stop = c->graph->failure == FAILURE_STOP;
    json_t *item;
    size_t i, failed = 0;
    const unsigned limit = (unsigned)json_int(c->def, "concurrency", 0);
    if (c->graph->items_are_stream)
        return itemstream_run(
            c, (struct itemstream_how){limit, stop, json_int(c->def, "max_failures", -1)},
            ret_reply);
    PASS(items_find(c, &items));
    const size_t n = json_array_size(items);
    struct asked *asked = xcalloc(n, sizeof *asked);
    json_array_foreach (items, i, item) {
        asked[i].ask = (struct ask){.member = member,
                                    .name = xasprintf("%s[%zu]", member->id, i),
                                    .index = (unsigned)i + 1,
                                    .item = item};
    }
    control_ask_all(c, asked, n, (struct ask_how){limit, stop});
    for (i = 0; i < n; i++)
        failed += asked[i].error != NULL;
    struct err *e = failure_take(asked, n);
    if (e && failed < n)
        e = control_tolerate(c, e);
    if (!e)
        replies_join(asked, n, ret_reply);
    asked_free(asked, n);
    return e;
}

const struct kind foreach_kind = {
    .name = "foreach",
    .doc = "one agent or workflow for each item of a list, several at once",
    .roles = ROLE_NODE,
    .params = FIELDS(
        {"items", P_VALUE, 0, "the list, or {file: x.jsonl}; default: what the node before gave"},
        {"results", P_TEXT, PARAM_NONEMPTY,
         "of a file of items: where their results go, a line of JSON each"},
        {"max_failures", P_INT, 0, "of a file of items: more failures end it", .min = 0,
         .max = 1e15},
        {"as", P_STRING, PARAM_NONEMPTY, "a further name for the item in templates"},
        {"concurrency", P_INT, 0, "items at once", .min = 1, .max = 10000},
        {"failure_mode", P_ENUM, 0, "what the failure of an item means (default stop)",
         .choices = NAMES("stop", "continue")}),
    .lower = foreach_lower,
    .control = foreach_control,
};
