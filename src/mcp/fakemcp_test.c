/* fakemcp_test.c - the scripted server, and a test that it is a fair one. */
#include "mcp/fakemcp_test.h"
#include "base/test.h"
#include "mcp/content.h"
#include "mcp/rpc.h"
#include "rt/fiber.h"
#include "rt/rt.h"

#define HELLO                                                                                      \
    "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{\"protocolVersion\":\"2025-11-25\","              \
    "\"capabilities\":{\"tools\":{\"listChanged\":true}},"                                         \
    "\"serverInfo\":{\"name\":\"fake\",\"version\":\"1\"}}}\n"
#define TOOLS                                                                                      \
    "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{\"tools\":["                                      \
    "{\"name\":\"echo\",\"inputSchema\":{\"type\":\"object\"}},"                                   \
    "{\"name\":\"slow\",\"inputSchema\":{\"type\":\"object\"}}]}}\n"

struct process { /* one run of the server */
    struct fake *f;
    struct sim_proc *x;
    unsigned number;
    unsigned used[RULES_MAX];
};

static void
write_out(struct process *p, const char *text, const json_t *msg)
{
    struct str out = STR_INIT;
    char *id = json_as_text(json_object_get(msg, "id")); /* ours are integers; "" when none */
    for (const char *at; (at = strstr(text, "$ID")); text = at + 3) {
        str_addn(&out, text, (size_t)(at - text));
        str_add(&out, id);
    }
    str_add(&out, text);
    sim_proc_write(p->x, str_c(&out), out.len);
    str_fini(&out);
    free(id);
}

static void
answer_default(struct process *p, const char *method, const json_t *msg)
{
    struct str out = STR_INIT;
    if (strcmp(method, "initialize") == 0) {
        write_out(p, HELLO, msg);
    } else if (strcmp(method, "tools/list") == 0) {
        write_out(p, TOOLS, msg);
    } else if (strcmp(method, "ping") == 0) {
        write_out(p, "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{}}\n", msg);
    } else if (strcmp(method, "tools/call") == 0) {
        json_t *text = json_at(msg, "params", "arguments", "text", NULL);
        json_t *result = json_pack("{s[{ss sO}]}", "content", "type", "text", "text", text);
        rpc_write_result(&out, json_object_get(msg, "id"), result);
        str_addc(&out, '\n');
        sim_proc_write(p->x, out.p, out.len);
        json_decref(result);
    }
    str_fini(&out);
}

static const struct rule *
rule_for(struct process *p, const char *method, const json_t *msg)
{
    char key[200];
    const char *tool = json_str(json_object_get(msg, "params"), "name", "");
    snprintf(key, sizeof key, "%s:%s", method, tool);
    for (size_t i = 0; i < RULES_MAX && p->f->rules[i].on; i++) {
        const struct rule *r = &p->f->rules[i];
        if ((strcmp(r->on, method) != 0 && strcmp(r->on, key) != 0) ||
            (r->start && r->start != p->number) || (r->times && p->used[i] >= r->times))
            continue;
        p->used[i]++;
        return r;
    }
    return NULL;
}

static void
note(struct process *p, const char *method, const char *line, size_t n)
{
    struct fake *f = p->f;
    str_addf(&f->got, "%lld ", (long long)rt_now_ms());
    if (f->logs_all)
        str_addn(&f->got, line, n);
    else
        str_add(&f->got, method);
    str_addc(&f->got, '\n');
}

/* Returns the exit status, or -1 to go on. */
static int
take_line(struct process *p, const char *line, size_t n)
{
    AUTO(json_freep) json_t *msg = NULL;
    struct err *e = json_parse(line, n, &msg);
    err_free(e);
    const char *method = json_str(msg, "method", "reply");
    note(p, method, line, n);
    const struct rule *r = rule_for(p, method, msg);
    if (!r) {
        answer_default(p, method, msg);
        return -1;
    }
    if (r->delay_ms) {
        e = fiber_sleep(r->delay_ms);
        bool killed = e != NULL;
        err_free(e);
        if (killed)
            return 0;
    }
    if (r->err)
        sim_proc_write_stderr(p->x, r->err, strlen(r->err));
    if (r->out)
        write_out(p, r->out, msg);
    return r->exit - 1;
}

static void
flood(struct process *p)
{
    struct err *e = NULL;
    for (int i = 0; !e && i < 100000; i++) {
        sim_proc_write(p->x, p->f->flood, strlen(p->f->flood));
        e = fiber_sleep(1);
    }
    err_free(e);
}

static int
process_run(void *ctx, struct sim_proc *x)
{
    struct process p = {.f = ctx, .x = x, .number = ++p.f->starts};
    AUTO(str_fini) struct str in = STR_INIT;
    int status = -1;
    bool end = false;
    if (p.f->flood)
        flood(&p);
    while (status < 0 && !end) {
        struct err *e = sim_proc_read(x, DEADLINE_NONE, &in, &end);
        end |= e != NULL;
        err_free(e);
        for (char *nl; status < 0 && in.len && (nl = memchr(in.p, '\n', in.len));) {
            size_t n = (size_t)(nl - in.p);
            status = take_line(&p, in.p, n);
            str_cut(&in, n + 1);
        }
    }
    return status < 0 ? 0 : status;
}

static void
in_fiber(void *arg)
{
    struct fake *f = arg;
    AUTO(json_freep) json_t *def = NULL;
    const char *text = f->def ? f->def : "{\"command\": \"fake\"}";
    struct err *e = json_parse(text, strlen(text), &def);
    sim_on_proc(process_run, f);
    struct servers *s = servers_new(
        &(struct servers_opts){.version = "0.1", .base_dir = "/base", .hooks = f->hooks});
    if (!e)
        e = servers_add(s, "s", def);
    if (e)
        fake_say(f, "adding", e, NULL);
    else
        f->drive(f, s);
    servers_free(s);
    f->ended_ms = rt_now_ms();
}

void
fake_run(struct fake *f)
{
    struct rt *rt;
    assert_ok(rt_open(&(struct rt_opts){.simulated = true, .seed = f->seed ? f->seed : 1}, &rt));
    rt_run(rt, in_fiber, f);
    rt_close(rt);
}

void
fake_fini(struct fake *f)
{
    str_fini(&f->got);
    str_fini(&f->log);
}

void
fake_say(struct fake *f, const char *what, struct err *e, json_t *result)
{
    str_addf(&f->log, "%s: ", what);
    if (e) {
        AUTO(freep) char *text = err_text(e);
        str_addf(&f->log, "%s%s: %s", err_kind_name(err_kind(e)), err_in_doubt(e) ? "?" : "", text);
        if (err_retry_after_ms(e) >= 0)
            str_addf(&f->log, " (retry in %lld)", (long long)err_retry_after_ms(e));
    } else if (json_object_get(result, "content")) {
        if (tool_result_text(result, 1000, &f->log))
            str_add(&f->log, " [isError]");
    } else if (result) {
        json_write(&f->log, result);
    } else {
        str_add(&f->log, "ok");
    }
    str_addf(&f->log, " @%lld\n", (long long)rt_now_ms());
    if (!e) /* with an error nothing was written to it */
        json_decref(result);
    err_free(e);
}

void
fake_call(struct fake *f, struct servers *s, const char *tool, const char *text, int64_t ms)
{
    AUTO(json_freep) json_t *args = json_pack("{ss}", "text", text);
    json_t *result = NULL;
    struct servers_call c = {
        .server = "s", .tool = tool, .args = args, .deadline_ms = rt_after(ms)};
    struct err *e = servers_call(s, &c, &result);
    fake_say(f, tool, e, result);
}

static bool
fits(const struct fake *f, const struct fake_row *want)
{
    return (!want->log || strcmp(str_c(&f->log), want->log) == 0) &&
           (!want->got || strcmp(str_c(&f->got), want->got) == 0) &&
           (!want->starts || want->starts == f->starts) &&
           (want->ended_ms <= 0 || want->ended_ms == f->ended_ms);
}

void
fake_rows(const struct fake_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct fake f = rows[i].fake;
        fake_run(&f);
        if (!fits(&f, &rows[i])) {
            print_error("%s: %u starts, end at %lld\n--- log\n%s", rows[i].name, f.starts,
                        (long long)f.ended_ms, str_c(&f.log));
            print_error("--- log wanted\n%s--- got\n%s", rows[i].log ? rows[i].log : "",
                        str_c(&f.got));
            fail_msg("%s", rows[i].name);
        }
        fake_fini(&f);
    }
}

/* ---- the fake itself ------------------------------------------------------- */

static void
drive_plain(struct fake *f, struct servers *s)
{
    fake_call(f, s, "echo", "hi", 1000);
    fake_call(f, s, "echo", "h\xc3\xa9\nw\"o\xe2\x80\xa8", 1000);
}

static void
fake_is_fair(void **state)
{
    (void)state;
    struct fake f = {.drive = drive_plain};
    fake_run(&f);
    assert_string_equal(str_c(&f.log), "echo: hi @0\necho: h\xc3\xa9\nw\"o\xe2\x80\xa8 @0\n");
    assert_string_equal(str_c(&f.got), "0 initialize\n0 notifications/initialized\n0 tools/list\n"
                                       "0 tools/call\n0 tools/call\n");
    assert_int_equal(f.starts, 1);
    assert_int_equal(f.ended_ms, 0);
    fake_fini(&f);
}

TESTS(fakemcp_test, cmocka_unit_test(fake_is_fair))
