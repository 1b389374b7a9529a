/* schema_uri.c - joining references, RFC 3986 section 5. A component that is absent has p == NULL,
 * which is not the same as an empty one. */
#include "schema/schema_uri.h"
#include "base/str.h"
#include <stdlib.h>
#include <string.h>

struct span {
    const char *p; /* NULL: absent */
    size_t n;
};

struct uri {
    struct span scheme, authority, path, query;
};

static bool
is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static size_t
scheme_len(const char *s)
{
    if (!is_alpha(*s))
        return 0;
    size_t n = 1;
    while (is_alpha(s[n]) || (s[n] >= '0' && s[n] <= '9') || (s[n] && strchr("+-.", s[n])))
        n++;
    return s[n] == ':' ? n : 0;
}

static struct uri
uri_split(const char *s)
{
    struct uri u = {0};
    size_t n = scheme_len(s);
    if (n) {
        u.scheme = (struct span){s, n};
        s += n + 1;
    }
    if (s[0] == '/' && s[1] == '/') {
        u.authority = (struct span){s + 2, strcspn(s + 2, "/?#")};
        s += 2 + u.authority.n;
    }
    u.path = (struct span){s, strcspn(s, "?#")};
    s += u.path.n;
    if (*s == '?')
        u.query = (struct span){s + 1, strcspn(s + 1, "#")};
    return u;
}

/* RFC 3986 5.2.4, segment by segment; s holds only the path. */
static void
dots_remove(struct str *s)
{
    AUTO(str_fini) struct str out = STR_INIT;
    const char *p = str_c(s);
    bool rooted = *p == '/';
    while (*p) {
        size_t slash = *p == '/' ? 1 : 0;
        size_t n = strcspn(p + slash, "/");
        const char *segment = p + slash;
        bool last = !segment[n];
        bool up = n == 2 && memcmp(segment, "..", 2) == 0;
        if (up || (n == 1 && *segment == '.')) {
            if (up) {
                while (out.len && out.p[out.len - 1] != '/')
                    out.p[--out.len] = '\0';
                if (out.len)
                    out.p[--out.len] = '\0';
            }
            if (last && (out.len || rooted))
                str_addc(&out, '/');
        } else {
            if (out.len || rooted || slash)
                str_addn(&out, "/", slash);
            str_addn(&out, segment, n);
        }
        p = segment + n;
    }
    str_reset(s);
    str_addn(s, str_c(&out), out.len);
}

static void
path_merge(struct str *path, const struct uri *base, const struct uri *ref)
{
    if (ref->path.n && *ref->path.p == '/') {
        str_addn(path, ref->path.p, ref->path.n);
        return;
    }
    if (base->authority.p && !base->path.n) {
        str_addc(path, '/');
    } else {
        size_t n = base->path.n;
        while (n && base->path.p[n - 1] != '/')
            n--;
        str_addn(path, base->path.p, n);
    }
    str_addn(path, ref->path.p, ref->path.n);
}

char *
uri_join(const char *base, const char *ref)
{
    struct uri b = uri_split(base), r = uri_split(ref);
    AUTO(str_fini) struct str path = STR_INIT;
    struct uri out = r;
    if (!r.scheme.p) {
        out.scheme = b.scheme;
        if (!r.authority.p) {
            out.authority = b.authority;
            if (!r.path.n) {
                out.path = b.path;
                out.query = r.query.p ? r.query : b.query;
                str_addn(&path, b.path.p, b.path.n);
            } else {
                path_merge(&path, &b, &r);
            }
        }
    }
    if (!path.len)
        str_addn(&path, out.path.p, out.path.n);
    bool has_dots = strstr(str_c(&path), "/.") || str_c(&path)[0] == '.';
    if (has_dots)
        dots_remove(&path);
    struct str s = STR_INIT;
    if (out.scheme.p)
        str_addf(&s, "%.*s:", (int)out.scheme.n, out.scheme.p);
    if (out.authority.p)
        str_addf(&s, "//%.*s", (int)out.authority.n, out.authority.p);
    str_addn(&s, str_c(&path), path.len);
    if (out.query.p)
        str_addf(&s, "?%.*s", (int)out.query.n, out.query.p);
    return str_steal(&s);
}

const char *
uri_fragment(const char *ref)
{
    const char *hash = strchr(ref, '#');
    return hash ? hash + 1 : "";
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *
uri_decode(const char *text)
{
    AUTO(str_fini) struct str s = STR_INIT;
    for (; *text; text++) {
        if (*text != '%') {
            str_addc(&s, *text);
            continue;
        }
        int high = hex_digit(text[1]);
        int low = high < 0 ? -1 : hex_digit(text[2]);
        if (low < 0 || high + low == 0)
            return NULL;
        str_addc(&s, (char)(high * 16 + low));
        text += 2;
    }
    return str_steal(&s);
}
