/* batchgather_test.c - who waits for whom before a batch is sent, and what is remembered of
 * batches. */
#include "llm/batchcore.h"
#include "llm/batchworld_test.h"

/* ---- gathering
 * ----------------------------------------------------------------------------------------- */

static void
by_size_and_by_time(struct scene *s)
{
    struct member m[] = {{.id = "a"}, {.id = "b"}, {.id = "c"}, {.id = "d", .at_ms = 60}};
    members_run(s, m, 3); /* two at once, the third when it has waited */
    members_run(s, &m[3], 1);
}

static void
somebody_stays_away(struct scene *s)
{
    struct member m[] = {{.id = "a"}, {.id = "b", .only_gathers = true}};
    members_run(s, m, 2);
    struct member late[] = {{.id = "c", .not_gathered = true}, {.id = "d", .not_gathered = true}};
    members_run(s, late, 2); /* of another life: gathered as they come */
}

static void
cut_off(struct scene *s)
{
    struct member m[] = {{.id = "a", .cut_ms = 50}, {.id = "b", .at_ms = 60}};
    members_run(s, m, 2); /* a leaves while it waits: b is alone */
    struct member n[] = {{.id = "c", .cut_ms = 10}, {.id = "d"}};
    members_run(s, n, 2); /* c leaves when it is sent: it is in doubt, d has it */
    struct member o[] = {{.id = "e", .cut_ms = 1000}, {.id = "f", .only_gathers = true}};
    members_run(s, o, 2); /* e leaves while it waits for f: its item goes with it */
    err_drop(fiber_sleep(601000));
    struct member p[] = {{.id = "g"}, {.id = "h"}};
    members_run(s, p, 2); /* groups nobody came for are forgotten by now */
}

/* The first call of a group is taken back before the second one comes. */
static void
first_taken_back(struct scene *s)
{
    struct member m[] = {{.id = "a", .cut_ms = 100}, {.id = "b", .late_ms = 200}};
    members_run(s, m, 2);
}

/* Two look at once: one asks; who cannot wait for that leaves the turn to the next. */
static void
impatient_look(void *arg)
{
    struct member *m = arg;
    const struct batch_item item = {.profile = &m->s->profile, .batching = &m->s->batching};
    bool ended = false;
    if (m->at_ms)
        err_drop(fiber_sleep(m->at_ms));
    struct err *e =
        llm_batch_ended(m->s->llm, &item, "b1", rt_after(m->cut_ms ? m->cut_ms : 60000), &ended);
    scene_say(m->s, m->id, e, ended ? "ended" : "goes on");
}

static void
look_together(struct scene *s)
{
    struct member m[] = {
        {.id = "a"}, {.id = "b", .at_ms = 1, .cut_ms = 5}, {.id = "c", .at_ms = 2}};
    struct scope scope;
    scope_open(&scope, DEADLINE_NONE);
    for (size_t i = 0; i < COUNT(m); i++) {
        m[i].s = s;
        scope_spawn(&scope, "look", impatient_look, &m[i]);
    }
    err_drop(scope_close(&scope));
}

/* A profile that has no endpoint is told so, whatever was recorded of it in another life. */
static void
without_endpoint(struct scene *s)
{
    bool ended;
    struct member m = {.s = s, .id = "a", .not_gathered = true};
    s->profile.url = "http://x/v1/chat";
    const struct batch_item item = {.profile = &s->profile, .batching = &s->batching};
    scene_say(s, "look", llm_batch_ended(s->llm, &item, "b1", rt_after(10), &ended), "");
    members_run(s, &m, 1);
}

static void
gathering(void **state)
{
    (void)state;
#define TAKEN .rules = { {"POST /v1/messages/batches", "{'id':'mb_1'}", .delay_ms = 20} }
    static const struct row rows[] = {
        {"together",
         {.provider = "anthropic",
          .play = look_together,
          .rules = {{"GET /v1/messages/batches/b1", "{'processing_status':'in_progress'}",
                     .delay_ms = 20}}},
         "GET /v1/messages/batches/b1 @0\n"
         "b: timeout: waiting for a look at batch 'b1': timed out @6\n"
         "a: goes on @20\n"
         "c: goes on @20\n"},
        {"without an endpoint",
         {.provider = "openai", .play = without_endpoint},
         "look: invalid: 'openai' has no endpoint for batches @0\n"
         "a: invalid: 'openai' has no endpoint for batches @0\n"},
        {"by size and by time",
         {.provider = "anthropic", .play = by_size_and_by_time, TAKEN},
         "POST /v1/messages/batches @1\n"
         "b: mb_1 @21\n"
         "a: mb_1 @21\n"
         "POST /v1/messages/batches @102\n"
         "c: mb_1 @122\n"
         "POST /v1/messages/batches @282\n"
         "d: mb_1 @302\n"},
        {"somebody stays away",
         {.provider = "anthropic", .play = somebody_stays_away, TAKEN},
         "b: cancelled: it goes away @1\n"
         "POST /v1/messages/batches @5001\n"
         "a: mb_1 @5021\n"
         "POST /v1/messages/batches @5022\n"
         "c: mb_1 @5042\n"
         "d: mb_1 @5042\n"},
        {"the first is taken back",
         {.provider = "anthropic", .play = first_taken_back, TAKEN},
         "a: timeout: submitting its batch: timed out @100\n"
         "POST /v1/messages/batches @5201\n"
         "b: mb_1 @5221\n"},
        {"cut off",
         {.provider = "anthropic", .play = cut_off, TAKEN},
         "a: timeout: waiting for other calls of its batch: timed out @50\n"
         "POST /v1/messages/batches @160\n"
         "b: mb_1 @180\n"
         "POST /v1/messages/batches @181\n"
         "c: timeout?: submitting its batch: timed out @190\n"
         "d: mb_1 @201\n"
         "f: cancelled: it goes away @202\n"
         "e: timeout: submitting its batch: timed out @1201\n"
         "POST /v1/messages/batches @602202\n"
         "g: mb_1 @602222\n"
         "h: mb_1 @602222\n"},
    };
    rows_check(rows, COUNT(rows));
}

/* ---- limits -----------------------------------------------------------------------------------*/

static void
looks_at(struct scene *s, const char *const *names, size_t n)
{
    const struct batch_item item = {.profile = &s->profile, .batching = &s->batching};
    for (size_t i = 0; i < n; i++) {
        bool ended = false;
        struct err *e = llm_batch_ended(s->llm, &item, names[i], rt_after(90000), &ended);
        const int64_t after = e ? err_retry_after_ms(e) : -1;
        if (after >= 0)
            str_addf(&s->log, "after %d: ", (int)after);
        scene_say(s, names[i], e, ended ? "ended" : "goes on");
    }
}

static void
told_to_wait(struct scene *s)
{
    static const char *const names[] = {"b1", "b2"};
    struct member m[] = {{.id = "a", .not_gathered = true}, {.id = "b", .not_gathered = true}};
    looks_at(s, names, 2); /* the second is not sent */
    members_run(s, m, 2);  /* nor is a submission */
    err_drop(fiber_sleep(7000));
    looks_at(s, names, 2);
}

static void
so_many_a_minute(struct scene *s)
{
    static const char *const names[] = {"b1", "b2", "b3", "b4", "b5", "b6"};
    s->batching.rpm = 2;
    looks_at(s, names, 4);
    s->batching.rpm = 3; /* another limit is another count */
    looks_at(s, names + 4, 1);
    s->batching.rpm = 2;
    const struct batch_item item = {.profile = &s->profile, .batching = &s->batching};
    bool ended;
    scene_say(s, "b6", llm_batch_ended(s->llm, &item, "b6", rt_after(100), &ended), "");
}

static void
limits(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"told to wait",
         {.provider = "anthropic",
          .play = told_to_wait,
          .rules = {{"GET /v1/messages/batches/b1", "{}", .status = 429, .times = 1,
                     .retry_after = "7"},
                    {"GET /v1/messages/batches/", "{'processing_status':'ended'}"}}},
         "GET /v1/messages/batches/b1 @0\n"
         "after 7000: b1: limit: looking at batch 'b1': anthropic limits requests to model 'm' "
         "(429) @0\n"
         "after 7000: b2: limit: looking at batch 'b2': anthropic takes no requests about batches "
         "for 7 s (it asked for that) @0\n"
         "a: limit: submitting a batch of 2 calls: anthropic takes no requests about batches for 7 "
         "s (it asked for that) @1\n"
         "b: limit: submitting a batch of 2 calls: anthropic takes no requests about batches for 7 "
         "s (it asked for that) @1\n"
         "GET /v1/messages/batches/b1 @7001\n"
         "b1: ended @7001\n"
         "GET /v1/messages/batches/b2 @7001\n"
         "b2: ended @7001\n"},
        {"so many a minute",
         {.provider = "anthropic",
          .play = so_many_a_minute,
          .rules = {{"GET /v1/messages/batches/", "{'processing_status':'ended'}"}}},
         "GET /v1/messages/batches/b1 @0\n"
         "b1: ended @0\n"
         "GET /v1/messages/batches/b2 @0\n"
         "b2: ended @0\n"
         "GET /v1/messages/batches/b3 @60000\n"
         "b3: ended @60000\n"
         "GET /v1/messages/batches/b4 @60000\n"
         "b4: ended @60000\n"
         "GET /v1/messages/batches/b5 @60000\n"
         "b5: ended @60000\n"
         "b6: limit: looking at batch 'b6': anthropic takes no requests about batches for 60 s "
         "(rpm of its batches) @60000\n"},
    };
    rows_check(rows, COUNT(rows));
}

static void
many_batches(struct scene *s)
{
    const struct batch_item item = {.profile = &s->profile, .batching = &s->batching};
    for (int i = 0; i < 100; i++) {
        bool ended;
        char name[8];
        snprintf(name, sizeof name, "b%d", i % 70);
        struct err *e = llm_batch_ended(s->llm, &item, name, rt_after(5000), &ended);
        if (e)
            scene_say(s, name, e, "");
    }
    struct str seen = s->log;
    int asked = 0;
    for (const char *at = str_c(&seen); (at = strstr(at, "GET ")); at++)
        asked++;
    str_reset(&s->log);
    str_addf(&s->log, "asked %d times\n", asked);
    bool ended;
    struct err *e = llm_batch_ended(s->llm, &item, "../x", rt_after(5000), &ended);
    scene_say(s, "a name", e, "");
}

static void
forgetting(void **state)
{
    (void)state;
    struct scene s = {.provider = "anthropic",
                      .play = many_batches,
                      .rules = {{"GET /v1/messages/batches/", "{'processing_status':'ended'}"}}};
    scene_check(&s, "many",
                "asked 100 times\n"
                "a name: transient: anthropic sent a garbled answer: it names no batch @0\n");
}

static void
two_in_turn(struct scene *s)
{
    static const char *const names[] = {"b1", "b2", "b2", "b1"};
    struct member m = {.s = s, .id = "a"};
    llm_batches(s->llm)->kept_max = 100; /* one of them fits */
    for (size_t i = 0; i < COUNT(names); i++)
        member_take(&m, names[i]);
}

static void
results_kept(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"two in turn",
         {.provider = "anthropic",
          .play = two_in_turn,
          .rules = {{"GET /v1/messages/batches/b1/results",
                     "{'custom_id':'a','result':{'type':'expired','because':'it is long'}}"},
                    {"GET /v1/messages/batches/b2/results",
                     "{'custom_id':'a','result':{'type':'expired','because':'it is long'}}"},
                    {"GET /v1/messages/batches/", "{'processing_status':'ended'}"}}},
         "GET /v1/messages/batches/b1 @0\n"
         "GET /v1/messages/batches/b1/results @0\n"
         "a: timeout: the provider did not come to it within its time @0\n"
         "GET /v1/messages/batches/b2 @0\n"
         "GET /v1/messages/batches/b2/results @0\n"
         "a: timeout: the provider did not come to it within its time @0\n"
         "a: timeout: the provider did not come to it within its time @0\n"
         "GET /v1/messages/batches/b1/results @0\n"
         "a: timeout: the provider did not come to it within its time @0\n"},
    };
    rows_check(rows, COUNT(rows));
}

/* ---- what is wanted
 * --------------------------------------------------------------------------------------- */

static void
wanted(void **state)
{
    (void)state;
    static const struct {
        const char *def, *want;
    } row[] = {
        {"{'provider':'openai','model':'m'}", "no"},
        {"{'provider':'openai','model':'m','batch':{}}", "10 1000 30000 1 0.5"},
        {"{'provider':'anthropic','model':'m','batch':{'size':3,'flush_interval':7}}",
         "3 7 30000 1 0.5"},
        {"{'provider':'openai','model':'m','batch':{'endpoint':false,'poll_interval':5}}",
         "10 1000 5 0 0.5"},
        {"{'provider':'openai','model':'m','base_url':'http://x','batch':{}}", "10 1000 30000 0 1"},
        {"{'provider':'openai','model':'m','base_url':'http://x','batch':{'endpoint':true}}",
         "10 1000 30000 1 1"},
        {"{'provider':'openai','model':'m','base_url':'http://x','batch':{'endpoint':true,"
         "'price_factor':0.25}}",
         "10 1000 30000 1 0.25"},
        {"{'provider':'groq','model':'m','batch':{}}", "10 1000 30000 0 1"},
        {"{'provider':'groq','model':'m','batch':{'endpoint':true}}", "10 1000 30000 1 1"},
        {"{'provider':'gemini','model':'m','batch':{}}", "10 1000 30000 1 0.5"},
        {"{'provider':'gemini','model':'m','batch':{'price_factor':1}}", "10 1000 30000 1 1"},
        {"{'provider':'ollama','model':'m','batch':{}}", "10 1000 30000 0 1"},
        {"{'provider':'ollama','model':'m','batch':{'endpoint':true}}",
         "profile 'p': 'ollama' has no endpoint for batches that is known; leave out 'endpoint', "
         "and "
         "gathered calls are sent one by one"},
    };
    struct llm *llm;
    assert_ok(llm_new(NULL, &llm));
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(json_freep) json_t *def = json_of(row[i].def);
        AUTO(freep) char *text = NULL;
        struct llm_profile p;
        struct batching b;
        bool yes = false;
        assert_ok(llm_profile_read("p", def, &p));
        struct err *e = llm_batching(llm, &p, def, &b, &yes);
        if (e)
            text = err_text(e);
        else if (yes)
            text = xasprintf("%u %d %d %d %g", b.size, (int)b.flush_ms, (int)b.poll_ms, b.endpoint,
                             b.price_factor);
        else
            text = xstrdup("no");
        err_free(e);
        assert_string_equal(text, row[i].want);
    }
    llm_free(llm);
    static const struct {
        int64_t poll_ms;
        unsigned k;
        int64_t want;
    } wait[] = {{30000, 0, 30000},
                {30000, 1, 45000},
                {30000, 2, 67500},
                {30000, 20, 600000},
                {30000, 400, -1},
                {3600000, 0, 3600000},
                {3600000, 5, 3600000},
                {3600000, 50, 3600000},
                {3600000, 51, -1},
                {1, 0, 1},
                {1, 1, 2},
                {1, 8, 28},
                {4, 2, 9}};
    for (size_t i = 0; i < COUNT(wait); i++)
        assert_int_equal(
            llm_batch_wait_ms(&(struct batching){.poll_ms = wait[i].poll_ms}, wait[i].k),
            wait[i].want);
}

TESTS(batchgather_test, cmocka_unit_test(gathering), cmocka_unit_test(forgetting),
      cmocka_unit_test(limits), cmocka_unit_test(results_kept), cmocka_unit_test(wanted))
