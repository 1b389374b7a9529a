/* proxy.c - reading the proxy variables. */
#include "net/proxy.h"
#include "rt/rt.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static const char *
env_either(const char *small, const char *large)
{
    const char *v = rt_env(small);
    if (!v || !*v)
        v = large ? rt_env(large) : NULL;
    return v && *v ? v : NULL;
}

/* Both texts as addresses of one family; *ret_bits is its width. */
static bool
addresses_parse(const char *a, const char *b, unsigned char to_a[16], unsigned char to_b[16],
                unsigned *ret_bits)
{
    if (inet_pton(AF_INET, a, to_a) == 1 && inet_pton(AF_INET, b, to_b) == 1) {
        *ret_bits = 32;
        return true;
    }
    *ret_bits = 128;
    return inet_pton(AF_INET6, a, to_a) == 1 && inet_pton(AF_INET6, b, to_b) == 1;
}

static bool
address_matches(char *entry, const char *host)
{
    unsigned char net[16], addr[16];
    unsigned bits;
    char *slash = strchr(entry, '/');
    if (slash)
        *slash++ = '\0';
    if (!addresses_parse(entry, host, net, addr, &bits))
        return false;
    if (slash) {
        char *end;
        unsigned long prefix = strtoul(slash, &end, 10);
        if (end == slash || *end || prefix > bits)
            return false;
        bits = (unsigned)prefix;
    }
    if (memcmp(net, addr, bits / 8) != 0)
        return false;
    unsigned rest = bits % 8;
    return !rest || (net[bits / 8] ^ addr[bits / 8]) >> (8 - rest) == 0;
}

static bool
name_matches(const char *entry, const char *host)
{
    entry += *entry == '.';
    size_t n = strlen(entry), len = strlen(host);
    if (n && entry[n - 1] == '.')
        n--;
    if (!n || n > len || strncasecmp(host + len - n, entry, n) != 0)
        return false;
    return n == len || host[len - n - 1] == '.';
}

/* Without the brackets of an IPv6 address. */
static void
host_bare(const char *host, char *ret_bare, size_t size)
{
    size_t n = strlen(host);
    bool bracketed = n > 1 && host[0] == '[' && host[n - 1] == ']';
    n = MIN(bracketed ? n - 2 : n, size - 1);
    memcpy(ret_bare, host + bracketed, n);
    ret_bare[n] = '\0';
}

bool
proxy_is_exempt(const char *no_proxy, const char *host)
{
    char bare[256], entry[256], bare_entry[256];
    if (!no_proxy)
        return false;
    host_bare(host, bare, sizeof bare);
    for (const char *p = no_proxy; *(p += strspn(p, ", \t")); p += strcspn(p, ", \t")) {
        size_t n = strcspn(p, ", \t");
        if (n >= sizeof entry)
            continue; /* no host name is that long */
        memcpy(entry, p, n);
        entry[n] = '\0';
        if (strcmp(entry, "*") == 0)
            return true;
        host_bare(entry, bare_entry, sizeof bare_entry);
        if (name_matches(bare_entry, bare) || address_matches(bare_entry, bare))
            return true;
    }
    return false;
}

const char *
proxy_for(bool tls, const char *host)
{
    const char *proxy =
        tls ? env_either("https_proxy", "HTTPS_PROXY") : env_either("http_proxy", NULL);
    if (!proxy)
        proxy = env_either("all_proxy", "ALL_PROXY");
    return proxy && !proxy_is_exempt(env_either("no_proxy", "NO_PROXY"), host) ? proxy : NULL;
}
