/* schema_format.h - the formats of JSON Schema 2020-12 (validation paper, section 7.3) that can be
 * judged without tables of Unicode. Not among them: idn-hostname. Where the RFC allows what no
 * address looks like, the RFC wins. */
#ifndef SCHEMA_SCHEMA_FORMAT_H
#define SCHEMA_SCHEMA_FORMAT_H
#include "base/lang.h"

typedef bool (*format_fn)(const char *s, size_t n); /* s ends in NUL, but n counts */

format_fn format_find(const char *name);      /* NULL: not known, so nothing is asserted */
const char *format_example(const char *name); /* "2026-01-31"; NULL for unknown ones */
#endif
