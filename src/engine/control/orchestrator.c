/* orchestrator.c - a planner breaks the task into steps for the agents: the whole plan first, its
 * independent steps at once; or step by step, each decided after the last one's result. */
#include "base/hash.h"
#include "base/vec.h"
#include "engine/control_node.h"
#include "guard/loopguard.h"
#include "plan/lower.h"
#include <stdlib.h>
#include <string.h>

#define STEPS 10

static struct err *
orchestrator_lower(struct lowering *l, const json_t *def, const char *pointer)
{
    const json_t *agents = json_object_get(def, "agents"), *one;
    size_t i;
    json_array_foreach (agents, i, one) {
        const char *at = lower_below(l, pointer, "agents", i);
        const char *name = json_string_value(one);
        lower_worker(l, lower_node(l, name ? name : "workflow", false, lower_pos(l, at)), one, at);
    }
    if (json_object_get(def, "loop_guard") &&
        strcmp(json_str(def, "plan_type", "full"), "iterative") != 0)
        lower_fail(l, lower_pos(l, arena_printf(l->arena, "%s/loop_guard", pointer)),
                   "a full plan cannot go round: `loop_guard` is for `plan_type: iterative`");
    l->graph->failure = FAILURE_PARTIAL; /* unless the definition says otherwise */
    return NULL;
}

static size_t
steps_max(const struct control *c)
{
    return (size_t)json_int(c->def, "max_iterations", STEPS);
}

static const struct node *
agent_find(const struct control *c, const char *name)
{
    for (size_t i = 0; i < c->graph->nnodes; i++) {
        if (strcmp(c->graph->nodes[i]->id, name) == 0)
            return c->graph->nodes[i];
    }
    return NULL;
}

static json_t *
agent_names(const struct control *c)
{
    json_t *names = json_array();
    for (size_t i = 0; i < c->graph->nnodes; i++)
        json_array_append_new(names, json_string(c->graph->nodes[i]->id));
    return names;
}

static void
agents_tell(const struct control *c, struct str *to)
{
    str_add(to, "Available agents:\n");
    for (size_t i = 0; i < c->graph->nnodes; i++)
        str_addf(to, "- %s: %s\n", c->graph->nodes[i]->id, control_about(c, c->graph->nodes[i]));
    str_addf(to, "\nThe task:\n%s\n", c->task->message);
}

/* ---- a plan ---------------------------------------------------------------- */

struct planned {
    struct control *control;
    VEC(struct control_step) steps;
    json_t *source; /* what instructions are borrowed from */
};

static void
planned_reset(struct planned *p)
{
    vec_each (&p->steps, s) {
        free((char *)(uintptr_t)s->id);
        free((unsigned *)(uintptr_t)s->deps);
    }
    p->steps.len = 0;
    json_decref(p->source);
    p->source = NULL;
}

static void
planned_fini(struct planned *p)
{
    planned_reset(p);
    vec_fini(&p->steps);
}

/* The steps that this one waits for, each once. NULL: it names one that does not come before it. */
static unsigned *
deps_read(const json_t *depends, size_t i, size_t *ret_n, double *ret_wrong)
{
    const json_t *dep;
    size_t k;
    AUTO(freep) bool *there = xcalloc(i + 1, sizeof *there);
    AUTO(freep) unsigned *deps = xcalloc(i + 1, sizeof *deps);
    *ret_n = 0;
    json_array_foreach (depends, k, dep) {
        const double number = json_number_value(dep); /* 1.0 is an integer, too */
        if (number < 1 || number > (double)i) {
            *ret_wrong = number;
            return NULL;
        }
        const size_t on = (size_t)number;
        if (!there[on])
            deps[(*ret_n)++] = (unsigned)on - 1;
        there[on] = true;
    }
    return STEAL(deps);
}

static void
step_add(struct planned *p, const struct node *agent, const char *instruction, unsigned *OWN deps,
         size_t ndeps)
{
    struct control_step s = {.member = agent,
                             .id = xasprintf("step-%zu", p->steps.len + 1),
                             .instruction = instruction,
                             .deps = deps,
                             .ndeps = ndeps};
    vec_push(&p->steps, s);
}

/* What is wrong with the plan, for the planner; NULL: it can be run. Its form fits the schema. */
static char *
plan_read(struct planned *p, json_t *answer)
{
    const json_t *steps = json_object_get(answer, "steps"), *step;
    size_t i, ndeps;
    double wrong = 0;
    planned_reset(p);
    p->source = json_incref(answer);
    if (json_array_size(steps) > steps_max(p->control))
        return xasprintf("The plan has %zu steps; at most %zu are possible.",
                         json_array_size(steps), steps_max(p->control));
    json_array_foreach (steps, i, step) {
        const struct node *agent = agent_find(p->control, json_str(step, "agent", ""));
        if (json_int(step, "step", (int64_t)i + 1) != (int64_t)i + 1)
            return xasprintf("Step %zu has the number %lld; steps are numbered 1, 2, 3.", i + 1,
                             (long long)json_int(step, "step", 0));
        unsigned *deps = deps_read(json_object_get(step, "depends_on"), i, &ndeps, &wrong);
        if (!deps)
            return xasprintf("Step %zu depends on step %.15g, which does not come before it.",
                             i + 1, wrong);
        step_add(p, agent, json_str(step, "instruction", ""), deps, ndeps);
    }
    return NULL;
}

/* Nobody could plan: each agent in order, on the whole task. */
static void
plan_fall_back(struct planned *p)
{
    const struct control *c = p->control;
    planned_reset(p);
    for (size_t i = 0; i < c->graph->nnodes; i++) {
        unsigned *deps = xcalloc(1, sizeof *deps);
        deps[0] = i ? (unsigned)i - 1 : 0;
        step_add(p, c->graph->nodes[i], c->task->message, deps, i > 0);
    }
}

static json_t *
plan_schema(const struct control *c)
{
    return json_pack("{ss s[s] s{s{ss si so}}}", "type", "object", "required", "steps",
                     "properties", "steps", "type", "array", "minItems", 1, "items",
                     json_pack("{ss s[ss] s{s{ss} s{ss so} s{ss} s{ss s{ss}}}}", "type", "object",
                               "required", "agent", "instruction", "properties", "step", "type",
                               "integer", "agent", "type", "string", "enum", agent_names(c),
                               "instruction", "type", "string", "depends_on", "type", "array",
                               "items", "type", "integer"));
}

/* Asked for, judged, asked for once more with what is wrong; then the fall-back. What is no plan at
 * all was sent back once already. */
static struct err *
plan_make_it(struct planned *p)
{
    struct control *c = p->control;
    AUTO(freep) char *complaint = NULL;
    for (unsigned i = 0; i < 2; i++) {
        AUTO(str_fini) struct str question = STR_INIT;
        AUTO(json_freep) json_t *answer = NULL;
        AUTO(freep) char *name = xasprintf("plan[%u]", i);
        agents_tell(c, &question);
        str_addf(&question,
                 "\nBreak the task into at most %zu steps for these agents. A step may depend on "
                 "earlier steps: it is given their results. Steps that do not depend on each other "
                 "run at once. Answer as JSON: {\"steps\": [{\"step\": 1, \"agent\": its name, "
                 "\"instruction\": what exactly to do, \"depends_on\": [numbers of steps]}]}.",
                 steps_max(c));
        if (complaint)
            str_addf(&question, "\n\nYour last plan cannot be run. %s", complaint);
        struct judgement j = {.name = name,
                              .system =
                                  "You are a planner. You break a task into steps for agents. "
                                  "You never carry it out yourself.",
                              .question = str_c(&question),
                              .schema = plan_schema(c)};
        struct err *e = control_judge(c, &j, &answer);
        if (e && !control_unanswered(e))
            return e;
        free(complaint);
        complaint = e ? err_text(e) : plan_read(p, answer);
        if (e) {
            err_free(e);
            break;
        }
        if (!complaint)
            return NULL;
    }
    control_note(c, "orchestrator.fallback",
                 json_pack("{so}", "because", json_string_lossy(complaint, strlen(complaint))));
    plan_fall_back(p);
    return NULL;
}

static struct err *
plan_then_run(struct control *c, struct reply *ret_reply)
{
    AUTO(planned_fini) struct planned p = {.control = c};
    PASS(plan_make_it(&p));
    control_note(c, "orchestrator.planned", json_pack("{si}", "steps", (int)p.steps.len));
    return control_expand(c, p.steps.at, p.steps.len, ret_reply);
}

/* ---- step by step ---------------------------------------------------------- */

struct iterating {
    struct control *control;
    struct str done; /* what was done and came of it, for the planner */
    struct reply last;
    unsigned steps;
    struct loopguard circles;
    bool circling; /* the last step was a repetition, and it is time to say so */
};

static void
iterating_fini(struct iterating *it)
{
    str_fini(&it->done);
    reply_fini(&it->last);
    loopguard_fini(&it->circles);
}

static json_t *
next_schema(const struct control *c)
{
    return json_pack("{ss s[s] s{s{ss} s{ss so} s{ss} s{ss}}}", "type", "object", "required",
                     "done", "properties", "done", "type", "boolean", "agent", "type", "string",
                     "enum", agent_names(c), "instruction", "type", "string", "answer", "type",
                     "string");
}

static struct err *
next_ask(struct iterating *it, json_t **ret_answer)
{
    struct control *c = it->control;
    AUTO(str_fini) struct str question = STR_INIT;
    AUTO(freep) char *name = xasprintf("plan[%u]", it->steps);
    agents_tell(c, &question);
    str_addf(
        &question,
        "\nDone so far:\n%s\n%zu more steps are possible. Which step is next? Answer as JSON: "
        "{\"done\": false, \"agent\": its name, \"instruction\": what exactly to do}; or, when "
        "the task is complete, {\"done\": true, \"answer\": the whole answer}.",
        it->done.len ? str_c(&it->done) : "nothing\n", steps_max(c) - it->steps);
    if (it->circling)
        str_add(&question, "\n\nThe last steps only repeated earlier ones, with the same "
                           "instructions. Repeating them will not help: decide on something else, "
                           "or finish.");
    struct judgement j = {.name = name,
                          .system = "You are a planner. You decide which agent does what next. You "
                                    "never carry a step out yourself.",
                          .question = str_c(&question),
                          .schema = next_schema(c)};
    return control_judge(c, &j, ret_answer);
}

static struct err *
next_do(struct iterating *it, const struct node *agent, const char *instruction)
{
    struct control *c = it->control;
    AUTO(freep) char *name = xasprintf("step-%u", it->steps + 1);
    AUTO(freep)
    char *message = it->done.len ? xasprintf("%s\n\nContext from previous steps:\n%s", instruction,
                                             str_c(&it->done))
                                 : xstrdup(instruction);
    AUTO(reply_fini) struct reply reply = {0};
    struct ask ask = {.member = agent, .name = name, .message = message, .index = it->steps + 1};
    struct err *e = control_ask(c, &ask, &reply);
    AUTO(freep) char *why = e ? err_text(e) : NULL;
    if (e)
        PASS(control_tolerate(c, e));
    it->steps++;
    str_addf(&it->done, "--- Output from step %u (%s: %s) ---\n%s%s\n", it->steps, agent->id,
             instruction, why ? "It failed: " : "", why ? why : reply_text(&reply));
    if (why)
        return NULL;
    reply_fini(&it->last);
    it->last = reply;
    reply = (struct reply){0};
    return NULL;
}

/* The same agent with the same instruction: what it says may differ in its words. */
static enum loop_verdict
is_circling(struct iterating *it, const struct node *agent, const char *instruction)
{
    AUTO(freep) char *step = xasprintf("%s %s", agent->id, instruction);
    const enum loop_verdict verdict = loopguard_turn(&it->circles, hash_fnv(step, strlen(step)));
    it->circling = verdict == LOOP_WARN;
    return verdict;
}

/* What there is, when nobody says what is next. */
static struct err *
iterating_end(struct iterating *it, const char *why, struct reply *ret_reply)
{
    control_note(it->control, "orchestrator.stopped",
                 json_pack("{ss si}", "because", why, "steps", (int)it->steps));
    if (!it->last.output) {
        struct err *failed = control_failure(it->control);
        return failed ? failed : FAIL(ERR_INVALID, "no step was carried out");
    }
    *ret_reply = it->last;
    it->last = (struct reply){0};
    return NULL;
}

static struct err *
step_by_step(struct control *c, struct reply *ret_reply)
{
    AUTO(iterating_fini) struct iterating it = {.control = c};
    loopguard_init(&it.circles, json_object_get(c->def, "loop_guard"), LOOPGUARD_REPEATS);
    while (it.steps < steps_max(c)) {
        AUTO(json_freep) json_t *answer = NULL;
        struct err *e = next_ask(&it, &answer);
        if (e && !control_unanswered(e))
            return e;
        if (e && !it.steps) {
            AUTO(planned_fini) struct planned p = {.control = c};
            AUTO(freep) char *why = err_text(e);
            err_free(e);
            control_note(c, "orchestrator.fallback",
                         json_pack("{so}", "because", json_string_lossy(why, strlen(why))));
            plan_fall_back(&p);
            return control_expand(c, p.steps.at, p.steps.len, ret_reply);
        }
        if (e) {
            err_free(e);
            return iterating_end(&it, "the planner gives no answer that can be used", ret_reply);
        }
        const char *text = json_str(answer, "answer", "");
        const struct node *agent = agent_find(c, json_str(answer, "agent", ""));
        if (json_bool(answer, "done", false) && *text) {
            reply_set_text(ret_reply, text, strlen(text));
            return NULL;
        }
        if (json_bool(answer, "done", false) || !agent)
            return iterating_end(&it, "the planner names no next step", ret_reply);
        const char *instruction = json_str(answer, "instruction", c->task->message);
        if (is_circling(&it, agent, instruction) == LOOP_STOP)
            return iterating_end(&it, "the planner goes round in circles", ret_reply);
        PASS(next_do(&it, agent, instruction));
    }
    return iterating_end(&it, "no more steps are possible", ret_reply);
}

static struct err *
orchestrator_control(struct control *c, struct reply *ret_reply)
{
    if (strcmp(json_str(c->def, "plan_type", "full"), "iterative") == 0)
        return step_by_step(c, ret_reply);
    return plan_then_run(c, ret_reply);
}

const struct kind orchestrator_kind = {
    .name = "orchestrator",
    .doc = "a planner breaks the task into steps for the agents",
    .roles = ROLE_WORKFLOW | ROLE_NODE,
    .params =
        FIELDS({"agents", P_LIST, PARAM_REQUIRED | PARAM_NONEMPTY, "who can be given steps",
                .fields = WORKER_ITEM},
               {"plan_type", P_ENUM, 0, "the whole plan first, or step by step",
                .choices = NAMES("full", "iterative")},
               {"profile", P_REF, 0, "the model that plans", .ref = REF_PROFILE},
               {"max_iterations", P_INT, 0, "steps at most", .min = 1, .max = 1000, .def = STEPS,
                .also = NAMES("plan_iterations")},
               LOOP_GUARD_PARAM("step by step: what to do when it decides on the same again")),
    .lower = orchestrator_lower,
    .control = orchestrator_control,
};
