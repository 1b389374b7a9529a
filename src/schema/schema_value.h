/* schema_value.h - JSON values as JSON Schema sees them.
 *
 * 1 and 1.0 are the same value and both are integers; members have no order; numbers are compared
 * exactly, although one may be a 64-bit integer and the other a double; a multiple is judged on the
 * decimal numbers that were written (0.3 is a multiple of 0.1), not on their binary neighbours.
 *
 * Work that grows with a value is paid from *left, one unit a value or 16 bytes; once it is
 * below 0 the answer means nothing and the caller must give up. */
#ifndef SCHEMA_SCHEMA_VALUE_H
#define SCHEMA_SCHEMA_VALUE_H
#include "base/json.h"

enum value_type { /* a set of JSON Schema's types; a number without fraction is both of its kinds */
                  TYPE_NULL = 1,
                  TYPE_BOOLEAN = 2,
                  TYPE_INTEGER = 4,
                  TYPE_NUMBER = 8,
                  TYPE_STRING = 16,
                  TYPE_ARRAY = 32,
                  TYPE_OBJECT = 64,
                  TYPE_ALL = 127
};

unsigned value_types(const json_t *v);                 /* all that fit */
bool types_parse(const char *name, unsigned *ret_bit); /* "string", ... */
const char *types_near(const char *name);              /* the type that was meant, or NULL */
void types_describe(struct str *s, unsigned types);    /* "a string, an array or null" */

int number_compare(const json_t *a, const json_t *b);           /* <0, 0, >0; both are numbers */
bool number_is_multiple(const json_t *value, const json_t *of); /* of > 0 */

bool value_equal(const json_t *a, const json_t *b, int64_t *left);
uint64_t value_hash(const json_t *v, int64_t *left); /* equal values, equal hashes; keyed */
/* Two equal items of the array; false when all differ. */
bool items_repeat(const json_t *array, size_t *ret_first, size_t *ret_second, int64_t *left);

void number_describe(struct str *s, const json_t *v); /* 0.1, not 0.10000000000000001 */
size_t text_length(const char *s, size_t n);          /* code points */
/* "3", "\"abc\"" (cut after 60 bytes), "an array of 2 items", "an object with 1 property". */
void value_describe(struct str *s, const json_t *v);
#endif
