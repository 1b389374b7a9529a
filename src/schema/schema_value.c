/* schema_value.c - equality, order, multiples and descriptions of JSON values. */
#include "schema/schema_value.h"
#include "base/hash.h"
#include "base/near.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NESTING_MAX 256 /* values built inside the process may be deeper than json_parse allows */
#define SHOWN_MAX   60  /* bytes of a string that are quoted in a message */

static const struct {
    const char *name, *phrase;
} type_names[] = {
    {"null", "null"},        {"boolean", "true or false"}, {"integer", "an integer"},
    {"number", "a number"},  {"string", "a string"},       {"array", "an array"},
    {"object", "an object"},
};
_Static_assert(1 << COUNT(type_names) == TYPE_ALL + 1, "a name for each type");

/* ---- types -----------------------------------------------------------------------------------*/

static bool
real_is_whole(double x)
{
    return isfinite(x) && floor(x) == x;
}

unsigned
value_types(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_NULL:
        return TYPE_NULL;
    case JSON_TRUE:
    case JSON_FALSE:
        return TYPE_BOOLEAN;
    case JSON_INTEGER:
        return TYPE_INTEGER | TYPE_NUMBER;
    case JSON_REAL:
        return real_is_whole(json_real_value(v)) ? TYPE_INTEGER | TYPE_NUMBER : TYPE_NUMBER;
    case JSON_STRING:
        return TYPE_STRING;
    case JSON_ARRAY:
        return TYPE_ARRAY;
    case JSON_OBJECT:
        return TYPE_OBJECT;
    }
    return 0;
}

bool
types_parse(const char *name, unsigned *ret_bit)
{
    for (size_t i = 0; i < COUNT(type_names); i++) {
        if (strcmp(name, type_names[i].name) == 0) {
            *ret_bit = 1U << i;
            return true;
        }
    }
    return false;
}

const char *
types_near(const char *name)
{
    struct near n = NEAR_INIT(name);
    for (size_t i = 0; i < COUNT(type_names); i++)
        near_offer(&n, type_names[i].name);
    return n.best;
}

void
types_describe(struct str *s, unsigned types)
{
    if (types & TYPE_NUMBER)
        types &= ~(unsigned)TYPE_INTEGER;
    unsigned left = (unsigned)__builtin_popcount(types);
    /* null comes first in the table but reads best at the end. */
    for (size_t k = 1; k <= COUNT(type_names); k++) {
        size_t i = k % COUNT(type_names);
        if (!(types & 1U << i))
            continue;
        str_add(s, type_names[i].phrase);
        left--;
        if (left)
            str_add(s, left == 1 ? " or " : ", ");
    }
}

/* ---- numbers ---------------------------------------------------------------------------------*/

static int
integer_compare_real(int64_t a, double b)
{
    if (b >= 0x1p63)
        return -1;
    if (b < -0x1p63)
        return 1;
    int64_t whole = (int64_t)b; /* towards zero, exact in this range */
    if (a != whole)
        return a < whole ? -1 : 1;
    double rest = b - (double)whole;
    return rest > 0 ? -1 : rest < 0;
}

int
number_compare(const json_t *a, const json_t *b)
{
    if (json_is_integer(a) && json_is_integer(b)) {
        int64_t x = json_integer_value(a), y = json_integer_value(b);
        return x < y ? -1 : x > y;
    }
    if (json_is_integer(a))
        return integer_compare_real(json_integer_value(a), json_real_value(b));
    if (json_is_integer(b))
        return -integer_compare_real(json_integer_value(b), json_real_value(a));
    double x = json_real_value(a), y = json_real_value(b);
    return x < y ? -1 : x > y;
}

struct decimal { /* digits * 10^exponent, sign dropped */
    uint64_t digits;
    int exponent;
};

static struct decimal
decimal_of(const json_t *v)
{
    if (json_is_integer(v)) {
        int64_t x = json_integer_value(v);
        return (struct decimal){x < 0 ? 0 - (uint64_t)x : (uint64_t)x, 0};
    }
    /* The shortest text that reads back as this double is what somebody wrote. */
    double x = fabs(json_real_value(v));
    char text[40];
    for (int precision = 14; precision <= 16; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, x);
        if (strtod(text, NULL) == x)
            break;
    }
    struct decimal d = {0, 0};
    const char *p = text;
    for (; *p && *p != 'e'; p++) {
        if (*p >= '0' && *p <= '9') {
            d.digits = d.digits * 10 + (uint64_t)(*p - '0');
            d.exponent--;
        }
    }
    d.exponent +=
        1 + (*p ? (int)strtol(p + 1, NULL, 10) : 0); /* the first digit stands before the point */
    while (d.digits && d.digits % 10 == 0) {
        d.digits /= 10;
        d.exponent++;
    }
    return d;
}

bool
number_is_multiple(const json_t *value, const json_t *of)
{
    struct decimal a = decimal_of(value), b = decimal_of(of);
    if (!a.digits || !b.digits)
        return !a.digits;
    int shift = a.exponent - b.exponent;
    if (shift >= 0) {
        unsigned __int128 rest = a.digits % b.digits;
        for (; shift && rest; shift--) /* at most about 650 rounds */
            rest = rest * 10 % b.digits;
        return rest == 0;
    }
    unsigned __int128 divisor = b.digits;
    for (; shift; shift++) {
        divisor *= 10;
        if (divisor > a.digits)
            return false;
    }
    return a.digits % (uint64_t)divisor == 0;
}

/* ---- equality --------------------------------------------------------------------------------*/

static bool equal_at(const json_t *a, const json_t *b, unsigned depth, int64_t *left);

static bool
objects_equal(const json_t *a, const json_t *b, unsigned depth, int64_t *left)
{
    if (json_object_size(a) != json_object_size(b))
        return false;
    json_t *walk = (json_t *)(uintptr_t)a; /* jansson's iterators are not const-correct */
    for (void *i = json_object_iter(walk); i; i = json_object_iter_next(walk, i)) {
        const json_t *other = json_object_get(b, json_object_iter_key(i));
        if (!other || !equal_at(json_object_iter_value(i), other, depth + 1, left))
            return false;
    }
    return true;
}

static bool
equal_at(const json_t *a, const json_t *b, unsigned depth, int64_t *left)
{
    if (depth > NESTING_MAX)
        *left = -1;
    if (--*left < 0)
        return false;
    if (a == b)
        return true;
    if (json_is_number(a) && json_is_number(b))
        return number_compare(a, b) == 0;
    if (json_typeof(a) != json_typeof(b))
        return false;
    if (json_is_object(a))
        return objects_equal(a, b, depth, left);
    if (json_is_string(a)) {
        size_t n = json_string_length(a);
        *left -= (int64_t)(n / 16);
        return n == json_string_length(b) &&
               memcmp(json_string_value(a), json_string_value(b), n) == 0;
    }
    if (!json_is_array(a))
        return true; /* true, false, null */
    if (json_array_size(a) != json_array_size(b))
        return false;
    for (size_t i = 0; i < json_array_size(a); i++) {
        if (!equal_at(json_array_get(a, i), json_array_get(b, i), depth + 1, left))
            return false;
    }
    return true;
}

bool
value_equal(const json_t *a, const json_t *b, int64_t *left)
{
    return equal_at(a, b, 0, left);
}

static uint64_t
mix(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdULL;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53ULL;
    return x ^ x >> 33;
}

/* 1 and 1.0 give the same bits. */
static uint64_t
number_bits(const json_t *v)
{
    if (json_is_integer(v))
        return (uint64_t)json_integer_value(v);
    double x = json_real_value(v);
    if (real_is_whole(x) && x >= -0x1p63 && x < 0x1p63)
        return (uint64_t)(int64_t)x;
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* The key (secret of the process) goes into every level, so that collisions cannot be prepared. */
static uint64_t
hash_at(const json_t *v, uint64_t key, unsigned depth, int64_t *left)
{
    if (depth > NESTING_MAX)
        *left = -1;
    if (--*left < 0)
        return 0;
    key = mix(key + depth);
    uint64_t h = mix(key ^ (uint64_t)json_typeof(v));
    if (json_is_number(v))
        return mix(key ^ number_bits(v));
    if (json_is_string(v)) {
        *left -= (int64_t)(json_string_length(v) / 16);
        return mix(h ^ hash_name(json_string_value(v)));
    }
    if (json_is_array(v)) {
        for (size_t i = 0; i < json_array_size(v); i++)
            h = mix(h ^ hash_at(json_array_get(v, i), key, depth + 1, left));
    }
    if (json_is_object(v)) {
        json_t *walk = (json_t *)(uintptr_t)v;
        for (void *i = json_object_iter(walk); i; i = json_object_iter_next(walk, i))
            h += mix(hash_name(json_object_iter_key(i)) ^
                     hash_at(json_object_iter_value(i), key, depth + 1, left));
    }
    return h;
}

uint64_t
value_hash(const json_t *v, int64_t *left)
{
    return hash_at(v, hash_name("value"), 0, left);
}

struct hashed {
    uint64_t hash;
    size_t index;
};

static int
hashed_compare(const void *a, const void *b)
{
    const struct hashed *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* Among items of one hash: equal ones are the rule, so this ends at the first pair. */
static bool
group_repeats(const json_t *array, const struct hashed *group, size_t n, size_t *ret_pair,
              int64_t *left)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = i + 1; k < n && *left >= 0; k++) {
            if (value_equal(json_array_get(array, group[i].index),
                            json_array_get(array, group[k].index), left)) {
                ret_pair[0] = group[i].index;
                ret_pair[1] = group[k].index;
                return true;
            }
        }
    }
    return false;
}

bool
items_repeat(const json_t *array, size_t *ret_first, size_t *ret_second, int64_t *left)
{
    size_t n = json_array_size(array), pair[2];
    if (n < 2)
        return false;
    AUTO(freep) struct hashed *all = xcalloc(n, sizeof *all);
    for (size_t i = 0; i < n; i++)
        all[i] = (struct hashed){value_hash(json_array_get(array, i), left), i};
    qsort(all, n, sizeof *all, hashed_compare);
    for (size_t i = 0, k; i < n && *left >= 0; i = k) {
        for (k = i + 1; k < n && all[k].hash == all[i].hash;)
            k++;
        if (group_repeats(array, all + i, k - i, pair, left)) {
            *ret_first = pair[0];
            *ret_second = pair[1];
            return true;
        }
    }
    return false;
}

/* ---- words -----------------------------------------------------------------------------------*/

size_t
text_length(const char *s, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += ((unsigned char)s[i] & 0xc0) != 0x80;
    return count;
}

static void
text_describe(struct str *s, const char *text, size_t n)
{
    size_t shown = n > SHOWN_MAX ? utf8_floor(text, SHOWN_MAX) : n;
    AUTO(json_freep) json_t *cut = json_string_lossy(text, shown);
    if (cut)
        json_write(s, cut);
    if (shown < n)
        str_addf(s, "... (%zu bytes)", n);
}

/* The shortest digits that read back as the same number, which is how people write them. */
void
number_describe(struct str *s, const json_t *v)
{
    char text[40];
    if (!json_is_real(v)) {
        json_write(s, v);
        return;
    }
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(text, sizeof text, "%.*g", precision, json_real_value(v));
        if (strtod(text, NULL) == json_real_value(v))
            break;
    }
    str_add(s, text);
}

void
value_describe(struct str *s, const json_t *v)
{
    size_t n;
    switch (json_typeof(v)) {
    case JSON_ARRAY:
        n = json_array_size(v);
        if (n)
            str_addf(s, "an array of %zu item%s", n, n == 1 ? "" : "s");
        else
            str_add(s, "an empty array");
        return;
    case JSON_OBJECT:
        n = json_object_size(v);
        if (n)
            str_addf(s, "an object with %zu propert%s", n, n == 1 ? "y" : "ies");
        else
            str_add(s, "an empty object");
        return;
    case JSON_STRING:
        text_describe(s, json_string_value(v), json_string_length(v));
        return;
    default:
        number_describe(s, v);
    }
}
