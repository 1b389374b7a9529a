/* proxy.h - which proxy, if any, the environment names for a host.
 *
 * The variables' meaning is the one curl gave them: <scheme>_proxy (http_proxy in small letters
 * only, as HTTP_PROXY can be set by a request's header under CGI), then all_proxy; no_proxy lists
 * exceptions. */
#ifndef NET_PROXY_H
#define NET_PROXY_H
#include "base/err.h"

/* The proxy's URL, borrowed from the environment, or NULL. */
const char *proxy_for(bool tls, const char *host);
/* Is the host one of the exceptions: "*", a name (it and all below it, leading dot or not), an
 * address, an address/prefix; separated by commas or blanks. NULL list: none. */
bool proxy_is_exempt(const char *no_proxy, const char *host);

#endif
