/* mcpbench.c - tool calls a second over stdio, one at a time and many in flight.
 *
 *   mcpbench [CALLS [IN_FLIGHT [COMMAND ARG...]]]     (20000 50, server-everything below build/npm)
 *
 * Through the whole of mcp: the table of servers, session, codec, pipes. CPU is ours alone; the
 * server's is what bounds the rate. */
#include "mcp/servers.h"
#include "rt/fiber.h"
#include "rt/rt.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct bench {
    int argc;
    char **argv;
    unsigned calls, in_flight;
    struct servers *servers;
    unsigned left, failed;
};

static double
cpu_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void
call_one(struct bench *b)
{
    AUTO(json_freep) json_t *args = json_pack("{ss}", "message", "hello there");
    AUTO(json_freep) json_t *result = NULL;
    struct servers_call c = {
        .server = "s", .tool = "echo", .args = args, .deadline_ms = rt_after(30000)};
    struct err *e = servers_call(b->servers, &c, &result);
    if (e && !b->failed++)
        err_print(e, stderr);
    err_free(e);
}

static void
caller(void *arg)
{
    struct bench *b = arg;
    while (b->left) {
        b->left--;
        call_one(b);
    }
}

static void
round_of(struct bench *b, unsigned in_flight)
{
    struct scope scope;
    double cpu = cpu_s();
    int64_t begin = rt_now_us();
    b->left = b->calls;
    scope_open(&scope, DEADLINE_NONE);
    for (unsigned i = 0; i < in_flight; i++)
        scope_spawn(&scope, "caller", caller, b);
    err_drop(scope_close(&scope));
    double s = (double)(rt_now_us() - begin) / 1e6;
    printf("%3u in flight: %7.0f calls/s, %5.1f us of our CPU a call, %u failed\n", in_flight,
           b->calls / s, (cpu_s() - cpu) / b->calls * 1e6, b->failed);
}

static json_t *
definition(const struct bench *b)
{
    if (b->argc <= 3)
        return json_pack(
            "{ss s[s]}", "command", "node", "args",
            "build/npm/node_modules/@modelcontextprotocol/server-everything/dist/index.js");
    json_t *args = json_array();
    for (int i = 4; i < b->argc; i++)
        json_array_append_new(args, json_string(b->argv[i]));
    return json_pack("{ss so}", "command", b->argv[3], "args", args);
}

static void
bench_run(void *arg)
{
    struct bench *b = arg;
    AUTO(json_freep) json_t *def = definition(b);
    b->servers = servers_new(NULL);
    struct err *e = servers_add(b->servers, "s", def);
    int64_t begin = rt_now_us();
    if (e)
        err_print(e, stderr);
    else
        call_one(b);
    printf("first call after %.0f ms\n", (double)(rt_now_us() - begin) / 1e3);
    if (!e && !b->failed) {
        round_of(b, 1);
        round_of(b, 1);
        round_of(b, b->in_flight);
        round_of(b, b->in_flight);
    }
    err_free(e);
    begin = rt_now_us();
    servers_free(b->servers);
    printf("stopped in %.0f ms\n", (double)(rt_now_us() - begin) / 1e3);
}

int
main(int argc, char **argv)
{
    struct rt *rt;
    struct bench b = {.argc = argc,
                      .argv = argv,
                      .calls = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 20000,
                      .in_flight = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 50};
    struct err *e = rt_open(&(struct rt_opts){0}, &rt);
    if (e) {
        err_print(e, stderr);
        err_free(e);
        return 1;
    }
    rt_run(rt, bench_run, &b);
    rt_close(rt);
    return b.failed ? 1 : 0;
}
