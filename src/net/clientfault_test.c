/* clientfault_test.c - the client against peers that break, lie, dawdle or are not trusted. */
#include "net/testworld.h"
#include "rt/proc.h"

static char *
url_of(unsigned port, const char *path)
{
    return xasprintf("http://127.0.0.1:%u%s", port, path);
}

/* ---- peers that misbehave -------------------------------------------------- */

static struct {
    int listener;
    unsigned port;
    const char *say;    /* NULL: nothing */
    bool reset, linger; /* RST instead of FIN; stay open instead of closing */
    unsigned seen;      /* requests */
    struct scope scope;
} raw;

static void
raw_serve_one(void *arg)
{
    int fd = (int)(intptr_t)arg;
    AUTO(str_fini) struct str in = STR_INIT;
    while (raw_read(fd, "\r\n\r\n", &in)) {
        raw.seen++;
        if (raw.say)
            raw_send(fd, raw.say);
        if (!raw.linger)
            break;
        str_reset(&in);
    }
    if (raw.reset) {
        const struct linger hard = {1, 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    }
    close(fd);
}

static void
raw_serve(void *unused)
{
    (void)unused;
    for (int fd; (fd = raw_accept(raw.listener)) >= 0;)
        scope_spawn(&raw.scope, "connection", raw_serve_one, (void *)(intptr_t)fd);
}

static void
raw_start(const char *say, bool reset, bool linger)
{
    memset(&raw, 0, sizeof raw);
    raw.say = say;
    raw.reset = reset;
    raw.linger = linger;
    raw.listener = raw_listen(&raw.port);
    scope_open_detached(&raw.scope);
    scope_spawn(&raw.scope, "raw peer", raw_serve, NULL);
}

static void
raw_stop(void)
{
    scope_end(&raw.scope);
    close(raw.listener);
}

static struct err *
raw_fetch(const char *method, int64_t ms, struct http_reply *ret_reply)
{
    AUTO(freep) char *url = url_of(raw.port, "/x");
    const struct http_req req = {.method = method,
                                 .url = url,
                                 .body = "x",
                                 .body_len = strcmp(method, "GET") == 0 ? 0 : 1,
                                 .reply_max = 100000};
    return http_fetch(&req, rt_after(ms), ret_reply);
}

static void
run_broken_peers(void)
{
    static const struct {
        const char *say;
        bool reset;
        enum err_kind kind;
        const char *part;
    } row[] = {
        {NULL, false, ERR_TRANSIENT, "closed the connection without a reply"},
        {NULL, true, ERR_TRANSIENT, "reset the connection"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", false, ERR_TRANSIENT,
         "in the middle of its reply"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", true, ERR_TRANSIENT, "127.0.0.1"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", false, ERR_TRANSIENT,
         "in the middle of its reply"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc", false, ERR_TRANSIENT,
         "broke"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc", false,
         ERR_TRANSIENT, "127.0.0.1"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nContent-Length: 12\r\n\r\n0123456789ab", false,
         ERR_TRANSIENT, "127.0.0.1"},
        {"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabc", false, ERR_TRANSIENT, "127.0.0.1"},
        {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", false,
         ERR_TRANSIENT, "broke"},
        {"this is not HTTP at all\r\n\r\n", false, ERR_TRANSIENT, "does not answer in HTTP"},
        {"SSH-2.0-OpenSSH\r\n", false, ERR_TRANSIENT, "does not answer in HTTP"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n", false, ERR_TRANSIENT,
         "in the middle"},
    };
    struct http_reply reply;
    for (size_t i = 0; i < COUNT(row); i++) {
        raw_start(row[i].say, row[i].reset, false);
        CHECK_ERR(raw_fetch("POST", 5000, &reply), row[i].kind, true, row[i].part);
        if (world_failure[0])
            fprintf(stderr, "row %zu\n", i);
        CHECK(raw.seen == 1); /* nothing is sent twice */
        raw_stop();
    }
}

static void
run_odd_peers(void)
{
    static const struct {
        const char *say;
        int status;
        const char *body;
    } row[] = {
        {"HTTP/1.0 200 OK\r\n\r\nold and short", 200, "old and short"},
        {"HTTP/1.1 204 No Content\r\n\r\n", 204, ""},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
         "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
         200, "ok"},
        {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 2\r\n\r\nno", 302,
         "no"},
        {"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nno", 401,
         "no"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n3\r\nabc\r\n0\r\nX: "
         "y\r\n\r\n",
         200, "abc"},
        {"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", 200, "ok"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct http_reply reply = {0};
        raw_start(row[i].say, false, false);
        CHECK_OK(raw_fetch("POST", 5000, &reply));
        CHECK(reply.status == row[i].status);
        CHECK(strcmp(str_c(&reply.body), row[i].body) == 0);
        CHECK(raw.seen == 1);
        http_reply_fini(&reply);
        raw_stop();
    }
}

/* A kept connection that dies under the next request: GET is sent again, POST is not. */
static void
run_dead_connection(void)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    for (int post = 0; post < 2; post++) {
        struct http_reply reply = {0};
        raw_start(ok, false, true);
        CHECK_OK(raw_fetch("GET", 5000, &reply));
        http_reply_fini(&reply);
        raw.say = NULL; /* from now on: read the request, then close without a word */
        raw.linger = false;
        if (post) {
            CHECK_ERR(raw_fetch("POST", 5000, &reply), ERR_TRANSIENT, true,
                      "closed the connection without a reply");
            CHECK(raw.seen == 2);
        } else {
            CHECK_ERR(raw_fetch("GET", 5000, &reply), ERR_TRANSIENT, true, "without a reply");
            CHECK(raw.seen == 3); /* once on the dead connection, once on a fresh one */
        }
        raw_stop();
    }
}

static void
run_long_header(void)
{
    struct http_reply reply;
    AUTO(str_fini) struct str s = STR_INIT;
    str_add(&s, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; s.len < 70000; i++)
        str_addf(&s, "X-%d: 0123456789012345678901234567890123456789012345678901234567890123\r\n",
                 i);
    str_add(&s, "\r\n");
    raw_start(str_c(&s), false, false);
    CHECK_ERR(raw_fetch("GET", 5000, &reply), ERR_LIMIT, true, "the header of the reply");
    raw_stop();
}

static void
run_timeouts(void)
{
    struct http_reply reply;
    struct net_client_stats stats;
    raw_start(NULL, false, true); /* reads, never answers */
    CHECK_ERR(raw_fetch("POST", 60, &reply), ERR_TIMEOUT, true,
              "waiting for the reply of 127.0.0.1");
    raw.say = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"; /* and no more */
    CHECK_ERR(raw_fetch("POST", 60, &reply), ERR_TIMEOUT, true, "waiting for the reply");
    AUTO(freep) char *url = url_of(raw.port, "/x");
    const struct http_req req = {.method = "GET", .url = url};
    AUTO(http_closep) struct http *h = NULL;
    AUTO(str_fini) struct str bytes = STR_INIT;
    bool end = false;
    CHECK_OK(http_open(&req, rt_after(5000), &h));
    CHECK_OK(http_read(h, rt_after(5000), &bytes, &end));
    CHECK(!end && strcmp(str_c(&bytes), "abc") == 0);
    CHECK_ERR(http_read(h, rt_after(30), &bytes, &end), ERR_TIMEOUT, true, "waiting for the reply");
    CHECK_ERR(http_read(h, rt_after(30), &bytes, &end), ERR_CANCELLED, true, "given up before");
    net_client_stats(&stats);
    CHECK(stats.in_flight == 0);
    raw_stop();
}

/* ---- environment ----------------------------------------------------------- */

static void
run_proxy(void)
{
    struct http_reply reply = {0};
    unsigned closed;
    raw_start("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nproxy", false, false);
    AUTO(freep) char *proxy = url_of(raw.port, "");
    setenv("http_proxy", proxy, 1);
    setenv("no_proxy", "127.0.0.1", 1);
    /* The name is the proxy's to look up. */
    const struct http_req far = {.method = "GET", .url = "http://does-not-exist.invalid/x"};
    CHECK_OK(http_fetch(&far, rt_after(5000), &reply));
    CHECK(strcmp(str_c(&reply.body), "proxy") == 0);
    http_reply_fini(&reply);
    close(raw_listen(&closed));
    AUTO(freep) char *near_url = url_of(closed, "/");
    const struct http_req near = {.method = "GET", .url = near_url};
    CHECK_ERR(http_fetch(&near, rt_after(5000), &reply), ERR_TRANSIENT, false,
              "connection refused");
    AUTO(freep) char *dead = url_of(closed, "");
    setenv("https_proxy", dead, 1);
    const struct http_req secret = {.method = "GET", .url = "https://does-not-exist.invalid/x"};
    CHECK_ERR(http_fetch(&secret, rt_after(5000), &reply), ERR_TRANSIENT, false,
              "could not connect to the proxy 127.0.0.1");
    unsetenv("http_proxy");
    unsetenv("https_proxy");
    unsetenv("no_proxy");
    raw_stop();
}

/* ---- TLS, against openssl's test server ------------------------------------ */

static bool
openssl_run(const char *const *argv)
{
    struct proc *p = NULL;
    int status = -1;
    struct err *e = proc_start(&(struct proc_opts){.argv = argv}, &p);
    if (!e)
        e = proc_wait(p, rt_after(20000), &status);
    proc_kill(p);
    err_free(e);
    return status == 0;
}

/* Its line "ACCEPT 127.0.0.1:port" tells where it listens; 0: it does not. */
static unsigned
openssl_port(struct proc *p)
{
    AUTO(str_fini) struct str out = STR_INIT;
    for (bool end = false; !end;) {
        struct err *e = proc_read(p, rt_after(10000), &out, &end);
        if (e) {
            err_free(e);
            break;
        }
        const char *at = strstr(str_c(&out), "ACCEPT ");
        if (at && strchr(at, '\n'))
            return (unsigned)strtoul(strrchr(at, ':') + 1, NULL, 10);
    }
    return 0;
}

static bool tls_skipped;

static void
tls_calls(unsigned port, const char *cert)
{
    struct http_reply reply = {0};
    AUTO(freep) char *by_name = xasprintf("https://localhost:%u/", port);
    AUTO(freep) char *by_address = xasprintf("https://127.0.0.1:%u/", port);
    AUTO(freep) char *plain = url_of(port, "/");
    const struct http_req name = {.method = "GET", .url = by_name};
    const struct http_req address = {.method = "GET", .url = by_address};
    const struct http_req no_tls = {.method = "GET", .url = plain};
    CHECK_ERR(http_fetch(&name, rt_after(5000), &reply), ERR_DENIED, false,
              "the TLS certificate of localhost:");
    CHECK_ERR(http_fetch(&no_tls, rt_after(5000), &reply), ERR_TRANSIENT, true, "127.0.0.1");
    net_client_remove();        /* the environment is read when a host is met first */
    unsetenv("CURL_CA_BUNDLE"); /* would go first */
    setenv("SSL_CERT_FILE", cert, 1);
    net_client_install(NULL);
    CHECK_OK(http_fetch(&name, rt_after(5000), &reply));
    CHECK(reply.status == 200 && reply.body.len > 100);
    http_reply_fini(&reply);
    CHECK_ERR(http_fetch(&address, rt_after(5000), &reply), ERR_DENIED, false, "TLS certificate");
    unsetenv("SSL_CERT_FILE");
}

static void
run_tls(void)
{
    char dir[] = "/tmp/net_test.XXXXXX";
    if (!mkdtemp(dir))
        return;
    AUTO(freep) char *cert = xasprintf("%s/cert.pem", dir);
    AUTO(freep) char *key = xasprintf("%s/key.pem", dir);
    const char *const make[] = {"openssl",
                                "req",
                                "-x509",
                                "-newkey",
                                "ec",
                                "-pkeyopt",
                                "ec_paramgen_curve:P-256",
                                "-nodes",
                                "-days",
                                "2",
                                "-subj",
                                "/CN=localhost",
                                "-addext",
                                "subjectAltName=DNS:localhost",
                                "-keyout",
                                key,
                                "-out",
                                cert,
                                NULL};
    const char *const serve_it[] = {"openssl", "s_server", "-accept", "127.0.0.1:0", "-www",
                                    "-cert",   cert,       "-key",    key,           NULL};
    struct proc *server = NULL;
    tls_skipped = !openssl_run(make);
    if (!tls_skipped) {
        CHECK_OK(proc_start(&(struct proc_opts){.argv = serve_it}, &server));
        unsigned port = server ? openssl_port(server) : 0;
        CHECK(port);
        if (port)
            tls_calls(port, cert);
        proc_kill(server);
        /* https to a server that speaks http */
        raw_start("HTTP/1.1 400 Bad Request\r\n\r\n", false, false);
        struct http_reply reply;
        AUTO(freep) char *url = xasprintf("https://127.0.0.1:%u/", raw.port);
        int fd = raw_listen(&(unsigned){0});
        close(fd);
        const struct http_req req = {.method = "GET", .url = url};
        CHECK_ERR(http_fetch(&req, rt_after(300), &reply), ERR_TIMEOUT, false, "127.0.0.1");
        raw_stop();
    }
    unlink(cert);
    unlink(key);
    rmdir(dir);
}

#define TEST(name)                                                                                 \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        world_run(run_##name);                                                                     \
    }
TEST(broken_peers)
TEST(odd_peers)
TEST(dead_connection)
TEST(long_header)
TEST(timeouts)
TEST(proxy)

static void
tls(void **state)
{
    (void)state;
    world_run(run_tls);
    if (tls_skipped) {
        print_message("openssl's program is not here\n");
        skip();
    }
}

TESTS(clientfault_test, cmocka_unit_test(broken_peers), cmocka_unit_test(odd_peers),
      cmocka_unit_test(dead_connection), cmocka_unit_test(long_header), cmocka_unit_test(timeouts),
      cmocka_unit_test(proxy), cmocka_unit_test(tls))
