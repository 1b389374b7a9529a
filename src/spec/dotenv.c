/* dotenv.c - .env files: NAME=value lines.
 *
 * The common core of what tools read from such files; nothing is expanded and no command is run. */
#include "spec/expand.h"
#include <ctype.h>
#include <string.h>

struct dotenv {
    const char *path, *p, *end;
    unsigned line;
    struct str name, value;
};

static void
dotenv_fini(struct dotenv *d)
{
    str_fini(&d->name);
    str_fini(&d->value);
}

static struct err *OWN MUST
fail(const struct dotenv *d, unsigned line, const char *what)
{
    return FAIL_AT(((struct src_pos){d->path, line, 1}), ERR_INVALID, "%s", what);
}

static void
skip_blanks(struct dotenv *d)
{
    while (d->p < d->end && (*d->p == ' ' || *d->p == '\t' || *d->p == '\r'))
        d->p++;
}

static void
skip_line(struct dotenv *d)
{
    const char *nl = memchr(d->p, '\n', (size_t)(d->end - d->p));
    d->p = nl ? nl + 1 : d->end;
    d->line++;
}

static bool
take_name(struct dotenv *d)
{
    const char *from = d->p;
    while (d->p < d->end && (isalnum((unsigned char)*d->p) || strchr("_.-", *d->p)))
        d->p++;
    str_reset(&d->name);
    str_addn(&d->name, from, (size_t)(d->p - from));
    return d->name.len && d->name.len <= EXPAND_NAME_MAX && !isdigit((unsigned char)*from);
}

static struct err *MUST
take_quoted(struct dotenv *d, char quote)
{
    static const char escapes[] = "ntr\"\\$", meant[] = "\n\t\r\"\\$";
    const unsigned began = d->line;
    for (d->p++; d->p < d->end && *d->p != quote; d->p++) {
        d->line += *d->p == '\n';
        if (quote == '"' && *d->p == '\\' && d->p + 1 < d->end) {
            const char *k = strchr(escapes, d->p[1]);
            if (k) {
                str_addc(&d->value, meant[k - escapes]);
                d->p++;
                continue;
            }
        }
        str_addc(&d->value, *d->p);
    }
    if (d->p == d->end)
        return fail(d, began, "a quote is not closed");
    d->p++;
    skip_blanks(d);
    if (d->p < d->end && *d->p != '\n' && *d->p != '#')
        return fail(d, d->line, "text after the closing quote");
    return NULL;
}

static void
take_bare(struct dotenv *d)
{
    const char *from = d->p;
    while (d->p < d->end && *d->p != '\n' &&
           !(*d->p == '#' && (d->p == from || d->p[-1] == ' ' || d->p[-1] == '\t')))
        d->p++;
    const char *to = d->p;
    while (to > from && strchr(" \t\r", to[-1]))
        to--;
    str_addn(&d->value, from, (size_t)(to - from));
}

static struct err *MUST
take_line(struct dotenv *d)
{
    if (d->end - d->p > 7 && memcmp(d->p, "export", 6) == 0 && isblank((unsigned char)d->p[6])) {
        d->p += 6;
        skip_blanks(d);
    }
    if (!take_name(d))
        return fail(d, d->line, "a line must read NAME=value");
    skip_blanks(d);
    if (d->p == d->end || *d->p != '=')
        return fail(d, d->line, "a '=' is missing after the name");
    d->p++;
    skip_blanks(d);
    str_reset(&d->value);
    if (d->p < d->end && (*d->p == '"' || *d->p == '\''))
        return take_quoted(d, *d->p);
    take_bare(d);
    return NULL;
}

struct err *
spec_dotenv_parse(const char *path, const char *text, size_t len,
                  void (*set)(void *ctx, const char *name, const char *value), void *ctx)
{
    AUTO(dotenv_fini) struct dotenv d = {.path = path, .p = text, .end = text + len, .line = 1};
    if (memchr(text, '\0', len) || !utf8_valid(text, len))
        return fail(&d, 1, "the file is not UTF-8 text");
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        d.p += 3;
    while (d.p < d.end) {
        skip_blanks(&d);
        if (d.p < d.end && *d.p != '#' && *d.p != '\n') {
            PASS(take_line(&d));
            set(ctx, str_c(&d.name), str_c(&d.value));
        }
        if (d.p < d.end)
            skip_line(&d);
    }
    return NULL;
}
