/* jsonish.c - finding JSON in prose.
 *
 * Linear by budget: each byte may be looked at a few times, however the brackets are arranged. */
#include "llm/jsonish.h"
#include <string.h>

#define LOOKS_PER_BYTE 8
#define LOOKS_MIN      65536

struct span {
    const char *p, *end;
};

static bool
is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct span
trim(struct span s)
{
    while (s.p < s.end && is_space(*s.p))
        s.p++;
    while (s.end > s.p && is_space(s.end[-1]))
        s.end--;
    return s;
}

static json_t *
parse(struct span s)
{
    json_t *j = NULL;
    s = trim(s);
    if (s.p == s.end)
        return NULL;
    struct err *e = json_parse(s.p, (size_t)(s.end - s.p), &j);
    err_free(e);
    return e ? NULL : j;
}

/* "<think>...</think>" in front is not part of the answer. */
static struct span
after_thinking(struct span s)
{
    static const char open[] = "<think>", close[] = "</think>";
    const struct span t = trim(s);
    const size_t n = (size_t)(t.end - t.p);
    if (n < sizeof open - 1 || memcmp(t.p, open, sizeof open - 1) != 0)
        return s;
    const char *end = memmem(t.p, n, close, sizeof close - 1);
    return end ? (struct span){end + sizeof close - 1, s.end} : s;
}

/* The next "```" at the start of a line (blanks before it allowed), or NULL. */
static const char *
next_fence(struct span s, bool at_line_start)
{
    const char *p = s.p;
    while (p < s.end) {
        if (at_line_start) {
            const char *q = p;
            while (q < s.end && (*q == ' ' || *q == '\t'))
                q++;
            if (s.end - q >= 3 && memcmp(q, "```", 3) == 0)
                return q;
        }
        const char *nl = memchr(p, '\n', (size_t)(s.end - p));
        if (!nl)
            return NULL;
        p = nl + 1;
        at_line_start = true;
    }
    return NULL;
}

static json_t *
find_fenced(struct span s)
{
    const char *fence = next_fence(s, true);
    while (fence) {
        const char *body = memchr(fence, '\n', (size_t)(s.end - fence)); /* past "```json" */
        if (!body)
            return NULL;
        body++;
        const char *close = next_fence((struct span){body, s.end}, true);
        json_t *j = parse((struct span){body, close ? close : s.end});
        if (j || !close)
            return j;
        /* what closed this block may have been the opening of the next one */
        fence = close;
    }
    return NULL;
}

/* The end of the value that begins with the bracket at p; NULL: it never closes. Brackets are
 * counted together: a pair that does not fit is for the parser to refuse. */
static const char *
balanced(struct span s, size_t *looks)
{
    size_t depth = 0;
    bool in_string = false;
    for (const char *p = s.p; p < s.end && *looks; p++, --*looks) {
        if (in_string) {
            if (*p == '\\')
                p++;
            else if (*p == '"')
                in_string = false;
        } else if (*p == '"') {
            in_string = true;
        } else if (*p == '{' || *p == '[') {
            depth++;
        } else if ((*p == '}' || *p == ']') && --depth == 0) {
            return p + 1;
        }
    }
    return NULL;
}

static json_t *
find_longest(struct span s)
{
    size_t looks = (size_t)(s.end - s.p) * LOOKS_PER_BYTE + LOOKS_MIN;
    size_t best_len = 0;
    json_t *best = NULL;
    const char *p = s.p;
    while (p < s.end && looks) {
        if (*p != '{' && *p != '[') {
            p++;
            continue;
        }
        const char *end = balanced((struct span){p, s.end}, &looks);
        const size_t len = end ? (size_t)(end - p) : 0;
        json_t *j = len > best_len ? parse((struct span){p, end}) : NULL;
        looks -= MIN(looks, len); /* the parser looked, too */
        if (j) {
            json_decref(best);
            best = j;
            best_len = len;
        }
        p = j ? end : p + 1;
    }
    return best;
}

json_t *
jsonish_find(const char *text, size_t n)
{
    if (n > JSONISH_BYTES_MAX)
        return NULL;
    const struct span all = {text, text + n};
    json_t *j = parse(all);
    if (j)
        return j;
    const struct span rest = after_thinking(all);
    j = rest.p != all.p ? parse(rest) : NULL;
    if (!j)
        j = find_fenced(rest);
    return j ? j : find_longest(rest);
}
