/* url.c - a thin layer over libcurl's URL API, which is the parser the client will use as well. */
#include "net/url.h"
#include "net/names.h"
#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#ifdef CURLU_PUNYCODE
#define HOST_FLAGS CURLU_PUNYCODE
#else
#define HOST_FLAGS 0
#endif

static void
curlu_freep(CURLU **u)
{
    curl_url_cleanup(*u);
}

void
url_fini(struct url *u)
{
    free(u->text);
    free(u->host);
    free(u->path);
    free(u->query);
    free(u->user);
    free(u->origin);
    *u = (struct url){0};
}

static struct err *
url_refused(const char *text, const char *why)
{
    int shown = (int)MIN(strlen(text), 200);
    return FAIL(ERR_INVALID, "the URL '%.*s' is malformed: %s", shown, text, why);
}

/* A part as our own copy; NULL when it is absent. */
static char *
part_get(CURLU *u, CURLUPart part, unsigned flags)
{
    char *p = NULL;
    if (curl_url_get(u, part, &p, flags) != CURLUE_OK)
        return NULL;
    char *copy = xstrdup(p);
    curl_free(p);
    return copy;
}

static struct err *
url_read(CURLU *u, const char *text, struct url *ret_url)
{
    AUTO(url_fini) struct url url = {0};
    AUTO(freep) char *scheme = part_get(u, CURLUPART_SCHEME, 0);
    if (!scheme || (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
        return url_refused(text, "it must begin with http:// or https://");
    AUTO(freep) char *port = part_get(u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    url.tls = scheme[4] == 's';
    url.port = port ? (unsigned)strtoul(port, NULL, 10) : 0;
    url.host = part_get(u, CURLUPART_HOST, HOST_FLAGS);
    if (!url.host || !*url.host)
        return url_refused(text, "it names no host");
    if (!url.port || url.port > 65535)
        return url_refused(text, "the port must be between 1 and 65535");
    for (char *p = url.host; *p; p++)
        *p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
    curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0); /* never sent (RFC 9110 4.2.5) */
    url.path = part_get(u, CURLUPART_PATH, 0);
    url.query = part_get(u, CURLUPART_QUERY, 0);
    url.user = part_get(u, CURLUPART_USER, 0);
    if (curl_url_set(u, CURLUPART_HOST, url.host, 0) != CURLUE_OK)
        return url_refused(text, "the host's name is not valid");
    url.text = part_get(u, CURLUPART_URL, CURLU_NO_DEFAULT_PORT);
    if (!url.text || !url.path)
        return url_refused(text, "it cannot be put together again");
    url.origin = url.port == (url.tls ? 443u : 80u)
                     ? xasprintf("%s://%s", scheme, url.host)
                     : xasprintf("%s://%s:%u", scheme, url.host, url.port);
    *ret_url = url;
    url = (struct url){0};
    return NULL;
}

static struct err *
text_check(const char *text)
{
    if (strlen(text) > URL_LEN_MAX)
        return url_refused(text, "it is too long");
    for (const char *p = text; *p; p++) {
        if ((unsigned char)*p <= ' ' || *p == 0x7f)
            return url_refused(text, "it holds a blank or a control character");
    }
    return NULL;
}

struct err *
url_parse(const char *text, struct url *ret_url)
{
    PASS(text_check(text));
    const char *slashes = strstr(text, "://");
    if (slashes && strncasecmp(text, "http", 4) == 0 &&
        slashes[3] == '/') /* libcurl would take the path's first part for the host */
        return url_refused(text, "it names no host");
    AUTO(curlu_freep) CURLU *u = curl_url();
    if (!u)
        abort();
    CURLUcode rc = curl_url_set(u, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME);
    if (rc == CURLUE_BAD_SCHEME)
        return url_refused(text, "it must begin with http:// or https://");
    if (rc != CURLUE_OK)
        return url_refused(text, curl_url_strerror(rc));
    return url_read(u, text, ret_url);
}

struct err *
url_join(const char *base, const char *reference, struct url *ret_url)
{
    PASS(text_check(base));
    PASS(text_check(reference));
    AUTO(curlu_freep) CURLU *u = curl_url();
    if (!u)
        abort();
    CURLUcode rc = curl_url_set(u, CURLUPART_URL, base, CURLU_NON_SUPPORT_SCHEME);
    if (rc != CURLUE_OK)
        return url_refused(base, curl_url_strerror(rc));
    if (*reference)
        rc = curl_url_set(u, CURLUPART_URL, reference, CURLU_NON_SUPPORT_SCHEME);
    if (rc != CURLUE_OK)
        return url_refused(reference, curl_url_strerror(rc));
    return url_read(u, reference, ret_url);
}

bool
host_is_loopback(const char *host)
{
    struct in_addr v4;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    if (strcmp(host, "[::1]") == 0 || strcmp(host, "::1") == 0)
        return true;
    size_t n = strlen(host);
    if (n && host[n - 1] == '.')
        n--;
    if (n < 9 || strncasecmp(host + n - 9, "localhost", 9) != 0)
        return false;
    return n == 9 || host[n - 10] == '.'; /* RFC 6761 6.3: names below localhost too */
}

bool
url_is_loopback(const struct url *u)
{
    return host_is_loopback(u->host);
}

void
url_encode(struct str *to, const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                     (*p >= '0' && *p <= '9') || strchr("-._~", *p);
        if (plain) {
            str_addc(to, (char)*p);
        } else {
            const char escape[3] = {'%', hex[*p >> 4], hex[*p & 15]};
            str_addn(to, escape, sizeof escape);
        }
    }
}

void
url_add_query(struct str *to, const char *name, const char *value)
{
    const char *mark = strchr(str_c(to), '?');
    if (!mark)
        str_addc(to, '?');
    else if (mark[1])
        str_addc(to, '&');
    url_encode(to, name);
    str_addc(to, '=');
    url_encode(to, value);
}

static int
hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
url_decode(struct str *to, const char *text, size_t n, bool plus_is_blank)
{
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (c == '+' && plus_is_blank) {
            c = ' ';
        } else if (c == '%' && n - i > 2 && hex_value(text[i + 1]) >= 0 &&
                   hex_value(text[i + 2]) >= 0) {
            c = (char)(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
            i += 2;
        }
        if (!c)
            return false;
        str_addc(to, c);
    }
    return true;
}
