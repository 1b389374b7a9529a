/* units.h - durations and sizes as users write them. */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H
#include "base/str.h"

/* "30", "1.5" (seconds), "500ms", "30s", "5m", "2h", "7d". At most ten years, at least 0. */
bool duration_parse(const char *text, int64_t *ret_ms);
/* "4096", "64K", "10M", "1G" (powers of 1024). */
bool size_parse(const char *text, int64_t *ret_bytes);
void duration_add(struct str *s, int64_t ms); /* "12 ms", "1.5 s", "2 min 3 s", "3 h 4 min" */
/* Milliseconds since 1970 as UTC "2026-11-21T05:00:00.123Z". */
void time_iso(int64_t wall_ms, char ret_text[32]);
bool time_parse_iso(const char *text, int64_t *ret_wall_ms); /* date, or date and time with zone */
/* HTTP-date of RFC 9110 5.6.7 (the fixed form "Sun, 06 Nov 1994 08:49:37 GMT"). */
bool time_parse_http(const char *text, int64_t *ret_wall_ms);
#endif
