/* httpbench.c - what one HTTP call costs: N calls, C in flight, to an OpenAI-compatible endpoint.
 *
 *   httpbench [-n calls] [-c in_flight] [-b body_bytes] [-s] [-1] URL
 *
 * -s asks for a stream and reads it to its end; -1 makes each call in one fiber of its own that is
 * spawned at once (5,000 runs in flight), instead of C fibers that call again and again. Prints one
 * line of JSON: calls a second, CPU (user and system) per call, peak memory. Several lines before
 * it are what the machine's share of it was. */
#include "net/client.h"
#include "rt/fiber.h"
#include "rt/http.h"
#include "rt/rt.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct {
    const char *url;
    long calls, in_flight, begun, failed;
    size_t bytes;
    struct str body;
    bool stream, once;
} bench = {.calls = 20000, .in_flight = 200};

static struct err *
call_once(void)
{
    static const struct http_header headers[] = {
        {"Content-Type", "application/json"},
        {"Authorization", "Bearer sk-0123456789abcdef0123456789abcdef"},
    };
    const struct http_req req = {
        .method = "POST",
        .url = bench.url,
        .headers = headers,
        .nheaders = 2,
        .body = str_c(&bench.body),
        .body_len = bench.body.len,
    };
    struct http_reply reply;
    PASS(http_fetch(&req, rt_after(60000), &reply));
    struct err *e = NULL;
    if (reply.status != 200)
        e = FAIL(ERR_TRANSIENT, "status %d", reply.status);
    bench.bytes += reply.body.len;
    http_reply_fini(&reply);
    return e;
}

static void
caller(void *unused)
{
    (void)unused;
    while (bench.begun < bench.calls) {
        bench.begun++;
        struct err *e = call_once();
        if (e && !bench.failed++)
            err_print(e, stderr);
        err_free(e);
        if (bench.once)
            break;
    }
}

static double
seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void
run(void *unused)
{
    struct scope s;
    struct net_client_stats stats;
    struct rusage before, after;
    (void)unused;
    net_client_install(NULL);
    getrusage(RUSAGE_SELF, &before);
    int64_t start_us = rt_now_us();
    scope_open(&s, DEADLINE_NONE);
    long fibers = bench.once ? bench.calls : bench.in_flight;
    for (long i = 0; i < fibers; i++)
        scope_spawn(&s, "caller", caller, NULL);
    err_free(scope_close(&s));
    double wall = (double)(rt_now_us() - start_us) / 1e6;
    getrusage(RUSAGE_SELF, &after);
    net_client_stats(&stats);
    double user = seconds(after.ru_utime) - seconds(before.ru_utime);
    double sys = seconds(after.ru_stime) - seconds(before.ru_stime);
    printf("{\"calls\":%ld,\"failed\":%ld,\"bytes\":%zu,\"wall_s\":%.3f,\"calls_per_s\":%.0f,"
           "\"cpu_us_per_call\":%.1f,\"user_us\":%.1f,\"sys_us\":%.1f,\"peak_mb\":%.1f,"
           "\"shards\":%u,\"connects\":%llu}\n",
           bench.begun, bench.failed, bench.bytes, wall, (double)bench.begun / wall,
           (user + sys) * 1e6 / (double)bench.begun, user * 1e6 / (double)bench.begun,
           sys * 1e6 / (double)bench.begun, (double)after.ru_maxrss / 1024, stats.shards,
           (unsigned long long)stats.connects);
    net_client_remove();
}

static void
body_make(size_t pad)
{
    str_add(&bench.body, "{\"model\":\"stub\",\"messages\":[{\"role\":\"user\",\"content\":\"");
    for (size_t i = 0; i < pad; i++)
        str_addc(&bench.body, 'x');
    str_addf(&bench.body, "\"}]%s}", bench.stream ? ",\"stream\":true" : "");
}

int
main(int argc, char **argv)
{
    size_t pad = 300;
    for (int o; (o = getopt(argc, argv, "n:c:b:s1")) != -1;) {
        switch (o) {
        case 'n':
            bench.calls = atol(optarg);
            break;
        case 'c':
            bench.in_flight = atol(optarg);
            break;
        case 'b':
            pad = (size_t)atol(optarg);
            break;
        case 's':
            bench.stream = true;
            break;
        case '1':
            bench.once = true;
            break;
        default:
            optind = argc;
        }
    }
    if (optind != argc - 1 || bench.calls < 1 || bench.in_flight < 1) {
        fprintf(stderr,
                "usage: httpbench [-n calls] [-c in_flight] [-b body_bytes] [-s] [-1] URL\n");
        return 2;
    }
    bench.url = argv[optind];
    body_make(pad);
    struct rt *rt;
    struct err *e = rt_open(&(struct rt_opts){0}, &rt);
    if (e) {
        err_print(e, stderr);
        err_free(e);
        return 1;
    }
    rt_run(rt, run, NULL);
    rt_close(rt);
    str_fini(&bench.body);
    return bench.failed ? 1 : 0;
}
