/* units.c - durations, sizes and times in their written forms. */
#include "base/units.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TEN_YEARS_MS (3652.0 * 86400e3)

/* A decimal number without sign, exponent or blanks; *ret_rest is what follows it. */
static bool
decimal_parse(const char *text, double *ret_x, const char **ret_rest)
{
    size_t n = strspn(text, "0123456789");
    if (!n)
        return false;
    if (text[n] == '.') {
        size_t k = strspn(text + n + 1, "0123456789");
        if (!k)
            return false;
        n += 1 + k;
    }
    if (n > 30)
        return false;
    *ret_x = strtod(text, NULL);
    *ret_rest = text + n;
    return true;
}

struct unit {
    const char *name;
    double factor;
};

static bool
unit_parse(const char *text, const struct unit *units, size_t n, double max, int64_t *ret)
{
    double x;
    const char *rest;
    if (!decimal_parse(text, &x, &rest))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(rest, units[i].name) != 0)
            continue;
        x *= units[i].factor;
        if (x > max)
            return false;
        *ret = llround(x);
        return true;
    }
    return false;
}

bool
duration_parse(const char *text, int64_t *ret_ms)
{
    static const struct unit units[] = {{"", 1e3},   {"ms", 1},     {"s", 1e3},
                                        {"m", 60e3}, {"h", 3600e3}, {"d", 86400e3}};
    return unit_parse(text, units, COUNT(units), TEN_YEARS_MS, ret_ms);
}

bool
size_parse(const char *text, int64_t *ret_bytes)
{
    static const struct unit units[] = {{"", 1},
                                        {"K", 1024},
                                        {"M", 1024 * 1024},
                                        {"G", 1073741824.0},
                                        {"KB", 1024},
                                        {"MB", 1024 * 1024},
                                        {"GB", 1073741824.0},
                                        {"KiB", 1024},
                                        {"MiB", 1048576.0},
                                        {"GiB", 1073741824.0}};
    return unit_parse(text, units, COUNT(units), 9e15, ret_bytes);
}

void
duration_add(struct str *s, int64_t ms)
{
    if (ms < 1000)
        str_addf(s, "%lld ms", (long long)ms);
    else if (ms < 60000)
        str_addf(s, "%.1f s", (double)ms / 1000.0);
    else if (ms < 3600000)
        str_addf(s, "%lld min %lld s", (long long)(ms / 60000), (long long)(ms / 1000 % 60));
    else
        str_addf(s, "%lld h %lld min", (long long)(ms / 3600000), (long long)(ms / 60000 % 60));
}

void
time_iso(int64_t wall_ms, char ret_text[32])
{
    time_t t = (time_t)(wall_ms / 1000);
    struct tm tm;
    gmtime_r(&t, &tm);
    size_t n = strftime(ret_text, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(ret_text + n, 32 - n, ".%03dZ", (int)(wall_ms % 1000));
}

static bool
zone_parse(const char *p, int *ret_offset_s)
{
    int h, m, n = 0;
    char sign;
    *ret_offset_s = 0;
    if (strcmp(p, "Z") == 0 || strcmp(p, "z") == 0)
        return true;
    if (sscanf(p, "%c%2d:%2d%n", &sign, &h, &m, &n) != 3 || p[n] || (sign != '+' && sign != '-'))
        return false;
    *ret_offset_s = (h * 60 + m) * (sign == '-' ? -60 : 60);
    return h >= 0 && h <= 14 && m >= 0 && m < 60;
}

bool
time_parse_iso(const char *text, int64_t *ret_wall_ms)
{
    struct tm tm = {0};
    double seconds = 0;
    int n = 0, offset = 0;
    if (sscanf(text, "%4d-%2d-%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &n) != 3 || n != 10)
        return false;
    text += n;
    if (*text == 'T' || *text == ' ') {
        if (sscanf(text + 1, "%2d:%2d%n", &tm.tm_hour, &tm.tm_min, &n) != 2 || n != 5)
            return false;
        text += 1 + n;
        if (*text == ':') {
            const char *rest;
            if (!decimal_parse(text + 1, &seconds, &rest))
                return false;
            text = rest;
        }
        if (!zone_parse(text, &offset))
            return false;
    } else if (*text) {
        return false;
    }
    if (tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 || seconds < 0 ||
        seconds >= 61)
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    const struct tm said = tm;
    const int64_t at = timegm(&tm);
    if (tm.tm_mday != said.tm_mday || tm.tm_mon != said.tm_mon) /* the 30th of February */
        return false;
    *ret_wall_ms = (at - offset) * 1000 + llround(seconds * 1000);
    return true;
}

bool
time_parse_http(const char *text, int64_t *ret_wall_ms)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    if (!end || *end)
        return false;
    *ret_wall_ms = (int64_t)timegm(&tm) * 1000;
    return true;
}
