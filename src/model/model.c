/* model.c - names of states and effects, sums of usage, replies. */
#include "model/host.h"
#include "model/kind.h"
#include "model/status.h"
#include <stdlib.h>
#include <string.h>

struct name {
    int value;
    const char *name;
};

static const struct name effects[] = {{EFFECT_PURE, "pure"},
                                      {EFFECT_IDEMPOTENT, "idempotent"},
                                      {EFFECT_ONCE, "once"},
                                      {EFFECT_LLM, "llm"}};
static const struct name nodes[] = {
    {NODE_PENDING, "pending"}, {NODE_RUNNING, "running"}, {NODE_COMPLETED, "completed"},
    {NODE_FAILED, "failed"},   {NODE_SKIPPED, "skipped"}, {NODE_CANCELLED, "cancelled"},
};
static const struct name runs[] = {
    {RUN_RUNNING, "running"},         {RUN_WAITING, "waiting"},
    {RUN_QUARANTINED, "quarantined"}, {RUN_COMPLETED, "completed"},
    {RUN_PARTIAL, "partial"},         {RUN_FAILED, "failed"},
    {RUN_CANCELLED, "cancelled"},     {RUN_COMPENSATED, "compensated"},
};

static const char *
name_of(const struct name *table, size_t n, int value)
{
    for (size_t i = 0; i < n; i++) {
        if (table[i].value == value)
            return table[i].name;
    }
    return "unknown";
}

static bool
value_of(const struct name *table, size_t n, const char *name, int *ret_value)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(table[i].name, name) == 0) {
            *ret_value = table[i].value;
            return true;
        }
    }
    return false;
}

const char *
effect_name(enum effect e)
{
    return name_of(effects, COUNT(effects), (int)e);
}

bool
effect_parse(const char *name, enum effect *ret_effect)
{
    int v;
    if (!value_of(effects, COUNT(effects), name, &v))
        return false;
    *ret_effect = (enum effect)v;
    return true;
}

const char *
node_status_name(enum node_status s)
{
    return name_of(nodes, COUNT(nodes), (int)s);
}

bool
node_status_parse(const char *name, enum node_status *ret_status)
{
    int v;
    if (!value_of(nodes, COUNT(nodes), name, &v))
        return false;
    *ret_status = (enum node_status)v;
    return true;
}

const char *
run_status_name(enum run_status s)
{
    return name_of(runs, COUNT(runs), (int)s);
}

bool
run_status_parse(const char *name, enum run_status *ret_status)
{
    int v;
    if (!value_of(runs, COUNT(runs), name, &v))
        return false;
    *ret_status = (enum run_status)v;
    return true;
}

#define COST_MAX 1e300 /* JSON has no infinity */

void
usage_add(struct usage *to, const struct usage *more)
{
    bool had = to->model_calls > 0;
    to->cost_known = (!had || to->cost_known) && (!more->model_calls || more->cost_known);
    to->input_tokens = add_saturating(to->input_tokens, more->input_tokens);
    to->output_tokens = add_saturating(to->output_tokens, more->output_tokens);
    to->cached_tokens = add_saturating(to->cached_tokens, more->cached_tokens);
    to->model_calls = add_saturating(to->model_calls, more->model_calls);
    to->tool_calls = add_saturating(to->tool_calls, more->tool_calls);
    to->cost_usd = MIN(MAX(to->cost_usd + more->cost_usd, -COST_MAX), COST_MAX);
}

static const struct {
    const char *key;
    size_t at; /* in struct usage */
} counts[] = {
    {"input_tokens", offsetof(struct usage, input_tokens)},
    {"output_tokens", offsetof(struct usage, output_tokens)},
    {"cached_tokens", offsetof(struct usage, cached_tokens)},
    {"model_calls", offsetof(struct usage, model_calls)},
    {"tool_calls", offsetof(struct usage, tool_calls)},
};

static int64_t *
count_of(const struct usage *u, size_t i)
{
    return (int64_t *)((uintptr_t)u + counts[i].at);
}

static json_t *
cost_to_json(const struct usage *u)
{
    return u->cost_known || !u->model_calls ? json_real(u->cost_usd) : json_null();
}

json_t *
usage_to_json(const struct usage *u)
{
    json_t *j = json_object();
    for (size_t i = 0; i < COUNT(counts); i++)
        json_object_set_new_nocheck(j, counts[i].key, json_integer(*count_of(u, i)));
    json_object_set_new_nocheck(j, "cost_usd", cost_to_json(u));
    return j;
}

void
usage_put(struct str *s, const char *key, const struct usage *u)
{
    AUTO(json_freep) json_t *cost = cost_to_json(u);
    json_put_open(s, key);
    for (size_t i = 0; i < COUNT(counts); i++)
        json_put_int(s, counts[i].key, *count_of(u, i));
    json_put(s, "cost_usd", cost);
    json_close(s);
}

void
usage_from_json(const json_t *j, struct usage *ret_usage)
{
    const json_t *cost = json_object_get(j, "cost_usd");
    *ret_usage =
        (struct usage){.cost_usd = json_number_value(cost), .cost_known = json_is_number(cost)};
    for (size_t i = 0; i < COUNT(counts); i++)
        *count_of(ret_usage, i) = json_int(j, counts[i].key, 0);
}

_Static_assert(USAGE_WANTS == COUNT(counts) + 1, "each count and the cost");

void
usage_pick_init(struct usage_picked *p)
{
    *p = (struct usage_picked){.want[COUNT(counts)] = {"cost_usd", .at = &p->cost}};
    for (size_t i = 0; i < COUNT(counts); i++)
        p->want[i] = (struct json_want){counts[i].key, .whole = count_of(&p->usage, i)};
}

struct usage
usage_pick_fini(struct usage_picked *p)
{
    p->usage.cost_usd = json_number_value(p->cost);
    p->usage.cost_known = json_is_number(p->cost);
    json_freep(&p->cost);
    return p->usage;
}

void
reply_fini(struct reply *r)
{
    json_decref(r->output);
    free(r->text);
    *r = (struct reply){0};
}

const char *
reply_text(const struct reply *r)
{
    if (r->text)
        return r->text;
    return json_is_string(r->output) ? json_string_value(r->output) : "";
}

void
reply_set_text(struct reply *r, const char *text, size_t n)
{
    json_decref(r->output);
    free(r->text);
    r->output = json_string_lossy(text, n);
    r->text = NULL;
}

void
reply_set_json(struct reply *r, json_t *value)
{
    json_decref(r->output);
    free(r->text);
    r->output = value;
    r->text = json_is_string(value) ? NULL : json_as_text(value);
}
