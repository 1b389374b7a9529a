/* testcmd.c - `tutti test`: the tests that stand in files. */
#include "app/tester.h"
#include "base/map.h"
#include "base/printable.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/junit.h"
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
    print_shown(stdout, "          %s: %s\n", what, str_c(&s));
}

static void
lines_print(const char *text)
{
    for (const char *p = text; *p;) {
        const size_t n = strcspn(p, "\n");
        AUTO(str_fini) struct str s = STR_INIT;
        printable_add(&s, p, n);
        print_shown(stdout, "          %s\n", str_c(&s));
        p += n + (p[n] == '\n');
    }
}

static void
failure_print(const json_t *f)
{
    const char *diff = json_str(f, "diff", NULL);
    print_shown(stdout, "        %s\n", json_str(f, "what", ""));
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
    print_shown(stdout, "%s\n", str_c(&s));
    json_array_foreach (json_object_get(r, "failures"), i, f)
        failure_print(f);
}

struct showing {
    bool json;
    int code; /* of the worst file that could not be run: a wrong one counts most */
};

static void
file_print(void *ctx, const json_t *of_file, const struct err *e)
{
    struct showing *s = ctx;
    AUTO(str_fini) struct str name = STR_INIT;
    const json_t *r;
    size_t i;
    if (!s->json) {
        printable_add(&name, json_str(of_file, "file", ""), strlen(json_str(of_file, "file", "")));
        print_shown(stdout, "%s\n", str_c(&name));
        json_array_foreach (json_object_get(of_file, "tests"), i, r)
            result_print(r);
        fflush(stdout); /* before what stands on stderr, and for whoever reads along */
    }
    const int code = e ? complain(e) : 0;
    s->code = MAX(s->code, code);
}

static void
sum_print(const json_t *report)
{
    AUTO(map_freep) struct map *broken = map_new();
    const json_t *one;
    size_t i;
    json_array_foreach (json_object_get(report, "errors"), i, one)
        map_put(broken, json_str(one, "file", ""), broken);
    print_shown(stdout, "%lld passed, %lld failed", (long long)json_int(report, "passed", 0),
                (long long)json_int(report, "failed", 0));
    if (map_len(broken))
        print_shown(stdout, ", %zu file%s could not be run", map_len(broken),
                    map_len(broken) == 1 ? "" : "s");
    print_shown(stdout, "\n");
}

static int
test_main(int argc, char **argv)
{
    struct showing showing = {0};
    struct tester_opts o = {.each = file_print, .ctx = &showing};
    const char *junit = NULL;
    AUTO(json_freep) json_t *report = NULL;
    const struct option_def defs[] = {{"--filter", .value = &o.filter},
                                      {"--record", .flag = &o.record},
                                      {"--junit", .value = &junit},
                                      {"--json", .flag = &showing.json}};
    if (options_take(defs, COUNT(defs), &argc, argv))
        return TUTTI_USAGE;
    o.paths = (const char *const *)argv + 1;
    o.npaths = (size_t)argc - 1;
    struct err *e = tests_run(&o, &report);
    if (!e && junit)
        e = junit_write(junit, report);
    if (e)
        return fail(e);
    if (showing.json)
        print_json(report);
    else
        sum_print(report);
    return showing.code ? showing.code : json_int(report, "failed", 0) ? TUTTI_FAILED : TUTTI_OK;
}

const struct command cmd_test = {
    "test", "test [FILE|FOLDER...] [--filter NAME] [--record] [--json] [--junit FILE]",
    "run the tests of files, of folders, or of the current folder", test_main};
