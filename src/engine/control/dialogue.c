/* dialogue.c - a conversation that several inputs reach over time: states that say something, wait
 * for the next input, let agents work, and go on to the next state.
 *
 * What was answered is kept in `vars`. All of it is walked again from the top when the run goes on,
 * through what is recorded; so a session that waits for days is a row of the store and nothing
 * else. Its condition (idle, listening, processing, acting, waiting, error) is recorded for those
 * who look from outside. */
#include "base/near.h"
#include "engine/control_node.h"
#include "model/status.h"
#include "plan/lower.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define END         "end"
#define VISITS_MAX  10000 /* of states in one session */
#define UNASKED_MAX 100   /* of states between two inputs: else they go round */
#define MESSAGE     "message"
#define ERROR       "error"
#define IDLE        "idle"

/* ---- lowering -------------------------------------------------------------- */

/* The state that is meant under this key; NULL for the end, and after a mistake. */
static const struct node *
target(struct lowering *l, const json_t *def, const char *pointer, const char *key)
{
    const char *name = json_str(def, key, NULL);
    if (!name || strcmp(name, END) == 0)
        return NULL;
    const struct node *n = map_get(l->ids, name);
    struct near near = NEAR_INIT(name);
    if (n)
        return n;
    vec_each (&l->nodes, one)
        near_offer(&near, (*one)->id);
    lower_fail(l, lower_pos(l, arena_printf(l->arena, "%s/%s", pointer, key)),
               "there is no state '%s'%s%s%s", name, near.best ? " (did you mean '" : "",
               near.best ? near.best : "", near.best ? "'?)" : "");
    return NULL;
}

static void
name_check(struct lowering *l, const char *name, const char *pointer)
{
    if (strcmp(name, END) == 0)
        lower_fail(l, lower_pos(l, pointer), "'" END "' is where a session ends, not a state");
    if (strcmp(name, MESSAGE) == 0 || strcmp(name, ERROR) == 0)
        lower_fail(l, lower_pos(l, pointer), "vars.%s has its own meaning: choose another name",
                   name);
}

static void
state_texts(struct lowering *l, struct node *n, const json_t *def, const char *pointer)
{
    static const char *const keys[] = {"say", "instruction", "action"};
    struct template **const at[] = {&n->say, &n->instruction, &n->action};
    for (size_t i = 0; i < COUNT(keys); i++) {
        const char *text = json_str(def, keys[i], NULL);
        if (text)
            *at[i] = lower_text(l, text, arena_printf(l->arena, "%s/%s", pointer, keys[i]));
    }
    const json_t *input = json_object_get(def, "input"),
                 *parameters = json_object_get(def, "parameters");
    if (input)
        n->input = lower_value(l, input, arena_printf(l->arena, "%s/input", pointer));
    if (parameters)
        n->parameters =
            lower_value(l, parameters, arena_printf(l->arena, "%s/parameters", pointer));
}

static void
state_lower(struct lowering *l, const char *name, const json_t *def, const char *pointer)
{
    static const char *const works[] = {"input", "instruction", "action", "parameters"};
    struct node *n = lower_node(l, name, true, lower_pos(l, pointer));
    const json_t *worker = json_object_get(def, "agent");
    const char *key = worker ? "agent" : "workflow";
    n->def = def;
    n->kind = "state";
    name_check(l, name, pointer);
    if (strcmp(name, UNDO_NAME) == 0)
        lower_fail(l, lower_pos(l, pointer),
                   "a state cannot be called '" UNDO_NAME "': so is what undoes the session");
    if (json_str(def, "save", NULL))
        name_check(l, json_str(def, "save", ""), arena_printf(l->arena, "%s/save", pointer));
    if (!worker)
        worker = json_object_get(def, "workflow");
    if (worker)
        lower_worker(l, n, worker, arena_printf(l->arena, "%s/%s", pointer, key));
    n->kind = "state";
    for (size_t i = 0; !worker && i < COUNT(works); i++) {
        if (json_object_get(def, works[i]))
            lower_fail(l, lower_pos(l, arena_printf(l->arena, "%s/%s", pointer, works[i])),
                       "nobody works in this state: name an `agent`");
    }
    if (!json_object_get(def, "wait")) {
        static const char *const of_waits[] = {"choices", "schema", "timeout"};
        for (size_t i = 0; i < COUNT(of_waits); i++) {
            if (json_object_get(def, of_waits[i]))
                lower_fail(l, lower_pos(l, arena_printf(l->arena, "%s/%s", pointer, of_waits[i])),
                           "nobody is waited for in this state: say `wait: text`");
        }
    }
    if (json_object_get(def, "choices") && json_object_get(def, "schema"))
        lower_fail(l, lower_pos(l, arena_printf(l->arena, "%s/schema", pointer)),
                   "choices and schema: one of them says what an input is");
    if (json_object_get(def, "agent") && json_object_get(def, "workflow"))
        lower_fail(l, lower_pos(l, arena_printf(l->arena, "%s/workflow", pointer)),
                   "agent and workflow: one of them works in a state");
    if (!worker && !json_object_get(def, "say") && !json_object_get(def, "wait") &&
        !json_object_get(def, "cases"))
        lower_fail(l, n->at, "nothing happens in state '%s': it needs `say`, `wait` or `agent`",
                   name);
    state_texts(l, n, def, pointer);
}

static void
way(struct lowering *l, const struct node *from, const struct node *to, enum way_why why)
{
    lower_way(l, (struct way){.from = from, .to = to, .why = why});
}

static void
state_cases(struct lowering *l, const struct node *n, const json_t *def, const char *pointer)
{
    const json_t *one;
    size_t i;
    json_array_foreach (json_object_get(def, "cases"), i, one) {
        const char *at = lower_below(l, pointer, "cases", i);
        const json_t *when = json_object_get(one, "when");
        const struct node *to = target(l, one, at, "next");
        lower_rule(l, when, arena_printf(l->arena, "%s/when", at), to);
        lower_way(l, (struct way){.from = n, .to = to, .why = WAY_CASE, .when = when});
    }
}

static void
state_ways(struct lowering *l, const struct node *n, const json_t *def, const char *pointer)
{
    const struct node *next = target(l, def, pointer, "next"),
                      *failed = target(l, def, pointer, "on_error"),
                      *late = target(l, def, pointer, "on_timeout");
    state_cases(l, n, def, pointer);
    if (json_object_get(def, "next") || !json_object_get(def, "cases"))
        way(l, n, next, WAY_NEXT);
    if (json_object_get(def, "on_timeout"))
        way(l, n, late, WAY_TIMEOUT);
    if (json_object_get(def, "on_error"))
        way(l, n, failed, WAY_ERROR);
    if (json_object_get(def, "on_timeout") && !json_object_get(def, "timeout"))
        lower_fail(l, lower_pos(l, arena_printf(l->arena, "%s/on_timeout", pointer)),
                   "on_timeout needs a timeout: the wait never ends");
}

static struct err *
session_lower(struct lowering *l, const json_t *def, const char *pointer)
{
    json_t *states = json_object_get(def, "states"), *state;
    const char *name;
    l->graph->noun = "state";
    json_object_foreach (states, name, state)
        state_lower(l, name, state, arena_printf(l->arena, "%s/states/%s", pointer, name));
    json_object_foreach (states, name, state)
        state_ways(l, map_get(l->ids, name), state,
                   arena_printf(l->arena, "%s/states/%s", pointer, name));
    if (strcmp(json_str(def, "start", ""), END) == 0)
        lower_fail(l, lower_pos(l, arena_printf(l->arena, "%s/start", pointer)),
                   "a session cannot start where it ends");
    const struct node *start = target(l, def, pointer, "start"),
                      *failed = target(l, def, pointer, "on_error");
    if (l->nodes.len)
        way(l, NULL, start ? start : l->nodes.at[0], WAY_NEXT);
    if (json_object_get(def, "on_error"))
        way(l, NULL, failed, WAY_ERROR);
    return NULL;
}

/* ---- what it is doing ------------------------------------------------------ */

struct session {
    struct control *control;
    json_t *vars;
    const struct node *at, *start;
    unsigned visit;   /* of states so far: the place of what happens in this one */
    unsigned unasked; /* states since the last input */
    bool heard;       /* the run's own input was taken */
    bool idle;        /* it is told to be */
    unsigned idles;   /* of this visit: it may wait at its start and end there */
    char *said;       /* last */
    bool stale;       /* that was before the last input */
    json_t *output;   /* of the last agent */
};

static char *
name_of(const struct session *s, const char *what)
{
    return xasprintf("%s[%u]%s", s->at->id, s->visit, what);
}

/* Told once, in whatever life it happens. */
static struct err *
condition_set(struct session *s, const char *condition)
{
    const bool idle = strcmp(condition, IDLE) == 0;
    if (idle && s->idle) /* nobody said anything, and it ends */
        return NULL;
    s->idle = idle;
    s->idles += idle;
    AUTO(freep)
    char *what = xasprintf(idle && s->idles > 1 ? ".%s-%u" : ".%s", condition, s->idles);
    AUTO(freep) char *name = name_of(s, what);
    AUTO(json_freep) json_t *before = NULL;
    PASS(control_decided(s->control, name, &before));
    if (!before)
        control_decide(s->control, name, EVENT_SESSION_STATE,
                       json_pack("{ss ss ss*}", "state", condition, "in", s->at->id, "busy",
                                 json_str(s->control->def, "busy", NULL)));
    return NULL;
}

static const struct node *
state_by_name(const struct control *c, const char *name)
{
    for (size_t i = 0; name && i < c->graph->nnodes; i++) {
        if (strcmp(c->graph->nodes[i]->id, name) == 0)
            return c->graph->nodes[i];
    }
    return NULL;
}

static void
keep(struct session *s, json_t *value)
{
    json_object_set(s->vars, json_str(s->at->def, "save", s->at->id), value);
}

static bool
has_worker(const struct node *n)
{
    return n->worker || n->child;
}

/* ---- what happens in a state ----------------------------------------------------- */

static struct err *
work(struct session *s, struct reply *reply)
{
    AUTO(freep) char *name = name_of(s, "");
    const json_t *message = json_object_get(s->vars, MESSAGE);
    PASS(condition_set(s, json_object_get(s->at->def, "cases") ? "processing" : "acting"));
    struct ask ask = {.member = s->at,
                      .name = name,
                      .index = s->visit,
                      .item = message,
                      .vars = s->vars,
                      .output = s->output};
    PASS(control_ask(s->control, &ask, reply));
    keep(s, reply->output);
    json_decref(s->output);
    s->output = json_incref(reply->output);
    return NULL;
}

/* The words are a node of their own: in the journal, and told when they are committed. */
static struct err *
say(struct session *s, const char *text)
{
    const struct node node = {
        .id = "say", .label = "say", .kind = "say", .def = s->at->def, .effect = -1};
    AUTO(freep) char *name = name_of(s, ".say");
    AUTO(reply_fini) struct reply reply = {0};
    struct ask ask = {.member = &node, .name = name, .message = text};
    if (!*text)
        return NULL;
    PASS(control_ask(s->control, &ask, &reply));
    free(s->said);
    s->said = xstrdup(reply_text(&reply));
    s->stale = false;
    return NULL;
}

/* Its words; else what its agent said, unless that only decides where it goes on. */
static struct err *
speak(struct session *s, const struct reply *reply)
{
    AUTO(freep) char *text = NULL;
    const struct sees sees = {s->vars, s->output};
    if (s->at->say)
        TRY(control_fill(s->control, s->at->say, &sees, &text), "state '%s': what it says",
            s->at->id);
    else if (has_worker(s->at) && !json_object_get(s->at->def, "cases"))
        text = xstrdup(reply_text(reply));
    return text ? say(s, text) : NULL;
}

static struct err *
pause_here(struct session *s, json_t **ret_value)
{
    static const char *const told[] = {"choices", "schema"};
    const json_t *def = s->at->def;
    AUTO(freep) char *name = name_of(s, ".wait");
    AUTO(json_freep) json_t *detail = json_pack("{ss}", "state", s->at->id);
    if (s->said)
        json_object_set_new(detail, "prompt", json_string_lossy(s->said, strlen(s->said)));
    for (size_t i = 0; i < COUNT(told); i++) {
        if (json_object_get(def, told[i]))
            json_object_set(detail, told[i], json_object_get(def, told[i]));
    }
    const bool idle = s->at == s->start && !s->at->say;
    PASS(condition_set(s, idle ? IDLE : "waiting"));
    const char *path = s->control->path;
    AUTO(freep)
    char *signal = xasprintf(SESSION_SIGNAL "%s%s", *path ? "@" : "", path);
    struct pause p = {.name = name,
                      .type = PAUSE_SIGNAL,
                      .signal = signal,
                      .for_ms = json_int(def, "timeout", -1),
                      .detail = detail};
    return control_pause(s->control, &p, ret_value);
}

/* The first input of all is that of the run: a start that says nothing takes it at once. *ret_late:
 * nobody said anything in time. */
static struct err *
listen(struct session *s, bool *ret_late)
{
    AUTO(json_freep) json_t *value = NULL;
    const bool first = !s->heard && s->at == s->start && !s->at->say && *s->control->task->message;
    s->heard = true;
    if (first)
        value = json_incref(json_object_get(s->vars, MESSAGE));
    else
        PASS(pause_here(s, &value));
    *ret_late = !value;
    if (!value)
        return NULL;
    s->unasked = 0;
    s->stale = true;
    json_object_set(s->vars, MESSAGE, value);
    keep(s, value);
    return condition_set(s, "listening");
}

/* ---- where it goes on ------------------------------------------------------------ */

/* The rules of all states stand in one list, in their order. */
static size_t
first_rule(const struct session *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->at->index; i++)
        n += json_array_size(json_object_get(s->control->graph->nodes[i]->def, "cases"));
    return n;
}

static struct err *
choose_next(struct session *s, const struct node **ret)
{
    const struct graph *g = s->control->graph;
    const struct sees sees = {s->vars, s->output};
    const size_t first = first_rule(s), n = json_array_size(json_object_get(s->at->def, "cases"));
    for (size_t i = 0; i < n; i++) {
        bool holds;
        TRY(control_test(s->control, &g->rules[first + i], &sees, &holds), "state '%s': case %zu",
            s->at->id, i + 1);
        if (holds) {
            *ret = g->rules[first + i].node;
            return NULL;
        }
    }
    const char *next = json_str(s->at->def, "next", NULL);
    if (n && !next)
        return FAIL(ERR_INVALID, "state '%s': no case holds, and there is no `next`", s->at->id);
    *ret = state_by_name(s->control, next);
    return NULL;
}

/* A failure that the session knows a state for; else it fails. */
static struct err *
recover(struct session *s, struct err *e, const struct node **ret)
{
    const char *to = json_str(s->at->def, "on_error", json_str(s->control->def, "on_error", NULL));
    if (!control_may_go_on(e))
        return e;
    struct err *told = condition_set(s, "error");
    if (told || !to || strcmp(to, s->at->id) == 0) {
        err_free(told);
        return e;
    }
    AUTO(freep) char *text = err_text(e);
    err_free(e);
    json_object_set_new(s->vars, ERROR, json_string_lossy(text, strlen(text)));
    *ret = state_by_name(s->control, to);
    return NULL;
}

static struct err *
visit(struct session *s, const struct node **ret_next)
{
    AUTO(reply_fini) struct reply reply = {0};
    const json_t *def = s->at->def;
    bool late = false;
    if (json_bool(def, "reset", false)) {
        json_t *message = json_incref(json_object_get(s->vars, MESSAGE));
        json_object_clear(s->vars);
        json_object_set_new(s->vars, MESSAGE, message);
    }
    if (has_worker(s->at)) {
        struct err *e = work(s, &reply);
        if (e)
            return recover(s, e, ret_next);
    }
    PASS(speak(s, &reply));
    if (json_object_get(def, "wait"))
        PASS(listen(s, &late));
    if (!late)
        return choose_next(s, ret_next);
    if (!json_object_get(def, "on_timeout"))
        return FAIL(ERR_TIMEOUT, "state '%s': nobody said anything in time", s->at->id);
    *ret_next = state_by_name(s->control, json_str(def, "on_timeout", NULL));
    return NULL;
}

static struct err *
walk(struct session *s)
{
    const struct node *next = s->at;
    while (next) {
        s->at = next;
        s->idle = false;
        s->idles = 0;
        if (++s->visit > VISITS_MAX)
            return FAIL(ERR_LIMIT, "the session went through %d states: begin a new one",
                        VISITS_MAX);
        if (++s->unasked > UNASKED_MAX)
            return FAIL(ERR_LIMIT, "state '%s': %d states without an input: they go round",
                        s->at->id, UNASKED_MAX);
        PASS(visit(s, &next));
    }
    return condition_set(s, IDLE);
}

/* What was collected; as a text what was said to the last input. */
static void
session_reply(struct session *s, struct reply *ret_reply)
{
    json_object_del(s->vars, MESSAGE);
    reply_set_json(ret_reply, json_incref(s->vars));
    free(ret_reply->text);
    ret_reply->text = xstrdup(s->said && !s->stale ? s->said : "");
}

static struct err *
session_control(struct control *c, struct reply *ret_reply)
{
    struct session s = {.control = c,
                        .vars = json_object(),
                        .start = state_by_name(c, json_str(c->def, "start", NULL))};
    if (!s.start)
        s.start = c->graph->nodes[0];
    assert(s.start); /* the first, if there is no other */
    s.at = s.start;
    json_object_set_new(s.vars, MESSAGE,
                        json_string_lossy(c->task->message, strlen(c->task->message)));
    struct err *e = walk(&s);
    if (!e)
        session_reply(&s, ret_reply);
    json_decref(s.vars);
    json_decref(s.output);
    free(s.said);
    return e;
}

#define STATE(name, doc)                                                                           \
    {                                                                                              \
        name, P_STRING, PARAM_NONEMPTY, doc                                                        \
    }

const struct kind session_kind = {
    .name = "session",
    .doc = "a conversation: states that say, wait for the next input, and let agents work",
    .roles = ROLE_WORKFLOW | ROLE_NODE,
    .params = FIELDS(
        STATE("start", "the first state (default: the first of `states`)"),
        STATE("on_error", "where a failure leads; without it the session fails"),
        {"busy", P_STRING, PARAM_NONEMPTY, "what is answered to an input while it works"},
        {"states", P_MAP, PARAM_REQUIRED | PARAM_NONEMPTY, "what happens, by name",
         .fields = ITEM(
             "state", P_OBJECT,
             .fields = FIELDS(
                 {"agent", P_REF, .ref = REF_WORKER, .doc = "who works here"},
                 {"workflow", P_ONE_OF, 0, "a workflow that does",
                  .fields = FIELDS({"workflow", P_REF, .ref = REF_WORKER}, {"workflow", P_NODE})},
                 {"input", P_VALUE, 0, "what it is told; default: the last input",
                  .also = NAMES("message")},
                 {"instruction", P_TEXT, 0, "put in front of that"},
                 {"action", P_TEXT, 0, "for agents that are no models"},
                 {"parameters", P_VALUE, 0, "values for the action"},
                 {"say", P_TEXT, 0, "what is said; default: what the agent answered"},
                 {"wait", P_ENUM, 0, "for the next input", .choices = NAMES("text")},
                 {"choices", P_LIST, PARAM_NONEMPTY, "the input has to be one of these",
                  .fields = ITEM("choice", P_STRING, PARAM_PLAIN)},
                 {"schema", P_SCHEMA, 0, "the input has to fit it"},
                 {"timeout", P_DURATION, 0, "how long it waits"},
                 {"save", P_STRING, PARAM_NONEMPTY,
                  "the name in `vars` of the input, else of the reply (default: the state's)"},
                 {"reset", P_BOOL, 0, "what was collected is forgotten first"},
                 {"cases", P_LIST, PARAM_NONEMPTY, "where it goes on: the first that holds",
                  .fields = ITEM(
                      "case", P_OBJECT,
                      .fields = FIELDS({"when", P_COND, PARAM_REQUIRED, "sees `vars` and `output`"},
                                       {"next", P_STRING, PARAM_REQUIRED, "the state"}))},
                 STATE("next", "where it goes on else; without both it ends"),
                 STATE("on_error", "where a failure here leads"),
                 STATE("on_timeout", "where it goes on when nothing was said in time")))}),
    .lower = session_lower,
    .control = session_control,
};
