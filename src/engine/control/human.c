/* human.c - a node that asks a person: for approval, one of several, or something written.
 *
 * `timeout` is how long it is waited for; then `escalate` asks somebody else, once more, and then
 * `default` is the answer, or nobody's silence fails the node. */
#include "engine/control_node.h"
#include "plan/lower.h"
#include <stdlib.h>
#include <string.h>

static struct err *
human_lower(struct lowering *l, const json_t *def, const char *pointer)
{
    const char *at = arena_printf(l->arena, "%s/prompt", pointer);
    l->graph->waits = true;
    l->graph->text = lower_template(l->outer, json_str(def, "prompt", ""), at, l->self);
    if (json_object_get(def, "escalate") && !json_object_get(def, "timeout"))
        lower_fail(l, lower_pos(l, arena_printf(l->arena, "%s/escalate", pointer)),
                   "escalate needs a timeout: the first question never ends");
    if (json_object_get(def, "default") && !json_object_get(def, "timeout"))
        lower_fail(l, lower_pos(l, arena_printf(l->arena, "%s/default", pointer)),
                   "default needs a timeout: the question never ends");
    const char *forms[] = {"choices", "schema", "approval"}, *said = NULL;
    for (size_t i = 0; i < COUNT(forms); i++) {
        const json_t *form = json_object_get(def, forms[i]);
        if (!form || json_is_false(form))
            continue;
        if (said)
            lower_fail(l, lower_pos(l, arena_printf(l->arena, "%s/%s", pointer, forms[i])),
                       "%s and %s: one of them says what an answer is", said, forms[i]);
        said = forms[i];
    }
    return NULL;
}

static json_t *
question_make(const struct control *c, const char *prompt, const char *to)
{
    json_t *q = json_pack("{ss ss*}", "prompt", prompt, "to", to);
    json_t *choices = json_object_get(c->def, "choices"),
           *schema = json_object_get(c->def, "schema");
    if (json_bool(c->def, "approval", false))
        json_object_set_new(q, "choices", json_pack("[ss]", "yes", "no"));
    if (choices)
        json_object_set(q, "choices", choices);
    if (schema)
        json_object_set(q, "schema", schema);
    return q;
}

static struct err *
human_ask(struct control *c, const char *name, const json_t *question, int64_t for_ms,
          json_t **ret_answer)
{
    struct pause p = {.name = name, .type = PAUSE_HUMAN, .for_ms = for_ms, .detail = question};
    return control_pause(c, &p, ret_answer);
}

static struct err *
human_escalate(struct control *c, const char *prompt, json_t **ret_answer)
{
    const json_t *next = json_object_get(c->def, "escalate");
    AUTO(json_freep) json_t *question = question_make(c, prompt, json_str(next, "to", NULL));
    json_object_set_new(question, "escalated", json_true());
    return human_ask(c, "escalated", question, json_int(next, "timeout", -1), ret_answer);
}

static struct err *
human_control(struct control *c, struct reply *ret_reply)
{
    AUTO(freep) char *prompt = NULL;
    AUTO(json_freep) json_t *answer = NULL;
    TRY(control_text(c, &prompt), "its prompt");
    AUTO(json_freep) json_t *question = question_make(c, prompt, json_str(c->def, "to", NULL));
    PASS(human_ask(c, "question", question, json_int(c->def, "timeout", -1), &answer));
    if (!answer && json_object_get(c->def, "escalate"))
        PASS(human_escalate(c, prompt, &answer));
    if (!answer)
        answer = json_incref(json_object_get(c->def, "default"));
    if (!answer)
        return FAIL(ERR_TIMEOUT, "nobody answered in time, and there is no default");
    reply_set_json(ret_reply, STEAL(answer));
    return NULL;
}

const struct kind human_kind = {
    .name = "human",
    .doc = "asks a person, and waits for the answer as long as it takes",
    .roles = ROLE_NODE,
    .params = FIELDS({"prompt", P_TEXT, PARAM_REQUIRED | PARAM_NONEMPTY, "the question"},
                     {"approval", P_BOOL, 0, "the answer is yes or no"},
                     {"choices", P_LIST, PARAM_NONEMPTY, "the answer is one of these",
                      .fields = ITEM("choice", P_STRING, PARAM_PLAIN)},
                     {"schema", P_SCHEMA, 0, "the answer is JSON of this form; default: any text"},
                     {"to", P_STRING, PARAM_NONEMPTY, "who is asked; told in listings"},
                     {"default", P_ANY, 0, "the answer when nobody gives one in time"},
                     {"escalate", P_OBJECT, 0, "who is asked when nobody has answered in time",
                      .fields = FIELDS({"to", P_STRING, PARAM_NONEMPTY, "who"},
                                       {"timeout", P_DURATION, 0, "how long that is waited for"})}),
    .lower = human_lower,
    .control = human_control,
};
