/* names.h - host names to addresses, without blocking and without a thread for each question.
 *
 * getaddrinfo runs on the thread pool (rt/worker.h); one look-up per name is on its way at most,
 * its answer is kept for 60 s, a failure for 1 s. When a new look-up fails the old addresses are
 * used on. */
#ifndef NET_NAMES_H
#define NET_NAMES_H
#include "base/err.h"

struct names;
struct names *OWN names_new(void);
void names_free(struct names *OWN n) YIELDS; /* waits for look-ups; accepts NULL */
/* *ret_addrs: "192.0.2.1,[2001:db8::1]" in the system's order of preference, at most 16; borrowed
 * until the next yield. Equal texts mean equal addresses. ERR_TRANSIENT when there is none (never
 * in doubt), ERR_TIMEOUT, ERR_CANCELLED. */
struct err *MUST names_find(struct names *n, const char *host, int64_t deadline_ms,
                            const char **ret_addrs) YIELDS;
bool name_is_address(const char *host); /* IPv4 in dots, or IPv6 with or without brackets */
uint64_t names_lookups(const struct names *n);

#endif
