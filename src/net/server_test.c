/* server_test.c - the server against peers that speak byte by byte. */
#include "base/json.h"
#include "net/server.h"
#include "net/testworld.h"

static struct {
    struct server *server;
    unsigned handled, cancelled, timed_out;
} on;

static void
serve_facts(struct request *r)
{
    size_t n;
    const char *body = request_body(r, &n), *q = request_query(r, "q"),
               *x = request_header(r, "x-a");
    AUTO(json_freep)
    json_t *j = json_pack("{s:s,s:s,s:s?,s:s?,s:s%}", "method", request_method(r), "path",
                          request_path(r), "q", q, "x", x, "body", body, n);
    CHECK(j);
    CHECK_OK(reply_json(r, 200, j));
}

static void
serve_stream(struct request *r)
{
    bool is_head = strcmp(request_method(r), "HEAD") == 0;
    CHECK_OK(reply_begin(r, 200, NULL, 0));
    for (int i = 0; i < 3; i++) {
        struct err *e = reply_write(r, "piece ", 6, rt_after(5000));
        if (!e)
            e = fiber_sleep(1);
        if (is_head && e) { /* its header was all of it: the exchange is over */
            err_free(e);
            return;
        }
        CHECK_OK(e);
    }
    if (strcmp(request_path(r), "/stream") == 0)
        reply_end(r);
}

static void
serve_bad_header(struct request *r)
{
    static const struct http_header bad[] = {{"X-A", "1\r\nX-Evil: 2"}};
    CHECK_ERR(reply_begin(r, 200, bad, 1), ERR_INVALID, false,
              "the reply's header 'X-A' is not valid");
    CHECK_ERR(reply_send(r, 200, "a/b\r\nX-Evil: 2", "x", 1), ERR_INVALID, false, "'Content-Type'");
    CHECK_OK(reply_send(r, 200, "text/plain", "still here", 10));
}

static void
serve_stuck(struct request *r)
{
    AUTO(freep) char *piece = xcalloc(1, 1000000);
    struct err *e = NULL;
    CHECK_OK(reply_begin(r, 200, NULL, 0));
    while (!e)
        e = reply_write(r, piece, 1000000, rt_after(50));
    on.timed_out += err_kind(e) == ERR_TIMEOUT;
    err_free(e);
}

static void
serve_wait(struct request *r)
{
    AUTO(freep) char *text = xasprintf("waited for %s", request_path(r));
    struct err *e = fiber_sleep(atol(request_query(r, "ms")));
    bool cancelled = e && err_kind(e) == ERR_CANCELLED;
    err_free(e);
    on.cancelled += cancelled;
    if (!cancelled)
        CHECK_OK(reply_send(r, 200, "text/plain", text, strlen(text)));
    else if (request_is_gone(r))
        CHECK_ERR(reply_send(r, 200, NULL, "x", 1), ERR_CANCELLED, false, "the client closed");
}

static void
serve(void *ctx, struct request *r)
{
    const char *path = request_path(r);
    (void)ctx;
    on.handled++;
    if (str_starts(path, "/stream"))
        serve_stream(r);
    else if (strcmp(path, "/bad-header") == 0)
        serve_bad_header(r);
    else if (strcmp(path, "/stuck") == 0)
        serve_stuck(r);
    else if (strcmp(path, "/wait") == 0)
        serve_wait(r);
    else if (strcmp(path, "/silent") != 0)
        serve_facts(r);
}

static const struct server_opts usual = {.handler = serve};

static unsigned
start(struct server_opts opts)
{
    memset(&on, 0, sizeof on);
    opts.handler = serve;
    CHECK_OK(server_start(&opts, &on.server));
    return on.server ? server_port(on.server) : 0;
}

/* Sends the text on a connection of its own and expects `part` in what comes; NULL: nothing comes
 * and the connection is closed. */
static void
talk(unsigned port, const char *text, const char *part)
{
    int fd = raw_connect(port);
    AUTO(str_fini) struct str got = STR_INIT;
    raw_send(fd, text);
    bool ok = raw_read(fd, part, &got);
    if (!ok || (!part && got.len))
        world_fail(__FILE__, __LINE__, text, str_c(&got));
    close(fd);
}

/* ---- requests -------------------------------------------------------------- */

static void
run_requests(void)
{
    static const struct {
        const char *text, *part;
    } row[] = {
        {"GET /a%2Fb?q=1%202+3&q=x HTTP/1.1\r\nHost: x\r\nX-A: v\r\n\r\n",
         "{\"method\":\"GET\",\"path\":\"/a%2Fb\",\"q\":\"1 2 3\",\"x\":\"v\",\"body\":\"\"}"},
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde", "\"body\":\"abcde\"}"},
        {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
         "chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n",
         "\"body\":\"abcde\"}"},
        {"GET /?a=b&%71=%00 HTTP/1.1\r\nHost: x\r\n\r\n", "\"q\":null"},
        {"GET /?a=b&%71=c HTTP/1.1\r\nHost: x\r\n\r\n", "\"q\":\"c\""},
        {"GET /?q HTTP/1.1\r\nHost: x\r\n\r\n", "\"q\":\"\""},
        {"GET /?qq=1&&=& HTTP/1.1\r\nHost: x\r\n\r\n", "\"q\":null"},
        {"GET http://x/abs?q=1 HTTP/1.1\r\nHost: x\r\n\r\n", "\"path\":\"/abs\",\"q\":\"1\""},
        {"DELETE /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", "\"path\":\"/../../etc/passwd\""},
        {"GET /old HTTP/1.0\r\n\r\n", "\"path\":\"/old\""},
        {"PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
         "100 Continue"},
        {"GET /silent HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 500 "},
        {"GET /bad-header HTTP/1.1\r\nHost: x\r\n\r\n", "still here"},
        {"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n", "piece \r\n0\r\n\r\n"},
        {"GET /nohost HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
    };
    unsigned port = start(usual);
    for (size_t i = 0; i < COUNT(row); i++)
        talk(port, row[i].text, row[i].part);
    server_stop(on.server, 1000);
}

/* Nothing of what is not HTTP may reach the handler, or be answered with 200. */
static void
run_garbage(void)
{
    static const char *const row[] = {
        "\r\n\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        "\x16\x03\x01\x02\x01\x01\x01\xfc\x03\x03",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc",
        "GET / HTTP/1.1\r\nHost: x\r\n",
    };
    unsigned port = start((struct server_opts){.request_ms = 100, .idle_ms = 1000});
    for (size_t i = 0; i < COUNT(row); i++) {
        int fd = raw_connect(port);
        AUTO(str_fini) struct str got = STR_INIT;
        raw_send(fd, row[i]);
        CHECK(raw_read(fd, NULL, &got)); /* it is closed, with or without a word */
        if (strstr(str_c(&got), " 200 "))
            world_fail(__FILE__, __LINE__, row[i], str_c(&got));
        close(fd);
    }
    CHECK(on.handled == 0);
    for (int i = 0; i < 1000 && server_requests(on.server); i++)
        CHECK_OK(fiber_sleep(1));
    CHECK(server_requests(on.server) == 0);
    server_stop(on.server, 1000);
}

static void
run_kept_and_pipelined(void)
{
    unsigned port = start(usual);
    int fd = raw_connect(port);
    AUTO(str_fini) struct str got = STR_INIT;
    for (int i = 0; i < 3; i++) {
        str_reset(&got);
        raw_send(fd, "GET /kept HTTP/1.1\r\nHost: x\r\n\r\n");
        CHECK(raw_read(fd, "/kept", &got));
    }
    str_reset(&got);
    raw_send(fd,
             "GET /wait?ms=20 HTTP/1.1\r\nHost: x\r\n\r\nGET /second HTTP/1.1\r\nHost: x\r\n\r\n"
             "GET /third HTTP/1.0\r\nHost: x\r\n\r\n");
    CHECK(raw_read(fd, NULL, &got)); /* the last one asks for the end of the connection */
    const char *a = strstr(str_c(&got), "waited for /wait"), *b = strstr(str_c(&got), "/second");
    const char *c = strstr(str_c(&got), "/third");
    CHECK(a && b && c && a < b && b < c);
    close(fd);
    server_stop(on.server, 1000);
}

static void
run_http_1_0_stream(void)
{
    unsigned port = start(usual);
    int fd = raw_connect(port);
    AUTO(str_fini) struct str got = STR_INIT;
    raw_send(fd, "GET /stream HTTP/1.0\r\n\r\n");
    CHECK(raw_read(fd, NULL, &got));
    CHECK(str_ends(str_c(&got), "\r\n\r\npiece piece piece "));
    CHECK(!strstr(str_c(&got), "chunked"));
    close(fd);
    server_stop(on.server, 1000);
}

static void
run_head_of_stream(void)
{
    unsigned port = start(usual);
    int fd = raw_connect(port);
    AUTO(str_fini) struct str got = STR_INIT;
    raw_send(fd, "HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(raw_read(fd, "/next", &got));
    CHECK(!strstr(str_c(&got), "piece"));
    close(fd);
    server_stop(on.server, 1000);
}

/* ---- what is cut off ------------------------------------------------------- */

static void
run_broken_stream(void)
{
    unsigned port = start(usual);
    int fd = raw_connect(port);
    AUTO(str_fini) struct str got = STR_INIT;
    raw_send(fd, "GET /stream-broken HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(raw_read(fd, NULL, &got));
    CHECK(strstr(str_c(&got), "piece ") && !strstr(str_c(&got), "0\r\n\r\n"));
    close(fd);
    server_stop(on.server, 1000);
}

static void
run_limits(void)
{
    unsigned port = start((struct server_opts){.body_max = 10, .head_max = 2048});
    AUTO(str_fini) struct str s = STR_INIT;
    talk(port, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789",
         "\"0123456789\"");
    talk(port, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n", "HTTP/1.1 413 ");
    talk(port, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
         "HTTP/1.1 ");
    talk(port,
         "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
         "chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n",
         NULL);
    str_add(&s, "GET / HTTP/1.1\r\nHost: x\r\nX-A: ");
    for (int i = 0; i < 5000; i++)
        str_addc(&s, 'x');
    str_add(&s, "\r\n\r\n");
    talk(port, str_c(&s), "HTTP/1.1 4");
    CHECK(on.handled == 1);
    server_stop(on.server, 1000);
}

static void
run_slow_request(void)
{
    unsigned port = start((struct server_opts){.request_ms = 100, .idle_ms = 5000});
    static const char *const slow[] = {
        "GET / HTTP/1.1\r\nHost: x\r\nX-A:",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"};
    for (size_t i = 0; i < COUNT(slow); i++) {
        int fd = raw_connect(port);
        raw_send(fd, slow[i]);
        ssize_t n = 1;
        for (int k = 0; k < 1000 && n > 0; k++) { /* each byte in time, the whole never */
            CHECK_OK(fiber_sleep(5));
            n = send(fd, "x", 1, MSG_NOSIGNAL);
        }
        CHECK(n < 0);
        close(fd);
    }
    talk(port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", " 200 ");
    CHECK(on.handled == 1);
    server_stop(on.server, 1000);
}

static void
run_idle(void)
{
    unsigned port = start((struct server_opts){.idle_ms = 50});
    int fd = raw_connect(port);
    AUTO(str_fini) struct str got = STR_INIT;
    raw_send(fd, "GET /wait?ms=200 HTTP/1.1\r\nHost: x\r\n\r\n"); /* waiting is not idling */
    CHECK(raw_read(fd, "waited for", &got));
    CHECK(raw_read(fd, NULL, &got)); /* but this is */
    close(fd);
    server_stop(on.server, 1000);
}

static void
run_client_leaves(void)
{
    unsigned port = start(usual);
    for (int i = 0; i < 10; i++) {
        int fd = raw_connect(port);
        raw_send(fd, "GET /wait?ms=20000 HTTP/1.1\r\nHost: x\r\n\r\n");
        if (i % 2) /* else it may be gone before the handler runs */
            CHECK_OK(fiber_sleep(5));
        close(fd);
    }
    for (int i = 0; i < 3000 && (on.cancelled < 10 || server_requests(on.server)); i++)
        CHECK_OK(fiber_sleep(1));
    CHECK(on.cancelled == 10 && server_requests(on.server) == 0);
    server_stop(on.server, 1000);
}

static void
run_reader_stuck(void)
{
    unsigned port = start(usual);
    int fd = raw_connect(port);
    raw_send(fd, "GET /stuck HTTP/1.1\r\nHost: x\r\n\r\n");
    for (int i = 0; i < 3000 && !on.timed_out; i++)
        CHECK_OK(fiber_sleep(1));
    CHECK(on.timed_out == 1);
    server_stop(on.server, 10);
    close(fd);
}

static void
run_connections_max(void)
{
    unsigned port = start((struct server_opts){.connections_max = 2});
    int a = raw_connect(port), b = raw_connect(port), c = raw_connect(port);
    AUTO(str_fini) struct str got = STR_INIT;
    static const char hello[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    raw_send(a, hello);
    raw_send(b, hello);
    CHECK(raw_read(a, "200", &got));
    str_reset(&got);
    CHECK(raw_read(b, "200", &got));
    raw_send(c, hello);
    CHECK_OK(fiber_sleep(20));
    CHECK(on.handled == 2);
    close(a);
    str_reset(&got);
    CHECK(raw_read(c, "200", &got)); /* its turn has come */
    close(b);
    close(c);
    server_stop(on.server, 1000);
}

/* ---- start and stop -------------------------------------------------------- */

static void
run_start_errors(void)
{
    struct server *s = NULL;
    unsigned port = start(usual);
    CHECK(port > 0);
    AUTO(freep)
    char *taken = xasprintf(
        "port %u of 127.0.0.1 is taken by another program (choose another, or 0 for any)", port);
    CHECK_ERR(server_start(&(struct server_opts){.handler = serve, .port = port}, &s), ERR_LIMIT,
              false, taken);
    CHECK_ERR(server_start(&(struct server_opts){.handler = serve, .host = "example.com"}, &s),
              ERR_INVALID, false, "'example.com' is not an IP address");
    CHECK_ERR(server_start(&(struct server_opts){.handler = serve, .host = "192.0.2.1"}, &s),
              ERR_INVALID, false, "'192.0.2.1' is not an address of this machine");
    CHECK_ERR(server_start(&(struct server_opts){.handler = serve, .port = 70000}, &s), ERR_INVALID,
              false, "greater than 65535");
    server_stop(on.server, 0);
    server_stop(NULL, 0);
    CHECK_OK(
        server_start(&(struct server_opts){.handler = serve, .port = port}, &s)); /* free again */
    server_stop(s, 0);
}

static void
run_stop(void)
{
    unsigned port = start(usual);
    int soon = raw_connect(port), never = raw_connect(port), idle = raw_connect(port);
    int half = raw_connect(port);
    AUTO(str_fini) struct str got = STR_INIT;
    raw_send(soon, "GET /wait?ms=30 HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_send(never, "GET /wait?ms=20000 HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_send(half, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n");
    for (int i = 0; i < 1000 && server_requests(on.server) < 3; i++)
        CHECK_OK(fiber_sleep(1));
    server_stop(on.server, 150);
    CHECK(on.cancelled == 1);
    CHECK(raw_read(soon, "waited for /wait", &got)); /* it was given the time */
    close(soon);
    close(never);
    close(idle);
    close(half);
}

#define TEST(name)                                                                                 \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        world_run(run_##name);                                                                     \
    }
TEST(requests)
TEST(garbage)
TEST(kept_and_pipelined)
TEST(http_1_0_stream)
TEST(head_of_stream)
TEST(broken_stream)
TEST(limits)
TEST(slow_request)
TEST(idle)
TEST(client_leaves)
TEST(reader_stuck)
TEST(connections_max)
TEST(start_errors)
TEST(stop)

TESTS(server_test, cmocka_unit_test(requests), cmocka_unit_test(garbage),
      cmocka_unit_test(kept_and_pipelined), cmocka_unit_test(http_1_0_stream),
      cmocka_unit_test(head_of_stream), cmocka_unit_test(broken_stream), cmocka_unit_test(limits),
      cmocka_unit_test(slow_request), cmocka_unit_test(idle), cmocka_unit_test(client_leaves),
      cmocka_unit_test(reader_stuck), cmocka_unit_test(connections_max),
      cmocka_unit_test(start_errors), cmocka_unit_test(stop))
