/* peers.c - equals: each says whether it can handle the task, those that can do, and one makes a
 * whole of what they answered. */
#include "base/vec.h"
#include "engine/control_node.h"
#include "plan/lower.h"
#include <stdlib.h>
#include <string.h>

static struct err *
peers_lower(struct lowering *l, const json_t *def, const char *pointer)
{
    const json_t *agents = json_object_get(def, "agents"), *one;
    size_t i;
    json_array_foreach (agents, i, one) {
        const char *at = lower_below(l, pointer, "agents", i);
        const char *name = json_string_value(one);
        lower_worker(l, lower_node(l, name ? name : "peer", false, lower_pos(l, at)), one, at);
    }
    lower_member(l, def, pointer, "synthesizer");
    l->graph->failure = FAILURE_PARTIAL; /* unless the definition says otherwise */
    return NULL;
}

struct peers {
    struct control *control;
    size_t n;
    struct asked *asked; /* one for each peer, in order */
    VEC(const struct node *) able;
    unsigned answered;
};

static struct err *
peers_init(struct peers *p, struct control *c)
{
    const bool merged = json_object_get(c->def, "synthesizer") != NULL;
    *p = (struct peers){.control = c, .n = c->graph->nnodes - merged};
    p->asked = xcalloc(p->n, sizeof *p->asked);
    return NULL;
}

static void
asked_reset(struct peers *p)
{
    for (size_t i = 0; i < p->n; i++) {
        reply_fini(&p->asked[i].reply);
        err_free(p->asked[i].error);
        free((char *)(uintptr_t)p->asked[i].ask.name);
        p->asked[i] = (struct asked){0};
    }
}

static void
peers_fini(struct peers *p)
{
    asked_reset(p);
    free(p->asked);
    vec_fini(&p->able);
}

/* ---- who can? -------------------------------------------------------------- */

/* Who cannot say it in a way that can be read does not offer itself. */
static struct err *
offer_read(struct peers *p, struct asked *a, bool *ret_able)
{
    struct err *e = STEAL(a->error);
    *ret_able = json_is_object(a->reply.output) && json_bool(a->reply.output, "can_handle", false);
    if (!e)
        return NULL;
    if (err_kind(e) != ERR_INVALID)
        return control_tolerate(p->control, e);
    AUTO(freep) char *why = err_text(e);
    err_free(e);
    control_note(p->control, "peers.unclear",
                 json_pack("{ss so}", "agent", a->ask.member->id, "because",
                           json_string_lossy(why, strlen(why))));
    return NULL;
}

/* Only models are asked: any other agent would have to act to answer, and takes what it is given.
 */
static struct err *
who_can(struct peers *p)
{
    struct control *c = p->control;
    AUTO(json_freep)
    json_t *schema =
        json_pack("{ss s[s] s{s{ss} s{ss}}}", "type", "object", "required", "can_handle",
                  "properties", "can_handle", "type", "boolean", "reason", "type", "string");
    AUTO(freep)
    char *question = xasprintf("Can you handle this task? Do not carry it out. Answer as JSON: "
                               "{\"can_handle\": true or false, \"reason\": one sentence}.\n\nThe "
                               "task:\n%s",
                               c->task->message);
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) {
        const struct node *peer = c->graph->nodes[i];
        if (!control_is_model(c, peer))
            continue;
        AUTO(freep) char *name = xasprintf("%s.offer", peer->id);
        p->asked[n++].ask = (struct ask){.member = peer,
                                         .name = control_name_apart(c, name),
                                         .message = question,
                                         .output_schema = schema};
    }
    control_ask_all(c, p->asked, n, (struct ask_how){0});
    for (size_t i = 0, k = 0; i < p->n; i++) {
        const struct node *peer = c->graph->nodes[i];
        bool able = true;
        if (k < n && p->asked[k].ask.member == peer)
            PASS(offer_read(p, &p->asked[k++], &able));
        if (able)
            vec_push(&p->able, peer);
    }
    asked_reset(p);
    if (p->able.len)
        return NULL;
    struct err *failed = control_failure(c);
    return failed
               ? failed
               : FAIL(ERR_INVALID, "none of the %zu agents says that it can handle the task", p->n);
}

/* ---- they do, and one makes a whole of it ---------------------------------- */

static struct err *
all_do(struct peers *p)
{
    for (size_t i = 0; i < p->able.len; i++)
        p->asked[i].ask = (struct ask){.member = p->able.at[i], .name = xstrdup(p->able.at[i]->id)};
    control_ask_all(p->control, p->asked, p->able.len, (struct ask_how){0});
    for (size_t i = 0; i < p->able.len; i++) {
        p->answered += !p->asked[i].error;
        struct err *e = STEAL(p->asked[i].error);
        if (!e)
            continue;
        PASS(control_tolerate(p->control, e));
        p->asked[i].ask.member = NULL;
    }
    return p->answered ? NULL : control_failure(p->control);
}

static void
answers_add(const struct peers *p, struct str *to, const char *between)
{
    size_t len = to->len;
    for (size_t i = 0; i < p->able.len; i++) {
        const struct asked *a = &p->asked[i];
        if (a->ask.member)
            str_addf(to, "%s[%s]:%s%s", to->len > len ? "\n\n" : "", a->ask.member->id, between,
                     reply_text(&a->reply));
    }
}

static struct err *
peers_control(struct control *c, struct reply *ret_reply)
{
    AUTO(peers_fini) struct peers p;
    AUTO(str_fini) struct str text = STR_INIT;
    PASS(peers_init(&p, c));
    PASS(who_can(&p));
    PASS(all_do(&p));
    if (p.n == c->graph->nnodes) {
        answers_add(&p, &text, " ");
        reply_set_text(ret_reply, str_c(&text), text.len);
        return NULL;
    }
    str_addf(&text, "Original Request: %s\n\n--- Agent Responses ---\n\n", c->task->message);
    answers_add(&p, &text, "\n");
    const struct node *synthesizer = c->graph->nodes[p.n];
    struct ask ask = {.member = synthesizer, .name = synthesizer->id, .message = str_c(&text)};
    return control_ask(c, &ask, ret_reply);
}

const struct kind peers_kind = {
    .name = "peers",
    .doc = "each says whether it can handle the task, those that can do, one merges",
    .roles = ROLE_WORKFLOW | ROLE_NODE,
    .params = FIELDS(
        {"agents", P_LIST, PARAM_REQUIRED | PARAM_NONEMPTY, "who is asked", .fields = WORKER_ITEM},
        {"synthesizer", P_ONE_OF, 0,
         "who merges the answers; without it they are "
         "joined",
         .fields = lower_worker_params}),
    .lower = peers_lower,
    .control = peers_control,
};
