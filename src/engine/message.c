/* message.c - what a node is told, and what a graph answers. */
#include "engine/message.h"
#include <string.h>

static const char *
text_of(const struct node_state *s)
{
    return reply_text(&s->reply);
}

static void
sections(const struct graph *g, const struct node *n, const struct node_state *states,
         struct str *to)
{
    for (size_t i = 0; i < n->nfrom; i++) {
        const struct node_state *s = &states[n->from[i]];
        if (s->status != NODE_COMPLETED)
            continue;
        str_addf(to, "%s[%s]:\n", to->len ? "\n\n" : "", g->nodes[n->from[i]]->label);
        str_add(to, text_of(s));
    }
}

static void
results(const struct graph *g, const struct node *n, const struct node_state *states,
        struct str *to)
{
    const char *before = "\n\nContext from previous steps:\n";
    for (size_t i = 0; i < n->ndeps; i++) {
        const struct node_state *s = &states[n->deps[i]];
        if (s->status != NODE_COMPLETED)
            continue;
        str_addf(to, "%s--- Output from step %s ---\n%s", before, g->nodes[n->deps[i]]->label,
                 text_of(s));
        before = "\n\n";
    }
}

static void
message_default(const struct graph *g, const struct node *n, const struct node_state *states,
                const struct task *outer, struct str *to)
{
    if (n->nfrom == 0)
        str_add(to, outer->message);
    else if (n->nfrom == 1)
        str_add(to, text_of(&states[n->from[0]]));
    else
        sections(g, n, states, to);
}

void
message_make(const struct graph *g, const struct node *n, const struct node_state *states,
             const struct task *outer, struct str *to)
{
    switch (n->input_rule) {
    case INPUT_GRAPH:
        str_add(to, outer->message);
        return;
    case INPUT_CUMULATIVE:
        str_add(to, outer->message);
        for (unsigned i = 0; i < n->index; i++) {
            if (states[i].status != NODE_COMPLETED)
                continue;
            str_addf(to, "\n\n--- Response from %s ---\n", g->nodes[i]->label);
            str_add(to, text_of(&states[i]));
        }
        return;
    case INPUT_FAN_IN:
    case INPUT_RESPONSES: {
        AUTO(str_fini) struct str parts = STR_INIT;
        if (n->input_rule == INPUT_FAN_IN)
            str_addf(to, "Original Request: %s\n\n", outer->message);
        sections(g, n, states, &parts);
        str_add(to, "--- Agent Responses ---\n\n");
        str_addn(to, str_c(&parts), parts.len);
        return;
    }
    case INPUT_STEP:
        str_add(to, n->text);
        results(g, n, states, to);
        return;
    case INPUT_DEFAULT:
    case INPUT_TEMPLATE: /* its text is made from the template */
        message_default(g, n, states, outer, to);
        return;
    }
}

static json_t *
text_json(const struct node_state *s)
{
    return json_is_string(s->reply.output) ? json_incref(s->reply.output) : json_string(text_of(s));
}

/* Grows with the chain instead of being made anew for each node. */
void
context_add(json_t **context, const struct graph *g, const struct node *n,
            const struct node_state *state)
{
    if (!g->positional_context || state->status != NODE_COMPLETED)
        return;
    AUTO(freep) char *key = xasprintf("agent_%u_output", n->index + 1);
    if (!*context)
        *context = json_object();
    json_object_set_new(*context, key, text_json(state));
}

json_t *
context_make(const struct graph *g, const struct node *n, const struct node_state *states,
             json_t *common)
{
    if (n->input_rule != INPUT_FAN_IN && n->input_rule != INPUT_RESPONSES)
        return json_incref(common);
    json_t *context = common ? json_copy(common) : json_object(), *results = json_object();
    for (size_t i = 0; i < n->nfrom; i++) {
        const struct node_state *s = &states[n->from[i]];
        if (s->status == NODE_COMPLETED)
            json_object_set_new(results, g->nodes[n->from[i]]->id, text_json(s));
    }
    json_object_set_new(context, "parallel_results", results);
    return context;
}

json_t *
step_view(const struct node_state *s)
{
    json_t *usage = usage_to_json(&s->reply.usage);
    return json_pack("{ss sO? ss? ss? so}", "status", node_status_name(s->status), "output",
                     s->reply.output, "text", s->reply.output ? reply_text(&s->reply) : NULL,
                     "error", s->error, "usage", usage);
}

/* ---- output of a graph ----------------------------------------------------- */

static void
reply_copy(struct reply *to, const struct node_state *s)
{
    to->output = json_incref(s->reply.output);
    to->text = s->reply.text ? xstrdup(s->reply.text) : NULL;
}

static void
output_joined(const struct graph *g, const struct node_state *states, size_t n, struct reply *ret)
{
    struct str text = STR_INIT;
    for (size_t i = 0; i < n; i++) {
        if (states[i].status != NODE_COMPLETED)
            continue;
        str_addf(&text, "%s[%s]: %s", text.len ? "\n\n" : "", g->nodes[i]->label,
                 text_of(&states[i]));
    }
    reply_set_text(ret, str_c(&text), text.len);
    str_fini(&text);
}

static void
output_leaves(const struct graph *g, const struct node_state *states, struct reply *ret)
{
    json_t *all = json_object();
    const struct node_state *only = NULL;
    AUTO(str_fini) struct str text = STR_INIT;
    for (size_t i = 0; i < g->nnodes; i++) {
        if (g->nodes[i]->ndependents || states[i].status != NODE_COMPLETED)
            continue;
        only = &states[i];
        json_object_set(all, g->nodes[i]->id, states[i].reply.output);
        str_addf(&text, "%s[%s]:\n%s", text.len ? "\n\n" : "", g->nodes[i]->label,
                 text_of(&states[i]));
    }
    if (json_object_size(all) == 1 && only) {
        reply_copy(ret, only);
        json_decref(all);
        return;
    }
    if (!json_object_size(all)) {
        json_decref(all);
        all = json_null();
    }
    ret->output = all;
    ret->text = str_steal(&text);
}

static void
output_last(const struct graph *g, const struct node_state *states, struct reply *ret)
{
    for (size_t i = g->nnodes; i-- > 0;) {
        if (states[i].status == NODE_COMPLETED) {
            reply_copy(ret, &states[i]);
            return;
        }
    }
    reply_set_json(ret, json_null());
}

struct err *
graph_output(const struct graph *g, const struct node_state *states, const struct expr_scope *scope,
             struct reply *ret_reply)
{
    json_t *made = NULL;
    switch (g->output_rule) {
    case OUTPUT_TEMPLATE:
        TRY(value_template_eval(g->output, scope, &made), "the output of '%s'", g->name);
        reply_set_json(ret_reply, made);
        break;
    case OUTPUT_FAN_IN:
        if (states[g->nnodes - 1].status == NODE_COMPLETED)
            reply_copy(ret_reply, &states[g->nnodes - 1]);
        else
            output_joined(g, states, g->nnodes - 1, ret_reply);
        break;
    case OUTPUT_JOIN:
        output_joined(g, states, g->nnodes, ret_reply);
        break;
    case OUTPUT_LAST:
        output_last(g, states, ret_reply);
        break;
    case OUTPUT_LEAVES:
        output_leaves(g, states, ret_reply);
        break;
    }
    return NULL;
}
