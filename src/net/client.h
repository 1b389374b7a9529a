/* client.h - the real half of rt/http.h: HTTP/1.1 and HTTP/2 by libcurl on the loop.
 *
 * Installed once per runtime; from then on http_open and its kin (rt/http.h) reach the network.
 * Connections are kept alive and shared, HTTP/2 is taken where TLS offers it, gzip and brotli are
 * asked for and decoded, certificates are verified. One exchange is one request: no redirects, no
 * cookies, no .netrc, no Expect, and no silent second sending: libcurl's own repeat on a kept
 * connection that died is let through for GET, HEAD, OPTIONS, PUT and DELETE (RFC 9110 9.2.2) and
 * is an ERR_TRANSIENT in doubt for all others.
 *
 * From the environment: http_proxy, https_proxy, HTTPS_PROXY, all_proxy, ALL_PROXY, no_proxy,
 * NO_PROXY (names, .domains, addresses, address/prefix, "*"); CURL_CA_BUNDLE or SSL_CERT_FILE, and
 * SSL_CERT_DIR. They are read when a host is met first.
 *
 * Errors (err_kind): INVALID the URL, method or a header is malformed; DENIED the certificate is
 * not accepted or the proxy refuses us; LIMIT the reply is longer than reply_max, its header longer
 * than 64 KiB, or descriptors are used up; TIMEOUT the deadline or the time to connect passed;
 * TRANSIENT all else on the way. err_in_doubt as soon as the request may have left. A wait that
 * fails (time-out, cancellation) tears the transfer down at once; the exchange can only be closed
 * then. */
#ifndef NET_CLIENT_H
#define NET_CLIENT_H
#include "base/err.h"

struct net_client_opts {    /* zeros are good defaults; strings are copied */
    const char *user_agent; /* NULL: "tutti" */
    const char *ca_file;    /* PEM; NULL: from the environment, else the system's */
};
/* Into the current, real runtime. Also raises the soft limit of open descriptors to the hard one
 * (at most 65,536): one call in flight is one connection. */
void net_client_install(const struct net_client_opts *opts); /* NULL: defaults */
/* Closes every connection. No exchange may be open. In a fiber, as a name look-up may have to be
 * waited for. Nothing when none is installed. */
void net_client_remove(void) YIELDS;

struct net_client_stats {
    unsigned in_flight, hosts, shards, idle; /* exchanges; hosts known; multis; idle easy handles */
    uint64_t connects, lookups;              /* connections opened, names looked up */
};
void net_client_stats(struct net_client_stats *ret_stats);

#endif
