/* junit.c - test reports as XML, for continuous integration. */
#include "cli/junit.h"
#include "base/map.h"
#include "base/vec.h"
#include "rt/file.h"
#include <string.h>

#define MODE 0644

/* Text and attributes alike. What XML has no way to write becomes U+FFFD. */
static void
xml_add(struct str *to, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p == '&')
            str_add(to, "&amp;");
        else if (*p == '<')
            str_add(to, "&lt;");
        else if (*p == '>')
            str_add(to, "&gt;");
        else if (*p == '"')
            str_add(to, "&quot;");
        else if (*p == '\n' || *p == '\t')
            str_addf(to, "&#%u;", *p);
        else if (*p < 0x20)
            str_add(to, "\xef\xbf\xbd");
        else if (p[0] == 0xef && p[1] == 0xbf && p[2] >= 0xbe)
            str_add(to, "\xef\xbf\xbd"), p += 2;
        else
            str_addc(to, (char)*p);
    }
}

static void
attribute_add(struct str *to, const char *name, const char *value)
{
    str_addf(to, " %s=\"", name);
    xml_add(to, value);
    str_addc(to, '"');
}

static void
value_add(struct str *to, const char *what, const json_t *value)
{
    if (!value)
        return;
    AUTO(freep) char *text = json_as_text(value);
    AUTO(freep) char *line = xasprintf("%s: %s\n", what, text);
    xml_add(to, line);
}

static void
failure_add(struct str *to, const json_t *f)
{
    str_add(to, "      <failure");
    attribute_add(to, "message", json_str(f, "what", ""));
    str_addc(to, '>');
    value_add(to, "expected", json_object_get(f, "expected"));
    value_add(to, "actual", json_object_get(f, "actual"));
    xml_add(to, json_str(f, "diff", ""));
    str_add(to, "</failure>\n");
}

static double
seconds_of(const json_t *result)
{
    return json_bool(result, "virtual", false) ? 0
                                               : (double)json_int(result, "duration_ms", 0) / 1000;
}

static void
case_add(struct str *to, const json_t *result)
{
    const json_t *f;
    size_t i;
    str_add(to, "    <testcase");
    attribute_add(to, "classname", json_str(result, "file", ""));
    attribute_add(to, "name", json_str(result, "name", ""));
    str_addf(to, " time=\"%.3f\">\n", seconds_of(result));
    json_array_foreach (json_object_get(result, "failures"), i, f)
        failure_add(to, f);
    str_add(to, "    </testcase>\n");
}

static void
error_add(struct str *to, const json_t *error)
{
    str_add(to, "    <testcase");
    attribute_add(to, "classname", json_str(error, "file", ""));
    attribute_add(to, "name", "the file");
    str_add(to, ">\n      <error");
    attribute_add(to, "message", json_str(error, "error", ""));
    str_add(to, "/>\n    </testcase>\n");
}

struct suite {
    const char *file;
    struct str cases;
    size_t tests, failures, errors;
    double seconds;
};

static struct suite *
suite_of(struct map *suites, const json_t *of)
{
    const char *file = json_str(of, "file", "");
    struct suite *s = map_get(suites, file);
    if (s)
        return s;
    s = xcalloc(1, sizeof *s);
    s->file = file;
    map_put(suites, file, s);
    return s;
}

static void
suites_fill(struct map *suites, const json_t *report)
{
    const json_t *one;
    size_t i;
    json_array_foreach (json_object_get(report, "tests"), i, one) {
        struct suite *s = suite_of(suites, one);
        s->tests++;
        s->failures += !json_bool(one, "ok", false);
        s->seconds += seconds_of(one);
        case_add(&s->cases, one);
    }
    json_array_foreach (json_object_get(report, "errors"), i, one) {
        struct suite *s = suite_of(suites, one);
        s->tests++;
        s->errors++;
        error_add(&s->cases, one);
    }
}

struct err *
junit_write(const char *path, const json_t *report)
{
    AUTO(str_fini) struct str text = STR_INIT;
    AUTO(map_freep) struct map *suites = map_new();
    void *value;
    str_add(&text, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    suites_fill(suites, report);
    for (size_t i = 0; map_next(suites, &i, NULL, &value);) {
        struct suite *s = value;
        str_add(&text, "  <testsuite");
        attribute_add(&text, "name", s->file);
        str_addf(&text, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" time=\"%.3f\">\n", s->tests,
                 s->failures, s->errors, s->seconds);
        str_add(&text, str_c(&s->cases));
        str_add(&text, "  </testsuite>\n");
        str_fini(&s->cases);
        free(s);
    }
    str_add(&text, "</testsuites>\n");
    TRY(file_write(path, str_c(&text), text.len, MODE), "writing the report '%s'", path);
    return NULL;
}
