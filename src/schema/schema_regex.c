/* schema_regex.c - from ECMA-262 to PCRE2, and matching within limits. */
#include "schema/schema_regex.h"
#include "base/str.h"
#include <stdlib.h>
#include <string.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define PARENS_MAX 64     /* PCRE2's compiler recurses for each level */
#define HEAP_KIB   32768  /* of one match */
#define DEPTH_MAX  300000 /* nested backtracking points of one match */
#define SPACES                                                                                     \
    "\\x{9}-\\x{d}\\x{20}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}"                    \
    "\\x{202f}\\x{205f}\\x{3000}\\x{feff}" /* ECMA-262 12.2 and 12.3 */

struct regex {
    pcre2_code *code;
};

struct regex_room {
    pcre2_match_data *data; /* keeps the memory of the last match */
    pcre2_match_context *limits;
};

/* ---- translation -----------------------------------------------------------------------------*/

struct scan {
    const char *p, *end;
    const char *start;
    bool in_class, strict;
    struct str out;
};

#define SCAN_FAIL(s, ...)                                                                          \
    WRAP(FAIL(ERR_INVALID, __VA_ARGS__), "at offset %zu", (size_t)((s)->p - (s)->start))

static int
hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Exactly `digits` hexadecimal digits at p; -1 when they are not there. */
static long
hex_parse(const char *p, const char *end, int digits)
{
    long x = 0;
    if (end - p < digits)
        return -1;
    for (int i = 0; i < digits; i++) {
        int d = hex_value(p[i]);
        if (d < 0)
            return -1;
        x = x * 16 + d;
    }
    return x;
}

/* After "\u": four digits, a surrogate pair, or {digits}. */
static struct err *
unicode_scan(struct scan *s)
{
    long x = 0;
    if (s->p < s->end && *s->p == '{') {
        const char *p = s->p + 1;
        for (; p < s->end && hex_value(*p) >= 0 && x <= 0x10ffff; p++)
            x = x * 16 + hex_value(*p);
        if (p == s->end || *p != '}' || p == s->p + 1)
            return SCAN_FAIL(s, "\\u{ wants hexadecimal digits and }");
        s->p = p + 1;
    } else {
        x = hex_parse(s->p, s->end, 4);
        if (x < 0)
            return SCAN_FAIL(s, "\\u wants four hexadecimal digits");
        s->p += 4;
        bool high = x >= 0xd800 && x < 0xdc00;
        long low = high && s->end - s->p >= 6 && s->p[0] == '\\' && s->p[1] == 'u'
                       ? hex_parse(s->p + 2, s->end, 4)
                       : -1;
        if (low >= 0xdc00 && low < 0xe000) {
            x = 0x10000 + (x - 0xd800) * 0x400 + (low - 0xdc00);
            s->p += 6;
        }
    }
    if (x > 0x10ffff || (x >= 0xd800 && x < 0xe000))
        return SCAN_FAIL(s, "half a surrogate pair or beyond Unicode");
    str_addf(&s->out, "\\x{%lx}", (unsigned long)x);
    return NULL;
}

/* PCRE2 knows the short names of general categories only. */
static const char *
category_short(const char *name, size_t n)
{
    static const char *const names[][2] = {
        {"Letter", "L"},
        {"Cased_Letter", "L&"},
        {"LC", "L&"},
        {"Uppercase_Letter", "Lu"},
        {"Lowercase_Letter", "Ll"},
        {"Titlecase_Letter", "Lt"},
        {"Modifier_Letter", "Lm"},
        {"Other_Letter", "Lo"},
        {"Mark", "M"},
        {"Combining_Mark", "M"},
        {"Nonspacing_Mark", "Mn"},
        {"Spacing_Mark", "Mc"},
        {"Enclosing_Mark", "Me"},
        {"Number", "N"},
        {"Decimal_Number", "Nd"},
        {"digit", "Nd"},
        {"Letter_Number", "Nl"},
        {"Other_Number", "No"},
        {"Punctuation", "P"},
        {"punct", "P"},
        {"Connector_Punctuation", "Pc"},
        {"Dash_Punctuation", "Pd"},
        {"Open_Punctuation", "Ps"},
        {"Close_Punctuation", "Pe"},
        {"Initial_Punctuation", "Pi"},
        {"Final_Punctuation", "Pf"},
        {"Other_Punctuation", "Po"},
        {"Symbol", "S"},
        {"Math_Symbol", "Sm"},
        {"Currency_Symbol", "Sc"},
        {"Modifier_Symbol", "Sk"},
        {"Other_Symbol", "So"},
        {"Separator", "Z"},
        {"Space_Separator", "Zs"},
        {"Line_Separator", "Zl"},
        {"Paragraph_Separator", "Zp"},
        {"Other", "C"},
        {"Control", "Cc"},
        {"cntrl", "Cc"},
        {"Format", "Cf"},
        {"Surrogate", "Cs"},
        {"Private_Use", "Co"},
        {"Unassigned", "Cn"},
    };
    for (size_t i = 0; i < COUNT(names); i++) {
        if (strlen(names[i][0]) == n && memcmp(names[i][0], name, n) == 0)
            return names[i][1];
    }
    return NULL;
}

/* After "\p" or "\P": {Name}, {gc=Name} or {Script=Name}. */
static struct err *
property_scan(struct scan *s, char letter)
{
    const char *close = s->p < s->end ? memchr(s->p, '}', (size_t)(s->end - s->p)) : NULL;
    if (!close || *s->p != '{')
        return SCAN_FAIL(s, "\\%c wants a property in braces", letter);
    const char *name = s->p + 1;
    size_t n = (size_t)(close - name);
    if (n >= 3 && memcmp(name, "gc=", 3) == 0) {
        name += 3;
        n -= 3;
    } else if (n >= 17 && memcmp(name, "General_Category=", 17) == 0) {
        name += 17;
        n -= 17;
    }
    const char *category = category_short(name, n);
    if (category)
        str_addf(&s->out, "\\%c{%s}", letter, category);
    else
        str_addf(&s->out, "\\%c{%.*s}", letter, (int)n, name);
    s->p = close + 1;
    return NULL;
}

static void
space_add(struct scan *s, char letter)
{
    if (!s->in_class)
        str_addf(&s->out, "[%s" SPACES "]", letter == 'S' ? "^" : "");
    else if (letter == 's')
        str_add(&s->out, SPACES);
    else
        str_add(&s->out, "\\S"); /* a class cannot hold the complement of another */
}

static struct err *
reference_scan(struct scan *s)
{
    unsigned x = 0;
    if (s->in_class)
        return SCAN_FAIL(s, "a back reference inside [...]");
    for (; s->p < s->end && *s->p >= '0' && *s->p <= '9' && x < 1000; s->p++)
        x = x * 10 + (unsigned)(*s->p - '0');
    str_addf(&s->out, "\\g{%u}", x);
    return NULL;
}

static struct err *
control_scan(struct scan *s)
{
    char c = s->p < s->end ? (char)(*s->p | 32) : '\0';
    if (c < 'a' || c > 'z')
        return SCAN_FAIL(s, "\\c wants a letter");
    str_addf(&s->out, "\\x{%x}", (unsigned)c & 31);
    s->p++;
    return NULL;
}

static struct err *
hex_scan(struct scan *s)
{
    long x = hex_parse(s->p, s->end, 2);
    if (x < 0)
        return SCAN_FAIL(s, "\\x wants two hexadecimal digits");
    str_addf(&s->out, "\\x{%lx}", (unsigned long)x);
    s->p += 2;
    return NULL;
}

/* At the character after a backslash. */
static struct err *
escape_scan(struct scan *s)
{
    if (s->p == s->end)
        return SCAN_FAIL(s, "ends in a backslash");
    char c = *s->p;
    if (c >= '1' && c <= '9')
        return reference_scan(s);
    s->p++;
    switch (c) {
    case 's':
    case 'S':
        space_add(s, c);
        return NULL;
    case 'u':
        return unicode_scan(s);
    case 'x':
        return hex_scan(s);
    case 'c':
        return control_scan(s);
    case 'p':
    case 'P':
        return property_scan(s, c);
    case 'v':
        str_add(&s->out, "\\x{b}"); /* PCRE2's \v is all vertical space */
        return NULL;
    case '0':
        str_add(&s->out, "\\x{0}");
        return NULL;
    case 'A':
    case 'Z':
    case 'z':
        if (s->strict || s->in_class)
            break;
        str_add(&s->out, c == 'A' ? "\\A" : "\\z"); /* Python's \Z is the very end */
        return NULL;
    default:
        if (strchr("dDwWbBtnfrk", c))
            break;
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
            break;
        if ((unsigned char)c < 0x80)
            str_addc(&s->out, '\\');
        str_addc(&s->out, c);
        return NULL;
    }
    if (!strchr("dDwWbBtnfrk", c))
        return SCAN_FAIL(s, "unknown escape '\\%c'", c);
    str_addf(&s->out, "\\%c", c);
    return NULL;
}

/* At the character after '('. */
static struct err *
group_scan(struct scan *s)
{
    size_t n = (size_t)(s->end - s->p);
    if (n && *s->p == '*')
        return SCAN_FAIL(s, "nothing to repeat after '('");
    if (!n || *s->p != '?')
        return NULL;
    static const char *const opens[] = {"?:", "?=", "?!", "?<", "?P<", "?P="};
    for (size_t i = 0; i < COUNT(opens); i++) {
        size_t k = strlen(opens[i]);
        if (n >= k && memcmp(s->p, opens[i], k) == 0 && !(s->strict && opens[i][1] == 'P'))
            return NULL;
    }
    size_t flags = 1;
    while (flags < n && strchr("ims-", s->p[flags]) && s->p[flags])
        flags++;
    if (flags > 1 && flags < n && (s->p[flags] == ':' || (s->p[flags] == ')' && !s->strict)))
        return NULL;
    return SCAN_FAIL(s, "unknown kind of group '(?%.1s'", n > 1 ? s->p + 1 : "");
}

/* At the character after '{': is it {2}, {2,} or {2,3}? */
static bool
is_quantifier(const struct scan *s)
{
    const char *p = s->p;
    size_t digits = 0;
    for (; p < s->end && *p >= '0' && *p <= '9'; p++)
        digits++;
    if (p < s->end && *p == ',') {
        for (p++; p < s->end && *p >= '0' && *p <= '9';)
            p++;
    }
    return digits && p < s->end && *p == '}';
}

static struct err *
plain_scan(struct scan *s, char c)
{
    if (c == '(') {
        str_addc(&s->out, c);
        return group_scan(s);
    }
    if (c == '[') {
        s->in_class = true;
        str_addc(&s->out, c);
        if (s->p < s->end && *s->p == '^')
            str_addc(&s->out, *s->p++);
        return NULL;
    }
    if (c == '{' && !is_quantifier(s)) {
        if (s->strict)
            return SCAN_FAIL(s, "'{' without a quantifier");
        str_addc(&s->out, '\\');
    }
    str_addc(&s->out, c);
    return NULL;
}

static struct err *
pattern_scan(struct scan *s)
{
    while (s->p < s->end) {
        char c = *s->p++;
        if (c == '\0')
            return SCAN_FAIL(s, "a NUL byte");
        if (c == '\\') {
            PASS(escape_scan(s));
        } else if (!s->in_class) {
            PASS(plain_scan(s, c));
        } else {
            if (c == '[')
                str_addc(&s->out, '\\');
            str_addc(&s->out, c);
            if (c == ']')
                s->in_class = false;
        }
    }
    return NULL;
}

/* ---- compiling -------------------------------------------------------------------------------*/

static pcre2_code *
code_new(const struct str *text, int *ret_code, PCRE2_SIZE *ret_at)
{
    pcre2_compile_context *ctx = pcre2_compile_context_create(NULL);
    pcre2_set_newline(ctx, PCRE2_NEWLINE_ANYCRLF);
    pcre2_set_parens_nest_limit(ctx, PARENS_MAX);
    uint32_t options = PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ALLOW_EMPTY_CLASS |
                       PCRE2_MATCH_UNSET_BACKREF | PCRE2_NEVER_BACKSLASH_C;
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)str_c(text), text->len, options, ret_code, ret_at, ctx);
    pcre2_compile_context_free(ctx);
    return code;
}

struct err *
regex_compile(const char *pattern, size_t n, bool strict, struct regex **ret_regex)
{
    struct scan s = {.p = pattern, .start = pattern, .end = pattern + n, .strict = strict};
    struct err *e = pattern_scan(&s);
    int code = 0;
    PCRE2_SIZE at = 0;
    pcre2_code *compiled = e ? NULL : code_new(&s.out, &code, &at);
    str_fini(&s.out);
    if (e)
        return e;
    if (!compiled) {
        PCRE2_UCHAR why[128] = "";
        pcre2_get_error_message(code, why, sizeof why);
        return FAIL(ERR_INVALID, "near offset %zu: %s", MIN((size_t)at, n), (const char *)why);
    }
    struct regex *r = xcalloc(1, sizeof *r);
    r->code = compiled;
    *ret_regex = r;
    return NULL;
}

void
regex_free(struct regex *r)
{
    if (!r)
        return;
    pcre2_code_free(r->code);
    free(r);
}

/* ---- matching --------------------------------------------------------------------------------*/

struct regex_room *
regex_room_new(void)
{
    struct regex_room *room = xcalloc(1, sizeof *room);
    room->data = pcre2_match_data_create(1, NULL);
    room->limits = pcre2_match_context_create(NULL);
    pcre2_set_heap_limit(room->limits, HEAP_KIB);
    pcre2_set_depth_limit(room->limits, DEPTH_MAX);
    return room;
}

void
regex_room_free(struct regex_room *room)
{
    if (!room)
        return;
    pcre2_match_data_free(room->data);
    pcre2_match_context_free(room->limits);
    free(room);
}

/* PCRE2 does not tell what a match cost. So each is tried with a small limit first and the price
 * of a limit is charged when it is passed: cheap patterns stay cheap, and no sum of them can leave
 * the budget of the whole check. */
bool
regex_match(const struct regex *r, struct regex_room *room, const char *s, size_t n, int64_t *left)
{
    static const struct {
        uint32_t limit;
        int64_t price;
    } tier[] = {{400, 50}, {8000, 1000}, {200000, 25000}, {10000000, 2000000}};
    *left -= (int64_t)(n / 16);
    for (size_t i = 0; i < COUNT(tier) && *left >= 0; i++) {
        *left -= tier[i].price;
        pcre2_set_match_limit(room->limits, tier[i].limit);
        int rc = pcre2_match(r->code, (PCRE2_SPTR)s, n, 0, 0, room->data, room->limits);
        if (rc >= 0 || rc == PCRE2_ERROR_NOMATCH)
            return rc >= 0;
        if (rc == PCRE2_ERROR_MATCHLIMIT)
            continue;
        if (rc == PCRE2_ERROR_HEAPLIMIT || rc == PCRE2_ERROR_DEPTHLIMIT ||
            rc == PCRE2_ERROR_NOMEMORY)
            break;
        return false; /* the only others left are about invalid UTF-8 */
    }
    *left = -1;
    return false;
}
