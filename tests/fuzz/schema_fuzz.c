/* schema_fuzz.c - {"schema": ..., "value": ...}: compile, check, explain.
 *
 * Beyond not crashing: the answer with reasons and the answer without must agree, a failure is told
 * if and only if the value does not fit, and a schema compiles twice or never. */
#include "schema/schema.h"
#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
value_check(const struct schema *s, const json_t *value)
{
    struct schema_report report = SCHEMA_REPORT_INIT;
    bool valid = false;
    struct err *e = schema_holds(s, value, &valid);
    struct err *again = schema_check(s, value, &report);
    assert(!e == !again);
    assert(e || (valid == report.valid && valid == (report.total == 0)));
    assert(!e || err_kind(e) == ERR_LIMIT);
    free(schema_explain(&report));
    schema_report_fini(&report);
    err_drop(e);
    err_drop(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(json_freep) json_t *input = NULL;
    struct err *e = json_parse((const char *)data, size, &input);
    if (e) {
        err_drop(e);
        return -1;
    }
    json_t *doc = json_object_get(input, "schema"), *value = json_object_get(input, "value");
    if (!doc || !value)
        return -1;
    AUTO(schema_freep) struct schema *s = NULL, *loose = NULL;
    struct schema_options asserting = {.assert_formats = true};
    e = schema_compile_with(doc, &asserting, &s);
    struct err *other = schema_compile(doc, &loose);
    assert(!e == !other);
    if (!e) {
        value_check(s, value);
        value_check(loose, value);
        schema_defaults(doc, value);
    }
    err_drop(e);
    err_drop(other);
    return 0;
}
