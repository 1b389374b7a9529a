/* schema_format.c - formats as small scanners. Each takes the whole text; none allocates. */
#include "schema/schema_format.h"
#include "schema/schema.h"
#include "schema/schema_regex.h"
#include <string.h>

struct text { /* what is still to be read */
    const char *p, *end;
};

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_hex(char c)
{
    return is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'f');
}

static bool
take(struct text *t, char c)
{
    if (t->p == t->end || *t->p != c)
        return false;
    t->p++;
    return true;
}

/* Exactly `digits` decimal digits. */
static bool
take_number(struct text *t, int digits, int *ret)
{
    int x = 0;
    for (int i = 0; i < digits; i++) {
        if (t->p == t->end || !is_digit(*t->p))
            return false;
        x = x * 10 + (*t->p++ - '0');
    }
    *ret = x;
    return true;
}

static size_t
take_digits(struct text *t)
{
    const char *from = t->p;
    while (t->p < t->end && is_digit(*t->p))
        t->p++;
    return (size_t)(t->p - from);
}

/* ---- dates and times (RFC 3339) --------------------------------------------------------------*/

static bool
take_date(struct text *t)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int y, m, d;
    if (!take_number(t, 4, &y) || !take(t, '-') || !take_number(t, 2, &m) || !take(t, '-') ||
        !take_number(t, 2, &d) || m < 1 || m > 12 || d < 1)
        return false;
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    return d <= days[m - 1] + (m == 2 && leap);
}

/* A leap second is the last one of a day in UTC. */
static bool
take_time(struct text *t)
{
    int h, m, s, zh = 0, zm = 0;
    if (!take_number(t, 2, &h) || !take(t, ':') || !take_number(t, 2, &m) || !take(t, ':') ||
        !take_number(t, 2, &s) || h > 23 || m > 59 || s > 60)
        return false;
    if (take(t, '.') && !take_digits(t))
        return false;
    int sign = take(t, '+') ? 1 : take(t, '-') ? -1 : 0;
    if (!sign && !take(t, 'Z') && !take(t, 'z'))
        return false;
    if (sign &&
        (!take_number(t, 2, &zh) || !take(t, ':') || !take_number(t, 2, &zm) || zh > 23 || zm > 59))
        return false;
    int utc = (h * 60 + m - sign * (zh * 60 + zm) + 2880) % 1440;
    return s < 60 || utc == 1439;
}

static bool
is_date(const char *s, size_t n)
{
    struct text t = {s, s + n};
    return take_date(&t) && t.p == t.end;
}

static bool
is_time(const char *s, size_t n)
{
    struct text t = {s, s + n};
    return take_time(&t) && t.p == t.end;
}

static bool
is_date_time(const char *s, size_t n)
{
    struct text t = {s, s + n};
    return take_date(&t) && (take(&t, 'T') || take(&t, 't')) && take_time(&t) && t.p == t.end;
}

/* Numbers with these units, in this order, without gaps in between (RFC 3339, appendix A). */
static bool
take_units(struct text *t, const char *units)
{
    const char *last = NULL;
    while (t->p < t->end && is_digit(*t->p)) {
        take_digits(t);
        const char *unit = t->p < t->end ? strchr(units, *t->p) : NULL;
        if (!unit || !*unit || (last && unit != last + 1))
            return false;
        last = unit;
        t->p++;
    }
    return last != NULL;
}

static bool
is_duration(const char *s, size_t n)
{
    struct text t = {s, s + n};
    if (!take(&t, 'P') || t.p == t.end)
        return false;
    if (*t.p != 'T') {
        struct text weeks = t;
        if (take_units(&weeks, "W") && weeks.p == weeks.end)
            return true;
        if (!take_units(&t, "YMD"))
            return false;
    }
    if (take(&t, 'T') && !take_units(&t, "HMS"))
        return false;
    return t.p == t.end;
}

/* ---- hosts -----------------------------------------------------------------------------------*/

static bool
is_ipv4(const char *s, size_t n)
{
    struct text t = {s, s + n};
    for (int i = 0; i < 4; i++) {
        const char *from = t.p;
        size_t digits = take_digits(&t);
        int x;
        struct text number = {from, t.end};
        if (digits < 1 || digits > 3 || (digits > 1 && *from == '0') ||
            !take_number(&number, (int)digits, &x) || x > 255 || (i < 3 && !take(&t, '.')))
            return false;
    }
    return t.p == t.end;
}

/* RFC 4291 section 2.2: eight groups, or fewer around one "::"; the last two may be an IPv4. */
static bool
is_ipv6(const char *s, size_t n)
{
    struct text t = {s, s + n};
    int groups = 0;
    bool gap = n >= 2 && s[0] == ':' && s[1] == ':';
    t.p += gap ? 2 : 0;
    while (t.p < t.end) {
        const char *from = t.p;
        while (t.p < t.end && is_hex(*t.p))
            t.p++;
        if (t.p < t.end && *t.p == '.') {
            groups += 2;
            return is_ipv4(from, (size_t)(t.end - from)) && (gap ? groups <= 7 : groups == 8);
        }
        if (t.p == from || t.p - from > 4)
            return false;
        groups++;
        if (t.p == t.end)
            break;
        if (!take(&t, ':') || t.p == t.end)
            return false;
        if (*t.p == ':') {
            if (gap)
                return false;
            gap = true;
            t.p++;
        }
    }
    return gap ? groups <= 7 : groups == 8;
}

/* RFC 1123 section 2.1: labels of letters, digits and inner hyphens. "--" in third place is kept
 * for encoded names (RFC 5891 4.2.3.1), of which only xn-- is in use. */
static bool
is_label(const char *s, size_t n)
{
    if (n < 1 || n > 63 || s[0] == '-' || s[n - 1] == '-')
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!is_letter(s[i]) && !is_digit(s[i]) && s[i] != '-')
            return false;
    }
    bool reserved = n >= 4 && s[2] == '-' && s[3] == '-';
    return !reserved || (n > 4 && (s[0] | 32) == 'x' && (s[1] | 32) == 'n');
}

static bool
is_hostname(const char *s, size_t n)
{
    if (n < 1 || n > 253)
        return false;
    for (size_t from = 0; from <= n;) {
        const char *dot = memchr(s + from, '.', n - from);
        size_t len = dot ? (size_t)(dot - s) - from : n - from;
        if (!is_label(s + from, len))
            return false;
        from += len + 1;
    }
    return true;
}

/* ---- mail (RFC 5321 4.1.2) -------------------------------------------------------------------*/

static bool
is_local(const char *s, size_t n, bool unicode)
{
    static const char atoms[] = "!#$%&'*+-/=?^_`{|}~";
    if (n >= 2 && s[0] == '"' && s[n - 1] == '"') {
        for (size_t i = 1; i < n - 1; i++) {
            if (s[i] == '\\' && i + 1 < n - 1)
                i++;
            else if (s[i] == '"' || s[i] == '\\' || (unsigned char)s[i] < 32)
                return false;
        }
        return true;
    }
    if (!n || s[0] == '.' || s[n - 1] == '.')
        return false;
    for (size_t i = 0; i < n; i++) {
        bool plain = is_letter(s[i]) || is_digit(s[i]) || (s[i] && strchr(atoms, s[i])) ||
                     (unicode && (unsigned char)s[i] >= 0x80);
        if (!plain && !(s[i] == '.' && s[i - 1] != '.'))
            return false;
    }
    return true;
}

static bool
is_mail(const char *s, size_t n, bool unicode)
{
    const char *at = memrchr(s, '@', n);
    if (!at || !is_local(s, (size_t)(at - s), unicode))
        return false;
    const char *host = at + 1;
    size_t len = n - (size_t)(host - s);
    if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
        if (len > 7 && memcmp(host, "[IPv6:", 6) == 0)
            return is_ipv6(host + 6, len - 7);
        return is_ipv4(host + 1, len - 2);
    }
    if (unicode && len && len <= 253 && memchr(host, ' ', len) == NULL)
        return true; /* names in Unicode are not looked into */
    return is_hostname(host, len);
}

static bool
is_email(const char *s, size_t n)
{
    return is_mail(s, n, false);
}

static bool
is_idn_email(const char *s, size_t n)
{
    return is_mail(s, n, true);
}

/* ---- URIs (RFC 3986, RFC 3987) ---------------------------------------------------------------*/

/* Characters of `allowed`, letters, digits, escapes; beyond ASCII only in IRIs. */
static bool
are_uri_characters(const char *s, size_t n, const char *allowed, bool unicode)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '%') {
            if (n - i < 3 || !is_hex(s[i + 1]) || !is_hex(s[i + 2]))
                return false;
            i += 2;
        } else if ((unsigned char)s[i] >= 0x80) {
            if (!unicode)
                return false;
        } else if (!is_letter(s[i]) && !is_digit(s[i]) && (!s[i] || !strchr(allowed, s[i]))) {
            return false;
        }
    }
    return true;
}

static bool
is_authority(const char *s, size_t n, bool unicode)
{
    const char *at = memrchr(s, '@', n);
    if (at && !are_uri_characters(s, (size_t)(at - s), "-._~!$&'()*+,;=:", unicode))
        return false;
    const char *host = at ? at + 1 : s, *end = s + n;
    const char *host_end = end;
    while (host_end > host && is_digit(host_end[-1]))
        host_end--;
    host_end = host_end > host && host_end[-1] == ':' ? host_end - 1 : end;
    size_t len = (size_t)(host_end - host);
    if (len > 2 && host[0] == '[') {
        bool future = (host[1] | 32) == 'v';
        return host[len - 1] == ']' &&
               (future ? are_uri_characters(host + 1, len - 2, "-._~!$&'()*+,;=:", false)
                       : is_ipv6(host + 1, len - 2));
    }
    return are_uri_characters(host, len, "-._~!$&'()*+,;=", unicode);
}

static size_t
scheme_length(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n && (is_letter(s[i]) || (i && (is_digit(s[i]) || (s[i] && strchr("+-.", s[i]))))))
        i++;
    return i && i < n && s[i] == ':' ? i : 0;
}

static bool
is_reference(const char *s, size_t n, bool unicode, bool absolute)
{
    static const char path[] = "-._~!$&'()*+,;=:@/", query[] = "-._~!$&'()*+,;=:@/?";
    size_t scheme = scheme_length(s, n);
    if (absolute && !scheme)
        return false;
    const char *p = scheme ? s + scheme + 1 : s, *end = s + n;
    const char *fragment = memchr(p, '#', (size_t)(end - p));
    if (fragment) {
        if (!are_uri_characters(fragment + 1, (size_t)(end - fragment) - 1, query, unicode))
            return false;
        end = fragment;
    }
    const char *mark = memchr(p, '?', (size_t)(end - p));
    if (mark) {
        if (!are_uri_characters(mark + 1, (size_t)(end - mark) - 1, query, unicode))
            return false;
        end = mark;
    }
    if (end - p >= 2 && p[0] == '/' && p[1] == '/') {
        const char *slash = memchr(p + 2, '/', (size_t)(end - p) - 2);
        const char *stop = slash ? slash : end;
        if (!is_authority(p + 2, (size_t)(stop - p) - 2, unicode))
            return false;
        p = stop;
    } else if (!scheme) {
        const char *slash = memchr(p, '/', (size_t)(end - p));
        if (memchr(p, ':', (size_t)((slash ? slash : end) - p)))
            return false; /* would be taken for a scheme (4.2) */
    }
    return are_uri_characters(p, (size_t)(end - p), path, unicode);
}

static bool
is_uri(const char *s, size_t n)
{
    return is_reference(s, n, false, true);
}

static bool
is_uri_reference(const char *s, size_t n)
{
    return is_reference(s, n, false, false);
}

static bool
is_iri(const char *s, size_t n)
{
    return is_reference(s, n, true, true);
}

static bool
is_iri_reference(const char *s, size_t n)
{
    return is_reference(s, n, true, false);
}

/* RFC 6570: braces are balanced and not nested, and what is in them is a list of names. */
static bool
is_uri_template(const char *s, size_t n)
{
    bool inside = false;
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '{' || s[i] == '}') {
            if (inside == (s[i] == '{') || (inside && s[i - 1] == '{'))
                return false;
            inside = !inside;
        } else if ((unsigned char)s[i] <= 32 || strchr("\"'<>\\^`|", s[i])) {
            if (!inside || s[i] != '|') /* an operator kept for later */
                return false;
        }
    }
    return !inside;
}

/* ---- the others ------------------------------------------------------------------------------*/

static bool
is_uuid(const char *s, size_t n)
{
    if (n != 36)
        return false;
    for (size_t i = 0; i < n; i++) {
        bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        if (hyphen ? s[i] != '-' : !is_hex(s[i]))
            return false;
    }
    return true;
}

static bool
is_json_pointer(const char *s, size_t n)
{
    if (n && s[0] != '/')
        return false;
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '~' && (i + 1 == n || (s[i + 1] != '0' && s[i + 1] != '1')))
            return false;
    }
    return true;
}

static bool
is_relative_json_pointer(const char *s, size_t n)
{
    struct text t = {s, s + n};
    size_t digits = take_digits(&t);
    if (!digits || (digits > 1 && s[0] == '0'))
        return false;
    if (t.end - t.p == 1 && *t.p == '#')
        return true;
    return is_json_pointer(t.p, (size_t)(t.end - t.p));
}

static bool
is_regex(const char *s, size_t n)
{
    if (n > SCHEMA_PATTERN_MAX)
        return false;
    struct regex *r = NULL;
    struct err *e = regex_compile(s, n, true, &r);
    bool ok = e == NULL;
    err_drop(e);
    regex_free(r);
    return ok;
}

static const struct {
    const char *name;
    format_fn fn;
    const char *example;
} formats[] = {
    {"date-time", is_date_time, "2026-01-31T12:00:00Z"},
    {"date", is_date, "2026-01-31"},
    {"time", is_time, "12:00:00Z"},
    {"duration", is_duration, "P1DT12H"},
    {"email", is_email, "name@example.org"},
    {"idn-email", is_idn_email, "name@example.org"},
    {"hostname", is_hostname, "www.example.org"},
    {"ipv4", is_ipv4, "192.0.2.1"},
    {"ipv6", is_ipv6, "2001:db8::1"},
    {"uri", is_uri, "https://example.org/path"},
    {"uri-reference", is_uri_reference, "/path?x=1"},
    {"iri", is_iri, "https://example.org/path"},
    {"iri-reference", is_iri_reference, "/path?x=1"},
    {"uri-template", is_uri_template, "/users/{id}"},
    {"uuid", is_uuid, "123e4567-e89b-12d3-a456-426614174000"},
    {"json-pointer", is_json_pointer, "/a/0"},
    {"relative-json-pointer", is_relative_json_pointer, "1/a"},
    {"regex", is_regex, "^[a-z]+$"},
};

format_fn
format_find(const char *name)
{
    for (size_t i = 0; i < COUNT(formats); i++) {
        if (strcmp(name, formats[i].name) == 0)
            return formats[i].fn;
    }
    return NULL;
}

const char *
format_example(const char *name)
{
    for (size_t i = 0; i < COUNT(formats); i++) {
        if (strcmp(name, formats[i].name) == 0)
            return formats[i].example;
    }
    return NULL;
}
