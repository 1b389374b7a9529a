/* yaml_text.c - scalars by the core schema, and the way back from a text to its place in the file.
 *
 * A template's error has an offset in the text as it is meant; the user sees the file. The way back
 * walks source and text side by side by the rules of the scalar's style (YAML 1.2, chapters 6.5,
 * 7.3 and 8.1): escapes, doubled quotes, folded line ends, indentation. */
#include "spec/yaml.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- core schema (YAML 1.2.2, 10.3.2) -------------------------------------- */
static bool
is_one_of(const char *s, const char *const *words)
{
    for (; *words; words++) {
        if (strcmp(s, *words) == 0)
            return true;
    }
    return false;
}

static bool
radix_parse(const char *s, struct yscalar *v)
{
    const int base = s[0] == '0' && s[1] == 'o' ? 8 : s[0] == '0' && s[1] == 'x' ? 16 : 0;
    static const char digits[] = "0123456789abcdefABCDEF";
    if (!base || !s[2] || s[2 + strspn(s + 2, base == 8 ? "01234567" : digits)])
        return false;
    char *end;
    const unsigned long long u = strtoull(s + 2, &end, base);
    v->type = u > INT64_MAX ? YT_REAL : YT_INT;
    v->i = u > INT64_MAX ? 0 : (int64_t)u;
    v->d = (double)u;
    return true;
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool
decimal_shape(const char *s, bool *ret_real)
{
    const char *p = s + (*s == '-' || *s == '+');
    const size_t whole = strspn(p, "0123456789");
    size_t part = 0;
    p += whole;
    *ret_real = false;
    if (*p == '.') {
        *ret_real = true;
        part = strspn(++p, "0123456789");
        p += part;
    }
    if (whole + part == 0)
        return false;
    if (*p == 'e' || *p == 'E') {
        *ret_real = true;
        p++;
        p += *p == '-' || *p == '+';
        const size_t n = strspn(p, "0123456789");
        if (!n)
            return false;
        p += n;
    }
    return !*p;
}

static bool
number_parse(const char *s, struct yscalar *v)
{
    bool real;
    if (radix_parse(s, v))
        return true;
    if (!decimal_shape(s, &real))
        return false;
    v->d = strtod(s, NULL);
    v->type = isfinite(v->d) ? YT_REAL : YT_SPECIAL;
    const size_t digits = strlen(s);
    if (!real && (digits < 19 || fabs(v->d) < 9.2e18)) {
        v->type = YT_INT;
        v->i = strtoll(s, NULL, 10);
    }
    return true;
}

struct yscalar
yaml_scalar_text(const char *s)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", NULL};
    static const char *const falses[] = {"false", "False", "FALSE", NULL};
    static const char *const specials[] = {".inf",  ".Inf",  ".INF",  "+.inf", "+.Inf",
                                           "+.INF", "-.inf", "-.Inf", "-.INF", ".nan",
                                           ".NaN",  ".NAN",  NULL};
    struct yscalar v = {.type = YT_STRING};
    if (strlen(s) > 64)
        v.type = decimal_shape(s, &v.b) && number_parse(s, &v) ? v.type : YT_STRING;
    else if (is_one_of(s, nulls))
        v.type = YT_NULL;
    else if (is_one_of(s, trues))
        v = (struct yscalar){.type = YT_BOOL, .b = true};
    else if (is_one_of(s, falses))
        v = (struct yscalar){.type = YT_BOOL};
    else if (is_one_of(s, specials))
        v.type = YT_SPECIAL;
    else if (strchr("0123456789.+-", s[0]))
        number_parse(s, &v);
    return v;
}

struct yscalar
yaml_scalar(const struct ynode *n)
{
    if (n->kind != Y_SCALAR || n->style != Y_PLAIN)
        return (struct yscalar){.type = YT_STRING};
    return yaml_scalar_text(n->text);
}

struct ynode *
yaml_get(const struct ynode *map, const char *key)
{
    for (unsigned i = 0; map && map->kind == Y_MAP && i < map->count; i++) {
        if (strcmp(map->pairs[i].key->text, key) == 0)
            return map->pairs[i].value;
    }
    return NULL;
}

static json_t *OWN
scalar_json(const struct ynode *n, const struct yscalar *v)
{
    switch (v->type) {
    case YT_NULL:
        return json_null();
    case YT_BOOL:
        return json_boolean(v->b);
    case YT_INT:
        return json_integer(v->i);
    case YT_REAL:
        return json_real(v->d);
    default:
        return json_stringn_nocheck(n->text, n->count);
    }
}

struct err *
yaml_to_json(const struct ynode *n, json_t **ret_json)
{
    if (n->kind == Y_SCALAR) {
        const struct yscalar v = yaml_scalar(n);
        if (v.type == YT_SPECIAL)
            return FAIL_AT(yaml_pos(n), ERR_INVALID, "'%.40s' is a number that JSON cannot hold",
                           n->text);
        *ret_json = scalar_json(n, &v);
        return NULL;
    }
    AUTO(json_freep) json_t *j = n->kind == Y_MAP ? json_object() : json_array();
    for (unsigned i = 0; i < n->count; i++) {
        json_t *item = NULL;
        PASS(yaml_to_json(n->kind == Y_MAP ? n->pairs[i].value : n->items[i], &item));
        if (n->kind == Y_MAP)
            json_object_set_new_nocheck(j, n->pairs[i].key->text, item);
        else
            json_array_append_new(j, item);
    }
    *ret_json = STEAL(j);
    return NULL;
}

/* ---- single-quoted texts (7.3.2) ------------------------------------------- */
/* Over blanks and line ends from s on; *ret_breaks: how many line ends. */
static size_t
fold_end(const char *src, size_t s, size_t end, size_t *ret_breaks)
{
    *ret_breaks = 0;
    for (; s < end && strchr(" \t\r\n", src[s]); s++)
        *ret_breaks += src[s] == '\n' || (src[s] == '\r' && (s + 1 == end || src[s + 1] != '\n'));
    return s;
}

size_t
yaml_single_decode(const char *src, size_t len, char *ret_text)
{
    size_t n = 0, breaks;
    for (size_t s = 0; s < len;) {
        const size_t next = fold_end(src, s, len, &breaks);
        if (breaks) {
            memset(ret_text + n, breaks > 1 ? '\n' : ' ', MAX(breaks - 1, 1));
            n += MAX(breaks - 1, 1);
            s = next;
        } else if (next > s) {
            memcpy(ret_text + n, src + s, next - s);
            n += next - s;
            s = next;
        } else {
            ret_text[n++] = src[s];
            s += src[s] == '\'' ? 2 : 1;
        }
    }
    ret_text[n] = '\0';
    return n;
}

/* ---- places ---------------------------------------------------------------- */
struct src_pos
yaml_pos(const struct ynode *n)
{
    if (!n->file || !n->line)
        return NOWHERE;
    return (struct src_pos){n->file->path, n->line, n->col};
}

static unsigned
chars(const char *p, size_t n)
{
    unsigned k = 0;
    for (size_t i = 0; i < n; i++)
        k += ((unsigned char)p[i] & 0xc0) != 0x80;
    return k;
}

struct src_pos
yaml_offset_pos(const struct yfile *file, size_t offset)
{
    struct src_pos at = {file->path, 1, 1};
    size_t line = offset >= 3 && memcmp(file->text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    const char *p;
    offset = MIN(offset, file->len);
    while ((p = memchr(file->text + line, '\n', offset - line))) {
        line = (size_t)(p - file->text) + 1;
        at.line++;
    }
    at.col = 1 + chars(file->text + line, offset - line);
    return at;
}

struct walk { /* source and text side by side */
    const char *src, *text;
    size_t s, end; /* in the source */
    size_t t, len; /* in the text */
};

static size_t
blanks_at(const struct walk *w)
{
    size_t n = 0;
    while (w->s + n < w->end && (w->src[w->s + n] == ' ' || w->src[w->s + n] == '\t'))
        n++;
    return n;
}

static bool
is_break(const struct walk *w, size_t i)
{
    return i < w->end && (w->src[i] == '\n' || w->src[i] == '\r');
}

static bool
at_break(const struct walk *w)
{
    return is_break(w, w->s + blanks_at(w));
}

static size_t
indent_at(const struct walk *w)
{
    size_t n = 0;
    while (w->s + n < w->end && w->src[w->s + n] == ' ')
        n++;
    return n;
}

/* Over the line ends and blank lines here, and over what they were folded to. */
static void
walk_break(struct walk *w, bool trim)
{
    size_t breaks = 0;
    while (w->s < w->end && strchr(" \t\r\n", w->src[w->s])) {
        breaks += w->src[w->s] == '\n';
        w->s++;
        if (!trim && w->src[w->s - 1] == '\n' && w->s < w->end && w->src[w->s] != '\n' &&
            !at_break(w))
            break;
    }
    if (w->t < w->len && w->text[w->t] == ' ') {
        w->t++;
        return;
    }
    for (; breaks && w->t < w->len && w->text[w->t] == '\n'; breaks--)
        w->t++;
}

static size_t
utf8_len(unsigned char c)
{
    return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

/* An escape of a double-quoted text (YAML 1.2.2, 5.7). */
static void
walk_escape(struct walk *w)
{
    const char c = w->s + 1 < w->end ? w->src[w->s + 1] : 0;
    if (c == '\n' || c == '\r') { /* an escaped line end is nothing, nor is the blank after it */
        w->s += 2;
        while (w->s < w->end && strchr(" \t\n", w->src[w->s]))
            w->s++;
        return;
    }
    size_t width = c == 'x' ? 4 : c == 'u' ? 6 : c == 'U' ? 10 : 2;
    const size_t n = utf8_len((unsigned char)w->text[w->t]);
    if (width == 6 && n == 4) /* JSON writes such characters as two escapes */
        width = 12;
    w->s += width;
    w->t += n;
}

static void
walk_flow(struct walk *w, size_t offset, unsigned char style)
{
    while (w->t < offset && w->s < w->end) {
        const size_t blanks = blanks_at(w); /* taken whole: looked at once */
        if (is_break(w, w->s + blanks)) {
            walk_break(w, true);
        } else if (blanks) {
            const size_t n = MIN(blanks, offset - w->t);
            w->s += n;
            w->t += n;
        } else if (style == Y_DOUBLE && w->src[w->s] == '\\') {
            walk_escape(w);
        } else {
            w->s += style == Y_SINGLE && w->src[w->s] == '\'' ? 2 : 1;
            w->t++;
        }
    }
    while (style == Y_DOUBLE && w->s + 1 < w->end && w->src[w->s] == '\\' &&
           strchr("\r\n", w->src[w->s + 1]))
        walk_escape(w); /* a joined line end takes no place in the text */
}

/* Each line of the text is the end of a line of the source. */
static void
walk_literal(struct walk *w, size_t offset)
{
    for (;;) {
        const char *t_end = memchr(w->text + w->t, '\n', w->len - w->t);
        const char *s_end = memchr(w->src + w->s, '\n', w->end - w->s);
        const size_t t_line = t_end ? (size_t)(t_end - w->text) - w->t : w->len - w->t;
        size_t s_line = s_end ? (size_t)(s_end - w->src) - w->s : w->end - w->s;
        if (s_line && w->src[w->s + s_line - 1] == '\r')
            s_line--;
        if (offset <= w->t + t_line || !s_end || !t_end) {
            w->s += (s_line > t_line ? s_line - t_line : 0) + (offset - w->t);
            return;
        }
        w->t += t_line + 1;
        w->s = (size_t)(s_end - w->src) + 1;
    }
}

static void
walk_folded(struct walk *w, size_t offset)
{
    while (w->s < w->end && at_break(w)) { /* blank lines at the top stay line ends */
        w->t += w->t < w->len && w->text[w->t] == '\n';
        w->s += indent_at(w);
        w->s += w->s < w->end && w->src[w->s] == '\r';
        w->s++;
    }
    const size_t indent = indent_at(w);
    w->s += indent;
    while (w->t < offset && w->s < w->end) {
        if (w->src[w->s] == '\n' || w->src[w->s] == '\r') {
            walk_break(w, false);
            w->s += MIN(indent, indent_at(w));
        } else {
            w->s++;
            w->t++;
        }
    }
}

struct src_pos
yaml_text_pos(const struct ynode *n, size_t offset)
{
    if (n->kind != Y_SCALAR || !n->file || n->end <= n->start)
        return yaml_pos(n);
    struct walk w = {n->file->text, n->text, n->start, MIN(n->end, n->file->len), 0, n->count};
    offset = MIN(offset, w.len);
    if (n->style == Y_LITERAL)
        walk_literal(&w, offset);
    else if (n->style == Y_FOLDED)
        walk_folded(&w, offset);
    else if (n->style == Y_LINES)
        w.s += offset;
    else
        walk_flow(&w, offset, n->style);
    const char *from = n->file->text + n->start;
    const size_t len = MIN(w.s, w.end) - n->start;
    struct src_pos at = {n->file->path, n->line, 1};
    for (size_t i = 0; i < len; i++)
        at.line += from[i] == '\n';
    size_t line = n->start + len;
    while (line && n->file->text[line - 1] != '\n')
        line--;
    at.col = 1 + chars(n->file->text + line, n->start + len - line);
    if (line == 0 && memcmp(n->file->text, "\xef\xbb\xbf", MIN(n->file->len, 3)) == 0)
        at.col--;
    return at;
}

struct src_pos
yaml_line_pos(const struct ynode *n, unsigned line, unsigned col)
{
    size_t i = 0;
    if (n->kind != Y_SCALAR)
        return yaml_pos(n);
    for (; line > 1; line--) {
        const char *p = memchr(n->text + i, '\n', n->count - i);
        if (!p)
            break;
        i = (size_t)(p - n->text) + 1;
    }
    while (col > 1 && i < n->count) {
        i += utf8_len((unsigned char)n->text[i]);
        col--;
    }
    return yaml_text_pos(n, MIN(i, n->count));
}
