/* queue.c - a list of tasks and several agents that work it off: the most urgent first, each agent
 * one at a time; what fails or takes too long is given to another.
 *
 * Who is free first is a matter of time; so each assignment is recorded before the work begins. A
 * resumed queue first takes up what was assigned before, then goes on choosing. */
#include "base/units.h"
#include "engine/control/queuetasks.h"
#include "engine/control_node.h"
#include "plan/lower.h"
#include "rt/fiber.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TASKS_MAX    10000
#define MAX_ATTEMPTS 2

/* ---- the state of a queue -------------------------------------------------- */

/* assigned: in a former life, and not taken up again yet. */
enum task_state {
    TASK_PENDING,
    TASK_ASSIGNED,
    TASK_RUNNING,
    TASK_COMPLETED,
    TASK_FAILED,
    TASK_TIMEOUT
};
static const char *const state_names[] = {"pending",   "assigned", "running",
                                          "completed", "failed",   "timeout"};

struct queue_task {
    const json_t *def; /* as it is in the list: an object or a text */
    size_t index;      /* its place there: the part of the path */
    char *id, *message;
    const json_t *input;
    int64_t priority, timeout_ms;
    enum task_state state;
    unsigned attempts;
    const struct node *who; /* had it last */
    bool *had;              /* by index of the member: has failed it */
    struct reply reply;
    struct err *error;
};
struct queue {
    struct control *control;
    json_t *items;
    struct queue_task *tasks;  /* in order of the list */
    struct queue_task **order; /* the most urgent first */
    size_t ntasks, running, completed, failed;
    unsigned *slots; /* of each member: how many it can take now */
    bool *idle;      /* and there is nothing for it */
    size_t settled;  /* of `order`, from its beginning */
    unsigned limit, max_attempts;
    bool stop;          /* the first failure ends it */
    struct err *parked; /* the run waits for somebody; what runs beside goes on */
    struct err *cut;    /* cancelled, or out of time, from outside */
    struct scope scope;
    struct waitq changed;
};

static const struct node *
member_by_name(const struct control *c, const char *name)
{
    for (size_t i = 0; i < c->graph->nnodes; i++) {
        if (strcmp(c->graph->nodes[i]->id, name) == 0)
            return c->graph->nodes[i];
    }
    return NULL;
}

static bool
can_do(const struct control *c, const struct queue_task *t, const struct node *member)
{
    const char *agent = json_str(t->def, "agent", NULL),
               *capability = json_str(t->def, "capability", NULL);
    assert(member);
    if (agent)
        return strcmp(agent, member->id) == 0;
    const json_t *def = capability ? control_agent(c, member) : NULL;
    return !capability || (def && agent_can(def, capability));
}

/* A duration: milliseconds where the list was checked when it was read, else as people write it. */
static bool
timeout_read(const json_t *v, bool checked, int64_t *ret_ms)
{
    if (checked && json_is_integer(v))
        *ret_ms = json_integer_value(v);
    else if (json_is_number(v) && json_number_value(v) > 0 && json_number_value(v) < 1e9)
        *ret_ms = (int64_t)(json_number_value(v) * 1000);
    else
        return json_is_string(v) && duration_parse(json_string_value(v), ret_ms);
    return true;
}

static struct err *
task_read(struct queue *q, struct queue_task *t, const json_t *def)
{
    const struct control *c = q->control;
    const json_t *timeout = json_object_get(def, "timeout"), *input = json_object_get(def, "input");
    const char *id = json_str(def, "id", NULL), *about = json_str(def, "description", NULL);
    t->def = def;
    t->id = id ? xstrdup(id) : xasprintf("task[%zu]", t->index);
    t->priority = json_int(def, "priority", 0);
    t->had = xcalloc(c->graph->nnodes, sizeof *t->had);
    t->timeout_ms = json_int(c->def, "task_timeout", 0);
    if (timeout && !timeout_read(timeout, json_object_get(c->def, "tasks") != NULL, &t->timeout_ms))
        return FAIL(ERR_INVALID, "task '%s': its timeout is no duration", t->id);
    t->input = input || about || json_object_get(def, "action") ? input : def;
    AUTO(freep) char *text = t->input ? json_as_text(t->input) : xstrdup("");
    t->message = about ? xasprintf("%s%s%s", about, *text ? "\n\n" : "", text) : xstrdup(text);
    const char *agent = json_str(def, "agent", NULL);
    if (agent && !member_by_name(c, agent))
        return FAIL(ERR_INVALID, "task '%s': '%s' is none of the queue's `agents`", t->id, agent);
    for (size_t i = 0; i < c->graph->nnodes; i++) {
        if (can_do(c, t, c->graph->nodes[i]))
            return NULL;
    }
    return FAIL(ERR_INVALID, "task '%s': none of the queue's `agents` can do '%s'", t->id,
                json_str(def, "capability", ""));
}

static int
by_urgency(const void *a, const void *b)
{
    const struct queue_task *const *x = a, *const *y = b;
    if ((*x)->priority != (*y)->priority)
        return (*x)->priority > (*y)->priority ? -1 : 1;
    return (*x)->index < (*y)->index ? -1 : 1;
}

static struct err *
queue_read(struct queue *q)
{
    struct control *c = q->control;
    const json_t *task;
    size_t i;
    PASS(control_list(c, &q->items));
    if (json_array_size(q->items) > TASKS_MAX)
        return FAIL(ERR_INVALID, "%zu tasks; %d are possible", json_array_size(q->items),
                    TASKS_MAX);
    q->ntasks = json_array_size(q->items);
    q->tasks = xcalloc(q->ntasks, sizeof *q->tasks);
    q->order = xcalloc(q->ntasks, sizeof(struct queue_task *));
    q->slots = xcalloc(c->graph->nnodes, sizeof *q->slots);
    q->idle = xcalloc(c->graph->nnodes, sizeof *q->idle);
    for (i = 0; i < c->graph->nnodes; i++)
        q->slots[i] =
            (unsigned)json_int(control_agent(c, c->graph->nodes[i]), "max_concurrency", 1);
    json_array_foreach (q->items, i, task) {
        q->tasks[i].index = i;
        q->order[i] = &q->tasks[i];
        PASS(task_read(q, &q->tasks[i], task));
    }
    qsort(q->order, q->ntasks, sizeof(struct queue_task *), by_urgency);
    return NULL;
}

static void
queue_fini(struct queue *q)
{
    for (size_t i = 0; i < q->ntasks; i++) {
        struct queue_task *t = &q->tasks[i];
        free(t->id);
        free(t->message);
        free(t->had);
        reply_fini(&t->reply);
        err_free(t->error);
    }
    free(q->tasks);
    free(q->order);
    free(q->slots);
    free(q->idle);
    json_decref(q->items);
    err_free(q->parked);
    err_free(q->cut);
}

/* ---- one attempt ----------------------------------------------------------- */

static char *
attempt_name(const struct queue_task *t, unsigned attempt)
{
    return attempt == 1 ? xasprintf("task[%zu]", t->index)
                        : xasprintf("task[%zu]-%u", t->index, attempt);
}

static void
task_settle(struct queue *q, struct queue_task *t, enum task_state state)
{
    t->state = state;
    q->completed += state == TASK_COMPLETED;
    q->failed += state != TASK_COMPLETED;
    if (state != TASK_COMPLETED && q->stop)
        scope_cancel(&q->scope);
}

/* What came of an attempt: done, to be given to somebody else, or given up. */
static void
task_take(struct queue *q, struct queue_task *t, struct err *e)
{
    err_freep(&t->error);
    if (!e) {
        task_settle(q, t, TASK_COMPLETED);
        return;
    }
    if (err_kind(e) == ERR_CANCELLED) {
        t->error = e;
        t->state = TASK_FAILED; /* nobody counts it: the queue ends */
        return;
    }
    t->had[t->who->index] = true;
    t->error = e;
    reply_fini(&t->reply);
    t->reply = (struct reply){0};
    if (t->attempts < q->max_attempts) {
        t->state = TASK_PENDING;
        memset(q->idle, 0, q->control->graph->nnodes * sizeof *q->idle);
        return;
    }
    task_settle(q, t, err_kind(e) == ERR_TIMEOUT ? TASK_TIMEOUT : TASK_FAILED);
}

static struct err *
task_ask(struct queue *q, struct queue_task *t)
{
    AUTO(freep) char *name = attempt_name(t, t->attempts);
    struct node member = *t->who;
    if (t->timeout_ms)
        member.total_timeout_ms = t->timeout_ms;
    struct ask ask = {.member = &member,
                      .name = name,
                      .message = t->message,
                      .input = t->input,
                      .action = json_str(t->def, "action", NULL),
                      .params = json_object_get(t->def, "parameters")};
    return control_ask(q->control, &ask, &t->reply);
}

struct attempt {
    struct queue *queue;
    struct queue_task *task;
};

static void
attempt_main(void *arg)
{
    AUTO(freep) struct attempt *a = arg;
    struct queue *q = a->queue;
    struct err *e = task_ask(q, a->task);
    struct err *over = fiber_check();
    q->running--;
    if (over && !q->cut && !scope_is_cancelled(&q->scope))
        q->cut = STEAL(over);
    err_free(over);
    if (e && err_kind(e) == ERR_PARKED) { /* whoever has it is not free before it goes on */
        q->parked = parked_both(q->parked, e);
    } else {
        q->slots[a->task->who->index]++;
        task_take(q, a->task, e);
    }
    waitq_wake_all(&q->changed);
}

static void
attempt_start(struct queue *q, struct queue_task *t)
{
    struct attempt *a = xcalloc(1, sizeof *a);
    *a = (struct attempt){q, t};
    t->state = TASK_RUNNING;
    q->running++;
    scope_spawn(&q->scope, "task", attempt_main, a);
}

/* ---- taking up what a former life began ------------------------------------------ */

static struct err *
task_recall(struct queue *q, struct queue_task *t)
{
    while (t->state == TASK_PENDING) {
        AUTO(freep) char *name = attempt_name(t, t->attempts + 1);
        AUTO(json_freep) json_t *decided = NULL;
        PASS(control_decided(q->control, name, &decided));
        if (!decided)
            return NULL;
        t->who = member_by_name(q->control, json_str(decided, "target", ""));
        if (!t->who)
            return FAIL(ERR_INVALID, "task '%s' was given to '%s', who is not there", t->id,
                        json_str(decided, "target", ""));
        t->attempts++;
        if (!control_ended(q->control, name)) {
            t->state = TASK_ASSIGNED;
            q->slots[t->who->index]--;
            return NULL;
        }
        task_take(q, t, task_ask(q, t));
    }
    return NULL;
}

static struct err *
queue_recall(struct queue *q)
{
    for (size_t i = 0; i < q->ntasks; i++)
        PASS(task_recall(q, &q->tasks[i]));
    return NULL;
}

/* ---- choosing -------------------------------------------------------------- */

/* Does anybody who can do it, and has not failed it, have something else to do? */
static bool
others_can(const struct queue *q, const struct queue_task *t)
{
    const struct graph *g = q->control->graph;
    for (size_t i = 0; i < g->nnodes; i++) {
        if (!t->had[i] && can_do(q->control, t, g->nodes[i]))
            return true;
    }
    return false;
}

/* The first in order who is free and can do it; who has failed it already only when all have. */
static const struct node *
somebody_free(const struct queue *q, const struct queue_task *t)
{
    const struct graph *g = q->control->graph;
    const struct node *again = NULL;
    for (size_t i = 0; i < g->nnodes; i++) {
        if (!q->slots[i] || q->idle[i] || !can_do(q->control, t, g->nodes[i]))
            continue;
        if (!t->had[i])
            return g->nodes[i];
        if (!again)
            again = g->nodes[i];
    }
    return again && !others_can(q, t) ? again : NULL;
}

static void
task_assign(struct queue *q, struct queue_task *t, const struct node *who)
{
    t->who = who;
    t->attempts++;
    AUTO(freep) char *name = attempt_name(t, t->attempts);
    json_t *detail = json_pack("{ss ss si sI}", "task", t->id, "target", who->id, "attempt",
                               (int)t->attempts, "priority", t->priority);
    control_decide(q->control, name, "task.assigned", detail);
    q->slots[who->index]--;
    attempt_start(q, t);
}

/* What waited for somebody let others begin: now there may be more than can be under way. */
static void
take_up_all(struct queue *q)
{
    for (size_t i = 0; i < q->ntasks && q->running < q->limit; i++) {
        if (q->order[i]->state == TASK_ASSIGNED)
            attempt_start(q, q->order[i]);
    }
}

static bool
anybody_free(const struct queue *q)
{
    for (size_t i = 0; i < q->control->graph->nnodes; i++) {
        if (q->slots[i] && !q->idle[i])
            return true;
    }
    return false;
}

/* A long list is not gone through for nothing: what is settled at its beginning is left behind, and
 * who found nothing in it is not asked again before a task comes back. */
static void
assign_all(struct queue *q)
{
    size_t i = q->settled;
    for (; i < q->ntasks && q->running < q->limit && anybody_free(q); i++) {
        struct queue_task *t = q->order[i];
        const struct node *who = t->state == TASK_PENDING ? somebody_free(q, t) : NULL;
        if (who)
            task_assign(q, t, who);
        if (i == q->settled && t->state > TASK_RUNNING)
            q->settled++;
    }
    for (size_t k = 0; i == q->ntasks && k < q->control->graph->nnodes; k++)
        q->idle[k] |= q->slots[k] > 0;
}

static bool
is_stopped(const struct queue *q)
{
    return q->stop && q->failed;
}

static struct err *
queue_loop(struct queue *q)
{
    PASS(queue_recall(q));
    while (!is_stopped(q)) {
        PASS(fiber_check());
        take_up_all(q);
        assign_all(q);
        if (!q->running)
            break;
        struct err *e = waitq_wait(&q->changed, DEADLINE_NONE);
        if (e && !is_stopped(q))
            return e;
        err_free(e); /* the cancel was ours */
    }
    return NULL;
}

/* ---- what comes of it ------------------------------------------------------ */

static void
queue_reply(const struct queue *q, struct reply *ret_reply)
{
    AUTO(str_fini) struct str text = STR_INIT;
    json_t *all = json_array();
    for (size_t i = 0; i < q->ntasks; i++) {
        const struct queue_task *t = &q->tasks[i];
        AUTO(freep) char *error = t->error ? err_text(t->error) : NULL;
        json_t *row = json_pack("{ss ss ss* si sO?}", "id", t->id, "status", state_names[t->state],
                                "agent", t->who ? t->who->id : NULL, "attempts", (int)t->attempts,
                                "output", t->reply.output);
        if (error)
            json_object_set_new(row, "error", json_string_lossy(error, strlen(error)));
        json_array_append_new(all, row);
        str_addf(&text, "%s[%s]: %s", text.len ? "\n\n" : "", t->id,
                 error ? error : reply_text(&t->reply));
    }
    reply_set_json(ret_reply, all);
    free(ret_reply->text);
    ret_reply->text = str_steal(&text);
}

static struct err *
first_failure(struct queue *q)
{
    for (size_t i = 0; i < q->ntasks; i++) {
        struct queue_task *t = q->order[i];
        if (t->state >= TASK_FAILED && t->error && err_kind(t->error) != ERR_CANCELLED)
            return json_str(t->def, "id", NULL) ? WRAP(STEAL(t->error), "'%s'", t->id)
                                                : STEAL(t->error);
    }
    return NULL;
}

static struct err *
queue_end(struct queue *q, struct reply *ret_reply)
{
    const enum failure rule = q->control->graph->failure;
    if (is_stopped(q))
        return first_failure(q);
    if (q->parked)
        return STEAL(q->parked);
    if (q->failed && (rule != FAILURE_PARTIAL || !q->completed))
        return first_failure(q);
    queue_reply(q, ret_reply); /* with the errors, which are taken below */
    struct err *e = q->failed ? first_failure(q) : NULL;
    return e ? control_tolerate(q->control, e) : NULL;
}

static struct err *
queue_control(struct control *c, struct reply *ret_reply)
{
    struct queue q = {.control = c,
                      .limit = MAX(c->graph->max_concurrency, 1),
                      .max_attempts = (unsigned)json_int(c->def, "max_attempts", MAX_ATTEMPTS),
                      .stop = c->graph->failure == FAILURE_STOP};
    struct err *e = queue_read(&q);
    if (!e) {
        scope_open(&q.scope, DEADLINE_NONE);
        e = queue_loop(&q);
        if (e)
            scope_cancel(&q.scope);
        err_drop(scope_close(&q.scope)); /* each task has its own error */
        if (!e)
            e = fiber_check();
        if (!e)
            e = STEAL(q.cut);
        if (!e)
            e = queue_end(&q, ret_reply);
    }
    queue_fini(&q);
    return e;
}

const struct kind queue_kind = {
    .name = "queue",
    .doc = "a list of tasks that several agents work off, the most urgent first",
    .roles = ROLE_WORKFLOW | ROLE_NODE,
    .params = FIELDS(
        {"agents", P_LIST, PARAM_REQUIRED | PARAM_NONEMPTY, "who works", .fields = WORKER_ITEM},
        {"tasks", P_LIST, PARAM_NONEMPTY, "what is to be done; default: the list it is given",
         .fields =
             ITEM("task", P_OBJECT,
                  .fields = FIELDS(
                      {"id", P_STRING, PARAM_NONEMPTY | PARAM_PLAIN, "what it is called"},
                      {"description", P_TEXT, 0, "what is to be done", .also = NAMES("task")},
                      {"input", P_VALUE, 0, "what with", .also = NAMES("message")},
                      {"action", P_TEXT, 0, "for agents that are no models"},
                      {"parameters", P_VALUE, 0, "values for the action"},
                      {"priority", P_INT, 0, "higher first", .min = -1000, .max = 1000},
                      {"agent", P_STRING, PARAM_NONEMPTY, "only this one of the queue's agents"},
                      {"capability", P_STRING, PARAM_NONEMPTY,
                       "only who has it: in `capabilities`, as a server, or as its type",
                       .also = NAMES("agent_type")},
                      {"timeout", P_DURATION, 0, "of one assignment"}))},
        {"items", P_VALUE, 0,
         "the same made by a template: texts, or objects like those of `tasks`"},
        {"task_timeout", P_DURATION, 0, "of one assignment, where the task names none"},
        {"max_attempts", P_INT, 0, "assignments of a task, to another agent if there is one",
         .min = 1, .max = 100, .def = MAX_ATTEMPTS}),
    .lower = queue_lower,
    .control = queue_control,
};
