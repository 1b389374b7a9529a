/* fitting.c - a model's words and the JSON Schema that they are to follow. */
#include "agents/agentlib.h"
#include "llm/jsonish.h"
#include "rt/rt.h"
#include "schema/schema.h"
#include <string.h>

struct fitting {
    const json_t *schema;
    const char *text;
    json_t *value;
    char *complaint;
    struct err *e;
};

/* A line a mistake, without an end to the last one: it goes into the middle of texts. */
static char *
lines_of(const struct schema_report *report)
{
    char *text = schema_explain(report);
    size_t n = strlen(text);
    while (n && text[n - 1] == '\n')
        text[--n] = '\0';
    return text;
}

static void
fit_deep(void *arg)
{
    struct fitting *f = arg;
    AUTO(schema_freep) struct schema *schema = NULL;
    f->e = schema_compile(f->schema, &schema);
    if (f->e)
        return;
    f->value = jsonish_find(f->text, strlen(f->text));
    if (!f->value) {
        f->complaint = xstrdup("there is no JSON value in the reply");
        return;
    }
    struct schema_report report = SCHEMA_REPORT_INIT;
    f->e = schema_check(schema, f->value, &report);
    if (!f->e && !report.valid)
        f->complaint = lines_of(&report);
    schema_report_fini(&report);
}

struct err *
answer_fit(const json_t *schema, const char *text, json_t **ret_value, char **ret_complaint)
{
    struct fitting f = {.schema = schema, .text = text};
    rt_deep(fit_deep, &f);
    if (f.e || f.complaint)
        json_freep(&f.value);
    PASS(f.e);
    *ret_value = f.value;
    *ret_complaint = f.complaint;
    return NULL;
}
