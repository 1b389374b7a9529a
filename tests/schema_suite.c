/* schema_suite.c - the official JSON Schema Test Suite as judge of src/schema.
 *
 * schema_suite [-v] SUITE DRAFT...
 * SUITE holds tests/DRAFT/ *.json and remotes/ (tools/fetch-schema-suite). Required tests are the
 * files directly in a draft's folder; all must pass, of each draft named. Those in optional/ are
 * run and counted beside; in optional/format the formats are asserted. No test is skipped.
 * Documents under the address that the suite gives to its remotes come from the folder remotes/:
 * nothing is fetched. */
#include "schema/schema.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#define REMOTES "http://localhost:1234/"

struct suite {
    const char *folder;
    json_t *remotes;     /* by URI, loaded when first asked for */
    const char *dialect; /* what a test without $schema is written in */
    bool verbose;
};

struct tally {
    size_t passed, failed;
};

static json_t *
file_json(const char *path)
{
    const size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
    json_error_t why;
    json_t *j = json_load_file(path, flags, &why);
    if (!j && json_error_code(&why) == json_error_numeric_overflow)
        j = json_load_file(path, flags | JSON_DECODE_INT_AS_REAL, &why);
    if (!j)
        fprintf(stderr, "%s: %s\n", path, why.text);
    return j;
}

static json_t *
remote_find(void *ctx, const char *uri)
{
    struct suite *s = ctx;
    if (!str_starts(uri, REMOTES))
        return NULL;
    json_t *known = json_object_get(s->remotes, uri);
    if (known)
        return known;
    AUTO(freep) char *path = xasprintf("%s/remotes/%s", s->folder, uri + strlen(REMOTES));
    json_t *doc = file_json(path);
    if (doc)
        json_object_set_new(s->remotes, uri, doc);
    return doc;
}

static bool
test_passes(const struct schema *s, const json_t *test)
{
    struct schema_report report = SCHEMA_REPORT_INIT;
    struct err *e = schema_check(s, json_object_get(test, "data"), &report);
    if (e) {
        err_print(e, stdout);
        err_free(e);
        return false;
    }
    /* The answer and its reasons must agree. */
    bool valid = report.valid;
    bool told = (report.len == 0) == valid;
    schema_report_fini(&report);
    return told && valid == json_bool(test, "valid", false);
}

static void
group_run(struct suite *s, const char *path, const json_t *group, struct tally *t)
{
    const char *name = json_str(group, "description", "");
    struct schema_options options = {.find = remote_find,
                                     .ctx = s,
                                     .dialect = s->dialect,
                                     .assert_formats = strstr(path, "/format/") != NULL};
    struct schema *schema = NULL;
    struct err *e = schema_compile_with(json_object_get(group, "schema"), &options, &schema);
    size_t i;
    json_t *test;
    if (e && s->verbose) {
        printf("FAIL %s: %s: ", path, name);
        err_print(e, stdout);
    }
    json_array_foreach (json_object_get(group, "tests"), i, test) {
        bool ok = !e && test_passes(schema, test);
        t->passed += ok;
        t->failed += !ok;
        if (!ok && !e && s->verbose)
            printf("FAIL %s: %s: %s\n", path, name, json_str(test, "description", ""));
    }
    err_free(e);
    schema_free(schema);
}

static void
file_run(struct suite *s, const char *path, struct tally *t)
{
    struct tally here = {0, 0};
    json_t *groups = file_json(path), *group;
    size_t i;
    json_array_foreach (groups, i, group) {
        group_run(s, path, group, &here);
    }
    if (!groups)
        here.failed++;
    json_decref(groups);
    if (here.failed)
        printf("%s: %zu of %zu failed\n", path, here.failed, here.passed + here.failed);
    t->passed += here.passed;
    t->failed += here.failed;
}

static int
is_json(const struct dirent *d)
{
    return str_ends(d->d_name, ".json");
}

/* All files of the folder, in order of name. */
static void
folder_run(struct suite *s, const char *folder, struct tally *t)
{
    struct dirent **files;
    int n = scandir(folder, &files, is_json, alphasort);
    for (int i = 0; i < n; i++) {
        AUTO(freep) char *path = xasprintf("%s/%s", folder, files[i]->d_name);
        file_run(s, path, t);
        free(files[i]);
    }
    if (n >= 0)
        free(files);
}

static struct tally
draft_run(struct suite *s, const char *draft)
{
    static const char *const old[] = {"7", "6", "4"};
    struct tally required = {0, 0}, optional = {0, 0}, formats = {0, 0};
    AUTO(freep) char *dialect = NULL;
    for (size_t i = 0; i < COUNT(old); i++) {
        if (str_starts(draft, "draft") && str_eq(draft + 5, old[i]))
            dialect = xasprintf("http://json-schema.org/draft-0%s/schema#", old[i]);
    }
    s->dialect = dialect;
    AUTO(freep) char *folder = xasprintf("%s/tests/%s", s->folder, draft);
    AUTO(freep) char *extra = xasprintf("%s/optional", folder);
    AUTO(freep) char *format = xasprintf("%s/format", extra);
    folder_run(s, folder, &required);
    folder_run(s, extra, &optional);
    folder_run(s, format, &formats);
    printf("%s: required: %zu passed, %zu failed\n", draft, required.passed, required.failed);
    printf("%s: optional: %zu passed, %zu failed\n", draft, optional.passed, optional.failed);
    printf("%s: optional formats: %zu passed, %zu failed\n", draft, formats.passed, formats.failed);
    s->dialect = NULL;
    return required;
}

int
main(int argc, char **argv)
{
    struct suite s = {.remotes = json_object()};
    int i = 1;
    if (i < argc && strcmp(argv[i], "-v") == 0) {
        s.verbose = true;
        i++;
    }
    if (argc - i < 2) {
        fprintf(stderr, "usage: schema_suite [-v] SUITE DRAFT...\n");
        return 2;
    }
    s.folder = argv[i++];
    struct tally judge = draft_run(&s, argv[i++]);
    for (; i < argc; i++) {
        struct tally older = draft_run(&s, argv[i]);
        judge.passed += older.passed;
        judge.failed += older.failed;
    }
    json_decref(s.remotes);
    printf("%zu passed, %zu failed\n", judge.passed, judge.failed);
    return judge.failed || !judge.passed ? 1 : 0;
}
