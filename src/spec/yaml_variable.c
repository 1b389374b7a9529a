/* yaml_variable.c - ${NAME} without quotes inside of { } and [ ].
 *
 * By YAML's rules the braces of `{token: ${TOKEN}}` end the plain text; users write it all the
 * same, and there is no other meaning it could have. So the braces of variables are hidden from the
 * parser: both become the character DEL, which no file may hold, so that every byte keeps its
 * place; afterwards they are shown again in the texts. */
#include "spec/yaml_variable.h"
#include <ctype.h>
#include <string.h>

#define HIDDEN      '\x7f'
#define DEFAULT_MAX 4096

struct braces {
    char open, close;
};
static const struct braces shown = {'{', '}'}, hidden = {HIDDEN, HIDDEN};

/* How many bytes from p (at the '$') a variable with these braces takes; 0: it is none. */
static size_t
variable_len(const char *p, const char *end, struct braces b)
{
    const char *q = p + 2;
    if (end - p < 4 || p[0] != '$' || p[1] != b.open)
        return 0;
    while (q < end && (*q == '_' || isalnum((unsigned char)*q)))
        q++;
    if (q == p + 2)
        return 0;
    if (end - q > 2 && q[0] == ':' && q[1] == '-') {
        const char *limit = end - q > DEFAULT_MAX ? q + DEFAULT_MAX : end;
        while (q < limit && *q != b.close && !strchr("{}\"'\r\n", *q))
            q++;
    }
    return q < end && *q == b.close ? (size_t)(q - p) + 1 : 0;
}

static void
braces_replace(char *text, size_t n, struct braces from, struct braces to)
{
    char *p = text, *end = text + n;
    while ((p = memchr(p, '$', (size_t)(end - p)))) {
        const size_t len = variable_len(p, end, from);
        if (len) {
            p[1] = to.open;
            p[len - 1] = to.close;
        }
        p += len ? len : 1;
    }
}

const char *
yaml_variables_hide(struct arena *a, const char *text, size_t n)
{
    if (!memmem(text, n, "${", 2))
        return text;
    char *copy = arena_strndup(a, text, n);
    braces_replace(copy, n, shown, hidden);
    return copy;
}

void
yaml_variables_show(char *text, size_t n)
{
    if (memchr(text, HIDDEN, n))
        braces_replace(text, n, hidden, shown);
}
