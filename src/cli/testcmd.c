/* testcmd.c - `tutti test`: the tests that stand in files. */
#include "app/tester.h"
#include "base/units.h"
#include "cli/cli.h"
#include "observe/printable.h"
#include "rt/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_COLUMNS  40
#define VALUE_COLUMNS 400

static void
value_print(const char *what, const json_t *value)
{
    AUTO(str_fini) struct str s = STR_INIT;
    AUTO(freep) char *text = value && !json_is_null(value) ? json_text(value) : xstrdup("nothing");
    printable_fit(&s, text, VALUE_COLUMNS, false);
    printf("          %s: %s\n", what, str_c(&s));
}

static void
lines_print(const char *text)
{
    for (const char *p = text; *p;) {
        const size_t n = strcspn(p, "\n");
        AUTO(str_fini) struct str s = STR_INIT;
        printable_add(&s, p, n);
        printf("          %s\n", str_c(&s));
        p += n + (p[n] == '\n');
    }
}

static void
failure_print(const json_t *f)
{
    const char *diff = json_str(f, "diff", NULL);
    printf("        %s\n", json_str(f, "what", ""));
    if (diff) {
        lines_print(diff);
        return;
    }
    if (json_object_get(f, "expected"))
        value_print("expected", json_object_get(f, "expected"));
    value_print("actual", json_object_get(f, "actual"));
}

static void
result_print(const json_t *r)
{
    AUTO(str_fini) struct str s = STR_INIT;
    const json_t *f;
    const long long calls = json_int(json_object_get(r, "usage"), "model_calls", 0);
    size_t i;
    str_add(&s, json_bool(r, "ok", false) ? "  ok    " : "  FAIL  ");
    printable_fit(&s, json_str(r, "name", ""), NAME_COLUMNS, true);
    str_addc(&s, ' ');
    duration_add(&s, json_int(r, "duration_ms", 0));
    if (json_bool(r, "virtual", false) && json_int(r, "duration_ms", 0))
        str_add(&s, " of its own");
    if (calls)
        str_addf(&s, ", %lld model call%s", calls, calls == 1 ? "" : "s");
    printf("%s\n", str_c(&s));
    json_array_foreach (json_object_get(r, "failures"), i, f)
        failure_print(f);
}

static void
report_print(const json_t *report)
{
    const json_t *r;
    size_t i;
    printf("%s\n", json_str(report, "file", ""));
    json_array_foreach (json_object_get(report, "tests"), i, r)
        result_print(r);
    printf("%lld passed, %lld failed\n", (long long)json_int(report, "passed", 0),
           (long long)json_int(report, "failed", 0));
}

static int
test_main(int argc, char **argv)
{
    struct tester_opts o = {0};
    bool json = false;
    AUTO(json_freep) json_t *report = NULL;
    AUTO(freep) char *file = NULL;
    const struct option_def defs[] = {{"--filter", .value = &o.filter},
                                      {"--record", .flag = &o.record},
                                      {"--json", .flag = &json}};
    if (options_take(defs, COUNT(defs), &argc, argv))
        return TUTTI_USAGE;
    if (argc > 2)
        return usage_error(&cmd_test, "'%s' is one word too many", argv[2]);
    struct err *e = app_find_file(argc > 1 ? argv[1] : NULL, &file);
    o.file = file;
    if (!e)
        e = tests_run(&o, &report);
    if (e)
        return fail(e);
    if (json)
        print_json(report);
    else
        report_print(report);
    return json_int(report, "failed", 0) ? TUTTI_FAILED : TUTTI_OK;
}

const struct command cmd_test = {"test", "test [FILE] [--filter NAME] [--record] [--json]",
                                 "run the tests of a file", test_main};
