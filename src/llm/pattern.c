/* pattern.c - matching and filling in for scripted replies. */
#include "llm/pattern.h"
#include <stdlib.h>
#include <string.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define REGEX_BYTES_MAX   4096
#define REGEX_MATCH_LIMIT 1000000
#define REGEX_HEAP_KIB    8192
#define FILL_DEPTH_MAX    64

void
groups_fini(struct groups *g)
{
    for (size_t i = 0; i < PATTERN_GROUPS_MAX; i++) {
        free(g->text[i]);
        g->text[i] = NULL;
    }
}

static void
code_freep(pcre2_code **c)
{
    pcre2_code_free(*c);
}
static void
data_freep(pcre2_match_data **d)
{
    pcre2_match_data_free(*d);
}
static void
context_freep(pcre2_match_context **m)
{
    pcre2_match_context_free(*m);
}

static void
keep_groups(struct groups *g, const char *text, pcre2_match_data *data)
{
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(data);
    const size_t n = MIN((size_t)pcre2_get_ovector_count(data), (size_t)PATTERN_GROUPS_MAX);
    groups_fini(g);
    for (size_t i = 0; i < n; i++) {
        if (at[2 * i] != PCRE2_UNSET && at[2 * i + 1] >= at[2 * i])
            g->text[i] = xstrndup(text + at[2 * i], at[2 * i + 1] - at[2 * i]);
    }
}

struct regex { /* between the slashes */
    const char *source;
    size_t n;
    uint32_t options;
};

static struct err *MUST
regex_compile(const struct regex *r, pcre2_code **ret_code)
{
    int code;
    PCRE2_SIZE at;
    *ret_code = NULL;
    if (r->n <= REGEX_BYTES_MAX)
        *ret_code = pcre2_compile((PCRE2_SPTR)r->source, r->n, r->options, &code, &at, NULL);
    if (*ret_code)
        return NULL;
    return FAIL(ERR_INVALID, "'/%.*s/' is not a regular expression", (int)MIN(r->n, (size_t)80),
                r->source);
}

static struct err *MUST
regex_match(const struct regex *r, const char *text, struct groups *g, bool *ret_matches)
{
    AUTO(code_freep) pcre2_code *re = NULL;
    PASS(regex_compile(r, &re));
    AUTO(data_freep) pcre2_match_data *data = pcre2_match_data_create_from_pattern(re, NULL);
    AUTO(context_freep) pcre2_match_context *limits = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(limits, REGEX_MATCH_LIMIT);
    pcre2_set_heap_limit(limits, REGEX_HEAP_KIB);
    const int found = pcre2_match(re, (PCRE2_SPTR)text, strlen(text), 0, 0, data, limits);
    if (found < 0 && found != PCRE2_ERROR_NOMATCH)
        return FAIL(ERR_INVALID, "'/%.*s/' takes too long to match", (int)MIN(r->n, (size_t)80),
                    r->source);
    *ret_matches = found >= 0;
    if (*ret_matches)
        keep_groups(g, text, data);
    return NULL;
}

struct err *
pattern_match(const char *pattern, const char *text, struct groups *g, bool *ret_matches)
{
    const size_t n = strlen(pattern);
    struct regex r = {.source = pattern + 1, .options = PCRE2_UTF | PCRE2_DOTALL};
    if (n >= 2 && pattern[0] == '/' && pattern[n - 1] == '/') {
        r.n = n - 2;
        return regex_match(&r, text, g, ret_matches);
    }
    if (n >= 3 && pattern[0] == '/' && str_ends(pattern, "/i")) {
        r.n = n - 3;
        r.options |= PCRE2_CASELESS;
        return regex_match(&r, text, g, ret_matches);
    }
    *ret_matches = strstr(text, pattern) != NULL;
    return NULL;
}

/* ---- filling in -------------------------------------------------------------------------------*/

/* Appends what the name stands for; false: nothing. */
static bool
fill_name(struct str *to, const char *name, size_t n, const struct fill *f)
{
    const struct {
        const char *name, *value;
    } known[] = {{"last", f->last},
                 {"message", f->message},
                 {"tool_result", f->tool_result},
                 {"system", f->system}};
    if (n == 1 && name[0] >= '0' && name[0] <= '9') {
        const char *group = f->groups ? f->groups->text[name[0] - '0'] : NULL;
        str_add(to, group ? group : "");
        return true;
    }
    if (n == 4 && memcmp(name, "turn", 4) == 0) {
        str_addf(to, "%lld", (long long)f->turn);
        return true;
    }
    for (size_t i = 0; i < COUNT(known); i++) {
        if (strlen(known[i].name) == n && memcmp(known[i].name, name, n) == 0) {
            str_add(to, known[i].value ? known[i].value : "");
            return true;
        }
    }
    return false;
}

void
fill_text(struct str *to, const char *text, size_t n, const struct fill *f)
{
    const char *end = text + n;
    while (text < end) {
        const char *open = memmem(text, (size_t)(end - text), "{{", 2);
        /* No name is long: looking no further keeps this linear. */
        const size_t reach = open ? MIN((size_t)(end - open), (size_t)32) : 0;
        const char *close = open ? memmem(open, reach, "}}", 2) : NULL;
        if (!open)
            break;
        str_addn(to, text, (size_t)(open - text));
        text = open + 2;
        if (!close) {
            str_add(to, "{{");
            continue;
        }
        const char *name = text, *stop = close;
        while (name < stop && *name == ' ')
            name++;
        while (stop > name && stop[-1] == ' ')
            stop--;
        if (fill_name(to, name, (size_t)(stop - name), f))
            text = close + 2;
        else
            str_add(to, "{{");
    }
    str_addn(to, text, (size_t)(end - text));
}

static json_t *
fill_value(const json_t *value, const struct fill *f, int depth)
{
    const char *key;
    json_t *v;
    size_t i;
    if (depth > FILL_DEPTH_MAX)
        return json_null();
    if (json_is_string(value)) {
        AUTO(str_fini) struct str s = STR_INIT;
        fill_text(&s, json_string_value(value), json_string_length(value), f);
        return json_string_lossy(str_c(&s), s.len);
    }
    if (json_is_array(value)) {
        json_t *list = json_array();
        json_array_foreach (value, i, v)
            json_array_append_new(list, fill_value(v, f, depth + 1));
        return list;
    }
    if (!json_is_object(value))
        return json_incref((json_t *)(uintptr_t)value);
    json_t *object = json_object();
    json_object_foreach ((json_t *)(uintptr_t)value, key, v)
        json_object_set_new(object, key, fill_value(v, f, depth + 1));
    return object;
}

json_t *
fill_json(const json_t *value, const struct fill *f)
{
    return fill_value(value, f, 0);
}
