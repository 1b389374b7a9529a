/* url.h - http and https URLs (RFC 3986, read as libcurl reads them).
 *
 * One reader of URLs for the whole program: what is checked here is what the client connects to, so
 * a check (is it loopback? is it the allowed origin?) cannot be fooled by a second opinion. */
#ifndef NET_URL_H
#define NET_URL_H
#include "base/str.h"

#define URL_LEN_MAX 8000 /* bytes of a URL that are accepted */

struct url {
    char *text;  /* the whole, normalised: scheme and host in lower case, dot segments gone */
    char *host;  /* ASCII (IDNA), IPv6 in brackets */
    char *path;  /* "/" at least, percent-encoded */
    char *query; /* without '?', or NULL */
    char *user;  /* of user:password@, or NULL */
    char *
        origin; /* "https://host" or "http://host:8080": the port only when it is not the default */
    unsigned port; /* the default one when none is given */
    bool tls;      /* https */
};
/* ERR_INVALID, naming the URL and what is wrong with it. */
struct err *MUST url_parse(const char *text, struct url *ret_url);
/* A reference as in a Location header or a link, relative to a base (RFC 3986 5.2). */
struct err *MUST url_join(const char *base, const char *reference, struct url *ret_url);
void url_fini(struct url *u);

/* Names this machine: localhost and names below it, 127.0.0.0/8, ::1. */
bool url_is_loopback(const struct url *u);
bool host_is_loopback(const char *host);

/* Appends the text with all but A-Z a-z 0-9 - . _ ~ percent-encoded: for one part of a path or one
 * name or value of a query. */
void url_encode(struct str *to, const char *text);
/* "?name=value" or "&name=value", whichever the URL built so far needs. */
void url_add_query(struct str *to, const char *name, const char *value);
/* Decodes %XX (and '+' as blank when asked); malformed escapes stay. NUL bytes are refused: false.
 */
bool url_decode(struct str *to, const char *text, size_t n, bool plus_is_blank);

#endif
