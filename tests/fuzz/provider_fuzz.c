/* provider_fuzz.c - a provider's answer, whole and streamed, through the whole of one model call.
 *
 * The first byte selects: bits 0-1 the provider, bit 2 a stream, bit 3 that it comes in pieces, bit
 * 4 that it is a refusal, bit 5 that it says it is JSON.
 * Beyond not crashing: an answer that is taken is a valid message with calls of unique ids,
 * survives the journal, and every provider can send it back as well-formed JSON (tried for
 * every fourth answer, with all providers for every thirty-second). */
#include "base/hash.h"
#include "base/json.h"
#include "llm/llm.h"
#include "rt/fiber.h"
#include "rt/rt.h"
#include "rt/sim.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STREAM = 4, CUT = 8, REFUSED = 16, TYPED = 32 };

static const char *const providers[] = {"openai", "anthropic", "gemini", "ollama"};

struct
try {
    const uint8_t *data;
    size_t size;
    unsigned select;
    bool told;       /* an answer was taken, and is in the conversation */
    uint32_t chance; /* of these bytes: which of the costly checks are made */
};

static void
serve(void *ctx, struct sim_http *x)
{
    const struct try *t = ctx;
    const size_t step = t->select & CUT ? t->size / 7 + 1 : t->size + 1;
    const struct http_req *req = sim_http_req(x);
    if (t->told) { /* what we write is JSON, whatever we were told before */
        json_t *sent = NULL;
        struct err *e = json_parse(req->body, req->body_len, &sent);
        assert(!e);
        json_decref(sent);
        sim_http_drop(x);
        return;
    }
    static const struct http_header headers[] = {
        {"x-request-id", "r-1"}, {"retry-after", "7"}, {"content-type", "application/json"}};
    sim_http_begin(x, t->select & REFUSED ? 429 : 200, headers, t->select & TYPED ? 3 : 2);
    for (size_t at = 0; at < t->size; at += step) {
        sim_http_send(x, (const char *)t->data + at, MIN(step, t->size - at));
        if (t->select & CUT)
            err_free(fiber_sleep(1));
    }
}

/* The same for all inputs: profiles by provider, without and with streams; what they read from. */
static json_t *defs[COUNT(providers)][2], *tools;
static struct llm_profile profiles[COUNT(providers)][2];
static struct llm *llm;

static void
world_open(void)
{
    for (unsigned i = 0; i < COUNT(providers) * 2; i++) {
        json_t *def = json_pack("{s:s, s:s, s:s, s:b}", "provider", providers[i / 2], "model", "m",
                                "api_key", "sk-secret", "stream", (int)(i % 2));
        struct err *e = llm_profile_read("fuzz", def, &profiles[i / 2][i % 2]);
        assert(!e);
        defs[i / 2][i % 2] = def;
    }
    tools = json_pack("[{s:s},{s:s}]", "name", "files.read", "name", "t");
    struct err *e = llm_new(NULL, &llm);
    assert(!e);
}

static struct err *
call(unsigned provider, bool stream, const json_t *messages, struct llm_reply *reply)
{
    const struct llm_request req = {.messages = messages, .tools = tools};
    return llm_call(llm, &profiles[provider][stream], &req, rt_after(1000), reply);
}

static void
answer_calls(json_t *messages, const json_t *calls)
{
    size_t i;
    json_t *c;
    json_array_foreach (calls, i, c) {
        json_t *parts = json_array();
        json_array_append_new(parts, part_text("{\"r\":1}", 7));
        json_array_append_new(
            messages,
            message_tool_result(json_str(c, "id", ""), json_str(c, "name", ""), parts, i % 2 != 0));
    }
}

static void
reply_check(struct try *t, json_t *messages, const struct llm_reply *r)
{
    AUTO(json_freep) json_t *recorded = llm_reply_to_json(r);
    struct llm_reply again;
    struct err *e = llm_reply_from_json(recorded, &again);
    assert(!e && strcmp(again.text, r->text) == 0);
    llm_reply_fini(&again);
    assert(r->usage.cached_tokens + r->usage.cache_write_tokens <= r->usage.input_tokens);
    assert(r->usage.cost_usd >= 0 && r->usage.output_tokens >= 0);
    json_array_append_new(messages, llm_reply_message(r));
    answer_calls(messages, r->tool_calls);
    t->told = true;
    e = message_check(messages);
    assert(!e);
    const unsigned only = t->chance / 32 % COUNT(providers);
    for (unsigned i = 0; i < COUNT(providers); i++) {
        struct llm_reply unused = {0};
        if (t->chance % 4 || (i != only && t->chance % 32))
            continue;
        e = call(i, false, messages, &unused); /* serve() looks at what is sent */
        if (!e)
            llm_reply_fini(&unused);
        err_free(e);
    }
}

static void
try_fiber(void *arg)
{
    struct try *t = arg;
    AUTO(json_freep) json_t *messages = json_array();
    struct llm_reply reply = {0};
    json_array_append_new(messages, message_text("user", "Hi"));
    sim_on_http(serve, t);
    struct err *e = call(t->select & 3, (t->select & STREAM) != 0, messages, &reply);
    assert(!e || err_kind(e) != ERR_BUG);
    if (!e) {
        reply_check(t, messages, &reply);
        llm_reply_fini(&reply);
    } else {
        AUTO(freep) char *text = err_text(e);
        assert(!strstr(text, "sk-secret"));
    }
    err_free(e);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return -1;
    if (!llm)
        world_open();
    struct try t = {
        .data = data + 1, .size = size - 1, .select = data[0], .chance = crc32c(0, data, size)};
    struct rt *rt;
    struct err *e = rt_open(&(struct rt_opts){.simulated = true, .seed = 1}, &rt);
    assert(!e);
    rt_run(rt, try_fiber, &t);
    rt_close(rt);
    return 0;
}
