/* printable.c - foreign text on a terminal. */
#include "base/printable.h"
#include <string.h>

/* How many bytes at p a terminal would obey instead of showing: C0 and C1 controls, line and
 * paragraph separators, and what turns the direction of writing. The bytes are valid UTF-8. */
static size_t
control_len(const unsigned char *p, size_t n)
{
    if (p[0] < 0x20 || p[0] == 0x7f)
        return 1;
    if (n >= 2 && p[0] == 0xc2 && p[1] < 0xa0)
        return 2;
    if (n < 3 || p[0] != 0xe2)
        return 0;
    bool separates = p[1] == 0x80 && p[2] >= 0xa8 && p[2] <= 0xae;
    bool isolates = p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9;
    return separates || isolates ? 3 : 0;
}

static void
shown_add(struct str *to, const char *text, size_t n, const char *kept)
{
    AUTO(str_fini) struct str valid = STR_INIT;
    str_add_utf8(&valid, text, n);
    for (size_t i = 0; i < valid.len;) {
        const bool keep = valid.p[i] && strchr(kept, valid.p[i]);
        size_t skip = keep ? 0 : control_len((const unsigned char *)valid.p + i, valid.len - i);
        str_addc(to, skip ? ' ' : valid.p[i]);
        i += skip ? skip : 1;
    }
}

void
printable_add(struct str *to, const char *text, size_t n)
{
    shown_add(to, text, n, "");
}

void
printable_lines(struct str *to, const char *text, size_t n)
{
    shown_add(to, text, n, "\n\t");
}

/* One character of valid UTF-8. */
static size_t
char_take(const char *p, size_t n, uint32_t *ret_code)
{
    const unsigned char *u = (const unsigned char *)p;
    size_t len = u[0] < 0x80 ? 1 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;
    uint32_t code = len == 1 ? u[0] : u[0] & (0xffu >> (len + 1));
    len = MIN(len, n);
    for (size_t i = 1; i < len; i++)
        code = code << 6 | (u[i] & 0x3f);
    *ret_code = code;
    return len;
}

static size_t
char_columns(uint32_t code)
{
    static const struct {
        uint32_t from, to;
        size_t columns;
    } odd[] = {{0x300, 0x36f, 0},     {0x1100, 0x115f, 2},  {0x200b, 0x200f, 0},
               {0x20d0, 0x20ff, 0},   {0x2e80, 0xa4cf, 2},  {0xac00, 0xd7a3, 2},
               {0xf900, 0xfaff, 2},   {0xfe00, 0xfe0f, 0},  {0xfe30, 0xfe6f, 2},
               {0xff00, 0xff60, 2},   {0xffe0, 0xffe6, 2},  {0x1f300, 0x1faff, 2},
               {0x20000, 0x3fffd, 2}, {0xe0100, 0xe01ef, 0}};
    for (size_t i = 0; i < COUNT(odd); i++) {
        if (code >= odd[i].from && code <= odd[i].to)
            return odd[i].columns;
    }
    return 1;
}

size_t
printable_columns(const char *text, size_t n)
{
    size_t columns = 0;
    for (size_t i = 0; i < n;) {
        uint32_t code;
        i += char_take(text + i, n - i, &code);
        columns += char_columns(code);
    }
    return columns;
}

/* Bytes of the longest beginning that fits. */
static size_t
fitting(const char *text, size_t n, size_t columns)
{
    size_t at = 0, used = 0;
    while (at < n) {
        uint32_t code;
        size_t len = char_take(text + at, n - at, &code);
        if (used + char_columns(code) > columns)
            break;
        used += char_columns(code);
        at += len;
    }
    return at;
}

void
printable_fit(struct str *to, const char *text, size_t columns, bool fill)
{
    AUTO(str_fini) struct str shown = STR_INIT;
    printable_add(&shown, text, strlen(text));
    const size_t whole = printable_columns(str_c(&shown), shown.len);
    const size_t dots = whole > columns && columns > 6 ? 3 : 0;
    const size_t n = fitting(str_c(&shown), shown.len, columns - dots);
    str_addn(to, str_c(&shown), n);
    str_addn(to, "...", dots);
    const size_t used = printable_columns(str_c(&shown), n) + dots;
    if (fill && used < columns)
        str_addf(to, "%*s", (int)(columns - used), "");
}
