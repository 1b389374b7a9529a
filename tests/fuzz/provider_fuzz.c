/* provider_fuzz.c - a provider's answer, whole and streamed, through the whole of one model call.
 *
 * A first byte below 32 selects: bits 0-1 the provider, bit 2 a stream, bits 3-4 how the answer
 * is cut and whether it is a refusal. Without one the bytes are tried on every provider, both ways.
 * Beyond not crashing: an answer that is taken is a valid message with calls of unique ids,
 * survives the journal, and every provider can send it back as well-formed JSON. */
#include "base/json.h"
#include "llm/llm.h"
#include "rt/fiber.h"
#include "rt/rt.h"
#include "rt/sim.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STREAM = 4, CUT = 8, REFUSED = 16, SELECTED = 32 };

static const char *const providers[] = {"openai", "anthropic", "gemini", "ollama"};

struct
try {
    const uint8_t *data;
    size_t size;
    unsigned select;
};

static void
serve(void *ctx, struct sim_http *x)
{
    const struct try *t = ctx;
    const size_t step = t->select & CUT ? t->size / 7 + 1 : t->size + 1;
    const struct http_req *req = sim_http_req(x);
    json_t *sent = NULL;
    struct err *e = json_parse(req->body, req->body_len, &sent);
    assert(!e); /* what we write is JSON, whatever we were told before */
    json_decref(sent);
    sim_http_begin(x, t->select & REFUSED ? 429 : 200, NULL, 0);
    for (size_t at = 0; at < t->size; at += step) {
        sim_http_send(x, (const char *)t->data + at, MIN(step, t->size - at));
        if (t->select & CUT)
            err_free(fiber_sleep(1));
    }
}

static json_t *
profile_of(unsigned provider, bool stream)
{
    return json_pack("{s:s, s:s, s:s, s:b}", "provider", providers[provider], "model", "m",
                     "api_key", "sk-secret", "stream", (int)stream);
}

static struct err *
call(struct llm *llm, unsigned provider, bool stream, const json_t *messages,
     struct llm_reply *reply)
{
    AUTO(json_freep) json_t *def = profile_of(provider, stream);
    AUTO(json_freep)
    json_t *tools = json_pack("[{s:s},{s:s}]", "name", "files.read", "name", "t");
    struct llm_profile p;
    const struct llm_request req = {.messages = messages, .tools = tools};
    PASS(llm_profile_read("fuzz", def, &p));
    return llm_call(llm, &p, &req, rt_after(1000), reply);
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
reply_check(struct llm *llm, json_t *messages, const struct llm_reply *r)
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
    e = message_check(messages);
    assert(!e);
    for (unsigned i = 0; i < COUNT(providers); i++) {
        struct llm_reply unused = {0};
        e = call(llm, i, false, messages, &unused); /* serve() looks at what is sent */
        if (!e)
            llm_reply_fini(&unused);
        err_free(e);
    }
}

static void
try_one(struct try *t)
{
    AUTO(json_freep) json_t *messages = json_array();
    struct llm *llm;
    struct llm_reply reply = {0};
    json_array_append_new(messages, message_text("user", "Hi"));
    sim_on_http(serve, t);
    struct err *e = llm_new(NULL, &llm);
    assert(!e);
    e = call(llm, t->select & 3, t->select & STREAM, messages, &reply);
    assert(!e || err_kind(e) != ERR_BUG);
    if (!e) {
        reply_check(llm, messages, &reply);
        llm_reply_fini(&reply);
    } else {
        AUTO(freep) char *text = err_text(e);
        assert(!strstr(text, "sk-secret"));
    }
    err_free(e);
    llm_free(llm);
}

static void
try_fiber(void *arg)
{
    struct try *t = arg;
    if (t->size && t->data[0] < SELECTED) {
        t->select = t->data[0];
        t->data++;
        t->size--;
        try_one(t);
        return;
    }
    for (t->select = 0; t->select < CUT; t->select++)
        try_one(t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct try t = {.data = data, .size = size};
    struct rt *rt;
    struct err *e = rt_open(&(struct rt_opts){.simulated = true, .seed = 1}, &rt);
    assert(!e);
    rt_run(rt, try_fiber, &t);
    rt_close(rt);
    return 0;
}
