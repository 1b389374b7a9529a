/* batchworld_test.c - the world of the batches' tests. */
#include "llm/batchworld_test.h"

/* ---- the provider
 * -------------------------------------------------------------------------------- */

void
scene_say(struct scene *s, const char *who, struct err *e, const char *text)
{
    AUTO(freep) char *why = e ? err_text(e) : NULL;
    str_addf(&s->log, "%s: ", who);
    if (e)
        str_addf(&s->log, "%s%s: %s", err_kind_name(err_kind(e)), err_in_doubt(e) ? "?" : "", why);
    else
        str_add(&s->log, text);
    str_addf(&s->log, " @%d\n", (int)rt_now_ms());
    err_free(e);
}

static const struct rule *
rule_for(struct scene *s, const char *what)
{
    for (size_t i = 0; i < COUNT(s->rules) && s->rules[i].on; i++) {
        const struct rule *r = &s->rules[i];
        if (!str_starts(what, r->on) || (r->times && s->used[i] >= r->times))
            continue;
        s->used[i]++;
        return r;
    }
    return NULL;
}

static void
provide(void *ctx, struct sim_http *x)
{
    struct scene *s = ctx;
    const struct http_req *req = sim_http_req(x);
    AUTO(freep) char *what = xasprintf("%s %s", req->method, strstr(req->url, "/v1"));
    const struct rule *r = rule_for(s, what);
    str_addf(&s->log, "%s @%d\n", what, (int)rt_now_ms());
    if (s->bodies) {
        for (size_t i = 0; i < req->nheaders; i++)
            str_addf(&s->log, "  %s: %s\n", req->headers[i].name, req->headers[i].value);
        str_addf(&s->log, "  %.*s\n", (int)req->body_len, (const char *)req->body);
    }
    if (!r) {
        sim_http_begin(x, 404, NULL, 0);
        return;
    }
    if (r->delay_ms)
        err_drop(fiber_sleep(r->delay_ms));
    if (r->drop) {
        sim_http_drop(x);
        return;
    }
    AUTO(freep) char *body = quoted(r->body ? r->body : "{}");
    const struct http_header after = {"Retry-After", r->retry_after};
    sim_http_begin(x, r->status ? r->status : 200, &after, r->retry_after ? 1 : 0);
    sim_http_send(x, body, strlen(body));
}

static void
scene_main(void *arg)
{
    struct scene *s = arg;
    bool wanted;
    AUTO(freep)
    char *def = xasprintf("{'provider':'%s','model':'m','api_key':'sk-1','base_url':'http://x%s',"
                          "'batch':{'size':2,'flush_interval':100,'poll_interval':1000,"
                          "'endpoint':true},'price':{'input':1,'output':2}}",
                          s->provider,
                          strcmp(s->provider, "openai") == 0   ? "/v1"
                          : strcmp(s->provider, "gemini") == 0 ? "/v1beta"
                                                               : "");
    s->def = json_of(def);
    sim_on_http(provide, s);
    struct err *e = llm_new(NULL, &s->llm);
    if (!e)
        e = llm_profile_read("p", s->def, &s->profile);
    if (!e)
        e = llm_batching(s->llm, &s->profile, s->def, &s->batching, &wanted);
    if (e)
        scene_say(s, "beginning", e, "");
    else
        s->play(s);
    llm_free(s->llm);
    json_decref(s->def);
}

void
scene_check(struct scene *s, const char *name, const char *want)
{
    struct rt *rt;
    assert_ok(rt_open(&(struct rt_opts){.simulated = true, .seed = 1}, &rt));
    rt_run(rt, scene_main, s);
    rt_close(rt);
    if (strcmp(str_c(&s->log), want) != 0)
        print_error("--- %s\n%s", name, str_c(&s->log));
    assert_string_equal(str_c(&s->log), want);
    str_fini(&s->log);
}

/* ---- its users
 * ------------------------------------------------------------------------------------ */

static const char HELLO[] = "[{'role':'user','content':[{'type':'text','text':'hello'}]}]";

static struct llm_request
request_of(json_t **messages)
{
    *messages = json_of(HELLO);
    return (struct llm_request){.messages = *messages};
}

void
member_take(struct member *m, const char *batch)
{
    struct scene *s = m->s;
    AUTO(json_freep) json_t *messages = NULL;
    AUTO(str_fini) struct str outcome = STR_INIT;
    struct llm_request req = request_of(&messages);
    struct llm_reply reply = {0};
    const struct batch_item item = {&s->profile, &req, &s->batching, m->id, 0};
    struct err *e = llm_batch_take(s->llm, &item, batch, rt_after(60000), &reply);
    if (!e)
        outcome_of(&outcome, NULL, &reply);
    scene_say(s, m->id, e, str_c(&outcome));
    llm_reply_fini(&reply);
}

static struct err *
member_submit(struct member *m, char **ret_batch)
{
    struct scene *s = m->s;
    AUTO(json_freep) json_t *messages = NULL;
    struct llm_request req = request_of(&messages);
    struct batch_item item = {&s->profile, &req, &s->batching, m->id, 0};
    if (!m->not_gathered)
        PASS(llm_gather(s->llm, &s->profile, &s->batching, rt_after(60000), &item.group));
    if (m->late_ms)
        PASS(fiber_sleep(m->late_ms));
    if (m->only_gathers)
        return FAIL(ERR_CANCELLED, "it goes away");
    return llm_batch_submit(s->llm, &item, rt_after(60000), ret_batch);
}

static void
member_run(void *arg)
{
    struct member *m = arg;
    char *batch = NULL;
    if (m->at_ms)
        err_drop(fiber_sleep(m->at_ms));
    struct err *e = member_submit(m, &batch);
    scene_say(m->s, m->id, e, batch ? batch : "");
    snprintf(m->batch, sizeof m->batch, "%s", batch ? batch : "");
    free(batch);
}

static void
member_main(void *arg)
{
    struct member *m = arg;
    struct scope scope;
    scope_open(&scope, m->cut_ms ? rt_after(m->cut_ms) : DEADLINE_NONE);
    scope_spawn(&scope, "member", member_run, m);
    err_drop(scope_close(&scope));
}

void
members_run(struct scene *s, struct member *m, size_t n)
{
    struct scope scope;
    scope_open(&scope, DEADLINE_NONE);
    for (size_t i = 0; i < n; i++) {
        m[i].s = s;
        m[i].at_ms = m[i].at_ms ? m[i].at_ms : (int)i; /* in this order */
        scope_spawn(&scope, "member", member_main, &m[i]);
    }
    err_drop(scope_close(&scope));
}

void
play_pair(struct scene *s)
{
    struct member m[] = {{.id = "a"}, {.id = "b"}};
    members_run(s, m, 2);
}

void
play_pair_taken(struct scene *s)
{
    struct member m[] = {{.id = "a"}, {.id = "b"}};
    members_run(s, m, 2);
    for (int i = 0; i < 2; i++)
        member_take(&m[i], m[0].batch);
}

void
play_looks(struct scene *s)
{
    const struct batch_item item = {.profile = &s->profile, .batching = &s->batching};
    for (int i = 0; i < 4; i++) {
        bool ended = false;
        struct err *e = llm_batch_ended(s->llm, &item, "b1", rt_after(5000), &ended);
        scene_say(s, "look", e, ended ? "ended" : "goes on");
        err_drop(fiber_sleep(400));
    }
}

void
play_takes(struct scene *s)
{
    struct member m[] = {{.id = "a"}, {.id = "b"}, {.id = "c"}, {.id = "d"}};
    for (size_t i = 0; i < COUNT(m); i++) {
        m[i].s = s;
        member_take(&m[i], "b1");
    }
}

void
rows_check(const struct row *row, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct scene s = row[i].scene;
        scene_check(&s, row[i].name, row[i].want);
    }
}

static void
nothing(struct scene *s)
{
    scene_say(s, "here", NULL, "all is well");
}

static void
world_is_fair(void **state)
{
    (void)state;
    struct scene s = {.provider = "openai", .play = nothing};
    scene_check(&s, "nothing", "here: all is well @0\n");
}

TESTS(batchworld_test, cmocka_unit_test(world_is_fair))
