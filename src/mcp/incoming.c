/* incoming.c - a server's requests and notifications to us. */
#include "base/log.h"
#include "mcp/sessioncore.h"
#include <string.h>

#define LOG_TEXT_MAX 2000 /* bytes of one log message of a server */

/* ---- requests -------------------------------------------------------------- */

static struct err *
answer_ping(struct session *s, const json_t *params, json_t **ret_result)
{
    (void)s, (void)params;
    *ret_result = json_object();
    return NULL;
}

static struct err *
answer_roots(struct session *s, const json_t *params, json_t **ret_result)
{
    (void)params;
    *ret_result = json_pack("{sO}", "roots", s->roots);
    return NULL;
}

static struct err *
answer_elicit(struct session *s, const json_t *params, json_t **ret_result)
{
    if (!s->hooks.elicit)
        return FAIL(ERR_MISSING, "Method not found");
    return s->hooks.elicit(s->hooks.ctx, params, ret_result);
}

static struct err *
answer_sample(struct session *s, const json_t *params, json_t **ret_result)
{
    if (!s->hooks.sample)
        return FAIL(ERR_MISSING, "Method not found");
    return s->hooks.sample(s->hooks.ctx, params, ret_result);
}

static const struct {
    const char *method;
    struct err *(*fn)(struct session *s, const json_t *params, json_t **ret_result);
} answers[] = {
    {"ping", answer_ping},
    {"roots/list", answer_roots},
    {"elicitation/create", answer_elicit},
    {"sampling/createMessage", answer_sample},
};

struct err *
session_answer(void *session, const char *method, const json_t *params, json_t **ret_result)
{
    for (size_t i = 0; i < COUNT(answers); i++) {
        if (strcmp(answers[i].method, method) == 0)
            return answers[i].fn(session, params, ret_result);
    }
    return FAIL(ERR_MISSING, "Method not found");
}

/* ---- notifications --------------------------------------------------------- */

static void
changed(struct session *s, const char *what)
{
    if (s->hooks.changed)
        s->hooks.changed(s->hooks.ctx, what);
}

/* Only notes it: the list is asked for when somebody needs it, however often this comes. */
static void
heed_tools_changed(struct session *s, const json_t *params)
{
    (void)params;
    s->tools_fresh = false;
    s->tools_changes++;
    changed(s, "tools");
}

static void
heed_prompts_changed(struct session *s, const json_t *params)
{
    (void)params;
    changed(s, "prompts");
}

static void
heed_resources_changed(struct session *s, const json_t *params)
{
    (void)params;
    changed(s, "resources");
}

static void
heed_resource_updated(struct session *s, const json_t *params)
{
    const char *uri = json_str(params, "uri", NULL);
    if (uri)
        changed(s, uri);
}

static void
heed_message(struct session *s, const json_t *params)
{
    const char *level = json_str(params, "level", "info"), *logger = json_str(params, "logger", "");
    if (!s->hooks.log && log_threshold > LOG_DEBUG)
        return;
    AUTO(freep) char *text = json_as_text(json_object_get(params, "data"));
    size_t n = strlen(text);
    if (n > LOG_TEXT_MAX)
        text[utf8_floor(text, LOG_TEXT_MAX)] = '\0';
    if (s->hooks.log)
        s->hooks.log(s->hooks.ctx, level, logger, text);
    else
        log_debug("mcp", "%s %s: %s", level, logger, text);
}

static void
heed_progress(struct session *s, const json_t *params)
{
    uint64_t token = (uint64_t)json_int(params, "progressToken", 0);
    if (!peer_waits_for(s->peer, token)) /* none, or the reply came first */
        return;
    for (struct progress *p = s->progress; p; p = p->next) {
        if (p->token != token)
            continue;
        p->fn(p->ctx, json_num(params, "progress", 0), json_num(params, "total", -1),
              json_str(params, "message", NULL));
        return;
    }
}

static void
heed_cancelled(struct session *s, const json_t *params)
{
    const json_t *id = json_object_get(params, "requestId");
    if (id)
        peer_take_back(s->peer, id);
}

static const struct {
    const char *method;
    void (*fn)(struct session *s, const json_t *params);
} heeds[] = {
    {"notifications/progress", heed_progress},
    {"notifications/message", heed_message},
    {"notifications/cancelled", heed_cancelled},
    {"notifications/tools/list_changed", heed_tools_changed},
    {"notifications/prompts/list_changed", heed_prompts_changed},
    {"notifications/resources/list_changed", heed_resources_changed},
    {"notifications/resources/updated", heed_resource_updated},
};

void
session_heed(void *session, const char *method, const json_t *params)
{
    for (size_t i = 0; i < COUNT(heeds); i++) {
        if (strcmp(heeds[i].method, method) == 0) {
            heeds[i].fn(session, params);
            return;
        }
    }
}
