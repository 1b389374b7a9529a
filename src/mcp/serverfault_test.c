/* serverfault_test.c - servers that die, hang, flood and come back, in virtual time. */
#include "base/test.h"
#include "mcp/connection.h"
#include "mcp/fakemcp_test.h"
#include "mcp/servers.h"
#include "rt/fiber.h"
#include "rt/rt.h"

#define OK_TEXT(t)                                                                                 \
    "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"" t    \
    "\"}]}}\n"

static void
call_once(struct fake *f, struct servers *s)
{
    fake_call(f, s, "echo", "a", 100000);
}

static void
call_twice(struct fake *f, struct servers *s)
{
    fake_call(f, s, "echo", "a", 100000);
    fake_call(f, s, "echo", "b", 100000);
}

static void
call_six_times(struct fake *f, struct servers *s)
{
    for (int i = 0; i < 6; i++)
        fake_call(f, s, "echo", "a", 100000);
}

/* ---- deaths and back-off --------------------------------------------------- */

static void
deaths(void **state)
{
    (void)state;
    static const struct fake_row rows[] = {
        {"dies in a call, once",
         {.rules = {{.on = "tools/call",
                     .start = 1,
                     .delay_ms = 5,
                     .err = "out of\nmemory\n",
                     .exit = 4}},
          .drive = call_twice},
         "echo: transient?: server 's': tool 'echo': it ended with status 3; its stderr ended: "
         "'out of "
         "| memory' @15\n"
         "echo: b @15\n",
         NULL,
         2,
         15},
        {"dies in each call: 0, 250, 500, 1000, 2000 ms",
         {.rules = {{.on = "tools/call", .exit = 1}}, .drive = call_six_times},
         "echo: transient?: server 's': tool 'echo': it ended with status 0 @10\n"
         "echo: transient?: server 's': tool 'echo': it ended with status 0 @20\n"
         "echo: transient?: server 's': tool 'echo': it ended with status 0 @280\n"
         "echo: transient?: server 's': tool 'echo': it ended with status 0 @790\n"
         "echo: transient?: server 's': tool 'echo': it ended with status 0 @1800\n"
         "echo: transient?: server 's': tool 'echo': it ended with status 0 @3810\n",
         NULL,
         6,
         -1},
        {"dies before the handshake",
         {.rules = {{.on = "initialize", .err = "no licence", .exit = 2}}, .drive = call_twice},
         "echo: transient: server 's': starting it: it ended with status 1; its stderr ended: 'no "
         "licence' @10\n"
         "echo: transient: server 's': starting it: it ended with status 1; its stderr ended: 'no "
         "licence' (retry in 250) @20\n",
         NULL,
         2,
         -1},
        {"greets and dies: two starts, then the caller is told",
         {.rules = {{.on = "tools/list", .exit = 10}}, .drive = call_once},
         "echo: transient: server 's': listing its tools: it ended with status 9 @10\n",
         NULL,
         1,
         -1},
    };
    fake_rows(rows, COUNT(rows));
}

static void
backoff_table(void **state)
{
    (void)state;
    static const struct {
        unsigned failures;
        int64_t ms;
    } rows[] = {{0, 0},     {1, 0},     {2, 250},    {3, 500},     {4, 1000},
                {8, 16000}, {9, 30000}, {10, 30000}, {100, 30000}, {4000000000u, 30000}};
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(pool_backoff_ms(rows[i].failures), rows[i].ms);
}

/* Long back-offs are told, not waited for; success ends the row. */
static void
fail_then_ask_again(struct fake *f, struct servers *s)
{
    for (int i = 0; i < 9; i++) {
        fake_call(f, s, "echo", "a", 100000);
    }
    fake_call(f, s, "echo", "too soon", 100000);
    err_drop(fiber_sleep(30000));
    fake_call(f, s, "echo", "later", 100000);
    fake_say(f, "status", NULL, servers_status(s));
}

static void
long_backoff(void **state)
{
    (void)state;
    static const struct fake_row rows[] = {
        {"nine deaths, a refusal, a recovery",
         {.rules = {{.on = "tools/call:echo", .start = 10, .out = OK_TEXT("fine")},
                    {.on = "tools/call", .exit = 1}},
          .def = "{\"command\": \"fake\", \"connect_timeout\": 20000}",
          .drive = fail_then_ask_again},
         "echo: transient?: server 's': tool 'echo': it ended with status 0 @10\n"
         "echo: transient?: server 's': tool 'echo': it ended with status 0 @20\n"
         "echo: transient?: server 's': tool 'echo': it ended with status 0 @280\n"
         "echo: transient?: server 's': tool 'echo': it ended with status 0 @790\n"
         "echo: transient?: server 's': tool 'echo': it ended with status 0 @1800\n"
         "echo: transient?: server 's': tool 'echo': it ended with status 0 @3810\n"
         "echo: transient?: server 's': tool 'echo': it ended with status 0 @7820\n"
         "echo: transient?: server 's': tool 'echo': it ended with status 0 @15830\n"
         "echo: transient?: server 's': tool 'echo': it ended with status 0 @31840\n"
         "echo: transient: server 's': it failed 9 times in a row, the last time: it ended with "
         "status "
         "0 (retry in 30000) @31840\n"
         "echo: fine @61840\n"
         "status: "
         "[{\"name\":\"s\",\"state\":\"ready\",\"pid\":1000,\"protocol\":\"2025-11-25\",\"info\":{"
         "\"name\":\"fake\",\"version\":\"1\"},\"tools\":2,\"starts\":10,\"failures\":0,\"error\":"
         "\"it "
         "ended with status 0\",\"command\":\"fake\"}] @61840\n",
         NULL,
         10,
         -1},
    };
    fake_rows(rows, COUNT(rows));
}

/* ---- hangs ----------------------------------------------------------------- */

static void
call_and_wait(struct fake *f, struct servers *s)
{
    fake_call(f, s, "slow", "a", 100000);
    err_drop(fiber_sleep(1));
    fake_call(f, s, "echo", "b", 100000);
    err_drop(fiber_sleep(30000));
    fake_call(f, s, "echo", "c", 100000);
}

struct crowd {
    struct fake *f;
    struct servers *s;
    int64_t at_ms;
};

static void
crowd_call(void *arg)
{
    struct crowd *c = arg;
    if (c->at_ms)
        err_drop(fiber_sleep(c->at_ms));
    fake_call(c->f, c->s, c->at_ms ? "echo" : "slow", "b", 100000);
}

/* A call each second: it is never without one. */
static void
call_without_end(struct fake *f, struct servers *s)
{
    struct crowd c[8];
    struct scope scope;
    scope_open(&scope, DEADLINE_NONE);
    for (size_t i = 0; i < COUNT(c); i++) {
        c[i] = (struct crowd){f, s, (int64_t)i * 1000};
        scope_spawn(&scope, "call", crowd_call, &c[i]);
    }
    err_drop(scope_close(&scope));
}

static void
hangs(void **state)
{
    (void)state;
    static const struct fake_row rows[] = {
        {"never answers initialize: connect_timeout, then back-off",
         {.rules = {{.on = "initialize", .err = "waiting for a database"}}, .drive = call_once},
         "echo: timeout: server 's': starting it: no answer in time; its stderr ended: 'waiting "
         "for a "
         "database' @10000\n",
         "0 initialize\n",
         1,
         10000},
        {"never answers one tool: call_timeout; pings are answered, so it stays",
         {.rules = {{.on = "tools/call:slow", .err = "thinking"}},
          .def = "{\"command\": \"fake\", \"call_timeout\": 2000}",
          .drive = call_and_wait},
         "slow: timeout?: server 's': tool 'slow': no answer in time; its stderr ended: 'thinking' "
         "@2000\n"
         "echo: b @2001\necho: c @32001\n",
         "0 initialize\n0 notifications/initialized\n0 tools/list\n0 tools/call\n"
         "2000 notifications/cancelled\n2000 ping\n2001 tools/call\n"
         "32001 ping\n32001 tools/call\n",
         1,
         32001},
        {"stops reading for good: both calls time out, the ping too, then a fresh one",
         {.rules = {{.on = "tools/call:slow", .start = 1, .delay_ms = 1000000}},
          .def = "{\"command\": \"fake\", \"call_timeout\": 2000, \"connect_timeout\": 3000}",
          .drive = call_and_wait},
         "slow: timeout?: server 's': tool 'slow': no answer in time @2000\n"
         "echo: timeout?: server 's': tool 'echo': no answer in time @4001\n"
         "echo: c @34001\n",
         NULL,
         2,
         34001},
        {"stops reading for good, and is called each second: left by all, and replaced",
         {.rules = {{.on = "tools/call:slow", .start = 1, .delay_ms = 1000000}},
          .def = "{\"command\": \"fake\", \"call_timeout\": 2000, \"connect_timeout\": 1500}",
          .drive = call_without_end},
         "slow: timeout?: server 's': tool 'slow': no answer in time @2000\n"
         "echo: timeout?: server 's': tool 'echo': no answer in time @3000\n"
         "echo: timeout?: server 's': tool 'echo': no answer in time @4000\n"
         "echo: timeout?: server 's': tool 'echo': no answer in time @5000\n"
         "echo: b @5000\necho: b @5000\necho: b @6000\necho: b @7000\n",
         NULL,
         2,
         -1},
        {"never answers tools/list",
         {.rules = {{.on = "tools/list"}}, .drive = call_once},
         "echo: timeout: server 's': listing its tools: no answer in time @60000\n",
         NULL,
         1,
         -1},
    };
    fake_rows(rows, COUNT(rows));
}

/* ---- garbage and floods ---------------------------------------------------- */

#define LINES_10 "x\nx\nx\nx\nx\nx\nx\nx\nx\nx\n"
#define LINES_100                                                                                  \
    LINES_10 LINES_10 LINES_10 LINES_10 LINES_10 LINES_10 LINES_10 LINES_10 LINES_10 LINES_10

static void
garbage(void **state)
{
    (void)state;
    static const struct fake_row rows[] = {
        {"some lines that are no messages do no harm",
         {.rules =
              {{.on = "initialize",
                .out =
                    "Starting...\n\n{\"level\":\"info\"}\n[]\n\xff\xfe\n"
                    "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{\"protocolVersion\":\"2024-11-"
                    "05\","
                    "\"capabilities\":{},\"serverInfo\":{\"name\":\"f\",\"version\":\"1\"}}}\r\n"}},
          .drive = call_once},
         "echo: a @0\n",
         NULL,
         1,
         0},
        {"a death after them tells the first",
         {.rules = {{.on = "tools/call",
                     .out = "Traceback (most recent call last):\nboom\n",
                     .exit = 2}},
          .drive = call_once},
         "echo: transient?: server 's': tool 'echo': it ended with status 1; 2 lines on its stdout "
         "were "
         "no message, the first: 'Traceback (most recent call last):' @10\n",
         NULL,
         1,
         -1},
        {"a reply without its line end is lost with the process",
         {.rules = {{.on = "tools/call",
                     .out = "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{}}",
                     .exit = 1}},
          .drive = call_once},
         "echo: transient?: server 's': tool 'echo': it ended with status 0 @10\n",
         NULL,
         1,
         -1},
        {"nothing else than garbage: broken within a second, not at the time-out",
         {.flood = LINES_100, .drive = call_once},
         "echo: transient: server 's': starting it: it writes something else than messages; 1001 "
         "lines on "
         "its stdout were no message, the first: 'x' @10\n",
         NULL,
         1,
         -1},
        {"strings that are no Unicode are repaired",
         {.rules = {{.on = "tools/call", .out = OK_TEXT("cut \\ud83d nul \\u0000 bad \xff end")}},
          .drive = call_once},
         "echo: cut \xef\xbf\xbd nul \xef\xbf\xbd bad \xef\xbf\xbd end @0\n",
         NULL,
         1,
         0},
    };
    fake_rows(rows, COUNT(rows));
}

static void
stderr_flood_drive(struct fake *f, struct servers *s)
{
    fake_call(f, s, "echo", "a", 1000);
}

static void
stderr_flood(void **state)
{
    (void)state;
    char *noise = malloc(3000001); /* far more than is kept; only the end is told */
    memset(noise, 'n', 3000000);
    memcpy(noise + 3000000 - 9, "\nthe end\n", 9);
    noise[3000000] = '\0';
    struct fake f = {.rules = {{.on = "tools/call", .err = noise, .exit = 2}},
                     .drive = stderr_flood_drive};
    fake_run(&f);
    assert_non_null(strstr(str_c(&f.log), "nnn | the end' @10\n"));
    assert_true(f.log.len < 600);
    fake_fini(&f);
    free(noise);
}

TESTS(serverfault_test, cmocka_unit_test(deaths), cmocka_unit_test(backoff_table),
      cmocka_unit_test(long_backoff), cmocka_unit_test(hangs), cmocka_unit_test(garbage),
      cmocka_unit_test(stderr_flood))
