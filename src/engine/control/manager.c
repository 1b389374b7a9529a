/* manager.c - a hierarchy: the task is classified, then one specialist does it, or, when it is
 * complex, all of them their part in order, each knowing what those before it did. */
#include "engine/control_node.h"
#include "plan/lower.h"
#include <string.h>

#define COMPLEX "complex"

static struct err *
manager_lower(struct lowering *l, const json_t *def, const char *pointer)
{
    json_t *agents = json_object_get(def, "agents");
    const char *role;
    json_t *worker;
    if (json_object_get(agents, COMPLEX))
        lower_fail(l, lower_pos(l, arena_printf(l->arena, "%s/agents/" COMPLEX, pointer)),
                   "'" COMPLEX "' is what a task of several parts is called, not a specialist");
    json_object_foreach (agents, role, worker) {
        const char *at = arena_printf(l->arena, "%s/agents/%s", pointer, role);
        lower_worker(l, lower_node(l, role, false, lower_pos(l, at)), worker, at);
    }
    if (lower_member(l, def, pointer, "classifier") && json_object_get(def, "profile"))
        lower_fail(l, lower_pos(l, arena_printf(l->arena, "%s/profile", pointer)),
                   "the classifier has a model of its own: nobody reads `profile`");
    return NULL;
}

static size_t
specialists(const struct control *c)
{
    return json_object_size(json_object_get(c->def, "agents"));
}

/* ---- what kind of task is it? ---------------------------------------------- */

static json_t *
answer_schema(const struct control *c)
{
    json_t *names = json_array();
    for (size_t i = 0; i < specialists(c); i++)
        json_array_append_new(names, json_string(c->graph->nodes[i]->id));
    json_array_append_new(names, json_string(COMPLEX));
    return json_pack("{ss s[s] s{s{ss so} s{ss}}}", "type", "object", "required", "type",
                     "properties", "type", "type", "string", "enum", names, "reason", "type",
                     "string");
}

static void
question_make(const struct control *c, struct str *to)
{
    str_add(to, "Classify this task by who should do it.\n\nSpecialists:\n");
    for (size_t i = 0; i < specialists(c); i++)
        str_addf(to, "- %s: %s\n", c->graph->nodes[i]->id, control_about(c, c->graph->nodes[i]));
    str_addf(to,
             "- " COMPLEX
             ": it needs several of them, one after the other\n\nThe task:\n%s\n\nAnswer "
             "as JSON: {\"type\": one of the names, \"reason\": one sentence}.",
             c->task->message);
}

static struct err *
classifier_ask(struct control *c, json_t **ret_answer)
{
    AUTO(str_fini) struct str question = STR_INIT;
    AUTO(reply_fini) struct reply reply = {0};
    question_make(c, &question);
    if (!json_object_get(c->def, "classifier"))
        return control_judge(c,
                             &(struct judgement){.name = "classify",
                                                 .system = "You are a manager. You decide who does "
                                                           "a task. You never do it yourself.",
                                                 .question = str_c(&question),
                                                 .schema = answer_schema(c)},
                             ret_answer);
    AUTO(json_freep) json_t *schema = answer_schema(c);
    const struct node *classifier = c->graph->nodes[c->graph->nnodes - 1];
    struct ask ask = {.member = classifier,
                      .name = classifier->id,
                      .message = str_c(&question),
                      .output_schema = schema};
    PASS(control_ask(c, &ask, &reply));
    *ret_answer = json_incref(reply.output);
    return NULL;
}

/* Who does it; NULL: all of them. A classifier that is no model may answer with the bare name. */
static struct err *
classify(struct control *c, const struct node **ret)
{
    AUTO(json_freep) json_t *answer = NULL;
    PASS(classifier_ask(c, &answer));
    const char *type = json_is_object(answer)   ? json_str(answer, "type", "")
                       : json_is_string(answer) ? json_string_value(answer)
                                                : "";
    *ret = NULL;
    if (strcmp(type, COMPLEX) == 0)
        return NULL;
    for (size_t i = 0; i < specialists(c); i++) {
        if (strcmp(c->graph->nodes[i]->id, type) == 0)
            *ret = c->graph->nodes[i];
    }
    return *ret ? NULL
                : FAIL(ERR_INVALID, "the task was classified as '%.60s', which is nobody", type);
}

/* ---- all of them, in order ------------------------------------------------- */

static struct err *
delegate(struct control *c, struct reply *ret_reply)
{
    AUTO(str_fini) struct str sofar = STR_INIT;
    AUTO(str_fini) struct str text = STR_INIT;
    AUTO(json_freep) json_t *all = json_object();
    for (size_t i = 0; i < specialists(c); i++) {
        const struct node *n = c->graph->nodes[i];
        AUTO(reply_fini) struct reply reply = {0};
        AUTO(freep)
        char *message = xasprintf("Do your part (%s) of this task.\n\nThe task:\n%s%s", n->id,
                                  c->task->message, str_c(&sofar));
        struct ask ask = {.member = n, .name = n->id, .message = message};
        struct err *e = control_ask(c, &ask, &reply);
        if (e && i) { /* what comes after it would build on nothing */
            PASS(control_tolerate(c, e));
            break;
        }
        PASS(e);
        str_addf(&sofar, "\n\n--- Result of %s ---\n%s", n->id, reply_text(&reply));
        str_addf(&text, "%s[%s]:\n%s", i ? "\n\n" : "", n->id, reply_text(&reply));
        json_object_set(all, n->id, reply.output);
    }
    reply_set_json(ret_reply, STEAL(all));
    free(ret_reply->text);
    ret_reply->text = str_steal(&text);
    return NULL;
}

static struct err *
manager_control(struct control *c, struct reply *ret_reply)
{
    const struct node *chosen = NULL;
    struct err *e = classify(c, &chosen);
    if (e && !control_unanswered(e))
        return e;
    if (e) { /* nobody knows whose it is: all of them do their part, and none is left out */
        AUTO(freep) char *why = err_text(e);
        err_free(e);
        control_note(c, "manager.undecided",
                     json_pack("{so}", "because", json_string_lossy(why, strlen(why))));
    }
    control_note(c, "manager.classified", json_pack("{ss}", "type", chosen ? chosen->id : COMPLEX));
    if (!chosen)
        return delegate(c, ret_reply);
    struct ask ask = {.member = chosen, .name = chosen->id};
    return control_ask(c, &ask, ret_reply);
}

const struct kind manager_kind = {
    .name = "manager",
    .doc = "classifies the task, then one specialist does it, or all of them their part in order",
    .roles = ROLE_WORKFLOW | ROLE_NODE,
    .params = FIELDS({"agents", P_MAP, PARAM_REQUIRED | PARAM_NONEMPTY,
                      "specialists by what they are for, in the order of their parts",
                      .fields = WORKER_ITEM},
                     {"classifier", P_ONE_OF, 0, "who classifies; without it the model does",
                      .fields = lower_worker_params},
                     {"profile", P_REF, 0, "the model that classifies", .ref = REF_PROFILE}),
    .lower = manager_lower,
    .control = manager_control,
};
