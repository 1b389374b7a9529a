/* yaml_error.c - messages for broken YAML, and the checks of bytes that come before parsing. */
#include "spec/yaml_error.h"
#include "base/near.h"
#include <libfyaml.h>
#include <string.h>

static const struct {
    const char *theirs, *ours;
    bool opened; /* tell where the innermost container began */
} wordings[] = {
    {"invalid alias detected", "'*' begins an alias; quote a text that begins with '*'"},
    {"invalid anchor detected", "'&' begins an anchor; quote a text that begins with '&'"},
    {" tab ", "a tab cannot be used for indentation; use spaces"},
    {"used tabs ", "a tab cannot be used for indentation; use spaces"},
    {"tab character", "a tab cannot be used for indentation; use spaces"},
    {"flow sequence without a closing bracket", "a list '[' is not closed with ']'", true},
    {"flow mapping without a closing", "a map '{' is not closed with '}'", true},
    {"missing comma in flow mapping",
     "a ',' or '}' is missing in a map that began with '{'; quote a value that holds one of { } [ "
     "] ,",
     true},
    {"missing comma in flow sequence", "a ',' or ']' is missing in a list that began with '['",
     true},
    {"double-quoted scalar without closing quote", "a text that began with \" is not closed"},
    {"single-quoted scalar without closing quote", "a text that began with ' is not closed"},
    {"invalid nested block mapping on the same line",
     "a second ': ' in one line; quote the value, or begin the map on a line of its own"},
    {"block sequence on the same line as a mapping key",
     "a list cannot begin on the line of its key; write '- ' on lines of their own"},
    {"invalid multiline plain key",
     "a key is expected here: 'key: value'; check the indentation of this and the next line"},
    {"invalid trailing content after double-quoted scalar",
     "text after the closing \"; put the whole value in quotes and write \\\" for a \" inside"},
    {"invalid trailing content after single-quoted scalar",
     "text after the closing '; put the whole value in quotes and write '' for a ' inside"},
    {"invalid value after mapping", "this line does not fit the indentation of the lines above it"},
    {"invalid indentation in mapping",
     "this line does not fit the indentation of the lines above it"},
    {"wrongly indented", "this line does not fit the indentation of the lines above it"},
    {"wrong indendation", "this line does not fit the indentation of the lines above it"},
    {"could not find expected ':'", "a ': ' is missing after this key"},
    {"block scalar no linebreak found",
     "after '|' or '>' the text begins on the next line, further in than its key"},
    {"did not find expected node content", "a value is missing here"},
    {"did not find expected key",
     "a key is expected here ('key: value'), as in the lines above it"},
    {"at the end of block sequence",
     "a list item is expected here ('- value'), as in the lines above it"},
    {"invalid UTF8 escape", "an escape gives half of a surrogate pair"},
    {"extra closing bracket", "']' without '['"},
    {"extra closing brace", "'}' without '{'"},
};

struct err *
yaml_syntax_error(struct src_pos at, const char *fy_message, const struct ynode *open)
{
    size_t i = 0;
    while (i < COUNT(wordings) && !strstr(fy_message, wordings[i].theirs))
        i++;
    const char *start = strstr(fy_message, "plain scalar cannot start with '");
    if (i == COUNT(wordings) && start)
        return FAIL_AT(at, ERR_INVALID, "a value that begins with '%c' must be quoted",
                       start[sizeof "plain scalar cannot start with '" - 1]);
    if (i == COUNT(wordings) && str_starts(fy_message, "invalid escape"))
        return FAIL_AT(at, ERR_INVALID, "%s; write \\\\ for a backslash", fy_message);
    if (i == COUNT(wordings))
        return FAIL_AT(at, ERR_INVALID, "%s", fy_message);
    if (wordings[i].opened && open && open->line)
        return FAIL_AT(at, ERR_INVALID, "%s (it began at %u:%u)", wordings[i].ours, open->line,
                       open->col);
    return FAIL_AT(at, ERR_INVALID, "%s", wordings[i].ours);
}

struct err *
yaml_unknown_alias(struct src_pos at, const char *name, const struct map *anchors)
{
    struct near near = NEAR_INIT(name);
    const char *key;
    for (size_t i = 0; map_next(anchors, &i, &key, NULL);)
        near_offer(&near, key);
    if (near.best)
        return FAIL_AT(at, ERR_INVALID,
                       "alias '*%.60s' has no anchor above it (did you mean '*%s'?)", name,
                       near.best);
    return FAIL_AT(at, ERR_INVALID,
                   "alias '*%.60s' has no anchor '&%.60s' above it; quote a text that begins "
                   "with '*'",
                   name, name);
}

bool
yaml_is_blank(const struct yfile *file, size_t from, size_t to)
{
    const char *p = file->text;
    for (size_t i = from; i < to; i++) {
        if (p[i] == '#') {
            const char *end = memchr(p + i, '\n', to - i);
            if (!end)
                return true;
            i = (size_t)(end - p);
        } else if (!strchr(" \t\r\n", p[i])) {
            return false;
        }
    }
    return true;
}

static bool
is_item(const char *line, size_t n)
{
    return line[0] == '-' && (n == 1 || line[1] == ' ' || line[1] == '\r' || line[1] == '\n');
}

struct err *
yaml_mixed_error(const struct yfile *file, size_t from, size_t to)
{
    int first = -1;
    size_t wrong = from;
    for (size_t i = from; i < to;) {
        const char *line = file->text + i, *end = memchr(line, '\n', to - i);
        const size_t n = end ? (size_t)(end - line) + 1 : to - i;
        if (!strchr(" \t\r\n#%", line[0]) && strncmp(line, "---", MIN(n, 3)) != 0) {
            const int item = is_item(line, n);
            if (first < 0)
                first = item;
            if (item != first) {
                wrong = i;
                break;
            }
        }
        i += n;
    }
    return FAIL_AT(yaml_offset_pos(file, wrong), ERR_INVALID,
                   "this line does not fit those above it: list items ('- ') and keys ('key: "
                   "value') cannot stand side by side");
}

/* ---- tags ------------------------------------------------------------------ */
static struct err *MUST
scalar_tag(struct src_pos at, const char *tag, struct ynode *n)
{
    static const struct {
        const char *tag;
        enum ytype type;
    } known[] = {{"null", YT_NULL}, {"bool", YT_BOOL}, {"int", YT_INT}, {"float", YT_REAL}};
    if (strcmp(tag, "str") == 0) {
        if (n->style == Y_PLAIN)
            n->style = Y_LINES; /* text, in the source as it stands */
        return NULL;
    }
    for (size_t i = 0; i < COUNT(known); i++) {
        if (strcmp(tag, known[i].tag) != 0)
            continue;
        const struct yscalar v = yaml_scalar_text(n->text);
        if (v.type != known[i].type && !(known[i].type == YT_REAL && v.type == YT_INT))
            return FAIL_AT(at, ERR_INVALID, "'%.60s' is not what its tag '!!%s' says", n->text,
                           tag);
        n->style = Y_PLAIN;
        return NULL;
    }
    return FAIL_AT(at, ERR_INVALID, "unknown tag '!!%.40s'", tag);
}

struct err *
yaml_tag_check(struct fy_token *t, struct src_pos at, const char *what, struct ynode *scalar)
{
    static const char standard[] = "tag:yaml.org,2002:";
    size_t len = 0;
    if (!t)
        return NULL;
    const struct fy_mark *m = fy_token_start_mark(t);
    if (m && m->column >= 0)
        at.col = (unsigned)m->column + 1;
    const char *p = fy_token_get_text(t, &len);
    AUTO(freep) char *tag = xstrndup(p ? p : "", p ? len : 0);
    if (!str_starts(tag, standard))
        return strcmp(tag, "!") == 0 ? NULL
                                     : FAIL_AT(at, ERR_INVALID,
                                               "unknown tag '%.40s'; quote a text that begins "
                                               "with '!'",
                                               tag);
    if (scalar)
        return scalar_tag(at, tag + sizeof standard - 1, scalar);
    if (strcmp(tag + sizeof standard - 1, what) == 0)
        return NULL;
    return FAIL_AT(at, ERR_INVALID, "the tag '!!%.40s' does not fit a %s",
                   tag + sizeof standard - 1, strcmp(what, "seq") == 0 ? "list" : what);
}

/* ---- bytes ----------------------------------------------------------------- */
static size_t
invalid_utf8_at(const char *p, size_t n)
{
    size_t ok = 0, step = n;
    while (step) { /* widen by halves: the longest valid beginning */
        const size_t end = utf8_floor(p, ok + step);
        if (end > ok && utf8_valid(p + ok, end - ok))
            ok = end;
        else
            step /= 2;
        if (ok + step > n)
            step = n - ok;
    }
    return ok;
}

/* libfyaml looks ahead to the end of what a bracket opens before it gives the first event, at a
 * microsecond each; no file that can be read leaves so many open, in texts and comments neither. */
#define OPEN_BRACKETS_MAX 100000

static struct err *MUST
brackets_check(const struct yfile *file)
{
    size_t open = 0;
    for (size_t i = 0; i < file->len; i++) {
        const char c = file->text[i];
        if (c == '[' || c == '{')
            open++;
        else if ((c == ']' || c == '}') && open)
            open--;
        if (open > OPEN_BRACKETS_MAX)
            return FAIL_AT(yaml_offset_pos(file, i), ERR_LIMIT,
                           "more than %d brackets are not closed", OPEN_BRACKETS_MAX);
    }
    return NULL;
}

struct err *
yaml_check_bytes(const struct yfile *file)
{
    const unsigned char *p = (const unsigned char *)file->text;
    const size_t n = file->len;
    const struct src_pos top = {file->path, 1, 1};
    if (n > YAML_BYTES_MAX)
        return FAIL_AT(top, ERR_LIMIT, "the file is larger than 16 MiB");
    if (n >= 2 && ((p[0] == 0xff && p[1] == 0xfe) || (p[0] == 0xfe && p[1] == 0xff)))
        return FAIL_AT(top, ERR_INVALID, "the file is UTF-16; save it as UTF-8");
    if (n >= 2 && (p[0] == 0) != (p[1] == 0))
        return FAIL_AT(top, ERR_INVALID, "the file is UTF-16 or binary; save it as UTF-8");
    if (!utf8_valid(file->text, n)) {
        const size_t at = invalid_utf8_at(file->text, n);
        return FAIL_AT(yaml_offset_pos(file, at), ERR_INVALID,
                       "byte 0x%02x is not UTF-8; save the file as UTF-8", p[MIN(at, n - 1)]);
    }
    for (size_t i = 0; i < n; i++) {
        if (p[i] >= ' ' ? p[i] == 0x7f : p[i] != '\n' && p[i] != '\r' && p[i] != '\t')
            return FAIL_AT(yaml_offset_pos(file, i), ERR_INVALID,
                           "control character 0x%02x; write it as an escape in a \"quoted\" text",
                           p[i]);
    }
    return brackets_check(file);
}

/* ---- what libfyaml must not see --------------------------------------------- */

/* Behind the blanks at p, if one of them is a tab and a block begins there; else NULL. */
static const char *
tab_before_block(const char *p, const char *end)
{
    const char *from = p;
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    if (p == end || !memchr(from, '\t', (size_t)(p - from)))
        return NULL;
    const bool item = *p == '-' && (p + 1 == end || strchr(" \t\r\n", p[1]));
    return item || strchr("?:|>", *p) ? p : NULL;
}

/* A '?' that could begin a key: a line or another indicator ends before it. What is not ASCII may
 * end a line, too: Unicode's line ends count in YAML 1.1, which a file may ask for. */
static const char *
long_key_in(const char *text, const char *end)
{
    char before = '\n'; /* the last byte that is no blank */
    for (const char *p = text; p < end; p++) {
        if (*p == ' ' || *p == '\t')
            continue;
        if (*p == '?' && (strchr("\n\r?:-", before) || (signed char)before < 0) &&
            (p + 1 == end || strchr(" \t\r\n", p[1])))
            return p;
        before = *p;
    }
    return NULL;
}

struct err *
yaml_check_tabs(const struct yrange *range, const char *text)
{
    const char *const end = text + (range->to - range->from);
    const char *p = long_key_in(text, end);
    while (p && p < end && (p = memchr(p, ':', (size_t)(end - p)))) {
        const char *block = tab_before_block(++p, end);
        if (block)
            return FAIL_AT(
                yaml_offset_pos(range->file, range->from + (size_t)(block - text)), ERR_INVALID,
                "a tab cannot stand between ':' and '%c' in a file with '? ' keys; use spaces",
                *block);
    }
    return NULL;
}
