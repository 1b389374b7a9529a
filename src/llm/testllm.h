/* testllm.h - one model call in the simulated world, and what came of it as one line. */
#ifndef LLM_TESTLLM_H
#define LLM_TESTLLM_H
#include "llm/testserver.h"

struct ask { /* one call and what came of it */
    struct server *server;
    const struct fixture *f;
    struct llm *llm; /* NULL: a new one */
    int64_t deadline_ms;
    unsigned attempt;
    const char *key;
    struct str outcome, heard;
};

static UNUSED void
hear(void *ctx, const char *text, size_t n)
{
    str_addn(ctx, text, n);
}

/* "kind: text" and "retry=ms", or
 * "finish [parts] in/out cached=.. write=.. think=.. usd=.. (model id)"; zeros are left out. */
static UNUSED void
outcome_of(struct str *to, const struct err *e, const struct llm_reply *r)
{
    if (e) {
        AUTO(freep) char *text = err_text(e);
        str_addf(to, "%s: %s", err_kind_name(err_kind(e)), text);
        if (err_retry_after_ms(e) >= 0)
            str_addf(to, " retry=%d", (int)err_retry_after_ms(e));
        return;
    }
    AUTO(freep) char *parts = json_text(r->content);
    const struct llm_usage *u = &r->usage;
    str_addf(to, "%s %s %lld/%lld", llm_finish_name(r->finish), parts, (long long)u->input_tokens,
             (long long)u->output_tokens);
    if (u->cached_tokens)
        str_addf(to, " cached=%d", (int)u->cached_tokens);
    if (u->cache_write_tokens)
        str_addf(to, " write=%d", (int)u->cache_write_tokens);
    if (u->reasoning_tokens)
        str_addf(to, " think=%d", (int)u->reasoning_tokens);
    if (u->cost_known)
        str_addf(to, " usd=%.6f", u->cost_usd);
    str_addf(to, " (%s %s)", r->model ? r->model : "-", r->id ? r->id : "-");
}

static UNUSED void
ask_now(struct ask *a)
{
    AUTO(json_freep) json_t *def = json_of(a->f->profile);
    AUTO(json_freep) json_t *request = json_of(a->f->request);
    struct llm_profile p = {0};
    struct llm_reply reply = {0};
    struct llm *llm = a->llm;
    str_reset(&a->outcome);
    str_reset(&a->heard);
    if (a->server)
        sim_on_http(serve, a->server);
    struct llm_request req = {
        .messages = json_object_get(request, "messages"),
        .tools = json_object_get(request, "tools"),
        .tool_choice = json_str(request, "tool_choice", NULL),
        .output_schema = json_object_get(request, "output_schema"),
        .attempt = a->attempt,
        .key = a->key,
        .on_text = hear,
        .ctx = &a->heard,
    };
    struct err *e = llm ? NULL : llm_new(NULL, &llm);
    if (!e)
        e = llm_profile_read("fast", def, &p);
    if (!e)
        e = llm_call(llm, &p, &req, a->deadline_ms ? a->deadline_ms : rt_after(60000), &reply);
    outcome_of(&a->outcome, e, &reply);
    if (!e && strcmp(str_c(&a->heard), reply.text) != 0)
        str_addf(&a->outcome, " BUT on_text heard '%s'", str_c(&a->heard));
    if (!e)
        llm_reply_fini(&reply);
    err_free(e);
    if (!a->llm)
        llm_free(llm);
}

static UNUSED void
ask_fiber(void *arg)
{
    ask_now(arg);
}

static UNUSED void
ask_fini(struct ask *a)
{
    str_fini(&a->outcome);
    str_fini(&a->heard);
}

static UNUSED void
in_sim(void (*fn)(void *), void *arg)
{
    struct rt *rt;
    assert_ok(rt_open(&(struct rt_opts){.simulated = true, .seed = 1}, &rt));
    rt_run(rt, fn, arg);
    rt_close(rt);
}

static UNUSED void
expect(const char *name, const char *what, const char *got_plain, const char *want_single)
{
    AUTO(freep) char *want = quoted(want_single), *got = quoted(got_plain);
    if (strcmp(got, want) != 0)
        fail_msg("%s: %s\n got  %s\n want %s", name, what, got, want);
}

static UNUSED void
check_fixture(const struct fixture *f)
{
    struct server s;
    server_init(&s, f);
    struct ask a = {.server = &s, .f = f};
    in_sim(ask_fiber, &a);
    if (f->want)
        expect(f->name, "outcome", str_c(&a.outcome), f->want);
    if (f->sent)
        expect(f->name, "request", str_c(&s.sent), f->sent);
    ask_fini(&a);
    server_fini(&s);
}

#define check_fixtures(table)                                                                      \
    do {                                                                                           \
        for (size_t i_ = 0; i_ < COUNT(table); i_++)                                               \
            check_fixture(&(table)[i_]);                                                           \
    } while (0)

#endif
