/* fault.c - what went wrong, in words for the user and in the kinds the layers above branch on. */
#include "net/clientcore.h"
#include <errno.h>
#include <string.h>

static struct err *
fault_connect(const struct call *c)
{
    const struct host *h = c->shard->host;
    const char *proxy = h->proxy ? "the proxy " : "";
    switch (c->os_error) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return FAIL(ERR_LIMIT,
                    "could not connect to %s: %s (raise the limit of open files: ulimit -n)",
                    h->dial_label, strerror(c->os_error));
    case ECONNREFUSED:
        return FAIL(ERR_TRANSIENT,
                    "could not connect to %s%s: connection refused (is the server running?)", proxy,
                    h->dial_label);
    case ENETUNREACH:
    case EHOSTUNREACH:
        return FAIL(ERR_TRANSIENT,
                    "could not connect to %s%s: there is no route to it (check the network)", proxy,
                    h->dial_label);
    case 0:
        return FAIL(ERR_TRANSIENT, "could not connect to %s%s: %s", proxy, h->dial_label,
                    c->errors);
    default:
        return FAIL(ERR_TRANSIENT, "could not connect to %s%s: %s", proxy, h->dial_label,
                    strerror(c->os_error));
    }
}

static struct err *
fault_stopped(const struct call *c)
{
    const char *label = c->shard->host->label;
    if (c->stop == STOP_FRAMING)
        return FAIL(ERR_TRANSIENT, "the reply of %s does not say clearly how long it is", label);
    if (c->stop == STOP_HEAD)
        return FAIL(ERR_LIMIT, "the header of the reply of %s is longer than %zu bytes", label,
                    HEAD_MAX);
    return FAIL(ERR_LIMIT, "the reply of %s is longer than the %zu bytes allowed", label,
                c->reply_max);
}

static struct err *
fault_certificate(const struct call *c)
{
    return FAIL(ERR_DENIED,
                "the TLS certificate of %s is not accepted: %s (a private authority's "
                "certificate is named by SSL_CERT_FILE)",
                c->shard->host->label, c->errors[0] ? c->errors : curl_easy_strerror(c->result));
}

/* Between the connection and the end of the reply. */
static struct err *
fault_transfer(const struct call *c)
{
    const char *label = c->shard->host->label;
    long code = 0;
    curl_easy_getinfo(c->easy, CURLINFO_HTTP_CONNECTCODE, &code);
    if (!c->sends && (code == 403 || code == 407))
        return FAIL(ERR_DENIED, "the proxy %s refuses to connect to %s (status %ld)",
                    c->shard->host->dial_label, label, code);
    if (c->repeat_refused || c->result == CURLE_GOT_NOTHING)
        return FAIL(ERR_TRANSIENT, "%s closed the connection without a reply", label);
    if (c->result == CURLE_PARTIAL_FILE)
        return FAIL(ERR_TRANSIENT, "%s closed the connection in the middle of its reply", label);
    if (c->os_error == ECONNRESET || c->os_error == EPIPE)
        return FAIL(ERR_TRANSIENT, "%s reset the connection%s", label,
                    c->head_done ? " in the middle of its reply" : "");
    return FAIL(ERR_TRANSIENT, "the exchange with %s broke: %s", label,
                c->errors[0] ? c->errors : curl_easy_strerror(c->result));
}

static struct err *
fault_classify(const struct call *c)
{
    const struct host *h = c->shard->host;
    if (c->stop)
        return fault_stopped(c);
    switch (c->result) {
    case CURLE_UNSUPPORTED_PROTOCOL: /* of a reply: HTTP/0.9, which is anything at all */
        if (c->sends)
            return FAIL(ERR_TRANSIENT, "%s does not answer in HTTP (is the port right?)", h->label);
        /* fall through */
    case CURLE_URL_MALFORMAT:
        return FAIL(ERR_INVALID, "the URL '%.200s' cannot be called: %s", c->url, c->errors);
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return FAIL(ERR_TRANSIENT, "the host of %s could not be looked up", h->dial_label);
    case CURLE_COULDNT_CONNECT:
        return fault_connect(c);
    case CURLE_OPERATION_TIMEDOUT: /* we set curl no other time than the one to connect */
        return FAIL(ERR_TIMEOUT, "could not connect to %s within %ld ms", h->dial_label,
                    c->connect_ms);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return fault_certificate(c);
    case CURLE_SSL_CACERT_BADFILE:
        return FAIL(ERR_DENIED, "the file of trusted certificates '%s' cannot be used: %s",
                    h->ca_file ? h->ca_file : "(the system's)", c->errors);
    case CURLE_SSL_CONNECT_ERROR:
        return FAIL(ERR_TRANSIENT, "the TLS handshake with %s failed: %s (does it speak https?)",
                    h->label, c->errors);
    case CURLE_OUT_OF_MEMORY:
        return FAIL(ERR_LIMIT, "out of memory in the exchange with %s", h->label);
    default:
        return fault_transfer(c);
    }
}

struct err *
call_fault(const struct call *c)
{
    struct err *e = fault_classify(c);
    return c->sends ? err_set_in_doubt(e) : e;
}
