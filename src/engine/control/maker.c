/* maker.c - certainty by voting: the same question again and again, until one answer is k votes
 * ahead of every other.
 *
 * First-to-ahead-by-k voting with red flags, as in "Solving a Million-Step LLM Task with Zero
 * Errors" (Meyerson et al., 2025): an answer that is too long or broken is a sign of confusion and
 * has no vote. */
#include "base/vec.h"
#include "engine/control_node.h"
#include "plan/lower.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define AHEAD   3
#define SAMPLES 50

struct candidate {
    char *key;
    unsigned votes;
    struct reply reply; /* the first that said so */
};

struct poll {
    struct control *control;
    VEC(struct candidate) candidates;
    unsigned asked, flagged;
    struct err *last; /* why the last broken one was */
};

static void
poll_fini(struct poll *p)
{
    vec_each (&p->candidates, one) {
        free(one->key);
        reply_fini(&one->reply);
    }
    vec_fini(&p->candidates);
    err_free(p->last);
}

static struct err *
maker_lower(struct lowering *l, const json_t *def, const char *pointer)
{
    lower_turns(l);
    lower_member(l, def, pointer, "worker");
    return NULL;
}

/* ---- when are two answers the same? ---------------------------------------- */

/* Case, blanks and punctuation around words do not count. */
static char *
normalized(const char *text)
{
    struct str s = STR_INIT;
    bool gap = false;
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (isspace(*p) || (ispunct(*p) && !isalnum(p[1]))) {
            gap = s.len > 0;
            continue;
        }
        if (gap)
            str_addc(&s, ' ');
        gap = false;
        str_addc(&s, (char)tolower(*p));
    }
    return str_steal(&s);
}

static char *
structured(const struct reply *r)
{
    AUTO(json_freep) json_t *parsed = NULL;
    if (json_is_string(r->output))
        parsed = json_loads(json_string_value(r->output), JSON_DECODE_ANY, NULL);
    return json_canonical(parsed ? parsed : r->output);
}

static char *
key_of(const struct poll *p, const struct reply *r)
{
    const char *strategy = json_str(p->control->def, "match_strategy", "exact");
    if (strcmp(strategy, "normalized") == 0)
        return normalized(reply_text(r));
    if (strcmp(strategy, "structured") == 0)
        return structured(r);
    return xstrdup(reply_text(r));
}

/* ---- voting ---------------------------------------------------------------- */

static bool
red_flag(const struct poll *p, const struct reply *r)
{
    const size_t max = (size_t)json_int(p->control->def, "red_flag_max_length", INT32_MAX);
    const char *text = reply_text(r);
    return strlen(text) > max || text[strspn(text, " \t\r\n")] == '\0';
}

static void
vote(struct poll *p, struct reply *r)
{
    AUTO(freep) char *key = key_of(p, r);
    vec_each (&p->candidates, one) {
        if (strcmp(one->key, key) == 0) {
            one->votes++;
            return;
        }
    }
    struct candidate one = {.key = STEAL(key), .votes = 1, .reply = *r};
    *r = (struct reply){0};
    vec_push(&p->candidates, one);
}

/* Of equals the one that was there first. *ret_lead: votes ahead of the next. */
static struct candidate *
leader(struct poll *p, unsigned *ret_lead)
{
    struct candidate *first = NULL;
    unsigned second = 0;
    vec_each (&p->candidates, one) {
        if (!first || one->votes > first->votes) {
            second = first ? first->votes : 0;
            first = one;
        } else {
            second = MAX(second, one->votes);
        }
    }
    *ret_lead = first ? first->votes - second : 0;
    return first;
}

/* So many at once as are needed at least; counted in order, so that a resumed run counts alike. */
static struct err *
ask_more(struct poll *p, unsigned n)
{
    struct asked *asked = xcalloc(n, sizeof *asked);
    const struct node *worker = p->control->graph->nodes[0];
    struct err *stop = NULL;
    for (unsigned i = 0; i < n; i++)
        asked[i].ask = (struct ask){.member = worker,
                                    .name = xasprintf("%s[%u]", worker->id, p->asked + i),
                                    .index = p->asked + i + 1};
    control_ask_all(p->control, asked, n, (struct ask_how){0});
    for (unsigned i = 0; i < n; i++) {
        struct err *e = asked[i].error;
        if (e && (stop || control_unanswered(e))) { /* a wrong key does not get right by asking */
            err_free(p->last);
            p->last = e;
            p->flagged++;
        } else if (e) {
            stop = e;
        } else if (red_flag(p, &asked[i].reply)) {
            p->flagged++;
        } else {
            vote(p, &asked[i].reply);
        }
        reply_fini(&asked[i].reply);
        free((char *)(uintptr_t)asked[i].ask.name);
    }
    free(asked);
    p->asked += n;
    return stop;
}

static struct err *
maker_control(struct control *c, struct reply *ret_reply)
{
    AUTO(poll_fini) struct poll p = {.control = c};
    const unsigned k = (unsigned)json_int(c->def, "k", AHEAD);
    const unsigned max = (unsigned)json_int(c->def, "max_samples", SAMPLES);
    struct candidate *best = NULL;
    unsigned lead = 0;
    while (lead < k && p.asked < max) {
        PASS(ask_more(&p, MIN(k - lead, max - p.asked)));
        best = leader(&p, &lead);
    }
    control_note(c, "maker.finished",
                 json_pack("{si si si sb}", "samples", (int)p.asked, "red_flags", (int)p.flagged,
                           "votes", best ? (int)best->votes : 0, "certain", lead >= k));
    if (!best)
        return p.last ? WRAP(STEAL(p.last), "none of %u samples can be used; the last", p.asked)
                      : FAIL(ERR_INVALID, "all %u samples are red-flagged", p.asked);
    *ret_reply = best->reply;
    best->reply = (struct reply){0};
    return NULL;
}

const struct kind maker_kind = {
    .name = "maker",
    .doc = "the same question again and again, until one answer is k votes ahead",
    .roles = ROLE_WORKFLOW | ROLE_NODE,
    .params = FIELDS(
        {"worker", P_ONE_OF, PARAM_REQUIRED, "who answers", .fields = lower_worker_params},
        {"k", P_INT, 0, "votes ahead of every other answer", .min = 1, .max = 1000, .def = AHEAD},
        {"max_samples", P_INT, 0, "answers at most", .min = 1, .max = 10000, .def = SAMPLES},
        {"match_strategy", P_ENUM, 0, "when two answers are the same (default exact)",
         .choices = NAMES("exact", "normalized", "structured")},
        {"red_flag_max_length", P_INT, 0, "bytes; longer answers have no vote", .min = 1,
         .max = 1e9}),
    .lower = maker_lower,
    .control = maker_control,
};
