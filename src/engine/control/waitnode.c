/* waitnode.c - the kind `wait`: a node that does nothing for a time, until a time, or until a
 * signal comes. */
#include "base/units.h"
#include "engine/control_node.h"
#include "plan/lower.h"
#include "rt/rt.h"
#include <stdlib.h>
#include <string.h>

static struct err *
wait_lower(struct lowering *l, const json_t *def, const char *pointer)
{
    const char *until = json_str(def, "until", NULL);
    const size_t said = (json_object_get(def, "for") != NULL) + (until != NULL) +
                        (json_object_get(def, "signal") != NULL);
    l->graph->waits = true;
    if (until)
        l->graph->text =
            lower_template(l->outer, until, arena_printf(l->arena, "%s/until", pointer), l->self);
    if (said != 1)
        lower_fail(l, lower_pos(l, pointer), "a wait needs one of `for`, `until` and `signal`");
    static const char *const of_signals[] = {"timeout", "default"};
    for (size_t i = 0; i < COUNT(of_signals); i++) {
        if (json_object_get(def, of_signals[i]) && !json_object_get(def, "signal"))
            lower_fail(l, lower_pos(l, arena_printf(l->arena, "%s/%s", pointer, of_signals[i])),
                       "%s is for a signal that may not come; a time comes", of_signals[i]);
    }
    if (json_object_get(def, "signal") && json_object_get(def, "default") &&
        !json_object_get(def, "timeout"))
        lower_fail(l, lower_pos(l, arena_printf(l->arena, "%s/default", pointer)),
                   "default needs a timeout: the wait never ends");
    return NULL;
}

static struct err *
wait_ms(struct control *c, int64_t *ret_ms)
{
    AUTO(freep) char *text = NULL;
    int64_t at;
    *ret_ms = json_int(c->def, "for", -1);
    if (!c->graph->text)
        return NULL;
    TRY(control_text(c, &text), "its time");
    if (!time_parse_iso(text, &at))
        return FAIL(ERR_INVALID, "'%.60s' is no time: write 2026-12-31T18:00:00Z", text);
    *ret_ms = MAX(at - rt_wall_ms(), 0);
    return NULL;
}

static void
pass_on(struct control *c, struct reply *ret_reply)
{
    if (c->task->input)
        reply_set_json(ret_reply, json_incref((json_t *)(uintptr_t)c->task->input));
    else
        reply_set_text(ret_reply, c->task->message, strlen(c->task->message));
}

static struct err *
wait_control(struct control *c, struct reply *ret_reply)
{
    AUTO(json_freep) json_t *value = NULL;
    const char *signal = json_str(c->def, "signal", NULL);
    struct pause p = {.name = "wait",
                      .type = signal ? PAUSE_SIGNAL : PAUSE_TIMER,
                      .signal = signal,
                      .for_ms = -1};
    if (signal)
        p.for_ms = json_int(c->def, "timeout", -1);
    else
        PASS(wait_ms(c, &p.for_ms));
    PASS(control_pause(c, &p, &value));
    if (!signal) {
        pass_on(c, ret_reply);
        return NULL;
    }
    if (!value)
        value = json_incref(json_object_get(c->def, "default"));
    if (!value)
        return FAIL(ERR_TIMEOUT, "the signal '%s' did not come in time, and there is no default",
                    signal);
    reply_set_json(ret_reply, STEAL(value));
    return NULL;
}

const struct kind wait_kind = {
    .name = "wait",
    .doc = "waits for a time, until a time, or for a signal",
    .roles = ROLE_NODE,
    .params = FIELDS({"for", P_DURATION, 0, "so long; then it passes on what it was given"},
                     {"until", P_TEXT, PARAM_NONEMPTY, "2026-12-31T18:00:00Z"},
                     {"signal", P_STRING, PARAM_NONEMPTY, "its name; the output is its value"},
                     {"default", P_ANY, 0, "the output when no signal comes within `timeout`"}),
    .lower = wait_lower,
    .control = wait_control,
};
