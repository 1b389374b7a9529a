/* client_test.c - the client against our own server: what it should do, and what it refuses to. */
#include "base/json.h"
#include "net/server.h"
#include "net/sse.h"
#include "net/testworld.h"

/* ---- a server for the usual cases ------------------------------------------ */

static struct {
    struct server *server;
    unsigned handled, cancelled;
} peer;

/* 20,000 times 'a', and a short text, as gzip made them. */
static const char gzip_long[] =
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xed\xc1\x31\x01\x00\x00\x00\xc2\xa0\xac\xeb\x5f\xc2"
    "\x1a\x1e\x40\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xf0"
    "\x60\x31\x87\xbd\xca\x20\x4e\x00\x00";
static const char gzip_short[] = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\x48\xcd\xc9\xc9\xd7"
                                 "\x51\xc8\x40\xa2\x00\x9f\xa1\xca\x09\x13\x00\x00\x00";

static void
serve_gzip(struct request *r, const char *bytes, size_t n)
{
    static const struct http_header headers[] = {{"Content-Encoding", "gzip"}};
    CHECK(strstr(request_header(r, "Accept-Encoding"), "gzip"));
    CHECK_OK(reply_begin(r, 200, headers, 1));
    CHECK_OK(reply_write(r, bytes, n, rt_after(5000)));
    reply_end(r);
}

static void
serve_events(struct request *r)
{
    static const struct http_header headers[] = {{"Content-Type", "text/event-stream"}};
    AUTO(str_fini) struct str s = STR_INIT;
    CHECK_OK(reply_begin(r, 200, headers, 1));
    for (int i = 0; i < 5; i++) {
        AUTO(freep) char *data = xasprintf("event\nnumber %d", i);
        str_reset(&s);
        sse_write(&s, "tick", NULL, data);
        CHECK_OK(reply_write(r, str_c(&s), s.len, rt_after(5000)));
        CHECK_OK(fiber_sleep(1)); /* so that they arrive one by one */
    }
    reply_end(r);
}

static void
serve_big(struct request *r)
{
    size_t n = (size_t)atol(request_query(r, "n"));
    AUTO(freep) char *piece = xmalloc(10000);
    memset(piece, 'b', 10000);
    CHECK_OK(reply_begin(r, 200, NULL, 0));
    for (size_t left = n; left; left -= MIN(left, 10000)) {
        struct err *e = reply_write(r, piece, MIN(left, 10000), rt_after(10000));
        if (e) {
            peer.cancelled += err_kind(e) == ERR_CANCELLED;
            err_free(e);
            return;
        }
    }
    reply_end(r);
}

static void
serve_hang(struct request *r)
{
    if (request_query(r, "begin")) {
        CHECK_OK(reply_begin(r, 200, NULL, 0));
        CHECK_OK(reply_write(r, "some", 4, rt_after(5000)));
    }
    struct err *e = fiber_park(rt_after(20000));
    peer.cancelled += e && err_kind(e) == ERR_CANCELLED;
    err_free(e);
}

static void
serve_echo(struct request *r)
{
    size_t n;
    const char *body = request_body(r, &n);
    const char *type = request_header(r, "Content-Type"), *x = request_header(r, "X-Test");
    AUTO(freep)
    char *what = xasprintf("%s %s %s %s ", request_method(r), request_path(r), type ? type : "-",
                           x ? x : "-");
    const struct http_header headers[] = {{"X-What", what}, {"X-Empty", ""}};
    CHECK_OK(reply_begin(r, 201, headers, 2));
    CHECK_OK(reply_write(r, body, n, rt_after(5000)));
    reply_end(r);
}

static void
serve(void *ctx, struct request *r)
{
    const char *path = request_path(r);
    (void)ctx;
    peer.handled++;
    if (strcmp(path, "/gzip") == 0)
        serve_gzip(r, gzip_short, sizeof gzip_short - 1);
    else if (strcmp(path, "/gzip-long") == 0)
        serve_gzip(r, gzip_long, sizeof gzip_long - 1);
    else if (strcmp(path, "/events") == 0)
        serve_events(r);
    else if (strcmp(path, "/big") == 0)
        serve_big(r);
    else if (strcmp(path, "/hang") == 0)
        serve_hang(r);
    else if (str_starts(path, "/echo"))
        serve_echo(r);
    else
        CHECK_OK(reply_send(r, 200, "text/plain", "hello", 5));
}

static void
peer_start(void)
{
    memset(&peer, 0, sizeof peer);
    const struct server_opts opts = {.handler = serve, .connections_max = 2000};
    CHECK_OK(server_start(&opts, &peer.server));
}

static void
peer_stop(void)
{
    server_stop(peer.server, 2000);
}

static char *
url_of(unsigned port, const char *path)
{
    return xasprintf("http://127.0.0.1:%u%s", port, path);
}

static struct err *
fetch(const char *method, const char *path, const char *body, struct http_reply *ret_reply)
{
    AUTO(freep) char *url = url_of(server_port(peer.server), path);
    const struct http_req req = {
        .method = method, .url = url, .body = body, .body_len = body ? strlen(body) : 0};
    return http_fetch(&req, rt_after(10000), ret_reply);
}

static void
fetch_expect(const char *path, int status, const char *body)
{
    struct http_reply reply = {0};
    struct err *e = fetch("GET", path, NULL, &reply);
    bool ok = !e;
    CHECK_OK(e);
    if (!ok)
        return;
    CHECK(reply.status == status);
    CHECK(strcmp(str_c(&reply.body), body) == 0);
    http_reply_fini(&reply);
}

/* ---- the usual ------------------------------------------------------------- */

static void
run_keep_alive(void)
{
    struct net_client_stats stats;
    peer_start();
    for (int i = 0; i < 20; i++)
        fetch_expect("/", 200, "hello");
    net_client_stats(&stats);
    CHECK(stats.connects == 1 && stats.hosts == 1 && stats.lookups == 0 && stats.idle == 1);
    CHECK(peer.handled == 20);
    peer_stop();
}

static void
run_methods(void)
{
    static const struct {
        const char *method, *body, *what;
    } row[] = {
        {"POST", "abc", "POST /echo - -"},      {"GET", NULL, "GET /echo - -"},
        {"PUT", "abc", "PUT /echo - -"},        {"DELETE", NULL, "DELETE /echo - -"},
        {"POST", NULL, "POST /echo - -"},       {"HEAD", NULL, "HEAD /echo - -"},
        {"PATCH", "x", "PATCH /echo - -"},      {"GET", "with body", "GET /echo - -"},
        {"OPTIONS", NULL, "OPTIONS /echo - -"}, {"GET", NULL, "GET /echo - -"},
        {"DELETE", "d", "DELETE /echo - -"},    {"QUERY", "q", "QUERY /echo - -"},
    };
    peer_start();
    for (size_t i = 0; i < COUNT(row); i++) { /* one after the other: one handle, one connection */
        AUTO(freep) char *url = url_of(server_port(peer.server), "/echo");
        const struct http_req req = {.method = row[i].method,
                                     .url = url,
                                     .body = row[i].body,
                                     .body_len = row[i].body ? strlen(row[i].body) : 0};
        AUTO(http_closep) struct http *h = NULL;
        AUTO(str_fini) struct str body = STR_INIT;
        bool end = false;
        CHECK_OK(http_open(&req, rt_after(5000), &h));
        if (!h)
            break;
        while (!end && !world_failure[0])
            CHECK_OK(http_read(h, rt_after(5000), &body, &end));
        CHECK(http_status(h) == 201);
        CHECK(str_eq(http_header(h, "x-what"), row[i].what));
        CHECK(!http_header(h, "x-empty")); /* the server leaves it out */
        CHECK(!http_header(h, "x-wha") && !http_header(h, "x-what-not"));
        CHECK(strcmp(str_c(&body), row[i].body ? row[i].body : "") == 0);
    }
    struct net_client_stats stats;
    net_client_stats(&stats);
    CHECK(stats.connects == 1);
    peer_stop();
}

static void
run_headers_change(void)
{
    static const struct http_header a[] = {{"X-Test", "one"}, {"Content-Type", "a/b"}};
    static const struct http_header b[] = {{"X-Test", ""}};
    static const struct {
        const struct http_header *headers;
        size_t n;
        const char *what;
    } row[] = {{a, 2, "POST /echo a/b one"},
               {a, 2, "POST /echo a/b one"},
               {b, 1, "POST /echo -"},
               {NULL, 0, "POST /echo - -"},
               {a, 1, "POST /echo - one"}};
    peer_start();
    AUTO(freep) char *url = url_of(server_port(peer.server), "/echo");
    for (size_t i = 0; i < COUNT(row); i++) {
        const struct http_req req = {.method = "POST",
                                     .url = url,
                                     .headers = row[i].headers,
                                     .nheaders = row[i].n,
                                     .body = "x",
                                     .body_len = 1};
        AUTO(http_closep) struct http *h = NULL;
        CHECK_OK(http_open(&req, rt_after(5000), &h));
        if (h)
            CHECK(str_eq(http_header(h, "x-what"), row[i].what));
    }
    peer_stop();
}

static void
run_large_bodies(void)
{
    peer_start();
    for (size_t n = 59999; n < 6000000; n *= 10) {
        AUTO(freep) char *body = xmalloc(n + 1);
        for (size_t i = 0; i < n; i++)
            body[i] = (char)('a' + i % 23);
        body[n] = '\0';
        struct http_reply reply = {0};
        CHECK_OK(fetch("POST", "/echo", body, &reply));
        CHECK(reply.body.len == n && memcmp(str_c(&reply.body), body, n) == 0);
        http_reply_fini(&reply);
    }
    peer_stop();
}

static void
one_of_many(void *unused)
{
    (void)unused;
    for (int i = 0; i < 3; i++)
        fetch_expect("/", 200, "hello");
}

static void
run_many(void)
{
    struct scope s;
    struct net_client_stats stats;
    peer_start();
    scope_open(&s, DEADLINE_NONE);
    for (int i = 0; i < 500; i++)
        scope_spawn(&s, "caller", one_of_many, NULL);
    CHECK_OK(scope_close(&s));
    net_client_stats(&stats);
    CHECK(peer.handled == 1500);
    CHECK(stats.connects <= 500 && stats.shards == 5 && stats.in_flight == 0);
    peer_stop();
}

static void
run_names(void)
{
    struct net_client_stats stats;
    struct http_reply reply = {0};
    peer_start();
    AUTO(freep) char *url = xasprintf("http://localhost:%u/", server_port(peer.server));
    const struct http_req req = {.method = "GET", .url = url};
    for (int i = 0; i < 3; i++) {
        CHECK_OK(http_fetch(&req, rt_after(5000), &reply));
        http_reply_fini(&reply);
    }
    net_client_stats(&stats);
    CHECK(stats.lookups == 1 && stats.connects == 1);
    const struct http_req none = {.method = "GET", .url = "http://does-not-exist.invalid/"};
    for (int i = 0; i < 2; i++)
        CHECK_ERR(http_fetch(&none, rt_after(20000), &reply), ERR_TRANSIENT, false,
                  "'does-not-exist.invalid'");
    net_client_stats(&stats);
    CHECK(stats.lookups == 2); /* the failure is remembered */
    peer_stop();
}

static void
run_gzip(void)
{
    struct http_reply reply = {0};
    peer_start();
    fetch_expect("/gzip", 200, "hello, hello, hello");
    AUTO(freep) char *url = url_of(server_port(peer.server), "/gzip-long");
    const struct http_req small = {.method = "GET", .url = url, .reply_max = 19999};
    CHECK_ERR(http_fetch(&small, rt_after(5000), &reply), ERR_LIMIT, true,
              "longer than the 19999 bytes");
    const struct http_req enough = {.method = "GET", .url = url, .reply_max = 20000};
    CHECK_OK(http_fetch(&enough, rt_after(5000), &reply));
    CHECK(reply.body.len == 20000);
    http_reply_fini(&reply);
    peer_stop();
}

static void
run_events(void)
{
    peer_start();
    AUTO(freep) char *url = url_of(server_port(peer.server), "/events");
    const struct http_req req = {.method = "GET", .url = url};
    AUTO(http_closep) struct http *h = NULL;
    AUTO(sse_fini) struct sse sse = SSE_INIT(1000);
    AUTO(str_fini) struct str got = STR_INIT, bytes = STR_INIT;
    CHECK_OK(http_open(&req, rt_after(5000), &h));
    CHECK(h && str_eq(http_header(h, "content-type"), "text/event-stream"));
    for (bool end = false; h && !end && !world_failure[0];) {
        struct sse_event ev;
        bool more = true;
        str_reset(&bytes);
        CHECK_OK(http_read(h, rt_after(5000), &bytes, &end));
        sse_feed(&sse, str_c(&bytes), bytes.len);
        while (more && !world_failure[0]) {
            CHECK_OK(sse_next(&sse, &ev, &more));
            if (more)
                str_addf(&got, "%s:%s;", ev.type, ev.data);
        }
    }
    CHECK(strcmp(str_c(&got), "tick:event\nnumber 0;tick:event\nnumber 1;tick:event\nnumber 2;"
                              "tick:event\nnumber 3;tick:event\nnumber 4;") == 0);
    peer_stop();
}

/* A reader that does not read makes the server wait; then everything arrives, once and in order. */
static void
run_backpressure(void)
{
    enum { N = 20000000 };
    peer_start();
    AUTO(freep) char *url = url_of(server_port(peer.server), "/big?n=20000000");
    const struct http_req req = {.method = "GET", .url = url};
    AUTO(http_closep) struct http *h = NULL;
    AUTO(str_fini) struct str bytes = STR_INIT;
    size_t total = 0;
    CHECK_OK(http_open(&req, rt_after(5000), &h));
    CHECK_OK(fiber_sleep(100));
    for (bool end = false; h && !end && !world_failure[0]; total += bytes.len) {
        str_reset(&bytes);
        CHECK_OK(http_read(h, rt_after(5000), &bytes, &end));
        if (!total) /* a hundred times less than what there is: it was held back */
            CHECK(bytes.len > 256 * 1024 && bytes.len < 512 * 1024);
    }
    CHECK(total == N);
    peer_stop();
}

/* ---- refusals -------------------------------------------------------------- */

static void
run_bad_requests(void)
{
    static const struct http_header break_value[] = {{"X-A", "b\r\nX-Evil: 1"}};
    static const struct http_header break_name[] = {{"X-A\r\nX-Evil", "1"}};
    static const struct http_header blank_name[] = {{"X A", "1"}};
    static const struct http_header no_name[] = {{"", "1"}};
    static const struct http_header length[] = {{"content-length", "1"}};
    static const struct http_header coding[] = {{"Transfer-Encoding", "chunked"}};
    static const struct {
        const char *method, *url;
        const struct http_header *header;
        const char *part;
    } row[] = {
        {"GET", "http://127.0.0.1:1/", break_value, "the header 'X-A' holds a line break"},
        {"GET", "http://127.0.0.1:1/", break_name, "is not valid"},
        {"GET", "http://127.0.0.1:1/", blank_name, "the header name 'X A' is not valid"},
        {"GET", "http://127.0.0.1:1/", no_name, "the header name '' is not valid"},
        {"GET", "http://127.0.0.1:1/", length, "set by the client itself"},
        {"GET", "http://127.0.0.1:1/", coding, "set by the client itself"},
        {"GE T", "http://127.0.0.1:1/", NULL, "the HTTP method 'GE T' is not valid"},
        {"", "http://127.0.0.1:1/", NULL, "the HTTP method '' is not valid"},
        {"CONNECT", "http://127.0.0.1:1/", NULL, "is for proxies"},
        {"GET", "127.0.0.1:1/", NULL, "malformed"},
        {"GET", "file:///etc/passwd", NULL, "must begin with http:// or https://"},
        {"GET", "http://a b/", NULL, "blank"},
        {"GET", "http://a/\r\nX-Evil: 1", NULL, "control character"},
    };
    struct http_reply reply;
    for (size_t i = 0; i < COUNT(row); i++) {
        const struct http_req req = {.method = row[i].method,
                                     .url = row[i].url,
                                     .headers = row[i].header,
                                     .nheaders = row[i].header ? 1 : 0};
        CHECK_ERR(http_fetch(&req, rt_after(1000), &reply), ERR_INVALID, false, row[i].part);
    }
}

static void
run_refused(void)
{
    unsigned port;
    struct http_reply reply;
    int fd = raw_listen(&port);
    close(fd); /* nobody listens there now */
    AUTO(freep) char *url = url_of(port, "/");
    AUTO(freep)
    char *want = xasprintf(
        "could not connect to 127.0.0.1:%u: connection refused (is the server running?)", port);
    const struct http_req req = {.method = "POST", .url = url, .body = "x", .body_len = 1};
    for (int i = 0; i < 3; i++)
        CHECK_ERR(http_fetch(&req, rt_after(5000), &reply), ERR_TRANSIENT, false, want);
}

/* ---- giving up ------------------------------------------------------------- */

static void
hang_caller(void *streaming)
{
    struct http_reply reply;
    CHECK_ERR(fetch("POST", streaming ? "/hang?begin=1" : "/hang", "x", &reply), ERR_CANCELLED,
              true, "cancelled");
}

static void
run_cancel(void)
{
    struct net_client_stats stats;
    struct scope s;
    peer_start();
    scope_open(&s, DEADLINE_NONE);
    for (int i = 0; i < 40; i++)
        scope_spawn(&s, "caller", hang_caller, i % 2 ? &s : NULL);
    for (int i = 0; i < 2000 && peer.handled < 40; i++)
        CHECK_OK(fiber_sleep(1));
    scope_cancel(&s);
    err_free(scope_close(&s));
    net_client_stats(&stats);
    CHECK(stats.in_flight == 0);
    for (int i = 0; i < 2000 && peer.cancelled < 40; i++) /* the server notices */
        CHECK_OK(fiber_sleep(1));
    CHECK(peer.cancelled == 40);
    fetch_expect("/", 200, "hello");
    peer_stop();
}

/* Closing before the end drops the connection; the handles are used again. */
static void
run_close_early(void)
{
    peer_start();
    AUTO(freep) char *url = url_of(server_port(peer.server), "/big?n=20000000");
    const struct http_req req = {.method = "GET", .url = url};
    for (int i = 0; i < 5; i++) {
        struct http *h = NULL;
        AUTO(str_fini) struct str bytes = STR_INIT;
        bool end;
        CHECK_OK(http_open(&req, rt_after(5000), &h));
        if (h && i % 2)
            CHECK_OK(http_read(h, rt_after(5000), &bytes, &end));
        http_close(h);
        fetch_expect("/", 200, "hello");
    }
    for (int i = 0; i < 2000 && peer.cancelled < 5; i++)
        CHECK_OK(fiber_sleep(1));
    CHECK(peer.cancelled == 5);
    peer_stop();
}

#define TEST(name)                                                                                 \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        world_run(run_##name);                                                                     \
    }
TEST(keep_alive)
TEST(methods)
TEST(headers_change)
TEST(large_bodies)
TEST(many)
TEST(names)
TEST(gzip)
TEST(events)
TEST(backpressure)
TEST(bad_requests)
TEST(refused)
TEST(cancel)
TEST(close_early)

TESTS(client_test, cmocka_unit_test(keep_alive), cmocka_unit_test(methods),
      cmocka_unit_test(headers_change), cmocka_unit_test(large_bodies), cmocka_unit_test(many),
      cmocka_unit_test(names), cmocka_unit_test(gzip), cmocka_unit_test(events),
      cmocka_unit_test(backpressure), cmocka_unit_test(bad_requests), cmocka_unit_test(refused),
      cmocka_unit_test(cancel), cmocka_unit_test(close_early))
