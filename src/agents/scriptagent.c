/* scriptagent.c - agents without a call to the outside: Lua, and names for agents defined
 * elsewhere. */
#include "agents/agentlib.h"
#include "expr/luastate.h"
#include "rt/rt.h"
#include <string.h>

struct scripting {
    struct luastate *lua;
    struct luastate_script script;
    json_t *value;
    struct err *e;
};

static void
script_deep(void *arg)
{
    struct scripting *x = arg;
    x->e = luastate_run_script(x->lua, &x->script, &x->value);
}

static struct err *
lua_run(struct host *h, const struct task *t, struct reply *ret_reply)
{
    AUTO(json_freep)
    json_t *globals = json_pack("{ss sO? sO? sO? ss? ss? ss}", "message", t->message, "input",
                                t->input, "context", t->context, "parameters", t->params, "action",
                                t->action, "instruction", t->instruction, "name", t->name);
    struct scripting x = {.lua = h->ops->service(h, "lua"),
                          .script = {.text = json_str(t->def, "script", ""),
                                     .globals = globals,
                                     .now_wall_ms = h->ops->now_wall_ms(h)}};
    rt_deep(script_deep, &x);
    TRY(x.e, "its script");
    reply_from_value(ret_reply, x.value);
    return NULL;
}

static struct err *
lua_check(const json_t *def, const char *pointer, void *spec)
{
    struct luastate *lua = luastate_new((struct luastate_limits){0});
    struct err *e = luastate_check_script(lua, json_str(def, "script", ""), NOWHERE);
    (void)pointer;
    (void)spec;
    luastate_free(lua);
    if (!e)
        return NULL;
    /* Its place counts from the script's text; the one of the agent is put in front by spec. */
    AUTO(freep) char *text = err_text(e);
    struct err *placed = FAIL(ERR_INVALID, "script, line %u: %s", err_pos(e).line, text);
    err_free(e);
    return placed;
}

const struct kind lua_kind = {
    .name = "lua",
    .doc = "a short Lua script; it sees message, input, context, parameters and returns the reply",
    .roles = ROLE_AGENT,
    .effect = EFFECT_PURE,
    .params = FIELDS({"script", P_STRING, PARAM_REQUIRED | PARAM_NONEMPTY,
                      "Lua statements that return the reply"}),
    .run = lua_run,
    .check = lua_check,
};

#define CUSTOM_PREFIX "custom://"

static struct err *
custom_run(struct host *h, const struct task *t, struct reply *ret_reply)
{
    const char *endpoint = json_str(t->def, "endpoint", "");
    const char *name = strncmp(endpoint, CUSTOM_PREFIX, strlen(CUSTOM_PREFIX)) == 0
                           ? endpoint + strlen(CUSTOM_PREFIX)
                           : "";
    const json_t *custom = json_object_get(t->def, "custom_params");
    if (!h->ops->section(h, "agents", name) || strcmp(name, t->name) == 0)
        return FAIL(ERR_INVALID, "no agent is registered as '%s'; define a lua agent of that name",
                    name);
    json_t *params = custom ? json_deep_copy(custom) : json_object();
    if (t->params)
        json_object_update(params, (json_t *)(uintptr_t)t->params);
    struct task inner = *t;
    inner.params = params;
    struct err *e = h->ops->call(h, "custom", name, &inner, ret_reply);
    json_decref(params);
    return e;
}

const struct kind custom_kind = {
    .name = "custom",
    .also = NAMES("plugin"),
    .doc = "an agent registered under the name in its endpoint, custom://name",
    .roles = ROLE_AGENT,
    .effect = EFFECT_PURE,
    .params =
        FIELDS({"endpoint", P_STRING, 0, "custom://name"}, {"path", P_PATH, 0, "a shared library"}),
    .run = custom_run,
};
