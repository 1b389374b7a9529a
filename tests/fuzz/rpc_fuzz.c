/* rpc_fuzz.c - a server that sends these very bytes: the codec, the session and the table of
 * servers.
 *
 * First the bytes are read line by line by the codec: what it accepts it must be able to write
 * again and read as the same. Then, for one input in five (it takes several times as long), a
 * process in a simulated world greets properly, writes the bytes in two pieces and ends, while a
 * client lists tools, calls one and asks for prompts. Everything must end, and well. */
#include "base/hash.h"
#include "mcp/content.h"
#include "mcp/servers.h"
#include "rt/fiber.h"
#include "rt/rt.h"
#include "rt/sim.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const char *bytes;
    size_t len;
};

/* ---- codec ---------------------------------------------------------------------------------- */

static void
again(const struct rpc_msg *m)
{
    AUTO(str_fini) struct str text = STR_INIT;
    struct rpc_msg back;
    if (m->kind == RPC_RESULT)
        rpc_write_result(&text, m->id, m->result);
    else if (m->kind == RPC_NOTIFICATION)
        rpc_write_notification(&text, m->method, m->params);
    else
        return;
    struct err *e = rpc_parse(str_c(&text), text.len, &back);
    assert(!e && !memchr(text.p, '\n', text.len));
    assert(back.kind == m->kind && (!m->id || json_equal(back.id, m->id)));
    rpc_msg_fini(&back);
}

static void
line_check(const char *p, size_t n)
{
    struct rpc_msg m;
    AUTO(str_fini) struct str text = STR_INIT;
    struct err *e = rpc_parse(p, n, &m);
    if (e) {
        assert(err_kind(e) == ERR_INVALID || err_kind(e) == ERR_LIMIT);
        err_free(e);
        return;
    }
    again(&m);
    if (m.error)
        err_free(rpc_error_to_err(m.error));
    if (m.result)
        tool_result_text(m.result, 100, &text);
    assert(text.len < 2000);
    rpc_msg_fini(&m);
}

/* ---- client --------------------------------------------------------------------------------- */

#define HELLO                                                                                      \
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"protocolVersion\":\"2025-03-26\","                \
    "\"capabilities\":"                                                                            \
    "{\"prompts\":{}}}}\n"

static int
server_run(void *ctx, struct sim_proc *x)
{
    const struct input *in = ctx;
    AUTO(str_fini) struct str got = STR_INIT;
    bool end = false;
    struct err *e = sim_proc_read(x, DEADLINE_NONE, &got, &end);
    bool raw = in->len && in->bytes[0] == '!'; /* also before the handshake */
    if (!e && !end && !raw)
        sim_proc_write(x, HELLO, sizeof HELLO - 1);
    sim_proc_write(x, in->bytes, in->len / 2);
    if (!e)
        e = fiber_sleep(10);
    sim_proc_write(x, in->bytes + in->len / 2, in->len - in->len / 2);
    if (!e)
        e = fiber_sleep(100);
    err_free(e);
    return 0;
}

static struct err *
elicit(void *ctx, const char *server, const json_t *params, json_t **ret_result)
{
    (void)ctx, (void)server, (void)params;
    PASS(fiber_sleep(5));
    *ret_result = json_object();
    return NULL;
}

static void
progress(void *ctx, double done, double total, const char *message)
{
    (void)ctx, (void)done, (void)total, (void)message;
}

static void
client_run(void *arg)
{
    AUTO(json_freep)
    json_t *def =
        json_pack("{ss si si}", "command", "x", "call_timeout", 50, "connect_timeout", 50);
    AUTO(json_freep) json_t *tools = NULL;
    AUTO(json_freep) json_t *result = NULL;
    AUTO(json_freep) json_t *prompts = NULL;
    sim_on_proc(server_run, arg);
    struct servers *s = servers_new(&(struct servers_opts){.hooks = {.elicit = elicit}});
    struct servers_call call = {
        .server = "s", .tool = "a", .deadline_ms = rt_after(60), .on_progress = progress};
    err_free(servers_add(s, "s", def));
    err_free(servers_tools(s, &(struct servers_whose){.server = "s"}, rt_after(200), &tools));
    err_free(servers_call(s, &call, &result));
    err_free(servers_list(s, "s", "prompts/list", rt_after(200), &prompts));
    json_decref(servers_status(s));
    servers_free(s);
    assert(rt_now_ms() < 60000);
}

static void
world_run(struct input *in)
{
    struct rt *rt;
    struct err *e = rt_open(&(struct rt_opts){.simulated = true, .seed = in->len + 1}, &rt);
    assert(!e);
    rt_run(rt, client_run, in);
    rt_close(rt);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {(const char *)data, size};
    for (const char *p = in.bytes, *end = p + size; p < end;) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        line_check(p, (size_t)((nl ? nl : end) - p));
        p = nl ? nl + 1 : end;
    }
    if (crc32c(0, data, size) % 5 == 0)
        world_run(&in);
    return 0;
}
