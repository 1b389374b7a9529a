/* call.c - one easy handle and the exchange it carries: set up, fed by curl, put back. */
#include "net/clientcore.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define METHOD_LEN_MAX 20
#define HEADERS_MAX    100
#define READ_BYTES     1024L /* of a reply at a time: each call that waits holds so much */
#define SET(easy, opt, value)                                                                      \
    do {                                                                                           \
        CURLcode set_rc_ = curl_easy_setopt(easy, opt, value);                                     \
        assert(set_rc_ == CURLE_OK);                                                               \
        (void)set_rc_;                                                                             \
    } while (0)

/* ---- what may be asked ----------------------------------------------------- */

/* token of RFC 9110 5.6.2 */
static bool
token_is_valid(const char *s)
{
    for (const char *p = s; *p; p++) {
        bool alnum =
            (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9');
        if (!alnum && !strchr("!#$%&'*+-.^_`|~", *p))
            return false;
    }
    return *s;
}

static bool
value_is_valid(const char *s)
{
    for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
        if ((*p < ' ' && *p != '\t') || *p == 0x7f)
            return false;
    }
    return true;
}

/* The client decides how a message is framed; a second opinion is how requests are smuggled. */
static bool
header_is_ours(const char *name)
{
    static const char *const ours[] = {"content-length", "transfer-encoding", "connection",
                                       "expect",         "upgrade",           "te",
                                       "trailer",        "keep-alive"};
    for (size_t i = 0; i < COUNT(ours); i++) {
        if (strcasecmp(name, ours[i]) == 0)
            return true;
    }
    return false;
}

struct err *
net_request_check(const struct http_req *req)
{
    if (!token_is_valid(req->method) || strlen(req->method) > METHOD_LEN_MAX)
        return FAIL(ERR_INVALID, "the HTTP method '%.40s' is not valid", req->method);
    if (strcmp(req->method, "CONNECT") == 0)
        return FAIL(ERR_INVALID, "the HTTP method 'CONNECT' is for proxies");
    if (req->nheaders > HEADERS_MAX)
        return FAIL(ERR_INVALID, "a request may have at most %d headers, not %zu", HEADERS_MAX,
                    req->nheaders);
    for (size_t i = 0; i < req->nheaders; i++) {
        const struct http_header *h = &req->headers[i];
        if (!token_is_valid(h->name))
            return FAIL(ERR_INVALID, "the header name '%.60s' is not valid", h->name);
        if (!value_is_valid(h->value)) /* the value may be a secret: it is not shown */
            return FAIL(
                ERR_INVALID,
                "the value of the header '%.60s' holds a line break or another control character",
                h->name);
        if (header_is_ours(h->name))
            return FAIL(ERR_INVALID, "the header '%.60s' is set by the client itself: leave it out",
                        h->name);
    }
    return NULL;
}

/* ---- curl's callbacks ------------------------------------------------------ */

static void
call_wake(struct call *c)
{
    if (c->waiter)
        fiber_wake(c->waiter);
}

static void
status_line_read(struct call *c, const char *line, size_t n)
{
    const char *blank = memchr(line, ' ', n);
    str_reset(&c->head);
    c->status = 0;
    c->length = -1;
    for (const char *p = blank ? blank + 1 : line + n;
         p < line + n && *p >= '0' && *p <= '9' && c->status < 100; p++)
        c->status = c->status * 10 + (*p - '0');
}

/* Two lengths that differ are how replies are smuggled: such a message is void (RFC 9112 6.3). curl
 * takes one of them. */
static bool
length_is_one(struct call *c, const char *line, size_t n)
{
    static const char name[] = "content-length:";
    if (n < sizeof name || strncasecmp(line, name, sizeof name - 1) != 0)
        return true;
    char *end; /* the line is followed by its CR or LF, so this stops in time */
    int64_t length = strtoll(line + sizeof name - 1, &end, 10);
    if (end != line + n || length < 0 || (c->length >= 0 && c->length != length))
        return false;
    c->length = length;
    return true;
}

/* One line of the header, interim replies (1xx) and trailers included. */
static size_t
on_header(char *line, size_t size, size_t count, void *call)
{
    struct call *c = call;
    size_t n = size * count, all = n;
    c->head_total += n;
    if (c->head_total > HEAD_MAX) {
        c->stop = STOP_HEAD;
        return 0;
    }
    if (c->head_done) /* trailers: nobody asks for them */
        return all;
    while (n && strchr("\r\n \t", line[n - 1]))
        n--;
    if (n > 5 && memcmp(line, "HTTP/", 5) == 0) {
        status_line_read(c, line, n);
    } else if (n) {
        if (!length_is_one(c, line, n)) {
            c->stop = STOP_FRAMING;
            return 0;
        }
        str_addn(&c->head, line, n);
        str_addc(&c->head, '\0');
    } else if (c->status >= 200) {
        c->head_done = true;
        call_wake(c);
    }
    return all;
}

static size_t
on_body(char *bytes, size_t size, size_t count, void *call)
{
    struct call *c = call;
    size_t n = size * count;
    if (n > c->reply_max - c->reply_total) {
        c->stop = STOP_BODY;
        return 0;
    }
    if (!c->body.len && c->length > 0) /* most come in a few pieces: room for all of them */
        str_reserve(&c->body, (size_t)MIN(c->length, (int64_t)BUFFER_KEEP));
    c->reply_total += n;
    str_addn(&c->body, bytes, n);
    /* Not by returning CURL_WRITEFUNC_PAUSE: curl would keep what a decoder still gives, outside
     * of our count. */
    if (c->body.len > BODY_HIGH && !c->paused) {
        c->paused = true;
        curl_easy_pause(c->easy, CURLPAUSE_RECV);
    }
    call_wake(c);
    return n;
}

/* The connection stands, the request goes out now. A second time means that a kept connection died
 * before any byte of a reply: the server may have acted on what it read. */
static int
on_request(void *call, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
    struct call *c = call;
    (void)remote_ip, (void)local_ip, (void)remote_port, (void)local_port;
    if (c->sends && !c->idempotent) {
        c->repeat_refused = true;
        return CURL_PREREQFUNC_ABORT;
    }
    c->sends++;
    return CURL_PREREQFUNC_OK;
}

/* ---- setting up ------------------------------------------------------------ */

static void
call_set_callbacks(struct call *c, struct client *client)
{
    CURL *e = c->easy;
    SET(e, CURLOPT_PRIVATE, c);
    SET(e, CURLOPT_ERRORBUFFER, c->errors);
    SET(e, CURLOPT_HEADERFUNCTION, on_header);
    SET(e, CURLOPT_HEADERDATA, c);
    SET(e, CURLOPT_WRITEFUNCTION, on_body);
    SET(e, CURLOPT_WRITEDATA, c);
    SET(e, CURLOPT_PREREQFUNCTION, on_request);
    SET(e, CURLOPT_PREREQDATA, c);
    SET(e, CURLOPT_OPENSOCKETFUNCTION, sock_open);
    SET(e, CURLOPT_OPENSOCKETDATA, c);
    SET(e, CURLOPT_CLOSESOCKETFUNCTION, sock_close);
    SET(e, CURLOPT_CLOSESOCKETDATA, client); /* a connection outlives the call that made it */
}

struct call *
call_new(struct shard *s)
{
    struct host *h = s->host;
    struct call *c = xcalloc(1, sizeof *c);
    c->shard = s;
    c->length = -1;
    CURL *e = c->easy = curl_easy_init();
    if (!e)
        abort();
    call_set_callbacks(c, h->client);
    SET(e, CURLOPT_NOSIGNAL, 1L);
    SET(e, CURLOPT_QUICK_EXIT, 1L); /* else an unfinished look-up blocks its removal for seconds */
    SET(e, CURLOPT_PROTOCOLS_STR, "http,https");
    SET(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    SET(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(e, CURLOPT_PIPEWAIT,
        h->tls ? 1L : 0L); /* rather a stream of one connection than many of them */
    SET(e, CURLOPT_BUFFERSIZE, READ_BYTES);
    SET(e, CURLOPT_TCP_NODELAY, 1L);
    SET(e, CURLOPT_TCP_KEEPALIVE, 1L); /* a model may think for minutes behind a NAT */
    SET(e, CURLOPT_ACCEPT_ENCODING, h->client->encodings);
    SET(e, CURLOPT_USERAGENT, h->client->user_agent);
    SET(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    /* Set both ways, or curl would look into the environment for each connection. */
    SET(e, CURLOPT_PROXY, h->proxy ? h->proxy : "");
    SET(e, CURLOPT_NOPROXY, "");
    if (h->ca_file) {
        SET(e, CURLOPT_CAINFO, h->ca_file);
        SET(e, CURLOPT_PROXY_CAINFO, h->ca_file);
    }
    if (h->ca_dir) {
        SET(e, CURLOPT_CAPATH, h->ca_dir);
        SET(e, CURLOPT_PROXY_CAPATH, h->ca_dir);
    }
    return c;
}

void
call_free(struct call *c)
{
    assert(!c->in_multi && !c->waiter);
    curl_easy_cleanup(c->easy);
    curl_slist_free_all(c->headers);
    curl_slist_free_all(c->resolve);
    str_fini(&c->headers_key);
    str_fini(&c->sent);
    str_fini(&c->head);
    str_fini(&c->body);
    free(c->url);
    free(c->method);
    free(c);
}

static struct curl_slist *
list_add(struct curl_slist *list, const char *line)
{
    list = curl_slist_append(list, line);
    if (!list)
        abort();
    return list;
}

static void
call_build_headers(struct call *c, const struct http_req *req)
{
    struct curl_slist *list = list_add(NULL, "Expect:"); /* a name with nothing behind: not sent */
    AUTO(str_fini) struct str line = STR_INIT;
    bool has_type = false;
    for (size_t i = 0; i < req->nheaders; i++) {
        const struct http_header *h = &req->headers[i];
        str_reset(&line);
        const char *value = h->value + strspn(h->value, " \t");
        str_addf(&line, *value ? "%s: %s" : "%s;%s", h->name, value); /* "Name;": sent, and empty */
        list = list_add(list, str_c(&line));
        has_type |= strcasecmp(h->name, "content-type") == 0;
    }
    if (!has_type)
        list = list_add(list, "Content-Type:");
    SET(c->easy, CURLOPT_HTTPHEADER, list);
    curl_slist_free_all(c->headers);
    c->headers = list;
}

static void
call_set_headers(struct call *c, const struct http_req *req)
{
    struct str key = STR_INIT;
    for (size_t i = 0; i < req->nheaders; i++) {
        str_add(&key, req->headers[i].name);
        str_addc(&key, '\n');
        str_add(&key, req->headers[i].value);
        str_addc(&key, '\n');
    }
    if (c->headers && key.len == c->headers_key.len &&
        memcmp(str_c(&key), str_c(&c->headers_key), key.len) == 0) {
        str_fini(&key);
        return;
    }
    str_fini(&c->headers_key);
    c->headers_key = key;
    call_build_headers(c, req);
}

static enum verb
verb_of(const struct http_req *req)
{
    if (req->body_len || strcmp(req->method, "POST") == 0 || strcmp(req->method, "PUT") == 0 ||
        strcmp(req->method, "PATCH") == 0)
        return VERB_BODY; /* these tell their length even when it is 0 (RFC 9110 8.6) */
    return strcmp(req->method, "HEAD") == 0 ? VERB_HEAD : VERB_GET;
}

static void
call_set_method(struct call *c, const struct http_req *req)
{
    enum verb verb = verb_of(req);
    if (verb != c->verb) {
        if (verb == VERB_GET)
            SET(c->easy, CURLOPT_HTTPGET, 1L);
        else if (verb == VERB_HEAD)
            SET(c->easy, CURLOPT_NOBODY, 1L);
        else
            SET(c->easy, CURLOPT_POST, 1L);
        c->verb = verb;
    }
    if (!str_eq(c->method, req->method)) {
        free(c->method);
        c->method = xstrdup(req->method);
        static const char *const plain[] = {"GET", "HEAD", "POST"};
        bool custom = true;
        for (size_t i = 0; i < COUNT(plain); i++)
            custom &= strcmp(plain[i], req->method) != 0;
        custom |= verb == VERB_BODY && strcmp(req->method, "POST") != 0; /* GET with a body */
        SET(c->easy, CURLOPT_CUSTOMREQUEST, custom ? req->method : NULL);
    }
}

/* curl puts a small body of HTTP/1 into its own buffer together with the header; other bodies are
 * read while they are sent, which can go on when http_open has returned: they are copied. */
static void
call_set_body(struct call *c, const struct http_req *req)
{
    const void *body = req->body_len ? req->body : "";
    if (c->verb != VERB_BODY)
        return;
    if (req->body_len > BORROW_BODY_MAX || c->shard->host->tls) {
        str_reset(&c->sent);
        str_addn(&c->sent, body, req->body_len);
        body = str_c(&c->sent);
    }
    SET(c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body_len);
    SET(c->easy, CURLOPT_POSTFIELDS, body);
}

static void
call_set_target(struct call *c, const struct http_req *req)
{
    const struct host *h = c->shard->host;
    long connect_ms =
        (long)(req->connect_timeout_ms > 0 ? MIN(req->connect_timeout_ms, INT32_MAX) : CONNECT_MS);
    if (!str_eq(c->url, req->url)) {
        free(c->url);
        c->url = xstrdup(req->url);
        SET(c->easy, CURLOPT_URL, req->url);
    }
    if (c->connect_ms != connect_ms) {
        c->connect_ms = connect_ms;
        SET(c->easy, CURLOPT_CONNECTTIMEOUT_MS, connect_ms);
    }
    if (c->resolve_gen != h->resolve_gen) {
        struct curl_slist *list = list_add(NULL, h->resolve);
        SET(c->easy, CURLOPT_RESOLVE, list);
        curl_slist_free_all(c->resolve);
        c->resolve = list;
        c->resolve_gen = h->resolve_gen;
    }
}

static bool
method_is_idempotent(const char *method)
{
    static const char *const idempotent[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"};
    for (size_t i = 0; i < COUNT(idempotent); i++) {
        if (strcmp(method, idempotent[i]) == 0)
            return true;
    }
    return false;
}

void
call_prepare(struct call *c, const struct http_req *req)
{
    call_set_target(c, req);
    call_set_headers(c, req);
    call_set_method(c, req);
    call_set_body(c, req);
    c->reply_max = req->reply_max ? req->reply_max : REPLY_MAX;
    c->idempotent = method_is_idempotent(req->method);
}

/* ---- the end --------------------------------------------------------------- */

void
call_finish(struct call *c, CURLcode result)
{
    c->result = result;
    c->done = true;
    if (result != CURLE_OK && !c->os_error) {
        long os_error = 0;
        curl_easy_getinfo(c->easy, CURLINFO_OS_ERRNO, &os_error);
        c->os_error = (int)os_error;
    }
    shard_remove(c->shard, c);
    call_wake(c);
}

static void
buffer_reset(struct str *s)
{
    if (s->cap > BUFFER_KEEP)
        str_fini(s);
    else
        str_reset(s);
}

void
call_recycle(struct call *c)
{
    struct shard *s = c->shard;
    assert(!c->in_multi && !c->waiter);
    buffer_reset(&c->sent);
    buffer_reset(&c->head);
    buffer_reset(&c->body);
    c->head_total = c->reply_total = 0;
    c->status = c->os_error = 0;
    c->sends = 0;
    c->head_done = c->done = c->paused = c->repeat_refused = c->broken = false;
    c->stop = STOP_NOT;
    c->length = -1;
    c->result = CURLE_OK;
    c->errors[0] = '\0';
    c->next_idle = s->idle;
    s->idle = c;
    s->idle_count++;
    s->open--;
}
