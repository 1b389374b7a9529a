/* control_node.c - graphs that decide while they run: what their kinds get from the engine. */
#include "engine/control_node.h"
#include "engine/evaluate.h"
#include "engine/runcore.h"
#include "engine/talk/history.h"
#include "engine/turn.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct controlled {
    struct control base;
    struct run *run;
    const struct graph_call *call;
    json_t *input;
    struct usage usage; /* of all that was asked */
    bool partial;       /* something inside failed, and it went on without */
    struct err *failed; /* the first that was tolerated; or NULL */
};

static struct controlled *
controlled_of(struct control *c)
{
    return container_of(c, struct controlled, base);
}

static char *
path_below(const struct controlled *x, const char *name)
{
    return *x->base.path ? xasprintf("%s/%s", x->base.path, name) : xstrdup(name);
}

bool
control_may_go_on(const struct err *e)
{
    return err_kind(e) != ERR_CANCELLED && err_kind(e) != ERR_PARKED;
}

bool
control_unanswered(const struct err *e)
{
    return control_may_go_on(e) && err_kind(e) != ERR_DENIED && err_kind(e) != ERR_MISSING;
}

/* ---- expressions ----------------------------------------------------------------- */

static struct expr_scope
scope_here(const struct controlled *x)
{
    const struct graph *g = x->base.graph;
    struct expr_scope scope = {.inputs = x->call->inputs, .run = x->run->info};
    if (x->call->outer && g->sees_outer)
        scope = *x->call->outer;
    if (!x->call->outer || !g->shares_input)
        scope.input = x->input;
    scope.now_wall_ms = x->call->started_wall_ms;
    return scope;
}

struct err *
control_rule(struct control *c, const struct rule *rule, const json_t *output, unsigned index,
             bool *ret_truth)
{
    struct controlled *x = controlled_of(c);
    AUTO(json_freep) json_t *number = index ? json_integer(index) : NULL;
    struct expr_scope scope = scope_here(x);
    scope.output = (json_t *)(uintptr_t)output;
    scope.index = number;
    return evaluate_test(rule->when, &scope, ret_truth);
}

static struct expr_scope
scope_seen(const struct controlled *x, const struct sees *sees)
{
    struct expr_scope scope = scope_here(x);
    scope.vars = (json_t *)(uintptr_t)sees->vars;
    scope.output = (json_t *)(uintptr_t)sees->output;
    return scope;
}

struct err *
control_test(struct control *c, const struct rule *rule, const struct sees *sees, bool *ret_truth)
{
    const struct expr_scope scope = scope_seen(controlled_of(c), sees);
    return evaluate_test(rule->when, &scope, ret_truth);
}

struct err *
control_fill(struct control *c, const struct template *t, const struct sees *sees, char **ret_text)
{
    const struct expr_scope scope = scope_seen(controlled_of(c), sees);
    return evaluate_text(t, &scope, ret_text);
}

struct err *
control_value(struct control *c, const struct value_template *v, json_t **ret_value)
{
    const struct expr_scope scope = scope_here(controlled_of(c));
    return evaluate_value(v, &scope, ret_value);
}

struct err *
control_list(struct control *c, json_t **ret_list)
{
    AUTO(json_freep) json_t *list = NULL;
    if (c->graph->items)
        TRY(control_value(c, c->graph->items, &list), "its items");
    else
        list = json_incref((json_t *)(uintptr_t)c->task->input);
    const char *text = list ? json_string_value(list) : c->task->message;
    json_t *parsed = NULL;
    if (text)
        err_drop(json_parse(text, strlen(text), &parsed)); /* then it is just a text */
    if (parsed) {
        json_decref(list);
        list = parsed;
    }
    if (!json_is_array(list))
        return FAIL(ERR_INVALID, "its items are not a list%s",
                    c->graph->items ? "" : "; say `items`, or give it a list");
    *ret_list = STEAL(list);
    return NULL;
}

struct err *
control_text(struct control *c, char **ret_text)
{
    const struct expr_scope scope = scope_here(controlled_of(c));
    return evaluate_text(c->graph->text, &scope, ret_text);
}

struct err *
control_pause(struct control *c, const struct pause *p, json_t **ret_value)
{
    struct controlled *x = controlled_of(c);
    AUTO(freep) char *path = path_below(x, p->name);
    return pause_wait(x->run, path, p, ret_value);
}

struct run *
control_run_of(struct control *c)
{
    return controlled_of(c)->run;
}

void
control_spent(struct control *c, const struct usage *usage)
{
    usage_add(&controlled_of(c)->usage, usage);
}

/* What a member's templates make for an item. */
struct filled {
    json_t *input, *params;
    char *message, *instruction, *action;
};

static void
filled_fini(struct filled *f)
{
    json_decref(f->input);
    json_decref(f->params);
    free(f->message);
    free(f->instruction);
    free(f->action);
}

static struct err *
fill(const struct ask *a, const struct expr_scope *scope, struct filled *f)
{
    const struct node *n = a->member;
    if (n->input)
        TRY(evaluate_value(n->input, scope, &f->input), "its input");
    else
        f->input = json_incref((json_t *)(uintptr_t)a->item);
    if (n->parameters)
        TRY(evaluate_value(n->parameters, scope, &f->params), "its parameters");
    TRY(evaluate_text(n->instruction, scope, &f->instruction), "its instruction");
    TRY(evaluate_text(n->action, scope, &f->action), "its action");
    f->message = json_as_text(f->input);
    return NULL;
}

/* ---- members --------------------------------------------------------------- */

/* The context of the task, and which turn it is. */
static json_t *
context_for(const struct task *task, unsigned index)
{
    json_t *context = (json_t *)(uintptr_t)task->context;
    if (!index)
        return json_incref(context);
    context = context ? json_copy(context) : json_object();
    json_object_set_new(context, "index", json_integer(index));
    return context;
}

/* The names in `as` of this node and of those around it. */
static json_t *
locals_for(const struct controlled *x, const struct ask *a)
{
    const char *as = json_str(x->base.def, "as", NULL);
    json_t *outer = x->call->outer && x->base.graph->sees_outer ? x->call->outer->locals : NULL;
    if (!as || !a->item)
        return json_incref(outer);
    json_t *locals = outer ? json_copy(outer) : json_object();
    json_object_set(locals, as, (json_t *)(uintptr_t)a->item);
    return locals;
}

struct err *
control_ask(struct control *c, const struct ask *a, struct reply *ret_reply)
{
    struct controlled *x = controlled_of(c);
    AUTO(freep) char *path = path_below(x, a->name);
    AUTO(json_freep) json_t *context = context_for(c->task, a->index);
    AUTO(filled_fini) struct filled f = {0};
    AUTO(json_freep) json_t *index = a->index ? json_integer(a->index) : NULL;
    AUTO(json_freep) json_t *locals = locals_for(x, a);
    struct expr_scope scope = scope_here(x);
    scope.locals = locals;
    if (a->item)
        scope.item = (json_t *)(uintptr_t)a->item;
    if (index)
        scope.index = index;
    if (a->vars)
        scope.vars = (json_t *)(uintptr_t)a->vars;
    if (a->output)
        scope.output = (json_t *)(uintptr_t)a->output;
    if (a->refused)
        return item_refuse(x->run, path, a->refused);
    if (a->item && (a->stream || !view_node_ended(x->run->view, path))) {
        struct err *e = fill(a, &scope, &f);
        if (e && a->stream)
            return item_refuse(x->run, path, e);
        TRY(e, "%s '%s'", c->graph->noun, a->name);
    }
    struct work w = {.path = path,
                     .type = a->member->kind,
                     .worker = a->member->worker,
                     .child = a->member->child,
                     .node = a->member,
                     .outer = &scope,
                     .depth = x->call->depth,
                     .inputs = a->inputs ? (json_t *)(uintptr_t)a->inputs : x->call->inputs,
                     .item = a->stream};
    w.task = (struct task){.message = f.message    ? f.message
                                      : a->message ? a->message
                                                   : c->task->message,
                           .input = f.input      ? f.input
                                    : a->message ? a->input
                                                 : c->task->input,
                           .context = context,
                           .action = f.action ? f.action : a->action,
                           .params = f.params ? f.params : a->params,
                           .instruction = f.instruction,
                           .server_name = a->member->server_name,
                           .output_schema = a->output_schema};
    struct err *e = work_run(x->run, &w, ret_reply);
    usage_add(&x->usage, &ret_reply->usage);
    x->partial |= ret_reply->partial;
    return e && !a->stream && control_may_go_on(e) ? WRAP(e, "%s '%s'", c->graph->noun, a->name)
                                                   : e;
}

struct err *
control_tolerate(struct control *c, struct err *e)
{
    struct controlled *x = controlled_of(c);
    struct err *over = fiber_check(); /* cut off from outside: what did not come may come later */
    if (over) {
        err_free(e);
        return over;
    }
    if (!control_may_go_on(e) || c->graph->failure == FAILURE_STOP)
        return e;
    x->partial = true;
    if (x->failed)
        err_free(e);
    else
        x->failed = e;
    return NULL;
}

struct err *
control_failure(struct control *c)
{
    return STEAL(controlled_of(c)->failed);
}

struct asking { /* many members; each fiber takes the next one that nobody has */
    struct control *control;
    struct asked *asked;
    size_t n, next;
    bool stop_at_error;
    struct turnstile turns;
    struct scope scope;
};

static void
asking_main(void *arg)
{
    struct asking *a = arg;
    const struct controlled *x = controlled_of(a->control);
    while (a->next < a->n && turnstile_has_room(&a->turns)) {
        struct asked *one = &a->asked[a->next++];
        struct turn turn;
        AUTO(freep) char *path = path_below(x, one->ask.name);
        a->turns.more = a->next < a->n;
        turn_take(x->run, &a->turns, &turn, path);
        one->error = turns_back(x->run, path);
        if (!one->error)
            one->error = fiber_check();
        if (!one->error)
            one->error = control_ask(a->control, &one->ask, &one->reply);
        turn_end(x->run, &turn);
        /* One that waits is no failure; one that was cut off, maybe in a former life, not why. */
        if (one->error && a->stop_at_error && control_may_go_on(one->error))
            scope_cancel(&a->scope);
    }
}

static void
asking_open(void *ctx)
{
    struct asking *a = ctx;
    scope_spawn(&a->scope, "ask", asking_main, a);
}

void
control_ask_all(struct control *c, struct asked *asked, size_t n, struct ask_how how)
{
    const size_t limit = how.limit ? how.limit : MAX(c->graph->max_concurrency, 1);
    struct asking *a = xcalloc(1, sizeof *a);
    *a = (struct asking){.control = c, .asked = asked, .n = n, .stop_at_error = how.stop_at_error};
    a->turns = (struct turnstile){
        .limit = (unsigned)MIN(limit, UINT32_MAX), .open = asking_open, .ctx = a};
    scope_open(&a->scope, DEADLINE_NONE);
    for (size_t i = 0; i < MIN(n, limit); i++)
        scope_spawn(&a->scope, "ask", asking_main, a);
    err_drop(scope_close(&a->scope)); /* each has its own error */
    free(a);
}

/* ---- a model's judgement --------------------------------------------------- */

/* A member may be called like the question who is to be chosen. No name has a bracket in it. */
char *
control_name_apart(const struct control *c, const char *name)
{
    for (size_t i = 0; i < c->graph->nnodes; i++) {
        if (strcmp(c->graph->nodes[i]->id, name) == 0)
            return xasprintf("%s[asked]", name);
    }
    return xstrdup(name);
}

struct err *
control_judge(struct control *c, const struct judgement *j, json_t **ret_answer)
{
    struct controlled *x = controlled_of(c);
    AUTO(freep) char *name = control_name_apart(c, j->name);
    AUTO(freep) char *path = path_below(x, name);
    AUTO(reply_fini) struct reply reply = {0};
    AUTO(json_freep)
    json_t *agent =
        json_pack("{ss ss sO* so si}", "type", "llm", "instruction", j->system, "profile",
                  json_object_get(c->def, "profile"), "output_schema", j->schema, "repairs", 1);
    struct work w = {.path = path,
                     .type = "judge",
                     .worker = "judge",
                     .agent = agent,
                     .task = {.message = j->question},
                     .depth = x->call->depth,
                     .inputs = x->call->inputs};
    struct err *e = work_run(x->run, &w, &reply);
    usage_add(&x->usage, &reply.usage);
    PASS(e);
    *ret_answer = STEAL(reply.output);
    return NULL;
}

/* ---- a plan made while it runs --------------------------------------------- */

struct err *
control_expand(struct control *c, const struct control_step *steps, size_t n,
               struct reply *ret_reply)
{
    struct controlled *x = controlled_of(c);
    struct arena *a = arena_new(0);
    enum graph_end end;
    const struct graph *g = expand_graph(a, c->graph, steps, n);
    struct graph_call call = {.g = g,
                              .path = c->path,
                              .task = c->task,
                              .depth = x->call->depth,
                              .started_wall_ms = x->call->started_wall_ms,
                              .inputs = x->call->inputs};
    struct err *e = graph_run(x->run, &call, ret_reply, &end);
    usage_add(&x->usage, &ret_reply->usage);
    x->partial |= end == GRAPH_PARTIAL;
    arena_free(a);
    return e;
}

/* ---- decisions ------------------------------------------------------------- */

void
control_decide(struct control *c, const char *name, const char *event, json_t *detail)
{
    const struct controlled *x = controlled_of(c);
    AUTO(freep) char *path = path_below(x, name);
    json_object_set_new(detail, "event", json_string(event));
    json_object_set_new(detail, "at", json_integer(rt_wall_ms()));
    run_append(x->run, REC_DECIDED, path, detail, true);
}

struct err *
control_decided(const struct control *c, const char *name, json_t **ret_detail)
{
    const struct controlled *x = container_of(c, const struct controlled, base);
    AUTO(freep) char *path = path_below(x, name);
    return view_decided(x->run->view, path, ret_detail);
}

bool
control_ended(const struct control *c, const char *name)
{
    const struct controlled *x = container_of(c, const struct controlled, base);
    AUTO(freep) char *path = path_below(x, name);
    return view_node_ended(x->run->view, path);
}

struct err *
control_recall(struct control *c, json_t **ret_exchanges)
{
    const struct controlled *x = controlled_of(c);
    AUTO(freep) char *who = speaker_of_graph(c->graph->type, x->call);
    return history_recall(x->run, c->path, who, ret_exchanges);
}

struct err *
control_remember(struct control *c, json_t *exchange)
{
    const struct controlled *x = controlled_of(c);
    AUTO(freep) char *who = speaker_of_graph(c->graph->type, x->call);
    struct remembered m = {c->path, who, x->call->started_wall_ms, exchange};
    return history_remember(x->run, &m);
}

const json_t *
control_agent(const struct control *c, const struct node *member)
{
    const struct controlled *x = container_of(c, const struct controlled, base);
    return member->child
               ? NULL
               : json_object_get(json_object_get(x->run->flow->doc, "agents"), member->worker);
}

bool
control_is_model(const struct control *c, const struct node *member)
{
    const json_t *agent = control_agent(c, member);
    return agent && strcmp(json_str(agent, "type", "llm"), "llm") == 0;
}

const char *
control_about(const struct control *c, const struct node *member)
{
    const json_t *def = member->child ? member->child->def : control_agent(c, member);
    return json_str(def, "description", json_str(def, "instruction", ""));
}

void
control_note(struct control *c, const char *event, json_t *detail)
{
    struct controlled *x = controlled_of(c);
    run_publish(x->run, (struct run_event){.name = event, .path = c->path, .detail = detail});
    json_decref(detail);
}

/* ---- running one ----------------------------------------------------------- */

/* `output:` of the workflow: what its kind made of it is `output` there. */
static struct err *
output_make(struct controlled *x, struct reply *ret_reply)
{
    const struct value_template *output = x->base.graph->output;
    struct expr_scope scope = scope_here(x);
    json_t *made = NULL;
    if (!output)
        return NULL;
    scope.output = ret_reply->output;
    struct err *e = evaluate_value(output, &scope, &made);
    reply_fini(ret_reply);
    *ret_reply = (struct reply){0};
    TRY(e, "the output of '%s'", x->base.graph->name);
    reply_set_json(ret_reply, made);
    return NULL;
}

struct err *
control_run(struct run *r, const struct graph_call *call, struct reply *ret_reply,
            enum graph_end *ret_end)
{
    const struct task *task = call->task;
    AUTO(json_freep)
    json_t *input = task->input ? json_incref((json_t *)(uintptr_t)task->input)
                                : json_string_lossy(task->message, strlen(task->message));
    struct scope scope;
    struct controlled x = {
        .base = {.graph = call->g, .def = call->g->def, .task = call->task, .path = call->path},
        .run = r,
        .call = call,
        .input = input};
    graph_scope_open(r, call, &scope);
    struct err *e = call->g->kind->control(&x.base, ret_reply);
    struct err *closed = scope_close(&scope);
    if (!e)
        e = closed;
    else
        err_free(closed);
    e = graph_reason(call, &scope, e);
    if (!e && call->g->failure == FAILURE_CONTINUE)
        e = STEAL(x.failed);
    if (!e)
        e = output_make(&x, ret_reply);
    if (e) {
        reply_fini(ret_reply);
        *ret_reply = (struct reply){0};
    }
    ret_reply->usage = x.usage;
    *ret_end = x.partial ? GRAPH_PARTIAL : GRAPH_COMPLETED;
    err_free(x.failed);
    return e;
}
