/* hosted_test.c - what an agent may ask of the engine, and what those who hold a run are told. */
#include "engine/enginetest.h"
#include "rt/fiber.h"

struct crowd { /* those that an agent does at once */
    int now, most;
    char paths[5][40];
};

static struct err *
crowd_enter(struct host *child, void *arg)
{
    struct crowd *c = arg;
    c->now++;
    c->most = MAX(c->most, c->now);
    struct err *e = fiber_sleep(10);
    c->now--;
    const char *path = child->ops->path(child);
    const char *index = strchr(path, '[');
    if (!e && index && index[1] >= '0' && index[1] <= '4')
        snprintf(c->paths[index[1] - '0'], sizeof c->paths[0], " %s", path);
    return e;
}

/* More than a record of the store may have. */
static struct err *
flood_once(void *ctx, const struct step_call *call, json_t **ret_value, struct usage *usage)
{
    const size_t n = RECORD_BODY_MAX + 1;
    AUTO(freep) char *text = xmalloc(n);
    (void)ctx, (void)call, (void)usage;
    memset(text, 'x', n);
    *ret_value = json_stringn_nocheck(text, n);
    return NULL;
}

static struct err *
flood(struct host *h)
{
    AUTO(json_freep) json_t *value = NULL;
    const struct step s = {
        .name = "flood", .type = "test", .target = "sea", .effect = EFFECT_PURE, .run = flood_once};
    return h->ops->step(h, &s, &value);
}

/* Streams, does five things at most two at a time, calls who is not there; tells what came of it.
 */
static struct err *
asks_run(struct host *h, const struct task *t, struct reply *ret)
{
    struct crowd crowd = {0};
    void *args[] = {&crowd, &crowd, &crowd, &crowd, &crowd};
    struct err *errs[COUNT(args)];
    struct reply none = {0};
    AUTO(str_fini) struct str said = STR_INIT;
    if (strcmp(t->message, "flood") == 0)
        return flood(h);
    h->ops->chunk(h, CHUNK_TEXT, "streamed", 8);
    h->ops->each(h, &(struct each){.name = "item",
                                   .n = COUNT(args),
                                   .limit = 2,
                                   .fn = crowd_enter,
                                   .args = args,
                                   .ret_errs = errs});
    str_addf(&said, "%d at once:", crowd.most);
    for (size_t i = 0; i < COUNT(args); i++) {
        str_add(&said, crowd.paths[i]);
        PASS(errs[i]);
    }
    struct err *e = h->ops->call(h, "helper", "nobody", t, &none);
    AUTO(freep) char *text = e ? err_text(e) : xstrdup("called");
    str_addf(&said, "; %s", text);
    err_free(e);
    reply_fini(&none);
    reply_set_text(ret, said.p, said.len);
    return NULL;
}

const struct kind asks_kind = {.name = "asks", .roles = ROLE_AGENT, .run = asks_run};
/* An agent's questions; what it streams goes to those who listen, and nowhere without them. */
static void
asking(struct scene *s)
{
    unsigned events = 0;
    for (int listening = 0; listening < 2; listening++) {
        int who = listening ? engine_subscribe(s->e, heard, &events) : -1;
        finish(s, begin(s, "ask", "x"));
        if (listening)
            engine_unsubscribe(s->e, who);
    }
    str_addf(&s->out, "heard %u\n", events);
}

/* What a step answered is too large to be kept: it fails, and so does who asked for it. */
static void
flooding(struct scene *s)
{
    finish(s, begin(s, "ask", "flood"));
}

/* A step that is named by a value: one that is there, and one that is not. */
static void
picking(struct scene *s)
{
    static const char *const names[] = {"a", "zed"};
    for (size_t i = 0; i < COUNT(names); i++)
        finish(s, begin(s, "pick", names[i]));
}

static void
ended(void *ctx, struct run *r)
{
    struct scene *s = ctx;
    str_addf(&s->out, "ended: %d\n", run_is_over(r));
}

/* Told when it ends, or at once when it is over already. */
static void
telling(struct scene *s)
{
    struct run *r = begin(s, "main", "x"), *late = begin(s, "main", "y");
    run_on_end(r, ended, s);
    note(s, "wait", run_wait(r, DEADLINE_NONE));
    note(s, "wait", run_wait(late, DEADLINE_NONE));
    str_add(&s->out, "late\n");
    run_on_end(late, ended, s);
    run_unref(late);
    run_unref(r);
}

/* Started again by their names while they go on, in another order: each is itself. */
static void
again_by_name(struct scene *s)
{
    static const char *const names[] = {"one", "two", "three"};
    AUTO(json_freep) json_t *value = json_string("hang");
    struct flow *f = NULL;
    struct run *r[COUNT(names)] = {NULL}, *same = NULL;
    bool existing = false;
    struct err *e = flow_of(s, "send", &f);
    for (size_t i = 0; i < COUNT(names) && !e; i++) {
        const struct run_request q = {.flow = f, .run_id = names[i], .input = value};
        e = engine_start(s->e, &q, &r[i], &existing);
    }
    note(s, "start", e);
    for (size_t i = COUNT(names); i-- > 0;) {
        const struct run_request q = {.flow = f, .run_id = names[i], .input = value};
        note(s, names[i], engine_start(s->e, &q, &same, &existing));
        str_addf(&s->out, "the same: %d\n", existing && same == r[i]);
        run_unref(same);
    }
    for (size_t i = 0; i < COUNT(names); i++) {
        run_cancel(r[i]);
        note(s, "wait", run_wait(r[i], DEADLINE_NONE));
        run_unref(r[i]);
    }
    flow_unref(f);
}

#define ASKED                                                                                      \
    "2 at once: asker/item[0] asker/item[1] asker/item[2] asker/item[3] asker/item[4]; there is "  \
    "no agent "                                                                                    \
    "'nobody'"
#define ASKED_RUN                                                                                  \
    "wait: ok\n"                                                                                   \
    "completed " ASKED " ! -\n"                                                                    \
    "  asker completed " ASKED " ! -\n"                                                            \
    "  asker/helper failed - ! there is no agent 'nobody'\n"

static void
hosting(void **state)
{
    (void)state;
    scene(asking, ASKED_RUN ASKED_RUN "heard 9\n");
    scene(flooding,
          "wait: ok\n"
          "failed - ! node 'asker': what 'sea' answered is too large to be kept: a record "
          "has 64 MB at most\n"
          "  asker failed - ! what 'sea' answered is too large to be kept: a record has 64 "
          "MB at most\n");
    scene(picking, "wait: ok\n"
                   "completed a ! -\n"
                   "  a completed a ! -\n"
                   "wait: ok\n"
                   "completed no such step ! -\n"
                   "  a completed zed ! -\n");
    scene(telling, "ended: 1\n"
                   "wait: ok\n"
                   "wait: ok\n"
                   "late\n"
                   "ended: 1\n");
    scene(again_by_name, "start: ok\n"
                         "three: ok\nthe same: 1\n"
                         "two: ok\nthe same: 1\n"
                         "one: ok\nthe same: 1\n"
                         "wait: ok\nwait: ok\nwait: ok\n");
}

TESTS(hosted_test, cmocka_unit_test(hosting))
