/* mcpagent.c - an agent that is a tool server: the action names the tool, the parameters are its
 * arguments. */
#include "agents/agentlib.h"
#include "agents/toolbox.h"
#include "mcp/content.h"
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX ((size_t)1 << 20)

static void
reply_from_result(struct reply *r, const json_t *result)
{
    AUTO(str_fini) struct str text = STR_INIT;
    tool_result_text(result, TEXT_MAX, &text);
    json_t *structured = json_object_get(result, "structuredContent");
    if (!structured) {
        reply_from_text(r, str_c(&text), text.len);
        return;
    }
    reply_set_json(r, json_incref(structured));
    free(r->text);
    r->text = str_steal(&text);
}

static struct err *
mcp_run(struct host *h, const struct task *t, struct reply *ret_reply)
{
    AUTO(json_freep) json_t *result = NULL;
    const char *server = json_str(t->def, "server", t->server_name);
    if (!server)
        return FAIL(ERR_INVALID, "an mcp agent needs a server");
    if (!t->action || !*t->action)
        return FAIL(ERR_INVALID, "the action is the name of the tool; there is none");
    struct tool_request q = {
        .server = server, .tool = t->action, .args = t->params, .effect = t->effect};
    PASS(tool_step(h, &q, &result));
    if (json_bool(result, "isError", false)) {
        AUTO(str_fini) struct str text = STR_INIT;
        tool_result_text(result, 2000, &text);
        return FAIL(ERR_INVALID, "%s.%s: %s", server, t->action, str_c(&text));
    }
    reply_from_result(ret_reply, result);
    return NULL;
}

const struct kind mcp_kind = {
    .name = "mcp",
    .also = NAMES("mcp_server"),
    .doc = "a tool server; the action is the tool's name, the parameters its arguments",
    .roles = ROLE_AGENT,
    .effect = EFFECT_ONCE,
    .params = FIELDS({"server", P_REF, 0, "an entry of mcp_servers", .ref = REF_SERVER},
                     {"endpoint", P_STRING, 0, "a server's URL"}),
    .run = mcp_run,
};
