/* history_test.c - conversations in the store: long ones, damaged ones, and a store that takes no
 * more. An agent that says how much it remembers. */
#include "engine/enginetest.h"
#include "engine/talk/history.h"
#include "engine/tell.h"
#include <stdio.h>

static struct err *
recalls_run(struct host *h, const struct task *t, struct reply *ret)
{
    AUTO(json_freep) json_t *before = NULL;
    PASS(h->ops->recall(h, &before));
    const size_t n = json_array_size(before);
    const char *last = n ? json_str(json_array_get(before, n - 1), "user", "?") : "nothing";
    AUTO(freep) char *text = xasprintf("%zu, the last: %s", n, last);
    reply_set_text(ret, text, strlen(text));
    return h->ops->remember(h, json_pack("{ss ss}", "user", t->message, "assistant", text));
}

const struct kind recalls_kind = {.name = "recalls", .roles = ROLE_AGENT, .run = recalls_run};

static struct run *
say(struct scene *s, const char *text, const char *conversation)
{
    AUTO(json_freep) json_t *value = json_string(text);
    struct flow *f = NULL;
    struct run *r = NULL;
    bool existing;
    struct err *e = flow_of(s, "recall", &f);
    if (!e)
        e = engine_start(
            s->e, &(struct run_request){.flow = f, .input = value, .conversation = conversation},
            &r, &existing);
    flow_unref(f);
    if (e)
        note(s, "start", e);
    return r;
}

struct counting {
    size_t n, damaged;
};

static struct err *
count(void *ctx, const struct conversation_row *row)
{
    struct counting *c = ctx;
    c->n++;
    c->damaged += !row->exchange;
    return NULL;
}

static void
counted(struct scene *s, const struct conversation_filter *f)
{
    struct counting c = {0};
    struct err *e = engine_conversations(s->e, f, count, &c);
    str_addf(&s->out, "kept %zu, damaged %zu\n", c.n, c.damaged);
    err_free(e);
}

/* Somebody who talks for years: the last are shown, the oldest are let go of. */
static void
years(struct scene *s)
{
    const struct conversation_filter all = {0};
    for (int i = 0; i < 1100; i++) {
        char key[64], body[64];
        snprintf(key, sizeof key, "history/ann/recall/who/%012x-x", i);
        snprintf(body, sizeof body, "1{\"user\":\"%d\",\"assistant\":\"yes\"}", i);
        err_drop(store_kv_put(s->store, key, body, strlen(body)));
    }
    counted(s, &all);
    finish(s, say(s, "hello", "ann"));
    counted(s, &all);
    finish(s, say(s, "again", "ann"));
    finish(s, say(s, "hello", "bob"));
}

static void
long_talk(void **state)
{
    (void)state;
    scene(years, "kept 1100, damaged 0\n"
                 "wait: ok\n"
                 "completed 50, the last: 1099 ! -\n"
                 "  who completed 50, the last: 1099 ! -\n"
                 "kept 501, damaged 0\n"
                 "wait: ok\n"
                 "completed 50, the last: hello ! -\n"
                 "  who completed 50, the last: hello ! -\n"
                 "wait: ok\n"
                 "completed 0, the last: nothing ! -\n"
                 "  who completed 0, the last: nothing ! -\n");
}

/* What cannot be read is left out; what is nobody's is passed over. */
static void
damage(struct scene *s)
{
    static const char *const keys[] = {"history/ann/recall/who/1",   "history/ann/recall/who/2",
                                       "history/ann/recall/who/3",   "history/stray",
                                       "history/ann/recall/who/4/5", "history/a%2fb/c/d/e%4"};
    static const char *const bodies[] = {"1{\"user\":\"one\"}", "2{}", "1{", "1{}", "1{}", "1{}"};
    const struct conversation_filter all = {0}, ann = {.conversation = "ann", .who = "who"},
                                     none = {.workflow = "other"}, slash = {.conversation = "a/b"};
    size_t n = 0;
    for (size_t i = 0; i < COUNT(keys); i++)
        err_drop(store_kv_put(s->store, keys[i], bodies[i], strlen(bodies[i])));
    finish(s, say(s, "hello", "ann"));
    counted(s, &all);
    counted(s, &ann);
    counted(s, &none);
    note(s, "forget", engine_forget_said(s->e, &slash, &n));
    str_addf(&s->out, "%zu\n", n);
    note(s, "forget", engine_forget_said(s->e, &ann, &n));
    str_addf(&s->out, "%zu\n", n);
    counted(s, &all);
}

static void
damaged(void **state)
{
    (void)state;
    scene(damage, "wait: ok\n"
                  "completed 2, the last: ? ! -\n"
                  "  who completed 2, the last: ? ! -\n"
                  "kept 5, damaged 2\n"
                  "kept 4, damaged 2\n"
                  "kept 0, damaged 0\n"
                  "forget: ok\n1\n"
                  "forget: ok\n4\n"
                  "kept 0, damaged 0\n");
}

static bool
takes(void *ctx, int64_t n, bool after)
{
    int64_t *left = ctx;
    (void)n;
    if (!after)
        --*left;
    return *left >= 0;
}

/* The disk is full when the exchange is kept: the run stays as it is committed. */
static void
full(struct scene *s)
{
    const struct conversation_filter all = {0};
    int64_t left = 0;
    struct run *r = say(s, "hello", "ann");
    store_on_commit(s->store, takes, &left);
    finish(s, r);
    store_on_commit(s->store, NULL, NULL);
    counted(s, &all);
}

static void
no_room(void **state)
{
    (void)state;
    scene(full, "wait: keeping what was said in the conversation 'ann': the store was stopped at "
                "commit 1\n"
                "running - ! -\n"
                "kept 0, damaged 0\n");
}

/* Inputs for what is no session, and names that are none. */
static void
refusals(struct scene *s)
{
    char *busy = NULL;
    struct run *r = say(s, "x", "");
    str_addf(&s->out, "%s\n", r ? "started" : "refused");
    r = say(s, "x", NULL);
    AUTO(freep) char *id = r ? xstrdup(run_id(r)) : NULL;
    finish(s, r);
    note(s, "send", engine_send(s->e, "nowhere", "x", &busy));
    note(s, "send", engine_send(s->e, id, "x", &busy));
}

static void
refused(void **state)
{
    (void)state;
    scene(refusals, "start: a conversation's name has 1 to 128 bytes, not 0\n"
                    "refused\n"
                    "wait: ok\n"
                    "completed 0, the last: nothing ! -\n"
                    "  who completed 0, the last: nothing ! -\n"
                    "send: there is no run 'nowhere'\n"
                    "send: the run '' has ended: completed\n");
}

TESTS(history_test, cmocka_unit_test(long_talk), cmocka_unit_test(damaged),
      cmocka_unit_test(no_room), cmocka_unit_test(refused))
