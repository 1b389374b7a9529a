/* evaluator.c - one writes, another rates and says what to improve, until it is good enough. */
#include "engine/control_node.h"
#include "plan/lower.h"
#include <string.h>
#include <strings.h>

#define REFINEMENTS 3

static const char *const ratings[] = {"POOR", "FAIR", "GOOD", "EXCELLENT", NULL}; /* rising */
#define UNRATED (-1)

static struct err *
evaluator_lower(struct lowering *l, const json_t *def, const char *pointer)
{
    lower_turns(l);
    lower_member(l, def, pointer, "generator");
    lower_member(l, def, pointer, "evaluator");
    return NULL;
}

static int
rating_find(const char *name)
{
    for (int i = 0; ratings[i]; i++) {
        if (strcasecmp(ratings[i], name) == 0)
            return i;
    }
    return UNRATED;
}

static json_t *
rating_schema(void)
{
    json_t *names = json_array();
    for (int i = 0; ratings[i]; i++)
        json_array_append_new(names, json_string(ratings[i]));
    return json_pack("{ss s[ss] s{s{ss so} s{ss ss}}}", "type", "object", "required", "rating",
                     "feedback", "properties", "rating", "type", "string", "enum", names,
                     "feedback", "type", "string", "description",
                     "what has to be better, as instructions to the writer");
}

struct draft {
    struct reply reply;
    int rating;
    char *feedback;
};

static void
draft_fini(struct draft *d)
{
    reply_fini(&d->reply);
    free(d->feedback);
    *d = (struct draft){.rating = UNRATED};
}

/* ---- writing and rating ---------------------------------------------------- */

static struct err *
draft_write(struct control *c, unsigned i, const struct draft *before, struct draft *ret)
{
    const struct node *generator = c->graph->nodes[0];
    AUTO(freep) char *name = xasprintf("%s[%u]", generator->id, i);
    AUTO(freep) char *message = NULL;
    struct ask ask = {.member = generator, .name = name, .index = i + 1};
    if (i) {
        const char *more = json_str(c->def, "refinement_instruction", "");
        message = xasprintf(
            "The request:\n%s\n\nYour last answer, rated %s:\n%s\n\nWhat has to be "
            "better:\n%s\n\n%s%sWrite the whole answer again, improved.",
            c->task->message, before->rating == UNRATED ? "not at all" : ratings[before->rating],
            reply_text(&before->reply), before->feedback, more, *more ? "\n\n" : "");
        ask.message = message;
    }
    return control_ask(c, &ask, &ret->reply);
}

/* An evaluator that is no model may answer with the bare rating. */
static void
rating_read(const struct reply *reply, struct draft *d)
{
    const json_t *output = reply->output;
    AUTO(json_freep)
    json_t *parsed = json_is_string(output) ? json_loads(json_string_value(output), 0, NULL) : NULL;
    if (parsed)
        output = parsed;
    d->rating =
        rating_find(json_is_object(output) ? json_str(output, "rating", "") : reply_text(reply));
    const char *said = json_is_object(output) ? json_str(output, "feedback", "")
                       : d->rating == UNRATED ? reply_text(reply)
                                              : "";
    d->feedback = xstrdup(said);
}

static struct err *
draft_rate(struct control *c, unsigned i, struct draft *d)
{
    const struct node *evaluator = c->graph->nodes[1];
    AUTO(freep) char *name = xasprintf("%s[%u]", evaluator->id, i);
    AUTO(json_freep) json_t *schema = rating_schema();
    AUTO(reply_fini) struct reply reply = {0};
    AUTO(freep)
    char *message = xasprintf(
        "Rate this answer: POOR, FAIR, GOOD or EXCELLENT, and say what has to be better.\n\nThe "
        "request:\n%s\n\nThe answer:\n%s\n\nReply as JSON: {\"rating\": ..., \"feedback\": ...}.",
        c->task->message, reply_text(&d->reply));
    struct ask ask = {.member = evaluator,
                      .name = name,
                      .index = i + 1,
                      .message = message,
                      .output_schema = schema};
    struct err *e = control_ask(c, &ask, &reply);
    if (e && err_kind(e) != ERR_INVALID)
        return e;
    if (e) { /* it said something, but no rating */
        d->feedback = err_text(e);
        err_free(e);
    } else {
        rating_read(&reply, d);
    }
    if (d->rating == UNRATED)
        control_note(c, "evaluator.unrated", json_pack("{si}", "attempt", (int)i + 1));
    return NULL;
}

static void
best_take(struct draft *best, const struct draft *d)
{
    reply_fini(&best->reply);
    best->rating = d->rating;
    best->reply = (struct reply){.output = json_incref(d->reply.output)};
    best->reply.text = d->reply.text ? xstrdup(d->reply.text) : NULL;
}

static struct err *
evaluator_control(struct control *c, struct reply *ret_reply)
{
    const int enough = rating_find(json_str(c->def, "min_rating", "GOOD"));
    const unsigned max = (unsigned)json_int(c->def, "max_refinements", REFINEMENTS);
    AUTO(draft_fini) struct draft best = {.rating = UNRATED};
    AUTO(draft_fini) struct draft last = {.rating = UNRATED};
    for (unsigned i = 0; i <= max; i++) {
        AUTO(draft_fini) struct draft next = {.rating = UNRATED};
        struct err *e = draft_write(c, i, &last, &next);
        if (!e)
            e = draft_rate(c, i, &next);
        const bool failed = e != NULL;
        if (e && (i || next.reply.output)) /* there is a draft to go on with */
            e = control_tolerate(c, e);
        PASS(e);
        if (i == 0 || next.rating > best.rating)
            best_take(&best, &next);
        draft_fini(&last);
        last = next;
        next = (struct draft){.rating = UNRATED};
        if (failed || last.rating >= enough)
            break;
    }
    control_note(c, "evaluator.finished",
                 json_pack("{ss sb}", "rating", best.rating < 0 ? "none" : ratings[best.rating],
                           "reached", best.rating >= enough));
    *ret_reply = best.reply;
    best.reply = (struct reply){0};
    return NULL;
}

const struct kind evaluator_kind = {
    .name = "evaluator_optimizer",
    .doc = "one writes, another rates and says what to improve, until it is good enough",
    .roles = ROLE_WORKFLOW | ROLE_NODE,
    .params =
        FIELDS({"generator", P_ONE_OF, PARAM_REQUIRED, "who writes", .fields = lower_worker_params},
               {"evaluator", P_ONE_OF, PARAM_REQUIRED, "who rates", .fields = lower_worker_params},
               {"min_rating", P_ENUM, 0, "good enough (default GOOD)",
                .choices = NAMES("POOR", "FAIR", "GOOD", "EXCELLENT")},
               {"max_refinements", P_INT, 0, "times it is written again at most", .max = 1000,
                .def = REFINEMENTS},
               {"refinement_instruction", P_STRING, 0, "how to improve, for the writer"}),
    .lower = evaluator_lower,
    .control = evaluator_control,
};
