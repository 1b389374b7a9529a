/* schema.c - the way in: compiling as a whole, texts, defaults. */
#include "schema/schema.h"
#include "schema/schema_eval.h"
#include "schema/schema_load.h"
#include "schema/schema_node.h"
#include <stdlib.h>
#include <string.h>

struct err *
schema_compile_with(const json_t *doc, const struct schema_options *options,
                    struct schema **ret_schema)
{
    struct schema *s = xcalloc(1, sizeof *s);
    s->arena = arena_new(0);
    s->assert_formats = options->assert_formats;
    struct err *e = schema_load(s, doc, options);
    if (e) {
        schema_free(s);
        return e;
    }
    *ret_schema = s;
    return NULL;
}

struct err *
schema_compile(const json_t *doc, struct schema **ret_schema)
{
    struct schema_options options = {0};
    return schema_compile_with(doc, &options, ret_schema);
}

void
schema_free(struct schema *s)
{
    if (!s)
        return;
    arena_free(s->arena);
    free(s);
}

void
schema_freep(struct schema **s)
{
    schema_free(*s);
    *s = NULL;
}

void
pointer_token_add(struct str *s, const char *name)
{
    str_addc(s, '/');
    for (; *name; name++) {
        if (*name == '~' || *name == '/')
            str_add(s, *name == '~' ? "~0" : "~1");
        else
            str_addc(s, *name);
    }
}

static char *OWN
report_text(const struct schema_report *r, const char *between, const char *end)
{
    struct str s = STR_INIT;
    for (size_t i = 0; i < r->len; i++) {
        const struct schema_failure *f = &r->list[i];
        str_addf(&s, "%s%s: %s", i ? between : "", *f->at ? f->at : "the value", f->text);
    }
    if (r->total > r->len)
        str_addf(&s, "%sand %zu more", between, r->total - r->len);
    if (s.len)
        str_add(&s, end);
    return str_steal(&s);
}

char *
schema_explain(const struct schema_report *r)
{
    return report_text(r, "\n", "\n");
}

struct err *
schema_enforce(const struct schema *s, const json_t *value)
{
    struct schema_report report = SCHEMA_REPORT_INIT;
    PASS(schema_check(s, value, &report));
    AUTO(freep) char *text = report_text(&report, "; ", "");
    bool valid = report.valid;
    schema_report_fini(&report);
    return valid ? NULL : FAIL(ERR_INVALID, "%s", text);
}

size_t
schema_defaults(const json_t *schema, json_t *value)
{
    json_t *properties = json_object_get(schema, "properties");
    size_t set = 0;
    const char *key;
    json_t *sub;
    if (!json_is_object(properties) || !json_is_object(value))
        return 0;
    json_object_foreach (properties, key, sub) {
        json_t *otherwise = json_object_get(sub, "default");
        if (!otherwise || json_object_get(value, key))
            continue;
        json_object_set_new(value, key, json_deep_copy(otherwise));
        set++;
    }
    return set;
}
