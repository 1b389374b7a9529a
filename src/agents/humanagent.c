/* humanagent.c - the kind `human`: a person as an agent. The message is the question. */
#include "agents/agentlib.h"
#include <stdlib.h>
#include <string.h>

static struct err *
human_run(struct host *h, const struct task *t, struct reply *ret_reply)
{
    AUTO(json_freep) json_t *answer = NULL;
    AUTO(json_freep)
    json_t *question = json_pack(
        "{so ss* sO* sO* sO*}", "prompt", json_string_lossy(t->message, strlen(t->message)), "to",
        json_str(t->def, "to", t->name), "instruction", json_object_get(t->def, "instruction"),
        "choices", json_object_get(t->def, "choices"), "schema",
        json_object_get(t->def, "output_schema"));
    struct pause p = {.name = "question",
                      .type = PAUSE_HUMAN,
                      .for_ms = json_int(t->def, "timeout", -1),
                      .detail = question};
    PASS(h->ops->pause(h, &p, &answer));
    if (!answer)
        answer = json_incref(json_object_get(t->def, "default"));
    if (!answer)
        return FAIL(ERR_TIMEOUT, "'%s' did not answer in time, and there is no default", t->name);
    reply_set_json(ret_reply, STEAL(answer));
    return NULL;
}

const struct kind human_agent_kind = {
    .name = "human",
    .doc = "a person: asked, and waited for",
    .roles = ROLE_AGENT,
    .effect = EFFECT_PURE,
    .params = FIELDS({"to", P_STRING, PARAM_NONEMPTY, "who; default: the agent's name"},
                     {"instruction", P_STRING, PARAM_NONEMPTY, "what the person is to do"},
                     {"choices", P_LIST, PARAM_NONEMPTY, "the answer is one of these",
                      .fields = ITEM("choice", P_STRING, PARAM_PLAIN)},
                     {"output_schema", P_SCHEMA, 0, "the answer is JSON of this form"},
                     {"default", P_ANY, 0, "the answer when nobody gives one in `timeout`"}),
    .run = human_run,
};
